/* The parser of declarations: what it makes of good ones, and where it says a bad one goes wrong.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "prototype_text.h"

static struct gib_prototypes *store;

static int open_store(void **state)
{
    struct gib_error error = {.code = 0};
    store = gib_prototypes_open(DATA_DIRECTORY, &error);
    return !store || error.code;
}

static int close_store(void **state)
{
    gib_prototypes_close(store);
    return 0;
}

struct pair {
    const char *declaration, *expected;
};

static void check_good(const struct pair *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct gib_error error = {.message = ""};
        struct gib_prototype *prototype = NULL;
        int code = gib_prototype_parse(store, cases[i].declaration, &prototype, &error);
        if (code)
            fail_msg("%s: %s", cases[i].declaration, error.message);
        assert_string_equal(prototype_text(prototype), cases[i].expected);
        struct gib_prototype *copy = gib_prototype_copy(prototype);
        gib_prototype_free(prototype);
        assert_string_equal(prototype_text(copy), cases[i].expected);
        gib_prototype_free(copy);
    }
}
#define CHECK_GOOD(cases) check_good(cases, sizeof(cases) / sizeof *(cases))

static void arithmetic_types_in_any_order(void **state)
{
    static const struct pair cases[] = {
        {"int f(void)", "int=i4 f()"},
        {"int f(void);", "int=i4 f()"},
        {"unsigned f(long unsigned int a, int long b)",
         "unsigned int=u4 f(a:unsigned long=u8, b:long=i8)"},
        {"long long int unsigned f(short signed int)", "unsigned long long=u8 f(:short=i2)"},
        {"signed f(char a, signed char b, char unsigned c)",
         "int=i4 f(a:char=c1, b:signed char=i1, c:unsigned char=u1)"},
        {"_Bool f(bool b)", "_Bool=b1 f(b:bool=b1)"},
        {"float f(double d, double long e)", "float=f4 f(d:double=f8, e:long double=f16[X-])"},
        {"__int128 f(unsigned __int128 x)", "__int128=i16[II] f(x:unsigned __int128=u16[II])"},
        {"_Complex float f(double _Complex z, long double _Complex w)",
         "_Complex float=x8 f(z:_Complex double=x16[SS], w:_Complex long double=x32[XX])"},
        {"_Float128 f(_Float64x x, _Complex _Float128 z)",
         "_Float128=f16[SU] f(x:_Float64x=f16[X-], z:_Complex _Float128=x32[M-])"},
        {"__m128i f(__m256d a, __m64 b)", "__m128i=v16[SU] f(a:__m256d=v32[SU], b:__m64=v8[S-])"},
    };
    CHECK_GOOD(cases);
}

static void pointers_arrays_and_functions(void **state)
{
    static const struct pair cases[] = {
        {"char *f(const char *a, unsigned char const *b, char **c, wchar_t *d)",
         "char *=s f(a:const char *=s, b:const unsigned char *=s, c:char **=p, d:wchar_t *=p)"},
        {"void f(char *const argv[], int fds[2], char name[static 8], int m[3][4])",
         "void=v f(argv:char *const *=p, fds:int *=p, name:char *=s, m:int (*)[4]=p)"},
        {"void qsort(void *base, size_t n, size_t size, int (*compar)(const void *, const void *))",
         "void=v qsort(base:void *=p, n:size_t=u8, size:size_t=u8, compar:int (*)(const void *, "
         "const void *)=p)"},
        {"void f(int (const char *), int g(int), int (h))",
         "void=v f(:int (*)(const char *)=p, g:int (*)(int)=p, h:int=i4)"},
        {"void (*signal(int sig, void (*func)(int)))(int)",
         "void (*)(int)=p signal(sig:int=i4, func:void (*)(int)=p)"},
        {"int (*f(void))[3]", "int (*)[3]=p f()"},
        {"int (f)(int)", "int=i4 f(:int=i4)"},
        {"void f(jmp_buf env, va_list ap, comparison_fn_t c)",
         "void=v f(env:jmp_buf=p, ap:va_list=p, c:comparison_fn_t=p)"},
        {"void f(uint8_t *bytes, uint8_t byte, int8_t *const volatile p)",
         "void=v f(bytes:uint8_t *=p, byte:uint8_t=u1, p:int8_t *const volatile=p)"},
        {"void f(void (*(*x)(int))(char))", "void=v f(x:void (*(*)(int))(char)=p)"},
    };
    CHECK_GOOD(cases);
}

static void names_and_noise(void **state)
{
    static const struct pair cases[] = {
        {"extern ssize_t write(int __fd, const void *__restrict __buf, size_t __n) "
         "__attribute__((nonnull(2))) __asm__(\"write\");",
         "ssize_t=i8 write(fd:int=i4, buf:const void *=p, n:size_t=u8)"},
        {"static inline __attribute__((always_inline)) int __f(int _, int __)",
         "int=i4 __f(_:int=i4, __:int=i4)"},
        {"_Noreturn void f(int a /* first */, // comment\n int b)", "void=v f(a:int=i4, b:int=i4)"},
        {"[[nodiscard]] virtual int ns::Class<int, long>::f(ns::Class<a> &x, T &&y, U *z) const "
         "noexcept",
         "int=i4 ns::Class<int, long>::f(x:ns::Class<a> &=p, y:T &=p, z:U *=p)"},
        {"int ns::f(const std::string &s)", "int=i4 ns::f(s:const std::string &=p)"},
        {"int f()", "int=i4 f() unspecified"},
        {"int f(const char *path, struct stat *buf, ...)",
         "int=i4 f(path:const char *=s, buf:struct stat *=p) ..."},
        {"int f(...)", "int=i4 f() ..."},
        {"int f(int size_t)", "int=i4 f(size_t:int=i4)"},
        {"int f(const char *s, ...) // errno? printf",
         "int=i4 f(s:const char *=s) ...printf errno?"},
        {"int f(int fd, ...); /* errno open */", "int=i4 f(fd:int=i4) ...open errno"},
        {"int f(int fd); // printf is not meant: nothing is variadic", "int=i4 f(fd:int=i4)"},
        {"int f(foo *a, struct bar *b, union u *c, enum nobody_knows d)",
         "int=i4 f(a:foo *=p, b:struct bar *=p, c:union u *=p, d:enum nobody_knows=e4(0))"},
    };
    CHECK_GOOD(cases);
}

