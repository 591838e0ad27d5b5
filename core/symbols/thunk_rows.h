/*
 * thunk_rows.h: unwind information for generated code, worked out from the code itself.
 */
#ifndef GIBBON_THUNK_ROWS_H
#define GIBBON_THUNK_ROWS_H

#include "elf/cfi_copy.h"

/* What was found out about code of one shape. */
struct gib_thunk_shape {
    uint8_t *code, *varies; /* varies[i]: byte i differs from thunk to thunk */
    size_t size;
    struct gib_buffer fde;   /* instructions of the FDE */
    struct gib_buffer calls; /* uint32_t: offsets of the calls that leave the thunk, rising */
};

enum { GIB_THUNK_SHAPES = 64 };
struct gib_thunk_shapes {
    struct gib_thunk_shape shape[GIB_THUNK_SHAPES]; /* those seen last */
    size_t next;
};
void gib_thunk_shapes_free(struct gib_thunk_shapes *shapes);

/*
 * The CIE of all thunks, and the shape of one, which belongs to `shapes` and stays valid until the
 * next call. NULL when the code does something with rsp or rbp that is not understood.
 */
void gib_thunk_cie(struct gib_buffer *cie);
const struct gib_thunk_shape *gib_thunk_rows(struct gib_thunk_shapes *shapes, const uint8_t *code,
                                             size_t size);
#endif
