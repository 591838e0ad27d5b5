/* process.c: a process comes, maps libraries, goes; patches follow it. */
#include "engine/internal.h"
#include "code/x86_64/disassemble.h"

#include <elf.h>
#include <inttypes.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- what the agent must know of the process ---- */

/* Text of AT_HWCAP2 bit 1: the kernel lets user space read the thread pointer by rdfsbase
 * (Linux 5.9). */
static bool may_use_rdfsbase(int32_t pid)
{
    char name[64];
    uint64_t pair[2];
    bool allowed = false;
    snprintf(name, sizeof name, "/proc/%d/auxv", pid);
    FILE *file = fopen(name, "re");
    while (file && fread(pair, sizeof pair, 1, file) == 1 && pair[0] != AT_NULL)
        if (pair[0] == AT_HWCAP2)
            allowed = pair[1] & 2;
    if (file)
        fclose(file);
    return allowed;
}

struct one_symbol {
    uint64_t value;
};
static void take_symbol(const struct gib_elf_symbol *symbol, void *context)
{
    ((struct one_symbol *)context)->value = symbol->value;
}

/* ld.so, libc: what the agent needs of them, as soon as they are there. */
static void learn_from(struct gib_process *process, struct gib_module *module)
{
    struct gib_shared *shared = process->shared;
    struct one_symbol location = {0};
    if (!shared->errno_location &&
        gib_elf_find(module->elf, "__errno_location", take_symbol, &location))
        shared->errno_location = module->bias + location.value;
    uint32_t offset = gib_elf_pthread_tid_offset(module->elf);
    if (!shared->tid_offset && offset)
        shared->tid_offset = offset;
    /* The program's own copy of the variable, if it has one, is the one that is used. */
    struct gib_elf_definition alone;
    if (!shared->single_threaded &&
        gib_elf_definition(module->elf, "__libc_single_threaded", NULL, &alone) &&
        !alone.thread_local_variable && !alone.ifunc && !alone.absolute)
        shared->single_threaded = module->bias + alone.value;
    if (module->main) {
        /* With a dynamic linker, thread-local storage is there before any library function runs. */
        bool dynamic = gib_elf_info(module->elf)->has_interpreter;
        process->early_pointer =
            may_use_rdfsbase(process->pid) ? GIB_POINTER_RDFSBASE : GIB_POINTER_SYSCALL;
        process->thread_pointer = dynamic ? GIB_POINTER_FS0 : process->early_pointer;
        const struct gib_elf_info *info = gib_elf_info(module->elf);
        shared->stable_count = 0;
        for (size_t i = 0; i < info->segment_count && shared->stable_count < 16; i++) {
            const struct gib_elf_segment *segment = &info->segments[i];
            if (segment->readable && !segment->writable)
                shared->stable[shared->stable_count++] =
                    (struct gib_range){segment->vaddr + module->bias,
                                       segment->vaddr + module->bias + segment->file_size};
        }
    }
}

/* The tracer is the parent of what it has launched. */
static bool launched(int32_t pid)
{
    char name[64], line[256];
    int parent = -1;
    snprintf(name, sizeof name, "/proc/%d/status", pid);
    FILE *file = fopen(name, "re");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "PPid: %d", &parent) != 1)
        ;
    if (file)
        fclose(file);
    return parent == gib_tracer_of(pid);
}

void gib_watch_exit(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    /* Not in a process that was attached to: it must live on if its debugger is killed, and a trap
     * there would be left behind. */
    if (engine->ops.tells_exit || !engine->patch_count || !process || process->exit_watch ||
        !launched(process->pid))
        return;
    gib_modules_lock(process->modules);
    for (size_t i = 0; i < gib_modules_count(process->modules) && !process->exit_watch; i++) {
        const struct gib_module *module = gib_modules_get(process->modules, i);
        struct one_symbol symbol = {0};
        if (!module->gone && module->elf && !module->interpreter &&
            gib_elf_find(module->elf, "_exit", take_symbol, &symbol))
            process->exit_watch = module->bias + symbol.value;
    }
    gib_modules_unlock(process->modules);
    if (process->exit_watch)
        engine->ops.watch(engine->context, NULL, process->exit_watch, true);
}

