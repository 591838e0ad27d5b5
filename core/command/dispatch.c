/* dispatch.c: from the text of a command to its function; help. Completion is in complete.c. */
#include "command/command.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int gib_command_execute(struct gib_engine *engine, const char *text, bool interactive,
                        struct gib_error *error)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strcspn(text, " \t\n");
    char name[64];
    snprintf(name, sizeof name, "%.*s", length ? (int)(length < 63 ? length : 63) : 4,
             length ? text : "help");
    const struct gib_command *command = gib_command_find(name, error);
    if (!command)
        return error->code;
    struct gib_arguments arguments;
    int failed = gib_arguments_parse(command, text + length, &arguments, error);
    if (failed)
        return failed;
    arguments.interactive = interactive;
    failed = command->run(engine, &arguments, error);
    gib_arguments_free(&arguments);
    return failed;
}

/* ---- help ---- */

enum { WIDTH = 78 }; /* LLDB breaks longer lines itself, without an indent */

/* One paragraph, by words; the cursor is at `column`, and further lines begin at `indent`. Ends the
 * line. */
static void fold(FILE *out, size_t column, size_t indent, const char *text)
{
    bool first = true;
    for (const char *word = text; *word;) {
        size_t length = strcspn(word, " ");
        if (!first && column + 1 + length > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', out);
            column++;
        }
        fwrite(word, 1, length, out);
        column += length;
        word += length + strspn(word + length, " ");
        first = false;
    }
    fputc('\n', out);
}

/* The same in two columns. */
static void fold_row(FILE *out, const char *left, size_t indent, const char *text)
{
    size_t width = strlen(left);
    if (width >= indent)
        fprintf(out, "%s\n%*s", left, (int)indent, "");
    else
        fprintf(out, "%-*s", (int)indent, left);
    fold(out, indent, indent, text);
}

/* Lines that begin with a space stay as they are; others make paragraphs. */
static void fold_details(FILE *out, const char *text)
{
    char *copy = strdup(text);
    bool table = false;
    for (char *at = copy; at && *at; at++) {
        if (at == copy || at[-1] == '\n')
            table = *at == ' ';
        if (*at == '\n' && !table && !strchr("\n ", at[1]) && at[-1] != '\n')
            *at = ' ';
    }
    for (char *line = copy, *end; line; line = end) {
        if ((end = strchr(line, '\n')))
            *end++ = '\0';
        if (*line == ' ')
            fprintf(out, "%s\n", line);
        else
            fold(out, 0, 0, line);
    }
    free(copy);
}

static char *overview(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("Monkey patching for native code.\n\nList of gibbon commands:\n\n", out);
    for (const struct gib_command *c = gib_command_table; c->name; c++) {
        char left[32];
        snprintf(left, sizeof left, "  %-8s --", c->name);
        fold_row(out, left, 14, c->summary);
    }
    fputs("\nCommands, options and settings may be abbreviated.\n"
          "\"gibbon help COMMAND\" says more.\n",
          out);
    fclose(out);
    return text;
}

static char *command_help(const struct gib_command *c)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "%s\nUsage: gibbon %s%s%s\n", c->summary, c->name, *c->usage ? " " : "", c->usage);
    if (*c->details) {
        fputc('\n', out);
        fold_details(out, c->details);
    }
    if (c->options && c->options->name)
        fputs("\nOptions:\n", out);
    for (const struct gib_option *o = c->options; o && o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "  -%s%s%s", o->name, o->argument_name ? " " : "",
                 o->argument_name ? o->argument_name : "");
        fold_row(out, left, 28, o->help);
    }
    if (!strcmp(c->name, "set") || !strcmp(c->name, "show")) {
        fputs("\nSettings:\n", out);
        for (const struct gib_setting *s = gib_setting_table; s->name; s++) {
            char left[64];
            snprintf(left, sizeof left, "  %-12s %s", s->name, s->values);
            fold_row(out, left, 30, s->help);
        }
    }
    fprintf(out, "\nExample: %s\n", c->example);
    fclose(out);
    return text;
}

static const char *reply(struct gib_engine *engine, char *text)
{
    free(engine->reply);
    engine->reply = text;
    return text;
}

const char *gib_engine_help(struct gib_engine *engine, const char *name)
{
    struct gib_error ignored;
    if (!*name)
        return reply(engine, overview());
    const struct gib_command *command = gib_command_find(name, &ignored);
    return command ? reply(engine, command_help(command)) : NULL;
}

int gib_command_help(struct gib_engine *engine, const struct gib_arguments *arguments,
                     struct gib_error *error)
{
    if (arguments->words > 1)
        return gib_fail(error, GIB_E_SYNTAX, 0, "\"gibbon help\" takes one command.");
    char *text;
    if (arguments->words) {
        const struct gib_command *command = gib_command_find(arguments->word[0], error);
        if (!command)
            return error->code;
        text = command_help(command);
    } else {
        text = overview();
    }
    gib_print(engine, "%s", text ? text : "");
    free(text);
    return 0;
}

const char *gib_engine_commands(struct gib_engine *engine)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (const struct gib_command *c = gib_command_table; out && c->name; c++)
        fprintf(out, "%s%s\t%s", c == gib_command_table ? "" : "\n", c->name, c->summary);
    if (out)
        fclose(out);
    return reply(engine, text);
}

const char *gib_engine_settings(struct gib_engine *engine)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (const struct gib_setting *s = gib_setting_table; out && s->name; s++) {
        char *value = gib_setting_value(engine, s->name);
        fprintf(out, "%s%s\t%s\t%s", s == gib_setting_table ? "" : "\n", s->name, s->help,
                value ? value : "");
        free(value);
    }
    if (out)
        fclose(out);
    return reply(engine, text);
}

int gib_command_version(struct gib_engine *engine, const struct gib_arguments *arguments,
                        struct gib_error *error)
{
    extern const uint8_t gib_agent_image_start[], gib_agent_image_end[];
    if (arguments->words)
        return gib_fail(error, GIB_E_SYNTAX, 0, "\"gibbon version\" takes no arguments.");
    gib_print(engine, "Gibbon " GIBBON_VERSION ", agent of %zu bytes for x86-64.\n",
              (size_t)(gib_agent_image_end - gib_agent_image_start));
    return 0;
}
