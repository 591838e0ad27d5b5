/*
 * test_package_call.c: what a handler sees of a call, through the inline functions of
 * gibbon/package.h, with an engine played by the test.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "gibbon/package.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

struct pair {
    int64_t first, second;
};

/* One of everything; a later version's parameter is larger, and this is one. */
static struct {
    struct gibbon_parameter known;
    uint64_t newer;
} parameters[] = {
    {{"path", {GIBBON_TYPE_STRING, 8, "const char *"}}, 0},
    {{"small", {GIBBON_TYPE_SIGNED, 1, "int8_t"}}, 0},
    {{"word", {GIBBON_TYPE_UNSIGNED, 4, "unsigned int"}}, 0},
    {{NULL, {GIBBON_TYPE_SIGNED, 4, "int"}}, 0},
    {{"wide", {GIBBON_TYPE_SIGNED, 8, "long"}}, 0},
    {{"single", {GIBBON_TYPE_FLOATING, 4, "float"}}, 0},
    {{"twice", {GIBBON_TYPE_FLOATING, 8, "double"}}, 0},
    {{"extended", {GIBBON_TYPE_FLOATING, 16, "long double"}}, 0},
    {{"flag", {GIBBON_TYPE_BOOL, 1, "bool"}}, 0},
    {{"pair", {GIBBON_TYPE_RECORD, 16, "struct pair"}}, 0},
    {{"huge", {GIBBON_TYPE_SIGNED, 16, "__int128"}}, 0},
};
enum { PATH, SMALL, WORD, NAMELESS, WIDE, SINGLE, TWICE, EXTENDED, FLAG, PAIR, HUGE_NUMBER };

static struct values {
    const char *path;
    int8_t small;
    uint32_t word;
    int32_t nameless;
    int64_t wide;
    float single;
    double twice;
    long double extended;
    _Bool flag;
    struct pair pair;
    __int128 huge;
} values;

static void *pointers[] = {&values.path, &values.small,  &values.word,  &values.nameless,
                           &values.wide, &values.single, &values.twice, &values.extended,
                           &values.flag, &values.pair,   &values.huge};
static int originals;

static void call_original(struct gibbon_call *call)
{
    originals++;
    *(int32_t *)call->result = values.nameless * 2;
    call->error += 1;
}

static const struct gibbon_call_interface interface = {sizeof interface, GIBBON_PACKAGE_VERSION,
                                                       call_original};
static struct gibbon_signature signature = {sizeof signature,
                                            GIBBON_PACKAGE_VERSION,
                                            "ns::f(...)",
                                            "libx.so",
                                            {GIBBON_TYPE_SIGNED, 4, "int"},
                                            sizeof parameters[0],
                                            COUNT(parameters),
                                            &parameters[0].known};
static char result[16];
static struct gibbon_call call = {.size = sizeof call,
                                  .version = GIBBON_PACKAGE_VERSION,
                                  .interface = &interface,
                                  .signature = &signature,
                                  .values = pointers,
                                  .instance = &values,
                                  .caller = "caller",
                                  .result = result};

static int begin(void **state)
{
    memset(result, 0, sizeof result);
    values =
        (struct values){"/tmp", -3, 4000000000u, -5, INT64_MIN, 1.5f, -2.25, 3.5L, 1, {7, 8}, 9};
    signature.result = (struct gibbon_type){GIBBON_TYPE_SIGNED, 4, "int"};
    call.result = result;
    call.error = 0;
    originals = 0;
    return 0;
}

static void arguments_by_index_and_name(void **state)
{
    assert_int_equal(gibbon_argument_count(&call), 11);
    assert_ptr_equal(gibbon_argument(&call, PATH), &values.path);
    assert_null(gibbon_argument(&call, 11));
    assert_null(gibbon_argument(&call, UINT32_MAX));
    assert_ptr_equal(gibbon_argument_named(&call, "wide"), &values.wide);
    assert_null(gibbon_argument_named(&call, "wid"));
    assert_null(gibbon_argument_named(&call, "wider"));
    assert_null(gibbon_argument_named(&call, ""));
    assert_int_equal(gibbon_argument_index(&call, "huge"), HUGE_NUMBER);
    assert_int_equal(gibbon_argument_index(&call, "none"), -1);
    assert_null(gibbon_argument_name(&call, NAMELESS));
    assert_string_equal(gibbon_argument_type(&call, PAIR)->text, "struct pair");
    assert_null(gibbon_argument_type(&call, 11));
    assert_string_equal(gibbon_function(&call), "ns::f(...)");
    assert_string_equal(gibbon_module(&call), "libx.so");
    assert_ptr_equal(gibbon_this(&call), &values);
    assert_string_equal(gibbon_caller(&call), "caller");
    assert_int_equal(((struct pair *)gibbon_argument(&call, PAIR))->second, 8);
}

