/* thunk.c: what runs between a call and its original. The layout of the frame is struct gib_frame
 * in agent/layout.h. */
#include "code/x86_64/thunk.h"

#include <stdio.h>
#include <string.h>
#include "agent/layout.h"

/* Hardware numbers, Intel SDM table 3-1. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11 };

struct emitter {
    uint8_t *code;
    size_t at;
    uint64_t address; /* of code[0] */
    bool failed;      /* a displacement did not fit */
};

static void put(struct emitter *e, const void *bytes, size_t size)
{
    if (e->at + size > GIB_THUNK_MAX) { /* cannot happen: the longest thunk is measured by a test */
        e->failed = true;
        return;
    }
    memcpy(e->code + e->at, bytes, size);
    e->at += size;
}
static void put8(struct emitter *e, uint8_t value)
{
    put(e, &value, 1);
}
static void put32(struct emitter *e, uint32_t value)
{
    put(e, &value, 4);
}
static void put64(struct emitter *e, uint64_t value)
{
    put(e, &value, 8);
}
#define BYTES(e, ...) put(e, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* The displacement from the end of an instruction that ends `behind` bytes after this field. */
static void put_relative(struct emitter *e, uint64_t target, size_t behind)
{
    int64_t distance = (int64_t)(target - (e->address + e->at + 4 + behind));
    if (distance != (int32_t)distance)
        e->failed = true;
    put32(e, (uint32_t)distance);
}

/*  REX.W 89 /r disp32    mov [rbp + disp32], reg   */
static void store(struct emitter *e, int reg, int32_t offset)
{
    BYTES(e, (uint8_t)(0x48 | (reg >= 8) << 2), 0x89, (uint8_t)(0x85 | (reg & 7) << 3));
    put32(e, (uint32_t)(offset - GIB_FRAME_SIZE));
}
/*  REX.W 8b /r disp32    mov reg, [rbp + disp32]   */
static void load(struct emitter *e, int reg, int32_t offset)
{
    BYTES(e, (uint8_t)(0x48 | (reg >= 8) << 2), 0x8b, (uint8_t)(0x85 | (reg & 7) << 3));
    put32(e, (uint32_t)(offset - GIB_FRAME_SIZE));
}
/*  REX.W b8+r imm64      mov reg, imm64            */
static void immediate(struct emitter *e, int reg, uint64_t value)
{
    BYTES(e, (uint8_t)(0x48 | (reg >= 8)), (uint8_t)(0xb8 | (reg & 7)));
    put64(e, value);
}
/*  66 0f d6 /r disp32    movq [rbp + disp32], xmm0..7   */
static void store_xmm(struct emitter *e, int reg, int32_t offset)
{
    BYTES(e, 0x66, 0x0f, 0xd6, (uint8_t)(0x85 | reg << 3));
    put32(e, (uint32_t)(offset - GIB_FRAME_SIZE));
}

#define AT(field) ((int32_t)offsetof(struct gib_frame, field))

/* Everything a caller compiled with -fipa-ra may know that the original leaves alone. */
static const struct saved {
    int reg;
    int32_t offset;
} saved[] = {
    {RDI, AT(gpr[0])}, {RSI, AT(gpr[1])}, {RDX, AT(gpr[2])}, {RCX, AT(gpr[3])}, {R8, AT(gpr[4])},
    {R9, AT(gpr[5])},  {RAX, AT(rax)},    {R10, AT(r10)},    {R11, AT(r11)},
};
static void save_all(struct emitter *e)
{
    for (size_t i = 0; i < sizeof saved / sizeof *saved; i++)
        store(e, saved[i].reg, saved[i].offset);
}
static void restore_all(struct emitter *e)
{
    for (size_t i = 0; i < sizeof saved / sizeof *saved; i++)
        load(e, saved[i].reg, saved[i].offset);
}

/*  lea rdi,[rbp-FRAME] ; mov rsi,site ; mov rdx,shared ; mov rax,function ; call rax   */
static void call_agent(struct emitter *e, const struct gib_thunk_request *r, uint64_t function)
{
    BYTES(e, 0x48, 0x8d, 0xbd);
    put32(e, (uint32_t)-GIB_FRAME_SIZE);
    immediate(e, RSI, r->site);
    immediate(e, RDX, r->shared);
    immediate(e, RAX, function);
    BYTES(e, 0xff, 0xd0);
}

