/*
 * image.c: a shared object's segments, dynamic section and symbols.
 */
#include "package/image_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MOST_SEGMENTS = 64,
    LARGEST_ALIGNMENT = 1 << 30,
};
#define LARGEST_SPAN (1ull << 32)

static uint64_t page_down(uint64_t value)
{
    return value & ~(uint64_t)(GIB_PAGE - 1);
}
static uint64_t page_up(uint64_t value)
{
    return page_down(value + GIB_PAGE - 1);
}

/* ---- failures ---- */

static int fail(const struct gib_object_reader *reader, int code, const char *sentence)
{
    if (reader->error) {
        reader->error->code = code;
        reader->error->address = 0;
        snprintf(reader->error->message, sizeof reader->error->message, "%.100s %.140s",
                 reader->name, sentence);
    }
    return code;
}

int gib_object_damaged(const struct gib_object_reader *reader, const char *what)
{
    char sentence[200];
    snprintf(sentence, sizeof sentence, "is damaged: %s.", what);
    return fail(reader, GIB_E_FILE, sentence);
}

int gib_object_refuse(const struct gib_object_reader *reader, const char *format, ...)
{
    char sentence[400];
    va_list list;
    va_start(list, format);
    vsnprintf(sentence, sizeof sentence, format, list);
    va_end(list);
    return fail(reader, GIB_E_UNSUPPORTED, sentence);
}

int gib_object_no_memory(const struct gib_object_reader *reader)
{
    return fail(reader, GIB_E_MEMORY, "cannot be read: the debugger is out of memory.");
}

/* ---- bytes ---- */

const struct gib_object_segment *gib_object_segment_at(const struct gib_object *object,
                                                       uint64_t vaddr, uint64_t size)
{
    for (size_t i = 0; i < object->segment_count; i++) {
        const struct gib_object_segment *segment = &object->segments[i];
        if (vaddr >= segment->vaddr && vaddr - segment->vaddr <= segment->memory_size &&
            size <= segment->memory_size - (vaddr - segment->vaddr))
            return segment;
    }
    return NULL;
}

const uint8_t *gib_object_at(const struct gib_object *object, uint64_t vaddr, uint64_t size)
{
    const struct gib_object_segment *segment = gib_object_segment_at(object, vaddr, size);
    if (!segment || vaddr > segment->data_end || size > segment->data_end - vaddr)
        return NULL;
    return object->bytes + segment->file_offset + (vaddr - segment->vaddr);
}

const char *gib_object_string(const struct gib_object_reader *reader, uint64_t offset)
{
    const struct gib_object_dynamic *dynamic = &reader->dynamic;
    const char *strings =
        (const char *)gib_object_at(reader->object, dynamic->strings, dynamic->strings_size);
    if (!strings || offset >= dynamic->strings_size ||
        !memchr(strings + offset, 0, dynamic->strings_size - offset))
        return NULL;
    return strings + offset;
}

bool gib_object_dynamic_symbol(const struct gib_object_reader *reader, uint64_t index,
                               Elf64_Sym *symbol)
{
    const uint8_t *at =
        index > reader->object->size / sizeof *symbol
            ? NULL
            : gib_object_at(reader->object, reader->dynamic.symbols + index * sizeof *symbol,
                            sizeof *symbol);
    if (at)
        memcpy(symbol, at, sizeof *symbol);
    return at;
}

/* ---- segments ---- */

