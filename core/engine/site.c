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
    for (size_t l = 0; l < site->layers; l++)
        for (size_t i = 0; i < GIB_MAX_ACTIONS; i++)
            if (site->layer[l]->chain[i].patch)
                return true;
    return site->internal;
}

struct gib_chain_link *gib_site_link_of(const struct gib_site_state *site,
                                        const struct gib_patch *patch, struct gib_layer **layer)
{
    for (size_t l = 0; l < site->layers; l++) {
        for (size_t i = 0; i < GIB_MAX_ACTIONS; i++) {
            if (site->layer[l]->chain[i].patch != patch)
                continue;
            if (layer)
                *layer = site->layer[l];
            return &site->layer[l]->chain[i];
        }
    }
    return NULL;
}

/* ---- the agent's view of a site ---- */

static struct gib_site *shared_site(struct gib_process *process, uint32_t index)
{
    return (struct gib_site *)((char *)process->shared + process->shared->sites) + index;
}

static uint16_t module_ranges(struct gib_process *process, const char *wanted, uint16_t *first);

static void fill_condition(struct gib_action *a, const struct gib_layer *layer,
                           const struct gib_chain_link *link)
{
    unsigned uses = gib_condition_uses(link->condition);
    if (link->condition == layer->decided) /* when the agent is asked, it is true */
        return;
    a->condition = link->code;
    a->flags |= uses & GIB_CONDITION_RETURN ? GIB_ACTION_ON_RETURN : GIB_ACTION_CONDITION;
    a->flags |= uses & GIB_CONDITION_ERRNO ? GIB_ACTION_ERRNO : 0;
    a->flags |= uses & GIB_CONDITION_CALLS ? GIB_ACTION_NUMBERED : 0;
}

static void fill_action(struct gib_process *process, struct gib_action *a,
                        const struct gib_layer *layer, const struct gib_chain_link *link)
{
    const struct gib_patch *patch = link->patch;
    enum gib_thunk_kind kind = layer->kind;
    memset(a, 0, sizeof *a);
    a->counter = link->counter;
    if (!patch)
        return;
    a->patch = patch->state;
    bool blind = patch->type == GIB_PATCH_MARK && kind != GIB_THUNK_CALL_THROUGH;
    a->flags = patch->enabled && !patch->spent && !blind ? GIB_ACTION_ENABLED : 0;
    bool stops = patch->type == GIB_PATCH_STOP || patch->type == GIB_PATCH_MARK;
    bool records = patch->type != GIB_PATCH_REPLACE && !stops;
    bool diverts = patch->type != GIB_PATCH_WRAP && !stops;
    a->flags |= records && !patch->count_only ? GIB_ACTION_RECORD : 0;
    a->flags |= diverts ? GIB_ACTION_DIVERT : 0;
    if (link->condition)
        fill_condition(a, layer, link);
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
    if (patch->during || patch->type == GIB_PATCH_MARK) {
        const struct gib_patch *mark = patch->during ? patch->during : patch;
        a->flags |= patch->during ? GIB_ACTION_DURING : 0;
        a->mark = mark->mark;
        a->serial = mark->serial;
    }
    if (patch->from) {
        a->flags |= GIB_ACTION_FROM;
        a->from_count = module_ranges(process, patch->from, &a->from);
    }
}