void gib_stop_watching_exit(struct gib_engine *engine, struct gib_process *process)
{
    if (process->exit_watch && !launched(process->pid)) {
        engine->ops.watch(engine->context, NULL, process->exit_watch, false);
        process->exit_watch = 0;
    }
}

static bool wants_backtraces(const struct gib_engine *engine)
{
    for (size_t i = 0; i < engine->patch_count; i++)
        if (engine->patch[i]->backtrace)
            return true;
    return false;
}

static bool has_handlers(const struct gib_engine *engine)
{
    for (size_t i = 0; i < engine->patch_count; i++)
        if (engine->patch[i]->type == GIB_PATCH_HANDLER)
            return true;
    return false;
}

static void add_unwind_rows(struct gib_process *process, uint64_t start, uint64_t end,
                            struct gib_elf *elf)
{
    struct gib_shared *shared = process->shared;
    for (uint32_t i = 0; i < process->unwind_modules; i++)
        if (shared->unwind_module[i].start == start && shared->unwind_module[i].end == end)
            return;
    const struct gib_unwind_row *rows;
    size_t count = gib_elf_unwind_rows(elf, &rows);
    uint64_t size = count * sizeof *rows;
    if (!count || process->unwind_modules == GIB_MAX_UNWIND ||
        process->unwind_used + size > GIB_UNWIND_SIZE)
        return;
    uint64_t place = shared->unwind + process->unwind_used;
    memcpy((char *)shared + place, rows, size);
    shared->unwind_module[process->unwind_modules] =
        (struct gib_unwind_module){start, end, place, count};
    process->unwind_used += (size + 63) & ~63ull;
    __atomic_store_n(&shared->unwind_count, ++process->unwind_modules, __ATOMIC_RELEASE);
}

/* Rows of a module that is gone must not be used for what is mapped there next. */
static void drop_unwind_rows(struct gib_process *process)
{
    struct gib_shared *shared = process->shared;
    for (uint32_t i = 0; i < process->unwind_modules; i++) {
        if (shared->unwind_module[i].start == process->agent)
            continue;
        struct gib_module *module =
            gib_modules_at(process->modules, shared->unwind_module[i].start);
        if (!module || module->gone)
            shared->unwind_module[i].start = shared->unwind_module[i].end = 0;
    }
}

static uint64_t main_stack_size(int32_t pid)
{
    enum { UNLIMITED = 1 << 30 }; /* as good as: thunks may then take an eighth of this */
    struct rlimit limit;
    if (prlimit(pid, RLIMIT_STACK, NULL, &limit))
        return 0;
    return limit.rlim_cur < UNLIMITED ? limit.rlim_cur & ~4095ull : UNLIMITED;
}

static uint64_t main_stack_end(int32_t pid)
{
    char name[64], *line = NULL;
    size_t room = 0;
    uint64_t start, end, found = 0;
    snprintf(name, sizeof name, "/proc/%d/maps", pid);
    FILE *maps = fopen(name, "re");
    while (maps && getline(&line, &room, maps) > 0)
        if (strstr(line, "[stack]") && sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2)
            found = end;
    free(line);
    if (maps)
        fclose(maps);
    return found;
}