static void jump(struct emitter *e, uint64_t target)
{
    put8(e, 0xe9);
    put_relative(e, target, 0);
}

/*
 *  83 3d disp32 00       cmp dword [rip + active], 0
 *  0f 84 rel32           je trampoline
 */
static void test_active(struct emitter *e, const struct gib_thunk_request *r)
{
    BYTES(e, 0x83, 0x3d);
    put_relative(e, r->active, 1);
    put8(e, 0);
    BYTES(e, 0x0f, 0x84);
    put_relative(e, r->trampoline, 0);
}

/* Repeats the caller's stack arguments below the frame, at the same alignment. rax, rcx, rsi, rdi
 * are free here. */
static void copy_stack(struct emitter *e, const struct gib_thunk_request *r)
{
    if (!r->stack_copy)
        return;
    if (r->stack_copy <= 64) {
        /*  sub rsp,64 ; { mov rax,[rbp+16+i] ; mov [rsp+i],rax } for each word   */
        BYTES(e, 0x48, 0x83, 0xec, 0x40);
        for (uint32_t i = 0; i < r->stack_copy; i += 8) {
            BYTES(e, 0x48, 0x8b, 0x45, (uint8_t)(16 + i));
            BYTES(e, 0x48, 0x89, 0x44, 0x24, (uint8_t)i);
        }
        return;
    }
    /*  mov rcx,copy ; lea rax,[rcx+63] ; and rax,-64 ; sub rsp,rax ; mov rdi,rsp ; lea rsi,[rbp+16]
     * ; shr ecx,3 ; rep movsq   */
    load(e, RCX, AT(copy));
    BYTES(e, 0x48, 0x8d, 0x41, 0x3f, 0x48, 0x83, 0xe0, 0xc0, 0x48, 0x29, 0xc4);
    BYTES(e, 0x48, 0x89, 0xe7, 0x48, 0x8d, 0x75, 0x10);
    BYTES(e, 0xc1, 0xe9, 0x03, 0xf3, 0x48, 0xa5);
}

/*
 *      cmp dword [active],0 ; je trampoline
 *      push rbp ; mov rbp,rsp ; sub rsp,FRAME
 *      save registers ; enter(frame, site, shared)
 *      test eax,eax ; je pass
 *      repeat stack arguments ; restore registers
 *      call trampoline
 *      save results ; leave(frame, site, shared)
 *      restore registers ; leave ; ret
 *  pass:
 *      restore registers ; leave ; jmp trampoline
 *
 * No return address is ever changed: unwinders, shadow stacks, exceptions and longjmp see an
 * ordinary frame with a frame pointer.
 */
static void make_frame_thunk(struct emitter *e, const struct gib_thunk_request *r)
{
    test_active(e, r);
    BYTES(e, 0x55, 0x48, 0x89, 0xe5, 0x48, 0x81, 0xec);
    put32(e, GIB_FRAME_SIZE);
    save_all(e);
    for (int i = 0; r->reads_xmm && i < 8; i++)
        store_xmm(e, i, AT(xmm) + 8 * i);
    call_agent(e, r, r->enter);
    if (r->kind == GIB_THUNK_CALL_THROUGH) {
        BYTES(e, 0x85, 0xc0, 0x0f, 0x84);
        size_t patch = e->at;
        put32(e, 0);
        copy_stack(e, r);
        restore_all(e);
        put8(e, 0xe8);
        put_relative(e, r->trampoline, 0);
        save_all(e);
        if (r->result_xmm)
            store_xmm(e, 0, AT(result_xmm));
        if (r->result_xmm1)
            store_xmm(e, 1, AT(result_x87[1]));
        if (r->result_x87) {
            BYTES(e, 0xd9, 0xc0, 0xdb, 0xbd); /* fld st0 ; fstp tbyte [rbp + disp32] */
            put32(e, (uint32_t)(AT(result_x87) - GIB_FRAME_SIZE));
        }
        call_agent(e, r, r->leave);
        restore_all(e);
        BYTES(e, 0xc9, 0xc3);
        uint32_t distance = (uint32_t)(e->at - (patch + 4));
        if (!e->failed)
            memcpy(e->code + patch, &distance, 4);
    }
    restore_all(e);
    put8(e, 0xc9);
    jump(e, r->trampoline);
}

