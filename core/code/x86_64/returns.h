/* returns.h: where a function returns. Pure. */
#ifndef GIBBON_RETURNS_H
#define GIBBON_RETURNS_H

#include <stddef.h>
#include <stdint.h>

/* Offsets of up to `max` return instructions of a function, by linear decoding; how many were
 * found. 0 also when it leaves by a jump out of itself, so that not every way out would be seen. */
size_t gib_find_returns(const uint8_t *code, size_t size, uint16_t *offsets, size_t max);

#endif
