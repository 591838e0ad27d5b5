/* Handlers in this process: libffi's closures and calls inside the agent, with types from this
 * program's own debug information. */
#include "agent_fixture.h"

#include <errno.h>
#include <complex.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "code/x86_64/handler.h"
#include "gibbon/package.h"

static struct agent agent;

static int open_agent(void **state)
{
    agent_open(&agent, (struct agent_options){.no_reader = true});
    return 0;
}
static int close_agent(void **state)
{
    agent_close(&agent);
    return 0;
}

typedef void handler_function(struct gibbon_call *call);

static struct gib_prototype *prototype_of(void *function)
{
    struct gib_modules *modules = gib_modules_new();
    assert_true(gib_modules_update(modules, getpid()) > 0);
    struct gib_module *module = gib_modules_at(modules, (uint64_t)function);
    assert_non_null(module);
    gib_modules_lock(modules);
    struct gib_prototype *prototype =
        gib_elf_prototype(module->elf, (uint64_t)function - module->bias);
    gib_modules_unlock(modules);
    gib_modules_free(modules);
    assert_non_null(prototype);
    return prototype;
}

/* What is called like `original` and runs `handler`. */
static void *with_handler(void *original, struct gib_prototype *prototype, bool method,
                          handler_function *handler)
{
    const struct gib_agent_image *image = (const struct gib_agent_image *)agent.arena;
    struct gib_handler_request request = {
        .address = ((uint64_t)agent.arena + agent.arena_used + 63) & ~63ull,
        .prototype = prototype,
        .method = method,
        .function = "f",
        .module = "test",
        .handler = (uint64_t)handler,
        .original = (uint64_t)original,
        .shared = (uint64_t)agent.shared,
        .handle = agent.entry + image->handle,
        .call_original = agent.entry + image->call_original,
        .go_closure = agent.entry + image->go_closure,
        .go_closure_sse = agent.entry + image->go_closure_sse,
    };
    struct gib_handler_code code;
    struct gib_error error;
    if (gib_handler_make(&request, &code, &error))
        fail_msg("%s", error.message);
    memcpy((void *)request.address, code.bytes, code.size);
    free(code.bytes);
    gib_prototype_free(prototype);
    agent.arena_used = request.address + code.size - (uint64_t)agent.arena;
    return (void *)(request.address + code.stub);
}
#define HANDLED(function, handler)                                                                 \
    ((__typeof__(&function))with_handler(&function, prototype_of(&function), false, handler))

static void refused(const char *declaration, const char *sentence)
{
    struct gib_prototype *prototype;
    struct gib_error error;
    struct gib_handler_code code;
    assert_int_equal(gib_prototype_parse(NULL, declaration, &prototype, &error), 0);
    struct gib_handler_request request = {
        .address = 16, .prototype = prototype, .function = "f", .module = "test"};
    assert_int_equal(gib_handler_make(&request, &code, &error), GIB_E_CALL);
    assert_string_equal(error.message, sentence);
    gib_prototype_free(prototype);
}

/* ---- functions ---- */

struct mixed {
    long n;
    double d;
};
struct large {
    short s[20];
};
struct __attribute__((packed)) packed {
    char c;
    double d;
};
union number {
    float f;
    unsigned u;
};
struct nothing {
};

/* The last integer register and the first vector register: libffi copies both words of a structure
 * at once. */
NOT_INLINED static double tight(double d, int a, int b, int c, int e, int f, struct mixed m)
{
    return d * 1000 + a + b + c + e + f + (double)m.n + m.d;
}
NOT_INLINED static struct mixed around(struct large l, struct nothing n, struct packed p,
                                       union number u)
{
    return (struct mixed){l.s[0] + l.s[19] + p.c, p.d + u.f};
}
NOT_INLINED static struct large grow(signed char c, unsigned char u, short s, _Bool b)
{
    struct large l = {{c, (short)u, s, b}};
    l.s[19] = 19;
    return l;
}
NOT_INLINED static float _Complex turn(float _Complex z, long double l, double _Complex w)
{
    return z * (float)l + (float _Complex)w;
}
NOT_INLINED static long double _Complex wide(long double _Complex z)
{
    return z * 2;
}
NOT_INLINED static __int128 shift(__int128 n, int by)
{
    return n << by;
}
NOT_INLINED static int complain(int code)
{
    errno = code;
    return -1;
}

/* ---- handlers ---- */

static unsigned calls;
static const void *seen_caller;
static void pass(struct gibbon_call *call)
{
    calls++;
    seen_caller = gibbon_caller(call);
    assert_int_equal(call->size, sizeof *call);
    assert_int_equal(call->version, GIBBON_PACKAGE_VERSION);
    assert_string_equal(gibbon_function(call), "f");
    gibbon_call_original(call);
    errno = ENOTTY;
}
static void nothing(struct gibbon_call *call)
{
    errno = ENOTTY;
}
static void twice(struct gibbon_call *call)
{
    gibbon_call_original(call);
    memset(gibbon_result(call), 0xa5, gibbon_result_type(call)->size);
    gibbon_call_original(call);
}

