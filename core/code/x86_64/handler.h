/*
 * handler.h: what the agent needs to run one C function for all calls of another, of any type.
 * Pure: libffi prepares the calls here, with the addresses of the target.
 */
#ifndef GIBBON_HANDLER_H
#define GIBBON_HANDLER_H

#include <stddef.h>
#include <stdint.h>
#include "gibbon/relocate.h" /* struct gib_error */
#include "prototypes/prototype.h"

struct gib_handler_request {
    uint64_t address; /* where the bytes will be, a multiple of 16 */
    const struct gib_prototype *prototype;
    bool method;                   /* its first parameter is `this` */
    const char *function, *module; /* as the handler is told */
    uint64_t handler, original;    /* addresses: the user's function, and what is below the patch */
    uint64_t shared;
    uint64_t handle, call_original, go_closure, go_closure_sse; /* the agent's */
};

struct gib_handler_code {
    uint8_t *bytes; /* free() */
    size_t size;
    size_t stub, stub_size; /* where calls go to, in bytes[] */
};

/* 0, or GIB_E_CALL with a sentence without its end, of the form "its parameter 2, __m256, is
 * a vector"; GIB_E_MEMORY. */
int gib_handler_make(const struct gib_handler_request *request, struct gib_handler_code *out,
                     struct gib_error *error);

#endif
