/*
 * dwarf_names.c: from a name to what debug information has by it.
 *
 * No index is built: a unit is searched along the name's own path, `ns`, then `Class`, then `name`.
 * Files that cannot have the name are told by their tables of strings, which takes a few
 * milliseconds where reading all units would take seconds.
 */
#include <stdlib.h>
#include <string.h>
#include "elf/debug_types.h"
#include "elf/dwarf_types.h"
#include "elf/file.h"

struct wanted {
    unsigned what;
    struct gib_debug_name *out;
    bool some; /* *out has a declaration; a definition is better */
    Dwarf_Die unit;
    long budget; /* entries */
};

enum { budget_of_unit = 4000000, deepest = 32 };

static bool look(struct wanted *wanted, Dwarf_Die *parent, const char *rest, unsigned depth);

/* What follows `name::` in `rest`; NULL: it does not begin so. Blanks in the name do not count. */
static const char *behind_scope(const char *rest, const char *name)
{
    for (; name && *name; name++) {
        if (*name == ' ' && *rest != ' ')
            continue;
        if (*name != *rest++)
            return NULL;
    }
    return name && rest[0] == ':' && rest[1] == ':' ? rest + 2 : NULL;
}

static bool is_name(const char *rest, const char *name)
{
    for (; name && *name; name++) {
        if (*name == ' ' && *rest != ' ')
            continue;
        if (*name != *rest++)
            return false;
    }
    return name && !*rest;
}

static char tag_of(int tag)
{
    return tag == DW_TAG_structure_type || tag == DW_TAG_class_type ? 's'
           : tag == DW_TAG_union_type                               ? 'u'
           : tag == DW_TAG_enumeration_type                         ? 'e'
                                                                    : 0;
}

/* An entry may do no more than say in which type unit its definition is; or the definition, outside
 * of its scope, refers to it. */
static Dwarf_Die definition_of(struct wanted *wanted, const Dwarf_Die *type)
{
    Dwarf_Die die = *type, definition, child;
    if (gib_die_reference(&die, DW_AT_signature, &definition))
        return definition;
    if (!gib_die_flag(&die, DW_AT_declaration))
        return die;
    for (bool more = gib_die_first(&wanted->unit, &child); more && --wanted->budget > 0;
         more = gib_die_next(&child))
        if (dwarf_tag(&child) == dwarf_tag(&die) &&
            gib_die_reference(&child, DW_AT_specification, &definition) &&
            definition.addr == die.addr)
            return child;
    return die;
}

/* True: it is a whole one, the search is over. */
static bool take_type(struct wanted *wanted, Dwarf_Die *declared)
{
    if (!(wanted->what & GIB_DEBUG_TYPE) || dwarf_hasattr(declared, DW_AT_specification))
        return false;
    Dwarf_Die definition = definition_of(wanted, declared), *die = &definition;
    bool incomplete = gib_die_flag(die, DW_AT_declaration);
    if (incomplete && wanted->some)
        return false;
    *wanted->out = (struct gib_debug_name){.what = GIB_DEBUG_TYPE,
                                           .type = gib_debug_type_of(die),
                                           .incomplete = incomplete,
                                           .tag = tag_of(dwarf_tag(die))};
    wanted->some = true;
    return !incomplete;
}

static bool constant_of(Dwarf_Die *die, int64_t *value)
{
    Dwarf_Attribute attribute;
    Dwarf_Sword number;
    Dwarf_Word word;
    if (!dwarf_attr_integrate(die, DW_AT_const_value, &attribute))
        return false;
    /* gcc writes unsigned values with the fixed forms, which libdw would sign-extend. */
    unsigned form = dwarf_whatform(&attribute);
    if (form == DW_FORM_sdata || form == DW_FORM_implicit_const) {
        if (dwarf_formsdata(&attribute, &number))
            return false;
        *value = number;
        return true;
    }
    if (dwarf_formudata(&attribute, &word))
        return false;
    *value = (int64_t)word;
    return true;
}

