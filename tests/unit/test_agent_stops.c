/* `gibbon stop` in the target: where a thread comes when a debugger is there, and that it passes
 * when none is. The debugger is this program's parent process. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent_fixture.h"

static struct agent a;
NOT_INLINED static long work(long n, double x)
{
    __asm__ volatile("" : "+r"(n));
    return n * 3 + (long)x;
}
static __typeof__(&work) thunk;

static uint64_t pad(bool returns)
{
    const struct gib_agent_image *image = (const struct gib_agent_image *)a.arena;
    return a.entry + (returns ? image->stop_return_pad : image->stop_pad);
}

static void patch(struct patch_options options)
{
    options.stop = true;
    thunk = agent_patch(&a, work, "long work(long n, double x)", options);
}

static void test_passes_without_a_debugger(void **state)
{
    patch((struct patch_options){0});
    for (long i = 0; i < 5; i++)
        assert_int_equal(thunk(i, 2.0), i * 3 + 2);
    assert_int_equal(agent_calls(&a, 0), 5);
}

/* The child: four calls, and what they gave in its status. */
static void child(void)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    long wrong = 0;
    for (long i = 1; i <= 4; i++)
        wrong += thunk(i, 0.5 + (double)i) != i * 3 + i;
    _exit(wrong == 0 ? 7 : 8);
}

static uint64_t word_at(pid_t pid, uint64_t address)
{
    errno = 0;
    uint64_t word = (uint64_t)ptrace(PTRACE_PEEKDATA, pid, (void *)address, NULL);
    assert_int_equal(errno, 0);
    return word;
}

/* Starts the child with a trap on the pad. */
static pid_t start(uint64_t trap)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        child();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    uint64_t word = word_at(pid, trap);
    assert_int_equal(word & 0xff, 0x90); /* nop */
    assert_int_equal(ptrace(PTRACE_POKETEXT, pid, (void *)trap, (void *)((word & ~0xffull) | 0xcc)),
                     0);
    return pid;
}

/* Runs to the next trap; false: the child has ended, and must have seen the right results. */
static bool next(pid_t pid, uint64_t trap, struct user_regs_struct *registers)
{
    int status;
    assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 7);
        return false;
    }
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, registers), 0);
    assert_int_equal(registers->rip, trap + 1);
    return true;
}

static double first_vector_argument(pid_t pid)
{
    struct user_fpregs_struct registers;
    double value;
    assert_int_equal(ptrace(PTRACE_GETFPREGS, pid, NULL, &registers), 0);
    memcpy(&value, registers.xmm_space, sizeof value);
    return value;
}

/* At the pad all is as at the function's entry, and it goes on through the thunk. */
static void test_each_call_stops_once(void **state)
{
    struct user_regs_struct r;
    patch((struct patch_options){.every = 2});
    pid_t pid = start(pad(false));
    for (uint64_t i = 2; i <= 4; i += 2) {
        assert_true(next(pid, pad(false), &r));
        assert_int_equal(r.rdi, i);
        assert_true(first_vector_argument(pid) == 0.5 + (double)i);
        assert_int_equal(word_at(pid, r.rsp - GIB_STOP_WORD), gib_stop_word(0, 1));
        assert_int_equal(word_at(pid, r.rsp - GIB_STOP_THUNK), (uint64_t)thunk);
        assert_int_equal(
            word_at(pid, r.rsp - 128),
            gib_stop_pass(r.rsp - offsetof(struct gib_frame, caller), (uint64_t)agent_site(&a, 0)));
        r.rip = (uint64_t)thunk; /* where the pad leads */
        assert_int_equal(ptrace(PTRACE_SETREGS, pid, NULL, &r), 0);
    }
    assert_false(next(pid, pad(false), &r));
    assert_int_equal(agent_calls(&a, 0), 2); /* not counted again when they went on */
}

/* The user calls the function while a thread is stopped at it: that call stops, too, and uses up
 * nothing. */
static void test_another_call_below(void **state)
{
    struct user_regs_struct r, inner, outer;
    patch((struct patch_options){.times = 2});
    pid_t pid = start(pad(false));
    assert_true(next(pid, pad(false), &outer));
    r = outer;
    r.rsp = ((outer.rsp - 256) & ~15ull) - 8;
    r.rip = (uint64_t)thunk;
    r.rdi = 100;
    uint64_t back = pad(true); /* any place with a trap */
    uint64_t word = word_at(pid, back);
    ptrace(PTRACE_POKETEXT, pid, (void *)back, (void *)((word & ~0xffull) | 0xcc));
    ptrace(PTRACE_POKEDATA, pid, (void *)r.rsp, (void *)back);
    assert_int_equal(ptrace(PTRACE_SETREGS, pid, NULL, &r), 0);
    assert_true(next(pid, pad(false), &inner));
    assert_int_equal(inner.rdi, 100);
    assert_int_equal(inner.rsp, r.rsp);
    inner.rip = (uint64_t)thunk;
    assert_int_equal(ptrace(PTRACE_SETREGS, pid, NULL, &inner), 0);
    assert_true(next(pid, back, &r));
    assert_int_equal(r.rax, 301);
    outer.rip = (uint64_t)thunk;
    assert_int_equal(ptrace(PTRACE_SETREGS, pid, NULL, &outer), 0);
    assert_false(next(pid, pad(false), &r));
}

static uint32_t is_even(struct gib_condition_call *call)
{
    return call->rax % 2 ? GIB_VERDICT_FALSE : GIB_VERDICT_TRUE;
}

static void test_returns(void **state)
{
    struct user_regs_struct r;
    patch((struct patch_options){.condition = is_even, .condition_flags = GIB_ACTION_ON_RETURN});
    pid_t pid = start(pad(true));
    for (uint64_t i = 1; i <= 4; i++) { /* 4 8 12 16 */
        assert_true(next(pid, pad(true), &r));
        assert_int_equal(r.rax, i * 4);
        assert_int_equal(word_at(pid, r.rsp - GIB_STOP_WORD), gib_stop_word(0, 1));
        /* Behind the breakpoint's nop there is one to wait at; then it returns to the caller. */
        assert_int_equal(word_at(pid, pad(true) + 1) & 0xffff, 0xc390);
    }
    assert_false(next(pid, pad(true), &r));
    for (long i = 1; i < 5; i++)
        assert_int_equal(thunk(i, 0.0), i * 3); /* nobody is there */
    assert_int_equal(agent_calls(&a, 0), 6);
}

/* Whether somebody traces it is read from a file. */
static void test_a_process_without_descriptors(void **state)
{
    patch((struct patch_options){0});
    int last = dup(0), fds[2000], count = 0;
    close(last);
    while (count < 2000 && (fds[count] = dup(0)) >= 0)
        count++;
    for (long i = 0; i < 3; i++)
        assert_int_equal(thunk(i, 1.0), i * 3 + 1);
    while (count)
        close(fds[--count]);
    assert_int_equal(dup(0), last); /* none is left open */
    close(last);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, agent_setup, agent_teardown, &a)
    const struct CMUnitTest tests[] = {
        TEST(test_passes_without_a_debugger),
        TEST(test_each_call_stops_once),
        TEST(test_another_call_below),
        TEST(test_returns),
        TEST(test_a_process_without_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
