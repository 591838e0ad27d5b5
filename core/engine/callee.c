/*
 * callee.c: what runs in place of a function: another one, or code that returns a value.
 */
#include "engine/internal.h"
#include "engine/mock_value.h"
#include "code/x86_64/mock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- replace ---- */

struct namesake {
    uint64_t value;
    size_t count;
    bool ifunc;
};
static void take_namesake(const struct gib_elf_symbol *symbol, void *context)
{
    struct namesake *n = context;
    if (!symbol->exported || symbol->old_version)
        return;
    n->value = symbol->value;
    n->ifunc = symbol->ifunc;
    n->count++;
}

/* By name, or by path when there is a slash. */
struct gib_module *gib_library_here(struct gib_engine *engine, const char *library)
{
    bool path = strchr(library, '/');
    for (size_t i = 0; engine->process && i < gib_modules_count(engine->process->modules); i++) {
        struct gib_module *module = gib_modules_get(engine->process->modules, i);
        if (!module->gone && module->elf &&
            (path ? !strcmp(module->path, library) : gib_module_matches(module, library)))
            return module;
    }
    return NULL;
}

/* One with a path is brought into the target, as a package is. */
static int need_library(struct gib_engine *engine, const struct gib_patch *patch,
                        struct gib_module **module, struct gib_error *error)
{
    struct gib_loaded *image;
    if ((*module = gib_library_here(engine, patch->library)))
        return 0;
    if (!strchr(patch->library, '/'))
        return gib_fail(error, GIB_E_WAITING, 0, "%.100s is not loaded yet.", patch->library);
    int failed = gib_image_load(engine, engine->process, patch->library, &image, error);
    if (!failed && !(*module = gib_modules_at(engine->process->modules, image->start)))
        failed = gib_fail(error, GIB_E_STATE, 0, "%.100s has been loaded, but is not to be found.",
                          patch->library);
    return failed;
}

/* The function of the same name that another library exports. */
static int find_namesake(struct gib_engine *engine, const struct gib_patch *patch,
                         const struct gib_site_state *site, uint64_t *address,
                         struct gib_error *error)
{
    struct gib_module *module;
    struct namesake n = {0, 0, false};
    int failed = need_library(engine, patch, &module, error);
    if (failed)
        return failed;
    gib_modules_lock(engine->process->modules);
    gib_elf_find(module->elf, site->symbol, take_namesake, &n);
    gib_modules_unlock(engine->process->modules);
    if (!n.count || n.ifunc)
        return gib_fail(error, GIB_E_NOT_FOUND, site->entry,
                        n.ifunc ? "%.80s of %.80s chooses its implementation when it is relocated; "
                                  "name that one."
                                : "%.80s has no namesake that %.80s exports.",
                        site->function, module->name);
    *address = module->bias + n.value;
    return 0;
}

static int find_function(struct gib_engine *engine, const struct gib_patch *patch,
                         uint64_t *address, struct gib_error *error)
{
    struct gib_patch probe = {.location = patch->with};
    struct gib_found_list found = {NULL, 0};
    int failed = gib_location_resolve(engine, &probe, 0, &found, error);
    if (!failed && !found.count)
        failed = gib_fail(error, GIB_E_WAITING, 0, "%.100s is in no loaded module yet.",
                          patch->with.text);
    if (!failed && found.count > 1)
        failed = gib_fail(error, GIB_E_AMBIGUOUS, 0,
                          "\"%.80s\" means %zu functions, in %.60s and in %.60s; one is needed: "
                          "MODULE!FUNCTION.",
                          patch->with.text, found.count,
                          found.item[0].module ? found.item[0].module->name : "no file",
                          found.item[1].module ? found.item[1].module->name : "no file");
    if (!failed && found.item[0].resolver)
        failed = gib_fail(error, GIB_E_WAITING, 0,
                          "%.100s chooses its implementation when its library is relocated.",
                          patch->with.text);
    if (!failed)
        *address = found.item[0].address;
    gib_found_free(&found);
    return failed;
}

/* What a function is replaced by, 0: by nothing. */
static const struct gib_layer *replacing(const struct gib_process *process, uint64_t entry)
{
    const struct gib_site_state *site = gib_site_at(process, entry);
    for (size_t i = site ? site->layers : 0; i-- > 0;)
        if (site->layer[i]->with && site->layer[i]->chain[0].patch)
            return site->layer[i];
    return NULL;
}

/* f by g and g by f: a call would go from one to the other for ever. */
static int check_circle(const struct gib_process *process, const struct gib_site_state *site,
                        uint64_t to, struct gib_error *error)
{
    const struct gib_layer *layer;
    for (uint32_t i = 0; i < process->site_count && (layer = replacing(process, to)); i++) {
        to = layer->with;
        if (to == site->entry)
            return gib_fail(error, GIB_E_STATE, to,
                            "%.60s is what patch %d puts in place of that function; they would "
                            "call each other for ever.",
                            site->function, layer->chain[0].patch->number);
    }
    return 0;
}

