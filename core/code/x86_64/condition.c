/*
 * condition.c: the two forms of a condition's code: a function that the agent calls, and
 * instructions at a thunk's start.
 *
 * Code is made twice: the first time tells which registers and how much of the stack it needs.
 */
#include "code/x86_64/condition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "code/x86_64/condition_emit.h"

enum { ALL = 1 << RAX | 1 << RCX | 1 << RDX };

/*
 *      push rbp ; mov rbp,rsp ; push rbx ; sub rsp,frame ; mov rbx,rdi
 *      movups [rbp - 32],xmm0 ; stmxcsr [rbp - 16]             only if floating numbers are used:
 *      mov dword [rbp - 12],0x1f80 ; ldmxcsr [rbp - 12]        round to nearest, no exceptions
 *      ... jumps to `no` or `fail` ...
 *      mov eax,1 ; jmp done
 *  fail:   mov eax,2 ; jmp done
 *  no: xor eax,eax
 *  done:   movups xmm0,[rbp - 32] ; ldmxcsr [rbp - 16]
 *      mov rbx,[rbp - 8] ; leave ; ret
 *      constants, at multiples of 8
 */
static void emit_function(struct gib_condition_emitter *g, const struct gib_node *root,
                          unsigned slots, bool uses_real)
{
    struct emitter *e = g->e;
    struct label no = {0}, done = {0};
    uint32_t frame = 24 + 8 * slots;
    frame += frame % 16 == 8 ? 0 : 8; /* rsp is a multiple of 16 at calls */
    BYTES(e, 0x55, 0x48, 0x89, 0xe5, 0x53, 0x48, 0x81, 0xec);
    gib_put32(e, frame);
    BYTES(e, 0x48, 0x89, 0xfb);
    if (uses_real) {
        BYTES(e, 0x0f, 0x11, 0x45, 0xe0, 0x0f, 0xae, 0x5d, 0xf0);
        BYTES(e, 0xc7, 0x45, 0xf4, 0x80, 0x1f, 0x00, 0x00, 0x0f, 0xae, 0x55, 0xf4);
    }
    gib_jump_when(g, root, &no, false);
    BYTES(e, 0xb8, GIB_VERDICT_TRUE, 0, 0, 0);
    gib_jump_label(e, JMP, &done);
    gib_label_here(e, &g->fail);
    BYTES(e, 0xb8, GIB_VERDICT_FAILED, 0, 0, 0);
    gib_jump_label(e, JMP, &done);
    gib_label_here(e, &no);
    BYTES(e, 0x31, 0xc0);
    gib_label_here(e, &done);
    if (uses_real)
        BYTES(e, 0x0f, 0x10, 0x45, 0xe0, 0x0f, 0xae, 0x55, 0xf0);
    BYTES(e, 0x48, 0x8b, 0x5d, 0xf8, 0xc9, 0xc3);
}

static void emit_constants(struct gib_condition_emitter *g)
{
    struct emitter *e = g->e;
    static const uint8_t padding[8];
    for (size_t i = 0; i < g->constants && !e->failed; i++) {
        const struct gib_condition_constant *constant = &g->constant[i];
        gib_put(e, padding, -e->at & 7);
        struct label field = {constant->field};
        gib_label_here(e, &field);
        gib_put(e, constant->bytes ? constant->bytes : &constant->number, constant->size);
    }
}

int gib_condition_code(const struct gib_condition *condition, uint8_t code[GIB_CONDITION_MAX],
                       size_t *size, struct gib_error *error)
{
    enum { SLOTS = 256 }; /* two kilobytes of the thread's stack */
    struct gib_condition_emitter g;
    struct emitter e;
    unsigned slots = 0;
    bool uses_real = false;
    for (int turn = 0; turn < 2; turn++) {
        e = (struct emitter){code, 0, GIB_CONDITION_MAX, 0, false};
        memset(&g, 0, offsetof(struct gib_condition_emitter, constant));
        g.e = &e;
        g.constants = 0;
        emit_function(&g, condition->root, slots, uses_real);
        slots = g.most_slots;
        uses_real = g.uses_real;
    }
    emit_constants(&g);
    *size = e.at;
    if (!e.failed && slots <= SLOTS)
        return 0;
    if (error) {
        error->code = GIB_E_SPACE;
        error->address = 0;
        snprintf(error->message, sizeof error->message,
                 "the condition is too large: its code would take more than %d bytes, or its "
                 "values more than %d bytes of stack.",
                 GIB_CONDITION_MAX, SLOTS * 8);
    }
    return GIB_E_SPACE;
}

