/*
 * fuzz_dwarf_copy.c: any bytes as debug information, whose parameters are copied for code that was
 * moved. Three sizes of two bytes, then .debug_abbrev, .debug_str, .debug_loc or .debug_loclists,
 * and the rest is .debug_info.
 */
#include "elf/dwarf_copy.h"
#include <stdlib.h>
#include <string.h>
#include "made_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct gib_relocation_boundary map[] = {{0, 0}, {1, 1}, {4, 9}, {9, 27}};
enum { BOUNDARIES = sizeof map / sizeof *map, HEADER = 6 };

static void copy(struct gib_elf *elf, uint64_t vaddr, struct gib_dwarf_copies *copies)
{
    struct gib_buffer out = {0}, frame_base = {0};
    bool copied = gib_elf_copy_parameters(elf, vaddr, vaddr, map, BOUNDARIES, 0x7000, 32, copies,
                                          &out, &frame_base);
    if (!copied && (out.size || frame_base.size))
        abort();
    gib_buffer_free(&out);
    gib_buffer_free(&frame_base);
}

static struct made_section take(const char *name, const uint8_t **data, size_t *size,
                                const uint8_t *field)
{
    size_t wanted = field[0] | (size_t)field[1] << 8;
    struct made_section section = {name, *data, wanted < *size ? wanted : *size};
    *data += section.size;
    *size -= section.size;
    return section;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEADER)
        return 0;
    const uint8_t *header = data;
    data += HEADER;
    size -= HEADER;
    struct made_section section[5];
    section[0] = take(".debug_abbrev", &data, &size, header);
    section[1] = take(".debug_str", &data, &size, header + 2);
    section[2] = take(".debug_loc", &data, &size, header + 4);
    section[3] = section[2];
    section[3].name = ".debug_loclists";
    section[4] = (struct made_section){".debug_info", data, size};
    struct gib_elf *elf = made_file_open(section, 5);
    if (!elf)
        return 0;
    struct gib_dwarf_copies copies = {.types_at = 100};
    for (uint64_t vaddr = MADE_TEXT; vaddr < MADE_TEXT + 0x80; vaddr += 0x10)
        copy(elf, vaddr, &copies);
    copy(elf, 0, &copies);
    copy(elf, UINT64_MAX, &copies);
    gib_dwarf_copies_free(&copies);
    gib_elf_close(elf);
    return 0;
}
