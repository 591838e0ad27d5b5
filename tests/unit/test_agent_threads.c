/* Many threads, readers that are slow, dead or late, rings that are full: every call is in the log
 * once, or counted as lost. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent_fixture.h"

enum { THREADS = 8 };
static struct agent a;
NOT_INLINED static long work(long thread, long n)
{
    __asm__ volatile("" : "+r"(n));
    return thread * 1000000000 + n;
}
static __typeof__(&work) thunk;
static long calls_each;
static volatile bool wrong;

static void *hammer(void *argument)
{
    long me = (long)argument;
    for (long n = 0; n < calls_each; n++)
        if (thunk(me, n) != me * 1000000000 + n)
            wrong = true;
    return NULL;
}
static void hammer_all(long each)
{
    pthread_t thread[THREADS];
    calls_each = each;
    wrong = false;
    for (long i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, hammer, (void *)i), 0);
    for (long i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_false(wrong);
}
static void open_with(struct agent_options options)
{
    agent_open(&a, options);
    thunk = agent_patch(&a, work, "long work(long thread, long n)", (struct patch_options){0});
}

/* Calls of thread i in the log must be 0, 1, 2...; gaps only when records may be lost. Returns how
 * many there are. */
static long check_sequence(bool gaps)
{
    char *lines = agent_lines(&a);
    long next[THREADS] = {0}, count = 0;
    for (char *line = lines; *line; line = strchr(line, '\n') + 1) {
        long i, n, result;
        char one[100];
        snprintf(one, sizeof one, "%.*s", (int)strcspn(line, "\n"), line);
        if (strstr(one, " lost: the target"))
            continue;
        if (sscanf(one, "work(thread=%ld, n=%ld) = %ld", &i, &n, &result) != 3 || i < 0 ||
            i >= THREADS)
            fail_msg("strange line: %s", one);
        if (gaps ? n < next[i] : n != next[i])
            fail_msg("thread %ld: call %ld follows %ld", i, n, next[i] - 1);
        assert_int_equal(result, i * 1000000000 + n);
        next[i] = n + 1;
        count++;
    }
    free(lines);
    return count;
}

static void test_all_calls_once(void **state)
{
    open_with((struct agent_options){.ring_size = 256 << 10});
    hammer_all(200000);
    assert_int_equal(agent_calls(&a, 0), THREADS * 200000);
    assert_int_equal(check_sequence(false), THREADS * 200000);
    assert_int_equal(gib_log_lost(a.log), 0);
    agent_close(&a);
}

static void test_overwrite_counts_losses(void **state)
{
    open_with((struct agent_options){.ring_size = 64 << 10, .overwrite = true});
    for (int round = 0; round < 5; round++) {
        hammer_all(100000);
        long got = check_sequence(true);
        assert_int_equal((uint64_t)got + gib_log_lost(a.log), THREADS * 100000);
        gib_log_clear(a.log);
    }
    agent_close(&a);
}

