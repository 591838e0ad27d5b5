/* location.c: from what the user typed to entry addresses: parse, then resolve against the modules
 * of a process. */
#include "engine/internal.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- parsing ---- */

/* `/regex/` */
static bool is_regex(const char *text)
{
    size_t size = strlen(text);
    return size > 2 && text[0] == '/' && text[size - 1] == '/';
}

static bool is_glob(const char *text)
{
    /* A C++ parameter list or operator has stars of its own. */
    const char *at = text;
    while (*(at += strcspn(at, "*?[")) && !strncmp(at, "[abi:", 5)) /* a tag of C++, no set */
        at++;
    return *at && !strchr(text, '(') && !strstr(text, "operator");
}

void gib_location_free(struct gib_location *location)
{
    free(location->text);
    free(location->module);
    free(location->file);
    free(location->function);
    if (location->regex)
        regfree(location->regex);
    free(location->regex);
    memset(location, 0, sizeof *location);
}

/* FILE:FUNCTION, not the :: of C++. */
static const char *file_colon(const char *text)
{
    for (const char *at = strchr(text, ':'); at; at = strchr(at + 1, ':')) {
        if (at[1] == ':') {
            at++;
            continue;
        }
        return at > text && memchr(text, '.', (size_t)(at - text)) ? at : NULL;
    }
    return NULL;
}

static int parse_regex(const char *text, struct gib_location *out, struct gib_error *error)
{
    out->function = strndup(text + 1, strlen(text) - 2);
    out->regex = calloc(1, sizeof *out->regex);
    int failed = out->function && out->regex
                     ? regcomp(out->regex, out->function, REG_EXTENDED | REG_NOSUB)
                     : REG_ESPACE;
    if (!failed)
        return 0;
    char why[80] = "out of memory";
    if (out->regex)
        regerror(failed, out->regex, why, sizeof why);
    free(out->regex);
    out->regex = NULL;
    gib_location_free(out);
    return gib_fail(error, GIB_E_SYNTAX, 0, "%.100s is no regular expression: %s.", text, why);
}

int gib_location_parse(const char *text, struct gib_location *out, struct gib_error *error)
{
    memset(out, 0, sizeof *out);
    out->text = strdup(text);
    const char *rest = text, *bang = is_regex(text) ? NULL : strchr(text, '!');
    if (*text && text[strspn(text, "*")] == '\0') {
        gib_location_free(out);
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"%.20s\" is no location: *ADDRESS needs an address or expression, and a "
                        "glob for every function needs a module, as in libm.so.6!*.",
                        text);
    }
    static const char operators[] = "=<>!&|+-/%^~?:";
    if (*text && strspn(text, operators) == strlen(text) && !is_regex(text)) {
        gib_location_free(out);
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"%.20s\" is no location; a condition stands at the end, behind \"if\", "
                        "or in quotes behind -if.",
                        text);
    }
    /* `*foo` is an address; `*foo*` cannot be one, and `*::foo` is foo in whatever class. */
    bool stars =
        !strncmp(text, "*::", 3) ||
        (strspn(text, "*?_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
             strlen(text) &&
         strpbrk(text + 1, "*?"));
    if (text[0] == '*' && text[1] && !bang && !stars) {
        out->kind = GIB_LOCATION_ADDRESS;
        out->function = strdup(text + 1);
        return 0;
    }
    /* `operator!` has no module before it. */
    if (bang && bang[1] != '=' && !(bang - text >= 8 && !strncmp(bang - 8, "operator", 8))) {
        size_t size = (size_t)(bang - text);
        if (size && text[size - 1] == '?') {
            out->optional = true;
            size--;
        }
        out->module = strndup(text, size);
        rest = bang + 1;
        if (!size || !*rest) {
            gib_location_free(out);
            return gib_fail(
                error, GIB_E_SYNTAX, 0,
                "\"%.80s\" is no location: MODULE!FUNCTION needs a module and a function.", text);
        }
    }
    if (is_regex(rest))
        return parse_regex(rest, out, error);
    const char *colon = file_colon(rest);
    if (colon) {
        out->kind = GIB_LOCATION_FILE;
        out->file = strndup(rest, (size_t)(colon - rest));
        rest = colon + 1;
        if (*rest >= '0' && *rest <= '9') {
            gib_location_free(out);
            return gib_fail(
                error, GIB_E_SYNTAX, 0,
                "\"%.80s\" names a line; a patch needs a function: FILE:FUNCTION, or *ADDRESS.",
                text);
        }
    }
    if (!*rest) {
        gib_location_free(out);
        return gib_fail(error, GIB_E_SYNTAX, 0, "\"%.80s\" is no location: a function is missing.",
                        text);
    }
    if (is_regex(rest))
        return parse_regex(rest, out, error);
    if (*rest >= '0' && *rest <= '9') {
        gib_location_free(out);
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"%.60s\" is no function; an address is written with a star, *%.60s.",
                        text, rest);
    }
    out->function = strdup(rest);
    out->glob = is_glob(rest);
    return 0;
}