void gib_update_agent(struct gib_engine *engine, struct gib_process *process)
{
    struct gib_shared *shared = process->shared;
    if (!shared)
        return;
    if (!shared->main_stack_end) {
        shared->main_stack_end = main_stack_end(process->pid);
        shared->main_stack_size = main_stack_size(process->pid);
    }
    shared->string_limit = engine->settings.string_limit;
    shared->overflow = engine->settings.overwrite;
    gib_modules_lock(process->modules);
    drop_unwind_rows(process);
    bool backtraces = wants_backtraces(engine), handlers = has_handlers(engine);
    uint32_t tid_offset = shared->tid_offset;
    for (size_t i = 0; i < gib_modules_count(process->modules); i++) {
        struct gib_module *module = gib_modules_get(process->modules, i);
        if (module->gone || !module->elf)
            continue;
        learn_from(process, module);
        if (backtraces)
            add_unwind_rows(process, module->start, module->end, module->elf);
    }
    /* Its frames are on the stack behind a handler. */
    if (handlers && !process->agent_rows) {
        struct gib_elf *agent = gib_open_agent();
        if (agent)
            add_unwind_rows(process, shared->agent_start, shared->agent_end, agent);
        gib_elf_close(agent);
        process->agent_rows = true;
    }
    gib_modules_unlock(process->modules);
    /* Sites that were patched before libc was there can take the fast path now. */
    for (uint32_t k = 0; k < process->site_count && tid_offset != shared->tid_offset; k++)
        if (process->site[k]->installed && !process->site[k]->internal)
            gib_site_publish(engine, process, process->site[k]);
}

/* ---- life ---- */

static struct gib_process *new_process(struct gib_engine *engine, int32_t pid)
{
    struct gib_process *process = calloc(1, sizeof *process);
    if (!process || !(process->modules = gib_modules_new())) {
        free(process);
        return NULL;
    }
    process->pid = pid;
    process->fd = process->memory_fd = -1;
    process->shadow_stacks = gib_will_have_shadow_stacks(pid);
    process->counters = GIB_FIRST_COUNTERS; /* those before are of actions that never were */
    for (size_t i = 0; i < engine->patch_count; i++) {
        struct gib_patch *patch = engine->patch[i];
        patch->state = 0;
        patch->address_known = false;
        gib_refusals_free(&patch->refused);
        patch->delayed = 0;
        patch->placed = patch->given_up = false;
        patch->tid = 0;
        gib_patch_forget_counts(patch);
        if (!patch->temporary)
            patch->spent = false;
    }
    return process;
}

/* The array of sites owns them. */
static void leave_site(void *site)
{
}

void gib_process_end(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    if (!process)
        return;
    gib_release_detached(engine); /* it may have been let go a moment ago, and live on */
    if (process->installed) {
        gib_refresh_spent(engine);
        gib_log_ended(engine->log);
    }
    for (size_t i = 0; i < engine->patch_count; i++) { /* shown until the next run */
        struct gib_patch *patch = engine->patch[i];
        gib_patch_remember(engine, patch);
    }
    gib_return_breakpoints(engine, 0);
    free(process->moved);
    engine->process = NULL;
    gib_describe_nothing(engine, process);
    gib_images_forget(process);
    gib_stops_end(engine, process);
    for (size_t i = 0; i < process->watch_count; i++)
        engine->ops.watch(engine->context, NULL, process->watch[i].address, false);
    if (process->exit_watch)
        engine->ops.watch(engine->context, NULL, process->exit_watch, false);
    /* The log describes addresses of ended processes: their modules stay. */
    struct gib_modules **kept =
        realloc(engine->old_modules, (engine->old_module_count + 1) * sizeof *kept);
    if (kept) {
        engine->old_modules = kept;
        kept[engine->old_module_count++] = process->modules;
    }
    for (uint32_t i = 0; i < process->site_count; i++)
        gib_site_free(process->site[i]);
    free(process->site);
    tdestroy(process->site_tree, leave_site);
    gib_places_free(&process->places);
    if (process->fd >= 0)
        close(process->fd);
    if (process->memory_fd >= 0)
        close(process->memory_fd);
    free(process);
    for (size_t i = 0; i < engine->patch_count; i++)
        engine->patch[i]->state = 0;
}

/* The agent's memory is gone when the process has executed another program. */
static bool image_changed(const struct gib_process *process)
{
    return process->installed && gib_has_memory(process, process->pid) == 0;
}

