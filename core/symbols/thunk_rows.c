/*
 * thunk_rows.c: follows rsp and rbp through a thunk, along every branch.
 *
 * The generator of thunks need not say what it does to the stack: the code says it, for every
 * instruction, and cannot be wrong. Thunks are many and of few shapes, which differ in constants
 * only, so a shape is looked at once.
 */
#include "symbols/thunk_rows.h"

#include <dwarf.h>
#include <Zydis/Zydis.h>

enum { reg_rbp = 6, reg_rsp = 7 };

/* How to find the caller's frame before one instruction. */
struct state {
    bool known;       /* some path leads here */
    uint8_t base;     /* the CFA is this register */
    int32_t offset;   /* plus this */
    int32_t saved;    /* rbp is at CFA - saved; 0: in its register */
    bool depth_known; /* rsp = CFA - depth; always when the base is rsp */
    int32_t depth;
};

struct walk {
    const uint8_t *code;
    size_t size;
    uint8_t *varies;
    struct state *state; /* by offset */
    uint8_t *calls;      /* likewise: a call that leaves the thunk is there */
    uint32_t *todo;
    size_t todo_count;
    bool failed;
};

static bool same_frame(const struct state *a, const struct state *b)
{
    return a->base == b->base && a->offset == b->offset && a->saved == b->saved;
}

static void reach(struct walk *w, uint64_t offset, struct state state)
{
    if (offset >= w->size)
        return; /* it leaves the thunk */
    struct state *there = &w->state[offset];
    if (state.base == reg_rsp)
        state.offset = state.depth;
    if (there->known) {
        w->failed |= !same_frame(there, &state);
        return;
    }
    *there = state;
    w->todo[w->todo_count++] = (uint32_t)offset;
}

static bool is_register(const ZydisDecodedOperand *operand, ZydisRegister reg)
{
    return operand->type == ZYDIS_OPERAND_TYPE_REGISTER && operand->reg.value == reg;
}

static void move_depth(struct walk *w, struct state *s, int64_t by)
{
    s->depth += (int32_t)by;
    w->failed |= s->base == reg_rsp && !s->depth_known;
}

/* An instruction that writes rsp or rbp. */
static void change(struct walk *w, const ZydisDecodedInstruction *in, const ZydisDecodedOperand *op,
                   struct state *s)
{
    bool to_rsp = is_register(&op[0], ZYDIS_REGISTER_RSP);
    bool by_constant = op[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_PUSH:
    case ZYDIS_MNEMONIC_PUSHFQ:
        move_depth(w, s, 8);
        if (is_register(&op[0], ZYDIS_REGISTER_RBP) && !s->saved && s->depth_known)
            s->saved = s->depth;
        return;
    case ZYDIS_MNEMONIC_POP:
    case ZYDIS_MNEMONIC_POPFQ:
        move_depth(w, s, -8);
        if (is_register(&op[0], ZYDIS_REGISTER_RBP)) {
            w->failed |= !s->depth_known;
            s->saved = 0;
            s->base = reg_rsp;
        }
        return;
    case ZYDIS_MNEMONIC_LEAVE:
        w->failed |= s->base != reg_rbp;
        *s = (struct state){true, reg_rsp, 0, 0, true, s->offset - 8};
        return;
    case ZYDIS_MNEMONIC_MOV:
        if (to_rsp && is_register(&op[1], ZYDIS_REGISTER_RBP) && s->base == reg_rbp) {
            s->depth = s->offset;
            s->depth_known = true;
        } else if (!to_rsp && is_register(&op[1], ZYDIS_REGISTER_RSP) && s->saved &&
                   s->depth_known) {
            s->base = reg_rbp;
            s->offset = s->depth;
        } else {
            w->failed = true;
        }
        return;
    case ZYDIS_MNEMONIC_LEA:
        if (to_rsp && op[1].mem.base == ZYDIS_REGISTER_RSP && !op[1].mem.index) {
            move_depth(w, s, -op[1].mem.disp.value);
        } else if (to_rsp && op[1].mem.base == ZYDIS_REGISTER_RBP && !op[1].mem.index &&
                   s->base == reg_rbp) {
            s->depth = s->offset - (int32_t)op[1].mem.disp.value;
            s->depth_known = true;
        } else {
            w->failed = true;
        }
        return;
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_ADD:
        if (to_rsp && by_constant) {
            move_depth(w, s,
                       in->mnemonic == ZYDIS_MNEMONIC_SUB ? op[1].imm.value.s : -op[1].imm.value.s);
            return;
        }
        /* fall through */
    default:
        s->depth_known = false; /* alignment, room for a number of bytes */
        w->failed |= !to_rsp || s->base == reg_rsp;
    }
}

