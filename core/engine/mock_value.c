#include "engine/mock_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(struct gib_error *error, const char *format, const char *text, const char *type)
{
    if (error) {
        *error = (struct gib_error){.code = GIB_E_SYNTAX};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(error->message, sizeof error->message, format, text, type);
#pragma GCC diagnostic pop
    }
    return GIB_E_SYNTAX;
}

char *gib_errno_option(int number)
{
    const char *name = strerrorname_np(number);
    char *text = NULL;
    int size = name ? asprintf(&text, " -errno %s", name) : asprintf(&text, " -errno %d", number);
    return size < 0 ? NULL : text;
}

/* ---- characters ---- */

/* One character of a literal, its escape sequence undone; moves *text behind it. -1: not valid. */
static int take_character(const char **text)
{
    static const char names[] = "n\nt\tr\r0\0a\ab\bf\fv\v\\\\''\"\"e\033";
    const char *at = *text;
    if (*at != '\\') {
        *text = at + 1;
        return (unsigned char)*at;
    }
    if (at[1] == 'x' && isxdigit((unsigned char)at[2])) {
        char digits[3] = {at[2], isxdigit((unsigned char)at[3]) ? at[3] : '\0', '\0'};
        *text = at + 2 + strlen(digits);
        return (int)strtol(digits, NULL, 16);
    }
    if (at[1] >= '0' && at[1] <= '7') {
        int value = 0, i = 1;
        for (; i < 4 && at[i] >= '0' && at[i] <= '7'; i++)
            value = value * 8 + (at[i] - '0');
        *text = at + i;
        return value & 0xff;
    }
    for (size_t i = 0; i + 1 < sizeof names; i += 2) {
        if (names[i] == at[1] && at[1]) {
            *text = at + 2;
            return (unsigned char)names[i + 1];
        }
    }
    return -1;
}

/* "text" with its end; the bytes go to *out, with a zero behind. */
static bool parse_text(const char *text, struct gib_mock_value *out)
{
    size_t size = strlen(text), used = 0;
    if (size < 2 || text[0] != '"' || text[size - 1] != '"' || !(out->text = calloc(1, size)))
        return false;
    const char *at = text + 1, *end = text + size - 1;
    while (at < end) {
        int c = take_character(&at);
        if (c < 0 || at > end) {
            free(out->text);
            out->text = NULL;
            return false;
        }
        out->text[used++] = (char)c;
    }
    out->text_size = used + 1;
    return true;
}

/* ---- numbers ---- */

static bool parse_character(const char *text, int64_t *value)
{
    const char *at = text + 1;
    if (text[0] != '\'' || !text[1] || text[1] == '\'')
        return false;
    *value = take_character(&at);
    return *value >= 0 && !strcmp(at, "'");
}

static bool parse_integer(const char *text, const struct gib_type *type, int64_t *value)
{
    static const struct {
        const char *name;
        int64_t value;
    } words[] = {{"NULL", 0}, {"nullptr", 0}, {"true", 1}, {"false", 0}};
    char *end;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!strcmp(words[i].name, text)) {
            *value = words[i].value;
            return true;
        }
    }
    for (size_t i = 0; type && i < type->enumerator_count; i++) {
        if (!strcmp(type->enumerators[i].name, text)) {
            *value = type->enumerators[i].value;
            return true;
        }
    }
    if (parse_character(text, value))
        return true;
    const char *digits = text + strspn(text, "+-");
    if (digits - text > 1 || !isdigit((unsigned char)*digits))
        return false;
    errno = 0;
    *value = *text == '-' ? strtoll(text, &end, 0) : (int64_t)strtoull(text, &end, 0);
    return !errno && *end == '\0';
}

/* Whether an integer of `size` bytes can hold it, as a signed or an unsigned number. */
static bool fits(int64_t value, uint32_t size)
{
    if (size == 0 || size >= 8)
        return true;
    int bits = (int)(8 * size);
    return value >= -(1ll << (bits - 1)) && value < (1ll << bits);
}

static bool put_float(const char *text, uint32_t size, uint8_t *out)
{
    char *end;
    errno = 0;
    long double value = strtold(text, &end);
    if (end == text || *end)
        return false;
    float single = (float)value;
    double twice = (double)value;
    if (size == 4)
        memcpy(out, &single, 4);
    else if (size == 8)
        memcpy(out, &twice, 8);
    else
        memcpy(out, &value, 10);
    return true;
}

