/*
 * parse.c: words, quotes, options.
 *
 * Options take one dash or two, their names may be abbreviated as long as they are unambiguous,
 * `--` ends them, and `if` begins the condition, as GDB's own commands do it.
 */
#include "command/command.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/distance.h"

void gib_arguments_free(struct gib_arguments *arguments)
{
    free(arguments->text);
    memset(arguments, 0, sizeof *arguments);
}

/*
 * Takes the next word, cut out in place: quotes group and vanish; parentheses and braces group, so
 * that `ns::f(int, char)` is one word. NULL at the end; *bad is set when a quote is not closed.
 * *quoted is the quote that the word begins with, or 0.
 */
static char *next_word(char **at, bool *bad, char *quoted)
{
    char *in = *at, *out;
    while (isspace((unsigned char)*in))
        in++;
    *quoted = '\0';
    if (!*in) {
        *at = in;
        return NULL;
    }
    char *word = out = in;
    int depth = 0;
    bool braces = *in == '{'; /* a C initialiser: its quotes are its own */
    while (*in && (depth > 0 || !isspace((unsigned char)*in))) {
        if (!braces && (*in == '"' || *in == '\'')) {
            char quote = *in++;
            if (out == word && !*quoted)
                *quoted = quote;
            while (*in && *in != quote) {
                if (*in == '\\' && in[1] == quote)
                    in++;
                *out++ = *in++;
            }
            if (!*in) {
                *bad = true;
                return NULL;
            }
            in++;
            continue;
        }
        depth += *in == '(' || *in == '{';
        depth -= (*in == ')' || *in == '}') && depth > 0;
        *out++ = *in++;
    }
    bool more = *in != '\0';
    *out = '\0';
    *at = more ? in + 1 : in;
    return word;
}

void gib_write_word(FILE *out, const char *word)
{
    if (*word && !strpbrk(word, " \t()'\"\\") && word[0] != '-' && strcmp(word, "if")) {
        fputs(word, out);
        return;
    }
    fputc('"', out);
    for (; *word; word++) {
        if (*word == '"')
            fputc('\\', out);
        fputc(*word, out);
    }
    fputc('"', out);
}

size_t gib_match_name(const void *table, size_t entry_size, const char *name, const char *prefix,
                      const void **found, char *list, size_t list_size)
{
    size_t matches = 0;
    *list = '\0';
    for (const char *entry = table;; entry += entry_size) {
        const char *candidate = *(const char *const *)entry;
        if (!candidate)
            return matches;
        if (!*name || strncmp(candidate, name, strlen(name)))
            continue;
        *found = entry;
        matches++;
        if (!strcmp(candidate, name))
            return 1;
        size_t used = strlen(list);
        if (used + strlen(prefix) + strlen(candidate) + 3 < list_size)
            snprintf(list + used, list_size - used, "%s%s%s", used ? ", " : "", prefix, candidate);
    }
}

const char *gib_nearest_name(const void *table, size_t entry_size, const char *name)
{
    unsigned best = UINT_MAX;
    const char *found = NULL;
    for (const char *entry = table;; entry += entry_size) {
        const char *candidate = *(const char *const *)entry;
        if (!candidate)
            return found;
        if (gib_name_is_nearer(name, candidate, &best))
            found = candidate;
    }
}

const struct gib_option *gib_option_find(const struct gib_command *command, const char *name,
                                         struct gib_error *error)
{
    const void *found = NULL;
    char list[200];
    size_t matches = gib_match_name(command->options, sizeof *command->options, name, "-", &found,
                                    list, sizeof list);
    const char *nearest =
        matches ? NULL : gib_nearest_name(command->options, sizeof *command->options, name);
    if (matches == 1)
        return found;
    if (matches > 1)
        gib_fail(error, GIB_E_AMBIGUOUS, 0, "Option \"-%s\" is ambiguous: %s.", name, list);
    else if (nearest)
        gib_fail(error, GIB_E_SYNTAX, 0,
                 "\"gibbon %s\" has no option \"-%.60s\". Did you mean -%s?", command->name, name,
                 nearest);
    else if (command->options->name)
        gib_fail(error, GIB_E_SYNTAX, 0,
                 "\"gibbon %s\" has no option \"-%.60s\"; \"gibbon help %s\" lists them.",
                 command->name, name, command->name);
    else
        gib_fail(error, GIB_E_SYNTAX, 0, "\"gibbon %s\" has no options, so no \"-%.60s\".",
                 command->name, name);
    return NULL;
}

