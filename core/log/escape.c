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

/* What is in `keep` stays, what is in `plain` gets a backslash and its letter, other controls their
 * bytes in octal. */
static void escape(FILE *out, const char *bytes, size_t size, const char *keep, const char *plain,
                   const char *letter)
{
    for (size_t i = 0; i < size;) {
        uint32_t point = 0;
        size_t length = decode((const unsigned char *)bytes + i, size - i, &point);
        const char *named = length == 1 && point ? strchr(plain, (int)point) : NULL;
        if (length == 1 && point && strchr(keep, (int)point)) {
            fputc(bytes[i], out);
        } else if (named) {
            fprintf(out, "\\%c", letter[named - plain]);
        } else if (length && !is_control(point)) {
            fwrite(bytes + i, 1, length, out);
        } else {
            for (size_t k = 0; k < (length ? length : 1); k++) {
                unsigned char c = (unsigned char)bytes[i + k];
                bool digit_follows = i + k + 1 < size && isxdigit((unsigned char)bytes[i + k + 1]);
                /* Octal, always three digits when a digit follows: unambiguous, as strace does it.
                 */
                fprintf(out, digit_follows || c > 077 ? "\\%03o" : "\\%o", c);
            }
        }
        i += length ? length : 1;
    }
}

void gib_escape_text(FILE *out, const char *bytes, size_t size)
{
    fputc('"', out);
    escape(out, bytes, size, "", "\a\b\f\n\r\t\v\"\\", "abfnrtv\"\\");
    fputc('"', out);
}

void gib_escape_message(FILE *out, const char *text, bool lines)
{
    escape(out, text, strlen(text), lines ? "\n" : "", "\a\b\f\n\r\t\v", "abfnrtv");
}

void gib_escape_name(FILE *out, const char *name)
{
    for (size_t i = 0, size = strlen(name); i < size;) {
        uint32_t point = 0;
        size_t length = decode((const unsigned char *)name + i, size - i, &point);
        if (length && !is_control(point))
            fwrite(name + i, 1, length, out);
        else
            fputc('?', out);
        i += length ? length : 1;
    }
}

void gib_escape_json(FILE *out, const char *bytes, size_t size)
{
    fputc('"', out);
    for (size_t i = 0; i < size;) {
        uint32_t point = 0;
        size_t length = decode((const unsigned char *)bytes + i, size - i, &point);
        if (!length)
            fprintf(out, "\\udc%02x", (unsigned char)bytes[i]);
        else if (point == '"' || point == '\\')
            fprintf(out, "\\%c", (int)point);
        else if (point < 0x20 || (is_control(point) && point < 0x10000))
            fprintf(out, "\\u%04x", point);
        else
            fwrite(bytes + i, 1, length, out);
        i += length ? length : 1;
    }
    fputc('"', out);
}
