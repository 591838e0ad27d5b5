/*
 * How often and how long: the histograms that thunks and the agent keep, against the durations in
 * the records of the same calls, call by call.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent_fixture.h"

static struct gib_times times;

NOT_INLINED static long spin(long n)
{
    for (volatile long i = 0; i < n; i++)
        ;
    return n;
}
NOT_INLINED static const char *text(long n)
{
    spin(n);
    return "text";
}
NOT_INLINED static double half(double n)
{
    return n / 2;
}
NOT_INLINED static void quick(void)
{
    __asm__ volatile("");
}

/* ---- buckets ---- */

static void test_buckets(void **state)
{
    for (uint32_t i = 0; i < GIB_HISTOGRAM_BUCKETS; i++) {
        uint64_t from = gib_histogram_from(i);
        uint64_t to = i + 1 < GIB_HISTOGRAM_BUCKETS ? gib_histogram_from(i + 1) - 1 : UINT64_MAX;
        assert_int_equal(gib_histogram_index(from), i);
        assert_int_equal(gib_histogram_index(to), i);
        assert_int_equal(gib_histogram_index(from + (to - from) / 2), i);
        assert_true(i < 16 ? to == from : to - from + 1 <= from / 8);
    }
    assert_int_equal(gib_histogram_from(0), 0);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Percentiles, against a sorted list of the same times. */
static void check_shares(const struct gib_times *t, uint64_t *list, size_t count)
{
    static const double shares[] = {0, 0.01, 0.5, 0.9, 0.99, 0.999, 1};
    qsort(list, count, sizeof *list, by_value);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        size_t at = (size_t)ceil(shares[i] * (double)count);
        double right = (double)list[at ? at - 1 : 0];
        double got = gib_times_share(t, shares[i]);
        if (got > right * 17 / 16 || got < right * 15 / 16)
            fail_msg("%f of %zu calls: %f, not %f", shares[i], count, got, right);
    }
}

static void test_shares_of_random_times(void **state)
{
    enum { COUNT = 20000 };
    uint64_t *list = calloc(COUNT, sizeof *list), total = 0;
    srandom(5);
    for (int round = 0; round < 8; round++) {
        memset(&times, 0, sizeof times);
        total = 0;
        for (size_t i = 0; i < COUNT; i++) {
            /* All magnitudes, and some times again and again. */
            list[i] = (uint64_t)random() >> (random() % 31) << (round * 4);
            list[i] = random() % 3 ? list[i] : 1000;
            gib_times_add(&times, list[i]);
            total += list[i];
        }
        check_shares(&times, list, COUNT);
        assert_int_equal(times.timed, COUNT);
        assert_int_equal(times.total, total);
        assert_int_equal(times.least, list[0]);
        assert_int_equal(times.most, list[COUNT - 1]);
    }
    free(list);
    memset(&times, 0, sizeof times);
    assert_true(gib_times_share(&times, 0.5) == 0);
    gib_times_add(&times, (uint64_t)-5); /* two processors' counters */
    assert_int_equal(times.most, 0);
    assert_int_equal(times.total, 0);
}

/* ---- the agent's against the log's ---- */

struct list {
    uint32_t site;
    uint64_t *ticks;
    size_t count, room;
};
static bool collect(const struct gib_log_view *view, void *context)
{
    struct list *l = context;
    if ((view->record->site & 0xffffff) != l->site || view->call->status != GIB_CALL_DONE)
        return true;
    if (l->count == l->room)
        l->ticks = realloc(l->ticks, (l->room = l->room ? 2 * l->room : 1024) * sizeof *l->ticks);
    l->ticks[l->count++] = view->record->duration;
    return true;
}

/* Each call of the site is in the bucket that its record says; all have returned. */
static void compare(struct agent *a, uint32_t site)
{
    struct list l = {.site = site};
    static struct gib_times right;
    memset(&right, 0, sizeof right);
    gib_log_visit(a->log, collect, &l);
    for (size_t i = 0; i < l.count; i++)
        gib_times_add(&right, l.ticks[i]);
    agent_times(a, site, &times);
    assert_true(l.count > 0);
    assert_int_equal(gib_log_lost(a->log), 0);
    assert_int_equal(times.timed, l.count);
    assert_int_equal(times.calls, l.count);
    assert_int_equal(times.untimed, 0);
    assert_int_equal(times.total, right.total);
    assert_int_equal(times.least, right.least);
    assert_int_equal(times.most, right.most);
    assert_memory_equal(times.bucket, right.bucket, sizeof right.bucket);
    check_shares(&times, l.ticks, l.count);
    free(l.ticks);
}

