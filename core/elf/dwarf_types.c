/*
 * dwarf_types.c: types: kind, signedness, enumerators, and their spelling in C.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "elf/dwarf_types.h"

bool gib_type_of(Dwarf_Die *die, Dwarf_Die *type)
{
    return gib_die_reference(die, DW_AT_type, type);
}

static bool is_qualifier(int tag)
{
    return tag == DW_TAG_const_type || tag == DW_TAG_volatile_type || tag == DW_TAG_restrict_type ||
           tag == DW_TAG_atomic_type;
}

bool gib_type_strip(Dwarf_Die *type)
{
    for (int steps = 0; steps < gib_type_depth; steps++) {
        int tag = dwarf_tag(type);
        if (tag != DW_TAG_typedef && !is_qualifier(tag)) {
            /* An entry may do no more than say in which type unit the definition is. */
            Dwarf_Die definition;
            if (gib_die_reference(type, DW_AT_signature, &definition))
                *type = definition;
            return true;
        }
        Dwarf_Die next;
        if (!gib_type_of(type, &next))
            return false;
        *type = next;
    }
    return false;
}

static bool is_character(Dwarf_Die *type)
{
    uint64_t encoding, size;
    return dwarf_tag(type) == DW_TAG_base_type && gib_die_number(type, DW_AT_encoding, &encoding) &&
           (encoding == DW_ATE_signed_char || encoding == DW_ATE_unsigned_char) &&
           gib_die_number(type, DW_AT_byte_size, &size) && size == 1;
}

static bool is_plain_char(Dwarf_Die *type)
{
    const char *name = dwarf_diename(type);
    return !name || (strcmp(name, "signed char") && strcmp(name, "unsigned char"));
}

static void fill_base(struct gib_type *out, Dwarf_Die *type)
{
    uint64_t encoding = 0, size = 0;
    gib_die_number(type, DW_AT_encoding, &encoding);
    gib_die_number(type, DW_AT_byte_size, &size);
    switch (encoding) {
    case DW_ATE_boolean:
        out->kind = GIB_TYPE_BOOL;
        break;
    case DW_ATE_float:
        out->kind = GIB_TYPE_FLOAT;
        break;
    case DW_ATE_complex_float:
        out->kind = GIB_TYPE_COMPLEX;
        break;
    case DW_ATE_decimal_float: /* passed like a vector, and no more readable as a float */
        out->kind = GIB_TYPE_VECTOR;
        break;
    case DW_ATE_signed_char:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
        /* `signed char` and `unsigned char`, int8_t and uint8_t among them, hold numbers. */
        out->kind = size == 1 && is_plain_char(type) ? GIB_TYPE_CHAR : GIB_TYPE_INT;
        out->is_signed = encoding == DW_ATE_signed_char;
        break;
    default:
        out->kind = GIB_TYPE_INT;
        out->is_signed = encoding == DW_ATE_signed;
    }
}

/* gcc writes unsigned values with the fixed forms, which libdw would sign-extend. */
static int64_t enumerator_value(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    Dwarf_Sword number = 0;
    Dwarf_Word word = 0;
    if (!dwarf_attr(die, DW_AT_const_value, &attribute))
        return 0;
    unsigned form = dwarf_whatform(&attribute);
    if (form == DW_FORM_sdata || form == DW_FORM_implicit_const)
        return dwarf_formsdata(&attribute, &number) ? 0 : number;
    return dwarf_formudata(&attribute, &word) ? 0 : (int64_t)word;
}

static void fill_enum(struct gib_type *out, Dwarf_Die *type)
{
    Dwarf_Die child, underlying;
    size_t capacity = 0;
    bool negative = false;
    out->kind = GIB_TYPE_ENUM;
    for (bool more = gib_die_first(type, &child); more; more = gib_die_next(&child)) {
        const char *name = dwarf_diename(&child);
        if (dwarf_tag(&child) != DW_TAG_enumerator || !name)
            continue;
        if (out->enumerator_count == capacity) {
            size_t larger = capacity * 2 + 8;
            void *moved = realloc(out->enumerators, larger * sizeof *out->enumerators);
            if (!moved)
                return;
            out->enumerators = moved;
            capacity = larger;
        }
        char *copy = strdup(name);
        if (!copy)
            return;
        int64_t value = enumerator_value(&child);
        negative |= value < 0;
        out->enumerators[out->enumerator_count++] = (struct gib_enumerator){copy, value};
    }
    struct gib_type base = {.is_signed = negative};
    uint64_t encoding;
    if (gib_type_of(type, &underlying) && gib_type_strip(&underlying) &&
        dwarf_tag(&underlying) == DW_TAG_base_type)
        fill_base(&base, &underlying);
    else if (gib_die_number(type, DW_AT_encoding, &encoding))
        base.is_signed = encoding == DW_ATE_signed;
    out->is_signed = base.is_signed;
}

