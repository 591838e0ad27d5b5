/*
 * file.h: the inside of struct gib_elf, for the files of core/elf only.
 *
 * Two images make one struct gib_elf: the file itself and, when there is one, its separate debug
 * file. Every part below is filled when it is first asked for; opening reads program headers, notes
 * and the soname only.
 */
#ifndef GIBBON_ELF_FILE_H
#define GIBBON_ELF_FILE_H

#include <elf.h>
#include <elfutils/libdw.h>
#include <libelf.h>
#include <string.h>
#include "elf/elf.h"

#define GIB_COUNT(array) (sizeof(array) / sizeof(*(array)))

/* A file mapped privately and writable: libelf edits the section headers of what it decompresses.
 */
struct gib_image {
    uint8_t *bytes;
    size_t size;
    Elf *elf;
    char *path; /* resolved */
};

/* A table of symbols as it lies in an image. `symbols` may be unaligned. */
struct gib_symbol_table {
    const uint8_t *symbols;
    size_t count;
    const char *strings; /* ends with a NUL within strings_size */
    size_t strings_size;
    const uint8_t *versions; /* DT_VERSYM, count * 2 bytes, or NULL */
};

/* Keys (any strings) to numbers, by hash; the caller compares. Never full. */
struct gib_hash {
    uint32_t *slots; /* number + 1, 0: free */
    uint32_t *hashes;
    size_t mask;
};

/* What a C++ symbol can be called: pieces of one normalised string. See find.c. */
struct gib_alias {
    uint32_t text; /* offset in alias_text */
    uint32_t size;
    uint32_t symbol;
};

struct gib_cu_range {
    uint64_t start, end;
    uint32_t cu; /* index in cus */
};

struct gib_cu_function {
    uint64_t entry;
    Dwarf_Off die;
};

struct gib_cu {
    Dwarf_Off die;
    struct gib_cu_function *functions; /* by entry */
    size_t function_count;
    bool functions_read, deep_read;
};

struct gib_fde {
    uint64_t start, end;
    const uint8_t *program, *program_end;
    uint32_t cie; /* index in the table's cies */
};

struct gib_elf {
    struct gib_image image, debug; /* debug.elf is NULL when there is none */
    struct gib_image alternate;    /* of the debug information, dwz's */
    char *debug_directories;
    struct gib_elf_info info;
    struct gib_elf_segment *segments;
    bool debug_searched;

    bool symbols_read;
    struct gib_elf_symbol *symbols;
    uint64_t *covered; /* covered[i]: the highest end of symbols[0..i] */
    size_t symbol_count;
    struct gib_text *symbol_text; /* names cut at their version suffix */
    bool has_cxx;

    bool names_read, aliases_read, imports_read;
    struct gib_hash names, alias_names, import_names;
    struct gib_alias *aliases;
    size_t alias_count;
    char *alias_text;
    const char **imports;
    size_t import_count;

    bool definitions_read;
    struct gib_symbol_table definitions; /* for others; see definitions.c */
    struct gib_hash definition_names;

    bool dwarf_opened;
    Dwarf *dwarf, *alternate_dwarf;
    bool cus_read;
    struct gib_cu *cus;
    size_t cu_count;
    struct gib_cu_range *cu_ranges; /* by start */
    uint64_t *cu_covered;           /* highest end of cu_ranges[0..i] */
    size_t cu_range_count;

    bool fdes_read, rows_read;
    struct gib_cie *cies; /* cfi.h */
    size_t cie_count;
    struct gib_fde *fdes; /* by start, not overlapping */
    size_t fde_count;
    struct gib_unwind_row *rows;
    size_t row_count;

    struct gib_inlines *inlines; /* dwarf_inlines.c; NULL: not read yet */

    bool labels_read;
    struct gib_elf_label *labels; /* by address, then kind */
    size_t label_count;
    struct gib_elf_attachment attachment;

    bool ifuncs_read;
    struct gib_ifunc_slot {
        uint64_t resolver, slot;
    } * ifuncs; /* by resolver */
    size_t ifunc_count;
};

/* open.c */
/* Maps `path`; false with *error filled (which may be NULL) when it cannot or is not a 64-bit
 * little-endian ELF file. */
