/*
 * symbols.c: the functions of a file, from all its symbol tables.
 */
#include <stdlib.h>
#include "elf/file.h"

static bool usable_strings(struct gib_symbol_table *table)
{
    /* Cut behind the last NUL, so that any offset within is a string. */
    while (table->strings_size && table->strings[table->strings_size - 1])
        table->strings_size--;
    return table->strings_size;
}

bool gib_image_symbol_table(const struct gib_image *image, uint32_t section_type,
                            struct gib_symbol_table *table)
{
    for (Elf_Scn *section = NULL; (section = elf_nextscn(image->elf, section));) {
        const Elf64_Shdr *header = elf64_getshdr(section);
        if (!header || header->sh_type != section_type || header->sh_flags & SHF_COMPRESSED)
            continue;
        Elf_Scn *linked = elf_getscn(image->elf, header->sh_link);
        const Elf64_Shdr *strings = linked ? elf64_getshdr(linked) : NULL;
        if (!strings || strings->sh_type != SHT_STRTAB)
            return false;
        *table = (struct gib_symbol_table){
            .symbols = gib_image_at(image, header->sh_offset, header->sh_size),
            .count = header->sh_size / sizeof(Elf64_Sym),
            .strings = (const char *)gib_image_at(image, strings->sh_offset, strings->sh_size),
            .strings_size = strings->sh_size,
        };
        return table->symbols && table->strings && usable_strings(table);
    }
    return false;
}

/* How many symbols DT_GNU_HASH knows: the highest index of its chains, plus one. */
static size_t count_by_gnu_hash(const struct gib_elf *elf, uint64_t vaddr)
{
    size_t size;
    const uint8_t *table = gib_elf_at(elf, vaddr, &size);
    if (!table || size < 16)
        return 0;
    uint64_t buckets = gib_load(table, 4), first = gib_load(table + 4, 4);
    uint64_t at = 16 + 8 * gib_load(table + 8, 4);
    uint64_t chains = at + 4 * buckets, last = 0;
    if (chains > size)
        return 0;
    for (uint64_t i = 0; i < buckets; i++) {
        uint64_t bucket = gib_load(table + at + 4 * i, 4);
        last = bucket > last ? bucket : last;
    }
    if (last < first)
        return first; /* no bucket is in use: only imports */
    for (;; last++) {
        uint64_t entry = chains + 4 * (last - first);
        if (entry + 4 > size)
            return 0;
        if (gib_load(table + entry, 4) & 1)
            return last + 1;
    }
}

bool gib_elf_dynamic_symbols(const struct gib_elf *elf, struct gib_symbol_table *table)
{
    uint64_t vaddr, hash;
    size_t size = 0;
    memset(table, 0, sizeof *table);
    if (!gib_image_symbol_table(&elf->image, SHT_DYNSYM, table)) {
        /* No section headers: what the dynamic linker goes by. */
        if (!gib_elf_dynamic(elf, DT_SYMTAB, &vaddr))
            return false;
        table->symbols = gib_elf_at(elf, vaddr, &size);
        if (!table->symbols || !gib_elf_dynamic(elf, DT_STRTAB, &vaddr))
            return false;
        table->strings = (const char *)gib_elf_at(elf, vaddr, &table->strings_size);
        if (!table->strings)
            return false;
        if (gib_elf_dynamic(elf, DT_STRSZ, &vaddr) && vaddr < table->strings_size)
            table->strings_size = vaddr;
        table->count = 0;
        if (gib_elf_dynamic(elf, DT_GNU_HASH, &hash)) {
            table->count = count_by_gnu_hash(elf, hash);
        } else if (gib_elf_dynamic(elf, DT_HASH, &hash)) {
            size_t hash_size;
            const uint8_t *chains = gib_elf_at(elf, hash, &hash_size);
            table->count = chains && hash_size >= 8 ? gib_load(chains + 4, 4) : 0;
        }
        if (table->count > size / sizeof(Elf64_Sym))
            table->count = size / sizeof(Elf64_Sym);
        if (!usable_strings(table))
            return false;
    }
    if (gib_elf_dynamic(elf, DT_VERSYM, &vaddr)) {
        table->versions = gib_elf_at(elf, vaddr, &size);
        if (table->versions && size / 2 < table->count)
            table->versions = NULL;
    }
    return true;
}

/* Symbols while they are collected. */
struct collection {
    struct gib_elf *elf;
    struct gib_elf_symbol *symbols;
    size_t count, capacity;
    size_t cut; /* bytes of cut names */
};

enum {
    name_limit = 1 << 16, /* longer names are no names but a hostile file */
    cut_limit = 64 << 20, /* likewise */
    cut_block = 64 << 10,
};

