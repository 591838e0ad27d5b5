/* test_condition.c: the language of conditions: what is refused and where, and functions of which
 * only a prototype is known. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "condition_run.h"

static struct gib_prototypes *store;

struct compiled {
    struct gib_prototype *prototype;
    struct gib_convention convention;
    struct gib_condition *condition;
};

static void release(struct compiled *c)
{
    gib_condition_free(c->condition);
    gib_prototype_free(c->prototype);
}

/* 0, or the error's code. */
static int compile(const char *declaration, const char *text, struct compiled *out,
                   struct gib_error *error)
{
    struct gib_condition_text *parsed = NULL;
    *out = (struct compiled){.prototype = NULL};
    if (declaration && gib_prototype_parse(store, declaration, &out->prototype, error))
        fail_msg("%s", error->message);
    gib_convention_make(out->prototype, &out->convention);
    struct gib_condition_scope scope = {.prototype = out->prototype,
                                        .convention = &out->convention};
    int code = gib_condition_parse(text, &parsed, error);
    if (!code) {
        code = gib_condition_check(parsed, &scope, &out->condition, error);
        gib_condition_text_free(parsed);
    }
    return code;
}

static int verdict(const char *declaration, const char *text, const struct gib_condition_call *call)
{
    struct gib_error error;
    struct compiled c;
    if (compile(declaration, text, &c, &error))
        fail_msg("%s: %s", text, error.message);
    int result = condition_run(c.condition, call);
    release(&c);
    return result;
}

static const char read_function[] = "ssize_t read(int fd, void *buf, size_t nbytes)";

