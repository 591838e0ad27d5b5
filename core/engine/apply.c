/*
 * apply.c: puts patches on functions and takes them off.
 *
 * A change is prepared where nobody can run it (thunks in an arena, sites in shared memory), then
 * made by one transaction of a few bytes a function, the detours. Enabling and disabling afterwards
 * only flips words.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- threads and breakpoints in the way ---- */

static int check_breakpoints(struct gib_engine *engine, const struct gib_site_state *site,
                             struct gib_error *error)
{
    struct gib_target_breakpoint *breakpoint;
    size_t count;
    int failed = gib_target_breakpoints(engine, &breakpoint, &count, error);
    if (failed)
        return failed;
    for (size_t i = 0; i < count && !failed; i++) {
        uint64_t address = breakpoint[i].address;
        if (address > site->address && address < site->address + site->consumed)
            failed = gib_fail(error, GIB_E_BUSY, address,
                              "Breakpoint %d is at 0x%" PRIx64
                              ", inside the first %u bytes of %.60s, which a "
                              "patch replaces; delete it, or set it on *0x%" PRIx64 ".",
                              breakpoint[i].number, address,
                              (unsigned)(site->address - site->entry + site->consumed),
                              site->function, site->entry);
    }
    free(breakpoint);
    return failed;
}

/* All threads, and every word on their stacks that could be an address in a module, sorted. Read
 * once for any number of sites. */
struct stack_word {
    uint64_t word;
    int32_t tid;
};
struct stopped {
    struct gib_target_thread *threads;
    size_t count;
    struct stack_word *words;
    size_t word_count, room;
    uint64_t low, high; /* of all modules */
    int32_t tid;
};

static bool keep_word(uint64_t word, void *context)
{
    struct stopped *s = context;
    if (word < s->low || word >= s->high)
        return true;
    if (s->word_count == s->room) {
        size_t room = s->room ? s->room * 2 : 1024;
        struct stack_word *grown = realloc(s->words, room * sizeof *grown);
        if (!grown)
            return false;
        s->words = grown;
        s->room = room;
    }
    s->words[s->word_count++] = (struct stack_word){word, s->tid};
    return true;
}

static int by_word(const void *a, const void *b)
{
    const struct stack_word *x = a, *y = b;
    return x->word < y->word ? -1 : x->word > y->word;
}

static void forget_stopped(struct stopped *s)
{
    free(s->threads);
    free(s->words);
    memset(s, 0, sizeof *s);
}

static int look_at_threads(struct gib_engine *engine, struct stopped *s, struct gib_error *error)
{
    struct gib_modules *modules = engine->process->modules;
    memset(s, 0, sizeof *s);
    int failed = gib_target_threads(engine, &s->threads, &s->count, error);
    if (failed)
        return failed;
    for (size_t i = 0; i < gib_modules_count(modules); i++) {
        const struct gib_module *module = gib_modules_get(modules, i);
        if (!s->high || module->start < s->low)
            s->low = module->start;
        if (module->end > s->high)
            s->high = module->end;
    }
    for (size_t i = 0; i < s->count; i++) {
        s->tid = s->threads[i].tid;
        gib_scan_stack(engine, s->threads[i].sp, keep_word, s);
    }
    if (s->word_count)
        qsort(s->words, s->word_count, sizeof *s->words, by_word);
    return 0;
}

/* An address inside the window on a stack: a call made there, or a signal that came there. The
 * thread would come back into the middle of the detour. */
static int check_stacks(const struct gib_site_state *site, const struct stopped *s,
                        struct gib_error *error)
{
    size_t low = 0, high = s->word_count; /* the first word behind site->address */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->words[middle].word <= site->address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == s->word_count || s->words[low].word >= site->address + site->consumed)
        return 0;
    return gib_fail(
        error, GIB_E_BUSY, s->words[low].word,
        "Thread %d will come back into the first instructions of %.60s, from a call or a "
        "signal handler; try again when it has.",
        s->words[low].tid, site->function);
}

/* Where a thread stopped inside the window goes on: at the copy of its instruction. 0: it is not
 * inside. */
