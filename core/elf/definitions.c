/*
 * definitions.c: what a file offers to others, by the dynamic linker's rules for symbols and their
 * versions (glibc's elf/dl-lookup.c, do_lookup_x and check_match).
 */
#include <stdlib.h>
#include "elf/file.h"

/* A program without a dynamic linker exports nothing; what it is linked from is in .symtab. */
static bool is_static_program(const struct gib_elf *elf)
{
    uint64_t flags = 0;
    if (elf->info.has_interpreter)
        return false;
    return !elf->info.is_dynamic_object ||
           (gib_elf_dynamic(elf, DT_FLAGS_1, &flags) && flags & DF_1_PIE);
}

static void read_symbol(const struct gib_elf *elf, size_t index, Elf64_Sym *symbol,
                        const char **name)
{
    const struct gib_symbol_table *table = &elf->definitions;
    memcpy(symbol, table->symbols + index * sizeof *symbol, sizeof *symbol);
    *name = symbol->st_name < table->strings_size ? table->strings + symbol->st_name : "";
}

/* Within one program nothing is hidden: all it has may be used. */
static bool is_offered(const Elf64_Sym *symbol, bool within, bool demoted)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info), binding = ELF64_ST_BIND(symbol->st_info);
    unsigned visibility = ELF64_ST_VISIBILITY(symbol->st_other);
    bool hidden = visibility == STV_HIDDEN || visibility == STV_INTERNAL;
    if (symbol->st_shndx == SHN_UNDEF || (hidden && !within))
        return false;
    if (binding != STB_GLOBAL && binding != STB_WEAK && binding != STB_GNU_UNIQUE &&
        !(binding == STB_LOCAL && demoted))
        return false;
    if (!symbol->st_value && symbol->st_shndx != SHN_ABS && type != STT_TLS)
        return false;
    return type == STT_NOTYPE || type == STT_OBJECT || type == STT_FUNC || type == STT_COMMON ||
           type == STT_TLS || type == STT_GNU_IFUNC;
}

static void read_definitions(struct gib_elf *elf)
{
    struct gib_symbol_table *table = &elf->definitions;
    struct gib_image *debug;
    bool within = is_static_program(elf);
    if (!within) {
        if (!gib_elf_dynamic_symbols(elf, table))
            table->count = 0;
    } else if (!gib_image_symbol_table(&elf->image, SHT_SYMTAB, table)) {
        debug = gib_elf_debug_image(elf);
        if (!debug || !gib_image_symbol_table(debug, SHT_SYMTAB, table))
            table->count = 0;
    }
    /* Of a position-independent program the linker makes hidden names local; they are of no source
     * file, and behind an empty one. */
    size_t offered = 0;
    for (int turn = 0; turn < 2; turn++) {
        bool demoted = false;
        for (size_t i = 1; i < table->count; i++) {
            Elf64_Sym symbol;
            const char *name;
            read_symbol(elf, i, &symbol, &name);
            if (ELF64_ST_TYPE(symbol.st_info) == STT_FILE)
                demoted = within && !*name;
            if (!is_offered(&symbol, within, demoted))
                continue;
            offered += turn == 0;
            if (turn)
                gib_hash_add(&elf->definition_names, gib_hash_of(name, strlen(name)), (uint32_t)i);
        }
        if (!offered || (turn == 0 && !gib_hash_create(&elf->definition_names, offered)))
            return;
    }
}

/* The name of version `index` that the file defines, "" for the file's own, NULL: none. */
static const char *defined_version(const struct gib_elf *elf, uint16_t index)
{
    uint64_t at, count;
    if (!gib_elf_dynamic(elf, DT_VERDEF, &at) || !gib_elf_dynamic(elf, DT_VERDEFNUM, &count))
        return NULL;
    for (uint64_t i = 0; i < count; i++) {
        Elf64_Verdef definition;
        Elf64_Verdaux name;
        size_t there;
        const uint8_t *bytes = gib_elf_at(elf, at, &there);
        if (!bytes || there < sizeof definition)
            return NULL;
        memcpy(&definition, bytes, sizeof definition);
        if ((definition.vd_ndx & 0x7fff) == index) {
            bytes = gib_elf_at(elf, at + definition.vd_aux, &there);
            if (!bytes || there < sizeof name || definition.vd_flags & VER_FLG_BASE)
                return bytes ? "" : NULL;
            memcpy(&name, bytes, sizeof name);
            return name.vda_name < elf->definitions.strings_size
                       ? elf->definitions.strings + name.vda_name
                       : NULL;
        }
        if (!definition.vd_next)
            return NULL;
        at += definition.vd_next;
    }
    return NULL;
}

static bool has_version(const struct gib_elf *elf, size_t index, const char *wanted)
{
    const struct gib_symbol_table *table = &elf->definitions;
    if (!table->versions)
        return true;
    uint16_t entry = (uint16_t)gib_load(table->versions + 2 * index, 2);
    bool hidden = entry & 0x8000;
    if (!wanted)
        return !hidden;
    const char *version = defined_version(elf, entry & 0x7fff);
    if (version && *version)
        return !strcmp(version, wanted);
    return !hidden; /* of no version: it serves for all */
}

bool gib_elf_definition(struct gib_elf *elf, const char *name, const char *version,
                        struct gib_elf_definition *out)
{
    if (!elf->definitions_read) {
        elf->definitions_read = true;
        read_definitions(elf);
    }
    uint32_t key = gib_hash_of(name, strlen(name)), index;
    for (size_t cursor = key; gib_hash_next(&elf->definition_names, key, &cursor, &index);) {
        Elf64_Sym symbol;
        const char *found;
        read_symbol(elf, index, &symbol, &found);
        if (strcmp(found, name) || !has_version(elf, index, version))
            continue;
        unsigned type = ELF64_ST_TYPE(symbol.st_info);
        *out = (struct gib_elf_definition){.value = symbol.st_value,
                                           .size = symbol.st_size,
                                           .ifunc = type == STT_GNU_IFUNC,
                                           .object = type == STT_OBJECT || type == STT_COMMON ||
                                                     type == STT_NOTYPE,
                                           .thread_local_variable = type == STT_TLS,
                                           .absolute = symbol.st_shndx == SHN_ABS};
        return true;
    }
    return false;
}

size_t gib_elf_needed(const struct gib_elf *elf, const char **names, size_t max)
{
    size_t count = 0, size;
    uint64_t strings, strings_size, value;
    if (!gib_elf_dynamic(elf, DT_STRTAB, &strings) ||
        !gib_elf_dynamic(elf, DT_STRSZ, &strings_size))
        return 0;
    for (size_t i = 0; gib_elf_dynamic_nth(elf, DT_NEEDED, i, &value); i++) {
        const char *name =
            value < strings_size ? (const char *)gib_elf_at(elf, strings + value, &size) : NULL;
        if (name && memchr(name, 0, size) && count < max)
            names[count++] = name;
    }
    return count;
}
