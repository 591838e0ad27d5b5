/* test_modules.c: the list of modules of a process, from the kernel's list of mappings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "elf/modules.h"

enum { PAGE = 4096 };

static void map(char *at, size_t pages, int protection, int fd, size_t first)
{
    void *got =
        mmap(at, pages * PAGE, protection, MAP_PRIVATE | MAP_FIXED, fd, (off_t)first * PAGE);
    assert_ptr_equal(got, at);
}

/* A library that was also read as data, as debuggers and profilers do, at a lower address: it
 * begins where it was loaded. */
static void mapped_as_data(void **state)
{
    static const int kinds[] = {PROT_READ, PROT_READ | PROT_WRITE};
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t gap = 0; gap < 4; gap++) {
        size_t kind = gap % 2;
        char *place = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(place != MAP_FAILED);
        char *loaded = place + (3 + gap) * PAGE;
        map(place, 3, kinds[kind], fd, 0);
        map(loaded, 2, PROT_READ, fd, 0);
        map(loaded + 2 * PAGE, 2, PROT_READ | PROT_EXEC, fd, 2);
        struct gib_modules *modules = gib_modules_new();
        assert_true(gib_modules_update(modules, getpid()) > 0);
        struct gib_module *module = gib_modules_at(modules, (uintptr_t)loaded + 2 * PAGE);
        assert_non_null(module);
        assert_int_equal(module->start, (uintptr_t)loaded);
        gib_modules_free(modules);
        munmap(place, 16 * PAGE);
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mapped_as_data)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