static __typeof__(&spin) spin_thunk;
NOT_INLINED static long nest(long n)
{
    return n ? spin_thunk(n) + spin_thunk(0) : 0;
}
static void test_every_call(void **state)
{
    struct agent *a = *state;
    spin_thunk = agent_patch(a, spin, "long spin(long n)", (struct patch_options){0});
    __typeof__(&text) text_thunk =
        agent_patch(a, text, "const char *text(long n)", (struct patch_options){0});
    __typeof__(&half) half_thunk =
        agent_patch(a, half, "double half(double n)", (struct patch_options){0});
    __typeof__(&nest) nest_thunk =
        agent_patch(a, nest, "long nest(long n)", (struct patch_options){0});
    __typeof__(&spin) traced =
        agent_patch(a, spin, "long traced(long n)", (struct patch_options){.backtrace = 4});
    srandom(7);
    for (int i = 0; i < 20000; i++) {
        long n = random() >> (random() % 21 + 10) & 4095;
        assert_int_equal(spin_thunk(n), n);
        assert_true(half_thunk(3) == 1.5);
        if (i % 8 == 0) {
            assert_string_equal(text_thunk(n), "text");
            assert_int_equal(nest_thunk(n), n);
            assert_int_equal(traced(n), n);
        }
    }
    for (uint32_t site = 0; site < a->sites; site++)
        compare(a, site);
}

/* A failed call is completed by the agent, others by the thunk, of the same function. */
NOT_INLINED static int fails(int n)
{
    return n % 3 ? n : -1;
}
static void test_failed_calls(void **state)
{
    struct agent *a = *state;
    __typeof__(&fails) thunk =
        agent_patch(a, fails, "int fails(int n) // errno", (struct patch_options){0});
    for (int i = 0; i < 3000; i++)
        assert_int_equal(thunk(i), i % 3 ? i : -1);
    compare(a, 0);
    assert_int_equal(agent_failures(a, 0), 1000);
}

/* ---- what no record is left of ---- */

static __typeof__(&quick) quick_thunk;
static void *hammer(void *count)
{
    for (long i = 0; i < (long)count; i++)
        quick_thunk();
    return NULL;
}

static void test_threads_whose_records_are_overwritten(void **state)
{
    enum { THREADS = 8, CALLS = 30000 };
    struct agent a;
    pthread_t thread[THREADS];
    agent_open(&a, (struct agent_options){.ring_size = 64 << 10, .no_reader = true});
    quick_thunk = agent_patch(&a, quick, "void quick(void)", (struct patch_options){0});
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, hammer, (void *)CALLS), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    agent_times(&a, 0, &times);
    assert_int_equal(times.calls, THREADS * CALLS);
    assert_int_equal(times.timed, THREADS * CALLS);
    assert_true(a.shared->histograms_used <= THREADS);
    agent_close(&a);
}

/* More threads than there are blocks, one after the other: those of the dead are taken over, with
 * what they have counted. */
static void test_threads_that_follow_each_other(void **state)
{
    struct agent *a = *state;
    enum { THREADS = 1500, AT_ONCE = 4 };
    quick_thunk = agent_patch(a, quick, "void quick(void)", (struct patch_options){0});
    for (int i = 0; i < THREADS; i += AT_ONCE) {
        pthread_t thread[AT_ONCE];
        for (int k = 0; k < AT_ONCE; k++)
            assert_int_equal(pthread_create(&thread[k], NULL, hammer, (void *)(long)(k + 1)), 0);
        for (int k = 0; k < AT_ONCE; k++)
            pthread_join(thread[k], NULL);
    }
    agent_times(a, 0, &times);
    assert_int_equal(times.calls, THREADS / AT_ONCE * (1 + 2 + 3 + 4));
    assert_int_equal(times.timed, times.calls);
}

static void on_signal(int signal)
{
    quick_thunk();
}
static void test_signals(void **state)
{
    struct agent *a = *state;
    quick_thunk = agent_patch(a, quick, "void quick(void)", (struct patch_options){0});
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    signal(SIGALRM, on_signal);
    setitimer(ITIMER_REAL, &often, NULL);
    hammer((void *)300000);
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_DFL);
    agent_times(a, 0, &times);
    assert_true(times.calls > 300000);
    assert_int_equal(times.timed, times.calls);
}

/* ---- calls without a time ---- */

