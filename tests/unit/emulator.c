#include "emulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 4096,
    MAX_PAGES = 512,
    MAX_WRITTEN = 8192,
    MAX_STEPS = 250,
    REGISTERS = 16,
    VECTORS = 16,
    LONGEST_THUNK = 9,
};

/* Where registers point, unless they hold a small number. */
#define DATA_BASE  0x10000000ULL
#define STACK_BASE 0x7ffff0000000ULL
#define FLAGS_MASK 0xcd5ULL /* CF PF AF ZF SF DF OF */

static const int general[REGISTERS] = {
    UC_X86_REG_RAX, UC_X86_REG_RBX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RSI, UC_X86_REG_RDI,
    UC_X86_REG_RBP, UC_X86_REG_RSP, UC_X86_REG_R8,  UC_X86_REG_R9,  UC_X86_REG_R10, UC_X86_REG_R11,
    UC_X86_REG_R12, UC_X86_REG_R13, UC_X86_REG_R14, UC_X86_REG_R15,
};
enum { RCX = 2, RSP = 7 };

struct cpu {
    uint64_t general[REGISTERS];
    uint64_t flags;
    uint64_t vector[VECTORS][2];
};

/* The state when an instruction of the original, or its copy, is about to run. */
struct step {
    size_t original; /* its offset */
    struct cpu cpu;
};

struct written {
    uint64_t address;
    uint8_t value;
};

struct run {
    struct step step[MAX_STEPS];
    size_t steps;
    struct cpu last;
    uint64_t pc;
    uint64_t return_address; /* when it left by a call: what that pushed, as the original has it */
    bool relocated, called, left, endless;
    uint64_t start, size;
    uint64_t rsp; /* before the instruction that runs now */
    size_t instructions;
    uc_err error;
    struct written written[MAX_WRITTEN];
    size_t written_count;
};

struct emulator {
    uc_engine *uc;
    uint64_t page[MAX_PAGES]; /* touched by this window's runs so far */
    size_t pages;
    const struct gib_relocation_request *request;
    const struct gib_relocation *copy;
    uint64_t thunk;  /* address of a callee that only reads its return address, 0: none */
    struct run *run; /* being filled */
    struct run original, relocated;
};

uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* Copies what of `bytes` at `start` lies on the page. */
static void overlay(uint8_t *page, uint64_t address, const uint8_t *bytes, size_t size,
                    uint64_t start)
{
    for (size_t i = 0; i < size; i++)
        if (start + i >= address && start + i - address < PAGE)
            page[start + i - address] = bytes[i];
}

/*
 * Memory exists where it is touched: a page's content depends on its address alone. It consists of
 * bytes that end a block of code, because QEMU translates what it will not run and may abort on
 * arbitrary bytes.
 */
static bool map_page(struct emulator *emulator, uint64_t address)
{
    /* ret, retf, iret, hlt, int3, int1: see above */
    static const uint8_t enders[] = {0xc3, 0xcb, 0xcf, 0xf4, 0xcc, 0xf1};
    uint8_t content[PAGE];
    uint64_t state;
    if (uc_mem_map(emulator->uc, address, PAGE, UC_PROT_ALL))
        return false;
    state = address;
    for (size_t i = 0; i < PAGE; i += 8) {
        uint64_t draw = random_next(&state);
        for (size_t j = 0; j < 8; j++)
            content[i + j] = enders[(draw >> (8 * j)) % sizeof enders];
    }
    overlay(content, address, emulator->request->code, emulator->copy->consumed,
            emulator->request->from);
    overlay(content, address, emulator->copy->code, emulator->copy->size, emulator->request->to);
    if (emulator->thunk)
        overlay(content, address,
                emulator->request->code + (emulator->thunk - emulator->request->from),
                LONGEST_THUNK, emulator->thunk);
    return uc_mem_write(emulator->uc, address, content, PAGE) == UC_ERR_OK;
}

static bool on_unmapped(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
                        void *user)
{
    struct emulator *emulator = user;
    uint64_t first = address & ~(uint64_t)(PAGE - 1);
    bool mapped = first < -(uint64_t)PAGE; /* the loop must not wrap around */
    for (uint64_t page = first; mapped && page <= address + (uint64_t)size - 1; page += PAGE) {
        bool known = false;
        for (size_t i = 0; i < emulator->pages; i++)
            known = known || emulator->page[i] == page;
        if (known)
            continue;
        mapped = emulator->pages < MAX_PAGES && map_page(emulator, page);
        if (mapped)
            emulator->page[emulator->pages++] = page;
    }
    return mapped;
}

