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

/* The entry with the place of the parameter described by `source`. */
static bool concrete_parameter(Dwarf_Die *concrete, Dwarf_Die *source, Dwarf_Die *found)
{
    Dwarf_Die origin;
    for (bool more = gib_die_first(concrete, found); more; more = gib_die_next(found))
        if (dwarf_tag(found) == DW_TAG_formal_parameter &&
            (found->addr == source->addr ||
             (gib_die_reference(found, DW_AT_abstract_origin, &origin) &&
              origin.addr == source->addr)))
            return true;
    return false;
}

/* A number that is the same in all calls. */
static bool is_constant(const Dwarf_Op *operation)
{
    unsigned atom = operation->atom;
    return (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) || atom == DW_OP_addr ||
           (atom >= DW_OP_const1u && atom <= DW_OP_consts) || atom == DW_OP_implicit_value;
}

/*
 * Where the argument is at the entry. Functions that only their own file calls may be passed their
 * arguments in other registers, or not at all (-fipa-sra, constant propagation); and gcc says
 * nothing else of __attribute__((ms_abi)).
 */
static void find_entry_place(struct gib_parameter *parameter, Dwarf_Die *concrete,
                             Dwarf_Die *source, uint64_t vaddr)
{
    Dwarf_Die die;
    Dwarf_Attribute attribute;
    Dwarf_Op *operation;
    size_t count;
    /* Of records and complex numbers gcc often has no place, though they are passed. */
    bool scalar = parameter->type.size <= 8 && parameter->type.kind != GIB_TYPE_RECORD &&
                  parameter->type.kind != GIB_TYPE_COMPLEX;
    bool external = inherited(concrete, DW_AT_external, &attribute);
    parameter->entry = external || !scalar ? GIB_ENTRY_USUAL : GIB_ENTRY_NOWHERE;
    if (!concrete_parameter(concrete, source, &die))
        return;
    if (dwarf_attr(&die, DW_AT_const_value, &attribute)) {
        parameter->entry = GIB_ENTRY_NOWHERE;
        return;
    }
    if (!dwarf_attr(&die, DW_AT_location, &attribute) ||
        dwarf_getlocation_addr(&attribute, vaddr, &operation, &count, 1) != 1 || !count)
        return;
    parameter->entry = is_constant(operation) ? GIB_ENTRY_NOWHERE : GIB_ENTRY_USUAL;
    if (count == 1 && operation->atom >= DW_OP_reg0 && operation->atom <= DW_OP_reg31) {
        parameter->entry = GIB_ENTRY_REGISTER;
        parameter->entry_register = (uint8_t)(operation->atom - DW_OP_reg0);
    }
}

/* Clang says so; gcc does not. */
static bool is_foreign(Dwarf_Die *function)
{
    enum { SYSTEM_V = 0xc2, SWIFT = 0xc8, PRESERVE_MOST = 0xc9, PRESERVE_ALL = 0xca };
    Dwarf_Attribute attribute;
    Dwarf_Word convention;
    if (!inherited(function, DW_AT_calling_convention, &attribute) ||
        dwarf_formudata(&attribute, &convention))
        return false;
    return convention != DW_CC_normal && convention != DW_CC_program && convention != SYSTEM_V &&
           convention != SWIFT && convention != PRESERVE_MOST && convention != PRESERVE_ALL;
}

/* Whether `child` of `source` is a parameter that counts, the one behind `used` others.
 * Constructors have hidden parameters (__in_chrg, __vtt_parm), of which each variant is passed
 * some. */
static bool is_parameter(Dwarf_Die *concrete, Dwarf_Die *source, Dwarf_Die *child, size_t used)
{
    Dwarf_Attribute attribute;
    if (dwarf_tag(child) != DW_TAG_formal_parameter)
        return false;
    bool artificial = inherited(child, DW_AT_artificial, &attribute);
    return !artificial || !used || source->addr == concrete->addr || is_passed(concrete, child);
}

static void fill_parameters(struct gib_prototype *prototype, Dwarf_Die *concrete, uint64_t vaddr,
                            bool cxx)
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
        if (used == count || !is_parameter(concrete, &source, &child, used))
            continue;
        Dwarf_Attribute attribute;
        bool artificial = inherited(&child, DW_AT_artificial, &attribute);
        struct gib_parameter *parameter = &prototype->parameters[used];
        parameter->name = parameter_name(&child, artificial, used++);
        fill_type(&parameter->type, &child, cxx);
        find_entry_place(parameter, concrete, &child, vaddr);
    }
    prototype->parameter_count = used;
}

/* The type of `die`, as fill_type sees it: what is const about a parameter is the callee's
 * business. */
static bool debug_type(Dwarf_Die *die, struct gib_debug_type *out)
{
    Dwarf_Attribute attribute;
    Dwarf_Die type, next;
    *out = (struct gib_debug_type){.entry = NULL};
    if (!inherited(die, DW_AT_type, &attribute) || !dwarf_formref_die(&attribute, &type))
        return false;
    for (int steps = 0; steps < gib_type_depth; steps++) {
        int tag = dwarf_tag(&type);
        if (tag != DW_TAG_const_type && tag != DW_TAG_volatile_type &&
            tag != DW_TAG_restrict_type && tag != DW_TAG_atomic_type)
            break;
        if (!gib_type_of(&type, &next))
            return false;
        type = next;
    }
    *out = gib_debug_type_of(&type);
    return true;
}

bool gib_elf_parameter_type(struct gib_elf *elf, uint64_t vaddr, size_t index,
                            struct gib_debug_type *out)
{
    Dwarf_Die concrete, source, child;
    size_t used = 0;
    if (!gib_elf_subprogram(elf, vaddr, &concrete))
        return false;
    parameter_source(&concrete, &source);
    for (bool more = gib_die_first(&source, &child); more; more = gib_die_next(&child))
        if (is_parameter(&concrete, &source, &child, used) && used++ == index)
            return debug_type(&child, out);
    return false;
}

bool gib_elf_result_type(struct gib_elf *elf, uint64_t vaddr, struct gib_debug_type *out)
{
    Dwarf_Die die;
    return gib_elf_subprogram(elf, vaddr, &die) && debug_type(&die, out);
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
    fill_parameters(prototype, &die, vaddr, cxx);
    prototype->foreign = is_foreign(&die);
    bool prototyped = inherited(&die, DW_AT_prototyped, &attribute);
    bool c = language == DW_LANG_C89 || language == DW_LANG_C || language == DW_LANG_C99 ||
             language == DW_LANG_C11 || language == 0x2c; /* DW_LANG_C17 */
    if (c && !prototyped && !prototype->parameter_count) {
        prototype->unspecified = true;
        prototype->variadic = GIB_VARIADIC_NO;
    }
    return prototype;
}
