/* log.c: gibbon log. */
#include "command/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_format(const struct gib_arguments *arguments, enum gib_log_format *format,
                        struct gib_error *error)
{
    const char *text = gib_argument_text(arguments, "format");
    *format = GIB_LOG_TEXT;
    if (!text || !strcmp(text, "text"))
        return 0;
    if (!strcmp(text, "jsonl")) {
        *format = GIB_LOG_JSONL;
        return 0;
    }
    return gib_fail(error, GIB_E_SYNTAX, 0, "-format is text or jsonl, not \"%.40s\".", text);
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
    int64_t written = gib_log_render(engine->log, format, last, patch, spool);
    rewind(spool);
    char piece[16385];
    size_t size;
    while ((size = fread(piece, 1, sizeof piece - 1, spool)) > 0) {
        piece[size] = '\0';
        engine->ops.print(engine->context, piece, GIB_PRINT_PLAIN);
    }
    fclose(spool);
    if (written == 0)
        gib_print(engine, "No calls recorded.\n");
    return 0;
}

int gib_command_log(struct gib_engine *engine, const struct gib_arguments *arguments,
                    struct gib_error *error)
{
    enum gib_log_format format;
    int failed = parse_format(arguments, &format, error);
    if (failed)
        return failed;
    const char *follow = gib_argument_text(arguments, "follow"),
               *path = gib_argument_text(arguments, "save");
    if (follow && strcmp(follow, "on") && strcmp(follow, "off"))
        return gib_fail(error, GIB_E_SYNTAX, 0, "-follow is on or off, not \"%.40s\".", follow);
    uint64_t last = gib_argument_number(arguments, "last", 0), number = 0;
    if (gib_argument_given(arguments, "last") && !last)
        return gib_fail(error, GIB_E_SYNTAX, 0, "Option -last needs a number of at least 1.");
    if (arguments->words > 1 ||
        (arguments->words && (gib_parse_number(arguments->word[0], &number, error) || number == 0 ||
                              number > INT32_MAX)))
        return gib_fail(error, GIB_E_SYNTAX, 0, "\"gibbon log\" takes one patch number.");
    if (number && (int)number >= engine->next_number)
        return gib_fail(error, GIB_E_NOT_FOUND, 0, "No patch number %" PRIu64 ".", number);
    if (follow) {
        engine->settings.follow = !strcmp(follow, "on");
        gib_log_skip(engine->log);
    }
    if (path && !*path)
        return gib_fail(error, GIB_E_SYNTAX, 0, "Option -save needs a file name.");
    if (path)
        failed = save(engine, format, last, (int)number, path, error);
    else if (!follow && !gib_argument_given(arguments, "clear"))
        failed = show(engine, format, last, (int)number, error);
    if (!failed && gib_argument_given(arguments, "clear"))
        gib_log_clear(engine->log);
    return failed;
}