static void on_write(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value,
                     void *user)
{
    struct run *run = ((struct emulator *)user)->run;
    for (int i = 0; i < size; i++) {
        size_t at = 0;
        while (at < run->written_count && run->written[at].address != address + (uint64_t)i)
            at++;
        if (at == MAX_WRITTEN)
            return;
        if (at == run->written_count)
            run->written_count++;
        run->written[at].address = address + (uint64_t)i;
    }
}

/* Mostly pointers to memory, some small numbers; rcx often small, for it counts. */
static void draw_state(uc_engine *uc, uint64_t seed)
{
    uint64_t fs = DATA_BASE + 0x100000, flags;
    for (size_t i = 0; i < REGISTERS; i++) {
        uint64_t value = random_next(&seed);
        bool small = value >> 61 == 0 || (i == RCX && value >> 63);
        value = small ? value % 6 : DATA_BASE + (value & 0x1fff8);
        if (i == RSP)
            value = STACK_BASE + 0x4000 + (random_next(&seed) & 0xff8);
        uc_reg_write(uc, general[i], &value);
    }
    for (int i = 0; i < VECTORS; i++) {
        uint64_t vector[2] = {random_next(&seed), random_next(&seed)};
        uc_reg_write(uc, UC_X86_REG_XMM0 + i, vector);
    }
    flags = (random_next(&seed) & FLAGS_MASK) | 2;
    if (random_next(&seed) & 7)
        flags &= ~0x400ULL; /* DF is rarely set */
    uc_reg_write(uc, UC_X86_REG_EFLAGS, &flags);
    uc_reg_write(uc, UC_X86_REG_FS_BASE, &fs);
    uc_reg_write(uc, UC_X86_REG_GS_BASE, &fs);
}

static void read_cpu(uc_engine *uc, struct cpu *cpu)
{
    for (size_t i = 0; i < REGISTERS; i++)
        uc_reg_read(uc, general[i], &cpu->general[i]);
    for (int i = 0; i < VECTORS; i++)
        uc_reg_read(uc, UC_X86_REG_XMM0 + i, cpu->vector[i]);
    cpu->flags = 0;
    uc_reg_read(uc, UC_X86_REG_EFLAGS, &cpu->flags);
    cpu->flags &= FLAGS_MASK;
}

/* The original's offset for a PC in either code, or -1 where no instruction of the original begins.
 */
static long boundary_of(const struct emulator *emulator, uint64_t pc, bool relocated)
{
    const struct gib_relocation *copy = emulator->copy;
    uint64_t start = relocated ? emulator->request->to : emulator->request->from;
    for (size_t i = 0; i + 1 < copy->boundaries; i++)
        if (pc - start == (relocated ? copy->boundary[i].copy : copy->boundary[i].original))
            return copy->boundary[i].original;
    return -1;
}

/* The original's address for a return address that a call in the copy pushed: that of the boundary
 * there. */
static uint64_t original_return(const struct emulator *emulator, uint64_t address)
{
    const struct gib_relocation *copy = emulator->copy;
    uint64_t offset = address - emulator->request->to;
    for (size_t i = 1; i < copy->boundaries; i++)
        if (offset == copy->boundary[i].copy)
            return emulator->request->from + copy->boundary[i].original;
    return 0;
}

/*
 * A call that leaves the window leaves it for good: recursion would otherwise begin anew. Returns
 * the address pushed by the instruction that led to `pc`, as the original has it; 0 if that was no
 * call.
 */
static uint64_t pushed_by_call(const struct emulator *emulator, uint64_t pc)
{
    const struct run *run = emulator->run;
    const struct gib_relocation *copy = emulator->copy;
    uint64_t rsp = 0, pushed = 0;
    uc_reg_read(emulator->uc, UC_X86_REG_RSP, &rsp);
    if (rsp != run->rsp - 8 || uc_mem_read(emulator->uc, rsp, &pushed, 8) || pc == pushed)
        return 0;
    if (run->relocated)
        return original_return(emulator, pushed);
    for (size_t i = 1; i < copy->boundaries; i++)
        if (pushed == emulator->request->from + copy->boundary[i].original)
            return pushed;
    return 0;
}

/* mov reg, [rsp]; ret at the place that a call at the function's entry goes to: its copy need not
 * call, so the original is run until it is back. */
static uint64_t find_thunk(const struct gib_relocation_request *request)
{
    static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    int32_t distance;
    if (request->code_size < 5 || request->code[0] != 0xe8)
        return 0;
    memcpy(&distance, request->code + 1, 4);
    uint64_t at = 5 + (uint64_t)(int64_t)distance;
    if (at < 5 || at + 5 > request->code_size)
        return 0;
    const uint8_t *bytes = request->code + at;
    bytes += !memcmp(bytes, endbr64, 4) && at + LONGEST_THUNK <= request->code_size ? 4 : 0;
    bool is_thunk = (bytes[0] == 0x48 || bytes[0] == 0x4c) && bytes[1] == 0x8b &&
                    (bytes[2] & 0xc7) == 4 && bytes[3] == 0x24 && bytes[4] == 0xc3;
    return is_thunk ? request->from + at : 0;
}

