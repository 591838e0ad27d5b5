/*
 * ranges.c: from an address to the function that covers it.
 */
#include "elf/file.h"

static size_t underscores(const char *name)
{
    return strspn(name, "_");
}

/* Less than 0 when a is the better name for their common address. */
static int compare_names(const struct gib_elf_symbol *a, const struct gib_elf_symbol *b)
{
    if (a->global != b->global)
        return a->global ? -1 : 1;
    if (a->old_version != b->old_version)
        return a->old_version ? 1 : -1;
    size_t left = underscores(a->name), right = underscores(b->name);
    if (left == right) {
        left = strlen(a->name);
        right = strlen(b->name);
    }
    return left < right ? -1 : left > right ? 1 : strcmp(a->name, b->name);
}

/* Index behind the last symbol whose value is not above vaddr. */
static size_t behind(const struct gib_elf_symbol *symbols, size_t count, uint64_t vaddr)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbols[middle].value <= vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The symbol with a size that covers vaddr: the innermost, of those the best. */
static const struct gib_elf_symbol *sized_at(struct gib_elf *elf, uint64_t vaddr)
{
    const struct gib_elf_symbol *symbols, *best = NULL;
    size_t count = gib_elf_functions(elf, &symbols);
    for (size_t i = behind(symbols, count, vaddr); i-- && elf->covered[i] > vaddr;) {
        if (best && best->value != symbols[i].value)
            break;
        if (vaddr - symbols[i].value < symbols[i].size &&
            (!best || compare_names(&symbols[i], best) < 0))
            best = &symbols[i];
    }
    return best;
}

/* The symbol without a size that comes last before vaddr, unless an FDE says that it has ended
 * before. */
static const struct gib_elf_symbol *unsized_at(struct gib_elf *elf, uint64_t vaddr)
{
    const struct gib_elf_symbol *symbols, *best = NULL;
    size_t count = gib_elf_functions(elf, &symbols);
    for (size_t i = behind(symbols, count, vaddr); i--;) {
        if (best && best->value != symbols[i].value)
            break;
        if (symbols[i].size)
            return NULL; /* it has ended, and what follows is nobody's */
        if (!best || compare_names(&symbols[i], best) < 0)
            best = &symbols[i];
    }
    if (!best || best->value == vaddr)
        return best;
    const struct gib_fde *own = gib_elf_fde_at(elf, best->value);
    if (own != gib_elf_fde_at(elf, vaddr))
        return NULL;
    for (size_t i = 0; i < elf->info.segment_count; i++) {
        const struct gib_elf_segment *segment = &elf->segments[i];
        if (best->value - segment->vaddr < segment->memory_size)
            return vaddr - segment->vaddr < segment->memory_size ? best : NULL;
    }
    return NULL;
}

const struct gib_elf_symbol *gib_elf_symbol_at(struct gib_elf *elf, uint64_t vaddr)
{
    const struct gib_elf_symbol *symbol = sized_at(elf, vaddr);
    return symbol ? symbol : unsized_at(elf, vaddr);
}

bool gib_elf_function_range(struct gib_elf *elf, uint64_t vaddr, uint64_t *start, uint64_t *end)
{
    const struct gib_elf_symbol *symbol = sized_at(elf, vaddr);
    if (symbol) {
        *start = symbol->value;
        *end = symbol->value + symbol->size;
        return true;
    }
    const struct gib_fde *fde = gib_elf_fde_at(elf, vaddr);
    if (!fde)
        return false;
    *start = fde->start;
    *end = fde->end;
    return true;
}

bool gib_elf_in_code(const struct gib_elf *elf, uint64_t vaddr)
{
    for (size_t i = 0; i < elf->info.segment_count; i++) {
        const struct gib_elf_segment *segment = &elf->segments[i];
        if (segment->executable && vaddr - segment->vaddr < segment->memory_size)
            return true;
    }
    return false;
}
