/* value.c: one argument or result as text or JSON. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "log/log.h"

static void write_pointer(FILE *out, enum gib_value_form form, uint64_t value)
{
    if (form == GIB_VALUE_JSON)
        fprintf(out, value ? "\"0x%" PRIx64 "\"" : "null", value);
    else if (value)
        fprintf(out, "0x%" PRIx64, value);
    else
        fputs("NULL", out);
}

static int64_t sign_extend(uint64_t value, uint32_t size)
{
    int shift = size >= 8 ? 0 : 64 - 8 * (int)size;
    return (int64_t)(value << shift) >> shift;
}
static uint64_t zero_extend(uint64_t value, uint32_t size)
{
    return size >= 8 ? value : value & ((1ull << 8 * size) - 1);
}

static void write_plain(FILE *out, const struct gib_type *type, uint64_t value)
{
    if (type->is_signed)
        fprintf(out, "%" PRId64, sign_extend(value, type->size));
    else
        fprintf(out, "%" PRIu64, value);
}

static const char *name_of(const struct gib_type *type, uint64_t value)
{
    for (size_t i = 0; i < type->enumerator_count; i++)
        if (zero_extend((uint64_t)type->enumerators[i].value, type->size) == value)
            return type->enumerators[i].name;
    return NULL;
}

/* O_WRONLY|O_CREAT|0x1000000: the field by its name, then the flags, those of several bits first in
 * the list; bits without a name stay a number. A field without a name makes all of it one. */
static void write_names(FILE *out, const struct gib_type *type, uint64_t value)
{
    uint64_t field = value & type->field, left = value & ~type->field;
    const char *name = name_of(type, field), *between = "";
    if (!name && (field || !left)) {
        write_plain(out, type, value);
        return;
    }
    if (name && (type->field || !left)) {
        gib_escape_name(out, name);
        between = "|";
    }
    for (size_t i = 0; i < type->enumerator_count; i++) {
        uint64_t flag = (uint64_t)type->enumerators[i].value;
        if (!flag || flag & type->field || (left & flag) != flag)
            continue;
        fputs(between, out);
        gib_escape_name(out, type->enumerators[i].name);
        between = "|";
        left &= ~flag;
    }
    if (left)
        fprintf(out, "%s0x%" PRIx64, between, left);
}

static void write_integer(FILE *out, enum gib_value_form form, const struct gib_type *type,
                          const uint64_t word[2])
{
    if (type->size == 16 && !word[1]) {
        fprintf(out, form == GIB_VALUE_JSON ? "\"0x%" PRIx64 "\"" : "0x%" PRIx64, word[0]);
        return;
    }
    if (type->size == 16) {
        fprintf(out,
                form == GIB_VALUE_JSON ? "\"0x%" PRIx64 "%016" PRIx64 "\""
                                       : "0x%" PRIx64 "%016" PRIx64,
                word[1], word[0]);
        return;
    }
    if (form == GIB_VALUE_TEXT && type->notation == GIB_NOTATION_OCTAL)
        fprintf(out, "%#" PRIo64, zero_extend(word[0], type->size));
    else if (form == GIB_VALUE_TEXT && type->notation == GIB_NOTATION_NAMES)
        write_names(out, type, zero_extend(word[0], type->size));
    else
        write_plain(out, type, zero_extend(word[0], type->size));
}

/* The fewest digits that read back as the same number. */
static void write_double(FILE *out, enum gib_value_form form, double value, bool is_float)
{
    char text[40];
    if (form == GIB_VALUE_JSON && !isfinite(value)) {
        fprintf(out, "\"%f\"", value);
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (is_float ? (float)back == (float)value : back == value)
            break;
    }
    fputs(text, out);
}

static double double_of(uint64_t word)
{
    double value;
    memcpy(&value, &word, 8);
    return value;
}
static double float_of(uint64_t word)
{
    float value;
    memcpy(&value, &word, 4);
    return value;
}

static void write_float(FILE *out, enum gib_value_form form, const struct gib_type *type,
                        const uint64_t word[2])
{
    if (type->size == 4) {
        write_double(out, form, float_of(word[0]), true);
    } else if (type->size == 8) {
        write_double(out, form, double_of(word[0]), false);
    } else {
        long double value = 0;
        memcpy(&value, word, 10); /* the 80-bit format of the x87, 10 bytes used */
        char text[64];
        for (int digits = 6; digits <= 21; digits++) {
            snprintf(text, sizeof text, "%.*Lg", digits, value);
            if (strtold(text, NULL) == value)
                break;
        }
        bool quote = form == GIB_VALUE_JSON && !isfinite(value);
        fprintf(out, quote ? "\"%s\"" : "%s", text);
    }
}

