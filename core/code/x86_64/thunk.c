/* thunk.c: what runs between a call and its original. The layout of the frame is struct gib_frame
 * in agent/layout.h. */
#include "code/x86_64/thunk.h"

#include "code/x86_64/assembler.h"
#include "code/x86_64/condition.h"
#include "code/x86_64/thunk_fast.h"

#include <stdio.h>
#include <string.h>

/* Everything a caller compiled with -fipa-ra may know that the original leaves alone. */
static const struct saved {
    int reg;
    int64_t offset;
} saved[] = {
    {RDI, IN_FRAME(gpr[0])}, {RSI, IN_FRAME(gpr[1])}, {RDX, IN_FRAME(gpr[2])},
    {RCX, IN_FRAME(gpr[3])}, {R8, IN_FRAME(gpr[4])},  {R9, IN_FRAME(gpr[5])},
    {RAX, IN_FRAME(rax)},    {R10, IN_FRAME(r10)},    {R11, IN_FRAME(r11)},
};
static void save_all(struct emitter *e)
{
    for (size_t i = 0; i < sizeof saved / sizeof *saved; i++)
        gib_memory(e, STORE, saved[i].reg, RBP, saved[i].offset);
}
static void restore_all(struct emitter *e)
{
    for (size_t i = 0; i < sizeof saved / sizeof *saved; i++)
        gib_memory(e, LOAD, saved[i].reg, RBP, saved[i].offset);
}

/*  lea rdi,[rbp-FRAME] ; mov rsi,site ; mov rdx,shared ; mov rax,function ; call rax   */
static void call_agent(struct emitter *e, const struct gib_thunk_request *r, uint64_t function)
{
    BYTES(e, 0x48, 0x8d, 0xbd);
    gib_put32(e, (uint32_t)-GIB_FRAME_SIZE);
    gib_immediate(e, RSI, r->site);
    gib_immediate(e, RDX, r->shared);
    gib_immediate(e, RAX, function);
    BYTES(e, 0xff, 0xd0);
}

static void compare_gate(struct emitter *e, const struct gib_thunk_request *r)
{
    _Static_assert(GIB_GATE_CLOSED == 0 && GIB_GATE_GENERAL == 1, "below 1, and 1");
    BYTES(e, 0x83, 0x3d);
    gib_put_relative(e, r->active, 1);
    BYTES(e, GIB_GATE_GENERAL);
}

/*
 *  83 3d disp32 01       cmp dword [rip + active], 1
 *  0f 82 rel32           jb trampoline
 *                        a condition that needs no frame, else jmp trampoline
 */
static void test_gate(struct emitter *e, const struct gib_thunk_request *r)
{
    compare_gate(e, r);
    gib_jump_if(e, JB, r->trampoline);
}

static void test_condition(struct emitter *e, const struct gib_thunk_request *r)
{
    if (r->condition)
        gib_condition_inline(e, r->condition, r->trampoline);
}

void gib_copy_stack(struct emitter *e, uint32_t size)
{
    if (!size)
        return;
    if (size <= 64) {
        /*  sub rsp,64 ; { mov rax,[rbp+16+i] ; mov [rsp+i],rax } for each word   */
        BYTES(e, 0x48, 0x83, 0xec, 0x40);
        for (uint32_t i = 0; i < size; i += 8) {
            BYTES(e, 0x48, 0x8b, 0x45, (uint8_t)(16 + i));
            BYTES(e, 0x48, 0x89, 0x44, 0x24, (uint8_t)i);
        }
        return;
    }
    /*  mov rcx,copy ; lea rax,[rcx+63] ; and rax,-64 ; sub rsp,rax
     *  mov rdi,rsp ; lea rsi,[rbp+16] ; shr ecx,3 ; rep movsq   */
    reload(e, RCX, copy);
    BYTES(e, 0x48, 0x8d, 0x41, 0x3f, 0x48, 0x83, 0xe0, 0xc0, 0x48, 0x29, 0xc4);
    BYTES(e, 0x48, 0x89, 0xe7, 0x48, 0x8d, 0x75, 0x10);
    BYTES(e, 0xc1, 0xe9, 0x03, 0xf3, 0x48, 0xa5);
}

