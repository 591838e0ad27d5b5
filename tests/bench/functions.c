/*
 * The bodies are all alike: long enough for any detour. With BENCH_TRACEPOINTS two_integers() has
 * LTTng-UST's two events in it, as a program's author would write them.
 */
#include "functions.h"

#define BODY(name, parameters, value, arguments)                                                   \
    NOT_INLINED __attribute__((aligned(64))) long name parameters                                  \
    {                                                                                              \
        long result = value;                                                                       \
        __asm__ volatile("nop; nop; nop; nop; nop" : "+r"(result));                                \
        return result;                                                                             \
    }
#define TWIN(name, parameters, value, arguments) BODY(plain_##name, parameters, value, arguments)

EACH_FUNCTION(TWIN)
EACH_OTHER_FUNCTION(BODY)

#ifndef BENCH_TRACEPOINTS
BODY(two_integers, (long a, long b), a + b, )
#else
#include "tracepoints.h"
NOT_INLINED __attribute__((aligned(64))) long two_integers(long a, long b)
{
    lttng_ust_tracepoint(bench, entry, a, b);
    long result = a + b;
    __asm__ volatile("nop; nop; nop; nop; nop" : "+r"(result));
    lttng_ust_tracepoint(bench, leave, result);
    return result;
}
#endif
