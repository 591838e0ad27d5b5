/*
 * dwarf_classes.c: how a value is passed: System V x86-64 ABI, 3.2.3, and the Itanium C++ ABI's
 * exception for objects that must not be copied bytewise.
 */
#include <stdlib.h>
#include <string.h>
#include "elf/dwarf_types.h"

/* The ABI's X87UP: the upper half of a long double. It never leaves this file. */
enum { class_x87up = GIB_CLASS_MEMORY + 1 };

static bool element_count(Dwarf_Die *array, uint64_t *count, int *budget)
{
    Dwarf_Die child;
    *count = 1;
    for (bool more = gib_die_first(array, &child); more; more = gib_die_next(&child)) {
        uint64_t bound = 0;
        if (--*budget < 0)
            return false;
        if (dwarf_tag(&child) != DW_TAG_subrange_type)
            continue;
        /* No bound is a flexible array, of no size. An upper bound of -1 says the same. */
        if (!gib_die_number(&child, DW_AT_count, &bound) &&
            gib_die_number(&child, DW_AT_upper_bound, &bound))
            bound = (uint32_t)bound == UINT32_MAX ? 0 : bound + 1;
        if (__builtin_mul_overflow(*count, bound, count))
            return false;
    }
    return true;
}

static bool layout(Dwarf_Die *type, uint64_t *size, uint64_t *align, int *budget, unsigned depth);

/* Whether `die` is a part of each object: not a static member. */
static bool is_part(Dwarf_Die *die)
{
    int tag = dwarf_tag(die);
    return (tag == DW_TAG_member || tag == DW_TAG_inheritance) &&
           !dwarf_hasattr(die, DW_AT_external) && !dwarf_hasattr(die, DW_AT_declaration);
}

/* DWARF does not say "packed": it shows in members and a size that their alignment does not divide.
 */
static bool record_align(Dwarf_Die *record, uint64_t record_size, uint64_t *align, int *budget,
                         unsigned depth)
{
    Dwarf_Die child, type;
    *align = 1;
    for (bool more = gib_die_first(record, &child); more; more = gib_die_next(&child)) {
        uint64_t size, own, at = 0;
        if (--*budget < 0)
            return false;
        if (!is_part(&child) || !gib_type_of(&child, &type))
            continue;
        if (!layout(&type, &size, &own, budget, depth + 1))
            return false;
        if (gib_die_number(&child, DW_AT_alignment, &size) && size)
            own = size;
        gib_die_number(&child, DW_AT_data_member_location, &at);
        while (own > 1 && at % own)
            own /= 2;
        if (own > *align)
            *align = own;
    }
    while (*align > 1 && record_size % *align)
        *align /= 2;
    return true;
}

static bool array_layout(Dwarf_Die *array, uint64_t *size, uint64_t *align, int *budget,
                         unsigned depth)
{
    Dwarf_Die element;
    uint64_t count;
    if (!gib_type_of(array, &element) || !layout(&element, size, align, budget, depth + 1) ||
        !element_count(array, &count, budget) || __builtin_mul_overflow(*size, count, size))
        return false;
    if (gib_die_flag(array, DW_AT_GNU_vector))
        *align = *size;
    return true;
}

/* Size and alignment of a type behind typedefs and qualifiers. */
static bool bare_layout(Dwarf_Die *bare, uint64_t *size, uint64_t *align, int *budget,
                        unsigned depth)
{
    Dwarf_Die target;
    switch (dwarf_tag(bare)) {
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
    case DW_TAG_unspecified_type:
        *size = *align = 8;
        return true;
    case DW_TAG_ptr_to_member_type:
        *size = *align = 8;
        if (gib_type_of(bare, &target) && gib_type_strip(&target) &&
            dwarf_tag(&target) == DW_TAG_subroutine_type)
            *size = 16;
        return true;
    case DW_TAG_array_type:
        return array_layout(bare, size, align, budget, depth);
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        return !dwarf_hasattr(bare, DW_AT_declaration) &&
               gib_die_number(bare, DW_AT_byte_size, size) &&
               record_align(bare, *size, align, budget, depth);
    case DW_TAG_base_type:
    case DW_TAG_enumeration_type:
        if (!gib_die_number(bare, DW_AT_byte_size, size) || !*size)
            return false;
        *align = *size > 16 ? 16 : *size;
        uint64_t encoding;
        if (gib_die_number(bare, DW_AT_encoding, &encoding) && encoding == DW_ATE_complex_float)
            *align = *size / 2;
        return true;
    default:
        return false;
    }
}