/* ---- thunks with a frame ---- */

/*
 *  55  48 89 e5  48 8d a5 disp32     push rbp ; mov rbp,rsp ; lea rsp,[rbp - FRAME]
 *
 * No flag changes. No return address is ever changed: unwinders, shadow stacks, exceptions and
 * longjmp see an ordinary frame with a frame pointer.
 */
static void make_frame(struct emitter *e, bool keeps_entry)
{
    int32_t size = GIB_FRAME_SIZE + (keeps_entry ? (int32_t)sizeof(struct gib_kept) : 0);
    BYTES(e, 0x55, 0x48, 0x89, 0xe5, 0x48, 0x8d, 0xa5);
    gib_put32(e, (uint32_t)-size);
}

size_t gib_thunk_frame(const uint8_t *code, size_t size)
{
    static const uint8_t made[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x8d, 0xa5};
    const uint8_t *found = memmem(code, size, made, sizeof made);
    return found ? (size_t)(found - code) + sizeof made + 4 : size;
}

/* movups [rbp + offset],xmm, or the other way */
enum { TO_MEMORY = 0x11, FROM_MEMORY = 0x10 };
static void move_wide(struct emitter *e, uint8_t opcode, int xmm, int64_t offset)
{
    BYTES(e, 0x0f, opcode, (uint8_t)(0x85 | xmm << 3));
    gib_put32(e, (uint32_t)offset);
}

/*
 *      sub rsp,AREA ; and rsp,-64 ; mov [wide],rsp        a standard XSAVE area (Intel SDM vol. 1,
 *      zero its header ; xsave64 [rsp]                    13.4) for SSE, AVX and AVX-512 state
 *      repeat stack arguments ; restore registers
 *      call callee
 *      keep the result in the frame ; xrstor64 [wide] ; the result in xmm0 and xmm1 back
 */
static void call_wide(struct emitter *e, const struct gib_thunk_request *r)
{
    enum { AREA = 2752, HEADER = 512, STATE = 0xe6 };
    BYTES(e, 0x48, 0x81, 0xec);
    gib_put32(e, AREA);
    BYTES(e, 0x48, 0x83, 0xe4, 0xc0);
    save(e, RSP, wide);
    BYTES(e, 0x31, 0xc0); /* xor eax,eax */
    for (uint32_t i = 0; i < 8; i++) {
        BYTES(e, 0x48, 0x89, 0x84, 0x24); /* mov [rsp + disp32],rax */
        gib_put32(e, HEADER + 8 * i);
    }
    BYTES(e, 0xb8); /* mov eax,STATE ; xor edx,edx ; xsave64 [rsp] */
    gib_put32(e, STATE);
    BYTES(e, 0x31, 0xd2, 0x48, 0x0f, 0xae, 0x24, 0x24);
    gib_copy_stack(e, r->stack_copy);
    restore_all(e);
    BYTES(e, 0xe8);
    gib_put_relative(e, r->callee, 0);
    if (r->preserve_not & GIB_IN_RAX)
        save(e, RAX, rax);
    if (r->preserve_not & GIB_IN_RDX)
        save(e, RDX, gpr[2]);
    if (r->preserve_not & GIB_IN_XMM0)
        move_wide(e, TO_MEMORY, 0, IN_FRAME(xmm[0]));
    if (r->preserve_not & GIB_IN_XMM1)
        move_wide(e, TO_MEMORY, 1, IN_FRAME(xmm[2]));
    reload(e, RCX, wide);
    BYTES(e, 0xb8); /* mov eax,STATE ; xor edx,edx ; xrstor64 [rcx] */
    gib_put32(e, STATE);
    BYTES(e, 0x31, 0xd2, 0x48, 0x0f, 0xae, 0x29);
    if (r->preserve_not & GIB_IN_XMM0)
        move_wide(e, FROM_MEMORY, 0, IN_FRAME(xmm[0]));
    if (r->preserve_not & GIB_IN_XMM1)
        move_wide(e, FROM_MEMORY, 1, IN_FRAME(xmm[2]));
    restore_all(e);
}

