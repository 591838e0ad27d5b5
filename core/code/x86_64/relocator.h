/*
 * What the files of the x86-64 relocator share. The work goes through them in this order:
 *
 *   decode.c    bytes -> an instruction, sorted by what its copy needs; refusals in words
 *   window.c    which instructions are displaced, and whether that is safe
 *   body.c      whether the rest of the function leaves them alone
 *   emit.c      the copy's bytes
 *   relocate.c  the order of the above
 *
 * Offsets count from the function's code[0]; addresses are the target's.
 */
#ifndef GIBBON_CODE_X86_64_RELOCATOR_H
#define GIBBON_CODE_X86_64_RELOCATOR_H

#include "gibbon/relocate.h"

#include <Zydis/Zydis.h>

/* One boundary is the end's. */
#define X86_MAX_INSTRUCTIONS                                                                       \
    (sizeof(((struct gib_relocation *)0)->boundary) / sizeof(struct gib_relocation_boundary) - 1)

/* The longest instruction the processor accepts. */
#define X86_MAX_LENGTH 15

/* The largest request: keeps every offset of a boundary within its 16 bits. A copy of more would
 * not fit anyway. */
#define X86_MAX_MIN_BYTES 1024

/* What an instruction needs to mean the same elsewhere. */
enum x86_kind {
    X86_PLAIN,     /* nothing */
    X86_DATA,      /* a RIP-relative operand: a new displacement */
    X86_JUMP,      /* jmp rel8, rel32 */
    X86_CONDITION, /* jcc rel8, rel32 */
    X86_COUNT,     /* loop, loope, loopne, jrcxz: only rel8 exists */
    X86_CALL,      /* call rel32 */
    X86_BEGIN,     /* xbegin rel32: the address of the abort handler */
};

struct x86_instruction {
    size_t offset;
    enum x86_kind kind;
    uint64_t target; /* the address it names, unless it is plain */
    ZydisDecodedInstruction decoded;
};

/* The function being relocated. */
struct x86_function {
    ZydisDecoder decoder;
    const uint8_t *bytes;
    size_t size;
    uint64_t address;
    uint64_t copy_address;
    struct gib_error *error; /* may be NULL */
};

/* The displaced instructions. Only padding, which is never run, may stand between or behind them.
 */
struct x86_window {
    struct x86_instruction instruction[X86_MAX_INSTRUCTIONS];
    size_t count;
    size_t consumed;    /* bytes, padding included */
    bool falls_through; /* control can leave the window at its end */
    bool gaps;          /* padding stands between displaced instructions */
};

/* Offset of an address from code[0]; addresses before it become huge. */
static inline uint64_t gib_x86_offset(const struct x86_function *function, uint64_t address)
{
    return address - function->address;
}

/* decode.c */

/* False when no whole known instruction stands at `offset`. */
bool gib_x86_decode(const struct x86_function *function, size_t offset,
                    struct x86_instruction *instruction);
/* Control never reaches the byte behind it (by itself). */
bool gib_x86_ends_flow(const struct x86_instruction *instruction);
bool gib_x86_is_branch(const struct x86_instruction *instruction);
/* A relative branch that a 66 prefix makes 16 bits wide for one vendor's processors and not for
 * another's: its length and target are not known. */
bool gib_x86_is_ambiguous(const struct x86_instruction *instruction);
/* Length of the filler at `offset` that compilers and linkers put between functions, or 0. */
size_t gib_x86_padding(const struct x86_function *function, size_t offset);
/* Bytes of memory that the instruction's RIP-relative operand covers; 0 when it reads none (lea).
 */
size_t gib_x86_access_size(const struct x86_function *function,
                           const struct x86_instruction *instruction);
/* When the function at `address` is one that returns its return address in a register
 * (__x86.get_pc_thunk.*) and its code is part of the function given, the register's number; else
 * -1. */
int gib_x86_pc_thunk(const struct x86_function *function, uint64_t address);
/* Fills the error: "address: bytes (instruction): reason". Returns `code`. */
int gib_x86_refuse(const struct x86_function *function, size_t offset, int code, const char *reason,
                   ...) __attribute__((format(printf, 4, 5)));

/* window.c: 0 or a GIB_E_ code with the error filled. */

int gib_x86_choose_window(const struct x86_function *function, size_t min_bytes,
                          struct x86_window *window);
/* The index of the displaced instruction at `address`, or -1. */
int gib_x86_displaced_at(const struct x86_function *function, const struct x86_window *window,
                         uint64_t address);
/* The bytes mean the same anywhere, as long as they stay together. */
bool gib_x86_is_movable(const struct x86_function *function, const struct x86_window *window);

/* body.c: 0 or a GIB_E_ code with the error filled. */

/* What is behind the window against the window. *branch_end is set when the only trouble is that
 * the branch found, which ends there, is not displaced as well; else it becomes 0. */
int gib_x86_check_body(const struct x86_function *function, const struct x86_window *window,
                       size_t *branch_end);
/* The operands of one instruction anywhere in the function against the bytes that a patch changes.
 */
int gib_x86_check_data(const struct x86_function *function, const struct x86_window *window,
                       const struct x86_instruction *instruction);

/* emit.c: 0 or a GIB_E_ code with the error filled. */

int gib_x86_emit_copy(const struct x86_function *function, const struct x86_window *window,
                      struct gib_relocation *out);

/* relocate.c: gib_relocate for this instruction set; the arguments have been checked. */

int gib_x86_64_relocate(const struct gib_relocation_request *request, struct gib_relocation *out,
                        struct gib_error *error);

#endif
