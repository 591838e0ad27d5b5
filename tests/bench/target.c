/*
 * target: the program that tests/bench/run.sh patches. It times itself, in interleaved rounds, and
 * writes medians in ns per call to the file BENCH_OUTPUT.
 *
 * For each patched function there is a twin with the same body that nobody patches. The floor is
 * the work of a logged call written by hand: two time stamps and a 64-byte record in the thread's
 * own buffer.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The twins must stay two functions. */
#ifdef __clang__
#define NOT_INLINED __attribute__((noinline, optnone))
#else
#define NOT_INLINED __attribute__((noipa))
#endif

enum { CALLS = 2000, ROUNDS = 101, SLOW_CALLS = 100 };

#define BODY(name, parameters, value)                                                              \
    NOT_INLINED __attribute__((aligned(64))) long name parameters                                  \
    {                                                                                              \
        long result = value;                                                                       \
        __asm__ volatile("nop; nop; nop; nop; nop" : "+r"(result));                                \
        return result;                                                                             \
    }
#define PAIR(name, parameters, value)                                                              \
    BODY(name, parameters, value) BODY(plain_##name, parameters, value)
#define DECLARE(name, parameters)                                                                  \
    long name parameters;                                                                          \
    long plain_##name parameters;

DECLARE(two_integers, (long a, long b))
DECLARE(four_integers, (long a, long b, long c, long d))
DECLARE(six_integers, (long a, long b, long c, long d, long e, long f))
DECLARE(text_constant, (const char *s, long b))
DECLARE(text_stack, (const char *s, long b))
DECLARE(text_heap, (const char *s, long b))
DECLARE(counted, (long a, long b))
DECLARE(disabled, (long a, long b))
DECLARE(traced, (long a, long b))
DECLARE(ten_frames, (long a, long b))
DECLARE(slow, (long a, long b))
long by_hand(long a, long b);
PAIR(two_integers, (long a, long b), a + b)
PAIR(four_integers, (long a, long b, long c, long d), a + b + c + d)
PAIR(six_integers, (long a, long b, long c, long d, long e, long f), a + b + c + d + e + f)
PAIR(text_constant, (const char *s, long b), b)
PAIR(text_stack, (const char *s, long b), b)
PAIR(text_heap, (const char *s, long b), b)
PAIR(counted, (long a, long b), a + b)
PAIR(disabled, (long a, long b), a + b)
PAIR(traced, (long a, long b), a + b)
PAIR(ten_frames, (long a, long b), a + b)
PAIR(slow, (long a, long b), a + b)

struct record {
    uint64_t site, entered, duration, result, caller, word[3];
};
struct ring {
    struct record *record;
    uint64_t head;
};
static __thread struct ring ring;
enum { RECORDS = 16384 }; /* 1 MiB, the default of ring-size */

NOT_INLINED long by_hand(long a, long b)
{
    struct record *r = &ring.record[ring.head & (RECORDS - 1)];
    r->site = 1;
    r->entered = __builtin_ia32_rdtsc();
    r->caller = (uint64_t)__builtin_return_address(0);
    r->word[0] = (uint64_t)a;
    r->word[1] = (uint64_t)b;
    long result = plain_two_integers(a, b);
    r->duration = __builtin_ia32_rdtsc() - r->entered;
    r->result = (uint64_t)result;
    __atomic_store_n(&ring.head, ring.head + 1, __ATOMIC_RELEASE);
    return result;
}
static void ring_open(void)
{
    ring.record = calloc(RECORDS, sizeof *ring.record);
    if (!ring.record)
        exit(1);
    memset(ring.record, 1, RECORDS * sizeof *ring.record);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static char *heap;
#define TIMED(name, call)                                                                          \
    static double time_##name(void)                                                                \
    {                                                                                              \
        char stack[32] = "sixteen letters";                                                        \
        double start = now();                                                                      \
        for (long i = 0; i < CALLS; i++)                                                           \
            call;                                                                                  \
        (void)stack;                                                                               \
        return (now() - start) / CALLS;                                                            \
    }
#define TIMED_PAIR(name, ...)                                                                      \
    TIMED(name, name(__VA_ARGS__)) TIMED(plain_##name, plain_##name(__VA_ARGS__))
TIMED_PAIR(two_integers, i, 2)
TIMED_PAIR(four_integers, i, 2, 3, 4)
TIMED_PAIR(six_integers, i, 2, 3, 4, 5, 6)
TIMED_PAIR(text_constant, "sixteen letters", i)
TIMED_PAIR(text_stack, stack, i)
TIMED_PAIR(text_heap, heap, i)
TIMED_PAIR(counted, i, 2)
TIMED_PAIR(disabled, i, 2)
TIMED_PAIR(traced, i, 2)
TIMED_PAIR(ten_frames, i, 2)
TIMED(by_hand, by_hand(i, 2))

/* With ten callers and more. */
NOT_INLINED static double deep(int levels, double (*time)(void))
{
    double result = levels ? deep(levels - 1, time) : time();
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return result;
}
static double time_ten_frames_deep(void)
{
    return deep(10, time_ten_frames);
}
static double time_plain_ten_frames_deep(void)
{
    return deep(10, time_plain_ten_frames);
}

static const struct {
    const char *name;
    double (*patched)(void), (*plain)(void);
} rows[] = {
    {"floor", time_by_hand, time_plain_two_integers},
#define ROW(name)                                                                                  \
    {                                                                                              \
#name, time_##name, time_plain_##name                                                      \
    }
    ROW(two_integers),
    ROW(four_integers),
    ROW(six_integers),
    ROW(text_constant),
    ROW(text_stack),
    ROW(text_heap),
    ROW(counted),
    ROW(disabled),
    ROW(traced),
    {"ten_frames", time_ten_frames_deep, time_plain_ten_frames_deep},
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

static FILE *output;
static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static void print_median(const char *name, double *sample)
{
    qsort(sample, ROUNDS, sizeof *sample, by_value);
    fprintf(output, "%s %.2f\n", name, sample[ROUNDS / 2]);
}
/* The reader is not part of the cost, as long as it keeps up. */
static void let_reader_work(void)
{
    usleep(1500);
}

/* Two threads at once: both run the same rows at the same time. */
static pthread_barrier_t together;
static double pair_sample[2][2][ROUNDS];
static void *run_pair(void *argument)
{
    long me = (long)argument;
    if (!ring.record)
        ring_open();
    for (int round = 0; round < ROUNDS; round++) {
        for (int row = 0; row < 2; row++) {
            pthread_barrier_wait(&together);
            double patched = rows[row].patched();
            pthread_barrier_wait(&together);
            pair_sample[row][me][round] = patched - rows[row].plain();
        }
        let_reader_work();
    }
    return NULL;
}

int main(int argc, char **argv __attribute__((unused)))
{
    static double sample[ROW_COUNT][ROUNDS];
    output = getenv("BENCH_OUTPUT") ? fopen(getenv("BENCH_OUTPUT"), "w") : stdout;
    if (!output)
        return 1;
    ring_open();
    heap = strdup("sixteen letters");
    if (argc > 1) { /* the debuggers' own means */
        double start = now();
        for (long i = 0; i < SLOW_CALLS; i++)
            slow(i, 2);
        fprintf(output, "slow %.2f\n", (now() - start) / SLOW_CALLS);
        return 0;
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < ROW_COUNT; i++) {
            double patched = rows[i].patched();
            sample[i][round] = patched - rows[i].plain();
            let_reader_work();
        }
    }
    for (int i = 0; i < ROW_COUNT; i++)
        print_median(rows[i].name, sample[i]);
    pthread_t other;
    pthread_barrier_init(&together, NULL, 2);
    pthread_create(&other, NULL, run_pair, (void *)1);
    run_pair(NULL);
    pthread_join(other, NULL);
    print_median("floor_two_threads", pair_sample[0][0]);
    print_median("two_integers_two_threads", pair_sample[1][0]);
    return 0;
}