/*
 *      save registers ; enter(frame, site, shared)
 *      test eax,eax ; je pass
 *      cmp eax,2 ; je divert             only when there is a callee of its own
 *      repeat stack arguments ; restore registers
 *      call callee                       or a call that preserves registers
 */
static void call_through(struct emitter *e, const struct gib_thunk_request *r, struct label *pass,
                         struct label *divert)
{
    BYTES(e, 0x85, 0xc0);
    gib_jump_label(e, JE, pass);
    if (r->callee != r->trampoline) {
        BYTES(e, 0x83, 0xf8, GIB_ENTER_DIVERT);
        gib_jump_label(e, JE, divert);
    }
    if (r->preserve && r->callee != r->trampoline) {
        call_wide(e, r);
        return;
    }
    gib_copy_stack(e, r->stack_copy);
    restore_all(e);
    BYTES(e, 0xe8);
    gib_put_relative(e, r->callee, 0);
}

/*      restore registers ; leave ; jmp target     */
static void leave_to(struct emitter *e, uint64_t target)
{
    restore_all(e);
    BYTES(e, 0xc9);
    gib_jump(e, target);
}

/*      the same, and nothing to do on return ; leave ; ret     */
static void call_preserved(struct emitter *e, const struct gib_thunk_request *r)
{
    call_wide(e, r);
    BYTES(e, 0xc9, 0xc3);
}

/*      ff 25 00 00 00 00 target        jmp [rip + 0]: the agent may be more than 2 GiB away     */
static void jump_far(struct emitter *e, uint64_t target)
{
    BYTES(e, 0xff, 0x25, 0, 0, 0, 0);
    gib_put32(e, (uint32_t)target);
    gib_put32(e, (uint32_t)(target >> 32));
}

/*
 *      restore registers ; leave
 *      c7 44 24 f8 imm32                 mov dword [rsp - 8], this thunk
 *      c7 44 24 fc imm32                 mov dword [rsp - 4], its upper half
 *      jmp stop pad
 */
static void stop_call(struct emitter *e, const struct gib_thunk_request *r)
{
    _Static_assert(GIB_STOP_THUNK == 8, "rsp - 8");
    restore_all(e);
    BYTES(e, 0xc9, 0xc7, 0x44, 0x24, 0xf8);
    gib_put32(e, (uint32_t)r->address);
    BYTES(e, 0xc7, 0x44, 0x24, 0xfc);
    gib_put32(e, (uint32_t)(r->address >> 32));
    jump_far(e, r->stop);
}

/*
 *      48 83 7d f8 00                    cmp qword [rbp - 8], 0: frame->stop
 *      restore registers ; leave         no flag changes
 *      75 01 c3                          jne +1 ; ret
 *      jmp stop pad of returns
 */
static void return_or_stop(struct emitter *e, const struct gib_thunk_request *r)
{
    BYTES(e, 0x48, 0x83, 0x7d, (uint8_t)IN_FRAME(stop), 0x00);
    restore_all(e);
    BYTES(e, 0xc9, 0x75, 0x01, 0xc3);
    jump_far(e, r->stop_return);
}

/*
 *      save results ; leave(frame, site, shared)
 *      restore registers ; leave ; ret        or to where the debugger stops
 */
static void come_back(struct emitter *e, const struct gib_thunk_request *r)
{
    save_all(e);
    if (r->result_xmm)
        gib_store_xmm(e, 0, RBP, IN_FRAME(result_xmm));
    if (r->result_xmm1)
        gib_store_xmm(e, 1, RBP, IN_FRAME(result_x87[1]));
    if (r->result_x87) {
        BYTES(e, 0xd9, 0xc0, 0xdb, 0xbd); /* fld st0 ; fstp tbyte [rbp + disp32] */
        gib_put32(e, (uint32_t)IN_FRAME(result_x87));
    }
    call_agent(e, r, r->leave);
    if (r->stop_return) {
        return_or_stop(e, r);
        return;
    }
    restore_all(e);
    BYTES(e, 0xc9, 0xc3);
}