static void arguments_as_numbers(void **state)
{
    assert_int_equal(gibbon_argument_int(&call, SMALL), -3);
    assert_int_equal(gibbon_argument_int(&call, WORD), 4000000000);
    assert_int_equal(gibbon_argument_int(&call, NAMELESS), -5);
    assert_true(gibbon_argument_int(&call, WIDE) == INT64_MIN);
    assert_int_equal(gibbon_argument_int(&call, FLAG), 1);
    assert_int_equal(gibbon_argument_int(&call, TWICE), -2);
    assert_int_equal(gibbon_argument_int(&call, EXTENDED), 3);
    values.twice = -1e300;
    assert_true(gibbon_argument_int(&call, TWICE) == INT64_MIN);
    values.twice = -2.25;
    assert_int_equal(gibbon_argument_int(&call, PAIR), 0);
    assert_int_equal(gibbon_argument_int(&call, HUGE_NUMBER), 0);
    assert_int_equal(gibbon_argument_int(&call, 11), 0);
    assert_true(gibbon_argument_double(&call, SINGLE) == 1.5);
    assert_true(gibbon_argument_double(&call, TWICE) == -2.25);
    assert_true(gibbon_argument_double(&call, EXTENDED) == 3.5);
    assert_true(gibbon_argument_double(&call, SMALL) == -3);
    assert_ptr_equal(gibbon_argument_pointer(&call, PATH), values.path);
    assert_null(gibbon_argument_pointer(&call, WIDE));
    assert_null(gibbon_argument_pointer(&call, 11));
}

static void arguments_are_changed(void **state)
{
    assert_int_equal(gibbon_set_argument_int(&call, SMALL, 300), 0);
    assert_int_equal(values.small, 44);
    assert_int_equal(values.word, 4000000000u); /* its neighbour is not */
    assert_int_equal(gibbon_set_argument_int(&call, FLAG, 256), 0);
    assert_int_equal(values.flag, 1);
    assert_int_equal(gibbon_set_argument_int(&call, SINGLE, 12), 0);
    assert_true(values.single == 12);
    assert_int_equal(gibbon_set_argument_double(&call, EXTENDED, 0.5), 0);
    assert_true(values.extended == 0.5L);
    assert_int_equal(gibbon_set_argument_double(&call, WIDE, -7.9), 0);
    assert_int_equal(values.wide, -7);
    assert_int_equal(gibbon_set_argument_pointer(&call, PATH, "/other"), 0);
    assert_string_equal(values.path, "/other");
    assert_int_equal(gibbon_set_argument_int(&call, PAIR, 1), -1);
    assert_int_equal(gibbon_set_argument_double(&call, PAIR, 1), -1);
    assert_int_equal(gibbon_set_argument_int(&call, 11, 1), -1);
    assert_int_equal(gibbon_set_argument_double(&call, 11, 1), -1);
}

static void results_and_originals(void **state)
{
    assert_int_equal(gibbon_result_int(&call), 0);
    gibbon_call_original(&call);
    gibbon_call_original(&call);
    assert_int_equal(originals, 2);
    assert_int_equal(gibbon_errno(&call), 2);
    gibbon_set_errno(&call, 13);
    assert_int_equal(gibbon_errno(&call), 13);
    assert_int_equal(gibbon_result_int(&call), -10);
    int32_t number = 5;
    assert_int_equal(gibbon_set_result(&call, &number, sizeof number), 0);
    assert_int_equal(gibbon_result_int(&call), 5);
    int64_t larger = 6;
    assert_int_equal(gibbon_set_result(&call, &larger, sizeof larger), -1);
    assert_int_equal(gibbon_set_int(&call, -1), 0);
    assert_int_equal(*(int32_t *)gibbon_result(&call), -1);
    assert_int_equal(result[4], 0); /* nothing behind it */
    assert_int_equal(gibbon_set_double(&call, 2.5), 0);
    assert_int_equal(gibbon_result_int(&call), 2);
    signature.result = (struct gibbon_type){GIBBON_TYPE_FLOATING, 8, "double"};
    assert_int_equal(gibbon_set_double(&call, 2.5), 0);
    assert_true(gibbon_result_double(&call) == 2.5);
    signature.result = (struct gibbon_type){GIBBON_TYPE_POINTER, 8, "void *"};
    assert_int_equal(gibbon_set_pointer(&call, &values), 0);
    assert_ptr_equal(*(void **)gibbon_result(&call), &values);
    signature.result = (struct gibbon_type){GIBBON_TYPE_RECORD, 16, "struct pair"};
    assert_int_equal(gibbon_set_int(&call, 1), -1);
    assert_int_equal(gibbon_set_result(&call, &values.pair, sizeof values.pair), 0);
    assert_int_equal(((struct pair *)gibbon_result(&call))->first, 7);
    signature.result = (struct gibbon_type){GIBBON_TYPE_VOID, 0, "void"};
    call.result = NULL;
    assert_null(gibbon_result(&call));
    assert_int_equal(gibbon_set_int(&call, 1), -1);
    assert_int_equal(gibbon_set_result(&call, &number, 0), -1);
    assert_int_equal(gibbon_result_int(&call), 0);
}

#define TEST(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(arguments_by_index_and_name),
        TEST(arguments_as_numbers),
        TEST(arguments_are_changed),
        TEST(results_and_originals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
