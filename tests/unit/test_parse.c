/* Words, quotes, options and numbers of a command; patch numbers and ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "command/command.h"

static struct gib_arguments got;
static struct gib_error error;

static const struct gib_command *command(const char *name)
{
    const struct gib_command *found = gib_command_find(name, &error);
    assert_non_null(found);
    return found;
}
/* Parses for `name` and shows the result as "word|word -option=text if condition". */
static char *parsed(const char *name, const char *text)
{
    static char out[2000];
    size_t used = 0;
    memset(&error, 0, sizeof error);
    if (gib_arguments_parse(command(name), text, &got, &error)) {
        snprintf(out, sizeof out, "error %d: %s", error.code, error.message);
        assert_true(error.message[0] && strchr(".?", error.message[strlen(error.message) - 1]));
        return out;
    }
    out[0] = '\0';
#define ADD(...) used += (size_t)snprintf(out + used, sizeof out - used, __VA_ARGS__)
    for (size_t i = 0; i < got.words; i++)
        ADD("%s%s", i ? "|" : "", got.word[i]);
    for (size_t i = 0; i < got.options; i++)
        ADD(" -%s%s%s", got.option[i].option->name, got.option[i].text ? "=" : "",
            got.option[i].text ? got.option[i].text : "");
    if (got.condition)
        ADD(" if %s", got.condition);
    gib_arguments_free(&got);
    return out;
}
#define SAME(name, text, wanted) assert_string_equal(parsed(name, text), wanted)
static void refused(const char *name, const char *text, int code, const char *piece)
{
    char *message = parsed(name, text), number[20];
    snprintf(number, sizeof number, "error %d:", code);
    if (strncmp(message, number, strlen(number)) || !strstr(message, piece))
        fail_msg("%s %s: %s", name, text, message);
}

static void test_words(void **state)
{
    SAME("wrap", "", "");
    SAME("wrap", "  a \t b\n", "a|b");
    SAME("wrap", "'a b' \"c d\" e'f g'h", "a b|c d|ef gh");
    SAME("wrap", "\"a\\\"b\" 'it\\'s' \"back\\slash\" ''", "a\"b|it's|back\\slash|");
    SAME("wrap", "ns::f(int, char const*) g", "ns::f(int, char const*)|g");
    SAME("wrap", "*(p + 1) *$pc", "*(p + 1)|*$pc");
    refused("wrap", "'open", GIB_E_SYNTAX, "quote is not closed");
    refused("wrap", "a \"b", GIB_E_SYNTAX, "quote is not closed");
    SAME("wrap", "unbalanced) ok", "unbalanced)|ok");
}

static void test_options(void **state)
{
    SAME("wrap", "f -count --quiet", "f -count -quiet");
    SAME("wrap", "-after 3 f -every=5", "f -after=3 -every=5");
    SAME("wrap", "f -prototype 'int f(int a)'", "f -prototype=int f(int a)");
    SAME("wrap", "f -from='a b'", "f -from=a b");
    SAME("wrap", "f -- -count", "f|-count");
    SAME("wrap", "f '-count'", "f|-count"); /* quoted: no option */
    SAME("wrap", "f -", "f|-");
    SAME("wrap", "f -backtrace", "f -backtrace");
    SAME("wrap", "f -backtrace 5", "f -backtrace=5");
    SAME("wrap", "-backtrace 5f", "5f -backtrace");
    SAME("wrap", "-backtrace f", "f -backtrace");
    SAME("wrap", "-backtrace=7 f", "f -backtrace=7");
    refused("wrap", "f -after", GIB_E_SYNTAX, "needs a value");
    refused("wrap", "f -after x", GIB_E_SYNTAX, "\"x\" is not a whole number");
    refused("wrap", "f -after -1", GIB_E_SYNTAX, "\"-1\" is not a whole number");
    refused("wrap", "f -after 99999999999999999999", GIB_E_SYNTAX, "too large");
    refused("wrap", "f -backtrace -1", GIB_E_SYNTAX, "\"-1\" is not a whole number");
    refused("wrap", "f -from -count", GIB_E_SYNTAX, "needs a value");
    SAME("wrap", "f -from=-count -prototype '-x'", "f -from=-count -prototype=-x");
    refused("list", "-count", GIB_E_SYNTAX, "has no options");
    SAME("list", "-1 -", "-1|-"); /* no patch numbers, but no options either */
    refused("wrap", "f -count=3", GIB_E_SYNTAX, "takes no value");
    refused("wrap", "f -from 'x", GIB_E_SYNTAX, "quote is not closed");
    refused("wrap", "f -nonsense", GIB_E_SYNTAX, "no option \"-nonsense\"; \"gibbon help wrap\"");
    refused("wrap", "f -conut", GIB_E_SYNTAX, "no option \"-conut\". Did you mean -count?");
    refused("log", "-sav=x -fromat csv", GIB_E_SYNTAX, "\"-fromat\". Did you mean -format?");
    refused("log", "-x", GIB_E_SYNTAX, "; \"gibbon help log\" lists them.");
}

