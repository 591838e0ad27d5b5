/* condition_integer.c: integers and addresses, in rax. */
#include "code/x86_64/condition_emit.h"

static const struct gib_place accumulator = {GIB_REGISTER, RAX, 0};

static void changes(struct gib_condition_emitter *g, int reg)
{
    g->changed |= 1u << reg;
}

/*  mov rax,place; of one and two bytes movsx or movzx  */
static void load(struct gib_condition_emitter *g, const struct gib_place *place, unsigned size,
                 bool is_signed)
{
    static const uint16_t narrow[2][2] = {{0x0fb6, 0x0fb7}, {0x0fbe, 0x0fbf}};
    changes(g, RAX);
    if (place->kind == GIB_IMMEDIATE)
        gib_put_number(g, RAX, (uint64_t)(int64_t)place->value, size == 8);
    else if (size < 4)
        gib_put_instruction(g, 0, false, size == 1, narrow[is_signed][size == 2], RAX, place);
    else if (place->kind != GIB_REGISTER || place->reg != RAX)
        gib_put_instruction(g, 0, size == 8, false, 0x8b, RAX, place);
}

static void store(struct gib_condition_emitter *g, const struct gib_place *slot)
{
    gib_put_instruction(g, 0, true, false, 0x89, RAX, slot);
}

static void emit_convert(struct gib_condition_emitter *g, const struct gib_node *node)
{
    const struct gib_node *from = node->a;
    struct gib_place place;
    if (node->is_bool) {
        gib_emit_truth(g, from);
        return;
    }
    if (from->is_real) {
        gib_emit_integer_of_real(g, node);
        return;
    }
    if (from->operation == GIB_OP_WORD) {
        place = gib_word_place(g, from->number);
        load(g, &place, node->size, node->is_signed);
        return;
    }
    gib_emit_integer(g, from);
    if (node->size < 4) {
        if (from->size != node->size || from->is_signed != node->is_signed)
            load(g, &accumulator, node->size, node->is_signed);
    } else if (node->size == 8 && from->size < 8) {
        /* movsxd rax,eax or mov eax,eax */
        gib_put_instruction(g, 0, from->is_signed, false, from->is_signed ? 0x63 : 0x8b, RAX,
                            &accumulator);
    }
}

/* shl, shr, sar of rax by a constant */
static void shift_by(struct gib_condition_emitter *g, int extension, bool wide, unsigned count)
{
    if (!count)
        return;
    gib_put_instruction(g, 0, wide, false, 0xc1, extension, &accumulator);
    BYTES(g->e, (uint8_t)count);
}

enum { SHL = 4, SHR = 5, SAR = 7 };

static void emit_bits(struct gib_condition_emitter *g, const struct gib_node *node)
{
    gib_emit_integer(g, node->a);
    shift_by(g, SHL, true, 64 - node->width - (unsigned)node->number);
    shift_by(g, node->is_signed ? SAR : SHR, true, 64 - node->width);
}

/* Puts `b` where an instruction can take it from, and then `a` into rax. */
static struct gib_place emit_both(struct gib_condition_emitter *g, const struct gib_node *a,
                                  const struct gib_node *b)
{
    struct gib_place place;
    if (!gib_operand_is_direct(g, b, &place)) {
        gib_emit_integer(g, b);
        place = gib_slots_take(g, 1);
        store(g, &place);
    }
    gib_emit_integer(g, a);
    return place;
}

static void emit_shift(struct gib_condition_emitter *g, const struct gib_node *node)
{
    int extension = node->operation == GIB_OP_LEFT ? SHL : node->is_signed ? SAR : SHR;
    bool wide = node->size == 8;
    struct gib_place count = emit_both(g, node->a, node->b);
    if (count.kind == GIB_IMMEDIATE) {
        shift_by(g, extension, wide, (unsigned)count.value & (wide ? 63 : 31));
        return;
    }
    changes(g, RCX);
    gib_put_instruction(g, 0, false, false, 0x8b, RCX, &count);            /* mov ecx,count */
    gib_put_instruction(g, 0, wide, false, 0xd3, extension, &accumulator); /* by cl */
}

