/* Text from a target: harmless on a terminal, readable back, valid JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "log/log.h"
#include "log/marks.h"

typedef void escape(FILE *out, const char *bytes, size_t size);
static char *escaped(escape *function, const char *bytes, size_t size)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    function(out, bytes, size);
    fclose(out);
    return text;
}
static void name_of_size(FILE *out, const char *bytes, size_t size)
{
    char *name = strndup(bytes, size);
    gib_escape_name(out, name);
    free(name);
}
static void expect(escape *function, const char *bytes, size_t size, const char *wanted)
{
    char *got = escaped(function, bytes, size);
    assert_string_equal(got, wanted);
    free(got);
}
#define TEXT(bytes, wanted) expect(gib_escape_text, bytes, sizeof bytes - 1, "\"" wanted "\"")
#define JSON(bytes, wanted) expect(gib_escape_json, bytes, sizeof bytes - 1, "\"" wanted "\"")
#define NAME(bytes, wanted) expect(name_of_size, bytes, sizeof bytes - 1, wanted)

static void test_text(void **state)
{
    TEXT("", "");
    TEXT("plain text, 'quotes' 100%", "plain text, 'quotes' 100%");
    TEXT("\a\b\f\n\r\t\v\"\\", "\\a\\b\\f\\n\\r\\t\\v\\\"\\\\");
    TEXT("\x1b[31m", "\\33[31m");
    TEXT("\x1b"
         "7",
         "\\0337"); /* a digit follows: three digits */
    TEXT("\0a\0"
         "9",
         "\\000a\\0009");
    TEXT("\x7f\x80\xff", "\\177\\200\\377");
    TEXT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    TEXT("\xc2\x9b"
         "31m",
         "\\302\\23331m"); /* C1: CSI */
    TEXT("\xe2\x80\xae\xe2\x80\x8b",
         "\\342\\200\\256\\342\\200\\213"); /* right-to-left override, zero width */
    TEXT("\xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xf4\x90\x80\x80",
         "\\300\\257\\340\\200\\257\\355\\240\\200\\364\\220\\200\\200"); /* RFC 3629 */
    TEXT("cut \xe2\x82", "cut \\342\\202");
}

static void test_name(void **state)
{
    NAME("ns::f<int>(char const*)", "ns::f<int>(char const*)");
    NAME("a\x1b]0;x\a\nb\xff", "a?]0;x??b?");
    NAME("\xc3\xa9", "\xc3\xa9");
}

static void message_of_size(FILE *out, const char *bytes, size_t size)
{
    char *text = strndup(bytes, size);
    gib_escape_message(out, text, bytes[0] == '\n');
    free(text);
}
#define MESSAGE(bytes, wanted) expect(message_of_size, bytes, sizeof bytes - 1, wanted)

/* Line ends stay where they are the message's own. */
static void test_message(void **state)
{
    MESSAGE("No setting \"a\\b\"; \xc3\xa9.", "No setting \"a\\b\"; \xc3\xa9.");
    MESSAGE("\"\x1b[31m\r\n\"", "\"\\33[31m\\r\\n\"");
    MESSAGE("\na\tb\n\x9b", "\na\\tb\n\\233");
}

static void test_json(void **state)
{
    JSON("a\"b\\c/", "a\\\"b\\\\c/");
    JSON("\n\0\x1f\x7f", "\\u000a\\u0000\\u001f\\u007f");
    JSON("\xff\xc3", "\\udcff\\udcc3");
    JSON("\xc3\xa9\xe2\x80\xa8", "\xc3\xa9\\u2028");
    JSON("\xed\xa0\x80", "\\udced\\udca0\\udc80");
}

/* What the octal escapes of a text mean. */
static size_t read_back(const char *text, char *out)
{
    static const char plain[] = "\a\b\f\n\r\t\v\"\\", letter[] = "abfnrtv\"\\";
    size_t size = 0;
    for (text++; *text && !(text[0] == '"' && !text[1]);) {
        if (*text != '\\') {
            out[size++] = *text++;
            continue;
        }
        const char *named = strchr(letter, *++text);
        if (named) {
            out[size++] = plain[named - letter];
            text++;
        } else {
            int value = 0;
            for (int i = 0; i < 3 && *text >= '0' && *text <= '7'; i++)
                value = value * 8 + *text++ - '0';
            out[size++] = (char)value;
        }
    }
    return size;
}

/* Every pair of bytes, and random ones: no control character gets out, nothing is lost. */
static void check(const char *bytes, size_t size)
{
    char back[256];
    char *text = escaped(gib_escape_text, bytes, size);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            fail_msg("byte 0x%02x got out", *c);
    assert_int_equal(read_back(text, back), size);
    assert_memory_equal(back, bytes, size);
    free(text);
    text = escaped(gib_escape_json, bytes, size);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        assert_true(*c >= 0x20 && *c != 0x7f);
    free(text);
}
static void test_all_pairs(void **state)
{
    for (int i = 0; i < 0x10000; i++)
        check((const char[]){(char)(i >> 8), (char)i}, 2);
}
static void test_random(void **state)
{
    srandom(1);
    for (int i = 0; i < 20000; i++) {
        char bytes[40];
        size_t size = (size_t)random() % sizeof bytes;
        for (size_t k = 0; k < size; k++)
            bytes[k] = (char)(random() % 3 ? random() : 0x80 | random() % 0x40);
        check(bytes, size);
    }
}

static void translated(const char *text, const char *styles, const char *wanted)
{
    char *shown = gib_marks_translate(text, styles);
    assert_string_equal(shown, wanted);
    free(shown);
}
/* Pieces of a line in a debugger's styles. */
static void test_marks(void **state)
{
    const char *line = "\x10work\x0f(\x14n\x0f=1) at \x11"
                       "a.c\x0f:\x12"
                       "7\x0f\n";
    translated(line, "", "work(n=1) at a.c:7\n");
    translated(line, NULL, "work(n=1) at a.c:7\n");
    translated(line, "33\t32\t\t34\t36",
               "\033[33mwork\033[m(\033[36mn\033[m=1) at \033[32ma.c\033[m:7\n");
    translated(line, "\t\t1;38;5;208", "work(n=1) at a.c:\033[1;38;5;208m7\033[m\n");
    translated(line, "33m\033[2J\t32;\007", "work(n=1) at a.c:7\n"); /* no numbers: no style */
    translated("\x17"
               "cut",
               "1\t1\t1\t1\t1\t1\t1\t1\t1\t1", "\033[1mcut\033[m");
    translated("caf\xc3\xa9 \x18\x0e", "1", "caf\xc3\xa9 \x18\x0e");
    translated("", "1", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),      cmocka_unit_test(test_name),
        cmocka_unit_test(test_message),   cmocka_unit_test(test_json),
        cmocka_unit_test(test_all_pairs), cmocka_unit_test(test_random),
        cmocka_unit_test(test_marks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
