/*
 * test_elf_dwarf.c: prototypes and lines, of programs of all compilers, against what their source
 * says and addr2line.
 */
#include <unistd.h>
#include "elf_test.h"

static const char kind_letters[] = "vbcifFespRV";
static const char class_letters[] = "-ISs8M";

/* One line that says all of a prototype: "name: kind size/align classes 'type' name; ..." */
static char *describe(const struct gib_prototype *prototype)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    for (size_t i = 0; i <= prototype->parameter_count; i++) {
        const struct gib_parameter *parameter = i ? &prototype->parameters[i - 1] : NULL;
        const struct gib_type *type = parameter ? &parameter->type : &prototype->result;
        fprintf(stream, "%s%c%s %u/%u %c%c%s%s '%s'",
                i == 1 ? ": "
                : i    ? "; "
                       : "",
                kind_letters[type->kind], type->is_signed ? "-" : "", type->size, type->align,
                class_letters[type->eightbyte[0]], class_letters[type->eightbyte[1]],
                type->indirect ? " indirect" : "", type->known_layout ? "" : " unknown",
                type->name);
        if (i)
            fprintf(stream, " %s", parameter->name ? parameter->name : "-");
    }
    if (prototype->variadic == GIB_VARIADIC_UNKNOWN)
        fputs("; ...", stream);
    if (prototype->unspecified)
        fputs(": ?", stream);
    fclose(stream);
    return text;
}

static struct gib_prototype *prototype_of(struct gib_elf *elf, const char *name)
{
    struct gib_elf_symbol symbol = find_one(elf, name);
    struct gib_prototype *prototype = gib_elf_prototype(elf, symbol.value);
    if (!prototype)
        fail_msg("no prototype of %s", name);
    return prototype;
}

struct expectation {
    const char *function, *prototype;
};

static const struct expectation c_functions[] = {
    {"f_strings", "s 8/8 I- 'char *': s 8/8 I- 'const char *' path; s 8/8 I- 'char *' out; "
                  "s 8/8 I- 'const unsigned char *' raw; p 8/8 I- 'const char *const *' list; "
                  "p 8/8 I- 'const wchar_t *' wide"},
    {"f_void", "v 0/0 -- 'void'"},
    {"f_integers",
     "i- 4/4 I- 'int': b 1/1 I- '_Bool' yes; c- 1/1 I- 'char' c; i- 2/2 I- 'short' s; "
     "i 4/4 I- 'unsigned int' u; i 8/8 I- 'size_t' z; i- 8/8 I- 'int64_t' i; i 8/8 I- 'word' w; "
     "i- 16/16 II '__int128' huge"},
    {"f_floats", "f 8/8 S- 'double': f 4/4 S- 'float' f; f 8/8 S- 'double' d; "
                 "f 16/16 8- 'long double' ld; F 16/8 SS 'complex double' dc; "
                 "F 8/4 S- 'complex float' fc"},
    {"f_enums", "e 4/4 I- 'enum color': e 4/4 I- 'enum color' c; e- 4/4 I- 'enum level' level"},
    {"f_records",
     "R 16/8 II 'struct pair': R 16/8 II 'struct pair' p; R 16/8 SI 'struct mixed' m; "
     "R 12/4 SS 'struct floats' f; R 24/8 M- 'struct big' b; R 16/8 IS 'struct bits' t; "
     "R 8/8 I- 'union either' e"},
    {"f_records2",
     "R 24/8 M- 'struct big': R 5/1 M- 'struct packed' p; R 16/16 8- 'struct quad' q; "
     "R 16/8 IS 'struct nested' n; V 16/16 Ss 'vec4' v"},
    {"f_pointers",
     "v 0/0 -- 'void': p 8/8 I- 'struct stat *' st; p 8/8 I- 'struct opaque *' o; "
     "p 8/8 I- 'compare' by; p 8/8 I- 'int (*)(int, char *)' visit; p 8/8 I- 'void *const *' vp; "
     "p 8/8 I- 'int (*)[4]' rows"},
    {"f_variadic", "i- 4/4 I- 'int': s 8/8 I- 'const char *' format; ..."},
    {"f_old", "i- 4/4 I- 'int': ?"},
    {"f_static", "i- 4/4 I- 'int': i- 4/4 I- 'int' n"},
    {"main", "i- 4/4 I- 'int': i- 4/4 I- 'int' argc; p 8/8 I- 'char **' argv"},
};

