/*
 * dwarf_forms.c: sizes of attributes; DWARF 5, 7.5.6, and GNU's forms of DWARF 4.
 */
#include "elf/dwarf_forms.h"

#include <dwarf.h>
#include <string.h>
#include "elf/file.h"

static bool fill(struct gib_unit_bytes *unit, Dwarf_Off offset, size_t header_size, Dwarf_Off next)
{
    Dwarf_Die last;
    Dwarf_Off at = offset + header_size;
    /* A damaged header may promise more than there is: libdw finds no entry behind the section. */
    if (next <= at || !dwarf_offdie(unit->dwarf, next - 1, &last))
        return false;
    unit->start = unit->die.addr;
    unit->base = unit->start - header_size;
    unit->info = unit->start - at;
    unit->end = (const uint8_t *)last.addr + 1;
    Dwarf_Half version;
    if (dwarf_cu_info(unit->die.cu, &version, NULL, NULL, NULL, NULL, &unit->address_size,
                      &unit->offset_size))
        return false;
    unit->version = version;
    return unit->end > unit->start && (size_t)(unit->end - unit->start) == next - at;
}

bool gib_unit_bytes(Dwarf *dwarf, Dwarf_Off offset, size_t header_size, Dwarf_Off next,
                    struct gib_unit_bytes *out)
{
    *out = (struct gib_unit_bytes){.dwarf = dwarf};
    return dwarf_offdie(dwarf, offset + header_size, &out->die) &&
           fill(out, offset, header_size, next);
}

bool gib_unit_of(Dwarf_Die *die, struct gib_unit_bytes *out)
{
    *out = (struct gib_unit_bytes){.dwarf = dwarf_cu_getdwarf(die->cu), .die = *die};
    Dwarf_Off at = dwarf_dieoffset(die) - dwarf_cuoffset(die), next;
    size_t header_size;
    return out->dwarf && !dwarf_nextcu(out->dwarf, at, &next, &header_size, NULL, NULL, NULL) &&
           dwarf_cuoffset(die) == header_size && fill(out, at, header_size, next);
}

bool gib_read_leb(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        if (shift < 64)
            *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    *value = 0;
    return false;
}

static const uint8_t *behind(const struct gib_unit_bytes *unit, const uint8_t *at, uint64_t size)
{
    return size <= (uint64_t)(unit->end - at) ? at + size : NULL;
}

/* A block whose length is a number of `size` bytes before it. */
static const uint8_t *block(const struct gib_unit_bytes *unit, const uint8_t *at, size_t size)
{
    return behind(unit, at, size) ? behind(unit, at + size, gib_load(at, size)) : NULL;
}

const uint8_t *gib_form_end(const struct gib_unit_bytes *unit, unsigned form, const uint8_t *at)
{
    uint64_t value;
    switch (form) {
    case DW_FORM_flag_present:
    case DW_FORM_implicit_const:
        return at;
    case DW_FORM_data1:
    case DW_FORM_ref1:
    case DW_FORM_flag:
    case DW_FORM_strx1:
    case DW_FORM_addrx1:
        return behind(unit, at, 1);
    case DW_FORM_data2:
    case DW_FORM_ref2:
    case DW_FORM_strx2:
    case DW_FORM_addrx2:
        return behind(unit, at, 2);
    case DW_FORM_strx3:
    case DW_FORM_addrx3:
        return behind(unit, at, 3);
    case DW_FORM_data4:
    case DW_FORM_ref4:
    case DW_FORM_strx4:
    case DW_FORM_addrx4:
    case DW_FORM_ref_sup4:
        return behind(unit, at, 4);
    case DW_FORM_data8:
    case DW_FORM_ref8:
    case DW_FORM_ref_sig8:
    case DW_FORM_ref_sup8:
        return behind(unit, at, 8);
    case DW_FORM_data16:
        return behind(unit, at, 16);
    case DW_FORM_addr:
        return behind(unit, at, unit->address_size);
    case DW_FORM_ref_addr:
        return behind(unit, at, unit->version <= 2 ? unit->address_size : unit->offset_size);
    case DW_FORM_sec_offset:
    case DW_FORM_strp:
    case DW_FORM_line_strp:
    case DW_FORM_strp_sup:
    case DW_FORM_GNU_strp_alt:
    case DW_FORM_GNU_ref_alt:
        return behind(unit, at, unit->offset_size);
    case DW_FORM_sdata:
    case DW_FORM_udata:
    case DW_FORM_ref_udata:
    case DW_FORM_strx:
    case DW_FORM_addrx:
    case DW_FORM_loclistx:
    case DW_FORM_rnglistx:
    case DW_FORM_GNU_str_index:
    case DW_FORM_GNU_addr_index:
        return gib_read_leb(&at, unit->end, &value) ? at : NULL;
    case DW_FORM_string:
        at = memchr(at, 0, unit->end - at);
        return at ? at + 1 : NULL;
    case DW_FORM_block1:
        return block(unit, at, 1);
    case DW_FORM_block2:
        return block(unit, at, 2);
    case DW_FORM_block4:
        return block(unit, at, 4);
    case DW_FORM_block:
    case DW_FORM_exprloc:
        return gib_read_leb(&at, unit->end, &value) ? behind(unit, at, value) : NULL;
    case DW_FORM_indirect:
        return gib_read_leb(&at, unit->end, &value) && value != DW_FORM_indirect &&
                       value != DW_FORM_implicit_const
                   ? gib_form_end(unit, (unsigned)value, at)
                   : NULL;
    default:
        return NULL;
    }
}

const uint8_t *gib_form_reference(const struct gib_unit_bytes *unit, unsigned form,
                                  const uint8_t *at)
{
    uint64_t value;
    const uint8_t *end = gib_form_end(unit, form, at), *base = unit->base;
    switch (form) {
    case DW_FORM_ref1:
    case DW_FORM_ref2:
    case DW_FORM_ref4:
    case DW_FORM_ref8:
        break;
    case DW_FORM_ref_addr:
        base = unit->info;
        break;
    case DW_FORM_ref_udata:
        return end && gib_read_leb(&at, unit->end, &value) &&
                       value < (uint64_t)(unit->end - unit->base)
                   ? base + value
                   : NULL;
    default:
        return NULL;
    }
    if (!end)
        return NULL;
    value = gib_load(at, (size_t)(end - at));
    /* Only compared, never read; libdw checks it when the entry is asked for. */
    return (const uint8_t *)((uintptr_t)base + value);
}
