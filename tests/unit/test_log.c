/* From records to lines: values of every kind, calls that never returned, losses, -last, records
 * that make no sense. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent_fixture.h"

/* ---- values
 * ---------------------------------------------------------------------------------------- */

static const char *value(enum gib_value_form form, const struct gib_type *type, uint64_t low,
                         uint64_t high, int words)
{
    static char *text;
    struct gib_out out = {0};
    free(text);
    const uint64_t word[2] = {low, high};
    gib_value_write(&out, form, type, word, words, NULL);
    return text = gib_out_take(&out);
}
static void both(struct gib_type type, uint64_t low, uint64_t high, const char *text,
                 const char *json)
{
    assert_string_equal(value(GIB_VALUE_TEXT, &type, low, high, 2), text);
    assert_string_equal(value(GIB_VALUE_JSON, &type, low, high, 2), json);
}
static uint64_t bits(double x)
{
    uint64_t word;
    memcpy(&word, &x, 8);
    return word;
}
static uint64_t float_bits(float x)
{
    uint32_t word;
    memcpy(&word, &x, 4);
    return word | 0xdeadbeef00000000; /* the rest of the register is not the value */
}
#define INT(bytes, is)    ((struct gib_type){.kind = GIB_TYPE_INT, .size = bytes, .is_signed = is})
#define FLOAT(bytes)      ((struct gib_type){.kind = GIB_TYPE_FLOAT, .size = bytes})
#define KIND(what, bytes) ((struct gib_type){.kind = what, .size = bytes})

static void test_integers(void **state)
{
    both(INT(1, true), 0xffffff80, 9, "-128", "-128");
    both(INT(1, false), 0xffffff80, 9, "128", "128");
    both(INT(2, true), 0x18000, 9, "-32768", "-32768");
    both(INT(2, false), 0x18000, 9, "32768", "32768");
    both(INT(4, true), 0x1ffffffff, 9, "-1", "-1");
    both(INT(4, false), 0x1ffffffff, 9, "4294967295", "4294967295");
    both(INT(8, true), 1ull << 63, 9, "-9223372036854775808", "-9223372036854775808");
    both(INT(8, false), UINT64_MAX, 9, "18446744073709551615", "18446744073709551615");
    both(INT(16, false), 5, 0, "0x5", "\"0x5\"");
    both(INT(16, false), 5, 1, "0x10000000000000005", "\"0x10000000000000005\"");
    both(KIND(GIB_TYPE_BOOL, 1), 0xabcd00, 0, "false", "false");
    both(KIND(GIB_TYPE_BOOL, 1), 0xabcd01, 0, "true", "true");
    assert_string_equal(value(GIB_VALUE_TEXT, NULL, 0xdead, 0, 1), "0xdead");
    assert_string_equal(value(GIB_VALUE_JSON, NULL, 0xdead, 0, 1), "\"0xdead\"");
}

/* Numbers stay numbers for programs; people see names and modes. */
static void test_notations(void **state)
{
    static struct gib_enumerator open_names[] = {{"RDONLY", 0},  {"WRONLY", 1},   {"RDWR", 2},
                                                 {"SYNC", 0x30}, {"DSYNC", 0x10}, {"CREAT", 0x40}};
    struct gib_type open_flags = INT(4, true), plain = INT(4, true), mode = INT(4, false);
    open_flags.notation = plain.notation = GIB_NOTATION_NAMES;
    open_flags.enumerators = plain.enumerators = open_names;
    open_flags.enumerator_count = plain.enumerator_count = 6;
    open_flags.field = 3;
    both(open_flags, 0, 9, "RDONLY", "0");
    both(open_flags, 0x41, 9, "WRONLY|CREAT", "65");
    both(open_flags, 0x70, 9, "RDONLY|SYNC|CREAT", "112");
    both(open_flags, 0x10, 9, "RDONLY|DSYNC", "16");
    both(open_flags, 0x20, 9, "RDONLY|0x20", "32"); /* a part of SYNC has no name */
    both(open_flags, 0xdead000000000102, 9, "RDWR|0x100", "258");
    both(open_flags, 3, 9, "3", "3"); /* a field without a name */
    both(open_flags, 0xffffffff, 9, "-1", "-1");
    both(plain, 0, 9, "RDONLY", "0");
    both(plain, 3, 9, "WRONLY|RDWR", "3");
    both(plain, 0x80, 9, "0x80", "128");
    plain.enumerators++; /* without a name for 0 */
    plain.enumerator_count--;
    both(plain, 0, 9, "0", "0");
    plain.field = ~0ull; /* one of several constants */
    both(plain, 2, 9, "RDWR", "2");
    both(plain, 3, 9, "3", "3");
    static struct gib_enumerator here = {"FDCWD", -100};
    plain.enumerators = &here;
    plain.enumerator_count = 1;
    both(plain, 0xffffff9c, 9, "FDCWD", "-100");
    both(plain, 4, 9, "4", "4");
    mode.notation = GIB_NOTATION_OCTAL;
    both(mode, 0755, 9, "0755", "493");
    both(mode, 0, 9, "0", "0");
    both(mode, 0xffffffff0fff, 9, "037777607777", "4294905855");
}

