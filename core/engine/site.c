/*
 * site.c: a patched entry as the agent sees it: what to record there, and the thunk that calls the
 * agent.
 */
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

static uint8_t errno_rule(const struct gib_prototype *prototype)
{
    if (!prototype || prototype->failure == GIB_FAILURE_NONE)
        return GIB_ERRNO_NO;
    enum gib_type_kind kind = prototype->result.kind;
    bool pointer = kind == GIB_TYPE_POINTER || kind == GIB_TYPE_STRING;
    bool maybe = prototype->failure == GIB_FAILURE_ERRNO_MAYBE;
    if (pointer)
        return maybe ? GIB_ERRNO_NULL_CHANGED : GIB_ERRNO_NULL;
    if (kind != GIB_TYPE_INT && kind != GIB_TYPE_ENUM)
        return GIB_ERRNO_NO;
    return maybe ? GIB_ERRNO_MINUS_ONE_CHANGED : GIB_ERRNO_MINUS_ONE;
}

/* The longest record the site can write, in lines. */
static uint32_t record_lines(const struct gib_site *s, uint32_t limit, bool backtrace)
{
    uint32_t text = sizeof(struct gib_chunk) + ((limit + 7) & ~7u);
    uint32_t size =
        (uint32_t)offsetof(struct gib_record, word) + 8u * (s->words > 3 ? s->words : 3);
    size += s->strings * text;
    size += (s->flags & GIB_SITE_PRINTF) ? 8 + 16 * 8 + 4 * text : 0;
    size += (s->flags & GIB_SITE_OPEN) ? 16 : 0;
    size += backtrace ? sizeof(struct gib_chunk) + GIB_MAX_FRAMES * 8 : 0;
    size += s->result_string ? text : 0;
    size += s->result == GIB_RESULT_RAX_RDX || s->result >= GIB_RESULT_XMM0_XMM1 ? 16 : 0;
    size += s->errno_rule ? 16 : 0;
    return (size + 8 + GIB_LINE - 1) / GIB_LINE;
}

static void fill_arguments(struct gib_site *s, const struct gib_site_state *site)
{
    const struct gib_prototype *prototype = site->prototype;
    const struct gib_convention *c = &site->convention;
    s->words = c->words;
    memcpy(s->source, c->source, sizeof s->source);
    s->named_gpr = c->named_gpr;
    s->named_xmm = c->named_xmm;
    s->named_stack = c->named_stack;
    s->strings = 0;
    if (!prototype || prototype->unspecified)
        return;
    for (size_t i = 0; i < prototype->parameter_count && i < c->parameters; i++) {
        if (prototype->parameters[i].type.kind == GIB_TYPE_STRING && c->parameter[i].count == 1 &&
            s->strings < GIB_MAX_STRINGS)
            s->string[s->strings++] = c->parameter[i].first;
    }
    size_t last = prototype->parameter_count - 1;
    if (prototype->parameter_count && last < c->parameters && c->parameter[last].count) {
        s->last_named = c->parameter[last].first;
        if (prototype->variadic == GIB_VARIADIC_PRINTF &&
            prototype->parameters[last].type.kind == GIB_TYPE_STRING)
            s->flags |= GIB_SITE_PRINTF;
        if (prototype->variadic == GIB_VARIADIC_OPEN)
            s->flags |= GIB_SITE_OPEN;
    }
}

static uint16_t module_ranges(struct gib_process *process, const char *wanted, uint16_t *first);

static void fill_action(struct gib_engine *engine, struct gib_process *process,
                        struct gib_action *a, const struct gib_chain_link *link)
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
        a->thread = patch->thread;
        struct gib_target_thread *threads;
        size_t count;
        if (gib_target_threads(engine, &threads, &count, NULL) == 0) {
            bool is_tid = false;
            for (size_t i = 0; i < count; i++)
                is_tid |= threads[i].tid == patch->thread;
            for (size_t i = 0; i < count && !is_tid; i++)
                if (threads[i].number == patch->thread)
                    a->thread = threads[i].tid;
            free(threads);
        }
    }
    if (patch->from) {
        a->flags |= GIB_ACTION_FROM;
        a->from_count = module_ranges(process, patch->from, &a->from);
    }
}

static uint16_t module_ranges(struct gib_process *process, const char *wanted, uint16_t *first)
{
    struct gib_shared *shared = process->shared;
    uint16_t count = 0;
    *first = (uint16_t)process->ranges;
    for (size_t i = 0; i < gib_modules_count(process->modules); i++) {
        struct gib_module *module = gib_modules_get(process->modules, i);
        if (module->gone || !gib_module_matches(module, wanted) ||
            process->ranges == GIB_MAX_RANGES)
            continue;
        shared->range[process->ranges++] = (struct gib_range){module->start, module->end};
        count++;
    }
    shared->range_count = process->ranges;
    return count;
}

