/*
 * dwarf_inlines.c: where compilers put copies of a function into others.
 *
 * One pass over all entries finds the copies (DW_TAG_inlined_subroutine) with the function around
 * each and the entry it is a copy of. What that entry is called is looked up once for each of
 * them, by libdw. A copy belongs to a function when both come from the same entry, or from entries
 * for the same function of the source: a function in a header has one in each unit.
 */
#include <dwarf.h>
#include <stdlib.h>
#include "elf/dwarf_forms.h"
#include "elf/dwarf_walk.h"
#include "elf/file.h"

enum { DEEPEST = 64, MOST_SHAPES = 1 << 16, MOST_ATTRIBUTES = 1000 };

struct copy {
    const uint8_t *origin; /* the entry it is a copy of */
    uint32_t unit;
    uint32_t at, function; /* bytes behind the unit's first entry; function 0: none */
};

struct origin {
    struct gib_elf_source source;
    size_t first, count; /* of the copies */
};

struct gib_inlines {
    struct gib_unit_bytes *units;
    size_t unit_count, unit_room;
    struct copy *copies; /* by origin */
    size_t copy_count, copy_room;
    struct origin *origins;
    size_t origin_count;
    struct gib_hash names; /* numbers of origins by name and by linkage name */
};

static bool grow(void **array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    size_t larger = *room * 2 + 64;
    void *moved = realloc(*array, larger * size);
    if (!moved)
        return false;
    *array = moved;
    *room = larger;
    return true;
}

/* ---- one unit's abbreviations ---- */

struct shape {
    uint16_t tag; /* 0: there is none with this code */
    bool children;
    uint32_t first, count; /* of the attributes */
};
struct attribute {
    uint16_t name, form;
};
struct shapes {
    struct shape *shape; /* by code */
    size_t shape_room, shape_count;
    struct attribute *attribute;
    size_t attribute_room, attribute_count;
};

static bool add_shape(struct shapes *s, Dwarf_Abbrev *abbreviation)
{
    unsigned code = dwarf_getabbrevcode(abbreviation), name, form;
    if (code >= MOST_SHAPES)
        return false;
    while (s->shape_count <= code) {
        if (!grow((void **)&s->shape, s->shape_count, &s->shape_room, sizeof *s->shape))
            return false;
        s->shape[s->shape_count++].tag = 0;
    }
    struct shape *shape = &s->shape[code];
    *shape =
        (struct shape){(uint16_t)dwarf_getabbrevtag(abbreviation),
                       dwarf_abbrevhaschildren(abbreviation) > 0, (uint32_t)s->attribute_count, 0};
    /* dwarf_getattrcnt of elfutils 0.188 miscounts DW_FORM_implicit_const. */
    for (; shape->count < MOST_ATTRIBUTES &&
           !dwarf_getabbrevattr_data(abbreviation, shape->count, &name, &form, NULL, NULL);
         shape->count++) {
        if (!grow((void **)&s->attribute, s->attribute_count, &s->attribute_room,
                  sizeof *s->attribute))
            return false;
        s->attribute[s->attribute_count++] = (struct attribute){(uint16_t)name, (uint16_t)form};
    }
    return shape->count < MOST_ATTRIBUTES;
}

static bool read_shapes(struct shapes *s, struct gib_unit_bytes *unit)
{
    size_t length;
    s->shape_count = s->attribute_count = 0;
    for (Dwarf_Off at = 0;; at += length) {
        Dwarf_Abbrev *abbreviation = dwarf_getabbrev(&unit->die, at, &length);
        if (abbreviation == DWARF_END_ABBREV)
            return true;
        if (!abbreviation || !length || !add_shape(s, abbreviation))
            return false;
    }
}

/* ---- the pass over a unit ---- */

struct pass {
    struct gib_inlines *out;
    struct shapes shapes;
};

