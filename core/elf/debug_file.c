/*
 * debug_file.c: the separate debug file of an ELF file, and dwz's alternate file of the debug
 * information.
 */
#include <elfutils/libdwelf.h>
#include <stdio.h>
#include <stdlib.h>
#include "elf/file.h"

static const char system_directory[] = "/usr/lib/debug";

static bool has_build_id(const struct gib_image *image, const uint8_t *id, size_t size)
{
    size_t found_size;
    const uint8_t *found = gib_image_build_id(image, &found_size);
    return found && found_size == size && !memcmp(found, id, size);
}

/* Calls open_in(directory, context) for the user's directories, then the system's, until one
 * succeeds. */
static bool in_directories(const struct gib_elf *elf,
                           bool (*open_in)(const char *directory, int length, void *context),
                           void *context)
{
    for (const char *list = elf->debug_directories; list && *list;) {
        size_t length = strcspn(list, ":");
        if (length && length < 4096 && open_in(list, length, context))
            return true;
        list += length;
        list += *list == ':';
    }
    return open_in(system_directory, sizeof system_directory - 1, context);
}

struct build_id_search {
    struct gib_image *image;
    const uint8_t *id;
    size_t size;
};

static bool open_by_build_id(const char *directory, int length, void *context)
{
    struct build_id_search *search = context;
    char hex[2 * 64 + 1];
    for (size_t i = 0; i < search->size; i++)
        snprintf(hex + 2 * i, 3, "%02x", search->id[i]);
    char *path;
    if (asprintf(&path, "%.*s/.build-id/%.2s/%s.debug", length, directory, hex, hex + 2) < 0)
        return false;
    bool found = gib_image_open(search->image, path, NULL);
    free(path);
    if (found && !has_build_id(search->image, search->id, search->size)) {
        gib_image_close(search->image);
        return false;
    }
    return found;
}

static bool find_by_build_id(const struct gib_elf *elf, const uint8_t *id, size_t size,
                             struct gib_image *image)
{
    struct build_id_search search = {image, id, size};
    return size >= 2 && size <= 64 && in_directories(elf, open_by_build_id, &search);
}

/* The checksum of .gnu_debuglink: CRC-32 of the whole debug file. */
static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t table[256], crc = ~0U;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? 0xedb88320U : 0);
        table[i] = value;
    }
    for (size_t i = 0; i < size; i++)
        crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 255];
    return ~crc;
}

struct link_search {
    const struct gib_elf *elf;
    struct gib_image *image;
    const char *name; /* as .gnu_debuglink says */
    uint32_t crc;
    int parent; /* length of the directory of the file in its path */
};

/* Whether the file at `path` (freed here) is the one that is looked for. */
static bool open_link(struct link_search *search, char *path)
{
    const struct gib_elf *elf = search->elf;
    bool found = gib_image_open(search->image, path, NULL);
    free(path);
    if (!found)
        return false;
    if (strcmp(search->image->path, elf->image.path)) {
        /* Build ids say as much as the checksum, and need not read the whole file. */
        size_t size;
        if (elf->info.build_id && gib_image_build_id(search->image, &size)) {
            if (has_build_id(search->image, elf->info.build_id, elf->info.build_id_size))
                return true;
        } else if (crc32_of(search->image->bytes, search->image->size) == search->crc) {
            return true;
        }
    }
    gib_image_close(search->image);
    return false;
}

static bool open_link_in(const char *directory, int length, void *context)
{
    struct link_search *search = context;
    char *path;
    return asprintf(&path, "%.*s%.*s/%s", length, directory, search->parent,
                    search->elf->image.path, search->name) >= 0 &&
           open_link(search, path);
}

static int parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash - path : 0;
}

static bool find_by_link(const struct gib_elf *elf, struct gib_image *image)
{
    Elf64_Shdr section;
    if (!gib_image_section(&elf->image, ".gnu_debuglink", &section))
        return false;
    const uint8_t *bytes = gib_image_at(&elf->image, section.sh_offset, section.sh_size);
    const uint8_t *end = bytes ? memchr(bytes, 0, section.sh_size) : NULL;
    if (!end || end == bytes)
        return false;
    size_t at = ((size_t)(end - bytes) + 4) & ~3UL; /* the checksum is aligned behind the name */
    if (at + 4 > section.sh_size || memchr(bytes, '/', end - bytes))
        return false;
    struct link_search search = {elf, image, (const char *)bytes, gib_load(bytes + at, 4),
                                 parent_of(elf->image.path)};
    static const char *const below[] = {"", "/.debug"};
    for (size_t i = 0; i < GIB_COUNT(below); i++) {
        char *path;
        if (asprintf(&path, "%.*s%s/%s", search.parent, elf->image.path, below[i], search.name) >=
                0 &&
            open_link(&search, path))
            return true;
    }
    return in_directories(elf, open_link_in, &search);
}

struct gib_image *gib_elf_debug_image(struct gib_elf *elf)
{
    if (!elf->debug_searched) {
        elf->debug_searched = true;
        /* A file with debug information of its own needs no other. */
        Elf64_Shdr section;
        if (!gib_image_section(&elf->image, ".debug_info", &section) &&
            !find_by_build_id(elf, elf->info.build_id, elf->info.build_id_size, &elf->debug))
            find_by_link(elf, &elf->debug);
    }
    return elf->debug.elf ? &elf->debug : NULL;
}

static void set_alternate(struct gib_elf *elf, const struct gib_image *image)
{
    const char *name;
    const void *id;
    ssize_t size = dwelf_dwarf_gnu_debugaltlink(elf->dwarf, &name, &id);
    if (size <= 0)
        return;
    if (!find_by_build_id(elf, id, size, &elf->alternate)) {
        /* A relative name is relative to the file that holds it. */
        char *path;
        if (asprintf(&path, "%.*s%s%s", name[0] == '/' ? 0 : parent_of(image->path), image->path,
                     name[0] == '/' ? "" : "/", name) < 0)
            return;
        bool found = gib_image_open(&elf->alternate, path, NULL);
        free(path);
        if (!found)
            return;
        if (!has_build_id(&elf->alternate, id, size)) {
            gib_image_close(&elf->alternate);
            return;
        }
    }
    elf->alternate_dwarf = dwarf_begin_elf(elf->alternate.elf, DWARF_C_READ, NULL);
    if (elf->alternate_dwarf)
        dwarf_setalt(elf->dwarf, elf->alternate_dwarf);
}

Dwarf *gib_elf_dwarf(struct gib_elf *elf)
{
    if (!elf->dwarf_opened) {
        elf->dwarf_opened = true;
        struct gib_image *image = gib_elf_debug_image(elf);
        if (!image)
            image = &elf->image;
        elf->dwarf = dwarf_begin_elf(image->elf, DWARF_C_READ, NULL);
        if (elf->dwarf)
            set_alternate(elf, image);
    }
    return elf->dwarf;
}
