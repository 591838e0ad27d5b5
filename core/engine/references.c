/*
 * references.c: inlined copies, clones, other implementations, other functions for the same, and
 * threads that are inside. Reads files and, for the threads, stacks; changes nothing.
 */
#include "engine/references.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "code/x86_64/mentions.h"

enum {
    /* Of debug information, at about 8 ms a megabyte, once a session. */
    QUICK_BYTES = 32 << 20,
    COUNTED_BYTES = 8 << 20,
    LONGEST_RESOLVER = 4096,
    LONGEST_WRAPPER = 4096,
    MOST_VALUES = 64,
};

struct finder {
    struct gib_engine *engine;
    const struct gib_subject *subject;
    const uint64_t *covered;
    size_t covered_count;
    struct gib_references *out;
};

/* Takes the text. */
static void append(struct gib_names *names, char *text)
{
    if (text && (names->count & (names->count - 1)) == 0) {
        char **grown =
            realloc(names->item, (names->count ? names->count * 2 : 1) * sizeof *names->item);
        if (!grown) {
            free(text);
            return;
        }
        names->item = grown;
    }
    if (text)
        names->item[names->count++] = text;
}

/* The same; one that is there already is dropped. */
static void add_text(struct gib_names *names, char *text)
{
    for (size_t i = 0; text && i < names->count; i++) {
        if (!strcmp(names->item[i], text)) {
            free(text);
            return;
        }
    }
    append(names, text);
}

static void names_free(struct gib_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->item[i]);
    free(names->item);
}

void gib_references_free(struct gib_references *r)
{
    names_free(&r->inlined);
    names_free(&r->clones);
    names_free(&r->variants);
    names_free(&r->others);
    names_free(&r->siblings);
    names_free(&r->called);
    names_free(&r->threads);
    names_free(&r->unread);
    memset(r, 0, sizeof *r);
}

static struct gib_module *next_module(struct finder *f, size_t *i)
{
    struct gib_modules *modules = f->engine->process->modules;
    while (*i < gib_modules_count(modules)) {
        struct gib_module *module = gib_modules_get(modules, (*i)++);
        if (!module->gone && module->elf)
            return module;
    }
    return NULL;
}

/* ---- inlined copies ---- */

/* "main (main.c:12) in libx.so", of what is known. */
static char *describe_copy(const struct finder *f, const struct gib_module *module,
                           const struct gib_elf_inlined *copy)
{
    char *name = copy->function ? gib_elf_function_name(copy->function) : NULL;
    char *place = copy->file && copy->line ? gib_format(" (%s:%u)", copy->file, copy->line) : NULL;
    bool elsewhere = module != f->subject->module;
    char *text = gib_format("%s%s%s%s", name ? name : "a function", place ? place : "",
                            elsewhere ? " in " : "", elsewhere ? module->name : "");
    free(name);
    free(place);
    return text;
}

static void find_inlined(struct finder *f, enum gib_effort effort)
{
    struct gib_elf_source source;
    const struct gib_module *own = f->subject->module;
    uint64_t left = effort == GIB_QUICKLY ? QUICK_BYTES : UINT64_MAX;
    struct gib_module *module;
    if (!gib_elf_source(own->elf, f->subject->entry - own->bias, &source)) {
        f->out->no_debug = true;
        return;
    }
    for (size_t at = 0; (module = next_module(f, &at));) {
        struct gib_elf_inlined *copies;
        size_t count;
        if (module != own && !source.in_header)
            continue;
        uint64_t size = gib_elf_debug_size(module->elf);
        /* Its own unit has them all, unless the linker has moved code between units. */
        if (module == own && source.in_unit && effort == GIB_QUICKLY) {
            count = gib_elf_inlined_near(module->elf, &source, &copies);
        } else if (size <= left) {
            left -= size;
            count = gib_elf_inlined(module->elf, &source, &copies);
        } else {
            add_text(&f->out->unread, strdup(module->name));
            continue;
        }
        for (size_t i = 0; i < count; i++)
            append(&f->out->inlined, describe_copy(f, module, &copies[i])); /* there may be many */
        free(copies);
    }
}

