/* What a call through the agent does to the program (nothing), and what the log says of it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent_fixture.h"

#define FUNCTION NOT_INLINED static

static struct agent a;

/* ---- arguments where the compiler puts them; prototypes from this program's debug information
 * ---------- */

enum colour { RED, GREEN = 5, BLUE };
FUNCTION long scalars(int i, unsigned u, long l, char c, _Bool b, enum colour e)
{
    return i + u + l + c + b + e;
}
FUNCTION double floats(float f, double d, int i, double e)
{
    return f + d + i + e;
}
FUNCTION long ten(long p1, long p2, long p3, long p4, long p5, long p6, long p7, long p8, long p9,
                  long p10)
{
    return p1 + 2 * p2 + 3 * p3 + 4 * p4 + 5 * p5 + 6 * p6 + 7 * p7 + 8 * p8 + 9 * p9 + 10 * p10;
}
FUNCTION double ten_doubles(double p1, double p2, double p3, double p4, double p5, double p6,
                            double p7, double p8, double p9, double p10)
{
    return p1 + p2 * p3 - p4 + p5 - p6 + p7 - p8 + p9 * 1000 + p10 * 10000;
}
FUNCTION __int128 wide(__int128 x, int i, __int128 y, int j, __int128 z)
{
    return x + y * i + z * j;
}
FUNCTION long double extended(long double x, int i, long double y)
{
    return x * i + y;
}
struct pair {
    long first, second;
};
struct mixed {
    double d;
    long l;
};
struct large {
    long v[7];
};
FUNCTION struct pair pairs(struct pair p, struct mixed m)
{
    return (struct pair){p.first + m.l, p.second + (long)m.d};
}
FUNCTION struct mixed make_mixed(int i, double d)
{
    return (struct mixed){d * i, i};
}
FUNCTION struct large make_large(struct large in, int add)
{
    for (int i = 0; i < 7; i++)
        in.v[i] += add;
    return in;
}
FUNCTION void nothing(void)
{
    __asm__ volatile("");
}
FUNCTION void *pointers(void *p, int *q, void (*f)(void))
{
    return p;
}

static void test_scalars(void **state)
{
    __typeof__(&scalars) f = agent_patch_debug(&a, scalars);
    assert_int_equal(f(-1, 4000000000u, -5000000000, 'x', 1, BLUE),
                     scalars(-1, 4000000000u, -5000000000, 'x', 1, BLUE));
    f(-2147483648, 0, 0, '\n', 0, RED);
    agent_expect(&a,
                 "scalars(i=-1, u=4000000000, l=-5000000000, c='x', b=true, e=BLUE) = -999999874\n"
                 "scalars(i=-2147483648, u=0, l=0, c='\\n', b=false, e=RED) = 2147483658\n");
}

static void test_floats(void **state)
{
    __typeof__(&floats) f = agent_patch_debug(&a, floats);
    assert_true(f(0.5f, 0.1, 3, -1e300) == floats(0.5f, 0.1, 3, -1e300));
    agent_expect(&a, "floats(f=0.5, d=0.1, i=3, e=-1e+300) = -1e+300\n");
    __typeof__(&ten_doubles) g = agent_patch_debug(&a, ten_doubles);
    assert_true(g(1, 2, 3, 4, 5, 6, 7, 8, 9, 10) == 109001);
    agent_expect(
        &a, "ten_doubles(p1=1, p2=2, p3=3, p4=4, p5=5, p6=6, p7=7, p8=8, p9=9, p10=10) = 109001\n");
}

static void test_stack_arguments(void **state)
{
    __typeof__(&ten) f = agent_patch_debug(&a, ten);
    assert_int_equal(f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 385);
    agent_expect(&a, "ten(p1=1, p2=2, p3=3, p4=4, p5=5, p6=6, p7=7, p8=8, p9=9, p10=10) = 385\n");
    /* Nothing known: enough of the stack is repeated all the same. */
    f = agent_patch(&a, ten, NULL, (struct patch_options){0});
    assert_int_equal(f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 385);
    agent_expect(&a, "unknown(0x1, 0x2, 0x3, 0x4) = 0x181\n");
}

