/* Where arguments and results are: as the compiler that built this test puts them. The prototypes
 * are those of its debug information. */
#include <complex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "agent_fixture.h"

static struct agent a;

struct ints {
    int x, y, z;
};
struct floats {
    float x, y, z, w;
};
struct both {
    long l;
    double d;
};
struct big {
    char bytes[24];
};
struct one_ld {
    long double x;
};
union either {
    int i;
    double d;
};

/* Each function returns a sum of what it got; a call through the thunk must give the same, and the
 * log must show the scalars. */
#define CASE(name, result, parameters, sum, arguments, shown)                                      \
    NOT_INLINED static result name parameters                                                      \
    {                                                                                              \
        return sum;                                                                                \
    }                                                                                              \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        __typeof__(&name) thunk = agent_patch_debug(&a, name);                                     \
        result direct = name arguments, through = thunk arguments;                                 \
        assert_true(direct == through);                                                            \
        agent_expect(&a, shown "\n");                                                              \
    }

CASE(seventh_integer, long, (int a1, int a2, int a3, int a4, int a5, int a6, int a7, short a8),
     a7 * 100 + a8, (1, 2, 3, 4, 5, 6, -7, -8),
     "seventh_integer(a1=1, a2=2, a3=3, a4=4, a5=5, a6=6, a7=-7, a8=-8) = -708")
CASE(ninth_float, double,
     (float a1, float a2, float a3, float a4, float a5, float a6, float a7, float a8, float a9,
      int i),
     a9 + i, (1, 2, 3, 4, 5, 6, 7, 8, 9.5f, 4),
     "ninth_float(a1=1, a2=2, a3=3, a4=4, a5=5, a6=6, a7=7, a8=8, a9=9.5, i=4) = 13.5")
CASE(struct_in_registers, long, (struct ints s, int i), s.x + s.y * 10 + s.z * 100 + i * 1000,
     ((struct ints){1, 2, 3}, 4), "struct_in_registers(s={x = 1, y = 2, z = 3}, i=4) = 4321")
CASE(struct_does_not_fit, long, (int a1, int a2, int a3, int a4, int a5, struct both s, int a6),
     a5 + s.l + (long)s.d + a6, (1, 2, 3, 4, 5, (struct both){100, 1000}, 6),
     "struct_does_not_fit(a1=1, a2=2, a3=3, a4=4, a5=5, s={l = 100, d = 1000}, a6=6) = 1111")
#if !defined __clang__ ||                                                                          \
    __clang_major__ >=                                                                             \
        18 /* before, clang split the value between r9 and the stack, against the ABI */
#define INT128_BY_THE_ABI 1
CASE(two_words_do_not_fit, long,
     (int a1, int a2, int a3, int a4, int a5, __int128 w, int a6, int a7), (long)w + a6 * 10 + a7,
     (1, 2, 3, 4, 5, 1000, 6, 7),
     "two_words_do_not_fit(a1=1, a2=2, a3=3, a4=4, a5=5, w=0x3e8, a6=6, a7=7) = 1067")
#endif
CASE(struct_in_memory, long, (struct big b, int i, struct big c), b.bytes[23] + i + c.bytes[0],
     ((struct big){{[23] = 1}}, 2, (struct big){{4}}),
     "struct_in_memory(b={bytes = "
     "\"\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\1\"}, i=2, c={bytes "
     "= \"\\4\"}) = 7")
CASE(floats_in_two_registers, float, (struct floats s, float f),
     s.x + s.y * 2 + s.z * 4 + s.w * 8 + f, ((struct floats){1, 2, 3, 4}, 0.5f),
     "floats_in_two_registers(s={x = 1, y = 2, z = 3, w = 4}, f=0.5) = 49.5")
CASE(a_union, long, (union either u, int i), u.i + i, ((union either){.i = 40}, 2),
     "a_union(u={...}, i=2) = 42")
CASE(long_doubles, long double, (int i, long double x, double d, long double y, int k),
     i + x + d + y + k, (1, 2.5L, 4, 8.25L, 16),
     "long_doubles(i=1, x=2.5, d=4, y=8.25, k=16) = 31.75")
CASE(wrapped_long_double, long double, (struct one_ld s, int i), s.x + i,
     ((struct one_ld){2.5L}, 3), "wrapped_long_double(s={x = 2.5}, i=3) = 5.5")
CASE(after_memory, long,
     (int a1, int a2, int a3, int a4, int a5, int a6, char a7, long double x, char a8),
     a7 + (long)x + a8, (1, 2, 3, 4, 5, 6, 7, 100.0L, 8),
     "after_memory(a1=1, a2=2, a3=3, a4=4, a5=5, a6=6, a7='\\a', x=100, a8='\\b') = 115")
CASE(complex_result, double complex, (double complex z, float complex w), z *w,
     (1.0 + 2.0 * I, 3.0f + 1.0f * I), "complex_result(z=1+2i, w=3+1i) = 1+7i")
CASE(float_complex_result, float complex, (int i), i + 2.0f * I, (5),
     "float_complex_result(i=5) = 5+2i")
CASE(wide_result, __int128, (long high, long low), ((__int128)high << 64) | (unsigned long)low,
     (1, 2), "wide_result(high=1, low=2) = 0x10000000000000002")
