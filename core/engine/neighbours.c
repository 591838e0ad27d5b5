/*
 * neighbours.c: the code around an entry. Hand-written functions jump into each other's first bytes
 * (glibc's mempcpy into memcpy): then five bytes cannot be replaced, but two can, a short jump to
 * an island in padding nearby that holds the long one.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "code/x86_64/branches.h"

enum { AROUND = 384 };

/* Long branches of each module's text, found once. */
struct table {
    struct table *next;
    const struct gib_elf *elf;
    struct gib_branch *branch;
    size_t count;
};
static struct table *tables;

static const struct table *table_of(struct gib_elf *elf)
{
    for (struct table *t = tables; t; t = t->next)
        if (t->elf == elf)
            return t;
    struct table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    const struct gib_elf_info *info = gib_elf_info(elf);
    for (size_t i = 0; i < info->segment_count; i++) {
        const struct gib_elf_segment *segment = &info->segments[i];
        uint8_t *code = segment->executable && !table->branch ? malloc(segment->file_size) : NULL;
        size_t size = code ? gib_elf_read(elf, segment->vaddr, code, segment->file_size) : 0;
        if (size)
            table->branch = gib_branches_find(code, size, segment->vaddr, segment->vaddr,
                                              segment->vaddr + size, &table->count);
        free(code);
    }
    table->elf = elf;
    table->next = tables;
    tables = table;
    return table;
}

/* Whether an instruction really begins at `vaddr`: decoded from the start of its function. */
static bool is_instruction(struct gib_elf *elf, uint64_t vaddr)
{
    uint64_t start, end;
    bool result = true;
    if (!gib_elf_function_range(elf, vaddr, &start, &end) || vaddr - start > (1 << 20))
        return true;
    size_t size = (size_t)(vaddr - start) + 16;
    uint8_t *code = malloc(size), *marks = malloc(size);
    size = code && marks ? gib_elf_read(elf, start, code, size) : 0;
    if (size > vaddr - start) {
        gib_bytes_mark(code, size, start, &start, 1, start, end, marks);
        result = marks[vaddr - start] & GIB_BYTE_START;
    }
    free(code);
    free(marks);
    return result;
}

/* A long branch from elsewhere in the module into (low, high). */
static bool far_branch_into(struct gib_elf *elf, uint64_t low, uint64_t high, uint64_t own_start,
                            uint64_t own_end)
{
    const struct table *table = table_of(elf);
    size_t first = 0, last = table ? table->count : 0;
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (table->branch[middle].target <= low)
            first = middle + 1;
        else
            last = middle;
    }
    for (size_t i = first; table && i < table->count && table->branch[i].target < high; i++) {
        uint64_t source = table->branch[i].source;
        if ((source < own_start || source >= own_end) && is_instruction(elf, source))
            return true;
    }
    return false;
}

struct around {
    uint64_t start; /* vaddr of code[0] */
    size_t size;
    uint8_t code[2 * AROUND], marks[2 * AROUND];
};

static void look_around(struct gib_elf *elf, uint64_t vaddr, struct around *a, uint64_t *own_start,
                        uint64_t *own_end)
{
    const struct gib_elf_symbol *symbols;
    uint64_t starts[256];
    size_t count = gib_elf_functions(elf, &symbols), low = 0, high = count, found = 0;
    if (!gib_elf_function_range(elf, vaddr, own_start, own_end)) {
        *own_start = vaddr;
        *own_end = vaddr + 1;
    }
    a->start = vaddr > AROUND ? vaddr - AROUND : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (symbols[middle].value < a->start)
            low = middle + 1;
        else
            high = middle;
    }
    /* Begin at a function's start, so that decoding is in step. */
    uint64_t previous_start, previous_end;
    if (gib_elf_function_range(elf, a->start, &previous_start, &previous_end) &&
        previous_end > a->start && previous_end < vaddr)
        starts[found++] = previous_end;
    uint64_t at = found ? previous_end : a->start;
    /* Functions without symbols have unwind entries. */
    for (; at < vaddr + AROUND && found < 200;) {
        if (gib_elf_function_range(elf, at, &previous_start, &previous_end) &&
            previous_start >= a->start) {
            if (!found || starts[found - 1] < previous_start)
                starts[found++] = previous_start;
            at = previous_end > at ? previous_end : at + 1;
        } else {
            at++;
        }
    }
    a->size = gib_elf_read(elf, a->start, a->code, sizeof a->code);
    gib_bytes_mark(a->code, a->size, a->start, starts, found, *own_start, *own_end, a->marks);
}

