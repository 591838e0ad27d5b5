/* mentions.h: what a function's instructions speak of. Pure. */
#ifndef GIBBON_MENTIONS_H
#define GIBBON_MENTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Addresses that the function at `address` forms as values, relative to itself or as plain numbers:
 * up to `max`, each once. Any number counts; the caller knows which are functions. */
size_t gib_find_values(const uint8_t *code, size_t size, uint64_t address, uint64_t *values,
                       size_t max);

/* Whether it asks the kernel itself. */
bool gib_has_syscall(const uint8_t *code, size_t size);

/* Whether the bytes that end at code + size are a call, so that what is behind them may be a return
 * address. */
bool gib_ends_in_call(const uint8_t *code, size_t size);

#endif