CASE(small_results, signed char, (int i), (signed char)i, (-3), "small_results(i=-3) = -3")
CASE(bool_result, _Bool, (int i), i > 0, (3), "bool_result(i=3) = true")

/* A hidden pointer takes the first place, and comes back. */
NOT_INLINED static struct big give_big(int i, long j)
{
    return (struct big){{(char)i, (char)j}};
}
static void test_hidden_pointer(void **state)
{
    __typeof__(&give_big) thunk = agent_patch_debug(&a, give_big);
    struct big b = thunk(5, 6);
    assert_int_equal(b.bytes[0], 5);
    assert_int_equal(b.bytes[1], 6);
    agent_expect(&a, "give_big(i=5, j=6) = {...}\n");
}

/* ---- called in another way ---- */

/* gcc's debug information does not say so, but at the entry it says where the arguments are: in
 * optimised code, as this is. */
#if !defined __clang__
#define OPTIMISED __attribute__((optimize("O2")))
#else
#define OPTIMISED
#endif
__attribute__((ms_abi)) long microsoft(int a1, double a2, const char *a3, float a4, int a5);
OPTIMISED NOT_INLINED __attribute__((ms_abi)) long microsoft(int a1, double a2, const char *a3,
                                                             float a4, int a5)
{
    return a1 + (long)a2 + a3[0] + (long)a4 + a5;
}
static void test_microsoft(void **state)
{
    __typeof__(&microsoft) thunk = agent_patch_debug(&a, microsoft);
    assert_int_equal(thunk(1, 2, "x", 4, 5), 1 + 2 + 'x' + 4 + 5);
#if defined __clang__ && !defined __OPTIMIZE__
    agent_expect(&a, "microsoft(a1={...}, a2={...}, a3={...}, a4={...}, a5={...}) = 132\n");
#else
    agent_expect(&a, "microsoft(a1=1, a2=2, a3=\"x\", a4=4, a5={...}) = 132\n");
#endif
}

static struct gib_parameter parameter(enum gib_entry_place entry, uint8_t number)
{
    static const struct gib_type integer = {.kind = GIB_TYPE_INT,
                                            .size = 4,
                                            .align = 4,
                                            .known_layout = true,
                                            .eightbyte = {GIB_CLASS_INTEGER, GIB_CLASS_NONE}};
    return (struct gib_parameter){NULL, integer, entry, number};
}

static void test_places_of_debug_information(void **state)
{
    enum { RDI = 5, RSI = 4, RDX = 1, R9 = 9, RAX = 0, ST0 = 33 };
    struct gib_parameter parameters[3] = {parameter(GIB_ENTRY_REGISTER, RDI),
                                          parameter(GIB_ENTRY_USUAL, 0),
                                          parameter(GIB_ENTRY_REGISTER, RDX)};
    struct gib_prototype prototype = {.parameters = parameters, .parameter_count = 3};
    struct gib_convention c;
    gib_convention_make(&prototype, &c); /* as usual */
    assert_int_equal(c.words, 3);
    assert_int_equal(c.stack_copy, 0);
    parameters[1] = parameter(GIB_ENTRY_NOWHERE, 0); /* the third moved up, or did not */
    gib_convention_make(&prototype, &c);
    assert_int_equal(c.words, 2);
    assert_int_equal(c.parameter[1].count, 0);
    assert_int_equal(c.source[c.parameter[2].first], GIB_SOURCE_GPR + 2);
    parameters[1] = parameter(GIB_ENTRY_REGISTER, R9);
    gib_convention_make(&prototype, &c);
    assert_int_equal(c.source[c.parameter[1].first], GIB_SOURCE_GPR + 5);
    for (int i = 0; i < 2; i++) { /* no register that is kept: regcall's rax */
        parameters[1] = parameter(GIB_ENTRY_REGISTER, i ? RAX : ST0);
        gib_convention_make(&prototype, &c);
        assert_int_equal(c.parameter[1].count, 0);
        assert_true(c.stack_copy >= 24);
    }
    parameters[1] = parameter(GIB_ENTRY_USUAL, 0);
    prototype.foreign = true; /* only what is told is known */
    gib_convention_make(&prototype, &c);
    assert_int_equal(c.parameter[0].count + c.parameter[1].count + c.parameter[2].count, 2);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_prestate_setup_teardown(test_##name, agent_setup, agent_teardown, &a)
    const struct CMUnitTest tests[] = {
        TEST(seventh_integer),
        TEST(ninth_float),
        TEST(struct_in_registers),
        TEST(struct_does_not_fit),
#ifdef INT128_BY_THE_ABI
        TEST(two_words_do_not_fit),
#endif

        TEST(struct_in_memory),
        TEST(floats_in_two_registers),
        TEST(a_union),
        TEST(long_doubles),
        TEST(wrapped_long_double),
        TEST(after_memory),
        TEST(complex_result),
        TEST(float_complex_result),
        TEST(wide_result),
        TEST(small_results),
        TEST(bool_result),
        TEST(hidden_pointer),
        TEST(microsoft),
        TEST(places_of_debug_information),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
