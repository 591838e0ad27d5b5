/*
 * target: the program that tests/bench/run.sh patches. It times itself and writes lines to the file
 * BENCH_OUTPUT: the name of a row, ns added to a call, calls made.
 *
 *   bench_target                          every row, and some of them on two threads at once
 *   bench_target CALLS ROUNDS ROW...      these rows only
 *   bench_target million                  a million calls of two_integers() without a pause
 *
 * In each round every row is measured once, patched and right after it unpatched; a row's figure is
 * the median of the differences. The floor is the work of a logged call written by hand: two time
 * stamps and a 64-byte record in the thread's own buffer.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "functions.h"

enum { CALLS = 2000, ROUNDS = 101, FRAMES = 12, MILLION = 1000000 };
static long calls = CALLS, rounds = ROUNDS;

/* ---- the floor ---- */

struct record {
    uint64_t site, entered, duration, result, caller, word[3];
};
struct ring {
    struct record *record;
    uint64_t head;
};
static __thread struct ring ring;
enum { RECORDS = 16384 }; /* 1 MiB, the default of ring-size */

static void ring_open(void)
{
    ring.record = calloc(RECORDS, sizeof *ring.record);
    if (!ring.record)
        exit(1);
    memset(ring.record, 1, RECORDS * sizeof *ring.record);
}

NOT_INLINED static long by_hand(long a, long b)
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

/* ---- rows ---- */

static char *heap_text;
static struct point *heap_point;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* time_NAME(): ns a call; heap and stack hold the same. */
#define TIME(name, call)                                                                           \
    static double time_##name(void)                                                                \
    {                                                                                              \
        char stack_text[32] = "sixteen letters";                                                   \
        struct point stack_point = {2, 3};                                                         \
        __asm__ volatile("" : "+m"(stack_text), "+m"(stack_point));                                \
        double start = now();                                                                      \
        for (long i = 0; i < calls; i++)                                                           \
            call;                                                                                  \
        return (now() - start) / (double)calls;                                                    \
    }
#define TIME_PAIR(name, parameters, value, arguments)                                              \
    TIME(name, name arguments) TIME(plain_##name, plain_##name arguments)
EACH_FUNCTION(TIME_PAIR)
TIME(by_hand, by_hand(i, 2))
TIME(rdtsc, (void)__builtin_ia32_rdtsc())
TIME(system_call, syscall(SYS_getppid))
TIME(nothing, __asm__ volatile(""))

struct row {
    const char *name;
    double (*patched)(void), (*plain)(void);
};
#define ROW(name, parameters, value, arguments) {#name, time_##name, time_plain_##name},
static const struct row all_rows[] = {{"rdtsc", time_rdtsc, time_nothing},
                                      {"system_call", time_system_call, time_nothing},
                                      {"floor", time_by_hand, time_plain_two_integers},
                                      EACH_FUNCTION(ROW)};
enum { ROW_COUNT = sizeof all_rows / sizeof *all_rows };

static const struct row *find_row(const char *name)
{
    for (int i = 0; i < ROW_COUNT; i++)
        if (!strcmp(all_rows[i].name, name))
            return &all_rows[i];
    fprintf(stderr, "bench_target: there is no row \"%s\"\n", name);
    exit(2);
}

/* ---- rounds ---- */

static FILE *output;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *sample)
{
    qsort(sample, (size_t)rounds, sizeof *sample, by_value);
    return sample[rounds / 2];
}

/* The reader is not part of the cost, as long as it keeps up. */
static void let_reader_work(void)
{
    usleep(1500);
}

static double sample[ROW_COUNT][ROUNDS];
static void run_rows(const struct row *const *rows, int count)
{
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            rows[i]->plain(); /* not measured: the first calls behind a pause are slow */
            double patched = rows[i]->patched();
            sample[i][round] = patched - rows[i]->plain();
            let_reader_work();
        }
    }
    for (int i = 0; i < count; i++)
        fprintf(output, "%s %.2f %ld\n", rows[i]->name, median(sample[i]), calls * rounds);
}

/* Calls below some frames, so that there are as many as -backtrace asks for. */
NOT_INLINED static void run_deep(int frames, const struct row *const *rows, int count)
{
    if (frames)
        run_deep(frames - 1, rows, count);
    else
        run_rows(rows, count);
    __asm__ volatile(""); /* no tail call */
}

/* Two threads at once: both run the same rows at the same time. */
static const char *const pair_names[] = {"floor", "two_integers", "counted"};
enum { PAIR_COUNT = sizeof pair_names / sizeof *pair_names };
static pthread_barrier_t together;
static double pair_sample[PAIR_COUNT][2][ROUNDS];
static void *run_pair(void *argument)
{
    long me = (long)argument;
    if (!ring.record)
        ring_open();
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < PAIR_COUNT; i++) {
            const struct row *row = find_row(pair_names[i]);
            row->plain();
            pthread_barrier_wait(&together);
            double patched = row->patched();
            pthread_barrier_wait(&together);
            pair_sample[i][me][round] = patched - row->plain();
        }
        let_reader_work();
    }
    return NULL;
}
static void run_two_threads(void)
{
    pthread_t other;
    pthread_barrier_init(&together, NULL, 2);
    pthread_create(&other, NULL, run_pair, (void *)1);
    run_pair(NULL);
    pthread_join(other, NULL);
    for (int i = 0; i < PAIR_COUNT; i++) {
        double mine = median(pair_sample[i][0]), theirs = median(pair_sample[i][1]);
        fprintf(output, "%s_two_threads %.2f %ld\n", pair_names[i], mine > theirs ? mine : theirs,
                2 * calls * rounds);
    }
}

int main(int argc, char **argv)
{
    output = getenv("BENCH_OUTPUT") ? fopen(getenv("BENCH_OUTPUT"), "w") : stdout;
    if (!output)
        return 1;
    ring_open();
    heap_text = strdup("sixteen letters");
    heap_point = malloc(sizeof *heap_point);
    if (!heap_text || !heap_point)
        return 1;
    *heap_point = (struct point){2, 3};
    const struct row *rows[ROW_COUNT];
    int count = 0;
    if (argc == 2 && !strcmp(argv[1], "million")) {
        calls = MILLION;
        fprintf(output, "two_integers %.2f %ld\n", time_two_integers(), calls);
        return 0;
    }
    if (argc > 3) {
        calls = atol(argv[1]);
        rounds = atol(argv[2]);
        if (calls < 1 || rounds < 1 || rounds > ROUNDS)
            return 2;
        for (int i = 3; i < argc && count < ROW_COUNT; i++)
            rows[count++] = find_row(argv[i]);
    } else {
        for (; count < ROW_COUNT; count++)
            rows[count] = &all_rows[count];
    }
    run_deep(FRAMES, rows, count);
    if (argc == 1)
        run_two_threads();
    return 0;
}
