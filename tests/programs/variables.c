/* Variables for conditions: one that an optimising compiler keeps none of, of a name that libc has for a function. */
#include <stdio.h>

static long glob = 5;
static long kept = 1;

__attribute__((noinline)) long step(int n)
{
    __asm__ volatile("" : "+r"(n) : : "memory");
    kept += n;
    return n + glob;
}

int main(void)
{
    long sum = 0;
    for (int i = 0; i < 10; i++)
        sum += step(i);
    printf("%ld %ld\n", sum, kept);
    return 0;
}
