/* symbols.c: collects what is known of pieces of code, and writes it as an ELF file. */
#include "symbols/internal.h"

#include <errno.h>
#include <elf.h>
#include <libelf.h>
#include <stdio.h>
#include <unistd.h>

/*
 * GDB goes through functions of this name one instruction at a time, in `step` and `next`, until it
 * is out of them (infrun.c: process_event_stop_test, "stepped into an indirect branch thunk"). Any
 * other code without lines would be the end of the step. It asks for the symbol at the address in
 * the first section that has the address. So what is to be passed has two sections: one with
 * symbols of this name, and one with its own, which `info symbol` shows; and functions in the debug
 * information, whose names frames have.
 */
static const char PASSED[] = "__x86_indirect_thunk";
enum { PASSED_AT = 1 }; /* in the string table */

enum { GAP = 4 << 20 }; /* pieces further apart are in sections of their own */

struct cie {
    size_t body, size; /* in `frames` */
    size_t offset;     /* of the entry */
};

struct gib_symbols *gib_symbols_new(void)
{
    struct gib_symbols *symbols = calloc(1, sizeof *symbols);
    if (symbols) {
        gib_put_text(&symbols->strings, "");
        gib_put_text(&symbols->strings, PASSED);
        symbols->copies.types_at = GIB_UNIT_SIZE;
    }
    return symbols;
}

struct gib_dwarf_copies *gib_symbols_copies(struct gib_symbols *symbols)
{
    return &symbols->copies;
}

void gib_symbols_free(struct gib_symbols *symbols)
{
    if (!symbols)
        return;
    struct gib_buffer *buffers[] = {&symbols->pieces, &symbols->code,       &symbols->strings,
                                    &symbols->frames, &symbols->cies,       &symbols->lines,
                                    &symbols->files,  &symbols->parameters, &symbols->calls};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        gib_buffer_free(buffers[i]);
    gib_dwarf_copies_free(&symbols->copies);
    free(symbols);
}

/* ---- .debug_frame (DWARF 4, 6.4.1) ---- */

static size_t begin_entry(struct gib_buffer *frames, uint32_t id)
{
    size_t start = frames->size;
    gib_put_fixed(frames, 0, 4);
    gib_put_fixed(frames, id, 4);
    return start;
}

/* Padded with DW_CFA_nop to a multiple of eight. */
static void end_entry(struct gib_buffer *frames, size_t start)
{
    while ((frames->size - start) % 8 && !frames->failed)
        gib_put_fixed(frames, 0, 1);
    if (frames->failed)
        return;
    uint32_t length = (uint32_t)(frames->size - start - 4);
    memcpy(frames->bytes + start, &length, sizeof length);
}

static size_t find_cie(struct gib_symbols *symbols, const struct gib_buffer *body)
{
    struct gib_buffer *frames = &symbols->frames;
    const struct cie *known = (const struct cie *)symbols->cies.bytes;
    for (size_t i = 0; i < symbols->cies.size / sizeof *known; i++)
        if (known[i].size == body->size &&
            !memcmp(frames->bytes + known[i].body, body->bytes, body->size))
            return known[i].offset;
    size_t start = begin_entry(frames, UINT32_MAX);
    gib_put_fixed(frames, 3, 1); /* version */
    gib_put_text(frames, "");    /* augmentation */
    struct cie cie = {frames->size, body->size, start};
    gib_put(frames, body->bytes, body->size);
    end_entry(frames, start);
    gib_put(&symbols->cies, &cie, sizeof cie);
    return start;
}

static void add_frame(struct gib_symbols *symbols, const struct gib_code *code)
{
    struct gib_buffer *frames = &symbols->frames;
    size_t cie = find_cie(symbols, code->cie), start = begin_entry(frames, (uint32_t)cie);
    gib_put_fixed(frames, code->address, 8);
    gib_put_fixed(frames, code->size, 8);
    gib_put(frames, code->fde->bytes, code->fde->size);
    end_entry(frames, start);
}

/* ---- collecting ---- */

/* Files follow each other in runs: only the last one is compared. */
static uint32_t file_index(struct gib_symbols *symbols, const char *path)
{
    if (!symbols->file_count || symbols->files.failed ||
        strcmp((const char *)symbols->files.bytes + symbols->last_file, path)) {
        const char *name = (const char *)symbols->files.bytes;
        size_t at = 0;
        for (uint32_t i = 0; i < symbols->file_count && !symbols->files.failed; i++) {
            if (!strcmp(name + at, path))
                return i + 1;
            at += strlen(name + at) + 1;
        }
        symbols->last_file = symbols->files.size;
        symbols->file_count++;
        gib_put_text(&symbols->files, path);
    }
    return (uint32_t)symbols->file_count;
}

