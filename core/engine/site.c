/*
 * site.c: a patched entry as the agent sees it: what to record there, and the thunk that calls the
 * agent.
 */
#include "engine/shape.h"
#include "engine/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

extern const uint8_t gib_agent_image_start[];

bool gib_site_in_use(const struct gib_site_state *site)
{
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++)
        if (site->chain[i].patch)
            return true;
    return site->internal;
}

/* ---- the agent's view of a site ---- */

static struct gib_site *shared_site(struct gib_process *process, uint32_t index)
{
    return (struct gib_site *)((char *)process->shared + process->shared->sites) + index;
}

static uint16_t module_ranges(struct gib_process *process, const char *wanted, uint16_t *first);

static void fill_action(struct gib_process *process, struct gib_action *a,
                        const struct gib_chain_link *link)
{
    const struct gib_patch *patch = link->patch;
    memset(a, 0, sizeof *a);
    a->counter = link->counter;
    if (!patch)
        return;
    a->patch = patch->state;
    a->flags = patch->enabled && !patch->spent ? GIB_ACTION_ENABLED : 0;
    a->flags |= patch->count_only ? 0 : GIB_ACTION_RECORD;
    if (patch->backtrace) {
        a->flags |= GIB_ACTION_BACKTRACE;
        a->depth = (uint16_t)patch->backtrace;
    }
    if (patch->after || patch->every || patch->times || patch->temporary)
        a->flags |= GIB_ACTION_LIMITS;
    if (patch->thread) {
        a->flags |= GIB_ACTION_THREAD;
        a->thread = patch->tid; /* 0 is nobody's */
    }
    if (patch->from) {
        a->flags |= GIB_ACTION_FROM;
        a->from_count = module_ranges(process, patch->from, &a->from);
    }
}

/* The ranges of the modules that a -from means now. The table only grows, since the agent may be
 * reading it: ranges that stand there already are used again. */
static uint16_t module_ranges(struct gib_process *process, const char *wanted, uint16_t *first)
{
    struct gib_shared *shared = process->shared;
    size_t count = 0, room = gib_modules_count(process->modules);
    struct gib_range *range = calloc(room ? room : 1, sizeof *range);
    for (size_t i = 0; range && i < room; i++) {
        struct gib_module *module = gib_modules_get(process->modules, i);
        if (!module->gone && gib_module_matches(module, wanted))
            range[count++] = (struct gib_range){module->start, module->end};
    }
    size_t size = count * sizeof *range, at = 0;
    while (at + count <= process->ranges && memcmp(&process->range[at], range, size))
        at++;
    if (at + count > process->ranges) {
        at = process->ranges;
        if (at + count > GIB_MAX_RANGES)
            count = GIB_MAX_RANGES - at;
        memcpy(&process->range[at], range, count * sizeof *range);
        memcpy(&shared->range[at], range, count * sizeof *range);
        process->ranges = (uint32_t)(at + count);
        shared->range_count = process->ranges;
    }
    free(range);
    *first = (uint16_t)at;
    return (uint16_t)count;
}

void gib_sites_follow_modules(struct gib_engine *engine, struct gib_process *process)
{
    for (uint32_t i = 0; i < process->site_count; i++) {
        bool from = false;
        for (size_t k = 0; k < GIB_MAX_ACTIONS; k++)
            from |= process->site[i]->chain[k].patch && process->site[i]->chain[k].patch->from;
        if (from)
            gib_site_publish(engine, process, process->site[i]);
    }
}

/* Functions of ld.so run before it has set up thread-local storage. */
static uint32_t thread_pointer(const struct gib_process *process, const struct gib_site_state *site)
{
    return site->module->interpreter ? process->early_pointer : process->thread_pointer;
}

/* What a record of this site holds. It stays as it is as long as the site exists. */
static void fill_shape(const struct gib_process *process, const struct gib_site_state *site,
                       struct gib_site *s)
{
    memset(s, 0, sizeof *s);
    s->index = site->index;
    s->thread_pointer = (uint8_t)thread_pointer(process, site);
    gib_shape_function(s, site->prototype, &site->convention);
    s->flags |= site->kind == GIB_THUNK_ENTRY_ONLY ? GIB_SITE_ENTRY_ONLY : 0;
}

/* Writes what the agent does at this site; its detour may be live: the count of actions is written
 * last. */
void gib_site_publish(struct gib_engine *engine, struct gib_process *process,
                      struct gib_site_state *site)
{
    struct gib_site *s = shared_site(process, site->index), fresh;
    fill_shape(process, site, &fresh);
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++) {
        if (!site->chain[i].patch)
            continue;
        fill_action(process, &fresh.action[i], &site->chain[i]);
        fresh.actions = (uint8_t)(i + 1);
    }
    uint32_t limit = process->shared->string_limit;
    if (engine->settings.string_limit > limit)
        limit = engine->settings.string_limit;
    fresh.lines = gib_shape_lines(&fresh, limit);
    uint32_t gate = gib_site_gate(&fresh, process->shared);
    *s = fresh;
    /* The agent looks at the flags above as well, so this word only saves time. */
    struct gib_error ignored;
    gib_arena_write(engine, process, site->active, &gate, sizeof gate, &ignored);
}

