/* list.c: list, enable, disable, delete, save. */
#include "command/command.h"
#include "log/marks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The patches a table is made of, with its heading, or a word that there are none. */
static int begin_table(struct gib_engine *engine, const struct gib_arguments *arguments,
                       const char *heading, struct gib_patch ***patches, size_t *count,
                       struct gib_error *error)
{
    int failed = gib_parse_patches(engine, arguments, 0, patches, count, error);
    if (!failed && *count)
        gib_print_as(engine, GIB_MARK_TITLE, "%s", heading);
    if (!failed)
        gib_print(engine, *count ? "\n" : "No patches.\n");
    return failed;
}

/* ---- list ---- */

/* The last column: what it is on, or will be. */
static void print_what(struct gib_engine *engine, const struct gib_patch *patch,
                       const struct gib_site_state *site, size_t sites)
{
    if (sites != 1) {
        gib_print(engine, sites ? "%s, %zu functions" : "%s", patch->location.text, sites);
        return;
    }
    bool by_name = !patch->location.glob && !patch->location.regex &&
                   patch->location.kind == GIB_LOCATION_NAME;
    gib_print_as(engine, GIB_MARK_FUNCTION, "%s",
                 by_name ? patch->location.function : site->function);
    gib_print(engine, " in ");
    gib_print_as(engine, GIB_MARK_FILE, "%s", site->module->name);
    if (!by_name)
        gib_print(engine, " (%s)", patch->location.text);
}

/* Below it, as `info breakpoints` does. */
static void show_commands(struct gib_engine *engine, const char *commands)
{
    while (*commands) {
        size_t length = strcspn(commands, "\n");
        gib_print(engine, "        %.*s\n", (int)length, commands);
        commands += length + (commands[length] == '\n');
    }
}

/* `named`: by its number, so with all there is to say. */
static void list_patch(struct gib_engine *engine, const struct gib_patch *patch, bool named)
{
    struct gib_site_state *site;
    size_t sites = gib_patch_sites(engine, patch, &site);
    char address[32];
    snprintf(address, sizeof address, sites ? "<MULTIPLE>" : "<PENDING>");
    if (sites == 1)
        snprintf(address, sizeof address, "0x%016" PRIx64, site->entry);
    /* A handler that was typed is among the options. */
    bool typed = patch->type == GIB_PATCH_HANDLER && !patch->package;
    char *effect = typed ? NULL : gib_patch_effect(patch);
    const char *condition = patch->condition_text;
    gib_print(engine, "%-4d %-8s %-4s %-3s ", patch->number, gib_patch_verb(patch),
              patch->temporary ? "del" : "keep", patch->enabled && !patch->spent ? "y" : "n");
    gib_print_as(engine, sites == 1 ? GIB_MARK_ADDRESS : GIB_MARK_END, "%-18s", address);
    gib_print(engine, " ");
    print_what(engine, patch, site, sites);
    gib_print(engine, "%s%s%s%s\n", effect ? effect : "", patch->options, condition ? " if " : "",
              condition ? condition : "");
    free(effect);
    uint64_t calls = gib_patch_calls(engine, patch, NULL);
    bool running = engine->ops.state(engine->context) == GIB_TARGET_RUNNING; /* nobody can look */
    size_t inside = sites && !running ? gib_patch_inside(engine, patch) : 0;
    if (gib_patch_uncounted(patch)) {
        if (inside)
            gib_print(engine, "        %zu thread%s inside\n", inside, inside == 1 ? "" : "s");
    } else if ((patch->placed || calls) && running)
        gib_print(engine, "        called %" PRIu64 " time%s\n", calls, calls == 1 ? "" : "s");
    else if (patch->type == GIB_PATCH_STOP && (patch->placed || calls))
        gib_print(engine, "        stopped %" PRIu64 " time%s\n", patch->stopped,
                  patch->stopped == 1 ? "" : "s");
    else if (patch->placed || calls)
        gib_print(engine, "        called %" PRIu64 " time%s, %zu thread%s inside\n", calls,
                  calls == 1 ? "" : "s", inside, inside == 1 ? "" : "s");
    if (patch->commands)
        show_commands(engine, patch->commands);
    uint64_t unknown = gib_patch_unknown(engine, patch);
    if (unknown)
        gib_print(engine,
                  "        %" PRIu64 " call%s left out that may be %s of %s: %s by an indirect "
                  "call, or through another module\n",
                  unknown, unknown == 1 ? " was" : "s were",
                  unknown == 1 ? "a tail call" : "tail calls", patch->from,
                  unknown == 1 ? "it came" : "they came");
    uint64_t undecided = gib_patch_undecided(engine, patch);
    if (undecided)
        gib_print(engine,
                  "        %" PRIu64
                  " call%s left out as the condition could not be decided: memory that cannot be "
                  "read, or a division by zero\n",
                  undecided, undecided == 1 ? " was" : "s were");
    const struct gib_site_state *over;
    size_t overwritten = gib_patch_overwritten(engine, patch, &over);
    if (overwritten)
        gib_print(engine,
                  "        %zu no longer in place, the first: somebody has written over the first "
                  "bytes of %s at 0x%" PRIx64 "\n",
                  overwritten, over->function, over->address);
    if (named && patch->refused.count > 1) {
        gib_print(engine, "        %zu refused:\n", patch->refused.count);
        gib_show_refusals(engine, &patch->refused, "          ", SIZE_MAX);
    } else {
        gib_summarize_refusals(engine, patch, "        ");
    }
    gib_show_delay(engine, patch, "        ");
}

