/* types.c: the types of a condition: C's own, and those of the program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "condition/typed.h"

#define INTEGER(bytes, sign, spelling)                                                             \
    {                                                                                              \
        .kind = GIB_CTYPE_INTEGER, .size = bytes, .is_signed = sign, .name = spelling              \
    }
const struct gib_ctype gib_ctype_int = INTEGER(4, true, "int");
const struct gib_ctype gib_ctype_unsigned = INTEGER(4, false, "unsigned int");
const struct gib_ctype gib_ctype_long = INTEGER(8, true, "long");
const struct gib_ctype gib_ctype_unsigned_long = INTEGER(8, false, "unsigned long");
static const struct gib_ctype type_short = INTEGER(2, true, "short");
static const struct gib_ctype type_unsigned_short = INTEGER(2, false, "unsigned short");
const struct gib_ctype gib_ctype_char = {
    .kind = GIB_CTYPE_INTEGER, .size = 1, .is_signed = true, .is_char = true, .name = "char"};
static const struct gib_ctype type_unsigned_char = {
    .kind = GIB_CTYPE_INTEGER, .size = 1, .is_char = true, .name = "unsigned char"};
const struct gib_ctype gib_ctype_float = {
    .kind = GIB_CTYPE_REAL, .size = 4, .is_signed = true, .name = "float"};
const struct gib_ctype gib_ctype_double = {
    .kind = GIB_CTYPE_REAL, .size = 8, .is_signed = true, .name = "double"};
const struct gib_ctype gib_ctype_bool = {.kind = GIB_CTYPE_BOOL, .size = 1, .name = "bool"};
const struct gib_ctype gib_ctype_void = {.kind = GIB_CTYPE_VOID, .name = "void"};
static const struct gib_ctype type_long_double = {
    .kind = GIB_CTYPE_OTHER, .size = 16, .name = "long double"};
static const struct gib_ctype type_other = {
    .kind = GIB_CTYPE_OTHER, .size = 16, .name = "a type of 16 bytes or more"};

static struct gib_ctype *copy_of(struct gib_checker *c, struct gib_ctype type)
{
    struct gib_ctype *copy = gib_pool_take(c->pool, sizeof *copy);
    if (copy)
        *copy = type;
    else
        gib_condition_memory(c->error);
    return copy;
}

static const char *name_in_pool(struct gib_checker *c, const char *name)
{
    const char *copy = name ? gib_pool_text(c->pool, name, strlen(name)) : NULL;
    return copy ? copy : "?";
}

const struct gib_ctype *gib_ctype_pointer(struct gib_checker *c, const struct gib_ctype *target)
{
    if (!target)
        return NULL;
    size_t length = strlen(target->name);
    char *name = gib_pool_take(c->pool, length + 3);
    if (!name)
        return gib_condition_memory(c->error);
    bool stars = length && target->name[length - 1] == '*';
    snprintf(name, length + 3, "%s%s*", target->name, stars ? "" : " ");
    return copy_of(c, (struct gib_ctype){
                          .kind = GIB_CTYPE_POINTER, .size = 8, .name = name, .target = target});
}

const struct gib_ctype *gib_ctype_debug(struct gib_checker *c, const struct gib_debug_type *type)
{
    static const enum gib_ctype_kind kinds[] = {
        [GIB_DEBUG_VOID] = GIB_CTYPE_VOID,           [GIB_DEBUG_BOOL] = GIB_CTYPE_BOOL,
        [GIB_DEBUG_INTEGER] = GIB_CTYPE_INTEGER,     [GIB_DEBUG_ENUM] = GIB_CTYPE_INTEGER,
        [GIB_DEBUG_REAL] = GIB_CTYPE_REAL,           [GIB_DEBUG_POINTER] = GIB_CTYPE_POINTER,
        [GIB_DEBUG_REFERENCE] = GIB_CTYPE_REFERENCE, [GIB_DEBUG_ARRAY] = GIB_CTYPE_ARRAY,
        [GIB_DEBUG_RECORD] = GIB_CTYPE_RECORD,       [GIB_DEBUG_FUNCTION] = GIB_CTYPE_FUNCTION,
        [GIB_DEBUG_OTHER] = GIB_CTYPE_OTHER,
    };
    struct gib_debug_shape shape;
    gib_debug_shape(type, &shape);
    char *spelling = gib_debug_spell(type);
    struct gib_ctype made = {.kind = kinds[shape.kind],
                             .size = shape.size,
                             .is_signed = shape.is_signed || shape.kind == GIB_DEBUG_REAL,
                             .is_char = shape.is_char,
                             .is_enum = shape.kind == GIB_DEBUG_ENUM,
                             .name = name_in_pool(c, spelling),
                             .has_debug = true,
                             .debug = *type};
    free(spelling);
    bool computable = shape.size == 1 || shape.size == 2 || shape.size == 4 || shape.size == 8;
    if (made.kind == GIB_CTYPE_INTEGER && !computable)
        made.kind = GIB_CTYPE_OTHER;
    if (shape.kind == GIB_DEBUG_ENUM && shape.incomplete)
        made = (struct gib_ctype){.kind = GIB_CTYPE_OTHER, .name = made.name};
    if (made.kind == GIB_CTYPE_BOOL && shape.size != 1)
        made.kind = computable ? GIB_CTYPE_INTEGER : GIB_CTYPE_OTHER;
    if (shape.kind == GIB_DEBUG_RECORD && shape.incomplete) {
        made.has_debug = false;
        made.size = 0;
        made.missing = shape.name ? name_in_pool(c, shape.name) : NULL;
    }
    if (made.kind == GIB_CTYPE_POINTER || made.kind == GIB_CTYPE_REFERENCE ||
        made.kind == GIB_CTYPE_ARRAY) {
        if (shape.has_target)
            made.debug = shape.target;
        else
            made.target = &gib_ctype_void;
        if (made.kind != GIB_CTYPE_ARRAY)
            made.size = 8;
    }
    return copy_of(c, made);
}

const struct gib_ctype *gib_ctype_target(struct gib_checker *c, const struct gib_ctype *type)
{
    if (type->target)
        return type->target;
    return gib_ctype_debug(c, &type->debug);
}

const struct gib_ctype *gib_ctype_complete(struct gib_checker *c, const struct gib_ctype *type)
{
    if (type->kind != GIB_CTYPE_RECORD || type->has_debug || !type->missing)
        return type;
    const struct gib_ctype *found = gib_find_type(c, type->missing, 0);
    if (!found)
        found = gib_find_type(c, type->missing, 's');
    if (!found)
        found = gib_find_type(c, type->missing, 'u');
    return found && found->kind == GIB_CTYPE_RECORD && found->has_debug ? found : type;
}

/* A scalar by its size. */
static const struct gib_ctype *plain_integer(unsigned size, bool is_signed, bool is_char)
{
    switch (size) {
    case 1:
        return is_signed ? &gib_ctype_char : &type_unsigned_char;
    case 2:
        return is_signed ? &type_short : &type_unsigned_short;
    case 4:
        return is_signed ? &gib_ctype_int : &gib_ctype_unsigned;
    case 8:
        return is_signed ? &gib_ctype_long : &gib_ctype_unsigned_long;
    default:
        return &type_other;
    }
}

