/* condition.c: what the code of a condition calls: the target's memory, read without a fault. */
#include "agent.h"

uint64_t gib_condition_read(void *view, uint64_t address, void *out, uint64_t size)
{
    return gib_copy_bytes(view, address, out, (uint32_t)size);
}
uint64_t gib_condition_text(void *view, uint64_t operation,
                            const struct gib_text_operand operand[2])
{
    (void)view, (void)operation, (void)operand;
    return GIB_VERDICT_FAILED;
}