static int replacement(struct gib_engine *engine, struct gib_process *process,
                       const struct gib_site_state *site, struct gib_layer *layer,
                       const struct gib_patch *patch, struct gib_error *error)
{
    uint64_t to = 0;
    int failed = patch->package ? gib_package_code(engine, process, site, layer, patch, &to, error)
                 : patch->library ? find_namesake(engine, patch, site, &to, error)
                                  : find_function(engine, patch, &to, error);
    if (!failed && to == site->entry)
        failed =
            gib_fail(error, GIB_E_STATE, to, "%.80s cannot be replaced by itself.", site->function);
    if (!failed)
        failed = check_circle(process, site, to, error);
    layer->with = failed ? 0 : to;
    return failed ? failed : gib_jump_stub(engine, process, site, to, &layer->callee, error);
}

/* As debug information has it; NULL: it has none. */
static struct gib_prototype *prototype_at(const struct gib_process *process, uint64_t function)
{
    struct gib_module *module = function ? gib_modules_at(process->modules, function) : NULL;
    if (!module || !module->elf)
        return NULL;
    gib_modules_lock(process->modules);
    struct gib_prototype *prototype = gib_elf_prototype(module->elf, function - module->bias);
    gib_modules_unlock(process->modules);
    return prototype;
}

char *gib_replacement_differs(struct gib_engine *engine, const struct gib_site_state *site,
                              const struct gib_patch *patch)
{
    struct gib_layer *layer = NULL;
    struct gib_prototype *other = gib_site_link_of(site, patch, &layer) && site->prototype
                                      ? prototype_at(engine->process, layer->with)
                                      : NULL;
    char *difference = gib_prototype_difference(site->prototype, other);
    gib_prototype_free(other);
    return difference;
}

/* ---- handler ---- */

static int handler(struct gib_engine *engine, struct gib_process *process,
                   const struct gib_site_state *site, struct gib_layer *layer,
                   const struct gib_patch *patch, struct gib_error *error)
{
    uint64_t function = 0;
    int failed = patch->package
                     ? gib_package_code(engine, process, site, layer, patch, &function, error)
                     : find_function(engine, patch, &function, error);
    /* void handler(struct gibbon_call *call): any other function would take the call for its own
     * arguments. */
    struct gib_prototype *prototype = failed ? NULL : prototype_at(process, function);
    bool wrong = prototype && !prototype->unspecified &&
                 (prototype->result.kind != GIB_TYPE_VOID || prototype->parameter_count != 1 ||
                  prototype->parameters[0].type.kind != GIB_TYPE_POINTER);
    gib_prototype_free(prototype);
    if (wrong)
        failed = gib_fail(error, GIB_E_UNSUPPORTED, function,
                          "%.80s is no handler; one is declared void %.60s(struct gibbon_call *).",
                          patch->with.text, patch->with.text);
    return failed ? failed : gib_handler_callee(engine, process, site, layer, function, error);
}

/* ---- mock ---- */

static int mock(struct gib_engine *engine, struct gib_process *process,
                const struct gib_site_state *site, struct gib_layer *layer,
                const struct gib_patch *patch, struct gib_error *error)
{
    const struct gib_type *type = site->prototype ? &site->prototype->result : NULL;
    struct gib_mock_value value;
    struct gib_arena *arena;
    struct gib_error why;
    if (patch->registration && patch->registration->value.is_address) {
        memset(&value, 0, sizeof value);
        int wrong = gib_package_code(engine, process, site, layer, patch,
                                     (uint64_t *)(void *)value.bytes, error);
        if (wrong)
            return wrong;
    } else if (gib_mock_value_parse(patch->value, type, &value, &why))
        return gib_fail(error, why.code, site->entry, "%.80s: %.200s", site->function, why.message);
    size_t room = GIB_MOCK_MAX + value.text_size + 64, size;
    int failed = gib_arena_near(engine, process, site->module, room, &arena, error);
    uint64_t text_at = failed ? 0 : (arena->start + arena->used + 15) & ~15ull;
    struct gib_mock_request request = {
        .address = (text_at + value.text_size + 15) & ~15ull,
        .type = type,
        .error_number = patch->error_number,
        .errno_location = process->data + offsetof(struct gib_shared, errno_location),
    };
    uint8_t code[GIB_MOCK_MAX];
    memcpy(request.value, value.bytes, sizeof request.value);
    if (value.text)
        memcpy(request.value, &text_at, sizeof text_at);
    if (!failed && gib_mock_make(&request, code, &size, &why))
        failed = gib_fail(error, why.code, site->entry, "%.80s cannot be mocked: %.200s.",
                          site->function, why.message);
    if (!failed && value.text)
        failed = gib_arena_write(engine, process, text_at, value.text, value.text_size, error);
    if (!failed)
        failed = gib_arena_write(engine, process, request.address, code, sizeof code, error);
    free(value.text);
    if (failed)
        return failed;
    arena->used = request.address + sizeof code - arena->start;
    gib_code_made(process, site, request.address, size, GIB_MADE_THUNK);
    layer->callee = request.address;
    return 0;
}

int gib_layer_callee(struct gib_engine *engine, struct gib_process *process,
                     const struct gib_site_state *site, struct gib_layer *layer,
                     const struct gib_patch *patch, struct gib_error *error)
{
    if (patch->type == GIB_PATCH_MOCK)
        return mock(engine, process, site, layer, patch, error);
    if (patch->type == GIB_PATCH_HANDLER)
        return handler(engine, process, site, layer, patch, error);
    return replacement(engine, process, site, layer, patch, error);
}
