/*
 * guard.c: C++ exceptions find their way through thunks.
 *
 * Functions of C++ programs may be left by an exception: the unwinder must know our frames. Its
 * lookup is a function like any other, and gets a site of Gibbon's own; a failure only means that
 * exceptions cannot pass, and is not worth a word in a program without any.
 */
#include "engine/internal.h"

struct unwinder_search {
    struct gib_engine *engine;
    struct gib_module *module;
    const struct gib_stopped *stopped;
};
static void guard_one(const struct gib_elf_symbol *symbol, void *context)
{
    struct unwinder_search *s = context;
    struct gib_process *process = s->engine->process;
    struct gib_found found = {.module = s->module,
                              .address = s->module->bias + symbol->value,
                              .name = (char *)symbol->name};
    struct gib_error ignored;
    for (uint32_t i = 0; i < process->site_count; i++)
        if (process->site[i]->entry == found.address && process->site[i]->internal &&
            process->site[i]->installed)
            return;
    if (!symbol->ifunc)
        gib_apply_internal(s->engine, &found, GIB_THUNK_FIND_FDE, s->stopped, &ignored);
}

void gib_guard_unwinders(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    struct gib_stopped stopped;
    size_t count = gib_modules_count(process->modules);
    if (process->modules_guarded == count || gib_look_at_threads(engine, &stopped, NULL))
        return;
    gib_modules_lock(process->modules);
    for (size_t i = process->modules_guarded; i < count; i++) {
        struct unwinder_search search = {engine, gib_modules_get(process->modules, i), &stopped};
        if (search.module->elf && !search.module->gone)
            gib_elf_find(search.module->elf, "_Unwind_Find_FDE", guard_one, &search);
    }
    process->modules_guarded = count;
    gib_modules_unlock(process->modules);
    gib_forget_stopped(&stopped);
}
