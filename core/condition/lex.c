/* lex.c: the words of a condition: C's tokens, and $names. */
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "condition/syntax.h"
#include "symbols/distance.h"

struct gib_pool_block {
    struct gib_pool_block *next;
    size_t size;
    _Alignas(16) char bytes[];
};

void *gib_pool_take(struct gib_pool *pool, size_t size)
{
    enum { BLOCK = 8192 };
    size = (size + 15) & ~(size_t)15;
    if (!pool->block || pool->block->size - pool->used < size) {
        size_t room = size > BLOCK ? size : BLOCK;
        struct gib_pool_block *block = calloc(1, sizeof *block + room);
        if (!block)
            return NULL;
        block->next = pool->block;
        block->size = room;
        pool->block = block;
        pool->used = 0;
    }
    void *taken = pool->block->bytes + pool->used;
    pool->used += size;
    return taken;
}

char *gib_pool_text(struct gib_pool *pool, const char *text, size_t length)
{
    char *copy = gib_pool_take(pool, length + 1);
    if (copy)
        memcpy(copy, text, length);
    return copy;
}

void gib_pool_free(struct gib_pool *pool)
{
    for (struct gib_pool_block *block = pool->block, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *pool = (struct gib_pool){.block = NULL};
}

void *gib_condition_fail(struct gib_error *error, int code, size_t at, const char *format, ...)
{
    if (!error)
        return NULL;
    va_list list;
    va_start(list, format);
    error->code = code;
    error->address = at + 1;
    int length = snprintf(error->message, sizeof error->message, "column %zu: ", at + 1);
    vsnprintf(error->message + length, sizeof error->message - (size_t)length, format, list);
    va_end(list);
    return NULL;
}

void *gib_condition_memory(struct gib_error *error)
{
    if (error) {
        error->code = GIB_E_MEMORY;
        error->address = 0;
        snprintf(error->message, sizeof error->message, "out of memory");
    }
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c) ||
           (c & 0x80);
}

static int digit_of(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* C11 6.4.4.1: the first type of the list that holds the value. */
static bool integer_type(struct gib_word *out, bool decimal, bool is_unsigned, bool is_long)
{
    bool fits_int = out->value <= INT32_MAX, fits_unsigned = out->value <= UINT32_MAX;
    out->type_size = 8;
    out->is_signed = !is_unsigned;
    if (!is_long && fits_int) {
        out->type_size = 4;
    } else if (!is_long && fits_unsigned && (is_unsigned || !decimal)) {
        out->type_size = 4;
        out->is_signed = false;
    } else if (!is_unsigned && out->value > INT64_MAX) {
        out->is_signed = false;
        return !decimal;
    }
    return true;
}

static bool integer_suffix(const char *at, const char *end, bool *is_unsigned, bool *is_long)
{
    static const char *const suffixes[] = {"",    "l",  "ll", "z",  "u",  "ul",
                                           "ull", "lu", "uz", "zu", "llu"};
    char lower[4] = "";
    size_t length = (size_t)(end - at);
    if (length > 3)
        return false;
    for (size_t i = 0; i < length; i++)
        lower[i] = at[i] | 0x20;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (!strcmp(lower, suffixes[i])) {
            *is_unsigned = strchr(lower, 'u');
            *is_long = strpbrk(lower, "lz");
            return true;
        }
    return false;
}

static bool no_number(struct gib_error *error, const struct gib_word *word, const char *text,
                      const char *why)
{
    char shown[GIB_SHORT_NAME];
    return gib_condition_fail(error, GIB_E_SYNTAX, word->at, "\"%s\" %s",
                              gib_text_shorten(text + word->at, word->length, shown), why);
}

static bool integer(const char *text, struct gib_word *out, struct gib_error *error)
{
    const char *at = text + out->at, *end = at + out->length;
    unsigned base = 10;
    if (at[0] == '0' && (at[1] | 0x20) == 'x') {
        base = 16;
        at += 2;
    } else if (at[0] == '0' && (at[1] | 0x20) == 'b') {
        base = 2;
        at += 2;
    } else if (at[0] == '0') {
        base = 8;
    }
    bool is_unsigned, is_long, overflow = false;
    const char *digits = at;
    for (; at < end && digit_of(*at) < (int)base; at++)
        overflow |= __builtin_mul_overflow(out->value, base, &out->value) ||
                    __builtin_add_overflow(out->value, (uint64_t)digit_of(*at), &out->value);
    if (at == digits || !integer_suffix(at, end, &is_unsigned, &is_long))
        return no_number(error, out, text, "is no number of C.");
    if (overflow || !integer_type(out, base == 10, is_unsigned, is_long))
        return no_number(error, out, text, "does not fit in 64 bits.");
    return true;
}

/* The C locale: a debugger may run in one where the point is a comma. */
static double read_real(const char *text, char **end, bool single)
{
    static locale_t plain;
    if (!plain)
        plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain)
        return single ? strtof(text, end) : strtod(text, end);
    return single ? (double)strtof_l(text, end, plain) : strtod_l(text, end, plain);
}

