/*
 * condition_emit.h: what the files that make a condition's code share.
 *
 * Code is made for an accumulator, rax or xmm0: the value of a node is left there. The other
 * operand of an instruction is a constant, or is where the call has it, or was put into a slot of
 * the stack before. So nothing lives in registers across a call of the agent's functions, and code
 * in a thunk can do with one register.
 *
 * A value narrower than four bytes is in eax, extended by its sign; of one of four bytes the upper
 * half of rax means nothing.
 */
#ifndef GIBBON_CONDITION_EMIT_H
#define GIBBON_CONDITION_EMIT_H

#include "code/x86_64/assembler.h"
#include "condition/typed.h"

enum { GIB_CONDITION_CONSTANTS = 512 };

struct gib_condition_emitter {
    struct emitter *e;
    bool in_thunk; /* operands are in the registers of the call; else in struct gib_condition_call,
                      to which rbx points */
    unsigned slots, most_slots; /* of eight bytes, in use */
    bool uses_real;             /* xmm0 and mxcsr change */
    unsigned changed;           /* bits of RAX, RCX, RDX: registers that are written */
    unsigned saved;             /* in_thunk: those whose values at the entry are in the red zone */
    struct label fail;
    struct gib_condition_constant {
        size_t field; /* rel32 */
        const void *bytes;
        size_t size;
        uint64_t number;                 /* the bytes, when that is NULL */
    } constant[GIB_CONDITION_CONSTANTS]; /* behind the code */
    size_t constants;
};

/* An operand of an instruction. */
struct gib_place {
    enum { GIB_IMMEDIATE, GIB_REGISTER, GIB_STORED } kind;
    int reg;       /* REGISTER; STORED: the base */
    int32_t value; /* IMMEDIATE; STORED: the displacement */
};

static inline struct gib_place gib_in_register(int reg)
{
    return (struct gib_place){GIB_REGISTER, reg, 0};
}

/* condition_operand.c */
/* The first of `count` slots, which follow each other in memory. Given back by setting g->slots
 * to what it was. */
struct gib_place gib_slots_take(struct gib_condition_emitter *g, unsigned count);
/* prefix (0: none), REX, opcode (two bytes with 0f in front), ModRM. `byte`: an operand of one byte
 * in a register. */
void gib_put_instruction(struct gib_condition_emitter *g, uint8_t prefix, bool wide, bool byte,
                         unsigned opcode, int reg, const struct gib_place *rm);
/* add, or, and, sub, xor, cmp: Intel's numbers. */
enum {
    GIB_ALU_ADD = 0,
    GIB_ALU_OR = 1,
    GIB_ALU_AND = 4,
    GIB_ALU_SUB = 5,
    GIB_ALU_XOR = 6,
    GIB_ALU_CMP = 7
};
void gib_put_alu(struct gib_condition_emitter *g, int alu, bool wide, const struct gib_place *to,
                 const struct gib_place *from);
void gib_put_number(struct gib_condition_emitter *g, int reg, uint64_t number, bool wide);
/* rel32 to a constant that will be put behind the code. */
void gib_put_constant(struct gib_condition_emitter *g, const void *bytes, size_t size,
                      uint64_t number);
/* Whether the node's value needs no code: then it is at *out, for an instruction of node->size. */
bool gib_operand_is_direct(struct gib_condition_emitter *g, const struct gib_node *node,
                           struct gib_place *out);
/* Where the word of a call is; puts code for those that are behind a pointer, which is then in
 * rax. */
struct gib_place gib_word_place(struct gib_condition_emitter *g, uint64_t source);

/* condition_integer.c: rax = value */
void gib_emit_integer(struct gib_condition_emitter *g, const struct gib_node *node);
/* Flags of a comparison; returns the condition code (SDM, appendix B.1) with which it is true. */
int gib_emit_compare(struct gib_condition_emitter *g, const struct gib_node *node);
/* `a & b` of which only whether it is 0 is wanted: ZF. */
void gib_emit_test(struct gib_condition_emitter *g, const struct gib_node *node);

/* condition_real.c: xmm0 = value */
void gib_emit_real(struct gib_condition_emitter *g, const struct gib_node *node);
void gib_emit_integer_of_real(struct gib_condition_emitter *g, const struct gib_node *node);
/* Jumps when the comparison is `when`. */
void gib_jump_real(struct gib_condition_emitter *g, const struct gib_node *node,
                   struct label *label, bool when);
/* Jumps when `node`, a floating number, is not 0, or is 0. */
void gib_jump_real_truth(struct gib_condition_emitter *g, const struct gib_node *node,
                         struct label *label, bool when);

/* condition_jump.c */
/* Jumps when whether the node is true is `when`; else goes on behind. */
void gib_jump_when(struct gib_condition_emitter *g, const struct gib_node *node,
                   struct label *label, bool when);
/* eax = 0 or 1 */
void gib_emit_truth(struct gib_condition_emitter *g, const struct gib_node *node);
/* Either of two values, in the accumulator. */
void gib_emit_choice(struct gib_condition_emitter *g, const struct gib_node *node);

/* condition_memory.c: calls of the agent's functions */
/* Reads what a LOAD reads; the slot that has it then. */
struct gib_place gib_emit_load(struct gib_condition_emitter *g, const struct gib_node *node);
/* eax = 0 or 1 */
void gib_emit_text(struct gib_condition_emitter *g, const struct gib_node *node);

#endif
