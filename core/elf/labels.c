/*
 * labels.c: which addresses of code the file names: symbols of every kind (an assembler's labels
 * have no type), functions of the unwind table, and pointers in data, which the dynamic linker
 * relocates, or which stand there in a program at a fixed address. What is not a function's entry
 * among them is a way into the middle of one: a table of labels, the pad before a patchable entry.
 */
#include <stdlib.h>
#include "elf/file.h"

struct labels {
    struct gib_elf *elf;
    struct gib_elf_label *item;
    size_t count, capacity;
    struct gib_symbol_table dynamic; /* count 0: none */
};

static void add(struct labels *labels, uint64_t vaddr, enum gib_elf_label_kind kind)
{
    if (!gib_elf_in_code(labels->elf, vaddr))
        return;
    if (labels->count == labels->capacity) {
        size_t capacity = labels->capacity * 2 + 1024;
        void *larger = realloc(labels->item, capacity * sizeof *labels->item);
        if (!larger)
            return;
        labels->item = larger;
        labels->capacity = capacity;
    }
    labels->item[labels->count++] = (struct gib_elf_label){vaddr, kind};
}

static void add_symbols(struct labels *labels, const struct gib_symbol_table *table)
{
    static const char annobin[] = ".annobin"; /* its symbols are notes, not labels */
    for (size_t i = 1; i < table->count; i++) {
        Elf64_Sym entry;
        memcpy(&entry, table->symbols + i * sizeof entry, sizeof entry);
        unsigned type = ELF64_ST_TYPE(entry.st_info);
        if ((type != STT_NOTYPE && type != STT_OBJECT && type != STT_FUNC &&
             type != STT_GNU_IFUNC) ||
            entry.st_shndx == SHN_UNDEF || entry.st_shndx == SHN_ABS ||
            entry.st_name >= table->strings_size ||
            !strncmp(table->strings + entry.st_name, annobin, sizeof annobin - 1))
            continue;
        add(labels, entry.st_value, GIB_ELF_LABEL_SYMBOL);
    }
}

static bool is_address(const struct gib_elf *elf, uint32_t type)
{
    if (elf->info.machine == EM_AARCH64)
        return type == R_AARCH64_RELATIVE || type == R_AARCH64_ABS64;
    return type == R_X86_64_RELATIVE || type == R_X86_64_64;
}

/* A symbol's own value is a symbol; with an addend, or without a symbol, it may be a label. */
static bool add_relocation(struct gib_elf *elf, const Elf64_Rela *relocation, void *context)
{
    struct labels *labels = context;
    uint64_t value = (uint64_t)relocation->r_addend;
    size_t index = ELF64_R_SYM(relocation->r_info);
    if (!is_address(elf, (uint32_t)ELF64_R_TYPE(relocation->r_info)) ||
        (index && relocation->r_addend == 0))
        return false;
    if (index) {
        Elf64_Sym symbol;
        if (index >= labels->dynamic.count)
            return false;
        memcpy(&symbol, labels->dynamic.symbols + index * sizeof symbol, sizeof symbol);
        if (symbol.st_shndx == SHN_UNDEF)
            return false;
        value += symbol.st_value;
    }
    add(labels, value, GIB_ELF_LABEL_POINTER);
    return false;
}

static void add_slot(struct labels *labels, uint64_t slot)
{
    size_t there;
    const uint8_t *bytes = gib_elf_at(labels->elf, slot, &there);
    if (bytes && there >= 8)
        add(labels, gib_load(bytes, 8), GIB_ELF_LABEL_POINTER);
}

/* DT_RELR: an even word is a slot; an odd one says which of the 63 slots behind are meant too. */
static void add_compact(struct labels *labels)
{
    uint64_t vaddr, size, slot = 0;
    size_t there;
    if (!gib_elf_dynamic(labels->elf, DT_RELR, &vaddr) ||
        !gib_elf_dynamic(labels->elf, DT_RELRSZ, &size))
        return;
    const uint8_t *table = gib_elf_at(labels->elf, vaddr, &there);
    if (!table)
        return;
    for (size_t i = 0; i + 8 <= size && i + 8 <= there; i += 8) {
        uint64_t word = gib_load(table + i, 8);
        if (!(word & 1)) {
            add_slot(labels, word);
            slot = word + 8;
            continue;
        }
        for (unsigned bit = 1; bit < 64; bit++)
            if (word >> bit & 1)
                add_slot(labels, slot + 8ull * (bit - 1));
        slot += 8ull * 63;
    }
}

