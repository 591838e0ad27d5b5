/*
 * A signal handler, a fork or the end of the process may come between any two instructions of the
 * agent: each of them is tried. The processor's trap flag stops after every instruction; at the
 * n-th the disturbance happens, for every n.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent_fixture.h"

enum { TRAP_FLAG = 0x100 };
static struct agent a;
static long countdown, steps, stride = 1;
static void (*disturb)(void);

NOT_INLINED static int plain(int n, const char *text)
{
    return n + 1;
}
NOT_INLINED static const char *texts(const char *text, int n)
{
    return text + 1;
}
static __typeof__(&plain) plain_thunk, handler_thunk; /* the thunk writes, the agent adds text */
static __typeof__(&texts) texts_thunk; /* the agent completes it, for its result is text */
NOT_INLINED static long numbers(long a1, long a2, long a3, long a4)
{
    return a1 + a2 + a3 + a4;
}
static __typeof__(&numbers) numbers_thunk; /* written by the thunk alone */
NOT_INLINED static int nesting(int n)
{
    return plain_thunk(n, "inner") + plain_thunk(n + 1, "inner");
}
static __typeof__(&nesting) nesting_thunk;
static void (*count_thunk)(void);
NOT_INLINED static void counted(void)
{
    __asm__ volatile("");
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
    steps++;
    if (--countdown == 0)
        disturb();
}

static void step(bool on)
{
    if (on)
        __asm__ volatile("pushf; orq $0x100, (%%rsp); popf" ::: "memory", "cc");
    else
        __asm__ volatile("pushf; andq $~0x100, (%%rsp); popf" ::: "memory", "cc");
}

static int setup(void **state)
{
    agent_open(&a, (struct agent_options){.no_reader = true, .ring_size = 64 << 10});
    plain_thunk =
        agent_patch(&a, plain, "int plain(int n, const char *text)", (struct patch_options){0});
    handler_thunk =
        agent_patch(&a, plain, "int handler(int n, const char *text)", (struct patch_options){0});
    texts_thunk = agent_patch(&a, texts, "const char *texts(const char *text, int n) // errno",
                              (struct patch_options){0});
    nesting_thunk = agent_patch(&a, nesting, "int nesting(int n)", (struct patch_options){0});
    count_thunk =
        agent_patch(&a, counted, "void counted(void)", (struct patch_options){.count = true});
    numbers_thunk = agent_patch(&a, numbers, "long numbers(long a, long b, long c, long d)",
                                (struct patch_options){0});
    agent_attach(&a);
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    return sigaction(SIGTRAP, &action, NULL);
}
static int teardown(void **state)
{
    signal(SIGTRAP, SIG_DFL);
    agent_close(&a);
    return 0;
}

static char *wanted_text(const char *format, ...)
{
    va_list rest;
    char *text;
    va_start(rest, format);
    assert_true(vasprintf(&text, format, rest) >= 0);
    va_end(rest);
    return text;
}

/* Calls `body` once for each of its instructions, disturbed there; `check` looks at the log after
 * each. */
static void at_every_instruction(void (*body)(void), void (*disturbance)(void),
                                 void (*check)(long n))
{
    disturb = disturbance;
    body(); /* once undisturbed: the block is there */
    gib_log_drain(a.log);
    gib_log_clear(a.log);
    long n = 0;
    do {
        countdown = n += stride;
        steps = 0;
        step(true);
        body();
        step(false);
        check(n);
    } while (countdown <= 0 && n < 20000);
    assert_true(n > 10);
    assert_true(n < 20000);
}

static long handled;
static void call_in_handler(void)
{
    handled++;
    assert_int_equal(handler_thunk(50, "in handler"), 51);
}
static void call_much_in_handler(void)
{
    call_in_handler();
    assert_int_equal(nesting_thunk(7), 17);
    assert_string_equal(texts_thunk("abc", 1), "bc");
    count_thunk();
}
static void read_in_handler(void)
{
    gib_log_drain(a.log);
}

