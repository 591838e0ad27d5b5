/*
 * test_package.c: what the macros of gibbon/package.h leave in a file, and reading it: every kind
 * of registration from every compiler, then damaged files.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "elf/elf.h"
#include "package/package.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char *const names[] = {PACKAGE_NAMES};

static const char *package_path(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s.so", PACKAGES, name);
    return path;
}

/* What everything.c and second.c register, in this order. */
struct expected {
    enum gibbon_registration_kind kind;
    const char *module, *function, *identifier, *code;
    bool elsewhere;
};
static const struct expected expected[] = {
    {GIBBON_KIND_WRAP, "libc.so.6", "open", "open", "open_with_mode", false},
    {GIBBON_KIND_WRAP, "libc.so.6", "malloc", "malloc", "my_malloc", false},
    {GIBBON_KIND_WRAP, "libjemalloc.so.2", "malloc", "malloc", "my_malloc", false},
    {GIBBON_KIND_WRAP, "libc.so.6", "malloc", "malloc", "my_malloc", false},
    {GIBBON_KIND_WRAP, "libc.so.6", "free", "free", "my_free", false},
    {GIBBON_KIND_WRAP, "libc.so.6", "abort", "abort", "my_abort", false},
    {GIBBON_KIND_REPLACE, "libc.so.6", "labs", "labs", "global_labs", false},
    {GIBBON_KIND_REPLACE, "libc.so.6", "unlink", "unlink", "elsewhere", true},
    {GIBBON_KIND_WRAP, "libgeo.so", "_ZN3geo5Shape4areaEi", "_ZN3geo5Shape4areaEi", "area", false},
    {GIBBON_KIND_WRAP, "libgeo.so", "geo::Shape::area(int, char const*)", "shape_area", "area_too",
     false},
    {GIBBON_KIND_REPLACE, "", "geo::operator\"\" _m", "metres", "area_too", false},
    {GIBBON_KIND_MOCK, "libc.so.6", "getaddrinfo", NULL, NULL, false},
    {GIBBON_KIND_MOCK, "libm.so.6", "cos", NULL, NULL, false},
    {GIBBON_KIND_MOCK, "libm.so.6", "cosf", NULL, NULL, false},
    {GIBBON_KIND_MOCK, "libc.so.6", "fopen", NULL, NULL, false},
    {GIBBON_KIND_MOCK, "libc.so.6", "getenv", NULL, NULL, false},
    {GIBBON_KIND_MOCK, "libx.so", "huge", NULL, NULL, false},
    {GIBBON_KIND_MOCK, "libx.so", "unsigned_one", NULL, NULL, false},
    {GIBBON_KIND_MOCK, "libx.so", "x::y(int, int)", NULL, NULL, false},
    {GIBBON_KIND_MOCK, "libc.so.6", "creat", NULL, NULL, false},
    {GIBBON_KIND_HANDLER, "libc.so.6", "rename", NULL, "handle", false},
    {GIBBON_KIND_HANDLER, "libgeo.so", "geo::Shape::move(double, double)", NULL, "handle", false},
    {GIBBON_KIND_ON_LOAD, "libssl.so.3", NULL, NULL, "loaded", false},
    {GIBBON_KIND_ORIGINAL, NULL, "close", "close", NULL, false},
    {GIBBON_KIND_WRAP, "libc.so.6", "malloc", "malloc", "second_malloc", false},
    {GIBBON_KIND_MOCK, "libc.so.6", "last", NULL, NULL, false},
};

static struct gib_package *read_package(const char *name)
{
    struct gib_error error;
    struct gib_package *package = NULL;
    if (gib_package_read(package_path(name), &package, &error))
        fail_msg("%s: %s", name, error.message);
    return package;
}

static void assert_text(const char *found, const char *wanted)
{
    if (wanted)
        assert_string_equal(found, wanted);
    else
        assert_null(found);
}

/* The place of C++ functions is known by their mangled names. */
static bool names_function(const char *symbol, const char *function)
{
    char *plain = gib_elf_function_name(symbol);
    bool same = plain && !strcmp(plain, function);
    free(plain);
    return same;
}

static const struct gib_registration *find(const struct gib_package *package, const char *function)
{
    for (size_t i = 0; i < package->registration_count; i++)
        if (package->registrations[i].function &&
            !strcmp(package->registrations[i].function, function))
            return &package->registrations[i];
    fail_msg("no registration of %s", function);
    return NULL;
}