/* Functions of ld.so run before it has set up thread-local storage. */
static uint32_t thread_pointer(const struct gib_process *process, const struct gib_site_state *site)
{
    return site->module->interpreter ? process->early_pointer : process->thread_pointer;
}

/* Nearly every patch is one action without filters on a function that takes up to six integers:
 * then a record is a copy of registers. */
static void choose_fast_path(const struct gib_process *process, const struct gib_site_state *site,
                             struct gib_site *s)
{
    const struct gib_action *only = NULL;
    size_t used = 0, place = 0;
    for (size_t i = 0; i < s->actions; i++) {
        if (!site->chain[i].patch)
            continue;
        only = &s->action[i];
        place = i;
        used++;
    }
    bool plain = used == 1 && only->flags == (GIB_ACTION_ENABLED | GIB_ACTION_RECORD) &&
                 s->words <= 6 && !s->strings && !s->flags && !s->errno_rule && !s->result_string &&
                 s->result <= GIB_RESULT_RAX && s->stack_copy < GIB_COPY_UNKNOWN &&
                 s->thread_pointer == GIB_POINTER_FS0 && process->shared->tid_offset;
    for (size_t i = 0; i < s->words && plain; i++)
        plain = s->source[i] == GIB_SOURCE_GPR + i;
    if (!plain)
        return;
    s->simple = s->words > 3 ? 2 : 1;
    s->simple_accepted = 1u << place;
    s->header = s->index | (uint64_t)s->simple << 32 | (uint64_t)GIB_RECORD_OPEN << 48 |
                (uint64_t)s->simple_accepted << 56;
    s->counter_offset = (uint32_t)(process->shared->counters_offset + 8ull * only->counter);
}

/* Writes what the agent does at this site; its detour may be live: the count of actions is written
 * last. */
void gib_site_publish(struct gib_engine *engine, struct gib_process *process,
                      struct gib_site_state *site)
{
    struct gib_site *s = shared_site(process, site->index), fresh;
    memset(&fresh, 0, sizeof fresh);
    fresh.index = site->index;
    fresh.thread_pointer = (uint8_t)thread_pointer(process, site);
    fresh.flags = site->kind == GIB_THUNK_ENTRY_ONLY ? GIB_SITE_ENTRY_ONLY : 0;
    fresh.stack_copy = site->convention.stack_copy;
    fresh.result = site->convention.result;
    fill_arguments(&fresh, site);
    if (site->prototype) {
        fresh.result_size =
            (uint8_t)(site->prototype->result.size < 255 ? site->prototype->result.size : 255);
        fresh.result_string = site->prototype->result.kind == GIB_TYPE_STRING;
    }
    fresh.errno_rule = errno_rule(site->prototype);
    bool active = false, backtrace = false;
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++) {
        if (!site->chain[i].patch)
            continue;
        fill_action(engine, process, &fresh.action[i], &site->chain[i]);
        fresh.actions = (uint8_t)(i + 1);
        active |= (fresh.action[i].flags & GIB_ACTION_ENABLED) != 0;
        backtrace |= site->chain[i].patch->backtrace > 0;
    }
    uint32_t limit = process->shared->string_limit;
    if (engine->settings.string_limit > limit)
        limit = engine->settings.string_limit;
    fresh.lines = record_lines(&fresh, limit, backtrace);
    choose_fast_path(process, site, &fresh);
    *s = fresh;
    /* The agent looks at the flags above as well, so this word only saves time. */
    struct gib_error ignored;
    uint32_t word = active;
    gib_arena_write(engine, process, site->active, &word, sizeof word, &ignored);
}

void gib_log_register(struct gib_engine *engine, const struct gib_site_state *site)
{
    struct gib_log_site *shown = calloc(1, sizeof *shown);
    if (!shown)
        return;
    shown->function = gib_elf_function_name(site->function);
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
    struct gib_thunk_request request = {
        .kind = site->kind,
        .address = at + 16,
        .trampoline = site->trampoline,
        .active = at,
        .enter = process->agent + image->enter,
        .leave = process->agent + image->leave,
        .count = process->agent + image->count,
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
        .thread_pointer = thread_pointer(process, site),
        .hash_slots = process->hash + offsetof(struct gib_hash, slot),
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
    arena->used = ((request.address + size + 15) & ~15ull) - arena->start;
    if (!site->island)
        return gib_detour_make(site->address, site->thunk, site->detour, error);
    site->detour[0] = 0xeb; /* jmp rel8 */
    site->detour[1] = (uint8_t)(site->island - (site->address + 2));
    return gib_detour_make(site->island, site->thunk, site->island_jump, error);
}
