/* condition.c: the conditions of patches on their functions: what names mean there, and the code.
 */
#include "code/x86_64/condition.h"
#include "engine/internal.h"
#include "symbols/distance.h"

#include <stdlib.h>
#include <string.h>

struct scope {
    struct gib_engine *engine;
    struct gib_process *process;
    const struct gib_site_state *site;
};

/* The function's own module, then all others. */
static bool file_at(void *context, size_t index, struct gib_condition_file *out)
{
    const struct scope *scope = context;
    struct gib_modules *modules = scope->process->modules;
    const struct gib_module *own = scope->site->module;
    size_t place = 0;
    if (index == 0) {
        *out = (struct gib_condition_file){own ? own->elf : NULL, own ? own->bias : 0};
        return true;
    }
    for (size_t i = 0; i < gib_modules_count(modules); i++) {
        const struct gib_module *module = gib_modules_get(modules, i);
        if (module == own || module->gone || !module->elf || ++place != index)
            continue;
        *out = (struct gib_condition_file){module->elf, module->bias};
        return true;
    }
    return false;
}

/* What a compiler has made of parts of the function: f.cold, f.part.0. */
static bool is_part_of(const char *symbol, const char *function)
{
    static const char *const parts[] = {".cold", ".part.", ".constprop.", ".isra."};
    size_t length = strlen(function);
    if (strncmp(symbol, function, length) || symbol[length] != '.')
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strncmp(symbol + length, parts[i], strlen(parts[i])))
            return true;
    return false;
}

/* The code of the function at `address` and of its parts. */
static size_t ranges_of(const struct gib_module *module, uint64_t address, struct gib_range *ranges,
                        size_t room)
{
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(module->elf, &symbols), found = 0;
    const struct gib_elf_symbol *own = gib_elf_symbol_at(module->elf, address - module->bias);
    for (size_t i = 0; own && i < count; i++) {
        const struct gib_elf_symbol *s = &symbols[i];
        uint64_t size = s->size;
        if (s->value != own->value && !is_part_of(s->name, own->name))
            continue;
        for (size_t k = i + 1; !size && k < count; k++)
            size = symbols[k].value - s->value;
        struct gib_range range = {s->value + module->bias, s->value + module->bias + size};
        bool known = found && found <= room && ranges[found - 1].start == range.start;
        if (known || !size)
            continue;
        if (found < room)
            ranges[found] = range;
        found++;
    }
    return found;
}

static size_t function_ranges(void *context, const char *name, struct gib_range *ranges,
                              size_t room)
{
    struct scope *scope = context;
    struct gib_patch probe = {0};
    struct gib_found_list found = {NULL, 0};
    struct gib_error ignored;
    size_t count = 0;
    if (!gib_location_parse(name, &probe.location, &ignored) &&
        !gib_location_resolve(scope->engine, &probe, 0, &found, &ignored)) {
        for (size_t i = 0; i < found.count; i++)
            if (found.item[i].module && found.item[i].module->elf)
                count += ranges_of(found.item[i].module, found.item[i].address,
                                   ranges + (count < room ? count : room),
                                   count < room ? room - count : 0);
    }
    gib_found_free(&found);
    gib_location_free(&probe.location);
    return count;
}

static struct gib_condition_scope scope_of(struct scope *scope)
{
    const struct gib_site_state *site = scope->site;
    return (struct gib_condition_scope){
        .name = site->function,
        .prototype = site->prototype,
        .manual = gib_prototypes_find(scope->engine->prototypes, site->symbol),
        .convention = &site->convention,
        .entry = site->entry,
        .context = scope,
        .file = file_at,
        .function = function_ranges,
    };
}

static int check_return(const struct gib_site_state *site, struct gib_error *error)
{
    char name[GIB_SHORT_NAME];
    gib_name_shorten(site->function, name);
    if (site->unguarded)
        return gib_fail(error, GIB_E_UNSUPPORTED, site->entry,
                        "The condition on %s needs its return, which is not seen: this process "
                        "has an unwinder that cannot be told of Gibbon's frames.",
                        name);
    if (gib_site_entry_only(site))
        return gib_fail(error, GIB_E_UNSUPPORTED, site->entry,
                        "The condition on %s needs its return, which is not seen: it returns "
                        "twice, never, or looks at its caller.",
                        name);
    return 0;
}

