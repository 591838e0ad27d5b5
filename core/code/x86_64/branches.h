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
        4, /* part of a nop or int3 padding that follows an instruction which ends the flow */
    GIB_BYTE_DATA = 8, /* no instruction is here: what follows may have been read out of step */
};
/* Length of the filler at the start of `code` that compilers put between functions, 0: it is none.
 * The nops that XRay will write over are none. */
size_t gib_padding_length(const uint8_t *code, size_t size);
/* `starts`: sorted addresses where functions begin. Bytes before the first one get no marks. */
void gib_bytes_mark(const uint8_t *code, size_t size, uint64_t address, const uint64_t *starts,
                    size_t start_count, uint8_t *marks);

/* Addresses that a function forms relative to itself (lea) and could go by: up to `max` of them.
 * None when it has no computed jump. */
size_t gib_find_tables(const uint8_t *code, size_t size, uint64_t address, uint64_t *tables,
                       size_t max);

#endif
