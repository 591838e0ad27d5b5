/* Shared objects of packages, read and planned: core/package/image.c, resolve.c. */
#include "elf_test.h"

#include "code/x86_64/lazy_stub.h"
#include "package/resolve.h"
#include <elf.h>

static uint8_t *read_all(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void refused(const char *name, int code, const char *words)
{
    struct gib_object *object;
    struct gib_error error = {0};
    size_t size;
    uint8_t *bytes = read_all(program(name), &size);
    assert_int_equal(gib_object_read(bytes, size, name, &object, &error), code);
    assert_null(object);
    if (!strstr(error.message, words) || strncmp(error.message, name, strlen(name)))
        fail_msg("%s", error.message);
    free(bytes);
}

static void what_cannot_be_is_refused(void **state)
{
    refused("package-tls.so", GIB_E_UNSUPPORTED, "thread-local variables");
    refused("package-constructor.so", GIB_E_UNSUPPORTED, "has a constructor, construct, which");
    refused("package-stripped-constructor.so", GIB_E_UNSUPPORTED, "has a constructor, which");
    refused("package-destructor.so", GIB_E_UNSUPPORTED, "has a destructor, destruct, which");
    refused("package-init.so", GIB_E_UNSUPPORTED, "DT_INIT");
    refused("package-text.so", GIB_E_UNSUPPORTED, "relocations in its code");
    refused("package-stack.so", GIB_E_UNSUPPORTED, "executable stack");
    refused("c-gcc-O2", GIB_E_UNSUPPORTED, "is a program");
    refused("c-gcc-static", GIB_E_UNSUPPORTED, "not a shared object");
}

/* Each relocation as readelf has it. */
static void relocations_are_those_of_readelf(void **state)
{
    static const char *const names[] = {"package.so", "package-O0.so", "package-old.so"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct gib_error error = {0};
        struct gib_object *object;
        size_t size, found = 0;
        uint8_t *bytes = read_all(program(names[i]), &size);
        if (gib_object_read(bytes, size, names[i], &object, &error))
            fail_msg("%s", error.message);
        FILE *output = output_of("LC_ALL=C readelf -rW %s", program(names[i]));
        char line[512];
        while (fgets(line, sizeof line, output)) {
            unsigned long offset, info, value;
            char type[64], name[256] = "", sign[8];
            int fields = sscanf(line, "%lx %lx R_X86_64_%63s %lx %255s %7s", &offset, &info, type,
                                &value, name, sign);
            if (fields < 3)
                continue; /* a heading */
            size_t k = 0;
            while (k < object->relocation_count && object->relocations[k].vaddr != offset)
                k++;
            assert_true(k < object->relocation_count);
            const struct gib_object_relocation *r = &object->relocations[k];
            found++;
            if (fields == 3) { /* `own_ifunc()` where others have a number */
                assert_true(object->needs[r->need].ifunc && object->needs[r->need].own);
                continue;
            }
            if (!strcmp(type, "RELATIVE")) {
                assert_int_equal(r->need, GIB_NO_NEED);
                assert_int_equal(r->addend, value);
                assert_int_equal(gib_object_value(object, r, 0x10000, NULL), 0x10000 + value);
                continue;
            }
            assert_true(r->need < object->need_count);
            const struct gib_object_need *need = &object->needs[r->need];
            char *version = strchr(name, '@');
            if (version) {
                *version = 0;
                assert_string_equal(need->version, version + 1);
            }
            assert_string_equal(need->name, name);
        }
        pclose(output);
        assert_int_equal(found, object->relocation_count);
        gib_object_free(object);
        free(bytes);
    }
}

/* The plan, applied to a buffer, is what the dynamic linker would make: here with nothing to bind.
 */
static void packed_relocations(void **state)
{
    struct gib_error error = {0};
    struct gib_object *object;
    size_t size, relative = 0;
    uint8_t *bytes = read_all(program("package-relr.so"), &size);
    if (gib_object_read(bytes, size, "package-relr.so", &object, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < object->relocation_count; i++) {
        const struct gib_object_relocation *r = &object->relocations[i];
        relative += r->need == GIB_NO_NEED && r->addend == r->before;
    }
    assert_true(relative >= 3); /* frame_dummy, __do_global_dtors_aux, __dso_handle */
    assert_int_equal(object->segments[0].vaddr, object->low);
    assert_true(object->relro_size > 0);
    assert_true(object->frames && object->frame_count);
    gib_object_free(object);
    free(bytes);
}

static struct gib_elf_definition defined(struct gib_elf *elf, const char *name, const char *version)
{
    struct gib_elf_definition definition = {0};
    if (!gib_elf_definition(elf, name, version, &definition))
        fail_msg("no %s@%s", name, version ? version : "");
    return definition;
}

static void definitions_have_versions(void **state)
{
    struct gib_elf_definition definition;
    struct gib_elf *libc = open_elf(libc_path);
    uint64_t old = defined(libc, "memcpy", "GLIBC_2.2.5").value;
    uint64_t new = defined(libc, "memcpy", "GLIBC_2.14").value;
    assert_true(old && new &&old != new);
    assert_int_equal(defined(libc, "memcpy", NULL).value, new);
    assert_true(defined(libc, "memcpy", NULL).ifunc);
    assert_false(gib_elf_definition(libc, "memcpy", "GLIBC_2.99", &definition));
    assert_false(gib_elf_definition(libc, "no such function", NULL, &definition));
    assert_false(defined(libc, "stdout", "GLIBC_2.2.5").ifunc);
    assert_true(defined(libc, "errno", "GLIBC_PRIVATE").thread_local_variable);
    gib_elf_close(libc);
    /* A static program's are in .symtab. */
    struct gib_elf *program_itself = open_elf(program("loads-static"));
    assert_true(defined(program_itself, "strlen", "GLIBC_2.2.5").ifunc);
    gib_elf_close(program_itself);
}

static void the_first_in_the_scope_wins(void **state)
{
    struct gib_error error = {0};
    struct gib_object *object;
    size_t size;
    uint8_t *bytes = read_all(program("package-old.so"), &size);
    if (gib_object_read(bytes, size, "package-old.so", &object, &error))
        fail_msg("%s", error.message);
    struct gib_module copies = {.name = "loads-nopie", .elf = open_elf(program("loads-nopie"))};
    struct gib_module libc = {
        .name = "libc.so.6", .elf = open_elf(libc_path), .bias = 0x7f0000000000};
    struct gib_module *modules[] = {&copies, &libc};
    struct gib_scope scope = {modules, 2, false};
    if (gib_object_resolve(object, "package-old.so", &scope, &error))
        fail_msg("%s", error.message);
    unsigned seen = 0;
    for (size_t i = 0; i < object->need_count; i++) {
        const struct gib_object_need *need = &object->needs[i];
        const char *name = need->name ? need->name : "";
        if (!strcmp(name, "stdout")) { /* the program's copy */
            seen |= 1;
            assert_int_equal(need->value, defined(copies.elf, "stdout", NULL).value);
        } else if (!strcmp(name, "getenv")) {
            seen |= 2;
            assert_int_equal(need->value, libc.bias + defined(libc.elf, "getenv", NULL).value);
        } else if (!strcmp(name, "nobody_has_this")) {
            seen |= 4;
            assert_false(need->defined);
        } else if (!strcmp(name, "getdtablesize")) { /* libc has one too */
            seen |= 8;
            assert_true(need->own);
        } else if (!strcmp(name, "strlen")) {
            seen |= 16;
            assert_true(need->ifunc && !need->own);
        }
    }
    assert_int_equal(seen, 31);
    gib_object_free(object);
    free(bytes);
    gib_elf_close(copies.elf);
    gib_elf_close(libc.elf);
}

/* Any byte changed, any length: it is read or refused, and what is read can be planned. */
static void damaged_files(void **state)
{
    size_t size;
    uint8_t *bytes = read_all(program("package.so"), &size), *copy = malloc(size);
    assert_non_null(copy);
    for (unsigned turn = 0; turn < 20000; turn++) {
        struct gib_object *object;
        memcpy(copy, bytes, size);
        for (unsigned k = 0; k < 1 + turn % 4; k++) {
            size_t at = turn % 3 ? random_number() % 0x400 : random_number() % size;
            copy[at] = (uint8_t)random_number();
        }
        size_t length = turn % 5 ? size : random_number() % size + 1;
        uint8_t *exact = malloc(length); /* so that the sanitizer sees every step beyond */
        assert_non_null(exact);
        memcpy(exact, copy, length);
        if (!gib_object_read(exact, length, "x", &object, NULL)) {
            uint64_t *stubs = calloc(object->need_count + 1, 8), vaddr;
            for (size_t i = 0; i < object->relocation_count; i++)
                gib_object_value(object, &object->relocations[i], 0x1000, stubs);
            gib_object_symbol(object, "package_test", &vaddr);
            free(stubs);
            gib_object_free(object);
        }
        free(exact);
    }
    free(copy);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(relocations_are_those_of_readelf),
        cmocka_unit_test(packed_relocations),
        cmocka_unit_test(definitions_have_versions),
        cmocka_unit_test(the_first_in_the_scope_wins),
        cmocka_unit_test(damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
