/*
 * dwarf_forms.h: steps over attributes by their form.
 *
 * libdw reads one entry at a time and skips its children to find the next one, which takes seconds
 * for all entries of a large file. Who wants them all goes through the bytes in order.
 */
#ifndef GIBBON_DWARF_FORMS_H
#define GIBBON_DWARF_FORMS_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

/* The bytes of a unit's entries, and the sizes that its forms depend on. */
struct gib_unit_bytes {
    Dwarf *dwarf;
    Dwarf_Die die;       /* its first entry */
    const uint8_t *base; /* what references inside the unit are relative to: its header */
    const uint8_t *info; /* what DW_FORM_ref_addr is relative to */
    const uint8_t *start, *end;
    uint16_t version;
    uint8_t address_size, offset_size;
};

/* The unit whose header is at `offset`, with its first entry at `offset` + header_size, up to
 * `next`. False when its bytes are not all there. */
bool gib_unit_bytes(Dwarf *dwarf, Dwarf_Off offset, size_t header_size, Dwarf_Off next,
                    struct gib_unit_bytes *out);
/* The same of the unit of a .dwo file whose first entry this is. */
bool gib_unit_of(Dwarf_Die *die, struct gib_unit_bytes *out);

/* Moves *at over a LEB128 number; false, and *value 0, when it ends behind `end`. */
bool gib_read_leb(const uint8_t **at, const uint8_t *end, uint64_t *value);

/* Where the value of this form at `at` ends; NULL when it is unknown or too long. */
const uint8_t *gib_form_end(const struct gib_unit_bytes *unit, unsigned form, const uint8_t *at);

/* The entry that a value of a reference form inside the file means; NULL when the form is another.
 */
const uint8_t *gib_form_reference(const struct gib_unit_bytes *unit, unsigned form,
                                  const uint8_t *at);
#endif
