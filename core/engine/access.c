/*
 * access.c: the one place that touches the memory and the threads of the target. (release.c does it
 * when no debugger is there any more.)
 *
 * Memory goes through the debugger. System calls and calls go the shortest way there is: GDB traces
 * the target from this very thread, so the engine borrows a stopped thread by ptrace for a few
 * microseconds and gives it back as it was. (GDB 13's own calls fail on processors with AMX:
 * "Couldn't write extended state status", and run breakpoints and events on the way.) LLDB's tracer
 * is another process: there a stub is called through the debugger.
 */
#include "engine/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int gib_read(struct gib_engine *engine, uint64_t address, void *buffer, size_t size,
             struct gib_error *error)
{
    if (size == 0 || engine->ops.read(engine->context, address, buffer, size) == 0)
        return 0;
    return gib_fail(error, GIB_E_TARGET, address,
                    "Cannot read %zu bytes at 0x%" PRIx64 " of the target.", size, address);
}

void gib_begin_change(struct gib_engine *engine)
{
    engine->page.valid = false;
    engine->progress = now_ms() + 1000;
}

void gib_end_change(struct gib_engine *engine)
{
    engine->page.valid = false;
    engine->progress = 0;
}

int gib_read_code(struct gib_engine *engine, uint64_t address, void *buffer, size_t size,
                  struct gib_error *error)
{
    enum { PAGE = sizeof engine->page.bytes };
    uint64_t page = address & ~(uint64_t)(PAGE - 1);
    if (address + size > page + PAGE)
        return gib_read(engine, address, buffer, size, error);
    if (!engine->page.valid || engine->page.address != page) {
        engine->page.valid = false;
        if (gib_read(engine, page, engine->page.bytes, PAGE, error))
            return gib_read(engine, address, buffer, size, error);
        engine->page.valid = true;
        engine->page.address = page;
    }
    memcpy(buffer, engine->page.bytes + (address - page), size);
    return 0;
}

void gib_show_progress(struct gib_engine *engine, const char *doing, size_t done, size_t total)
{
    if (!engine->progress || done % 256 || now_ms() < engine->progress)
        return;
    engine->progress = now_ms() + 1000;
    char *text = gib_format("gibbon: %s, %zu of %zu functions.\n", doing, done, total);
    if (text)
        engine->ops.print(engine->context, text, GIB_PRINT_LOG);
    free(text);
}

int gib_write(struct gib_engine *engine, uint64_t address, const void *buffer, size_t size,
              struct gib_error *error)
{
    engine->page.valid = false;
    if (size == 0 || engine->ops.write(engine->context, address, buffer, size) == 0)
        return 0;
    return gib_fail(error, GIB_E_TARGET, address,
                    "Cannot write %zu bytes at 0x%" PRIx64 " of the target.", size, address);
}

int gib_target_breakpoints(struct gib_engine *engine, int32_t number,
                           struct gib_target_breakpoint **breakpoints, size_t *count,
                           struct gib_error *error)
{
    size_t room = 64;
    *breakpoints = NULL;
    for (;;) {
        struct gib_target_breakpoint *grown = realloc(*breakpoints, room * sizeof *grown);
        if (!grown) {
            free(*breakpoints);
            return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
        }
        *breakpoints = grown;
        *count = engine->ops.breakpoints(engine->context, number, *breakpoints, room);
        if (*count <= room)
            return 0;
        room = *count + 16;
    }
}

int gib_target_memory(struct gib_process *process)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", process->pid);
    if (process->memory_fd < 0)
        process->memory_fd = open(path, O_RDWR | O_CLOEXEC);
    if (process->memory_fd < 0) /* some systems let it be read only */
        process->memory_fd = open(path, O_RDONLY | O_CLOEXEC);
    return process->memory_fd;
}

