/*
 * stack_use.h: what a function does with its caller's part of the stack, found in its code. Pure.
 *
 * A thunk that calls through puts its own frame between the two. Then stack arguments must be
 * repeated, and a function that looks at its return address, or goes to another stack, must not
 * have such a thunk at all.
 */
#ifndef GIBBON_STACK_USE_H
#define GIBBON_STACK_USE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the CFA, the address behind the return address, is from an instruction on. */
enum gib_cfa_base {
    GIB_CFA_UNKNOWN,
    GIB_CFA_RSP,    /* at rsp + offset */
    GIB_CFA_RBP,    /* at rbp + offset */
    GIB_CFA_FRAMED, /* somewhere that rbp leads to */
};
struct gib_cfa {
    uint32_t start; /* offset of the first instruction it is true for */
    int32_t offset;
    enum gib_cfa_base base;
};

struct gib_stack_use {
    bool known;     /* the whole function was decoded and has unwind rows; else the next two say
                       nothing */
    uint32_t reach; /* bytes above the return address up to the highest place that it names, a
                       multiple of 8 */
    bool escapes; /* it takes the address of something there, uses an index, or jumps to other code:
                     it may go further */
    bool looks_back; /* it reads or writes its own return address */
    bool switches;   /* it leaves its stack: a coroutine switch, longjmp */
};

/* `code`: the function's bytes; `rows` are sorted. Without rows, as most functions in assembler
 * are, the code itself is followed up to its first branch. */
void gib_stack_use_find(const uint8_t *code, size_t size, const struct gib_cfa *rows, size_t count,
                        struct gib_stack_use *out);

#endif
