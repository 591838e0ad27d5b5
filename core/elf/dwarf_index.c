/*
 * dwarf_index.c: from an address to its compilation unit and its function's debug entry.
 *
 * .debug_aranges is not used: clang writes none, and a file linked from several compilers' objects
 * has one that is silent about some units.
 */
#include <dwarf.h>
#include <stdlib.h>
#include "elf/file.h"
#include "elf/dwarf_walk.h"

static int by_start(const void *a, const void *b)
{
    const struct gib_cu_range *left = a, *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    return left->cu < right->cu ? -1 : left->cu > right->cu;
}

static bool grow(void **array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity * 2 + 64;
    void *moved = realloc(*array, larger * size);
    if (!moved)
        return false;
    *array = moved;
    *capacity = larger;
    return true;
}

static void read_cus(struct gib_elf *elf)
{
    Dwarf *dwarf = gib_elf_dwarf(elf);
    size_t cu_capacity = 0, range_capacity = 0, header_size;
    Dwarf_Off next;
    for (Dwarf_Off at = 0; dwarf && !dwarf_nextcu(dwarf, at, &next, &header_size, NULL, NULL, NULL);
         at = next) {
        Dwarf_Die die;
        if (next <= at)
            break;
        if (!dwarf_offdie(dwarf, at + header_size, &die) ||
            (dwarf_tag(&die) != DW_TAG_compile_unit && dwarf_tag(&die) != DW_TAG_skeleton_unit))
            continue;
        if (!grow((void **)&elf->cus, elf->cu_count, &cu_capacity, sizeof *elf->cus))
            return;
        elf->cus[elf->cu_count] = (struct gib_cu){.die = at + header_size};
        Dwarf_Addr base, start, end;
        for (ptrdiff_t offset = 0;
             (offset = dwarf_ranges(&die, offset, &base, &start, &end)) > 0;) {
            if (start >= end)
                continue;
            if (!grow((void **)&elf->cu_ranges, elf->cu_range_count, &range_capacity,
                      sizeof *elf->cu_ranges))
                return;
            elf->cu_ranges[elf->cu_range_count++] =
                (struct gib_cu_range){start, end, elf->cu_count};
        }
        elf->cu_count++;
    }
    if (!elf->cu_range_count)
        return;
    qsort(elf->cu_ranges, elf->cu_range_count, sizeof *elf->cu_ranges, by_start);
    elf->cu_covered = malloc(elf->cu_range_count * sizeof *elf->cu_covered);
    if (!elf->cu_covered) {
        elf->cu_range_count = 0;
        return;
    }
    uint64_t covered = 0;
    for (size_t i = 0; i < elf->cu_range_count; i++) {
        if (elf->cu_ranges[i].end > covered)
            covered = elf->cu_ranges[i].end;
        elf->cu_covered[i] = covered;
    }
}

struct gib_cu *gib_elf_cu_at(struct gib_elf *elf, uint64_t vaddr, Dwarf_Die *die)
{
    if (!elf->cus_read) {
        elf->cus_read = true;
        read_cus(elf);
    }
    size_t low = 0, high = elf->cu_range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (elf->cu_ranges[middle].start <= vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    /* Ranges may enclose others (a unit of discarded functions that starts at 0): the innermost
     * counts. */
    while (low-- && elf->cu_covered[low] > vaddr) {
        if (elf->cu_ranges[low].end <= vaddr)
            continue;
        struct gib_cu *cu = &elf->cus[elf->cu_ranges[low].cu];
        return dwarf_offdie(gib_elf_dwarf(elf), cu->die, die) ? cu : NULL;
    }
    return NULL;
}

bool gib_die_entry(Dwarf_Die *die, uint64_t *entry)
{
    Dwarf_Addr base, start, end;
    Dwarf_Addr low;
    if (!dwarf_entrypc(die, &low)) {
        *entry = low;
        return true;
    }
    /* A function split in hot and cold parts: the hot one comes first and starts with the entry. */
    if (!dwarf_hasattr(die, DW_AT_ranges) || dwarf_ranges(die, 0, &base, &start, &end) <= 0)
        return false;
    *entry = start;
    return true;
}

static bool holds_functions(int tag, bool deep)
{
    switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_module:
        return true;
    case DW_TAG_subprogram: /* GNU C's nested functions, members of local classes */
    case DW_TAG_lexical_block:
        return deep;
    default:
        return false;
    }
}