void gib_log_register(struct gib_engine *engine, const struct gib_site_state *site)
{
    struct gib_log_site *shown = calloc(1, sizeof *shown);
    if (!shown)
        return;
    shown->function = gib_elf_function_name(site->symbol);
    shown->module = strdup(site->module ? site->module->name : "");
    shown->prototype = site->prototype ? gib_prototype_copy(site->prototype) : NULL;
    shown->convention = site->convention;
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++) {
        shown->action[i].patch = site->chain[i].patch ? site->chain[i].patch->number : 0;
        shown->action[i].quiet = site->chain[i].patch && site->chain[i].patch->quiet;
    }
    if (shown->function && shown->module)
        gib_log_set_site(engine->log, site->index, shown);
}

/* ---- thunks ---- */

/* One patch that only counts, with no filter, needs no frame. */
enum gib_thunk_kind gib_site_kind(const struct gib_site_state *site)
{
    size_t used = 0;
    if (site->internal)
        return site->kind;
    const struct gib_chain_link *only = NULL;
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++) {
        if (site->chain[i].patch) {
            only = &site->chain[i];
            used++;
        }
    }
    const struct gib_patch *p = only ? only->patch : NULL;
    if (used == 1 && p->count_only && !p->after && !p->every && !p->times && !p->temporary &&
        !p->thread && !p->from)
        return GIB_THUNK_COUNT;
    return gib_site_entry_only(site) ? GIB_THUNK_ENTRY_ONLY : GIB_THUNK_CALL_THROUGH;
}

/*
 *  | active, 4 bytes of 16 | thunk ... |      its trampoline is elsewhere in the arena
 *
 * A new thunk for the same site (another kind) gets a word of its own; the trampoline stays.
 */
int gib_site_thunk(struct gib_engine *engine, struct gib_process *process,
                   struct gib_site_state *site, struct gib_error *error)
{
    struct gib_arena *arena;
    int failed =
        gib_arena_near(engine, process, site->module, 16 + GIB_THUNK_MAX + 64, &arena, error);
    if (failed)
        return failed;
    uint64_t at = (arena->start + arena->used + 15) & ~15ull;
    const struct gib_agent_image *image = (const struct gib_agent_image *)gib_agent_image_start;
    struct gib_shared *shared = process->shared;
    const struct gib_chain_link *first = NULL;
    for (size_t i = 0; i < GIB_MAX_ACTIONS && !first; i++)
        first = site->chain[i].patch ? &site->chain[i] : NULL;
    struct gib_site shape;
    fill_shape(process, site, &shape);
    struct gib_thunk_request request = {
        .kind = site->kind,
        .address = at + 16,
        .trampoline = site->trampoline,
        .active = at,
        .enter = process->agent + image->enter,
        .leave = process->agent + image->leave,
        .count = process->agent + image->count,
        .texts = process->agent + image->texts,
        .find_fde = process->agent +
                    (site->kind == GIB_THUNK_FIND_OBJECT ? image->find_object : image->find_fde),
        .site = process->data + shared->sites + sizeof(struct gib_site) * (uint64_t)site->index,
        .shared = process->data,
        .stack_copy = site->convention.stack_copy,
        .reads_xmm = site->convention.reads_xmm,
        .result_xmm = site->convention.result == GIB_RESULT_XMM0 ||
                      site->convention.result == GIB_RESULT_XMM0_XMM1,
        .result_xmm1 = site->convention.result == GIB_RESULT_XMM0_XMM1,
        .result_x87 = site->convention.result == GIB_RESULT_X87,
        .hash = process->hash,
        .shape = &shape,
        .thread_pointer = thread_pointer(process, site),
        .counter = first ? first->counter : 0,
        .counter_offset = (uint32_t)(shared->counters_offset + 8ull * (first ? first->counter : 0)),
    };
    uint8_t code[GIB_THUNK_MAX];
    size_t size;
    if ((failed = gib_thunk_make(&request, code, &size, error)))
        return failed;
    uint32_t inactive = 0;
    if ((failed = gib_arena_write(engine, process, request.address, code, size, error)) ||
        (failed = gib_arena_write(engine, process, at, &inactive, sizeof inactive, error)))
        return failed;
    site->active = at;
    site->thunk = request.address;
    site->thunk_size = (uint32_t)size;
    gib_code_made(process, site, site->thunk, size, GIB_MADE_THUNK);
    arena->used = ((request.address + size + 15) & ~15ull) - arena->start;
    uint64_t from = site->island ? site->island : gib_site_detour(site);
    uint8_t *jump = site->island ? site->island_jump : site->detour;
    if (!site->installed && !site->stub && (site->stub = gib_stub_place(engine, process, from)))
        gib_code_made(process, site, site->stub, GIB_DETOUR_SIZE + (site->kept ? 1 : 0),
                      GIB_MADE_STUB);
    if (site->island) {
        site->detour[0] = 0xeb; /* jmp rel8 */
        site->detour[1] = (uint8_t)(site->island - (site->address + 2));
    }
    return gib_detour_make(from, site->stub ? site->stub : site->thunk, jump, error);
}

int gib_site_connect(struct gib_engine *engine, struct gib_process *process,
                     const struct gib_site_state *site, struct gib_error *error)
{
    uint8_t code[GIB_STUB_SIZE] = {0x5d}; /* pop %rbp: rsp and rbp are again as at the entry */
    size_t popped = site->kept ? 1 : 0;
    if (!site->stub)
        return 0;
    int failed = gib_detour_make(site->stub + popped, site->thunk, code + popped, error);
    return failed ? failed
                  : gib_arena_write(engine, process, site->stub, code, popped + GIB_DETOUR_SIZE,
                                    error);
}
