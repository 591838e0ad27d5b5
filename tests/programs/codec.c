/* codec.c: a library that says who it is. */
#include <stdio.h>

int encode(int n)
{
    printf("%s encode %d\n", NAME, n);
    return n;
}
int decode(int n)
{
    printf("%s decode %d\n", NAME, n);
    return n;
}
#ifndef FAST
int only(int n)
{
    printf("%s only %d\n", NAME, n);
    return n;
}
#else
int encode_number(int n)
{
    printf("%s %d\n", NAME, n);
    return n;
}
#endif