/* ---- resolving ---- */

void gib_found_free(struct gib_found_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->item[i].name);
    free(list->item);
    *list = (struct gib_found_list){NULL, 0};
}

struct search {
    struct gib_engine *engine;
    struct gib_module *module;
    const struct gib_location *location;
    struct gib_found_list *out;
};

static void add(struct search *s, uint64_t address, const char *name, uint64_t resolver)
{
    struct gib_found_list *out = s->out;
    if ((out->count & (out->count - 1)) == 0) {
        struct gib_found *grown =
            realloc(out->item, (out->count ? out->count * 2 : 1) * sizeof *grown);
        if (!grown)
            return;
        out->item = grown;
    }
    out->item[out->count++] =
        (struct gib_found){s->module, address, strdup(name), resolver, out->count};
}

static int by_place(const void *a, const void *b)
{
    const struct gib_found *x = a, *y = b;
    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    if (x->resolver != y->resolver)
        return x->resolver < y->resolver ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int by_order(const void *a, const void *b)
{
    const struct gib_found *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* A function has one place in the list, under the name that was found first. */
static void drop_aliases(struct gib_found_list *list)
{
    size_t kept = 0;
    if (list->count < 2)
        return;
    qsort(list->item, list->count, sizeof *list->item, by_place);
    for (size_t i = 0; i < list->count; i++) {
        struct gib_found *last = kept ? &list->item[kept - 1] : NULL;
        if (last && last->address == list->item[i].address &&
            last->resolver == list->item[i].resolver)
            free(list->item[i].name);
        else
            list->item[kept++] = list->item[i];
    }
    list->count = kept;
    qsort(list->item, list->count, sizeof *list->item, by_order);
}

struct slots {
    struct gib_engine *engine;
    const struct gib_module *module;
    uint64_t value;
};
static void read_slot(uint64_t slot, void *context)
{
    struct slots *s = context;
    uint64_t value, initial;
    struct gib_error ignored;
    /* Before relocation a slot holds what the file has there, an address in the PLT or nothing. */
    if (gib_elf_read(s->module->elf, slot, &initial, 8) != 8)
        initial = 0;
    if (gib_read(s->engine, s->module->bias + slot, &value, 8, &ignored) == 0 && value &&
        value != initial && value != initial + s->module->bias)
        s->value = value;
}

/* Whether the dynamic linker has done its work on the module: a relative slot holds a relocated
 * address. */
bool gib_is_relocated(struct gib_engine *engine, const struct gib_module *module)
{
    uint64_t slot, value, now;
    struct gib_error ignored;
    if (!gib_elf_relative_slot(module->elf, &slot, &value))
        return false;
    return gib_read(engine, module->bias + slot, &now, 8, &ignored) == 0 &&
           now == module->bias + value;
}

static bool in_text(struct gib_engine *engine, uint64_t address)
{
    struct gib_module *module = gib_modules_at(engine->process->modules, address);
    if (!module || !module->elf)
        return false;
    const struct gib_elf_info *info = gib_elf_info(module->elf);
    for (size_t i = 0; i < info->segment_count; i++) {
        uint64_t start = info->segments[i].vaddr + module->bias;
        if (info->segments[i].executable && address >= start &&
            address < start + info->segments[i].memory_size)
            return true;
    }
    return false;
}

/* Its return instructions are breakpoints at the moment: the dynamic linker will run it. */
static bool is_watched(const struct gib_process *process, uint64_t resolver)
{
    for (size_t i = 0; i < process->watch_count; i++)
        if (process->watch[i].resolver == resolver)
            return true;
    return false;
}

/* Code that the kernel maps into each process. */
static bool in_vdso(const struct gib_process *process, uint64_t address)
{
    char name[64], *line = NULL;
    size_t room = 0;
    uint64_t start, end;
    bool found = false;
    snprintf(name, sizeof name, "/proc/%d/maps", process->pid);
    FILE *maps = fopen(name, "re");
    while (maps && !found && getline(&line, &room, maps) > 0)
        found = strstr(line, "[vdso]") && sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2 &&
                address >= start && address < end;
    free(line);
    if (maps)
        fclose(maps);
    return found;
}

/* An IFUNC's symbol is its resolver; what runs is the implementation it chose. The dynamic linker
 * has written that into the module's own slots, or the resolver says it again when it is called;
 * before relocation neither is known. */
static void add_ifunc(struct search *s, const struct gib_elf_symbol *symbol)
{
    uint64_t resolver = s->module->bias + symbol->value, chosen = 0;
    struct slots slots = {s->engine, s->module, 0};
    struct gib_error ignored;
    size_t count = gib_elf_ifunc_slots(s->module->elf, symbol->value, read_slot, &slots);
    bool relocated = gib_is_relocated(s->engine, s->module);
    if (count && slots.value && slots.value != resolver && in_text(s->engine, slots.value))
        chosen = slots.value;
    if (!chosen && relocated && !is_watched(s->engine->process, resolver) &&
        gib_target_call(s->engine, resolver, &chosen, &ignored) == 0 &&
        !in_text(s->engine, chosen) && !in_vdso(s->engine->process, chosen))
        chosen = 0;
    struct search where = *s;
    if (chosen && !in_text(s->engine, chosen))
        where.module = NULL; /* no file: refused, with that reason */
    add(&where, chosen, symbol->name, chosen ? 0 : resolver);
}

static bool file_matches(struct search *s, const struct gib_elf_symbol *symbol)
{
    return s->location->kind != GIB_LOCATION_FILE ||
           gib_elf_declared_in(s->module->elf, symbol->value, s->location->file);
}

static void visit(const struct gib_elf_symbol *symbol, void *context)
{
    struct search *s = context;
    if (!file_matches(s, symbol) || (s->location->exported && !symbol->exported))
        return;
    if (symbol->ifunc)
        add_ifunc(s, symbol);
    else
        add(s, s->module->bias + symbol->value, symbol->name, 0);
}

static bool name_matches(const struct gib_location *location, const char *name)
{
    if (location->regex)
        return !regexec(location->regex, name, 0, NULL, 0);
    return !fnmatch(location->function, name, 0);
}

/* Clones (`f.part.0`) are not what a pattern means. */
static bool pattern_matches(const struct gib_location *location, const char *symbol)
{
    if (strchr(symbol, '.'))
        return false;
    if (symbol[0] != '_' || symbol[1] != 'Z')
        return name_matches(location, symbol);
    char *name = gib_elf_function_name(symbol);
    bool matches = (name && name_matches(location, name)) || name_matches(location, symbol) ||
                   (name && gib_elf_drop_tags(name) && name_matches(location, name));
    free(name);
    return matches;
}

static void search_pattern(struct search *s)
{
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(s->module->elf, &symbols);
    for (size_t i = 0; i < count; i++)
        if (pattern_matches(s->location, symbols[i].name))
            visit(&symbols[i], s);
}

static bool ends_sentence(const char *text)
{
    return *text && strchr(".!?", text[strlen(text) - 1]);
}

static int resolve_address(struct gib_engine *engine, struct gib_patch *patch,
                           struct gib_found_list *out, struct gib_error *error)
{
    char text[256] = "";
    if (!patch->address_known) {
        if (engine->ops.evaluate(engine->context, patch->location.function, &patch->address, text))
            return gib_fail(error, GIB_E_NOT_FOUND, 0, "\"%.60s\" has no value here: %.150s%s",
                            patch->location.text, text, ends_sentence(text) ? "" : ".");
        patch->address_known = true;
    }
    struct gib_module *module = gib_modules_at(engine->process->modules, patch->address);
    if (!module || module->gone)
        return gib_fail(error, GIB_E_NOT_FOUND, patch->address,
                        "No file is mapped at 0x%" PRIx64
                        "; only functions of files can be patched.",
                        patch->address);
    struct search s = {engine, module, &patch->location, out};
    char name[32];
    snprintf(name, sizeof name, "*0x%" PRIx64, patch->address);
    const struct gib_elf_symbol *symbol =
        module->elf ? gib_elf_symbol_at(module->elf, patch->address - module->bias) : NULL;
    if (symbol && symbol->value + module->bias != patch->address) {
        char *shown = gib_elf_demangle(symbol->name);
        int failed =
            gib_fail(error, GIB_E_UNSUPPORTED, patch->address,
                     "0x%" PRIx64 " is inside %.100s, which begins at 0x%" PRIx64
                     "; a patch goes on a function's entry.",
                     patch->address, shown ? shown : symbol->name, symbol->value + module->bias);
        free(shown);
        return failed;
    }
    if (symbol && symbol->ifunc)
        add_ifunc(&s, symbol);
    else
        add(&s, patch->address, symbol ? symbol->name : name, 0);
    return 0;
}

bool gib_module_meant(const struct gib_module *module, const char *wanted)
{
    return *wanted ? gib_module_matches(module, wanted) : module->main;
}

int gib_location_resolve(struct gib_engine *engine, struct gib_patch *patch, size_t from,
                         struct gib_found_list *out, struct gib_error *error)
{
    struct gib_modules *modules = engine->process->modules;
    const struct gib_location *location = &patch->location;
    *out = (struct gib_found_list){NULL, 0};
    if (location->kind == GIB_LOCATION_ADDRESS) {
        gib_modules_lock(modules);
        int failed = resolve_address(engine, patch, out, error);
        gib_modules_unlock(modules);
        return failed;
    }
    gib_modules_lock(modules);
    for (size_t i = from; i < gib_modules_count(modules); i++) {
        struct gib_module *module = gib_modules_get(modules, i);
        if (module->gone || !module->elf ||
            (location->module && !gib_module_meant(module, location->module)))
            continue;
        /* The file that replaces a library often has its name. */
        if (patch->library && !strcmp(module->path, patch->library))
            continue;
        struct search s = {engine, module, location, out};
        uint64_t constructor = 0;
        if (patch->type == GIB_PATCH_HOOK)
            add(&s,
                gib_elf_first_constructor(module->elf, &constructor) ? module->bias + constructor
                                                                     : 0,
                "_init", 0);
        else if (location->glob || location->regex)
            search_pattern(&s);
        else
            gib_elf_find(module->elf, location->function, visit, &s);
    }
    gib_modules_unlock(modules);
    drop_aliases(out);
    return 0;
}

bool gib_module_known(struct gib_engine *engine, const char *wanted, bool ever)
{
    struct gib_modules *modules = engine->process->modules;
    bool known = false;
    gib_modules_lock(modules);
    for (size_t i = 0; i < gib_modules_count(modules); i++) {
        const struct gib_module *module = gib_modules_get(modules, i);
        known |= (ever || !module->gone) && gib_module_matches(module, wanted);
    }
    gib_modules_unlock(modules);
    return known;
}
