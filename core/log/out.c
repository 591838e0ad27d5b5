/* out.c: text that grows in memory. */
#include "log/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

char *gib_out_grow(struct gib_out *out, size_t size)
{
    size_t room = out->room ? out->room : 256;
    while (room - out->used < size)
        room *= 2;
    char *grown = realloc(out->bytes, room);
    if (!grown) {
        out->failed = true;
        return NULL;
    }
    out->bytes = grown;
    out->room = room;
    return grown + out->used;
}

void gib_out_free(struct gib_out *out)
{
    free(out->bytes);
    *out = (struct gib_out){0};
}

char *gib_out_take(struct gib_out *out)
{
    gib_out_byte(out, '\0');
    char *text = out->failed ? NULL : out->bytes;
    if (text)
        *out = (struct gib_out){0};
    else
        gib_out_free(out);
    return text;
}

/* Two digits at a time, from the end. Returns where they begin. */
static char *digits_before(char *end, uint64_t value)
{
    static const char pair[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "68697071727374757677787980818283848586878889909192939495969798"
        "99";
    while (value >= 100) {
        memcpy(end -= 2, pair + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10)
        memcpy(end -= 2, pair + value * 2, 2);
    else
        *--end = (char)('0' + value);
    return end;
}

void gib_out_unsigned(struct gib_out *out, uint64_t value)
{
    char digits[20], *begin = digits_before(digits + sizeof digits, value);
    gib_out_bytes(out, begin, (size_t)(digits + sizeof digits - begin));
}

void gib_out_signed(struct gib_out *out, int64_t value)
{
    if (value < 0)
        gib_out_byte(out, '-');
    gib_out_unsigned(out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void gib_out_hex(struct gib_out *out, uint64_t value)
{
    char digits[18], *at = digits + sizeof digits;
    do
        *--at = "0123456789abcdef"[value & 15];
    while (value >>= 4);
    *--at = 'x';
    *--at = '0';
    gib_out_bytes(out, at, (size_t)(digits + sizeof digits - at));
}

void gib_out_fixed(struct gib_out *out, int64_t value, int digits)
{
    char text[40], *end = text + sizeof text;
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value, unit = 1;
    for (int i = 0; i < digits; i++)
        unit *= 10;
    char *at = digits_before(end, left % unit);
    while (at > end - digits)
        *--at = '0';
    *--at = '.';
    at = digits_before(at, left / unit);
    if (value < 0)
        *--at = '-';
    gib_out_bytes(out, at, (size_t)(end - at));
}

void gib_out_printf(struct gib_out *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *at = size < 0 ? NULL : gib_out_room(out, (size_t)size + 1);
    if (!at)
        return;
    va_start(arguments, format);
    vsnprintf(at, (size_t)size + 1, format, arguments);
    va_end(arguments);
    out->used += (size_t)size;
}