/* Nobody reads: the newest calls stay, the rest is counted when a reader comes. */
static void test_late_reader(void **state)
{
    open_with((struct agent_options){.ring_size = 64 << 10, .no_reader = true});
    for (long n = 0; n < 100000; n++)
        thunk(0, n);
    uint64_t kept = agent_records(&a, 0);
    assert_true(kept >= 1000 && kept <= 1024);
    agent_attach(&a);
    long got = check_sequence(true);
    assert_int_equal(got, kept);
    assert_int_equal((uint64_t)got + gib_log_lost(a.log), 100000);
    char *lines = agent_lines(&a);
    assert_non_null(strstr(lines, "n=99999)"));
    assert_non_null(strstr(lines, "records lost"));
    free(lines);
    /* Whose they are is known, though the record that said so was overwritten. */
    char *json = agent_jsonl(&a), mine[40];
    snprintf(mine, sizeof mine, "\"pid\":%d,\"tid\":%d,", getpid(), gettid());
    assert_int_equal(occurrences(json, mine), occurrences(json, "\n"));
    free(json);
    agent_close(&a);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A reader that is there but dead: writers wait a bounded time, once, and then go on. */
static void test_dead_reader(void **state)
{
    open_with((struct agent_options){.ring_size = 64 << 10, .no_reader = true});
    a.shared->reader = 1;
    double start = seconds();
    for (long n = 0; n < 50000; n++)
        thunk(0, n);
    double took = seconds() - start;
    assert_true(took > 0.3 && took < 5);
    assert_int_equal(a.shared->reader, 0);
    agent_attach(&a); /* and comes back */
    long got = check_sequence(true);
    assert_int_equal((uint64_t)got + gib_log_lost(a.log), 50000);
    gib_log_clear(a.log);
    assert_int_equal(a.shared->reader, 1);
    for (long n = 0; n < 50000; n++)
        thunk(1, n);
    assert_int_equal(check_sequence(false), 50000);
    agent_close(&a);
}

/* A slow but living reader is waited for as long as it takes. */
static volatile bool stop_beating;
static void *beat(void *argument)
{
    while (!stop_beating) {
        __atomic_add_fetch(&a.shared->reader_beat, 1, __ATOMIC_RELAXED);
        usleep(20000);
    }
    struct gib_thread *t = agent_block(&a, 0);
    for (int i = 0; i < 200; i++) { /* takes a little at a time */
        __atomic_store_n(&t->read, __atomic_load_n(&t->head, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
        __atomic_add_fetch(&a.shared->reader_beat, 1, __ATOMIC_RELAXED);
        usleep(1000);
    }
    return NULL;
}
static void *stop_soon(void *argument)
{
    usleep(1500000);
    stop_beating = true;
    return NULL;
}
static void test_slow_reader(void **state)
{
    open_with((struct agent_options){.ring_size = 64 << 10, .no_reader = true});
    a.shared->reader = 1;
    stop_beating = false;
    pthread_t beater, stopper;
    pthread_create(&beater, NULL, beat, NULL);
    pthread_create(&stopper, NULL, stop_soon, NULL);
    double start = seconds();
    for (long n = 0; n < 3000; n++)
        thunk(0, n);
    assert_true(seconds() - start > 1);
    assert_int_equal(a.shared->reader, 1);
    struct gib_thread *t = agent_block(&a, 0);
    assert_int_equal(t->tail, 0); /* nothing was given up */
    pthread_join(beater, NULL);
    pthread_join(stopper, NULL);
    agent_close(&a);
}

/* More threads, one after the other, than there are blocks: dead ones' blocks serve again, and no
 * thread is taken for another. */
static void *one_call(void *argument)
{
    thunk(7, (long)argument);
    return NULL;
}
static void test_many_short_threads(void **state)
{
    enum { MANY = 3 * GIB_MAX_THREADS };
    open_with((struct agent_options){.ring_size = 64 << 10});
    for (long i = 0; i < MANY; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, one_call, (void *)i), 0);
        pthread_join(thread, NULL);
    }
    assert_int_equal(check_sequence(true), MANY);
    assert_int_equal(gib_log_lost(a.log), 0);
    char *json = agent_jsonl(&a), *at = json;
    int before = 0, changes = 0;
    while ((at = strstr(at, "\"tid\":"))) { /* each thread has its own id */
        int tid = atoi(at += 6);
        changes += tid != before;
        before = tid;
    }
    assert_int_equal(changes, MANY);
    free(json);
    agent_close(&a);
}

/* Records of every size at the ring's end. */
NOT_INLINED static long text(const char *s)
{
    return (long)strlen(s);
}
static void test_wrap(void **state)
{
    agent_open(&a, (struct agent_options){.ring_size = 8 << 10, .string_limit = 600});
    __typeof__(&text) f =
        agent_patch(&a, text, "long text(const char *s)", (struct patch_options){0});
    static char letters[1001];
    memset(letters, 'w', 1000);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(f(letters + i % 1000), 1000 - i % 1000);
    char *lines = agent_lines(&a), *at = lines;
    for (int i = 0; i < 3000; i++) {
        int size = 1000 - i % 1000;
        char wanted[1100];
        int length = snprintf(wanted, sizeof wanted, "text(s=\"%.*s\"%s) = %d\n",
                              size < 600 ? size : 600, letters, size > 600 ? "..." : "", size);
        if (strncmp(at, wanted, (size_t)length))
            fail_msg("call %d is %.80s", i, at);
        at += length;
    }
    assert_int_equal(*at, 0);
    free(lines);
    assert_int_equal(gib_log_lost(a.log), 0);
    agent_close(&a);
}

static void test_count_on_all_threads(void **state)
{
    for (uint32_t pointer = GIB_POINTER_FS0; pointer <= GIB_POINTER_SYSCALL; pointer++) {
        agent_open(&a, (struct agent_options){.thread_pointer = pointer, .no_reader = true});
        thunk = agent_patch(&a, work, "long work(long thread, long n)",
                            (struct patch_options){.count = true});
        hammer_all(pointer == GIB_POINTER_SYSCALL ? 20000 : 200000);
        assert_int_equal(agent_calls(&a, 0), THREADS * calls_each);
        agent_close(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_calls_once), cmocka_unit_test(test_overwrite_counts_losses),
        cmocka_unit_test(test_late_reader),    cmocka_unit_test(test_dead_reader),
        cmocka_unit_test(test_slow_reader),    cmocka_unit_test(test_many_short_threads),
        cmocka_unit_test(test_wrap),           cmocka_unit_test(test_count_on_all_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
