/* Which calls are recorded: -after, -every, -times, -thread, -from; and who called: -backtrace. */
#include <execinfo.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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

static void patch(struct patch_options options)
{
    thunk = agent_patch(&a, work, "int work(int n)", options);
}
static void call(int times)
{
    for (int i = 1; i <= times; i++)
        assert_int_equal(thunk(i), i);
}
/* The numbers of the calls in the log. */
static void expect(const char *numbers)
{
    char *lines = agent_lines(&a), got[1000] = "";
    int n, used = 0;
    for (char *line = lines; *line && sscanf(line, "work(n=%d)", &n) == 1;
         line = strchr(line, '\n') + 1)
        used += snprintf(got + used, sizeof got - (size_t)used, "%d ", n);
    assert_string_equal(got, numbers);
    free(lines);
}

static void test_after(void **state)
{
    patch((struct patch_options){.after = 3});
    call(6);
    expect("4 5 6 ");
    assert_int_equal(agent_calls(&a, 0), 3);
}
static void test_every(void **state)
{
    patch((struct patch_options){.every = 3});
    call(10);
    expect("3 6 9 ");
}
static void test_times(void **state)
{
    patch((struct patch_options){.times = 2});
    call(5);
    expect("1 2 ");
}
static void test_after_every_times(void **state)
{
    patch((struct patch_options){.after = 2, .every = 3, .times = 2});
    call(20);
    expect("5 8 ");
    assert_int_equal(a.shared->patch[0].seen, 20);
}
static void *other_thread(void *argument)
{
    thunk(100);
    return NULL;
}
static void test_thread(void **state)
{
    patch((struct patch_options){.thread = (int)syscall(SYS_gettid)});
    pthread_t thread;
    call(2);
    pthread_create(&thread, NULL, other_thread, NULL);
    pthread_join(thread, NULL);
    expect("1 2 ");
}
static void test_from(void **state)
{
    extern const char __executable_start[], __etext[];
    const struct gib_range elsewhere[] = {{1, 2}, {0x1000, 0x2000}};
    const struct gib_range here[] = {{1, 2}, {(uint64_t)__executable_start, (uint64_t)__etext}};
    patch((struct patch_options){.from = elsewhere, .from_count = 2});
    call(3);
    expect("");
    patch((struct patch_options){.from = here, .from_count = 2});
    call(3);
    expect("1 2 3 ");
    assert_int_equal(agent_calls(&a, 0), 0);
}
/* A call that ends a module has its return address just behind it. */
static void test_from_edge(void **state)
{
    extern const char edge_return[];
    void edge_call(void *function);
    for (int shift = -1; shift <= 1; shift++) {
        const struct gib_range one = {(uint64_t)edge_return - 100,
                                      (uint64_t)edge_return + (uint64_t)(int64_t)shift};
        patch((struct patch_options){.from = &one, .from_count = 1});
        edge_call((void *)thunk);
        assert_int_equal(agent_calls(&a, a.sites - 1), shift >= 0);
    }
}
__asm__(".text\n.globl edge_call, edge_return\nedge_call:\n sub $8, %rsp\n mov %rdi, %rax\n mov "
        "$5, %edi\n call *%rax\nedge_return:\n add $8, %rsp\n ret\n");

/* ---- backtraces, against glibc's
 * ----------------------------------------------------------------------------- */

static void *frames[100];
static int frame_count;
static jmp_buf away;
NOT_INLINED static int traced(int n)
{
    frame_count = backtrace(frames, 100);
    if (n == 7)
        longjmp(away, 1);
    return n;
}
static __typeof__(&traced) traced_thunk;
static volatile int after_call; /* no tail calls */
NOT_INLINED static int recurse(int n)
{
    volatile char room[64 + n * 16];
    room[n] = 1;
    int result = n ? recurse(n - 1) : traced_thunk(5);
    after_call++;
    return result + room[n] - 1;
}
NOT_INLINED static void realigned(int n)
{
    volatile _Alignas(64) char room[128];
    room[0] = 1;
    recurse(n);
    after_call += room[0];
}
static int compare_pointers(const void *x, const void *y)
{
    recurse(3);
    return *(const char *)x - *(const char *)y;
}
NOT_INLINED static int jumps(int n)
{
    longjmp(away, n);
}
/* A function that ends with a call that does not return: the return address is another function's.
 */