/* The end of the memory that a stack pointer is in: what belongs to no file and can be written. */
static uint64_t stack_end(pid_t pid, uint64_t sp)
{
    char name[64], permissions[8], *line = NULL;
    size_t room = 0;
    uint64_t start, end, found = 0;
    unsigned long inode;
    snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(name, "re");
    while (maps && getline(&line, &room, maps) > 0) { /* sorted by address */
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*x %*s %lu", &start, &end, permissions,
                   &inode) != 4)
            continue;
        bool stack = !strncmp(permissions, "rw", 2) && !inode;
        if (found ? start != found || !stack : start > sp)
            break;
        if (found || (sp < end && stack))
            found = end;
    }
    free(line);
    if (maps)
        fclose(maps);
    return found;
}

/* Up to the end of a thread's stack. No debugger has traps there, so it is read directly; where
 * that is not allowed, through the debugger. */
void gib_scan_stack(struct gib_engine *engine, uint64_t sp,
                    bool (*visit)(uint64_t word, void *context), void *context)
{
    enum { PAGE = 4096, PIECE = 16 * PAGE };
    uint64_t *words = malloc(PIECE), end = stack_end(engine->process->pid, sp);
    int memory = gib_target_memory(engine->process);
    bool more = words != NULL;
    for (uint64_t at = sp & ~7ull; more && at < end;) {
        size_t left = (size_t)(end - at), page = PAGE - (at & (PAGE - 1));
        ssize_t size =
            memory < 0 ? -1 : pread(memory, words, left < PIECE ? left : PIECE, (off_t)at);
        if (size <= 0 && engine->ops.read(engine->context, at, words, page) == 0)
            size = (ssize_t)page;
        more = size > 0;
        for (ssize_t i = 0; more && i < size / 8; i++)
            more = visit(words[i], context);
        at += more ? (uint64_t)size : 0;
    }
    free(words);
}

int gib_target_threads(struct gib_engine *engine, struct gib_target_thread **threads, size_t *count,
                       struct gib_error *error)
{
    size_t room = 64;
    *threads = NULL;
    for (;;) {
        struct gib_target_thread *grown = realloc(*threads, room * sizeof *grown);
        if (!grown) {
            free(*threads);
            return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
        }
        *threads = grown;
        *count = engine->ops.threads(engine->context, *threads, room);
        if (*count == 0) {
            free(*threads);
            *threads = NULL;
            return gib_fail(error, GIB_E_TARGET, 0,
                            "The debugger cannot say where the threads of the target are.");
        }
        if (*count <= room)
            return 0;
        room = *count + 16;
    }
}

pid_t gib_tracer_of(pid_t pid)
{
    char line[256];
    pid_t tracer = -1;
    bool gone;
    FILE *file = gib_open_proc(pid, "status", &gone);
    if (!file)
        return gone ? -1 : GIB_TRACER_UNKNOWN;
    while (fgets(line, sizeof line, file)) {
        if (!strncmp(line, "State:", 6) && strpbrk(line, "ZX"))
            break;
        if (sscanf(line, "TracerPid: %d", &tracer) == 1)
            break;
    }
    fclose(file);
    return tracer;
}

/* ---- borrowing a thread by ptrace ---- */

/* In the middle of vfork it would not step before its child has let it. */
static bool is_in_vfork(pid_t tid)
{
    siginfo_t stop;
    return ptrace(PTRACE_GETSIGINFO, tid, NULL, &stop) == 0 &&
           stop.si_code == (SIGTRAP | PTRACE_EVENT_VFORK << 8);
}

/* The thread to borrow: one that this very thread traces and that is stopped now. */
static pid_t borrowed_thread(struct gib_engine *engine)
{
    struct gib_target_thread one[1];
    if (engine->ops.threads(engine->context, one, 1) == 0)
        return 0;
    struct user_regs_struct registers;
    pid_t tid = one[0].tid;
    return !is_in_vfork(tid) && ptrace(PTRACE_GETREGS, tid, NULL, &registers) == 0 ? tid : 0;
}

/* Waits for a function that the thread was made to call; one that does not come back, as it waits
 * for a lock of another thread's, is stopped where it is. */