static int add_segment(struct gib_object_reader *reader, const Elf64_Phdr *header)
{
    struct gib_object *object = reader->object;
    if (header->p_memsz == 0)
        return 0;
    if (header->p_filesz > header->p_memsz || header->p_offset > object->size ||
        header->p_filesz > object->size - header->p_offset)
        return gib_object_damaged(reader, "a segment is longer than the file");
    if (header->p_vaddr > LARGEST_SPAN || header->p_memsz > LARGEST_SPAN ||
        header->p_vaddr % GIB_PAGE != header->p_offset % GIB_PAGE)
        return gib_object_damaged(reader, "a segment cannot be mapped");
    struct gib_object_segment segment = {
        .vaddr = page_down(header->p_vaddr),
        .file_offset = page_down(header->p_offset),
        .data_end = header->p_vaddr + header->p_filesz,
        .readable = header->p_flags & PF_R,
        .writable = header->p_flags & PF_W,
        .executable = header->p_flags & PF_X,
    };
    segment.memory_size = page_up(header->p_vaddr + header->p_memsz) - segment.vaddr;
    if (header->p_filesz)
        segment.file_size = page_up(segment.data_end) - segment.vaddr;
    if (header->p_memsz > header->p_filesz && !segment.writable)
        return gib_object_damaged(reader, "a segment that cannot be written has empty memory");
    if (header->p_memsz > header->p_filesz && header->p_filesz)
        segment.zero_size = page_up(segment.data_end) - segment.data_end;
    const struct gib_object_segment *last =
        object->segment_count ? &object->segments[object->segment_count - 1] : NULL;
    if (last && segment.vaddr < last->vaddr + last->memory_size)
        return gib_object_damaged(reader, "its segments overlap or are not in order");
    if (header->p_align > LARGEST_ALIGNMENT || (header->p_align & (header->p_align - 1)))
        return gib_object_damaged(reader, "a segment has no possible alignment");
    if (header->p_align > object->align)
        object->align = header->p_align;
    if (object->segment_count == MOST_SEGMENTS)
        return gib_object_damaged(reader, "it has too many segments");
    object->segments[object->segment_count++] = segment;
    return 0;
}

static int read_segments(struct gib_object_reader *reader, const Elf64_Phdr *headers, size_t count)
{
    struct gib_object *object = reader->object;
    object->align = GIB_PAGE;
    object->segments = calloc(MOST_SEGMENTS, sizeof *object->segments);
    if (!object->segments)
        return gib_object_no_memory(reader);
    for (size_t i = 0; i < count; i++) {
        int failed = headers[i].p_type == PT_LOAD ? add_segment(reader, &headers[i]) : 0;
        if (failed)
            return failed;
    }
    if (!object->segment_count)
        return gib_object_damaged(reader, "it has no segment to load");
    const struct gib_object_segment *last = &object->segments[object->segment_count - 1];
    object->low = object->segments[0].vaddr;
    object->span = last->vaddr + last->memory_size - object->low;
    return 0;
}

/* What the headers ask for beside memory. */
static int read_others(struct gib_object_reader *reader, const Elf64_Phdr *headers, size_t count)
{
    struct gib_object *object = reader->object;
    for (size_t i = 0; i < count; i++) {
        const Elf64_Phdr *header = &headers[i];
        uint64_t end = header->p_vaddr + header->p_memsz;
        const struct gib_object_segment *segment;
        switch (header->p_type) {
        case PT_TLS:
            return gib_object_refuse(reader, "has thread-local variables, which only the dynamic "
                                             "linker can give to each thread.");
        case PT_GNU_STACK:
            if (header->p_flags & PF_X)
                return gib_object_refuse(reader, "needs executable stacks (nested functions, or "
                                                 "assembly without .note.GNU-stack).");
            break;
        case PT_GNU_RELRO:
            segment = gib_object_segment_at(object, header->p_vaddr, header->p_memsz);
            if (!segment || !segment->writable)
                return gib_object_damaged(reader, "its read-only data is in no segment");
            object->relro = page_down(header->p_vaddr);
            object->relro_size = page_down(end) - object->relro;
            break;
        case PT_GNU_EH_FRAME:
            if (gib_object_at(object, header->p_vaddr, header->p_memsz) && header->p_memsz >= 4)
                gib_object_check_frames(object, header->p_vaddr, header->p_memsz);
            break;
        default:
            break;
        }
    }
    return 0;
}

/* ---- the dynamic section ---- */

