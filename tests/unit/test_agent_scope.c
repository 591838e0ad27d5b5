/* Who is seen: -from with tail calls, -during. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent_fixture.h"

static struct agent a;
NOT_INLINED static int work(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}
static __typeof__(&work) thunk;

/* ---- -from ---- */

/*
 *  module_start .. module_end    relay: a tail call of *module_slot
 *  elsewhere                     calls of relay by each form, and of what is no relay
 */
extern const char module_start[], module_end[];
extern void *module_slot, *relay_slot, *stub_slot;
int call_direct(int n), call_slot(int n), call_stub(int n), call_register(int n, void *function),
    call_other(int n);
__asm__(".data\n.globl module_slot, relay_slot, stub_slot\n.balign 8\n"
        "module_slot: .quad 0\nrelay_slot: .quad 0\nstub_slot: .quad 0\n"
        ".text\n.globl module_start, module_end, call_direct, call_slot, call_stub, call_register, "
        "call_other\n"
        "module_start:\nrelay: nop\n jmp *module_slot(%rip)\n .skip 16\nmodule_end:\n"
        "other: nop\n jmp *module_slot(%rip)\n .skip 16\n"
        "stub: .byte 0xf3, 0x0f, 0x1e, 0xfa\n jmp *stub_slot(%rip)\n .skip 16\n"
        "call_direct: sub $8, %rsp\n call relay\n add $8, %rsp\n ret\n"
        "call_slot: sub $8, %rsp\n call *relay_slot(%rip)\n add $8, %rsp\n ret\n"
        "call_stub: sub $8, %rsp\n call stub\n add $8, %rsp\n ret\n"
        "call_other: sub $8, %rsp\n call other\n add $8, %rsp\n ret\n"
        "call_register: sub $8, %rsp\n call *%rsi\n add $8, %rsp\n ret\n");

static void patch_from(void)
{
    const struct gib_range module = {(uint64_t)module_start, (uint64_t)module_end};
    thunk = agent_patch(&a, work, "int work(int n)",
                        (struct patch_options){.from = &module, .from_count = 1});
    module_slot = (void *)thunk;
    relay_slot = stub_slot = (void *)(uint64_t)module_start;
}
static void test_tail_calls(void **state)
{
    patch_from();
    for (int i = 0; i < 3; i++) { /* known, and remembered */
        assert_int_equal(call_direct(1), 1);
        assert_int_equal(call_slot(2), 2);
        assert_int_equal(call_stub(3), 3);
    }
    assert_int_equal(agent_calls(&a, 0), 9);
    assert_int_equal(a.shared->patch[0].unknown, 0);
}
static void test_calls_that_tell_nothing(void **state)
{
    patch_from();
    call_register(1, (void *)(uint64_t)module_start);
    call_register(2, (void *)thunk);
    call_other(3);
    assert_int_equal(agent_calls(&a, 0), 0);
    assert_int_equal(a.shared->patch[0].unknown, 3);
}
/* The patched function itself is called there. The thunk stands for its detour. */
static void test_calls_of_the_function(void **state)
{
    patch_from();
    agent_site(&a, 0)->entry = (uint64_t)module_end; /* `other` */
    call_other(1);
    assert_int_equal(agent_calls(&a, 0), 0);
    assert_int_equal(a.shared->patch[0].unknown, 0);
}
/* What was remembered is of the modules that were there then. */
static void test_new_modules(void **state)
{
    patch_from();
    call_slot(1);
    relay_slot = (void *)(uint64_t)module_end;
    call_slot(2);
    assert_int_equal(agent_calls(&a, 0), 2);
    a.shared->epoch++;
    call_slot(3);
    assert_int_equal(agent_calls(&a, 0), 2);
}
/* The return address of a layer is in the thunk above it. */
static void test_below_another_thunk(void **state)
{
    patch_from();
    module_slot = agent_patch(&a, thunk, "int work(int n)", (struct patch_options){0});
    call_direct(1);
    assert_int_equal(agent_calls(&a, 0), 1);
}

/* ---- -during ---- */

enum { MARK = 7 };
static void (*inside)(void);
NOT_INLINED static int handle(int n)
{
    __asm__ volatile("" : "+r"(n));
    if (n > 0)
        inside();
    return n;
}
static __typeof__(&handle) marked;
static jmp_buf back;

