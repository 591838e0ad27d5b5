/*
 * names.c: what a name means: an argument, a member of `this`, a constant, a variable, a type.
 *
 * The function's own unit is asked first, then its file, then the other modules. A name without
 * `::` is also looked for in the classes and namespaces around the function, the inner ones first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "condition/typed.h"
#include "symbols/distance.h"

/* Where the last `::` of a C++ name is that is in no brackets; NULL: there is none. */
static const char *last_scope(const char *name, const char *end)
{
    int depth = 0;
    for (const char *at = end; at > name + 1; at--) {
        char last = at[-1];
        depth += last == '>' || last == ')';
        depth -= last == '<' || last == '(';
        if (!depth && last == ':' && at[-2] == ':')
            return at - 2;
    }
    return NULL;
}

void gib_names_open(struct gib_checker *c)
{
    enum { MOST = sizeof c->prefix / sizeof *c->prefix };
    struct gib_condition_file file;
    const struct gib_elf_symbol *symbol = NULL;
    if (gib_check_own_file(c, &file))
        symbol = gib_elf_symbol_at(file.elf, c->scope->entry - file.bias);
    char *name =
        symbol && !strncmp(symbol->name, "_Z", 2) ? gib_elf_function_name(symbol->name) : NULL;
    const char *end = name ? name + strlen(name) : NULL;
    while (name && c->prefixes < MOST - 1 && (end = last_scope(name, end))) {
        /* Debug information gives no name to what is in (anonymous namespace). */
        static const char anonymous[] = "(anonymous namespace)::";
        char *prefix = gib_pool_text(c->pool, name, (size_t)(end - name) + 2);
        char *hole;
        if (!prefix)
            break;
        while ((hole = strstr(prefix, anonymous)))
            memmove(hole, hole + sizeof anonymous - 1, strlen(hole + sizeof anonymous - 1) + 1);
        if (*prefix)
            c->prefix[c->prefixes++] = prefix;
    }
    free(name);
    c->prefix[c->prefixes++] = "";
}

struct found {
    struct gib_debug_name name;
    struct gib_condition_file file;
};

static char *prefixed(struct gib_checker *c, size_t i, const char *name)
{
    size_t length = strlen(c->prefix[i]);
    char *full = gib_pool_take(c->pool, length + strlen(name) + 1);
    if (full) {
        memcpy(full, c->prefix[i], length);
        strcpy(full + length, name);
    }
    return full;
}

static bool near_function(struct gib_checker *c, const char *name, unsigned what,
                          struct found *found)
{
    uint64_t vaddr = 0;
    if (!gib_check_own_file(c, &found->file))
        return false;
    vaddr = c->scope->entry - found->file.bias;
    for (size_t i = 0; i < c->prefixes; i++) {
        const char *full = prefixed(c, i, name);
        if (full && gib_elf_name_near(found->file.elf, vaddr, full, what, &found->name))
            return true;
    }
    return false;
}

/* A definition if there is one, else a declaration. */
static bool anywhere(struct gib_checker *c, const char *name, unsigned what, struct found *found)
{
    bool any = false;
    struct found one;
    for (size_t i = 0; c->scope->file && c->scope->file(c->scope->context, i, &one.file); i++)
        for (size_t j = i ? c->prefixes - 1 : 0; j < c->prefixes; j++) {
            const char *full = prefixed(c, j, name);
            if (!full || !one.file.elf ||
                !gib_elf_name_anywhere(one.file.elf, full, what, &one.name))
                continue;
            bool whole = one.name.what == GIB_DEBUG_VARIABLE
                             ? one.name.storage != GIB_DEBUG_UNLOCATED
                             : !one.name.incomplete;
            if (whole || !any)
                *found = one;
            if (whole)
                return true;
            any = true;
        }
    return any;
}

/* What <stddef.h>, <stdint.h> and <sys/types.h> define on x86-64, for programs without debug
 * information. */
static const struct {
    const char *name;
    uint8_t size;
    bool is_signed;
} usual_types[] = {
    {"size_t", 8, false},    {"ssize_t", 8, true},  {"ptrdiff_t", 8, true},  {"intptr_t", 8, true},
    {"uintptr_t", 8, false}, {"int8_t", 1, true},   {"int16_t", 2, true},    {"int32_t", 4, true},
    {"int64_t", 8, true},    {"uint8_t", 1, false}, {"uint16_t", 2, false},  {"uint32_t", 4, false},
    {"uint64_t", 8, false},  {"intmax_t", 8, true}, {"uintmax_t", 8, false}, {"off_t", 8, true},
    {"off64_t", 8, true},    {"time_t", 8, true},   {"mode_t", 4, false},    {"pid_t", 4, true},
    {"uid_t", 4, false},     {"gid_t", 4, false},   {"dev_t", 8, false},     {"ino_t", 8, false},
    {"socklen_t", 4, false}, {"wchar_t", 4, true},
};

