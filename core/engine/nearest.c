/* nearest.c: what may have been meant by a name that nothing has: a name like it, a fuller one, the
 * clones of a function. */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/distance.h"

/* C++ names are compared as people write them, when the name looks like one. */
static unsigned symbol_distance(const char *name, const char *symbol, unsigned limit)
{
    bool mangled = !strncmp(symbol, "_Z", 2);
    if (mangled && strstr(name, "::")) {
        char *shown = gib_elf_function_name(symbol);
        unsigned d = shown ? gib_name_distance(name, shown, limit) : limit + 1;
        free(shown);
        return d;
    }
    return symbol[0] == '_' && name[0] != '_' ? limit + 1 : gib_name_distance(name, symbol, limit);
}

/* Whether `shown` is `name` in a namespace or class that `name` leaves out, or an instance of the
 * template `name`. */
static bool is_fuller(const char *shown, const char *name)
{
    size_t end = strlen(shown), length = strlen(name);
    if (end && shown[end - 1] == '>') {
        int depth = 0;
        do {
            end--;
            depth += (shown[end] == '>') - (shown[end] == '<');
        } while (end && depth);
    }
    if (end < length || strncmp(shown + end - length, name, length) != 0)
        return false;
    return end == length || (end > length + 2 && !strncmp(shown + end - length - 2, "::", 2));
}

/* The shortest fuller name in one module, which debuggers would have found for `name`. */
static char *fuller_name(struct gib_elf *elf, const char *name)
{
    enum { LONGEST = 60 }; /* that sentences show uncut */
    const char *last = name, *next;
    char part[80], *found = NULL;
    const struct gib_elf_symbol *symbols;
    while ((next = strstr(last, "::")))
        last = next + 2;
    if (!*last || strlen(last) > LONGEST)
        return NULL;
    snprintf(part, sizeof part, "%zu%s", strlen(last), last); /* so it is in mangled names */
    size_t count = gib_elf_functions(elf, &symbols), best = LONGEST + 1;
    for (size_t i = 0; i < count; i++) {
        const char *symbol = symbols[i].name;
        if (strncmp(symbol, "_Z", 2) != 0 || !strstr(symbol, part) || strchr(symbol, '.'))
            continue;
        char *shown = gib_elf_function_name(symbol);
        if (shown)
            gib_elf_drop_tags(shown);
        if (shown && strlen(shown) < best && is_fuller(shown, name)) {
            best = strlen(shown);
            free(found);
            found = shown;
        } else {
            free(shown);
        }
    }
    return found;
}

char *gib_location_nearest(struct gib_engine *engine, const char *name)
{
    struct gib_modules *modules = engine->process ? engine->process->modules : NULL;
    size_t length = strcspn(name, "@"); /* not the versions and PLT entries that debuggers show */
    char bare[128];
    snprintf(bare, sizeof bare, "%.*s", (int)(length < sizeof bare ? length : 0), name);
    name = length && name[length] ? bare : name;
    unsigned best = strlen(name) > 5 ? 2 : 1;
    const char *found = NULL;
    if (!modules)
        return NULL;
    gib_modules_lock(modules);
    char *fuller = NULL;
    for (size_t i = 0; i < gib_modules_count(modules) && !fuller; i++) {
        struct gib_module *module = gib_modules_get(modules, i);
        fuller = module->gone || !module->elf ? NULL : fuller_name(module->elf, name);
    }
    if (fuller) {
        gib_modules_unlock(modules);
        return fuller;
    }
    for (size_t i = 0; i < gib_modules_count(modules); i++) {
        struct gib_module *module = gib_modules_get(modules, i);
        const struct gib_elf_symbol *symbols;
        size_t count = module->gone || !module->elf ? 0 : gib_elf_functions(module->elf, &symbols);
        for (size_t k = 0; k < count; k++) {
            unsigned d = symbol_distance(name, symbols[k].name, best);
            if (d < best || (d == best && !found)) {
                best = d;
                found = symbols[k].name;
            }
        }
    }
    char *result = !found               ? NULL
                   : strstr(name, "::") ? gib_elf_function_name(found)
                                        : strdup(found);
    gib_modules_unlock(modules);
    return result;
}

/* Whether `symbol` is a clone, but for a cold part, of the function called so. */
static bool is_clone(const char *symbol, const char *function)
{
    const char *dot = strchr(symbol, '.');
    if (!dot || strstr(dot, ".cold"))
        return false;
    if (strncmp(symbol, "_Z", 2) != 0)
        return (size_t)(dot - symbol) == strlen(function) &&
               !strncmp(symbol, function, (size_t)(dot - symbol));
    char *whole = strndup(symbol, (size_t)(dot - symbol));
    char *name = whole ? gib_elf_function_name(whole) : NULL;
    if (name)
        gib_elf_drop_tags(name);
    bool is = name && !strcmp(name, function);
    free(name);
    free(whole);
    return is;
}

char *gib_location_clones(struct gib_engine *engine, const struct gib_location *location)
{
    enum { SHOWN = 3, LONGEST = 100 };
    char shown[GIB_SHORT_NAME];
    struct gib_modules *modules = engine->process ? engine->process->modules : NULL;
    size_t found = 0, size;
    char *text = NULL;
    FILE *out = modules && *location->function ? open_memstream(&text, &size) : NULL;
    if (!out)
        return NULL;
    gib_modules_lock(modules);
    for (size_t i = 0; i < gib_modules_count(modules); i++) {
        struct gib_module *module = gib_modules_get(modules, i);
        const struct gib_elf_symbol *symbols;
        size_t count = 0;
        if (!module->gone && module->elf &&
            (!location->module || gib_module_meant(module, location->module)))
            count = gib_elf_functions(module->elf, &symbols);
        for (size_t k = 0; k < count; k++)
            if (is_clone(symbols[k].name, location->function) && found++ < SHOWN)
                fprintf(out, "%s%s", found > 1 ? ", " : "",
                        strlen(symbols[k].name) > LONGEST ? gib_name_shorten(symbols[k].name, shown)
                                                          : symbols[k].name);
    }
    gib_modules_unlock(modules);
    if (found > SHOWN)
        fprintf(out, " and %zu more", found - SHOWN);
    fclose(out);
    if (!found) {
        free(text);
        text = NULL;
    }
    return text;
}

/* "libc" for libc.so.6 is nearer than any slip of the finger. */
char *gib_module_nearest(struct gib_engine *engine, const char *name)
{
    struct gib_modules *modules = engine->process->modules;
    size_t length = strlen(name);
    unsigned best = length > 5 ? 3 : 1;
    const char *found = NULL;
    gib_modules_lock(modules);
    for (size_t i = 0; i < gib_modules_count(modules); i++) {
        const struct gib_module *module = gib_modules_get(modules, i);
        bool begins = length > 2 && !strncmp(module->name, name, length) &&
                      strchr(".-_", module->name[length]);
        unsigned d = begins ? 0 : gib_name_distance(name, module->name, best);
        if (d < best || (d == best && !found)) {
            best = d;
            found = module->name;
        }
    }
    char *result = found ? strdup(found) : NULL;
    gib_modules_unlock(modules);
    return result;
}