static bool real(const char *text, struct gib_word *out, struct gib_error *error)
{
    const char *start = text + out->at, *last = start + out->length - 1;
    char *end;
    bool hex = start[0] == '0' && (start[1] | 0x20) == 'x';
    bool single = (*last | 0x20) == 'f' &&
                  (!hex || memchr(start, 'p', out->length) || memchr(start, 'P', out->length));
    out->kind = GIB_WORD_REAL;
    out->real = read_real(start, &end, single);
    out->type_size = single ? 4 : 8;
    if (end == last && (*last | 0x20) == 'l')
        return no_number(error, out, text,
                         "is a long double, which conditions do not compute with; without the L "
                         "it is a double.");
    if (end != last + !single)
        return no_number(error, out, text, "is no number of C.");
    return true;
}

/* Numbers as the preprocessor cuts them: C11 6.4.8. */
static bool number(const char *text, struct gib_word *out, struct gib_error *error)
{
    const char *start = text + out->at, *at = start;
    bool hex = at[0] == '0' && (at[1] | 0x20) == 'x', is_real = false;
    for (; is_name(*at) || *at == '.' || *at == '+' || *at == '-'; at++) {
        bool exponent = (*at | 0x20) == (hex ? 'p' : 'e');
        if (*at == '+' || *at == '-') {
            if (at == start || (at[-1] | 0x20) != (hex ? 'p' : 'e'))
                break;
        }
        is_real |= *at == '.' || exponent;
    }
    out->kind = GIB_WORD_INTEGER;
    out->length = (size_t)(at - start);
    return is_real ? real(text, out, error) : integer(text, out, error);
}

/* The byte that an escape behind the backslash at *at means; *at is then behind it. */
static bool escape(const char *text, size_t *at, char *byte, struct gib_error *error)
{
    static const char letters[] = "abfnrtve\\'\"?", values[] = "\a\b\f\n\r\t\v\033\\'\"?";
    size_t start = (*at)++;
    char c = text[*at];
    const char *letter = c ? strchr(letters, c) : NULL;
    unsigned value = 0;
    if (letter) {
        (*at)++;
        *byte = values[letter - letters];
        return true;
    }
    if (c == 'x' && digit_of(text[*at + 1]) < 16) {
        for ((*at)++; digit_of(text[*at]) < 16 && value < 256; (*at)++)
            value = value * 16 + (unsigned)digit_of(text[*at]);
    } else if (digit_of(c) < 8) {
        for (int i = 0; i < 3 && digit_of(text[*at]) < 8; i++, (*at)++)
            value = value * 8 + (unsigned)digit_of(text[*at]);
    } else {
        return gib_condition_fail(error, GIB_E_SYNTAX, start, "\"\\%.*s\" is no escape of C.",
                                  c ? 1 : 0, text + start + 1);
    }
    if (value > 255)
        return gib_condition_fail(error, GIB_E_SYNTAX, start, "the escape is larger than a byte.");
    *byte = (char)value;
    return true;
}