/*
 *      cmp dword [active],1 ; jb trampoline
 *      a frame
 *      je general                        only when there is a fast part (thunk_fast.c)
 *      the fast part, up to ret          or to one of its exits
 *  general:
 *      enter, call through, leave, ret
 *  pass:
 *      restore registers ; leave ; jmp trampoline
 *  divert:
 *      restore registers ; leave ; jmp callee      or a call that preserves registers
 *  stop:
 *      restore registers ; leave ; jmp to where the debugger stops
 *  the fast part's exits behind the call: jmp leave
 */
static void make_frame_thunk(struct emitter *e, const struct gib_thunk_request *r)
{
    bool fast = gib_fast_possible(r);
    struct gib_fast_exits exits = {0};
    struct label general = {0}, pass = {0}, divert = {0}, stop = {0};
    test_gate(e, r);
    test_condition(e, r);
    make_frame(e, r->keeps_entry);
    if (fast) {
        if (r->condition) /* it has changed the flags */
            compare_gate(e, r);
        gib_jump_label(e, JE, &general);
        gib_fast_body(e, r, &exits);
        gib_fast_to_enter(e, &exits);
        gib_label_here(e, &general);
    }
    save_all(e);
    for (int i = 0; r->reads_xmm && i < 8; i++)
        gib_store_xmm(e, i, RBP, IN_FRAME(xmm) + 8 * i);
    call_agent(e, r, r->enter);
    uint64_t behind_call = 0;
    if (r->kind == GIB_THUNK_CALL_THROUGH) {
        call_through(e, r, &pass, &divert);
        behind_call = e->address + e->at;
        come_back(e, r);
    } else if (r->kind == GIB_THUNK_DIVERT) {
        BYTES(e, 0x85, 0xc0); /* test eax,eax */
        gib_jump_label(e, JNE, &divert);
    } else if (r->kind == GIB_THUNK_STOP) {
        BYTES(e, 0x85, 0xc0);
        gib_jump_label(e, JNE, &stop);
    }
    gib_label_here(e, &pass);
    leave_to(e, r->trampoline);
    if (divert.last) {
        gib_label_here(e, &divert);
        if (r->preserve)
            call_preserved(e, r);
        else
            leave_to(e, r->callee);
    }
    if (stop.last) {
        gib_label_here(e, &stop);
        stop_call(e, r);
    }
    if (fast)
        gib_fast_to_leave(e, &exits, behind_call);
}

/*      cmp dword [active],1 ; jb trampoline
 *      a frame ; save registers ; call callee ; restore registers ; leave ; jmp trampoline     */
static void make_before_thunk(struct emitter *e, const struct gib_thunk_request *r)
{
    test_gate(e, r);
    make_frame(e, false);
    save_all(e);
    BYTES(e, 0xe8);
    gib_put_relative(e, r->callee, 0);
    leave_to(e, r->trampoline);
}

/*
 * Counting needs no frame: three registers are kept in the red zone (ABI 3.2.2: signal handlers
 * leave 128 bytes below rsp alone) and one instruction increments this thread's own counter, so a
 * signal cannot come between.
 *
 *      cmp dword [active],1 ; jb trampoline
 *      mov [rsp-8],r11 ; mov [rsp-16],rax ; mov [rsp-24],rcx
 *      r11 = thread pointer ; rcx = slot[hash(r11)].block
 *      test rcx,rcx ; je slow ; cmp [rcx],r11 ; jne slow
 *      inc qword [rcx+counter]
 *  out:
 *      restore ; jmp callee
 *  slow:
 *      a frame, save registers, count(counter, shared), restore, leave, jmp out
 */