static bool writes_stack_registers(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *op)
{
    for (size_t i = 0; i < in->operand_count; i++) {
        ZydisRegister reg =
            op[i].type == ZYDIS_OPERAND_TYPE_REGISTER
                ? ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, op[i].reg.value)
                : ZYDIS_REGISTER_NONE;
        if ((reg == ZYDIS_REGISTER_RSP || reg == ZYDIS_REGISTER_RBP) &&
            (op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            return true;
    }
    return false;
}

/* Constants that may differ in another thunk of this shape: none of them says anything about the
 * stack. Of branches, only those that leave the thunk. */
static void mark_constants(struct walk *w, const ZydisDecodedInstruction *in, size_t at,
                           bool changes, bool leaves)
{
    if (changes)
        return;
    if (in->raw.disp.size == 32)
        memset(w->varies + at + in->raw.disp.offset, 1, 4);
    if (in->raw.imm[0].size >= 32 && (!in->raw.imm[0].is_relative || leaves))
        memset(w->varies + at + in->raw.imm[0].offset, in->raw.imm[0].is_relative ? 2 : 1,
               in->raw.imm[0].size / 8);
}

static void visit(struct walk *w, const ZydisDecoder *decoder, size_t at)
{
    ZydisDecodedInstruction in;
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
    struct state s = w->state[at];
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, w->code + at, w->size - at, &in, op))) {
        w->failed = true;
        return;
    }
    uint64_t next = at + in.length, target = 0;
    ZydisInstructionCategory category = in.meta.category;
    bool branch = category == ZYDIS_CATEGORY_COND_BR || category == ZYDIS_CATEGORY_UNCOND_BR;
    bool call = category == ZYDIS_CATEGORY_CALL, ret = category == ZYDIS_CATEGORY_RET;
    bool relative = (branch || call) && in.raw.imm[0].is_relative;
    if (relative)
        target = next + (uint64_t)in.raw.imm[0].value.s;
    bool changes = !branch && !call && !ret && writes_stack_registers(&in, op);
    mark_constants(w, &in, at, changes, relative && target >= w->size);
    w->calls[at] = call && relative && target >= w->size;
    if (changes)
        change(w, &in, op, &s);
    if (branch && relative)
        reach(w, target, s);
    if (!ret && category != ZYDIS_CATEGORY_UNCOND_BR)
        reach(w, next, s);
}

static void put_rows(const struct walk *w, struct gib_buffer *out)
{
    struct state last = {true, reg_rsp, 8, 0, true, 8};
    size_t done = 0;
    for (size_t at = 0; at < w->size; at++) {
        const struct state *s = &w->state[at];
        if (!s->known || same_frame(s, &last))
            continue;
        gib_put_fixed(out, DW_CFA_advance_loc4, 1);
        gib_put_fixed(out, at - done, 4);
        if (s->base != last.base || s->offset != last.offset) {
            gib_put_fixed(out, DW_CFA_def_cfa, 1);
            gib_put_uleb(out, s->base);
            gib_put_uleb(out, (uint64_t)s->offset);
        }
        if (s->saved != last.saved) {
            gib_put_fixed(out, s->saved ? DW_CFA_offset | reg_rbp : DW_CFA_restore | reg_rbp, 1);
            if (s->saved)
                gib_put_uleb(out, (uint64_t)s->saved / 8);
        }
        last = *s;
        done = at;
    }
}

