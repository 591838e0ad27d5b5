/* Which calls a condition lets through, at the entry and on return; the code is C here. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent_fixture.h"

static struct agent a;
static struct gib_condition_call seen; /* by the last condition */

NOT_INLINED static int work(int n, double x)
{
    __asm__ volatile("" : "+r"(n));
    errno = n;
    return n * 2;
}
static __typeof__(&work) thunk;
static int (*inner)(int);
NOT_INLINED static int plain(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n + 1;
}
NOT_INLINED static int outer(int n)
{
    int result = inner(n);
    __asm__ volatile("" : "+r"(result));
    return result;
}

static void patch(uint32_t (*condition)(struct gib_condition_call *), uint32_t flags,
                  struct patch_options options)
{
    options.condition = condition;
    options.condition_flags = flags;
    thunk = agent_patch(&a, work, "int work(int n, double x)", options);
}
static void call(int times)
{
    for (int i = 1; i <= times; i++)
        assert_int_equal(thunk(i, i + 0.5), 2 * i);
}
/* The first arguments of the calls in the log. */
static void expect(const char *numbers)
{
    char *lines = agent_lines(&a), got[1000] = "";
    int used = 0;
    for (char *line = lines; line && *line; line = strchr(line, '\n') + 1)
        used += snprintf(got + used, sizeof got - (size_t)used, "%d ", atoi(strchr(line, '=') + 1));
    assert_string_equal(got, numbers);
    free(lines);
}

static uint32_t is_even(struct gib_condition_call *c)
{
    seen = *c;
    return (int)c->gpr[0] % 2 == 0;
}
static uint32_t fails(struct gib_condition_call *c)
{
    char byte;
    return c->read(c->context, 8, &byte, 1) ? GIB_VERDICT_TRUE : GIB_VERDICT_FAILED;
}
static uint32_t returns_six(struct gib_condition_call *c)
{
    seen = *c;
    return (int)c->rax == 6;
}
static uint32_t sets_three(struct gib_condition_call *c)
{
    return c->error == 3;
}
static uint32_t is_fifth(struct gib_condition_call *c)
{
    return c->calls == 5;
}

static void test_entry(void **state)
{
    patch(is_even, 0, (struct patch_options){0});
    call(5);
    expect("2 4 ");
    assert_int_equal(agent_calls(&a, 0), 2);
    double x;
    memcpy(&x, &seen.xmm[0], sizeof x);
    assert_true(x == 5.5);
    assert_int_equal(seen.tid, syscall(SYS_gettid));
}
/* -after and -every count what the condition lets through. */
static void test_before_limits(void **state)
{
    patch(is_even, 0, (struct patch_options){.after = 1, .times = 2});
    call(12);
    expect("4 6 ");
}
static void test_failure_is_false_and_counted(void **state)
{
    patch(fails, 0, (struct patch_options){0});
    call(3);
    expect("");
    assert_int_equal(a.shared->patch[0].undecided, 3);
}
static void test_numbered(void **state)
{
    patch(is_fifth, GIB_ACTION_NUMBERED, (struct patch_options){0});
    call(9);
    expect("5 ");
}
static void test_return(void **state)
{
    patch(returns_six, GIB_ACTION_ON_RETURN, (struct patch_options){0});
    call(5);
    expect("3 ");
    assert_int_equal(agent_calls(&a, 0), 1);
    assert_int_equal((int)seen.gpr[0], 5); /* as at the entry */
    double x;
    memcpy(&x, &seen.xmm[0], sizeof x);
    assert_true(x == 5.5);
}
static void test_return_with_limits(void **state)
{
    patch(returns_six, GIB_ACTION_ON_RETURN, (struct patch_options){.after = 1});
    call(5);
    call(5);
    call(5);
    expect("3 3 ");
}
static void test_errno(void **state)
{
    patch(sets_three, GIB_ACTION_ON_RETURN | GIB_ACTION_ERRNO, (struct patch_options){0});
    a.shared->errno_location = (uint64_t)__errno_location;
    call(5);
    expect("3 ");
    a.shared->errno_location = 0;
    call(5);
    assert_int_equal(a.shared->patch[0].undecided, 5);
}
static void test_counted_on_return(void **state)
{
    patch(returns_six, GIB_ACTION_ON_RETURN, (struct patch_options){.count = true});
    call(5);
    expect("");
    assert_int_equal(agent_calls(&a, 0), 1);
    assert_int_equal(agent_records(&a, 0), 0);
}
/* Others follow the record of a call that nobody wants in the end. */
static void test_nested(void **state)
{
    struct patch_options options = {.condition = returns_six,
                                    .condition_flags = GIB_ACTION_ON_RETURN};
    int (*around)(int) = agent_patch(&a, outer, "int outer(int n)", options);
    inner = agent_patch(&a, plain, "int plain(int n)", (struct patch_options){0});
    for (int i = 3; i < 8; i++)
        assert_int_equal(around(i), i + 1);
    char *lines = agent_lines(&a);
    assert_non_null(strstr(lines, "outer(n=5) = 6"));
    assert_null(strstr(lines, "outer(n=4)"));
    assert_null(strstr(lines, "outer(n=7)"));
    assert_non_null(strstr(lines, "plain(n=7) = 8"));
    free(lines);
    assert_int_equal(agent_calls(&a, 0), 1);
    assert_int_equal(gib_log_lost(a.log), 0);
}