static bool character(const char *text, struct gib_word *out, struct gib_error *error)
{
    size_t at = out->at + 1;
    char byte = text[at];
    if (!byte || byte == '\'')
        return gib_condition_fail(error, GIB_E_SYNTAX, out->at, "there is no character here.");
    if (byte == '\\') {
        if (!escape(text, &at, &byte, error))
            return false;
    } else {
        at++;
    }
    if (text[at] != '\'')
        return gib_condition_fail(error, GIB_E_SYNTAX, out->at,
                                  "a character constant holds one byte and ends with '; texts "
                                  "stand in double quotes.");
    out->kind = GIB_WORD_INTEGER;
    out->length = at + 1 - out->at;
    out->value = (uint64_t)(int64_t)(signed char)byte;
    out->type_size = 4;
    out->is_signed = true;
    return true;
}

static bool string(const char *text, struct gib_pool *pool, struct gib_word *out,
                   struct gib_error *error)
{
    size_t at = out->at + 1, used = 0;
    char *bytes = gib_pool_take(pool, strlen(text + at) + 1);
    if (!bytes)
        return gib_condition_memory(error);
    while (text[at] != '"') {
        if (!text[at])
            return gib_condition_fail(error, GIB_E_SYNTAX, out->at,
                                      "the text has no end: a closing \" is missing.");
        if (text[at] == '\\') {
            if (!escape(text, &at, &bytes[used++], error))
                return false;
        } else {
            bytes[used++] = text[at++];
        }
    }
    out->kind = GIB_WORD_TEXT;
    out->length = at + 1 - out->at;
    out->bytes = bytes;
    out->value = used;
    return true;
}

static uint32_t mark_at(const char *at, size_t *length)
{
    static const char *const longer[] = {"<<=", ">>=", "...", "->", "++", "--", "<<", ">>",
                                         "<=",  ">=",  "==",  "!=", "&&", "||", "::", "+=",
                                         "-=",  "*=",  "/=",  "%=", "&=", "|=", "^="};
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++) {
        *length = strlen(longer[i]);
        if (!strncmp(at, longer[i], *length))
            return MARK3((unsigned char)at[0], (unsigned char)at[1],
                         *length == 3 ? (unsigned char)at[2] : 0);
    }
    *length = 1;
    return (unsigned char)*at;
}

bool gib_condition_word(const char *text, size_t at, struct gib_pool *pool, struct gib_word *out,
                        struct gib_error *error)
{
    while (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r'))
        at++;
    *out = (struct gib_word){.kind = GIB_WORD_END, .at = at};
    char c = text[at];
    if (!c)
        return true;
    if (is_digit(c) || (c == '.' && is_digit(text[at + 1])))
        return number(text, out, error);
    if (is_name(c) || (c == '$' && is_name(text[at + 1]))) {
        size_t end = at + 1;
        while (is_name(text[end]))
            end++;
        out->kind = c == '$' ? GIB_WORD_DOLLAR : GIB_WORD_NAME;
        out->length = end - at;
        if (c != '$' && (text[end] == '\'' || text[end] == '"') && out->length <= 2)
            return gib_condition_fail(error, GIB_E_UNSUPPORTED, at,
                                      "conditions know texts and characters of char only.");
        return true;
    }
    if (c == '\'')
        return character(text, out, error);
    if (c == '"')
        return string(text, pool, out, error);
    if (c < ' ' || c > '~' || strchr("$@#\\`;{}", c))
        return gib_condition_fail(error, GIB_E_SYNTAX, at,
                                  "\"%.1s\" has no meaning in a condition.", text + at);
    out->kind = GIB_WORD_MARK;
    out->mark = mark_at(text + at, &out->length);
    return true;
}