static void check_values(struct gib_elf *elf, const struct gib_package *package, bool cxx)
{
    const struct gib_package_value *value = &find(package, "getaddrinfo")->value;
    assert_false(value->floating || value->is_address);
    assert_int_equal(value->integer, (uint64_t)-2);
    assert_int_equal(value->size, 4);
    assert_int_equal(value->error, 0);
    value = &find(package, "cos")->value;
    assert_true(value->floating && value->number == 0.5);
    assert_int_equal(value->size, 8);
    value = &find(package, "cosf")->value;
    assert_true(value->floating && value->number == 0.25);
    assert_int_equal(value->size, 4);
    value = &find(package, "fopen")->value;
    assert_false(value->floating || value->is_address);
    assert_int_equal(value->integer, 0);
    assert_int_equal(value->size, 8);
    value = &find(package, "getenv")->value;
    char text[8] = "";
    assert_true(value->is_address);
    assert_int_equal(gib_elf_read(elf, value->integer, text, 5), 5);
    assert_string_equal(text, "text");
    assert_true(find(package, "huge")->value.integer == UINT64_MAX);
    assert_true(find(package, "unsigned_one")->value.integer == UINT32_MAX);
    value = &find(package, "x::y(int, int)")->value;
    assert_int_equal(value->integer, 'x');
    assert_int_equal(value->size, cxx ? 1 : 4); /* of a character constant */
    value = &find(package, "creat")->value;
    assert_int_equal(value->integer, (uint64_t)-1);
    assert_int_equal(value->error, EACCES);
}

static void check_sets(const struct gib_package *package)
{
    assert_int_equal(package->set_count, 2);
    assert_string_equal(package->sets[0].name, "memory");
    const size_t memory[] = {1, 2, 3, 4, 24}, shapes[] = {8, 9, 10};
    assert_int_equal(package->sets[0].member_count, COUNT(memory));
    assert_memory_equal(package->sets[0].members, memory, sizeof memory);
    assert_string_equal(package->sets[1].name, "shapes");
    assert_int_equal(package->sets[1].member_count, COUNT(shapes));
    assert_memory_equal(package->sets[1].members, shapes, sizeof shapes);
    assert_true(package->sets[1].line > package->sets[0].line);
}

static void check_everything(const char *name)
{
    struct gib_error error;
    struct gib_package *package = read_package(name);
    struct gib_elf *elf = gib_elf_open(package_path(name), NULL, &error);
    bool stripped = strstr(name, "stripped"), cxx = strstr(name, "cxx");
    assert_int_equal(package->registration_count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        const struct gib_registration *found = &package->registrations[i];
        const struct expected *wanted = &expected[i];
        assert_int_equal(found->kind, wanted->kind);
        assert_text(found->module, wanted->module);
        assert_text(found->function, wanted->function);
        assert_text(found->identifier, wanted->identifier);
        assert_string_equal(found->file, i < 24 ? "everything.c" : "second.c");
        assert_true(found->line > 0);
        assert_int_equal(found->original != 0, wanted->identifier != NULL);
        if (!wanted->code) {
            assert_null(found->code.symbol);
            continue;
        }
        assert_int_equal(found->code.elsewhere, wanted->elsewhere);
        assert_true(names_function(found->code.symbol, wanted->code));
        assert_int_equal(found->code.vaddr == 0, wanted->elsewhere);
        const struct gib_elf_symbol *symbol = gib_elf_symbol_at(elf, found->code.vaddr);
        if (!wanted->elsewhere && !stripped)
            assert_true(symbol && names_function(symbol->name, wanted->code));
    }
    for (size_t i = 1; i < 24; i++) {
        const struct gib_registration *found = &package->registrations[i];
        if (found->kind != GIBBON_KIND_ORIGINAL) /* in the order of the lines */
            assert_true(found->line > found[-1].line);
        assert_int_equal(found->same_original, i == 2 || i == 3 ? 1 : i);
    }
    assert_int_equal(package->registrations[24].same_original, 24);
    check_values(elf, package, cxx);
    check_sets(package);
    gib_elf_close(elf);
    gib_package_free(package);
}

static void every_registration_is_read(void **state)
{
    for (size_t i = 0; i < COUNT(names); i++)
        check_everything(names[i]);
}