static void test_wide_values(void **state)
{
    __typeof__(&wide) f = agent_patch_debug(&a, wide);
    const __int128 big = ((__int128)0x1122334455667788 << 64) | 0x99aabbccddeeff00;
    assert_true(f(big, 2, 3, 4, 5) == wide(big, 2, 3, 4, 5));
    assert_true(f(1, 2, -1, 3, big) == wide(1, 2, -1, 3, big)); /* z is on the stack, aligned */
    agent_expect(&a, "wide(x=0x112233445566778899aabbccddeeff00, i=2, y=0x3, j=4, z=0x5) = "
                     "0x112233445566778899aabbccddeeff1a\n"
                     "wide(x=0x1, i=2, y=0xffffffffffffffffffffffffffffffff, j=3, "
                     "z=0x112233445566778899aabbccddeeff00) = "
                     "0x336699cd00336699cd00336699ccfcff\n");
}

static void test_long_double(void **state)
{
    __typeof__(&extended) f = agent_patch_debug(&a, extended);
    assert_true(f(1.25L, 3, 1e4000L) == extended(1.25L, 3, 1e4000L));
    agent_expect(&a, "extended(x=1.25, i=3, y=1e+4000) = 1e+4000\n");
    for (int i = 0; i < 100; i++) /* nothing is left on the x87 stack */
        assert_true(f(1, i, 0.5L) == i + 0.5L);
}

static void test_structs(void **state)
{
    __typeof__(&pairs) f = agent_patch_debug(&a, pairs);
    struct pair p = f((struct pair){1, 2}, (struct mixed){30.5, 40});
    assert_int_equal(p.first, 41);
    assert_int_equal(p.second, 32);
    __typeof__(&make_mixed) g = agent_patch_debug(&a, make_mixed);
    struct mixed m = g(3, 1.5);
    assert_true(m.d == 4.5 && m.l == 3);
    __typeof__(&make_large) h = agent_patch_debug(&a, make_large);
    struct large l = h((struct large){{1, 2, 3, 4, 5, 6, 7}}, 10);
    for (int i = 0; i < 7; i++)
        assert_int_equal(l.v[i], 11 + i);
    agent_expect(&a, "pairs(p={first = 1, second = 2}, m={d = 30.5, l = 40}) = {first = 41, "
                     "second = 32}\nmake_mixed(i=3, d=1.5) = {d = 4.5, l = 3}\n"
                     "make_large(in={v[0] = 1, v[1] = 2, v[2] = 3, v[3] = 4, v[4] = 5, v[5] = 6, "
                     "v[6] = 7}, add=10) = {...}\n");
}

static void test_void_and_pointers(void **state)
{
    __typeof__(&nothing) f = agent_patch_debug(&a, nothing);
    f();
    __typeof__(&pointers) g = agent_patch_debug(&a, pointers);
    assert_ptr_equal(g((void *)0x1234, NULL, NULL), (void *)0x1234);
    assert_null(g(NULL, (int *)16, NULL));
    agent_expect(&a, "nothing()\npointers(p=0x1234, q=NULL, f=NULL) = 0x1234\npointers(p=NULL, "
                     "q=0x10, f=NULL) = NULL\n");
}

/* Seven to forty stack arguments, each seen by the function, whatever is known of it. */
typedef long many_type(long, long, long, long, long, long, long, long, long, long, long, long, long,
                       long, long, long, long, long, long, long, long, long, long, long, long, long,
                       long, long, long, long, long, long, long, long, long, long, long, long, long,
                       long, long, long, long, long, long, long);
static long seen[46];
FUNCTION long many(long first, ...)
{
    va_list rest;
    va_start(rest, first);
    seen[0] = first;
    for (int i = 1; i < 46; i++)
        seen[i] = va_arg(rest, long);
    va_end(rest);
    return first;
}
static void test_forty_stack_arguments(void **state)
{
    static const char *const declarations[] = {
        NULL, "long many()", "long many(long first, ...)",
        "long many(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, "
        "long k, long l, long m, long n, long o,"
        " long p, long q, long r, long s, long t, long u, long v, long w, long x, long y, long z, "
        "long a1, long b1, long c1, long d1, long e1,"
        " long f1, long g1, long h1, long i1, long j1, long k1, long l1, long m1, long n1, long "
        "o1, long p1, long q1, long r1, long s1, long t1)"};
    for (size_t d = 0; d < sizeof declarations / sizeof *declarations; d++) {
        many_type *f = agent_patch(&a, many, declarations[d], (struct patch_options){0});
        memset(seen, 0, sizeof seen);
        assert_int_equal(f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                           21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38,
                           39, 40, 41, 42, 43, 44, 45, 46),
                         1);
        for (int i = 0; i < 46; i++)
            assert_int_equal(seen[i], i + 1);
    }
    char *lines = agent_lines(&a);
    assert_non_null(strstr(lines, "many(first=1, ...) = 1\n"));
    assert_non_null(strstr(lines, "many() = 1\n"));
    assert_non_null(strstr(lines, "w=23, x=24, ...) = 1\n")); /* words kept: 24 */
    free(lines);
}