static void test_errors(void **unused)
{
    static const struct {
        const char *text;
        unsigned column;
        const char *message;
    } rows[] = {
        {"", 1, "no condition"},
        {"fd ==", 6, "ends where a value was expected"},
        {"fd == == 3", 7, "\"==\" stands where a value"},
        {"fd = 3", 4, "would assign"},
        {"fd += 3", 4, "cannot assign"},
        {"fd++", 3, "no ++"},
        {"--fd", 1, "no ++"},
        {"fd, 3", 3, "comma"},
        {"fd == 3)", 8, "operator or the end"},
        {"(fd == 3", 9, "')'"},
        {"fd 3", 4, "operator or the end"},
        {"      fdd == 3", 7,
         "\"fdd\" is no argument of read, no variable and no enumerator. Did "
         "you mean fd?"},
        {"getpid() == 3", 1, "calls no function"},
        {"fd(3)", 1, "calls no function"},
        {"nosuch(fd, 3)", 1, "calls no function"},
        {"static_cast<double>(buf) == 1", 1, "cannot be cast"},
        {"static_cast<int>(fd", 20, "')'"},
        {"fd == int", 10, "'('"},
        {"fd == int(", 11, "a value was expected"},
        {"(long *)&fd == 0", 9, "in a register"},
        {"fd == int()", 11, "a value"},
        {"const_cast<>(buf)", 12, "a type's name"},
        {"fd > 1 && dynamic_cast<int *>(buf)", 11, "dynamic_cast asks"},
        {"buf == 'ab'", 8, "one byte"},
        {"buf == \"ab", 8, "no end"},
        {"fd == '\\q'", 8, "no escape"},
        {"fd == 08", 7, "no number"},
        {"fd == 3x", 7, "no number"},
        {"fd == 0x", 7, "no number"},
        {"fd == 99999999999999999999", 7, "64 bits"},
        {"fd == 1.5L", 7, "long double"},
        {"fd == 1.2.3", 7, "no number"},
        {"fd == L'x'", 7, "of char only"},
        {"$rat == 1", 1, "\"$rat\" is not known"},
        {"$arg4 == 1", 1, "read has 3 arguments"},
        {"$arg0 == 1", 1, "not known"},
        {"$streq(buf)", 11, "second text"},
        {"$streq(fd, \"x\")", 8, "no text"},
        {"buf == \"x\"", 1, "no text"},
        {"*buf == 1", 1, "points to void"},
        {"buf->x == 1", 4, "points to void"},
        {"fd->x == 1", 3, "no pointer"},
        {"fd.x == 1", 4, "no members"},
        {"buf == 1.5", 5, "does not take"},
        {"buf + buf == 0", 5, "does not take"},
        {"fd % 1.5", 4, "does not take"},
        {"~1.5", 1, "does not take"},
        {"fd << 1.0", 4, "does not take"},
        {"-buf", 1, "does not take"},
        {"&fd == 0", 1, "in a register"},
        {"&3 == 0", 1, "a value"},
        {"fd ? buf : 1.5", 4, "\"?:\" does not take"},
        {"(struct nosuch *)buf", 2, "struct nosuch"},
        {"(double)buf == 1", 1, "cannot be cast"},
        {"(unsigned float)fd", 2, "no type of C"},
        {"(int[3])fd", 5, "arrays"},
        {"(int (*)(int))fd", 6, "arrays and functions"},
        {"(int(nosuch) + 1) == 3", 6, "\"nosuch\" is no argument"},
        {"(struct a_name_that_is_much_too_long_to_be_shown_as_a_whole_in_one_sentence *)buf", 2,
         "\"struct a_name_that_is_much_to...be_shown_as_a_whole_in_one_sentence\"."},
        {"a_name_that_is_much_too_long_to_be_shown_as_a_whole_in_one_sentence == 1", 1,
         "\"a_name_that_is_much_to...be_shown_as_a_whole_in_one_sentence\" is no argument"},
        {"(((fd + 1) * (fd + 2) * (fd + 3) * (fd + 4) * (fd + 5) * (fd + 6)))->x", 68,
         "(... 3) * (fd + 4) * (fd + 5) * (fd + 6\" is of type int, no pointer."},
        {"sizeof(struct nosuch)", 8, "struct nosuch"},
        {"fd == \"x\"", 1, "no text"},
        {"\"x\"", 1, "a text stands beside"},
        {"fd ?: 3", 5, "left out"},
        {"fd @ 3", 4, "no meaning"},
        {"fd == 3 // x", 10, "stands where"},
        {"$caller == nosuch", 12, "no loaded module has a function"},
        {"$caller == \"nosuch\"", 12, "no loaded module has a function"},
        {"fd::x == 1", 1, "no enumerator"},
        {"fd:: == 1", 6, "behind \"::\""},
        {"$ret.x", 6, "no members"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gib_error error = {.code = 0};
        struct compiled c;
        char start[32];
        if (!compile(read_function, rows[i].text, &c, &error))
            fail_msg("\"%s\" is no error", rows[i].text);
        snprintf(start, sizeof start, "column %u: ", rows[i].column);
        if (error.address != rows[i].column || strncmp(error.message, start, strlen(start)) ||
            !strstr(error.message, rows[i].message))
            fail_msg("\"%s\": %s", rows[i].text, error.message);
        assert_int_not_equal(error.code, 0);
        release(&c);
    }
}

/* A sentence is one, whatever the text. */
static void test_deep(void **unused)
{
    static const char *const patterns[] = {
        "(", "!", "- ", "*", "fd+(", "fd?fd:", "(int)", "sizeof ", "fd[", "fd==(", "fd&&("};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        char text[4000] = "";
        for (int j = 0; j < 300; j++)
            strcat(text, patterns[i]);
        strcat(text, "fd");
        struct gib_error error;
        struct compiled c;
        assert_int_not_equal(compile(read_function, text, &c, &error), 0);
        if (!strstr(error.message, "nested more than 200"))
            fail_msg("%s: %s", patterns[i], error.message);
        release(&c);
    }
    char *text = calloc(1, 10000);
    struct gib_error error;
    struct compiled c;
    memset(text, ' ', 5000);
    assert_int_not_equal(compile(read_function, text, &c, &error), 0);
    assert_non_null(strstr(error.message, "longer than 4096"));
    release(&c);
    /* A chain is as deep as it is long. */
    strcpy(text, "fd == 1");
    for (int i = 0; i < 150; i++)
        sprintf(text + strlen(text), " || fd == %d", i * 3);
    struct gib_condition_call call = {.gpr = {447}};
    assert_int_equal(verdict(read_function, text, &call), GIB_VERDICT_TRUE);
    call.gpr[0] = 448;
    assert_int_equal(verdict(read_function, text, &call), GIB_VERDICT_FALSE);
    free(text);
}

/* Code that does not fit is refused. */
static void test_large(void **unused)
{
    static char text[4096];
    uint8_t code[GIB_CONDITION_MAX];
    size_t size;
    struct gib_error error;
    struct compiled c;
    strcpy(text, "$arg1 == 1");
    for (int i = 0; i < 150; i++)
        strcat(text, " || **(char **)$arg2");
    assert_int_equal(compile(NULL, text, &c, &error), 0);
    assert_int_equal(gib_condition_code(c.condition, code, &size, &error), GIB_E_SPACE);
    assert_non_null(strstr(error.message, "too large"));
    assert_false(gib_condition_is_plain(c.condition));
    release(&c);
}

