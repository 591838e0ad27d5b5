/*
 * farewell.c: the last instructions of a program with several threads, under a debugger that is
 * stopped at its end (process.c, watch_exit).
 *
 * LLDB's server resumes one thread after the other. When the one at `_exit` has ended the process
 * before the others are resumed, the server takes that for a failure and gives the process up, and
 * its exit status is lost. So that thread sleeps for a moment first.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* rdi, the status, is all that _exit's caller has set. */
static const uint8_t sleep_and_go[] = {
    0x49, 0x89, 0xf8,                         /* mov r8, rdi */
    0x48, 0x8d, 0x3d, 0x1e, 0x00, 0x00, 0x00, /* lea rdi, [the time, at 40] */
    0x31, 0xf6,                               /* xor esi, esi */
    0xb8, 0x23, 0x00, 0x00, 0x00,             /* mov eax, SYS_nanosleep */
    0x0f, 0x05,                               /* syscall */
    0x4c, 0x89, 0xc7,                         /* mov rdi, r8 */
    0xff, 0x25, 0x00, 0x00, 0x00, 0x00,       /* jmp [the address, at 28] */
};
enum { ADDRESS_AT = 28, TIME_AT = 40, SIZE = 56 };

void gib_delay_exit(struct gib_engine *engine, struct gib_process *process)
{
    const struct timespec moment = {.tv_nsec = 20000000};
    struct gib_target_thread *threads;
    struct gib_arena *arena;
    struct gib_error ignored;
    size_t count;
    const struct gib_module *module = gib_modules_at(process->modules, process->exit_watch);
    if (!process->installed || !module || gib_target_threads(engine, &threads, &count, NULL))
        return;
    uint8_t code[SIZE] = {0};
    memcpy(code, sleep_and_go, sizeof sleep_and_go);
    memcpy(code + ADDRESS_AT, &process->exit_watch, 8);
    memcpy(code + TIME_AT, &moment, sizeof moment);
    for (size_t i = 0; count > 1 && i < count; i++) {
        if (threads[i].pc != process->exit_watch || gib_is_filtered(process->pid) ||
            gib_arena_near(engine, process, module, SIZE + 16, &arena, &ignored))
            continue;
        uint64_t at = (arena->start + arena->used + 15) & ~15ull;
        if (gib_arena_write(engine, process, at, code, SIZE, &ignored))
            continue;
        arena->used = at + SIZE - arena->start;
        engine->ops.set_pc(engine->context, threads[i].tid, at);
    }
    free(threads);
}
