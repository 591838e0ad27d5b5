/*
 * during.c: the marks of -during: hidden patches on the functions inside which other patches count.
 *
 * A mark is a patch like others: it waits for its library, comes back at every run, is retried when
 * a thread is in its way. Patches with the same -during share one.
 */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

static struct gib_patch *find_mark(struct gib_engine *engine, const char *function)
{
    for (size_t i = 0; i < engine->patch_count; i++)
        if (engine->patch[i]->type == GIB_PATCH_MARK &&
            !strcmp(engine->patch[i]->location.text, function))
            return engine->patch[i];
    return NULL;
}

static int free_place(const struct gib_engine *engine)
{
    for (int place = 0; place < GIB_MAX_MARKS; place++) {
        bool taken = false;
        for (size_t i = 0; i < engine->patch_count; i++)
            taken |= engine->patch[i]->type == GIB_PATCH_MARK && engine->patch[i]->mark == place;
        if (!taken)
            return place;
    }
    return -1;
}

int gib_mark_get(struct gib_engine *engine, const char *function, struct gib_patch **mark,
                 struct gib_error *error)
{
    if ((*mark = find_mark(engine, function))) {
        (*mark)->users++;
        return 0;
    }
    int place = free_place(engine);
    if (place < 0)
        return gib_fail(error, GIB_E_SPACE, 0, "No more than %d functions can have a -during.",
                        GIB_MAX_MARKS);
    struct gib_patch *made = calloc(1, sizeof *made);
    if (!made || !(made->options = strdup("")))
        goto memory;
    made->type = GIB_PATCH_MARK;
    made->enabled = made->quiet = true;
    made->users = 1;
    made->mark = (uint16_t)place;
    made->serial = ++engine->marks;
    int failed = gib_location_parse(function, &made->location, error);
    if (failed) {
        gib_patch_free(made);
        return failed;
    }
    if (gib_patch_add(engine, made))
        goto memory;
    *mark = made;
    return 0;
memory:
    gib_patch_free(made);
    return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
}

int gib_mark_release(struct gib_engine *engine, struct gib_patch *mark, struct gib_error *error)
{
    if (!mark || --mark->users)
        return 0;
    int failed = gib_patch_remove(engine, mark, error);
    if (failed) {
        mark->users++; /* stays, of no use to anybody but a -during of the same function */
        return failed;
    }
    gib_patch_forget(engine, mark);
    gib_patch_free(mark);
    return 0;
}