/* Members beyond the words that were kept are not made up. */
static void test_records(void **state)
{
    struct gib_member members[] = {{"n", 0, INT(4, true)},
                                   {"from.x", 8, FLOAT(8)},
                                   {NULL, 4, KIND(GIB_TYPE_CHAR, 1)},
                                   {"far", 16, INT(8, true)}};
    struct gib_type type = {
        .kind = GIB_TYPE_RECORD, .size = 24, .members = members, .member_count = 3};
    uint64_t low = 0x61fffffffe, high = bits(2.5);
    both(type, low, high, "{n = -2, from.x = 2.5, 'a'}", "{\"n\":-2,\"from.x\":2.5,\"2\":97}");
    type.member_count = 4;
    both(type, low, high, "{n = -2, from.x = 2.5, 'a', ...}",
         "{\"n\":-2,\"from.x\":2.5,\"2\":97,\"far\":null}");
    assert_string_equal(value(GIB_VALUE_TEXT, &type, low, high, 1), "{n = -2, ...}");
    assert_string_equal(value(GIB_VALUE_TEXT, &type, low, high, 0), "{...}");
    type.member_count = 0;
    both(type, low, high, "{...}", "null");
    struct gib_member texts[] = {{"name[0]", 0, KIND(GIB_TYPE_CHAR, 1)},
                                 {"name[1]", 1, KIND(GIB_TYPE_CHAR, 1)},
                                 {"name[2]", 2, KIND(GIB_TYPE_CHAR, 1)},
                                 {"a.b[0]", 3, KIND(GIB_TYPE_CHAR, 1)}};
    type.members = texts;
    type.member_count = 4;
    both(type, 0x63006261, 0, "{name = \"ab\", a.b = \"c\"}", "{\"name\":\"ab\",\"a.b\":\"c\"}");
    struct gib_member many[20];
    for (size_t i = 0; i < 20; i++)
        many[i] = (struct gib_member){NULL, (uint32_t)(i % 16), INT(1, false)};
    type.members = many;
    type.member_count = 20;
    both(
        type, 0, 0, "{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...}",
        "{\"0\":0,\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,\"10\":0,"
        "\"11\":0,\"12\":0,\"13\":0,\"14\":0,\"15\":0,\"16\":0,\"17\":0,\"18\":0,\"19\":0}");
}

static void test_characters(void **state)
{
    struct gib_type type = {.kind = GIB_TYPE_CHAR, .size = 1, .is_signed = true};
    both(type, 'a', 0, "'a'", "97");
    both(type, '"', 0, "'\"'", "34");
    both(type, '\'', 0, "'\\''", "39");
    both(type, '\\', 0, "'\\\\'", "92");
    both(type, 0, 0, "'\\0'", "0");
    both(type, 0x1b, 0, "'\\33'", "27");
    both(type, 0xff, 0, "'\\377'", "-1");
}