void gib_symbols_add(struct gib_symbols *symbols, const struct gib_code *code)
{
    struct piece piece = {.address = code->address,
                          .size = code->size,
                          .symbol = symbols->strings.size,
                          .name_size = strlen(code->name),
                          .bytes = symbols->code.size,
                          .passed = code->passed,
                          .stepped = code->stepped && !code->line_count,
                          .first_line = symbols->lines.size / sizeof(struct line),
                          .line_count = code->line_count,
                          .first_call = symbols->calls.size / sizeof(uint32_t),
                          .call_count = code->call_count};
    gib_put_text(&symbols->strings, code->symbol);
    gib_put(&symbols->code, code->bytes, code->size);
    if (code->cie && code->fde)
        add_frame(symbols, code);
    gib_put(&symbols->calls, code->calls, code->call_count * sizeof *code->calls);
    if (piece.stepped && !symbols->no_file)
        symbols->no_file = file_index(symbols, "gibbon");
    for (size_t i = 0; i < code->line_count; i++) {
        const struct gib_code_line *given = &code->lines[i];
        struct line line = {given->offset, file_index(symbols, given->file), given->line,
                            given->column};
        gib_put(&symbols->lines, &line, sizeof line);
    }
    if (code->parameters && code->frame_base) {
        piece.parameters = symbols->parameters.size;
        piece.parameters_size = code->parameters->size;
        gib_put(&symbols->parameters, code->parameters->bytes, code->parameters->size);
        piece.frame_base = symbols->parameters.size;
        piece.frame_base_size = code->frame_base->size;
        gib_put(&symbols->parameters, code->frame_base->bytes, code->frame_base->size);
    }
    gib_put(&symbols->pieces, &piece, sizeof piece);
}

/* ---- the file ---- */

static const char section_names[] = "\0.gibbon\0.debug_frame\0.debug_abbrev\0.debug_info\0.debug_"
                                    "line\0.debug_ranges\0.debug_names\0.debug_loc\0.strtab\0"
                                    ".symtab\0.shstrtab";

struct writer {
    Elf *elf;
    struct gib_buffer table; /* of symbols */
    struct gib_buffer code[128];
    size_t code_count;
    bool failed;
};

static Elf64_Shdr *add_section(struct writer *w, const char *name, uint32_t type,
                               const struct gib_buffer *bytes, size_t *index)
{
    Elf_Scn *scn = elf_newscn(w->elf);
    Elf_Data *data = scn ? elf_newdata(scn) : NULL;
    Elf64_Shdr *header = scn ? elf64_getshdr(scn) : NULL;
    if (!data || !header) {
        w->failed = true;
        return NULL;
    }
    const char *place = memmem(section_names, sizeof section_names, name, strlen(name) + 1);
    header->sh_name = (Elf64_Word)(place - section_names);
    header->sh_type = type;
    data->d_buf = bytes->bytes;
    data->d_size = bytes->size;
    data->d_align = 1;
    data->d_type = type == SHT_SYMTAB ? ELF_T_SYM : ELF_T_BYTE;
    header->sh_addralign = 1;
    if (index)
        *index = elf_ndxscn(scn);
    return header;
}