static int by_start(const void *a, const void *b)
{
    const struct gib_range *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* The module without its PLTs: a jump through one of them is not made by its code. At most
 * MODULE_RANGES of them. */
enum { MODULE_RANGES = 6 };
static size_t code_ranges(const struct gib_module *module, struct gib_range *out)
{
    static const char *const names[] = {".plt", ".plt.got", ".plt.sec", ".iplt"};
    struct gib_range plt[MODULE_RANGES];
    size_t plts = 0, count = 0;
    for (size_t i = 0; module->elf && i < sizeof names / sizeof *names; i++) {
        struct gib_range *p = &plt[plts];
        uint64_t size;
        if (!gib_elf_section(module->elf, names[i], &p->start, &size))
            continue;
        p->start += module->bias;
        p->end = p->start + size;
        plts += p->start >= module->start && p->end <= module->end && p->start < p->end;
    }
    qsort(plt, plts, sizeof *plt, by_start);
    uint64_t start = module->start;
    for (size_t i = 0; i < plts; i++) {
        if (plt[i].start > start)
            out[count++] = (struct gib_range){start, plt[i].start};
        start = plt[i].end > start ? plt[i].end : start;
    }
    if (module->end > start)
        out[count++] = (struct gib_range){start, module->end};
    return count;
}

/* The ranges of the modules that a -from means now. The table only grows, since the agent may be
 * reading it: ranges that stand there already are used again. */
static uint16_t module_ranges(struct gib_process *process, const char *wanted, uint16_t *first)
{
    struct gib_shared *shared = process->shared;
    size_t count = 0, room = gib_modules_count(process->modules);
    struct gib_range *range = calloc(room ? MODULE_RANGES * room : 1, sizeof *range);
    gib_modules_lock(process->modules);
    for (size_t i = 0; range && i < room; i++) {
        struct gib_module *module = gib_modules_get(process->modules, i);
        if (!module->gone && gib_module_matches(module, wanted))
            count += code_ranges(module, range + count);
    }
    gib_modules_unlock(process->modules);
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
    process->shared->epoch++;
    for (uint32_t i = 0; i < process->site_count; i++) {
        const struct gib_site_state *site = process->site[i];
        bool from = false;
        for (size_t k = 0; k < site->layers * GIB_MAX_ACTIONS; k++) {
            const struct gib_patch *patch =
                site->layer[k / GIB_MAX_ACTIONS]->chain[k % GIB_MAX_ACTIONS].patch;
            from |= patch && patch->from;
        }
        if (from)
            gib_site_publish(engine, process, process->site[i]);
    }
}

/* Functions of ld.so run before it has set up thread-local storage. */
static uint32_t thread_pointer(const struct gib_process *process, const struct gib_site_state *site)
{
    return site->module->interpreter ? process->early_pointer : process->thread_pointer;
}

/* Where the result is; of an unknown one, wherever it could be. */
static uint8_t result_registers(const struct gib_type *type)
{
    if (!type || (type->kind == GIB_TYPE_RECORD && !type->known_layout))
        return GIB_IN_RAX | GIB_IN_RDX | GIB_IN_XMM0 | GIB_IN_XMM1;
    uint8_t used = 0;
    for (int i = 0; i < 2; i++) {
        enum gib_abi_class class = type->eightbyte[i];
        if (class == GIB_CLASS_INTEGER)
            used |= used & GIB_IN_RAX ? GIB_IN_RDX : GIB_IN_RAX;
        else if (class == GIB_CLASS_SSE)
            used |= used & GIB_IN_XMM0 ? GIB_IN_XMM1 : GIB_IN_XMM0;
        else if (class == GIB_CLASS_MEMORY)
            used |= GIB_IN_RAX;
    }
    return used;
}

static bool has_handler(const struct gib_layer *layer)
{
    return layer->chain[0].patch && layer->chain[0].patch->type == GIB_PATCH_HANDLER;
}

/* Whether calls that another function answers must leave the caller's registers alone. A result in
 * a wide vector register cannot be told from them. */
static bool preserves(const struct gib_site_state *site, const struct gib_layer *layer)
{
    const struct gib_type *result = site->prototype ? &site->prototype->result : NULL;
    return layer->chain[0].patch &&
           (layer->chain[0].patch->type == GIB_PATCH_REPLACE || has_handler(layer)) &&
           site->private_callers && !(result && result->kind == GIB_TYPE_VECTOR) &&
           !gib_site_entry_only(site);
}

/* What a record of this layer holds. It stays as it is as long as the layer exists. */
static void fill_shape(const struct gib_process *process, const struct gib_site_state *site,
                       const struct gib_layer *layer, struct gib_site *s)
{
    memset(s, 0, sizeof *s);
    s->index = layer->index;
    s->entry = site->entry;
    if (site->call_target || site->call_pointer) {
        s->call_return = site->address + site->consumed;
        s->call_target = site->call_target;
        s->call_pointer = site->call_pointer;
    }
    s->thread_pointer = (uint8_t)thread_pointer(process, site);
    gib_shape_function(s, site->prototype, &site->convention);
    s->flags |= layer->kind == GIB_THUNK_ENTRY_ONLY ? GIB_SITE_ENTRY_ONLY : 0;
    s->flags |= preserves(site, layer) ? GIB_SITE_PRESERVE : 0;
    /* A mock that leaves errno alone has not failed for the reason that stands there. */
    const struct gib_patch *patch = layer->chain[0].patch;
    if (patch && patch->type == GIB_PATCH_MOCK && !patch->error_number)
        s->errno_rule = GIB_ERRNO_NO;
    s->flags |= has_handler(layer) ? GIB_SITE_HANDLER : 0;
    s->flags |= layer->keeps_entry ? GIB_SITE_ON_RETURN : 0;
    s->flags |= layer->rank ? GIB_SITE_STOP : 0;
}

static bool is_active(const struct gib_layer *layer)
{
    const struct gib_patch *patch = layer->chain[0].patch;
    return patch && patch->enabled && !patch->spent;
}

/* Below another layer the caller is not who called the thunk; but a thunk that stops makes no frame
 * that lasts. */
static bool is_called_first(const struct gib_site_state *site, const struct gib_layer *layer)
{
    size_t top = site->layers - 1;
    while (top && site->layer[top]->kind == GIB_THUNK_STOP)
        top--;
    return site->layer[top] == layer;
}

/* Its detour may be live: the count of actions is written last. */
static bool publish_layer(struct gib_engine *engine, struct gib_process *process,
                          struct gib_site_state *site, struct gib_layer *layer)
{
    struct gib_site *s = shared_site(process, layer->index), fresh;
    struct gib_error ignored;
    if (layer->kind == GIB_THUNK_JUMP) {
        uint64_t to = is_active(layer) ? layer->callee : layer->next;
        return gib_arena_write_word(engine, process, layer->active, &to, sizeof to, &ignored) == 0;
    }
    fill_shape(process, site, layer, &fresh);
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++) {
        /* A deleted one keeps its counter: a thread may be between its look at the flags and the
         * counting. */
        fill_action(process, &fresh.action[i], layer, &layer->chain[i]);
        if (layer->chain[i].patch)
            fresh.actions = (uint8_t)(i + 1);
    }
    uint32_t limit = process->shared->string_limit;
    if (engine->settings.string_limit > limit)
        limit = engine->settings.string_limit;
    fresh.lines = gib_shape_lines(&fresh, limit);
    uint32_t gate = gib_site_gate(&fresh, process->shared);
    if (gate == GIB_GATE_FAST && !is_called_first(site, layer))
        gate = GIB_GATE_GENERAL;
    *s = fresh;
    process->shared->site_count = process->layer_count;
    return gib_arena_write_word(engine, process, layer->active, &gate, sizeof gate, &ignored) == 0;
}

