/*
 * mock.h: code that returns a value in place of a function. Pure.
 */
#ifndef GIBBON_MOCK_H
#define GIBBON_MOCK_H

#include <stddef.h>
#include <stdint.h>
#include "gibbon/relocate.h" /* struct gib_error */
#include "prototypes/prototype.h"

enum { GIB_MOCK_VALUE = 128 }; /* bytes of the largest value */

struct gib_mock_request {
    uint64_t address;              /* where the code will run */
    const struct gib_type *type;   /* of the result; NULL: not known, an integer register */
    uint8_t value[GIB_MOCK_VALUE]; /* as it would be in memory; integers are extended to 8 bytes */
    int32_t error_number;          /* 0: errno stays as it is */
    uint64_t errno_location; /* address of a word with the address of __errno_location, or with 0 */
};

#define GIB_MOCK_MAX 768 /* with the value in the last GIB_MOCK_VALUE bytes */

/* 0, code[] whole, the first *size bytes of which are instructions; or GIB_E_UNSUPPORTED: such a
 * result cannot be made. */
int gib_mock_make(const struct gib_mock_request *request, uint8_t code[GIB_MOCK_MAX], size_t *size,
                  struct gib_error *error);

#endif
