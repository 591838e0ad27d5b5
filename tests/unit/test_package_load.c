/* Packages in a target that this test traces: core/engine/load.c. */
#include "traced.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path_of(const char *name)
{
    static char path[2][4096];
    static int turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s", ELF_PROGRAMS, name);
    return path[turn];
}

static struct gib_loaded *load(struct traced *t, const char *name)
{
    struct gib_error error = {0};
    struct gib_loaded *image;
    if (gib_image_load(t->engine, t->process, path_of(name), &image, &error))
        fail_msg("%s: %s", name, error.message);
    return image;
}

static long test_of(struct traced *t, const struct gib_loaded *image)
{
    uint64_t address;
    if (!gib_image_symbol(image, "package_test", &address)) /* exported, also when it is stripped */
        fail_msg("no package_test");
    return (long)traced_call(t, address);
}

static const char *const good[] = {"package.so", "package-O0.so", "package-relr.so",
#if defined(HAVE_CLANG)
                                   "package-clang.so",
#endif
                                   "package-old.so"};
enum { GOOD = sizeof good / sizeof *good };

static void loads_into(const char *program, size_t count)
{
    struct traced *t = traced_start(path_of(program), NULL);
    traced_run(t);
    for (size_t i = 0; i < count; i++) {
        struct gib_loaded *image = load(t, good[i]);
        long wrong = test_of(t, image);
        if (wrong)
            fail_msg("%s in %s: %lx", good[i], program, wrong);
    }
    traced_end(t);
}

static void packages_work(void **state)
{
    loads_into("loads", GOOD);
    loads_into("loads-nopie", GOOD);
}

static void packages_work_in_static_programs(void **state)
{
    loads_into("loads-static", 3);
    loads_into("loads-static-pie", 3);
}

/* Mapped when the libraries are, before any of them is relocated. */
static void before_relocation(void **state)
{
    struct traced *t = traced_start(path_of("loads"), NULL);
    uint64_t notification = traced_function(t, "ld-linux-x86-64.so.2", "_dl_debug_state");
    do
        traced_run_to(t, notification);
    while (!traced_module(t, "libc.so.6"));
    struct gib_loaded *image = load(t, "package.so");
    traced_run(t);
    assert_int_equal(test_of(t, image), 0);
    traced_end(t);
}

static void it_is_a_module(void **state)
{
    struct traced *t = traced_start(path_of("loads"), NULL);
    traced_run(t);
    struct gib_loaded *image = load(t, "package.so");
    struct gib_module *module = traced_module(t, "package.so");
    uint64_t address;
    char text[256];
    assert_non_null(module);
    assert_non_null(module->elf);
    assert_int_equal(module->bias, image->bias);
    assert_true(gib_image_symbol(image, "square", &address)); /* static */
    gib_modules_describe(t->process->modules, address, false, text, sizeof text);
    assert_non_null(strstr(text, "square (package.c:"));
    const struct gib_unwind_row *rows;
    assert_true(gib_elf_unwind_rows(module->elf, &rows) > 3);
    gib_describe_code(t->engine);
    assert_int_equal(t->symbols_given, 1);
    assert_int_equal(t->symbols_bias, image->bias);
    const struct gib_mapped_object *object = &t->process->shared->object[image->slot];
    assert_true(object->start <= address && address < object->end);
    assert_true(object->frames && object->count);
    /* What was relocated is read-only now. */
    char name[64], line[512];
    bool seen = false;
    snprintf(name, sizeof name, "/proc/%d/maps", (int)t->pid);
    FILE *maps = fopen(name, "r");
    while (fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        char permissions[8];
        assert_int_equal(sscanf(line, "%lx-%lx %7s", &start, &end, permissions), 3);
        if (start >= image->start && start < image->end)
            assert_false(permissions[1] == 'w' && permissions[2] == 'x');
        if (start == image->bias + image->object->relro) {
            seen = true;
            assert_string_equal(permissions, "r--p");
        }
    }
    fclose(maps);
    assert_true(seen);
    traced_end(t);
}