bool gib_site_publish(struct gib_engine *engine, struct gib_process *process,
                      struct gib_site_state *site)
{
    bool all = true;
    for (size_t i = 0; i < site->layers; i++)
        all &= publish_layer(engine, process, site, site->layer[i]);
    return all;
}

static void register_layer(struct gib_engine *engine, const struct gib_site_state *site,
                           const struct gib_layer *layer)
{
    struct gib_log_site *shown = calloc(1, sizeof *shown);
    if (!shown)
        return;
    shown->function = gib_elf_function_name(site->symbol);
    shown->module = strdup(site->module ? site->module->name : "");
    shown->prototype = site->prototype ? gib_prototype_copy(site->prototype) : NULL;
    shown->convention = site->convention;
    shown->mocked = layer->chain[0].patch && layer->chain[0].patch->type == GIB_PATCH_MOCK;
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++) {
        shown->action[i].patch = layer->chain[i].patch ? layer->chain[i].patch->number : 0;
        shown->action[i].quiet = layer->chain[i].patch && layer->chain[i].patch->quiet;
    }
    if (shown->function && shown->module)
        gib_log_set_site(engine->log, layer->index, shown);
}

void gib_log_register(struct gib_engine *engine, const struct gib_site_state *site)
{
    for (size_t i = 0; i < site->layers; i++)
        register_layer(engine, site, site->layer[i]);
}

