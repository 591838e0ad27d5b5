/* passed.c: functions that hand stack arguments on without looking at them. Built with -O2. */
#include <stdio.h>
#include <stdlib.h>

#define EIGHT long a, long b, long c, long d, long e, long f, long g, long h
#define EIGHT_HERE a, b, c, d, e, f, g, h

__attribute__((noinline, noclone)) long take(EIGHT)
{
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 1000 * g + 100000 * h;
}

__attribute__((noinline, cold)) void complain(long g, long h)
{
    printf("complain %ld %ld\n", g, h);
}

long (*volatile hook)(EIGHT) = take;

__attribute__((noinline, noclone)) long pass(EIGHT)
{
    return take(EIGHT_HERE);
}

__attribute__((noinline, noclone)) long pass_indirect(EIGHT)
{
    return hook(EIGHT_HERE);
}

/* The part that looks at them is somewhere else. */
__attribute__((noinline, noclone)) long pass_to_cold(EIGHT)
{
    if (__builtin_expect(a < 0, 0))
        complain(g, h);
    return b + c + d + e + f;
}

int main(void)
{
    printf("%ld\n", take(1, 2, 3, 4, 5, 6, 7, 8));
    printf("%ld\n", pass(1, 2, 3, 4, 5, 6, 7, 8));
    printf("%ld\n", pass_indirect(1, 2, 3, 4, 5, 6, 7, 8));
    printf("%ld\n", pass_to_cold(-1, 2, 3, 4, 5, 6, 7, 8));
    return 0;
}