static int by_address(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

static size_t cluster_end(const struct piece *piece, size_t first, size_t count)
{
    size_t last = first + 1;
    while (last < count && piece[last].address - piece[last - 1].address < GAP)
        last++;
    return last;
}

static void add_symbols(struct writer *w, const struct piece *piece, size_t count, size_t section,
                        bool passed)
{
    for (size_t i = 0; i < count; i++) {
        if (passed ? !piece[i].passed : gib_has_function_only(&piece[i]))
            continue;
        Elf64_Sym symbol = {(Elf64_Word)(passed ? PASSED_AT : piece[i].symbol),
                            ELF64_ST_INFO(STB_LOCAL, STT_OBJECT),
                            STV_DEFAULT,
                            (Elf64_Section)section,
                            piece[i].address,
                            piece[i].size};
        gib_put(&w->table, &symbol, sizeof symbol);
    }
}

static void add_code_section(struct writer *w, const struct gib_buffer *code, uint64_t start,
                             size_t *index)
{
    Elf64_Shdr *header = add_section(w, ".gibbon", SHT_PROGBITS, code, index);
    if (!header)
        return;
    header->sh_addr = start;
    header->sh_flags = SHF_ALLOC | SHF_EXECINSTR;
}

/* A section for each run of pieces, and their symbols. */
static void add_code(struct writer *w, const struct gib_symbols *symbols)
{
    size_t count, index = 0;
    struct piece *piece = pieces_of(symbols, &count);
    Elf64_Sym none = {0};
    gib_put(&w->table, &none, sizeof none);
    if (count)
        qsort(piece, count, sizeof *piece, by_address);
    for (size_t first = 0, last; first < count; first = last) {
        last = cluster_end(piece, first, count);
        if (w->code_count == sizeof w->code / sizeof *w->code) {
            w->failed = true;
            return;
        }
        struct gib_buffer *code = &w->code[w->code_count++];
        uint64_t start = piece[first].address;
        bool passed = false;
        code->size = (size_t)(piece[last - 1].address + piece[last - 1].size - start);
        code->bytes = calloc(1, code->size);
        w->failed |= !code->bytes;
        for (size_t i = first; i < last && code->bytes; i++) {
            memcpy(code->bytes + (piece[i].address - start), symbols->code.bytes + piece[i].bytes,
                   piece[i].size);
            passed |= piece[i].passed;
        }
        if (passed) {
            add_code_section(w, code, start, &index);
            add_symbols(w, piece + first, last - first, index, true);
        }
        add_code_section(w, code, start, &index);
        add_symbols(w, piece + first, last - first, index, false);
    }
}

static void add_tables(struct writer *w, const struct gib_symbols *symbols,
                       const struct gib_debug_sections *debug)
{
    size_t strings, names;
    Elf64_Shdr *header;
    if (symbols->frames.size)
        add_section(w, ".debug_frame", SHT_PROGBITS, &symbols->frames, NULL);
    if (debug->info.size) {
        add_section(w, ".debug_abbrev", SHT_PROGBITS, &debug->abbrev, NULL);
        add_section(w, ".debug_info", SHT_PROGBITS, &debug->info, NULL);
        add_section(w, ".debug_line", SHT_PROGBITS, &debug->line, NULL);
        add_section(w, ".debug_ranges", SHT_PROGBITS, &debug->ranges, NULL);
        add_section(w, ".debug_names", SHT_PROGBITS, &debug->names, NULL);
        if (symbols->copies.locations.size)
            add_section(w, ".debug_loc", SHT_PROGBITS, &symbols->copies.locations, NULL);
    }
    add_section(w, ".strtab", SHT_STRTAB, &symbols->strings, &strings);
    if ((header = add_section(w, ".symtab", SHT_SYMTAB, &w->table, NULL))) {
        header->sh_link = (Elf64_Word)strings;
        header->sh_info = (Elf64_Word)(w->table.size / sizeof(Elf64_Sym)); /* all are local */
        header->sh_entsize = sizeof(Elf64_Sym);
        header->sh_addralign = 8;
    }
    const struct gib_buffer all = {(uint8_t *)(uintptr_t)section_names, sizeof section_names, 0,
                                   false};
    header = add_section(w, ".shstrtab", SHT_STRTAB, &all, &names);
    Elf64_Ehdr *file = elf64_getehdr(w->elf);
    if (header && file)
        file->e_shstrndx = (Elf64_Half)names;
}

int gib_symbols_write(struct gib_symbols *symbols, int fd, struct gib_error *error)
{
    struct writer w = {0};
    struct gib_debug_sections debug = {0};
    struct gib_buffer *buffers[] = {&symbols->pieces, &symbols->code,       &symbols->strings,
                                    &symbols->frames, &symbols->cies,       &symbols->lines,
                                    &symbols->files,  &symbols->parameters, &symbols->calls};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        w.failed |= buffers[i]->failed;
    w.failed |= symbols->copies.types.failed || symbols->copies.locations.failed;
    elf_version(EV_CURRENT);
    w.elf = elf_begin(fd, ELF_C_WRITE, NULL);
    Elf64_Ehdr *file = w.elf ? elf64_newehdr(w.elf) : NULL;
    if (file && !w.failed) {
        file->e_ident[EI_DATA] = ELFDATA2LSB;
        file->e_machine = EM_X86_64;
        file->e_type = ET_DYN; /* LLDB would take an executable for the program */
        file->e_version = EV_CURRENT;
        add_code(&w, symbols);
        gib_symbols_debug(symbols, &debug);
        add_tables(&w, symbols, &debug);
    }
    bool written = file && !w.failed && !w.table.failed && elf_update(w.elf, ELF_C_WRITE) >= 0;
    if (!written && error) {
        error->code = GIB_E_FILE;
        error->address = 0;
        snprintf(error->message, sizeof error->message, "A symbol file could not be written: %s.",
                 w.elf && elf_errno() ? elf_errmsg(-1) : strerror(ENOMEM));
    }
    if (w.elf)
        elf_end(w.elf);
    for (size_t i = 0; i < w.code_count; i++)
        gib_buffer_free(&w.code[i]);
    gib_buffer_free(&w.table);
    gib_buffer_free(&debug.abbrev);
    gib_buffer_free(&debug.info);
    gib_buffer_free(&debug.line);
    gib_buffer_free(&debug.ranges);
    gib_buffer_free(&debug.names);
    return written ? 0 : GIB_E_FILE;
}
