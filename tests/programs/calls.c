/* Calls work() as often as the argument says; prints how often it ran, so that a log can be compared with the truth. */
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) long work(int i, unsigned long twice)
{
    static volatile long calls;
    calls = calls + 1;
    return i % 2 ? -calls : calls + (long)twice - 2 * i;
}
__attribute__((noinline)) void between(int i) { __asm__ volatile("" : : "r"(i)); }
__attribute__((noinline)) void other(void) { work(-1, (unsigned long)-2); }

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 10;
    long last = 0;
    for (int i = 0; i < n; i++) {
        if (i == n / 2)
            between(i);
        last = work(i, 2ul * i);
    }
    printf("%d calls, last %ld\n", n, last);
    return argc > 2 ? atoi(argv[2]) : 0;
}