static uint64_t moved_pc(const struct gib_site_state *site, uint64_t pc)
{
    if (pc <= site->address || pc >= site->address + site->consumed)
        return 0;
    for (size_t i = 0; i < site->boundaries; i++)
        if (site->boundary[i].original == pc - site->address)
            return site->trampoline + site->boundary[i].copy;
    return UINT64_MAX;
}

static int check_threads(const struct gib_site_state *site, const struct stopped *stopped,
                         struct gib_error *error)
{
    for (size_t i = 0; i < stopped->count; i++) {
        const struct gib_target_thread *thread = &stopped->threads[i];
        if (moved_pc(site, thread->pc) == UINT64_MAX)
            return gib_fail(error, GIB_E_BUSY, thread->pc,
                            "Thread %d is stopped in the padding at 0x%" PRIx64
                            " that a patch of %.60s replaces.",
                            thread->tid, thread->pc, site->function);
    }
    return check_stacks(site, stopped, error);
}

/* ---- applying ---- */

/* A site whose patches were all deleted is not taken up again: its calls are still in the log under
 * their numbers. */
static struct gib_site_state *site_at(struct gib_process *process, uint64_t entry)
{
    for (uint32_t i = 0; i < process->site_count; i++)
        if (process->site[i]->entry == entry && !process->site[i]->module->gone &&
            gib_site_in_use(process->site[i]))
            return process->site[i];
    return NULL;
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

static int link_patch(struct gib_process *process, struct gib_site_state *site,
                      struct gib_patch *patch, struct gib_error *error)
{
    for (int i = 0; i < GIB_MAX_ACTIONS; i++) {
        if (site->chain[i].patch == patch)
            return -1; /* already there */
    }
    if (process->counters + 2 > GIB_MAX_COUNTERS)
        return -(int)gib_fail(error, GIB_E_SPACE, site->entry,
                              "This process has no room for more counters; run it again.");
    int place = -1;
    for (int i = GIB_MAX_ACTIONS - 1; i >= 0;
         i--) /* a place that nobody had before, if there is one */
        if (!site->chain[i].patch &&
            (place < 0 || !site->chain[i].counter || site->chain[place].counter))
            place = i;
    if (place >= 0) {
        site->chain[place] = (struct gib_chain_link){patch, process->counters};
        process->counters += 2;
        return place;
    }
    return -(int)gib_fail(error, GIB_E_SPACE, site->entry,
                          "%.60s has %d patches already, as many as one function can have.",
                          site->function, GIB_MAX_ACTIONS);
}

/* A site with its trampoline in an arena, known to the process; nothing in the target's own memory
 * changes. */
static int new_site(struct gib_engine *engine, const struct gib_found *found,
                    const struct gib_patch *patch, const struct stopped *stopped,
                    struct gib_site_state **out, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    struct gib_site_state *site;
    struct gib_relocation copy;
    struct gib_arena *arena;
    if (!found->module)
        return gib_fail(error, GIB_E_FILE, found->address,
                        "%.100s is at 0x%" PRIx64 ", in no file: in the kernel's vDSO, or in code "
                        "made while the program runs; only functions of files can be patched.",
                        found->name, found->address);
    int failed =
        gib_arena_near(engine, process, found->module, sizeof copy.code + 16, &arena, error);
    if (failed)
        return failed;
    uint64_t at = (arena->start + arena->used + 15) & ~15ull;
    if ((failed = gib_site_plan(engine, process, found, patch, &site, &copy, at, error)))
        return failed;
    if ((failed = check_breakpoints(engine, site, error)) ||
        (failed = check_threads(site, stopped, error)) ||
        (failed = gib_arena_write(engine, process, at, copy.code, copy.size, error))) {
        gib_site_free(site);
        return failed;
    }
    if (!add_site(process, site)) {
        gib_site_free(site);
        return gib_fail(error, GIB_E_SPACE, found->address,
                        "No room for more than %d patched functions.", GIB_MAX_SITES);
    }
    site->trampoline = at;
    arena->used = ((at + copy.size + 15) & ~15ull) - arena->start;
    *out = site;
    return 0;
}

/* Prepares one site; nothing in the target's own memory changes. */
static int prepare(struct gib_engine *engine, struct gib_process *process, struct gib_patch *patch,
                   const struct gib_found *found, const struct stopped *stopped,
                   struct pending_site *out, struct gib_error *error)
{
    struct gib_site_state *site = site_at(process, found->address);
    int failed = 0;
    bool fresh = !site;
    if (fresh) {
        failed = new_site(engine, found, patch, stopped, &site, error);
        if (failed)
            return failed;
    } else if (!site->installed && ((failed = check_breakpoints(engine, site, error)) ||
                                    (failed = check_threads(site, stopped, error)))) {
        return failed;
    }
    if (site->internal)
        return gib_fail(
            error, GIB_E_STATE, site->entry,
            "%.60s is patched by Gibbon itself, so that exceptions pass through patched functions.",
            site->function);
    if (!fresh && patch->prototype)
        return gib_fail(error, GIB_E_STATE, site->entry,
                        "%.60s is patched already, with the prototype that was known then; delete "
                        "that patch to "
                        "give another one.",
                        site->function);
    out->site = site;
    out->before = *site;
    out->place = link_patch(process, site, patch, error);
    if (out->place < 0)
        return out->place == -1 ? -1 : -out->place;
    site->kind = gib_site_kind(site);
    if (fresh || site->kind != out->before.kind)
        failed = gib_site_thunk(engine, process, site, error);
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
    memcpy(site->island_jump, p->before.island_jump, sizeof site->island_jump);
}

static void plan_write(struct gib_write_plan *writes, size_t *n, uint64_t address,
                       const uint8_t *expected, const uint8_t *bytes, uint8_t size)
{
    struct gib_write_plan *w = &writes[*n];
    if (!memcmp(expected, bytes, size))
        return;
    w->address = address;
    w->size = size;
    memcpy(w->expected, expected, size);
    memcpy(w->bytes, bytes, size);
    ++*n;
}

static int move_threads(struct gib_engine *engine, const struct gib_site_state *site,
                        const struct stopped *stopped, struct gib_error *error)
{
    for (size_t k = 0; !site->installed && k < stopped->count; k++) {
        uint64_t pc = moved_pc(site, stopped->threads[k].pc);
        if (pc && pc != UINT64_MAX &&
            engine->ops.set_pc(engine->context, stopped->threads[k].tid, pc))
            return gib_fail(error, GIB_E_TARGET, stopped->threads[k].pc,
                            "Thread %d is inside the first instructions of %.60s and could not be "
                            "moved to their copy.",
                            stopped->threads[k].tid, site->function);
    }
    return 0;
}

static int commit(struct gib_engine *engine, struct gib_process *process,
                  struct pending_site *pending, size_t count, const struct stopped *stopped,
                  struct gib_error *error)
{
    struct gib_write_plan *writes = calloc(2 * count + 1, sizeof *writes);
    if (!writes)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct gib_site_state *site = pending[i].site, *before = &pending[i].before;
        gib_site_publish(engine, process, site);
        gib_log_register(engine, site);
        plan_write(writes, &n, site->address, site->installed ? before->detour : site->original,
                   site->detour, site->detour_size);
        if (site->island)
            plan_write(writes, &n, site->island,
                       site->installed ? before->island_jump : site->island_original,
                       site->island_jump, GIB_DETOUR_SIZE);
    }
    /* First the threads: the copy they go to does the same, with or without the detour. */
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++)
        failed = move_threads(engine, pending[i].site, stopped, error);
    if (!failed)
        failed = gib_transaction(engine, writes, n, error);
    free(writes);
    if (failed)
        return failed;
    for (size_t i = 0; i < count; i++) {
        struct gib_site_state *site = pending[i].site;
        site->installed = true;
        for (size_t k = 0; k < GIB_MAX_ACTIONS; k++)
            if (site->chain[k].patch)
                site->chain[k].patch->placed = true;
    }
    return 0;
}

