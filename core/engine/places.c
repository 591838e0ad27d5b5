/*
 * places.c: which sites use bytes near an address, without a look at all of them: ten thousand
 * functions are patched at once.
 *
 * A hash table of pages; a site is in it for each page that its window or its island touches.
 */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_BITS = 12, NONE = UINT32_MAX };

static size_t bucket_of(const struct gib_places *places, uint64_t page)
{
    return (size_t)((page * 0x9e3779b97f4a7c15ull) >> 32) & (places->bucket_count - 1);
}

static void link_place(struct gib_places *places, uint32_t index)
{
    size_t bucket = bucket_of(places, places->place[index].page);
    places->place[index].next = places->bucket[bucket];
    places->bucket[bucket] = index;
}

static bool grow(struct gib_places *places)
{
    size_t room = places->room ? 2 * places->room : 64;
    struct gib_place *place = realloc(places->place, room * sizeof *place);
    if (!place)
        return false;
    places->place = place;
    uint32_t *bucket = malloc(room * sizeof *bucket);
    if (!bucket)
        return false;
    free(places->bucket);
    places->bucket = bucket;
    places->room = places->bucket_count = room;
    memset(bucket, 0xff, room * sizeof *bucket); /* NONE */
    for (uint32_t i = 0; i < places->count; i++)
        link_place(places, i);
    return true;
}

bool gib_places_add(struct gib_places *places, uint64_t address, size_t size, uint32_t site)
{
    for (uint64_t page = address >> PAGE_BITS; page <= (address + size - 1) >> PAGE_BITS; page++) {
        if (places->count == places->room && !grow(places))
            return false;
        places->place[places->count] = (struct gib_place){page, site, NONE};
        link_place(places, places->count++);
    }
    return true;
}

bool gib_places_visit(const struct gib_places *places, uint64_t address, size_t size,
                      bool (*visit)(uint32_t site, void *context), void *context)
{
    for (uint64_t page = address >> PAGE_BITS;
         places->count && page <= (address + size - 1) >> PAGE_BITS; page++) {
        for (uint32_t i = places->bucket[bucket_of(places, page)]; i != NONE;
             i = places->place[i].next)
            if (places->place[i].page == page && visit(places->place[i].site, context))
                return true;
    }
    return false;
}

void gib_places_free(struct gib_places *places)
{
    free(places->place);
    free(places->bucket);
    *places = (struct gib_places){0};
}