static void fill_pointer(struct gib_type *out, Dwarf_Die *type)
{
    Dwarf_Die to;
    out->kind = GIB_TYPE_POINTER;
    if (dwarf_tag(type) == DW_TAG_pointer_type && gib_type_of(type, &to) && gib_type_strip(&to) &&
        is_character(&to))
        out->kind = GIB_TYPE_STRING;
}

void gib_type_fill(struct gib_type *out, Dwarf_Die *type, bool cxx)
{
    *out = (struct gib_type){.kind = GIB_TYPE_VOID, .known_layout = true};
    /* A const parameter is the callee's business, and a const result nobody's. */
    Dwarf_Die bare, target;
    for (int steps = 0; type && steps < gib_type_depth && is_qualifier(dwarf_tag(type)); steps++)
        type = gib_type_of(type, &target) ? (bare = target, &bare) : NULL;
    out->name = gib_type_spell(type, cxx);
    if (!type)
        return;
    Dwarf_Die outer = *type;
    type = &outer;
    bare = outer;
    if (!gib_type_strip(&bare))
        return;
    switch (dwarf_tag(&bare)) {
    case DW_TAG_base_type:
        fill_base(out, &bare);
        break;
    case DW_TAG_enumeration_type:
        fill_enum(out, &bare);
        break;
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
    case DW_TAG_unspecified_type: /* std::nullptr_t */
        fill_pointer(out, &bare);
        break;
    case DW_TAG_ptr_to_member_type:
        /* An offset, or for a function a pair of words. */
        out->kind = GIB_TYPE_INT;
        out->is_signed = true;
        if (gib_type_of(&bare, &target) && gib_type_strip(&target) &&
            dwarf_tag(&target) == DW_TAG_subroutine_type)
            out->kind = GIB_TYPE_RECORD;
        break;
    case DW_TAG_array_type:
        out->kind = gib_die_flag(&bare, DW_AT_GNU_vector) ? GIB_TYPE_VECTOR : GIB_TYPE_RECORD;
        break;
    default:
        out->kind = GIB_TYPE_RECORD;
    }
    gib_type_classify(out, type, cxx);
}

enum { is_const = 1, is_volatile = 2, is_restrict = 4, is_atomic = 8, spelling_limit = 2000 };

static const char *qualifiers(unsigned set)
{
    static const char *const words[16] = {"",
                                          "const ",
                                          "volatile ",
                                          "const volatile ",
                                          "restrict ",
                                          "const restrict ",
                                          "volatile restrict ",
                                          "const volatile restrict ",
                                          "_Atomic ",
                                          "const _Atomic ",
                                          "volatile _Atomic ",
                                          "const volatile _Atomic ",
                                          "restrict _Atomic ",
                                          "const restrict _Atomic ",
                                          "volatile restrict _Atomic ",
                                          "const volatile restrict _Atomic "};
    return words[set & 15];
}

/* *text = before + *text + after; false when there is no memory or it grows beyond reason. */
static bool surround(char **text, const char *before, const char *middle, const char *after)
{
    char *longer = NULL;
    if (strlen(*text) < spelling_limit &&
        asprintf(&longer, "%s%s%s%s", before, middle, *text, after) < 0)
        longer = NULL;
    free(*text);
    *text = longer;
    return longer;
}

static char *spell(Dwarf_Die *type, bool cxx, unsigned depth);

/* "(int, char *)", malloc'ed. */
static char *spell_parameters(Dwarf_Die *function, bool cxx, unsigned depth)
{
    char *text = strdup("");
    Dwarf_Die child, type;
    for (bool more = gib_die_first(function, &child); more && text; more = gib_die_next(&child)) {
        int tag = dwarf_tag(&child);
        char *one = NULL;
        if (tag == DW_TAG_formal_parameter)
            one = spell(gib_type_of(&child, &type) ? &type : NULL, cxx, depth + 1);
        else if (tag == DW_TAG_unspecified_parameters)
            one = strdup("...");
        if (!one)
            continue;
        char *longer = NULL;
        if (strlen(text) < spelling_limit &&
            asprintf(&longer, "%s%s%s", text, *text ? ", " : "", one) < 0)
            longer = NULL;
        free(one);
        free(text);
        text = longer;
    }
    if (text && !*text)
        surround(&text, gib_die_flag(function, DW_AT_prototyped) && !cxx ? "void" : "", "", "");
    if (text)
        surround(&text, "(", "", ")");
    return text;
}

