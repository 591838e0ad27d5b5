/* Calls f() again and again, and tells between() what came of it. */
#include <stdlib.h>

int last;

__attribute__((noinline)) int f(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}
__attribute__((noinline)) int g(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n + 1000;
}
__attribute__((noinline)) void between(void)
{
    __asm__ volatile("" : : : "memory");
}
int main(int argc, char **argv)
{
    for (int i = 0; i < (argc > 1 ? atoi(argv[1]) : 1000000); i++) {
        last = f(1);
        between();
    }
    return g(-1000);
}
