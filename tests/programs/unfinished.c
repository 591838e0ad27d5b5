/* Ends inside calls of its own functions. */
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) int inner(int n)
{
    __asm__ volatile("" : "+r"(n));
    if (n == 3)
        _exit(4);
    return n + 1;
}
__attribute__((noinline)) int outer(int n)
{
    int result = inner(n);
    __asm__ volatile("" : "+r"(result));
    return result;
}
int main(void)
{
    int sum = 0;
    for (int i = 0; i < 5; i++)
        sum += outer(i);
    return sum;
}
