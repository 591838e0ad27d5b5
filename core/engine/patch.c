/* patch.c: the list of patches, and what the target says about them. */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

struct gib_patch *gib_patch_find(struct gib_engine *engine, int number)
{
    for (size_t i = 0; i < engine->patch_count; i++)
        if (number > 0 && engine->patch[i]->number == number)
            return engine->patch[i];
    return NULL;
}

void gib_patch_free(struct gib_patch *patch)
{
    if (!patch)
        return;
    gib_location_free(&patch->location);
    gib_location_free(&patch->with);
    free(patch->library);
    free(patch->value);
    free(patch->said);
    gib_refusals_free(&patch->refused);
    gib_prototype_free(patch->prototype);
    free(patch->options);
    free(patch->from);
    free(patch->prototype_text);
    gib_patch_forget_counts(patch);
    free(patch->commands);
    free(patch->condition_text);
    gib_condition_text_free(patch->condition);
    free(patch);
}

int gib_patch_add(struct gib_engine *engine, struct gib_patch *patch)
{
    struct gib_patch **grown = realloc(engine->patch, (engine->patch_count + 1) * sizeof *grown);
    if (!grown)
        return GIB_E_MEMORY;
    engine->patch = grown;
    engine->patch[engine->patch_count++] = patch;
    return 0;
}

void gib_patch_forget(struct gib_engine *engine, struct gib_patch *patch)
{
    for (size_t i = 0; i < engine->patch_count; i++) {
        if (engine->patch[i] == patch) {
            memmove(&engine->patch[i], &engine->patch[i + 1],
                    (engine->patch_count - i - 1) * sizeof *engine->patch);
            engine->patch_count--;
            break;
        }
    }
}

int gib_patch_delete(struct gib_engine *engine, struct gib_patch *patch, struct gib_error *error)
{
    struct gib_patch *mark = patch->during;
    struct gib_error ignored;
    int failed = gib_patch_remove(engine, patch, error);
    if (failed)
        return failed;
    gib_did_unpatch(engine, patch);
    gib_patch_forget(engine, patch);
    if (patch->type == GIB_PATCH_STOP)
        gib_stops_end_unused(engine);
    gib_patch_free(patch);
    gib_mark_release(engine, mark, &ignored);
    return 0;
}

void gib_patch_drop(struct gib_engine *engine, struct gib_patch *patch)
{
    struct gib_error ignored;
    if (engine->ops.state(engine->context) != GIB_TARGET_RUNNING &&
        !gib_patch_delete(engine, patch, &ignored))
        return;
    patch->temporary = patch->spent = true;
    gib_patch_update(engine, patch, &ignored);
}

char *gib_patch_name(const struct gib_engine *engine, const struct gib_patch *patch)
{
    if (patch->type != GIB_PATCH_MARK)
        return gib_format("patch %d (%s)", patch->number, patch->location.text);
    for (size_t i = 0; i < engine->patch_count; i++)
        if (engine->patch[i]->during == patch)
            return gib_format("-during %s of patch %d", patch->location.text,
                              engine->patch[i]->number);
    return gib_format("-during %s", patch->location.text);
}

uint64_t gib_patch_unknown(struct gib_engine *engine, const struct gib_patch *patch)
{
    const struct gib_process *process = engine->process;
    bool there = process && process->installed && patch->state;
    return patch->earlier_unknown + (there ? process->shared->patch[patch->state].unknown : 0);
}

size_t gib_patch_sites(struct gib_engine *engine, const struct gib_patch *patch,
                       struct gib_site_state **first)
{
    size_t count = 0;
    if (first)
        *first = NULL;
    for (uint32_t i = 0; engine->process && i < engine->process->site_count; i++) {
        struct gib_site_state *site = engine->process->site[i];
        if (!site->installed || !gib_site_link_of(site, patch, NULL))
            continue;
        if (first && !*first)
            *first = site;
        count++;
    }
    return count;
}

