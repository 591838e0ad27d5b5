/* Any text as a command, as something to complete, as the name of a help page; there is no process.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "gibbon/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int32_t no_pid(void *context)
{
    return 0;
}
static enum gib_target_state no_state(void *context)
{
    return GIB_TARGET_NONE;
}
static const char *no_program(void *context)
{
    return "";
}
static int no_read(void *context, uint64_t address, void *buffer, size_t size)
{
    return -1;
}
static int no_write(void *context, uint64_t address, const void *buffer, size_t size)
{
    return -1;
}
static int no_call(void *context, uint64_t address, uint64_t *result)
{
    return -1;
}
static size_t no_threads(void *context, struct gib_target_thread *threads, size_t max)
{
    return 0;
}
static int no_set_pc(void *context, int32_t tid, uint64_t pc)
{
    return -1;
}
static int no_register(void *context, const char *name, uint64_t *value)
{
    return -1;
}
static size_t no_breakpoints(void *context, int32_t number,
                             struct gib_target_breakpoint *breakpoints, size_t max)
{
    return 0;
}
static int no_move(void *context, int32_t number, uint64_t from, uint64_t to)
{
    return -1;
}
static int no_evaluate(void *context, const char *expression, uint64_t *value, char *error)
{
    strcpy(error, "No process.");
    return -1;
}
static int no_execute(void *context, const char *command, char *error)
{
    strcpy(error, "No debugger.");
    return -1;
}
static int no_news(void *context, enum gib_patch_event event, const char *line, char *error)
{
    if (strchr(line, '\n'))
        abort(); /* target.h: one line */
    return 0;
}
static int no_watch(void *context, const char *path, uint64_t address, bool on)
{
    return 0;
}
static void print(void *context, const char *text, enum gib_print_style style)
{
    if (!strchr(text, '\n'))
        abort(); /* target.h: ends with a newline */
}
static const char *no_styles(void *context)
{
    return "";
}
static int yes(void *context, const char *question)
{
    return (int)(strlen(question) % 3) - 1;
}
static void wake(void *context)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gib_target_operations operations = {
        .size = sizeof operations,
        .pid = no_pid,
        .state = no_state,
        .program = no_program,
        .read = no_read,
        .write = no_write,
        .call = no_call,
        .threads = no_threads,
        .set_pc = no_set_pc,
        .get_register = no_register,
        .breakpoints = no_breakpoints,
        .move_breakpoint = no_move,
        .evaluate = no_evaluate,
        .execute = no_execute,
        .patch_event = no_news,
        .watch = no_watch,
        .print = print,
        .styles = no_styles,
        .query = yes,
        .wake = wake,
    };
    static bool moved;
    if (!moved) { /* `save NAME` and `log -save NAME` write here */
        char directory[] = "/tmp/fuzz_command.XXXXXX";
        moved = mkdtemp(directory) && !chdir(directory);
    }
    if (!moved || memchr(data, '/', size))
        return 0;
    struct gib_engine *engine = gib_engine_new(&operations, NULL, "gdb");
    char *text = strndup((const char *)data, size), *save;
    if (!engine || !text)
        abort();
    bool functions;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        struct gib_error error;
        memset(&error, 0, sizeof error);
        if (gib_engine_command(engine, line, false, &error)) {
            size_t length = strnlen(error.message, sizeof error.message);
            if (error.code == 0 || length == 0 || length == sizeof error.message)
                abort(); /* every failure has its sentence */
        }
        gib_engine_complete(engine, line, &functions);
        gib_engine_help(engine, line);
    }
    gib_engine_commands(engine);
    gib_engine_settings(engine);
    gib_engine_calls(engine, 1);
    gib_engine_event(engine, GIB_EVENT_STOPPED, 0);
    gib_engine_event(engine, GIB_EVENT_EXITED, 0);
    gib_engine_flush(engine);
    gib_engine_free(engine);
    free(text);
    return 0;
}
