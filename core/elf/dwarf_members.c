/*
 * dwarf_members.c: the scalars that a structure consists of, in the order of their offsets, for
 * whoever makes or takes one apart: a mock's value, a typed call. Unions and bit-fields have no
 * such list; neither have structures of more than a few dozen scalars. Their names are the way to
 * them: x, from.x, data[3].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "elf/dwarf_types.h"

enum { MOST = 64 };

static bool add(struct gib_type *out, Dwarf_Die *type, const char *path, uint64_t offset, bool cxx,
                unsigned depth);

enum { PATH = 160 };

/* `name` may be NULL, of a base class or an anonymous structure: its members are those of `path`.
 */
static void extend(char out[PATH], const char *path, const char *name)
{
    snprintf(out, PATH, "%s%s%s", path, *path && name ? "." : "", name ? name : "");
}

static bool add_members(struct gib_type *out, Dwarf_Die *record, const char *path, uint64_t offset,
                        bool cxx, unsigned depth)
{
    char inner[PATH];
    Dwarf_Die child, type;
    for (bool more = gib_die_first(record, &child); more; more = gib_die_next(&child)) {
        int tag = dwarf_tag(&child);
        uint64_t at = 0;
        if ((tag != DW_TAG_member && tag != DW_TAG_inheritance) ||
            dwarf_hasattr(&child, DW_AT_external) || dwarf_hasattr(&child, DW_AT_declaration))
            continue;
        if (dwarf_hasattr(&child, DW_AT_bit_size) || !gib_type_of(&child, &type))
            return false;
        gib_die_number(&child, DW_AT_data_member_location, &at);
        extend(inner, path, dwarf_diename(&child));
        if (!add(out, &type, inner, offset + at, cxx, depth + 1))
            return false;
    }
    return true;
}

static bool add_elements(struct gib_type *out, Dwarf_Die *array, const char *path, uint64_t offset,
                         bool cxx, unsigned depth)
{
    char inner[PATH];
    Dwarf_Die element;
    uint64_t whole, size, align;
    int budget = gib_type_budget;
    if (!gib_type_of(array, &element) || !gib_type_layout(array, &whole, &align, &budget) ||
        !gib_type_layout(&element, &size, &align, &budget) || !size)
        return false;
    for (uint64_t at = 0; at + size <= whole; at += size) {
        snprintf(inner, sizeof inner, "%s[%llu]", path, (unsigned long long)(at / size));
        if (!add(out, &element, inner, offset + at, cxx, depth + 1))
            return false;
    }
    return true;
}

static bool add(struct gib_type *out, Dwarf_Die *type, const char *path, uint64_t offset, bool cxx,
                unsigned depth)
{
    Dwarf_Die bare = *type;
    if (depth > 8 || !gib_type_strip(&bare))
        return false;
    switch (dwarf_tag(&bare)) {
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
        return add_members(out, &bare, path, offset, cxx, depth);
    case DW_TAG_array_type:
        return add_elements(out, &bare, path, offset, cxx, depth);
    case DW_TAG_union_type:
        return false;
    default:
        break;
    }
    if (out->member_count == MOST)
        return false;
    struct gib_member *grown =
        realloc(out->members, (out->member_count + 1) * sizeof *out->members);
    if (!grown)
        return false;
    out->members = grown;
    struct gib_member *member = &grown[out->member_count++];
    *member = (struct gib_member){.name = *path ? strdup(path) : NULL, .offset = (uint32_t)offset};
    gib_type_fill(&member->type, type, cxx);
    return member->type.kind != GIB_TYPE_RECORD && offset + member->type.size <= out->size;
}

void gib_type_members(struct gib_type *out, Dwarf_Die *type, bool cxx)
{
    Dwarf_Die bare = *type;
    if (out->kind != GIB_TYPE_RECORD || !gib_type_strip(&bare) || add(out, &bare, "", 0, cxx, 0))
        return;
    for (size_t i = 0; i < out->member_count; i++) {
        free(out->members[i].name);
        gib_type_release(&out->members[i].type);
    }
    free(out->members);
    out->members = NULL;
    out->member_count = 0;
}