int gib_parse_number(const char *text, uint64_t *number, struct gib_error *error)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 0);
    int shift = *end == 'K' || *end == 'k' ? 10 : *end == 'M' || *end == 'm' ? 20 : 0;
    if (shift)
        end++;
    if (!isdigit((unsigned char)*text) || *end)
        return gib_fail(error, GIB_E_SYNTAX, 0, "\"%.60s\" is not a whole number.", text);
    if (errno || *number >> (63 - shift))
        return gib_fail(error, GIB_E_SYNTAX, 0, "\"%.60s\" is too large a number.", text);
    *number <<= shift;
    return 0;
}

static bool is_number(const char *text)
{
    return isdigit((unsigned char)*text);
}
/* -2, -0x10, -.5 */
static bool is_negative(const char *word)
{
    return word[0] == '-' && is_number(word + 1 + (word[1] == '.'));
}

static bool looks_like_option(const char *word)
{
    const char *name = word + 1 + (word[0] == '-' && word[1] == '-');
    return word[0] == '-' && isalpha((unsigned char)*name);
}

/* A value that is given twice would lose the first one. */
static int check_repeated(const struct gib_arguments *out, const struct gib_option *option,
                          struct gib_error *error)
{
    for (size_t i = 0; i < out->options; i++)
        if (out->option[i].option == option && option->argument != GIB_TAKES_NOTHING)
            return gib_fail(error, GIB_E_SYNTAX, 0, "Option -%s is given twice.", option->name);
    return 0;
}

/* The option's own argument: behind `=`, or the next word. */
static int take_argument(const struct gib_option *option, char *attached, char **at,
                         struct gib_arguments *out, struct gib_error *error)
{
    bool bad = false;
    char quoted;
    char *text = attached;
    if (option->argument == GIB_TAKES_NOTHING && attached)
        return gib_fail(error, GIB_E_SYNTAX, 0, "Option -%s takes no value.", option->name);
    if (option->argument == GIB_TAKES_OPTIONAL_NUMBER && !attached) {
        char *look = *at;
        while (isspace((unsigned char)*look))
            look++;
        bool negative = *look == '-' && is_number(look + 1);
        if (negative || (is_number(look) && strspn(look, "0123456789") == strcspn(look, " \t")))
            text = next_word(at, &bad, &quoted);
    } else if (option->argument != GIB_TAKES_NOTHING && !attached) {
        text = next_word(at, &bad, &quoted);
        if (!text)
            return gib_fail(error, GIB_E_SYNTAX, 0,
                            bad ? "A quote is not closed after -%s." : "Option -%s needs a value.",
                            option->name);
        if (!quoted && looks_like_option(text))
            return gib_fail(
                error, GIB_E_SYNTAX, 0,
                "Option -%s needs a value; \"%.60s\" looks like another option (if it is "
                "the value, quote it).",
                option->name, text);
    }
    int failed = check_repeated(out, option, error);
    if (failed)
        return failed;
    if (out->options == sizeof out->option / sizeof *out->option)
        return gib_fail(error, GIB_E_SYNTAX, 0, "Too many options, more than %zu.",
                        sizeof out->option / sizeof *out->option);
    uint64_t number = 0;
    if (text &&
        (option->argument == GIB_TAKES_NUMBER || option->argument == GIB_TAKES_OPTIONAL_NUMBER)) {
        struct gib_error why;
        if (gib_parse_number(text, &number, &why))
            return gib_fail(error, GIB_E_SYNTAX, 0, "Option -%s: %s", option->name, why.message);
    }
    out->option[out->options].option = option;
    out->option[out->options].text = text;
    out->option[out->options++].number = number;
    return 0;
}