static void test_floats(void **state)
{
    both(FLOAT(8), bits(0.1), 0, "0.1", "0.1");
    both(FLOAT(8), bits(1.0 / 3), 0, "0.3333333333333333", "0.3333333333333333");
    both(FLOAT(8), bits(-0.0), 0, "-0", "-0");
    both(FLOAT(8), bits(1e308), 0, "1e+308", "1e+308");
    both(FLOAT(8), bits((double)INFINITY), 0, "inf", "\"inf\"");
    both(FLOAT(8), bits((double)-INFINITY), 0, "-inf", "\"-inf\"");
    both(FLOAT(4), float_bits(0.1f), 0, "0.1", "0.1");
    both(FLOAT(4), float_bits(16777216), 0, "16777216", "16777216");
    assert_non_null(
        strstr(value(GIB_VALUE_JSON, &(struct gib_type){.kind = GIB_TYPE_FLOAT, .size = 8},
                     bits((double)NAN), 0, 1),
               "nan\""));
    static const long double wide[] = {0.1L, 1e4000L, 1.0L / 3, -2.5L};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        uint64_t word[2] = {0, 0xdead000000000000};
        memcpy(word, &wide[i], 10);
        struct gib_type type = FLOAT(16);
        assert_true(strtold(value(GIB_VALUE_TEXT, &type, word[0], word[1], 2), NULL) == wide[i]);
        assert_true(strtold(value(GIB_VALUE_JSON, &type, word[0], word[1], 2), NULL) == wide[i]);
    }
    long double infinite = INFINITY;
    uint64_t word[2] = {0, 0};
    memcpy(word, &infinite, 10);
    both(FLOAT(16), word[0], word[1], "inf", "\"inf\"");
}

static void test_enums(void **state)
{
    struct gib_enumerator list[] = {
        {"ZERO", 0}, {"ONE", 1}, {"TWO", 2}, {"FOUR", 4}, {"MINUS", -5}};
    struct gib_type type = {.kind = GIB_TYPE_ENUM,
                            .size = 4,
                            .is_signed = true,
                            .enumerators = list,
                            .enumerator_count = 5};
    both(type, 0, 0, "ZERO", "\"ZERO\"");
    both(type, 0xfffffffbu, 0, "MINUS", "\"MINUS\"");
    both(type, 7, 0, "ONE|TWO|FOUR", "\"ONE|TWO|FOUR\"");
    both(type, 9, 0, "9", "9");
    both(type, 0xffffffffu, 0, "-1", "-1");
    type.is_signed = false;
    both(type, 0xffffffffu, 0, "4294967295", "4294967295");
}

static void test_pointers_and_records(void **state)
{
    both(KIND(GIB_TYPE_POINTER, 8), 0, 0, "NULL", "null");
    both(KIND(GIB_TYPE_POINTER, 8), 0x7fff, 0, "0x7fff", "\"0x7fff\"");
    both(KIND(GIB_TYPE_STRING, 8), 0x10, 0, "0x10", "\"0x10\""); /* no text was kept */
    both(KIND(GIB_TYPE_RECORD, 24), 1, 2, "{...}", "null");
    struct gib_type indirect = {.kind = GIB_TYPE_RECORD, .size = 24, .indirect = true};
    both(indirect, 0x1000, 0, "0x1000", "\"0x1000\"");
    struct gib_type integer = INT(4, true);
    assert_string_equal(value(GIB_VALUE_TEXT, &integer, 1, 2, 0), "{...}"); /* not recorded */
    assert_string_equal(value(GIB_VALUE_JSON, &integer, 1, 2, 0), "null");
}

/* ---- calls
 * -------------------------------------------------------------------------------------------- */

static struct agent a;
NOT_INLINED static int work(int n)
{
    return n;
}
static __typeof__(&work) thunk, outer_thunk;
NOT_INLINED static int outer(int n)
{
    thunk(n);
    if (n == 13)
        _exit(0);
    return n;
}
static int setup(void **state)
{
    agent_open(&a, (struct agent_options){.no_reader = true, .ring_size = 64 << 10});
    thunk = agent_patch(&a, work, "int work(int n)", (struct patch_options){0});
    outer_thunk = agent_patch(&a, outer, "int outer(int n)", (struct patch_options){0});
    agent_attach(&a);
    return 0;
}
static int teardown(void **state)
{
    agent_close(&a);
    return 0;
}

static void test_unfinished(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        outer_thunk(1);
        outer_thunk(13);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    gib_log_ended(a.log);
    agent_expect(&a,
                 "work(n=1) = 1\nouter(n=1) = 1\nwork(n=13) = 13\nouter(n=13) <unfinished ...>\n");
}

static jmp_buf away;
__attribute__((noinline)) static int jumper(int n)
{
    thunk(n);
    longjmp(away, 1);
}
static bool count_unfinished(const struct gib_log_view *view, void *context)
{
    size_t *count = context;
    *count += view->call->status == GIB_CALL_UNFINISHED;
    return true;
}

