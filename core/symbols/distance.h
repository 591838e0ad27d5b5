/* distance.h: how alike two names are, for "Did you mean". */
#ifndef GIBBON_DISTANCE_H
#define GIBBON_DISTANCE_H

/* How many characters must be put in, taken out, replaced or exchanged with their neighbour; at
 * most `limit`, limit + 1 when it is larger or a name is longer than 64 bytes. */
unsigned gib_name_distance(const char *a, const char *b, unsigned limit);
#endif
