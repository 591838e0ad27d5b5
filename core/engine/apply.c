/*
 * apply.c: puts patches on functions and takes them off.
 *
 * A change is prepared where nobody can run it (thunks in an arena, sites in shared memory), then made by one transaction of a few bytes a
 * function, the detours. Enabling and disabling afterwards only flips words.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the agent's view of a site ---------------------------------------------------------------------- */

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
    uint32_t size = (uint32_t)offsetof(struct gib_record, word) + 8u * (s->words > 3 ? s->words : 3);
    size += s->strings * text;
    size += (s->flags & GIB_SITE_PRINTF) ? 8 + 16 * 8 + 4 * text : 0;
    size += (s->flags & GIB_SITE_OPEN) ? 16 : 0;
    size += backtrace ? sizeof(struct gib_chunk) + GIB_MAX_FRAMES * 8 : 0;
    size += s->result_string ? text : 0;
    size += s->result == GIB_RESULT_RAX_RDX || s->result == GIB_RESULT_X87 ? 16 : 0;
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
        if (prototype->parameters[i].type.kind == GIB_TYPE_STRING && c->parameter[i].count == 1 && s->strings < GIB_MAX_STRINGS)
            s->string[s->strings++] = c->parameter[i].first;
    }
    size_t last = prototype->parameter_count - 1;
    if (prototype->parameter_count && last < c->parameters && c->parameter[last].count) {
        s->last_named = c->parameter[last].first;
        if (prototype->variadic == GIB_VARIADIC_PRINTF && prototype->parameters[last].type.kind == GIB_TYPE_STRING)
            s->flags |= GIB_SITE_PRINTF;
        if (prototype->variadic == GIB_VARIADIC_OPEN)
            s->flags |= GIB_SITE_OPEN;
    }
}

static uint16_t module_ranges(struct gib_process *process, const char *wanted, uint16_t *first);

static void fill_action(struct gib_engine *engine, struct gib_process *process, struct gib_action *a, const struct gib_chain_link *link)
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
    struct gib_location location;
    char *glob = gib_format("%s!x", wanted);
    if (!glob || gib_location_parse(glob, &location, NULL)) {
        free(glob);
        return 0;
    }
    free(glob);
    for (size_t i = 0; i < gib_modules_count(process->modules); i++) {
        struct gib_module *module = gib_modules_get(process->modules, i);
        extern int fnmatch(const char *, const char *, int);
        if (module->gone || (fnmatch(wanted, module->name, 0) && strcmp(wanted, module->path)) || process->ranges == GIB_MAX_RANGES)
            continue;
        shared->range[process->ranges++] = (struct gib_range){module->start, module->end};
        count++;
    }
    gib_location_free(&location);
    shared->range_count = process->ranges;
    return count;
}

