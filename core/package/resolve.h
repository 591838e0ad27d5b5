/*
 * resolve.h: the symbols that a package's object needs, found in the modules of a process.
 *
 * Reads files only. Which module's definition wins is decided by the order of the scope, as in the
 * dynamic linker; nothing of the target's own tables is used, so it also works before the target's
 * libraries are relocated.
 */
#ifndef GIBBON_PACKAGE_RESOLVE_H
#define GIBBON_PACKAGE_RESOLVE_H

#include "elf/modules.h"
#include "package/image.h"

struct gib_scope {
    struct gib_module **module; /* with an elf, not gone; the first that defines a name wins */
    size_t count;
    bool is_static; /* a static program: it has no libraries, and its versions do not count */
};

/*
 * Fills all needs of the object with addresses in the target. Returns 0; GIB_E_NOT_FOUND with one
 * sentence that names every library (DT_NEEDED) that no module of the scope is, or every symbol
 * that none defines; GIB_E_UNSUPPORTED when one is a thread-local variable. `name` is the object's,
 * for the sentence. Hold gib_modules_lock.
 */
int gib_object_resolve(struct gib_object *object, const char *name, const struct gib_scope *scope,
                       struct gib_error *error);
#endif
