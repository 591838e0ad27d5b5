/*
 * carry.c: who steps out of a patched function ends in its caller.
 *
 * `finish`, and what is like it, waits where the function returns to: in its thunk, behind the call
 * of the original. All that is left there is the record's end. So before the user sees such a stop
 * the thread is let through, alone, until it is in the caller, where the function seems to return
 * to. Who goes on by single instructions sees the thunk: a stop behind a return instruction that
 * was stood on before is left alone.
 */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

static uint64_t reg(struct gib_engine *engine, const char *name)
{
    uint64_t value;
    return engine->ops.get_register(engine->context, name, &value) ? 0 : value;
}

/* The instruction at pc returns to where rsp points. */
static bool at_return(struct gib_engine *engine, uint64_t pc)
{
    uint8_t code[2];
    struct gib_error ignored;
    if (gib_read(engine, pc, code, sizeof code, &ignored))
        return false;
    bool prefixed = code[0] == 0xf3 || code[0] == 0xf2; /* rep ret, bnd ret */
    uint8_t opcode = code[prefixed ? 1 : 0];
    return opcode == 0xc3 || opcode == 0xc2;
}

static bool calls(const struct gib_layer *layer, uint64_t pc, uint64_t target)
{
    return pc > layer->thunk && pc - layer->thunk < layer->thunk_size &&
           (target == layer->next || (layer->callee && target == layer->callee));
}

/* pc is where what lies below returns to, in a thunk that made a frame. */
static bool behind_call(struct gib_engine *engine, uint64_t pc)
{
    enum { CALL = 5 };
    struct gib_process *process = engine->process;
    uint8_t code[CALL];
    int32_t distance;
    struct gib_error ignored;
    if (pc < process->shared->arena_low || pc >= process->shared->arena_high ||
        gib_read(engine, pc - CALL, code, sizeof code, &ignored) || code[0] != 0xe8)
        return false;
    memcpy(&distance, code + 1, sizeof distance);
    for (uint32_t i = 0; i < process->site_count; i++)
        for (size_t k = 0; k < process->site[i]->layers && !process->site[i]->internal; k++)
            if (calls(process->site[i]->layer[k], pc, pc + (uint64_t)(int64_t)distance))
                return true;
    return false;
}

static bool is_users(struct gib_engine *engine, uint64_t address)
{
    struct gib_target_breakpoint *breakpoint;
    size_t count;
    bool found = false;
    if (gib_target_breakpoints(engine, 0, &breakpoint, &count, NULL))
        return true;
    for (size_t i = 0; i < count; i++)
        found |= breakpoint[i].address == address;
    free(breakpoint);
    return found;
}

void gib_carry_out(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    struct gib_error ignored;
    uint64_t frame[2], pc;
    if (!process || !process->installed || engine->busy ||
        engine->ops.state(engine->context) != GIB_TARGET_STOPPED)
        return;
    pc = reg(engine, "rip");
    /* A function with several layers returns from each into the one above. */
    for (size_t i = 0; i < GIB_MAX_LAYERS && !engine->stood_on_return && behind_call(engine, pc);
         i++) {
        uint64_t rbp = reg(engine, "rbp");
        if (is_users(engine, pc) || gib_read(engine, rbp, frame, sizeof frame, &ignored) ||
            gib_target_run_to(engine, frame[1], rbp + 16))
            break;
        pc = reg(engine, "rip");
    }
    engine->stood_on_return = at_return(engine, pc);
}