/* ---- thunks ---- */

/* What only the agent can decide. */
static bool has_filters(const struct gib_layer *layer, const struct gib_patch *p)
{
    if (p->condition && !gib_layer_decides(layer))
        return true;
    return p->after || p->every || p->times || p->temporary || p->thread || p->from || p->during;
}

enum gib_thunk_kind gib_layer_kind(const struct gib_site_state *site, const struct gib_layer *layer)
{
    const struct gib_patch *only = NULL;
    size_t used = 0;
    if (site->internal)
        return layer->kind;
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++) {
        if (layer->chain[i].patch) {
            only = layer->chain[i].patch;
            used++;
        }
    }
    if (used && only->type == GIB_PATCH_HOOK)
        return GIB_THUNK_BEFORE;
    if (used && only->type == GIB_PATCH_MARK)
        return GIB_THUNK_CALL_THROUGH;
    if (layer->rank == GIB_LAYER_STOPS_CALLS)
        return GIB_THUNK_STOP;
    bool plain = used == 1 && !has_filters(layer, only);
    if (used && only->type == GIB_PATCH_REPLACE)
        return !plain || (only->condition && !only->count_only) || preserves(site, layer)
                   ? GIB_THUNK_DIVERT
               : only->count_only ? GIB_THUNK_COUNT
                                  : GIB_THUNK_JUMP;
    bool handler = used && only->type == GIB_PATCH_HANDLER;
    /* One patch that only counts needs no frame. A handler must not run on each thread. */
    if (plain && only->count_only && !handler)
        return GIB_THUNK_COUNT;
    if (used && (only->type == GIB_PATCH_MOCK || handler))
        return only->count_only ? GIB_THUNK_DIVERT : GIB_THUNK_CALL_THROUGH;
    return gib_site_entry_only(site) ? GIB_THUNK_ENTRY_ONLY : GIB_THUNK_CALL_THROUGH;
}

/*
 *  | active, 4 or 8 bytes of 16 | thunk ... |      what is below it is elsewhere in the arena
 *
 * A new thunk for the same layer (another kind) gets a word of its own.
 */
