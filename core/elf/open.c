/*
 * open.c: an ELF file: its mapping, segments, notes, dynamic section.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "elf/file.h"

static bool fail(struct gib_error *error, int code, const char *path, const char *reason)
{
    if (error) {
        error->code = code;
        error->address = 0;
        /* A long path is cut in front: its end is what tells files apart. */
        size_t length = strlen(path);
        const char *end = length > 150 ? path + length - 150 : path;
        snprintf(error->message, sizeof error->message, "%s%s cannot be read: %.80s.",
                 end == path ? "" : "...", end, reason);
    }
    return false;
}

/* What the rest of this layer takes for granted: 64-bit, little-endian. NULL, or what is wrong. */
static const char *unusable(const uint8_t *bytes, size_t size)
{
    if (size < sizeof(Elf64_Ehdr) || memcmp(bytes, ELFMAG, SELFMAG))
        return "it is not an ELF file";
    if (bytes[EI_CLASS] != ELFCLASS64)
        return "it is not a 64-bit ELF file";
    if (bytes[EI_DATA] != ELFDATA2LSB)
        return "it is not a little-endian ELF file";
    return NULL;
}

bool gib_image_open(struct gib_image *image, const char *path, struct gib_error *error)
{
    memset(image, 0, sizeof *image);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to hang on a FIFO */
    struct stat status;
    if (fd < 0 || fstat(fd, &status)) {
        int cause = errno;
        if (fd >= 0)
            close(fd);
        return fail(error, GIB_E_FILE, path, strerror(cause));
    }
    if (!S_ISREG(status.st_mode) || status.st_size < (off_t)sizeof(Elf64_Ehdr)) {
        close(fd);
        return fail(error, GIB_E_FILE, path, "it is not an ELF file");
    }
    image->size = status.st_size;
    void *map = mmap(NULL, image->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    int cause = errno;
    close(fd);
    if (map == MAP_FAILED)
        return fail(error, GIB_E_FILE, path, strerror(cause));
    image->bytes = map;
    const char *reason = unusable(image->bytes, image->size);
    elf_version(EV_CURRENT);
    if (!reason && !(image->elf = elf_memory(map, image->size)))
        reason = elf_errmsg(-1);
    if (!reason && !(image->path = realpath(path, NULL)) && !(image->path = strdup(path)))
        reason = "out of memory";
    if (reason) {
        gib_image_close(image);
        return fail(error, GIB_E_FILE, path, reason);
    }
    return true;
}

void gib_image_close(struct gib_image *image)
{
    if (image->elf)
        elf_end(image->elf);
    if (image->bytes)
        munmap(image->bytes, image->size);
    free(image->path);
    memset(image, 0, sizeof *image);
}

const uint8_t *gib_image_at(const struct gib_image *image, uint64_t offset, uint64_t size)
{
    if (offset > image->size || size > image->size - offset)
        return NULL;
    return image->bytes + offset;
}

bool gib_image_section(const struct gib_image *image, const char *name, Elf64_Shdr *header)
{
    size_t strings;
    if (elf_getshdrstrndx(image->elf, &strings))
        return false;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(image->elf, section));) {
        const Elf64_Shdr *found = elf64_getshdr(section);
        const char *called = found ? elf_strptr(image->elf, strings, found->sh_name) : NULL;
        if (called && !strcmp(called, name)) {
            *header = *found;
            return true;
        }
    }
    return false;
}

static size_t program_headers(const struct gib_image *image, const uint8_t **table)
{
    Elf64_Ehdr header;
    memcpy(&header, image->bytes, sizeof header);
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == PN_XNUM)
        return 0;
    *table = gib_image_at(image, header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr));
    return *table ? header.e_phnum : 0;
}

static bool program_header(const struct gib_image *image, uint32_t type, Elf64_Phdr *found)
{
    const uint8_t *table = NULL;
    size_t count = program_headers(image, &table);
    for (size_t i = 0; i < count; i++) {
        memcpy(found, table + i * sizeof *found, sizeof *found);
        if (found->p_type == type)
            return true;
    }
    return false;
}

/* Notes are name size, description size, type, name and description padded to 4. */
static const uint8_t *build_id_in(const uint8_t *notes, size_t size, size_t *id_size)
{
    while (size >= 12) {
        uint64_t name = gib_load(notes, 4), description = gib_load(notes + 4, 4);
        uint64_t type = gib_load(notes + 8, 4);
        uint64_t at = 12 + ((name + 3) & ~3ULL), next = at + ((description + 3) & ~3ULL);
        if (at + description > size)
            return NULL;
        if (type == NT_GNU_BUILD_ID && name == 4 && !memcmp(notes + 12, "GNU", 4) && description) {
            *id_size = description;
            return notes + at;
        }
        if (next >= size)
            return NULL;
        notes += next;
        size -= next;
    }
    return NULL;
}