static jmp_buf away;
static int leave_by_longjmp(int n)
{
    if (n == 4)
        longjmp(away, 1);
    return n;
}
/* A call that never returns is not decided, so it is not shown. */
static void test_never_returns(void **state)
{
    struct patch_options options = {.condition = returns_six,
                                    .condition_flags = GIB_ACTION_ON_RETURN};
    int (*around)(int) = agent_patch(&a, outer, "int outer(int n)", options);
    inner = leave_by_longjmp;
    if (!setjmp(away))
        around(4);
    assert_int_equal(around(6), 6);
    gib_log_detach(a.log);
    char *lines = agent_lines(&a);
    assert_non_null(strstr(lines, "outer(n=6) = 6"));
    assert_null(strstr(lines, "n=4"));
    free(lines);
}
/* The child returns from a call that began in its parent. */
static int forks(int n)
{
    pid_t child = fork();
    if (!child)
        return n;
    int status;
    waitpid(child, &status, 0);
    return n + 1;
}
static void test_fork(void **state)
{
    struct patch_options options = {.condition = returns_six,
                                    .condition_flags = GIB_ACTION_ON_RETURN};
    int (*around)(int) = agent_patch(&a, outer, "int outer(int n)", options);
    inner = forks;
    pid_t parent = getpid();
    for (int n = 5; n < 7; n++) {
        int result = around(n);
        if (getpid() != parent)
            _exit(result != n);
        assert_int_equal(result, n + 1);
    }
    char *lines = agent_lines(&a);
    assert_non_null(strstr(lines, "outer(n=5) = 6"));
    assert_null(strstr(lines, "= 7"));
    free(lines);
    assert_int_equal(agent_calls(&a, 0), 2); /* 5 in the parent, 6 in the child */
}

static volatile bool stop;
static void *storm(void *argument)
{
    for (int i = 0; !stop; i++)
        thunk(i & 7, 0);
    return NULL;
}
static void ignore(int number)
{
    (void)number;
    thunk(3, 0);
}
/* Signal handlers that make the same call while a record is begun, dropped, or published. */
static void test_signals(void **state)
{
    patch(returns_six, GIB_ACTION_ON_RETURN, (struct patch_options){.count = true});
    struct sigaction action = {.sa_handler = ignore}, before;
    sigaction(SIGUSR1, &action, &before);
    pthread_t thread;
    stop = false;
    pthread_create(&thread, NULL, storm, NULL);
    for (int i = 0; i < 2000; i++)
        pthread_kill(thread, SIGUSR1);
    stop = true;
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &before, NULL);
    assert_true(agent_calls(&a, 0) > 0);
    assert_int_equal(a.shared->patch[0].undecided, 0);
}

static int setup(void **state)
{
    memset(&a, 0, sizeof a);
    agent_open(&a, (struct agent_options){0});
    return 0;
}
static int teardown(void **state)
{
    agent_close(&a);
    return 0;
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_entry),
        TEST(test_before_limits),
        TEST(test_failure_is_false_and_counted),
        TEST(test_numbered),
        TEST(test_return),
        TEST(test_return_with_limits),
        TEST(test_errno),
        TEST(test_counted_on_return),
        TEST(test_nested),
        TEST(test_never_returns),
        TEST(test_fork),
        TEST(test_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