static void one_call(void)
{
    assert_int_equal(plain_thunk(1, "outer"), 2);
}
static void one_text(void)
{
    assert_string_equal(texts_thunk("outer", 1), "uter");
}
static void one_nest(void)
{
    assert_int_equal(nesting_thunk(1), 5);
}
static void one_count(void)
{
    count_thunk();
}

static void expect_once(const char *lines, const char *piece, size_t times, long n)
{
    if (occurrences(lines, piece) != times)
        fail_msg("interrupted at instruction %ld: %s is there %zu times, not %zu:\n%s", n, piece,
                 occurrences(lines, piece), times, lines);
}
static void check_common(const char *lines, long n)
{
    expect_once(lines, "resumed", 0, n);
    expect_once(lines, "unfinished", 0, n);
    expect_once(lines, "lost", 0, n);
}
static size_t handler_ran(void)
{
    return countdown <= 0;
}

static void check_call(long n)
{
    char *lines = agent_lines(&a);
    check_common(lines, n);
    expect_once(lines, "plain(n=1, text=\"outer\") = 2\n", 1, n);
    expect_once(lines, "handler(n=50, text=\"in handler\") = 51\n", handler_ran(), n);
    expect_once(lines, "\n", 1 + handler_ran(), n);
    free(lines);
    gib_log_clear(a.log);
}
/* Every call is in exactly one bucket. */
static void check_times(uint32_t site)
{
    struct gib_times times;
    agent_times(&a, site, &times);
    assert_true(times.calls > 10);
    assert_int_equal(times.timed, times.calls);
    assert_int_equal(times.untimed, 0);
}
static void test_handler_calls(void **state)
{
    at_every_instruction(one_call, call_in_handler, check_call);
    assert_int_equal(agent_calls(&a, 1), handled);
    check_times(0);
    check_times(1);
}
static void check_read(long n)
{
    char *lines = agent_lines(&a);
    check_common(lines, n);
    expect_once(lines, "plain(n=1, text=\"outer\") = 2\n", 1, n);
    expect_once(lines, "\n", 1, n);
    free(lines);
    gib_log_clear(a.log);
}
static void one_fast(void)
{
    assert_int_equal(numbers_thunk(1, 2, 3, 4), 10);
}
static void fast_in_handler(void)
{
    assert_int_equal(numbers_thunk(5, 6, 7, 8), 26);
}
static void check_fast(long n)
{
    char *lines = agent_lines(&a);
    check_common(lines, n);
    expect_once(lines, "numbers(a=1, b=2, c=3, d=4) = 10\n", 1, n);
    expect_once(lines, "numbers(a=5, b=6, c=7, d=8) = 26\n", handler_ran(), n);
    expect_once(lines, "\n", 1 + handler_ran(), n);
    free(lines);
    gib_log_clear(a.log);
}
static void test_fast_path(void **state)
{
    at_every_instruction(one_fast, fast_in_handler, check_fast);
    check_times(5);
}
static void check_fast_read(long n)
{
    char *lines = agent_lines(&a);
    check_common(lines, n);
    if (strcmp(lines, "numbers(a=1, b=2, c=3, d=4) = 10\n"))
        fail_msg("read at instruction %ld: %s", n, lines);
    free(lines);
    gib_log_clear(a.log);
}
static void test_fast_path_and_reader(void **state)
{
    at_every_instruction(one_fast, read_in_handler, check_fast_read);
}
static void test_reader_looks(void **state)
{
    at_every_instruction(one_call, read_in_handler, check_read);
}