/* The compilers call base types differently: gcc's words. */
static void use_gcc_words(char *text)
{
    static const char *const words[][2] = {{"'short int'", "'short'"},
                                           {"'long int'", "'long'"},
                                           {"'_Complex double'", "'complex double'"},
                                           {"'_Complex float'", "'complex float'"}};
    for (size_t i = 0; i < COUNT(words); i++) {
        for (char *at; (at = strstr(text, words[i][0]));) {
            size_t from = strlen(words[i][0]), to = strlen(words[i][1]);
            memcpy(at, words[i][1], to);
            memmove(at + to, at + from, strlen(at + from) + 1);
        }
    }
}

static void check_prototypes(const char *path, const struct expectation *expected, size_t count)
{
    struct gib_elf *elf = open_elf(path);
    for (size_t i = 0; i < count; i++) {
        struct gib_prototype *prototype = prototype_of(elf, expected[i].function);
        char *text = describe(prototype);
        use_gcc_words(text);
        if (strcmp(text, expected[i].prototype))
            fail_msg("%s in %s:\n%s\nexpected:\n%s", expected[i].function, path, text,
                     expected[i].prototype);
        free(text);
        gib_prototype_free(prototype);
    }
    gib_elf_close(elf);
}

static void c_prototypes(void **state)
{
    for (size_t i = 0; i < COUNT(c_programs); i++)
        check_prototypes(program(c_programs[i]), c_functions, COUNT(c_functions));
    /* The same from a separate debug file. */
    check_prototypes(program("c-linked"), c_functions, COUNT(c_functions));
}

static const struct expectation cxx_functions[] = {
    {"ns::Class::method(int)", "i- 4/4 I- 'int': p 8/8 I- 'Class *' this; i- 4/4 I- 'int' n"},
    {"ns::Class::method(char const*) const",
     "i- 4/4 I- 'int': p 8/8 I- 'const Class *' this; s 8/8 I- 'const char *' text"},
    {"ns::Class::shared", "i- 4/4 I- 'int': i 4/4 I- 'unsigned int' n; e 1/1 I- 'Mode' mode"},
    {"ns::Class::convert<int>", "i- 4/4 I- 'int': p 8/8 I- 'Class *' this; i- 4/4 I- 'int' value"},
    {"ns::values",
     "v 0/0 -- 'void': R 16/8 IS 'Plain' plain; R 4/4 M- indirect 'Destroyed' destroyed; "
     "R 4/4 M- indirect 'Holder' holder; R 4/4 M- indirect 'Copied' copied; "
     "R 4/4 I- 'Defaulted' defaulted; R 16/8 M- indirect 'Virtual' virt; R 1/1 -- 'Empty' empty; "
     "R 16/8 IS 'Derived' derived"},
    {"_ZN2ns7DiamondC1Ei", "v 0/0 -- 'void': p 8/8 I- 'Diamond *' this; i- 4/4 I- 'int' n"},
    {"c_name", "i- 4/4 I- 'int': s 8/8 I- 'const char *' text"},
    {"(anonymous namespace)::hidden", "i- 4/4 I- 'int': i- 4/4 I- 'int' n"},
};

static void cxx_prototypes(void **state)
{
    for (size_t i = 0; i < COUNT(cxx_programs); i++) {
        const char *path = program(cxx_programs[i]);
        check_prototypes(path, cxx_functions, COUNT(cxx_functions));
        struct gib_elf *elf = open_elf(path);
        struct gib_prototype *prototype = prototype_of(elf, "ns::references");
        assert_int_equal(prototype->parameter_count, 6);
        static const enum gib_type_kind kinds[] = {GIB_TYPE_POINTER, GIB_TYPE_POINTER,
                                                   GIB_TYPE_POINTER, GIB_TYPE_POINTER,
                                                   GIB_TYPE_INT,     GIB_TYPE_RECORD};
        for (size_t j = 0; j < 6; j++) {
            assert_int_equal(prototype->parameters[j].type.kind, kinds[j]);
            assert_int_equal(prototype->parameters[j].type.size, j == 5 ? 16 : 8);
            assert_int_equal(prototype->parameters[j].type.eightbyte[0], GIB_CLASS_INTEGER);
            assert_int_equal(prototype->parameters[j].type.eightbyte[1],
                             j == 5 ? GIB_CLASS_INTEGER : GIB_CLASS_NONE);
        }
        assert_string_equal(prototype->parameters[0].type.name, "Plain &");
        assert_string_equal(prototype->parameters[1].type.name, "const Class &");
        gib_prototype_free(prototype);
        /* Only the constructor of a part is passed the table; the compilers name it differently. */
        prototype = prototype_of(elf, "_ZN2ns7DiamondC2Ei");
        assert_int_equal(prototype->parameter_count, 3);
        assert_int_equal(prototype->parameters[1].type.kind, GIB_TYPE_POINTER);
        assert_string_equal(prototype->parameters[2].name, "n");
        gib_prototype_free(prototype);
        gib_elf_close(elf);
    }
}