/* ---- variadic functions
 * ------------------------------------------------------------------------------------ */

static void test_printf(void **state)
{
    int (*f)(char *, size_t, const char *, ...) = agent_patch(
        &a, snprintf, "int snprintf(char *out, unsigned long n, const char *format, ...) // printf",
        (struct patch_options){0});
    char out[200], wanted[200];
    *out = '\0';
    int n = f(out, sizeof out, "%d %s %.2f %c %ld %*d %x %Lf %s %%", -7, "two", 3.5, 'c', 1l << 40,
              5, 42, 255, 2.25L, "end");
    snprintf(wanted, sizeof wanted, "%d %s %.2f %c %ld %*d %x %Lf %s %%", -7, "two", 3.5, 'c',
             1l << 40, 5, 42, 255, 2.25L, "end");
    assert_string_equal(out, wanted);
    assert_int_equal(n, strlen(wanted));
    char *lines = agent_lines(&a);
    const char *rest = strstr(lines, "format=");
    assert_non_null(rest);
    assert_string_equal(rest, "format=\"%d %s %.2f %c %ld %*d %x %Lf %s %%\", -7, \"two\", 3.5, "
                              "'c', 1099511627776, 5, 42, 255, 2.25, \"end\") = 51\n");
    free(lines);
    gib_log_clear(a.log);
    /* More doubles than registers: the ninth is on the stack, as is the integer after six. */
    n = f(out, sizeof out, "%g%g%g%g%g%g%g%g%g%d%d%d%d", 1., 2., 3., 4., 5., 6., 7., 8., 9., 10, 11,
          12, 13);
    assert_string_equal(out, "12345678910111213");
    lines = agent_lines(&a);
    rest = strstr(lines, "%d%d%d%d\", ");
    assert_non_null(rest);
    assert_string_equal(rest, "%d%d%d%d\", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) = 17\n");
    free(lines);
}

FUNCTION int opener(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    return mode;
}
static void test_open(void **state)
{
    __typeof__(&opener) f =
        agent_patch(&a, opener, "int opener(const char *path, int flags, ...) // open",
                    (struct patch_options){0});
    assert_int_equal(f("/etc", O_RDONLY, 0777), 0);
    assert_int_equal(f("/tmp/x", O_CREAT | O_WRONLY, 0640), 0640);
    agent_expect(
        &a,
        "opener(path=\"/etc\", flags=0) = 0\nopener(path=\"/tmp/x\", flags=65, mode=0640) = 416\n");
}

/* ---- failures
 * ------------------------------------------------------------------------------------------------
 */

