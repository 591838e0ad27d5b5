/*
 * dwarf_prototype.c: what debug information says of a function's parameters and result.
 */
#include <stdlib.h>
#include "elf/file.h"
#include "elf/dwarf_types.h"

enum { parameter_limit = 1000 };

static bool is_cxx(int language)
{
    switch (language) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
    case 0x2a: /* DW_LANG_C_plus_plus_17 and _20, which dwarf.h does not have yet */
    case 0x2b:
        return true;
    default:
        return false;
    }
}

static size_t count_parameters(Dwarf_Die *function)
{
    Dwarf_Die child;
    size_t count = 0;
    for (bool more = gib_die_first(function, &child); more; more = gib_die_next(&child))
        count += dwarf_tag(&child) == DW_TAG_formal_parameter;
    return count;
}

/* Whether `concrete` has a parameter whose origin is `abstract`. */
static bool is_passed(Dwarf_Die *concrete, Dwarf_Die *abstract)
{
    Dwarf_Die child, origin;
    for (bool more = gib_die_first(concrete, &child); more; more = gib_die_next(&child))
        if (dwarf_tag(&child) == DW_TAG_formal_parameter &&
            gib_die_reference(&child, DW_AT_abstract_origin, &origin) &&
            origin.addr == abstract->addr)
            return true;
    return false;
}

/*
 * The entry whose children are the parameters. An abstract entry has all of them in order, which
 * optimised code's own entry need not; a definition outside of its class has the names, which the
 * declaration in it need not.
 */
static void parameter_source(Dwarf_Die *concrete, Dwarf_Die *source)
{
    Dwarf_Die next;
    *source = *concrete;
    for (int steps = 0; steps < 8; steps++) {
        if (gib_die_reference(source, DW_AT_abstract_origin, &next)) {
            if (!count_parameters(&next) && count_parameters(source))
                return;
        } else if (!gib_die_reference(source, DW_AT_specification, &next) ||
                   count_parameters(source) >= count_parameters(&next)) {
            return;
        }
        *source = next;
    }
}

/* Attributes of the entry or, failing that, of those that it completes. */
static bool inherited(Dwarf_Die *die, unsigned name, Dwarf_Attribute *attribute)
{
    Dwarf_Die at = *die, next;
    for (int steps = 0; steps < 8; steps++) {
        if (dwarf_attr(&at, name, attribute))
            return true;
        if (!gib_die_reference(&at, DW_AT_abstract_origin, &next) &&
            !gib_die_reference(&at, DW_AT_specification, &next))
            return false;
        at = next;
    }
    return false;
}

static void fill_type(struct gib_type *out, Dwarf_Die *die, bool cxx)
{
    Dwarf_Attribute attribute;
    Dwarf_Die type;
    bool has = inherited(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, &type);
    gib_type_fill(out, has ? &type : NULL, cxx);
    if (has)
        gib_type_members(out, &type, cxx);
}

static char *parameter_name(Dwarf_Die *die, bool artificial, size_t index)
{
    Dwarf_Attribute attribute;
    const char *name = inherited(die, DW_AT_name, &attribute) ? dwarf_formstring(&attribute) : NULL;
    if (!name && artificial && index == 0)
        name = "this";
    while (name && *name == '_')
        name++;
    return name && *name ? strdup(name) : NULL;
}

static void fill_parameters(struct gib_prototype *prototype, Dwarf_Die *concrete, bool cxx)
{
    Dwarf_Die source, child;
    parameter_source(concrete, &source);
    size_t count = count_parameters(&source), used = 0;
    if (count > parameter_limit)
        count = parameter_limit;
    prototype->parameters = calloc(count + 1, sizeof *prototype->parameters);
    if (!prototype->parameters)
        return;
    for (bool more = gib_die_first(&source, &child); more; more = gib_die_next(&child)) {
        if (dwarf_tag(&child) == DW_TAG_unspecified_parameters)
            prototype->variadic = GIB_VARIADIC_UNKNOWN;
        if (dwarf_tag(&child) != DW_TAG_formal_parameter || used == count)
            continue;
        /* Constructors have hidden parameters (__in_chrg, __vtt_parm), of which each variant is
         * passed some. */
        Dwarf_Attribute attribute;
        bool artificial = inherited(&child, DW_AT_artificial, &attribute);
        if (artificial && used && source.addr != concrete->addr && !is_passed(concrete, &child))
            continue;
        struct gib_parameter *parameter = &prototype->parameters[used];
        parameter->name = parameter_name(&child, artificial, used++);
        fill_type(&parameter->type, &child, cxx);
    }
    prototype->parameter_count = used;
}

struct gib_prototype *gib_elf_prototype(struct gib_elf *elf, uint64_t vaddr)
{
    Dwarf_Die die, unit;
    if (!gib_elf_subprogram(elf, vaddr, &die) || !dwarf_diecu(&die, &unit, NULL, NULL))
        return NULL;
    int language = dwarf_srclang(&unit);
    /* The assembler describes its labels as functions without parameters. It cannot know. */
    if (language == DW_LANG_Mips_Assembler)
        return NULL;
    struct gib_prototype *prototype = calloc(1, sizeof *prototype);
    if (!prototype)
        return NULL;
    bool cxx = is_cxx(language);
    Dwarf_Attribute attribute;
    const char *name =
        inherited(&die, DW_AT_name, &attribute) ? dwarf_formstring(&attribute) : NULL;
    prototype->name = name ? strdup(name) : NULL;
    fill_type(&prototype->result, &die, cxx);
    fill_parameters(prototype, &die, cxx);
    bool prototyped = inherited(&die, DW_AT_prototyped, &attribute);
    bool c = language == DW_LANG_C89 || language == DW_LANG_C || language == DW_LANG_C99 ||
             language == DW_LANG_C11 || language == 0x2c; /* DW_LANG_C17 */
    if (c && !prototyped && !prototype->parameter_count) {
        prototype->unspecified = true;
        prototype->variadic = GIB_VARIADIC_NO;
    }
    return prototype;
}
