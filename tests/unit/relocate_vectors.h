/*
 * Vectors for the x86-64 relocator, one per row X1..X118 of the catalogue of cases that can be seen
 * in bytes, then some of our own. Read by test_relocate.c, which compares bytes, and by
 * test_relocate_oracle.c, which runs them.
 *
 * `copy` is written in hex bytes and these words (N is an offset in hex):
 *   @N    rel32 to the original's byte N          ^N    rel32 to the copy's byte N
 *   @N/k  the same, with k bytes of immediate behind the field
 *   =N    eight bytes, the address of the original's byte N
 *   back  the jump back: e9 and rel32 to the first byte not displaced
 *
 * `map` lists the boundaries as original:copy in hex, the end included.
 */
#ifndef GIBBON_TESTS_RELOCATE_VECTORS_H
#define GIBBON_TESTS_RELOCATE_VECTORS_H

#include "gibbon/relocate.h"

enum vector_place {
    NEAR, /* the copy is 64 KiB above the original */
    FAR,  /* and here out of reach of any rel32 */
};

struct relocate_vector {
    const char *name, *original;
    size_t min_bytes;
    enum vector_place place;
    const char *copy, *map;
    int refused;      /* the GIB_E_ code instead of a copy */
    const char *says; /* part of the message, when refused */
};

#define VECTOR_FROM 0x7f0000401000ULL
#define VECTOR_NEAR (VECTOR_FROM + 0x10000)
#define VECTOR_FAR  (VECTOR_FROM + 0x10000000000ULL)

#define COPY(name, original, min, copy, map)                                                       \
    {                                                                                              \
        name, original, min, NEAR, copy, map, 0, NULL                                              \
    }
#define DISTANT(name, original, min, copy, map)                                                    \
    {                                                                                              \
        name, original, min, FAR, copy, map, 0, NULL                                               \
    }
#define REFUSED(name, original, min, code, says)                                                   \
    {                                                                                              \
        name, original, min, NEAR, NULL, NULL, code, says                                          \
    }
#define REFUSED_FAR(name, original, min, code, says)                                               \
    {                                                                                              \
        name, original, min, FAR, NULL, NULL, code, says                                           \
    }

/* Of the catalogue, and others; each ends with one that has no name. */
extern const struct relocate_vector relocate_vectors[], relocate_more_vectors[];
/* Both lists as one; NULL behind the last. */
const struct relocate_vector *relocate_vector(size_t index);

/* Hex bytes of `text` into `bytes`; returns how many. */
size_t vector_bytes(const char *text, uint8_t *bytes, size_t size);
uint64_t vector_to(const struct relocate_vector *vector);

#endif