struct gib_process *gib_process_here(struct gib_engine *engine)
{
    int32_t pid = engine->ops.pid(engine->context);
    /* LLDB takes a moment to notice that it has let go of one, or killed it. */
    if (pid > 0 && engine->ops.state(engine->context) != GIB_TARGET_CORE && gib_tracer_of(pid) <= 0)
        pid = 0;
    if (gib_is_elsewhere(engine))
        return NULL;
    /* One that was given back is new to us when the debugger comes to it again. */
    if (engine->process && (engine->process->pid != pid || image_changed(engine->process) ||
                            engine->process->released))
        gib_process_end(engine);
    if (!engine->process && pid > 0 && engine->ops.state(engine->context) != GIB_TARGET_CORE)
        engine->process = new_process(engine, pid);
    if (engine->process) {
        int changes = gib_modules_update(engine->process->modules, pid);
        if (changes < 0)
            gib_process_end(engine);
        else
            engine->process->modules_changed |= changes > 0;
    }
    if (engine->process && !engine->process->shadow_stacks)
        engine->process->shadow_stacks = gib_has_shadow_stacks(pid);
    return engine->process;
}

int gib_process_ready(struct gib_engine *engine, struct gib_process **process,
                      struct gib_error *error)
{
    enum gib_target_state state = engine->ops.state(engine->context);
    *process = NULL;
    if (state == GIB_TARGET_CORE)
        return gib_fail(error, GIB_E_STATE, 0,
                        "A core file cannot be patched; patches need a running program.");
    if (state == GIB_TARGET_RUNNING)
        return gib_fail(error, GIB_E_STATE, 0,
                        "The program is running; interrupt it first (Ctrl-C).");
    *process = state == GIB_TARGET_STOPPED ? gib_process_here(engine) : NULL;
    return 0;
}

/* ---- pending ---- */

static void warn_about(struct gib_engine *engine, const struct gib_patch *patch,
                       const struct gib_error *error)
{
    char *name = gib_patch_name(engine, patch);
    gib_warn(engine, "gibbon: %s: %s\n", name ? name : "", error->message);
    free(name);
}

/* Sites whose library was unmapped: their calls stay counted, their patches wait again. */
static void forget_gone_sites(struct gib_process *process)
{
    for (uint32_t i = 0; i < process->site_count; i++) {
        struct gib_site_state *site = process->site[i];
        if (!site->module->gone || !site->installed)
            continue;
        site->installed = false;
    }
}

void gib_modules_went(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    /* Now, not when there is time: the next library may be mapped in the same place. */
    if (process && gib_modules_update(process->modules, process->pid) > 0) {
        process->modules_changed = true;
        forget_gone_sites(process);
    }
}

void gib_resolve_pending(struct gib_engine *engine)
{
    if (engine->busy)
        return;
    struct gib_process *process = gib_process_here(engine);
    if (!process)
        return;
    engine->busy = true;
    forget_gone_sites(process);
    for (uint32_t i = 0; process->moved_count && i < process->site_count; i++)
        if (process->site[i]->module->gone)
            gib_return_breakpoints(engine, process->site[i]->entry);
    for (size_t i = 0; i < engine->patch_count; i++)
        gib_refusals_drop_gone(&engine->patch[i]->refused);
    gib_patch_find_threads(engine);
    size_t from = process->modules_seen, count = gib_modules_count(process->modules);
    if (process->installed && from != count)
        gib_update_agent(engine, process);
    gib_watch_exit(engine);
    /* Those that could not be guarded a moment ago, too. */
    if (process->installed && process->modules_guarded && process->modules_guarded != count) {
        gib_begin_change(engine);
        gib_guard_unwinders(engine, NULL);
        gib_end_change(engine);
    }
    if (process->installed && process->modules_changed)
        gib_sites_follow_modules(engine, process);
    process->modules_changed = false;
    if (from != count)
        gib_package_originals(engine, process);
    for (size_t i = 0; i < engine->patch_count; i++) {
        struct gib_patch *patch = engine->patch[i];
        struct gib_found_list found;
        struct gib_error error = {0};
        bool again = patch->delayed && patch->delay.code == GIB_E_WAITING && from != count;
        if (again) { /* what it needs may have come; all are counted anew */
            patch->delayed = 0;
            gib_refusals_free(&patch->refused);
        }
        if (patch->spent || patch->given_up || (from == count && patch->state) ||
            (patch->location.kind == GIB_LOCATION_ADDRESS && patch->state))
            continue;
        if (gib_location_resolve(engine, patch, patch->state && !again ? from : 0, &found,
                                 &error) == 0 &&
            found.count) {
            if (gib_patch_apply(engine, patch, &found, &error) && error.message[0])
                warn_about(engine, patch, &error);
        }
        gib_found_free(&found);
    }
    process->modules_seen = count;
    engine->busy = false;
}

