/*
 * Calls among the displaced instructions: they return into the function itself, or are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "code/x86_64/trampoline.h"
#include "relocate_vectors.h"

static struct gib_relocation copy;

static enum gib_trampoline_calls calls_of(const char *text, uint64_t from, uint64_t to, size_t min)
{
    uint8_t bytes[64];
    struct gib_relocation_request request = {
        .arch = GIB_ARCH_X86_64,
        .code = bytes,
        .code_size = vector_bytes(text, bytes, sizeof bytes),
        .from = from,
        .to = to,
        .min_bytes = min,
    };
    assert_int_equal(gib_relocate(&request, &copy, NULL), 0);
    return gib_trampoline_return_home(&request, &copy);
}

static void check_bytes(size_t at, const char *text)
{
    uint8_t bytes[64];
    size_t size = vector_bytes(text, bytes, sizeof bytes);
    assert_memory_equal(copy.code + at, bytes, size);
}

static void test_last_call_returns_home(void **state)
{
    assert_int_equal(calls_of("53 e8 10 00 00 00", 0x401000, 0x301000, 5), GIB_CALLS_HOME);
    /* push rbx; push 0x401006; mov dword [rsp+4], 0; jmp 0x401016 */
    check_bytes(0, "53 68 06 10 40 00 c7 44 24 04 00 00 00 00 e9 03 00 10 00");
    assert_int_equal(copy.boundary[2].copy, 19);
    assert_int_equal(calls_of("ff 15 10 00 00 00", 0x401000, 0x301000, 5), GIB_CALLS_HOME);
    check_bytes(13, "ff 25 03 00 10 00"); /* 0x401016 - 0x301013 */
    assert_int_equal(calls_of("3e 41 ff d4 90", 0x401000, 0x301000, 3), GIB_CALLS_HOME);
    check_bytes(13, "3e 41 ff e4");
}

/* With a 67 prefix the operand counts from eip: the distance is new as well. */
static void test_operand_by_eip(void **state)
{
    assert_int_equal(calls_of("67 ff 15 10 00 00 00", 0x401000, 0x301000, 5), GIB_CALLS_HOME);
    check_bytes(13, "67 ff 25 03 00 10 00"); /* 0x401017 - 0x301014 */
}

/* The copy's push would move what they read. */
static void test_operand_by_stack_pointer(void **state)
{
    assert_int_equal(calls_of("ff 54 24 08 90", 0x401000, 0x301000, 4), GIB_CALLS_INSIDE);
    assert_int_equal(calls_of("67 ff 54 24 08", 0x401000, 0x301000, 5), GIB_CALLS_INSIDE);
    assert_int_equal(calls_of("53 90 90 ff d4", 0x401000, 0x301000, 5), GIB_CALLS_INSIDE);
}

/* The same through another register: the original reads [rsp-8] before it pushes. */
static void test_operand_below_the_stack(void **state)
{
    assert_int_equal(calls_of("4c 8d 14 24 41 ff 52 f8", 0x401000, 0x301000, 5), GIB_CALLS_INSIDE);
    assert_int_equal(calls_of("49 89 e2 41 ff 52 f8", 0x401000, 0x301000, 5), GIB_CALLS_INSIDE);
    assert_int_equal(calls_of("54 41 5a 41 ff 12", 0x401000, 0x301000, 5), GIB_CALLS_INSIDE);
    assert_int_equal(calls_of("4c 8d 17 41 ff 52 f8", 0x401000, 0x301000, 5), GIB_CALLS_HOME);
    assert_int_equal(calls_of("55 48 89 e5 ff 57 08", 0x401000, 0x301000, 5), GIB_CALLS_HOME);
    assert_int_equal(calls_of("48 89 e0 48 8b 07 ff 10", 0x401000, 0x301000, 7), GIB_CALLS_HOME);
}

static void test_calls_in_the_middle(void **state)
{
    assert_int_equal(calls_of("53 ff d7 31 c0", 0x401000, 0x301000, 5), GIB_CALLS_INSIDE);
    assert_int_equal(calls_of("ff d7 e8 10 00 00 00", 0x401000, 0x301000, 5), GIB_CALLS_INSIDE);
    assert_int_equal(calls_of("e8 09 00 00 00 e8 00 00 00 00", 0x401000, 0x301000, 10),
                     GIB_CALLS_INSIDE);
    assert_int_equal(calls_of("53 48 89 fb 90", 0x401000, 0x301000, 5), GIB_CALLS_NONE);
}

/* Nothing returns from these. */
static void test_calls_for_an_address(void **state)
{
    assert_int_equal(calls_of("e8 00 00 00 00 58", 0x401000, 0x301000, 6), GIB_CALLS_NONE);
    assert_int_equal(calls_of("e8 04 00 00 00 48 89 d8 c3 48 8b 1c 24 c3", 0x401000, 0x301000, 7),
                     GIB_CALLS_NONE);
    assert_int_equal(calls_of("e8 00 00 00 00 58 e8 10 00 00 00", 0x401000, 0x301000, 7),
                     GIB_CALLS_HOME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_call_returns_home),
        cmocka_unit_test(test_operand_by_eip),
        cmocka_unit_test(test_operand_by_stack_pointer),
        cmocka_unit_test(test_operand_below_the_stack),
        cmocka_unit_test(test_calls_in_the_middle),
        cmocka_unit_test(test_calls_for_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