static void the_promised_package(void **state)
{
    struct gib_package *package = read_package("example");
    assert_int_equal(package->registration_count, 1);
    assert_int_equal(package->set_count, 0);
    const struct gib_registration *only = package->registrations;
    assert_int_equal(only->kind, GIBBON_KIND_WRAP);
    assert_string_equal(only->module, "libc.so.6");
    assert_string_equal(only->function, "mkdtemp");
    assert_string_equal(only->code.symbol, "trace_mkdtemp");
    gib_package_free(package);
}

/* The one line of the guide, with both compilers, and what must not compile. */
static int compile(const char *compiler, int wrong)
{
    char command[8192];
    snprintf(
        command, sizeof command,
        "command -v %s >/dev/null || exit 77; %s -shared -fPIC -I%s -DWRONG=%d %s/wrong_types.c "
        "-o /dev/null 2>/dev/null",
        compiler, compiler, GIBBON_INCLUDE, wrong, PACKAGE_SOURCES);
    return system(command) >> 8;
}

static void wrong_types_do_not_compile(void **state)
{
    static const char *const compilers[] = {"gcc -w", "clang -w", "g++ -w -x c++",
                                            "clang++ -w -x c++"};
    for (size_t i = 0; i < COUNT(compilers); i++) {
        int right = compile(compilers[i], 0);
        if (right == 77)
            continue;
        assert_int_equal(right, 0);
        for (int wrong = 1; wrong <= 5; wrong++)
            if (!compile(compilers[i], wrong))
                fail_msg("%s compiles case %d", compilers[i], wrong);
    }
}

/* ---- damaged files ---- */

struct bytes {
    uint8_t *data;
    size_t size;
};

static struct bytes load(const char *path)
{
    struct bytes file = {0};
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    file.size = lseek(fd, 0, SEEK_END);
    file.data = malloc(file.size);
    assert_int_equal(pread(fd, file.data, file.size, 0), (ssize_t)file.size);
    close(fd);
    return file;
}

/* Reads the bytes as a package; the error's code and sentence. */
static int read_bytes(const void *data, size_t size, struct gib_error *error)
{
    char path[64];
    struct gib_package *package = NULL;
    int fd = memfd_create("package", MFD_CLOEXEC);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memset(error, 0, sizeof *error);
    int failed = gib_package_read(path, &package, error);
    if (failed) {
        assert_null(package);
        assert_int_equal(error->code, failed);
        assert_true(*error->message);
    }
    gib_package_free(package);
    close(fd);
    return failed;
}

static Elf64_Shdr *section(struct bytes *file, const char *name)
{
    Elf64_Ehdr *header = (Elf64_Ehdr *)file->data;
    Elf64_Shdr *sections = (Elf64_Shdr *)(file->data + header->e_shoff);
    const char *strings = (char *)file->data + sections[header->e_shstrndx].sh_offset;
    for (size_t i = 0; i < header->e_shnum; i++)
        if (!strcmp(strings + sections[i].sh_name, name))
            return &sections[i];
    fail_msg("no section %s", name);
    return NULL;
}

static void expect(struct bytes *file, int code, const char *words)
{
    struct gib_error error;
    assert_int_equal(read_bytes(file->data, file->size, &error), code);
    if (!strstr(error.message, words))
        fail_msg("\"%s\" without \"%s\"", error.message, words);
}

static void what_is_no_package(void **state)
{
    struct gib_error error;
    struct gib_package *package = NULL;
    assert_int_equal(gib_package_read("/nonexistent", &package, &error), GIB_E_FILE);
    assert_int_equal(gib_package_read(PACKAGE_SOURCES, &package, &error), GIB_E_FILE);
    assert_int_equal(gib_package_read(PACKAGE_SOURCES "/bare.c", &package, &error), GIB_E_FILE);
    assert_non_null(strstr(error.message, "ELF"));
    assert_int_equal(gib_package_read("/proc/self/exe", &package, &error), GIB_E_FILE);
    assert_non_null(strstr(error.message, "not a shared object"));
    assert_int_equal(gib_package_read(package_path("bare"), &package, &error), GIB_E_FILE);
    assert_non_null(strstr(error.message, "registers nothing"));
    assert_int_equal(gib_package_read(package_path("stranger-set"), &package, &error), GIB_E_FILE);
    assert_non_null(strstr(error.message, "its set \"all\" names getppid"));
    assert_null(package);
}

