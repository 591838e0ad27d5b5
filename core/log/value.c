/* value.c: one argument or result as text or JSON. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "log/log.h"

/* Words that are no numbers: quoted where JSON wants it. */
static void write_quote(struct gib_out *out, enum gib_value_form form)
{
    if (form == GIB_VALUE_JSON)
        gib_out_byte(out, '"');
}

static void write_hex(struct gib_out *out, enum gib_value_form form, uint64_t value)
{
    write_quote(out, form);
    gib_out_hex(out, value);
    write_quote(out, form);
}

static void write_pointer(struct gib_out *out, enum gib_value_form form, uint64_t value)
{
    if (value)
        write_hex(out, form, value);
    else
        gib_out_text(out, form == GIB_VALUE_JSON ? "null" : "NULL");
}

/* A value of which there is nothing to show. */
static void write_nothing(struct gib_out *out, enum gib_value_form form)
{
    gib_out_text(out, form == GIB_VALUE_JSON ? "null" : form == GIB_VALUE_TEXT ? "{...}" : "");
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

static void write_plain(struct gib_out *out, const struct gib_type *type, uint64_t value)
{
    if (type->is_signed)
        gib_out_signed(out, sign_extend(value, type->size));
    else
        gib_out_unsigned(out, value);
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
static void write_names(struct gib_out *out, const struct gib_type *type, uint64_t value)
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
        gib_out_text(out, between);
        gib_escape_name(out, type->enumerators[i].name);
        between = "|";
        left &= ~flag;
    }
    if (left)
        gib_out_printf(out, "%s0x%" PRIx64, between, left);
}

static void write_integer(struct gib_out *out, enum gib_value_form form,
                          const struct gib_type *type, const uint64_t word[2])
{
    if (type->size == 16) {
        write_quote(out, form);
        gib_out_hex(out, word[1] ? word[1] : word[0]);
        if (word[1])
            gib_out_printf(out, "%016" PRIx64, word[0]);
        write_quote(out, form);
        return;
    }
    if (form == GIB_VALUE_TEXT && type->notation == GIB_NOTATION_OCTAL)
        gib_out_printf(out, "%#" PRIo64, zero_extend(word[0], type->size));
    else if (form == GIB_VALUE_TEXT && type->notation == GIB_NOTATION_NAMES)
        write_names(out, type, zero_extend(word[0], type->size));
    else
        write_plain(out, type, zero_extend(word[0], type->size));
}

/* The fewest digits that read back as the same number. */
static void write_double(struct gib_out *out, enum gib_value_form form, double value, bool is_float)
{
    char text[40];
    if (form == GIB_VALUE_JSON && !isfinite(value)) {
        gib_out_printf(out, "\"%f\"", value);
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (is_float ? (float)back == (float)value : back == value)
            break;
    }
    gib_out_text(out, text);
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

static void write_float(struct gib_out *out, enum gib_value_form form, const struct gib_type *type,
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
        gib_out_printf(out, quote ? "\"%s\"" : "%s", text);
    }
}

static void write_complex(struct gib_out *out, enum gib_value_form form,
                          const struct gib_type *type, const uint64_t word[2])
{
    const char *quote = form == GIB_VALUE_JSON ? "\"" : "";
    double real = type->size == 8 ? float_of(word[0]) : double_of(word[0]);
    double imaginary = type->size == 8 ? float_of(word[0] >> 32) : double_of(word[1]);
    gib_out_printf(out, "%s%g%+gi%s", quote, real, imaginary, quote);
}

static void write_name(struct gib_out *out, enum gib_value_form form, const char *name)
{
    if (form == GIB_VALUE_JSON)
        gib_escape_json(out, name, strlen(name));
    else
        gib_escape_name(out, name);
}

static void write_enum(struct gib_out *out, enum gib_value_form form, const struct gib_type *type,
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
        gib_out_signed(out, value);
}

static void write_character(struct gib_out *out, enum gib_value_form form,
                            const struct gib_type *type, const uint64_t word[2])
{
    char c = (char)word[0];
    if (form != GIB_VALUE_TEXT) {
        write_integer(out, form, type, word);
        return;
    }
    gib_out_byte(out, '\'');
    if (c == '\'')
        gib_out_text(out, "\\'");
    else
        gib_escape_bare(out, &c, 1);
    gib_out_byte(out, '\'');
}

static void write_string(struct gib_out *out, enum gib_value_form form, uint64_t pointer,
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
    if (form == GIB_VALUE_PLAIN) {
        gib_escape_bare(out, gib_log_chunk_bytes(text), text->size);
        return;
    }
    gib_escape_text(out, gib_log_chunk_bytes(text), text->size);
    if (text->flags)
        gib_out_text(out, "...");
}

