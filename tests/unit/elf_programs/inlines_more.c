/* inlines_more.c: the other unit. */
#include "inlines.h"

/* Elsewhere in this file than in the other one. */


static int same_name(int n)
{
    return n + number;
}

__attribute__((noinline)) int more(int n)
{
    int (*volatile one)(int) = same_name;
    int sum = one(n) + same_name(n);
    return sum + from_header(n); /* HEADER 2 */
}