static void records_and_enumerations_of_the_data(void **state)
{
    static const struct pair cases[] = {
        {"div_t f(ldiv_t l, struct in_addr a, union sigval v)",
         "div_t=r8/4[I-] f(l:ldiv_t=r16/8[II], a:struct in_addr=r4/4[I-], v:union "
         "sigval=r8/8[I-])"},
        {"struct timespec f(const struct stat s, lldiv_t)",
         "struct timespec=r16/8[II] f(s:const struct stat=r144/8[M-], :lldiv_t=r16/8[II])"},
        {"void f(idtype_t t, enum __rusage_who w, ACTION a)",
         "void=v f(t:idtype_t=E4(4), w:enum __rusage_who=e4(3), a:ACTION=E4(2))"},
    };
    CHECK_GOOD(cases);
}

static void enumerators_have_names_and_values(void **state)
{
    struct gib_prototype *prototype = NULL;
    assert_int_equal(gib_prototype_parse(store, "int f(__rusage_who_t who)", &prototype, NULL), 0);
    const struct gib_type *type = &prototype->parameters[0].type;
    assert_int_equal(type->enumerator_count, 3);
    assert_string_equal(type->enumerators[1].name, "RUSAGE_CHILDREN");
    assert_int_equal(type->enumerators[1].value, -1);
    assert_string_equal(type->enumerators[2].name, "RUSAGE_THREAD");
    assert_int_equal(type->enumerators[2].value, 1);
    gib_prototype_free(prototype);
}