/* Functions of C++ programs may be left by an exception: the unwinder must know our frames. Its
 * lookup is a function like any other, and gets a site of Gibbon's own. Where that cannot be, no
 * thunk calls through. */
struct unwinder_search {
    struct gib_engine *engine;
    struct gib_module *module;
    const struct stopped *stopped;
    enum gib_thunk_kind kind;
    bool done;
};
static void guard_one(const struct gib_elf_symbol *symbol, void *context)
{
    struct unwinder_search *s = context;
    struct gib_process *process = s->engine->process;
    struct gib_found found = {s->module, s->module->bias + symbol->value, (char *)symbol->name, 0};
    struct pending_site pending = {.place = -1};
    struct gib_error ignored;
    struct gib_site_state *site;
    for (uint32_t i = 0; i < process->site_count; i++)
        if (process->site[i]->entry == found.address && process->site[i]->internal &&
            process->site[i]->installed) {
            s->done = true;
            return;
        }
    if (symbol->ifunc || new_site(s->engine, &found, NULL, s->stopped, &site, &ignored))
        return;
    site->internal = true;
    site->kind = s->kind;
    pending.site = site;
    pending.before = *site;
    if (gib_site_thunk(s->engine, process, site, &ignored) == 0 &&
        commit(s->engine, process, &pending, 1, s->stopped, &ignored) == 0)
        s->done = true;
}

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
static bool is_unguarded(const struct gib_process *process, const struct gib_module *module,
                         bool guarded)
{
    /* LLVM's does not ask the function that it exports, the other libunwind has none. */
    if (defines(module, "_Unwind_RaiseException") &&
        (!guarded || defines(module, "unw_getcontext") || defines(module, "__unw_getcontext")))
        return true;
    if (guarded || gib_elf_imports(module->elf, "_Unwind_Resume") ||
        gib_elf_imports(module->elf, "_Unwind_RaiseException") ||
        (process->finds_objects && gib_elf_imports(module->elf, "_dl_find_object")))
        return false;
    /* An unwinder inside, and nobody says where: it is part of a stripped program. */
    bool own = gib_elf_imports(module->elf, "dl_iterate_phdr") ||
               (module->main && !gib_elf_info(module->elf)->has_interpreter);
    return own && gib_elf_has_personality(module->elf);
}