bool gib_count_inlined(struct gib_engine *engine, const struct gib_patch *patch, size_t *count,
                       const struct gib_site_state **first)
{
    const struct gib_process *process = engine->process;
    const struct gib_module *last = NULL;
    uint64_t left = COUNTED_BYTES;
    *count = 0;
    for (uint32_t i = 0; i < process->site_count; i++) {
        const struct gib_site_state *site = process->site[i];
        struct gib_elf_source source;
        if (!site->installed || !gib_site_link_of(site, patch, NULL))
            continue;
        if (site->module != last) {
            uint64_t size = gib_elf_debug_size(site->module->elf);
            if (size > left)
                return false;
            left -= size;
            last = site->module;
        }
        if (gib_elf_source(site->module->elf, site->entry - site->module->bias, &source) &&
            gib_elf_is_inlined(site->module->elf, &source) && (*count)++ == 0)
            *first = site;
    }
    return true;
}

/* ---- other code of the same function ---- */

/* The cold part is entered from the function only; the others have callers of their own. */
static bool is_clone(const char *symbol, const char *name)
{
    size_t length = strlen(name);
    const char *suffix = symbol + length;
    return !strncmp(symbol, name, length) && *suffix == '.' && !strstr(suffix, ".cold") &&
           strcmp(suffix, ".localalias") && !strstr(suffix, ".resolver");
}

static void find_clones(struct finder *f)
{
    const struct gib_module *module = f->subject->module;
    const struct gib_elf_symbol *symbols;
    const char *file = NULL;
    uint64_t vaddr = f->subject->entry - module->bias;
    size_t count = gib_elf_functions(module->elf, &symbols);
    for (size_t i = 0; i < count && !file; i++)
        if (symbols[i].value == vaddr && !strcmp(symbols[i].name, f->subject->symbol))
            file = symbols[i].file;
    for (size_t i = 0; i < count; i++) {
        /* Static functions of two files may have one name. */
        if (symbols[i].value == vaddr || !is_clone(symbols[i].name, f->subject->symbol) ||
            (file && symbols[i].file && strcmp(file, symbols[i].file)))
            continue;
        add_text(&f->out->clones, gib_elf_demangle(symbols[i].name));
    }
}

struct resolvers {
    uint64_t vaddr[8];
    size_t count;
};

static void take_resolver(const struct gib_elf_symbol *symbol, void *context)
{
    struct resolvers *r = context;
    if (symbol->ifunc && r->count < sizeof r->vaddr / sizeof *r->vaddr)
        r->vaddr[r->count++] = symbol->value;
}

/* The whole function at vaddr, up to `most` bytes; malloc'ed. */
static uint8_t *code_of(struct gib_elf *elf, uint64_t vaddr, size_t most, size_t *size)
{
    uint64_t start, end;
    *size = 0;
    if (!gib_elf_function_range(elf, vaddr, &start, &end) || start != vaddr || end <= start)
        return NULL;
    if (end - start < most)
        most = (size_t)(end - start);
    uint8_t *code = malloc(most);
    if (code)
        *size = gib_elf_read(elf, vaddr, code, most);
    return code;
}

static bool is_function(struct gib_elf *elf, uint64_t vaddr)
{
    uint64_t start, end;
    return gib_elf_function_range(elf, vaddr, &start, &end) && start == vaddr;
}

/* A resolver forms the address of each implementation that it may choose. */
static void find_variants(struct finder *f)
{
    const struct gib_module *module = f->subject->module;
    struct resolvers resolvers = {.count = 0};
    gib_elf_find(module->elf, f->subject->symbol, take_resolver, &resolvers);
    for (size_t i = 0; i < resolvers.count; i++) {
        uint64_t values[MOST_VALUES];
        size_t size;
        uint8_t *code = code_of(module->elf, resolvers.vaddr[i], LONGEST_RESOLVER, &size);
        size_t count =
            code ? gib_find_values(code, size, resolvers.vaddr[i], values, MOST_VALUES) : 0;
        free(code);
        for (size_t k = 0; k < count; k++) {
            uint64_t address = values[k] + module->bias;
            if (address == f->subject->entry || !is_function(module->elf, values[k]))
                continue;
            const struct gib_elf_symbol *symbol = gib_elf_symbol_at(module->elf, values[k]);
            add_text(&f->out->variants, symbol && symbol->value == values[k]
                                            ? gib_elf_demangle(symbol->name)
                                            : gib_format("0x%llx", (unsigned long long)address));
        }
    }
}

