/*
 * dwarf_types.h: from a type's debug entry to struct gib_type, for the files of core/elf only.
 */
#ifndef GIBBON_DWARF_TYPES_H
#define GIBBON_DWARF_TYPES_H

#include "elf/debug_types.h"
#include "elf/dwarf_walk.h"
#include "prototypes/prototype.h"

/* Entries a single type may make us visit. Only broken files come near. */
enum { gib_type_budget = 20000, gib_type_depth = 64 };

/* The type that `die` has; false for void (and for what cannot be read). */
bool gib_type_of(Dwarf_Die *die, Dwarf_Die *type);
/* Replaces *type by what it is behind typedefs and qualifiers; false when that is void. */
bool gib_type_strip(Dwarf_Die *type);
/* Fills *out; type NULL means void. The names in *out are malloc'ed. */
void gib_type_fill(struct gib_type *out, Dwarf_Die *type, bool cxx);
/* The type as written in C, malloc'ed; type NULL means void. */
char *gib_type_spell(Dwarf_Die *type, bool cxx);

/* dwarf_shapes.c */
struct gib_debug_type gib_debug_type_of(Dwarf_Die *die);

/* dwarf_members.c */
/* Fills members and member_count of a record, if they can be told. */
void gib_type_members(struct gib_type *out, Dwarf_Die *type, bool cxx);

/* dwarf_classes.c */
/* The size of a type (not only of records) and its alignment; false when not known. */
bool gib_type_layout(Dwarf_Die *type, uint64_t *size, uint64_t *align, int *budget);
/* Fills size, align, eightbyte, known_layout and indirect of *out. */
void gib_type_classify(struct gib_type *out, Dwarf_Die *type, bool cxx);
#endif