/* Sites made before get a thunk that jumps as well. */
static void give_up_results(struct gib_engine *engine, const struct gib_module *module,
                            const struct stopped *stopped)
{
    struct gib_process *process = engine->process;
    struct pending_site *pending = calloc(process->site_count + 1ul, sizeof *pending);
    struct gib_error error = {0};
    size_t ready = 0;
    process->unguarded = true;
    for (uint32_t i = 0; pending && i < process->site_count; i++) {
        struct gib_site_state *site = process->site[i];
        site->unguarded = true;
        if (!site->installed || site->module->gone || !gib_site_in_use(site) ||
            site->kind != GIB_THUNK_CALL_THROUGH)
            continue;
        pending[ready].site = site;
        pending[ready].before = *site;
        site->kind = GIB_THUNK_ENTRY_ONLY;
        if (gib_site_thunk(engine, process, site, &error) == 0)
            ready++;
        else
            *site = pending[ready].before;
    }
    if (pending && commit(engine, process, pending, ready, stopped, &error))
        for (size_t i = 0; i < ready; i++)
            *pending[i].site = pending[i].before;
    free(pending);
    gib_warn(engine,
             "gibbon: %s unwinds exceptions itself, and cannot be told of patched functions. So "
             "that they pass, calls are logged at entry, without results.\n",
             module->name);
    if (error.message[0])
        gib_warn(engine, "gibbon: not all of them: %s\n", error.message);
}

static void guard_module(struct gib_engine *engine, struct gib_module *module,
                         const struct stopped *stopped)
{
    struct gib_process *process = engine->process;
    struct unwinder_search search = {engine, module, stopped, GIB_THUNK_FIND_OBJECT, false};
    gib_elf_find(module->elf, "_dl_find_object", guard_one, &search);
    process->finds_objects |= search.done;
    search.kind = GIB_THUNK_FIND_FDE;
    search.done = false;
    gib_elf_find(module->elf, "_Unwind_Find_FDE", guard_one, &search);
    module->guarded = search.done;
}

