/* Threads that end in the middle of a record, and rings that overflow: every call is in the log
 * once or counted as lost, for each thread. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent_fixture.h"

static struct agent a;
NOT_INLINED static long work(long thread, long n, const char *text)
{
    __asm__ volatile("" : "+r"(n));
    return thread * 1000000000 + n;
}
static __typeof__(&work) thunk;

static void open_with(struct agent_options options)
{
    agent_open(&a, options);
    thunk = agent_patch(&a, work, "long work(long thread, long n, const char *text)",
                        (struct patch_options){0});
}

/* ---- a thread ends at any instruction of the agent: to the agent a jump out of it is the same as
 * a kill of that one thread, which the sanitizers do not survive */

static __thread long countdown;
static __thread sigjmp_buf away;
static volatile bool finished;
static void on_trap(int signal)
{
    if (--countdown == 0)
        siglongjmp(away, 1);
}
static void step(bool on)
{
    if (on)
        __asm__ volatile("pushf; orq $0x100, (%%rsp); popf" ::: "memory", "cc");
    else
        __asm__ volatile("pushf; andq $~0x100, (%%rsp); popf" ::: "memory", "cc");
}
static void *die_after(void *argument)
{
    thunk(1, 0, "before");
    countdown = (long)argument;
    if (!sigsetjmp(away, 1)) {
        step(true);
        thunk(1, 1, "the last");
        step(false);
        finished = true;
    }
    step(false);
    return NULL;
}
static void *live(void *argument)
{
    thunk(2, (long)argument, "another");
    return NULL;
}
static void run_thread(void *(*body)(void *), long argument)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, body, (void *)argument), 0);
    pthread_join(thread, NULL);
}
static void expect(const char *lines, const char *piece, size_t least, size_t most, long n)
{
    size_t times = occurrences(lines, piece);
    if (times < least || times > most)
        fail_msg("ended at instruction %ld: %s is there %zu times:\n%s", n, piece, times, lines);
}
static void test_thread_ends_anywhere(void **state)
{
    open_with((struct agent_options){.ring_size = 64 << 10});
    signal(SIGTRAP, on_trap);
    finished = false;
    long n = 0, last = 0;
    for (n = 1; !finished && n < 20000; n++) {
        run_thread(die_after, n);
        run_thread(live, n); /* it may have the dead one's stack, and its block */
        thunk(3, n, "main");
        char *lines = agent_lines(&a), wanted[3][100];
        snprintf(wanted[0], 100, "work(thread=2, n=%ld, text=\"another\") = %ld\n", n,
                 2000000000 + n);
        snprintf(wanted[1], 100, "work(thread=3, n=%ld, text=\"main\") = %ld\n", n, 3000000000 + n);
        expect(lines, "work(thread=1, n=0, text=\"before\") = 1000000000\n", 1, 1, n);
        /* That it was the last is known when its block serves another thread. */
        expect(lines, "work(thread=1, n=1, text=\"the last\")", 0, 2, n);
        last += occurrences(lines, "work(thread=1, n=1, text=\"the last\")");
        assert_true(last <= n);
        expect(lines, wanted[0], 1, 1, n);
        expect(lines, wanted[1], 1, 1, n);
        expect(lines, "\n", 3, 5, n);
        free(lines);
        gib_log_clear(a.log);
    }
    signal(SIGTRAP, SIG_DFL);
    assert_true(n > 20 && n < 20000);
    assert_int_equal(gib_log_lost(a.log), 0);
    agent_close(&a);
}

/* More threads that end inside a call than there are blocks. */
NOT_INLINED static long leave(long n)
{
    pthread_exit(NULL);
    return n;
}
static __typeof__(&leave) leave_thunk;
static void *leave_inside(void *argument)
{
    leave_thunk((long)argument);
    return NULL;
}
static void test_threads_that_end_inside(void **state)
{
    enum { MANY = GIB_MAX_THREADS + 200 };
    agent_open(&a, (struct agent_options){.ring_size = 8 << 10});
    leave_thunk = agent_patch(&a, leave, "long leave(long n)", (struct patch_options){0});
    for (long n = 0; n < MANY; n++) {
        run_thread(leave_inside, n);
        gib_log_drain(a.log);
    }
    assert_int_equal(a.shared->unrecorded, 0);
    assert_int_equal(agent_calls(&a, 0), MANY);
    char *lines = agent_lines(&a);
    /* Those whose blocks serve others are known to be over. */
    assert_true(occurrences(lines, "<unfinished ...>\n") >= 200);
    assert_non_null(strstr(lines, "leave(n=0) <unfinished ...>\n"));
    free(lines);
    agent_close(&a);
}