/* Names that had to be cut live in blocks that stay where they are. */
struct gib_text {
    struct gib_text *next;
    size_t used, size;
    char bytes[];
};

void gib_text_free(struct gib_text *text)
{
    while (text) {
        struct gib_text *next = text->next;
        free(text);
        text = next;
    }
}

/* The first `length` bytes of the name, as a copy; NULL: there is no room for one. */
static char *cut_name(struct collection *into, const char *name, size_t length)
{
    struct gib_text *text = into->elf->symbol_text;
    if (into->cut + length > cut_limit)
        return NULL;
    if (!text || text->size - text->used <= length) {
        size_t size = length < cut_block ? cut_block : length + 1;
        struct gib_text *block = malloc(sizeof *block + size);
        if (!block)
            return NULL;
        *block = (struct gib_text){.next = text, .size = size};
        into->elf->symbol_text = text = block;
    }
    char *copy = memcpy(text->bytes + text->used, name, length);
    copy[length] = 0;
    text->used += length + 1;
    into->cut += length + 1;
    return copy;
}

/*
 * Link-time optimisation and -funique-internal-linkage-names make local names unique by a suffix,
 * which is not in the source and makes no other function of it: `f.lto_priv.0`, `f.llvm.71` and
 * `f.__uniq.71` are f, `f.lto_priv.0.cold` is f.cold. Returns the suffix's length, 0 if there is
 * none at `text`.
 */
static size_t unique_suffix(const char *text)
{
    static const char *const suffix[] = {".lto_priv.", ".llvm.", ".__uniq."};
    for (size_t i = 0; i < GIB_COUNT(suffix); i++) {
        size_t length = strlen(suffix[i]);
        size_t digits = strncmp(text, suffix[i], length) ? 0 : strspn(text + length, "0123456789");
        if (digits && (!text[length + digits] || text[length + digits] == '.'))
            return length + digits;
    }
    return 0;
}

/* The name as the source has it. */
static const char *source_name(struct collection *into, const char *name, size_t length)
{
    const char *from = strchr(name + 1, '.');
    while (from && !unique_suffix(from))
        from = strchr(from + 1, '.');
    char *copy = from ? cut_name(into, name, length) : NULL;
    if (!copy)
        return name;
    for (char *to = copy + (from - name);;) {
        from += unique_suffix(from);
        *to = *from;
        if (!*from)
            return copy;
        to++;
        from++;
    }
}

static void collect(struct collection *into, const struct gib_symbol_table *table, bool exported)
{
    const char *file = NULL;
    for (size_t i = 1; i < table->count && into->count < into->capacity; i++) {
        Elf64_Sym entry;
        memcpy(&entry, table->symbols + i * sizeof entry, sizeof entry);
        unsigned type = ELF64_ST_TYPE(entry.st_info), binding = ELF64_ST_BIND(entry.st_info);
        if (entry.st_name >= table->strings_size)
            continue;
        const char *name = table->strings + entry.st_name;
        if (type == STT_FILE) {
            file = *name ? name : NULL; /* the linker's own symbols follow an empty one */
            continue;
        }
        if ((type != STT_FUNC && type != STT_GNU_IFUNC) || entry.st_shndx == SHN_UNDEF ||
            !gib_elf_in_code(into->elf, entry.st_value))
            continue;
        size_t length = strnlen(name, name_limit);
        if (!length || length == name_limit)
            continue;
        struct gib_elf_symbol *symbol = &into->symbols[into->count++];
        *symbol = (struct gib_elf_symbol){
            .name = source_name(into, name, length),
            .value = entry.st_value,
            .size = entry.st_size,
            .ifunc = type == STT_GNU_IFUNC,
            .global = binding != STB_LOCAL,
            .exported = exported,
            .file = binding == STB_LOCAL ? file : NULL,
        };
        const char *version = memchr(name, '@', length);
        if (version && version != name) {
            /* The assembler's spelling in .symtab: name@@DEFAULT, name@OLD. */
            symbol->old_version = version[1] != '@';
            char *cut = cut_name(into, name, version - name);
            symbol->name = cut ? cut : name;
        }
        if (exported && table->versions && gib_load(table->versions + 2 * i, 2) & 0x8000)
            symbol->old_version = true;
    }
}