static const struct gib_ctype *usual_type(struct gib_checker *c, const char *name)
{
    for (size_t i = 0; i < sizeof usual_types / sizeof *usual_types; i++) {
        if (strcmp(usual_types[i].name, name))
            continue;
        struct gib_ctype *type = gib_pool_take(c->pool, sizeof *type);
        if (type)
            *type = (struct gib_ctype){.kind = GIB_CTYPE_INTEGER,
                                       .size = usual_types[i].size,
                                       .is_signed = usual_types[i].is_signed,
                                       .is_char = usual_types[i].size == 1,
                                       .name = usual_types[i].name};
        return type;
    }
    return NULL;
}

static bool fits_tag(const struct gib_debug_name *name, char tag)
{
    return !tag || name->tag == tag;
}

const struct gib_ctype *gib_find_type(struct gib_checker *c, const char *name, char tag)
{
    struct found near, far;
    bool is_near = near_function(c, name, GIB_DEBUG_TYPE, &near) && fits_tag(&near.name, tag);
    if (is_near && !near.name.incomplete)
        return gib_ctype_debug(c, &near.name.type);
    const struct gib_ctype *usual = tag || is_near ? NULL : usual_type(c, name);
    if (usual)
        return usual;
    if (anywhere(c, name, GIB_DEBUG_TYPE, &far) && fits_tag(&far.name, tag))
        return gib_ctype_debug(c, &far.name.type);
    return is_near ? gib_ctype_debug(c, &near.name.type) : NULL;
}

static struct gib_operand number(struct gib_checker *c, const struct gib_syntax *syntax,
                                 const struct gib_ctype *type, uint64_t value)
{
    const struct gib_node *node = type ? gib_node_number(c, type, value) : NULL;
    return (struct gib_operand){
        .type = node ? type : NULL, .syntax = syntax, .place = GIB_PLACE_VALUE, .value = node};
}

/* An enumerator of the prototype's types: O_CREAT, where no debug information has macros. */
static bool prototype_constant(const struct gib_checker *c, const char *name, int64_t *value)
{
    const struct gib_prototype *prototype = c->scope->prototype;
    for (size_t i = 0; prototype && i <= prototype->parameter_count; i++) {
        const struct gib_type *type =
            i < prototype->parameter_count ? &prototype->parameters[i].type : &prototype->result;
        for (size_t j = 0; j < type->enumerator_count; j++)
            if (!strcmp(type->enumerators[j].name, name)) {
                *value = type->enumerators[j].value;
                return true;
            }
    }
    return false;
}

/* Where the dynamic linker has bound a variable to: a program's own definition, that of its copy
 * of a library's variable included, goes before all others. */
static bool symbol_address(struct gib_checker *c, const char *symbol, uint64_t *address)
{
    struct gib_condition_file file;
    struct gib_elf_definition definition;
    for (int program = 1; program >= 0; program--)
        for (size_t i = 0; c->scope->file && c->scope->file(c->scope->context, i, &file); i++) {
            const struct gib_elf_info *info = file.elf ? gib_elf_info(file.elf) : NULL;
            if (!info || (info->has_interpreter || !info->is_dynamic_object) != program ||
                !gib_elf_definition(file.elf, symbol, NULL, &definition) || !definition.object)
                continue;
            *address = definition.value + (definition.absolute ? 0 : file.bias);
            return true;
        }
    return false;
}

/* The definition of what a unit only declares. Link-time optimisation has definitions of static
 * variables, too, in a unit of its own; they share the type's entry. */
static bool is_elsewhere(struct gib_checker *c, const char *name, const struct found *declared,
                         struct found *definition)
{
    return anywhere(c, name, GIB_DEBUG_VARIABLE, definition) &&
           definition->name.storage == GIB_DEBUG_STATIC &&
           (declared->name.external ||
            (!definition->name.external && definition->file.elf == declared->file.elf &&
             definition->name.type.entry == declared->name.type.entry));
}

