/* stop.c: gibbon stop, commands. */
#include "command/command.h"

#include <stdlib.h>
#include <string.h>

static int fill_stop(struct gib_engine *engine, const struct gib_arguments *arguments,
                     struct gib_patch *patch, struct gib_error *error)
{
    (void)engine, (void)arguments, (void)error;
    patch->type = GIB_PATCH_STOP;
    return 0;
}

int gib_command_stop(struct gib_engine *engine, const struct gib_arguments *arguments,
                     struct gib_error *error)
{
    if (!arguments->words)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"gibbon stop\" needs a function: gibbon stop write if fd == 2.");
    return gib_define_patches(engine, arguments, arguments->words, fill_stop, error);
}

/* ---- commands ---- */

static bool is_number(const char *word)
{
    return *word && strspn(word, "0123456789") == strlen(word);
}

/* The patch that the first word means, else the stop made last; NULL with *error. */
static struct gib_patch *chosen(struct gib_engine *engine, const struct gib_arguments *arguments,
                                size_t *first, struct gib_error *error)
{
    struct gib_patch *patch = NULL;
    *first = arguments->words && is_number(arguments->word[0]) ? 1 : 0;
    if (*first) {
        patch = gib_patch_find(engine, atoi(arguments->word[0]));
        if (!patch)
            gib_fail(error, GIB_E_NOT_FOUND, 0, "No patch number %.20s.", arguments->word[0]);
    } else {
        for (size_t i = engine->patch_count; i-- > 0 && !patch;)
            if (engine->patch[i]->type == GIB_PATCH_STOP)
                patch = engine->patch[i];
        if (!patch)
            gib_fail(error, GIB_E_NOT_FOUND, 0, "There is no stop; make one by \"gibbon stop\".");
    }
    if (patch && patch->type != GIB_PATCH_STOP) {
        gib_fail(error, GIB_E_STATE, 0,
                 "Patch %d is a %s; only a stop has commands, which are executed when it stops.",
                 patch->number, gib_patch_verb(patch));
        patch = NULL;
    }
    return patch;
}

int gib_command_commands(struct gib_engine *engine, const struct gib_arguments *arguments,
                         struct gib_error *error)
{
    size_t first, size;
    struct gib_patch *patch = chosen(engine, arguments, &first, error);
    char *text = NULL;
    if (!patch)
        return error->code;
    FILE *out = open_memstream(&text, &size);
    for (size_t i = first; out && i < arguments->words; i++)
        fprintf(out, "%s\n", arguments->word[i]);
    if (!out || fclose(out))
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    if (!*text) {
        gib_print(engine,
                  patch->commands ? "Commands of patch %d removed.\n"
                                  : "Patch %d has no commands.\n",
                  patch->number);
        free(text);
        text = NULL;
    }
    free(patch->commands);
    patch->commands = text;
    return 0;
}