static const struct gib_ctype *named(struct gib_checker *c, const struct gib_ctype *type,
                                     const char *name)
{
    struct gib_ctype copy = *type;
    if (name)
        copy.name = name_in_pool(c, name);
    return copy_of(c, copy);
}

/* What a prototype says of a pointer is its name only. */
static const struct gib_ctype *pointer_by_name(struct gib_checker *c, const struct gib_type *type)
{
    static const char unsigned_char[] = "unsigned char";
    const struct gib_written_type *written =
        type->name ? gib_condition_type_name(type->name, c->pool) : NULL;
    if (type->kind == GIB_TYPE_STRING) {
        bool is_unsigned = type->name && strstr(type->name, unsigned_char);
        const struct gib_ctype *pointer =
            gib_ctype_pointer(c, is_unsigned ? &type_unsigned_char : &gib_ctype_char);
        return pointer ? named(c, pointer, type->name) : NULL;
    }
    const struct gib_ctype *found = NULL;
    if (written && written->pointers) {
        struct gib_error ignored, *error = c->error;
        c->error = &ignored;
        found = gib_ctype_written(c, written);
        c->error = error;
        if (!found && written->words == GIB_WORDS_NAME) {
            /* Nobody has its members: only its address can be looked at. */
            found = copy_of(c, (struct gib_ctype){.kind = GIB_CTYPE_RECORD,
                                                  .name = name_in_pool(c, written->name),
                                                  .missing = name_in_pool(c, written->name)});
            for (unsigned i = 0; found && i < written->pointers; i++)
                found = gib_ctype_pointer(c, found);
        }
    } else if (written && written->words == GIB_WORDS_NAME) {
        found = gib_find_type(c, written->name, written->tag);
    }
    if (found && found->kind == GIB_CTYPE_POINTER)
        return found;
    found = gib_ctype_pointer(c, &gib_ctype_void);
    return found ? named(c, found, type->name) : NULL;
}

