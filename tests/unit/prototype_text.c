#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "prototype_text.h"

static char text[8192];
static size_t used;

__attribute__((format(printf, 1, 2))) static void put(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text + used, sizeof text - used, format, arguments);
    va_end(arguments);
    if (length > 0)
        used += (size_t)length;
    if (used >= sizeof text)
        used = sizeof text - 1;
}

/* The classes, unless they are those of every value of this kind and size up to eight bytes. */
static void put_classes(const struct gib_type *type)
{
    static const char letters[] = "-ISUXM";
    bool vector = type->kind == GIB_TYPE_FLOAT || type->kind == GIB_TYPE_COMPLEX;
    enum gib_abi_class usual = vector ? GIB_CLASS_SSE : GIB_CLASS_INTEGER;
    if (type->kind != GIB_TYPE_RECORD && type->kind != GIB_TYPE_VECTOR && type->size <= 8 &&
        type->eightbyte[0] == usual && type->eightbyte[1] == GIB_CLASS_NONE)
        return;
    put("[%c%c]", letters[type->eightbyte[0]], letters[type->eightbyte[1]]);
}

static void put_type(const struct gib_type *type)
{
    put("%s=", type->name);
    if (!type->known_layout && type->kind != GIB_TYPE_VOID)
        put("?");
    switch (type->kind) {
    case GIB_TYPE_VOID:
        put("v");
        return;
    case GIB_TYPE_STRING:
    case GIB_TYPE_POINTER:
        put(type->kind == GIB_TYPE_STRING ? "s" : "p");
        if (type->size != 8 || type->align != 8 || type->eightbyte[0] != GIB_CLASS_INTEGER)
            put("!");
        return;
    case GIB_TYPE_BOOL:
        put("b%u", type->size);
        break;
    case GIB_TYPE_CHAR:
        put("%c%u", type->is_signed ? 'c' : 'C', type->size);
        break;
    case GIB_TYPE_INT:
        put("%c%u", type->is_signed ? 'i' : 'u', type->size);
        break;
    case GIB_TYPE_ENUM:
        put("%c%u(%zu)", type->is_signed ? 'e' : 'E', type->size, type->enumerator_count);
        break;
    case GIB_TYPE_FLOAT:
        put("f%u", type->size);
        break;
    case GIB_TYPE_COMPLEX:
        put("x%u", type->size);
        break;
    case GIB_TYPE_RECORD:
        put("r%u/%u", type->size, type->align);
        break;
    case GIB_TYPE_VECTOR:
        put("v%u", type->size);
        break;
    }
    put_classes(type);
}

const char *prototype_text(const struct gib_prototype *prototype)
{
    static const char *const variadic[] = {"", " ...", " ...printf", " ...open"};
    static const char *const failure[] = {"", " errno", " errno?"};
    used = 0;
    put_type(&prototype->result);
    put(" %s(", prototype->name);
    for (size_t i = 0; i < prototype->parameter_count; i++) {
        put("%s%s:", i ? ", " : "",
            prototype->parameters[i].name ? prototype->parameters[i].name : "");
        put_type(&prototype->parameters[i].type);
    }
    put(")%s%s%s", variadic[prototype->variadic], failure[prototype->failure],
        prototype->unspecified ? " unspecified" : "");
    return text;
}
