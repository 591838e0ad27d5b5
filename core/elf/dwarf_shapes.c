/* dwarf_shapes.c: what a type is made of, for those who compute with values of it. */
#include <stdlib.h>
#include <string.h>
#include "elf/debug_types.h"
#include "elf/dwarf_types.h"
#include "elf/file.h"

/* Not in elfutils' dwarf.h of Debian 12. */
enum { LANG_CXX_17 = 0x2a, LANG_CXX_20 = 0x2b };

static bool die_of(const struct gib_debug_type *type, Dwarf_Die *die)
{
    *die = (Dwarf_Die){.addr = (void *)(uintptr_t)type->entry,
                       .cu = (struct Dwarf_CU *)(uintptr_t)type->unit};
    return type->entry;
}

static struct gib_debug_type type_of(const Dwarf_Die *die)
{
    return (struct gib_debug_type){die->addr, die->cu, 0};
}

struct gib_debug_type gib_debug_type_of(Dwarf_Die *die)
{
    return type_of(die);
}

static bool is_cxx(Dwarf_Die *die)
{
    Dwarf_Die unit;
    if (!dwarf_diecu(die, &unit, NULL, NULL))
        return false;
    switch (dwarf_srclang(&unit)) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
    case LANG_CXX_17:
    case LANG_CXX_20:
        return true;
    default:
        return false;
    }
}

static void target_of(Dwarf_Die *die, struct gib_debug_shape *out)
{
    Dwarf_Die target;
    out->has_target = gib_type_of(die, &target);
    if (out->has_target)
        out->target = type_of(&target);
}

/* The dimension `nth` of an array and those behind it. */
static bool dimension(Dwarf_Die *array, unsigned nth, uint64_t *count, unsigned *more)
{
    Dwarf_Die child;
    unsigned index = 0;
    *more = 0;
    *count = 0;
    for (bool next = gib_die_first(array, &child); next; next = gib_die_next(&child)) {
        uint64_t bound;
        if (dwarf_tag(&child) != DW_TAG_subrange_type)
            continue;
        if (index == nth) {
            if (gib_die_number(&child, DW_AT_count, &bound))
                *count = bound;
            else if (gib_die_number(&child, DW_AT_upper_bound, &bound))
                *count = (uint32_t)bound == UINT32_MAX ? 0 : bound + 1;
        }
        *more += index++ > nth;
    }
    return index > nth;
}

/* Bytes of a type. Its alignment nobody needs here: clang leaves out what is in a std::string, and
 * so the alignment of what holds one. */
static bool size_of(const Dwarf_Die *type, uint64_t *size)
{
    Dwarf_Die die = *type;
    uint64_t align;
    int budget = gib_type_budget;
    return gib_type_layout(&die, size, &align, &budget) ||
           (gib_type_strip(&die) && gib_die_number(&die, DW_AT_byte_size, size));
}

static void shape_of_array(Dwarf_Die *array, const struct gib_debug_type *type,
                           struct gib_debug_shape *out)
{
    Dwarf_Die element;
    uint64_t count, inner, size;
    unsigned more, ignored;
    if (gib_die_flag(array, DW_AT_GNU_vector)) {
        out->kind = GIB_DEBUG_OTHER;
        if (size_of(array, &size))
            out->size = size;
        return;
    }
    out->kind = GIB_DEBUG_ARRAY;
    if (!dimension(array, type->dimension, &count, &more) || !gib_type_of(array, &element)) {
        target_of(array, out);
        return;
    }
    out->has_target = true;
    if (more)
        out->target = (struct gib_debug_type){array->addr, array->cu, type->dimension + 1};
    else
        out->target = type_of(&element);
    if (!size_of(&element, &size))
        return;
    for (unsigned i = 1; i <= more; i++)
        if (!dimension(array, type->dimension + i, &inner, &ignored) ||
            __builtin_mul_overflow(size, inner, &size))
            return;
    if (__builtin_mul_overflow(size, count, &size))
        return;
    out->size = size;
}