void gib_guard_unwinders(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    struct stopped stopped;
    size_t count = gib_modules_count(process->modules);
    if (process->modules_guarded == count || look_at_threads(engine, &stopped, NULL))
        return;
    gib_modules_lock(process->modules);
    for (size_t i = process->modules_guarded; i < count; i++) {
        struct gib_module *module = gib_modules_get(process->modules, i);
        if (module->elf && !module->gone)
            guard_module(engine, module, &stopped);
    }
    /* All of them first: libc's lookup serves the others. */
    for (size_t i = process->modules_guarded; i < count && !process->unguarded; i++) {
        const struct gib_module *module = gib_modules_get(process->modules, i);
        if (module->elf && !module->gone && is_unguarded(process, module, module->guarded))
            give_up_results(engine, module, &stopped);
    }
    process->modules_guarded = count;
    gib_modules_unlock(process->modules);
    forget_stopped(&stopped);
}

int gib_patch_apply(struct gib_engine *engine, struct gib_patch *patch,
                    const struct gib_found_list *found, bool strict, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    struct stopped stopped = {0};
    size_t ready = 0;
    int failed = gib_install(engine, process, error);
    if (!failed)
        failed = look_at_threads(engine, &stopped, error);
    struct pending_site *pending =
        failed ? NULL : calloc(found->count ? found->count : 1, sizeof *pending);
    if (!pending) {
        forget_stopped(&stopped);
        return failed ? failed : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    }
    if (!patch->state) {
        patch->state = ++process->patches;
        process->shared->patch[patch->state] = (struct gib_patch_state){
            0, 0, patch->after, patch->every, patch->temporary ? 1 : patch->times};
    }
    gib_update_agent(engine, process);
    gib_guard_unwinders(engine);
    for (size_t i = 0; i < found->count && !(failed && strict); i++) {
        struct gib_error why = {0};
        if (found->item[i].resolver) {
            failed =
                gib_watch_resolver(engine, process, found->item[i].resolver, found->item[i].module);
            continue;
        }
        int result =
            prepare(engine, process, patch, &found->item[i], &stopped, &pending[ready], &why);
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
        /* What was refused is told when nothing else came of the patch; else `list` tells. */
        if (ready || patch->placed)
            failed = commit(engine, process, pending, ready, &stopped, error);
        for (size_t i = 0; i < ready && failed; i++) {
            restore_pending(&pending[i]);
            gib_site_publish(engine, process, pending[i].site);
            gib_log_register(engine, pending[i].site);
        }
    }
    free(pending);
    forget_stopped(&stopped);
    return failed;
}

/* ---- taking off ---- */

/* Restores the entries of all sites for which `wanted` says so, in one transaction. */
static int restore_sites(struct gib_engine *engine, bool all, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    struct gib_write_plan *writes = calloc(2ul * process->site_count + 1, sizeof *writes);
    if (!writes)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    size_t n = 0;
    for (uint32_t i = 0; i < process->site_count; i++) {
        struct gib_site_state *site = process->site[i];
        if (!site->installed || site->module->gone || (!all && gib_site_in_use(site)))
            continue;
        plan_write(writes, &n, site->address, site->detour, site->original, site->detour_size);
        if (site->island)
            plan_write(writes, &n, site->island, site->island_jump, site->island_original,
                       GIB_DETOUR_SIZE);
    }
    int failed = gib_transaction(engine, writes, n, error);
    free(writes);
    for (uint32_t i = 0; i < process->site_count && !failed; i++)
        if (all || !gib_site_in_use(process->site[i]))
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
    struct gib_chain_link *removed =
        calloc(process->site_count ? process->site_count : 1, sizeof *removed);
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
            gib_site_publish(engine, process, process->site[i]);
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
                gib_site_publish(engine, process, process->site[i]);
                gib_log_register(engine, process->site[i]);
            }
}