/* Counters are the target's: they are added up, never trusted for anything else. */
uint64_t gib_patch_calls(struct gib_engine *engine, const struct gib_patch *patch,
                         uint64_t *failures)
{
    const struct gib_process *process = engine->process;
    uint64_t calls = patch->earlier_calls;
    if (failures)
        *failures = patch->earlier_failures;
    if (!process || !process->installed)
        return calls;
    const struct gib_shared *shared = process->shared;
    uint64_t threads = (process->size - (uint64_t)GIB_MAX_ARENAS * GIB_ARENA_SIZE);
    for (uint32_t i = 0; i < process->site_count; i++) {
        const struct gib_chain_link *link = gib_site_link_of(process->site[i], patch, NULL);
        for (uint32_t t = 0; link && t < shared->threads_used && t < GIB_MAX_THREADS; t++) {
            uint64_t at = shared->threads + t * shared->thread_size + shared->counters_offset +
                          8ull * link->counter;
            if (at + 16 > threads)
                break;
            const uint64_t *counter = (const uint64_t *)((const char *)shared + at);
            calls += counter[0];
            if (failures)
                *failures += counter[1];
        }
    }
    return calls;
}

bool gib_patch_uncounted(const struct gib_patch *patch)
{
    return patch->type == GIB_PATCH_HOOK || patch->only_jumps;
}

struct thunk_search {
    const struct gib_process *process;
    const struct gib_patch *patch;
    bool found;
};
static bool look_at_word(uint64_t word, void *context)
{
    struct thunk_search *s = context;
    if (word < s->process->shared->arena_low || word >= s->process->shared->arena_high)
        return true;
    for (uint32_t i = 0; i < s->process->site_count && !s->found; i++) {
        struct gib_layer *layer = NULL;
        s->found = gib_site_link_of(s->process->site[i], s->patch, &layer) && word > layer->thunk &&
                   word <= layer->thunk + layer->thunk_size;
    }
    return !s->found;
}

/* Threads with a call of the patch's functions that has not returned: an address of its thunk is on
 * their stack. */
size_t gib_patch_inside(struct gib_engine *engine, const struct gib_patch *patch)
{
    struct gib_target_thread *threads;
    size_t count, inside = 0;
    struct gib_process *process = engine->process;
    if (!process || !process->installed ||
        engine->ops.state(engine->context) != GIB_TARGET_STOPPED ||
        gib_target_threads(engine, &threads, &count, NULL))
        return 0;
    for (size_t t = 0; t < count; t++) {
        struct thunk_search search = {process, patch, false};
        gib_scan_stack(engine, threads[t].sp, look_at_word, &search);
        inside += search.found;
    }
    free(threads);
    return inside;
}

void gib_patch_find_threads(struct gib_engine *engine)
{
    struct gib_target_thread *threads;
    size_t count;
    bool any = false;
    for (size_t i = 0; i < engine->patch_count; i++)
        any |= engine->patch[i]->thread != 0;
    if (!any || gib_target_threads(engine, &threads, &count, NULL))
        return;
    for (size_t i = 0; i < engine->patch_count; i++) {
        struct gib_patch *patch = engine->patch[i];
        int32_t tid = 0, numbered = 0;
        for (size_t k = 0; k < count && patch->thread; k++) {
            tid = threads[k].tid == patch->thread ? threads[k].tid : tid;
            numbered = threads[k].number == patch->thread ? threads[k].tid : numbered;
        }
        tid = tid ? tid : numbered;
        if (!tid || tid == patch->tid)
            continue;
        patch->tid = tid;
        gib_patch_update(engine, patch, NULL);
    }
    free(threads);
}

/* -times and -temporary are carried out by the agent; here the definitions follow. */
void gib_refresh_spent(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    if (!process || !process->installed)
        return;
    for (size_t i = 0; i < engine->patch_count; i++) {
        struct gib_patch *patch = engine->patch[i];
        uint64_t limit = patch->temporary ? 1 : patch->times;
        if (limit && patch->state && !patch->spent &&
            process->shared->patch[patch->state].accepted >= limit)
            patch->spent = true;
    }
}