static void shape_of_base(Dwarf_Die *base, struct gib_debug_shape *out)
{
    uint64_t encoding = 0;
    const char *name = dwarf_diename(base);
    gib_die_number(base, DW_AT_encoding, &encoding);
    bool single = out->size == 1;
    switch (encoding) {
    case DW_ATE_boolean:
        out->kind = GIB_DEBUG_BOOL;
        break;
    case DW_ATE_float:
        out->kind = (out->size == 4 || out->size == 8) && !(name && strstr(name, "long double"))
                        ? GIB_DEBUG_REAL
                        : GIB_DEBUG_OTHER;
        break;
    case DW_ATE_signed_char:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
    case DW_ATE_signed:
    case DW_ATE_unsigned:
    case DW_ATE_address:
        out->kind = GIB_DEBUG_INTEGER;
        out->is_signed = encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
        out->is_char = single && encoding != DW_ATE_signed && encoding != DW_ATE_unsigned &&
                       encoding != DW_ATE_address;
        break;
    default:
        out->kind = GIB_DEBUG_OTHER;
    }
}

/* An enumeration is of its underlying type; where none is said, the values tell the sign. */
static void shape_of_enum(Dwarf_Die *type, struct gib_debug_shape *out)
{
    struct gib_type filled;
    gib_type_fill(&filled, type, is_cxx(type));
    out->kind = GIB_DEBUG_ENUM;
    out->is_signed = filled.is_signed;
    gib_type_release(&filled);
}

void gib_debug_shape(const struct gib_debug_type *type, struct gib_debug_shape *out)
{
    Dwarf_Die die;
    uint64_t size;
    *out = (struct gib_debug_shape){.kind = GIB_DEBUG_VOID};
    if (!die_of(type, &die) || !gib_type_strip(&die))
        return;
    int tag = dwarf_tag(&die);
    if (tag == DW_TAG_array_type) {
        shape_of_array(&die, type, out);
        return;
    }
    if (tag != DW_TAG_subroutine_type && size_of(&die, &size))
        out->size = size;
    switch (tag) {
    case DW_TAG_base_type:
        shape_of_base(&die, out);
        break;
    case DW_TAG_enumeration_type:
        shape_of_enum(&die, out);
        out->name = dwarf_diename(&die);
        out->incomplete = gib_die_flag(&die, DW_AT_declaration) && !out->size;
        break;
    case DW_TAG_pointer_type:
        out->kind = GIB_DEBUG_POINTER;
        target_of(&die, out);
        break;
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        out->kind = GIB_DEBUG_REFERENCE;
        target_of(&die, out);
        break;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        out->kind = GIB_DEBUG_RECORD;
        out->name = dwarf_diename(&die);
        out->is_union = tag == DW_TAG_union_type;
        out->incomplete = gib_die_flag(&die, DW_AT_declaration);
        break;
    case DW_TAG_subroutine_type:
        out->kind = GIB_DEBUG_FUNCTION;
        break;
    case DW_TAG_unspecified_type: /* std::nullptr_t */
        out->kind = GIB_DEBUG_POINTER;
        break;
    default:
        out->kind = GIB_DEBUG_OTHER;
    }
}

char *gib_debug_spell(const struct gib_debug_type *type)
{
    Dwarf_Die die;
    bool known = die_of(type, &die);
    return gib_type_spell(known ? &die : NULL, known && is_cxx(&die));
}

/* ---- members ---- */

struct search {
    const char *name;
    size_t length;
    const char *base; /* only in this base; NULL: anywhere */
    size_t base_length;
    struct gib_debug_member *out;
    Dwarf_Die owner;                                /* the class whose members are looked at */
    Dwarf_Die found;                                /* the member in *out; addr NULL: none yet */
    bool is_static;                                 /* it is a static one */
    void (*visit)(void *context, const char *name); /* instead of a search */
    void *context;
    int budget;
};

/* The three ways of DWARF to say where a bit-field is. */
static bool bit_field(Dwarf_Die *member, uint64_t byte, struct gib_debug_member *out)
{
    uint64_t offset, storage = 0, align;
    Dwarf_Die type;
    int budget = gib_type_budget;
    if (!gib_die_number(member, DW_AT_bit_size, &out->width))
        return false;
    out->is_bits = true;
    if (gib_die_number(member, DW_AT_data_bit_offset, &offset)) {
        out->shift = offset;
    } else if (gib_die_number(member, DW_AT_bit_offset, &offset)) {
        if (!gib_die_number(member, DW_AT_byte_size, &storage) && gib_type_of(member, &type))
            gib_type_layout(&type, &storage, &align, &budget);
        out->shift = byte * 8 + storage * 8 - offset - out->width; /* counted from the top */
    } else {
        out->shift = byte * 8;
    }
    return true;
}