static void read_functions(struct gib_cu *cu, Dwarf_Die *parent, bool deep, size_t *capacity,
                           unsigned depth)
{
    Dwarf_Die die;
    if (depth > 32)
        return;
    for (bool more = gib_die_first(parent, &die); more; more = gib_die_next(&die)) {
        int tag = dwarf_tag(&die);
        uint64_t entry;
        if (tag == DW_TAG_subprogram && gib_die_entry(&die, &entry)) {
            if (!grow((void **)&cu->functions, cu->function_count, capacity, sizeof *cu->functions))
                return;
            cu->functions[cu->function_count++] =
                (struct gib_cu_function){entry, dwarf_dieoffset(&die)};
        }
        if (holds_functions(tag, deep))
            read_functions(cu, &die, deep, capacity, depth + 1);
    }
}

static int by_entry(const void *a, const void *b)
{
    const struct gib_cu_function *left = a, *right = b;
    if (left->entry != right->entry)
        return left->entry < right->entry ? -1 : 1;
    return left->die < right->die ? -1 : left->die > right->die;
}

static const struct gib_cu_function *function_at(const struct gib_cu *cu, uint64_t vaddr)
{
    size_t low = 0, high = cu->function_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cu->functions[middle].entry < vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low < cu->function_count && cu->functions[low].entry == vaddr ? &cu->functions[low]
                                                                         : NULL;
}

Dwarf *gib_elf_follow_split(Dwarf_Die *unit)
{
    Dwarf_Die split;
    if (!dwarf_cu_info(unit->cu, NULL, NULL, NULL, &split, NULL, NULL, NULL) && split.addr)
        *unit = split;
    return dwarf_cu_getdwarf(unit->cu);
}

bool gib_elf_unit_at(struct gib_elf *elf, uint64_t vaddr, Dwarf_Die *unit)
{
    if (!gib_elf_cu_at(elf, vaddr, unit))
        return false;
    gib_elf_follow_split(unit);
    return true;
}

bool gib_elf_subprogram(struct gib_elf *elf, uint64_t vaddr, Dwarf_Die *die)
{
    Dwarf_Die unit;
    struct gib_cu *cu = gib_elf_cu_at(elf, vaddr, &unit);
    Dwarf *dwarf = cu ? gib_elf_follow_split(&unit) : NULL;
    /* First only where functions usually are; inside of functions when that did not find it. */
    while (cu && !cu->deep_read) {
        const struct gib_cu_function *function = cu->functions_read ? function_at(cu, vaddr) : NULL;
        if (function)
            return dwarf_offdie(dwarf, function->die, die);
        size_t capacity = 0;
        free(cu->functions);
        cu->functions = NULL;
        cu->function_count = 0;
        cu->deep_read = cu->functions_read;
        cu->functions_read = true;
        read_functions(cu, &unit, cu->deep_read, &capacity, 0);
        if (cu->function_count)
            qsort(cu->functions, cu->function_count, sizeof *cu->functions, by_entry);
    }
    const struct gib_cu_function *function = cu ? function_at(cu, vaddr) : NULL;
    return function && dwarf_offdie(dwarf, function->die, die);
}

bool gib_elf_subprogram_around(struct gib_elf *elf, uint64_t vaddr, Dwarf_Die *die)
{
    uint64_t start, end;
    Dwarf_Die unit;
    if (gib_elf_function_range(elf, vaddr, &start, &end) && gib_elf_subprogram(elf, start, die) &&
        dwarf_haspc(die, vaddr) > 0)
        return true;
    /* A part of a function that lies elsewhere, or a function without a symbol. */
    struct gib_cu *cu = gib_elf_cu_at(elf, vaddr, &unit);
    Dwarf *dwarf = cu ? gib_elf_follow_split(&unit) : NULL;
    if (cu)
        gib_elf_subprogram(elf, vaddr, die); /* reads them, if that was not done */
    for (size_t i = 0; cu && i < cu->function_count; i++)
        if (dwarf_offdie(dwarf, cu->functions[i].die, die) && dwarf_haspc(die, vaddr) > 0)
            return true;
    return false;
}