void gib_patch_retry(struct gib_engine *engine)
{
    if (engine->busy || !engine->process)
        return;
    engine->busy = true;
    for (size_t i = 0; i < engine->patch_count; i++) {
        struct gib_patch *patch = engine->patch[i];
        struct gib_found_list found;
        struct gib_error error = {0};
        size_t refused = patch->refused.count, sites = gib_patch_sites(engine, patch, NULL);
        if (!patch->delayed || patch->delay.code == GIB_E_WAITING || patch->spent)
            continue;
        patch->delayed = 0; /* all are counted anew */
        gib_refusals_free(&patch->refused);
        bool failed = gib_location_resolve(engine, patch, 0, &found, &error) ||
                      gib_patch_apply(engine, patch, &found, &error);
        size_t more = gib_patch_sites(engine, patch, NULL) - sites;
        if (failed && (patch->refused.count != refused || !patch->refused.count))
            warn_about(engine, patch, &error);
        char *name = !more                           ? NULL
                     : patch->type == GIB_PATCH_MARK ? gib_patch_name(engine, patch)
                                                     : gib_format("patch %d", patch->number);
        if (name)
            gib_print(engine,
                      "gibbon: %s waited for a thread, and is on %zu more function%s now.\n", name,
                      more, more == 1 ? "" : "s");
        free(name);
        gib_found_free(&found);
    }
    engine->busy = false;
}

/* An instruction of a static program's start-up that is not its first, at which a debugger that
 * launches the program stops it and goes on without seeing a breakpoint there, and that no detour
 * at the entry displaces. */
static uint64_t behind_start(struct gib_elf *elf, uint64_t entry)
{
    enum { FAR_ENOUGH = 20 };
    uint8_t code[FAR_ENOUGH + 16];
    char text[64];
    size_t size = gib_elf_read(elf, entry, code, sizeof code), at = 0, length;
    while (at < FAR_ENOUGH && at < size &&
           (length = gib_disassemble(code + at, size - at, entry + at, text, sizeof text))) {
        if (at && (text[0] == 'j' || !strncmp(text, "call", 4) || !strncmp(text, "ret", 3)))
            break;
        at += length;
    }
    return entry + at;
}

/* Where a new process first shows all its libraries: ld.so's _dl_debug_state, which it calls for
 * debuggers whenever modules are mapped; a static program's entry. Known from files alone, so it
 * can be watched before the process exists. */
void gib_expect_modules(struct gib_engine *engine)
{
    const char *program = engine->ops.program(engine->context);
    struct one_symbol state = {0};
    if (!*program) {
        engine->ops.watch(engine->context, "", 0, true);
        return;
    }
    struct gib_elf *elf = gib_elf_shared(program, program, NULL);
    if (!elf)
        return;
    const char *loader = gib_elf_info(elf)->interpreter;
    if (!loader) {
        engine->ops.watch(engine->context, program, behind_start(elf, gib_elf_info(elf)->entry),
                          true);
        return;
    }
    struct gib_elf *interpreter = gib_elf_shared(loader, loader, NULL);
    if (interpreter && gib_elf_find(interpreter, "_dl_debug_state", take_symbol, &state))
        engine->ops.watch(engine->context, loader, state.value, true);
}

/* A trap of ours inside a detour would spoil it, or never be met: those at the end of resolvers
 * move to the copy. */
void gib_watches_make_way(struct gib_engine *engine, const struct gib_site_state *site)
{
    struct gib_process *process = engine->process;
    uint64_t start = site->address, end = site->address + site->consumed;
    for (size_t i = 0; i < process->watch_count; i++) {
        struct gib_watch_state *watch = &process->watch[i];
        for (size_t k = 0; k < site->boundaries && watch->address > start && watch->address < end;
             k++) {
            if (site->boundary[k].original != watch->address - start)
                continue;
            engine->ops.watch(engine->context, NULL, watch->address, false);
            watch->address = site->trampoline + site->boundary[k].copy;
            engine->ops.watch(engine->context, NULL, watch->address, true);
        }
    }
}

