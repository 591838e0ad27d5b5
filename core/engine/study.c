/* study.c: what a function's code says about the thunk it can have. */
#include "engine/internal.h"

#include <stdlib.h>

static size_t rows_of(struct gib_elf *elf, uint64_t vaddr, struct gib_cfa **out)
{
    struct gib_unwind_row *rows;
    uint64_t base = gib_elf_info(elf)->segment_count ? gib_elf_info(elf)->segments[0].vaddr : 0;
    size_t count = gib_elf_function_rows(elf, vaddr, &rows);
    struct gib_cfa *made = count ? malloc(count * sizeof *made) : NULL;
    *out = made;
    for (size_t i = 0; made && i < count; i++) {
        uint64_t start = base + rows[i].start;
        made[i].start = start > vaddr ? (uint32_t)(start - vaddr) : 0;
        made[i].offset = rows[i].cfa_offset;
        switch (rows[i].kind) {
        case GIB_UNWIND_CFA_RSP:
            made[i].base = GIB_CFA_RSP;
            break;
        case GIB_UNWIND_CFA_RBP:
            made[i].base = GIB_CFA_RBP;
            break;
        case GIB_UNWIND_CFA_DEREF_RBP:
            made[i].base = GIB_CFA_FRAMED;
            break;
        default:
            made[i].base = GIB_CFA_UNKNOWN;
        }
    }
    free(rows);
    return made ? count : 0;
}

void gib_site_study(const struct gib_process *process, struct gib_site_state *site)
{
    enum { LONGEST = 1 << 20 };
    struct gib_elf *elf = site->module->elf;
    uint64_t vaddr = site->entry - site->module->bias, start, end;
    site->stack_use = (struct gib_stack_use){0};
    site->unguarded = process->unguarded;
    /* A library's own callers of what it exports must expect another function in its place. */
    const struct gib_elf_symbol *symbol = gib_elf_symbol_at(elf, vaddr);
    site->private_callers = site->module->main || !symbol || !symbol->exported;
    if (!gib_elf_function_range(elf, vaddr, &start, &end) || end <= vaddr || end - vaddr > LONGEST)
        return;
    size_t size = (size_t)(end - vaddr);
    uint8_t *code = malloc(size);
    struct gib_cfa *rows;
    size_t count = rows_of(elf, vaddr, &rows);
    if (code && gib_elf_read(elf, vaddr, code, size) == size)
        gib_stack_use_find(code, size, rows, count, &site->stack_use);
    free(rows);
    free(code);
}

/* By what it is known for, or by what it does. */
bool gib_site_entry_only(const struct gib_site_state *site)
{
    return gib_is_entry_only(site->symbol) || site->stack_use.looks_back ||
           site->stack_use.switches || site->unguarded;
}
