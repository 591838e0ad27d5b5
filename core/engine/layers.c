/*
 * layers.c: the layers of a site: a patch finds its place in one, and leaves it.
 *
 *  next of a layer that lies on another one:
 *
 *      ff 25 02 00 00 00      jmp [rip + 2]
 *      cc cc
 *      link                   the thunk below: eight bytes, aligned, so that one write changes it
 */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

int gib_jump_stub(struct gib_engine *engine, struct gib_process *process,
                  const struct gib_site_state *site, uint64_t to, uint64_t *at,
                  struct gib_error *error)
{
    enum { SIZE = 16, CODE = 6, LINK = 8 };
    uint8_t code[SIZE] = {0xff, 0x25, LINK - CODE, 0, 0, 0, 0xcc, 0xcc};
    struct gib_arena *arena;
    int failed = gib_arena_near(engine, process, site->module, 2 * SIZE, &arena, error);
    if (failed)
        return failed;
    *at = (arena->start + arena->used + 15) & ~15ull;
    memcpy(code + LINK, &to, sizeof to);
    if ((failed = gib_arena_write(engine, process, *at, code, SIZE, error)))
        return failed;
    arena->used = *at + SIZE - arena->start;
    gib_code_made(process, site, *at, CODE, GIB_MADE_THUNK);
    return 0;
}

static enum gib_layer_rank rank_of(const struct gib_patch *patch)
{
    if (!patch || patch->type != GIB_PATCH_STOP)
        return GIB_LAYER_ORDINARY;
    return gib_condition_on_return(patch) ? GIB_LAYER_STOPS_RETURNS : GIB_LAYER_STOPS_CALLS;
}

/* The outermost layer of this rank; NULL: none. */
static struct gib_layer *layer_of_rank(const struct gib_site_state *site, enum gib_layer_rank rank)
{
    for (size_t i = site->layers; i-- > 0;)
        if (site->layer[i]->rank == rank)
            return site->layer[i];
    return NULL;
}

int gib_layer_add(struct gib_engine *engine, struct gib_process *process,
                  struct gib_site_state *site, const struct gib_patch *patch,
                  struct gib_layer **out, struct gib_error *error)
{
    if (site->layers == GIB_MAX_LAYERS)
        return gib_fail(error, GIB_E_SPACE, site->entry,
                        "%.60s has patches in %d layers already, as many as one function can have.",
                        site->function, GIB_MAX_LAYERS);
    if (process->layer_count >= GIB_MAX_SITES)
        return gib_fail(error, GIB_E_SPACE, site->entry,
                        "No room for more than %d patched functions.", GIB_MAX_SITES);
    struct gib_layer *layer = calloc(1, sizeof *layer);
    if (!layer)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    layer->rank = rank_of(patch);
    size_t at = site->layers;
    while (at && site->layer[at - 1]->rank > layer->rank)
        at--;
    layer->next = site->trampoline;
    if (at || layer->rank != GIB_LAYER_ORDINARY) { /* others may come between */
        uint64_t below = at ? site->layer[at - 1]->thunk : site->trampoline;
        int failed = gib_jump_stub(engine, process, site, below, &layer->next, error);
        if (failed) {
            free(layer);
            return failed;
        }
        layer->link = layer->next + 8;
    }
    layer->index = process->layer_count++;
    for (size_t i = site->layers++; i > at; i--)
        site->layer[i] = site->layer[i - 1];
    site->layer[at] = layer;
    *out = layer;
    return 0;
}

void gib_layer_free(struct gib_layer *layer)
{
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++)
        gib_condition_free(layer->chain[i].condition);
    free(layer);
}

void gib_layer_drop(struct gib_site_state *site, struct gib_layer *layer)
{
    size_t kept = 0;
    for (size_t i = 0; i < site->layers; i++)
        if (site->layer[i] != layer)
            site->layer[kept++] = site->layer[i];
    site->layers = kept;
    gib_layer_free(layer);
}

static bool is_empty(const struct gib_layer *layer)
{
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++)
        if (layer->chain[i].patch)
            return false;
    return true;
}

void gib_layers_drop_empty(struct gib_engine *engine, struct gib_process *process,
                           struct gib_site_state *site)
{
    struct gib_error ignored;
    size_t before = site->layers;
    for (size_t i = site->layers; i-- > 0 && site->layers > 1;) {
        /* Without a stub the detour itself leads to the outermost thunk, which passes calls on. */
        if (is_empty(site->layer[i]) && (site->stub || i + 1 < site->layers))
            gib_layer_drop(site, site->layer[i]);
    }
    if (site->layers != before)
        gib_site_connect(engine, process, site, &ignored);
}