static struct gib_operand variable(struct gib_checker *c, const struct gib_syntax *syntax,
                                   const struct found *found)
{
    const struct gib_debug_name *name = &found->name;
    const struct gib_ctype *type = gib_ctype_debug(c, &name->type);
    const char *symbol = name->linkage ? name->linkage : syntax->name;
    uint64_t address = name->vaddr + found->file.bias;
    if (name->storage == GIB_DEBUG_FIXED)
        return number(c, syntax, type, (uint64_t)name->value);
    if (name->storage == GIB_DEBUG_THREAD)
        return gib_check_fail(c, GIB_E_UNSUPPORTED, syntax,
                              "\"%s\" is another variable in each thread, which conditions "
                              "cannot find%s.",
                              gib_check_shown(c, syntax),
                              strcmp(syntax->name, "errno") ? ""
                                                            : "; $errno is that of the return");
    bool is_placed = name->storage != GIB_DEBUG_UNLOCATED;
    if (name->external && symbol_address(c, symbol, &address))
        is_placed = true;
    struct found other;
    /* A static one is its unit's own: what has its name elsewhere is another. */
    if (!is_placed && is_elsewhere(c, syntax->name, found, &other)) {
        address = other.name.vaddr + other.file.bias;
        is_placed = true;
    }
    if (!is_placed)
        return gib_check_fail(c, GIB_E_NOT_FOUND, syntax,
                              "debug information does not say where \"%s\" is: it was "
                              "optimised away, or its module is not loaded.",
                              gib_check_shown(c, syntax));
    const struct gib_node *node = gib_node_number(c, &gib_ctype_unsigned_long, address);
    return node && type ? gib_check_at(c, syntax, node, type) : (struct gib_operand){.type = NULL};
}

/* ---- Did you mean ---- */

struct guess {
    const char *name, *best;
    char copy[64];
    unsigned distance;
};

static void guess(void *context, const char *name)
{
    struct guess *g = context;
    unsigned distance = name ? gib_name_distance(g->name, name, g->distance) : g->distance;
    if (!distance || distance >= g->distance || strlen(name) >= sizeof g->copy)
        return;
    g->distance = distance;
    strcpy(g->copy, name);
    g->best = g->copy;
}

/* Names that can stand alone. */
static void visit_names(struct gib_checker *c, void (*visit)(void *context, const char *name),
                        void *context)
{
    const struct gib_prototype *prototype = c->scope->prototype;
    struct gib_condition_file file;
    for (size_t i = 0; prototype && i <= prototype->parameter_count; i++) {
        bool is_parameter = i < prototype->parameter_count;
        const struct gib_type *type =
            is_parameter ? &prototype->parameters[i].type : &prototype->result;
        if (is_parameter && prototype->parameters[i].name)
            visit(context, prototype->parameters[i].name);
        for (size_t j = 0; j < type->enumerator_count; j++)
            visit(context, type->enumerators[j].name);
    }
    static const struct gib_syntax nowhere;
    struct gib_operand object = gib_check_parameter(c, &nowhere, "this");
    if (object.type && object.type->kind == GIB_CTYPE_POINTER) {
        const struct gib_ctype *target = gib_ctype_complete(c, gib_ctype_target(c, object.type));
        if (target && target->has_debug)
            gib_debug_members(&target->debug, visit, context);
    }
    if (gib_check_own_file(c, &file))
        gib_elf_names_near(file.elf, c->scope->entry - file.bias, visit, context);
}

/* " (fd, buf, count)", as far as there is room; "" when they have no names. */
static void list_arguments(const struct gib_checker *c, char *out, size_t size)
{
    const struct gib_prototype *prototype = c->scope->prototype;
    size_t used = 0;
    *out = '\0';
    for (size_t i = 0; prototype && i < prototype->parameter_count; i++) {
        const char *name = prototype->parameters[i].name;
        if (!name || used + strlen(name) + 8 > size)
            continue;
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : " (", name);
    }
    if (used)
        strcpy(out + used, ")");
}

static struct gib_operand not_found(struct gib_checker *c, const struct gib_syntax *syntax)
{
    struct guess g = {.name = syntax->name, .distance = strlen(syntax->name) < 5 ? 2 : 3};
    char arguments[100];
    visit_names(c, guess, &g);
    if (syntax->name[0] == 'E')
        for (int number = 1; number < 256; number++)
            guess(&g, strerrorname_np(number));
    list_arguments(c, arguments, sizeof arguments);
    return gib_check_fail(c, GIB_E_NOT_FOUND, syntax,
                          "\"%s\" is no argument of %s%s, no variable and no enumerator.%s%s%s",
                          gib_check_shown(c, syntax), gib_check_function(c),
                          g.best ? "" : arguments, g.best ? " Did you mean " : "",
                          g.best ? g.best : "", g.best ? "?" : "");
}

