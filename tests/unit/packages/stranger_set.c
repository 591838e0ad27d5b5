/* stranger_set.c: a set with a function that the package does not patch. */
#include <gibbon/package.h>

GIBBON_MOCK("libc.so.6", getpid, 7);
GIBBON_SET("all", getpid, getppid);
