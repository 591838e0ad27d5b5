/*
 * apply.c: puts patches on functions (remove.c takes them off).
 *
 * A change is prepared where nobody can run it (thunks in an arena, sites in shared memory), then
 * made by one transaction of a few bytes a function, the detours. Enabling and disabling afterwards
 * only flips words.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static int by_entry(const void *a, const void *b)
{
    const struct gib_site_state *x = a, *y = b;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* A site whose patches were all deleted is not taken up again: its calls are still in the log under
 * their numbers. */
struct gib_site_state *gib_site_at(const struct gib_process *process, uint64_t entry)
{
    struct gib_site_state key = {.entry = entry};
    struct gib_site_state **found = tfind(&key, &process->site_tree, by_entry);
    return found && !(*found)->module->gone && gib_site_in_use(*found) ? *found : NULL;
}

int gib_site_internal(const struct gib_site_state *site, struct gib_error *error)
{
    return gib_fail(
        error, GIB_E_STATE, site->entry,
        "%.60s is patched by Gibbon itself, so that exceptions pass through patched functions.",
        site->function);
}

static bool add_site(struct gib_process *process, struct gib_site_state *site)
{
    if (process->site_count >= GIB_MAX_SITES)
        return false;
    if ((process->site_count & (process->site_count - 1)) == 0) {
        struct gib_site_state **grown = realloc(
            process->site, (process->site_count ? process->site_count * 2 : 1) * sizeof *grown);
        if (!grown)
            return false;
        process->site = grown;
    }
    if (!gib_places_add(&process->places, site->address, site->consumed, process->site_count) ||
        (site->island &&
         !gib_places_add(&process->places, site->island, GIB_DETOUR_SIZE, process->site_count)))
        return false;
    struct gib_site_state **newest = tsearch(site, &process->site_tree, by_entry);
    if (!newest)
        return false;
    *newest = site;
    site->index = process->site_count;
    process->site[process->site_count++] = site;
    return true;
}

/* Where a change began: all that it has made so far can be forgotten as long as no detour leads to
 * it, so that a change given up leaves no trace. */
struct mark {
    uint32_t sites, layers;
    size_t code;
    uint64_t used[GIB_MAX_ARENAS];
};
static void set_mark(const struct gib_process *process, struct mark *mark)
{
    mark->sites = process->site_count;
    mark->layers = process->layer_count;
    mark->code = process->code_count;
    for (uint32_t i = 0; i < GIB_MAX_ARENAS; i++)
        mark->used[i] = i < process->arena_count ? process->arena[i].used : GIB_ARENA_HEAD;
}
static void forget_since(struct gib_process *process, const struct mark *mark)
{
    while (process->site_count > mark->sites) {
        struct gib_site_state *site = process->site[--process->site_count];
        struct gib_site_state **found = tfind(site, &process->site_tree, by_entry);
        if (found && *found == site)
            tdelete(site, &process->site_tree, by_entry);
        gib_site_free(site);
    }
    process->layer_count = mark->layers;
    process->code_count = mark->code;
    for (uint32_t i = 0; i < process->arena_count; i++)
        if (!process->arena[i].stubs)
            process->arena[i].used = mark->used[i];
}

/* One site to change, and what it was before. */
struct pending_site {
    struct gib_site_state *site;
    struct gib_layer_change change; /* change.layer NULL: none of its patches */
    uint8_t detour[GIB_DETOUR_SIZE], island_jump[GIB_DETOUR_SIZE];
};
static struct pending_site begin_site(struct gib_site_state *site)
{
    struct pending_site p = {.site = site};
    memcpy(p.detour, site->detour, sizeof p.detour);
    memcpy(p.island_jump, site->island_jump, sizeof p.island_jump);
    return p;
}

/* A site with its trampoline in an arena, known to the process; nothing in the target's own memory
 * changes. */
