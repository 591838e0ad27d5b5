/*
 * remove.c: takes patches off; a function without patches gets its own bytes back.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The first bytes of a function that are not ours any more stay as they are. */
static void tell_overwritten(struct gib_engine *engine, const struct gib_site_state *first,
                             size_t count)
{
    char bytes[3 * GIB_DETOUR_SIZE + 1] = "", more[64] = "";
    for (size_t i = 0; i < first->detour_size; i++)
        snprintf(bytes + 3 * i, 4, " %02x", first->original[i]);
    if (count > 1)
        snprintf(more, sizeof more, " So are those of %zu more.", count - 1);
    gib_warn(engine,
             "gibbon: the first bytes of %s, at 0x%" PRIx64
             ", have been written over since they were patched, and are left as they are; "
             "originally they were%s.%s\n",
             first->function, first->address, bytes, more);
}

static bool is_wanted(const struct gib_site_state *site, bool all)
{
    return site->installed && (all || !gib_site_in_use(site));
}

/* What restores the site, or nothing, when its bytes are somebody else's. */
static int plan_restore(struct gib_engine *engine, struct gib_site_state *site,
                        const struct gib_stopped *stopped, struct gib_write_plan *writes, size_t *n,
                        struct gib_error *error)
{
    enum gib_bytes_of whose = gib_site_bytes(engine, site);
    site->overwritten = whose == GIB_BYTES_OTHERS;
    if (whose == GIB_BYTES_OTHERS || whose == GIB_BYTES_ORIGINAL)
        return 0;
    gib_plan_write(writes, n, gib_site_detour(site), site->detour, site->original,
                   site->detour_size);
    if (!site->island)
        return 0;
    gib_plan_write(writes, n, site->island, site->island_jump, site->island_original,
                   GIB_DETOUR_SIZE);
    return gib_leave_island(engine, site, stopped, error);
}

/* Restores the entries of all sites that no patch uses, or of `all`, in one transaction. */
static int restore_sites(struct gib_engine *engine, bool all, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    struct gib_write_plan *writes = calloc(2ul * process->site_count + 1, sizeof *writes);
    struct gib_stopped stopped = {0};
    const struct gib_site_state *first = NULL;
    size_t n = 0, overwritten = 0;
    if (!writes)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    int failed = 0;
    gib_begin_change(engine);
    for (uint32_t i = 0; i < process->site_count && !failed; i++) {
        struct gib_site_state *site = process->site[i];
        if (!is_wanted(site, all) || site->module->gone)
            continue;
        if (site->island && !stopped.threads)
            failed = gib_target_threads(engine, &stopped.threads, &stopped.count, error);
        if (!failed)
            failed = plan_restore(engine, site, &stopped, writes, &n, error);
        if (site->overwritten)
            first = overwritten++ ? first : site;
    }
    if (!failed)
        failed = gib_transaction(engine, writes, n, error);
    gib_end_change(engine);
    gib_forget_stopped(&stopped);
    free(writes);
    for (uint32_t i = 0; i < process->site_count && !failed; i++) {
        struct gib_site_state *site = process->site[i];
        if (!is_wanted(site, all))
            continue;
        site->installed = false;
        if (process->moved_count)
            gib_return_breakpoints(engine, site->entry);
    }
    if (!failed && overwritten)
        tell_overwritten(engine, first, overwritten);
    return failed;
}

int gib_restore_all(struct gib_engine *engine, struct gib_error *error)
{
    return engine->process && engine->process->installed ? restore_sites(engine, true, error) : 0;
}

static bool any_patch_left(const struct gib_process *process)
{
    for (uint32_t i = 0; i < process->site_count; i++)
        if (process->site[i]->installed && !process->site[i]->internal)
            return true;
    return false;
}

void gib_drop_guards(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    struct gib_error ignored;
    if (!process || !process->guards_idle ||
        engine->ops.state(engine->context) != GIB_TARGET_STOPPED ||
        gib_anybody_inside(engine, process) || restore_sites(engine, true, &ignored))
        return;
    process->guards_idle = false;
    process->modules_guarded = 0;
    process->finds_objects = false;
    for (size_t i = 0; i < gib_modules_count(process->modules); i++)
        gib_modules_get(process->modules, i)->guarded = false;
}

int gib_patch_remove(struct gib_engine *engine, struct gib_patch *patch, struct gib_error *error)
{
    struct gib_process *process = engine->process;
    if (!process || !process->installed)
        return 0;
    struct gib_chain_link **link =
        calloc(process->site_count ? process->site_count : 1, sizeof(struct gib_chain_link *));
    if (!link)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    for (uint32_t i = 0; i < process->site_count; i++) {
        link[i] = gib_site_link_of(process->site[i], patch, NULL);
        if (link[i])
            link[i]->patch = NULL;
    }
    int failed = restore_sites(engine, false, error);
    for (uint32_t i = 0; i < process->site_count; i++) {
        if (!link[i])
            continue;
        if (failed) {
            link[i]->patch = patch;
            continue;
        }
        gib_site_publish(engine, process, process->site[i]);
        if (gib_site_in_use(process->site[i]))
            gib_layers_drop_empty(engine, process, process->site[i]);
    }
    free(link);
    if (!failed && !any_patch_left(process)) {
        process->guards_idle = true;
        gib_drop_guards(engine);
    }
    return failed;
}