/* Nobody tells that a call was left by longjmp: what is remembered of them does not grow. */
static void test_left_calls(void **state)
{
    enum { CALLS = 200000 };
    int (*volatile jump)(int) =
        agent_patch(&a, jumper, "int jumper(int n)", (struct patch_options){0});
    for (volatile int i = 0; i < CALLS; i++) {
        if (!setjmp(away))
            jump(i);
        if (i % 500 == 0)
            gib_log_drain(a.log);
    }
    size_t count = 0;
    gib_log_each(a.log, count_unfinished, &count);
    assert_in_range(count, CALLS - (128 << 10), CALLS);
}

/* A call inside which others were recorded has a line when it begins and one when it has ended. */
static void test_indent(void **state)
{
    outer_thunk(1);
    gib_log_drain(a.log);
    gib_log_indent(a.log, true);
    outer_thunk(2);
    thunk(3);
    gib_log_drain(a.log);
    const char *flat = "work(n=1) = 1\nouter(n=1) = 1\n"; /* from before */
    char nested[400], *lines = agent_lines(&a);
    snprintf(nested, sizeof nested, "%souter(n=2) {\n  work(n=2) = 2\n} outer = 2\nwork(n=3) = 3\n",
             flat);
    assert_string_equal(lines, nested);
    free(lines);
    /* Only ends are calls: of two, the first is in a call whose beginning is not shown. */
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(gib_log_render(a.log, GIB_LOG_TEXT, 2, 0, out), 2);
    fclose(out);
    assert_non_null(strstr(text, " outer(n=2) = 2 <"));
    assert_int_equal(occurrences(text, "\n"), 2);
    free(text);
    /* The beginning is no object of its own. */
    char *json = agent_jsonl(&a);
    assert_int_equal(occurrences(json, "\n"), 5);
    free(json);
    gib_log_indent(a.log, false);
    agent_expect(&a,
                 "work(n=1) = 1\nouter(n=1) = 1\nwork(n=2) = 2\nouter(n=2) = 2\nwork(n=3) = 3\n");
}

