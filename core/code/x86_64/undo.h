/*
 * undo.h: the first instructions of a function that may stay where they are, before a detour: their
 * effects can be taken back, so that a thunk behind them sees the function's entry.
 */
#ifndef GIBBON_UNDO_H
#define GIBBON_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GIB_KEPT_MAX = 16, GIB_UNDO_MAX = 64 };

struct gib_undo {
    uint8_t code[GIB_UNDO_MAX];
    uint8_t size;
    /* For unwinders: before the byte at `at` the caller's frame is at rsp + depth, and its rbp at
     * that minus rbp_at; 0: in the register. The first is that of the kept instructions' end. */
    struct {
        uint8_t at;
        uint8_t rbp_at;
        uint32_t depth;
    } step[GIB_KEPT_MAX + 1];
    uint8_t steps;
};

/*
 * What takes back the `size` bytes of instructions at `code`: pushes, room on the stack, a frame
 * pointer. False: something else is there, or the last one does not end there. No register but the
 * stack pointers and no memory of the caller's may be changed; the flags at a function's entry mean
 * nothing.
 */
bool gib_undo_make(const uint8_t *code, size_t size, struct gib_undo *undo);
#endif
