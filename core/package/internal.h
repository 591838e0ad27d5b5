/* internal.h: what the files of core/package share. */
#ifndef GIBBON_PACKAGE_INTERNAL_H
#define GIBBON_PACKAGE_INTERNAL_H

#include "package/package.h"

/* Fills *error and returns its code. */
__attribute__((format(printf, 3, 4))) int gib_package_fail(struct gib_error *error, int code,
                                                           const char *format, ...);

/* The end of a long path, which tells files apart: it has to fit a message. */
static inline const char *gib_shown_path(const char *path)
{
    size_t length = __builtin_strlen(path);
    return length > 120 ? path + length - 120 : path;
}

/* `text` with "~" or "~user" in front expanded, and behind `directory` (NULL: the working
 * directory) when it is relative. Malloc'ed; NULL when out of memory. */
char *gib_package_expand(const char *directory, const char *text);

/* $variable if it is an absolute path, else ~/`fallback`; `below` is added to either. Malloc'ed,
 * NULL when there is neither. */
char *gib_user_directory(const char *variable, const char *fallback, const char *below);

#define GIB_PACKAGE_COUNT(array) (sizeof(array) / sizeof(*(array)))
#endif
