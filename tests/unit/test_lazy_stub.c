/* Lazy stubs of IFUNCs, run in the test itself: core/code/x86_64/lazy_stub.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <immintrin.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include "code/x86_64/lazy_stub.h"

static unsigned asked;

/* Resolvers may use what they like. */
static void spoil(void)
{
    __atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED);
    __asm__ volatile("pxor %%xmm0, %%xmm0\n pxor %%xmm1, %%xmm1\n pxor %%xmm2, %%xmm2\n"
                     "pxor %%xmm7, %%xmm7\n xor %%ecx, %%ecx\n xor %%edx, %%edx\n"
                     "xor %%esi, %%esi\n xor %%edi, %%edi\n xor %%r8d, %%r8d\n"
                     "xor %%r9d, %%r9d\n xor %%r10d, %%r10d\n xor %%r11d, %%r11d" ::
                         : "xmm0", "xmm1", "xmm2", "xmm7", "rcx", "rdx", "rsi", "rdi", "r8", "r9",
                           "r10", "r11", "cc");
}
__attribute__((target("avx"))) static void spoil_wide(void)
{
    spoil();
    __asm__ volatile("vzeroall" ::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static double all(long a, long b, long c, long d, long e, long f, double g, double h, double i,
                  double j, double k, double l, double m, double n, long o, double p)
{
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k +
           12 * l + 13 * m + 14 * n + 15 * o + 16 * p;
}
static void *resolve_all(void)
{
    spoil();
    return (void *)all;
}

__attribute__((target("avx"))) static __m256d wide(__m256d a, __m256d b)
{
    return _mm256_sub_pd(a, b);
}
static void *resolve_wide(void)
{
    spoil_wide();
    return (void *)wide;
}

struct stubs {
    uint8_t *code;
    uint64_t *cell;
    size_t size;
};

static struct stubs make(const struct gib_lazy_vectors *vectors)
{
    const uint64_t resolver[] = {(uint64_t)resolve_all, (uint64_t)resolve_wide};
    struct stubs stubs = {.size = 8192};
    stubs.code = mmap(NULL, stubs.size, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(stubs.code != MAP_FAILED);
    stubs.cell = (uint64_t *)(stubs.code + 4096);
    asked = 0;
    assert_true(gib_lazy_stubs((uint64_t)stubs.code, (uint64_t)stubs.cell, vectors, resolver, 2,
                               stubs.code, stubs.cell));
    return stubs;
}

static void arguments_survive(const struct gib_lazy_vectors *vectors)
{
    struct stubs stubs = make(vectors);
    double (*call)(long, long, long, long, long, long, double, double, double, double, double,
                   double, double, double, long, double);
    const void *first = stubs.code + GIB_LAZY_HEAD;
    memcpy(&call, &first, sizeof call);
    for (int i = 0; i < 3; i++)
        assert_true(call(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16) == 1496);
    assert_int_equal(asked, 1);
    assert_int_equal(stubs.cell[0], (uint64_t)all);
    munmap(stubs.code, stubs.size);
}

static void with_what_the_machine_has(void **state)
{
    const struct gib_lazy_vectors vectors = gib_lazy_vectors();
    assert_true(vectors.size >= 512 && vectors.size % 64 == 0);
    arguments_survive(&vectors);
}

static void without_xsave(void **state)
{
    arguments_survive(&(struct gib_lazy_vectors){0, 512});
}

__attribute__((target("avx"))) static void call_wide(const void *stub)
{
    __m256d (*call)(__m256d, __m256d);
    double out[4];
    memcpy(&call, &stub, sizeof call);
    _mm256_storeu_pd(out, call(_mm256_set_pd(4, 3, 2, 1), _mm256_set_pd(0.5, 0.25, 0.125, 0)));
    assert_true(out[0] == 1 && out[1] == 1.875 && out[2] == 2.75 && out[3] == 3.5);
}

/* Vector variants of libmvec are IFUNCs with whole vectors for arguments. */
static void wide_vectors(void **state)
{
    const struct gib_lazy_vectors vectors = gib_lazy_vectors();
    if (!__builtin_cpu_supports("avx"))
        skip();
    struct stubs stubs = make(&vectors);
    call_wide(stubs.code + GIB_LAZY_HEAD + GIB_LAZY_STUB);
    call_wide(stubs.code + GIB_LAZY_HEAD + GIB_LAZY_STUB);
    assert_int_equal(asked, 1);
    munmap(stubs.code, stubs.size);
}

static void *call_often(void *stub)
{
    double (*call)(long, long, long, long, long, long, double, double, double, double, double,
                   double, double, double, long, double);
    memcpy(&call, &stub, sizeof call);
    for (int i = 0; i < 1000; i++)
        if (call(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16) != 1496)
            return stub;
    return NULL;
}

static void from_many_threads(void **state)
{
    const struct gib_lazy_vectors vectors = gib_lazy_vectors();
    for (int turn = 0; turn < 50; turn++) {
        struct stubs stubs = make(&vectors);
        pthread_t thread[4];
        for (int i = 0; i < 4; i++)
            assert_int_equal(
                pthread_create(&thread[i], NULL, call_often, stubs.code + GIB_LAZY_HEAD), 0);
        for (int i = 0; i < 4; i++) {
            void *wrong;
            assert_int_equal(pthread_join(thread[i], &wrong), 0);
            assert_null(wrong);
        }
        munmap(stubs.code, stubs.size);
    }
}

static void too_far(void **state)
{
    const uint64_t resolver[] = {1};
    const struct gib_lazy_vectors vectors = {0, 512};
    uint8_t code[GIB_LAZY_HEAD + GIB_LAZY_STUB];
    uint64_t cell[2];
    assert_false(gib_lazy_stubs(0x10000, 0x200000000, &vectors, resolver, 1, code, cell));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_what_the_machine_has),
        cmocka_unit_test(without_xsave),
        cmocka_unit_test(wide_vectors),
        cmocka_unit_test(from_many_threads),
        cmocka_unit_test(too_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
