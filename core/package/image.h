/*
 * image.h: how a package's shared object comes to lie in a target, planned without touching one.
 *
 * A package is not dlopened: that would run its constructors, take locks of the loader, and is
 * impossible inside malloc, inside a load notification and in a static program. So the engine does
 * the dynamic linker's work itself. This file reads the object and says what to map and what to
 * write; resolve.h finds the symbols; core/engine/load.c carries it out.
 *
 * Pure computation on bytes and addresses. The bytes are taken for hostile: whatever does not fit
 * is refused with a sentence. "vaddr" is an address of the file, before the load bias is added.
 */
#ifndef GIBBON_PACKAGE_IMAGE_H
#define GIBBON_PACKAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gibbon/relocate.h" /* struct gib_error */

/* One mapping, in whole pages. */
struct gib_object_segment {
    uint64_t vaddr;       /* page-aligned */
    uint64_t file_offset; /* page-aligned */
    uint64_t file_size;   /* bytes to map from the file, whole pages; 0: none */
    uint64_t memory_size; /* whole pages; what is more than file_size is anonymous memory */
    uint64_t data_end;    /* where the file's own bytes end */
    uint64_t zero_size;   /* bytes from data_end to the end of its page that must be cleared */
    bool readable, writable, executable;
};

/* Something that relocations refer to. */
struct gib_object_need {
    const char *name;    /* in the object's bytes; NULL: an IFUNC of the object itself */
    const char *version; /* the one asked for, NULL: the default one */
    bool weak;           /* may be missing: its address is 0 then */
    /* Filled by gib_object_read for what the object defines itself, else by the resolver. */
    bool defined;
    bool own;   /* `value` is a vaddr */
    bool ifunc; /* `value` is the resolver, not the function */
    uint64_t value;
};

/* One of eight bytes, sorted by vaddr. */
struct gib_object_relocation {
    uint64_t vaddr;
    uint32_t need;   /* index, or GIB_NO_NEED: the load bias */
    uint64_t addend; /* what is added */
    uint64_t before; /* the eight bytes as the file has them */
};
#define GIB_NO_NEED UINT32_MAX

struct gib_object {
    const uint8_t
        *bytes; /* borrowed from the caller of gib_object_read, for as long as this lives */
    size_t size;
    struct gib_object_segment *segments; /* by vaddr, not overlapping */
    size_t segment_count;
    uint64_t low, span;         /* all segments lie in the vaddrs [low, low + span), whole pages */
    uint64_t align;             /* of the load bias: a power of two, a page at least */
    uint64_t relro, relro_size; /* to be made read-only when all is written, whole pages; 0: none */
    uint64_t frames;            /* vaddr of .eh_frame_hdr, 0: none */
    uint32_t frame_count;       /* entries of its search table when that is the usual one, else 0 */
    const char *soname;         /* NULL: none */
    const char **needed;        /* names of libraries */
    size_t needed_count;
    struct gib_object_need *needs;
    size_t need_count;
    struct gib_object_relocation *relocations;
    size_t relocation_count;
};

/*
 * Reads an x86-64 shared object. Returns 0, or a GIB_E_ code and a sentence that begins with
 * `name`: GIB_E_FILE, it is damaged or something else; GIB_E_UNSUPPORTED, it needs what only the
 * dynamic linker can give: thread-local storage, constructors, text relocations, copies. The caller
 * frees *out with gib_object_free; `bytes` must outlive it.
 */
int gib_object_read(const uint8_t *bytes, size_t size, const char *name, struct gib_object **out,
                    struct gib_error *error);
void gib_object_free(struct gib_object *object);

/* The vaddr of a symbol that the object defines, exported or not; false when there is none. */
bool gib_object_symbol(const struct gib_object *object, const char *name, uint64_t *vaddr);

/* How many needs are IFUNCs. Each takes a lazy stub (code/x86_64/lazy_stub.h). */
size_t gib_object_stubs(const struct gib_object *object);

/* What one relocation makes of its eight bytes. `stubs` holds the address of the stub of each need
 * that is an IFUNC, by the need's index; NULL when there is none. */
uint64_t gib_object_value(const struct gib_object *object,
                          const struct gib_object_relocation *relocation, uint64_t bias,
                          const uint64_t *stubs);
#endif
