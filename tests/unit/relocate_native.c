#include "relocate_native.h"

#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <Zydis/Zydis.h>

#include "emulator.h" /* random_next */

enum {
    MAX_STEPS = 300,
    SMALL = 0x10000,
    AROUND = 2 * SMALL, /* of the original: half of it before its entry */
    STATE = 16384,      /* of XSAVE, AMX included */
    FLAGS = 0xcd5,      /* CF PF AF ZF SF DF OF */
};
#define DATA  0x10000000ULL
#define STACK 0x7d0000000000ULL

static const struct {
    uint64_t address;
    size_t size;
} regions[] = {
    {NATIVE_FROM - AROUND / 2, AROUND},
    {DATA, SMALL},
    {STACK, SMALL},
    {NATIVE_NEAR, 4096},
    {NATIVE_FAR, 4096},
};
enum { REGIONS = sizeof regions / sizeof *regions, COMPARED = 3 };

struct step {
    size_t original; /* the boundary */
    struct user_regs_struct registers;
};

struct run {
    struct step step[MAX_STEPS];
    size_t steps;
    struct user_regs_struct last;
    uint8_t state[STATE];
    uint8_t memory[AROUND + 2 * SMALL];
    uint64_t pushed; /* by a call that left; 0: it left otherwise */
    bool left;
    int signal;
    uint64_t fault;
};

struct native {
    pid_t child;
    ZydisDecoder decoder;
    struct user_regs_struct registers; /* a state that the kernel accepts */
    uint8_t state[STATE];
    size_t state_size;
    uint8_t content[AROUND]; /* what is in memory before a run */
    struct run original, copy;
};

static uint8_t *memory_at(uint64_t address)
{
    return (uint8_t *)(uintptr_t)address;
}

static bool is_ours(uint64_t start)
{
    for (size_t i = 0; i < REGIONS; i++)
        if (start - regions[i].address < regions[i].size)
            return true;
    return false;
}

/* Leaves the child nothing but our regions: what else it has (a sanitizer's shadow is in reach of
 * 32 bits) would keep what one run writes for the next. */
static bool unmap_rest(struct native *native)
{
    char path[64], line[512];
    unsigned long long start, end;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)native->child);
    FILE *maps = fopen(path, "r");
    memcpy(memory_at(NATIVE_NEAR), "\x0f\x05", 2); /* syscall */
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%llx-%llx", &start, &end) != 2 || is_ours(start) || start >> 47)
            continue;
        struct user_regs_struct registers = native->registers;
        registers.orig_rax = (unsigned long long)-1;
        registers.rax = SYS_munmap;
        registers.rdi = start;
        registers.rsi = end - start;
        registers.rip = NATIVE_NEAR;
        int status;
        if (ptrace(PTRACE_SETREGS, native->child, NULL, &registers) ||
            ptrace(PTRACE_SINGLESTEP, native->child, NULL, NULL) ||
            waitpid(native->child, &status, 0) != native->child || !WIFSTOPPED(status)) {
            fclose(maps);
            return false;
        }
    }
    return maps && !fclose(maps);
}