void ends_with_call(void *function);
__asm__(".text\nends_with_call:\n.cfi_startproc\n push %rbx\n.cfi_adjust_cfa_offset 8\n mov %rdi, "
        "%rax\n mov $7, %edi\n"
        " call *%rax\n.cfi_endproc\nfollows_it:\n.cfi_startproc\n nop\n ret\n.cfi_endproc\n");
static void on_signal(int signal)
{
    recurse(1);
}

/* The agent's frames of the last record, and glibc's without the function itself and the thunk's.
 */
static unsigned last_signals; /* kernel's frames in it */
static void compare_frames(const char *what)
{
    bool expected_exact = false;
    struct gib_thread *t = agent_block(&a, 0);
    const struct gib_record *record = NULL;
    for (uint64_t at = 0; at < t->head; at += (uint64_t)record->lines * GIB_LINE)
        record = (const struct gib_record *)((char *)t + a.shared->ring_offset +
                                             (at & (a.shared->ring_size - 1)));
    if (t->open) /* the call never returned */
        record = (const struct gib_record *)((char *)t + a.shared->ring_offset +
                                             ((t->open - 1) & (a.shared->ring_size - 1)));
    assert_non_null(record);
    const struct gib_chunk *chunk = (const struct gib_chunk *)(record->word + 3);
    assert_int_equal(chunk->type, GIB_CHUNK_BACKTRACE);
    uint64_t mine[GIB_MAX_FRAMES];
    size_t count = chunk->size / 8;
    last_signals = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(&mine[i], (const uint64_t *)(chunk + 1) + i, 8);
        bool kernel = mine[i] & GIB_FRAME_SIGNAL, exact = mine[i] & GIB_FRAME_EXACT;
        if (exact && !expected_exact)
            fail_msg("%s: frame %zu is no return address", what, i);
        expected_exact = kernel; /* what it has interrupted */
        last_signals += kernel;
        mine[i] &= ~(GIB_FRAME_SIGNAL | GIB_FRAME_EXACT);
    }
    int first = 0;
    while (first < frame_count && (uint64_t)frames[first] != mine[0])
        first++;
    if (first == frame_count)
        fail_msg("%s: the caller 0x%lx is not in glibc's backtrace of %d frames", what, mine[0],
                 frame_count);
    for (size_t i = 0; i < count && first + (int)i < frame_count; i++)
        if (mine[i] != (uint64_t)frames[first + (int)i])
            fail_msg("%s: frame %zu of %zu is 0x%lx and not %p", what, i, count, mine[i],
                     frames[first + (int)i]);
    if (count != (size_t)(frame_count - first))
        fail_msg("%s: %zu frames and not %d, the last is 0x%lx", what, count, frame_count - first,
                 mine[count - 1]);
}
static void test_backtraces(void **state)
{
    agent_close(&a);
    agent_open(&a, (struct agent_options){.no_reader = true});
    agent_add_unwind_rows(&a);
    patch((struct patch_options){.backtrace = 64});
    /* glibc's view first, from the same place: it could not get past a thunk, which has no CFI
     * here. */
    for (volatile int depth = 0; depth < 30; depth += 7) {
        for (volatile int pass = 0; pass < 2; pass++) {
            traced_thunk = pass ? thunk : traced;
            recurse(depth);
        }
        compare_frames("recursion");
        for (volatile int pass = 0; pass < 2; pass++) {
            traced_thunk = pass ? thunk : traced;
            realigned(depth);
        }
        compare_frames("realigned stack");
    }
    for (volatile int pass = 0; pass < 2; pass++) {
        char letters[] = "ba";
        traced_thunk = pass ? thunk : traced;
        qsort(letters, 2, 1, compare_pointers);
    }
    compare_frames("through qsort");
    void *jumps_thunk =
        agent_patch(&a, jumps, "int jumps(int n)", (struct patch_options){.backtrace = 64});
    for (volatile int pass = 0; pass < 2; pass++)
        if (!setjmp(away))
            ends_with_call(pass ? jumps_thunk : (void *)traced);
    compare_frames("function that ends with a call");
    signal(SIGUSR1, on_signal);
    for (volatile int pass = 0; pass < 2; pass++) {
        traced_thunk = pass ? thunk : traced;
        raise(SIGUSR1);
    }
    compare_frames("in a signal handler");
    assert_int_equal(last_signals, 1);
}

/* ---- stacks that make no sense
 * --------------------------------------------------------------------------------------------- */

