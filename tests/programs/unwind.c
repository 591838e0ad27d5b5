/* Functions that differ in how they begin and in how they are patched. */
#include <stdio.h>
#include <stdlib.h>

#define OWN __attribute__((noinline, noclone))
static volatile long sum;

OWN void helper(int n) { sum += n; }
/* Optimised, the first thing it does is a call. */
OWN void outer(void)
{
    helper(1);
    sum += 2;
}
/* By its name, one that returns twice. */
OWN int savectx(int n)
{
    sum += n;
    return (int)sum;
}
OWN int counted(int n) { return n + (int)sum; }
OWN int skipped(int n) { return n - (int)sum; }
OWN long many(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j)
{
    sum += a - j;
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j;
}
/* Saves registers of its caller. */
OWN long saver(long n)
{
    long a = sum, b = n, c = a * b;
    for (long i = 0; i < n; i++) {
        helper((int)i);
        c += a ^ b;
        a += b - c;
    }
    return a + b + c;
}

int main(int argc, char **argv)
{
    long total = 0;
    for (int i = 0; i < 2; i++) {
        outer();
        total += savectx(argc);
        total += counted(i);
        total += skipped(i);
        total += many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
        total += saver(3);
    }
    printf("total %ld\n", total);
    return 0;
}
