/*
 * condition.h: the machine code of a condition. Pure.
 */
#ifndef GIBBON_CODE_CONDITION_H
#define GIBBON_CODE_CONDITION_H

#include "code/x86_64/assembler.h"
#include "condition/condition.h"

#define GIB_CONDITION_MAX        8192 /* bytes of code and constants */
#define GIB_CONDITION_INLINE_MAX 512  /* bytes of gib_condition_inline */

/* A function for the agent: uint32_t code(struct gib_condition_call *), enum gib_verdict. It runs
 * at any address and changes only the general registers that a call may change. 0, or GIB_E_SPACE.
 */
int gib_condition_code(const struct gib_condition *condition, uint8_t code[GIB_CONDITION_MAX],
                       size_t *size, struct gib_error *error);

/* Whether the condition can be decided in a thunk before it has made a frame: integer arithmetic of
 * arguments in general registers or on the stack, and of constants. */
bool gib_condition_is_plain(const struct gib_condition *condition);
/* Emits such a condition. When it runs all registers are as at the function's entry. True: falls
 * through; false: jumps to `otherwise`; in both cases with all registers unchanged, flags excepted.
 * Uses the red zone only, but for its lowest word. */
void gib_condition_inline(struct emitter *e, const struct gib_condition *condition,
                          uint64_t otherwise);

#endif