/* Before every instruction. Stepping by uc_emu_start's count instead runs two at some branches. */
static void on_instruction(uc_engine *uc, uint64_t address, uint32_t size, void *user)
{
    struct emulator *emulator = user;
    struct run *run = emulator->run;
    bool outside = address - run->start >= run->size;
    if (run->left || run->endless || (emulator->thunk && address - emulator->thunk < LONGEST_THUNK))
        return;
    run->return_address = run->instructions ? pushed_by_call(emulator, address) : 0;
    run->called = run->return_address != 0 && (outside || !run->relocated);
    run->left = outside || run->called;
    /* The copy may take several instructions for one. */
    run->endless = !run->left && (run->steps == MAX_STEPS || ++run->instructions == 4 * MAX_STEPS);
    uc_reg_read(uc, UC_X86_REG_RSP, &run->rsp);
    long original = boundary_of(emulator, address, run->relocated);
    if (run->left) {
        run->pc = address;
        read_cpu(uc, &run->last);
    } else if (!run->endless && original >= 0) {
        run->step[run->steps].original = (size_t)original;
        read_cpu(uc, &run->step[run->steps++].cpu);
    }
    if (run->left || run->endless)
        uc_emu_stop(uc);
}

static void store_written(struct emulator *emulator)
{
    struct run *run = emulator->run;
    for (size_t i = 0; i < run->written_count; i++)
        uc_mem_read(emulator->uc, run->written[i].address, &run->written[i].value, 1);
}

/*
 * Every run has an engine of its own (0.3 ms): Unicorn keeps translations of code that was
 * unmapped, and x87 and other state that cannot be set.
 */
static void open_engine(struct emulator *emulator)
{
    uc_hook hook;
    if (uc_open(UC_ARCH_X86, UC_MODE_64, &emulator->uc) ||
        uc_hook_add(emulator->uc, &hook, UC_HOOK_CODE, (void *)on_instruction, emulator, 1, 0) ||
        uc_hook_add(emulator->uc, &hook, UC_HOOK_MEM_UNMAPPED, (void *)on_unmapped, emulator, 1,
                    0) ||
        uc_hook_add(emulator->uc, &hook, UC_HOOK_MEM_WRITE, (void *)on_write, emulator, 1, 0))
        abort();
    for (size_t i = 0; i < emulator->pages; i++)
        map_page(emulator, emulator->page[i]);
}

static void execute(struct emulator *emulator, bool relocated, uint64_t seed)
{
    struct run *run = emulator->run = relocated ? &emulator->relocated : &emulator->original;
    run->relocated = relocated;
    run->start = relocated ? emulator->request->to : emulator->request->from;
    run->size = relocated ? emulator->copy->size : emulator->copy->consumed;
    run->steps = run->written_count = run->instructions = 0;
    run->called = run->endless = run->left = false;
    open_engine(emulator);
    draw_state(emulator->uc, seed);
    run->error = uc_emu_start(emulator->uc, run->start, ~0ULL, 0, 0);
    if (run->left)
        run->error = UC_ERR_OK; /* what lies outside is not code */
    else
        read_cpu(emulator->uc, &run->last);
    store_written(emulator);
    uc_close(emulator->uc);
}

