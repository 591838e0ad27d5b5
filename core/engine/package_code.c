/*
 * package_code.c: a package's code in the target.
 *
 * It comes when a patch finds its function for the first time, and then for all patches of the
 * package. Before anything of it can run, every pointer of GIBBON_ORIGINAL leads somewhere: to the
 * function itself, until there is a patch on it whose layer it is to lead below.
 */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

static struct gib_loaded *find_image(const struct gib_process *process,
                                     const struct gib_used_package *package)
{
    char *path = realpath(package->object, NULL);
    struct gib_loaded *found = NULL;
    for (size_t i = 0; path && i < process->image_count && !found; i++)
        if (!strcmp(process->image[i]->path, path) &&
            (!package->content || gib_same_file(&process->image[i]->status, &package->status)))
            found = process->image[i];
    free(path);
    return found;
}

static bool is_same_text(const char *one, const char *other)
{
    return one && other ? !strcmp(one, other) : one == other;
}

static const struct gib_registration *find_same(const struct gib_package *content,
                                                const struct gib_registration *old)
{
    for (size_t i = 0; i < content->registration_count; i++) {
        const struct gib_registration *r = &content->registrations[i];
        if (r->kind == old->kind && is_same_text(r->module, old->module) &&
            is_same_text(r->function, old->function) &&
            is_same_text(r->identifier, old->identifier))
            return r;
    }
    return NULL;
}

/* A shared object that was built anew since it was read: what its patches are made of lies
 * elsewhere now. All of them go to the new one, or none. */
static int follow_file(struct gib_engine *engine, struct gib_used_package *package,
                       struct gib_error *error)
{
    struct stat now;
    struct gib_package *content = NULL;
    if (!package->content || stat(package->object, &now) || gib_same_file(&now, &package->status))
        return 0;
    int failed = gib_package_read(package->object, &content, error);
    for (size_t i = 0; i < engine->patch_count && !failed; i++) {
        const struct gib_patch *patch = engine->patch[i];
        if (patch->package == package && patch->registration &&
            !find_same(content, patch->registration))
            failed =
                gib_fail(error, GIB_E_STATE, 0,
                         "%.150s was built anew and has no such %s of %.60s any more; delete "
                         "its patches and load it again.",
                         package->object, gib_registration_kind_name(patch->registration->kind),
                         patch->location.text);
    }
    for (size_t i = 0; i < engine->patch_count && !failed; i++) {
        struct gib_patch *patch = engine->patch[i];
        if (patch->package == package && patch->registration) {
            patch->registration = find_same(content, patch->registration);
            failed = gib_package_effect(patch, error);
        }
    }
    if (failed) {
        gib_package_free(content);
        return failed;
    }
    gib_package_free(package->content);
    package->content = content;
    package->status = now;
    return 0;
}

/* The pointer of GIBBON_ORIGINAL can lead to one function only. */
static int check_original(const struct gib_process *process, const struct gib_site_state *site,
                          const struct gib_patch *patch, struct gib_error *error)
{
    for (uint32_t i = 0; i < process->site_count; i++) {
        const struct gib_site_state *other = process->site[i];
        for (size_t l = 0; other != site && other->installed && l < other->layers; l++) {
            const struct gib_patch *p = other->layer[l]->chain[0].patch;
            if (p && p->package == patch->package && p->registration &&
                p->registration->original == patch->registration->original)
                return gib_fail(error, GIB_E_STATE, site->entry,
                                "GIBBON_ORIGINAL(%.60s) of %.60s leads to %.60s in %.60s already; "
                                "GIBBON_WRAP_NAMED gives this one a name of its own.",
                                p->registration->identifier, patch->package->name, other->function,
                                other->module->name);
        }
    }
    return 0;
}

static int find_elsewhere(struct gib_engine *engine, const char *symbol, uint64_t *address,
                          struct gib_error *error)
{
    struct gib_patch probe = {0};
    struct gib_found_list found = {NULL, 0};
    int failed = gib_location_parse(symbol, &probe.location, error);
    if (!failed)
        failed = gib_location_resolve(engine, &probe, 0, &found, error);
    if (!failed && (!found.count || found.item[0].resolver))
        failed = gib_fail(error, GIB_E_WAITING, 0, "%.100s is in no loaded module yet.", symbol);
    if (!failed)
        *address = found.item[0].address;
    gib_found_free(&found);
    gib_location_free(&probe.location);
    return failed;
}