/* Where a variable is; false: its entry does not say. */
static bool locate(Dwarf_Die *die, struct gib_debug_name *out)
{
    Dwarf_Attribute attribute, address;
    Dwarf_Op *operation;
    Dwarf_Addr vaddr;
    size_t count;
    if (!dwarf_attr(die, DW_AT_location, &attribute) ||
        dwarf_getlocation(&attribute, &operation, &count) || !count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (operation[i].atom == DW_OP_form_tls_address ||
            operation[i].atom == DW_OP_GNU_push_tls_address) {
            out->storage = GIB_DEBUG_THREAD;
            return true;
        }
    if (count != 1)
        return false;
    if (operation->atom == DW_OP_addr) {
        vaddr = operation->number;
    } else if ((operation->atom != DW_OP_addrx && operation->atom != DW_OP_GNU_addr_index) ||
               dwarf_getlocation_attr(&attribute, operation, &address) ||
               dwarf_formaddr(&address, &vaddr)) {
        return false;
    }
    out->storage = GIB_DEBUG_STATIC;
    out->vaddr = vaddr;
    return vaddr; /* 0: the linker has discarded it */
}

/* The definition that completes `declaration`, elsewhere in its unit. */
static bool find_definition(struct wanted *wanted, Dwarf_Die *parent, Dwarf_Die *declaration,
                            unsigned depth)
{
    Dwarf_Die child, specified;
    for (bool more = depth < deepest && gib_die_first(parent, &child); more;
         more = gib_die_next(&child)) {
        int tag = dwarf_tag(&child);
        if (--wanted->budget < 0)
            return false;
        if (tag == DW_TAG_variable && gib_die_reference(&child, DW_AT_specification, &specified) &&
            specified.addr == declaration->addr && locate(&child, wanted->out))
            return true;
        if (tag == DW_TAG_namespace && find_definition(wanted, &child, declaration, depth + 1))
            return true;
    }
    return false;
}

static bool take_variable(struct wanted *wanted, Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    Dwarf_Die type;
    struct gib_debug_name *out = wanted->out;
    struct gib_debug_name found = {.what = GIB_DEBUG_VARIABLE, .storage = GIB_DEBUG_UNLOCATED};
    if (!(wanted->what & GIB_DEBUG_VARIABLE) ||
        !dwarf_attr_integrate(die, DW_AT_type, &attribute) || !dwarf_formref_die(&attribute, &type))
        return false;
    struct gib_debug_name before = *out;
    found.type = gib_debug_type_of(&type);
    found.external = dwarf_attr_integrate(die, DW_AT_external, &attribute);
    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute))
        found.linkage = dwarf_formstring(&attribute);
    *out = found;
    if (locate(die, out) || find_definition(wanted, &wanted->unit, die, 0))
        return true;
    if (constant_of(die, &out->value)) {
        out->storage = GIB_DEBUG_FIXED;
        return true;
    }
    if (wanted->some)
        *out = before;
    wanted->some = true;
    return false;
}

static bool take_enumerator(struct wanted *wanted, const Dwarf_Die *declared, const char *name)
{
    Dwarf_Die child, definition = definition_of(wanted, declared), *type = &definition;
    if (!(wanted->what & GIB_DEBUG_CONSTANT))
        return false;
    for (bool more = gib_die_first(type, &child); more; more = gib_die_next(&child)) {
        if (--wanted->budget < 0)
            return false;
        int64_t value = 0;
        if (dwarf_tag(&child) != DW_TAG_enumerator || !is_name(name, dwarf_diename(&child)) ||
            !constant_of(&child, &value))
            continue;
        *wanted->out = (struct gib_debug_name){
            .what = GIB_DEBUG_CONSTANT, .type = gib_debug_type_of(type), .value = value};
        return true;
    }
    return false;
}

static bool look_at(struct wanted *wanted, Dwarf_Die *die, const char *rest, unsigned depth)
{
    int tag = dwarf_tag(die);
    Dwarf_Die imported, definition;
    const char *name, *inner;
    switch (tag) {
    case DW_TAG_namespace:
        name = dwarf_diename(die);
        inner = behind_scope(rest, name);
        if (inner && look(wanted, die, inner, depth + 1))
            return true;
        /* Its names are seen without its own. */
        return (!name || gib_die_flag(die, DW_AT_export_symbols)) &&
               look(wanted, die, rest, depth + 1);
    case DW_TAG_imported_unit:
    case DW_TAG_imported_module: /* using namespace */
        return gib_die_reference(die, DW_AT_import, &imported) &&
               look(wanted, &imported, rest, depth + 1);
    case DW_TAG_imported_declaration: /* using ns::name; namespace name = ns; */
        if (depth >= deepest || !gib_die_reference(die, DW_AT_import, &imported))
            return false;
        name = dwarf_diename(die);
        if (!name) {
            if (gib_die_reference(&imported, DW_AT_specification, &definition))
                imported = definition; /* gcc's variables; that has the name */
            return look_at(wanted, &imported, rest, depth + 1);
        }
        inner = behind_scope(rest, name);
        return inner && look(wanted, &imported, inner, depth + 1);
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        name = dwarf_diename(die);
        if (is_name(rest, name) && take_type(wanted, die))
            return true;
        inner = behind_scope(rest, name);
        if (!inner || look(wanted, die, inner, depth + 1))
            return inner;
        definition = definition_of(wanted, die);
        return definition.addr != die->addr && look(wanted, &definition, inner, depth + 1);
    case DW_TAG_enumeration_type:
        name = dwarf_diename(die);
        if (is_name(rest, name) && take_type(wanted, die))
            return true;
        inner = behind_scope(rest, name);
        if (inner && take_enumerator(wanted, die, inner))
            return true;
        return !gib_die_flag(die, DW_AT_enum_class) && take_enumerator(wanted, die, rest);
    case DW_TAG_typedef:
    case DW_TAG_base_type:
        return (wanted->what & GIB_DEBUG_TYPE) && is_name(rest, dwarf_diename(die)) &&
               take_type(wanted, die);
    case DW_TAG_member:
        if (!dwarf_hasattr(die, DW_AT_external) && !dwarf_hasattr(die, DW_AT_declaration))
            return false;
        /* fall through */
    case DW_TAG_variable:
        /* A definition of what is declared elsewhere has its name there. */
        return !dwarf_hasattr(die, DW_AT_specification) && (wanted->what & GIB_DEBUG_VARIABLE) &&
               is_name(rest, dwarf_diename(die)) && take_variable(wanted, die);
    default:
        return false;
    }
}