static void test_values(void **state)
{
    handler_function *const handlers[] = {pass, twice};
    for (size_t i = 0; i < 2; i++) {
        handler_function *h = handlers[i];
        struct mixed m = {7, .25}, r;
        assert_true(HANDLED(tight, h)(3, 1, 2, 3, 4, 5, m) == 3022.25);
        struct large l = {{100}};
        l.s[19] = 11;
        r = HANDLED(around, h)(l, (struct nothing){}, (struct packed){'a', 1.5},
                               (union number){.f = 2});
        assert_true(r.n == 111 + 'a' && r.d == 3.5);
        l = HANDLED(grow, h)(-3, 200, -300, true);
        assert_true(l.s[0] == -3 && l.s[1] == 200 && l.s[2] == -300 && l.s[3] == 1 &&
                    l.s[18] == 0 && l.s[19] == 19);
        assert_true(HANDLED(turn, h)(1 + 2 * I, 3, 4 + 5 * I) == 7 + 11 * I);
        assert_true(HANDLED(wide, h)(1.5L + 2.5L * I) == 3 + 5 * I);
        __int128 n = HANDLED(shift, h)((__int128)5 << 60 | 1, 30);
        assert_true(n == ((__int128)5 << 90 | (__int128)1 << 30));
    }
}

static void test_no_call(void **state)
{
    struct large l = HANDLED(grow, nothing)(1, 2, 3, true);
    for (int i = 0; i < 20; i++)
        assert_int_equal(l.s[i], 0);
    assert_true(HANDLED(tight, nothing)(3, 1, 2, 3, 4, 5, (struct mixed){1, 1}) == 0);
    assert_int_equal(HANDLED(complain, nothing)(1), 0);
}

static void deny(struct gibbon_call *call)
{
    assert_int_equal(gibbon_errno(call), EINTR);
    gibbon_call_original(call);
    assert_int_equal(gibbon_errno(call), ENOENT);
    assert_int_equal(gibbon_result_int(call), -1);
    errno = ENOTTY;
    gibbon_set_errno(call, EACCES);
    gibbon_set_int(call, 5);
}
static void test_errno(void **state)
{
    errno = EINTR;
    assert_int_equal(HANDLED(complain, deny)(ENOENT), 5);
    assert_int_equal(errno, EACCES);
    errno = EINTR;
    assert_int_equal(HANDLED(complain, nothing)(ENOENT), 0);
    assert_int_equal(errno, EINTR);
    assert_int_equal(HANDLED(complain, pass)(ENOENT), -1);
    assert_int_equal(errno, ENOENT);
}

static void change(struct gibbon_call *call)
{
    assert_int_equal(gibbon_argument_count(call), 7);
    assert_string_equal(gibbon_argument_name(call, 6), "m");
    assert_int_equal(gibbon_argument_type(call, 6)->type_class, GIBBON_TYPE_RECORD);
    assert_int_equal(gibbon_argument_type(call, 6)->size, sizeof(struct mixed));
    assert_string_equal(gibbon_argument_type(call, 0)->text, "double");
    *(double *)gibbon_argument_named(call, "d") = 5;
    ((struct mixed *)gibbon_argument(call, 6))->d += 1;
    assert_int_equal(gibbon_set_argument_int(call, 1, 10), 0);
    gibbon_call_original(call);
    *(double *)gibbon_result(call) += .5;
}
static void test_changes(void **state)
{
    assert_true(HANDLED(tight, change)(3, 1, 2, 3, 4, 5, (struct mixed){7, .25}) == 5032.75);
}

NOT_INLINED static int method(void *object, int n)
{
    return *(int *)object + n;
}
static void look(struct gibbon_call *call)
{
    assert_int_equal(gibbon_argument_count(call), 1);
    assert_string_equal(gibbon_argument_name(call, 0), "n");
    *(int *)gibbon_this(call) += 100;
    gibbon_call_original(call);
}
static void test_this(void **state)
{
    int object = 5;
    int (*f)(void *, int) = with_handler(&method, prototype_of(&method), true, look);
    assert_int_equal(f(&object, 2), 107);
}

/* The frame pointer and the return address are the closure's first argument. */
static void test_caller(void **state)
{
    int (*f)(int) = HANDLED(complain, pass);
    f(1);
    const char *here = (const char *)&test_caller, *caller = seen_caller;
    assert_true(caller > here && caller < here + 4096);
}

static int (*recursive)(int);
NOT_INLINED static int count_down(int n)
{
    return n ? recursive(n - 1) + 1 : 0;
}
static void *run(void *argument)
{
    long total = 0;
    for (int i = 0; i < 200; i++)
        total += recursive(20);
    return (void *)total;
}
static void only_pass(struct gibbon_call *call)
{
    gibbon_call_original(call);
}
static void test_recursion_on_threads(void **state)
{
    pthread_t thread[4];
    recursive = HANDLED(count_down, only_pass);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, run, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *total;
        pthread_join(thread[i], &total);
        assert_int_equal((long)total, 4000);
    }
}

static void test_refused(void **state)
{
    refused("int f(const char *format, ...)", "it takes a variable number of arguments; "
                                              "-prototype can give those that it is called with");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_no_call),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_this),
        cmocka_unit_test(test_caller),
        cmocka_unit_test(test_recursion_on_threads),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, open_agent, close_agent);
}