static bool layout(Dwarf_Die *type, uint64_t *size, uint64_t *align, int *budget, unsigned depth)
{
    Dwarf_Die bare = *type, at = *type;
    if (--*budget < 0 || depth > gib_type_depth || !gib_type_strip(&bare) ||
        !bare_layout(&bare, size, align, budget, depth))
        return false;
    /* _Alignas and __attribute__((aligned)), of the type or of a typedef on the way to it. */
    for (int steps = 0; steps < gib_type_depth; steps++) {
        uint64_t explicit;
        Dwarf_Die next;
        if (gib_die_number(&at, DW_AT_alignment, &explicit) && explicit) {
            *align = explicit;
            break;
        }
        if (at.addr == bare.addr || !gib_type_of(&at, &next))
            break;
        at = next;
    }
    return true;
}

bool gib_type_layout(Dwarf_Die *type, uint64_t *size, uint64_t *align, int *budget)
{
    return layout(type, size, align, budget, 0);
}

/* Rule 4 of the classification: the class of an eightbyte that has parts of both. */
static int merge(int a, int b)
{
    if (a == b || b == GIB_CLASS_NONE)
        return a;
    if (a == GIB_CLASS_NONE)
        return b;
    if (a == GIB_CLASS_MEMORY || b == GIB_CLASS_MEMORY)
        return GIB_CLASS_MEMORY;
    if (a == GIB_CLASS_INTEGER || b == GIB_CLASS_INTEGER)
        return GIB_CLASS_INTEGER;
    if (a == GIB_CLASS_X87 || b == GIB_CLASS_X87 || a == class_x87up || b == class_x87up)
        return GIB_CLASS_MEMORY;
    return GIB_CLASS_SSE;
}

struct classes {
    int eightbyte[2];
    int budget;
    bool unknown;
};

static void put(struct classes *classes, uint64_t offset, uint64_t size, int first, int second)
{
    for (uint64_t at = offset / 8, i = 0; at < 2 && i < (size + 7) / 8; at++, i++)
        classes->eightbyte[at] = merge(classes->eightbyte[at], i ? second : first);
}

static void memory(struct classes *classes)
{
    classes->eightbyte[0] = classes->eightbyte[1] = GIB_CLASS_MEMORY;
}

static bool is_long_double(Dwarf_Die *base)
{
    const char *name = dwarf_diename(base);
    return name && (strstr(name, "long double") || !strcmp(name, "_Float64x"));
}

static void classify_base(struct classes *classes, Dwarf_Die *base, uint64_t offset, uint64_t size)
{
    uint64_t encoding = 0;
    gib_die_number(base, DW_AT_encoding, &encoding);
    bool wide = size == 16, x87 = is_long_double(base);
    if (encoding == DW_ATE_complex_float && size == 32) /* of long double */
        put(classes, offset, 16, GIB_CLASS_X87, GIB_CLASS_X87);
    else if (encoding == DW_ATE_complex_float)
        put(classes, offset, size, GIB_CLASS_SSE, GIB_CLASS_SSE);
    else if (encoding == DW_ATE_float && wide && x87)
        put(classes, offset, size, GIB_CLASS_X87, class_x87up);
    else if (encoding == DW_ATE_float || encoding == DW_ATE_decimal_float)
        put(classes, offset, size, GIB_CLASS_SSE, GIB_CLASS_SSEUP);
    else
        put(classes, offset, size, GIB_CLASS_INTEGER, GIB_CLASS_INTEGER);
}

static void classify(struct classes *classes, Dwarf_Die *type, uint64_t offset, unsigned depth);

/* DWARF has three ways to say where a bit-field is; this gives its first bit in the record. */
static bool bit_field(Dwarf_Die *member, uint64_t byte, uint64_t storage, uint64_t *bit,
                      uint64_t *width)
{
    uint64_t offset;
    if (!gib_die_number(member, DW_AT_bit_size, width))
        return false;
    if (gib_die_number(member, DW_AT_data_bit_offset, &offset)) {
        *bit = offset;
    } else if (gib_die_number(member, DW_AT_bit_offset, &offset)) {
        gib_die_number(member, DW_AT_byte_size, &storage);
        *bit = byte * 8 + storage * 8 - offset - *width; /* counted from the top */
    } else {
        *bit = byte * 8;
    }
    return true;
}