static bool is_covered(const struct finder *f, uint64_t address)
{
    for (size_t i = 0; i < f->covered_count; i++)
        if (f->covered[i] == address)
            return true;
    /* Another patch may be there. */
    const struct gib_site_state *site = gib_site_at(f->engine->process, address);
    return address == f->subject->entry || (site && site->installed);
}

struct same_name {
    struct finder *finder;
    struct gib_module *module;
};

static void take_other(const struct gib_elf_symbol *symbol, void *context)
{
    struct same_name *s = context;
    struct finder *f = s->finder;
    /* An IFUNC's implementation was found by its name, or is in another module's choice. */
    if (symbol->ifunc || !symbol->exported || is_covered(f, symbol->value + s->module->bias))
        return;
    char *name = gib_elf_function_name(symbol->name);
    add_text(&f->out->others,
             gib_format("%s%s in %s", name ? name : symbol->name,
                        symbol->old_version ? ", an older version," : "", s->module->name));
    free(name);
}

/* A name that only this file knows means nothing elsewhere. */
static void take_exported(const struct gib_elf_symbol *symbol, void *context)
{
    *(bool *)context |= symbol->exported;
}

static void find_others(struct finder *f)
{
    bool exported = false;
    struct gib_module *module;
    gib_elf_find(f->subject->module->elf, f->subject->symbol, take_exported, &exported);
    for (size_t at = 0; exported && (module = next_module(f, &at));) {
        struct same_name context = {f, module};
        gib_elf_find(module->elf, f->subject->symbol, take_other, &context);
    }
}

/* ---- other functions of the C library for the same ---- */

/* %s: the name without a final 64. The first ones are what a program's own source calls by the name
 * that is patched: headers turn it into them. */
static const char *const patterns[] = {
    "__%s_chk",      "__%s64_chk",      "__%s_2",    "__%s64_2",
    "__isoc99_%s",   "__isoc23_%s",     "%s64",      "%s",
    "__%s_nocancel", "__%s64_nocancel", "__libc_%s", "__libc_%s64",
    "__GI_%s",       "__GI___%s",       "__%s",      "%sat",
    "%sat64",        "__%sat_nocancel",
};
enum { BY_HEADERS = 8 };

struct sibling {
    struct finder *finder;
    bool by_headers;
};

/* " (called by main, libx.so and 3 more)"; NULL: by nobody. */
static char *callers_of(struct finder *f, const char *name)
{
    enum { SHOWN = 3 };
    struct gib_module *module;
    char list[160] = "";
    size_t count = 0;
    for (size_t at = 0; (module = next_module(f, &at));) {
        if (module == f->subject->module || module->interpreter ||
            !gib_elf_imports(module->elf, name))
            continue;
        if (count++ < SHOWN && strlen(list) + strlen(module->name) + 3 < sizeof list)
            strcat(strcat(list, *list ? ", " : ""), module->name);
    }
    if (!count)
        return NULL;
    return count > SHOWN ? gib_format(" (called by %s and %zu more)", list, count - SHOWN)
                         : gib_format(" (called by %s)", list);
}

static void take_sibling(const struct gib_elf_symbol *symbol, void *context)
{
    struct sibling *s = context;
    struct finder *f = s->finder;
    if (symbol->ifunc || !strcmp(symbol->name, f->subject->symbol) ||
        is_covered(f, symbol->value + f->subject->module->bias))
        return;
    char *callers = symbol->exported ? callers_of(f, symbol->name) : NULL;
    char *text = gib_format("%s%s", symbol->name, callers ? callers : "");
    if (callers && s->by_headers)
        add_text(&f->out->called, strdup(text));
    add_text(&f->out->siblings, text);
    free(callers);
}

static bool is_c_library(struct gib_elf *elf)
{
    bool found = false;
    return gib_elf_find(elf, "__libc_start_main", take_exported, &found) > 0;
}

static void find_siblings(struct finder *f)
{
    struct gib_elf *elf = f->subject->module->elf;
    char name[128], base[100];
    size_t length = strlen(f->subject->symbol);
    if (length < 3 || length >= sizeof base || f->subject->symbol[0] == '_' || !is_c_library(elf))
        return;
    strcpy(base, f->subject->symbol);
    if (length > 4 && !strcmp(base + length - 2, "64"))
        base[length - 2] = '\0';
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct sibling context = {f, i < BY_HEADERS};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(name, sizeof name, patterns[i], base);
#pragma GCC diagnostic pop
        gib_elf_find(elf, name, take_sibling, &context);
    }
}