/* -fpatchable-function-entry: where its nops begin. */
static void add_patchable(struct labels *labels)
{
    Elf64_Shdr section;
    size_t there;
    if (!gib_image_section(&labels->elf->image, "__patchable_function_entries", &section))
        return;
    const uint8_t *bytes = gib_elf_at(labels->elf, section.sh_addr, &there);
    for (size_t at = 0; bytes && at + 8 <= there && at + 8 <= section.sh_size; at += 8)
        add(labels, gib_load(bytes + at, 8), GIB_ELF_LABEL_POINTER);
}

/* Two words side by side that lead to one piece of code: a table of labels. */
static bool is_table(const struct labels *labels, uint64_t word, uint64_t other)
{
    enum { LARGE_FUNCTION = 1 << 18 };
    return gib_elf_in_code(labels->elf, other) &&
           word - other + LARGE_FUNCTION < 2 * LARGE_FUNCTION;
}

/* A program at a fixed address needs no relocations. */
static void add_words(struct labels *labels)
{
    add_patchable(labels);
    for (size_t i = 0; i < labels->elf->info.segment_count; i++) {
        const struct gib_elf_segment *segment = &labels->elf->segments[i];
        size_t there = 0;
        const uint8_t *bytes =
            segment->executable ? NULL : gib_elf_at(labels->elf, segment->vaddr, &there);
        uint64_t before = 0;
        for (size_t at = -segment->vaddr & 7; bytes && at + 8 <= there; at += 8) {
            uint64_t word = gib_load(bytes + at, 8);
            uint64_t behind = at + 16 <= there ? gib_load(bytes + at + 8, 8) : 0;
            if (is_table(labels, word, before) || is_table(labels, word, behind))
                add(labels, word, GIB_ELF_LABEL_NUMBER);
            before = word;
        }
    }
}

static int by_value(const void *a, const void *b)
{
    const struct gib_elf_label *left = a, *right = b;
    if (left->vaddr != right->vaddr)
        return left->vaddr < right->vaddr ? -1 : 1;
    return (int)left->kind - (int)right->kind;
}

static void read_labels(struct gib_elf *elf)
{
    struct labels labels = {.elf = elf};
    struct gib_symbol_table table;
    const struct gib_elf_symbol *functions;
    size_t count = gib_elf_functions(elf, &functions);
    for (size_t i = 0; i < count; i++)
        add(&labels, functions[i].value, GIB_ELF_LABEL_SYMBOL);
    if (gib_image_symbol_table(&elf->image, SHT_SYMTAB, &table))
        add_symbols(&labels, &table);
    if (gib_elf_dynamic_symbols(elf, &labels.dynamic))
        add_symbols(&labels, &labels.dynamic);
    else
        labels.dynamic.count = 0;
    struct gib_image *debug = gib_elf_debug_image(elf);
    if (debug && gib_image_symbol_table(debug, SHT_SYMTAB, &table))
        add_symbols(&labels, &table);
    gib_elf_fde_at(elf, 0); /* reads them */
    for (size_t i = 0; i < elf->fde_count; i++)
        add(&labels, elf->fdes[i].start, GIB_ELF_LABEL_FUNCTION);
    gib_elf_visit_relocations(elf, add_relocation, &labels);
    add_compact(&labels);
    if (!elf->info.is_dynamic_object)
        add_words(&labels);
    if (labels.count)
        qsort(labels.item, labels.count, sizeof *labels.item, by_value);
    size_t used = 0;
    for (size_t i = 0; i < labels.count; i++)
        if (!used || by_value(&labels.item[used - 1], &labels.item[i]))
            labels.item[used++] = labels.item[i];
    elf->labels = labels.item;
    elf->label_count = used;
}

const struct gib_elf_label *gib_elf_labels(struct gib_elf *elf, uint64_t low, uint64_t high,
                                           size_t *count)
{
    if (!elf->labels_read) {
        elf->labels_read = true;
        read_labels(elf);
    }
    size_t first = 0, last = elf->label_count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (elf->labels[middle].vaddr < low)
            first = middle + 1;
        else
            last = middle;
    }
    for (last = first; last < elf->label_count && elf->labels[last].vaddr < high;)
        last++;
    *count = last - first;
    return *count ? &elf->labels[first] : NULL;
}