/* ---- eight threads, a reader that cannot keep up */

enum { THREADS = 8, EACH = 100000 };
static void *hammer(void *argument)
{
    static const char *const texts[] = {"", "a text of some length, more than one line of a ring",
                                        "short"};
    for (long n = 0; n < EACH; n++)
        thunk((long)argument, n, texts[n % 3]);
    return NULL;
}
struct account {
    long tid, recorded, lost, next;
};
static struct account *account_of(struct account *accounts, long tid)
{
    for (int i = 0; i < THREADS; i++) {
        if (!accounts[i].tid)
            accounts[i].tid = tid;
        if (accounts[i].tid == tid)
            return &accounts[i];
    }
    fail_msg("a ninth thread: %ld", tid);
    return NULL;
}
static long number(const char *line, const char *name)
{
    const char *at = memmem(line, strcspn(line, "\n"), name, strlen(name));
    if (!at)
        fail_msg("no %s in %.200s", name, line);
    return atol(at + strlen(name));
}
static void check_line(struct account *accounts, const char *line)
{
    struct account *account = account_of(accounts, number(line, "\"tid\":"));
    if (!strncmp(line, "{\"type\":\"lost\"", 14)) {
        account->lost += number(line, "\"lost\":");
        return;
    }
    long thread = number(line, "{\"thread\":"), n = number(line, ",\"n\":");
    assert_int_equal(number(line, "\"result\":"), thread * 1000000000 + n);
    const char *text = n % 3 == 0 ? "\"text\":\"\""
                       : n % 3 == 1
                           ? "\"text\":\"a text of some length, more than one line of a ring\""
                           : "\"text\":\"short\"";
    assert_non_null(memmem(line, strcspn(line, "\n"), text, strlen(text)));
    if (n < account->next)
        fail_msg("call %ld of a thread comes after %ld", n, account->next - 1);
    account->next = n + 1;
    account->recorded++;
}
static void check_overflow(bool overwrite)
{
    open_with((struct agent_options){.ring_size = 16 << 10, .overwrite = overwrite});
    pthread_t thread[THREADS];
    for (long i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, hammer, (void *)i), 0);
    for (long i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    struct account accounts[THREADS] = {0};
    char *json = agent_jsonl(&a);
    for (char *line = json; *line; line = strchr(line, '\n') + 1)
        check_line(accounts, line);
    free(json);
    for (int i = 0; i < THREADS; i++) {
        if (accounts[i].recorded + accounts[i].lost != EACH)
            fail_msg("of thread %ld %ld calls are there and %ld lost, of %d", accounts[i].tid,
                     accounts[i].recorded, accounts[i].lost, EACH);
        if (!overwrite)
            assert_int_equal(accounts[i].lost, 0);
    }
    agent_close(&a);
}
static void test_overwriting_accounts_for_each_thread(void **state)
{
    check_overflow(true);
}
static void test_blocking_loses_nothing(void **state)
{
    check_overflow(false);
}

/* The reader is away for longer than a thread waits, as with a debugger that is stopped: some calls
 * are lost and counted. When it goes on, threads wait for it again. */
static void test_reader_comes_to_itself(void **state)
{
    open_with((struct agent_options){.ring_size = 64 << 10});
    thunk(0, 0, "");
    gib_log_drain(a.log);
    __atomic_store_n(&a.shared->reader, 0,
                     __ATOMIC_RELEASE); /* what a thread without patience does */
    for (int i = 0; i < 500 && !__atomic_load_n(&a.shared->reader, __ATOMIC_ACQUIRE); i++)
        usleep(10000);
    assert_int_equal(a.shared->reader, 1);
    agent_close(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_ends_anywhere),
        cmocka_unit_test(test_threads_that_end_inside),
        cmocka_unit_test(test_overwriting_accounts_for_each_thread),
        cmocka_unit_test(test_blocking_loses_nothing),
        cmocka_unit_test(test_reader_comes_to_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