static bool asks_kernel(const struct finder *f)
{
    struct gib_elf *elf = f->subject->module->elf;
    size_t size;
    uint8_t *code =
        code_of(elf, f->subject->entry - f->subject->module->bias, LONGEST_WRAPPER, &size);
    bool asks = code && is_c_library(elf) && gib_has_syscall(code, size);
    free(code);
    return asks;
}

/* ---- threads ---- */

/* The function's code, and its cold part's. */
struct extent {
    uint64_t start, end;
};

static size_t extents(const struct finder *f, struct extent *out, size_t max)
{
    const struct gib_module *module = f->subject->module;
    const struct gib_elf_symbol *symbols;
    uint64_t start, end;
    size_t found = 0, count, length = strlen(f->subject->symbol);
    if (gib_elf_function_range(module->elf, f->subject->entry - module->bias, &start, &end))
        out[found++] = (struct extent){f->subject->entry, end + module->bias};
    count = gib_elf_functions(module->elf, &symbols);
    for (size_t i = 0; i < count && found < max; i++)
        if (!strncmp(symbols[i].name, f->subject->symbol, length) &&
            !strcmp(symbols[i].name + length, ".cold"))
            out[found++] = (struct extent){symbols[i].value + module->bias - 1,
                                           symbols[i].value + symbols[i].size + module->bias};
    return found;
}

/* Behind the entry, or in the copy of its first instructions. */
static bool is_inside(const struct finder *f, const struct extent *extent, uint64_t pc)
{
    const struct gib_site_state *site = f->subject->site;
    if (pc > extent->start && pc < extent->end)
        return !site || pc > gib_site_detour(site) || pc < site->address;
    return site && site->boundaries && pc >= site->trampoline &&
           pc <= site->trampoline + site->boundary[site->boundaries - 1].copy;
}

static bool is_return(const struct finder *f, uint64_t address)
{
    const struct gib_module *module = f->subject->module;
    uint8_t code[8];
    uint64_t vaddr = address - module->bias;
    return gib_elf_read(module->elf, vaddr - sizeof code, code, sizeof code) == sizeof code &&
           gib_ends_in_call(code, sizeof code);
}

static bool on_stack(const struct finder *f, const struct extent *extent,
                     const struct gib_stopped *stopped, int32_t tid)
{
    size_t low = 0, high = stopped->word_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (stopped->words[middle].word <= extent->start)
            low = middle + 1;
        else
            high = middle;
    }
    /* The last instruction of a function may be a call that does not return. But where another
     * function begins right behind, a word is rather that one's address. */
    uint64_t start, end, bias = f->subject->module->bias;
    bool other =
        gib_elf_function_range(f->subject->module->elf, extent->end - bias, &start, &end) &&
        start + bias == extent->end;
    uint64_t last = extent->end - other;
    for (; low < stopped->word_count && stopped->words[low].word <= last; low++)
        if (stopped->words[low].tid == tid && is_return(f, stopped->words[low].word))
            return true;
    return false;
}

static void find_threads(struct finder *f, const struct gib_stopped *stopped)
{
    struct extent extent[4];
    size_t count = extents(f, extent, sizeof extent / sizeof *extent);
    for (size_t i = 0; i < stopped->count; i++) {
        const struct gib_target_thread *thread = &stopped->threads[i];
        bool inside = false;
        for (size_t k = 0; k < count && !inside; k++)
            inside = is_inside(f, &extent[k], thread->pc) ||
                     on_stack(f, &extent[k], stopped, thread->tid);
        if (inside)
            add_text(&f->out->threads, gib_format("%d", thread->number));
    }
}

void gib_references_find(struct gib_engine *engine, const struct gib_subject *subject,
                         const uint64_t *covered, size_t covered_count,
                         const struct gib_stopped *stopped, enum gib_effort effort,
                         struct gib_references *out)
{
    struct finder f = {engine, subject, covered, covered_count, out};
    memset(out, 0, sizeof *out);
    gib_modules_lock(engine->process->modules);
    find_inlined(&f, effort);
    find_variants(&f);
    if (!out->variants.count)
        find_clones(&f);
    find_others(&f);
    find_siblings(&f);
    out->is_system_call = asks_kernel(&f);
    if (stopped)
        find_threads(&f, stopped);
    gib_modules_unlock(engine->process->modules);
}
