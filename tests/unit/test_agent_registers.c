/* No register that matters differs because a function is patched: not inside it, not after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "agent_fixture.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };
struct registers {
    uint64_t gpr[16], flags;
    uint32_t mxcsr;
    uint16_t control, padding;
    uint8_t ymm[16][32];
    uint8_t x87[16];
    uint8_t rest[32];
};
_Static_assert(sizeof(struct registers) == 704, "as in agent_registers.S");
extern struct registers registers_in, registers_inside, registers_out, registers_after;
void call_with_registers(void *function);
void original_with_registers(void);

enum {
    CARRY = 1,
    PARITY = 4,
    ZERO = 0x40,
    SIGN = 0x80,
    DIRECTION = 0x400,
    OVERFLOW = 0x800,
    ALWAYS = 0x202
};

static struct agent a;

static void fill(struct registers *r, unsigned seed)
{
    for (size_t i = 0; i < 16; i++)
        r->gpr[i] = 0x1111111111111111u * (i + 1) ^ seed;
    r->gpr[RAX] = (r->gpr[RAX] & ~0xffull) | 8; /* al: vector registers used by a variadic call */
    for (size_t i = 0; i < sizeof r->ymm; i++)
        r->ymm[i / 32][i % 32] = (uint8_t)(i * 7 + seed);
    r->flags = ALWAYS | CARRY | SIGN | OVERFLOW;
    r->mxcsr = 0x1f80 | 0x8000; /* flush to zero: not the default */
    long double x = 1.5L + seed;
    memcpy(r->x87, &x, 10);
}

static void compare(const struct registers *got, const struct registers *wanted, const char *what,
                    unsigned except)
{
    for (unsigned i = 0; i < 16; i++)
        if (!(except & 1u << i) && got->gpr[i] != wanted->gpr[i])
            fail_msg("%s: register %u is 0x%lx and not 0x%lx", what, i, got->gpr[i],
                     wanted->gpr[i]);
    assert_memory_equal(got->ymm, wanted->ymm, sizeof got->ymm);
    assert_memory_equal(got->x87, wanted->x87, 10);
    assert_int_equal(got->mxcsr & 0xffc0, wanted->mxcsr & 0xffc0);
    assert_int_equal(got->flags & DIRECTION, 0);
}

static const char *const declarations[] = {
    NULL,
    "long f(long a, long b)",
    "long f()",
    "void f(void)",
    "long f(const char *a, ...) // printf",
    "double f(double a, float b)",
    "double f(long a, double b, long c, long d, double e, long f, long g, long h, long i)",
    "int f(long a, long b, long c, long d, long e, long f, long g, long h) // errno",
    "long double f(int a)", /* the value on the x87 stack is the result */
    "__int128 f(__int128 a, long b, long c, long d, long e)",
    "char *f(char *a) // errno",
    "int f(long a, long b, long c, long d, long e, long f, long g, long h) // errno?",
};
static const struct {
    const char *name;
    struct patch_options options;
    bool frame; /* rbp is the thunk's inside the original */
    bool disabled;
} kinds[] = {
    {"call-through", {0}, true, false},
    {"filtered out", {.after = 1000000}, false, false},
    {"entry only", {.entry_only = true}, false, false},
    {"count", {.count = true}, false, false},
    {"disabled", {0}, false, true},
    {"backtrace", {.backtrace = 16}, true, false},
};

static void check_all(uint32_t thread_pointer)
{
    for (size_t d = 0; d < sizeof declarations / sizeof *declarations; d++) {
        agent_open(&a, (struct agent_options){.thread_pointer = thread_pointer, .no_reader = true});
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            void *thunk =
                agent_patch(&a, original_with_registers, declarations[d], kinds[k].options);
            if (kinds[k].disabled)
                agent_enable(&a, (uint32_t)k, false);
            for (unsigned round = 0; round < 3; round++) { /* the first claims a block */
                fill(&registers_in, round);
                fill(&registers_out, 100 + round);
                call_with_registers(thunk);
                unsigned except = 1u << RSP | (kinds[k].frame ? 1u << RBP : 0);
                compare(&registers_inside, &registers_in, kinds[k].name, except);
                struct registers wanted =
                    registers_out; /* callee-saved ones are those from before */
                wanted.gpr[RBX] = registers_in.gpr[RBX];
                wanted.gpr[RBP] = registers_in.gpr[RBP];
                memcpy(&wanted.gpr[12], &registers_in.gpr[12], 32);
                compare(&registers_after, &wanted, kinds[k].name, 1u << RSP);
            }
            assert_int_equal(agent_calls(&a, (uint32_t)k),
                             kinds[k].disabled || kinds[k].options.after ? 0 : 3);
        }
        agent_close(&a);
    }
}

