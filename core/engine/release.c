/* release.c: giving a process back as it was. */
#include "engine/internal.h"

#include <stdlib.h>

/* Whether any thread may still come back into an arena: by its program counter or by something on its stack. */
static bool anybody_inside(struct gib_engine *engine, const struct gib_process *process)
{
    enum { STEP = 4096, DEPTH = 1 << 20 };
    struct gib_target_thread *threads;
    size_t count;
    uint64_t words[STEP / 8];
    if (gib_target_threads(engine, &threads, &count, NULL))
        return true;
    bool inside = false;
    for (size_t t = 0; t < count && !inside; t++) {
        inside = threads[t].pc >= process->shared->arena_low && threads[t].pc < process->shared->arena_high;
        for (uint64_t at = threads[t].sp & ~7ull, limit = at + DEPTH; at < limit && !inside;) {
            size_t size = STEP - (at & (STEP - 1));
            if (engine->ops.read(engine->context, at, words, size))
                break;
            for (size_t k = 0; k < size / 8; k++)
                inside |= words[k] >= process->shared->arena_low && words[k] < process->shared->arena_high;
            at += size;
        }
    }
    free(threads);
    return inside;
}

void gib_release(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    struct gib_error error = {0};
    if (!process || !process->installed || engine->settings.keep_on_detach || engine->ops.pid(engine->context) != process->pid ||
        engine->ops.state(engine->context) != GIB_TARGET_STOPPED)
        return;
    if (gib_restore_all(engine, &error)) {
        gib_warn(engine, "gibbon: the program's code could not be restored: %s\n", error.message);
        return;
    }
    /* What a thread may still need stays mapped, and harmless. */
    if (!anybody_inside(engine, process))
        gib_uninstall(engine, process);
}