/* An entry of another file (dwz's), or one by signature: libdw knows where. */
static const uint8_t *foreign_origin(const struct gib_unit_bytes *unit, const uint8_t *entry)
{
    Dwarf_Die die, origin;
    Dwarf_Off at = dwarf_dieoffset((Dwarf_Die *)&unit->die) + (Dwarf_Off)(entry - unit->start);
    return dwarf_offdie(unit->dwarf, at, &die) &&
                   gib_die_reference(&die, DW_AT_abstract_origin, &origin)
               ? origin.addr
               : NULL;
}

static bool add_copy(struct pass *pass, const struct gib_unit_bytes *unit, const uint8_t *entry,
                     const uint8_t *function, const uint8_t *origin)
{
    struct gib_inlines *out = pass->out;
    if (!origin)
        origin = foreign_origin(unit, entry);
    if (!origin || entry - unit->start > UINT32_MAX)
        return true;
    if (!grow((void **)&out->copies, out->copy_count, &out->copy_room, sizeof *out->copies))
        return false;
    out->copies[out->copy_count++] =
        (struct copy){origin, (uint32_t)(out->unit_count - 1), (uint32_t)(entry - unit->start),
                      function ? (uint32_t)(function - unit->start) : 0};
    return true;
}

/* Behind the entry's attributes; NULL when they do not end. *origin gets what the entry is a copy
 * of, if that is in this file. */
static const uint8_t *skip_attributes(const struct pass *pass, const struct gib_unit_bytes *unit,
                                      const struct shape *shape, const uint8_t *at,
                                      const uint8_t **origin)
{
    const struct attribute *attribute = pass->shapes.attribute + shape->first;
    for (size_t i = 0; i < shape->count && at; i++) {
        if (attribute[i].name == DW_AT_abstract_origin)
            *origin = gib_form_reference(unit, attribute[i].form, at);
        at = gib_form_end(unit, attribute[i].form, at);
    }
    return at;
}

static void read_unit(struct pass *pass, const struct gib_unit_bytes *unit)
{
    const uint8_t *function[DEEPEST];
    unsigned depth = 0, function_depth[DEEPEST], functions = 0;
    if (!read_shapes(&pass->shapes, pass->out->units + pass->out->unit_count - 1))
        return;
    for (const uint8_t *at = unit->start; at && at < unit->end;) {
        const uint8_t *entry = at, *origin = NULL;
        uint64_t code;
        if (!gib_read_leb(&at, unit->end, &code))
            return;
        if (!code) {
            if (!depth || !--depth)
                return;
            while (functions && function_depth[functions - 1] >= depth)
                functions--;
            continue;
        }
        if (code >= pass->shapes.shape_count || !pass->shapes.shape[code].tag)
            return;
        const struct shape *shape = &pass->shapes.shape[code];
        at = skip_attributes(pass, unit, shape, at, &origin);
        if (shape->tag == DW_TAG_inlined_subroutine &&
            !add_copy(pass, unit, entry, functions ? function[functions - 1] : NULL, origin))
            return;
        if (shape->tag == DW_TAG_subprogram && shape->children && functions < DEEPEST) {
            function[functions] = entry;
            function_depth[functions++] = depth;
        }
        depth += shape->children;
    }
}

static void add_unit(struct pass *pass, const struct gib_unit_bytes *unit)
{
    struct gib_inlines *out = pass->out;
    if (!grow((void **)&out->units, out->unit_count, &out->unit_room, sizeof *out->units))
        return;
    out->units[out->unit_count++] = *unit;
    read_unit(pass, unit);
}

/* The unit, or the one in a .dwo file that it stands for. */
static void read_whole_unit(struct pass *pass, struct gib_unit_bytes *unit)
{
    Dwarf_Die split;
    struct gib_unit_bytes inner;
    add_unit(pass, unit);
    if (!dwarf_cu_info(unit->die.cu, NULL, NULL, NULL, &split, NULL, NULL, NULL) && split.addr &&
        gib_unit_of(&split, &inner))
        add_unit(pass, &inner);
}

/* ---- which function of the source ---- */

static int compare_text(const char *one, const char *other)
{
    return strcmp(one ? one : "", other ? other : "");
}