static bool find(struct search *search, Dwarf_Die *record, uint64_t offset, bool is_virtual,
                 bool inside, unsigned depth);

/* Whether the class `type` is called so, its template arguments and namespaces not counting. */
static bool is_called(Dwarf_Die *type, const char *name, size_t length)
{
    const char *own = dwarf_diename(type);
    return own && !strncmp(own, name, length) && (!own[length] || own[length] == '<');
}

/* Whether an object of class `derived` has its one virtual `base`, whose members it hides. */
static bool hides(const struct gib_debug_type *derived, const struct gib_debug_type *base)
{
    struct gib_debug_member place;
    return gib_debug_base(derived, base, &place) && place.is_virtual;
}

/* C++, [class.member.lookup]: of what two base classes have, the one that hides the other, or that
 * is the same part of the object; else it is ambiguous. */
static void take(struct search *search, Dwarf_Die *member, bool is_static,
                 const struct gib_debug_member *one)
{
    struct gib_debug_member *out = search->out;
    bool same = search->found.addr == member->addr &&
                (is_static || (one->is_virtual && out->is_virtual && one->offset == out->offset));
    if (search->found.addr && (same || (one->is_virtual && hides(&out->owner[0], &one->owner[0]))))
        return;
    if (search->found.addr && !(out->is_virtual && hides(&one->owner[0], &out->owner[0]))) {
        out->owner[1] = one->owner[0];
        return;
    }
    *out = *one;
    search->found = *member;
    search->is_static = is_static;
}

static bool find_in_child(struct search *search, Dwarf_Die *child, uint64_t offset, bool is_virtual,
                          bool inside, unsigned depth)
{
    Dwarf_Die type;
    uint64_t at = 0;
    int tag = dwarf_tag(child);
    const char *name = dwarf_diename(child);
    bool is_static = tag == DW_TAG_variable ||
                     (tag == DW_TAG_member && (dwarf_hasattr(child, DW_AT_external) ||
                                               dwarf_hasattr(child, DW_AT_declaration)));
    if ((tag != DW_TAG_member && tag != DW_TAG_inheritance && !is_static) ||
        (is_static && (search->visit || !name)) || !gib_type_of(child, &type))
        return false;
    gib_die_number(child, DW_AT_data_member_location, &at);
    bool is_base = tag == DW_TAG_inheritance;
    if (is_base && dwarf_hasattr(child, DW_AT_virtuality) &&
        !gib_die_number(child, DW_AT_data_member_location, &at)) {
        is_virtual = true;
        offset = 0; /* the same for all ways that lead to it */
    }
    if (is_base || !name || !*name) {
        Dwarf_Die inner = type;
        if (!gib_type_strip(&inner))
            return false;
        bool is_record = dwarf_tag(&inner) == DW_TAG_structure_type ||
                         dwarf_tag(&inner) == DW_TAG_class_type ||
                         dwarf_tag(&inner) == DW_TAG_union_type;
        bool named =
            is_base && search->base && is_called(&inner, search->base, search->base_length);
        Dwarf_Die owner = search->owner;
        search->owner = is_base ? inner : owner;
        bool found =
            is_record && find(search, &inner, offset + at, is_virtual, inside || named, depth + 1);
        search->owner = owner;
        return found;
    }
    if (search->visit) {
        search->visit(search->context, name);
        return false;
    }
    if (!inside || strncmp(name, search->name, search->length) || name[search->length])
        return false;
    struct gib_debug_member one = {.type = type_of(&type),
                                   .offset = offset + at,
                                   .is_virtual = is_virtual,
                                   .owner = {type_of(&search->owner)}};
    if (!is_static && bit_field(child, at, &one))
        one.shift += offset * 8;
    take(search, child, is_static, &one);
    return true;
}