/*
 * Counting needs no frame: three registers are kept in the red zone (ABI 3.2.2: signal handlers
 * leave 128 bytes below rsp alone) and one instruction increments this thread's own counter, so a
 * signal cannot come between.
 *
 *      cmp dword [active],0 ; je trampoline
 *      mov [rsp-8],r11 ; mov [rsp-16],rax ; mov [rsp-24],rcx
 *      r11 = thread pointer ; rcx = slot[hash(r11)].block
 *      test rcx,rcx ; je slow ; cmp [rcx],r11 ; jne slow
 *      inc qword [rcx+counter]
 *  out:
 *      restore ; jmp trampoline
 *  slow:
 *      a frame, save registers, count(counter, shared), restore, leave, jmp out
 */
static void make_count_thunk(struct emitter *e, const struct gib_thunk_request *r)
{
    test_active(e, r);
    BYTES(e, 0x4c, 0x89, 0x5c, 0x24, 0xf8, 0x48, 0x89, 0x44, 0x24, 0xf0, 0x48, 0x89, 0x4c, 0x24,
          0xe8);
    if (r->thread_pointer == GIB_POINTER_FS0) {
        BYTES(e, 0x64, 0x4c, 0x8b, 0x1c, 0x25, 0, 0, 0, 0); /* mov r11, fs:0 */
    } else if (r->thread_pointer == GIB_POINTER_RDFSBASE) {
        BYTES(e, 0xf3, 0x49, 0x0f, 0xae, 0xc3); /* rdfsbase r11 */
    } else {
        BYTES(e, 0x45, 0x31, 0xdb); /* xor r11d,r11d: no block has this owner, so always slow */
    }
    /*  mov rax,r11 ; shr rax,12 ; mov rcx,r11 ; shr rcx,6 ; xor eax,ecx ; and eax,mask ; shl eax,4
     * ; mov rcx,slots ; add rcx,rax */
    BYTES(e, 0x4c, 0x89, 0xd8, 0x48, 0xc1, 0xe8, 12, 0x4c, 0x89, 0xd9, 0x48, 0xc1, 0xe9, 6, 0x31,
          0xc8, 0x25);
    put32(e, GIB_HASH_SLOTS - 1);
    BYTES(e, 0xc1, 0xe0, 4);
    immediate(e, RCX, r->hash_slots);
    BYTES(e, 0x48, 0x01, 0xc1);
    /*  mov rcx,[rcx+8] ; test rcx,rcx ; je slow ; cmp [rcx],r11 ; jne slow: the block must still be
     * this thread's */
    BYTES(e, 0x48, 0x8b, 0x49, 0x08, 0x48, 0x85, 0xc9, 0x74, 0);
    size_t no_block = e->at;
    BYTES(e, 0x4c, 0x39, 0x19, 0x75, 0);
    size_t not_mine = e->at;
    BYTES(e, 0x48, 0xff, 0x81); /* inc qword [rcx + disp32] */
    put32(e, r->counter_offset);
    size_t out = e->at;
    BYTES(e, 0x4c, 0x8b, 0x5c, 0x24, 0xf8, 0x48, 0x8b, 0x44, 0x24, 0xf0, 0x48, 0x8b, 0x4c, 0x24,
          0xe8);
    jump(e, r->trampoline);
    if (e->failed)
        return;
    e->code[no_block - 1] = (uint8_t)(e->at - no_block);
    e->code[not_mine - 1] = (uint8_t)(e->at - not_mine);
    /* The frame begins below the red-zone words that hold the three registers. */
    BYTES(e, 0x48, 0x8d, 0x64, 0x24, 0xe0);             /* lea rsp,[rsp-32] */
    BYTES(e, 0x55, 0x48, 0x89, 0xe5, 0x48, 0x81, 0xec); /* push rbp ; mov rbp,rsp ; sub rsp,FRAME */
    put32(e, GIB_FRAME_SIZE);
    save_all(e);
    BYTES(e, 0xbf);
    put32(e, r->counter);
    immediate(e, RSI, r->shared);
    BYTES(e, 0xba); /* mov edx, imm32 */
    put32(e, r->thread_pointer);
    immediate(e, RAX, r->count);
    BYTES(e, 0xff, 0xd0);
    restore_all(e);
    BYTES(e, 0xc9, 0x48, 0x8d, 0x64, 0x24, 0x20); /* leave ; lea rsp,[rsp+32] */
    jump(e, e->address + out);
}