int gib_arguments_parse(const struct gib_command *command, const char *text,
                        struct gib_arguments *out, struct gib_error *error)
{
    memset(out, 0, sizeof *out);
    out->text = strdup(text);
    if (!out->text)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    char *at = out->text, *word;
    bool bad = false, options = true;
    char quoted;
    int failed = 0;
    while (!failed) {
        at += strspn(at, " \t\n");
        if (options && command->takes_condition && !strncmp(at, "if(", 3)) {
            out->condition = at + 2;
            break;
        }
        if (!(word = next_word(&at, &bad, &quoted)))
            break;
        if (options && !quoted && !strcmp(word, "--")) {
            options = false;
            if (command->takes_rest) {
                out->rest = at + strspn(at, " \t\n");
                break;
            }
        } else if (options && !quoted && !strcmp(word, "if") && command->takes_condition) {
            while (isspace((unsigned char)*at))
                at++;
            out->condition = at;
            break;
        } else if (options && !quoted && !(command->takes_value && is_negative(word)) &&
                   (command->options->name ? word[0] == '-' && word[1] : looks_like_option(word))) {
            char *name = word + 1 + (word[1] == '-');
            char *equals = strchr(name, '=');
            if (equals)
                *equals = '\0';
            const struct gib_option *option = gib_option_find(command, name, error);
            failed = option ? take_argument(option, equals ? equals + 1 : NULL, &at, out, error)
                            : error->code;
        } else if (out->words == sizeof out->word / sizeof *out->word) {
            failed = gib_fail(error, GIB_E_SYNTAX, 0, "Too many words, more than %zu.",
                              sizeof out->word / sizeof *out->word);
        } else {
            out->quote[out->words] = quoted;
            out->word[out->words++] = word;
        }
    }
    if (!failed && bad)
        failed = gib_fail(error, GIB_E_SYNTAX, 0, "A quote is not closed.");
    if (failed)
        gib_arguments_free(out);
    return failed;
}

const char *gib_argument_text(const struct gib_arguments *arguments, const char *option)
{
    for (size_t i = arguments->options; i > 0; i--)
        if (!strcmp(arguments->option[i - 1].option->name, option))
            return arguments->option[i - 1].text ? arguments->option[i - 1].text : "";
    return NULL;
}

bool gib_argument_given(const struct gib_arguments *arguments, const char *option)
{
    return gib_argument_text(arguments, option) != NULL;
}

uint64_t gib_argument_number(const struct gib_arguments *arguments, const char *option,
                             uint64_t otherwise)
{
    for (size_t i = arguments->options; i > 0; i--)
        if (!strcmp(arguments->option[i - 1].option->name, option) && arguments->option[i - 1].text)
            return arguments->option[i - 1].number;
    return otherwise;
}

/* "7" or "5-7"; whole numbers from 1. */
static int parse_range(const char *word, int *first, int *last, struct gib_error *error)
{
    char *end;
    long low = strtol(word, &end, 10), high = low;
    bool good = end != word && low >= 1 && low <= 1000000000;
    if (good && *end == '-') {
        const char *from = end + 1;
        high = strtol(from, &end, 10);
        good = end != from && high >= low && high <= 1000000000;
    }
    if (!good || *end)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"%.60s\" is no patch number; numbers and ranges look like this: 1 3 5-7.",
                        word);
    *first = (int)low;
    *last = (int)high;
    return 0;
}

int gib_parse_patches(struct gib_engine *engine, const struct gib_arguments *arguments,
                      size_t first_word, struct gib_patch ***patches, size_t *count,
                      struct gib_error *error)
{
    *count = 0;
    *patches = calloc(engine->patch_count + 1, sizeof **patches);
    if (!*patches)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    bool *chosen = calloc(engine->patch_count + 1, sizeof *chosen);
    int failed = chosen ? 0 : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    for (size_t i = first_word; i < arguments->words && !failed; i++) {
        int first = 0, last = 0;
        bool any = false;
        failed = parse_range(arguments->word[i], &first, &last, error);
        for (size_t k = 0; k < engine->patch_count && !failed; k++) {
            if (engine->patch[k]->number >= first && engine->patch[k]->number <= last)
                any = chosen[k] = true;
        }
        if (!failed && !any)
            failed = gib_fail(error, GIB_E_NOT_FOUND, 0, "No patch%s %.60s.",
                              first == last ? " number" : "es", arguments->word[i]);
    }
    for (size_t k = 0; k < engine->patch_count && !failed; k++)
        if (engine->patch[k]->number && (chosen[k] || arguments->words <= first_word))
            (*patches)[(*count)++] = engine->patch[k];
    free(chosen);
    if (failed) {
        free(*patches);
        *patches = NULL;
    }
    return failed;
}
