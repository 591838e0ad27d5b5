/* Ends inside last(). */
#include <stdlib.h>
__attribute__((noinline)) int inner(int n) { return n + 1; }
__attribute__((noinline)) void last(int n)
{
    getenv("BEFORE");
    if (inner(n))
        exit(0);
}
int main(void)
{
    last(1);
    return 1;
}