static void wait_for_call(pid_t tid)
{
    enum { PATIENCE = 2000000, PAUSE = 100 }; /* us */
    for (int waited = 0; waited < PATIENCE; waited += PAUSE) {
        siginfo_t end = {0};
        if (waitid(P_PID, (id_t)tid, &end, WSTOPPED | WEXITED | WNOWAIT | WNOHANG | __WALL) == 0 &&
            end.si_pid)
            return;
        usleep(PAUSE);
    }
    syscall(SYS_tkill, tid, SIGSTOP);
}

/* Resumes the thread by `request` until it stops with SIGTRAP. Signals are blocked meanwhile, all
 * but those that cannot be. */
static int run_borrowed(pid_t tid, int request)
{
    uint64_t before, blocked = ~(uint64_t)0 & ~(1ull << (SIGTRAP - 1));
    if (ptrace(PTRACE_GETSIGMASK, tid, sizeof before, &before))
        return -1;
    /* A synchronous fault must not be blocked, or the kernel would reset the program's handler for
     * it. */
    blocked &= ~(1ull << (SIGSEGV - 1)) & ~(1ull << (SIGBUS - 1)) & ~(1ull << (SIGILL - 1)) &
               ~(1ull << (SIGFPE - 1));
    ptrace(PTRACE_SETSIGMASK, tid, sizeof blocked, &blocked);
    int result = -1, status = 0;
    bool step = request == PTRACE_SINGLESTEP, debuggers = false;
    while (ptrace((enum __ptrace_request)request, tid, NULL, NULL) == 0) {
        if (request == PTRACE_CONT)
            wait_for_call(tid);
        /* A death in between is the debugger's to hear of. */
        siginfo_t end = {0};
        while (waitid(P_PID, (id_t)tid, &end, WSTOPPED | WEXITED | WNOWAIT | __WALL) < 0 &&
               errno == EINTR)
            ;
        if (end.si_code != CLD_TRAPPED && end.si_code != CLD_STOPPED)
            return -1;
        while (waitpid(tid, &status, __WALL) < 0 && errno == EINTR)
            ;
        result = WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP ? 0 : -1;
        /* A debugger that stops all threads sends them this one, and will wait for it. */
        if (!step || debuggers || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
            break;
        debuggers = true;
    }
    if (debuggers)
        syscall(SYS_tkill, tid, SIGSTOP);
    ptrace(PTRACE_SETSIGMASK, tid, sizeof before, &before);
    return result;
}

static const char system_call[] = "\x0f\x05", trap[] = "\xcc";

/* Such bytes in one executable mapping, 0: none. */
static uint64_t find_in_mapping(struct gib_engine *engine, const char *wanted, uint64_t start,
                                uint64_t end)
{
    enum { PIECE = 1 << 16 };
    uint64_t found = 0;
    uint8_t *buffer = malloc(PIECE);
    for (uint64_t at = start; buffer && at < end && !found; at += PIECE - 1) {
        size_t size = end - at < PIECE ? (size_t)(end - at) : PIECE;
        if (engine->ops.read(engine->context, at, buffer, size))
            break;
        const uint8_t *hit = memmem(buffer, size, wanted, strlen(wanted));
        found = hit ? at + (uint64_t)(hit - buffer) : 0;
    }
    free(buffer);
    return found;
}

/* The vDSO has them, and so does ld.so; a static program without a vDSO has its own. *kept, of the
 * process, is where they were found last: searching means reading. */
static uint64_t find_instruction(struct gib_engine *engine, const char *wanted, uint64_t *kept)
{
    char name[64], *line = NULL;
    uint8_t bytes[2];
    size_t room = 0;
    uint64_t start, end;
    char permissions[8];
    if (*kept && engine->ops.read(engine->context, *kept, bytes, strlen(wanted)) == 0 &&
        !memcmp(bytes, wanted, strlen(wanted)))
        return *kept;
    *kept = 0;
    snprintf(name, sizeof name, "/proc/%d/maps", engine->process->pid);
    for (int turn = 0; turn < 2 && !*kept; turn++) {
        FILE *maps = fopen(name, "re");
        while (maps && !*kept && getline(&line, &room, maps) > 0) {
            if (strstr(line, "/memfd:"))
                continue; /* our own, and mostly holes */
            bool likely = strstr(line, "[vdso]") || strstr(line, "/ld-");
            if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &start, &end, permissions) == 3 &&
                permissions[0] == 'r' && permissions[2] == 'x' && (likely || turn == 1))
                *kept = find_in_mapping(engine, wanted, start, end);
        }
        if (maps)
            fclose(maps);
    }
    free(line);
    return *kept;
}

