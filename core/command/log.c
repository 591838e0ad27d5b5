/* log.c: gibbon log. */
#include "command/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The option's value among some words; `otherwise` when it is not given. */
static int parse_choice(const struct gib_arguments *arguments, const char *option,
                        const char *choices, int *chosen, int otherwise, struct gib_error *error)
{
    const char *text = gib_argument_text(arguments, option);
    *chosen = text ? gib_choose(choices, text) : otherwise;
    if (!text || *chosen >= 0)
        return 0;
    char list[80] = "";
    for (const char *at = choices, *bar; *at; at = *bar ? bar + 1 : bar) {
        bar = strchrnul(at, '|');
        const char *between = at == choices ? "" : *bar ? ", " : " or ";
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%.*s", between,
                 (int)(bar - at), at);
    }
    return gib_fail(error, GIB_E_SYNTAX, 0, "Option -%s is %s, not \"%.40s\".", option, list, text);
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

static bool is_same_file(const char *one, const char *other)
{
    struct stat a, b;
    if (!strcmp(one, other))
        return true;
    return !stat(one, &a) && !stat(other, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

FILE *gib_open_output(const char *path, struct gib_error *error)
{
    int fd = gib_log_create(path, error);
    if (fd < 0)
        return NULL;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    FILE *out = fdopen(fd, "w");
    if (!out) {
        gib_fail(error, GIB_E_FILE, 0, "%.150s cannot be written: %s.", path, strerror(errno));
        close(fd);
    }
    return out;
}

static int save(struct gib_engine *engine, enum gib_log_format format, uint64_t last, int patch,
                const char *path, struct gib_error *error)
{
    struct gib_log_stream_state stream;
    if (gib_log_streams(engine->log, &stream) && is_same_file(path, stream.path))
        return gib_fail(error, GIB_E_FILE, 0,
                        "Calls are being written to %.150s; end that first (gibbon log -follow "
                        "off), or save to another file.",
                        path);
    FILE *out = gib_open_output(path, error);
    if (!out)
        return GIB_E_FILE;
    int64_t written = gib_log_render(engine->log, format, last, patch, out);
    int code = errno;
    if (fclose(out) && written >= 0) {
        code = errno;
        written = -1;
    }
    if (written < 0)
        return gib_fail(error, GIB_E_FILE, 0, "%.150s could not be written to the end: %s.", path,
                        strerror(code));
    gib_print(engine, "Saved %" PRId64 " call%s to %s.\n", written, written == 1 ? "" : "s", path);
    return 0;
}

/* Lines end with CR LF in files of some formats, not on terminals. */
static void drop_returns(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++)
        if (*from != '\r')
            *to++ = *from;
    *to = '\0';
}

/* Where calls go, or have gone, besides. */
static void show_stream(struct gib_engine *engine)
{
    static const char *const formats[] = {"text", "jsonl", "csv", "trace"};
    struct gib_log_stream_state stream;
    uint64_t away = gib_log_streamed_away(engine->log);
    bool streams = gib_log_streams(engine->log, &stream);
    if (away)
        gib_print(engine, "%" PRIu64 " earlier call%s only in the file that they went to.\n", away,
                  away == 1 ? " is" : "s are");
    if (!streams)
        return;
    char only[40] = "";
    if (stream.patch)
        snprintf(only, sizeof only, " of patch %d", stream.patch);
    gib_print(engine, "Calls%s are written to %s as they come (%s, %" PRIu64 " so far).\n", only,
              stream.path, formats[stream.format], stream.written);
}

static int show(struct gib_engine *engine, enum gib_log_format format, uint64_t last, int patch,
                struct gib_error *error)
{
    /* A long log is shown in pieces, not built in memory. */
    FILE *spool = tmpfile();
    enum gib_log_format shown = format == GIB_LOG_TEXT ? GIB_LOG_MARKED : format;
    int64_t written = spool ? gib_log_render(engine->log, shown, last, patch, spool) : -1;
    int code = errno;
    if (spool)
        rewind(spool);
    char piece[16385];
    size_t size;
    while (spool && (size = fread(piece, 1, sizeof piece - 1, spool)) > 0) {
        piece[size] = '\0';
        drop_returns(piece);
        gib_show_marked(engine, piece, GIB_PRINT_PLAIN);
    }
    if (spool)
        fclose(spool);
    if (written < 0)
        return gib_fail(error, GIB_E_FILE, 0,
                        "A temporary file in /tmp cannot be written: %s; -save FILE needs none.",
                        strerror(code));
    if (format != GIB_LOG_TEXT) /* programs read it */
        return 0;
    if (written == 0)
        gib_print(engine, "No calls recorded.\n");
    show_stream(engine);
    return 0;
}

static int start_stream(struct gib_engine *engine, enum gib_log_format format, int patch,
                        const char *path, struct gib_error *error)
{
    int failed = gib_log_stream(engine->log, path, format, patch, error);
    if (!failed)
        gib_print(engine,
                  "Calls are written to %s as they come, until \"gibbon log -follow off\".\n",
                  path);
    return failed;
}

/* `path`: NULL for any. */
static int end_stream(struct gib_engine *engine, const char *path, struct gib_error *error)
{
    struct gib_log_stream_state stream;
    uint64_t written;
    bool streams = gib_log_streams(engine->log, &stream);
    if (path && !streams)
        return gib_fail(error, GIB_E_NOT_FOUND, 0,
                        "No calls are being written to %.150s, or to another file.", path);
    if (path && !is_same_file(path, stream.path))
        return gib_fail(error, GIB_E_NOT_FOUND, 0,
                        "No calls are being written to %.100s; they go to %.100s.", path,
                        stream.path);
    int failed = gib_log_stream_end(engine->log, &written, error);
    if (!failed && streams)
        gib_print(engine, "Wrote %" PRIu64 " call%s to %s.\n", written, written == 1 ? "" : "s",
                  stream.path);
    return failed;
}

/* What goes with what. */
static int check_options(const struct gib_arguments *arguments, const char *path, int patch,
                         int follow, struct gib_error *error)
{
    bool clear = gib_argument_given(arguments, "clear"),
         last = gib_argument_given(arguments, "last");
    bool some = patch || last, quiet = clear || follow >= 0;
    if (last && !gib_argument_number(arguments, "last", 0))
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
    if (path && follow >= 0 && last)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "-last is for calls that have come; a file that calls are written to as "
                        "they come begins with all of them, or after -clear.");
    if (path && follow == 1 && (patch || gib_argument_given(arguments, "format")))
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "-follow off ends what goes to the file; use it with -save FILE alone.");
    return 0;
}