/* Calls `function` on another stack, with another frame pointer. The table says the stack goes on
 * above, the second one that frames are found by rbp. */
void calls_on(void *function, void *stack, uint64_t rbp);
void calls_by_rbp(void *function, void *stack, uint64_t rbp);
#define CALLS_ON(name, rule)                                                                       \
    __asm__(".text\n" name ":\n.cfi_startproc\n push %rbp\n push %r12\n mov %rsp, %r12\n"          \
            "mov %rdi, %rax\n mov %rsi, %rsp\n mov %rdx, %rbp\n mov $5, %edi\n" rule               \
            " call *%rax\n mov %r12, %rsp\n pop %r12\n pop %rbp\n ret\n.cfi_endproc\n")
CALLS_ON("calls_on", ".cfi_def_cfa rsp, 32\n");
CALLS_ON("calls_by_rbp", ".cfi_def_cfa rbp, 16\n.cfi_offset rbp, -16\n");

static uint64_t signal_return(void)
{
    struct {
        uint64_t handler, flags, restorer, mask;
    } action;
    assert_int_equal(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &action, 8), 0);
    return action.restorer;
}

static void test_corrupt_stacks(void **state)
{
    enum { PAGE = 4096, PAGES = 4, SIZE = PAGE * PAGES };
    agent_add_unwind_rows(&a);
    patch((struct patch_options){.backtrace = 64});
    signal(SIGUSR1, on_signal);
    char *stack =
        mmap(NULL, SIZE + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(stack != MAP_FAILED && !mprotect(stack + SIZE, PAGE, PROT_NONE));
    const uint64_t end = (uint64_t)stack + SIZE;
    const uint64_t evil[] = {0,
                             1,
                             8,
                             UINT64_MAX,
                             UINT64_MAX - 7,
                             1ull << 63,
                             0x00007ffffffffff8,
                             0x0000800000000000,
                             0xffff800000000000,
                             end,
                             end - 8,
                             end - 16,
                             end + PAGE,
                             (uint64_t)stack,
                             (uint64_t)stack - 8,
                             signal_return(),
                             signal_return() + 1,
                             (uint64_t)&qsort + 40,
                             (uint64_t)compare_pointers + 9,
                             (uint64_t)calls_on + 30,
                             (uint64_t)calls_by_rbp + 30,
                             (uint64_t)thunk,
                             (uint64_t)thunk + 20,
                             1ull << 62};
    enum { EVIL = sizeof evil / sizeof *evil };
    srandom(3);
    for (int round = 0; round < 4000; round++) {
        uint64_t *word = (uint64_t *)stack;
        /* The function and the agent write below `at`; what lies above is what the tables lead to.
         */
        size_t at = SIZE / 8 - 2 * (1 + (size_t)random() % 40);
        for (size_t i = at - 8; i < SIZE / 8; i++) {
            long kind = random() % 3;
            word[i] = kind ? evil[(size_t)random() % EVIL]
                           : (uint64_t)(word + i + random() % 24 - 4) + (random() % 8 ? 0 : 3);
        }
        uint64_t bp =
            random() % 2 ? evil[(size_t)random() % EVIL] : (uint64_t)(word + at + random() % 16);
        (random() % 2 ? calls_on : calls_by_rbp)((void *)thunk, word + at, bp);
    }
    char *lines = agent_lines(&a);
    assert_true(occurrences(lines, "    #0 ") > 0);
    free(lines);
    munmap(stack, SIZE + PAGE);
}

static void test_depth(void **state)
{
    agent_add_unwind_rows(&a);
    for (unsigned depth = 1; depth <= 64; depth += 9) {
        patch((struct patch_options){.backtrace = depth});
        traced_thunk = thunk;
        recurse(100);
        char *lines = agent_lines(&a);
        assert_int_equal(occurrences(lines, "\n    #"), depth);
        assert_int_equal(occurrences(lines, "(more frames follow)"), 1);
        assert_non_null(strstr(lines, "    #0 recurse+0x"));
        free(lines);
        gib_log_clear(a.log);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, agent_setup, agent_teardown, &a)
    const struct CMUnitTest tests[] = {
        TEST(test_after),     TEST(test_every),
        TEST(test_times),     TEST(test_after_every_times),
        TEST(test_thread),    TEST(test_from),
        TEST(test_from_edge), TEST(test_backtraces),
        TEST(test_depth),     TEST(test_corrupt_stacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
