/*
 * hash.c: strings to numbers, open addressing. Several numbers may have the same key.
 */
#include <stdlib.h>
#include "elf/file.h"

bool gib_hash_create(struct gib_hash *hash, size_t capacity)
{
    size_t slots = 16;
    while (slots < capacity * 2)
        slots *= 2;
    hash->slots = calloc(slots, sizeof *hash->slots);
    hash->hashes = calloc(slots, sizeof *hash->hashes);
    hash->mask = slots - 1;
    if (hash->slots && hash->hashes)
        return true;
    gib_hash_free(hash);
    return false;
}

void gib_hash_free(struct gib_hash *hash)
{
    free(hash->slots);
    free(hash->hashes);
    memset(hash, 0, sizeof *hash);
}

uint32_t gib_hash_of(const char *text, size_t size)
{
    uint64_t value = size;
    for (; size >= 8; text += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        value = (value ^ word) * 0x9e3779b97f4a7c15ULL;
        value ^= value >> 29;
    }
    for (; size; text++, size--)
        value = (value ^ (uint8_t)*text) * 0x100000001b3ULL;
    value *= 0x9e3779b97f4a7c15ULL;
    return value >> 32;
}

void gib_hash_add(struct gib_hash *hash, uint32_t key, uint32_t number)
{
    size_t slot = key & hash->mask;
    while (hash->slots[slot])
        slot = (slot + 1) & hash->mask;
    hash->slots[slot] = number + 1;
    hash->hashes[slot] = key;
}

bool gib_hash_next(const struct gib_hash *hash, uint32_t key, size_t *cursor, uint32_t *number)
{
    if (!hash->slots)
        return false;
    for (size_t slot = *cursor & hash->mask; hash->slots[slot]; slot = (slot + 1) & hash->mask) {
        if (hash->hashes[slot] != key)
            continue;
        *number = hash->slots[slot] - 1;
        *cursor = (slot + 1) & hash->mask;
        return true;
    }
    return false;
}
