/*
 * lazy_stub.h: calls an IFUNC whose implementation is asked for when it is first called.
 *
 * The dynamic linker calls resolvers while it relocates. A package is mapped while the target is
 * stopped, perhaps inside the dynamic linker, and nothing of the target may run then. So the
 * package gets the address of a stub, whose first call asks the resolver.
 *
 * Pure computation, but for gib_lazy_vectors, which asks the processor.
 */
#ifndef GIBBON_LAZY_STUB_H
#define GIBBON_LAZY_STUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How vector registers, in which arguments may be, are kept while the resolver runs. */
struct gib_lazy_vectors {
    uint32_t mask; /* of XSAVE, the low half; 0: by FXSAVE */
    uint32_t size; /* bytes of memory that takes, a multiple of 64 */
};
/* For this machine. */
struct gib_lazy_vectors gib_lazy_vectors(void);

enum {
    GIB_LAZY_STUB = 32,  /* bytes of each stub; stub i is at address + GIB_LAZY_HEAD + 32 i */
    GIB_LAZY_HEAD = 256, /* bytes of the code that they share, before them */
    GIB_LAZY_CELL = 16,  /* bytes of each cell: where the stub leads to, and the resolver */
};

/*
 * Writes the shared code and `count` stubs, GIB_LAZY_HEAD + count * GIB_LAZY_STUB bytes that will
 * lie at `address`, and what their cells, which must be writable, hold at first: two words for
 * each, to lie at `cells`. False when they are more than 2 GiB apart.
 */
bool gib_lazy_stubs(uint64_t address, uint64_t cells, const struct gib_lazy_vectors *vectors,
                    const uint64_t *resolver, size_t count, uint8_t *code, uint64_t *cell);
#endif
