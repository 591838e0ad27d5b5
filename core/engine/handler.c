/*
 * handler.c: a C function of the target that handles all calls of another one, of any type.
 */
#include "engine/internal.h"
#include "code/x86_64/handler.h"

#include <stdlib.h>
#include <string.h>

extern const uint8_t gib_agent_image_start[];

/* gcc's names of copies that it gave other parameters. */
static bool is_changed_copy(const char *symbol)
{
    return strstr(symbol, ".constprop.") || strstr(symbol, ".isra.") || strstr(symbol, ".part.");
}

/* Whether debug information, or its code, says that it is called by another convention. */
static bool contradicts(const struct gib_site_state *site)
{
    struct gib_convention declared;
    gib_convention_make(site->prototype, &declared);
    return declared.elsewhere ||
           (site->stack_use.known && site->stack_use.reach > declared.stack_copy);
}

/* Why calls of this function cannot be handled; a sentence without its beginning and end, or NULL.
 */
static const char *obstacle(const struct gib_process *process, const struct gib_site_state *site)
{
    const struct gib_prototype *prototype = site->prototype;
    if (site->unguarded)
        return "an unwinder in this program cannot be told of the frames of handlers";
    if (gib_site_entry_only(site))
        return "it returns twice, never, or looks at its caller, so its callers' frame must be the "
               "one above it";
    if (site->module->interpreter)
        return "it is part of the dynamic loader, which runs before handlers can";
    if (site->entry == process->shared->errno_location)
        return "Gibbon itself calls it around each handler";
    if (is_changed_copy(site->symbol))
        return "it is a copy that the compiler made, with parameters that nobody knows";
    if (!prototype || prototype->unspecified)
        return "its parameters are not known; give them with -prototype";
    if (contradicts(site))
        return "it is called in another way than its prototype says";
    return NULL;
}

static int refuse(const struct gib_site_state *site, const char *why, struct gib_error *error)
{
    return gib_fail(error, GIB_E_CALL, site->entry, "%.80s cannot have a handler: %.300s.",
                    site->function, why);
}

int gib_handler_callee(struct gib_engine *engine, struct gib_process *process,
                       const struct gib_site_state *site, struct gib_layer *layer,
                       uint64_t function, struct gib_error *error)
{
    const struct gib_agent_image *image = (const struct gib_agent_image *)gib_agent_image_start;
    const char *why = obstacle(process, site);
    struct gib_handler_code code;
    struct gib_arena *arena;
    struct gib_error reason;
    if (!why && function == site->entry)
        why = "it would handle itself";
    if (why)
        return refuse(site, why, error);
    struct gib_handler_request request = {
        .address = 16, /* to learn the size */
        .prototype = site->prototype,
        .method = !strncmp(site->symbol, "_Z", 2) && site->prototype->parameter_count &&
                  site->prototype->parameters[0].name &&
                  !strcmp(site->prototype->parameters[0].name, "this"),
        .function = site->function,
        .module = site->module->name,
        .handler = function,
        .original = layer->next,
        .shared = process->data,
        .handle = process->agent + image->handle,
        .call_original = process->agent + image->call_original,
        .go_closure = process->agent + image->go_closure,
        .go_closure_sse = process->agent + image->go_closure_sse,
    };
    int failed = gib_handler_make(&request, &code, &reason);
    if (failed == GIB_E_MEMORY)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    if (failed)
        return refuse(site, reason.message, error);
    size_t size = code.size;
    free(code.bytes);
    if ((failed = gib_arena_near(engine, process, site->module, size + 16, &arena, error)))
        return failed;
    request.address = (arena->start + arena->used + 15) & ~15ull;
    if (gib_handler_make(&request, &code, &reason))
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    failed = gib_arena_write(engine, process, request.address, code.bytes, code.size, error);
    free(code.bytes);
    if (failed)
        return failed;
    arena->used = request.address + code.size - arena->start;
    layer->callee = request.address + code.stub;
    gib_code_made(process, site, layer->callee, code.stub_size, GIB_MADE_THUNK);
    return 0;
}