static void patch_during(void)
{
    marked = agent_patch(&a, handle, "int handle(int n)", (struct patch_options){.mark = MARK});
    thunk = agent_patch(&a, work, "int work(int n)", (struct patch_options){.during = MARK});
}
static void expect_calls(uint64_t calls)
{
    assert_int_equal(agent_calls(&a, 1), calls);
}
static void call_work(void)
{
    thunk(1);
}
static void test_inside(void **state)
{
    patch_during();
    inside = call_work;
    thunk(1);
    expect_calls(0);
    assert_int_equal(marked(5), 5);
    expect_calls(1);
    thunk(1);
    expect_calls(1);
}
static void recurse(void)
{
    static int depth;
    thunk(1);
    if (depth++ < 5)
        marked(2);
    thunk(1);
}
static void test_recursion(void **state)
{
    patch_during();
    inside = recurse;
    marked(1);
    expect_calls(12);
    thunk(1);
    expect_calls(12);
}
static void leave(void)
{
    longjmp(back, 1);
}
NOT_INLINED static void deeper(void)
{
    char room[2048];
    __asm__ volatile("" : : "r"(memset(room, 1, sizeof room)) : "memory");
    thunk(1);
}
static void test_longjmp(void **state)
{
    patch_during();
    inside = leave;
    if (!setjmp(back))
        marked(1);
    thunk(1);
    expect_calls(0);
    deeper();
    expect_calls(0);
    inside = call_work;
    marked(1);
    expect_calls(1);
}
static void *in_thread(void *argument)
{
    thunk(1);
    return NULL;
}
static void start_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
}
static void test_threads(void **state)
{
    patch_during();
    inside = start_thread;
    marked(1);
    expect_calls(0);
}
static void on_signal(int number)
{
    thunk(1);
}
static void raise_it(void)
{
    raise(SIGUSR1);
}
static void test_signal_stack(void **state)
{
    static char stack[1 << 16];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack},
                  none = {.ss_flags = SS_DISABLE};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    sigaltstack(&alternate, NULL);
    sigaction(SIGUSR1, &action, NULL);
    patch_during();
    inside = raise_it;
    marked(1);
    expect_calls(1);
    raise(SIGUSR1);
    expect_calls(1);
    sigaltstack(&none, NULL);
}
static void fork_now(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        thunk(1);
        _exit(0);
    }
    waitpid(child, &status, 0);
}
static void test_fork(void **state)
{
    patch_during();
    inside = fork_now;
    marked(1);
    expect_calls(1);
    fork_now();
    expect_calls(1);
}

/* A coroutine is inside, and waits; another stack is not, and neither is it after its end. */
static ucontext_t main_context, coroutine;
static void wait_once(void)
{
    thunk(1);
    swapcontext(&coroutine, &main_context);
    thunk(1);
}
static void run_coroutine(void)
{
    marked(1);
    thunk(1);
}
static void test_coroutine(void **state)
{
    static char stack[1 << 16];
    patch_during();
    inside = wait_once;
    getcontext(&coroutine);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = sizeof stack;
    coroutine.uc_link = &main_context;
    makecontext(&coroutine, run_coroutine, 0);
    swapcontext(&main_context, &coroutine);
    expect_calls(1);
    thunk(1);
    expect_calls(1);
    inside = call_work;
    marked(1);
    expect_calls(2);
    swapcontext(&main_context, &coroutine);
    expect_calls(3);
}
/* A mark that came into the place of another is another. */
static void other_mark(void)
{
    agent_site(&a, 1)->action[0].serial += GIB_MAX_MARKS;
    thunk(1);
}
static void test_another_mark(void **state)
{
    patch_during();
    inside = other_mark;
    marked(1);
    expect_calls(0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, agent_setup, agent_teardown, &a)
    const struct CMUnitTest tests[] = {
        TEST(test_tail_calls),
        TEST(test_calls_that_tell_nothing),
        TEST(test_calls_of_the_function),
        TEST(test_new_modules),
        TEST(test_below_another_thunk),
        TEST(test_inside),
        TEST(test_recursion),
        TEST(test_longjmp),
        TEST(test_threads),
        TEST(test_signal_stack),
        TEST(test_fork),
        TEST(test_coroutine),
        TEST(test_another_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