static struct gib_operand keyword(struct gib_checker *c, const struct gib_syntax *syntax)
{
    if (!strcmp(syntax->name, "true") || !strcmp(syntax->name, "false"))
        return number(c, syntax, &gib_ctype_bool, syntax->name[0] == 't');
    if (strcmp(syntax->name, "NULL") && strcmp(syntax->name, "nullptr"))
        return (struct gib_operand){.type = NULL};
    struct gib_operand null = number(c, syntax, gib_ctype_pointer(c, &gib_ctype_void), 0);
    null.is_null = true;
    return null;
}

/* The class of `*this`, whole or not, and where it is; NULL, without an error: there is none. */
static const struct gib_ctype *own_class(struct gib_checker *c, const struct gib_syntax *syntax,
                                         const struct gib_node **address)
{
    struct gib_operand object = gib_check_parameter(c, syntax, "this");
    if (!object.type || object.type->kind != GIB_CTYPE_POINTER)
        return NULL;
    *address = gib_check_value(c, &object);
    const struct gib_ctype *target = gib_ctype_target(c, object.type);
    return *address && target && target->kind == GIB_CTYPE_RECORD ? target : NULL;
}

/* A member of `*this` by its name alone. */
static struct gib_operand own_member(struct gib_checker *c, const struct gib_syntax *syntax)
{
    const struct gib_node *address;
    const struct gib_ctype *class = own_class(c, syntax, &address);
    if (!class)
        return (struct gib_operand){.type = NULL};
    struct gib_operand record = gib_check_at(c, syntax, address, class);
    return gib_check_find_member(c, &record, syntax->name);
}

/* A static member or an enumerator of the class, or of one that it is derived from. */
static bool in_own_class(struct gib_checker *c, const struct gib_syntax *syntax, unsigned what,
                         struct found *found)
{
    const struct gib_node *address;
    const struct gib_ctype *class = own_class(c, syntax, &address);
    return class && class->has_debug && gib_check_own_file(c, &found->file) &&
           gib_debug_name_in(&class->debug, syntax->name, what, &found->name);
}

/* "ns::Class::name" of what was found in a class. */
static char *member_name(struct gib_checker *c, const char *name, const struct found *member)
{
    const struct gib_ctype *owner = gib_ctype_debug(c, &member->name.owner[0]);
    size_t size = owner ? strlen(owner->name) + strlen(name) + 3 : 0;
    char *full = size ? gib_pool_take(c->pool, size) : NULL;
    if (full)
        snprintf(full, size, "%s::%s", owner->name, name);
    return full;
}

/* With type units, a class does not lead to the definitions of its static members. */
static bool defined_elsewhere(struct gib_checker *c, const char *name, unsigned what,
                              const struct found *own, struct found *found)
{
    char *full = member_name(c, name, own);
    return full && near_function(c, full, what, found);
}

static struct gib_operand constant_or_variable(struct gib_checker *c,
                                               const struct gib_syntax *syntax,
                                               const struct found *found)
{
    if (found->name.what == GIB_DEBUG_CONSTANT)
        return number(c, syntax, gib_ctype_debug(c, &found->name.type),
                      (uint64_t)found->name.value);
    return variable(c, syntax, found);
}

struct gib_operand gib_check_static_member(struct gib_checker *c, const struct gib_syntax *syntax,
                                           const struct gib_ctype *class)
{
    enum { VALUES = GIB_DEBUG_CONSTANT | GIB_DEBUG_VARIABLE };
    struct found member = {.name.storage = GIB_DEBUG_UNLOCATED};
    if (!gib_debug_name_in(&class->debug, syntax->name, VALUES, &member.name))
        return (struct gib_operand){.type = NULL};
    if (member.name.owner[1].entry)
        return gib_check_ambiguous(c, syntax, syntax->name, member.name.owner);
    /* By its whole name: the class may be of another module than the function. */
    struct gib_syntax *whole = gib_pool_take(c->pool, sizeof *whole);
    char *name = whole ? member_name(c, syntax->name, &member) : NULL;
    if (!name || (!near_function(c, name, VALUES, &member) && !anywhere(c, name, VALUES, &member)))
        return (struct gib_operand){.type = NULL};
    *whole = *syntax;
    whole->name = name;
    return constant_or_variable(c, whole, &member);
}