static int write_code(struct gib_engine *engine, struct gib_process *process,
                      const struct gib_site_state *site, struct gib_chain_link *link,
                      struct gib_error *error)
{
    uint8_t code[GIB_CONDITION_MAX];
    size_t size;
    struct gib_arena *arena;
    int failed = gib_condition_code(link->condition, code, &size, error);
    if (!failed)
        failed = gib_arena_near(engine, process, site->module, size + 16, &arena, error);
    if (failed)
        return failed;
    uint64_t at = (arena->start + arena->used + 15) & ~15ull;
    if ((failed = gib_arena_write(engine, process, at, code, size, error)))
        return failed;
    arena->used = ((at + size + 15) & ~15ull) - arena->start;
    gib_code_made(process, site, at, size, GIB_MADE_THUNK);
    link->code = at;
    return 0;
}

/* A site for the function, planned and not used; NULL: there is no one function of this name. */
static struct gib_site_state *plan_one(struct gib_engine *engine, const char *location)
{
    struct gib_patch probe = {0};
    struct gib_found_list found = {NULL, 0};
    struct gib_site_state *site = NULL;
    struct gib_relocation copy;
    struct gib_error ignored;
    if (engine->process && engine->ops.state(engine->context) == GIB_TARGET_STOPPED &&
        !gib_location_parse(location, &probe.location, &ignored) &&
        !gib_location_resolve(engine, &probe, 0, &found, &ignored) && found.count == 1 &&
        gib_site_plan(engine, engine->process, &found.item[0], &probe, &site, &copy, 0, &ignored))
        site = NULL;
    gib_found_free(&found);
    gib_location_free(&probe.location);
    return site;
}

void gib_condition_words(struct gib_engine *engine, const char *location,
                         void (*visit)(void *context, const char *word), void *context)
{
    struct gib_site_state *site = plan_one(engine, location);
    struct scope names = {engine, engine->process, site};
    struct gib_condition_scope scope = {.context = &names};
    if (site) {
        scope = scope_of(&names);
        gib_modules_lock(engine->process->modules);
    }
    gib_condition_names(&scope, visit, context);
    if (site)
        gib_modules_unlock(engine->process->modules);
    gib_site_free(site);
}

int gib_link_condition(struct gib_engine *engine, struct gib_process *process,
                       const struct gib_site_state *site, struct gib_chain_link *link,
                       struct gib_error *error)
{
    const struct gib_condition_text *text = link->patch->condition;
    struct scope context = {engine, process, site};
    struct gib_condition_scope scope = scope_of(&context);
    struct gib_error why = {0};
    char name[GIB_SHORT_NAME];
    int failed = 0;
    if (!text)
        return 0;
    if ((gib_condition_text_uses(text) & GIB_CONDITION_RETURN) &&
        (failed = check_return(site, error)))
        return failed;
    gib_modules_lock(process->modules);
    failed = gib_condition_check(text, &scope, &link->condition, &why);
    gib_modules_unlock(process->modules);
    if (failed)
        return gib_fail(error, failed, site->entry, "The condition does not fit %s: %s",
                        gib_name_shorten(site->function, name), why.message);
    return write_code(engine, process, site, link, error);
}

bool gib_condition_on_return(const struct gib_patch *patch)
{
    return patch->condition &&
           (gib_condition_text_uses(patch->condition) & GIB_CONDITION_RETURN) != 0;
}

/* A thunk can decide by itself for one patch only. */
const struct gib_condition *gib_layer_decides(const struct gib_layer *layer)
{
    const struct gib_chain_link *only = NULL;
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++) {
        if (!layer->chain[i].patch)
            continue;
        if (only)
            return NULL;
        only = &layer->chain[i];
    }
    bool can = only && only->patch->condition && only->condition &&
               !gib_condition_on_return(only->patch) && gib_condition_is_plain(only->condition);
    return can ? only->condition : NULL;
}

bool gib_layer_keeps_entry(const struct gib_layer *layer)
{
    for (size_t i = 0; i < GIB_MAX_ACTIONS; i++)
        if (layer->chain[i].patch && gib_condition_on_return(layer->chain[i].patch))
            return true;
    return false;
}

uint64_t gib_patch_undecided(struct gib_engine *engine, const struct gib_patch *patch)
{
    const struct gib_process *process = engine->process;
    bool there = process && process->installed && patch->state;
    return patch->earlier_undecided + (there ? process->shared->patch[patch->state].undecided : 0);
}