static void make_count_thunk(struct emitter *e, const struct gib_thunk_request *r)
{
    test_gate(e, r);
    test_condition(e, r);
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
    gib_put32(e, GIB_HASH_SLOTS - 1);
    BYTES(e, 0xc1, 0xe0, 4);
    gib_immediate(e, RCX, r->hash + offsetof(struct gib_hash, slot));
    BYTES(e, 0x48, 0x01, 0xc1);
    /*  mov rcx,[rcx+8] ; test rcx,rcx ; je slow ; cmp [rcx],r11 ; jne slow: the block must still be
     * this thread's */
    BYTES(e, 0x48, 0x8b, 0x49, 0x08, 0x48, 0x85, 0xc9, 0x74, 0);
    size_t no_block = e->at;
    BYTES(e, 0x4c, 0x39, 0x19, 0x75, 0);
    size_t not_mine = e->at;
    BYTES(e, 0x48, 0xff, 0x81); /* inc qword [rcx + disp32] */
    gib_put32(e, r->counter_offset);
    size_t out = e->at;
    BYTES(e, 0x4c, 0x8b, 0x5c, 0x24, 0xf8, 0x48, 0x8b, 0x44, 0x24, 0xf0, 0x48, 0x8b, 0x4c, 0x24,
          0xe8);
    gib_jump(e, r->callee);
    if (e->failed)
        return;
    e->code[no_block - 1] = (uint8_t)(e->at - no_block);
    e->code[not_mine - 1] = (uint8_t)(e->at - not_mine);
    /* The frame begins below the red-zone words that hold the three registers. */
    BYTES(e, 0x48, 0x8d, 0x64, 0x24, 0xe0); /* lea rsp,[rsp-32] */
    make_frame(e, false);
    save_all(e);
    BYTES(e, 0xbf);
    gib_put32(e, r->counter);
    gib_immediate(e, RSI, r->shared);
    BYTES(e, 0xba); /* mov edx, imm32 */
    gib_put32(e, r->thread_pointer);
    gib_immediate(e, RAX, r->count);
    BYTES(e, 0xff, 0xd0);
    restore_all(e);
    BYTES(e, 0xc9, 0x48, 0x8d, 0x64, 0x24, 0x20); /* leave ; lea rsp,[rsp+32] */
    gib_jump(e, e->address + out);
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
    gib_immediate(e, RDX, r->shared);
    gib_immediate(e, RAX, r->find_fde);
    BYTES(e, 0xff, 0xd0);
    BYTES(e, 0x48, 0x83, 0xc4, 0x08, 0x5e, 0x5f, 0x48, 0x85, 0xc0,
          r->kind == GIB_THUNK_FIND_FDE ? 0x74 : 0x75, 0x01, 0xc3);
    gib_jump(e, r->trampoline);
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
    struct emitter e = {code, 0, GIB_THUNK_MAX, request->address, false};
    if (request->kind == GIB_THUNK_COUNT) {
        make_count_thunk(&e, request);
    } else if (request->kind == GIB_THUNK_BEFORE) {
        make_before_thunk(&e, request);
    } else if (request->kind == GIB_THUNK_JUMP) {
        BYTES(&e, 0xff, 0x25); /* jmp [rip + active] */
        gib_put_relative(&e, request->active, 0);
    } else if (request->kind == GIB_THUNK_FIND_FDE || request->kind == GIB_THUNK_FIND_OBJECT) {
        make_find_fde_thunk(&e, request);
    } else {
        make_frame_thunk(&e, request);
    }
    if (e.failed)
        return fail(error, request->address, "the trampoline of this thunk");
    *size = e.at;
    return 0;
}

int gib_detour_make(uint64_t from, uint64_t to, uint8_t code[GIB_DETOUR_SIZE],
                    struct gib_error *error)
{
    struct emitter e = {code, 0, GIB_DETOUR_SIZE, from, false};
    int64_t distance = (int64_t)(to - (from + GIB_DETOUR_SIZE));
    if (distance != (int32_t)distance)
        return fail(error, from, "the thunk for this function");
    gib_jump(&e, to);
    return 0;
}
