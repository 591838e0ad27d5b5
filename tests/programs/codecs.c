/* codecs.c: calls a library's functions; with LATE its own, before and after another library is loaded. */
#include <dlfcn.h>
#include <stdio.h>

#ifdef LATE
__attribute__((noinline)) int own(int n)
{
    printf("own %d\n", n);
    return n;
}
int main(void)
{
    own(1);
    void *library = dlopen(LATE, RTLD_NOW);
    own(1);
    return !library;
}
#else
int encode(int), decode(int), only(int);
int main(void)
{
    return encode(1) + decode(2) + only(3) != 6;
}
#endif
