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
static int call(struct gib_engine *engine, const char *what, long number, uint64_t a, uint64_t b,
                uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t *result,
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
    uint64_t sites, unwind, threads, thread_size, counters, ring, data_size, size;
};

static struct layout make_layout(uint64_t ring_size)
{
    struct layout l = {0};
    l.sites = page_up(sizeof(struct gib_shared));
    l.unwind = page_up(l.sites + sizeof(struct gib_site) * (uint64_t)GIB_MAX_SITES);
    l.threads = l.unwind + GIB_UNWIND_SIZE;
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
    int failed = call(engine, "create shared memory", SYS_memfd_create, place, CLOEXEC | EXEC, 0, 0,
                      0, 0, fd, error);
    if (failed) /* before Linux 6.3 there is no MFD_EXEC, and memory is executable without it */
        failed = call(engine, "create shared memory", SYS_memfd_create, place, CLOEXEC, 0, 0, 0, 0,
                      fd, error);
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
    int failed = call(engine, what, SYS_mmap, far, l->data_size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_NORESERVE, fd, 0, &process->data, error);
    if (!failed)
        failed =
            call(engine, what, SYS_mmap, farther, l->size - l->data_size, PROT_READ | PROT_EXEC,
                 MAP_PRIVATE | MAP_NORESERVE, fd, l->data_size, &process->alias, error);
    if (!failed)
        failed = call(engine, what, SYS_mmap, 0, page_up(sizeof(struct gib_hash)),
                      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0,
                      &process->hash, error);
    if (!failed)
        failed = call(engine, "prepare for fork", SYS_madvise, process->hash,
                      page_up(sizeof(struct gib_hash)), WIPEONFORK, 0, 0, 0, &ignored, error);
    /* Not fatal: a core file would only be larger. */
    struct gib_error unimportant;
    if (!failed) {
        call(engine, what, SYS_madvise, process->data, l->data_size, DONTDUMP, 0, 0, 0, &ignored,
             &unimportant);
        call(engine, what, SYS_madvise, process->alias, l->size - l->data_size, DONTDUMP, 0, 0, 0,
             &ignored, &unimportant);
    }
    return failed;
}

/* ---- arenas ---- */

/* The end of a free range of `size` bytes that is wholly within 2 GiB of [low, high), below if
 * possible: above a program its heap grows, above the libraries the stack does. */
static uint64_t find_gap(int32_t pid, uint64_t low, uint64_t high, uint64_t size)
{
    enum { GUARD = 1 << 16, HEAP = 1 << 28 };
    const uint64_t reach = (2ull << 30) - (64u << 20);
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/maps", pid);
    FILE *maps = fopen(name, "re");
    if (!maps)
        return 0;
    uint64_t before = 0x10000, below = 0, above = 0, start, end;
    char *line = NULL;
    size_t room = 0;
    bool more = true;
    while (more) {
        more = getline(&line, &room, maps) > 0;
        if (!more)
            start = end = 0x7ffffffff000;
        else if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) != 2 || start > 0x7ffffffff000)
            continue;
        uint64_t first = before + GUARD, last = start - GUARD; /* the usable part of this gap */
        bool stack_above = more && strstr(line, "[stack]");
        if (start > before && last > first && last - first >= size) {
            uint64_t top = last - size;
            if (last <= low && high - top < reach)
                below = top;
            uint64_t bottom = first > high + HEAP ? first : high + HEAP;
            if (!above && !stack_above && bottom + size <= last && bottom >= high &&
                bottom + size - low < reach)
                above = bottom;
        }
        before = end > before ? end : before;
    }
    free(line);
    fclose(maps);
    uint64_t chosen = below ? below : above;
    return chosen & ~4095ull;
}

/*
 * The target maps arenas privately: it sees what we write to the file, except on pages where its
 * debugger has ever set a breakpoint. So the bytes are looked at once more, and written through the
 * debugger when they did not arrive.
 */