const uint8_t *gib_image_build_id(const struct gib_image *image, size_t *size)
{
    const uint8_t *table = NULL, *id = NULL;
    size_t count = program_headers(image, &table);
    /* The program headers of a separate debug file point at what was left out: sections first. */
    Elf64_Shdr section;
    if (gib_image_section(image, ".note.gnu.build-id", &section) && section.sh_type == SHT_NOTE) {
        const uint8_t *notes = gib_image_at(image, section.sh_offset, section.sh_size);
        if (notes && (id = build_id_in(notes, section.sh_size, size)))
            return id;
    }
    for (size_t i = 0; i < count && !id; i++) {
        Elf64_Phdr header;
        memcpy(&header, table + i * sizeof header, sizeof header);
        const uint8_t *notes =
            header.p_type == PT_NOTE ? gib_image_at(image, header.p_offset, header.p_filesz) : NULL;
        if (notes)
            id = build_id_in(notes, header.p_filesz, size);
    }
    if (!id)
        *size = 0;
    return id;
}

static int by_vaddr(const void *a, const void *b)
{
    const struct gib_elf_segment *left = a, *right = b;
    return left->vaddr < right->vaddr ? -1 : left->vaddr > right->vaddr;
}

static bool read_segments(struct gib_elf *elf)
{
    const uint8_t *table = NULL;
    size_t count = program_headers(&elf->image, &table);
    elf->segments = calloc(count + 1, sizeof *elf->segments);
    if (!elf->segments)
        return false;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        Elf64_Phdr header;
        memcpy(&header, table + i * sizeof header, sizeof header);
        /* A segment that wraps round the address space is not one. */
        if (header.p_type != PT_LOAD || header.p_vaddr + header.p_memsz < header.p_vaddr ||
            header.p_filesz > header.p_memsz)
            continue;
        uint64_t there = header.p_offset < elf->image.size ? elf->image.size - header.p_offset : 0;
        elf->segments[used++] = (struct gib_elf_segment){
            .vaddr = header.p_vaddr,
            .memory_size = header.p_memsz,
            .file_size = header.p_filesz < there ? header.p_filesz : there, /* a truncated file */
            .file_offset = header.p_offset,
            .readable = header.p_flags & PF_R,
            .writable = header.p_flags & PF_W,
            .executable = header.p_flags & PF_X,
        };
    }
    qsort(elf->segments, used, sizeof *elf->segments, by_vaddr);
    elf->info.segments = elf->segments;
    elf->info.segment_count = used;
    return true;
}

const uint8_t *gib_elf_at(const struct gib_elf *elf, uint64_t vaddr, size_t *size)
{
    for (size_t i = 0; i < elf->info.segment_count; i++) {
        const struct gib_elf_segment *segment = &elf->segments[i];
        if (vaddr >= segment->vaddr && vaddr - segment->vaddr < segment->file_size) {
            uint64_t into = vaddr - segment->vaddr;
            *size = segment->file_size - into;
            return elf->image.bytes + segment->file_offset + into;
        }
    }
    return NULL;
}

bool gib_elf_dynamic(const struct gib_elf *elf, int64_t tag, uint64_t *value)
{
    return gib_elf_dynamic_nth(elf, tag, 0, value);
}

/* The entry and its vaddr. */
static bool find_dynamic(const struct gib_elf *elf, int64_t tag, size_t nth, Elf64_Dyn *entry,
                         uint64_t *vaddr)
{
    Elf64_Phdr header;
    size_t size;
    if (!program_header(&elf->image, PT_DYNAMIC, &header))
        return false;
    const uint8_t *table = gib_elf_at(elf, header.p_vaddr, &size);
    if (!table)
        return false;
    if (size > header.p_filesz)
        size = header.p_filesz;
    for (size_t at = 0; size - at >= sizeof *entry; at += sizeof *entry) {
        memcpy(entry, table + at, sizeof *entry);
        *vaddr = header.p_vaddr + at;
        if (entry->d_tag == DT_NULL)
            return false;
        if (entry->d_tag == tag && nth-- == 0)
            return true;
    }
    return false;
}