static void test_prototypes(void **unused)
{
    struct gib_condition_call call = {.gpr = {(uint64_t)(uintptr_t) "some/path", 0100 | 2},
                                      .caller = 0x1000,
                                      .rax = (uint64_t)-1,
                                      .error = 13,
                                      .tid = 42,
                                      .calls = 7};
    static const char open_function[] =
        "int open(const char *__path, int __oflag, ...); // errno open oflag=open_flags";
    static const char *const right[] = {
        "path == \"some/path\" && oflag & O_CREAT && (oflag & 3) == O_RDWR",
        "__path == \"some/path\" && $arg1 == path && *path == 's' && path[4] == '/'",
        "$ret == -1 && $errno == 13 && $tid == 42 && $calls == 7 && $caller == 4096",
        "$ret < 0 && (unsigned)$ret == 0xffffffff && (long)$ret == -1",
        "$strstr(path, \"/p\") && !$strstr(path, \"/q\") && $startswith(path, \"some\")",
        "$streq(\"a\" \"b\", \"ab\") && \"x\" != \"y\" && path != NULL && path",
        "$streq(path + 5, \"path\") && sizeof(size_t) == 8 && (uint8_t)oflag == 66",
        "(size_t)-1 > 0 && (int8_t)200 < 0 && sizeof(long double) == 16",
    };
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        if (verdict(open_function, right[i], &call) != GIB_VERDICT_TRUE)
            fail_msg("%s", right[i]);
    /* The mode of open, and words of a function that nobody knows. */
    call.gpr[2] = 0644;
    assert_int_equal(verdict(open_function, "$arg3 == 0644", &call), GIB_VERDICT_TRUE);
    assert_int_equal(verdict(NULL, "$arg3 == 0644 && $ret == -1 && $arg6 == 0", &call),
                     GIB_VERDICT_TRUE);
    /* A pointer to what nobody knows can be compared. */
    assert_int_equal(verdict("int f(struct nosuch *p, FILE *q)", "p != NULL && q && p > 0", &call),
                     GIB_VERDICT_TRUE);
    struct gib_error error;
    struct compiled c;
    assert_int_not_equal(compile("int f(struct nosuch *p)", "p->x == 1", &c, &error), 0);
    assert_non_null(strstr(error.message, "members of"));
    release(&c);
    assert_int_not_equal(compile(NULL, "$arg7 == 1", &c, &error), 0);
    assert_non_null(strstr(error.message, "-prototype"));
    release(&c);
}

