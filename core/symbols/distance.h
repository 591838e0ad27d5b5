/* distance.h: names in sentences: how alike two are, for "Did you mean", and long ones. */
#ifndef GIBBON_DISTANCE_H
#define GIBBON_DISTANCE_H

#include <stdbool.h>
#include <stddef.h>

/* How many characters must be put in, taken out, replaced or exchanged with their neighbour; at
 * most `limit`, limit + 1 when it is larger or a name is longer than 64 bytes. */
unsigned gib_name_distance(const char *a, const char *b, unsigned limit);

/* Whether `candidate` may be what was meant by `name`, more than all before it. *best is how far
 * the best so far is; UINT_MAX: there is none. */
bool gib_name_is_nearer(const char *name, const char *candidate, unsigned *best);

/* A name for a sentence: one of more than 60 bytes without those in its middle, "..." in their
 * place. Returns `out`. */
enum { GIB_SHORT_NAME = 64 };
const char *gib_name_shorten(const char *name, char out[GIB_SHORT_NAME]);
/* The same of `length` bytes. */
const char *gib_text_shorten(const char *text, size_t length, char out[GIB_SHORT_NAME]);
#endif
