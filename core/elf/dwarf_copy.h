/*
 * dwarf_copy.h: the parameters of a function, with their types and places, copied into other debug
 * information (DWARF 4).
 */
#ifndef GIBBON_DWARF_COPY_H
#define GIBBON_DWARF_COPY_H

#include "elf/buffer.h"
#include "elf/elf.h"

/* Codes of the abbreviations that the copies use; those below are the caller's. */
enum { GIB_ABBREVIATION_FIRST = 16 };

/* What several functions share. All zeros at first. */
struct gib_copied_type; /* a type of the debug information, and its copy */
struct gib_dwarf_copies {
    struct gib_buffer types;       /* entries, children of the unit */
    struct gib_copied_type *known; /* a hash table, `room` slots, a power of two */
    size_t known_count, known_room;
    struct gib_buffer locations; /* .debug_loc */
    uint32_t types_at;           /* where `types` will begin, from the start of the unit */
};
void gib_dwarf_copies_free(struct gib_dwarf_copies *copies);
/* Appends the declarations of the abbreviations. */
void gib_dwarf_copies_abbreviations(struct gib_buffer *abbrev);

/*
 * Appends the parameters of the function whose entry is `entry` to `out`, as entries, and its frame
 * base, a DWARF expression, to `frame_base`. `map` has the offsets of instructions from `vaddr` on
 * and of their copies, whose first is at `address`: a parameter is where it is before the original
 * instruction. False when there is nothing to say; nothing was appended then.
 */
bool gib_elf_copy_parameters(struct gib_elf *elf, uint64_t entry, uint64_t vaddr,
                             const struct gib_relocation_boundary *map, size_t count,
                             uint64_t address, uint64_t size, struct gib_dwarf_copies *copies,
                             struct gib_buffer *out, struct gib_buffer *frame_base);
#endif