static bool look(struct wanted *wanted, Dwarf_Die *parent, const char *rest, unsigned depth)
{
    Dwarf_Die child;
    for (bool more = depth < deepest && gib_die_first(parent, &child); more;
         more = gib_die_next(&child)) {
        if (--wanted->budget < 0)
            return false;
        if (look_at(wanted, &child, rest, depth))
            return true;
    }
    return false;
}

/* Variables that a function keeps between its calls, and types it defines. */
static bool look_inside(struct wanted *wanted, Dwarf_Die *function, const char *name,
                        unsigned depth)
{
    Dwarf_Die child, origin;
    for (bool more = depth < deepest && gib_die_first(function, &child); more;
         more = gib_die_next(&child)) {
        int tag = dwarf_tag(&child);
        struct gib_debug_name ignored = {.vaddr = 0};
        if (--wanted->budget < 0)
            return false;
        if (tag == DW_TAG_lexical_block) {
            if (look_inside(wanted, &child, name, depth + 1))
                return true;
        } else if (tag != DW_TAG_variable
                       ? look_at(wanted, &child, name, depth)
                       : is_name(name, dwarf_diename(&child)) && locate(&child, &ignored) &&
                             take_variable(wanted, &child)) {
            return true;
        }
    }
    /* Optimised code's entry leaves to the abstract one what has no address. */
    return !depth && gib_die_reference(function, DW_AT_abstract_origin, &origin) &&
           look_inside(wanted, &origin, name, 1);
}

bool gib_elf_name_near(struct gib_elf *elf, uint64_t vaddr, const char *name, unsigned what,
                       struct gib_debug_name *out)
{
    Dwarf_Die function;
    struct wanted wanted = {.what = what, .out = out, .budget = budget_of_unit};
    if (!gib_elf_unit_at(elf, vaddr, &wanted.unit))
        return false;
    if (!strchr(name, ':') && gib_elf_subprogram(elf, vaddr, &function) &&
        look_inside(&wanted, &function, name, 0))
        return true;
    return look(&wanted, &wanted.unit, name, 0) || wanted.some;
}

/* A class's scope, and behind it those of its base classes. */
static bool look_in_class(struct wanted *wanted, Dwarf_Die *class, const char *name, unsigned depth)
{
    Dwarf_Die child, base;
    bool found = false;
    if (depth > deepest)
        return false;
    struct gib_debug_name *out = wanted->out;
    if (look(wanted, class, name, depth) || wanted->some) {
        out->owner[0] = (struct gib_debug_type){class->addr, class->cu, 0};
        return true;
    }
    for (bool more = gib_die_first(class, &child); more && --wanted->budget > 0;
         more = gib_die_next(&child)) {
        struct gib_debug_name one = {.what = 0};
        struct wanted next = *wanted;
        next.out = &one;
        if (dwarf_tag(&child) != DW_TAG_inheritance || !gib_type_of(&child, &base) ||
            !gib_type_strip(&base) || !look_in_class(&next, &base, name, depth + 1))
            continue;
        if (!found)
            *out = one;
        else if (out->owner[0].entry != one.owner[0].entry && !out->owner[1].entry)
            out->owner[1] = one.owner[0];
        found = true;
    }
    return found;
}

