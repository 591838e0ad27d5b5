/* second.c: a second file of a package; it has an original of its own for the same function. */
#include <gibbon/package.h>
#include <stdlib.h>

static void *second_malloc(size_t size);
GIBBON_WRAP("libc.so.6", malloc, second_malloc);
GIBBON_MOCK("libc.so.6", last, 1);
static void *second_malloc(size_t size)
{
    return GIBBON_ORIGINAL(malloc)(size + 1);
}