int gib_command_log(struct gib_engine *engine, const struct gib_arguments *arguments,
                    struct gib_error *error)
{
    int format, follow, patch, failed;
    const char *path = gib_argument_text(arguments, "save");
    uint64_t last = gib_argument_number(arguments, "last", 0);
    bool clear = gib_argument_given(arguments, "clear");
    if ((failed =
             parse_choice(arguments, "format", GIB_LOG_FORMATS, &format, GIB_LOG_TEXT, error)) ||
        (failed = parse_choice(arguments, "follow", "on|off", &follow, -1, error)) ||
        (failed = parse_patch(engine, arguments, &patch, error)) ||
        (failed = check_options(arguments, path, patch, follow, error)))
        return failed;
    if (follow == 1)
        failed = end_stream(engine, path, error);
    else if (path && follow == 0)
        failed = start_stream(engine, (enum gib_log_format)format, patch, path, error);
    else if (path)
        failed = save(engine, (enum gib_log_format)format, last, patch, path, error);
    else if (!clear && follow < 0)
        failed = show(engine, (enum gib_log_format)format, last, patch, error);
    if (!failed && clear)
        gib_log_clear(engine->log);
    if (!failed && follow >= 0 && !path) {
        engine->settings.follow = follow == 0;
        gib_log_skip(engine->log);
    }
    return failed;
}
