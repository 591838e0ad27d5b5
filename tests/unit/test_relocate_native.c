/*
 * Copies behave like their originals, says the processor: the vectors, and random sequences of
 * instructions of every class, entered at each of their boundaries, as a thread may be stopped
 * there. Both the copy that gib_relocate makes and the trampoline that the engine makes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "code/x86_64/trampoline.h"
#include "emulator.h" /* random_next */
#include "relocate_native.h"
#include "relocate_random.h"
#include "relocate_unfit.h"
#include "relocate_vectors.h"

enum { RANDOM_WINDOWS = 1000, STATES = 2, LARGEST_CODE = 64 };

struct counts {
    size_t windows, same, faults, endless, modifying, refused, unfit, different, rewritten;
};

static struct native *native;

static int setup(void **state)
{
    native = native_new();
    return 0;
}

static int teardown(void **state)
{
    native_free(native);
    return 0;
}

static void print_counts(const char *title, const struct counts *counts)
{
    printf("%s: %zu windows relocated, %zu with the call's copy made to return home; runs: %zu the "
           "same, %zu fault alike, %zu different; not compared: %zu without end, %zu that modify "
           "their own code; windows not run: %zu refused by the relocator, %zu unfit\n",
           title, counts->windows, counts->rewritten, counts->same, counts->faults,
           counts->different, counts->endless, counts->modifying, counts->refused, counts->unfit);
}

static bool is_unfit(const ZydisDecodedInstruction *instruction)
{
    return instruction->mnemonic == ZYDIS_MNEMONIC_XTEST;
}

static void run(const struct gib_relocation_request *request, const struct gib_relocation *copy,
                bool home, const char *name, struct counts *counts)
{
    char why[200] = "";
    for (size_t k = 0; k + 1 < copy->boundaries; k++)
        for (uint64_t seed = 0; seed < STATES; seed++) {
            uint64_t drawn = request->from * 31 + request->code[0] + 1000 * k + seed;
            switch (native_compare(native, request, copy, k, home, drawn, why, sizeof why)) {
            case NATIVE_SAME:
                counts->same++;
                break;
            case NATIVE_FAULTS_ALIKE:
                counts->faults++;
                break;
            case NATIVE_TOO_LONG:
                counts->endless++;
                break;
            case NATIVE_WRITES_CODE:
                counts->modifying++;
                break;
            case NATIVE_DIFFERENT:
                if (counts->different++ > 10)
                    break;
                fprintf(stderr, "%s, from boundary %zu%s: %s\n", name, k,
                        home ? ", returning home" : "", why);
                relocate_print_bytes("original:", request->code, copy->consumed);
                relocate_print_bytes("copy:", copy->code, copy->size);
                break;
            }
        }
}

static bool compare(const struct gib_relocation_request *request, const char *name,
                    struct counts *counts)
{
    struct gib_relocation copy, home;
    if (gib_relocate(request, &copy, NULL)) {
        counts->refused++;
        return false;
    }
    if (relocate_window_is_unfit(request, &copy, is_unfit)) {
        counts->unfit++;
        return false;
    }
    counts->windows++;
    run(request, &copy, false, name, counts);
    home = copy;
    if (gib_trampoline_return_home(request, &home) == GIB_CALLS_HOME) {
        counts->rewritten++;
        run(request, &home, true, name, counts);
    }
    return true;
}

/* A call of a PC thunk inside the given code runs that as well; Unicorn's turn does it. */
static bool calls_thunk(const struct relocate_vector *vector)
{
    return strstr(vector->name, "X36 call") || strstr(vector->name, "of a PC thunk");
}

static void test_vectors_run_alike(void **state)
{
    struct counts counts = {0};
    if (!native)
        skip();
    const struct relocate_vector *vector;
    for (size_t i = 0; (vector = relocate_vector(i)); i++) {
        uint8_t bytes[LARGEST_CODE];
        struct gib_relocation_request request = {
            .arch = GIB_ARCH_X86_64,
            .code = bytes,
            .code_size = vector_bytes(vector->original, bytes, sizeof bytes),
            .from = NATIVE_FROM,
            .to = vector->place == NEAR ? NATIVE_NEAR : NATIVE_FAR,
            .min_bytes = vector->min_bytes,
        };
        if (!calls_thunk(vector))
            compare(&request, vector->name, &counts);
    }
    print_counts("vectors", &counts);
    assert_int_equal(counts.different, 0);
    assert_true(counts.same > counts.windows);
}

static void test_random_sequences_run_alike(void **state)
{
    struct counts counts = {0};
    uint8_t used[512] = {0}, drawn[512];
    uint64_t random = 20240301;
    size_t templates = 0;
    if (!native)
        skip();
    for (size_t tries = 0; counts.windows < RANDOM_WINDOWS && tries < 20 * RANDOM_WINDOWS;
         tries++) {
        uint8_t bytes[LARGEST_CODE];
        memset(drawn, 0, sizeof drawn);
        templates = random_instructions(bytes, sizeof bytes, &random, drawn);
        struct gib_relocation_request request = {
            .arch = GIB_ARCH_X86_64,
            .code = bytes,
            .code_size = sizeof bytes,
            .from = NATIVE_FROM + random_next(&random) % 64,
            .min_bytes = 1 + random_next(&random) % 16,
        };
        uint64_t draw = random_next(&random);
        request.to = (draw & 7 ? NATIVE_NEAR : NATIVE_FAR) + (draw >> 8) % 64;
        if (compare(&request, "random", &counts))
            for (size_t i = 0; i < templates; i++)
                used[i] |= drawn[i];
    }
    print_counts("random", &counts);
    for (size_t i = 0; i < templates; i++)
        if (!used[i])
            printf("never run: %s\n", random_template(i));
    assert_int_equal(counts.different, 0);
    assert_int_equal(counts.windows, RANDOM_WINDOWS);
    assert_true(counts.same > RANDOM_WINDOWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_run_alike),
        cmocka_unit_test(test_random_sequences_run_alike),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
