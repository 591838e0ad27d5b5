/*
 * arena.c: memory for code in the target, slices of the shared memory that the target maps where
 * they are needed.
 *
 * Thunks and trampolines lie within 2 GiB of their function. Between a detour and its thunk there
 * is one more jump, the stub, at a place that makes every byte of the detour's distance 0xcc:
 *
 *      function  e9 cc cc cc cc   jmp  --->  stub  e9 .. .. .. ..  jmp  --->  thunk
 *                                            (0x3333332f below)
 *
 * 0xcc is also what a debugger writes to set a breakpoint. Debuggers put breakpoints of their own
 * behind a function's prologue, unseen by us (`step`, `advance`, `break f`, before and after the
 * patch): one in the middle of an ordinary jump would send the target into nowhere. Here it changes
 * nothing. Where the place is taken, or below address zero, the detour leads to the thunk itself.
 */
#include "engine/internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

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

static void write_shared(struct gib_process *process, uint64_t address, const void *bytes,
                         size_t size)
{
    for (uint32_t i = 0; i < process->arena_count; i++) {
        const struct gib_arena *arena = &process->arena[i];
        if (address >= arena->start && address + size <= arena->start + GIB_ARENA_SIZE)
            memcpy((char *)process->shared + arena->offset + (address - arena->start), bytes, size);
    }
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
    int memory = gib_target_memory(process);
    write_shared(process, address, bytes, size);
    for (size_t done = 0; done < size; done += sizeof seen) {
        size_t piece = size - done < sizeof seen ? size - done : sizeof seen;
        const uint8_t *wanted = (const uint8_t *)bytes + done;
        bool read =
            memory >= 0 && pread(memory, seen, piece, (off_t)(address + done)) == (ssize_t)piece;
        if (read && !memcmp(seen, wanted, piece))
            continue;
        int failed = gib_write(engine, address + done, wanted, piece, error);
        if (failed)
            return failed;
    }
    return 0;
}

/* Into the target's own copy of the page, where it need not be there. False: a debugger's trap may
 * be in the way. */
static bool write_own(struct gib_process *process, uint64_t address, const void *bytes, size_t size)
{
    uint64_t seen;
    int memory = gib_target_memory(process);
    return memory >= 0 && size <= sizeof seen &&
           pread(memory, &seen, size, (off_t)address) == (ssize_t)size &&
           (!memcmp(&seen, bytes, size) ||
            (!memchr(&seen, 0xcc, size) &&
             pwrite(memory, bytes, size, (off_t)address) == (ssize_t)size));
}

int gib_arena_lead(struct gib_engine *engine, struct gib_process *process, uint64_t address,
                   const void *bytes, size_t size, struct gib_error *error)
{
    static const uint8_t fresh[8];
    for (uint32_t i = 0; i < process->arena_count; i++) {
        const struct gib_arena *arena = &process->arena[i];
        const char *shared =
            (const char *)process->shared + arena->offset + (address - arena->start);
        if (address < arena->start || address + size > arena->start + GIB_ARENA_SIZE)
            continue;
        if (!memcmp(shared, fresh, size))
            break;
        return write_own(process, address, bytes, size)
                   ? 0
                   : gib_write(engine, address, bytes, size, error);
    }
    return gib_arena_write(engine, process, address, bytes, size, error);
}

int gib_arena_write_word(struct gib_engine *engine, struct gib_process *process, uint64_t address,
                         const void *word, size_t size, struct gib_error *error)
{
    uint64_t seen;
    int memory = gib_target_memory(process);
    write_shared(process, address, word, size);
    for (int turn = 0; memory >= 0 && turn < 2; turn++) {
        if (pread(memory, &seen, size, (off_t)address) == (ssize_t)size &&
            !memcmp(&seen, word, size))
            return 0;
        if (turn || pwrite(memory, word, size, (off_t)address) != (ssize_t)size)
            break;
    }
    return gib_write(engine, address, word, size, error);
}

/* Maps the next slice of the code part at a chosen place: reserved first, so that nothing can come
 * between. GIB_E_SPACE when the place is taken. */