static void test_fs0(void **state)
{
    check_all(GIB_POINTER_FS0);
}
static void test_rdfsbase(void **state)
{
    check_all(GIB_POINTER_RDFSBASE);
}
static void test_arch_prctl(void **state)
{
    check_all(GIB_POINTER_SYSCALL);
}

/* A long double result stays where it is while the log gets a copy. */
static long double give(int n)
{
    return n + 0.5L;
}
static void test_x87_stack_balanced(void **state)
{
    agent_open(&a, (struct agent_options){0});
    __typeof__(&give) f =
        agent_patch(&a, give, "long double give(int n)", (struct patch_options){0});
    long double sum = 0;
    for (int i = 0; i < 20; i++)
        sum += f(i) * f(i + 1);
    long double wanted = 0;
    for (int i = 0; i < 20; i++)
        wanted += give(i) * give(i + 1);
    assert_true(sum == wanted);
    agent_close(&a);
}

/* The stack is aligned inside the original as the caller aligned it, up to the 64 bytes of a __m512
 * argument. */
static uint64_t sp_inside;
NOT_INLINED static long note_sp(long a1, long a2, long a3, long a4, long a5, long a6, long a7)
{
    sp_inside = (uint64_t)__builtin_frame_address(0);
    return a7;
}
static void test_alignment(void **state)
{
    static const char *const shapes[] = {
        NULL, "long f(long a, long b, long c, long d, long e, long f, long g)", "long f()"};
    agent_open(&a, (struct agent_options){.no_reader = true});
    for (int i = 0; i < 3; i++) {
        __typeof__(&note_sp) f = agent_patch(&a, note_sp, shapes[i], (struct patch_options){0});
        assert_int_equal(note_sp(1, 2, 3, 4, 5, 6, 7), 7);
        uint64_t direct = sp_inside;
        assert_int_equal(f(1, 2, 3, 4, 5, 6, 7), 7);
        assert_int_equal(direct & 15, sp_inside & 15);
        assert_int_equal(direct & 63, sp_inside & 63);
    }
    agent_close(&a);
}

/* GIB_THUNK_MAX holds the longest thunk there is: asked for with everything that makes it longer.
 */
static size_t size_of_thunk(struct gib_thunk_request *request)
{
    uint8_t code[GIB_THUNK_MAX];
    size_t size;
    struct gib_error error;
    assert_int_equal(gib_thunk_make(request, code, &size, &error), 0);
    uint64_t trampoline = request->trampoline;
    request->trampoline = 0x10000000 + (1ull << 32); /* too far */
    size_t ignored;
    assert_int_equal(gib_thunk_make(request, code, &ignored, &error), GIB_E_RANGE);
    assert_int_equal(error.code, GIB_E_RANGE);
    assert_int_equal(error.address, 0x10000000);
    request->trampoline = trampoline;
    return size;
}

static void test_longest_thunk(void **state)
{
    size_t longest = 0;
    for (uint32_t copy = 0; copy <= 80; copy += 8) {
        for (int bits = 0; bits < 32; bits++) {
            for (int kind = 0; kind <= GIB_THUNK_DIVERT; kind++) {
                uint32_t stack_copy = copy == 80 ? GIB_COPY_UNKNOWN : copy;
                struct gib_site shape = {.words = GIB_MAX_WORDS,
                                         .stack_copy = stack_copy,
                                         .strings = bits & 16 ? GIB_MAX_STRINGS : 0,
                                         .result = GIB_RESULT_XMM0,
                                         .errno_rule = GIB_ERRNO_NULL};
                for (int i = 0; i < GIB_MAX_WORDS; i++)
                    shape.source[i] = (uint8_t)(GIB_SOURCE_STACK + 63);
                struct gib_thunk_request request = {.kind = (enum gib_thunk_kind)kind,
                                                    .address = 0x10000000,
                                                    .trampoline = 0x10001000,
                                                    .callee = 0x10001000 + 16u * (bits & 1),
                                                    .active = 0x10002000,
                                                    .enter = ~0ull,
                                                    .leave = ~0ull,
                                                    .texts = ~0ull,
                                                    .count = ~0ull,
                                                    .site = ~0ull,
                                                    .shared = ~0ull,
                                                    .stack_copy = stack_copy,
                                                    .reads_xmm = bits & 1,
                                                    .result_xmm = bits & 2,
                                                    .result_x87 = bits & 4,
                                                    .hash = ~0ull,
                                                    .shape = bits & 8 ? &shape : NULL,
                                                    .thread_pointer = (uint32_t)bits % 3};
                size_t size = size_of_thunk(&request);
                longest = size > longest ? size : longest;
            }
        }
    }
    assert_true(longest > 256 && longest + 64 < GIB_THUNK_MAX);
}