static int borrow_syscall(pid_t tid, uint64_t instruction, long number, const uint64_t a[6],
                          uint64_t *result)
{
    struct user_regs_struct saved, registers;
    if (ptrace(PTRACE_GETREGS, tid, NULL, &saved))
        return -1;
    registers = saved;
    registers.rip = instruction;
    registers.rax = (uint64_t)number;
    registers.orig_rax = (uint64_t)-1; /* no system call of the program's is to be restarted here */
    registers.rdi = a[0];
    registers.rsi = a[1];
    registers.rdx = a[2];
    registers.r10 = a[3];
    registers.r8 = a[4];
    registers.r9 = a[5];
    struct user_regs_struct after = registers;
    int failed = 0;
    for (int tries = 0; !failed && tries < 2 && after.rip == instruction; tries++) {
        if (tries) /* the step only ended the execve or fork that had stopped it: now that has its
                      result */
            saved.rax = after.rax;
        failed = ptrace(PTRACE_SETREGS, tid, NULL, &registers) ||
                 run_borrowed(tid, PTRACE_SINGLESTEP) || ptrace(PTRACE_GETREGS, tid, NULL, &after);
    }
    *result = after.rax;
    if (ptrace(PTRACE_SETREGS, tid, NULL, &saved))
        return -1;
    return failed ? -1 : 0;
}

/* Vector registers, x87, and whatever else this processor has: a function may use them. (GDB 13
 * keeps less room for them than processors with AMX need, and fails.) */
enum { VECTORS_MOST = 1 << 16, XSTATE = 0x202 /* NT_X86_XSTATE */ };
static bool save_vectors(pid_t tid, struct iovec *v)
{
    *v = (struct iovec){malloc(VECTORS_MOST), VECTORS_MOST};
    return v->iov_base && ptrace(PTRACE_GETREGSET, tid, XSTATE, v) == 0;
}
static bool restore_vectors(pid_t tid, struct iovec *v)
{
    bool done = ptrace(PTRACE_SETREGSET, tid, XSTATE, v) == 0;
    free(v->iov_base);
    return done;
}

/* Calls a function on the thread's stack, below the red zone; it returns to an int3: ours, or
 * before the agent is there any byte that is one. */
static int borrow_call(struct gib_engine *engine, pid_t tid, uint64_t function, uint64_t *result)
{
    struct gib_process *process = engine->process;
    struct user_regs_struct saved, registers;
    if (!process)
        return -1;
    uint64_t stop = process->call_stop ? process->call_stop
                                       : find_instruction(engine, trap, &process->trap_instruction);
    if (!stop || ptrace(PTRACE_GETREGS, tid, NULL, &saved))
        return -1;
    registers = saved;
    registers.rsp = ((saved.rsp - 256) & ~63ull) - 8;
    registers.rip = function;
    registers.rax = 0;
    registers.orig_rax = (uint64_t)-1;
    registers.eflags &= ~0x500ull; /* trap and direction flags */
    struct iovec vectors;
    if (!save_vectors(tid, &vectors)) {
        free(vectors.iov_base);
        return -1;
    }
    int failed = ptrace(PTRACE_POKEDATA, tid, (void *)registers.rsp, (void *)stop) ||
                 ptrace(PTRACE_SETREGS, tid, NULL, &registers) || run_borrowed(tid, PTRACE_CONT) ||
                 ptrace(PTRACE_GETREGS, tid, NULL, &registers) || registers.rip != stop + 1;
    *result = registers.rax;
    bool restored = restore_vectors(tid, &vectors);
    if (ptrace(PTRACE_SETREGS, tid, NULL, &saved) || !restored)
        return -1;
    return failed ? -1 : 0;
}

