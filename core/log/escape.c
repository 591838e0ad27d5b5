/* escape.c: a target may send terminal escapes; none may reach the terminal. */
#include <ctype.h>
#include <string.h>
#include "log/log.h"

/* Length of the UTF-8 sequence at `bytes` and its code point; 0 when it is not valid (RFC 3629). */
static size_t decode(const unsigned char *bytes, size_t size, uint32_t *point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = bytes[0];
    size_t length = c < 0x80                ? 1
                    : c >= 0xc2 && c < 0xe0 ? 2
                    : c >= 0xe0 && c < 0xf0 ? 3
                    : c >= 0xf0 && c < 0xf5 ? 4
                                            : 0;
    if (length == 0 || length > size)
        return 0;
    *point = length == 1 ? c : c & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        *point = *point << 6 | (bytes[i] & 0x3f);
    }
    bool valid =
        *point >= least[length] && *point <= 0x10ffff && (*point < 0xd800 || *point > 0xdfff);
    return valid ? length : 0;
}

/* Characters that change how others are shown: C0, C1, zero-width and bidirectional controls, line
 * separators, tags, private use. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0x61c ||
           c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) || (c >= 0xe000 && c <= 0xf8ff) ||
           c >= 0xe0000;
}

/* How many bytes from the start are printable ASCII and neither of two others. */
static size_t plain_run(const char *bytes, size_t size, char other, char another)
{
    size_t i = 0;
    while (i < size && bytes[i] >= ' ' && bytes[i] < 0x7f && bytes[i] != other &&
           bytes[i] != another)
        i++;
    return i;
}

/* Octal, always three digits when a digit follows: unambiguous, as strace does it. */
static void write_octal(struct gib_out *out, unsigned char c, bool digit_follows)
{
    char digits[4] = {'\\', (char)('0' + (c >> 6)), (char)('0' + (c >> 3 & 7)),
                      (char)('0' + (c & 7))};
    int skip = digit_follows || c > 077 ? 0 : c > 07 ? 1 : 2;
    gib_out_byte(out, '\\');
    gib_out_bytes(out, digits + 1 + skip, 3 - (size_t)skip);
}

/* What is in `keep` stays, what is in `plain` gets a backslash and its letter, other controls their
 * bytes in octal. */
static void escape(struct gib_out *out, const char *bytes, size_t size, const char *keep,
                   const char *plain, const char *letter)
{
    char quote = strchr(plain, '"') ? '"' : 0, backslash = strchr(plain, '\\') ? '\\' : 0;
    for (size_t i = 0; i < size;) {
        size_t run = plain_run(bytes + i, size - i, quote, backslash);
        if (run)
            gib_out_bytes(out, bytes + i, run);
        if ((i += run) == size)
            break;
        uint32_t point = 0;
        size_t length = decode((const unsigned char *)bytes + i, size - i, &point);
        const char *named = length == 1 && point ? strchr(plain, (int)point) : NULL;
        if (length == 1 && point && strchr(keep, (int)point)) {
            gib_out_byte(out, bytes[i]);
        } else if (named) {
            gib_out_byte(out, '\\');
            gib_out_byte(out, letter[named - plain]);
        } else if (length && !is_control(point)) {
            gib_out_bytes(out, bytes + i, length);
        } else {
            for (size_t k = 0; k < (length ? length : 1); k++)
                write_octal(out, (unsigned char)bytes[i + k],
                            i + k + 1 < size && isxdigit((unsigned char)bytes[i + k + 1]));
        }
        i += length ? length : 1;
    }
}

void gib_escape_bare(struct gib_out *out, const char *bytes, size_t size)
{
    escape(out, bytes, size, "\"", "\a\b\f\n\r\t\v\\", "abfnrtv\\");
}

void gib_escape_text(struct gib_out *out, const char *bytes, size_t size)
{
    gib_out_byte(out, '"');
    escape(out, bytes, size, "", "\a\b\f\n\r\t\v\"\\", "abfnrtv\"\\");
    gib_out_byte(out, '"');
}

void gib_escape_message(struct gib_out *out, const char *text, bool lines)
{
    escape(out, text, strlen(text), lines ? "\n" : "", "\a\b\f\n\r\t\v", "abfnrtv");
}

void gib_escape_name(struct gib_out *out, const char *name)
{
    for (size_t i = 0, size = strlen(name); i < size;) {
        size_t run = plain_run(name + i, size - i, 0, 0);
        if (run)
            gib_out_bytes(out, name + i, run);
        if ((i += run) == size)
            break;
        uint32_t point = 0;
        size_t length = decode((const unsigned char *)name + i, size - i, &point);
        if (length && !is_control(point))
            gib_out_bytes(out, name + i, length);
        else
            gib_out_byte(out, '?');
        i += length ? length : 1;
    }
}

void gib_escape_json(struct gib_out *out, const char *bytes, size_t size)
{
    gib_out_byte(out, '"');
    for (size_t i = 0; i < size;) {
        size_t run = plain_run(bytes + i, size - i, '"', '\\');
        if (run)
            gib_out_bytes(out, bytes + i, run);
        if ((i += run) == size)
            break;
        uint32_t point = 0;
        size_t length = decode((const unsigned char *)bytes + i, size - i, &point);
        if (!length && out->strict) {
            gib_out_text(out, "\\ufffd");
        } else if (!length) {
            gib_out_printf(out, "\\udc%02x", (unsigned char)bytes[i]);
        } else if (point == '\\' && i + 1 == size && out->strict) {
            gib_out_text(out, "\\u005c");
        } else if (point == '"' || point == '\\') {
            gib_out_byte(out, '\\');
            gib_out_byte(out, (char)point);
        } else if (point < 0x20 || (is_control(point) && point < 0x10000)) {
            gib_out_printf(out, "\\u%04x", point);
        } else {
            gib_out_bytes(out, bytes + i, length);
        }
        i += length ? length : 1;
    }
    gib_out_byte(out, '"');
}
