/*
 * test_elf_inlines.c: inlined copies, of programs of all compilers, against marks in their source.
 */
#include <unistd.h>
#include "elf_test.h"

static const char *const programs[] = {ELF_INLINES};

/* The number of the line that has this mark; 0: none. */
static unsigned marked(const char *source, const char *mark)
{
    char path[4096], line[4096], comment[64];
    unsigned number = 0, found = 0;
    snprintf(path, sizeof path, "%s/%s", ELF_SOURCES, source);
    snprintf(comment, sizeof comment, "/* %s */", mark);
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    while (fgets(line, sizeof line, stream)) {
        number++;
        if (strstr(line, comment))
            found = number;
    }
    fclose(stream);
    if (!found)
        fail_msg("no %s in %s", comment, source);
    return found;
}

struct expected {
    const char *function, *source, *mark;
};

static bool is_there(const struct gib_elf_inlined *copies, size_t count,
                     const struct expected *expected)
{
    unsigned line = marked(expected->source, expected->mark);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(copies[i].function, expected->function) && copies[i].file &&
            !strcmp(copies[i].file, expected->source) && copies[i].line == line)
            return true;
    return false;
}

static void check(const char *path, struct gib_elf *elf, const char *name,
                  const struct expected *expected, size_t wanted)
{
    struct gib_elf_source source;
    struct gib_elf_inlined *copies;
    if (!gib_elf_source(elf, find_one(elf, name).value, &source))
        fail_msg("%s: %s is not known", path, name);
    size_t count = gib_elf_inlined(elf, &source, &copies);
    for (size_t i = 0; i < wanted; i++)
        if (!is_there(copies, count, &expected[i]))
            fail_msg("%s: no copy of %s at %s", path, name, expected[i].mark);
    if (count != wanted)
        fail_msg("%s: %zu copies of %s instead of %zu", path, count, name, wanted);
    assert_int_equal(gib_elf_is_inlined(elf, &source), wanted > 0);
    free(copies);
}

static const struct expected of_add[] = {{"run", "inlines.c", "COPY 1"},
                                         {"run", "inlines.c", "COPY 2"},
                                         {"main", "inlines.c", "COPY 3"}};

static void c_functions(void **state)
{
    for (size_t i = 0; i < COUNT(programs); i++) {
        const char *path = program(programs[i]);
        struct gib_elf *elf = open_elf(path);
        assert_true(gib_elf_debug_size(elf) > 0);
        check(path, elf, "add", of_add, COUNT(of_add));
        assert_true(gib_elf_debug_size(elf) == 0);
        check(path, elf, "called_only", NULL, 0);
        check(path, elf, "main", NULL, 0);
        gib_elf_close(elf);
    }
}

static void of_the_other_unit(void **state)
{
    static const struct expected header[] = {{"main", "inlines.c", "HEADER 1"},
                                             {"more", "inlines_more.c", "HEADER 2"}};
    for (size_t i = 0; i < COUNT(programs); i++) {
        const char *path = program(programs[i]);
        struct gib_elf *elf = open_elf(path);
        /* Local names may be made unique when the program is linked. */
        check(path, elf, strstr(path, "lto") ? "add" : "from_header",
              strstr(path, "lto") ? of_add : header,
              strstr(path, "lto") ? COUNT(of_add) : COUNT(header));
        gib_elf_close(elf);
    }
}

/* Static functions of two files. */
static void one_name_twice(void **state)
{
    for (size_t i = 0; i < COUNT(programs); i++) {
        struct gib_elf *elf = open_elf(program(programs[i]));
        struct found found = find(elf, "same_name");
        for (size_t k = 0; k < found.count && k < COUNT(found.symbols); k++) {
            struct gib_elf_source source;
            struct gib_elf_inlined *copies;
            assert_true(gib_elf_source(elf, found.symbols[k].value, &source));
            assert_false(source.in_header);
            size_t count = gib_elf_inlined(elf, &source, &copies);
            for (size_t n = 0; n < count; n++)
                assert_string_equal(copies[n].file, source.file);
            free(copies);
        }
        gib_elf_close(elf);
    }
}

/* Without an index of the whole file. */
static void own_unit(void **state)
{
    for (size_t i = 0; i < COUNT(programs); i++) {
        struct gib_elf *elf = open_elf(program(programs[i]));
        struct gib_elf_source source;
        struct gib_elf_inlined *copies;
        assert_true(gib_elf_source(elf, find_one(elf, "add").value, &source));
        if (!strstr(programs[i], "lto")) /* there the unit is the linker's */
            assert_true(source.in_unit);
        if (source.in_unit) {
            assert_int_equal(gib_elf_inlined_near(elf, &source, &copies), COUNT(of_add));
            free(copies);
            assert_true(gib_elf_debug_size(elf) > 0);
        }
        gib_elf_close(elf);
    }
}