/* Own members hide those of base classes. */
static bool find(struct search *search, Dwarf_Die *record, uint64_t offset, bool is_virtual,
                 bool inside, unsigned depth)
{
    Dwarf_Die child;
    bool found = false;
    if (depth > 16)
        return false;
    for (int bases = 0; bases < 2 && !found; bases++)
        for (bool more = gib_die_first(record, &child); more; more = gib_die_next(&child)) {
            if (--search->budget < 0)
                return found;
            if ((dwarf_tag(&child) == DW_TAG_inheritance) == bases)
                found |= find_in_child(search, &child, offset, is_virtual, inside, depth);
        }
    return found;
}

static bool record_of(const struct gib_debug_type *type, Dwarf_Die *record)
{
    if (!die_of(type, record) || !gib_type_strip(record))
        return false;
    int tag = dwarf_tag(record);
    return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

bool gib_debug_member(const struct gib_debug_type *type, const char *name,
                      struct gib_debug_member *out)
{
    Dwarf_Die record;
    struct search search = {.name = name, .out = out, .budget = gib_type_budget};
    if (!record_of(type, &record))
        return false;
    const char *colons = strstr(name, "::"), *next;
    while (colons && (next = strstr(colons + 2, "::")))
        colons = next;
    if (colons) {
        search.base = name;
        search.base_length = (size_t)(colons - name);
        search.name = colons + 2;
        for (const char *at = colons; at > name + 1; at--) /* the last of A::B */
            if (at[-1] == ':') {
                search.base = at;
                search.base_length = (size_t)(colons - at);
                break;
            }
    }
    search.length = strlen(search.name);
    bool own = search.base && is_called(&record, search.base, search.base_length);
    search.owner = record;
    return find(&search, &record, 0, false, !search.base || own, 0) &&
           (!search.is_static || out->owner[1].entry);
}

void gib_debug_members(const struct gib_debug_type *type,
                       void (*visit)(void *context, const char *name), void *context)
{
    Dwarf_Die record;
    struct search search = {.visit = visit, .context = context, .budget = gib_type_budget};
    if (record_of(type, &record))
        find(&search, &record, 0, false, true, 0);
}

/* ---- base classes ---- */

struct base_search {
    Dwarf_Die base;
    char *name;
    struct gib_debug_member *out;
    unsigned found;
    int budget;
};

/* The same class: another unit may have an entry of its own for it. */
static bool is_same_class(struct base_search *search, Dwarf_Die *type)
{
    if (type->addr == search->base.addr)
        return true;
    const char *name = dwarf_diename(type), *other = dwarf_diename(&search->base);
    if (!name || !other || strcmp(name, other))
        return false;
    char *whole = gib_type_spell(type, true);
    bool same = whole && search->name && !strcmp(whole, search->name);
    free(whole);
    return same;
}

static void find_base(struct base_search *search, Dwarf_Die *record, uint64_t offset,
                      bool is_virtual, unsigned depth)
{
    Dwarf_Die child, type;
    for (bool more = gib_die_first(record, &child); more; more = gib_die_next(&child)) {
        uint64_t at = 0;
        if (--search->budget < 0 || depth > 16)
            return;
        if (dwarf_tag(&child) != DW_TAG_inheritance || !gib_type_of(&child, &type) ||
            !gib_type_strip(&type))
            continue;
        bool is_placed = gib_die_number(&child, DW_AT_data_member_location, &at);
        bool is_moving = is_virtual || (dwarf_hasattr(&child, DW_AT_virtuality) && !is_placed);
        if (!is_same_class(search, &type)) {
            find_base(search, &type, offset + at, is_moving, depth + 1);
            continue;
        }
        search->found++;
        *search->out = (struct gib_debug_member){
            .type = type_of(&type), .offset = offset + at, .is_virtual = is_moving};
    }
}

unsigned gib_debug_base(const struct gib_debug_type *derived, const struct gib_debug_type *base,
                        struct gib_debug_member *out)
{
    Dwarf_Die record;
    struct base_search search = {.out = out, .budget = gib_type_budget};
    if (!record_of(derived, &record) || !record_of(base, &search.base))
        return 0;
    search.name = gib_type_spell(&search.base, true);
    find_base(&search, &record, 0, false, 0);
    free(search.name);
    return search.found;
}