/* A function as a value: its address, if there is one of that name. */
static struct gib_operand function(struct gib_checker *c, const struct gib_syntax *syntax)
{
    struct gib_range range[2];
    if (!c->scope->function || c->scope->function(c->scope->context, syntax->name, range, 2) != 1)
        return (struct gib_operand){.type = NULL};
    struct gib_operand out =
        number(c, syntax, gib_ctype_pointer(c, &gib_ctype_void), range[0].start);
    out.place = GIB_PLACE_FUNCTION; /* f and &f are the same */
    return out;
}

static bool is_own_file(const struct gib_checker *c, const struct gib_condition_file *file)
{
    struct gib_condition_file own;
    return gib_check_own_file(c, &own) && own.elf == file->elf;
}

/* Whether the function's own file has one function of this name. */
static bool has_function(const struct gib_checker *c, const char *name)
{
    struct gib_condition_file own;
    struct gib_range range[2];
    return gib_check_own_file(c, &own) && c->scope->function &&
           c->scope->function(c->scope->context, name, range, 2) == 1 &&
           gib_elf_symbol_at(own.elf, range[0].start - own.bias);
}

struct gib_operand gib_check_name(struct gib_checker *c, const struct gib_syntax *syntax)
{
    enum { VALUES = GIB_DEBUG_CONSTANT | GIB_DEBUG_VARIABLE };
    bool qualified = strchr(syntax->name, ':');
    struct found found;
    int64_t value;
    c->error->code = 0;
    struct gib_operand out = {.type = NULL};
    if (!qualified) {
        out = keyword(c, syntax);
        if (!out.type && !c->error->code)
            out = gib_check_parameter(c, syntax, syntax->name);
    }
    /* Base::member, too. */
    if (!out.type && !c->error->code)
        out = own_member(c, syntax);
    if (out.type || c->error->code)
        return out;
    struct found own = {.name.storage = GIB_DEBUG_UNLOCATED};
    bool is_own = !qualified && in_own_class(c, syntax, VALUES, &own);
    if (is_own && own.name.owner[1].entry)
        return gib_check_ambiguous(c, syntax, syntax->name, own.name.owner);
    bool is_whole =
        is_own && (own.name.what == GIB_DEBUG_CONSTANT || own.name.storage != GIB_DEBUG_UNLOCATED);
    if (is_own && !is_whole && defined_elsewhere(c, syntax->name, VALUES, &own, &found))
        return constant_or_variable(c, syntax, &found);
    if (!is_whole && near_function(c, syntax->name, VALUES, &found))
        return constant_or_variable(c, syntax, &found);
    if (is_own)
        return constant_or_variable(c, syntax, &own);
    if (prototype_constant(c, syntax->name, &value))
        return number(c, syntax,
                      value == (int32_t)value    ? &gib_ctype_int
                      : value == (uint32_t)value ? &gib_ctype_unsigned
                                                 : &gib_ctype_long,
                      (uint64_t)value);
    /* Libraries keep variables of short names, most of them for themselves. */
    bool is_far = anywhere(c, syntax->name, VALUES, &found);
    bool is_lost = is_far && found.name.what == GIB_DEBUG_VARIABLE &&
                   found.name.storage == GIB_DEBUG_UNLOCATED;
    if (is_far && !is_lost && (is_own_file(c, &found.file) || !has_function(c, syntax->name)))
        return constant_or_variable(c, syntax, &found);
    if (syntax->name[0] == 'E' && (value = gib_errno_number(syntax->name)) > 0)
        return number(c, syntax, &gib_ctype_int, (uint64_t)value);
    out = function(c, syntax);
    if (out.type || c->error->code)
        return out;
    return is_far ? constant_or_variable(c, syntax, &found) : not_found(c, syntax);
}

void gib_condition_names(const struct gib_condition_scope *scope,
                         void (*visit)(void *context, const char *name), void *context)
{
    static const char *const words[] = {"$ret",    "$errno", "$tid",    "$calls",
                                        "$caller", "$streq", "$strstr", "$startswith"};
    struct gib_pool pool = {.block = NULL};
    struct gib_error error = {.code = 0};
    struct gib_checker c = {.scope = scope, .text = "", .pool = &pool, .error = &error};
    char argument[32];
    size_t count = scope->prototype ? scope->prototype->parameter_count : 6;
    for (size_t i = 0; i < count; i++) {
        snprintf(argument, sizeof argument, "$arg%zu", i + 1);
        visit(context, argument);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        visit(context, words[i]);
    visit_names(&c, visit, context);
    gib_pool_free(&pool);
}