static int by_address(const void *a, const void *b)
{
    const struct written *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

/* A byte of the return address, which the two codes push as they must: differently. */
static bool is_return_slot(const struct run *run, uint64_t address)
{
    return run->called && address - run->last.general[RSP] < 8;
}

static bool same_memory(struct emulator *emulator, char *why, size_t size)
{
    struct run *a = &emulator->original, *b = &emulator->relocated;
    qsort(a->written, a->written_count, sizeof *a->written, by_address);
    qsort(b->written, b->written_count, sizeof *b->written, by_address);
    size_t count = a->written_count > b->written_count ? a->written_count : b->written_count;
    for (size_t i = 0; i < count; i++) {
        bool missing = i >= a->written_count || i >= b->written_count ||
                       a->written[i].address != b->written[i].address;
        if (!missing && (a->written[i].value == b->written[i].value ||
                         is_return_slot(a, a->written[i].address)))
            continue;
        snprintf(why, size, "memory differs: %zu and %zu bytes written, from 0x%llx",
                 a->written_count, b->written_count,
                 (unsigned long long)(i < a->written_count ? a : b)->written[i].address);
        return false;
    }
    return true;
}

static bool same_cpu(const struct cpu *a, const struct cpu *b, const char *where, size_t offset,
                     char *why, size_t size)
{
    static const char *const names[REGISTERS] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi",
                                                 "rbp", "rsp", "r8",  "r9",  "r10", "r11",
                                                 "r12", "r13", "r14", "r15"};
    for (size_t i = 0; i < REGISTERS; i++)
        if (a->general[i] != b->general[i]) {
            snprintf(why, size, "%s byte %zu: %s is 0x%llx, 0x%llx in the copy", where, offset,
                     names[i], (unsigned long long)a->general[i],
                     (unsigned long long)b->general[i]);
            return false;
        }
    if (a->flags != b->flags || memcmp(a->vector, b->vector, sizeof a->vector)) {
        snprintf(why, size, "%s byte %zu: flags 0x%llx, 0x%llx in the copy, or vector registers",
                 where, offset, (unsigned long long)a->flags, (unsigned long long)b->flags);
        return false;
    }
    return true;
}

static bool same_steps(const struct emulator *emulator, char *why, size_t size)
{
    const struct run *a = &emulator->original, *b = &emulator->relocated;
    size_t count = a->steps < b->steps ? a->steps : b->steps;
    for (size_t i = 0; i < count; i++) {
        if (a->step[i].original != b->step[i].original) {
            snprintf(why, size, "step %zu is byte %zu in the original, %zu in the copy", i,
                     a->step[i].original, b->step[i].original);
            return false;
        }
        if (!same_cpu(&a->step[i].cpu, &b->step[i].cpu, "at", a->step[i].original, why, size))
            return false;
    }
    if (a->steps != b->steps && !a->endless && !b->endless) {
        snprintf(why, size, "%zu steps, %zu in the copy (%s; %s)", a->steps, b->steps,
                 uc_strerror(a->error), uc_strerror(b->error));
        return false;
    }
    return true;
}

static bool writes_code(const struct run *run, const struct gib_relocation_request *request,
                        size_t consumed)
{
    for (size_t i = 0; i < run->written_count; i++)
        if (run->written[i].address - request->from < consumed ||
            run->written[i].address - request->to < sizeof((struct gib_relocation *)0)->code)
            return true;
    return false;
}

struct emulator *emulator_new(void)
{
    return calloc(1, sizeof(struct emulator));
}

void emulator_free(struct emulator *emulator)
{
    free(emulator);
}

static enum verdict run_both(struct emulator *emulator, uint64_t seed, char *why, size_t why_size)
{
    const struct run *a = &emulator->original, *b = &emulator->relocated;
    const struct gib_relocation_request *request = emulator->request;
    const struct gib_relocation *copy = emulator->copy;
    execute(emulator, false, seed);
    execute(emulator, true, seed);

    if (writes_code(a, request, copy->consumed) || writes_code(b, request, copy->consumed))
        return WRITES_CODE;
    if (!same_steps(emulator, why, why_size))
        return DIFFERENT;
    if (a->endless || b->endless)
        return TOO_LONG;
    if (a->error != b->error) {
        snprintf(why, why_size, "%s, but %s in the copy", uc_strerror(a->error),
                 uc_strerror(b->error));
        return DIFFERENT;
    }
    if (a->error)
        return a->error == UC_ERR_INSN_INVALID ? CANNOT_RUN : FAULTS_ALIKE;
    if (a->pc != b->pc || a->return_address != b->return_address) {
        snprintf(why, why_size, "goes on at 0x%llx, the copy at 0x%llx; returns to 0x%llx, 0x%llx",
                 (unsigned long long)a->pc, (unsigned long long)b->pc,
                 (unsigned long long)a->return_address, (unsigned long long)b->return_address);
        return DIFFERENT;
    }
    if (!same_cpu(&a->last, &b->last, "behind", copy->consumed, why, why_size) ||
        !same_memory(emulator, why, why_size))
        return DIFFERENT;
    return SAME;
}

enum verdict emulator_compare(struct emulator *emulator,
                              const struct gib_relocation_request *request,
                              const struct gib_relocation *copy, uint64_t seed, char *why,
                              size_t why_size)
{
    emulator->request = request;
    emulator->copy = copy;
    emulator->thunk = find_thunk(request);
    emulator->pages = 0;
    enum verdict verdict = run_both(emulator, seed, why, why_size);
    /*
     * When memory had to be mapped in the middle of an instruction, Unicorn may have lost flags: by
     * now all pages are known and are there from the start.
     */
    return verdict == DIFFERENT ? run_both(emulator, seed, why, why_size) : verdict;
}
