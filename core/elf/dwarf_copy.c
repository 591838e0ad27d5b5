/*
 * dwarf_copy.c: copies what a debugger needs to show the arguments of a call.
 *
 * Types are reduced to what shows a value: base types, pointers, typedefs, const; structs are only
 * declared, a debugger finds them by name in the original's own debug information.
 */
#include "elf/dwarf_copy.h"

#include <dwarf.h>
#include "elf/dwarf_walk.h"
#include "elf/file.h"

enum { DEEPEST = 16, MOST_OPERATIONS = 12 };

enum abbreviation {
    BASE = GIB_ABBREVIATION_FIRST,
    POINTER,
    POINTER_TO_VOID,
    REFERENCE,
    CONST,
    CONST_VOID,
    TYPEDEF,
    STRUCT,
    UNION,
    CLASS,
    PARAMETER,
};

struct gib_copied_type {
    const void *address; /* of the entry in memory: libdw's identity of it */
    uint32_t at;         /* from the start of the unit; 0: it has no copy */
};

void gib_dwarf_copies_free(struct gib_dwarf_copies *copies)
{
    gib_buffer_free(&copies->types);
    free(copies->known);
    copies->known = NULL;
    copies->known_count = copies->known_room = 0;
    gib_buffer_free(&copies->locations);
}

static void put_abbreviation(struct gib_buffer *abbrev, unsigned code, unsigned tag,
                             const unsigned (*attributes)[2])
{
    gib_put_uleb(abbrev, code);
    gib_put_uleb(abbrev, tag);
    gib_put_fixed(abbrev, DW_CHILDREN_no, 1);
    for (;; attributes++) {
        gib_put_uleb(abbrev, (*attributes)[0]);
        gib_put_uleb(abbrev, (*attributes)[1]);
        if (!(*attributes)[0])
            return;
    }
}

void gib_dwarf_copies_abbreviations(struct gib_buffer *abbrev)
{
    static const unsigned none[][2] = {{0, 0}}, type[][2] = {{DW_AT_type, DW_FORM_ref4}, {0, 0}},
                          base[][2] = {{DW_AT_name, DW_FORM_string},
                                       {DW_AT_encoding, DW_FORM_data1},
                                       {DW_AT_byte_size, DW_FORM_udata},
                                       {0, 0}},
                          name[][2] = {{DW_AT_name, DW_FORM_string},
                                       {DW_AT_type, DW_FORM_ref4},
                                       {0, 0}},
                          declared[][2] = {{DW_AT_name, DW_FORM_string},
                                           {DW_AT_declaration, DW_FORM_flag_present},
                                           {0, 0}},
                          parameter[][2] = {{DW_AT_name, DW_FORM_string},
                                            {DW_AT_type, DW_FORM_ref4},
                                            {DW_AT_location, DW_FORM_sec_offset},
                                            {0, 0}};
    put_abbreviation(abbrev, BASE, DW_TAG_base_type, base);
    put_abbreviation(abbrev, POINTER, DW_TAG_pointer_type, type);
    put_abbreviation(abbrev, POINTER_TO_VOID, DW_TAG_pointer_type, none);
    put_abbreviation(abbrev, REFERENCE, DW_TAG_reference_type, type);
    put_abbreviation(abbrev, CONST, DW_TAG_const_type, type);
    put_abbreviation(abbrev, CONST_VOID, DW_TAG_const_type, none);
    put_abbreviation(abbrev, TYPEDEF, DW_TAG_typedef, name);
    put_abbreviation(abbrev, STRUCT, DW_TAG_structure_type, declared);
    put_abbreviation(abbrev, UNION, DW_TAG_union_type, declared);
    put_abbreviation(abbrev, CLASS, DW_TAG_class_type, declared);
    put_abbreviation(abbrev, PARAMETER, DW_TAG_formal_parameter, parameter);
}

/* ---- types ---- */

static bool type_of(Dwarf_Die *die, Dwarf_Die *type)
{
    Dwarf_Attribute attribute;
    return dwarf_attr_integrate(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, type);
}

static uint32_t begin_type(struct gib_dwarf_copies *copies, unsigned abbreviation)
{
    uint32_t at = copies->types_at + (uint32_t)copies->types.size;
    gib_put_uleb(&copies->types, abbreviation);
    return at;
}

