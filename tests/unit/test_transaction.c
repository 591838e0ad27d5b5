/* A transaction changes all bytes or none, in one read and one write a page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "engine/internal.h"

enum { PAGE = 4096, BASE = 0x10000, SIZE = 4 * PAGE };

static uint8_t memory[SIZE], before[SIZE];
static int reads, writes, fail_read, fail_write; /* which one fails, counted from 1; 0: none */
static struct gib_engine engine;

static int read_memory(void *context, uint64_t address, void *buffer, size_t size)
{
    if (++reads == fail_read || address < BASE || address + size > BASE + SIZE)
        return -1;
    memcpy(buffer, memory + (address - BASE), size);
    return 0;
}
static int write_memory(void *context, uint64_t address, const void *buffer, size_t size)
{
    if (++writes == fail_write || address < BASE || address + size > BASE + SIZE)
        return -1;
    memcpy(memory + (address - BASE), buffer, size);
    return 0;
}

static int setup(void **state)
{
    for (size_t i = 0; i < SIZE; i++)
        before[i] = memory[i] = (uint8_t)(i * 31 + i / 256);
    reads = writes = fail_read = fail_write = 0;
    engine.ops = (struct gib_target_operations){
        .size = sizeof engine.ops, .read = read_memory, .write = write_memory};
    return 0;
}

static struct gib_write_plan plan(uint64_t offset)
{
    struct gib_write_plan w = {.address = BASE + offset, .size = 5};
    memcpy(w.expected, before + offset, 5);
    memcpy(w.bytes, "\xe9\1\2\3\4", 5);
    return w;
}
/* The bytes changed are those of the plans, and no others. */
static void expect_changed(const uint64_t *offsets, size_t count)
{
    uint8_t wanted[SIZE];
    memcpy(wanted, before, SIZE);
    for (size_t i = 0; i < count; i++)
        memcpy(wanted + offsets[i], "\xe9\1\2\3\4", 5);
    assert_memory_equal(memory, wanted, SIZE);
}

static const uint64_t offsets[] = {3 * PAGE + 100, 7, PAGE - 5, 2 * PAGE - 2, 40, PAGE + 1000, 12};
enum { COUNT = sizeof offsets / sizeof *offsets };
static int run(struct gib_error *error)
{
    struct gib_write_plan writes_planned[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        writes_planned[i] = plan(offsets[i]);
    return gib_transaction(&engine, writes_planned, COUNT, error);
}

static void test_all(void **state)
{
    struct gib_error error;
    assert_int_equal(run(&error), 0);
    expect_changed(offsets, COUNT);
    /* Three pages have writes that begin on them; the one across the border goes with its first
     * page. */
    assert_int_equal(reads, 3);
    assert_int_equal(writes, 3);
}

static void test_nothing(void **state)
{
    struct gib_error error;
    assert_int_equal(gib_transaction(&engine, NULL, 0, &error), 0);
    assert_int_equal(reads + writes, 0);
}

static void test_changed_bytes(void **state)
{
    for (size_t i = 0; i < COUNT; i++) {
        for (int byte = 0; byte < 5; byte++) {
            setup(NULL);
            struct gib_error error = {0};
            struct gib_write_plan planned[COUNT];
            for (size_t k = 0; k < COUNT; k++)
                planned[k] = plan(offsets[k]);
            planned[i].expected[byte] ^= 1;
            assert_int_equal(gib_transaction(&engine, planned, COUNT, &error), GIB_E_CHANGED);
            assert_int_equal(error.code, GIB_E_CHANGED);
            assert_int_equal(error.address, BASE + offsets[i]);
            assert_non_null(strstr(error.message, "changed"));
            expect_changed(NULL, 0);
        }
    }
}

static void test_failing_target(void **state)
{
    struct gib_error error;
    for (int n = 1; n <= 3; n++) {
        setup(NULL);
        fail_read = n;
        assert_int_equal(run(&error), GIB_E_TARGET);
        expect_changed(NULL, 0);
        setup(NULL);
        fail_write = n;
        assert_int_equal(run(&error), GIB_E_TARGET);
        expect_changed(NULL, 0);
    }
}

static void test_unmapped(void **state)
{
    struct gib_error error;
    struct gib_write_plan planned[3] = {plan(20), plan(PAGE + 20), plan(0)};
    planned[2].address = BASE + SIZE + 1000;
    assert_int_equal(gib_transaction(&engine, planned, 3, &error), GIB_E_TARGET);
    assert_int_equal(error.address, BASE + SIZE + 1000);
    expect_changed(NULL, 0);
}

/* A thousand writes on one page, as a glob makes them. */
static void test_many(void **state)
{
    struct gib_error error;
    struct gib_write_plan *planned = calloc(700, sizeof *planned);
    uint64_t where[700];
    for (size_t i = 0; i < 700; i++)
        planned[i] = plan(where[i] = (i * 397 % 700) * 5);
    assert_int_equal(gib_transaction(&engine, planned, 700, &error), 0);
    expect_changed(where, 700);
    assert_int_equal(reads, 1);
    assert_int_equal(writes, 1);
    free(planned);
}

/* Sizes from 1 to 8, the last one at the very end of memory. */
static void test_sizes(void **state)
{
    struct gib_error error;
    for (uint8_t size = 1; size <= 8; size++) {
        setup(NULL);
        struct gib_write_plan w = {.address = BASE + SIZE - size, .size = size};
        memcpy(w.expected, before + SIZE - size, size);
        memset(w.bytes, 0xcc, 8);
        assert_int_equal(gib_transaction(&engine, &w, 1, &error), 0);
        assert_memory_equal(memory, before, SIZE - size);
        for (int i = 0; i < size; i++)
            assert_int_equal(memory[SIZE - 1 - i], 0xcc);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {TEST(test_all),           TEST(test_nothing),
                                       TEST(test_changed_bytes), TEST(test_failing_target),
                                       TEST(test_unmapped),      TEST(test_many),
                                       TEST(test_sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
