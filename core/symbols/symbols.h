/*
 * symbols.h: an ELF file that tells a debugger about code in memory which no file holds: names,
 * call frame information, source lines. Pure: bytes and addresses; nothing of the target is
 * touched.
 *
 * The file is of type ET_DYN, its sections at the addresses of the code. It holds a copy of the
 * code: LLDB disassembles from files.
 */
#ifndef GIBBON_SYMBOLS_H
#define GIBBON_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>
#include "elf/cfi_copy.h"
#include "elf/dwarf_copy.h"

enum { GIB_CALL_SIZE = 5 }; /* e8 rel32 */

struct gib_code_line {
    uint32_t offset;  /* in the code; up to the next one's */
    const char *file; /* path; borrowed for the call */
    unsigned line, column;
};

/* One piece of code; everything is borrowed for the call and copied. */
struct gib_code {
    const char *name;   /* in the debug information; without lines only the symbol is there */
    const char *symbol; /* begins with the name */
    uint64_t address;   /* in the target */
    const uint8_t *bytes;
    size_t size;
    bool passed;                        /* GDB's `step` and `next` go through, and stop behind it */
    const struct gib_buffer *cie, *fde; /* struct gib_cfi; NULL: it has no frame information */
    const struct gib_code_line *lines;  /* sorted by offset */
    size_t line_count;
    bool stepped;          /* LLDB's go through, if there are no lines, and into these calls: */
    const uint32_t *calls; /* offsets, rising, of calls of GIB_CALL_SIZE bytes */
    size_t call_count;
    const struct gib_buffer *parameters, *frame_base; /* of gib_elf_copy_parameters, with what
                                                         gib_symbols_copies gave; NULL: none */
};

struct gib_symbols;

/* NULL when out of memory. */
struct gib_symbols *gib_symbols_new(void);
void gib_symbols_free(struct gib_symbols *symbols);

/* For gib_elf_copy_parameters; belongs to `symbols`. */
struct gib_dwarf_copies *gib_symbols_copies(struct gib_symbols *symbols);

/* Pieces must not overlap; any order. */
void gib_symbols_add(struct gib_symbols *symbols, const struct gib_code *code);

/* Writes the file to an open descriptor; 0, or a GIB_E_ code with *error filled. */
int gib_symbols_write(struct gib_symbols *symbols, int fd, struct gib_error *error);
#endif