static uint32_t put_base(struct gib_dwarf_copies *copies, const char *name, unsigned encoding,
                         unsigned size)
{
    uint32_t at = begin_type(copies, BASE);
    gib_put_text(&copies->types, name);
    gib_put_fixed(&copies->types, encoding, 1);
    gib_put_uleb(&copies->types, size);
    return at;
}

static uint32_t copy_type(struct gib_dwarf_copies *copies, Dwarf_Die *type, unsigned depth);

/* A type that is made of another one; `plain` is for void, 0: there is no such type. */
static uint32_t put_derived(struct gib_dwarf_copies *copies, Dwarf_Die *type, unsigned of,
                            unsigned plain, const char *name, unsigned depth)
{
    Dwarf_Die inner;
    bool has_type = type_of(type, &inner);
    uint32_t to = has_type ? copy_type(copies, &inner, depth + 1) : 0;
    if (!to && (!plain || (has_type && plain != POINTER_TO_VOID)))
        return 0;
    uint32_t at = begin_type(copies, to ? of : plain);
    if (name)
        gib_put_text(&copies->types, name);
    if (to)
        gib_put_fixed(&copies->types, to, 4);
    return at;
}

static uint32_t make_type(struct gib_dwarf_copies *copies, Dwarf_Die *type, unsigned depth)
{
    const char *name = dwarf_diename(type);
    Dwarf_Attribute attribute;
    Dwarf_Word encoding = DW_ATE_unsigned;
    Dwarf_Die inner;
    uint32_t at;
    int size = dwarf_bytesize(type);
    switch (dwarf_tag(type)) {
    case DW_TAG_base_type:
        if (!name || size <= 0 ||
            dwarf_formudata(dwarf_attr(type, DW_AT_encoding, &attribute), &encoding))
            return 0;
        return put_base(copies, name, (unsigned)encoding, (unsigned)size);
    case DW_TAG_enumeration_type: /* as a number */
        return size > 0 ? put_base(copies, name ? name : "enum", DW_ATE_signed, (unsigned)size) : 0;
    case DW_TAG_pointer_type:
        return put_derived(copies, type, POINTER, POINTER_TO_VOID, NULL, depth);
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        return put_derived(copies, type, REFERENCE, 0, NULL, depth);
    case DW_TAG_const_type:
        return put_derived(copies, type, CONST, CONST_VOID, NULL, depth);
    case DW_TAG_typedef:
        return name ? put_derived(copies, type, TYPEDEF, 0, name, depth) : 0;
    case DW_TAG_volatile_type:
    case DW_TAG_restrict_type:
    case DW_TAG_atomic_type:
        return type_of(type, &inner) ? copy_type(copies, &inner, depth + 1) : 0;
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_class_type:
        if (!name)
            return 0;
        at = begin_type(copies, dwarf_tag(type) == DW_TAG_structure_type ? STRUCT
                                : dwarf_tag(type) == DW_TAG_union_type   ? UNION
                                                                         : CLASS);
        gib_put_text(&copies->types, name);
        return at;
    default:
        return 0;
    }
}

/* Where the type is in the table, or would be. */
static struct gib_copied_type *slot_of(const struct gib_copied_type *known, size_t room,
                                       const void *address)
{
    size_t slot = (size_t)((uintptr_t)address * 0x9e3779b97f4a7c15ULL >> 32) & (room - 1);
    while (known[slot].address && known[slot].address != address)
        slot = (slot + 1) & (room - 1);
    return (struct gib_copied_type *)&known[slot];
}

/* Room for one more, in a table that is at most half full. */
static bool make_room(struct gib_dwarf_copies *copies)
{
    size_t room = copies->known_room ? 2 * copies->known_room : 256;
    if (2 * (copies->known_count + 1) <= copies->known_room)
        return true;
    struct gib_copied_type *larger = calloc(room, sizeof *larger);
    if (!larger)
        return false;
    for (size_t i = 0; i < copies->known_room; i++)
        if (copies->known[i].address)
            *slot_of(larger, room, copies->known[i].address) = copies->known[i];
    free(copies->known);
    copies->known = larger;
    copies->known_room = room;
    return true;
}

/* A large program has tens of thousands of types: each unit has its own. */
static uint32_t copy_type(struct gib_dwarf_copies *copies, Dwarf_Die *type, unsigned depth)
{
    if (copies->known_room) {
        const struct gib_copied_type *known =
            slot_of(copies->known, copies->known_room, type->addr);
        if (known->address)
            return known->at;
    }
    uint32_t at = depth < DEEPEST ? make_type(copies, type, depth) : 0;
    if (make_room(copies)) {
        struct gib_copied_type *slot = slot_of(copies->known, copies->known_room, type->addr);
        copies->known_count += !slot->address;
        *slot = (struct gib_copied_type){type->addr, at};
    }
    return at;
}