/* Writes what the agent does at this site; its detour may be live: the count of actions is written last. */
static void publish_site(struct gib_engine *engine, struct gib_process *process, struct gib_site_state *site)
{
    struct gib_site *s = shared_site(process, site->index), fresh;
    memset(&fresh, 0, sizeof fresh);
    fresh.index = site->index;
    fresh.flags = site->kind == GIB_THUNK_ENTRY_ONLY ? GIB_SITE_ENTRY_ONLY : 0;
    fresh.stack_copy = site->convention.stack_copy;
    fresh.result = site->convention.result;
    fill_arguments(&fresh, site);
    if (site->prototype) {
        fresh.result_size = (uint8_t)(site->prototype->result.size < 255 ? site->prototype->result.size : 255);
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
    fresh.lines = record_lines(&fresh, engine->settings.string_limit > process->shared->string_limit ? engine->settings.string_limit : process->shared->string_limit, backtrace);
    *s = fresh;
    for (uint32_t i = 0; i < process->arena_count; i++) {
        struct gib_arena *a = &process->arena[i];
        if (site->active >= a->start && site->active < a->start + GIB_ARENA_SIZE)
            __atomic_store_n((uint32_t *)gib_arena_memory(process, a, site->active), active, __ATOMIC_RELEASE);
    }
}

void gib_log_register(struct gib_engine *engine, const struct gib_site_state *site)
{
    struct gib_log_site *shown = calloc(1, sizeof *shown);
    if (!shown)
        return;
    shown->function = gib_elf_demangle(site->function);
    /* A demangled name brings its parameter list along; the arguments follow anyway. */
    char *list = shown->function ? strchr(shown->function, '(') : NULL;
    if (list && list > shown->function && strncmp(shown->function, "(anonymous", 10) && strcmp(shown->function, site->function))
        *list = '\0';
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

/* ---- thunks --------------------------------------------------------------------------------------------- */

/* One patch that only counts, with no filter, needs no frame. */
static enum gib_thunk_kind choose_kind(const struct gib_site_state *site)
{
    size_t used = 0;
    const struct gib_chain_link *only = NULL;
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++) {
        if (site->chain[i].patch) {
            only = &site->chain[i];
            used++;
        }
    }
    const struct gib_patch *p = only ? only->patch : NULL;
    if (used == 1 && p->count_only && !p->after && !p->every && !p->times && !p->temporary && !p->thread && !p->from)
        return GIB_THUNK_COUNT;
    return gib_is_entry_only(site->function) ? GIB_THUNK_ENTRY_ONLY : GIB_THUNK_CALL_THROUGH;
}

/*
 * An arena slot:   active word (16) | thunk | trampoline
 * A new thunk for the same site (another kind) goes to a new slot with the word of its own; the trampoline stays.
 */
static int make_thunk(struct gib_engine *engine, struct gib_process *process, struct gib_site_state *site, const struct gib_relocation *copy,
                      const uint8_t *function, size_t function_size, struct gib_error *error)
{
    struct gib_arena *arena;
    int failed = gib_arena_near(engine, process, site->module, 16 + GIB_THUNK_MAX + sizeof copy->code + 64, &arena, error);
    if (failed)
        return failed;
    uint64_t at = (arena->start + arena->used + 15) & ~15ull;
    if (!site->trampoline) {
        struct gib_relocation placed;
        struct gib_relocation_request request = {GIB_ARCH_X86_64, function, function_size, site->address, at, GIB_DETOUR_SIZE};
        if ((failed = gib_relocate(&request, &placed, error)))
            return failed;
        site->boundaries = placed.boundaries;
        memcpy(site->boundary, placed.boundary, sizeof site->boundary);
        memcpy(gib_arena_memory(process, arena, at), placed.code, placed.size);
        site->trampoline = at;
        at = (at + placed.size + 15) & ~15ull;
    }
    const struct gib_agent_image *image = (const struct gib_agent_image *)gib_arena_memory(process, &process->arena[0], process->agent);
    struct gib_shared *shared = process->shared;
    const struct gib_chain_link *first = NULL;
    for (size_t i = 0; i < GIB_MAX_ACTIONS && !first; i++)
        first = site->chain[i].patch ? &site->chain[i] : NULL;
    bool early = site->module->interpreter || !process->modules || shared->thread_pointer != GIB_POINTER_FS0;
    struct gib_thunk_request request = {
        .kind = site->kind,
        .address = at + 16,
        .trampoline = site->trampoline,
        .active = at,
        .enter = process->agent + image->enter,
        .leave = process->agent + image->leave,
        .count = process->agent + image->count,
        .site = process->data + shared->sites + sizeof(struct gib_site) * (uint64_t)site->index,
        .shared = process->data,
        .stack_copy = site->convention.stack_copy,
        .reads_xmm = site->convention.reads_xmm,
        .result_xmm = site->convention.result == GIB_RESULT_XMM0,
        .result_x87 = site->convention.result == GIB_RESULT_X87,
        .thread_pointer = early && shared->thread_pointer == GIB_POINTER_FS0 ? GIB_POINTER_SYSCALL : shared->thread_pointer,
        .hash_slots = process->hash + offsetof(struct gib_hash, slot),
        .counter = first ? first->counter : 0,
        .counter_offset = (uint32_t)(shared->counters_offset + 8ull * (first ? first->counter : 0)),
    };
    uint8_t code[GIB_THUNK_MAX];
    size_t size;
    if ((failed = gib_thunk_make(&request, code, &size, error)))
        return failed;
    memcpy(gib_arena_memory(process, arena, request.address), code, size);
    *(uint32_t *)gib_arena_memory(process, arena, at) = 0;
    site->active = at;
    site->thunk = request.address;
    arena->used = ((request.address + size + 15) & ~15ull) - arena->start;
    return gib_detour_make(site->address, site->thunk, site->detour, error);
}

/* ---- threads and breakpoints in the way ------------------------------------------------------------------- */

static int check_breakpoints(struct gib_engine *engine, const struct gib_site_state *site, struct gib_error *error)
{
    struct gib_target_breakpoint breakpoint[256];
    size_t count = engine->ops.breakpoints(engine->context, breakpoint, 256);
    for (size_t i = 0; i < count && i < 256; i++) {
        uint64_t address = breakpoint[i].address;
        if (address > site->address && address < site->address + site->consumed)
            return gib_fail(error, GIB_E_BUSY, address,
                            "Breakpoint %d is at 0x%" PRIx64 ", inside the first %u bytes of %.60s, which a patch replaces; delete it, or set it on *0x%" PRIx64 ".",
                            breakpoint[i].number, address, (unsigned)(site->address - site->entry + site->consumed), site->function, site->entry);
    }
    return 0;
}

/* A return address inside the window: the thread would come back into the middle of the detour. */
static int check_stacks(struct gib_engine *engine, const struct gib_site_state *site, const struct gib_target_thread *threads, size_t count, struct gib_error *error)
{
    enum { DEPTH = 256 << 10, STEP = 4096 };
    uint64_t words[STEP / 8];
    for (size_t i = 0; site->has_call && i < count; i++) {
        uint64_t at = threads[i].sp & ~7ull, limit = at + DEPTH;
        while (at < limit) {
            size_t size = STEP - (at & (STEP - 1));
            if (engine->ops.read(engine->context, at, words, size))
                break;
            for (size_t k = 0; k < size / 8; k++)
                if (words[k] > site->address && words[k] < site->address + site->consumed)
                    return gib_fail(error, GIB_E_BUSY, words[k],
                                    "Thread %d is inside a call made by the first instructions of %.60s; it must return to them first. Try again later.",
                                    threads[i].tid, site->function);
            at += size;
        }
    }
    return 0;
}

/* Where a thread stopped inside the window goes on: at the copy of its instruction. 0: it is not inside. */
static uint64_t moved_pc(const struct gib_site_state *site, uint64_t pc)
{
    if (pc <= site->address || pc >= site->address + site->consumed)
        return 0;
    for (size_t i = 0; i < site->boundaries; i++)
        if (site->boundary[i].original == pc - site->address)
            return site->trampoline + site->boundary[i].copy;
    return UINT64_MAX;
}

static int check_threads(struct gib_engine *engine, const struct gib_site_state *site, const struct gib_target_thread *threads, size_t count, struct gib_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (threads[i].pc > site->address && threads[i].pc < site->address + site->consumed) {
            bool known = false;
            for (size_t k = 0; k < site->boundaries; k++)
                known |= site->boundary[k].original == threads[i].pc - site->address;
            if (!known)
                return gib_fail(error, GIB_E_BUSY, threads[i].pc, "Thread %d is stopped in the padding at 0x%" PRIx64 " that a patch of %.60s replaces.",
                                threads[i].tid, threads[i].pc, site->function);
        }
    }
    return check_stacks(engine, site, threads, count, error);
}