static jmp_buf out;
NOT_INLINED static void leap(int away)
{
    if (away)
        longjmp(out, 1);
}
static void test_longjmp(void **state)
{
    struct agent *a = *state;
    __typeof__(&leap) thunk =
        agent_patch(a, leap, "void leap(int away)", (struct patch_options){0});
    for (volatile int i = 0; i < 30; i++)
        if (!setjmp(out))
            thunk(i % 3 == 0);
    agent_times(a, 0, &times);
    assert_int_equal(times.calls, 30);
    assert_int_equal(times.timed, 20);
    assert_int_equal(times.untimed, 0);
}

/* Parent and child come back from the one call: it is timed once. What the child calls counts. */
NOT_INLINED static int forks(void)
{
    return (int)fork();
}
static void test_fork(void **state)
{
    struct agent *a = *state;
    __typeof__(&forks) thunk = agent_patch(a, forks, "int forks(void)", (struct patch_options){0});
    quick_thunk = agent_patch(a, quick, "void quick(void)", (struct patch_options){0});
    quick_thunk();
    int child = thunk(), status;
    hammer((void *)10);
    if (!child)
        _exit(0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    agent_times(a, 0, &times);
    assert_int_equal(times.calls, 1);
    assert_int_equal(times.timed, 1);
    agent_times(a, 1, &times);
    assert_int_equal(times.calls, 21);
    assert_int_equal(times.timed, 21);
}

static void test_no_memory_left(void **state)
{
    struct agent *a = *state;
    quick_thunk = agent_patch(a, quick, "void quick(void)", (struct patch_options){0});
    spin_thunk = agent_patch(a, spin, "long spin(long n)", (struct patch_options){0});
    a->shared->histograms_used = GIB_MAX_HISTOGRAMS - 1;
    hammer((void *)100);
    for (int i = 0; i < 50; i++)
        assert_int_equal(spin_thunk(i), i);
    agent_times(a, 0, &times);
    assert_int_equal(times.timed, 100);
    agent_times(a, 1, &times);
    assert_int_equal(times.calls, 50);
    assert_int_equal(times.timed, 0);
    assert_int_equal(times.untimed, 50);
    assert_int_equal(a->shared->histograms_used, GIB_MAX_HISTOGRAMS);
}

NOT_INLINED static int deep(int n);
static __typeof__(&deep) deep_thunk;
NOT_INLINED static int deep(int n)
{
    return n ? 1 + deep_thunk(n - 1) : 0;
}
static void *recurse(void *depth)
{
    assert_int_equal(deep_thunk((int)(long)depth), (long)depth);
    return NULL;
}
static void test_deep_recursion(void **state)
{
    enum { DEPTH = 1000 };
    struct agent *a = *state;
    pthread_attr_t small;
    pthread_t thread;
    deep_thunk = agent_patch(a, deep, "int deep(int n)", (struct patch_options){0});
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 1 << 20);
    assert_int_equal(pthread_create(&thread, &small, recurse, (void *)DEPTH), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&small);
    agent_times(a, 0, &times);
    assert_int_equal(times.calls, DEPTH + 1);
    assert_true(times.untimed > 0 && times.timed > 0);
    assert_int_equal(times.timed + times.untimed, times.calls);
}

static void test_entries_and_counts_have_no_times(void **state)
{
    struct agent *a = *state;
    __typeof__(&quick) entry =
        agent_patch(a, quick, "void quick(void)", (struct patch_options){.entry_only = true});
    __typeof__(&quick) count =
        agent_patch(a, quick, "void quick(void)", (struct patch_options){.count = true});
    for (int i = 0; i < 10; i++) {
        entry();
        count();
    }
    for (uint32_t site = 0; site < 2; site++) {
        agent_times(a, site, &times);
        assert_int_equal(times.calls, 10);
        assert_int_equal(times.timed + times.untimed, 0);
    }
    assert_int_equal(a->shared->histograms_used, 0);
}

int main(void)
{
    static struct agent agent;
#define TEST(name)                                                                                 \
    cmocka_unit_test_prestate_setup_teardown(name, agent_setup, agent_teardown, &agent)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_shares_of_random_times),
        TEST(test_every_call),
        TEST(test_failed_calls),
        cmocka_unit_test(test_threads_whose_records_are_overwritten),
        TEST(test_threads_that_follow_each_other),
        TEST(test_signals),
        TEST(test_longjmp),
        TEST(test_fork),
        TEST(test_no_memory_left),
        TEST(test_deep_recursion),
        TEST(test_entries_and_counts_have_no_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
