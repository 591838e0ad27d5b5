/* condition_run.h: the code of conditions, run in the test's own process. */
#ifndef CONDITION_RUN_H
#define CONDITION_RUN_H

#include <stdint.h>
#include "code/x86_64/condition.h"

/* Registers and stack at a function's entry: words as convention.h numbers them. */
struct condition_words {
    uint64_t gpr[6], xmm[8], stack[16];
};

/* Runs gib_condition_code's function on this call: its reads go through the kernel, its texts
 * through the agent's own function. Fails the test when vector registers, mxcsr or callee-saved
 * registers change. `call` has all but the functions. */
enum gib_verdict condition_run(const struct gib_condition *condition,
                               const struct gib_condition_call *call);
/* Runs gib_condition_inline's instructions. Fails the test when a register changes. */
bool condition_run_inline(const struct gib_condition *condition,
                          const struct condition_words *words);

#endif