/*
 *      cmp divisor,0 ; je fail
 *      cmp divisor,-1 ; je minus             the most negative number by -1 would be a fault
 *      cqo ; idiv divisor ; jmp done
 *  minus:  neg rax, or xor eax,eax of a remainder
 *  done:
 */
static void emit_division(struct gib_condition_emitter *g, const struct gib_node *node)
{
    bool wide = node->size == 8, remainder = node->operation == GIB_OP_REMAINDER;
    const struct gib_node *b = node->b;
    bool constant = b->operation == GIB_OP_NUMBER && b->number;
    if (constant && !node->is_signed && !(b->number & (b->number - 1)) && b->number < 1u << 31) {
        struct gib_place mask = {GIB_IMMEDIATE, 0, (int32_t)(b->number - 1)};
        gib_emit_integer(g, node->a);
        if (remainder)
            gib_put_alu(g, GIB_ALU_AND, wide, &accumulator, &mask);
        else
            shift_by(g, SHR, wide, (unsigned)__builtin_ctzll(b->number));
        return;
    }
    static const struct gib_place zero = {GIB_IMMEDIATE, 0, 0}, minus_one = {GIB_IMMEDIATE, 0, -1};
    struct label minus = {0}, done = {0};
    gib_emit_integer(g, b);
    struct gib_place slot = gib_slots_take(g, 1);
    store(g, &slot);
    gib_emit_integer(g, node->a);
    changes(g, RDX);
    if (!constant) {
        gib_put_alu(g, GIB_ALU_CMP, wide, &slot, &zero);
        gib_jump_label(g->e, JE, &g->fail);
    }
    if (!node->is_signed) {
        BYTES(g->e, 0x31, 0xd2); /* xor edx,edx */
        gib_put_instruction(g, 0, wide, false, 0xf7, 6, &slot);
    } else {
        gib_put_alu(g, GIB_ALU_CMP, wide, &slot, &minus_one);
        gib_jump_label(g->e, JE, &minus);
        if (wide)
            BYTES(g->e, 0x48);
        BYTES(g->e, 0x99); /* cdq, cqo */
        gib_put_instruction(g, 0, wide, false, 0xf7, 7, &slot);
    }
    if (remainder)
        BYTES(g->e, 0x48, 0x89, 0xd0); /* mov rax,rdx */
    if (node->is_signed) {
        gib_jump_label(g->e, JMP, &done);
        gib_label_here(g->e, &minus);
        if (remainder)
            gib_put_number(g, RAX, 0, false);
        else
            gib_put_instruction(g, 0, wide, false, 0xf7, 3, &accumulator);
        gib_label_here(g->e, &done);
    }
}

static void emit_arithmetic(struct gib_condition_emitter *g, const struct gib_node *node)
{
    static const int alu[] = {[GIB_OP_ADD] = GIB_ALU_ADD,
                              [GIB_OP_SUBTRACT] = GIB_ALU_SUB,
                              [GIB_OP_AND] = GIB_ALU_AND,
                              [GIB_OP_OR] = GIB_ALU_OR,
                              [GIB_OP_XOR] = GIB_ALU_XOR};
    const struct gib_node *a = node->a, *b = node->b;
    bool wide = node->size == 8;
    struct gib_place direct;
    if (node->operation != GIB_OP_SUBTRACT && gib_operand_is_direct(g, a, &direct) &&
        !gib_operand_is_direct(g, b, &direct)) {
        a = node->b;
        b = node->a;
    }
    struct gib_place place = emit_both(g, a, b);
    changes(g, RAX);
    if (node->operation != GIB_OP_MULTIPLY) {
        gib_put_alu(g, alu[node->operation], wide, &accumulator, &place);
    } else if (place.kind == GIB_IMMEDIATE) {
        gib_put_instruction(g, 0, wide, false, 0x69, RAX, &accumulator);
        gib_put32(g->e, (uint32_t)place.value);
    } else {
        gib_put_instruction(g, 0, wide, false, 0x0faf, RAX, &place);
    }
}