/* The registers that ordinary code changes, by the debuggers' names. */
static const struct {
    const char *name;
    size_t offset;
} general[] = {
#define REG(name)                                                                                  \
    {                                                                                              \
#name, offsetof(struct user_regs_struct, name)                                             \
    }
    REG(rax), REG(rbx), REG(rcx), REG(rdx), REG(rsi), REG(rdi),    REG(r8),  REG(r9),  REG(r10),
    REG(r11), REG(r12), REG(r13), REG(r14), REG(r15), REG(eflags), REG(rbp), REG(rsp), REG(rip),
#undef REG
};

/* The debugger has kept the registers of the stop; it must not write them back. */
static void tell_registers(struct gib_engine *engine, const struct user_regs_struct *before,
                           const struct user_regs_struct *now)
{
    for (size_t i = 0; i < sizeof general / sizeof *general; i++) {
        uint64_t old, value;
        memcpy(&old, (const char *)before + general[i].offset, sizeof old);
        memcpy(&value, (const char *)now + general[i].offset, sizeof value);
        if (old != value)
            engine->ops.set_register(engine->context, general[i].name, value);
    }
}

/* By single instructions, from `from`: no trap is written that somebody else could meet. The stack
 * pointer is `sp` there, or with `deeper` anything below. */
static int borrow_run_to(struct gib_engine *engine, pid_t tid, uint64_t from, uint64_t to,
                         uint64_t sp, bool deeper)
{
    enum { MOST = 100000 };
    struct user_regs_struct before, now;
    if (ptrace(PTRACE_GETREGS, tid, NULL, &before))
        return -1;
    now = before;
    now.rip = from;
    int failed = from != before.rip && ptrace(PTRACE_SETREGS, tid, NULL, &now);
    bool there = false;
    for (int i = 0; i < MOST && !failed && !there; i++) {
        errno = 0;
        long code = ptrace(PTRACE_PEEKTEXT, tid, (void *)now.rip, NULL);
        failed = errno || (code & 0xff) == 0xcc || run_borrowed(tid, PTRACE_SINGLESTEP) ||
                 ptrace(PTRACE_GETREGS, tid, NULL, &now) || (deeper && now.rsp > sp);
        there = now.rip == to && (deeper || now.rsp == sp);
    }
    tell_registers(engine, &before, &now);
    return there && !failed ? 0 : -1;
}

int gib_target_run_to(struct gib_engine *engine, uint64_t to, uint64_t sp)
{
    pid_t tid = borrowed_thread(engine);
    struct user_regs_struct now;
    if (tid && ptrace(PTRACE_GETREGS, tid, NULL, &now) == 0)
        return borrow_run_to(engine, tid, now.rip, to, sp, false);
    if (gib_tracer_of(engine->process->pid) == getpid())
        return -1;
    return engine->ops.run_to(engine->context, to, sp);
}

bool gib_target_steps(struct gib_engine *engine)
{
    return borrowed_thread(engine) != 0;
}

int gib_target_step_to(struct gib_engine *engine, uint64_t from, uint64_t to, uint64_t sp,
                       bool deeper)
{
    pid_t tid = borrowed_thread(engine);
    return tid ? borrow_run_to(engine, tid, from, to, sp, deeper) : -1;
}

/* ---- the debugger's own call ---- */

/*
 *  b8+r imm64 for each argument      mov rdi/rsi/rdx/r10/r8/r9, imm64
 *  48 b8 imm64                       mov rax, number
 *  0f 05 c3                          syscall ; ret
 */
static size_t make_syscall_stub(uint8_t *code, long number, const uint64_t a[6])
{
    static const uint8_t move[7][2] = {{0x48, 0xbf}, {0x48, 0xbe}, {0x48, 0xba}, {0x49, 0xba},
                                       {0x49, 0xb8}, {0x49, 0xb9}, {0x48, 0xb8}};
    size_t at = 0;
    for (int i = 0; i < 7; i++) {
        uint64_t value = i < 6 ? a[i] : (uint64_t)number;
        code[at++] = move[i][0];
        code[at++] = move[i][1];
        memcpy(code + at, &value, 8);
        at += 8;
    }
    memcpy(code + at, "\x0f\x05\xc3", 3);
    return at + 3;
}

