/*
 * guard.c: C++ exceptions find their way through thunks.
 *
 * Functions of C++ programs may be left by an exception: the unwinder must know our frames. Its
 * lookup is a function like any other, and gets a site of Gibbon's own: _Unwind_Find_FDE of libgcc,
 * and what that asks since glibc 2.35, _dl_find_object, which also serves an unwinder inside a
 * stripped program. Where an unwinder cannot be told, no thunk calls through.
 */
#include "engine/internal.h"

struct unwinder_search {
    struct gib_engine *engine;
    struct gib_module *module;
    const struct gib_stopped *stopped;
    enum gib_thunk_kind kind;
    bool done;
    int failed; /* for now: it is worth another try */
    struct gib_error why;
};
static void guard_one(const struct gib_elf_symbol *symbol, void *context)
{
    struct unwinder_search *s = context;
    struct gib_process *process = s->engine->process;
    struct gib_found found = {.module = s->module,
                              .address = s->module->bias + symbol->value,
                              .name = (char *)symbol->name};
    struct gib_error why;
    for (uint32_t i = 0; i < process->site_count; i++) {
        const struct gib_site_state *site = process->site[i];
        if (site->entry == found.address && site->internal && site->installed) {
            s->done = true;
            return;
        }
    }
    if (symbol->ifunc)
        return;
    int failed = gib_apply_internal(s->engine, &found, s->kind, s->stopped, &why);
    if (!failed) {
        s->done = true;
    } else if (failed == GIB_E_BUSY || failed == GIB_E_TARGET || failed == GIB_E_MEMORY) {
        s->failed = failed;
        s->why = why;
    }
}

static int guard_module(struct gib_engine *engine, struct gib_module *module,
                        const struct gib_stopped *stopped, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    struct unwinder_search search = {
        .engine = engine, .module = module, .stopped = stopped, .kind = GIB_THUNK_FIND_OBJECT};
    gib_elf_find(module->elf, "_dl_find_object", guard_one, &search);
    process->finds_objects |= search.done;
    search.kind = GIB_THUNK_FIND_FDE;
    search.done = false;
    gib_elf_find(module->elf, "_Unwind_Find_FDE", guard_one, &search);
    module->guarded = search.done;
    if (search.failed && error)
        *error = search.why;
    return search.failed;
}

/* ---- unwinders that cannot be told ---- */

static void ignore_symbol(const struct gib_elf_symbol *symbol, void *context)
{
    (void)symbol;
    (void)context;
}
static bool defines(const struct gib_module *module, const char *function)
{
    return gib_elf_find(module->elf, function, ignore_symbol, NULL) > 0;
}

/* Whether exceptions are handled by code of this module that could not be told of thunks. */
static bool is_unguarded(const struct gib_process *process, const struct gib_module *module)
{
    /* LLVM's does not ask the function that it exports, the other libunwind has none. */
    if (defines(module, "_Unwind_RaiseException") &&
        (!module->guarded || defines(module, "unw_getcontext") ||
         defines(module, "__unw_getcontext")))
        return true;
    if (module->guarded || gib_elf_imports(module->elf, "_Unwind_Resume") ||
        gib_elf_imports(module->elf, "_Unwind_RaiseException") ||
        (process->finds_objects && gib_elf_imports(module->elf, "_dl_find_object")))
        return false;
    /* An unwinder inside, and nobody says where: it is part of a stripped program. */
    bool own = gib_elf_imports(module->elf, "dl_iterate_phdr") ||
               (module->main && !gib_elf_info(module->elf)->has_interpreter);
    return own && gib_elf_has_personality(module->elf);
}

/* Sites that come later jump, and those made before get a thunk that jumps as well. */
static void give_up_results(struct gib_engine *engine, const struct gib_module *module,
                            const struct gib_stopped *stopped)
{
    struct gib_process *process = engine->process;
    struct gib_error error = {0};
    process->unguarded = true;
    for (uint32_t i = 0; i < process->site_count; i++)
        process->site[i]->unguarded = true;
    gib_apply_entry_only(engine, stopped, &error);
    gib_warn(engine,
             "gibbon: %s unwinds exceptions itself, and cannot be told of patched functions. So "
             "that they pass, calls are logged at entry, without results.\n",
             module->name);
    if (error.message[0])
        gib_warn(engine, "gibbon: not all of them: %s\n", error.message);
}

int gib_guard_unwinders(struct gib_engine *engine, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    struct gib_stopped stopped;
    size_t first = process->modules_guarded, count = gib_modules_count(process->modules);
    process->guards_idle = false;
    if (first == count)
        return 0;
    int failed = gib_look_at_threads(engine, &stopped, error);
    if (failed)
        return failed;
    gib_modules_lock(process->modules);
    for (size_t i = first; i < count && !failed; i++) {
        struct gib_module *module = gib_modules_get(process->modules, i);
        if (module->elf && !module->gone)
            failed = guard_module(engine, module, &stopped, error);
    }
    /* All of them first: libc's lookup serves the others. */
    for (size_t i = first; i < count && !process->unguarded && !failed; i++) {
        const struct gib_module *module = gib_modules_get(process->modules, i);
        if (module->elf && !module->gone && is_unguarded(process, module))
            give_up_results(engine, module, &stopped);
    }
    if (!failed)
        process->modules_guarded = count;
    gib_modules_unlock(process->modules);
    gib_forget_stopped(&stopped);
    return failed;
}
