/* errno.c: the names of errors, errno(3). */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "prototypes/prototype.h"

int gib_errno_number(const char *name)
{
    enum { LAST = 4095 }; /* the kernel's MAX_ERRNO */
    char *end;
    long number = strtol(name, &end, 10);
    if (isdigit((unsigned char)*name))
        return *end == '\0' && number <= LAST ? (int)number : -1;
    for (int i = 1; i < 256; i++) {
        const char *known = strerrorname_np(i);
        if (known && !strcmp(known, name))
            return i;
    }
    /* Second names of the same numbers; strerrorname_np knows one of each. */
    static const struct {
        const char *name;
        int number;
    } others[] = {{"EWOULDBLOCK", EWOULDBLOCK},
                  {"EDEADLOCK", EDEADLOCK},
                  {"ENOTSUP", ENOTSUP},
                  {"EOPNOTSUPP", EOPNOTSUPP}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(others[i].name, name))
            return others[i].number;
    return -1;
}