static void errors_say_where_and_what(void **state)
{
    static const struct pair cases[] = {
        {"", "column 1: expected a type, found the end of the declaration"},
        {"   ", "column 4: expected a type, found the end of the declaration"},
        {"{", "column 1: expected a type, found '{'"},
        {"int",
         "column 1: expected the result's type, the function's name and its parameters, as in "
         "'int f(char *)'"},
        {"mkdtemp(char *)", "column 1: expected the result's type, the function's name and its "
                            "parameters, as in 'int f(char *)'"},
        {"int f", "column 6: expected '(' and the parameters, found the end of the declaration"},
        {"int f;", "column 6: expected '(' and the parameters, found ';'"},
        {"int f[3]", "column 9: expected '(' and the parameters, found the end of the declaration"},
        {"int f(", "column 7: expected a type, found the end of the declaration"},
        {"int f(int",
         "column 10: expected the parameter's name, ',' or ')', found the end of the declaration"},
        {"int f(int a", "column 12: expected ',' or ')' behind the parameter, found the end of the "
                        "declaration"},
        {"int f(int a b)", "column 13: expected ',' or ')' behind the parameter, found 'b'"},
        {"int f(int; int)", "column 10: expected the parameter's name, ',' or ')', found ';'"},
        {"int f(int,)", "column 11: expected a type, found ')'"},
        {"int f(..., int)", "column 10: expected ')' behind '...', found ','"},
        {"int f(int) int", "column 12: expected the end of the declaration, found 'int'"},
        {"int f(void); int g(void);",
         "column 14: expected the end of the declaration, found 'int'"},
        {"int f(void x)", "column 7: a parameter cannot be void; a pointer to it can"},
        {"int f(struct)", "column 13: expected the name of the struct, union or enum, found ')'"},
        {"int f(struct { int a; } x)",
         "column 14: expected the name of the struct, union or enum, found '{'"},
        {"unsigned unsigned f()", "column 10: expected each word of a type once, found 'unsigned'"},
        {"int f(long long long x)", "column 17: expected each word of a type once, found 'long'"},
        {"int f(short char x)", "column 7: these words do not make one type together"},
        {"int f(int x, signed _Bool y)", "column 14: these words do not make one type together"},
        {"int f(void)[3]",
         "column 1: a function returns no array and no function, only a pointer to "
         "one"},
        {"jmp_buf f(void)", "column 1: a function returns no array and no function, only a pointer "
                            "to one"},
        {"int f(int (*g)(int)",
         "column 20: expected ',' or ')' behind the parameter, found the end "
         "of the declaration"},
        {"int f(int (*g)(int; int))", "column 19: expected ')', found ';'"},
        {"int f(int a[3)", "column 15: expected ']', found the end of the declaration"},
        {"int f(int /* a)", "column 11: expected the parameter's name, ',' or ')', found '/* a)', "
                            "which does not end"},
        {"int f(\x1b[2J)", "column 7: expected a type, found '\\x1b'"},
        {"int f(foo_t x)",
         "column 7: the type 'foo_t' is not known; write the C type it stands for, "
         "or a pointer to it"},
        {"const foo_t f(int x)",
         "column 7: the type 'foo_t' is not known; write the C type it stands "
         "for, or a pointer to it"},
        {"int f(int a, struct foo x)", "column 14: the members of 'struct foo' are not known, so "
                                       "it cannot be passed by value here; "
                                       "a pointer to it, or debug information, would do"},
        {"int f(DIR d)",
         "column 7: the type 'DIR' is not known; write the C type it stands for, or a "
         "pointer to it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gib_error error = {.message = ""};
        struct gib_prototype *untouched = (struct gib_prototype *)&error, *prototype = untouched;
        int code = gib_prototype_parse(store, cases[i].declaration, &prototype, &error);
        assert_string_equal(error.message, cases[i].expected);
        assert_int_equal(error.code, code);
        bool by_value = strstr(cases[i].expected, "not known") != NULL;
        assert_int_equal(code, by_value ? GIB_E_NOT_FOUND : GIB_E_SYNTAX);
        assert_ptr_equal(prototype, untouched);
        assert_int_equal(gib_prototype_parse(store, cases[i].declaration, &prototype, NULL), code);
    }
}

/* `head`, `count` times `unit`, `tail`. */
static int parse_repeated(const char *head, const char *unit, size_t count, const char *tail,
                          struct gib_prototype **out, struct gib_error *error)
{
    char *text = malloc(strlen(head) + count * strlen(unit) + strlen(tail) + 1);
    char *end = stpcpy(text, head);
    while (count--)
        end = stpcpy(end, unit);
    stpcpy(end, tail);
    int code = gib_prototype_parse(store, text, out, error);
    free(text);
    return code;
}

static void depth_and_length_are_bounded(void **state)
{
    struct gib_error error = {.message = ""};
    struct gib_prototype *prototype = NULL;
    assert_int_equal(parse_repeated("int f(int ", "*", 24, ")", &prototype, &error), 0);
    gib_prototype_free(prototype);
    assert_int_equal(parse_repeated("int f(int ", "*", 25, ")", &prototype, &error), GIB_E_SYNTAX);
    assert_non_null(strstr(error.message, "fewer levels of pointers"));
    assert_int_equal(parse_repeated("int f(int ", "(*", 100000, "x", &prototype, &error),
                     GIB_E_SYNTAX);
    assert_non_null(strstr(error.message, "fewer nested parentheses"));
    assert_int_equal(parse_repeated("int f(int (*g)", "(", 100000, "", &prototype, &error),
                     GIB_E_SYNTAX);
    assert_int_equal(parse_repeated("int f(int", ", int", 126, ")", &prototype, &error), 0);
    assert_int_equal(prototype->parameter_count, 127);
    gib_prototype_free(prototype);
    assert_int_equal(parse_repeated("int f(int", ", int", 127, ")", &prototype, &error),
                     GIB_E_SYNTAX);
    assert_non_null(strstr(error.message, "at most 127 parameters"));
    assert_int_equal(parse_repeated("int f(", "x", 5000, " a)", &prototype, &error),
                     GIB_E_NOT_FOUND);
    assert_true(strlen(error.message) < sizeof error.message);
}

static void without_a_store_there_are_no_typedefs(void **state)
{
    struct gib_error error = {.message = ""};
    struct gib_prototype *prototype = NULL;
    assert_int_equal(gib_prototype_parse(NULL, "int f(FILE *x, long y)", &prototype, &error), 0);
    assert_string_equal(prototype_text(prototype), "int=i4 f(x:FILE *=p, y:long=i8)");
    gib_prototype_free(prototype);
    assert_int_equal(gib_prototype_parse(NULL, "size_t f(void)", &prototype, &error),
                     GIB_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_types_in_any_order),
        cmocka_unit_test(pointers_arrays_and_functions),
        cmocka_unit_test(names_and_noise),
        cmocka_unit_test(records_and_enumerations_of_the_data),
        cmocka_unit_test(enumerators_have_names_and_values),
        cmocka_unit_test(errors_say_where_and_what),
        cmocka_unit_test(depth_and_length_are_bounded),
        cmocka_unit_test(without_a_store_there_are_no_typedefs),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
