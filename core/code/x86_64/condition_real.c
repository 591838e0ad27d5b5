/* condition_real.c: float and double, in xmm0, by SSE2 in its old encodings: the upper halves of
 * ymm registers stay as they are. */
#include <string.h>
#include "code/x86_64/condition_emit.h"

enum { SINGLE = 0xf3, DOUBLE = 0xf2 };
static const struct gib_place accumulator = {GIB_REGISTER, RAX, 0}, vector = {GIB_REGISTER, 0, 0};

static uint8_t prefix_of(const struct gib_node *node)
{
    return node->size == 4 ? SINGLE : DOUBLE;
}

static uint64_t bits_of(double real, unsigned size)
{
    float single = (float)real;
    uint64_t bits = 0;
    memcpy(&bits, size == 4 ? (void *)&single : (void *)&real, size);
    return bits;
}

/*  prefix 0f opcode xmm0,[rip + constant]   */
static void with_constant(struct gib_condition_emitter *g, uint8_t prefix, uint8_t opcode,
                          double real, unsigned size)
{
    if (prefix)
        BYTES(g->e, prefix);
    BYTES(g->e, 0x0f, opcode, 0x05);
    gib_put_constant(g, NULL, size, bits_of(real, size));
}

/* movss, movsd */
static void load(struct gib_condition_emitter *g, const struct gib_node *node,
                 const struct gib_place *place)
{
    gib_put_instruction(g, prefix_of(node), false, false, 0x0f10, 0, place);
}

static void store(struct gib_condition_emitter *g, const struct gib_node *node,
                  const struct gib_place *place)
{
    gib_put_instruction(g, prefix_of(node), false, false, 0x0f11, 0, place);
}

/*
 *      test rax,rax ; js large ; cvtsi2sd xmm0,rax ; jmp done
 *  large:  mov rcx,rax ; shr rcx,1 ; and eax,1 ; or rcx,rax    half of it, rounded to odd
 *      cvtsi2sd xmm0,rcx ; addsd xmm0,xmm0
 *  done:
 */
static void of_unsigned(struct gib_condition_emitter *g, uint8_t prefix)
{
    struct label large = {0}, done = {0};
    static const struct gib_place counter = {GIB_REGISTER, RCX, 0};
    g->changed |= 1u << RCX;
    BYTES(g->e, 0x48, 0x85, 0xc0);
    gib_jump_label(g->e, 0x88, &large);
    gib_put_instruction(g, prefix, true, false, 0x0f2a, 0, &accumulator);
    gib_jump_label(g->e, JMP, &done);
    gib_label_here(g->e, &large);
    BYTES(g->e, 0x48, 0x89, 0xc1, 0x48, 0xd1, 0xe9, 0x83, 0xe0, 0x01, 0x48, 0x09, 0xc1);
    gib_put_instruction(g, prefix, true, false, 0x0f2a, 0, &counter);
    gib_put_instruction(g, prefix, false, false, 0x0f58, 0, &vector);
    gib_label_here(g->e, &done);
}

static void emit_convert(struct gib_condition_emitter *g, const struct gib_node *node)
{
    const struct gib_node *from = node->a;
    if (from->is_real) {
        gib_emit_real(g, from);
        if (from->size != node->size) /* cvtss2sd, cvtsd2ss */
            gib_put_instruction(g, prefix_of(from), false, false, 0x0f5a, 0, &vector);
        return;
    }
    gib_emit_integer(g, from);
    if (from->size == 8 && !from->is_signed) {
        of_unsigned(g, prefix_of(node));
        return;
    }
    if (from->size == 4 && !from->is_signed)
        BYTES(g->e, 0x89, 0xc0); /* mov eax,eax */
    bool wide = from->size == 8 || (from->size == 4 && !from->is_signed);
    gib_put_instruction(g, prefix_of(node), wide, false, 0x0f2a, 0, &accumulator);
}

/*  movd or movq xmm0,rax   */
static void of_bits(struct gib_condition_emitter *g, const struct gib_node *node)
{
    gib_put_instruction(g, 0x66, node->size == 8, false, 0x0f6e, 0, &accumulator);
}

static void emit_negate(struct gib_condition_emitter *g, const struct gib_node *node)
{
    gib_emit_real(g, node->a);
    gib_put_instruction(g, 0x66, node->size == 8, false, 0x0f7e, 0, &accumulator);
    if (node->size == 8)
        BYTES(g->e, 0x48);
    BYTES(g->e, 0x0f, 0xba, 0xf8, node->size == 8 ? 63 : 31); /* btc rax,63 */
    of_bits(g, node);
}

/* `b` into a slot, then `a` into xmm0. */
static struct gib_place emit_both(struct gib_condition_emitter *g, const struct gib_node *a,
                                  const struct gib_node *b)
{
    gib_emit_real(g, b);
    struct gib_place slot = gib_slots_take(g, 1);
    store(g, b, &slot);
    gib_emit_real(g, a);
    return slot;
}