/* A place in the layer's chain, one that nobody had before if there is one; -1: none is free. */
static int free_place(const struct gib_layer *layer)
{
    int place = -1;
    for (int i = GIB_MAX_ACTIONS - 1; i >= 0; i--)
        if (!layer->chain[i].patch &&
            (place < 0 || !layer->chain[i].counter || layer->chain[place].counter))
            place = i;
    return place;
}

static bool only_records(const struct gib_layer *layer)
{
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++)
        if (layer->chain[i].patch && layer->chain[i].patch->type != GIB_PATCH_WRAP)
            return false;
    return !layer->callee;
}

/* Stands for one that is freed, but still in a thunk: no other has its address. */
static const char no_condition;
static const struct gib_condition *const forgotten = (const struct gib_condition *)&no_condition;

static bool is_same_thunk(const struct gib_layer *a, const struct gib_layer *b)
{
    return a->kind == b->kind && a->decided == b->decided && a->keeps_entry == b->keeps_entry;
}

int gib_layer_take(struct gib_engine *engine, struct gib_process *process,
                   struct gib_site_state *site, struct gib_patch *patch,
                   struct gib_layer_change *out, struct gib_error *error)
{
    memset(out, 0, sizeof *out);
    if (process->counters + GIB_COUNTER_WORDS > GIB_MAX_COUNTERS)
        return gib_fail(error, GIB_E_SPACE, site->entry,
                        "This process has had %d patches on functions, as many as one can have; "
                        "the next run, or detach and attach, begins anew.",
                        GIB_MAX_SITES);
    struct gib_layer *layer = layer_of_rank(site, rank_of(patch));
    bool shares = patch->type == GIB_PATCH_STOP || patch->type == GIB_PATCH_WRAP;
    out->added = !layer || !shares || (layer->rank == GIB_LAYER_ORDINARY && !only_records(layer));
    if (patch->type == GIB_PATCH_MARK && site->unguarded)
        return gib_fail(error, GIB_E_UNSUPPORTED, site->entry,
                        "%.60s cannot be the function of -during: this process has an unwinder "
                        "that cannot be told of Gibbon's frames, so no function's end is seen.",
                        site->function);
    if (patch->type == GIB_PATCH_MARK && gib_site_entry_only(site))
        return gib_fail(error, GIB_E_UNSUPPORTED, site->entry,
                        "%.60s cannot be the function of -during: it returns twice, never, or "
                        "looks at its caller, so nobody sees when it ends.",
                        site->function);
    if (out->added) {
        int failed = gib_layer_add(engine, process, site, patch, &layer, error);
        bool diverts = !shares && patch->type != GIB_PATCH_MARK;
        if (!failed && diverts &&
            (failed = gib_layer_callee(engine, process, site, layer, patch, error)))
            gib_layer_drop(site, layer);
        if (failed)
            return failed;
    }
    if (patch->type == GIB_PATCH_STOP)
        gib_stops_begin(engine, process);
    int place = free_place(layer);
    if (place < 0)
        return gib_fail(error, GIB_E_SPACE, site->entry,
                        "%.60s has %d patches already, as many as one function can have.",
                        site->function, GIB_MAX_ACTIONS);
    struct gib_chain_link *link = &layer->chain[place];
    struct gib_condition *old =
        link->condition; /* of a deleted patch; the thunk may be made of it */
    out->layer = layer;
    out->before = *layer;
    *link = (struct gib_chain_link){patch, process->counters, NULL, 0};
    process->counters = gib_next_counters(process->counters);
    int failed = gib_link_condition(engine, process, site, link, error);
    if (!failed) {
        layer->kind = gib_layer_kind(site, layer);
        layer->decided = gib_layer_decides(layer);
        layer->keeps_entry = gib_layer_keeps_entry(layer);
        patch->only_jumps |= layer->kind == GIB_THUNK_JUMP;
        if (out->added || !is_same_thunk(layer, &out->before))
            failed = gib_layer_thunk(engine, process, site, layer, error);
    }
    if (failed) {
        gib_layer_undo(site, out);
        return failed;
    }
    out->before.chain[place].condition = NULL;
    if (old && out->before.decided == old)
        out->before.decided = forgotten;
    gib_condition_free(old);
    return 0;
}

void gib_layer_undo(struct gib_site_state *site, const struct gib_layer_change *change)
{
    if (change->added)
        gib_layer_drop(site, change->layer);
    else if (change->layer) {
        for (size_t i = 0; i < GIB_MAX_ACTIONS; i++)
            if (change->layer->chain[i].condition != change->before.chain[i].condition)
                gib_condition_free(change->layer->chain[i].condition);
        *change->layer = change->before;
    }
}
