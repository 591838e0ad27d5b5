/* compare.c: whether one function may be called as if it were another. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "prototypes/prototype.h"

static const char *named(const struct gib_type *type)
{
    return type->name ? type->name : type->kind == GIB_TYPE_VOID ? "void" : "another type";
}

/* Whether the calling convention treats both alike, and both mean the same. Two pointers do: a
 * replacement often says void * or its own name for a structure. */
static bool same_type(const struct gib_type *a, const struct gib_type *b)
{
    bool pointers = (a->kind == GIB_TYPE_POINTER || a->kind == GIB_TYPE_STRING) &&
                    (b->kind == GIB_TYPE_POINTER || b->kind == GIB_TYPE_STRING);
    bool integers = (a->kind == GIB_TYPE_INT || a->kind == GIB_TYPE_ENUM ||
                     a->kind == GIB_TYPE_BOOL || a->kind == GIB_TYPE_CHAR) &&
                    (b->kind == GIB_TYPE_INT || b->kind == GIB_TYPE_ENUM ||
                     b->kind == GIB_TYPE_BOOL || b->kind == GIB_TYPE_CHAR);
    if (pointers)
        return true;
    if (integers)
        return a->size == b->size && (a->is_signed == b->is_signed || a->kind != b->kind);
    return a->kind == b->kind && a->size == b->size && a->indirect == b->indirect &&
           a->eightbyte[0] == b->eightbyte[0] && a->eightbyte[1] == b->eightbyte[1];
}

__attribute__((format(printf, 1, 2))) static char *sentence(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    return text;
}

char *gib_prototype_difference(const struct gib_prototype *a, const struct gib_prototype *b)
{
    if (!a || !b || a->unspecified || b->unspecified)
        return NULL;
    if (!same_type(&a->result, &b->result))
        return sentence("one returns %.60s, the other %.60s", named(&a->result), named(&b->result));
    for (size_t i = 0; i < a->parameter_count && i < b->parameter_count; i++) {
        const struct gib_parameter *x = &a->parameters[i], *y = &b->parameters[i];
        if (!same_type(&x->type, &y->type))
            return sentence("parameter %zu is %.60s in one, %.60s in the other", i + 1,
                            named(&x->type), named(&y->type));
    }
    if (a->parameter_count != b->parameter_count)
        return sentence("one has %zu parameter%s, the other %zu", a->parameter_count,
                        a->parameter_count == 1 ? "" : "s", b->parameter_count);
    if ((a->variadic != GIB_VARIADIC_NO) != (b->variadic != GIB_VARIADIC_NO))
        return sentence("only one of them takes further arguments (...)");
    return NULL;
}
