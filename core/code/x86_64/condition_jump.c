/* condition_jump.c: what is true or false, as jumps: the second operand of && and || is only
 * computed when it counts. */
#include "code/x86_64/condition_emit.h"

static const struct gib_place accumulator = {GIB_REGISTER, RAX, 0};

/*
 * $caller is a return address, which may be behind the function's last byte:
 *
 *      mov rax,[caller] ; mov rcx,start + 1 ; sub rax,rcx ; cmp rax,size ; jb inside    each range
 */
static void jump_inside(struct gib_condition_emitter *g, const struct gib_node *node,
                        struct label *label, bool when)
{
    struct label inside = {0};
    static const struct gib_place counter = {GIB_REGISTER, RCX, 0},
                                  caller = {GIB_STORED, RBX,
                                            offsetof(struct gib_condition_call, caller)};
    g->changed |= 1u << RAX | 1u << RCX;
    for (size_t i = 0; i < node->count; i++) {
        const struct gib_range *range = &node->range[i];
        uint64_t size = range->end - range->start;
        struct gib_place most = {GIB_IMMEDIATE, 0, size < INT32_MAX ? (int32_t)size : INT32_MAX};
        gib_put_instruction(g, 0, true, false, 0x8b, RAX, &caller);
        gib_put_number(g, RCX, range->start + 1, true);
        gib_put_alu(g, GIB_ALU_SUB, true, &accumulator, &counter);
        gib_put_alu(g, GIB_ALU_CMP, true, &accumulator, &most);
        gib_jump_label(g->e, JB, when ? label : &inside);
    }
    if (!when)
        gib_jump_label(g->e, JMP, label);
    gib_label_here(g->e, &inside);
}

static void jump_both(struct gib_condition_emitter *g, const struct gib_node *node,
                      struct label *label, bool when)
{
    struct label skip = {0};
    bool early = node->operation == GIB_OP_EITHER; /* the value that needs no second operand */
    gib_jump_when(g, node->a, when == early ? label : &skip, early);
    gib_jump_when(g, node->b, label, when);
    gib_label_here(g->e, &skip);
}

static void jump_choice(struct gib_condition_emitter *g, const struct gib_node *node,
                        struct label *label, bool when)
{
    struct label second = {0}, done = {0};
    gib_jump_when(g, node->a, &second, false);
    gib_jump_when(g, node->b, label, when);
    gib_jump_label(g->e, JMP, &done);
    gib_label_here(g->e, &second);
    gib_jump_when(g, node->c, label, when);
    gib_label_here(g->e, &done);
}

void gib_jump_when(struct gib_condition_emitter *g, const struct gib_node *node,
                   struct label *label, bool when)
{
    int code;
    switch (node->operation) {
    case GIB_OP_NUMBER:
        if (!!node->number == when)
            gib_jump_label(g->e, JMP, label);
        return;
    case GIB_OP_NOT:
        gib_jump_when(g, node->a, label, !when);
        return;
    case GIB_OP_BOTH:
    case GIB_OP_EITHER:
        jump_both(g, node, label, when);
        return;
    case GIB_OP_CHOOSE:
        jump_choice(g, node, label, when);
        return;
    case GIB_OP_INSIDE:
        jump_inside(g, node, label, when);
        return;
    case GIB_OP_CONVERT:
        if (node->is_bool) {
            gib_jump_when(g, node->a, label, when);
            return;
        }
        break;
    case GIB_OP_EQUAL:
    case GIB_OP_UNEQUAL:
    case GIB_OP_LESS:
    case GIB_OP_GREATER:
    case GIB_OP_AT_MOST:
    case GIB_OP_AT_LEAST:
        if (node->a->is_real) {
            gib_jump_real(g, node, label, when);
            return;
        }
        code = gib_emit_compare(g, node);
        gib_jump_label(g->e, (uint8_t)(0x80 | (when ? code : code ^ 1)), label);
        return;
    default:
        break;
    }
    if (node->is_real) {
        gib_jump_real_truth(g, node, label, when);
        return;
    }
    struct gib_place place, zero = {GIB_IMMEDIATE, 0, 0};
    if (gib_operand_is_direct(g, node, &place) && place.kind != GIB_IMMEDIATE)
        gib_put_alu(g, GIB_ALU_CMP, node->size == 8, &place, &zero);
    else
        gib_emit_test(g, node);
    gib_jump_label(g->e, when ? JNE : JE, label);
}

void gib_emit_truth(struct gib_condition_emitter *g, const struct gib_node *node)
{
    struct label no = {0}, done = {0};
    if (node->operation >= GIB_OP_EQUAL && node->operation <= GIB_OP_AT_LEAST &&
        !node->a->is_real) {
        int code = gib_emit_compare(g, node);
        g->changed |= 1u << RAX;
        BYTES(g->e, 0x0f, (uint8_t)(0x90 | code), 0xc0, 0x0f, 0xb6, 0xc0); /* setcc al ; movzx */
        return;
    }
    g->changed |= 1u << RAX;
    gib_jump_when(g, node, &no, false);
    gib_put_number(g, RAX, 1, false);
    gib_jump_label(g->e, JMP, &done);
    gib_label_here(g->e, &no);
    gib_put_number(g, RAX, 0, false);
    gib_label_here(g->e, &done);
}

void gib_emit_choice(struct gib_condition_emitter *g, const struct gib_node *node)
{
    struct label second = {0}, done = {0};
    void (*emit)(struct gib_condition_emitter *, const struct gib_node *) =
        node->is_real ? gib_emit_real : gib_emit_integer;
    gib_jump_when(g, node->a, &second, false);
    emit(g, node->b);
    gib_jump_label(g->e, JMP, &done);
    gib_label_here(g->e, &second);
    emit(g, node->c);
    gib_label_here(g->e, &done);
}
