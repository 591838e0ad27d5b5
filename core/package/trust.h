/* trust.h: could somebody else have written this directory? For core/package only. */
#ifndef GIBBON_PACKAGE_TRUST_H
#define GIBBON_PACKAGE_TRUST_H

#include "package/internal.h"

/* As gib_package_check (package.h), for a directory itself. GIB_E_NOT_FOUND when it is not there.
 */
int gib_directory_check(const char *path, bool sticky, struct gib_error *error);
#endif
