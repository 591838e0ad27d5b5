/* wrong_types.c: each of these must not compile. WRONG tells which. */
#include <gibbon/package.h>
#include <stdlib.h>

#if WRONG == 1
static char *wrapper(const char *name);
GIBBON_WRAP("libc.so.6", mkdtemp, wrapper);
static char *wrapper(const char *name)
{
    return 0;
}
#elif WRONG == 2
static void handler(int number)
{
}
GIBBON_HANDLER("libc.so.6", mkdtemp, handler);
#elif WRONG == 3
static char *wrapper(char *name);
GIBBON_WRAP("libc.so.6", mkdtemp, wrapper);
static char *wrapper(char *name)
{
    return GIBBON_ORIGINAL(mkdtemp)(name, 1);
}
#elif WRONG == 4
static int hook(void)
{
    return 0;
}
GIBBON_ON_LOAD("libc.so.6", hook);
#elif WRONG == 5
static int replacement(char *name)
{
    return 0;
}
GIBBON_REPLACE("libc.so.6", mkdtemp, replacement);
#else
static char *wrapper(char *name);
GIBBON_WRAP("libc.so.6", mkdtemp, wrapper);
static char *wrapper(char *name)
{
    return GIBBON_ORIGINAL(mkdtemp)(name);
}
#endif