static int new_site(struct gib_engine *engine, const struct gib_found *found,
                    const struct gib_patch *patch, const struct gib_stopped *stopped,
                    struct gib_site_state **out, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    struct gib_site_state *site;
    struct gib_relocation copy;
    struct gib_arena *arena;
    if (!found->module)
        return gib_in_no_file(found->name, found->address, error);
    int failed =
        gib_arena_near(engine, process, found->module, sizeof copy.code + 16, &arena, error);
    if (failed)
        return failed;
    uint64_t at = (arena->start + arena->used + 15) & ~15ull;
    if ((failed = gib_site_plan(engine, process, found, patch, &site, &copy, at, error)))
        return failed;
    if ((failed = gib_check_threads(site, stopped, error)) ||
        (failed = gib_arena_write(engine, process, at, copy.code, copy.size, error))) {
        gib_site_free(site);
        return failed;
    }
    if (!add_site(process, site)) {
        gib_site_free(site);
        return gib_fail(error, GIB_E_SPACE, found->address,
                        "This process has had %d patches on functions, as many as one can have; "
                        "the next run, or detach and attach, begins anew.",
                        GIB_MAX_SITES);
    }
    site->trampoline = at;
    arena->used = ((at + copy.size + 15) & ~15ull) - arena->start;
    gib_code_made(process, site, at, copy.size, GIB_MADE_TRAMPOLINE);
    *out = site;
    return 0;
}

static void restore_pending(struct gib_engine *engine, struct pending_site *p)
{
    struct gib_error ignored;
    struct gib_site_state *site = p->site;
    gib_layer_undo(site, &p->change);
    memcpy(site->detour, p->detour, sizeof site->detour);
    memcpy(site->island_jump, p->island_jump, sizeof site->island_jump);
    if (site->installed)
        gib_site_connect(engine, engine->process, site, &ignored);
}

/* Prepares one site; nothing in the target's own memory changes. */
static int prepare(struct gib_engine *engine, struct gib_process *process, struct gib_patch *patch,
                   const struct gib_found *found, const struct gib_stopped *stopped,
                   struct pending_site *out, struct gib_error *error)
{
    struct gib_site_state *site = gib_site_at(process, found->address);
    int failed = 0;
    bool fresh = !site;
    if (patch->type == GIB_PATCH_HOOK &&
        (!found->address || gib_is_initialised(engine, found->module))) {
        failed = gib_call_hook(engine, process, patch, found->module, error);
        return failed ? failed : -1; /* no site is needed */
    }
    if (fresh) {
        failed = new_site(engine, found, patch, stopped, &site, error);
        if (failed)
            return failed;
    } else if ((failed = site->installed ? gib_check_detour(engine, site, error)
                                         : gib_check_threads(site, stopped, error))) {
        return failed;
    }
    if (site->internal)
        return gib_site_internal(site, error);
    if (!fresh && patch->prototype)
        return gib_fail(error, GIB_E_STATE, site->entry,
                        "%.60s is patched already, with the prototype that was known then; delete "
                        "that patch to "
                        "give another one.",
                        site->function);
    if (gib_site_link_of(site, patch, NULL))
        return -1; /* already there */
    *out = begin_site(site);
    if ((failed = gib_layer_take(engine, process, site, patch, &out->change, error)))
        return failed;
    if ((failed = gib_site_lead(engine, process, site, error)))
        restore_pending(engine, out);
    return failed;
}

static int commit(struct gib_engine *engine, struct gib_process *process,
                  struct pending_site *pending, size_t count, const struct gib_stopped *stopped,
                  struct gib_error *error)
{
    struct gib_write_plan *writes = calloc(2 * count + 1, sizeof *writes);
    if (!writes)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    size_t n = 0;
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++) {
        struct gib_site_state *site = pending[i].site;
        if (!site->internal && gib_take_interrupt(engine)) { /* a guard is no answer to it */
            failed = gib_fail(error, GIB_E_INTERRUPTED, 0, "Interrupted; nothing was patched.");
            break;
        }
        gib_site_publish(engine, process, site);
        gib_log_register(engine, site);
        failed = gib_site_connect(engine, process, site, error);
        gib_plan_write(writes, &n, gib_site_detour(site),
                       site->installed ? pending[i].detour : site->original, site->detour,
                       site->detour_size);
        if (site->island)
            gib_plan_write(writes, &n, site->island,
                           site->installed ? pending[i].island_jump : site->island_original,
                           site->island_jump, GIB_DETOUR_SIZE);
    }
    for (size_t i = 0; i < count && !failed; i++)
        if (!pending[i].site->installed)
            gib_watches_make_way(engine, pending[i].site);
    /* First the threads: the copy they go to does the same, with or without the detour. */
    size_t moved = 0;
    for (; moved < count && !failed; moved++)
        failed = gib_move_threads(engine, pending[moved].site, stopped, false, error);
    if (!failed)
        failed = gib_transaction(engine, writes, n, error);
    for (size_t i = 0; failed && i < moved; i++)
        gib_move_threads(engine, pending[i].site, stopped, true, NULL);
    free(writes);
    if (failed)
        return failed;
    for (size_t i = 0; i < count; i++) {
        struct gib_site_state *site = pending[i].site;
        site->installed = true;
        for (size_t k = 0; k < site->layers * GIB_MAX_ACTIONS; k++) {
            struct gib_patch *patch =
                site->layer[k / GIB_MAX_ACTIONS]->chain[k % GIB_MAX_ACTIONS].patch;
            if (patch)
                patch->placed = true;
        }
    }
    return 0;
}

