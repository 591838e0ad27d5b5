/*
 * cfi_copy.h: the unwind program of a function, rewritten for code that was moved.
 */
#ifndef GIBBON_CFI_COPY_H
#define GIBBON_CFI_COPY_H

#include "elf/buffer.h"
#include "elf/elf.h"

/* Call frame information in pieces, ready for a .debug_frame section. */
struct gib_cfi {
    struct gib_buffer cie; /* from the code alignment factor, which is 1, to the initial
                              instructions */
    struct gib_buffer fde; /* the instructions */
};
void gib_cfi_free(struct gib_cfi *cfi);

/*
 * The program for the copy of the code at [vaddr, vaddr + map[count - 1].original): every row where
 * `map` has the copy of its instruction. `code` is the copy, map[count - 1].copy bytes and more:
 * where a call became a push and a jump, a row stands between the two.
 *
 * With count 0 the function that begins at vaddr is described as it is; `code` is not needed.
 *
 * False when the file says nothing of it, or nothing that can be followed; *out is empty then. The
 * caller frees *out.
 */
bool gib_elf_cfi_copy(struct gib_elf *elf, uint64_t vaddr,
                      const struct gib_relocation_boundary *map, size_t count, const uint8_t *code,
                      struct gib_cfi *out);
#endif