/* ---- places ---- */

/* Operations that mean the same anywhere; false for others. */
static bool put_expression(const Dwarf_Op *operation, size_t count, struct gib_buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        unsigned atom = operation[i].atom;
        gib_put_fixed(out, atom, 1);
        if ((atom >= DW_OP_lit0 && atom <= DW_OP_reg31) || atom == DW_OP_call_frame_cfa ||
            atom == DW_OP_stack_value || atom == DW_OP_deref || atom == DW_OP_plus ||
            atom == DW_OP_minus || atom == DW_OP_and)
            continue;
        if (atom == DW_OP_regx || atom == DW_OP_plus_uconst || atom == DW_OP_piece ||
            atom == DW_OP_constu)
            gib_put_uleb(out, operation[i].number);
        else if ((atom >= DW_OP_breg0 && atom <= DW_OP_breg31) || atom == DW_OP_fbreg ||
                 atom == DW_OP_consts)
            gib_put_sleb(out, (int64_t)operation[i].number);
        else
            return false;
    }
    return count > 0;
}

static bool place_at(Dwarf_Attribute *attribute, uint64_t vaddr, struct gib_buffer *out)
{
    Dwarf_Op *operation;
    size_t count;
    return attribute && dwarf_getlocation_addr(attribute, vaddr, &operation, &count, 1) == 1 &&
           count <= MOST_OPERATIONS && put_expression(operation, count, out);
}

struct place {
    uint64_t vaddr, address, size;
    const struct gib_relocation_boundary *map;
    size_t count;
};

/* A list of places, one for each copied instruction (DWARF 4, 2.6.2). */
static void put_places(Dwarf_Die *parameter, const struct place *p, struct gib_buffer *out)
{
    Dwarf_Attribute attribute;
    Dwarf_Attribute *location = dwarf_attr_integrate(parameter, DW_AT_location, &attribute);
    for (size_t i = 0; i + 1 < p->count; i++) {
        struct gib_buffer expression = {0};
        uint64_t end = i + 2 < p->count ? p->map[i + 1].copy : p->size;
        if (place_at(location, p->vaddr + p->map[i].original, &expression) && !expression.failed) {
            gib_put_fixed(out, p->address + p->map[i].copy, 8);
            gib_put_fixed(out, p->address + end, 8);
            gib_put_fixed(out, expression.size, 2);
            gib_put(out, expression.bytes, expression.size);
        }
        gib_buffer_free(&expression);
    }
    gib_put_fixed(out, 0, 8);
    gib_put_fixed(out, 0, 8);
}

bool gib_elf_copy_parameters(struct gib_elf *elf, uint64_t entry, uint64_t vaddr,
                             const struct gib_relocation_boundary *map, size_t count,
                             uint64_t address, uint64_t size, struct gib_dwarf_copies *copies,
                             struct gib_buffer *out, struct gib_buffer *frame_base)
{
    Dwarf_Die function, child;
    Dwarf_Attribute attribute;
    struct place place = {vaddr, address, size, map, count};
    if (!gib_elf_subprogram(elf, entry, &function) || dwarf_child(&function, &child))
        return false;
    size_t before = frame_base->size, parameters = 0;
    if (!place_at(dwarf_attr_integrate(&function, DW_AT_frame_base, &attribute), vaddr,
                  frame_base)) {
        frame_base->size = before;
        return false;
    }
    do {
        Dwarf_Die type;
        Dwarf_Attribute name;
        const char *text = dwarf_formstring(dwarf_attr_integrate(&child, DW_AT_name, &name));
        uint32_t copied;
        if (dwarf_tag(&child) != DW_TAG_formal_parameter || !text || !type_of(&child, &type) ||
            !(copied = copy_type(copies, &type, 0)))
            continue;
        gib_put_uleb(out, PARAMETER);
        gib_put_text(out, text);
        gib_put_fixed(out, copied, 4);
        gib_put_fixed(out, copies->locations.size, 4);
        put_places(&child, &place, &copies->locations);
        parameters++;
    } while (gib_die_next(&child));
    if (!parameters)
        frame_base->size = before;
    return parameters;
}