static const char *text_of(Dwarf_Die *die, unsigned name, const char *otherwise)
{
    Dwarf_Attribute attribute;
    const char *text = dwarf_attr(die, name, &attribute) ? dwarf_formstring(&attribute) : otherwise;
    return text ? text : otherwise;
}

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

void gib_die_identify(const Dwarf_Die *die, struct gib_elf_source *out, Dwarf_Die *root)
{
    Dwarf_Die at = *die, next;
    *out = (struct gib_elf_source){0};
    for (int steps = 0; steps < 8; steps++) {
        uint64_t line;
        out->root = at.addr;
        *root = at;
        out->name = text_of(&at, DW_AT_name, out->name);
        out->linkage =
            text_of(&at, DW_AT_linkage_name, text_of(&at, DW_AT_MIPS_linkage_name, out->linkage));
        out->external |= gib_die_flag(&at, DW_AT_external);
        const char *path = gib_die_file(&at, DW_AT_decl_file);
        out->path = path ? path : out->path;
        if (gib_die_number(&at, DW_AT_decl_line, &line))
            out->line = (unsigned)line;
        if (!gib_die_reference(&at, DW_AT_abstract_origin, &next) &&
            !gib_die_reference(&at, DW_AT_specification, &next))
            break;
        at = next;
    }
    out->file = base_name(out->path);
}

/* One name may be many functions: static ones, and those of unnamed namespaces. */
static bool is_local(const char *linkage)
{
    return !strncmp(linkage, "_ZL", 3) || strstr(linkage, "_GLOBAL__N_");
}

static bool same_source(const struct gib_elf_source *one, const struct gib_elf_source *other)
{
    if (one->root && one->root == other->root)
        return true;
    bool place = one->file && other->file && one->line && one->line == other->line &&
                 !strcmp(one->file, other->file);
    if (one->linkage && other->linkage)
        return !strcmp(one->linkage, other->linkage) &&
               (place || (one->external && other->external && !is_local(one->linkage)));
    /* In C a place is needed, too: the `read` of <bits/unistd.h> is not libc's own. */
    return place && one->name && other->name && !strcmp(one->name, other->name);
}

/* ---- the index ---- */

static int by_origin(const void *a, const void *b)
{
    const struct copy *left = a, *right = b;
    if (left->origin != right->origin)
        return left->origin < right->origin ? -1 : 1;
    if (left->unit != right->unit)
        return left->unit < right->unit ? -1 : 1;
    return left->at < right->at ? -1 : left->at > right->at;
}

static bool entry_at(const struct gib_inlines *in, uint32_t unit, uint32_t at, Dwarf_Die *die)
{
    const struct gib_unit_bytes *bytes = &in->units[unit];
    return dwarf_offdie(bytes->dwarf, dwarf_dieoffset((Dwarf_Die *)&bytes->die) + at, die);
}

static void add_name(struct gib_inlines *in, const char *name, size_t number)
{
    if (name)
        gib_hash_add(&in->names, gib_hash_of(name, strlen(name)), (uint32_t)number);
}

static void name_origins(struct gib_inlines *in)
{
    size_t count = 0;
    if (!in->copy_count)
        return;
    qsort(in->copies, in->copy_count, sizeof *in->copies, by_origin);
    for (size_t i = 0; i < in->copy_count; i++)
        count += !i || in->copies[i].origin != in->copies[i - 1].origin;
    in->origins = malloc(count * sizeof *in->origins);
    if (!in->origins || !gib_hash_create(&in->names, 2 * count)) {
        in->copy_count = 0;
        return;
    }
    for (size_t first = 0, n; first < in->copy_count; first += n) {
        const struct copy *copy = &in->copies[first];
        Dwarf_Die die, origin, root;
        for (n = 1; first + n < in->copy_count && copy[n].origin == copy->origin;)
            n++;
        if (!entry_at(in, copy->unit, copy->at, &die) ||
            !gib_die_reference(&die, DW_AT_abstract_origin, &origin))
            continue;
        struct origin *out = &in->origins[in->origin_count];
        *out = (struct origin){.first = first, .count = n};
        gib_die_identify(&origin, &out->source, &root);
        add_name(in, out->source.name, in->origin_count);
        if (compare_text(out->source.name, out->source.linkage))
            add_name(in, out->source.linkage, in->origin_count);
        in->origin_count++;
    }
}