static int map_slice(struct gib_engine *engine, struct gib_process *process, uint64_t place,
                     bool stubs, struct gib_error *error)
{
    enum { FIXED_NOREPLACE = 0x100000 };
    uint64_t got;
    if (process->arena_count == GIB_MAX_ARENAS)
        return gib_fail(error, GIB_E_SPACE, 0, "All %d arenas of this process are in use.",
                        GIB_MAX_ARENAS);
    int failed = gib_system_call(
        engine, "reserve memory for trampolines", SYS_mmap, place, GIB_ARENA_SIZE, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | FIXED_NOREPLACE, (uint64_t)-1, 0, &got, error);
    if (failed)
        return failed;
    if (got != place) { /* a kernel older than 4.17 takes the flag for a hint */
        struct gib_error ignored;
        gib_system_call(engine, "", SYS_munmap, got, GIB_ARENA_SIZE, 0, 0, 0, 0, &got, &ignored);
        return gib_fail(error, GIB_E_SPACE, place,
                        "Memory for trampolines could not be placed at 0x%" PRIx64 ".", place);
    }
    uint64_t slice = (uint64_t)process->arena_count * GIB_ARENA_SIZE;
    /* A slice of the code part moves here; so no file descriptor has to stay in the target. It is
     * private: a debugger can set breakpoints in it. */
    failed = gib_system_call(engine, "move memory for trampolines", SYS_mremap,
                             process->alias + slice, GIB_ARENA_SIZE, GIB_ARENA_SIZE,
                             MREMAP_MAYMOVE | MREMAP_FIXED, place, 0, &got, error);
    if (failed)
        return failed;
    uint64_t data_size = process->size - (uint64_t)GIB_MAX_ARENAS * GIB_ARENA_SIZE;
    process->arena[process->arena_count++] = (struct gib_arena){
        place, data_size + slice, stubs ? GIB_ARENA_SIZE : GIB_ARENA_HEAD, stubs};
    return 0;
}

static int new_arena(struct gib_engine *engine, struct gib_process *process,
                     const struct gib_module *module, struct gib_error *error)
{
    uint64_t place = find_gap(process->pid, module->start, module->end, GIB_ARENA_SIZE);
    if (!place)
        return gib_fail(error, GIB_E_SPACE, module->start,
                        "No free memory within 2 GiB of %s for a trampoline.", module->name);
    int failed = map_slice(engine, process, place, false, error);
    if (failed)
        return failed;
    /* The agent's unwinders know arenas by this list; no frame is ever in a stub. */
    struct gib_shared *shared = process->shared;
    shared->arena[shared->arena_count] = (struct gib_range){place, place + GIB_ARENA_SIZE};
    if (!shared->arena_count || place < shared->arena_low)
        shared->arena_low = place;
    if (place + GIB_ARENA_SIZE > shared->arena_high)
        shared->arena_high = place + GIB_ARENA_SIZE;
    shared->arena_count++;
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

static struct gib_arena *find_arena(struct gib_process *process, const struct gib_module *module,
                                    uint64_t size)
{
    for (uint32_t i = 0; i < process->arena_count; i++) {
        struct gib_arena *arena = &process->arena[i];
        if (!arena->stubs && arena->used + size <= GIB_ARENA_SIZE && reaches(arena, module))
            return arena;
    }
    return NULL;
}

int gib_arena_near(struct gib_engine *engine, struct gib_process *process,
                   const struct gib_module *module, uint64_t size, struct gib_arena **arena,
                   struct gib_error *error)
{
    *arena = find_arena(process, module, size);
    if (*arena)
        return 0;
    int failed = new_arena(engine, process, module, error);
    if (failed)
        return failed;
    *arena = find_arena(process, module, size);
    return *arena ? 0
                  : gib_fail(error, GIB_E_SPACE, module->start,
                             "Trampolines for %s do not fit into one arena.", module->name);
}

/* ---- stubs ---- */

uint64_t gib_stub_place(struct gib_engine *engine, struct gib_process *process, uint64_t detour)
{
    enum { ENOUGH = GIB_MAX_ARENAS * 3 / 4 }; /* the rest is for thunks */
    const uint64_t distance = 0x33333334 - GIB_DETOUR_SIZE;
    if (detour < distance + 0x10000)
        return 0;
    uint64_t stub = detour - distance, place = stub & ~(uint64_t)(GIB_ARENA_SIZE - 1);
    if (stub + GIB_STUB_SIZE > place + GIB_ARENA_SIZE)
        return 0;
    for (uint32_t i = 0; i < process->arena_count; i++)
        if (process->arena[i].stubs && process->arena[i].start == place)
            return stub;
    for (uint32_t i = 0; i < process->no_stubs_count; i++)
        if (process->no_stubs[i] == place)
            return 0;
    struct gib_error ignored;
    if (process->arena_count < ENOUGH && !map_slice(engine, process, place, true, &ignored))
        return stub;
    process->no_stubs[process->no_stubs_count % GIB_MAX_ARENAS] = place;
    if (process->no_stubs_count < GIB_MAX_ARENAS)
        process->no_stubs_count++;
    return 0;
}
