/*
 * mock_value.h: the value of a mock, from what the user typed and the type of the result. Pure.
 */
#ifndef GIBBON_MOCK_VALUE_H
#define GIBBON_MOCK_VALUE_H

#include <stddef.h>
#include <stdint.h>
#include "gibbon/relocate.h" /* struct gib_error */
#include "prototypes/prototype.h"

struct gib_mock_value {
    uint8_t bytes[128];
    char *text; /* the result points to this text, of `text_size` bytes; malloc'ed, or NULL */
    size_t text_size;
};

/*
 * -1, 0x1f, 017, 'c', 2.5, NULL, true, "text", NAME of an enumerator, {1, 2.5} for a structure;
 * nothing for void. `type` NULL: not known, an integer. 0, or GIB_E_SYNTAX with a sentence.
 */
int gib_mock_value_parse(const char *text, const struct gib_type *type, struct gib_mock_value *out,
                         struct gib_error *error);

/* " -errno EACCES". Malloc'ed, NULL: out of memory. */
char *gib_errno_option(int number);

#endif