void gib_inlines_free(struct gib_inlines *in)
{
    if (!in)
        return;
    free(in->units);
    free(in->copies);
    free(in->origins);
    gib_hash_free(&in->names);
    free(in);
}

/* Of all units, or of the one with this first entry. */
static struct gib_inlines *read_inlines(struct gib_elf *elf, const void *only)
{
    Dwarf *dwarf = gib_elf_dwarf(elf);
    struct gib_inlines *in = calloc(1, sizeof *in);
    struct pass pass = {.out = in};
    size_t header_size;
    Dwarf_Off next;
    for (Dwarf_Off at = 0;
         in && dwarf && !dwarf_nextcu(dwarf, at, &next, &header_size, NULL, NULL, NULL);
         at = next) {
        struct gib_unit_bytes unit;
        if (next <= at)
            break;
        if (gib_unit_bytes(dwarf, at, header_size, next, &unit) && (!only || unit.die.addr == only))
            read_whole_unit(&pass, &unit);
    }
    free(pass.shapes.shape);
    free(pass.shapes.attribute);
    if (in)
        name_origins(in);
    return in;
}

static struct gib_inlines *inlines_of(struct gib_elf *elf)
{
    if (!elf->inlines)
        elf->inlines = read_inlines(elf, NULL);
    return elf->inlines;
}

uint64_t gib_elf_debug_size(struct gib_elf *elf)
{
    Dwarf *dwarf = gib_elf_dwarf(elf);
    size_t header_size;
    Dwarf_Off next, at = 0;
    if (elf->inlines)
        return 0;
    while (dwarf && !dwarf_nextcu(dwarf, at, &next, &header_size, NULL, NULL, NULL) && next > at)
        at = next;
    return at;
}

bool gib_elf_source(struct gib_elf *elf, uint64_t vaddr, struct gib_elf_source *source)
{
    Dwarf_Die die, root, unit, own_unit;
    *source = (struct gib_elf_source){0};
    if (!gib_elf_subprogram(elf, vaddr, &die)) {
        /* In C++ the name is enough. In C a place is needed, so copies elsewhere stay unknown. */
        const struct gib_elf_symbol *symbol = gib_elf_symbol_at(elf, vaddr);
        if (!symbol || symbol->value != vaddr || !symbol->global || strncmp(symbol->name, "_Z", 2))
            return false;
        source->linkage = symbol->name;
        source->external = source->in_header = true;
        return true;
    }
    gib_die_identify(&die, source, &root);
    source->vaddr = vaddr;
    source->in_header = true;
    if (source->file && dwarf_diecu(&root, &unit, NULL, NULL) &&
        dwarf_diecu(&die, &own_unit, NULL, NULL)) {
        const char *main_file = base_name(text_of(&unit, DW_AT_name, NULL));
        source->in_header = !main_file || strcmp(main_file, source->file);
        source->in_unit = !source->in_header && unit.addr == own_unit.addr;
    }
    return source->name || source->linkage;
}

/* ---- copies of one function ---- */

struct collection {
    struct gib_elf *elf;
    const struct gib_elf_source *source;
    const struct gib_inlines *in;
    struct gib_elf_inlined *item;
    size_t count, room;
    bool one_is_enough;
};

/* False when the linker has dropped the function around the copy. */
static bool describe(struct gib_elf *elf, const struct gib_inlines *in, const struct copy *copy,
                     struct gib_elf_inlined *out)
{
    Dwarf_Die die, function;
    uint64_t line;
    *out = (struct gib_elf_inlined){0};
    if (!copy->function || !entry_at(in, copy->unit, copy->function, &function) ||
        !entry_at(in, copy->unit, copy->at, &die) || !gib_die_entry(&function, &out->entry) ||
        !gib_elf_in_code(elf, out->entry))
        return false;
    if (gib_die_number(&die, DW_AT_call_line, &line))
        out->line = (unsigned)line;
    out->file = base_name(gib_die_file(&die, DW_AT_call_file));
    const struct gib_elf_symbol *symbol = gib_elf_symbol_at(elf, out->entry);
    out->function = symbol && symbol->value == out->entry ? symbol->name : NULL;
    if (!out->function) {
        struct gib_elf_source around;
        gib_die_identify(&function, &around, &die);
        out->function = around.linkage ? around.linkage : around.name;
    }
    return true;
}

