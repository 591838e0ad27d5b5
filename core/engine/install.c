/*
 * install.c: brings the agent into the target: shared memory, the agent's image, arenas.
 *
 * No dlopen, no malloc, nothing of libc: a few system calls made for the target, so it works at the
 * first instruction, inside malloc, in the loader and in a static program.
 */
#include "engine/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern const uint8_t gib_agent_image_start[], gib_agent_image_end[];

static uint64_t page_up(uint64_t value)
{
    return (value + 4095) & ~4095ull;
}

/* A system call whose failure ends the installation, with a sentence that says what was tried. */
int gib_system_call(struct gib_engine *engine, const char *what, long number, uint64_t a,
                    uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t *result,
                    struct gib_error *error)
{
    const uint64_t arguments[6] = {a, b, c, d, e, f};
    int failed = gib_target_syscall(engine, number, arguments, result, error);
    if (failed)
        return failed;
    if ((int64_t)*result < 0 && (int64_t)*result > -4096)
        return gib_fail(error, GIB_E_TARGET, 0, "The target could not %s for Gibbon: %s.", what,
                        strerror((int)-(int64_t)*result));
    return 0;
}

/* ---- shared memory ---- */

struct layout {
    uint64_t sites, unwind, histograms, threads, thread_size, counters, ring, data_size, size;
};

static struct layout make_layout(uint64_t ring_size)
{
    struct layout l = {0};
    l.sites = page_up(sizeof(struct gib_shared));
    l.unwind = page_up(l.sites + sizeof(struct gib_site) * (uint64_t)GIB_MAX_SITES);
    l.histograms = page_up(l.unwind + GIB_UNWIND_SIZE);
    l.threads = l.histograms + sizeof(struct gib_histogram) * (uint64_t)GIB_MAX_HISTOGRAMS;
    l.counters = 4096;
    l.ring = page_up(l.counters + 8ull * GIB_MAX_COUNTERS);
    l.thread_size = l.ring + ring_size;
    l.data_size = l.threads + l.thread_size * GIB_MAX_THREADS;
    l.data_size = (l.data_size + GIB_ARENA_SIZE - 1) / GIB_ARENA_SIZE * GIB_ARENA_SIZE;
    l.size = l.data_size + (uint64_t)GIB_MAX_ARENAS * GIB_ARENA_SIZE;
    return l;
}

/* memfd_create wants a name in the target's memory: it is written below the stack pointer and put
 * back. */
static int create_memory(struct gib_engine *engine, uint64_t *fd, struct gib_error *error)
{
    enum { CLOEXEC = 1, EXEC = 0x10 };
    struct gib_target_thread thread;
    if (engine->ops.threads(engine->context, &thread, 1) == 0)
        return gib_fail(error, GIB_E_STATE, 0, "The target has no thread.");
    uint64_t place = (thread.sp - 2048) & ~7ull;
    char saved[8];
    struct gib_error ignored;
    bool on_stack = !gib_read(engine, place, saved, 8, &ignored) &&
                    !gib_write(engine, place, "gibbon\0", 8, &ignored);
    if (!on_stack) {
        /* No room below: any text will do, the ELF header of the program's first module for one. */
        struct gib_module *module = gib_modules_get(engine->process->modules, 0);
        place = module ? module->start : 0;
    }
    int failed = gib_system_call(engine, "create shared memory", SYS_memfd_create, place,
                                 CLOEXEC | EXEC, 0, 0, 0, 0, fd, error);
    if (failed) /* before Linux 6.3 there is no MFD_EXEC, and memory is executable without it */
        failed = gib_system_call(engine, "create shared memory", SYS_memfd_create, place, CLOEXEC,
                                 0, 0, 0, 0, fd, error);
    if (on_stack)
        gib_write(engine, place, saved, 8, &ignored);
    return failed;
}