static void write_complex(FILE *out, enum gib_value_form form, const struct gib_type *type,
                          const uint64_t word[2])
{
    const char *quote = form == GIB_VALUE_JSON ? "\"" : "";
    double real = type->size == 8 ? float_of(word[0]) : double_of(word[0]);
    double imaginary = type->size == 8 ? float_of(word[0] >> 32) : double_of(word[1]);
    fprintf(out, "%s%g%+gi%s", quote, real, imaginary, quote);
}

static void write_name(FILE *out, enum gib_value_form form, const char *name)
{
    if (form == GIB_VALUE_JSON)
        gib_escape_json(out, name, strlen(name));
    else
        gib_escape_name(out, name);
}

static void write_enum(FILE *out, enum gib_value_form form, const struct gib_type *type,
                       uint64_t word)
{
    int64_t value =
        type->is_signed ? sign_extend(word, type->size) : (int64_t)zero_extend(word, type->size);
    for (size_t i = 0; i < type->enumerator_count; i++) {
        if (type->enumerators[i].value == value) {
            write_name(out, form, type->enumerators[i].name);
            return;
        }
    }
    /* Flags: a sum of single bits that all have names. */
    char text[256] = "";
    int64_t left = value;
    for (size_t i = 0; i < type->enumerator_count && left; i++) {
        int64_t bit = type->enumerators[i].value;
        if (bit <= 0 || (bit & (bit - 1)) || !(left & bit) ||
            strlen(text) + strlen(type->enumerators[i].name) + 2 > sizeof text)
            continue;
        if (*text)
            strcat(text, "|");
        strcat(text, type->enumerators[i].name);
        left &= ~bit;
    }
    if (*text && !left)
        write_name(out, form, text);
    else
        fprintf(out, "%" PRId64, value);
}

static void write_character(FILE *out, enum gib_value_form form, const struct gib_type *type,
                            const uint64_t word[2])
{
    char c = (char)word[0];
    if (form == GIB_VALUE_JSON) {
        write_integer(out, form, type, word);
        return;
    }
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (!memory)
        return;
    gib_escape_text(memory, &c, 1);
    fclose(memory);
    if (size >= 2)
        text[0] = text[size - 1] = '\'';
    fputs(c == '"' ? "'\"'" : c == '\'' ? "'\\''" : text, out);
    free(text);
}

static void write_string(FILE *out, enum gib_value_form form, uint64_t pointer,
                         const struct gib_chunk *text)
{
    if (!pointer || !text || ((text->flags & GIB_CHUNK_UNREADABLE) && !text->size)) {
        write_pointer(out, form, pointer);
        return;
    }
    if (form == GIB_VALUE_JSON) {
        gib_escape_json(out, gib_log_chunk_bytes(text), text->size);
        return;
    }
    gib_escape_text(out, gib_log_chunk_bytes(text), text->size);
    if (text->flags)
        fputs("...", out);
}

void gib_value_write(FILE *out, enum gib_value_form form, const struct gib_type *type,
                     const uint64_t word[2], int words, const struct gib_chunk *text)
{
    if (!type) {
        fprintf(out, form == GIB_VALUE_JSON ? "\"0x%" PRIx64 "\"" : "0x%" PRIx64, word[0]);
        return;
    }
    if (type->indirect) {
        write_pointer(out, form, word[0]);
        return;
    }
    if (words == 0 && type->kind != GIB_TYPE_VOID) {
        fputs(form == GIB_VALUE_JSON ? "null" : "{...}", out);
        return;
    }
    switch (type->kind) {
    case GIB_TYPE_BOOL:
        fputs(word[0] & 0xff ? "true" : "false", out);
        break;
    case GIB_TYPE_CHAR:
        write_character(out, form, type, word);
        break;
    case GIB_TYPE_INT:
        write_integer(out, form, type, word);
        break;
    case GIB_TYPE_FLOAT:
        write_float(out, form, type, word);
        break;
    case GIB_TYPE_COMPLEX:
        write_complex(out, form, type, word);
        break;
    case GIB_TYPE_ENUM:
        write_enum(out, form, type, word[0]);
        break;
    case GIB_TYPE_STRING:
        write_string(out, form, word[0], text);
        break;
    case GIB_TYPE_POINTER:
        write_pointer(out, form, word[0]);
        break;
    default:
        fputs(form == GIB_VALUE_JSON ? "null" : "{...}", out);
    }
}
