/*
 * format.h: which arguments a printf format takes. The agent needs it to record them, the log to
 * show them.
 */
#ifndef GIBBON_FORMAT_H
#define GIBBON_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

static inline bool gib_is_one_of(char c, const char *set)
{
    for (; *set; set++)
        if (*set == c)
            return true;
    return false;
}

/* One conversion of a printf format, C11 7.21.6.1; `at` is behind the percent sign. */
struct gib_conversion {
    uint32_t stars; /* `*` widths and precisions: an int each */
    char kind; /* i, f (double), L (long double), s, or 0: nothing is taken, or not understood */
    bool stop;
};
static inline uint32_t gib_parse_conversion(const char *format, uint32_t size, uint32_t at,
                                            struct gib_conversion *out)
{
    out->stars = 0;
    out->kind = 0;
    out->stop = false;
    while (at < size && gib_is_one_of(format[at], "-+ #0'I123456789.*")) {
        if (format[at] == '*')
            out->stars++;
        at++;
    }
    bool is_long_double = false, is_wide = false;
    while (at < size && gib_is_one_of(format[at], "hlLqjzt")) {
        is_long_double |= format[at] == 'L';
        is_wide |= format[at] == 'l';
        at++;
    }
    if (at >= size) {
        out->stop = true;
        return at;
    }
    char c = format[at++];
    if (gib_is_one_of(c, "diouxXcCpnS"))
        out->kind = 'i';
    else if (c == 's')
        out->kind = is_wide ? 'i' : 's';
    else if (gib_is_one_of(c, "eEfFgGaA"))
        out->kind = is_long_double ? 'L' : 'f';
    else if (c != '%' && c != 'm')
        out->stop = true; /* %1$s and the unknown: what follows cannot be told */
    return at;
}

#endif