int gib_layer_thunk(struct gib_engine *engine, struct gib_process *process,
                    struct gib_site_state *site, struct gib_layer *layer, struct gib_error *error)
{
    struct gib_arena *arena;
    int failed = gib_arena_near(engine, process, site->module,
                                16 + GIB_UNDO_MAX + GIB_THUNK_MAX + 64, &arena, error);
    if (failed)
        return failed;
    uint64_t at = (arena->start + arena->used + 15) & ~15ull;
    const struct gib_agent_image *image = (const struct gib_agent_image *)gib_agent_image_start;
    struct gib_shared *shared = process->shared;
    const struct gib_chain_link *first = NULL;
    for (size_t i = 0; i < GIB_MAX_ACTIONS && !first; i++)
        first = layer->chain[i].patch ? &layer->chain[i] : NULL;
    bool marks = first && first->patch->type == GIB_PATCH_MARK;
    bool returns = layer->rank == GIB_LAYER_STOPS_RETURNS;
    struct gib_site shape;
    fill_shape(process, site, layer, &shape);
    struct gib_thunk_request request = {
        .kind = layer->kind,
        .address = at + 16 + site->undo.size,
        .trampoline = layer->next,
        .callee = layer->callee ? layer->callee : layer->next,
        .active = at,
        .enter = process->agent + (marks ? image->mark_enter : image->enter),
        .leave = process->agent + (marks ? image->mark_leave : image->leave),
        .count = process->agent + image->count,
        .texts = process->agent + image->texts,
        .find_fde = process->agent +
                    (layer->kind == GIB_THUNK_FIND_OBJECT ? image->find_object : image->find_fde),
        .site = process->data + shared->sites + sizeof(struct gib_site) * (uint64_t)layer->index,
        .shared = process->data,
        .stack_copy = site->convention.stack_copy,
        .reads_xmm = site->convention.reads_xmm,
        .result_xmm = gib_result_in_xmm(site->convention.result),
        .result_xmm1 = site->convention.result == GIB_RESULT_XMM0_XMM1,
        .result_x87 = site->convention.result == GIB_RESULT_X87,
        .keeps_entry = layer->keeps_entry,
        .condition = layer->decided,
        .preserve = preserves(site, layer),
        .preserve_not = result_registers(site->prototype ? &site->prototype->result : NULL),
        .hash = process->hash,
        .stop = process->agent + image->stop_pad,
        .stop_return = returns ? process->agent + image->stop_return_pad : 0,
        .shape = marks || layer->rank ? NULL : &shape,
        .thread_pointer = thread_pointer(process, site),
        .counter = first ? first->counter : 0,
        .counter_offset = (uint32_t)(shared->counters_offset + 8ull * (first ? first->counter : 0)),
    };
    uint8_t code[GIB_THUNK_MAX];
    size_t size;
    if ((failed = gib_thunk_make(&request, code, &size, error)))
        return failed;
    uint64_t inactive = layer->kind == GIB_THUNK_JUMP ? layer->next : GIB_GATE_CLOSED;
    if ((failed = gib_arena_write(engine, process, request.address, code, size, error)) ||
        (failed =
             gib_arena_write(engine, process, at + 16, site->undo.code, site->undo.size, error)) ||
        (failed = gib_arena_write(engine, process, at, &inactive, sizeof inactive, error)))
        return failed;
    layer->active = at;
    layer->thunk = request.address;
    layer->thunk_size = (uint32_t)size;
    gib_code_made(process, site, layer->thunk, size, GIB_MADE_THUNK);
    if (site->undo.size)
        gib_code_made(process, site, at + 16, site->undo.size, GIB_MADE_UNDO);
    arena->used = ((request.address + size + 15) & ~15ull) - arena->start;
    return 0;
}

int gib_site_lead(struct gib_engine *engine, struct gib_process *process,
                  struct gib_site_state *site, struct gib_error *error)
{
    uint64_t from = site->island ? site->island : gib_site_detour(site);
    uint8_t *jump = site->island ? site->island_jump : site->detour;
    if (!site->installed && !site->stub && (site->stub = gib_stub_place(engine, process, from)))
        gib_code_made(process, site, site->stub, GIB_STUB_SIZE, GIB_MADE_STUB);
    if (site->island) {
        site->detour[0] = 0xeb; /* jmp rel8 */
        site->detour[1] = (uint8_t)(site->island - (site->address + 2));
    }
    return gib_detour_make(from, site->stub ? site->stub : gib_site_way_in(site), jump, error);
}

int gib_site_connect(struct gib_engine *engine, struct gib_process *process,
                     const struct gib_site_state *site, struct gib_error *error)
{
    uint8_t code[GIB_STUB_SIZE];
    int failed = 0;
    for (size_t i = 0; i < site->layers && !failed; i++) {
        uint64_t below = i ? site->layer[i - 1]->thunk : site->trampoline;
        if (site->layer[i]->link)
            failed =
                gib_arena_lead(engine, process, site->layer[i]->link, &below, sizeof below, error);
    }
    if (failed || !site->stub)
        return failed;
    failed = gib_detour_make(site->stub, gib_site_way_in(site), code, error);
    return failed ? failed : gib_arena_lead(engine, process, site->stub, code, sizeof code, error);
}