FUNCTION int fails(int result, int code)
{
    if (code >= 0)
        errno = code;
    return result;
}
FUNCTION void *fails_pointer(long result, int code)
{
    if (code >= 0)
        errno = code;
    return (void *)result;
}
static void test_errno(void **state)
{
    __typeof__(&fails) f = agent_patch(&a, fails, "int fails(int result, int code) // errno",
                                       (struct patch_options){0});
    errno = 77;
    assert_int_equal(f(-1, ENOENT), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(f(3, EINTR), 3);
    assert_int_equal(f(-2, EINTR), -2);
    agent_expect(&a, "fails(result=-1, code=2) = -1 ENOENT (No such file or "
                     "directory)\nfails(result=3, code=4) = 3\nfails(result=-2, code=4) = -2\n");
    assert_int_equal(agent_failures(&a, 0), 1);
    f = agent_patch(&a, fails, "int fails(int result, int code) // errno?",
                    (struct patch_options){0});
    errno = 0;
    f(-1, -1);
    f(-1, EBADF);
    f(-1, EBADF); /* not changed */
    agent_expect(&a, "fails(result=-1, code=-1) = -1\nfails(result=-1, code=9) = -1 EBADF (Bad "
                     "file descriptor)\nfails(result=-1, code=9) = -1\n");
    __typeof__(&fails_pointer) g =
        agent_patch(&a, fails_pointer, "void *fails_pointer(long result, int code) // errno",
                    (struct patch_options){0});
    g(0, ENOMEM);
    g(-1, EACCES);
    g(16, EACCES);
    g(0, 12345);
    agent_expect(&a, "fails_pointer(result=0, code=12) = NULL ENOMEM (Cannot allocate memory)\n"
                     "fails_pointer(result=-1, code=13) = -1 EACCES (Permission "
                     "denied)\nfails_pointer(result=16, code=13) = 0x10\n"
                     "fails_pointer(result=0, code=12345) = NULL errno 12345\n");
}

/* Before there is an errno, as in the loader, nobody can say that a call has failed: neither the
 * log nor `stats`. */
static void test_failure_without_errno(void **state)
{
    __typeof__(&fails) f = agent_patch(&a, fails, "int fails(int result, int code) // errno",
                                       (struct patch_options){0});
    uint64_t location = a.shared->errno_location;
    a.shared->errno_location = 0;
    assert_int_equal(f(-1, ENOENT), -1);
    a.shared->errno_location = location;
    assert_int_equal(f(-1, EACCES), -1);
    agent_expect(&a, "fails(result=-1, code=2) = -1\n"
                     "fails(result=-1, code=13) = -1 EACCES (Permission denied)\n");
    assert_int_equal(agent_failures(&a, 0), 1);
}

/* A function that may mean -1 fails as a fact only when errno says so: `stats` counts what the log
 * shows. */
static void test_maybe_failures_counted(void **state)
{
    __typeof__(&fails) f = agent_patch(&a, fails, "int fails(int result, int code) // errno?",
                                       (struct patch_options){0});
    errno = 0;
    f(-1, -1); /* end of file: no failure */
    f(-1, EIO);
    assert_int_equal(agent_calls(&a, 0), 2);
    assert_int_equal(agent_failures(&a, 0), 1);
}

/* The ring is used again and again: nothing of an older record shows in a newer one. */
NOT_INLINED static int fails_with_four(int result, long p2, long p3, long p4)
{
    errno = ENOENT;
    return result;
}
static void test_nothing_stale(void **state)
{
    agent_close(&a);
    agent_open(&a, (struct agent_options){.ring_size = 8 << 10});
    __typeof__(&fails_with_four) f =
        agent_patch(&a, fails_with_four, "int f(int result, long b, long c, long d) // errno",
                    (struct patch_options){0});
    for (int i = 0; i < 1000; i++)
        f(-1, 2, 3, 4);
    gib_log_drain(a.log);
    gib_log_clear(a.log);
    for (int i = 0; i < 1000; i++)
        f(i, 2, 3, 4);
    char *lines = agent_lines(&a);
    assert_int_equal(occurrences(lines, "\n"), 1000);
    assert_int_equal(occurrences(lines, "ENOENT"), 0);
    free(lines);
}

/* ---- control flow
 * ---------------------------------------------------------------------------------------------- */

static __typeof__(long(long)) *deep_thunk;
FUNCTION long deep(long n)
{
    return n ? deep_thunk(n - 1) + 1 : 0;
}
static void *deep_thread(void *argument)
{
    deep_thunk = agent_patch(&a, deep, "long deep(long n)", (struct patch_options){0});
    assert_int_equal(deep_thunk(100000), 100000);
    return NULL;
}
static void test_recursion(void **state)
{
    /* On a stack of its own: 100,000 frames with the thunks' between them. */
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1ul << 30);
    assert_int_equal(pthread_create(&thread, &attributes, deep_thread, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    char *lines = agent_lines(&a);
    assert_int_equal(occurrences(lines, "\n"), 100001);
    assert_int_equal(gib_log_lost(a.log), 0);
    char wanted[100], *at = lines; /* the innermost returned first */
    for (int i = 0; i <= 100000; i++) {
        int size = snprintf(wanted, sizeof wanted, "deep(n=%d) = %d\n", i, i);
        if (strncmp(at, wanted, (size_t)size))
            fail_msg("at %d: %.80s", i, at);
        at += size;
    }
    free(lines);
}

/* How many of 4001 calls have no result in the log: they were too deep for a frame. */
static size_t recurse_on_small_stack(void)
{
    assert_int_equal(deep_thunk(4000), 4000);
    char *lines = agent_lines(&a);
    gib_log_clear(a.log);
    assert_int_equal(occurrences(lines, "deep(n="), 4001);
    size_t entries = 4001 - occurrences(lines, ") = ");
    assert_int_equal(occurrences(lines, ")\n"), entries);
    free(lines);
    return entries;
}
static void *small_thread(void *argument)
{
    deep_thunk = agent_patch(&a, deep, "long deep(long n)", *(struct patch_options *)argument);
    size_t first = recurse_on_small_stack();
    assert_in_range(first, 2000, 3999);
    assert_int_equal(recurse_on_small_stack(), first); /* all was given back */
    assert_int_equal(deep_thunk(3), 3);
    agent_expect(&a, "deep(n=0) = 0\ndeep(n=1) = 1\ndeep(n=2) = 2\ndeep(n=3) = 3\n");
    return NULL;
}
static void check_small_stack(struct patch_options options)
{
    /* The function alone takes less than half of it, with 4001 thunks' frames it does not fit. */
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1ul << 20);
    assert_int_equal(pthread_create(&thread, &attributes, small_thread, &options), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}
static void test_small_stack(void **state)
{
    check_small_stack((struct patch_options){0});
}
static void test_small_stack_by_agent(void **state)
{
    /* A limit that is never reached keeps the thunk from writing the record itself. */
    check_small_stack((struct patch_options){.times = 1000000});
}

static jmp_buf back;
static __typeof__(int(int)) *inner_thunk;
FUNCTION int inner(int jump)
{
    if (jump)
        longjmp(back, jump);
    return 5;
}
FUNCTION int outer(int jump)
{
    return inner_thunk(jump) + 1;
}
static void test_longjmp(void **state)
{
    inner_thunk = agent_patch(&a, inner, "int inner(int jump)", (struct patch_options){0});
    __typeof__(&outer) f = agent_patch(&a, outer, "int outer(int jump)", (struct patch_options){0});
    for (volatile int i = 1; i < 1000; i++) {
        int value = setjmp(back);
        if (!value) {
            f(i);
            fail();
        }
        assert_int_equal(value, i);
    }
    assert_int_equal(f(0), 6);
    char *lines = agent_lines(&a);
    assert_non_null(strstr(lines, "inner(jump=0) = 5\nouter(jump=0) = 6\n"));
    assert_null(strstr(lines, "resumed"));
    free(lines);
    assert_int_equal(agent_calls(&a, 0), 1000);
    assert_int_equal(agent_calls(&a, 1), 1000);
}

static void test_entry_only_and_disabled(void **state)
{
    __typeof__(&ten) f = agent_patch(
        &a, ten,
        "long ten(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j)",
        (struct patch_options){.entry_only = true});
    assert_int_equal(f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 385);
    agent_expect(&a, "ten(a=1, b=2, c=3, d=4, e=5, f=6, g=7, h=8, i=9, j=10)\n");
    agent_enable(&a, 0, false);
    assert_int_equal(f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 385);
    agent_enable(&a, 0, true);
    /* Disabled between the two looks: the word still says active. */
    agent_site(&a, 0)->action[0].flags &= ~GIB_ACTION_ENABLED;
    assert_int_equal(f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 385);
    agent_expect(&a, "");
    assert_int_equal(agent_calls(&a, 0), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, agent_setup, agent_teardown, &a)
    const struct CMUnitTest tests[] = {
        TEST(test_scalars),
        TEST(test_floats),
        TEST(test_stack_arguments),
        TEST(test_wide_values),
        TEST(test_long_double),
        TEST(test_structs),
        TEST(test_void_and_pointers),
        TEST(test_forty_stack_arguments),
        TEST(test_printf),
        TEST(test_open),
        TEST(test_errno),
        TEST(test_failure_without_errno),
        TEST(test_maybe_failures_counted),
        TEST(test_nothing_stale),
        TEST(test_recursion),
        TEST(test_small_stack),
        TEST(test_small_stack_by_agent),
        TEST(test_longjmp),
        TEST(test_entry_only_and_disabled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
