/* condition_operand.c: instructions of conditions, and where their operands are. */
#include <string.h>
#include "code/x86_64/condition_emit.h"

#define IN_CALL(field) ((int32_t)offsetof(struct gib_condition_call, field))

/*
 * Code for the agent:                       Code in a thunk, where rsp is as at the entry:
 *
 *   [rbp -  8]  rbx                           [rsp +  8]  first stack argument
 *   [rbp - 16]  mxcsr, the one that is used   [rsp]       return address
 *   [rbp - 32]  xmm0                          [rsp -  8]  rax   }
 *   [rbp - 40]  slot 0                        [rsp - 16]  rcx   } if they change
 *   [rbp - 48]  slot 1 ...                    [rsp - 24]  rdx   }
 *                                             [rsp - 32]  slot 0 ... [rsp - 128]
 */
struct gib_place gib_slots_take(struct gib_condition_emitter *g, unsigned count)
{
    g->slots += count;
    if (g->slots > g->most_slots)
        g->most_slots = g->slots;
    int32_t first = g->in_thunk ? -24 : -32;
    return (struct gib_place){GIB_STORED, g->in_thunk ? RSP : RBP, first - 8 * (int32_t)g->slots};
}

void gib_put_instruction(struct gib_condition_emitter *g, uint8_t prefix, bool wide, bool byte,
                         unsigned opcode, int reg, const struct gib_place *rm)
{
    uint8_t rex = (uint8_t)(0x40 | wide << 3 | (reg >= 8) << 2 | (rm->reg >= 8));
    if (prefix)
        BYTES(g->e, prefix);
    if (rex != 0x40 || byte)
        BYTES(g->e, rex);
    if (opcode > 0xff)
        BYTES(g->e, (uint8_t)(opcode >> 8));
    BYTES(g->e, (uint8_t)opcode);
    if (rm->kind == GIB_REGISTER)
        BYTES(g->e, (uint8_t)(0xc0 | (reg & 7) << 3 | (rm->reg & 7)));
    else
        gib_put_operand(g->e, reg, rm->reg, rm->value);
}

/*  83 /n ib or 81 /n id with a constant; else 8 * n + 3 /r */
void gib_put_alu(struct gib_condition_emitter *g, int alu, bool wide, const struct gib_place *to,
                 const struct gib_place *from)
{
    if (from->kind != GIB_IMMEDIATE) {
        gib_put_instruction(g, 0, wide, false, (unsigned)alu * 8 + 3, to->reg, from);
        return;
    }
    bool near = from->value == (int8_t)from->value;
    gib_put_instruction(g, 0, wide, false, near ? 0x83 : 0x81, alu, to);
    if (near)
        BYTES(g->e, (uint8_t)from->value);
    else
        gib_put32(g->e, (uint32_t)from->value);
}

/*  31 /r (xor) | b8+r id | REX.W c7 /0 id | REX.W b8+r imm64   */
void gib_put_number(struct gib_condition_emitter *g, int reg, uint64_t number, bool wide)
{
    struct gib_place itself = gib_in_register(reg);
    g->changed |= 1u << reg;
    if (!wide)
        number = (uint32_t)number;
    if (!number) {
        gib_put_instruction(g, 0, false, false, 0x31, reg, &itself);
    } else if (number <= UINT32_MAX) {
        BYTES(g->e, (uint8_t)(0xb8 | reg));
        gib_put32(g->e, (uint32_t)number);
    } else if ((int64_t)number == (int32_t)number) {
        gib_put_instruction(g, 0, true, false, 0xc7, 0, &itself);
        gib_put32(g->e, (uint32_t)number);
    } else {
        gib_immediate(g->e, reg, number);
    }
}

void gib_put_constant(struct gib_condition_emitter *g, const void *bytes, size_t size,
                      uint64_t number)
{
    if (g->constants == GIB_CONDITION_CONSTANTS) {
        g->e->failed = true;
        return;
    }
    g->constant[g->constants++] = (struct gib_condition_constant){g->e->at, bytes, size, number};
    gib_put32(g->e, 0);
}

static struct gib_place thunk_place(const struct gib_condition_emitter *g, uint64_t source)
{
    static const int gpr[] = {RDI, RSI, RDX, RCX, R8, R9};
    if (source >= GIB_SOURCE_STACK)
        return (struct gib_place){GIB_STORED, RSP, 8 + 8 * (int32_t)(source - GIB_SOURCE_STACK)};
    int reg = gpr[source];
    if (g->saved & 1u << reg)
        return (struct gib_place){GIB_STORED, RSP, reg == RCX ? -16 : -24};
    return gib_in_register(reg);
}

struct gib_place gib_word_place(struct gib_condition_emitter *g, uint64_t source)
{
    if (g->in_thunk)
        return thunk_place(g, source);
    if (source < GIB_SOURCE_XMM)
        return (struct gib_place){GIB_STORED, RBX, IN_CALL(gpr) + 8 * (int32_t)source};
    if (source < GIB_SOURCE_STACK)
        return (struct gib_place){GIB_STORED, RBX,
                                  IN_CALL(xmm) + 8 * (int32_t)(source - GIB_SOURCE_XMM)};
    g->changed |= 1u << RAX;
    gib_memory(g->e, LOAD, RAX, RBX, IN_CALL(stack));
    return (struct gib_place){GIB_STORED, RAX, 8 * (int32_t)(source - GIB_SOURCE_STACK)};
}

bool gib_operand_is_direct(struct gib_condition_emitter *g, const struct gib_node *node,
                           struct gib_place *out)
{
    const struct gib_node *word = node;
    if (node->is_real || node->size < 4)
        return false;
    if (node->operation == GIB_OP_NUMBER) {
        *out = (struct gib_place){GIB_IMMEDIATE, 0, (int32_t)node->number};
        return node->size == 4 || (int64_t)node->number == (int32_t)node->number;
    }
    if (node->operation == GIB_OP_FIELD) {
        *out = (struct gib_place){GIB_STORED, RBX, (int32_t)node->number};
        return true;
    }
    /* The low half of a word is its first four bytes. */
    if (node->operation == GIB_OP_CONVERT && node->a->operation == GIB_OP_WORD)
        word = node->a;
    if (word->operation != GIB_OP_WORD || (!g->in_thunk && word->number >= GIB_SOURCE_STACK))
        return false;
    *out = gib_word_place(g, word->number);
    return true;
}