/* ---- applying --------------------------------------------------------------------------------------------- */

static struct gib_site_state *site_at(struct gib_process *process, uint64_t entry)
{
    for (uint32_t i = 0; i < process->site_count; i++)
        if (process->site[i]->entry == entry && !process->site[i]->module->gone)
            return process->site[i];
    return NULL;
}

static bool add_site(struct gib_process *process, struct gib_site_state *site)
{
    if (process->site_count >= GIB_MAX_SITES)
        return false;
    if ((process->site_count & (process->site_count - 1)) == 0) {
        struct gib_site_state **grown = realloc(process->site, (process->site_count ? process->site_count * 2 : 1) * sizeof *grown);
        if (!grown)
            return false;
        process->site = grown;
    }
    site->index = process->site_count;
    process->site[process->site_count++] = site;
    return true;
}

/* One site to change: the state it had, to go back to. */
struct pending_site {
    struct gib_site_state *site;
    struct gib_site_state before;
    int place; /* of the patch in the chain */
};

static int link_patch(struct gib_process *process, struct gib_site_state *site, struct gib_patch *patch, struct gib_error *error)
{
    for (int i = 0; i < GIB_MAX_ACTIONS; i++) {
        if (site->chain[i].patch == patch)
            return -1; /* already there */
    }
    if (process->counters + 2 > GIB_MAX_COUNTERS)
        return -(int)gib_fail(error, GIB_E_SPACE, site->entry, "This process has no room for more counters; run it again.");
    for (int i = 0; i < GIB_MAX_ACTIONS; i++) {
        if (!site->chain[i].patch) {
            site->chain[i] = (struct gib_chain_link){patch, process->counters};
            process->counters += 2;
            return i;
        }
    }
    return -(int)gib_fail(error, GIB_E_SPACE, site->entry, "%.60s has %d patches already, as many as one function can have.", site->function, GIB_MAX_ACTIONS);
}