/* ---- IFUNC: wait for the resolver's answer ---- */

int gib_watch_resolver(struct gib_engine *engine, struct gib_process *process,
                       const struct gib_found *found, struct gib_error *error)
{
    const struct gib_module *module = found->module;
    uint64_t start, end, resolver = found->resolver;
    uint8_t code[512];
    for (size_t i = 0; i < process->watch_count; i++)
        if (process->watch[i].resolver == resolver)
            return 0;
    if (!gib_elf_function_range(module->elf, resolver - module->bias, &start, &end) ||
        end - start > sizeof code)
        return gib_fail(error, GIB_E_UNSUPPORTED, resolver,
                        "%.60s is one of several functions, chosen by code at 0x%" PRIx64
                        " that has not run yet and is too long to be followed; patch it later.",
                        found->name, resolver);
    size_t size = gib_elf_read(module->elf, start, code, (size_t)(end - start));
    uint16_t returns[8];
    size_t count = gib_find_returns(code, size, returns, 8);
    if (!count || process->watch_count + count > sizeof process->watch / sizeof *process->watch)
        return gib_fail(error, count ? GIB_E_SPACE : GIB_E_UNSUPPORTED, resolver,
                        "%.60s is one of several functions, chosen by code at 0x%" PRIx64
                        " that has not run yet and %s; patch it later.",
                        found->name, resolver,
                        count ? "there are too many such" : "has no return to wait for");
    for (size_t i = 0; i < count; i++) {
        uint64_t address = module->bias + start + returns[i];
        process->watch[process->watch_count++] = (struct gib_watch_state){address, resolver};
        engine->ops.watch(engine->context, NULL, address, true);
    }
    return 0;
}

/* A resolver is about to return: rax is the implementation that everybody will call. False: no
 * watch but the loader's is there. */
bool gib_watch_reached(struct gib_engine *engine, uint64_t address)
{
    struct gib_process *process = engine->process;
    uint64_t chosen = 0, resolver = 0;
    if (process && process->exit_watch && address == process->exit_watch) {
        /* Once only: a debugger steps over a trap that stays, and with a signal every tenth of a
         * millisecond it never gets over it. */
        engine->ops.watch(engine->context, NULL, address, false);
        process->ends = true;
        gib_delay_exit(engine, process);
        return true;
    }
    for (size_t i = 0; process && i < process->watch_count; i++)
        if (process->watch[i].address == address)
            resolver = process->watch[i].resolver;
    if (!resolver)
        return false;
    if (engine->ops.get_register(engine->context, "rax", &chosen))
        return true;
    for (size_t i = 0; i < process->watch_count;) {
        if (process->watch[i].resolver == resolver) {
            engine->ops.watch(engine->context, NULL, process->watch[i].address, false);
            process->watch[i] = process->watch[--process->watch_count];
        } else {
            i++;
        }
    }
    for (size_t i = 0; i < engine->patch_count; i++) {
        struct gib_patch *patch = engine->patch[i];
        struct gib_found_list all, one = {NULL, 0};
        struct gib_error error = {0};
        if (patch->spent || patch->given_up || gib_location_resolve(engine, patch, 0, &all, &error))
            continue;
        for (size_t k = 0; k < all.count; k++) {
            struct gib_found *found = &all.item[k];
            /* It may have been asked once more meanwhile, and have answered. */
            if (found->resolver != resolver && found->address != chosen)
                continue;
            found->address = chosen;
            found->resolver = 0;
            found->module = gib_modules_at(process->modules, chosen);
            one = (struct gib_found_list){found, 1};
            if (gib_patch_apply(engine, patch, &one, &error) && error.message[0])
                warn_about(engine, patch, &error);
        }
        gib_found_free(&all);
    }
    return true;
}