void gib_emit_integer(struct gib_condition_emitter *g, const struct gib_node *node)
{
    unsigned slots = g->slots;
    struct gib_place place;
    changes(g, RAX);
    switch (node->operation) {
    case GIB_OP_NUMBER:
        gib_put_number(g, RAX, node->number, node->size == 8);
        break;
    case GIB_OP_WORD:
        place = gib_word_place(g, node->number);
        load(g, &place, 8, false);
        break;
    case GIB_OP_FIELD:
        place = (struct gib_place){GIB_STORED, RBX, (int32_t)node->number};
        load(g, &place, node->size, node->is_signed);
        break;
    case GIB_OP_LOAD:
        place = gib_emit_load(g, node);
        load(g, &place, node->size, node->is_signed);
        break;
    case GIB_OP_BITS:
        emit_bits(g, node);
        break;
    case GIB_OP_CONVERT:
        emit_convert(g, node);
        break;
    case GIB_OP_NEGATE:
    case GIB_OP_INVERT:
        gib_emit_integer(g, node->a);
        gib_put_instruction(g, 0, node->size == 8, false, 0xf7,
                            node->operation == GIB_OP_NEGATE ? 3 : 2, &accumulator);
        break;
    case GIB_OP_ADD:
    case GIB_OP_SUBTRACT:
    case GIB_OP_MULTIPLY:
    case GIB_OP_AND:
    case GIB_OP_OR:
    case GIB_OP_XOR:
        emit_arithmetic(g, node);
        break;
    case GIB_OP_DIVIDE:
    case GIB_OP_REMAINDER:
        emit_division(g, node);
        break;
    case GIB_OP_LEFT:
    case GIB_OP_RIGHT:
        emit_shift(g, node);
        break;
    case GIB_OP_CHOOSE:
        gib_emit_choice(g, node);
        break;
    case GIB_OP_TEXT:
        gib_emit_text(g, node);
        break;
    default:
        gib_emit_truth(g, node);
    }
    g->slots = slots;
}

/* ---- comparisons ---- */

enum {
    CC_B = 2,
    CC_AE = 3,
    CC_E = 4,
    CC_NE = 5,
    CC_BE = 6,
    CC_A = 7,
    CC_L = 12,
    CC_GE = 13,
    CC_LE = 14,
    CC_G = 15
};

static int code_of(enum gib_operation operation, bool is_signed)
{
    switch (operation) {
    case GIB_OP_EQUAL:
        return CC_E;
    case GIB_OP_UNEQUAL:
        return CC_NE;
    case GIB_OP_LESS:
        return is_signed ? CC_L : CC_B;
    case GIB_OP_GREATER:
        return is_signed ? CC_G : CC_A;
    case GIB_OP_AT_MOST:
        return is_signed ? CC_LE : CC_BE;
    default:
        return is_signed ? CC_GE : CC_AE;
    }
}

static enum gib_operation mirrored(enum gib_operation operation)
{
    switch (operation) {
    case GIB_OP_LESS:
        return GIB_OP_GREATER;
    case GIB_OP_GREATER:
        return GIB_OP_LESS;
    case GIB_OP_AT_MOST:
        return GIB_OP_AT_LEAST;
    case GIB_OP_AT_LEAST:
        return GIB_OP_AT_MOST;
    default:
        return operation;
    }
}

void gib_emit_test(struct gib_condition_emitter *g, const struct gib_node *node)
{
    struct gib_place a, b = {.kind = GIB_REGISTER};
    const struct gib_node *word = node->a, *mask = node->b;
    if (node->operation == GIB_OP_AND && word->operation == GIB_OP_NUMBER) {
        word = node->b;
        mask = node->a;
    }
    if (node->operation != GIB_OP_AND || !gib_operand_is_direct(g, mask, &b) ||
        b.kind != GIB_IMMEDIATE) {
        gib_emit_integer(g, node);
        gib_put_instruction(g, 0, node->size == 8, false, 0x85, RAX, &accumulator);
        return;
    }
    if (!gib_operand_is_direct(g, word, &a) || a.kind == GIB_IMMEDIATE) {
        gib_emit_integer(g, word);
        a = accumulator;
    }
    gib_put_instruction(g, 0, node->size == 8, false, 0xf7, 0, &a); /* test a,imm32 */
    gib_put32(g->e, (uint32_t)b.value);
}