/* Which sites write their records themselves, and when. */
static uint32_t gate_of(const char *declaration, struct patch_options options)
{
    agent_patch(&a, original_with_registers, declaration, options);
    return *a.site[a.sites - 1].active;
}
static void test_gate(void **state)
{
    struct patch_options none = {0};
    agent_open(&a, (struct agent_options){.no_reader = true});
    assert_int_equal(gate_of("long f(long a, long b)", none), GIB_GATE_FAST);
    agent_enable(&a, 0, false);
    assert_int_equal(*a.site[0].active, GIB_GATE_CLOSED);
    agent_enable(&a, 0, true);
    assert_int_equal(*a.site[0].active, GIB_GATE_FAST);
    assert_int_equal(gate_of("double f(int a, float b, long c) // errno", none), GIB_GATE_FAST);
    assert_int_equal(gate_of("int f(int a) // errno", none), GIB_GATE_FAST);
    assert_int_equal(gate_of("int f(int a) // errno?", none), GIB_GATE_GENERAL);
    assert_int_equal(gate_of("char *f(const char *a)", none), GIB_GATE_FAST);
    assert_int_equal(gate_of("long double f(int a)", none), GIB_GATE_FAST);
    assert_int_equal(gate_of("int f(const char *a, ...) // printf", none), GIB_GATE_GENERAL);
    assert_int_equal(gate_of(NULL, none), GIB_GATE_GENERAL);
    assert_int_equal(gate_of("long f(long a)", (struct patch_options){.backtrace = 4}),
                     GIB_GATE_GENERAL);
    assert_int_equal(gate_of("long f(long a)", (struct patch_options){.times = 4}),
                     GIB_GATE_GENERAL);
    assert_int_equal(gate_of("long f(long a)", (struct patch_options){.entry_only = true}),
                     GIB_GATE_GENERAL);
    agent_close(&a);
    agent_open(&a, (struct agent_options){.no_reader = true, .no_tid = true});
    assert_int_equal(gate_of("long f(long a)", none), GIB_GATE_GENERAL);
    agent_close(&a);
}

static void test_detour(void **state)
{
    uint8_t code[GIB_DETOUR_SIZE];
    struct gib_error error;
    assert_int_equal(gib_detour_make(0x1000, 0x1005, code, &error), 0);
    assert_memory_equal(code, "\xe9\0\0\0\0", 5);
    assert_int_equal(gib_detour_make(0x80000000, 0x5, code, &error), 0);
    assert_memory_equal(code, "\xe9\0\0\0\x80", 5);
    assert_int_equal(gib_detour_make(0x80000000, 0x4, code, &error), GIB_E_RANGE);
    assert_int_equal(gib_detour_make(0, 5 + 0x7fffffffull, code, &error), 0);
    assert_int_equal(gib_detour_make(0, 5 + 0x80000000ull, code, &error), GIB_E_RANGE);
}

int main(void)
{
    if (!__builtin_cpu_supports("avx"))
        return 77; /* the harness looks at whole vector registers */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fs0),        cmocka_unit_test(test_rdfsbase),
        cmocka_unit_test(test_arch_prctl), cmocka_unit_test(test_x87_stack_balanced),
        cmocka_unit_test(test_alignment),  cmocka_unit_test(test_longest_thunk),
        cmocka_unit_test(test_gate),       cmocka_unit_test(test_detour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
