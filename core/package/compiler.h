/* compiler.h: what compile.c asks of cache.c and run.c. For core/package only. */
#ifndef GIBBON_PACKAGE_COMPILER_H
#define GIBBON_PACKAGE_COMPILER_H

#include "package/internal.h"

/* The directory for compiled packages, mode 0700: $XDG_CACHE_HOME/gibbon, ~/.cache/gibbon, or when
 * neither can be used a new temporary one (*temporary). Malloc'ed; NULL with *error. */
char *gib_cache_directory(bool *temporary, struct gib_error *error);
/* Removes a directory and the files in it. */
void gib_cache_remove(const char *directory);
/* Whether `object` is there and not older than anything that the make rule in `dependencies` says
 * it was made of. */
bool gib_cache_is_fresh(const char *object, const char *dependencies);

/* How a program ended. */
struct gib_run {
    int status;        /* exit status; 128 + signal; -1 when it could not be found out */
    int start_failure; /* errno when it could not be started, else 0 */
    bool timed_out, interrupted;
    char *output; /* both of its streams, at most 64 KiB, malloc'ed; NULL when there was none */
};
/* Runs a program with its input closed, in a process group of its own, and waits. */
void gib_run(char *const *arguments, const struct gib_compile_options *options,
             struct gib_run *run);
#endif