static void check_text(long n)
{
    char *lines = agent_lines(&a);
    check_common(lines, n);
    expect_once(lines, "texts(text=\"outer\", n=1) = 0x", 1, n);
    expect_once(lines, "\"uter\"\n", 1, n);
    expect_once(lines, "handler(n=50, text=\"in handler\") = 51\n", handler_ran(), n);
    expect_once(lines, "texts(text=\"abc\", n=1) = 0x", handler_ran(), n);
    expect_once(lines, "nesting(n=7) = 17\n", handler_ran(), n);
    expect_once(lines, "plain(n=8, text=\"inner\") = 9\n", handler_ran(), n);
    expect_once(lines, "\n", 1 + 5 * handler_ran(), n);
    free(lines);
    gib_log_clear(a.log);
}
static void test_handler_calls_much(void **state)
{
    at_every_instruction(one_text, call_much_in_handler, check_text);
}
static void check_nest(long n)
{
    char *lines = agent_lines(&a);
    check_common(lines, n);
    expect_once(lines, "nesting(n=1) = 5\n", 1, n);
    expect_once(lines, "plain(n=1, text=\"inner\") = 2\n", 1, n);
    expect_once(lines, "plain(n=2, text=\"inner\") = 3\n", 1, n);
    expect_once(lines, "handler(n=50, text=\"in handler\") = 51\n", handler_ran(), n);
    free(lines);
    gib_log_clear(a.log);
}
static void test_handler_in_nested_calls(void **state)
{
    stride = 7; /* it is long */
    at_every_instruction(one_nest, call_in_handler, check_nest);
    stride = 1;
}
static uint64_t counted_before;
static void check_count(long n)
{
    uint64_t now = agent_calls(&a, 4);
    if (now - counted_before != 1 + handler_ran())
        fail_msg("interrupted at instruction %ld: counted %lu", n, now - counted_before);
    counted_before = now;
    gib_log_clear(a.log);
}
static void count_in_handler(void)
{
    count_thunk();
}
static void test_handler_in_count(void **state)
{
    counted_before = 1;
    at_every_instruction(one_count, count_in_handler, check_count);
}

/* The handler jumps away: what it left half done does no harm to what follows. */
static sigjmp_buf away;
static void jump_away(void)
{
    siglongjmp(away, 1);
}
static void jump_away_from(void (*body)(void))
{
    disturb = jump_away;
    body();
    long n = 0;
    do {
        countdown = ++n;
        if (!sigsetjmp(away, 1)) {
            step(true);
            body();
        }
        step(false);
        gib_log_drain(a.log);
        gib_log_clear(a.log);
        assert_int_equal(plain_thunk(1000, "after"), 1001);
        assert_int_equal(numbers_thunk(1000, 1, 2, 3), 1006);
        char *lines = agent_lines(&a);
        expect_once(lines, "plain(n=1000, text=\"after\") = 1001\n", 1, n);
        expect_once(lines, "numbers(a=1000, b=1, c=2, d=3) = 1006\n", 1, n);
        free(lines);
    } while (countdown <= 0 && n < 20000);
    assert_true(n > 20 && n < 20000);
}
static void test_handler_jumps_away(void **state)
{
    jump_away_from(one_text);
}
static void test_handler_jumps_away_with_text(void **state)
{
    jump_away_from(one_call);
}
static void test_handler_jumps_away_fast(void **state)
{
    jump_away_from(one_fast);
}

/* fork in the handler: parent and child go on, each logs with its own pid; the child's calls reach
 * the same log. */
static pid_t child;
static void fork_in_handler(void)
{
    child = fork();
}
static void fork_in(void (*body)(void), long apart)
{
    disturb = fork_in_handler;
    body();
    long n = 0;
    do {
        gib_log_drain(a.log);
        gib_log_clear(a.log);
        child = -1;
        countdown = n += apart;
        step(true);
        body();
        step(false);
        if (child == 0) {
            plain_thunk(2, "child");
            _exit(0);
        }
        if (child > 0) {
            int status;
            assert_int_equal(waitpid(child, &status, 0), child);
            if (!WIFEXITED(status) || WEXITSTATUS(status))
                fail_msg("the child forked at instruction %ld died: status 0x%x", n,
                         (unsigned)status);
        }
        plain_thunk(3, "parent");
        gib_log_ended(a.log);
        char *json = agent_jsonl(&a);
        char *mine = wanted_text("\"pid\":%d,\"tid\":%d,", getpid(), getpid()),
             *its = wanted_text("\"pid\":%d,\"tid\":%d,", child, child);
        size_t forked = child > 0;
        if (occurrences(json, "\"parent\"") != 1 || occurrences(json, "\"child\"") != forked)
            fail_msg("forked at instruction %ld:\n%s", n, json);
        for (char *line = strtok(json, "\n"); line; line = strtok(NULL, "\n")) {
            if (strstr(line, "\"child\"") && !strstr(line, its))
                fail_msg("the child logs as another: %s", line);
            if (strstr(line, "\"parent\"") && !strstr(line, mine))
                fail_msg("the parent logs as another: %s", line);
        }
        free(mine);
        free(its);
        free(json);
    } while (countdown <= 0 && n < 20000);
    assert_true(n > 20 && n < 20000);
}
static void test_fork_anywhere(void **state)
{
    fork_in(one_text, 7);
}
static void test_fork_anywhere_with_text(void **state)
{
    fork_in(one_call, 3);
}
static void test_fork_anywhere_fast(void **state)
{
    fork_in(one_fast, 1);
}

