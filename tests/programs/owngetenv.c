/* Has a getenv of its own, as bash does; asks libc's as well. */
#include <dlfcn.h>
#include <stddef.h>
__attribute__((noinline)) char *getenv(const char *name)
{
    static char mine[] = "mine";
    return *name ? mine : NULL;
}
int main(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW);
    char *(*other)(const char *) = (char *(*)(const char *))dlsym(libc, "getenv");
    return getenv("MINE") == NULL || other("GIBBON_NOT_SET") != NULL;
}