bool gib_image_open(struct gib_image *image, const char *path, struct gib_error *error);
void gib_image_close(struct gib_image *image);
/* The bytes of the image from `offset` on, NULL unless `size` of them are there. */
const uint8_t *gib_image_at(const struct gib_image *image, uint64_t offset, uint64_t size);
/* The first section with this name; false when there is none. */
bool gib_image_section(const struct gib_image *image, const char *name, Elf64_Shdr *header);
/* The build id in the image's notes; NULL when there is none. */
const uint8_t *gib_image_build_id(const struct gib_image *image, size_t *size);
/* ranges.c: whether vaddr is in an executable segment. */
bool gib_elf_in_code(const struct gib_elf *elf, uint64_t vaddr);
/* Value of a dynamic entry, an address or a number; false when the file has none. */
bool gib_elf_dynamic(const struct gib_elf *elf, int64_t tag, uint64_t *value);
/* The same of an entry that may be there several times; `nth` from 0 on. */
bool gib_elf_dynamic_nth(const struct gib_elf *elf, int64_t tag, size_t nth, uint64_t *value);
/* The bytes of the file at vaddr: *size of them up to the end of the segment; NULL when there are
 * none. */
const uint8_t *gib_elf_at(const struct gib_elf *elf, uint64_t vaddr, size_t *size);

/* relocations.c */
/* Calls visit for each dynamic relocation that is not in DT_RELR; stops when it returns true. */
typedef bool gib_visit_relocation(struct gib_elf *elf, const Elf64_Rela *relocation, void *context);
bool gib_elf_visit_relocations(struct gib_elf *elf, gib_visit_relocation *visit, void *context);

/* debug_file.c */
/* The separate debug file; NULL when there is none. */
struct gib_image *gib_elf_debug_image(struct gib_elf *elf);
/* The debug information, of the file or its debug file, with its alternate file set; NULL when
 * there is none. */
Dwarf *gib_elf_dwarf(struct gib_elf *elf);

/* symbols.c */
bool gib_image_symbol_table(const struct gib_image *image, uint32_t section_type,
                            struct gib_symbol_table *table);
bool gib_elf_dynamic_symbols(const struct gib_elf *elf, struct gib_symbol_table *table);
void gib_text_free(struct gib_text *text);

/* hash.c */
bool gib_hash_create(struct gib_hash *hash, size_t capacity);
void gib_hash_free(struct gib_hash *hash);
uint32_t gib_hash_of(const char *text, size_t size);
void gib_hash_add(struct gib_hash *hash, uint32_t key, uint32_t number);
/* Walks the numbers added with `key`: start with *cursor = key; false at the end. */
bool gib_hash_next(const struct gib_hash *hash, uint32_t key, size_t *cursor, uint32_t *number);

/* dwarf_index.c */
/* The compilation unit that covers vaddr; NULL when none does. */
struct gib_cu *gib_elf_cu_at(struct gib_elf *elf, uint64_t vaddr, Dwarf_Die *die);
/* With split DWARF, *unit becomes that of the .dwo file, which has the functions. */
Dwarf *gib_elf_follow_split(Dwarf_Die *unit);
/* The unit that covers vaddr, with its entries. */
bool gib_elf_unit_at(struct gib_elf *elf, uint64_t vaddr, Dwarf_Die *unit);
/* The DW_TAG_subprogram whose entry is vaddr. */
bool gib_elf_subprogram(struct gib_elf *elf, uint64_t vaddr, Dwarf_Die *die);
/* The DW_TAG_subprogram that covers vaddr, anywhere. */
bool gib_elf_subprogram_around(struct gib_elf *elf, uint64_t vaddr, Dwarf_Die *die);

/* dwarf_inlines.c */
void gib_inlines_free(struct gib_inlines *inlines);

/* cfi.c */
/* The function description entry that covers vaddr; NULL when none does. */
const struct gib_fde *gib_elf_fde_at(struct gib_elf *elf, uint64_t vaddr);

/* Unaligned little-endian loads. */
static inline uint64_t gib_load(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, bytes, size);
    return value;
}
#endif