/* Where a function is, 0: nowhere yet, or not known before its library is relocated. */
static uint64_t function_of(struct gib_engine *engine, const struct gib_registration *r)
{
    struct gib_patch probe = {0};
    struct gib_found_list found = {NULL, 0};
    struct gib_error ignored;
    uint64_t address = 0;
    if (!gib_location_parse(r->function, &probe.location, &ignored)) {
        probe.location.module = r->module ? strdup(r->module) : NULL;
        probe.location.exported = !r->module;
        if (!gib_location_resolve(engine, &probe, 0, &found, &ignored) && found.count &&
            !found.item[0].resolver)
            address = found.item[0].address;
    }
    gib_found_free(&found);
    gib_location_free(&probe.location);
    return address;
}

/* Of functions that are not patched, or not yet, where nothing leads anywhere. */
static int fill_originals(struct gib_engine *engine, const struct gib_loaded *image,
                          const struct gib_package *content, struct gib_error *error)
{
    int failed = 0;
    for (size_t i = 0; content && i < content->registration_count && !failed; i++) {
        const struct gib_registration *r = &content->registrations[i];
        uint64_t now, address;
        if (!r->original || (failed = gib_read(engine, image->bias + r->original, &now, 8, error)))
            continue;
        if (!now && (address = function_of(engine, r)))
            failed = gib_write(engine, image->bias + r->original, &address, 8, error);
    }
    return failed;
}

void gib_package_originals(struct gib_engine *engine, struct gib_process *process)
{
    struct gib_error ignored;
    for (const struct gib_used_package *p = engine->packages; p && process->image_count;
         p = p->next) {
        const struct gib_loaded *image = p->content ? find_image(process, p) : NULL;
        if (image)
            fill_originals(engine, image, p->content, &ignored);
    }
}

/* Other files of the package may have said GIBBON_USE_ORIGINAL. */
static int lead_originals(struct gib_engine *engine, const struct gib_loaded *image,
                          const struct gib_package *content, const struct gib_registration *r,
                          uint64_t next, struct gib_error *error)
{
    int failed = gib_write(engine, image->bias + r->original, &next, sizeof next, error);
    for (size_t i = 0; i < content->registration_count && !failed; i++) {
        const struct gib_registration *other = &content->registrations[i];
        if (other->kind == GIBBON_KIND_ORIGINAL && !strcmp(other->identifier, r->identifier))
            failed = gib_write(engine, image->bias + other->original, &next, sizeof next, error);
    }
    return failed;
}

int gib_package_code(struct gib_engine *engine, struct gib_process *process,
                     const struct gib_site_state *site, const struct gib_layer *layer,
                     const struct gib_patch *patch, uint64_t *address, struct gib_error *error)
{
    struct gib_loaded *image = find_image(process, patch->package);
    int failed = image ? 0 : follow_file(engine, patch->package, error);
    const struct gib_registration *r = patch->registration;
    if (!image && !failed)
        if (!(failed = gib_image_load(engine, process, patch->package->object, &image, error)))
            failed = fill_originals(engine, image, patch->package->content, error);
    if (failed)
        return failed;
    if (r && r->original) {
        if ((failed = check_original(process, site, patch, error)) ||
            (failed =
                 lead_originals(engine, image, patch->package->content, r, layer->next, error)))
            return failed;
    }
    if (r && r->kind == GIBBON_KIND_MOCK)
        *address = image->bias + r->value.integer;
    else if (r && r->kind != GIBBON_KIND_ORIGINAL && r->code.elsewhere)
        return find_elsewhere(engine, r->code.symbol, address, error);
    else if (r && r->kind != GIBBON_KIND_ORIGINAL)
        *address = image->bias + r->code.vaddr;
    else if (!gib_image_symbol(image, patch->with.function, address))
        return gib_fail(error, GIB_E_NOT_FOUND, 0, "%.100s is no function of %.100s.",
                        patch->with.function, patch->package->name);
    return 0;
}
