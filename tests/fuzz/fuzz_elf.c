/*
 * fuzz_elf.c: any bytes as an ELF file, and every question asked of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "elf/elf.h"
#include "made_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* core/prototypes has the real one. */
__attribute__((weak)) void gib_prototype_free(struct gib_prototype *prototype)
{
    for (size_t i = 0; prototype && i <= prototype->parameter_count; i++) {
        struct gib_type *type = i ? &prototype->parameters[i - 1].type : &prototype->result;
        for (size_t j = 0; j < type->enumerator_count; j++)
            free(type->enumerators[j].name);
        free(type->enumerators);
        free(type->name);
        if (i)
            free(prototype->parameters[i - 1].name);
    }
    if (prototype) {
        free(prototype->parameters);
        free(prototype->name);
    }
    free(prototype);
}

static void ignore_symbol(const struct gib_elf_symbol *symbol, void *context)
{
    *(uint64_t *)context ^= symbol->value;
}

static void ignore_slot(uint64_t slot, void *context)
{
    *(uint64_t *)context ^= slot;
}

static void ask_for_copies(struct gib_elf *elf, uint64_t vaddr)
{
    struct gib_elf_source source;
    struct gib_elf_inlined *copies;
    if (!gib_elf_source(elf, vaddr, &source))
        return;
    if (source.in_unit) {
        gib_elf_inlined_near(elf, &source, &copies);
        free(copies);
    }
    size_t count = gib_elf_inlined(elf, &source, &copies);
    if (gib_elf_is_inlined(elf, &source) != (count > 0) || gib_elf_debug_size(elf))
        abort();
    for (size_t i = 0; i < count; i++)
        if (copies[i].file && strchr(copies[i].file, '/'))
            abort();
    free(copies);
}

static void ask_about(struct gib_elf *elf, uint64_t vaddr)
{
    const char *file;
    unsigned line;
    uint64_t start, end;
    uint8_t bytes[32];
    gib_elf_symbol_at(elf, vaddr);
    gib_elf_function_range(elf, vaddr, &start, &end);
    gib_elf_read(elf, vaddr, bytes, sizeof bytes);
    gib_elf_line(elf, vaddr, &file, &line);
    struct gib_elf_frame frames[6];
    size_t frame_count = gib_elf_frames(elf, vaddr, frames, 6);
    for (size_t i = 0; i < frame_count; i++)
        free(frames[i].name);
    gib_elf_declared_in(elf, vaddr, "a.c");
    gib_elf_ifunc_slots(elf, vaddr, ignore_slot, &start);
    gib_prototype_free(gib_elf_prototype(elf, vaddr));
    ask_for_copies(elf, vaddr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gib_elf *elf = file_of_bytes(data, size);
    if (!elf)
        return 0;
    const struct gib_elf_symbol *symbols;
    const struct gib_unwind_row *rows;
    uint64_t slot, value = 0;
    size_t count = gib_elf_functions(elf, &symbols);
    const struct gib_elf_info *info = gib_elf_info(elf);
    for (size_t i = 0; i < count && i < 50; i++)
        ask_about(elf, symbols[i].value);
    for (size_t i = 0; i < info->segment_count && i < 8; i++)
        ask_about(elf, info->segments[i].vaddr + info->segments[i].memory_size / 2);
    ask_about(elf, info->entry);
    ask_about(elf, 0);
    ask_about(elf, UINT64_MAX);
    gib_elf_find(elf, "main", ignore_symbol, &value);
    gib_elf_find(elf, "ns::f(int)", ignore_symbol, &value);
    gib_elf_imports(elf, "printf");
    gib_elf_relative_slot(elf, &slot, &value);
    count = gib_elf_unwind_rows(elf, &rows);
    for (size_t i = 1; i < count; i++)
        if (rows[i - 1].start >= rows[i].start)
            abort();
    gib_elf_close(elf);
    return 0;
}