/*
 *      push rdi ; push rsi ; sub rsp,8
 *      rax = find_fde(pc, bases, shared)
 *      add rsp,8 ; pop rsi ; pop rdi
 *      test rax,rax ; je original ; ret      (find_object gives 0: jne)
 *  original:
 *      jmp trampoline
 */
static void make_find_fde_thunk(struct emitter *e, const struct gib_thunk_request *r)
{
    BYTES(e, 0x57, 0x56, 0x48, 0x83, 0xec, 0x08);
    immediate(e, RDX, r->shared);
    immediate(e, RAX, r->find_fde);
    BYTES(e, 0xff, 0xd0);
    BYTES(e, 0x48, 0x83, 0xc4, 0x08, 0x5e, 0x5f, 0x48, 0x85, 0xc0,
          r->kind == GIB_THUNK_FIND_FDE ? 0x74 : 0x75, 0x01, 0xc3);
    jump(e, r->trampoline);
}

/*
 * DWARF call frame information in the form of .eh_frame (LSB 10.6). One rule for every call in a
 * thunk: it has a frame pointer.
 *
 *   0  CIE  length 28 | id 0 | version 1 | "zR" | code 1 | data -8 | RA 16 | augmentation: 1,
 * absptr def_cfa rbp, 16 ; rbp at CFA-16 ; RA at CFA-8 ; nop... 32  FDE  length 28 | CIE pointer 36
 * | start, size (8 each) | augmentation 0 | nop... 64  0    the end
 */
void gib_thunk_unwind_entry(uint64_t address, uint64_t size, uint8_t *out)
{
    static const uint8_t cie[] = {28, 0,    0,  0, 0, 0,    0, 0,  1,    'z', 'R',  0,
                                  1,  0x78, 16, 1, 0, 0x0c, 6, 16, 0x86, 2,   0x90, 1};
    static const uint8_t fde[] = {28, 0, 0, 0, GIB_ARENA_FDE + 4, 0, 0, 0};
    memset(out, 0, GIB_ARENA_HEAD);
    memcpy(out, cie, sizeof cie);
    memcpy(out + GIB_ARENA_FDE, fde, sizeof fde);
    memcpy(out + GIB_ARENA_FDE + 8, &address, 8);
    memcpy(out + GIB_ARENA_FDE + 16, &size, 8);
    /* version 1 | .eh_frame: pcrel sdata4 | count: udata4 | table: datarel sdata4 | ... | start,
     * FDE
     */
    uint8_t *header = out + GIB_ARENA_HDR;
    const int32_t words[] = {-(GIB_ARENA_HDR + 4), 1, -GIB_ARENA_HDR,
                             GIB_ARENA_FDE - GIB_ARENA_HDR};
    memcpy(header, (const uint8_t[]){1, 0x1b, 0x03, 0x3b}, 4);
    memcpy(header + 4, words, sizeof words);
}

static int fail(struct gib_error *error, uint64_t address, const char *what)
{
    if (error) {
        error->code = GIB_E_RANGE;
        error->address = address;
        snprintf(error->message, sizeof error->message, "0x%llx: %s is more than 2 GiB away",
                 (unsigned long long)address, what);
    }
    return GIB_E_RANGE;
}

int gib_thunk_make(const struct gib_thunk_request *request, uint8_t code[GIB_THUNK_MAX],
                   size_t *size, struct gib_error *error)
{
    struct emitter e = {code, 0, request->address, false};
    if (request->kind == GIB_THUNK_COUNT)
        make_count_thunk(&e, request);
    else if (request->kind == GIB_THUNK_FIND_FDE || request->kind == GIB_THUNK_FIND_OBJECT)
        make_find_fde_thunk(&e, request);
    else
        make_frame_thunk(&e, request);
    if (e.failed)
        return fail(error, request->address, "the trampoline of this thunk");
    *size = e.at;
    return 0;
}

int gib_detour_make(uint64_t from, uint64_t to, uint8_t code[GIB_DETOUR_SIZE],
                    struct gib_error *error)
{
    struct emitter e = {code, 0, from, false};
    int64_t distance = (int64_t)(to - (from + GIB_DETOUR_SIZE));
    if (distance != (int32_t)distance)
        return fail(error, from, "the thunk for this function");
    jump(&e, to);
    return 0;
}
