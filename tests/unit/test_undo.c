/* test_undo.c: instructions that stay before a detour, and what takes them back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "code/x86_64/undo.h"

#define CODE(text) (const uint8_t *)(text), sizeof(text) - 1

static void expect(const uint8_t *kept, size_t size, const uint8_t *undoing, size_t undoing_size,
                   uint32_t depth, uint8_t rbp_at)
{
    struct gib_undo undo;
    assert_true(gib_undo_make(kept, size, &undo));
    assert_int_equal(undo.size, undoing_size);
    assert_memory_equal(undo.code, undoing, undoing_size);
    assert_int_equal(undo.step[0].depth, depth);
    assert_int_equal(undo.step[0].rbp_at, rbp_at);
    assert_int_equal(undo.step[undo.steps - 1].depth, 8);
    assert_int_equal(undo.step[undo.steps - 1].rbp_at, 0);
    assert_int_equal(undo.step[undo.steps - 1].at, undo.size);
}

static void taken_back(void **state)
{
    expect(CODE("\x50"), CODE("\x58"), 16, 0);                             /* push %rax */
    expect(CODE("\x55\x48\x89\xe5"), CODE("\x5d"), 16, 16);                /* a frame */
    expect(CODE("\x55\x48\x8b\xec"), CODE("\x5d"), 16, 16);                /* the same */
    expect(CODE("\x41\x57\x53"), CODE("\x5b\x41\x5f"), 24, 0);             /* push r15, rbx */
    expect(CODE("\x53\x55"), CODE("\x5d\x5b"), 24, 24);                    /* push rbx, rbp */
    expect(CODE("\x48\x83\xec\x18"), CODE("\x48\x8d\x64\x24\x18"), 32, 0); /* sub $24,%rsp */
    expect(CODE("\x48\x81\xec\x88\x01\x00\x00"), CODE("\x48\x8d\xa4\x24\x88\x01\x00\x00"), 400, 0);
    expect(CODE("\x55\x48\x89\xe5\x48\x83\xec\x10"), CODE("\x48\x8d\x64\x24\x10\x5d"), 32, 16);
}

static void refused(void **state)
{
    struct gib_undo undo;
    assert_false(gib_undo_make(CODE(""), &undo));
    assert_false(gib_undo_make(CODE("\x89\xf8"), &undo));         /* mov %edi,%eax */
    assert_false(gib_undo_make(CODE("\x48\x89\xe5"), &undo));     /* a frame pointer not kept */
    assert_false(gib_undo_make(CODE("\x55\x48"), &undo));         /* cut */
    assert_false(gib_undo_make(CODE("\x54"), &undo));             /* push %rsp */
    assert_false(gib_undo_make(CODE("\x66\x50"), &undo));         /* push %ax */
    assert_false(gib_undo_make(CODE("\x6a\x01"), &undo));         /* push $1 */
    assert_false(gib_undo_make(CODE("\x48\x83\xec\xf8"), &undo)); /* sub $-8,%rsp */
    assert_false(gib_undo_make(CODE("\xff\x37"), &undo));         /* push (%rdi) */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(taken_back), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