bool gib_elf_dynamic_nth(const struct gib_elf *elf, int64_t tag, size_t nth, uint64_t *value)
{
    Elf64_Dyn entry;
    uint64_t vaddr;
    if (!find_dynamic(elf, tag, nth, &entry, &vaddr))
        return false;
    *value = entry.d_un.d_val;
    return true;
}

bool gib_elf_debug_slot(const struct gib_elf *elf, uint64_t *slot)
{
    Elf64_Dyn entry;
    if (!find_dynamic(elf, DT_DEBUG, 0, &entry, slot))
        return false;
    *slot += offsetof(Elf64_Dyn, d_un);
    return true;
}

static const char *read_soname(const struct gib_elf *elf)
{
    uint64_t strings, name;
    size_t size;
    if (!gib_elf_dynamic(elf, DT_SONAME, &name) || !gib_elf_dynamic(elf, DT_STRTAB, &strings))
        return NULL;
    const char *text = (const char *)gib_elf_at(elf, strings + name, &size);
    return text && memchr(text, 0, size) ? text : NULL;
}

struct gib_elf *gib_elf_open(const char *path, const char *debug_directories,
                             struct gib_error *error)
{
    struct gib_elf *elf = calloc(1, sizeof *elf);
    if (!elf) {
        fail(error, GIB_E_MEMORY, path, "out of memory");
        return NULL;
    }
    if (!gib_image_open(&elf->image, path, error)) {
        free(elf);
        return NULL;
    }
    Elf64_Ehdr header;
    memcpy(&header, elf->image.bytes, sizeof header);
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
        fail(error, GIB_E_FILE, path, "it is neither an executable nor a shared library");
        gib_elf_close(elf);
        return NULL;
    }
    if (!read_segments(elf) ||
        (debug_directories && !(elf->debug_directories = strdup(debug_directories)))) {
        fail(error, GIB_E_MEMORY, path, "out of memory");
        gib_elf_close(elf);
        return NULL;
    }
    Elf64_Phdr interpreter;
    elf->info.machine = header.e_machine;
    elf->info.is_dynamic_object = header.e_type == ET_DYN;
    elf->info.has_interpreter = program_header(&elf->image, PT_INTERP, &interpreter);
    if (elf->info.has_interpreter) {
        const char *loader =
            (const char *)gib_image_at(&elf->image, interpreter.p_offset, interpreter.p_filesz);
        if (loader && memchr(loader, '\0', interpreter.p_filesz))
            elf->info.interpreter = loader;
    }
    elf->info.entry = header.e_entry;
    elf->info.soname = read_soname(elf);
    elf->info.build_id = gib_image_build_id(&elf->image, &elf->info.build_id_size);
    return elf;
}

void gib_elf_close(struct gib_elf *elf)
{
    if (!elf)
        return;
    gib_inlines_free(elf->inlines);
    if (elf->dwarf)
        dwarf_end(elf->dwarf);
    if (elf->alternate_dwarf)
        dwarf_end(elf->alternate_dwarf);
    for (size_t i = 0; i < elf->cu_count; i++)
        free(elf->cus[i].functions);
    free(elf->cus);
    free(elf->cu_ranges);
    free(elf->cu_covered);
    free(elf->cies);
    free(elf->fdes);
    free(elf->rows);
    free(elf->ifuncs);
    free(elf->labels);
    if (elf->attachment.destroy)
        elf->attachment.destroy(elf->attachment.data);
    gib_hash_free(&elf->names);
    gib_hash_free(&elf->alias_names);
    gib_hash_free(&elf->import_names);
    gib_hash_free(&elf->definition_names);
    free(elf->aliases);
    free(elf->alias_text);
    free(elf->imports);
    free(elf->symbols);
    free(elf->covered);
    gib_text_free(elf->symbol_text);
    gib_image_close(&elf->alternate);
    gib_image_close(&elf->debug);
    gib_image_close(&elf->image);
    free(elf->segments);
    free(elf->debug_directories);
    free(elf);
}

struct gib_elf_attachment *gib_elf_attachment(struct gib_elf *elf)
{
    return &elf->attachment;
}

const struct gib_elf_info *gib_elf_info(const struct gib_elf *elf)
{
    return &elf->info;
}

size_t gib_elf_read(struct gib_elf *elf, uint64_t vaddr, void *buffer, size_t size)
{
    size_t there;
    const uint8_t *bytes = gib_elf_at(elf, vaddr, &there);
    if (!bytes)
        return 0;
    if (size > there)
        size = there;
    memcpy(buffer, bytes, size);
    return size;
}
