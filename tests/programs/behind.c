/* A function whose last instruction is a call that does not return, another right behind it, and that one's address on the stack. */
#include <stdio.h>
#include <stdlib.h>

static void __attribute__((noreturn)) fatal(void)
{
    exit(3);
}
int risky(int n)
{
    printf("%d\n", n);
    fatal();
}
int work(int n)
{
    return n + 1;
}

int main(void)
{
    int (*volatile callee)(int) = work;
    if (callee(0) > 1)
        return risky(1);
    printf("%d\n", callee(1));
    return 0;
}