/* ---- in a thunk ---- */

static bool is_plain(const struct gib_node *node)
{
    if (!node)
        return true;
    if (node->is_real)
        return false;
    switch (node->operation) {
    case GIB_OP_FIELD:
    case GIB_OP_LOAD:
    case GIB_OP_TEXT:
    case GIB_OP_INSIDE:
        return false;
    case GIB_OP_WORD:
        return node->number < GIB_SOURCE_XMM || node->number >= GIB_SOURCE_STACK;
    case GIB_OP_DIVIDE:
    case GIB_OP_REMAINDER:
        /* Nobody could tell of a division by zero. */
        if (node->b->operation != GIB_OP_NUMBER || !node->b->number)
            return false;
        break;
    default:
        break;
    }
    return is_plain(node->a) && is_plain(node->b) && is_plain(node->c);
}

static void begin_inline(struct gib_condition_emitter *g, struct emitter *e, unsigned saved)
{
    memset(g, 0, offsetof(struct gib_condition_emitter, constant));
    g->e = e;
    g->constants = 0;
    g->in_thunk = true;
    g->saved = saved;
}

/* Makes the code as if all registers changed: tells which do, and how large it is. */
static void measure(const struct gib_condition *condition, struct gib_condition_emitter *g,
                    size_t *size)
{
    uint8_t code[GIB_CONDITION_INLINE_MAX];
    struct emitter e = {code, 0, sizeof code, 0, false};
    struct label no = {0};
    begin_inline(g, &e, ALL);
    gib_jump_when(g, condition->root, &no, false);
    *size = e.failed ? SIZE_MAX : e.at;
}

bool gib_condition_is_plain(const struct gib_condition *condition)
{
    /* Of the red zone: three words are registers, the lowest is a stop's (gib_stop_pass). REST:
     * bytes that save and restore registers. */
    enum { SLOTS = 12, REST = 64 };
    struct gib_condition_emitter g;
    size_t size;
    if (!is_plain(condition->root))
        return false;
    measure(condition, &g, &size);
    return size <= GIB_CONDITION_INLINE_MAX - REST && g.most_slots <= SLOTS;
}

/* mov [rsp - 8],rax and so on */
static void move_saved(struct gib_condition_emitter *g, unsigned saved, uint8_t opcode)
{
    static const int regs[] = {RAX, RCX, RDX};
    for (int i = 0; i < 3; i++)
        if (saved & 1u << regs[i])
            gib_memory(g->e, opcode, regs[i], RSP, -8 - 8 * i);
}

/*
 *      mov [rsp - 8],rax ...               the registers that change, if any do
 *      ... jumps to `no`, or to `otherwise` if none has to be restored ...
 *      mov rax,[rsp - 8] ... ; jmp yes
 *  no: mov rax,[rsp - 8] ... ; jmp otherwise
 *  yes:
 */
void gib_condition_inline(struct emitter *e, const struct gib_condition *condition,
                          uint64_t otherwise)
{
    struct gib_condition_emitter g;
    struct label no = {0}, yes = {0};
    size_t size;
    measure(condition, &g, &size);
    unsigned saved = g.changed;
    begin_inline(&g, e, saved);
    move_saved(&g, saved, STORE);
    gib_jump_when(&g, condition->root, &no, false);
    if (!saved) {
        gib_label_to(e, &no, otherwise);
        return;
    }
    move_saved(&g, saved, LOAD);
    gib_jump_label(e, JMP, &yes);
    gib_label_here(e, &no);
    move_saved(&g, saved, LOAD);
    gib_jump(e, otherwise);
    gib_label_here(e, &yes);
}