/* Changes the addend of the relocation of one field of the first registration in the section. */
static void set_pointer(struct bytes *file, size_t field, uint64_t value)
{
    Elf64_Shdr *rela = section(file, ".rela.dyn");
    uint64_t place = section(file, "gibbon")->sh_addr + field;
    Elf64_Rela *all = (Elf64_Rela *)(file->data + rela->sh_offset);
    for (size_t i = 0; i < rela->sh_size / sizeof *all; i++)
        if (all[i].r_offset == place) {
            all[i].r_addend = value;
            return;
        }
    fail_msg("no relocation");
}

static void one_thing_wrong(void **state)
{
    static const struct {
        size_t field;
        uint64_t value;
        const char *words;
    } cases[] = {
        {offsetof(struct gibbon_registration, module), 0x123456789, "outside of the file"},
        {offsetof(struct gibbon_registration, function), UINT64_MAX, "outside of the file"},
        {offsetof(struct gibbon_registration, code), 1ULL << 40, "outside of its code"},
        {offsetof(struct gibbon_registration, code), 0, "outside of its code"},
        {offsetof(struct gibbon_registration, original), 0, "outside of its data"},
        {offsetof(struct gibbon_registration, original), UINT64_MAX - 7, "outside of its data"},
    };
    const char *path = package_path("example");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes file = load(path);
        set_pointer(&file, cases[i].field, cases[i].value);
        expect(&file, GIB_E_FILE, cases[i].words);
        free(file.data);
    }
    struct bytes file = load(path);
    ((Elf64_Ehdr *)file.data)->e_machine = EM_AARCH64;
    expect(&file, GIB_E_UNSUPPORTED, "another machine");
    ((Elf64_Ehdr *)file.data)->e_machine = EM_X86_64;
    struct gibbon_registration *first =
        (struct gibbon_registration *)(file.data + section(&file, "gibbon")->sh_offset);
    first->version = 2;
    expect(&file, GIB_E_UNSUPPORTED, "version 2");
    first->version = 1;
    first->size = 16;
    expect(&file, GIB_E_FILE, "wrong size");
    first->size = 0xfffffff8;
    expect(&file, GIB_E_FILE, "wrong size");
    first->size = sizeof *first;
    first->kind = 99;
    expect(&file, GIB_E_FILE, "kind that does not exist");
    first->kind = GIBBON_KIND_MOCK;
    expect(&file, GIB_E_FILE, "a mock has no value");
    first->kind = GIBBON_KIND_SET;
    expect(&file, GIB_E_FILE, "its set \"mkdtemp\" names mkdtemp");
    first->kind = GIBBON_KIND_WRAP;
    section(&file, "gibbon")->sh_size = 40;
    expect(&file, GIB_E_FILE, "wrong size");
    section(&file, "gibbon")->sh_size = 1ULL << 60;
    expect(&file, GIB_E_FILE, "no section");
    free(file.data);
}

static void truncated_files(void **state)
{
    struct gib_error error;
    struct bytes file = load(package_path("everything-gcc-O2"));
    for (size_t size = 0; size + 1 < file.size; size += size < 4096 ? 7 : 61)
        assert_true(read_bytes(file.data, size, &error));
    free(file.data);
}

static uint32_t random_number(void)
{
    static uint64_t state = 88172645463325252ULL;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 16;
}

/* Anything may come of them but a crash; the sanitizers watch. */
static void changed_bytes(void **state)
{
    static const char *const files[] = {"example", "everything-gcc-O2", "everything-relr"};
    static const char *const parts[] = {"gibbon", ".rela.dyn", ".dynamic", ".dynsym", ".rodata"};
    struct gib_error error;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct bytes file = load(package_path(files[i]));
        uint8_t *copy = malloc(file.size);
        for (int round = 0; round < 1500; round++) {
            memcpy(copy, file.data, file.size);
            for (int changes = random_number() % 4 + 1; changes; changes--) {
                Elf64_Shdr whole = {.sh_offset = 0, .sh_size = file.size}, *part = &whole;
                if (random_number() % 4)
                    part = section(&file, parts[random_number() % COUNT(parts)]);
                copy[part->sh_offset + random_number() % part->sh_size] = random_number();
            }
            read_bytes(copy, file.size, &error);
        }
        free(copy);
        free(file.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_registration_is_read),
        cmocka_unit_test(the_promised_package),
        cmocka_unit_test(wrong_types_do_not_compile),
        cmocka_unit_test(what_is_no_package),
        cmocka_unit_test(one_thing_wrong),
        cmocka_unit_test(truncated_files),
        cmocka_unit_test(changed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