/* Sorts by value: radix, 11 bits a pass. Twice as fast as qsort, and indexing libc is felt. */
static bool sort_by_value(struct gib_elf_symbol **symbols, size_t count)
{
    enum { bits = 11, radix = 1 << bits };
    struct key {
        uint64_t value;
        size_t index;
    } *keys = malloc((count + 1) * sizeof *keys), *other = malloc((count + 1) * sizeof *other);
    struct gib_elf_symbol *sorted = malloc((count + 1) * sizeof *sorted);
    bool done = keys && other && sorted;
    uint64_t highest = 0;
    for (size_t i = 0; done && i < count; i++) {
        keys[i] = (struct key){(*symbols)[i].value, i};
        highest |= keys[i].value;
    }
    for (unsigned shift = 0; done && shift < 64 && highest >> shift; shift += bits) {
        size_t start[radix] = {0}, sum = 0;
        for (size_t i = 0; i < count; i++)
            start[keys[i].value >> shift & (radix - 1)]++;
        for (size_t i = 0; i < radix; i++) {
            size_t here = start[i];
            start[i] = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++)
            other[start[keys[i].value >> shift & (radix - 1)]++] = keys[i];
        struct key *swap = keys;
        keys = other;
        other = swap;
    }
    for (size_t i = 0; done && i < count; i++)
        sorted[i] = (*symbols)[keys[i].index];
    if (done) {
        struct gib_elf_symbol *swap = *symbols;
        *symbols = sorted;
        sorted = swap;
    }
    free(sorted);
    free(keys);
    free(other);
    return done;
}

/* Of one name, first what .dynsym says, which knows the versions. */
static int by_name(const void *a, const void *b)
{
    const struct gib_elf_symbol *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    if (order)
        return order;
    return left->exported != right->exported ? right->exported - left->exported
                                             : right->global - left->global;
}

static int by_binding(const void *a, const void *b)
{
    const struct gib_elf_symbol *left = a, *right = b;
    return left->global != right->global ? right->global - left->global
                                         : strcmp(left->name, right->name);
}

/* Makes one symbol of all those with the same name and value. Returns the number left. */
static size_t merge(struct gib_elf_symbol *symbols, size_t count)
{
    size_t used = 0;
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && symbols[end].value == symbols[i].value;)
            end++;
        if (end - i > 1)
            qsort(symbols + i, end - i, sizeof *symbols, by_name);
        size_t group = used;
        for (size_t j = i; j < end; j++) {
            struct gib_elf_symbol *last = used > group ? &symbols[used - 1] : NULL;
            if (!last || strcmp(last->name, symbols[j].name)) {
                symbols[used++] = symbols[j];
                continue;
            }
            /* The default version wins. .symtab has a say only on what .dynsym does not list. */
            if (last->exported == symbols[j].exported && !symbols[j].old_version)
                last->old_version = false;
            last->global |= symbols[j].global;
            last->ifunc |= symbols[j].ifunc;
            if (!last->size)
                last->size = symbols[j].size;
            if (!last->file)
                last->file = symbols[j].file;
            if (last->global)
                last->file = NULL;
        }
        if (used - group > 1)
            qsort(symbols + group, used - group, sizeof *symbols, by_binding);
    }
    return used;
}

static void read_symbols(struct gib_elf *elf)
{
    struct gib_symbol_table tables[3];
    size_t count = 0, total = 0;
    bool exported[3] = {false};
    if (gib_elf_dynamic_symbols(elf, &tables[count]))
        exported[count++] = true;
    if (gib_image_symbol_table(&elf->image, SHT_SYMTAB, &tables[count]))
        count++;
    struct gib_image *debug = gib_elf_debug_image(elf);
    if (debug && gib_image_symbol_table(debug, SHT_SYMTAB, &tables[count]))
        count++;
    for (size_t i = 0; i < count; i++)
        total += tables[i].count;
    struct collection into = {.elf = elf, .capacity = total};
    into.symbols = malloc((total + 1) * sizeof *into.symbols);
    if (!into.symbols)
        return;
    for (size_t i = 0; i < count; i++)
        collect(&into, &tables[i], exported[i]);
    if (!sort_by_value(&into.symbols, into.count)) {
        free(into.symbols);
        return;
    }
    elf->symbol_count = merge(into.symbols, into.count);
    elf->symbols = into.symbols;
    elf->covered = malloc((elf->symbol_count + 1) * sizeof *elf->covered);
    if (!elf->covered) {
        elf->symbol_count = 0;
        return;
    }
    uint64_t covered = 0;
    for (size_t i = 0; i < elf->symbol_count; i++) {
        const struct gib_elf_symbol *symbol = &elf->symbols[i];
        uint64_t end = symbol->value + symbol->size;
        if (end >= symbol->value && end > covered)
            covered = end;
        elf->covered[i] = covered;
        elf->has_cxx |= !strncmp(symbol->name, "_Z", 2);
    }
}

size_t gib_elf_functions(struct gib_elf *elf, const struct gib_elf_symbol **symbols)
{
    if (!elf->symbols_read) {
        elf->symbols_read = true;
        read_symbols(elf);
    }
    *symbols = elf->symbols;
    return elf->symbol_count;
}
