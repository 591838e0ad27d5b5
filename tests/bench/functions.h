/*
 * functions: what run.sh patches. Each has a twin, plain_NAME, with the same body, that nobody
 * patches.
 */
#ifndef BENCH_FUNCTIONS_H
#define BENCH_FUNCTIONS_H

/* The twins must stay two functions. */
#ifdef __clang__
#define NOT_INLINED __attribute__((noinline, optnone))
#else
#define NOT_INLINED __attribute__((noipa))
#endif

struct point {
    long x, y;
};

/* FUNCTION(name, parameters, result, arguments of the call number i) */
#define EACH_FUNCTION(FUNCTION)                                                                    \
    FUNCTION(two_integers, (long a, long b), a + b, (i, 2))                                        \
    EACH_OTHER_FUNCTION(FUNCTION)
#define EACH_OTHER_FUNCTION(FUNCTION)                                                              \
    FUNCTION(four_integers, (long a, long b, long c, long d), a + b + c + d, (i, 2, 3, 4))         \
    FUNCTION(six_integers, (long a, long b, long c, long d, long e, long f),                       \
             a + b + c + d + e + f, (i, 2, 3, 4, 5, 6))                                            \
    FUNCTION(variadic, (long a, ...), a, (i, 2L))                                                  \
    FUNCTION(text_constant, (const char *s, long b), b, ("sixteen letters", i))                    \
    FUNCTION(text_stack, (const char *s, long b), b, (stack_text, i))                              \
    FUNCTION(text_heap, (const char *s, long b), b, (heap_text, i))                                \
    FUNCTION(traced, (long a, long b), a + b, (i, 2))                                              \
    FUNCTION(counted, (long a, long b), a + b, (i, 2))                                             \
    FUNCTION(disabled, (long a, long b), a + b, (i, 2))                                            \
    FUNCTION(filtered, (long a, long b), a + b, (i, 2))                                            \
    FUNCTION(mocked, (long a, long b), a + b, (i, 2))                                              \
    FUNCTION(replaced, (long a, long b), a + b, (i, 2))                                            \
    FUNCTION(if_false, (long a, long b), a + b, (i, 2))                                            \
    FUNCTION(if_false_counted, (long a, long b), a + b, (i, 2))                                    \
    FUNCTION(if_true, (long a, long b), a + b, (i, 2))                                             \
    FUNCTION(if_stack, (const struct point *p, long b), b, (&stack_point, i))                      \
    FUNCTION(if_heap, (const struct point *p, long b), b, (heap_point, i))                         \
    FUNCTION(if_result, (long a, long b), a + b, (i, 2))                                           \
    FUNCTION(stop_false, (long a, long b), a + b, (i, 2))

#define DECLARE(name, parameters, value, arguments)                                                \
    long name parameters;                                                                          \
    long plain_##name parameters;
EACH_FUNCTION(DECLARE)

#endif