static int open_memory(struct gib_process *process, uint64_t target_fd, uint64_t size,
                       struct gib_error *error)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%" PRIu64, process->pid, target_fd);
    process->fd = open(path, O_RDWR | O_CLOEXEC);
    if (process->fd < 0)
        return gib_fail(error, GIB_E_TARGET, 0,
                        "The shared memory of process %d cannot be opened (%s: %s); Gibbon needs a "
                        "target on this machine, of the same user.",
                        process->pid, path, strerror(errno));
    if (ftruncate(process->fd, (off_t)size))
        return gib_fail(error, GIB_E_TARGET, 0, "The shared memory cannot be sized: %s.",
                        strerror(errno));
    process->shared =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, process->fd, 0);
    if (process->shared == MAP_FAILED) {
        process->shared = NULL;
        return gib_fail(error, GIB_E_MEMORY, 0,
                        "The shared memory cannot be mapped by the debugger: %s.", strerror(errno));
    }
    process->size = size;
    return 0;
}

/* A free place far from everything: the space near the libraries is for arenas. A process that
 * another debugger left behind may have some taken. */
static uint64_t far_hint(int32_t pid, uint64_t size)
{
    uint64_t hint = 0x200000000000, start, end;
    char name[64], *line = NULL;
    size_t room = 0;
    snprintf(name, sizeof name, "/proc/%d/maps", pid);
    FILE *maps = fopen(name, "re");
    while (maps && getline(&line, &room, maps) > 0) /* sorted by address */
        if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2 && start < hint + 2 * size &&
            end > hint)
            hint = (end + (1ull << 30)) & ~((1ull << 30) - 1);
    free(line);
    if (maps)
        fclose(maps);
    return hint;
}

static int map_in_target(struct gib_engine *engine, struct gib_process *process, uint64_t fd,
                         const struct layout *l, struct gib_error *error)
{
    enum { DONTDUMP = 16, WIPEONFORK = 18 };
    uint64_t far = far_hint(process->pid, l->data_size), farther = far + l->data_size;
    const char *what = "map shared memory";
    uint64_t ignored;
    int failed = gib_system_call(engine, what, SYS_mmap, far, l->data_size, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_NORESERVE, fd, 0, &process->data, error);
    if (!failed)
        failed = gib_system_call(engine, what, SYS_mmap, farther, l->size - l->data_size,
                                 PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_NORESERVE, fd,
                                 l->data_size, &process->alias, error);
    if (!failed)
        failed = gib_system_call(engine, what, SYS_mmap, 0, page_up(sizeof(struct gib_hash)),
                                 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1,
                                 0, &process->hash, error);
    if (!failed)
        failed = gib_system_call(
            engine, what, SYS_mmap, 0, page_up(sizeof(struct gib_marks)), PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, (uint64_t)-1, 0, &process->marks, error);
    if (!failed)
        failed =
            gib_system_call(engine, "prepare for fork", SYS_madvise, process->hash,
                            page_up(sizeof(struct gib_hash)), WIPEONFORK, 0, 0, 0, &ignored, error);
    /* Not fatal: a core file would only be larger. */
    struct gib_error unimportant;
    if (!failed) {
        gib_system_call(engine, what, SYS_madvise, process->data, l->data_size, DONTDUMP, 0, 0, 0,
                        &ignored, &unimportant);
        gib_system_call(engine, what, SYS_madvise, process->alias, l->size - l->data_size, DONTDUMP,
                        0, 0, 0, &ignored, &unimportant);
    }
    return failed;
}

/* ---- the agent ---- */

static void fill_shared(struct gib_engine *engine, struct gib_process *process,
                        const struct layout *l)
{
    struct gib_shared *shared = process->shared;
    shared->size = l->data_size;
    shared->sites = l->sites;
    shared->unwind = l->unwind;
    shared->histograms = l->histograms;
    shared->threads = l->threads;
    shared->thread_size = l->thread_size;
    shared->counters_offset = l->counters;
    shared->ring_offset = l->ring;
    shared->ring_size = engine->settings.ring_size;
    shared->hash = process->hash;
    shared->marks = process->marks;
    process->thread_pointer = process->early_pointer = GIB_POINTER_SYSCALL;
    shared->magic = GIB_SHARED_MAGIC;
}

