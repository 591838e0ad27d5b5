/*
 * fuzz_cfi_copy.c: any bytes as an unwind table, whose programs are copied for code that was moved.
 * The first byte says which table it is.
 */
#include "elf/cfi_copy.h"
#include <stdlib.h>
#include "elf/cfi.h"
#include "elf/file.h"
#include "made_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy with instructions of all kinds: kept, made longer, a push of a return address, padding
 * left out. */
static const struct gib_relocation_boundary map[] = {{0, 0}, {1, 1}, {4, 9}, {9, 27}, {12, 30}};
enum { BOUNDARIES = sizeof map / sizeof *map };

static void copy(struct gib_elf *elf, uint64_t vaddr, size_t count)
{
    uint8_t code[64] = {0};
    struct gib_cfi cfi;
    memset(code, 0x90, sizeof code);
    code[9] = 0x68;
    bool copied = gib_elf_cfi_copy(elf, vaddr, map, count, code, &cfi);
    if (copied != (cfi.cie.size > 0) || (!copied && cfi.fde.size))
        abort();
    gib_cfi_free(&cfi);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct made_section section = {data[0] & 1 ? ".debug_frame" : ".eh_frame", data + 1, size - 1};
    struct gib_elf *elf = made_file_open(&section, 1);
    if (!elf)
        return 0;
    gib_elf_fde_at(elf, 0); /* reads them */
    for (size_t i = 0; i < elf->fde_count && i < 32; i++) {
        uint64_t start = elf->fdes[i].start;
        copy(elf, start, BOUNDARIES);
        copy(elf, start, 2);
        copy(elf, start, 0);
        copy(elf, start + 4, BOUNDARIES); /* behind endbr64 */
    }
    copy(elf, MADE_TEXT, BOUNDARIES);
    copy(elf, UINT64_MAX, BOUNDARIES);
    gib_elf_close(elf);
    return 0;
}