int gib_command_list(struct gib_engine *engine, const struct gib_arguments *arguments,
                     struct gib_error *error)
{
    struct gib_patch **patches;
    size_t count;
    int failed = begin_table(engine, arguments, "Num  Type     Disp Enb Address            What",
                             &patches, &count, error);
    if (failed)
        return failed;
    for (size_t i = 0; i < count; i++)
        list_patch(engine, patches[i], arguments->words > 0);
    free(patches);
    return 0;
}

/* ---- enable, disable, delete ---- */

static int switch_patches(struct gib_engine *engine, const struct gib_arguments *arguments, bool on,
                          struct gib_error *error)
{
    struct gib_patch **patches;
    size_t count;
    int failed = gib_parse_patches(engine, arguments, 0, &patches, &count, error);
    for (size_t i = 0; i < count && !failed; i++) {
        struct gib_patch *patch = patches[i];
        patch->enabled = on;
        if (on && patch->spent && !patch->temporary && engine->process &&
            engine->process->installed && patch->state) {
            patch->spent = false;
            engine->process->shared->patch[patch->state].accepted = 0;
        }
        failed = gib_patch_update(engine, patch, error);
    }
    free(patches);
    return failed;
}

int gib_command_enable(struct gib_engine *engine, const struct gib_arguments *arguments,
                       struct gib_error *error)
{
    return switch_patches(engine, arguments, true, error);
}

int gib_command_disable(struct gib_engine *engine, const struct gib_arguments *arguments,
                        struct gib_error *error)
{
    return switch_patches(engine, arguments, false, error);
}

int gib_command_delete(struct gib_engine *engine, const struct gib_arguments *arguments,
                       struct gib_error *error)
{
    struct gib_patch **patches;
    struct gib_process *process;
    size_t count;
    int failed = gib_process_ready(engine, &process, error);
    if (failed || (failed = gib_parse_patches(engine, arguments, 0, &patches, &count, error)))
        return failed;
    if (!arguments->words && count && arguments->interactive &&
        gib_ask(engine, "Delete all patches? (y or n) ") == 0)
        count = 0;
    for (size_t i = 0; i < count && !failed; i++) {
        failed = gib_patch_delete(engine, patches[i], error);
    }
    free(patches);
    return failed;
}

/* ---- save ---- */

/* LLDB takes what is between backquotes for an expression of its own. In a condition or value they
 * are only in texts and characters, where C's escape is the same. */
static char *without_backquotes(const char *written)
{
    struct gib_out out = {0};
    for (const char *at = written; *at; at++) {
        if (*at == '`')
            gib_out_text(&out, "\\140");
        else
            gib_out_byte(&out, *at);
    }
    return gib_out_take(&out);
}

static void write_words(FILE *out, const struct gib_patch *patch)
{
    gib_write_word(out, patch->location.text);
    if (patch->type == GIB_PATCH_REPLACE)
        gib_write_word((fputc(' ', out), out), patch->library ? patch->library : patch->with.text);
    if (patch->type == GIB_PATCH_MOCK) { /* a literal, with its quotes */
        char *value = without_backquotes(patch->value);
        fprintf(out, " %s", value ? value : patch->value);
        free(value);
    }
}

/* The location comes first, as people type it, unless it looks like an option; the condition
 * last. */
static void write_command(FILE *out, const struct gib_patch *patch)
{
    bool dash = patch->location.text[0] == '-';
    char *condition = patch->condition_text ? without_backquotes(patch->condition_text) : NULL;
    fprintf(out, "gibbon %s ", gib_patch_verb(patch));
    if (!dash)
        write_words(out, patch);
    fprintf(out, "%s%s -pending", patch->options, patch->enabled ? "" : " -disabled");
    if (dash) {
        if (condition)
            gib_write_word((fputs(" -if ", out), out), condition);
        write_words((fputs(" -- ", out), out), patch);
    } else if (condition) {
        fprintf(out, " if %s", condition);
    }
    free(condition);
    fputc('\n', out);
}

/* They are those of the stop right before. */
static void write_commands(FILE *out, const char *commands)
{
    fputs("gibbon commands", out);
    while (*commands) {
        size_t length = strcspn(commands, "\n");
        char *line = strndup(commands, length);
        if (line)
            gib_write_word((fputc(' ', out), out), line);
        free(line);
        commands += length + (commands[length] == '\n');
    }
    fputc('\n', out);
}

int gib_command_save(struct gib_engine *engine, const struct gib_arguments *arguments,
                     struct gib_error *error)
{
    if (arguments->words != 1 || !*arguments->word[0])
        return gib_fail(error, GIB_E_SYNTAX, 0, "\"gibbon save\" needs one file name.");
    FILE *out = gib_open_output(arguments->word[0], error);
    if (!out)
        return GIB_E_FILE;
    size_t saved = 0;
    for (size_t i = 0; i < engine->patch_count; i++) {
        const struct gib_patch *patch = engine->patch[i];
        if (!patch->number)
            continue;
        saved++;
        if (patch->registration && patch->registration->kind != GIBBON_KIND_ORIGINAL) {
            gib_write_word((fputs("gibbon load ", out), out), patch->package->path);
            char *word = gib_registration_word(patch->package->content, patch->registration);
            if (word)
                gib_write_word((fputc(' ', out), out), word);
            free(word);
            fputs(patch->enabled ? "\n" : " -disabled\n", out);
            continue;
        }
        write_command(out, patch);
        if (patch->commands)
            write_commands(out, patch->commands);
    }
    bool bad = ferror(out);
    if (fclose(out) || bad)
        return gib_fail(error, GIB_E_FILE, 0, "%.150s could not be written to the end: %s.",
                        arguments->word[0], strerror(errno));
    gib_print(engine, "Saved %zu patch%s to %s.\n", saved, saved == 1 ? "" : "es",
              arguments->word[0]);
    return 0;
}