/* Live, from the middle of a call on; and threads that end inside. */
static char live[4000];
NOT_INLINED static int switches(int n)
{
    thunk(n);
    gib_log_drain(a.log);
    gib_log_indent(a.log, n > 0);
    return outer_thunk(n);
}
static void test_indent_switched(void **state)
{
    __typeof__(&work) switches_thunk =
        agent_patch(&a, switches, "int switches(int n)", (struct patch_options){0});
    for (int on = 1; on >= 0; on--) {
        switches_thunk(on);
        gib_log_drain(a.log);
        char *text = gib_log_next_text(a.log);
        snprintf(live, sizeof live, "%s", text ? text : "");
        free(text);
        assert_int_equal(occurrences(live, " {\n"), on);
        assert_int_equal(occurrences(live, "} outer = 1 <"), on);
        assert_int_equal(occurrences(live, "switches(n="), 1); /* it had begun before */
    }
}
static void test_indent_unfinished(void **state)
{
    gib_log_indent(a.log, true);
    pid_t pid = fork();
    if (pid == 0) {
        outer_thunk(13);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    gib_log_ended(a.log);
    agent_expect(&a, "outer(n=13) {\n  work(n=13) = 13\n} outer <unfinished ...>\n");
}

static void test_last(void **state)
{
    for (int i = 0; i < 10; i++)
        outer_thunk(i);
    static const struct {
        uint64_t last;
        int patch;
        int64_t lines;
    } cases[] = {{0, 0, 20}, {3, 0, 3}, {19, 0, 19}, {20, 0, 20}, {100, 0, 20},
                 {0, 1, 10}, {4, 2, 4}, {1, 1, 1},   {0, 3, 0},   {5, 3, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int json = 0; json < 2; json++) {
            char *text = NULL;
            size_t size;
            FILE *out = open_memstream(&text, &size);
            assert_int_equal(gib_log_render(a.log, json ? GIB_LOG_JSONL : GIB_LOG_TEXT,
                                            cases[i].last, cases[i].patch, out),
                             cases[i].lines);
            fclose(out);
            assert_int_equal(occurrences(text, "\n"), cases[i].lines);
            if (cases[i].lines)
                assert_non_null(strstr(text, cases[i].patch == 1 ? "work" : "outer"));
            free(text);
        }
    }
}

static void test_next_text_and_clear(void **state)
{
    size_t lines = 0;
    for (int i = 0; i < 5000; i++)
        thunk(i);
    gib_log_drain(a.log);
    char *text;
    int pieces = 0;
    while ((text = gib_log_next_text(a.log))) {
        assert_true(strlen(text) < 100 << 10);
        lines += occurrences(text, "\n");
        pieces++;
        free(text);
    }
    assert_int_equal(lines, 5000);
    assert_true(pieces > 1);
    thunk(1);
    gib_log_drain(a.log);
    gib_log_skip(a.log);
    assert_null(gib_log_next_text(a.log));
    gib_log_clear(a.log);
    agent_expect(&a, "");
    thunk(2);
    agent_expect(&a, "work(n=2) = 2\n");
    assert_true(a.wakes > 0);
}

/* Two functions of one name are told apart by their modules; all others are not. */
static struct gib_log_site *site_of(const char *function, const char *module, int patch)
{
    struct gib_log_site *site = calloc(1, sizeof *site);
    assert_non_null(site);
    site->function = strdup(function);
    site->module = strdup(module);
    site->action[0].patch = patch;
    return site;
}
static void test_ambiguous_names(void **state)
{
    thunk(1);
    agent_expect(&a, "work(n=1) = 1\n");
    gib_log_set_site(a.log, 5,
                     site_of("work", "libother.so", 0)); /* Gibbon's own: nobody's patch */
    gib_log_set_site(a.log, 6, site_of("other", "libother.so", 3));
    gib_log_set_site(a.log, 7, site_of("other", "libother.so", 3));
    thunk(2);
    agent_expect(&a, "work(n=2) = 2\n");
    gib_log_set_site(a.log, 9, site_of("work", "libother.so", 2));
    thunk(3);
    agent_expect(&a, "test!work(n=3) = 3\n");
}

static void test_full_disk(void **state)
{
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    for (int i = 0; i < 1000; i++)
        thunk(i);
    assert_int_equal(gib_log_render(a.log, GIB_LOG_TEXT, 0, 0, full), -1);
    fclose(full);
}

/* What a target may write over its records: the reader survives and goes on with what follows. */
static struct gib_record *record_at(uint64_t position)
{
    return (struct gib_record *)((char *)agent_block(&a, 0) + a.shared->ring_offset + position);
}
static void test_corrupt_records(void **state)
{
    agent_close(&a);
    for (int kind = 0; kind < 11; kind++) {
        agent_open(&a, (struct agent_options){.no_reader = true, .ring_size = 64 << 10});
        thunk = agent_patch(&a, work, "int work(int n)", (struct patch_options){0});
        for (int i = 0; i < 10; i++)
            thunk(i);
        struct gib_record *r = record_at(3 * GIB_LINE);
        struct gib_thread *t = agent_block(&a, 0);
        switch (kind) {
        case 0:
            r->lines = 0;
            break;
        case 1:
            r->lines = 65535;
            break;
        case 2:
            r->kind = 99;
            break;
        case 3:
            r->site = 0xffffff;
            break;
        case 4:
            r->kind = GIB_RECORD_RETURN, r->word[0] = ~0ull;
            break;
        case 5:
            r->site |= GIB_RECORD_ELSEWHERE << 24, r->kind = GIB_RECORD_RETURN, r->word[1] = ~0ull;
            break;
        case 6:
            t->head = ~0ull;
            break;
        case 7:
            t->head = 0;
            break;
        case 8:
            t->tail = ~0ull;
            break;
        case 9:
            a.shared->threads_used = ~0u;
            break;
        case 10:
            r->lines = 2;
            break;
        }
        agent_attach(&a);
        char *lines = agent_lines(&a), *json = agent_jsonl(&a);
        if (kind > 1 && kind < 6)
            assert_non_null(strstr(lines, "work(n=9) = 9\n"));
        if (kind != 7 && kind != 8)
            assert_non_null(strstr(lines, "work(n=0) = 0\n"));
        if (kind < 2)
            assert_true(gib_log_lost(a.log) > 0);
        free(lines);
        free(json);
        agent_close(&a);
    }
    setup(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_integers),
                                       cmocka_unit_test(test_notations),
                                       cmocka_unit_test(test_records),
                                       cmocka_unit_test(test_characters),
                                       cmocka_unit_test(test_floats),
                                       cmocka_unit_test(test_enums),
                                       cmocka_unit_test(test_pointers_and_records),
                                       TEST(test_unfinished),
                                       TEST(test_last),
                                       TEST(test_left_calls),
                                       TEST(test_indent),
                                       TEST(test_indent_switched),
                                       TEST(test_indent_unfinished),
                                       TEST(test_next_text_and_clear),
                                       TEST(test_ambiguous_names),
                                       TEST(test_full_disk),
                                       TEST(test_corrupt_records)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