static int place_agent(struct gib_engine *engine, struct gib_process *process,
                       struct gib_error *error)
{
    size_t size = (size_t)(gib_agent_image_end - gib_agent_image_start);
    struct gib_module *module = NULL;
    for (size_t i = 0; i < gib_modules_count(process->modules) && !module; i++)
        if (gib_modules_get(process->modules, i)->main)
            module = gib_modules_get(process->modules, i);
    if (!module && !(module = gib_modules_get(process->modules, 0)))
        return gib_fail(error, GIB_E_TARGET, 0,
                        "No module of process %d can be seen in /proc/%d/maps.", process->pid,
                        process->pid);
    struct gib_arena *arena;
    int failed = gib_arena_near(engine, process, module, size + 64, &arena, error);
    if (failed)
        return failed;
    process->agent = arena->start + arena->used;
    if ((failed =
             gib_arena_write(engine, process, process->agent, gib_agent_image_start, size, error)))
        return failed;
    arena->used = (arena->used + size + 63) & ~63ull;
    process->call_stop = arena->start + arena->used;
    if ((failed = gib_arena_write(engine, process, process->call_stop, "\xcc", 1, error)))
        return failed;
    process->stub = process->call_stop + 64;
    arena->used += 64 + 128;
    process->shared->agent_start = process->agent;
    process->shared->agent_end = process->agent + size;
    return 0;
}

bool gib_is_filtered(int32_t pid)
{
    char name[64], line[256];
    int mode = 0;
    snprintf(name, sizeof name, "/proc/%d/status", pid);
    FILE *file = fopen(name, "re");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "Seccomp: %d", &mode) != 1)
        ;
    if (file)
        fclose(file);
    return mode != 0;
}

int gib_install(struct gib_engine *engine, struct gib_process *process, struct gib_error *error)
{
    if (process->installed)
        return 0;
    if (gib_is_filtered(process->pid))
        return gib_fail(error, GIB_E_UNSUPPORTED, 0,
                        "Process %d restricts its system calls (seccomp); the agent's own would "
                        "get it killed.",
                        process->pid);
    struct layout l = make_layout(engine->settings.ring_size);
    uint64_t fd, ignored;
    int failed = create_memory(engine, &fd, error);
    if (failed)
        return failed;
    if (!(failed = open_memory(process, fd, l.size, error)))
        failed = map_in_target(engine, process, fd, &l, error);
    struct gib_error unimportant;
    gib_system_call(engine, "close a file", SYS_close, fd, 0, 0, 0, 0, 0, &ignored, &unimportant);
    if (!failed) {
        fill_shared(engine, process, &l);
        failed = place_agent(engine, process, error);
    }
    if (!failed)
        failed = gib_log_attach(engine->log, process->shared, process->size, process->modules,
                                process->pid, error);
    if (failed) {
        gib_uninstall(engine, process);
        if (process->shared)
            munmap(process->shared, process->size);
        process->shared = NULL;
        return failed;
    }
    process->installed = true;
    gib_update_agent(engine, process);
    return 0;
}

void gib_uninstall(struct gib_engine *engine, struct gib_process *process)
{
    struct gib_error ignored;
    uint64_t result, data_size = process->size - (uint64_t)GIB_MAX_ARENAS * GIB_ARENA_SIZE;
    gib_images_unmap(engine, process);
    for (uint32_t i = 0; i < process->arena_count; i++)
        gib_system_call(engine, "", SYS_munmap, process->arena[i].start, GIB_ARENA_SIZE, 0, 0, 0, 0,
                        &result, &ignored);
    if (process->alias)
        gib_system_call(engine, "", SYS_munmap, process->alias,
                        (uint64_t)GIB_MAX_ARENAS * GIB_ARENA_SIZE, 0, 0, 0, 0, &result, &ignored);
    if (process->data)
        gib_system_call(engine, "", SYS_munmap, process->data, data_size, 0, 0, 0, 0, &result,
                        &ignored);
    if (process->hash)
        gib_system_call(engine, "", SYS_munmap, process->hash, page_up(sizeof(struct gib_hash)), 0,
                        0, 0, 0, &result, &ignored);
    if (process->marks)
        gib_system_call(engine, "", SYS_munmap, process->marks, page_up(sizeof(struct gib_marks)),
                        0, 0, 0, 0, &result, &ignored);
    if (process->fd >= 0)
        close(process->fd);
    if (process->memory_fd >= 0)
        close(process->memory_fd);
    process->fd = process->memory_fd = -1;
    process->arena_count = 0;
    process->data = process->alias = process->hash = process->marks = process->agent =
        process->call_stop = process->stub = 0;
    process->installed = false;
}
