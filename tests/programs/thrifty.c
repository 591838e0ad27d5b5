/* thrifty.c: a caller that may know which registers a function leaves alone, and a function of the same type that uses all of them. */
#include <stdio.h>

#define NOINLINE __attribute__((noinline, noclone))
static volatile int one = 1;
static const char *who;

static NOINLINE int thrifty(int n)
{
    who = "thrifty";
    return n + one;
}
NOINLINE int greedy(int n)
{
    int result = n + one;
    who = "greedy";
    __asm__ volatile("mov $-1, %%rcx; mov %%rcx, %%rdx; mov %%rcx, %%rsi; mov %%rcx, %%rdi; mov %%rcx, %%r8; mov %%rcx, %%r9; mov %%rcx, %%r10; mov %%rcx, %%r11\n"
                     "pcmpeqd %%xmm0, %%xmm0; movdqa %%xmm0, %%xmm1; movdqa %%xmm0, %%xmm2; movdqa %%xmm0, %%xmm7; movdqa %%xmm0, %%xmm15"
                     : : : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm7", "xmm15");
    return result;
}

/* Eight numbers and a sum in floating point live across the call. */
NOINLINE static long work(long a, long b, long c, long d, long e, long f)
{
    double x = (double)a * one;
    long g = a * one + 3, h = b * one + 4;
    int n = thrifty(999 * one);
    return n + a + b + c + d + e + f + g + h + (long)x - one;
}

int main(void)
{
    long sum = work(1, 2, 3, 4, 5, 6);
    if (sum > 5000 || !greedy)
        who = "nobody";
    printf("%s %ld\n", who, sum + 2);
    return 0;
}