struct native *native_new(void)
{
    struct native *native = calloc(1, sizeof *native);
    uint64_t state = 7;
    if (!native)
        return NULL;
    for (size_t i = 0; i < REGIONS; i++)
        if (mmap(memory_at(regions[i].address), regions[i].size, PROT_READ | PROT_WRITE | PROT_EXEC,
                 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                 0) != memory_at(regions[i].address))
            goto impossible;
    /* Numbers that are pointers as often as not. */
    for (size_t i = 0; i < sizeof native->content; i += 8) {
        uint64_t value = random_next(&state);
        if (value & 1)
            value = DATA + (value >> 8) % (SMALL - 64);
        memcpy(native->content + i, &value, 8);
    }
    ZydisDecoderInit(&native->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    native->child = fork();
    if (native->child == 0) {
        /* The kernel would miss this area of libc's when it is gone. */
        syscall(SYS_rseq, (char *)pthread_self() + __rseq_offset, 32, RSEQ_FLAG_UNREGISTER,
                RSEQ_SIG);
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        _exit(1);
    }
    int status;
    struct iovec area = {native->state, sizeof native->state};
    if (native->child < 0 || waitpid(native->child, &status, 0) != native->child ||
        !WIFSTOPPED(status) || ptrace(PTRACE_SETOPTIONS, native->child, NULL, PTRACE_O_EXITKILL) ||
        ptrace(PTRACE_GETREGS, native->child, NULL, &native->registers) ||
        ptrace(PTRACE_GETREGSET, native->child, NT_X86_XSTATE, &area))
        goto impossible;
    native->state_size = area.iov_len;
    if (!unmap_rest(native))
        goto impossible;
    return native;
impossible:
    native_free(native);
    return NULL;
}

void native_free(struct native *native)
{
    if (native && native->child > 0) {
        kill(native->child, SIGKILL);
        waitpid(native->child, NULL, 0);
    }
    free(native);
    for (size_t i = 0; i < REGIONS; i++)
        munmap(memory_at(regions[i].address), regions[i].size);
}

/* Mostly pointers to memory, some small numbers; rcx often small, for it counts. */
static struct user_regs_struct draw_registers(const struct native *native, uint64_t seed)
{
    struct user_regs_struct r = native->registers;
    unsigned long long *const general[] = {&r.rax, &r.rbx, &r.rcx, &r.rdx, &r.rsi,
                                           &r.rdi, &r.rbp, &r.r8,  &r.r9,  &r.r10,
                                           &r.r11, &r.r12, &r.r13, &r.r14, &r.r15};
    for (size_t i = 0; i < sizeof general / sizeof *general; i++) {
        uint64_t value = random_next(&seed);
        bool small = value >> 61 == 0 || (general[i] == &r.rcx && value >> 63);
        *general[i] = small ? value % 6 : DATA + 0x1000 + (value & 0xdff8);
    }
    r.rsp = STACK + 0x8000 + (random_next(&seed) & 0xff8);
    r.eflags = (random_next(&seed) & FLAGS) | 0x202;
    if (random_next(&seed) & 7)
        r.eflags &= ~0x400ULL; /* DF is rarely set */
    r.fs_base = r.gs_base = DATA + 0x8000;
    r.orig_rax = (unsigned long long)-1; /* no system call to restart */
    return r;
}

static void prepare(struct native *native, const struct gib_relocation_request *request,
                    const struct gib_relocation *copy, uint64_t pc, uint64_t seed)
{
    for (size_t i = 0; i < COMPARED; i++)
        memcpy(memory_at(regions[i].address), native->content, regions[i].size);
    memcpy(memory_at(request->from), request->code, request->code_size);
    memcpy(memory_at(request->to), copy->code, copy->size);
    struct user_regs_struct registers = draw_registers(native, seed);
    struct iovec area = {native->state, native->state_size};
    /* xmm0..15; and say that they, the x87 part and the upper halves are in use */
    for (size_t i = 160; i < 416; i += 8) {
        uint64_t value = random_next(&seed);
        memcpy(native->state + i, &value, 8);
    }
    native->state[512] |= 3;
    registers.rip = pc;
    if (ptrace(PTRACE_SETREGS, native->child, NULL, &registers) ||
        ptrace(PTRACE_SETREGSET, native->child, NT_X86_XSTATE, &area))
        abort();
}

/* The original's offset for a PC in either code, or -1 where no instruction of the original begins.
 */
static long boundary_at(const struct gib_relocation *copy, uint64_t offset, bool relocated)
{
    for (size_t i = 0; i + 1 < copy->boundaries; i++)
        if (offset == (relocated ? copy->boundary[i].copy : copy->boundary[i].original))
            return copy->boundary[i].original;
    return -1;
}

/* The length of the call at `pc`, 0: it is none. */
static size_t call_at(const struct native *native, uint64_t pc)
{
    ZydisDecodedInstruction instruction;
    return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&native->decoder, NULL, memory_at(pc), 15,
                                                      &instruction)) &&
                   instruction.mnemonic == ZYDIS_MNEMONIC_CALL
               ? instruction.length
               : 0;
}

/* Has the instruction at `pc` called something else than what stands behind it? */
static bool has_called(const struct native *native, uint64_t pc, uint64_t now)
{
    size_t length = call_at(native, pc);
    return length && now != pc + length;
}