/* gcc splits a function in two and puts one half back into the other, or into a clone: a "call" at
 * the place where the function is declared. */
static bool is_own_part(const struct collection *c, const struct copy *copy,
                        const struct gib_elf_inlined *inlined)
{
    struct gib_elf_source around;
    Dwarf_Die function, root;
    if (inlined->line != c->source->line || compare_text(inlined->file, c->source->file) ||
        !entry_at(c->in, copy->unit, copy->function, &function))
        return false;
    gib_die_identify(&function, &around, &root);
    return same_source(c->source, &around);
}

static void collect(struct collection *c, const struct origin *origin)
{
    for (size_t i = 0; i < origin->count && !(c->count && c->one_is_enough); i++) {
        const struct copy *copy = &c->in->copies[origin->first + i];
        if (!grow((void **)&c->item, c->count, &c->room, sizeof *c->item))
            return;
        struct gib_elf_inlined *item = &c->item[c->count];
        c->count += describe(c->elf, c->in, copy, item) && !is_own_part(c, copy, item);
    }
}

static void collect_all(struct collection *c)
{
    const char *name = c->source->name ? c->source->name : c->source->linkage;
    uint32_t key = name ? gib_hash_of(name, strlen(name)) : 0, number;
    for (size_t cursor = key; name && gib_hash_next(&c->in->names, key, &cursor, &number);) {
        const struct gib_elf_source *found = &c->in->origins[number].source;
        const char *own = c->source->name ? found->name : found->linkage;
        if (own && !strcmp(own, name) && same_source(c->source, found))
            collect(c, &c->in->origins[number]);
    }
}

static int by_place(const void *a, const void *b)
{
    const struct gib_elf_inlined *left = a, *right = b;
    if (left->entry != right->entry)
        return left->entry < right->entry ? -1 : 1;
    int order = compare_text(left->file, right->file);
    return order ? order : (left->line > right->line) - (left->line < right->line);
}

static size_t copies_of(struct gib_elf *elf, const struct gib_inlines *in,
                        const struct gib_elf_source *source, struct gib_elf_inlined **copies)
{
    struct collection c = {.elf = elf, .source = source, .in = in};
    size_t kept = 0;
    if (in && in->origin_count)
        collect_all(&c);
    if (c.count)
        qsort(c.item, c.count, sizeof *c.item, by_place);
    for (size_t i = 0; i < c.count; i++)
        if (!kept || by_place(&c.item[kept - 1], &c.item[i]))
            c.item[kept++] = c.item[i];
    *copies = c.item;
    return kept;
}

size_t gib_elf_inlined(struct gib_elf *elf, const struct gib_elf_source *source,
                       struct gib_elf_inlined **copies)
{
    return copies_of(elf, inlines_of(elf), source, copies);
}

bool gib_elf_is_inlined(struct gib_elf *elf, const struct gib_elf_source *source)
{
    struct collection c = {
        .elf = elf, .source = source, .in = inlines_of(elf), .one_is_enough = true};
    if (c.in && c.in->origin_count)
        collect_all(&c);
    free(c.item);
    return c.count > 0;
}

size_t gib_elf_inlined_near(struct gib_elf *elf, const struct gib_elf_source *source,
                            struct gib_elf_inlined **copies)
{
    Dwarf_Die unit;
    if (elf->inlines)
        return copies_of(elf, elf->inlines, source, copies);
    *copies = NULL;
    if (!gib_elf_cu_at(elf, source->vaddr, &unit))
        return 0;
    struct gib_inlines *in = read_inlines(elf, unit.addr);
    size_t count = copies_of(elf, in, source, copies);
    gib_inlines_free(in);
    return count;
}
