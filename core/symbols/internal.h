/* What the files of core/symbols share. */
#ifndef GIBBON_SYMBOLS_INTERNAL_H
#define GIBBON_SYMBOLS_INTERNAL_H

#include "symbols/symbols.h"

struct piece {
    uint64_t address;
    uint64_t size;
    size_t symbol, name_size;      /* offset in the string table */
    size_t bytes;                  /* offset in `code` */
    size_t first_line, line_count; /* in `lines` */
    size_t first_call, call_count; /* in `calls` */
    bool passed, stepped;
    size_t parameters, parameters_size;
    size_t frame_base, frame_base_size; /* in `parameters` as well */
};

struct line {
    uint32_t offset;
    uint32_t file; /* index in the table of files, from 1 */
    unsigned line, column;
};

/* A row of line 0 would cover all of its symbol, so it has a function in its place (dwarf.c). */
static inline bool gib_has_function_only(const struct piece *piece)
{
    return piece->stepped && piece->size == 1;
}

struct gib_symbols {
    struct gib_buffer pieces; /* struct piece */
    struct gib_buffer code;
    struct gib_buffer strings; /* of the symbol table */
    struct gib_buffer frames;  /* .debug_frame */
    struct gib_buffer cies;    /* struct cie: those in `frames` */
    struct gib_buffer lines;   /* struct line */
    struct gib_buffer calls;   /* uint32_t */
    struct gib_buffer files;   /* paths, each with its NUL */
    struct gib_buffer parameters;
    struct gib_dwarf_copies copies;
    size_t file_count;
    size_t last_file; /* offset in `files` */
    uint32_t no_file; /* of rows of line 0, which must have one; 0: there are none */
};

static inline struct piece *pieces_of(const struct gib_symbols *symbols, size_t *count)
{
    *count = symbols->pieces.size / sizeof(struct piece);
    return (struct piece *)symbols->pieces.bytes;
}

/* dwarf.c: the debug sections that map code to source lines. */
enum { GIB_UNIT_SIZE = 44 }; /* of the unit's header and first entry */
struct gib_debug_sections {
    struct gib_buffer abbrev, info, line, ranges, names;
};
/* False when no piece has lines. */
bool gib_symbols_debug(const struct gib_symbols *symbols, struct gib_debug_sections *out);
#endif