static void execute(struct native *native, const struct gib_relocation_request *request,
                    const struct gib_relocation *copy, size_t boundary, bool relocated,
                    uint64_t seed)
{
    struct run *run = relocated ? &native->copy : &native->original;
    uint64_t start = relocated ? request->to : request->from;
    uint64_t size = relocated ? copy->size : copy->consumed;
    uint64_t pc =
        start + (relocated ? copy->boundary[boundary].copy : copy->boundary[boundary].original);
    run->steps = 0;
    run->left = false;
    run->signal = 0;
    run->pushed = run->fault = 0;
    prepare(native, request, copy, pc, seed);
    for (size_t total = 0; total < 4 * MAX_STEPS && run->steps < MAX_STEPS; total++) {
        int status;
        siginfo_t info;
        ptrace(PTRACE_GETREGS, native->child, NULL, &run->last);
        bool called = total > 0 && has_called(native, pc, run->last.rip);
        pc = run->last.rip;
        if (called || pc - start >= size) {
            run->left = true;
            if (called)
                memcpy(&run->pushed, memory_at(run->last.rsp), 8);
            break;
        }
        long original = boundary_at(copy, pc - start, relocated);
        if (original >= 0)
            run->step[run->steps++] = (struct step){(size_t)original, run->last};
        ptrace(PTRACE_SINGLESTEP, native->child, NULL, NULL);
        if (waitpid(native->child, &status, 0) != native->child || !WIFSTOPPED(status))
            abort();
        if (WSTOPSIG(status) != SIGTRAP) {
            ptrace(PTRACE_GETSIGINFO, native->child, NULL, &info);
            ptrace(PTRACE_GETREGS, native->child, NULL, &run->last);
            run->signal = WSTOPSIG(status);
            run->fault = (uint64_t)(uintptr_t)info.si_addr;
            break;
        }
    }
    struct iovec area = {run->state, sizeof run->state};
    ptrace(PTRACE_GETREGSET, native->child, NT_X86_XSTATE, &area);
    uint8_t *to = run->memory;
    for (size_t i = 0; i < COMPARED; i++) {
        memcpy(to, memory_at(regions[i].address), regions[i].size);
        to += regions[i].size;
    }
}

static bool same_registers(const struct user_regs_struct *a, const struct user_regs_struct *b,
                           const char *where, size_t offset, char *why, size_t size)
{
    const struct {
        const char *name;
        uint64_t a, b;
    } pairs[] = {
        {"rax", a->rax, b->rax},
        {"rbx", a->rbx, b->rbx},
        {"rcx", a->rcx, b->rcx},
        {"rdx", a->rdx, b->rdx},
        {"rsi", a->rsi, b->rsi},
        {"rdi", a->rdi, b->rdi},
        {"rbp", a->rbp, b->rbp},
        {"rsp", a->rsp, b->rsp},
        {"r8", a->r8, b->r8},
        {"r9", a->r9, b->r9},
        {"r10", a->r10, b->r10},
        {"r11", a->r11, b->r11},
        {"r12", a->r12, b->r12},
        {"r13", a->r13, b->r13},
        {"r14", a->r14, b->r14},
        {"r15", a->r15, b->r15},
        {"flags", a->eflags & FLAGS, b->eflags & FLAGS},
        {"fs", a->fs_base, b->fs_base},
        {"gs", a->gs_base, b->gs_base},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].a != pairs[i].b) {
            snprintf(why, size, "%s byte %zu: %s is 0x%llx, 0x%llx in the copy", where, offset,
                     pairs[i].name, (unsigned long long)pairs[i].a, (unsigned long long)pairs[i].b);
            return false;
        }
    return true;
}

static bool same_steps(const struct native *native, char *why, size_t size)
{
    const struct run *a = &native->original, *b = &native->copy;
    size_t count = a->steps < b->steps ? a->steps : b->steps;
    for (size_t i = 0; i < count; i++) {
        if (a->step[i].original != b->step[i].original) {
            snprintf(why, size, "step %zu is byte %zu in the original, %zu in the copy", i,
                     a->step[i].original, b->step[i].original);
            return false;
        }
        if (!same_registers(&a->step[i].registers, &b->step[i].registers, "at", a->step[i].original,
                            why, size))
            return false;
    }
    if (a->steps == b->steps || count == MAX_STEPS)
        return true;
    snprintf(why, size, "%zu steps, %zu in the copy", a->steps, b->steps);
    return false;
}

/* All but the addresses of the last x87 instruction and operand, and what says which parts are in
 * use: parts not in use are zero. */
static bool same_state(const struct native *native)
{
    const uint8_t *a = native->original.state, *b = native->copy.state;
    return !memcmp(a, b, 6) && !memcmp(a + 24, b + 24, 416 - 24) &&
           !memcmp(a + 576, b + 576, native->state_size - 576);
}

/* The copy's return address against the original's. */
static bool same_return(const struct gib_relocation_request *request,
                        const struct gib_relocation *copy, uint64_t original, uint64_t copied)
{
    for (size_t i = 1; i < copy->boundaries; i++)
        if (original == request->from + copy->boundary[i].original &&
            copied == request->to + copy->boundary[i].copy)
            return true;
    return false;
}