/* Whether any two bytes outside the function, read as a short branch (jcc, loop, jmp rel8, and
 * xbegin, which the table of long branches does not have), lead strictly into the window. Decoding
 * everything around costs a hundred times as much, and the answer is nearly always no. */
static bool maybe_short_branch(struct gib_elf *elf, uint64_t vaddr, uint32_t consumed,
                               uint64_t own_start, uint64_t own_end)
{
    uint8_t code[2 * AROUND];
    uint64_t start = vaddr > AROUND ? vaddr - AROUND : 0;
    size_t size = gib_elf_read(elf, start, code, sizeof code);
    for (size_t i = 0; i + 2 <= size; i++) {
        uint64_t at = start + i, target = at + 2 + (uint64_t)(int64_t)(int8_t)code[i + 1];
        if (at >= own_start && at < own_end)
            continue;
        if (code[i] == 0xc7 && code[i + 1] == 0xf8)
            return true;
        if ((code[i] & 0xf0) == 0x70 || (code[i] & 0xfc) == 0xe0 || code[i] == 0xeb)
            if (target > vaddr && target < vaddr + consumed)
                return true;
    }
    return false;
}

bool gib_entered_elsewhere(struct gib_elf *elf, uint64_t vaddr, uint32_t consumed)
{
    struct around a;
    uint64_t own_start, own_end;
    if (!gib_elf_function_range(elf, vaddr, &own_start, &own_end)) {
        own_start = vaddr;
        own_end = vaddr + 1;
    }
    if (!maybe_short_branch(elf, vaddr, consumed, own_start, own_end))
        return far_branch_into(elf, vaddr, vaddr + consumed, own_start, own_end);
    look_around(elf, vaddr, &a, &own_start, &own_end);
    for (uint64_t i = vaddr + 1; i < vaddr + consumed && i - a.start < a.size; i++)
        if ((a.marks[i - a.start] & (GIB_BYTE_TARGET | GIB_BYTE_FOREIGN)) ==
            (GIB_BYTE_TARGET | GIB_BYTE_FOREIGN))
            return true;
    return far_branch_into(elf, vaddr, vaddr + consumed, own_start, own_end);
}

uint64_t gib_island_near(struct gib_elf *elf, uint64_t vaddr,
                         bool (*taken)(uint64_t vaddr, void *context), void *context)
{
    struct around a;
    uint64_t own_start, own_end, best = 0;
    look_around(elf, vaddr, &a, &own_start, &own_end);
    for (size_t i = 0; i + GIB_DETOUR_SIZE <= a.size; i++) {
        uint64_t at = a.start + i;
        int64_t distance = (int64_t)(at - (vaddr + 2));
        bool good = distance >= -128 && distance <= 127 &&
                    (at >= vaddr + 2 || at + GIB_DETOUR_SIZE <= vaddr);
        for (size_t k = 0; k < GIB_DETOUR_SIZE && good; k++)
            good = (a.marks[i + k] & GIB_BYTE_PADDING) && !(a.marks[i + k] & GIB_BYTE_TARGET);
        if (!good || taken(at, context) || far_branch_into(elf, at - 1, at + GIB_DETOUR_SIZE, 0, 0))
            continue;
        if (!best || llabs((long long)(at - vaddr)) < llabs((long long)(best - vaddr)))
            best = at;
    }
    return best;
}
