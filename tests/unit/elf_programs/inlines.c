/* inlines.c: functions that compilers put into others, and keep. */
#include "inlines.h"

volatile int number = 3;

int more(int n);

int add(int a, int b)
{
    return number += a + b;
}

/* There is one of this name in the other unit, too. */
static int same_name(int n)
{
    return n ^ number;
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

__attribute__((noinline)) int called_only(int n)
{
    return n / number;
}

int main(int argc, char **argv)
{
    int (*volatile address)(int, int) = add, (*volatile one)(int) = same_name;
    int (*volatile header)(int) = from_header;
    int sum = address(1, 2) + one(3) + header(4) + run(argc) + called_only(argc) + more(argc);
    sum += add(argc, 3);       /* COPY 3 */
    sum += same_name(argc);    /* OWN */
    sum += from_header(argc);  /* HEADER 1 */
    return sum;
}
