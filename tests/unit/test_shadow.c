/*
 * Shadow stacks: known by what the kernel says of a thread, and by what glibc will be told. No
 * processor is needed that has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "engine/internal.h"

static bool status_says(const char *text)
{
    FILE *file = fmemopen((void *)text, strlen(text), "r");
    bool result = gib_status_has_shadow_stack(file);
    fclose(file);
    return result;
}

static void test_status(void **state)
{
    assert_true(status_says("Name:\tx\nx86_Thread_features:\tshstk wrss \nx:\n"));
    assert_true(status_says("x86_Thread_features:\tshstk \nx86_Thread_features_locked:\t\n"));
    assert_false(status_says("Name:\tshstk\nx86_Thread_features:\t\n"
                             "x86_Thread_features_locked:\tshstk wrss \n"));
    assert_false(status_says("Name:\tx\n"));
    assert_false(gib_has_shadow_stacks(-1));
}

static void test_environment(void **state)
{
    static const char hwcaps[] = "A=b\0GLIBC_TUNABLES=glibc.malloc.check=1:glibc.cpu.hwcaps=SHSTK";
    static const char shstk[] = "GLIBC_TUNABLES=glibc.cpu.x86_shstk=on\0C=d";
    static const char other[] =
        "NOTE=SHSTK\0GLIBC_TUNABLES=glibc.malloc.check=1\0MY_GLIBC_TUNABLES=SHSTK";
    assert_true(gib_environment_wants_shadow_stack(hwcaps, sizeof hwcaps));
    assert_true(gib_environment_wants_shadow_stack(shstk, sizeof shstk));
    assert_false(gib_environment_wants_shadow_stack(other, sizeof other));
    assert_false(gib_environment_wants_shadow_stack("", 0));
}

/* A function of this very program, whose first instruction calls. */
__asm__(".text\n.p2align 5\n.globl calls_first\n.type calls_first, @function\n"
        "calls_first: call called\n ret\n.size calls_first, . - calls_first\n"
        "called: ret\n");
extern const uint8_t calls_first[];

static bool never_taken(uint64_t vaddr, size_t size, void *context)
{
    return false;
}

static uint64_t first_of;
static void note(const struct gib_elf_symbol *symbol, void *context)
{
    first_of = symbol->value;
}

/* The copy of a call pushes and jumps, which a shadow stack forbids. */
static void test_calls_are_refused(void **state)
{
    struct gib_error error;
    struct gib_entry entry;
    struct gib_elf *elf = gib_elf_open("/proc/self/exe", NULL, &error);
    assert_non_null(elf);
    assert_int_equal(gib_elf_find(elf, "calls_first", note, NULL), 1);
    assert_int_equal(gib_entry_read(elf, first_of, &entry, &error), 0);
    assert_int_equal(
        gib_entry_choose(&entry, 0x555500000000, 0x5554f0000000, never_taken, NULL, &error), 0);
    entry.shadow_stacks = true;
    assert_int_equal(
        gib_entry_choose(&entry, 0x555500000000, 0x5554f0000000, never_taken, NULL, &error),
        GIB_E_UNSUPPORTED);
    assert_string_equal(
        error.message,
        "there is a call in its first 5 bytes, which a shadow stack would not let return");
    gib_entry_free(&entry);
    gib_elf_close(elf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_calls_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
