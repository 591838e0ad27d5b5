/*
 * convention.h: where the System V x86-64 calling convention puts a function's arguments and
 * result. Pure.
 */
#ifndef GIBBON_CONVENTION_H
#define GIBBON_CONVENTION_H

#include "agent/layout.h"
#include "prototypes/prototype.h"

#define GIB_MAX_PARAMETERS 24
#define GIB_RECORD_WORDS   8 /* of a structure in memory, at most; a larger one is not kept */

struct gib_convention {
    uint8_t source[GIB_MAX_WORDS]; /* enum gib_source of each recorded word */
    uint8_t words;
    struct {
        uint8_t first,
            count;      /* words of one parameter; count 0: not recorded (in memory, or too many) */
        uint16_t stack; /* the eightbyte of the stack arguments at which it begins, from 1; 0: it is
                           in registers, or nobody can be sure */
    } parameter[GIB_MAX_PARAMETERS];
    uint8_t parameters;  /* how many of the prototype's parameters are described above */
    uint32_t stack_copy; /* bytes of stack arguments, a multiple of 8; from GIB_COPY_UNKNOWN on, as
                            many of them as can be read */
    bool reads_xmm;
    bool elsewhere; /* some arguments are not where the prototype and the convention put them */
    uint8_t result; /* enum gib_result_source */
    uint8_t named_gpr, named_xmm,
        named_stack; /* places taken by named parameters, stack in eightbytes */
};

/* `prototype` NULL: nothing is known; four integer registers are recorded. */
void gib_convention_make(const struct gib_prototype *prototype, struct gib_convention *out);

/* Whether xmm0 is part of the result. */
static inline bool gib_result_in_xmm(uint8_t result)
{
    return result == GIB_RESULT_XMM0 || result == GIB_RESULT_XMM0_XMM1 ||
           result == GIB_RESULT_RAX_XMM0 || result == GIB_RESULT_XMM0_RAX;
}

struct gib_stack_use;
/* Takes into account what the function's code does. `has_prototype`: `c` was made from one that
 * tells its parameters. */
void gib_convention_adjust(struct gib_convention *c, const struct gib_stack_use *use,
                           bool has_prototype);

#endif
