/*
 * fuzz_entry.c: any bytes as an ELF file whose functions are to be patched: no crash, and a detour
 * that keeps its promises.
 */
#include <stdio.h>
#include <stdlib.h>
#include "engine/internal.h"
#include "made_file.h"

static bool never_taken(uint64_t vaddr, size_t size, void *context)
{
    return false;
}

static void choose_detour(struct gib_elf *elf, uint64_t vaddr)
{
    struct gib_entry entry;
    struct gib_error error;
    if (gib_entry_read(elf, vaddr, &entry, &error))
        return;
    if (!gib_entry_choose(&entry, 0, vaddr + (1 << 20), never_taken, NULL, &error)) {
        int64_t reach = (int64_t)(entry.island - (entry.stretch.vaddr + 2));
        if (entry.copy.consumed < entry.detour_size || entry.copy.consumed > entry.stretch.size ||
            (entry.detour_size == 2) != (entry.island != 0) ||
            (entry.island && reach != (int8_t)reach))
            abort();
    }
    gib_entry_free(&entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gib_elf *elf = file_of_bytes(data, size);
    if (!elf)
        return 0;
    size_t count;
    const struct gib_elf_label *label = gib_elf_labels(elf, 0, UINT64_MAX, &count);
    for (size_t i = 1; i < count; i++)
        if (label[i - 1].vaddr > label[i].vaddr)
            abort();
    for (size_t i = 0; i < count && i < 50; i++)
        choose_detour(elf, label[i].vaddr);
    choose_detour(elf, gib_elf_info(elf)->entry);
    choose_detour(elf, 0);
    choose_detour(elf, UINT64_MAX);
    gib_elf_close(elf);
    return 0;
}
