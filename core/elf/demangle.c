/*
 * demangle.c: symbol names as people write them.
 */
#include <stdlib.h>
#include "elf/file.h"

/* libstdc++'s; <cxxabi.h> is for C++ only. */
extern char *__cxa_demangle(const char *name, char *buffer, size_t *size, int *status);

char *gib_elf_demangle(const char *name)
{
    char *demangled = NULL;
    /* Without the prefix __cxa_demangle would take "i" for the type int. */
    if (!strncmp(name, "_Z", 2))
        demangled = __cxa_demangle(name, NULL, NULL, NULL);
    return demangled ? demangled : strdup(name);
}