bool gib_debug_name_in(const struct gib_debug_type *class, const char *name, unsigned what,
                       struct gib_debug_name *out)
{
    struct wanted wanted = {.what = what, .out = out, .budget = budget_of_unit};
    Dwarf_Die die = {.addr = (void *)(uintptr_t) class->entry,
                     .cu = (struct Dwarf_CU *)(uintptr_t) class->unit};
    if (!class->entry || !gib_type_strip(&die) || !dwarf_diecu(&die, &wanted.unit, NULL, NULL))
        return false;
    return look_in_class(&wanted, &die, name, 0);
}

/* ---- in a whole file ---- */

/* The last part of "ns::Class<a::b>::name", as it stands in a table of strings; *length of it. */
static const char *last_part(const char *name, size_t *length)
{
    const char *start = name;
    int depth = 0;
    for (const char *at = name; *at; at++) {
        depth += *at == '<' || *at == '(';
        depth -= *at == '>' || *at == ')';
        if (!depth && at[0] == ':' && at[1] == ':')
            start = at + 2;
    }
    *length = strcspn(start, "< ");
    return start;
}

/* Whether a section of debug information has the name at all. Linkers merge strings by their ends:
 * one may begin inside of another. */
static bool may_have(Dwarf *dwarf, const char *name)
{
    static const char *const sections[] = {".debug_str", ".debug_info", ".debug_types",
                                           ".debug_line_str"};
    size_t length, strings;
    const char *part = last_part(name, &length);
    Elf *elf = dwarf_getelf(dwarf);
    bool any = false;
    if (!elf || elf_getshdrstrndx(elf, &strings))
        return true;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
        Elf64_Shdr *header = elf64_getshdr(section);
        const char *own = header ? elf_strptr(elf, strings, header->sh_name) : NULL;
        if (own && !strcmp(own, ".debug_addr"))
            return true; /* the strings are in .dwo files */
        for (size_t i = 0; own && i < GIB_COUNT(sections); i++) {
            if (strcmp(own, sections[i]))
                continue;
            if (header->sh_flags & SHF_COMPRESSED)
                return true; /* libdw has a copy of its own that is not */
            Elf_Data *data = elf_rawdata(section, NULL);
            if (data && data->d_buf && memmem(data->d_buf, data->d_size, part, length))
                return true;
            any = true;
        }
    }
    return !any;
}

/* Type units included, and units of .dwo files. */
static bool look_in_units(struct wanted *wanted, Dwarf *dwarf, const char *name)
{
    Dwarf_CU *unit = NULL;
    Dwarf_Die split; /* of a type unit, the type */
    uint8_t kind;
    while (!dwarf_get_units(dwarf, unit, &unit, NULL, &kind, &wanted->unit, &split)) {
        if (kind == DW_UT_skeleton && split.addr)
            wanted->unit = split;
        wanted->budget = budget_of_unit;
        if (wanted->unit.addr && look(wanted, &wanted->unit, name, 0))
            return true;
    }
    return false;
}

bool gib_elf_name_anywhere(struct gib_elf *elf, const char *name, unsigned what,
                           struct gib_debug_name *out)
{
    struct wanted wanted = {.what = what, .out = out};
    Dwarf *dwarf = gib_elf_dwarf(elf);
    bool split = dwarf && !may_have(dwarf, name);
    if (!dwarf || (split && (!elf->alternate_dwarf || !may_have(elf->alternate_dwarf, name))))
        return false;
    return look_in_units(&wanted, dwarf, name) || wanted.some;
}

static void visit_scope(Dwarf_Die *parent, void (*visit)(void *context, const char *name),
                        void *context)
{
    Dwarf_Die child, inner;
    for (bool more = gib_die_first(parent, &child); more; more = gib_die_next(&child)) {
        int tag = dwarf_tag(&child);
        if (tag == DW_TAG_variable && dwarf_diename(&child))
            visit(context, dwarf_diename(&child));
        if (tag != DW_TAG_enumeration_type || gib_die_flag(&child, DW_AT_enum_class))
            continue;
        for (bool next = gib_die_first(&child, &inner); next; next = gib_die_next(&inner))
            if (dwarf_tag(&inner) == DW_TAG_enumerator && dwarf_diename(&inner))
                visit(context, dwarf_diename(&inner));
    }
}

void gib_elf_names_near(struct gib_elf *elf, uint64_t vaddr,
                        void (*visit)(void *context, const char *name), void *context)
{
    Dwarf_Die unit;
    if (gib_elf_unit_at(elf, vaddr, &unit))
        visit_scope(&unit, visit, context);
}
