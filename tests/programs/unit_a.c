#include <stdio.h>
int call_b(int n);
static __attribute__((noinline)) int local(int n) { __asm__ volatile("" : "+r"(n)); return n + 1; }
int main(void)
{
    printf("%d %d\n", local(1), call_b(2));
    return 0;
}