/* A pointer to an array or a function needs parentheses. */
static bool binds_weaker(Dwarf_Die type)
{
    for (int steps = 0; steps < gib_type_depth && is_qualifier(dwarf_tag(&type)); steps++) {
        Dwarf_Die next;
        if (!gib_type_of(&type, &next))
            return false;
        type = next;
    }
    int tag = dwarf_tag(&type);
    return tag == DW_TAG_array_type || tag == DW_TAG_subroutine_type;
}

static bool append_dimensions(char **declarator, Dwarf_Die *array)
{
    Dwarf_Die child;
    for (bool more = gib_die_first(array, &child); more; more = gib_die_next(&child)) {
        if (dwarf_tag(&child) != DW_TAG_subrange_type)
            continue;
        uint64_t bound;
        char text[32] = "[]";
        if (gib_die_number(&child, DW_AT_count, &bound) ||
            (gib_die_number(&child, DW_AT_upper_bound, &bound) && ++bound))
            snprintf(text, sizeof text, "[%llu]", (unsigned long long)bound);
        if (!surround(declarator, "", "", text))
            return false;
    }
    return true;
}

static const char *keyword(int tag, bool cxx)
{
    switch (cxx ? 0 : tag) {
    case DW_TAG_structure_type:
        return "struct ";
    case DW_TAG_union_type:
        return "union ";
    case DW_TAG_enumeration_type:
        return "enum ";
    default:
        return "";
    }
}

static const char *name_of(Dwarf_Die *type)
{
    Dwarf_Die definition;
    uint64_t size;
    const char *name = dwarf_diename(type);
    if (!name && gib_die_reference(type, DW_AT_signature, &definition))
        name = dwarf_diename(&definition);
    /* clang keeps half of the name to itself. */
    if (name && !strcmp(name, "complex") && gib_die_number(type, DW_AT_byte_size, &size))
        name = size == 8 ? "complex float" : size == 16 ? "complex double" : "complex long double";
    return name ? name : "{...}";
}

static char *spell(Dwarf_Die *start, bool cxx, unsigned depth)
{
    char *declarator = strdup("");
    unsigned set = 0;
    Dwarf_Die type, next;
    bool known = start && depth < 8;
    if (known)
        type = *start;
    /* From the outside in: pointers and dimensions gather in the declarator until a name ends it.
     */
    for (int steps = 0; declarator && known && steps < gib_type_depth; steps++) {
        const char *sign = NULL;
        int tag = dwarf_tag(&type);
        bool more = gib_type_of(&type, &next);
        switch (tag) {
        case DW_TAG_const_type:
            set |= is_const;
            break;
        case DW_TAG_volatile_type:
            set |= is_volatile;
            break;
        case DW_TAG_restrict_type:
            set |= is_restrict;
            break;
        case DW_TAG_atomic_type:
            set |= is_atomic;
            break;
        case DW_TAG_pointer_type:
            sign = "*";
            break;
        case DW_TAG_reference_type:
            sign = "&";
            break;
        case DW_TAG_rvalue_reference_type:
            sign = "&&";
            break;
        case DW_TAG_ptr_to_member_type: {
            Dwarf_Die owner;
            const char *name = gib_die_reference(&type, DW_AT_containing_type, &owner)
                                   ? dwarf_diename(&owner)
                                   : NULL;
            if (!surround(&declarator, name && strlen(name) < spelling_limit ? name : "", "::", ""))
                return NULL;
            sign = "*";
            break;
        }
        case DW_TAG_array_type:
            append_dimensions(&declarator, &type);
            break;
        case DW_TAG_subroutine_type: {
            char *parameters = spell_parameters(&type, cxx, depth);
            surround(&declarator, "", "", parameters ? parameters : "()");
            free(parameters);
            break;
        }
        default: {
            char *text = NULL;
            if (asprintf(&text, "%s%s%.*s%s%s", qualifiers(set), keyword(tag, cxx), spelling_limit,
                         name_of(&type), *declarator ? " " : "", declarator) < 0)
                text = NULL;
            free(declarator);
            return text;
        }
        }
        if (sign && declarator) {
            /* "*const" and, before another word or sign, a space; "char *const *" */
            char before[64];
            snprintf(before, sizeof before, "%s%s", sign, qualifiers(set));
            size_t length = strlen(before);
            if (!*declarator && before[length - 1] == ' ')
                before[length - 1] = 0;
            set = 0;
            surround(&declarator, before, "", "");
            if (declarator && more && binds_weaker(next))
                surround(&declarator, "(", "", ")");
        }
        known = more;
        if (more)
            type = next;
    }
    char *text = NULL;
    if (declarator &&
        asprintf(&text, "%svoid%s%s", qualifiers(set), *declarator ? " " : "", declarator) < 0)
        text = NULL;
    free(declarator);
    return text;
}

char *gib_type_spell(Dwarf_Die *type, bool cxx)
{
    return spell(type, cxx, 0);
}