const struct gib_ctype *gib_ctype_prototype(struct gib_checker *c, const struct gib_type *type)
{
    const char *name = type->name ? type->name : "?";
    switch (type->kind) {
    case GIB_TYPE_VOID:
        return &gib_ctype_void;
    case GIB_TYPE_BOOL:
        return type->size == 1 ? &gib_ctype_bool : plain_integer(type->size, false, false);
    case GIB_TYPE_CHAR:
    case GIB_TYPE_INT:
    case GIB_TYPE_ENUM:
        return named(c, plain_integer(type->size, type->is_signed, type->kind == GIB_TYPE_CHAR),
                     type->name);
    case GIB_TYPE_FLOAT:
        if (type->size == 4 || type->size == 8)
            return named(c, type->size == 4 ? &gib_ctype_float : &gib_ctype_double, type->name);
        return named(c, &type_other, name);
    case GIB_TYPE_STRING:
    case GIB_TYPE_POINTER:
        return pointer_by_name(c, type);
    case GIB_TYPE_RECORD: {
        const struct gib_written_type *written = gib_condition_type_name(name, c->pool);
        const struct gib_ctype *found = NULL;
        if (written && !written->pointers && written->words == GIB_WORDS_NAME)
            found = gib_find_type(c, written->name, written->tag);
        if (found && found->kind == GIB_CTYPE_RECORD && found->size == type->size)
            return found;
        return copy_of(c, (struct gib_ctype){.kind = GIB_CTYPE_RECORD,
                                             .size = type->size,
                                             .name = name_in_pool(c, name),
                                             .missing = written ? written->name : NULL});
    }
    default:
        return named(c, &type_other, name);
    }
}

const struct gib_ctype *gib_ctype_written(struct gib_checker *c,
                                          const struct gib_written_type *written)
{
    const struct gib_ctype *type = NULL;
    switch (written->words) {
    case GIB_WORDS_VOID:
        type = &gib_ctype_void;
        break;
    case GIB_WORDS_BOOL:
        type = &gib_ctype_bool;
        break;
    case GIB_WORDS_INTEGER:
        type = plain_integer(written->size, written->is_signed, written->is_char);
        break;
    case GIB_WORDS_REAL:
        type = written->size == 4   ? &gib_ctype_float
               : written->size == 8 ? &gib_ctype_double
                                    : &type_long_double;
        break;
    case GIB_WORDS_OTHER:
        type = &type_other;
        break;
    case GIB_WORDS_NAME:
        type = gib_find_type(c, written->name, written->tag);
        if (!type)
            return gib_condition_fail(
                c->error, GIB_E_NOT_FOUND, written->at,
                "no debug information of a loaded module has a type \"%s%s\".",
                written->tag == 's'   ? "struct "
                : written->tag == 'u' ? "union "
                : written->tag == 'e' ? "enum "
                                      : "",
                gib_check_short(c, written->name));
        break;
    }
    for (unsigned i = 0; type && i < written->pointers; i++)
        type = gib_ctype_pointer(c, type);
    return type;
}
