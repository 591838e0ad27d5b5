/* error.c: sentences for the user. */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>

int gib_fail(struct gib_error *error, int code, uint64_t address, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
        error->code = code;
        error->address = address;
    }
    return code;
}

char *gib_format(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    return size < 0 ? NULL : text;
}

static void show(struct gib_engine *engine, enum gib_print_style style, const char *format,
                 va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        return;
    engine->ops.print(engine->context, text, style);
    free(text);
}

void gib_print(struct gib_engine *engine, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    show(engine, GIB_PRINT_PLAIN, format, arguments);
    va_end(arguments);
}

void gib_warn(struct gib_engine *engine, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    show(engine, GIB_PRINT_WARNING, format, arguments);
    va_end(arguments);
}