void gib_emit_real(struct gib_condition_emitter *g, const struct gib_node *node)
{
    static const uint8_t opcode[] = {[GIB_OP_ADD] = 0x58,
                                     [GIB_OP_SUBTRACT] = 0x5c,
                                     [GIB_OP_MULTIPLY] = 0x59,
                                     [GIB_OP_DIVIDE] = 0x5e};
    unsigned slots = g->slots;
    struct gib_place place;
    g->uses_real = true;
    switch (node->operation) {
    case GIB_OP_REAL:
        with_constant(g, prefix_of(node), 0x10, node->real, node->size);
        break;
    case GIB_OP_LOAD:
        place = gib_emit_load(g, node);
        load(g, node, &place);
        break;
    case GIB_OP_REAL_OF_BITS:
        if (gib_operand_is_direct(g, node->a, &place) && place.kind == GIB_STORED) {
            load(g, node, &place);
            break;
        }
        gib_emit_integer(g, node->a);
        of_bits(g, node);
        break;
    case GIB_OP_CONVERT:
        emit_convert(g, node);
        break;
    case GIB_OP_NEGATE:
        emit_negate(g, node);
        break;
    case GIB_OP_CHOOSE:
        gib_emit_choice(g, node);
        break;
    default:
        place = emit_both(g, node->a, node->b);
        gib_put_instruction(g, prefix_of(node), false, false, 0x0f00u | opcode[node->operation], 0,
                            &place);
    }
    g->slots = slots;
}

/* comiss, comisd xmm0,[rip + constant] */
static void compare_constant(struct gib_condition_emitter *g, const struct gib_node *node,
                             double real)
{
    with_constant(g, node->size == 8 ? 0x66 : 0, 0x2e, real, node->size);
}

/*
 *      ucomisd xmm0,2^63 ; jae large ; cvttsd2si rax,xmm0 ; jmp done
 *  large:  subsd xmm0,2^63 ; cvttsd2si rax,xmm0 ; btc rax,63
 *  done:
 */
static void to_unsigned(struct gib_condition_emitter *g, const struct gib_node *from)
{
    struct label large = {0}, done = {0};
    uint8_t prefix = prefix_of(from);
    compare_constant(g, from, 0x1p63);
    gib_jump_label(g->e, 0x83, &large);
    gib_put_instruction(g, prefix, true, false, 0x0f2c, RAX, &vector);
    gib_jump_label(g->e, JMP, &done);
    gib_label_here(g->e, &large);
    with_constant(g, prefix, 0x5c, 0x1p63, from->size);
    gib_put_instruction(g, prefix, true, false, 0x0f2c, RAX, &vector);
    BYTES(g->e, 0x48, 0x0f, 0xba, 0xf8, 63);
    gib_label_here(g->e, &done);
}

void gib_emit_integer_of_real(struct gib_condition_emitter *g, const struct gib_node *node)
{
    static const uint16_t narrow[2][2] = {{0x0fb6, 0x0fb7}, {0x0fbe, 0x0fbf}};
    gib_emit_real(g, node->a);
    g->changed |= 1u << RAX;
    if (node->size == 8 && !node->is_signed) {
        to_unsigned(g, node->a);
        return;
    }
    bool wide = node->size == 8 || (node->size == 4 && !node->is_signed);
    gib_put_instruction(g, prefix_of(node->a), wide, false, 0x0f2c, RAX, &vector);
    if (node->size < 4)
        gib_put_instruction(g, 0, false, node->size == 1, narrow[node->is_signed][node->size == 2],
                            RAX, &accumulator);
}

enum { JAE = 0x83, JP = 0x8a, JNP = 0x8b };

/* After a comparison: ZF and PF, both set when it is unordered. */
static void jump_equal(struct gib_condition_emitter *g, struct label *label, bool when)
{
    struct label not_equal = {0};
    if (!when) {
        gib_jump_label(g->e, JNE, label);
        gib_jump_label(g->e, JP, label);
        return;
    }
    gib_jump_label(g->e, JP, &not_equal);
    gib_jump_label(g->e, JE, label);
    gib_label_here(g->e, &not_equal);
}

void gib_jump_real(struct gib_condition_emitter *g, const struct gib_node *node,
                   struct label *label, bool when)
{
    const struct gib_node *a = node->a, *b = node->b;
    enum gib_operation operation = node->operation;
    unsigned slots = g->slots;
    /* Above, or above or equal, is false of what is unordered; below is not. */
    if (operation == GIB_OP_LESS || operation == GIB_OP_AT_MOST) {
        a = node->b;
        b = node->a;
    }
    struct gib_place slot = emit_both(g, a, b);
    gib_put_instruction(g, a->size == 8 ? 0x66 : 0, false, false, 0x0f2e, 0, &slot);
    g->slots = slots;
    if (operation == GIB_OP_EQUAL || operation == GIB_OP_UNEQUAL) {
        jump_equal(g, label, (operation == GIB_OP_EQUAL) == when);
        return;
    }
    uint8_t jump = operation == GIB_OP_LESS || operation == GIB_OP_GREATER ? JA : JAE;
    gib_jump_label(g->e, when ? jump : jump ^ 1, label);
}

void gib_jump_real_truth(struct gib_condition_emitter *g, const struct gib_node *node,
                         struct label *label, bool when)
{
    gib_emit_real(g, node);
    compare_constant(g, node, 0);
    jump_equal(g, label, !when);
}