static void enumerators(void **state)
{
    for (size_t i = 0; i < COUNT(c_programs); i++) {
        struct gib_elf *elf = open_elf(program(c_programs[i]));
        struct gib_prototype *prototype = prototype_of(elf, "f_enums");
        const struct gib_type *color = &prototype->parameters[0].type,
                              *level = &prototype->parameters[1].type;
        assert_int_equal(color->enumerator_count, 3);
        assert_string_equal(color->enumerators[1].name, "GREEN");
        assert_int_equal(color->enumerators[1].value, 5);
        assert_int_equal(color->enumerators[2].value, 200); /* not -56 */
        assert_int_equal(level->enumerator_count, 2);
        assert_int_equal(level->enumerators[0].value, -3);
        assert_string_equal(level->enumerators[1].name, "HIGH");
        gib_prototype_free(prototype);
        gib_elf_close(elf);
    }
}

static void no_prototype(void **state)
{
    struct gib_elf *elf = open_elf(program("c-stripped"));
    const struct gib_elf_symbol *symbols;
    for (size_t i = 0, count = gib_elf_functions(elf, &symbols); i < count; i++)
        assert_null(gib_elf_prototype(elf, symbols[i].value));
    assert_null(gib_elf_prototype(elf, gib_elf_info(elf)->entry));
    gib_elf_close(elf);
    elf = open_elf(program("c-gcc-O2"));
    struct gib_elf_symbol symbol = find_one(elf, "f_lines");
    assert_null(gib_elf_prototype(elf, symbol.value + 1)); /* not its entry */
    assert_null(gib_elf_prototype(elf, 0));
    assert_null(gib_elf_prototype(elf, UINT64_MAX));
    gib_elf_close(elf);
}

/* The library that everybody wraps: through a debug file found by build id, when it is installed.
 */
static void libc_prototypes(void **state)
{
    struct gib_elf *elf = open_elf(libc_path);
    struct gib_elf_symbol symbol = find_one(elf, "mkdtemp");
    struct gib_prototype *prototype = gib_elf_prototype(elf, symbol.value);
    if (!prototype) {
        gib_elf_close(elf);
        skip(); /* no libc6-dbg */
    }
    char *text = describe(prototype);
    assert_string_equal(text, "s 8/8 I- 'char *': s 8/8 I- 'char *' template");
    free(text);
    gib_prototype_free(prototype);
    prototype = prototype_of(elf, "div");
    assert_int_equal(prototype->result.kind, GIB_TYPE_RECORD);
    assert_int_equal(prototype->result.eightbyte[0], GIB_CLASS_INTEGER);
    gib_prototype_free(prototype);
    symbol = find_one(elf, "__memmove_sse2_unaligned"); /* written in assembler */
    assert_null(gib_elf_prototype(elf, symbol.value));
    symbol = find_one(elf, "mkdtemp");
    assert_true(gib_elf_declared_in(elf, symbol.value, "mkdtemp.c"));
    assert_true(gib_elf_declared_in(elf, symbol.value, "misc/mkdtemp.c"));
    assert_false(gib_elf_declared_in(elf, symbol.value, "temp.c"));
    assert_false(gib_elf_declared_in(elf, symbol.value, "other/mkdtemp.c"));
    gib_elf_close(elf);
}

/* Types that dwz has moved to a file that several programs share. */
static void alternate_file(void **state)
{
    static const struct expectation expected = {"shared_result", "i 4/4 I- 'shared_type'"};
    check_prototypes(program("alternate.so"), &expected, 1);
}

/* Compares with addr2line at `count` addresses of functions. Returns how many lines were known to
 * both. */
