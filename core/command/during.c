/* during.c: gibbon during: a patch for one command of the debugger. */
#include "command/command.h"

#include <stdlib.h>
#include <string.h>

/* Only what makes patches; *text is moved behind the word gibbon, if it is there. */
static int check_patch_command(const char **text, struct gib_error *error)
{
    char name[32];
    *text += strspn(*text, " \t");
    if (!strncmp(*text, "gibbon ", 7))
        *text += 7 + strspn(*text + 7, " \t");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(*text, " \t"), *text);
    const struct gib_command *command = gib_command_find(name, error);
    if (!command)
        return error->code;
    return command->takes_condition ? 0
                                    : gib_fail(error, GIB_E_SYNTAX, 0,
                                               "\"gibbon during\" holds a patch: a wrap, replace, "
                                               "mock or stop, not \"%.30s\".",
                                               name);
}

/* The command may let the program run, and give gibbon commands itself. */
static int execute(struct gib_engine *engine, const char *command, char why[256])
{
    if (engine->ops.state(engine->context) == GIB_TARGET_STOPPED)
        gib_watch_exit(engine);
    gib_describe_code(engine);
    gib_check_breakpoints(engine);
    engine->interruptible = false;
    gib_lend_interrupts(true);
    pthread_mutex_unlock(&engine->lock);
    int failed = engine->ops.execute(engine->context, command, why);
    pthread_mutex_lock(&engine->lock);
    gib_lend_interrupts(false);
    return failed;
}

int gib_command_during(struct gib_engine *engine, const struct gib_arguments *arguments,
                       struct gib_error *error)
{
    if (arguments->words != 1 || !arguments->rest || !*arguments->rest)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"gibbon during\" needs a patch command in quotes, --, and a command of "
                        "the debugger: gibbon during \"mock open -1\" -- next.");
    const char *text = arguments->word[0];
    char why[256] = "";
    int first = engine->next_number;
    int failed = check_patch_command(&text, error);
    if (!failed)
        failed = gib_command_execute(engine, text, false, error);
    if (failed)
        return failed;
    int end = engine->next_number;
    gib_collect_news(engine);
    failed = execute(engine, arguments->rest, why);
    for (int number = first; number < end; number++) {
        struct gib_patch *patch = gib_patch_find(engine, number);
        /* The command is over when the program stops. */
        if (patch && !failed && engine->ops.state(engine->context) == GIB_TARGET_RUNNING)
            patch->until_stop = true;
        else if (patch)
            gib_patch_drop(engine, patch);
    }
    return failed ? gib_fail(error, GIB_E_TARGET, 0, "%s", *why ? why : "The command failed.") : 0;
}
