/* log.c: gibbon log. */
#include "command/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The option's value among two words; `otherwise` when it is not given. */
static int parse_choice(const struct gib_arguments *arguments, const char *option,
                        const char *choices, int *chosen, int otherwise, struct gib_error *error)
{
    const char *text = gib_argument_text(arguments, option);
    *chosen = text ? gib_choose(choices, text) : otherwise;
    const char *bar = strchr(choices, '|');
    if (text && *chosen < 0)
        return gib_fail(error, GIB_E_SYNTAX, 0, "Option -%s is %.*s or %s, not \"%.40s\".", option,
                        (int)(bar - choices), choices, bar + 1, text);
    return 0;
}

static int parse_patch(struct gib_engine *engine, const struct gib_arguments *arguments, int *patch,
                       struct gib_error *error)
{
    struct gib_error ignored;
    uint64_t number = 0;
    *patch = 0;
    if (arguments->words > 1)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"gibbon log\" takes one patch number at the most.");
    if (!arguments->words)
        return 0;
    if (gib_parse_number(arguments->word[0], &number, &ignored) || number == 0)
        return gib_fail(
            error, GIB_E_SYNTAX, 0,
            "\"%.60s\" is no patch number; \"gibbon log\" takes one, as in: gibbon log 2.",
            arguments->word[0]);
    if (number >= (uint64_t)engine->next_number) /* a deleted one may have calls */
        return gib_fail(error, GIB_E_NOT_FOUND, 0, "No patch number %" PRIu64 ".", number);
    *patch = (int)number;
    return 0;
}

static int save(struct gib_engine *engine, enum gib_log_format format, uint64_t last, int patch,
                const char *path, struct gib_error *error)
{
    FILE *out = fopen(path, "we");
    if (!out)
        return gib_fail(error, GIB_E_FILE, 0, "%.150s cannot be written: %s.", path,
                        strerror(errno));
    int64_t written = gib_log_render(engine->log, format, last, patch, out);
    int code = errno;
    if (fclose(out) || written < 0)
        return gib_fail(error, GIB_E_FILE, 0, "%.150s could not be written to the end: %s.", path,
                        strerror(code));
    gib_print(engine, "Saved %" PRId64 " call%s to %s.\n", written, written == 1 ? "" : "s", path);
    return 0;
}

static int show(struct gib_engine *engine, enum gib_log_format format, uint64_t last, int patch,
                struct gib_error *error)
{
    /* A long log is shown in pieces, not built in memory. */
    FILE *spool = tmpfile();
    if (!spool)
        return gib_fail(error, GIB_E_FILE, 0, "A temporary file cannot be made: %s.",
                        strerror(errno));
    if (format == GIB_LOG_TEXT)
        format = GIB_LOG_MARKED;
    int64_t written = gib_log_render(engine->log, format, last, patch, spool);
    rewind(spool);
    char piece[16385];
    size_t size;
    while ((size = fread(piece, 1, sizeof piece - 1, spool)) > 0) {
        piece[size] = '\0';
        gib_show_marked(engine, piece, GIB_PRINT_PLAIN);
    }
    fclose(spool);
    if (written == 0)
        gib_print(engine, "No calls recorded.\n");
    return 0;
}

int gib_command_log(struct gib_engine *engine, const struct gib_arguments *arguments,
                    struct gib_error *error)
{
    int format, follow, patch, failed;
    const char *path = gib_argument_text(arguments, "save");
    uint64_t last = gib_argument_number(arguments, "last", 0);
    bool clear = gib_argument_given(arguments, "clear");
    if ((failed = parse_choice(arguments, "format", "text|jsonl", &format, GIB_LOG_TEXT, error)) ||
        (failed = parse_choice(arguments, "follow", "on|off", &follow, -1, error)) ||
        (failed = parse_patch(engine, arguments, &patch, error)))
        return failed;
    bool some = patch || gib_argument_given(arguments, "last"), quiet = clear || follow >= 0;
    if (gib_argument_given(arguments, "last") && !last)
        return gib_fail(error, GIB_E_SYNTAX, 0, "Option -last needs a number of at least 1.");
    if (path && !*path)
        return gib_fail(error, GIB_E_SYNTAX, 0, "Option -save needs a file name.");
    if (clear && some)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "-clear forgets all calls, not some; use it without -last and without a "
                        "patch number.");
    if (quiet && !path && (some || gib_argument_given(arguments, "format")))
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "With -%s no calls are shown; use it alone, or with -save FILE.",
                        clear ? "clear" : "follow");
    if (path)
        failed = save(engine, (enum gib_log_format)format, last, patch, path, error);
    else if (!quiet)
        failed = show(engine, (enum gib_log_format)format, last, patch, error);
    if (!failed && clear)
        gib_log_clear(engine->log);
    if (!failed && follow >= 0) {
        engine->settings.follow = follow == 0;
        gib_log_skip(engine->log);
    }
    return failed;
}
