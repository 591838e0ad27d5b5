/* disassemble.h: one instruction as text, for people. Pure. */
#ifndef GIBBON_DISASSEMBLE_H
#define GIBBON_DISASSEMBLE_H

#include <stddef.h>
#include <stdint.h>

/* Writes the instruction at code[0], which is at `address`, in AT&T syntax; returns its length, 0
 * when it is none. */
size_t gib_disassemble(const uint8_t *code, size_t size, uint64_t address, char *out,
                       size_t out_size);

#endif
