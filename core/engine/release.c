/* release.c: giving a process back as it was. */
#include "engine/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static bool in_arenas(const struct gib_process *process, uint64_t address)
{
    for (uint32_t i = 0; i < process->arena_count; i++)
        if (address >= process->arena[i].start &&
            address < process->arena[i].start + GIB_ARENA_SIZE)
            return true;
    return gib_in_images(process, address);
}

struct arena_search {
    const struct gib_process *process;
    bool inside;
};
static bool look_at_word(uint64_t word, void *context)
{
    struct arena_search *s = context;
    s->inside |= in_arenas(s->process, word);
    return !s->inside;
}

bool gib_anybody_inside(struct gib_engine *engine, const struct gib_process *process)
{
    struct gib_target_thread *threads;
    struct arena_search search = {process, false};
    size_t count;
    if (gib_target_threads(engine, &threads, &count, NULL))
        return true;
    for (size_t t = 0; t < count && !search.inside; t++) {
        search.inside = in_arenas(process, threads[t].pc);
        if (!search.inside)
            gib_scan_stack(engine, threads[t].sp, look_at_word, &search);
    }
    free(threads);
    return search.inside;
}

/* With `seized` the debugger is not asked for anything. */
static void give_back(struct gib_engine *engine, bool seized)
{
    struct gib_process *process = engine->process;
    struct gib_error error = {0};
    if (!process || !process->installed || engine->settings.keep_on_detach ||
        engine->ops.pid(engine->context) != process->pid ||
        engine->ops.state(engine->context) != GIB_TARGET_STOPPED)
        return;
    if (gib_restore_all(engine, &error)) {
        gib_warn(engine, "gibbon: the program's code could not be restored: %s\n", error.message);
        return;
    }
    /* What a thread may still need stays mapped, and harmless; and so does what somebody's jump may
     * lead to that stands where a detour was. */
    for (uint32_t i = 0; i < process->site_count; i++)
        if (process->site[i]->overwritten && !process->site[i]->module->gone)
            return;
    if (!seized) /* else it has still to hear that its breakpoints are not wanted any more */
        gib_stops_end(engine, process);
    if (gib_anybody_inside(engine, process))
        return;
    for (size_t i = 0; i < engine->patch_count; i++) { /* the counters go with the memory */
        struct gib_patch *patch = engine->patch[i];
        gib_patch_remember(engine, patch);
    }
    gib_uninstall(engine, process);
}

void gib_release(struct gib_engine *engine)
{
    give_back(engine, false);
}

/* ---- after the debugger has let go ---- */

/*
 * GDB tells before it detaches; LLDB does not, and neither does for every way out. Then the process
 * runs on with its patches: they still work, but it was not asked for. The engine stops its threads
 * itself, by ptrace, and gives the process back in the way it would have.
 */
struct seized {
    pid_t pid;
    pid_t *tid;
    size_t count, room;
    int memory;
    char *said; /* the first thing that nobody can be told now */
};

static int32_t seized_pid(void *context)
{
    return ((struct seized *)context)->pid;
}
static enum gib_target_state seized_state(void *context)
{
    return GIB_TARGET_STOPPED;
}
static int seized_read(void *context, uint64_t address, void *buffer, size_t size)
{
    return pread(((struct seized *)context)->memory, buffer, size, (off_t)address) == (ssize_t)size
               ? 0
               : -1;
}
static int seized_write(void *context, uint64_t address, const void *buffer, size_t size)
{
    return pwrite(((struct seized *)context)->memory, buffer, size, (off_t)address) == (ssize_t)size
               ? 0
               : -1;
}
static size_t seized_threads(void *context, struct gib_target_thread *threads, size_t max)
{
    const struct seized *s = context;
    for (size_t i = 0; i < s->count && i < max; i++) {
        struct user_regs_struct registers = {0};
        ptrace(PTRACE_GETREGS, s->tid[i], NULL, &registers);
        threads[i] =
            (struct gib_target_thread){s->tid[i], (int32_t)i + 1, registers.rip, registers.rsp};
    }
    return s->count;
}
static int seized_set_pc(void *context, int32_t tid, uint64_t pc)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, tid, NULL, &registers))
        return -1;
    registers.rip = pc;
    return ptrace(PTRACE_SETREGS, tid, NULL, &registers) ? -1 : 0;
}
static int seized_call(void *context, uint64_t address, uint64_t *result)
{
    return -1;
}
/* The debugger has taken its breakpoints with it. */
static int seized_watch(void *context, const char *path, uint64_t address, bool on)
{
    (void)context, (void)path, (void)address, (void)on;
    return 0;
}

static void seized_print(void *context, const char *text, enum gib_print_style style)
{
    struct seized *s = context;
    if (!s->said)
        s->said = strdup(text);
}

static bool seize_one(struct seized *s, pid_t tid)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->tid[i] == tid)
            return false;
    if (s->count == s->room) {
        pid_t *grown = realloc(s->tid, (s->room + 64) * sizeof *grown);
        if (!grown)
            return false;
        s->tid = grown;
        s->room += 64;
    }
    int status;
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) || ptrace(PTRACE_INTERRUPT, tid, NULL, NULL))
        return false;
    while (waitpid(tid, &status, __WALL) < 0)
        if (errno != EINTR)
            return false;
    if (!WIFSTOPPED(status))
        return false;
    s->tid[s->count++] = tid;
    return true;
}

/* All threads, also those that others start while we stop them. */
static void seize_all(struct seized *s)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/task", (int)s->pid);
    for (bool more = true; more;) {
        more = false;
        DIR *tasks = opendir(name);
        struct dirent *entry;
        while (tasks && (entry = readdir(tasks)))
            if (entry->d_name[0] != '.')
                more |= seize_one(s, atoi(entry->d_name));
        if (tasks)
            closedir(tasks);
    }
}

void gib_release_detached(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    if (!process || !process->installed || process->released || engine->settings.keep_on_detach ||
        gib_tracer_of(process->pid) != 0 || gib_followed_child(process))
        return;
    struct seized seized = {.pid = process->pid};
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/mem", process->pid);
    seized.memory = open(name, O_RDWR | O_CLOEXEC);
    if (seized.memory < 0)
        return;
    seize_all(&seized);
    /* None: it ends, or a debugger has come to it at this moment; if that is ours, it is as it was.
     */
    if (seized.count) {
        struct gib_target_operations saved = engine->ops;
        void *context = engine->context;
        engine->ops.pid = seized_pid;
        engine->ops.state = seized_state;
        engine->ops.read = seized_read;
        engine->ops.write = seized_write;
        engine->ops.threads = seized_threads;
        engine->ops.set_pc = seized_set_pc;
        engine->ops.call = seized_call;
        engine->ops.print = seized_print;
        engine->ops.watch = seized_watch;
        engine->context = &seized;
        give_back(engine, true);
        engine->ops = saved;
        engine->context = context;
    }
    for (size_t i = 0; i < seized.count; i++)
        ptrace(PTRACE_DETACH, seized.tid[i], NULL, NULL);
    close(seized.memory);
    free(seized.tid);
    if (seized.said) {
        free(engine->late);
        engine->late = seized.said;
    }
    process->released = seized.count > 0;
}