static void test_abbreviations(void **state)
{
    SAME("wrap", "f -b -q -co", "f -backtrace -quiet -count");
    refused("wrap", "f -t 1", GIB_E_AMBIGUOUS, "ambiguous");
    SAME("wrap", "f -tim 1 -tem -th 2", "f -times=1 -temporary -thread=2");
    assert_string_equal(command("wrap")->name, "wrap");
    assert_string_equal(command("w")->name, "wrap");
    assert_string_equal(command("del")->name, "delete");
    assert_null(gib_command_find("l", &error));
    assert_int_equal(error.code, GIB_E_AMBIGUOUS);
    assert_non_null(strstr(error.message, "list, log"));
    assert_null(gib_command_find("wraps", &error));
    assert_int_equal(error.code, GIB_E_SYNTAX);
    assert_null(gib_command_find("WRAP", &error));
}

static void test_condition(void **state)
{
    SAME("wrap", "f -count if a == \"x y\" && b", "f -count if a == \"x y\" && b");
    SAME("wrap", "f if", "f if ");
    SAME("list", "if", "if"); /* takes no condition */
    SAME("wrap", "-- if x", "if|x");
}

static void test_limits(void **state)
{
    char many[2000] = "";
    for (int i = 0; i < 256; i++)
        strcat(many, "a ");
    assert_int_equal(gib_arguments_parse(command("wrap"), many, &got, &error), 0);
    assert_int_equal(got.words, 256);
    gib_arguments_free(&got);
    strcat(many, "b");
    refused("wrap", many, GIB_E_SYNTAX, "Too many words");
    many[0] = '\0';
    for (int i = 0; i < 33; i++)
        strcat(many, "-count ");
    refused("wrap", many, GIB_E_SYNTAX, "Too many options");
}

static void test_values_are_given_once(void **state)
{
    assert_int_equal(gib_arguments_parse(command("wrap"), "f -pending -after 0x10 -from a -pending",
                                         &got, &error),
                     0);
    assert_int_equal(gib_argument_number(&got, "after", 7), 16);
    assert_int_equal(gib_argument_number(&got, "every", 7), 7);
    assert_string_equal(gib_argument_text(&got, "from"), "a");
    assert_null(gib_argument_text(&got, "count"));
    assert_true(gib_argument_given(&got, "after"));
    assert_false(gib_argument_given(&got, "quiet"));
    gib_arguments_free(&got);
    refused("wrap", "f -after 3 -aft 4", GIB_E_SYNTAX, "-after is given twice");
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},
                {"7", 7},
                {"0x10", 16},
                {"64K", 65536},
                {"64k", 65536},
                {"4M", 4 << 20},
                {"9223372036854775807", INT64_MAX}};
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "x",
                                      "1x",
                                      "1KK",
                                      "K",
                                      "0x",
                                      "1.5",
                                      "9223372036854775808",
                                      "18446744073709551615",
                                      "99999999999999999999",
                                      "99999999999999M"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t value = 99;
        assert_int_equal(gib_parse_number(good[i].text, &value, &error), 0);
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t value;
        if (gib_parse_number(bad[i], &value, &error) != GIB_E_SYNTAX)
            fail_msg("\"%s\" is taken as %lu", bad[i], value);
    }
}

static void expect_patches(const char *text, const char *wanted)
{
    struct gib_patch patch[4] = {{.number = 1}, {.number = 3}, {.number = 5}, {.number = 900}};
    struct gib_patch *table[4] = {&patch[0], &patch[1], &patch[2], &patch[3]}, **chosen;
    struct gib_engine engine = {.patch = table, .patch_count = 4};
    size_t count;
    char out[300] = "";
    assert_int_equal(gib_arguments_parse(command("list"), text, &got, &error), 0);
    if (gib_parse_patches(&engine, &got, 0, &chosen, &count, &error)) {
        snprintf(out, sizeof out, "error %d", error.code);
    } else {
        for (size_t i = 0; i < count; i++)
            snprintf(out + strlen(out), sizeof out - strlen(out), "%d ", chosen[i]->number);
        free(chosen);
    }
    gib_arguments_free(&got);
    if (strcmp(out, wanted))
        fail_msg("%s: %s and not %s", text, out, wanted);
}
static void test_patches(void **state)
{
    char syntax[20], unknown[20];
    snprintf(syntax, sizeof syntax, "error %d", GIB_E_SYNTAX);
    snprintf(unknown, sizeof unknown, "error %d", GIB_E_NOT_FOUND);
    expect_patches("", "1 3 5 900 ");
    expect_patches("3", "3 ");
    expect_patches("5 1", "1 5 ");
    expect_patches("3 3 1-3", "1 3 ");
    expect_patches("2-1000000000", "3 5 900 ");
    expect_patches("2", unknown);
    expect_patches("1 2", unknown);
    expect_patches("6-899", unknown);
    static const char *const bad[] = {"x",   "0",   "-1", "1-",    "-",
                                      "3-1", "1-x", "1x", "1-3-5", "99999999999999999999",
                                      "1,3", "''"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_patches(bad[i][0] == '-' ? "-- -1" : bad[i], syntax);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),         cmocka_unit_test(test_options),
        cmocka_unit_test(test_abbreviations), cmocka_unit_test(test_condition),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_values_are_given_once),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_patches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