static void classify_member(struct classes *classes, Dwarf_Die *member, uint64_t offset,
                            unsigned depth)
{
    Dwarf_Die type;
    uint64_t at = 0, size, align, bit, width;
    if (dwarf_hasattr(member, DW_AT_virtuality)) {
        memory(classes); /* a virtual base: not to be copied bytewise anyway */
        return;
    }
    gib_die_number(member, DW_AT_data_member_location, &at);
    if (at > 1 << 20 || !gib_type_of(member, &type) ||
        !layout(&type, &size, &align, &classes->budget, depth)) {
        classes->unknown = true;
    } else if (bit_field(member, at, size, &bit, &width)) {
        if (bit < 128 && width && width <= 128)
            for (uint64_t i = bit / 64; i <= (bit + width - 1) / 64; i++)
                put(classes, offset + i * 8, 1, GIB_CLASS_INTEGER, GIB_CLASS_NONE);
    } else if (align && (offset + at) % align) {
        memory(classes); /* packed */
    } else {
        classify(classes, &type, offset + at, depth + 1);
    }
}

static void classify_array(struct classes *classes, Dwarf_Die *array, uint64_t offset,
                           uint64_t size, unsigned depth)
{
    Dwarf_Die element;
    uint64_t each, align;
    if (gib_die_flag(array, DW_AT_GNU_vector)) {
        put(classes, offset, size, GIB_CLASS_SSE, GIB_CLASS_SSEUP);
        return;
    }
    if (!gib_type_of(array, &element) ||
        !layout(&element, &each, &align, &classes->budget, depth)) {
        classes->unknown = true;
        return;
    }
    for (uint64_t at = 0; each && at < size && at < 16; at += each)
        classify(classes, &element, offset + at, depth + 1);
}

static void classify(struct classes *classes, Dwarf_Die *type, uint64_t offset, unsigned depth)
{
    Dwarf_Die bare = *type, child;
    uint64_t size, align;
    if (--classes->budget < 0 || depth > gib_type_depth || !gib_type_strip(&bare) ||
        !layout(&bare, &size, &align, &classes->budget, depth)) {
        classes->unknown = true;
        return;
    }
    switch (dwarf_tag(&bare)) {
    case DW_TAG_base_type:
        classify_base(classes, &bare, offset, size);
        break;
    case DW_TAG_array_type:
        classify_array(classes, &bare, offset, size, depth);
        break;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        for (bool more = gib_die_first(&bare, &child); more && classes->budget > 0;
             more = gib_die_next(&child)) {
            classes->budget--;
            if (is_part(&child))
                classify_member(classes, &child, offset, depth);
        }
        break;
    default: /* pointers, references, enumerations */
        put(classes, offset, size, GIB_CLASS_INTEGER, GIB_CLASS_INTEGER);
    }
}

/* A record of one vector of 32 or 64 bytes is passed like the vector. */
static bool is_wide_vector(Dwarf_Die *type, uint64_t size)
{
    Dwarf_Die bare = *type, child, member;
    for (int steps = 0; steps < 8 && gib_type_strip(&bare); steps++) {
        int tag = dwarf_tag(&bare);
        if (tag == DW_TAG_array_type)
            return gib_die_flag(&bare, DW_AT_GNU_vector) && (size == 32 || size == 64);
        if (tag != DW_TAG_structure_type && tag != DW_TAG_class_type && tag != DW_TAG_union_type)
            return false;
        size_t parts = 0;
        for (bool more = gib_die_first(&bare, &child); more; more = gib_die_next(&child))
            if (is_part(&child) && parts++ == 0 && !gib_type_of(&child, &member))
                return false;
        if (parts != 1)
            return false;
        bare = member;
    }
    return false;
}

/* Step 5: clean up after the merger. */
static void finish(int eightbyte[2])
{
    if (eightbyte[0] == GIB_CLASS_MEMORY || eightbyte[1] == GIB_CLASS_MEMORY ||
        eightbyte[0] == class_x87up ||
        (eightbyte[1] == class_x87up && eightbyte[0] != GIB_CLASS_X87)) {
        eightbyte[0] = GIB_CLASS_MEMORY;
        eightbyte[1] = GIB_CLASS_NONE;
    }
    if (eightbyte[0] == GIB_CLASS_SSEUP)
        eightbyte[0] = GIB_CLASS_SSE;
    if (eightbyte[1] == GIB_CLASS_SSEUP && eightbyte[0] != GIB_CLASS_SSE)
        eightbyte[1] = GIB_CLASS_SSE;
    if (eightbyte[1] == class_x87up)
        eightbyte[1] = GIB_CLASS_NONE;
}