static size_t count_mappings(struct traced *t)
{
    char name[64];
    size_t lines = 0;
    snprintf(name, sizeof name, "/proc/%d/maps", (int)t->pid);
    FILE *maps = fopen(name, "r");
    for (int c; (c = getc(maps)) != EOF;)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

static void it_can_go(void **state)
{
    struct traced *t = traced_start(path_of("loads"), NULL);
    traced_run(t);
    struct gib_error error = {0};
    assert_int_equal(gib_install(t->engine, t->process, &error), 0);
    load(t, "package-O0.so"); /* one that stays */
    size_t before = count_mappings(t);
    struct gib_loaded *image = load(t, "package.so");
    uint64_t address;
    assert_true(gib_image_symbol(image, "square", &address));
    assert_true(count_mappings(t) > before);
    /* Not while a thread is inside. */
    struct gib_target_thread thread;
    t->engine->ops.threads(t, &thread, 1);
    t->engine->ops.set_pc(t, thread.tid, address);
    assert_int_equal(gib_image_unload(t->engine, t->process, image, &error), GIB_E_BUSY);
    t->engine->ops.set_pc(t, thread.tid, thread.pc);
    assert_int_equal(gib_image_unload(t->engine, t->process, image, &error), 0);
    assert_int_equal(count_mappings(t), before);
    assert_null(traced_module(t, "package.so"));
    image = load(t, "package.so");
    assert_int_equal(test_of(t, image), 0);
    assert_int_equal(t->process->objects, 2);
    traced_end(t);
}

/* Exceptions find their way: the unwinder asks the agent. */
static void exceptions_pass(void **state)
{
    struct traced *t = traced_start(path_of("throws"), NULL);
    traced_run(t);
    struct gib_loaded *image = load(t, "package-cxx.so");
    uint64_t address;
    assert_true(gib_image_symbol(image, "package_frames", &address));
    assert_int_equal(traced_call(t, address), 0); /* glibc has never heard of it */
    gib_begin_change(t->engine);
    gib_guard_unwinders(t->engine, NULL);
    gib_end_change(t->engine);
    assert_false(t->process->unguarded);
    assert_int_equal(test_of(t, image), 0);
    assert_int_equal(traced_call(t, address), image->bias + image->object->frames);
    assert_true(image->object->frame_count >= 5);
    traced_end(t);
}

static void refused(struct traced *t, const char *name, int code, const char *sentence)
{
    struct gib_error error = {0};
    struct gib_loaded *image;
    size_t before = count_mappings(t);
    assert_int_equal(gib_image_load(t->engine, t->process, path_of(name), &image, &error), code);
    if (!strstr(error.message, sentence))
        fail_msg("%s", error.message);
    assert_null(image);
    assert_int_equal(count_mappings(t), before);
    assert_int_equal(t->process->image_count, 0);
}

static void what_is_missing_is_named(void **state)
{
    struct traced *t = traced_start(path_of("loads"), NULL);
    traced_run(t);
    struct gib_error error = {0};
    assert_int_equal(gib_install(t->engine, t->process, &error), 0);
    refused(t, "package-missing.so", GIB_E_WAITING,
            "package-missing.so needs symbols that the program does not have: ");
    refused(t, "package-missing.so", GIB_E_WAITING, "first_missing");
    refused(t, "package-missing.so", GIB_E_WAITING, "second_missing");
    refused(t, "package-libm.so", GIB_E_WAITING,
            "package-libm.so needs a library that the program has not loaded: libm.so.6.");
    refused(t, "package-tls.so", GIB_E_UNSUPPORTED, "thread-local");
    refused(t, "no-such-file.so", GIB_E_FILE, "cannot be read");
    traced_end(t);
}

/* The target has another root directory, and cannot open the file. */
static void from_another_root(void **state)
{
    if (geteuid() != 0)
        skip();
    char root[] = "/tmp/gibbon-root-XXXXXX", command[5000];
    assert_non_null(mkdtemp(root));
    snprintf(command, sizeof command, "cp '%s' %s/program", path_of("loads-static"), root);
    assert_int_equal(system(command), 0);
    struct traced *t = traced_start("/program", root);
    traced_run(t);
    struct gib_loaded *image = load(t, "package.so");
    assert_int_equal(test_of(t, image), 0);
    struct gib_module *module = traced_module(t, "package.so");
    assert_non_null(module);
    assert_non_null(module->elf);
    assert_int_equal(module->bias, image->bias);
    traced_end(t);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packages_work),
        cmocka_unit_test(packages_work_in_static_programs),
        cmocka_unit_test(before_relocation),
        cmocka_unit_test(it_is_a_module),
        cmocka_unit_test(it_can_go),
        cmocka_unit_test(exceptions_pass),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(from_another_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
