/*
 * branches.h: who jumps where in a piece of text, so that bytes can be replaced that nobody else
 * jumps into. Pure.
 */
#ifndef GIBBON_BRANCHES_H
#define GIBBON_BRANCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A possible branch with a 32-bit displacement: found by its opcode at any byte, so some are no
 * instruction. */
struct gib_branch {
    uint64_t target, source;
};

/* Every byte sequence of `code` that could be call, jmp or jcc rel32 with a target inside [low,
 * high). malloc'ed, sorted by target; *count of them. NULL when there are none or memory is short.
 */
struct gib_branch *gib_branches_find(const uint8_t *code, size_t size, uint64_t address,
                                     uint64_t low, uint64_t high, size_t *count);

/* What is known of each byte of a stretch of text after decoding it from function starts on. */
enum gib_byte_mark {
    GIB_BYTE_START = 1, /* an instruction begins here */
    GIB_BYTE_TARGET =
        2, /* a short or near branch inside the stretch leads here, or a function begins here */
    GIB_BYTE_PADDING =
        4, /* part of a nop, int3 or zero padding that follows an instruction which ends the flow */
    GIB_BYTE_FOREIGN = 8, /* with TARGET: from outside [own_start, own_end) */
};
/* `starts`: sorted addresses where functions begin. Bytes before the first one get no marks. */
void gib_bytes_mark(const uint8_t *code, size_t size, uint64_t address, const uint64_t *starts,
                    size_t start_count, uint64_t own_start, uint64_t own_end, uint8_t *marks);

#endif