/* Whether `method`, a constructor, copies or moves `record`. */
static bool copies(Dwarf_Die *method, Dwarf_Die *record)
{
    Dwarf_Die child, type;
    size_t count = 0;
    bool same = false;
    for (bool more = gib_die_first(method, &child); more; more = gib_die_next(&child)) {
        if (dwarf_tag(&child) != DW_TAG_formal_parameter || count++ != 1)
            continue;
        if (!gib_type_of(&child, &type) || (dwarf_tag(&type) != DW_TAG_reference_type &&
                                            dwarf_tag(&type) != DW_TAG_rvalue_reference_type))
            return false;
        same = gib_type_of(&type, &type) && gib_type_strip(&type) && type.addr == record->addr;
    }
    return same && count == 2;
}

/* Whether the Itanium C++ ABI passes `record` by reference: a copy or move constructor or a
 * destructor of its own or of a part does something. clang says so; for gcc it must be worked out.
 */
static bool by_reference(Dwarf_Die *record, int *budget, unsigned depth)
{
    Dwarf_Die child, type;
    uint64_t convention, defaulted;
    int tag = dwarf_tag(record);
    if (tag == DW_TAG_array_type && gib_type_of(record, &type) && gib_type_strip(&type) &&
        depth < gib_type_depth)
        return by_reference(&type, budget, depth + 1);
    if ((tag != DW_TAG_structure_type && tag != DW_TAG_class_type && tag != DW_TAG_union_type) ||
        depth > gib_type_depth)
        return false;
    if (gib_die_number(record, DW_AT_calling_convention, &convention) &&
        (convention == DW_CC_pass_by_reference || convention == DW_CC_pass_by_value))
        return convention == DW_CC_pass_by_reference;
    const char *class_name = dwarf_diename(record);
    size_t length =
        class_name ? strcspn(class_name, "<") : 0; /* a template's constructor has no <> */
    bool copy = false, usable = false;
    for (bool more = gib_die_first(record, &child); more && --*budget > 0;
         more = gib_die_next(&child)) {
        const char *name = dwarf_diename(&child);
        if (is_part(&child)) {
            if (dwarf_hasattr(&child, DW_AT_virtuality) || (name && !strncmp(name, "_vptr", 5)) ||
                (gib_type_of(&child, &type) && gib_type_strip(&type) &&
                 by_reference(&type, budget, depth + 1)))
                return true;
        } else if (dwarf_tag(&child) == DW_TAG_subprogram && name && length) {
            bool trivial =
                (gib_die_number(&child, DW_AT_defaulted, &defaulted) && defaulted == 1) ||
                gib_die_flag(&child, DW_AT_deleted);
            if (name[0] == '~' && !trivial)
                return true;
            if (strncmp(name, class_name, length) || (name[length] && name[length] != '<') ||
                !copies(&child, record))
                continue;
            if (!trivial)
                return true;
            copy = true;
            usable |= !gib_die_flag(&child, DW_AT_deleted);
        }
    }
    return copy && !usable;
}

void gib_type_classify(struct gib_type *out, Dwarf_Die *type, bool cxx)
{
    uint64_t size, align;
    struct classes classes = {.budget = gib_type_budget};
    Dwarf_Die bare = *type;
    int budget = gib_type_budget;
    out->known_layout = gib_type_layout(type, &size, &align, &classes.budget) && size <= UINT32_MAX;
    bool stripped = gib_type_strip(&bare);
    out->indirect = cxx && stripped && by_reference(&bare, &budget, 0);
    if (!out->known_layout)
        return;
    out->size = size;
    out->align = align > 1 << 20 ? 1 << 20 : align;
    if (out->kind == GIB_TYPE_COMPLEX || size <= 16)
        classify(&classes, type, 0, 0);
    else if (is_wide_vector(type, size))
        put(&classes, 0, 16, GIB_CLASS_SSE, GIB_CLASS_SSEUP);
    else
        memory(&classes);
    if (out->indirect)
        memory(&classes);
    if (!cxx && dwarf_tag(&bare) == DW_TAG_union_type && size == 8 &&
        classes.eightbyte[0] == GIB_CLASS_NONE) {
        /* gcc writes glibc's transparent unions of pointers (__SOCKADDR_ARG) without their members.
         * C has no other way to an empty one of this size. */
        put(&classes, 0, 8, GIB_CLASS_INTEGER, GIB_CLASS_INTEGER);
        out->kind = GIB_TYPE_POINTER;
    }
    finish(classes.eightbyte);
    out->known_layout = !classes.unknown;
    for (size_t i = 0; i < 2 && out->known_layout; i++)
        out->eightbyte[i] = classes.eightbyte[i];
}