/*
 * An argument narrower than the comparison, and a constant: `c == 'x'` as cmp dil,'x', `n > 10` of
 * an int and a long as cmp edi,10. Right when widening keeps the order, and the constant is one of
 * the narrow type. False: no such case.
 */
static bool compare_narrow(struct gib_condition_emitter *g, const struct gib_node *a,
                           const struct gib_node *b, bool *is_signed)
{
    if (b->operation != GIB_OP_NUMBER || a->operation != GIB_OP_CONVERT)
        return false;
    const struct gib_node *narrow = a->a;
    if (narrow->operation != GIB_OP_CONVERT || narrow->a->operation != GIB_OP_WORD ||
        narrow->is_bool || narrow->is_real || narrow->size >= a->size || narrow->size == 2 ||
        a->is_real || a->is_bool || (!g->in_thunk && narrow->a->number >= GIB_SOURCE_STACK))
        return false;
    uint64_t most =
        (narrow->is_signed ? (uint64_t)INT64_MAX : UINT64_MAX) >> (64 - 8 * narrow->size);
    int64_t number = (int64_t)b->number;
    bool keeps_sign = narrow->is_signed && a->is_signed;
    bool fits = (number >= 0 && (uint64_t)number <= most) ||
                (keeps_sign && number < 0 && number >= -(int64_t)most - 1);
    if (!fits)
        return false;
    *is_signed = keeps_sign;
    struct gib_place place = gib_word_place(g, narrow->a->number);
    struct gib_place constant = {GIB_IMMEDIATE, 0, (int32_t)number};
    if (narrow->size == 4) {
        gib_put_alu(g, GIB_ALU_CMP, false, &place, &constant);
    } else {
        gib_put_instruction(g, 0, false, true, 0x80, GIB_ALU_CMP, &place); /* cmp byte,imm8 */
        BYTES(g->e, (uint8_t)number);
    }
    return true;
}

int gib_emit_compare(struct gib_condition_emitter *g, const struct gib_node *node)
{
    const struct gib_node *a = node->a, *b = node->b;
    enum gib_operation operation = node->operation;
    struct gib_place left, right;
    bool is_signed = a->is_signed, wide = a->size == 8;
    unsigned slots = g->slots;
    if (a->operation == GIB_OP_NUMBER ||
        (gib_operand_is_direct(g, a, &left) && !gib_operand_is_direct(g, b, &right))) {
        const struct gib_node *swapped = a;
        a = b;
        b = swapped;
        operation = mirrored(operation);
    }
    bool equality = operation == GIB_OP_EQUAL || operation == GIB_OP_UNEQUAL;
    if (equality && b->operation == GIB_OP_NUMBER && !b->number && a->operation == GIB_OP_AND &&
        a->size >= 4) {
        gib_emit_test(g, a);
        return code_of(operation, false);
    }
    if (compare_narrow(g, a, b, &is_signed))
        return code_of(operation, is_signed);
    if (gib_operand_is_direct(g, a, &left) && gib_operand_is_direct(g, b, &right) &&
        left.kind != GIB_IMMEDIATE && (left.kind == GIB_REGISTER || right.kind == GIB_IMMEDIATE)) {
        gib_put_alu(g, GIB_ALU_CMP, wide, &left, &right);
        return code_of(operation, is_signed);
    }
    right = emit_both(g, a, b);
    gib_put_alu(g, GIB_ALU_CMP, wide, &accumulator, &right);
    g->slots = slots;
    return code_of(operation, is_signed);
}