int gib_apply_internal(struct gib_engine *engine, const struct gib_found *found,
                       enum gib_thunk_kind kind, const struct gib_stopped *stopped,
                       struct gib_error *error)
{
    struct gib_process *process = engine->process;
    struct gib_site_state *site = NULL;
    struct mark mark;
    set_mark(process, &mark);
    int failed = new_site(engine, found, NULL, stopped, &site, error);
    if (failed)
        return failed;
    site->internal = true;
    struct gib_layer *layer;
    struct pending_site pending = begin_site(site);
    failed = gib_layer_add(engine, process, site, NULL, &layer, error);
    if (!failed) {
        layer->kind = kind;
        failed = gib_layer_thunk(engine, process, site, layer, error);
    }
    if (!failed)
        failed = gib_site_lead(engine, process, site, error);
    if (!failed)
        failed = commit(engine, process, &pending, 1, stopped, error);
    if (failed)
        forget_since(process, &mark);
    return failed;
}

/* The first of the site's layers that calls through to the original, and so could be left. */
static struct gib_layer *calling_layer(const struct gib_site_state *site)
{
    for (size_t i = 0; i < site->layers; i++)
        if (site->layer[i]->kind == GIB_THUNK_CALL_THROUGH && !site->layer[i]->callee)
            return site->layer[i];
    return NULL;
}

void gib_apply_entry_only(struct gib_engine *engine, const struct gib_stopped *stopped,
                          struct gib_error *error)
{
    struct gib_process *process = engine->process;
    size_t ready = 0, room = 0;
    for (uint32_t i = 0; i < process->site_count; i++)
        room += process->site[i]->layers;
    struct pending_site *pending = calloc(room + 1, sizeof *pending);
    if (!pending)
        gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    for (uint32_t i = 0; pending && i < process->site_count; i++) {
        struct gib_site_state *site = process->site[i];
        struct gib_layer *layer;
        if (!site->installed || site->module->gone || !gib_site_in_use(site))
            continue;
        while ((layer = calling_layer(site))) {
            struct pending_site *p = &pending[ready];
            *p = begin_site(site);
            p->change = (struct gib_layer_change){layer, *layer, false};
            layer->kind = GIB_THUNK_ENTRY_ONLY;
            if (gib_layer_thunk(engine, process, site, layer, error) ||
                gib_site_lead(engine, process, site, error)) {
                restore_pending(engine, p);
                break;
            }
            ready++;
        }
    }
    if (pending && commit(engine, process, pending, ready, stopped, error)) {
        for (size_t i = ready; i-- > 0;) {
            restore_pending(engine, &pending[i]);
            gib_site_publish(engine, process, pending[i].site);
        }
    }
    free(pending);
}

/* What of one function's failure: *fatal when it ends everything. */
static void count_refusal(struct gib_patch *patch, const struct gib_found *found,
                          const struct gib_error *why, bool strict, bool *fatal)
{
    bool later = (why->code == GIB_E_BUSY || why->code == GIB_E_WAITING) && !patch->all_or_none;
    if (later && patch->delayed++ == 0)
        patch->delay = *why;
    if (!later)
        gib_refusals_add(&patch->refused, found, why);
    *fatal = !later && strict;
}

/* One refusal ended everything: the patch is on no more functions of this process, also not on
 * those that come later or become known later, and the sentence says which option did it. */
static void give_up(struct gib_patch *patch, size_t functions, struct gib_error *error)
{
    const char *said = patch->placed ? " " GIB_NO_MORE_PATCHED : " " GIB_NONE_PATCHED;
    size_t length = error ? strlen(error->message) : 0, size = strlen(said) + 1;
    if (!patch->all_or_none)
        return;
    patch->given_up = true;
    if ((functions < 2 && !patch->placed) || !length)
        return;
    if (length > sizeof error->message - size)
        length = sizeof error->message - size;
    memcpy(error->message + length, said, size);
}