int gib_arena_write(struct gib_engine *engine, struct gib_process *process, uint64_t address,
                    const void *bytes, size_t size, struct gib_error *error)
{
    uint8_t seen[1024];
    for (uint32_t i = 0; i < process->arena_count; i++) {
        const struct gib_arena *arena = &process->arena[i];
        if (address >= arena->start && address + size <= arena->start + GIB_ARENA_SIZE)
            memcpy((char *)process->shared + arena->offset + (address - arena->start), bytes, size);
    }
    if (process->memory_fd < 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/mem", process->pid);
        process->memory_fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    for (size_t done = 0; done < size; done += sizeof seen) {
        size_t piece = size - done < sizeof seen ? size - done : sizeof seen;
        const uint8_t *wanted = (const uint8_t *)bytes + done;
        bool read = process->memory_fd >= 0 && pread(process->memory_fd, seen, piece,
                                                     (off_t)(address + done)) == (ssize_t)piece;
        if (read && !memcmp(seen, wanted, piece))
            continue;
        int failed = gib_write(engine, address + done, wanted, piece, error);
        if (failed)
            return failed;
    }
    return 0;
}

/*
 * A detour is e9 and four bytes of distance. Debuggers put breakpoints of their own, unseen by us,
 * behind a function's prologue (`step`, `advance`, `break f` in compiled code without debug
 * information): that is very often the detour's last byte. When that byte is 0xcc anyway, a trap
 * instruction, writing one there changes nothing. So thunks are placed where the distance is
 * 0xccXXXXXX, 816 to 832 MiB below the function, if memory is free there.
 */
enum { IMMUNE_NEAR = 0x33000000, IMMUNE_FAR = 0x34000000 };

static bool is_immune(const struct gib_arena *arena, const struct gib_module *module)
{
    return arena->start + GIB_ARENA_SIZE + IMMUNE_NEAR <= module->start &&
           arena->start + IMMUNE_FAR >= module->end;
}

static uint64_t immune_place(int32_t pid, const struct gib_module *module)
{
    uint64_t start, end, place = (module->start - IMMUNE_NEAR - GIB_ARENA_SIZE) & ~4095ull;
    char name[64], *line = NULL;
    size_t room = 0;
    if (module->start < IMMUNE_NEAR + 2ull * GIB_ARENA_SIZE || place + IMMUNE_FAR < module->end)
        return 0;
    snprintf(name, sizeof name, "/proc/%d/maps", pid);
    FILE *maps = fopen(name, "re");
    bool taken = !maps;
    while (maps && getline(&line, &room, maps) > 0)
        taken |= sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2 &&
                 start < place + GIB_ARENA_SIZE && end > place;
    free(line);
    if (maps)
        fclose(maps);
    return taken ? 0 : place;
}

/* Maps the next slice of the code part at a chosen place: reserved first, so that nothing can come
 * between. */
static int new_arena(struct gib_engine *engine, struct gib_process *process,
                     const struct gib_module *module, struct gib_error *error)
{
    enum { FIXED_NOREPLACE = 0x100000 };
    if (process->arena_count == GIB_MAX_ARENAS)
        return gib_fail(error, GIB_E_SPACE, 0, "All %d arenas of this process are in use.",
                        GIB_MAX_ARENAS);
    uint64_t got, place = immune_place(process->pid, module);
    if (!place)
        place = find_gap(process->pid, module->start, module->end, GIB_ARENA_SIZE);
    if (!place)
        return gib_fail(error, GIB_E_SPACE, module->start,
                        "No free memory within 2 GiB of %s for a trampoline.", module->name);
    int failed =
        call(engine, "reserve memory for trampolines", SYS_mmap, place, GIB_ARENA_SIZE, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | FIXED_NOREPLACE, (uint64_t)-1, 0, &got, error);
    if (failed)
        return failed;
    if (got != place) { /* a kernel older than 4.17 takes the flag for a hint */
        struct gib_error ignored;
        call(engine, "", SYS_munmap, got, GIB_ARENA_SIZE, 0, 0, 0, 0, &got, &ignored);
        return gib_fail(error, GIB_E_SPACE, module->start,
                        "Memory for a trampoline could not be placed near %s.", module->name);
    }
    uint64_t slice = (uint64_t)process->arena_count * GIB_ARENA_SIZE;
    /* A slice of the code part moves here; so no file descriptor has to stay in the target. It is
     * private: a debugger can set breakpoints in it. */
    failed =
        call(engine, "move memory for trampolines", SYS_mremap, process->alias + slice,
             GIB_ARENA_SIZE, GIB_ARENA_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, place, 0, &got, error);
    if (failed)
        return failed;
    struct gib_arena *arena = &process->arena[process->arena_count];
    uint64_t data_size = process->size - (uint64_t)GIB_MAX_ARENAS * GIB_ARENA_SIZE;
    *arena = (struct gib_arena){place, data_size + slice, GIB_ARENA_HEAD};
    struct gib_shared *shared = process->shared;
    shared->arena[process->arena_count] = (struct gib_range){place, place + GIB_ARENA_SIZE};
    if (!process->arena_count || place < shared->arena_low)
        shared->arena_low = place;
    if (place + GIB_ARENA_SIZE > shared->arena_high)
        shared->arena_high = place + GIB_ARENA_SIZE;
    shared->arena_count = ++process->arena_count;
    uint8_t head[GIB_ARENA_HEAD];
    gib_thunk_unwind_entry(place, GIB_ARENA_SIZE, head);
    return gib_arena_write(engine, process, place, head, sizeof head, error);
}

static bool reaches(const struct gib_arena *arena, const struct gib_module *module)
{
    const uint64_t reach = (2ull << 30) - (16u << 20);
    uint64_t low = arena->start < module->start ? arena->start : module->start;
    uint64_t high =
        arena->start + GIB_ARENA_SIZE > module->end ? arena->start + GIB_ARENA_SIZE : module->end;
    return high - low < reach;
}

static struct gib_arena *
find_arena(struct gib_process *process, const struct gib_module *module, uint64_t size,
           bool (*good)(const struct gib_arena *, const struct gib_module *))
{
    for (uint32_t i = 0; i < process->arena_count; i++) {
        struct gib_arena *arena = &process->arena[i];
        if (good(arena, module) && arena->used + size <= GIB_ARENA_SIZE)
            return arena;
    }
    return NULL;
}

int gib_arena_near(struct gib_engine *engine, struct gib_process *process,
                   const struct gib_module *module, uint64_t size, struct gib_arena **arena,
                   struct gib_error *error)
{
    enum { ENOUGH = 48 }; /* the rest is for modules that no arena reaches */
    *arena = find_arena(process, module, size, is_immune);
    bool better = !*arena && process->arena_count < ENOUGH && immune_place(process->pid, module);
    if (!*arena && !better)
        *arena = find_arena(process, module, size, reaches);
    if (*arena)
        return 0;
    int failed = new_arena(engine, process, module, error);
    if (failed)
        return failed;
    *arena = find_arena(process, module, size, reaches);
    if (better)
        *arena = find_arena(process, module, size, is_immune);
    return *arena ? 0
                  : gib_fail(error, GIB_E_SPACE, module->start,
                             "Trampolines for %s do not fit into one arena.", module->name);
}

/* ---- the agent ---- */

static void fill_shared(struct gib_engine *engine, struct gib_process *process,
                        const struct layout *l)
{
    struct gib_shared *shared = process->shared;
    shared->size = l->data_size;
    shared->sites = l->sites;
    shared->unwind = l->unwind;
    shared->threads = l->threads;
    shared->thread_size = l->thread_size;
    shared->counters_offset = l->counters;
    shared->ring_offset = l->ring;
    shared->ring_size = engine->settings.ring_size;
    shared->hash = process->hash;
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

/* The agent makes system calls of its own (gettid, rt_sigprocmask...); a filter may kill for them.
 */
static bool is_filtered(int32_t pid)
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
    if (is_filtered(process->pid))
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
    call(engine, "close a file", SYS_close, fd, 0, 0, 0, 0, 0, &ignored, &unimportant);
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
    for (uint32_t i = 0; i < process->arena_count; i++)
        call(engine, "", SYS_munmap, process->arena[i].start, GIB_ARENA_SIZE, 0, 0, 0, 0, &result,
             &ignored);
    if (process->alias)
        call(engine, "", SYS_munmap, process->alias, (uint64_t)GIB_MAX_ARENAS * GIB_ARENA_SIZE, 0,
             0, 0, 0, &result, &ignored);
    if (process->data)
        call(engine, "", SYS_munmap, process->data, data_size, 0, 0, 0, 0, &result, &ignored);
    if (process->hash)
        call(engine, "", SYS_munmap, process->hash, page_up(sizeof(struct gib_hash)), 0, 0, 0, 0,
             &result, &ignored);
    if (process->fd >= 0)
        close(process->fd);
    if (process->memory_fd >= 0)
        close(process->memory_fd);
    process->fd = process->memory_fd = -1;
    process->arena_count = 0;
    process->data = process->alias = process->hash = process->agent = process->call_stop =
        process->stub = 0;
    process->installed = false;
}