static void test_uses(void **unused)
{
    static const struct {
        const char *text;
        unsigned parsed, checked;
        bool plain;
    } rows[] = {
        {"fd == 3 && nbytes > 10", 0, 0, true},
        {"fd / 3 == 1 && fd % 2", 0, 0, true},
        {"fd / nbytes == 1", 0, 0, false},
        {"fd / 0 == 1", 0, 0, false},
        {"(double)fd > 1", 0, 0, false},
        {"$ret > 0", GIB_CONDITION_RETURN, GIB_CONDITION_RETURN, false},
        {"$errno", GIB_CONDITION_RETURN | GIB_CONDITION_ERRNO,
         GIB_CONDITION_RETURN | GIB_CONDITION_ERRNO, false},
        {"$calls % 10 == 0", GIB_CONDITION_CALLS, GIB_CONDITION_CALLS, false},
        {"$caller > 5", GIB_CONDITION_CALLER, GIB_CONDITION_CALLER, false},
        {"*(int *)buf", 0, GIB_CONDITION_MEMORY, false},
        {"(char *)buf == \"x\"", 0, GIB_CONDITION_MEMORY, false},
        {"fd == 3 || 1", 0, 0, true},
        {"1 || *(int *)buf", 0, 0, true},
        {"sizeof($ret) == 8 && sizeof *(int *)buf == 4", 0, 0, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gib_error error;
        struct gib_condition_text *text;
        struct compiled c;
        assert_int_equal(gib_condition_parse(rows[i].text, &text, &error), 0);
        unsigned parsed = gib_condition_text_uses(text);
        gib_condition_text_free(text);
        if (compile(read_function, rows[i].text, &c, &error))
            fail_msg("%s", error.message);
        if (parsed != rows[i].parsed || gib_condition_uses(c.condition) != rows[i].checked ||
            gib_condition_is_plain(c.condition) != rows[i].plain)
            fail_msg("%s: %u %u", rows[i].text, parsed, gib_condition_uses(c.condition));
        release(&c);
    }
    struct compiled c;
    struct gib_error error;
    assert_int_equal(compile("int f(double d)", "d > 1", &c, &error), 0);
    assert_int_equal(gib_condition_uses(c.condition), GIB_CONDITION_XMM);
    release(&c);
}

/* A comparison of an argument and a constant is one instruction and a jump. */
static void test_inline_size(void **unused)
{
    static const char *const texts[] = {"fd == 3",  "fd & 4",      "nbytes > 10",
                                        "!buf",     "fd < 0",      "(char)fd == 'x'",
                                        "fd == 3L", "buf == NULL", "3 < fd"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint8_t code[GIB_CONDITION_INLINE_MAX];
        struct emitter e = {code, 0, sizeof code, 0x1000, false};
        struct gib_error error;
        struct compiled c;
        assert_int_equal(compile(read_function, texts[i], &c, &error), 0);
        assert_true(gib_condition_is_plain(c.condition));
        gib_condition_inline(&e, c.condition, 0x2000);
        if (e.failed || e.at > 13)
            fail_msg("%s: %zu bytes", texts[i], e.at);
        release(&c);
    }
}

/* Texts up to the end of what can be read. */
static void test_text_bounds(void **unused)
{
    enum { PAGES = 20, SIZE = 4096 };
    char *pages =
        mmap(NULL, (PAGES + 1) * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + PAGES * SIZE, SIZE, PROT_NONE), 0);
    memset(pages, 'a', PAGES * SIZE);
    static const char f[] = "int f(const char *p)";
    struct gib_condition_call call = {.gpr = {(uint64_t)(uintptr_t)(pages + PAGES * SIZE - 3)}};
    assert_int_equal(verdict(f, "p == \"aaa\"", &call), GIB_VERDICT_FAILED);
    assert_int_equal(verdict(f, "p == \"aab\"", &call), GIB_VERDICT_FALSE);
    assert_int_equal(verdict(f, "$startswith(p, \"aaa\")", &call), GIB_VERDICT_TRUE);
    assert_int_equal(verdict(f, "$startswith(p, \"aaaa\")", &call), GIB_VERDICT_FAILED);
    assert_int_equal(verdict(f, "$strstr(p, \"aa\")", &call), GIB_VERDICT_TRUE);
    assert_int_equal(verdict(f, "$strstr(p, \"b\")", &call), GIB_VERDICT_FAILED);
    assert_int_equal(verdict(f, "p == \"b\" || p[0] == 'a'", &call), GIB_VERDICT_TRUE);
    assert_int_equal(verdict(f, "p[3] == 'a'", &call), GIB_VERDICT_FAILED);
    assert_int_equal(verdict(f, "*(long *)p == 1", &call), GIB_VERDICT_FAILED);
    assert_int_equal(verdict(f, "p != \"x\" && !p[3]", &call), GIB_VERDICT_FAILED);
    pages[PAGES * SIZE - 1] = 0;
    assert_int_equal(verdict(f, "p == \"aa\"", &call), GIB_VERDICT_TRUE);
    assert_int_equal(verdict(f, "$strstr(p, \"aa\") && $strstr(p, \"\")", &call), GIB_VERDICT_TRUE);
    assert_int_equal(verdict(f, "$strstr(p, \"aaa\")", &call), GIB_VERDICT_FALSE);
    /* More than 64 KiB, and a search that would take for ever. */
    call.gpr[0] = (uint64_t)(uintptr_t)pages;
    assert_int_equal(verdict(f, "$strstr(p, \"b\")", &call), GIB_VERDICT_FAILED);
    assert_int_equal(verdict(f, "$strstr(p, p + 1)", &call), GIB_VERDICT_FAILED);
    memcpy(pages + 40000, "needle", 7);
    assert_int_equal(verdict(f, "$strstr(p, \"needle\")", &call), GIB_VERDICT_TRUE);
    assert_int_equal(verdict(f, "$strstr(p, \"needles\")", &call), GIB_VERDICT_FALSE);
    /* Pointers that are none. */
    static const uint64_t bad[] = {
        0, 1, 7, 4096, 0x800000000000, 0x8000000000000000, 0xffffffffffffffff, 0xffffffffff5ff000};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        call.gpr[0] = bad[i];
        assert_int_equal(verdict(f, "p == \"x\"", &call), GIB_VERDICT_FAILED);
        assert_int_equal(verdict(f, "*p == 'x'", &call), GIB_VERDICT_FAILED);
        assert_int_equal(verdict(f, "*(double *)p == 0", &call), GIB_VERDICT_FAILED);
        assert_int_equal(verdict(f, "1 || *p == 'x'", &call), GIB_VERDICT_TRUE);
        assert_int_equal(verdict(f, "$arg1 != 12345 || *p == 'x'", &call), GIB_VERDICT_TRUE);
        assert_int_equal(verdict(f, "$arg1 == 12345 && *p == 'x'", &call), GIB_VERDICT_FALSE);
    }
    munmap(pages, (PAGES + 1) * SIZE);
}