static void die_in_handler(void)
{
    kill(getpid(), SIGKILL);
}
/* The process ends in the middle: all that came before is in the log, and nothing else. */
static void die_in(void (*body)(void), const char *call, const char *result, long apart)
{
    volatile long *done =
        mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *returned = wanted_text("%s = %s", call, result),
         *unfinished = wanted_text("%s <unfinished ...>\n", call);
    long n = 0;
    disturb = die_in_handler;
    do {
        countdown = n += apart;
        *done = 0;
        pid_t pid = fork();
        if (pid == 0) {
            plain_thunk(10, "before");
            plain_thunk(11, "before");
            step(true);
            body();
            step(false);
            *done = 1;
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        gib_log_ended(a.log);
        char *lines = agent_lines(&a);
        expect_once(lines, "plain(n=10, text=\"before\") = 11\n", 1, n);
        expect_once(lines, "plain(n=11, text=\"before\") = 12\n", 1, n);
        size_t whole = occurrences(lines, returned), open = occurrences(lines, unfinished);
        if (whole + open > 1 || (*done && whole != 1) ||
            occurrences(lines, "\n") != 2 + whole + open)
            fail_msg("died at instruction %ld:\n%s", n, lines);
        free(lines);
        gib_log_clear(a.log);
    } while (!*done && n < 20000);
    assert_true(n > 20 && n < 20000);
    munmap((void *)done, sizeof(long));
    free(returned);
    free(unfinished);
}
static void test_death_anywhere(void **state)
{
    die_in(one_text, "texts(text=\"outer\", n=1)", "0x", 5);
}
static void test_death_anywhere_with_text(void **state)
{
    die_in(one_call, "plain(n=1, text=\"outer\")", "2\n", 1);
}
static void test_death_anywhere_fast(void **state)
{
    die_in(one_fast, "numbers(a=1, b=2, c=3, d=4)", "10\n", 1);
}
/* Real signals, at real speed. */
static volatile long storms;
static void on_storm(int signal)
{
    int saved = errno;
    storms++;
    handler_thunk(50, "in handler");
    errno = saved;
}
static void test_storm(void **state)
{
    signal(SIGALRM, on_storm);
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    storms = 0;
    setitimer(ITIMER_REAL, &often, NULL);
    long calls = 0;
    for (; storms < 1000 && calls < 1000000; calls++)
        if (plain_thunk((int)calls, "outer") != (int)calls + 1)
            fail();
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_DFL);
    assert_true(storms > 100);
    char *lines = agent_lines(&a);
    assert_int_equal(gib_log_lost(a.log), 0);
    check_common(lines, 0);
    assert_int_equal(occurrences(lines, "handler(n=50, text=\"in handler\") = 51\n"), storms);
    assert_int_equal(occurrences(lines, "plain(n="), calls);
    free(lines);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_handler_calls),
        TEST(test_reader_looks),
        TEST(test_fast_path),
        TEST(test_fast_path_and_reader),
        TEST(test_handler_calls_much),
        TEST(test_handler_in_nested_calls),
        TEST(test_handler_in_count),
        TEST(test_handler_jumps_away),
        TEST(test_handler_jumps_away_with_text),
        TEST(test_handler_jumps_away_fast),
        TEST(test_fork_anywhere),
        TEST(test_fork_anywhere_with_text),
        TEST(test_fork_anywhere_fast),
        TEST(test_death_anywhere),
        TEST(test_death_anywhere_with_text),
        TEST(test_death_anywhere_fast),
        TEST(test_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
