/*
 * overwritten.c: a detour's bytes that somebody else has written over: the user by hand, another
 * tool, the program itself. They are theirs now: nobody can say what they are for, so they are left
 * alone, and told about.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum gib_bytes_of gib_site_bytes(struct gib_engine *engine, const struct gib_site_state *site)
{
    uint8_t now[GIB_DETOUR_SIZE], island[GIB_DETOUR_SIZE];
    size_t size = site->detour_size;
    if (gib_read_code(engine, gib_site_detour(site), now, size, NULL) ||
        (site->island && gib_read_code(engine, site->island, island, GIB_DETOUR_SIZE, NULL)))
        return GIB_BYTES_UNREADABLE;
    if (!memcmp(now, site->detour, size) &&
        (!site->island || !memcmp(island, site->island_jump, GIB_DETOUR_SIZE)))
        return GIB_BYTES_OURS;
    if (!memcmp(now, site->original, size) &&
        (!site->island || !memcmp(island, site->island_original, GIB_DETOUR_SIZE)))
        return GIB_BYTES_ORIGINAL;
    return GIB_BYTES_OTHERS;
}

int gib_check_detour(struct gib_engine *engine, const struct gib_site_state *site,
                     struct gib_error *error)
{
    enum gib_bytes_of whose = gib_site_bytes(engine, site);
    if (whose == GIB_BYTES_OURS || whose == GIB_BYTES_UNREADABLE) /* the write will say it */
        return 0;
    return gib_fail(error, GIB_E_CHANGED, site->address,
                    "%.80s is patched already, but its first bytes, at 0x%" PRIx64
                    ", have been written over since; delete that patch first.",
                    site->function, site->address);
}

size_t gib_patch_overwritten(struct gib_engine *engine, const struct gib_patch *patch,
                             const struct gib_site_state **first)
{
    struct gib_process *process = engine->process;
    size_t count = 0;
    *first = NULL;
    if (!process || !process->installed || engine->ops.state(engine->context) != GIB_TARGET_STOPPED)
        return 0;
    gib_begin_change(engine);
    for (uint32_t i = 0; i < process->site_count; i++) {
        const struct gib_site_state *site = process->site[i];
        if (!site->installed || !gib_site_link_of(site, patch, NULL))
            continue;
        enum gib_bytes_of whose = gib_site_bytes(engine, site);
        if (whose != GIB_BYTES_ORIGINAL && whose != GIB_BYTES_OTHERS)
            continue;
        *first = count++ ? *first : site;
    }
    gib_end_change(engine);
    return count;
}