static void test_divisions(void **unused)
{
    static const char f[] = "int f(int a, int b, long c, long d)";
    struct gib_condition_call call = {.gpr = {0x80000000, 0xffffffff, 1ull << 63, (uint64_t)-1}};
    assert_int_equal(verdict(f, "a / b == a && a % b == 0", &call), GIB_VERDICT_TRUE);
    assert_int_equal(verdict(f, "c / d == c && c % d == 0", &call), GIB_VERDICT_TRUE);
    assert_int_equal(verdict(f, "a / -1 == a && c % -1 == 0", &call), GIB_VERDICT_TRUE);
    call.gpr[1] = call.gpr[3] = 0;
    assert_int_equal(verdict(f, "a / b == a", &call), GIB_VERDICT_FAILED);
    assert_int_equal(verdict(f, "c % d == a", &call), GIB_VERDICT_FAILED);
    assert_int_equal(verdict(f, "c / 0 == a", &call), GIB_VERDICT_FAILED);
    assert_int_equal(verdict(f, "!(c / 0)", &call), GIB_VERDICT_FAILED);
    assert_int_equal(verdict(f, "a && c || c / d", &call), GIB_VERDICT_TRUE);
    assert_int_equal(verdict(f, "1 / 0.0 > 1e300 && b / 0.0 != b / 0.0", &call), GIB_VERDICT_TRUE);
}

/* A debugger may run where the point is a comma. */
static void test_locale(void **unused)
{
    struct gib_condition_call call = {.gpr = {1}};
    char *before = strdup(setlocale(LC_NUMERIC, NULL));
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8"};
    for (size_t i = 0; i < 2; i++)
        setlocale(LC_NUMERIC, names[i]);
    assert_int_equal(verdict("int f(int a)", "a == 0.5 + 0.5 && 2.25f * 4 == 9", &call),
                     GIB_VERDICT_TRUE);
    setlocale(LC_NUMERIC, before);
    free(before);
}

static bool no_elf(void *context, size_t index, struct gib_condition_file *out)
{
    *out = (struct gib_condition_file){NULL, 0};
    return index < 2;
}

/* A function in no file. */
static void test_no_file(void **unused)
{
    struct gib_error error;
    struct gib_condition_text *text;
    struct gib_condition *condition;
    struct gib_convention convention;
    gib_convention_make(NULL, &convention);
    struct gib_condition_scope scope = {.convention = &convention, .file = no_elf};
    assert_int_equal(gib_condition_parse("x == 1 && (y) - 1", &text, &error), 0);
    assert_int_equal(gib_condition_check(text, &scope, &condition, &error), GIB_E_NOT_FOUND);
    gib_condition_text_free(text);
}

static void visit(void *context, const char *name)
{
    strcat(context, name);
    strcat(context, " ");
}

static void test_names(void **unused)
{
    struct gib_error error;
    struct gib_prototype *prototype;
    struct gib_convention convention;
    char names[2000] = "";
    assert_int_equal(gib_prototype_parse(store, "int f(int whence, char *p); // whence=whence",
                                         &prototype, &error),
                     0);
    gib_convention_make(prototype, &convention);
    struct gib_condition_scope scope = {.prototype = prototype, .convention = &convention};
    gib_condition_names(&scope, visit, names);
    assert_string_equal(names,
                        "$arg1 $arg2 $ret $errno $tid $calls $caller $streq $strstr "
                        "$startswith whence SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE p ");
    gib_prototype_free(prototype);
}

static int open_store(void **unused)
{
    struct gib_error error;
    store = gib_prototypes_open(GIBBON_SOURCE_DIR "/core/prototypes/data", &error);
    return store ? 0 : 1;
}

static int close_store(void **unused)
{
    gib_prototypes_close(store);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),      cmocka_unit_test(test_deep),
        cmocka_unit_test(test_large),       cmocka_unit_test(test_prototypes),
        cmocka_unit_test(test_uses),        cmocka_unit_test(test_inline_size),
        cmocka_unit_test(test_text_bounds), cmocka_unit_test(test_divisions),
        cmocka_unit_test(test_locale),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
