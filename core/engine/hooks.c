/*
 * hooks.c: functions of packages that are called when a module has been loaded.
 *
 * The module's first constructor is patched: by then the dynamic linker has relocated the module,
 * and nothing of it has run. The target calls the hook itself, as it would a constructor. Only for
 * a module that is initialised already the engine makes the call, in the selected thread; and only
 * while that is in the program's own code, since inside a library a lock may be held that the hook
 * needs.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The module that the selected thread is in, NULL: none. */
static const struct gib_module *thread_in(struct gib_engine *engine)
{
    struct gib_target_thread *threads;
    size_t count;
    if (gib_target_threads(engine, &threads, &count, NULL))
        return NULL;
    const struct gib_module *where =
        count ? gib_modules_at(engine->process->modules, threads[0].pc) : NULL;
    free(threads);
    return where;
}

/* At a program's start ld.so tells debuggers of the libraries when it has relocated them, at a
 * dlopen before. In both cases the thread is in ld.so, on its way to the constructors. */
bool gib_is_initialised(struct gib_engine *engine, const struct gib_module *module)
{
    const struct gib_module *where = thread_in(engine);
    return gib_is_relocated(engine, module) && !(where && where->interpreter);
}

int gib_call_hook(struct gib_engine *engine, struct gib_process *process,
                  const struct gib_patch *patch, const struct gib_module *module,
                  struct gib_error *error)
{
    uint64_t hook, ignored;
    const struct gib_module *where = thread_in(engine);
    if (!where || !where->main)
        return gib_fail(error, GIB_E_BUSY, 0,
                        "%.80s is loaded already; %.60s is called at a stop in the program's own "
                        "code.",
                        module->name, patch->with.text);
    int failed = gib_package_code(engine, process, NULL, NULL, patch, &hook, error);
    return failed ? failed : gib_target_call(engine, hook, &ignored, error);
}