/* The bytes of the function once more, for the copy at its final place. */
static int read_again(struct gib_engine *engine, struct gib_process *process, struct gib_site_state *site, const struct gib_found *found,
                      const struct gib_patch *patch, struct gib_error *error)
{
    struct gib_arena *arena;
    int failed = gib_arena_near(engine, process, site->module, 2048, &arena, error);
    if (failed)
        return failed;
    uint64_t at = (arena->start + arena->used + 15) & ~15ull;
    struct gib_site_state *planned;
    struct gib_relocation copy;
    if ((failed = gib_site_plan(engine, process, found, patch, &planned, &copy, at, error)))
        return failed;
    memcpy(gib_arena_memory(process, arena, at), copy.code, copy.size);
    arena->used = ((at + copy.size + 15) & ~15ull) - arena->start;
    site->trampoline = at;
    site->boundaries = planned->boundaries;
    memcpy(site->boundary, planned->boundary, sizeof site->boundary);
    gib_site_free(planned);
    return 0;
}

/* Prepares one site; nothing in the target's own memory changes. */
static int prepare(struct gib_engine *engine, struct gib_process *process, struct gib_patch *patch, const struct gib_found *found,
                   const struct gib_target_thread *threads, size_t thread_count, struct pending_site *out, struct gib_error *error)
{
    struct gib_site_state *site = site_at(process, found->address);
    int failed = 0;
    bool fresh = !site;
    if (fresh) {
        struct gib_relocation copy;
        if ((failed = gib_site_plan(engine, process, found, patch, &site, &copy, 0, error)))
            return failed;
        if ((failed = read_again(engine, process, site, found, patch, error)) || (failed = check_breakpoints(engine, site, error)) ||
            (failed = check_threads(engine, site, threads, thread_count, error))) {
            gib_site_free(site);
            return failed;
        }
        if (!add_site(process, site)) {
            gib_site_free(site);
            return gib_fail(error, GIB_E_SPACE, found->address, "No room for more than %d patched functions.", GIB_MAX_SITES);
        }
    } else if (!site->installed && ((failed = check_breakpoints(engine, site, error)) || (failed = check_threads(engine, site, threads, thread_count, error)))) {
        return failed;
    }
    out->site = site;
    out->before = *site;
    out->place = link_patch(process, site, patch, error);
    if (out->place < 0)
        return out->place == -1 ? -1 : -out->place;
    if (patch->prototype && !fresh)
        gib_site_choose_prototype(engine, site, patch);
    site->kind = choose_kind(site);
    if (!site->thunk || site->kind != out->before.kind || fresh || (patch->prototype && !fresh))
        failed = make_thunk(engine, process, site, NULL, NULL, 0, error);
    if (failed)
        site->chain[out->place] = (struct gib_chain_link){NULL, 0};
    return failed;
}

static void restore_pending(struct pending_site *p)
{
    struct gib_site_state *site = p->site;
    site->chain[p->place] = (struct gib_chain_link){NULL, 0};
    site->kind = p->before.kind;
    site->thunk = p->before.thunk;
    site->active = p->before.active;
    memcpy(site->detour, p->before.detour, sizeof site->detour);
}

static int commit(struct gib_engine *engine, struct gib_process *process, struct pending_site *pending, size_t count, const struct gib_target_thread *threads,
                  size_t thread_count, struct gib_error *error)
{
    struct gib_write_plan *writes = calloc(count ? count : 1, sizeof *writes);
    if (!writes)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct gib_site_state *site = pending[i].site;
        publish_site(engine, process, site);
        gib_log_register(engine, site);
        const uint8_t *now = site->installed ? pending[i].before.detour : site->original;
        if (site->installed && !memcmp(now, site->detour, GIB_DETOUR_SIZE))
            continue;
        struct gib_write_plan *w = &writes[n++];
        w->address = site->address;
        w->size = GIB_DETOUR_SIZE;
        memcpy(w->expected, now, GIB_DETOUR_SIZE);
        memcpy(w->bytes, site->detour, GIB_DETOUR_SIZE);
    }
    int failed = gib_transaction(engine, writes, n, error);
    free(writes);
    if (failed)
        return failed;
    for (size_t i = 0; i < count; i++) {
        struct gib_site_state *site = pending[i].site;
        for (size_t k = 0; !site->installed && k < thread_count; k++) {
            uint64_t pc = moved_pc(site, threads[k].pc);
            if (pc && pc != UINT64_MAX)
                engine->ops.set_pc(engine->context, threads[k].tid, pc);
        }
        site->installed = true;
    }
    return 0;
}