/* How many members from `i` on are the characters of one array, data[0], data[1]...; 0: none. */
static size_t array_of_text(const struct gib_type *type, size_t i)
{
    const char *name = type->members[i].name, *bracket = name ? strrchr(name, '[') : NULL;
    size_t count = 0;
    if (!bracket || strcmp(bracket, "[0]"))
        return 0;
    for (; i + count < type->member_count; count++) {
        const struct gib_member *m = &type->members[i + count];
        if (m->type.kind != GIB_TYPE_CHAR || !m->name ||
            strncmp(m->name, name, (size_t)(bracket + 1 - name)) ||
            strtoul(m->name + (bracket + 1 - name), NULL, 10) != count)
            break;
    }
    return count;
}

/* The characters without the NULs behind them; it is not there when not all of them are. */
static void write_text(struct gib_out *out, bool json, const char *bytes, size_t size)
{
    while (size && !bytes[size - 1])
        size--;
    (json ? gib_escape_json : gib_escape_text)(out, bytes, size);
}

static void write_member_name(struct gib_out *out, bool json, const char *name, size_t length,
                              size_t i)
{
    char part[200];
    snprintf(part, sizeof part, "%.*s", (int)length, name ? name : "");
    if (json && !name)
        gib_out_printf(out, "\"%zu\"", i);
    else if (json)
        gib_escape_json(out, part, strlen(part));
    else
        gib_escape_name(out, part);
    gib_out_text(out, json ? ":" : name ? " = " : "");
}

/*
 * {x = 1, from.x = 2.5, data[0] = 7, name = "ab"}; of members that are not in the words, nothing
 * can be said. In JSON an object.
 */
static void write_record(struct gib_out *out, enum gib_value_form form, const struct gib_type *type,
                         const uint64_t *word, int words)
{
    enum { SHOWN = 16 }; /* members, to people */
    bool json = form == GIB_VALUE_JSON;
    if (!type->member_count) {
        write_nothing(out, form);
        return;
    }
    gib_out_byte(out, '{');
    for (size_t i = 0, written = 0; i < type->member_count; written++) {
        const struct gib_member *m = &type->members[i];
        size_t text = array_of_text(type, i), size = text ? text : m->type.size;
        size_t length =
            text ? (size_t)(strrchr(m->name, '[') - m->name) : (m->name ? strlen(m->name) : 0);
        const char *bytes = (const char *)word + m->offset;
        uint64_t pair[2] = {0, 0};
        bool there =
            m->offset + (uint64_t)size <= 8ull * (uint64_t)words && (text || size <= sizeof pair);
        gib_out_text(out, !i ? "" : json ? "," : ", ");
        if (!json && (!there || written == SHOWN)) {
            gib_out_text(out, "...");
            break;
        }
        write_member_name(out, json, m->name, length, i);
        if (!there) {
            gib_out_text(out, "null");
        } else if (text) {
            write_text(out, json, bytes, size);
        } else {
            memcpy(pair, bytes, size);
            gib_value_write(out, json ? form : GIB_VALUE_TEXT, &m->type, pair, size > 8 ? 2 : 1,
                            NULL);
        }
        i += text ? text : 1;
    }
    gib_out_byte(out, '}');
}

int gib_result_words(const struct gib_type *type, int words)
{
    bool memory = type && type->kind == GIB_TYPE_RECORD && !type->indirect &&
                  (type->eightbyte[0] == GIB_CLASS_MEMORY || type->size > 16);
    return memory ? 0 : words;
}

void gib_value_write(struct gib_out *out, enum gib_value_form form, const struct gib_type *type,
                     const uint64_t *word, int words, const struct gib_chunk *text)
{
    if (!type) {
        write_hex(out, form, word[0]);
        return;
    }
    if (words == 0 && type->kind != GIB_TYPE_VOID) {
        write_nothing(out, form);
        return;
    }
    if (type->indirect) {
        write_pointer(out, form, word[0]);
        return;
    }
    uint64_t pair[2];
    if (words == 1 && type->size > 8) { /* the other half is not there */
        pair[0] = word[0];
        pair[1] = 0;
        word = pair;
    }
    switch (type->kind) {
    case GIB_TYPE_BOOL:
        gib_out_text(out, word[0] & 0xff ? "true" : "false");
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
    case GIB_TYPE_RECORD:
        write_record(out, form, type, word, words);
        break;
    default:
        write_nothing(out, form);
    }
}