static void put_calls(const struct walk *w, struct gib_buffer *out)
{
    for (uint32_t at = 0; at < w->size; at++)
        if (w->calls[at])
            gib_put(out, &at, sizeof at);
}

static bool look_at(const uint8_t *code, size_t size, struct gib_thunk_shape *shape)
{
    ZydisDecoder decoder;
    struct walk w = {.code = code,
                     .size = size,
                     .varies = calloc(size, 1),
                     .state = calloc(size, sizeof *w.state),
                     .calls = calloc(size, 1),
                     .todo = calloc(size, sizeof *w.todo)};
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    w.failed = !w.varies || !w.state || !w.calls || !w.todo;
    if (!w.failed)
        reach(&w, 0, (struct state){true, reg_rsp, 8, 0, true, 8});
    while (!w.failed && w.todo_count)
        visit(&w, &decoder, w.todo[--w.todo_count]);
    shape->code = malloc(size);
    shape->varies = w.varies;
    shape->size = size;
    if (!w.failed && shape->code) {
        memcpy(shape->code, code, size);
        put_rows(&w, &shape->fde);
        put_calls(&w, &shape->calls);
    }
    free(w.state);
    free(w.calls);
    free(w.todo);
    return !w.failed && shape->code && !shape->fde.failed && !shape->calls.failed;
}

/* Whether the code differs from the shape in constants only; a branch that left the thunk there
 * still does. */
static bool is_of_shape(const struct gib_thunk_shape *shape, const uint8_t *code, size_t size)
{
    if (!shape->code || shape->size != size)
        return false;
    uint8_t differences = 0;
    for (size_t i = 0; i < size; i++)
        differences |= (uint8_t)(code[i] ^ shape->code[i]) & (uint8_t)(shape->varies[i] - 1) &
                       (uint8_t)(shape->varies[i] == 2 ? 0 : 0xff);
    if (differences)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (shape->varies[i] != 2)
            continue;
        int32_t distance;
        memcpy(&distance, code + i, 4);
        i += 4;
        if (i + (uint64_t)(int64_t)distance < size)
            return false;
    }
    return true;
}

static void forget(struct gib_thunk_shape *shape)
{
    free(shape->code);
    free(shape->varies);
    gib_buffer_free(&shape->fde);
    gib_buffer_free(&shape->calls);
    memset(shape, 0, sizeof *shape);
}

void gib_thunk_shapes_free(struct gib_thunk_shapes *shapes)
{
    for (size_t i = 0; i < GIB_THUNK_SHAPES; i++)
        forget(&shapes->shape[i]);
}

void gib_thunk_cie(struct gib_buffer *cie)
{
    gib_put_uleb(cie, 1);
    gib_put_sleb(cie, -8);
    gib_put_uleb(cie, 16);
    gib_put(cie, (const uint8_t[]){DW_CFA_def_cfa, reg_rsp, 8, DW_CFA_offset | 16, 1}, 5);
}

const struct gib_thunk_shape *gib_thunk_rows(struct gib_thunk_shapes *shapes, const uint8_t *code,
                                             size_t size)
{
    for (size_t i = 0; i < GIB_THUNK_SHAPES; i++)
        if (is_of_shape(&shapes->shape[i], code, size))
            return &shapes->shape[i];
    struct gib_thunk_shape *shape = &shapes->shape[shapes->next++ % GIB_THUNK_SHAPES];
    forget(shape);
    if (!look_at(code, size, shape)) {
        forget(shape);
        return NULL;
    }
    return shape;
}