static int put_scalar(const char *text, const struct gib_type *type, uint8_t *out, size_t room,
                      struct gib_error *error)
{
    static const struct gib_type unknown = {.kind = GIB_TYPE_INT, .size = 8, .name = "long"};
    int64_t value;
    if (!type || type->kind == GIB_TYPE_VOID)
        type = &unknown;
    const char *name = type->name ? type->name : "the result's type";
    if (type->kind == GIB_TYPE_FLOAT)
        return put_float(text, type->size, out)
                   ? 0
                   : fail(error, "\"%.60s\" is no value of type %.60s; write a number.", text,
                          name);
    bool known = type != &unknown;
    if (!parse_integer(text, type, &value) && !known)
        return fail(error,
                    "\"%.60s\" is no integer, and the type of the result is not known; -prototype "
                    "tells it.%s",
                    text, "");
    if (!parse_integer(text, type, &value))
        return fail(error, "\"%.60s\" is no value of type %.60s.", text, name);
    if (!fits(value, type->size))
        return fail(error, "%.60s does not fit into %.60s.", text, name);
    if (type->kind == GIB_TYPE_BOOL)
        value = value != 0;
    size_t size = type->size ? type->size : 8;
    memset(out, value < 0 ? 0xff : 0, size < room ? size : room);
    memcpy(out, &value, size < 8 ? size : 8);
    return 0;
}

/* ---- structures ---- */

/* The next word between commas, trimmed; *text moves behind it. Malloc'ed, NULL at the end. */
static char *next_item(const char **text)
{
    const char *at = *text + strspn(*text, " \t,");
    size_t size = 0;
    char quote = '\0';
    for (; at[size] && (quote || at[size] != ','); size++) {
        if (quote && at[size] == '\\' && at[size + 1])
            size++;
        else if (quote ? at[size] == quote : at[size] == '"' || at[size] == '\'')
            quote = quote ? '\0' : at[size];
    }
    *text = at + size;
    while (size && isspace((unsigned char)at[size - 1]))
        size--;
    return size ? strndup(at, size) : NULL;
}

/* {1, 2.5}: one value for each scalar in it, inner structures and arrays without braces of their
 * own; those that are missing are 0. */
static int put_members(const char *text, const struct gib_type *type, struct gib_mock_value *out,
                       struct gib_error *error)
{
    size_t size = strlen(text);
    const char *name = type->name ? type->name : "the result's type";
    if (type->kind == GIB_TYPE_RECORD && !type->member_count)
        return fail(error,
                    "\"%.60s\" is no value of type %.60s: its members are not known, since it has "
                    "bit-fields, a union or very many, or for want of debug information.",
                    text, name);
    if (size < 2 || text[0] != '{' || text[size - 1] != '}')
        return fail(error, "\"%.60s\" is no value of type %.60s; write its members as {1, 2}.",
                    text, name);
    if (type->size > sizeof out->bytes)
        return fail(error, "%.60s: a result of type %.60s is too large to be mocked.", text, name);
    /* _Complex has two parts. */
    const struct gib_type part = {.kind = GIB_TYPE_FLOAT, .size = type->size / 2};
    const struct gib_member parts[] = {{NULL, 0, part}, {NULL, part.size, part}};
    bool complex = type->kind == GIB_TYPE_COMPLEX;
    const struct gib_member *members = complex ? parts : type->members;
    size_t count = complex ? 2 : type->member_count;
    char *inner = strndup(text + 1, size - 2), *item;
    const char *rest = inner;
    int failed = 0;
    size_t i = 0;
    for (; !failed && rest && (item = next_item(&rest)); i++) {
        if (i >= count) {
            failed = fail(error, "%.60s has more values than %.60s has members.", text, name);
        } else {
            const struct gib_member *m = &members[i];
            failed = put_scalar(item, &m->type, out->bytes + m->offset,
                                sizeof out->bytes - m->offset, error);
        }
        free(item);
    }
    free(inner);
    return failed;
}

static int put_record(const char *quoted, const struct gib_type *type, struct gib_mock_value *out,
                      struct gib_error *error)
{
    bool quotes = quoted[0] == '"' && strlen(quoted) >= 2; /* only to keep the words together */
    char *text = quotes ? strndup(quoted + 1, strlen(quoted) - 2) : strdup(quoted);
    int failed = text ? put_members(text, type, out, error)
                      : fail(error, "%s%s", "The debugger is out of memory.", "");
    free(text);
    return failed;
}

int gib_mock_value_parse(const char *text, const struct gib_type *type, struct gib_mock_value *out,
                         struct gib_error *error)
{
    memset(out, 0, sizeof *out);
    bool pointer = !type || type->kind == GIB_TYPE_POINTER || type->kind == GIB_TYPE_STRING;
    bool record = type && (type->kind == GIB_TYPE_RECORD || type->kind == GIB_TYPE_COMPLEX);
    if (text[0] == '"' && !record) {
        if (!pointer)
            return fail(error, "%.60s is text, but the function returns %.60s.", text,
                        type->name ? type->name : "no pointer");
        return parse_text(text, out) ? 0
                                     : fail(error, "%.100s is no C string literal.%s", text, "");
    }
    if (record)
        return put_record(text, type, out, error);
    int failed = put_scalar(text, type, out->bytes, sizeof out->bytes, error);
    /* Registers hold small integers extended, as compilers do. */
    if (!failed && type && type->size && type->size < 8 && type->kind != GIB_TYPE_FLOAT &&
        (type->is_signed || type->kind == GIB_TYPE_ENUM) && out->bytes[type->size - 1] & 0x80)
        memset(out->bytes + type->size, 0xff, 8 - type->size);
    return failed;
}