static size_t compare_lines(const char *path, const char *debug_path, size_t wanted)
{
    struct gib_elf *elf = open_elf(path);
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(elf, &symbols), known = 0, used = 0, same_file = 0;
    uint64_t *addresses = calloc(wanted, sizeof *addresses);
    char list[] = "/tmp/gibbon-lines-XXXXXX";
    int fd = mkstemp(list);
    assert_true(fd >= 0 && count > 0);
    FILE *stream = fdopen(fd, "w");
    while (used < wanted) {
        const struct gib_elf_symbol *symbol = &symbols[random_number() % count];
        addresses[used] = symbol->value + (symbol->size ? random_number() % symbol->size : 0);
        fprintf(stream, "%#lx\n", addresses[used++]);
    }
    fclose(stream);
    stream = output_of("addr2line -e %s < %s", debug_path, list);
    char line[8192];
    for (size_t i = 0; i < used; i++) {
        assert_non_null(fgets(line, sizeof line, stream));
        char *colon = strrchr(line, ':');
        assert_non_null(colon);
        *colon = 0;
        unsigned number = strtoul(colon + 1, NULL, 10), found = 0;
        const char *slash = strrchr(line, '/'), *file = "?";
        bool has = gib_elf_line(elf, addresses[i], &file, &found);
        /* addr2line takes the symbol table's file when there is no debug information: no line. */
        if (has != (number != 0) || found != number)
            fail_msg("%s %#lx: %s:%u, addr2line says %s:%u", path, addresses[i], file, found, line,
                     number);
        known += has;
        same_file += has && !strcmp(file, slash ? slash + 1 : line);
    }
    /* binutils 2.40 names the unit's file for a few lines that are another file's. */
    assert_true(same_file >= known * 9 / 10);
    pclose(stream);
    unlink(list);
    free(addresses);
    gib_elf_close(elf);
    return known;
}

static void lines_agree_with_addr2line(void **state)
{
    for (size_t i = 0; i < COUNT(c_programs); i++)
        assert_true(compare_lines(program(c_programs[i]), program(c_programs[i]), 2000) > 5);
    for (size_t i = 0; i < COUNT(cxx_programs); i++)
        assert_true(compare_lines(program(cxx_programs[i]), program(cxx_programs[i]), 2000) > 100);
    struct gib_elf *elf = open_elf(libc_path);
    const struct gib_elf_info *info = gib_elf_info(elf);
    char debug[4096] = "/usr/lib/debug/.build-id/";
    for (size_t i = 0; i < info->build_id_size; i++)
        sprintf(debug + strlen(debug), i ? "%02x" : "%02x/", info->build_id[i]);
    strcat(debug, ".debug");
    gib_elf_close(elf);
    if (!access(debug, R_OK))
        assert_true(compare_lines(libc_path, debug, 2000) > 1000);
}

/* The number of the line that says LINE in sample.c. */
static unsigned marked_line(void)
{
    FILE *stream = fopen(ELF_SAMPLE_C, "r");
    char line[4096];
    unsigned number = 0, found = 0;
    while (fgets(line, sizeof line, stream)) {
        number++;
        if (strstr(line, "/* LINE */"))
            found = number;
    }
    fclose(stream);
    return found;
}

static void lines_of_a_function(void **state)
{
    for (size_t i = 0; i < COUNT(c_programs); i++) {
        struct gib_elf *elf = open_elf(program(c_programs[i]));
        struct gib_elf_symbol symbol = find_one(elf, "f_lines");
        const char *file;
        unsigned line, marked = marked_line();
        bool seen = false;
        for (uint64_t at = 0; at < symbol.size; at++) {
            assert_true(gib_elf_line(elf, symbol.value + at, &file, &line));
            assert_string_equal(file, "sample.c");
            assert_in_range(line, marked - 3, marked + 2);
            seen |= line == marked;
        }
        assert_true(seen);
        assert_true(gib_elf_declared_in(elf, symbol.value, "sample.c"));
        assert_true(gib_elf_declared_in(elf, symbol.value, "elf_programs/sample.c"));
        assert_false(gib_elf_declared_in(elf, symbol.value, "ample.c"));
        assert_false(gib_elf_declared_in(elf, symbol.value, ""));
        assert_false(gib_elf_line(elf, 0, &file, &line));
        assert_false(gib_elf_line(elf, UINT64_MAX, &file, &line));
        gib_elf_close(elf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c_prototypes),
        cmocka_unit_test(cxx_prototypes),
        cmocka_unit_test(enumerators),
        cmocka_unit_test(no_prototype),
        cmocka_unit_test(libc_prototypes),
        cmocka_unit_test(alternate_file),
        cmocka_unit_test(lines_agree_with_addr2line),
        cmocka_unit_test(lines_of_a_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
