/*
 * image_internal.h: shared by image.c and its parts, image_relocations.c and image_startup.c.
 */
#ifndef GIBBON_PACKAGE_IMAGE_INTERNAL_H
#define GIBBON_PACKAGE_IMAGE_INTERNAL_H

#include <elf.h>
#include <string.h>
#include "package/image.h"

enum { GIB_PAGE = 4096 };

/* Values of the dynamic section; 0: not there. */
struct gib_object_dynamic {
    uint64_t strings, strings_size, symbols;
    uint64_t rela, rela_size, plt, plt_size, relr, relr_size;
    uint64_t versions, needs, need_count;
    uint64_t init, fini, init_array, init_array_size, fini_array, fini_array_size;
    uint64_t flags, flags_1, soname;
    bool text_relocations, rel;
};

struct gib_object_reader {
    struct gib_object *object;
    struct gib_object_dynamic dynamic;
    const char *name; /* for messages */
    struct gib_error *error;
};

/* Return their code, always not 0. */
int gib_object_damaged(const struct gib_object_reader *reader, const char *what);
__attribute__((format(printf, 2, 3))) int gib_object_refuse(const struct gib_object_reader *reader,
                                                            const char *format, ...);
int gib_object_no_memory(const struct gib_object_reader *reader);

/* The segment that has all of [vaddr, vaddr + size), NULL: none. */
const struct gib_object_segment *gib_object_segment_at(const struct gib_object *object,
                                                       uint64_t vaddr, uint64_t size);
/* The bytes of the file there; NULL unless `size` of them are in one segment. */
const uint8_t *gib_object_at(const struct gib_object *object, uint64_t vaddr, uint64_t size);
/* A string of DT_STRTAB, NULL: none. */
const char *gib_object_string(const struct gib_object_reader *reader, uint64_t offset);
bool gib_object_dynamic_symbol(const struct gib_object_reader *reader, uint64_t index,
                               Elf64_Sym *symbol);
/* The name of what begins at vaddr, by .symtab or .dynsym; NULL: none. */
const char *gib_object_name_of(const struct gib_object *object, uint64_t vaddr);

/* image_relocations.c */
int gib_object_read_relocations(struct gib_object_reader *reader);
/* image_startup.c: after the relocations. */
int gib_object_check_startup(const struct gib_object_reader *reader);
/* image_frames.c */
void gib_object_check_frames(struct gib_object *object, uint64_t header, uint64_t size);

/* Unaligned little-endian load. */
static inline uint64_t gib_object_load(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, bytes, size);
    return value;
}
#endif
