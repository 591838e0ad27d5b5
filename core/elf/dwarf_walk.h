/*
 * dwarf_walk.h: steps through debug entries that end, whatever the file says.
 */
#ifndef GIBBON_DWARF_WALK_H
#define GIBBON_DWARF_WALK_H

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>
#include "elf/elf.h"

static inline bool gib_die_first(Dwarf_Die *parent, Dwarf_Die *child)
{
    return dwarf_child(parent, child) == 0;
}

/* A sibling attribute of a broken file may point back. */
static inline bool gib_die_next(Dwarf_Die *die)
{
    Dwarf_Die next;
    if (dwarf_siblingof(die, &next) || next.addr <= die->addr)
        return false;
    *die = next;
    return true;
}

/* The entry that the attribute refers to; false when there is none. */
static inline bool gib_die_reference(Dwarf_Die *die, unsigned name, Dwarf_Die *target)
{
    Dwarf_Attribute attribute;
    return dwarf_attr(die, name, &attribute) && dwarf_formref_die(&attribute, target);
}

static inline bool gib_die_flag(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute attribute;
    bool set = false;
    return dwarf_attr(die, name, &attribute) && !dwarf_formflag(&attribute, &set) && set;
}

static inline bool gib_die_number(Dwarf_Die *die, unsigned name, uint64_t *value)
{
    Dwarf_Attribute attribute;
    Dwarf_Word word;
    if (!dwarf_attr(die, name, &attribute) || dwarf_formudata(&attribute, &word))
        return false;
    *value = word;
    return true;
}

/* The path that an attribute such as DW_AT_decl_file means, by the entry's own unit; NULL when
 * there is none. (dwarf_decl_file of elfutils 0.188 ends the process when the unit has no table of
 * files, and does not know DWARF 5's file 0.) */
const char *gib_die_file(Dwarf_Die *die, unsigned name);
/* The function of the source that the entry is of. An entry without what it completes says least,
 * so the last of a chain counts: *root. */
void gib_die_identify(const Dwarf_Die *die, struct gib_elf_source *out, Dwarf_Die *root);
/* Address of a function's entry. */
bool gib_die_entry(Dwarf_Die *die, uint64_t *entry);
#endif