static int prepare_patch(struct gib_engine *engine, struct gib_patch *patch, size_t functions,
                         struct gib_error *error)
{
    struct gib_process *process = engine->process;
    if (!patch->state) {
        patch->state = ++process->patches;
        process->shared->patch[patch->state] =
            (struct gib_patch_state){.after = patch->after,
                                     .every = patch->every,
                                     .times = patch->temporary ? 1 : patch->times};
    }
    gib_update_agent(engine, process);
    struct gib_error why = {0};
    int failed = gib_guard_unwinders(engine, &why);
    if (failed == GIB_E_BUSY && !patch->all_or_none) { /* a thread is looking for a handler */
        patch->delayed += functions;
        patch->delay = why;
    }
    if (failed && error)
        *error = why;
    return failed;
}

static int apply_all(struct gib_engine *engine, struct gib_patch *patch,
                     const struct gib_found_list *found, struct gib_stopped *stopped,
                     struct pending_site *pending, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    bool fatal = false, strict = found->count == 1 || patch->all_or_none;
    size_t ready = 0;
    int failed = 0;
    struct mark mark;
    if ((failed = prepare_patch(engine, patch, found->count, error)))
        return failed == GIB_E_BUSY && !patch->all_or_none ? 0 : failed;
    set_mark(process, &mark);
    for (size_t i = 0; i < found->count && !fatal; i++) {
        struct gib_error why = {0};
        if (gib_take_interrupt(engine)) {
            failed = gib_fail(error, GIB_E_INTERRUPTED, 0, "Interrupted; nothing was patched.");
            fatal = true;
            break;
        }
        gib_show_progress(engine, "preparing", i, found->count);
        bool later = found->item[i].resolver != 0; /* when it is known what function it is */
        int result = later ? gib_watch_resolver(engine, process, &found->item[i], &why)
                           : prepare(engine, process, patch, &found->item[i], stopped,
                                     &pending[ready], &why);
        if (later && result == 0)
            continue;
        if (result == 0)
            ready++;
        if (result <= 0)
            continue;
        count_refusal(patch, &found->item[i], &why, strict, &fatal);
        if (!failed && (fatal || patch->refused.count)) {
            failed = result;
            if (error)
                *error = why;
        }
    }
    if (fatal) {
        for (size_t i = 0; i < ready; i++)
            restore_pending(engine, &pending[i]);
        forget_since(process, &mark);
        if (failed != GIB_E_INTERRUPTED)
            give_up(patch, found->count, error);
        return failed;
    }
    /* What was refused is told when nothing else came of the patch; else `list` tells. */
    struct gib_error why;
    int wrong = commit(engine, process, pending, ready, stopped, &why);
    for (size_t i = 0; i < ready && wrong; i++) {
        restore_pending(engine, &pending[i]);
        gib_site_publish(engine, process, pending[i].site);
        gib_log_register(engine, pending[i].site);
    }
    if (wrong)
        forget_since(process, &mark);
    if (wrong && error)
        *error = why;
    return wrong ? wrong : ready || patch->placed ? 0 : failed;
}

int gib_patch_apply(struct gib_engine *engine, struct gib_patch *patch,
                    const struct gib_found_list *found, struct gib_error *error)
{
    struct gib_stopped stopped = {0};
    gib_begin_change(engine);
    int failed = gib_install(engine, engine->process, error);
    if (!failed)
        failed = gib_look_at_threads(engine, &stopped, error);
    struct pending_site *pending =
        failed ? NULL : calloc(found->count ? found->count : 1, sizeof *pending);
    if (pending)
        failed = apply_all(engine, patch, found, &stopped, pending, error);
    else if (!failed)
        failed = gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    free(pending);
    gib_forget_stopped(&stopped);
    gib_end_change(engine);
    return failed;
}

int gib_patch_update(struct gib_engine *engine, struct gib_patch *patch, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    const struct gib_site_state *unreached = NULL;
    if (!process || !process->installed)
        return 0;
    for (uint32_t i = 0; i < process->site_count; i++) {
        if (!gib_site_link_of(process->site[i], patch, NULL))
            continue;
        if (!gib_site_publish(engine, process, process->site[i]) && !unreached)
            unreached = process->site[i];
        gib_log_register(engine, process->site[i]);
    }
    if (!unreached)
        return 0;
    return gib_fail(error, GIB_E_TARGET, unreached->entry,
                    "The memory of patch %d on %.60s could not be written; interrupt the program "
                    "first (Ctrl-C).",
                    patch->number, unreached->function);
}