enum { STUB = 96 };

/* Executable bytes that nothing else uses: the zeros behind the end of a text segment, up to its
 * page's end. Where code fills its page, the last of it, which gets its bytes back at once: while
 * the stub is called no other thread runs. */
static uint64_t find_cave(struct gib_engine *engine, pid_t pid)
{
    char name[64], permissions[8];
    snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(name, "re");
    uint64_t found = 0, last = 0, start, end;
    char *line = NULL;
    size_t room = 0;
    while (maps && !found && getline(&line, &room, maps) > 0) {
        uint8_t bytes[STUB], zero[STUB] = {0};
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &start, &end, permissions) != 3 ||
            permissions[2] != 'x' || !strchr(line, '/') || strstr(line, "/memfd:"))
            continue;
        if (engine->ops.read(engine->context, end - STUB, bytes, STUB))
            continue;
        last = end - STUB;
        found = memcmp(bytes, zero, STUB) ? 0 : last;
    }
    free(line);
    if (maps)
        fclose(maps);
    return found ? found : last;
}

static int stub_syscall(struct gib_engine *engine, long number, const uint64_t a[6],
                        uint64_t *result, struct gib_error *error)
{
    uint8_t code[STUB] = {0}, saved[STUB];
    make_syscall_stub(code, number, a);
    uint64_t cave = engine->process->stub;
    if (cave) {
        int bad = gib_arena_write(engine, engine->process, cave, code, STUB, error);
        if (!bad && engine->ops.call(engine->context, cave, result))
            bad = gib_fail(error, GIB_E_TARGET, cave,
                           "The debugger could not call a system-call stub in the target.");
        return bad;
    }
    if (!(cave = find_cave(engine, engine->process->pid)))
        return gib_fail(
            error, GIB_E_TARGET, 0,
            "No place for a system-call stub was found in the program's text segments.");
    int failed = gib_read(engine, cave, saved, STUB, error);
    if (failed || (failed = gib_write(engine, cave, code, STUB, error)))
        return failed;
    if (engine->ops.call(engine->context, cave, result))
        failed = gib_fail(error, GIB_E_TARGET, cave,
                          "The debugger could not call a system-call stub in the target.");
    struct gib_error ignored;
    if (gib_write(engine, cave, saved, STUB, &ignored)) /* it may have been interrupted */
        gib_write(engine, cave, saved, STUB, &ignored);
    return failed;
}

int gib_target_syscall(struct gib_engine *engine, long number, const uint64_t arguments[6],
                       uint64_t *result, struct gib_error *error)
{
    pid_t tid = borrowed_thread(engine);
    uint64_t instruction =
        tid ? find_instruction(engine, system_call, &engine->process->syscall_instruction) : 0;
    if (instruction && borrow_syscall(tid, instruction, number, arguments, result) == 0)
        return 0;
    /* The tracer's own thread must not be asked to call: it would do so from inside an event. */
    if (gib_tracer_of(engine->process->pid) == getpid())
        return gib_fail(error, GIB_E_TARGET, 0,
                        "No thread of process %d can be borrowed for a system call now; one that "
                        "waits in vfork for its child must go on first.",
                        engine->process->pid);
    return stub_syscall(engine, number, arguments, result, error);
}

int gib_target_call(struct gib_engine *engine, uint64_t address, uint64_t *result,
                    struct gib_error *error)
{
    pid_t tid = borrowed_thread(engine);
    if (tid && borrow_call(engine, tid, address, result) == 0)
        return 0;
    /* As above: from inside an event GDB 13 crashes in such a call. */
    if (gib_tracer_of(engine->process->pid) != getpid() &&
        engine->ops.call(engine->context, address, result) == 0)
        return 0;
    return gib_fail(error, GIB_E_TARGET, address,
                    "The function at 0x%" PRIx64 " of the target could not be called.", address);
}
