/* work() begins with several short instructions, optimised or not: it has registers to save. */
#include <stdio.h>
#include <stdlib.h>

static volatile int sink;
__attribute__((noinline)) void between(int i) { sink = i; __asm__ volatile("" ::: "memory"); }

__attribute__((noinline)) long work(int i, unsigned long twice)
{
    static long calls;
    between(i);
    calls++;
    between((int)twice);
    return calls + i - (long)twice / 2;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 10;
    long last = 0;
    for (int i = 0; i < n; i++)
        last = work(i, 2ul * i);
    printf("%d calls, last %ld\n", n, last);
    return 0;
}
