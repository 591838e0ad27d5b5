/* Functions that the compiler puts into others, around a call that is not. */
#include <stdio.h>

static volatile int sum;

__attribute__((noinline, noclone)) void leaf(int n)
{
    sum += n;
}

#define INLINE static inline __attribute__((always_inline))

INLINE void inner(int n)
{
    leaf(n);
    sum++;
}

INLINE void middle(int n)
{
    for (int i = 0; i < 2; i++) {
        int twice = n * 2 + sum;
        inner(twice);
        sum += twice;
    }
}

__attribute__((noinline, noclone)) void outer(int n)
{
    if (n > 100)
        inner(n); /* never */
    middle(n);
    sum++;
}

int main(int argc, char **argv)
{
    outer(argc);
    inner(argc);
    printf("sum %d\n", sum);
    return 0;
}
