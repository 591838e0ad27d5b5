/* Calls that do not go through a function's entry: inlined copies, a clone, another implementation. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "references.h"

int library(int n);

volatile int number = 3;

int add(int a, int b)
{
    return number += a + b;
}

static inline int middle(int n)
{
    return add(n, 1); /* COPY 1 */
}

__attribute__((noinline)) int run(int n)
{
    int sum = add(n, 2); /* COPY 2 */
    return sum + middle(sum);
}

/* Always the same argument: gcc makes a clone without it. */
__attribute__((noinline)) static int fill(int n, int with)
{
    for (int i = 0; i < n; i++)
        number += with ^ i;
    return number;
}

__attribute__((noinline)) int fills(int n)
{
    return fill(n, 42) + fill(n + 1, 42);
}

static int choice_plain(int n)
{
    return number + n;
}

static int choice_other(int n)
{
    return number - n;
}

static int (*choose(void))(int)
{
    extern char **environ;
    return environ ? choice_plain : choice_other;
}

int choice(int n) __attribute__((ifunc("choose")));

/* Code behind a call, which the thread comes back to. */
__attribute__((noinline)) int outer(int n)
{
    int sum = run(n);
    number = sum;
    return sum + 1;
}

int main(int argc, char **argv)
{
    int (*volatile address)(int, int) = add, (*volatile one)(int) = scale, (*volatile filler)(int, int) = fill;
    char text[16];
    volatile size_t size = sizeof text;
    int zero = open("/dev/zero", O_RDONLY);
    if (read(zero, text, argc > 5 ? size + 1 : size) < 0)
        return 1;
    printf("%d %d %d %d %d %d\n", outer(argc), address(1, 2), add(argc, 3), fills(argc) + filler(1, 2), choice(argc), one(argc) + scale(number)); /* COPY 3 */
    printf("%d\n", library(argc));
    return 0;
}