int gib_patch_apply(struct gib_engine *engine, struct gib_patch *patch, const struct gib_found_list *found, bool strict, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    struct gib_target_thread *threads = NULL;
    size_t thread_count = 0, ready = 0;
    int failed = gib_install(engine, process, error);
    if (!failed)
        failed = gib_target_threads(engine, &threads, &thread_count, error);
    struct pending_site *pending = failed ? NULL : calloc(found->count ? found->count : 1, sizeof *pending);
    if (!pending) {
        free(threads);
        return failed ? failed : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    }
    if (!patch->state) {
        patch->state = ++process->patches;
        process->shared->patch[patch->state] = (struct gib_patch_state){0, 0, patch->after, patch->every, patch->temporary ? 1 : patch->times};
    }
    gib_update_agent(engine, process);
    for (size_t i = 0; i < found->count && !(failed && strict); i++) {
        struct gib_error why = {0};
        if (found->item[i].resolver) {
            failed = gib_watch_resolver(engine, process, found->item[i].resolver, found->item[i].module);
            continue;
        }
        int result = prepare(engine, process, patch, &found->item[i], threads, thread_count, &pending[ready], &why);
        if (result == 0) {
            ready++;
        } else if (result > 0) {
            failed = result;
            if (patch->refused++ == 0)
                patch->trouble = why;
            if (error)
                *error = why;
        }
    }
    if (strict && failed) {
        for (size_t i = 0; i < ready; i++)
            restore_pending(&pending[i]);
    } else {
        failed = commit(engine, process, pending, ready, threads, thread_count, error);
        for (size_t i = 0; i < ready && failed; i++) {
            restore_pending(&pending[i]);
            publish_site(engine, process, pending[i].site);
            gib_log_register(engine, pending[i].site);
        }
    }
    free(pending);
    free(threads);
    return failed;
}

/* ---- taking off --------------------------------------------------------------------------------------------- */

static bool has_patch(const struct gib_site_state *site)
{
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++)
        if (site->chain[i].patch)
            return true;
    return false;
}

/* Restores the entries of all sites for which `wanted` says so, in one transaction. */
static int restore_sites(struct gib_engine *engine, bool all, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    struct gib_write_plan *writes = calloc(process->site_count ? process->site_count : 1, sizeof *writes);
    if (!writes)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    size_t n = 0;
    for (uint32_t i = 0; i < process->site_count; i++) {
        struct gib_site_state *site = process->site[i];
        if (!site->installed || site->module->gone || (!all && has_patch(site)))
            continue;
        struct gib_write_plan *w = &writes[n++];
        w->address = site->address;
        w->size = GIB_DETOUR_SIZE;
        memcpy(w->expected, site->detour, GIB_DETOUR_SIZE);
        memcpy(w->bytes, site->original, GIB_DETOUR_SIZE);
    }
    int failed = gib_transaction(engine, writes, n, error);
    free(writes);
    for (uint32_t i = 0; i < process->site_count && !failed; i++)
        if (all || !has_patch(process->site[i]))
            process->site[i]->installed = false;
    return failed;
}

int gib_restore_all(struct gib_engine *engine, struct gib_error *error)
{
    return engine->process && engine->process->installed ? restore_sites(engine, true, error) : 0;
}

int gib_patch_remove(struct gib_engine *engine, struct gib_patch *patch, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    if (!process || !process->installed)
        return 0;
    struct gib_chain_link *removed = calloc(process->site_count ? process->site_count : 1, sizeof *removed);
    int *place = calloc(process->site_count ? process->site_count : 1, sizeof *place);
    if (!removed || !place) {
        free(removed);
        free(place);
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    }
    for (uint32_t i = 0; i < process->site_count; i++) {
        place[i] = -1;
        for (int k = 0; k < GIB_MAX_ACTIONS; k++) {
            if (process->site[i]->chain[k].patch == patch) {
                removed[i] = process->site[i]->chain[k];
                place[i] = k;
                process->site[i]->chain[k].patch = NULL;
            }
        }
    }
    int failed = restore_sites(engine, false, error);
    for (uint32_t i = 0; i < process->site_count; i++) {
        if (place[i] < 0)
            continue;
        if (failed)
            process->site[i]->chain[place[i]] = removed[i];
        else
            publish_site(engine, process, process->site[i]);
    }
    free(removed);
    free(place);
    return failed;
}

void gib_patch_update(struct gib_engine *engine, struct gib_patch *patch)
{
    struct gib_process *process = engine->process;
    if (!process || !process->installed)
        return;
    for (uint32_t i = 0; i < process->site_count; i++)
        for (size_t k = 0; k < GIB_MAX_ACTIONS; k++)
            if (process->site[i]->chain[k].patch == patch) {
                publish_site(engine, process, process->site[i]);
                gib_log_register(engine, process->site[i]);
            }
}