static void take_entry(struct gib_object_dynamic *d, const Elf64_Dyn *entry)
{
    const struct {
        int64_t tag;
        uint64_t *value;
    } wanted[] = {{DT_STRTAB, &d->strings},
                  {DT_STRSZ, &d->strings_size},
                  {DT_SYMTAB, &d->symbols},
                  {DT_RELA, &d->rela},
                  {DT_RELASZ, &d->rela_size},
                  {DT_JMPREL, &d->plt},
                  {DT_PLTRELSZ, &d->plt_size},
                  {36 /* DT_RELR */, &d->relr},
                  {35 /* DT_RELRSZ */, &d->relr_size},
                  {DT_VERSYM, &d->versions},
                  {DT_VERNEED, &d->needs},
                  {DT_VERNEEDNUM, &d->need_count},
                  {DT_INIT, &d->init},
                  {DT_FINI, &d->fini},
                  {DT_INIT_ARRAY, &d->init_array},
                  {DT_INIT_ARRAYSZ, &d->init_array_size},
                  {DT_FINI_ARRAY, &d->fini_array},
                  {DT_FINI_ARRAYSZ, &d->fini_array_size},
                  {DT_FLAGS, &d->flags},
                  {DT_FLAGS_1, &d->flags_1},
                  {DT_SONAME, &d->soname}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (entry->d_tag == wanted[i].tag)
            *wanted[i].value = entry->d_un.d_val;
    d->text_relocations |= entry->d_tag == DT_TEXTREL;
    d->rel |= entry->d_tag == DT_REL;
}

/* Calls `visit` for each entry before DT_NULL. */
static void visit_dynamic(const uint8_t *table, uint64_t size,
                          void (*visit)(struct gib_object_reader *reader, const Elf64_Dyn *entry),
                          struct gib_object_reader *reader)
{
    Elf64_Dyn entry;
    for (uint64_t at = 0; size - at >= sizeof entry; at += sizeof entry) {
        memcpy(&entry, table + at, sizeof entry);
        if (entry.d_tag == DT_NULL)
            return;
        visit(reader, &entry);
    }
}

static void visit_entry(struct gib_object_reader *reader, const Elf64_Dyn *entry)
{
    take_entry(&reader->dynamic, entry);
}

static void visit_needed(struct gib_object_reader *reader, const Elf64_Dyn *entry)
{
    const char *name =
        entry->d_tag == DT_NEEDED ? gib_object_string(reader, entry->d_un.d_val) : NULL;
    if (name)
        reader->object->needed[reader->object->needed_count++] = name;
}

static int read_dynamic(struct gib_object_reader *reader, const Elf64_Phdr *headers, size_t count)
{
    const Elf64_Phdr *header = headers;
    while (header < headers + count && header->p_type != PT_DYNAMIC)
        header++;
    const uint8_t *table = header == headers + count
                               ? NULL
                               : gib_object_at(reader->object, header->p_vaddr, header->p_filesz);
    if (!table)
        return gib_object_damaged(reader, "it has no dynamic section");
    const struct gib_object_dynamic *dynamic = &reader->dynamic;
    visit_dynamic(table, header->p_filesz, visit_entry, reader);
    reader->object->needed =
        calloc(header->p_filesz / sizeof(Elf64_Dyn) + 1, sizeof *reader->object->needed);
    if (!reader->object->needed)
        return gib_object_no_memory(reader);
    visit_dynamic(table, header->p_filesz, visit_needed, reader);
    if (dynamic->soname)
        reader->object->soname = gib_object_string(reader, dynamic->soname);
    if (dynamic->flags_1 & DF_1_PIE)
        return gib_object_refuse(reader, "is a program; a package is a shared object (cc -shared "
                                         "-fPIC).");
    if (dynamic->flags & DF_STATIC_TLS)
        return gib_object_refuse(reader, "uses thread-local variables, which only the dynamic "
                                         "linker can give to each thread.");
    if (dynamic->text_relocations || dynamic->flags & DF_TEXTREL)
        return gib_object_refuse(reader, "needs relocations in its code; compile it with -fPIC.");
    if (dynamic->rel)
        return gib_object_damaged(reader, "it has relocations of another machine");
    return 0;
}

/* ---- the whole ---- */

static int read_object(struct gib_object_reader *reader)
{
    struct gib_object *object = reader->object;
    Elf64_Ehdr file;
    if (object->size < sizeof file || memcmp(object->bytes, ELFMAG, SELFMAG))
        return fail(reader, GIB_E_FILE, "is not an ELF file.");
    memcpy(&file, object->bytes, sizeof file);
    if (file.e_ident[EI_CLASS] != ELFCLASS64 || file.e_ident[EI_DATA] != ELFDATA2LSB ||
        file.e_machine != EM_X86_64)
        return fail(reader, GIB_E_UNSUPPORTED, "is made for another machine; x86-64 is needed.");
    if (file.e_type != ET_DYN)
        return fail(reader, GIB_E_UNSUPPORTED,
                    file.e_type == ET_REL
                        ? "is an object file; a package is a shared object (cc -shared -fPIC)."
                        : "is not a shared object (cc -shared -fPIC).");
    if (file.e_phentsize != sizeof(Elf64_Phdr) || file.e_phnum == PN_XNUM ||
        file.e_phoff > object->size ||
        file.e_phnum > (object->size - file.e_phoff) / sizeof(Elf64_Phdr))
        return gib_object_damaged(reader, "its program headers are outside of the file");
    Elf64_Phdr *headers = calloc((size_t)file.e_phnum + 1, sizeof *headers);
    if (!headers)
        return gib_object_no_memory(reader);
    memcpy(headers, object->bytes + file.e_phoff, file.e_phnum * sizeof *headers);
    int failed = read_segments(reader, headers, file.e_phnum);
    if (!failed)
        failed = read_dynamic(reader, headers, file.e_phnum);
    if (!failed)
        failed = read_others(reader, headers, file.e_phnum);
    if (!failed)
        failed = gib_object_read_relocations(reader);
    if (!failed)
        failed = gib_object_check_startup(reader);
    free(headers);
    return failed;
}

int gib_object_read(const uint8_t *bytes, size_t size, const char *name, struct gib_object **out,
                    struct gib_error *error)
{
    struct gib_object_reader reader = {
        .object = calloc(1, sizeof *reader.object), .name = name, .error = error};
    *out = NULL;
    if (!reader.object)
        return gib_object_no_memory(&reader);
    reader.object->bytes = bytes;
    reader.object->size = size;
    int failed = read_object(&reader);
    if (failed)
        gib_object_free(reader.object);
    else
        *out = reader.object;
    return failed;
}

void gib_object_free(struct gib_object *object)
{
    if (!object)
        return;
    free(object->segments);
    free(object->needed);
    free(object->needs);
    free(object->relocations);
    free(object);
}

/* ---- names of its own ---- */

/* Calls `visit` with each defined symbol of .symtab and .dynsym until it returns true. */
static bool visit_symbols(const struct gib_object *object,
                          bool (*visit)(const Elf64_Sym *symbol, const char *name, void *context),
                          void *context)
{
    Elf64_Ehdr file;
    memcpy(&file, object->bytes, sizeof file);
    if (file.e_shentsize != sizeof(Elf64_Shdr) || file.e_shoff > object->size ||
        file.e_shnum > (object->size - file.e_shoff) / sizeof(Elf64_Shdr))
        return false;
    for (size_t i = 0; i < file.e_shnum; i++) {
        Elf64_Shdr table, strings;
        memcpy(&table, object->bytes + file.e_shoff + i * sizeof table, sizeof table);
        if ((table.sh_type != SHT_SYMTAB && table.sh_type != SHT_DYNSYM) ||
            table.sh_link >= file.e_shnum)
            continue;
        memcpy(&strings, object->bytes + file.e_shoff + table.sh_link * sizeof strings,
               sizeof strings);
        if (table.sh_offset > object->size || table.sh_size > object->size - table.sh_offset ||
            strings.sh_offset > object->size ||
            strings.sh_size > object->size - strings.sh_offset || !strings.sh_size)
            continue;
        const char *text = (const char *)object->bytes + strings.sh_offset;
        for (uint64_t k = 0; k < table.sh_size / sizeof(Elf64_Sym); k++) {
            Elf64_Sym symbol;
            memcpy(&symbol, object->bytes + table.sh_offset + k * sizeof symbol, sizeof symbol);
            unsigned type = ELF64_ST_TYPE(symbol.st_info);
            if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE ||
                type > STT_FUNC || symbol.st_name >= strings.sh_size ||
                !memchr(text + symbol.st_name, 0, strings.sh_size - symbol.st_name))
                continue;
            if (visit(&symbol, text + symbol.st_name, context))
                return true;
        }
    }
    return false;
}

struct name_search {
    const char *name;
    uint64_t vaddr;
};
static bool is_named(const Elf64_Sym *symbol, const char *name, void *context)
{
    struct name_search *search = context;
    if (strcmp(name, search->name))
        return false;
    search->vaddr = symbol->st_value;
    return true;
}
static bool is_at(const Elf64_Sym *symbol, const char *name, void *context)
{
    struct name_search *search = context;
    if (symbol->st_value != search->vaddr || ELF64_ST_TYPE(symbol->st_info) != STT_FUNC)
        return false;
    search->name = name;
    return true;
}

bool gib_object_symbol(const struct gib_object *object, const char *name, uint64_t *vaddr)
{
    struct name_search search = {.name = name};
    if (!*name || !visit_symbols(object, is_named, &search))
        return false;
    *vaddr = search.vaddr;
    return true;
}

const char *gib_object_name_of(const struct gib_object *object, uint64_t vaddr)
{
    struct name_search search = {.vaddr = vaddr};
    return visit_symbols(object, is_at, &search) ? search.name : NULL;
}
