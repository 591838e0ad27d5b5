/* error.c: sentences for the user. */
#include "engine/internal.h"
#include "log/marks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* What the user typed and what the target is called may hold anything; none of it may act on the
 * terminal. Malloc'ed. */
static char *harmless(const char *text, bool lines)
{
    char *clean = NULL;
    size_t size;
    FILE *out = open_memstream(&clean, &size);
    if (!out)
        return NULL;
    gib_escape_message(out, text, lines);
    fclose(out);
    return clean;
}

void gib_error_clean(struct gib_error *error)
{
    char *text = harmless(error->message, false);
    if (!text)
        return;
    snprintf(error->message, sizeof error->message, "%s", text);
    free(text);
}

static char *format_clean(const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        return NULL;
    char *clean = harmless(text, true);
    free(text);
    return clean;
}

void gib_show_text(struct gib_engine *engine, const char *text, enum gib_print_style style)
{
    bool paged = style == GIB_PRINT_PLAIN;
    if (paged)
        gib_lend_interrupts(true);
    engine->ops.print(engine->context, text, style);
    if (paged)
        gib_lend_interrupts(false);
}

void gib_show_marked(struct gib_engine *engine, const char *text, enum gib_print_style style)
{
    char *shown = gib_marks_translate(text, engine->ops.styles(engine->context));
    if (shown)
        gib_show_text(engine, shown, style);
    free(shown);
}

static void show(struct gib_engine *engine, enum gib_print_style style, const char *format,
                 va_list arguments)
{
    char *text = format_clean(format, arguments);
    if (!text)
        return;
    gib_show_text(engine, text, style);
    free(text);
}

/* Adds to the line that is under way. Debuggers get whole lines. */
static void print(struct gib_engine *engine, const char *text)
{
    char *whole = gib_format("%s%s", engine->line ? engine->line : "", text ? text : "");
    free(engine->line);
    engine->line = NULL;
    if (whole && *whole && whole[strlen(whole) - 1] != '\n')
        engine->line = whole;
    else if (whole)
        gib_show_marked(engine, whole, GIB_PRINT_PLAIN);
    if (!engine->line)
        free(whole);
}

void gib_print(struct gib_engine *engine, const char *format, ...)
{
    va_list arguments;
    if (engine->quiet)
        return;
    va_start(arguments, format);
    char *text = format_clean(format, arguments);
    va_end(arguments);
    print(engine, text);
    free(text);
}

void gib_print_as(struct gib_engine *engine, char mark, const char *format, ...)
{
    va_list arguments;
    if (engine->quiet)
        return;
    va_start(arguments, format);
    char *text = format_clean(format, arguments);
    va_end(arguments);
    char *marked = gib_format("%c%s%c", mark, text ? text : "", GIB_MARK_END);
    print(engine, marked);
    free(marked);
    free(text);
}

void gib_warn(struct gib_engine *engine, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    show(engine, GIB_PRINT_WARNING, format, arguments);
    va_end(arguments);
}

int gib_ask(struct gib_engine *engine, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *question = format_clean(format, arguments);
    va_end(arguments);
    gib_lend_interrupts(true);
    int answer = question ? engine->ops.query(engine->context, question) : -1;
    gib_lend_interrupts(false);
    free(question);
    return answer;
}