/* Where in run.memory the byte at `address` is kept. */
static size_t place_of(uint64_t address)
{
    size_t place = 0;
    for (size_t i = 0; i < COMPARED; i++) {
        if (address - regions[i].address < regions[i].size)
            return place + (size_t)(address - regions[i].address);
        place += regions[i].size;
    }
    return SIZE_MAX / 2;
}

static bool same_memory(struct native *native, const struct gib_relocation_request *request,
                        const struct gib_relocation *copy, bool returns_home, char *why,
                        size_t size)
{
    struct run *a = &native->original, *b = &native->copy;
    if (!returns_home && a->pushed && b->pushed) {
        size_t slot = place_of(a->last.rsp);
        if (!same_return(request, copy, a->pushed, b->pushed)) {
            snprintf(why, size, "returns to 0x%llx, 0x%llx in the copy",
                     (unsigned long long)a->pushed, (unsigned long long)b->pushed);
            return false;
        }
        if (slot + 8 <= sizeof a->memory)
            memcpy(b->memory + slot, a->memory + slot, 8);
    }
    bool same = !memcmp(a->memory, b->memory, sizeof a->memory);
    for (size_t i = 0; i < sizeof a->memory && !same; i++)
        if (a->memory[i] != b->memory[i]) {
            snprintf(why, size, "memory differs: %02x, %02x in the copy, at 0x%zx of what is kept",
                     a->memory[i], b->memory[i], i);
            return false;
        }
    return true;
}

static bool wrote_code(const struct run *run, const struct gib_relocation_request *request,
                       const struct gib_relocation *copy)
{
    return memcmp(run->memory + AROUND / 2 + (request->from - NATIVE_FROM), request->code,
                  request->code_size) ||
           memcmp(memory_at(request->to), copy->code, copy->size);
}

enum native_verdict native_compare(struct native *native,
                                   const struct gib_relocation_request *request,
                                   const struct gib_relocation *copy, size_t boundary,
                                   bool returns_home, uint64_t seed, char *why, size_t why_size)
{
    const struct run *a = &native->original, *b = &native->copy;
    execute(native, request, copy, boundary, false, seed);
    if (wrote_code(a, request, copy))
        return NATIVE_WRITES_CODE;
    execute(native, request, copy, boundary, true, seed);
    if (wrote_code(b, request, copy))
        return NATIVE_WRITES_CODE;
    if (!same_steps(native, why, why_size))
        return NATIVE_DIFFERENT;
    /* A call to an impossible address has pushed, or has not, says the processor as it likes. */
    if (a->signal && a->signal == b->signal && call_at(native, a->last.rip))
        return NATIVE_FAULTS_ALIKE;
    if (a->signal != b->signal || a->fault != b->fault) {
        /* An illegal instruction tells its own address. */
        bool own = a->signal == b->signal && (a->signal == SIGILL || a->signal == SIGFPE);
        if (!own) {
            snprintf(why, why_size, "signal %d at 0x%llx, %d at 0x%llx in the copy", a->signal,
                     (unsigned long long)a->fault, b->signal, (unsigned long long)b->fault);
            return NATIVE_DIFFERENT;
        }
    }
    /* A far load faults when its register holds the address already: the only state between
     * boundaries that a fault shows. */
    if (a->signal && boundary_at(copy, b->last.rip - request->to, true) < 0)
        return NATIVE_FAULTS_ALIKE;
    if (!a->signal && (!a->left || !b->left)) {
        if (a->left == b->left)
            return NATIVE_TOO_LONG;
        snprintf(why, why_size, "only one of them ends");
        return NATIVE_DIFFERENT;
    }
    if (!a->signal && a->last.rip != b->last.rip) {
        snprintf(why, why_size, "goes on at 0x%llx, the copy at 0x%llx",
                 (unsigned long long)a->last.rip, (unsigned long long)b->last.rip);
        return NATIVE_DIFFERENT;
    }
    if (!same_registers(&a->last, &b->last, "behind", copy->consumed, why, why_size) ||
        !same_memory(native, request, copy, returns_home, why, why_size))
        return NATIVE_DIFFERENT;
    if (!same_state(native)) {
        snprintf(why, why_size, "x87, vector or mask registers differ");
        return NATIVE_DIFFERENT;
    }
    return a->signal ? NATIVE_FAULTS_ALIKE : NATIVE_SAME;
}