static void cxx_functions(void **state)
{
    static const struct {
        const char *name;
        struct expected place;
    } functions[] = {
        {"Box::get", {"main", "inlines.cc", "GET"}},
        {"Box::convert<int>", {"main", "inlines.cc", "CONVERT"}},
        {"twice<int>", {"main", "inlines.cc", "TWICE"}},
        {"_ZN12_GLOBAL__N_16hiddenEi", {"main", "inlines.cc", "HIDDEN"}},
    };
    static const char *const files[] = {"inlines-gcc-4-cxx", "inlines-gcc-5-cxx",
                                        "inlines-clang-4-cxx", "inlines-clang-5-cxx"};
    for (size_t i = 0; i < COUNT(files); i++) {
        const char *path = program(files[i]);
        if (access(path, R_OK))
            continue;
        struct gib_elf *elf = open_elf(path);
        for (size_t k = 0; k < COUNT(functions); k++)
            check(path, elf, functions[k].name, &functions[k].place, 1);
        check(path, elf, "twice<double>", NULL, 0);
        gib_elf_close(elf);
    }
}

/* A source of one file, copies of another: C++ by name, C by name and place. */
static void across_files(void **state)
{
    struct gib_elf *one = open_elf(program("inlines-gcc-4-cxx")),
                   *other = open_elf(program("inlines-gcc-5-cxx")),
                   *c = open_elf(program("inlines-gcc-5"));
    struct gib_elf_source source;
    struct gib_elf_inlined *copies;
    assert_true(gib_elf_source(one, find_one(one, "Box::get").value, &source));
    assert_int_equal(gib_elf_inlined(other, &source, &copies), 1);
    free(copies);
    assert_int_equal(gib_elf_inlined(c, &source, &copies), 0);
    free(copies);
    /* Of another place, so another function. */
    assert_true(gib_elf_source(c, find_one(c, "add").value, &source));
    source.root = NULL;
    assert_int_equal(gib_elf_inlined(c, &source, &copies), COUNT(of_add));
    free(copies);
    source.line++;
    assert_int_equal(gib_elf_inlined(c, &source, &copies), 0);
    free(copies);
    gib_elf_close(one);
    gib_elf_close(other);
    gib_elf_close(c);
}

/* The function is described in dwz's alternate file. */
static void alternate_file(void **state)
{
    struct gib_elf *elf = open_elf(program("alternate.so"));
    struct gib_elf_source source;
    struct gib_elf_inlined *copies;
    assert_true(gib_elf_source(elf, find_one(elf, "shared_inline").value, &source));
    assert_string_equal(source.name, "shared_inline");
    assert_int_equal(gib_elf_inlined(elf, &source, &copies), 1);
    assert_string_equal(copies[0].function, "holder");
    assert_int_equal(copies[0].line, 42);
    assert_null(copies[0].file);
    free(copies);
    gib_elf_close(elf);
}

static void nothing_known(void **state)
{
    struct gib_elf *elf = open_elf(program("c-stripped"));
    struct gib_elf_source source;
    assert_false(gib_elf_source(elf, gib_elf_info(elf)->entry, &source));
    assert_false(gib_elf_source(elf, 0, &source));
    assert_int_equal(gib_elf_debug_size(elf), 0);
    gib_elf_close(elf);
}

/* Every function of this program: whatever is found is complete. */
static void own_program(void **state)
{
    char path[] = "/proc/self/exe";
    struct gib_elf *elf = open_elf(path);
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(elf, &symbols), known = 0;
    for (size_t i = 0; i < count; i++) {
        struct gib_elf_source source;
        struct gib_elf_inlined *copies;
        if (!gib_elf_source(elf, symbols[i].value, &source))
            continue;
        size_t copies_count = gib_elf_inlined(elf, &source, &copies);
        known++;
        for (size_t k = 0; k < copies_count; k++) {
            assert_non_null(copies[k].function);
            assert_non_null(copies[k].file);
            assert_true(copies[k].line > 0);
        }
        free(copies);
    }
    assert_true(!known || gib_elf_debug_size(elf) == 0);
    gib_elf_close(elf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c_functions),    cmocka_unit_test(of_the_other_unit),
        cmocka_unit_test(one_name_twice), cmocka_unit_test(own_unit),
        cmocka_unit_test(cxx_functions),  cmocka_unit_test(across_files),
        cmocka_unit_test(alternate_file), cmocka_unit_test(nothing_known),
        cmocka_unit_test(own_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
