/*
 * neighbours.c: what surrounds an entry in its file. Hand-written functions jump into each other's
 * first bytes (glibc's mempcpy into memcpy), tables and labels lead into them: then five bytes
 * cannot be replaced, but perhaps two can, a short jump to an island in padding nearby that holds
 * the long one.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "code/x86_64/branches.h"

enum {
    SHORT_REACH = 128,
    NEARBY = 2 * SHORT_REACH,
    LONGEST_WINDOW = 512, /* a window's copy has 256 bytes */
    LONGEST_DECODED = 1 << 20,
};

/* ---- branches from elsewhere ---- */

/* Long branches of one module's text, found once. */
struct table {
    struct gib_branch *branch;
    size_t count;
};

static void free_table(void *data)
{
    struct table *table = data;
    free(table->branch);
    free(table);
}

static int by_target(const void *a, const void *b)
{
    const struct gib_branch *x = a, *y = b;
    return x->target < y->target ? -1 : x->target > y->target;
}

static void add_segment(struct table *table, struct gib_elf *elf,
                        const struct gib_elf_segment *segment, uint64_t low, uint64_t high)
{
    uint8_t *code = malloc(segment->file_size);
    size_t count = 0;
    size_t size = code ? gib_elf_read(elf, segment->vaddr, code, segment->file_size) : 0;
    struct gib_branch *found = gib_branches_find(code, size, segment->vaddr, low, high, &count);
    free(code);
    if (!found || !table->branch) { /* nearly all modules have one segment of code */
        if (found) {
            table->branch = found;
            table->count = count;
        }
        return;
    }
    struct gib_branch *grown =
        realloc(table->branch, (table->count + count) * sizeof *table->branch);
    if (grown) {
        memcpy(grown + table->count, found, count * sizeof *found);
        table->branch = grown;
        table->count += count;
        qsort(table->branch, table->count, sizeof *table->branch, by_target);
    }
    free(found);
}

static const struct table *table_of(struct gib_elf *elf)
{
    struct gib_elf_attachment *attachment = gib_elf_attachment(elf);
    const struct gib_elf_info *info = gib_elf_info(elf);
    uint64_t low = UINT64_MAX, high = 0;
    if (attachment->data)
        return attachment->data;
    struct table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    for (size_t i = 0; i < info->segment_count; i++) {
        const struct gib_elf_segment *segment = &info->segments[i];
        if (!segment->executable)
            continue;
        low = segment->vaddr < low ? segment->vaddr : low;
        high =
            segment->vaddr + segment->file_size > high ? segment->vaddr + segment->file_size : high;
    }
    for (size_t i = 0; i < info->segment_count; i++)
        if (info->segments[i].executable && info->segments[i].file_size)
            add_segment(table, elf, &info->segments[i], low, high);
    *attachment = (struct gib_elf_attachment){table, free_table};
    return table;
}

/* Where decoding has to begin to be in step at vaddr: at its function's start, or at a label not
 * far before; vaddr itself when neither is known. */
static uint64_t start_before(struct gib_elf *elf, uint64_t vaddr)
{
    enum { NOT_FAR = 4096 };
    uint64_t start, end;
    size_t count;
    if (gib_elf_function_range(elf, vaddr, &start, &end))
        return vaddr - start <= LONGEST_DECODED ? start : vaddr;
    const struct gib_elf_label *label =
        gib_elf_labels(elf, vaddr > NOT_FAR ? vaddr - NOT_FAR : 0, vaddr + 1, &count);
    return label ? label[count - 1].vaddr : vaddr;
}

/* Whether an instruction can begin at `vaddr`, read from there; also when that was not all code. */
static bool is_instruction(struct gib_elf *elf, uint64_t vaddr)
{
    uint64_t start = start_before(elf, vaddr);
    bool result = true;
    size_t size = (size_t)(vaddr - start) + 16;
    uint8_t *code = malloc(size), *marks = malloc(size);
    size = code && marks ? gib_elf_read(elf, start, code, size) : 0;
    if (size > vaddr - start) {
        gib_bytes_mark(code, size, start, &start, 1, marks);
        result = (marks[vaddr - start] & GIB_BYTE_START) ||
                 memchr(marks, GIB_BYTE_DATA, (size_t)(vaddr - start));
    }
    free(code);
    free(marks);
    return result;
}

static bool is_own(const struct gib_stretch *own, uint64_t vaddr)
{
    return own && vaddr - own->vaddr < own->size;
}

/* The first branch to behind `low`. */
static size_t first_behind(const struct table *table, uint64_t low)
{
    size_t first = 0, last = table->count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (table->branch[middle].target <= low)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

/* A long branch from elsewhere in the module into (low, high); its address, 0: none. */
static uint64_t long_branch_into(struct gib_elf *elf, uint64_t low, uint64_t high,
                                 const struct gib_stretch *own)
{
    const struct table *table = table_of(elf);
    for (size_t i = table ? first_behind(table, low) : 0;
         table && i < table->count && table->branch[i].target < high; i++) {
        uint64_t source = table->branch[i].source;
        if (!is_own(own, source) && is_instruction(elf, source))
            return source;
    }
    return 0;
}

static bool is_prefix(uint8_t byte)
{
    return byte == 0x2e || byte == 0x3e || byte == 0x66 || byte == 0x67 || byte == 0xf2 ||
           byte == 0xf3 || (byte & 0xf0) == 0x40;
}

/* The same for those with one byte of distance, which are near. */
static uint64_t short_branch_into(struct gib_elf *elf, uint64_t low, uint64_t high,
                                  const struct gib_stretch *own)
{
    uint8_t code[2 * NEARBY + LONGEST_WINDOW];
    uint64_t start = low > NEARBY ? low - NEARBY : 0;
    size_t wanted = (size_t)(high - start) + SHORT_REACH;
    size_t size = gib_elf_read(elf, start, code, wanted < sizeof code ? wanted : sizeof code);
    for (size_t i = 0; i + 1 < size; i++) {
        bool is_opcode = (code[i] & 0xf0) == 0x70 || (code[i] & 0xfc) == 0xe0 || code[i] == 0xeb;
        uint64_t target = start + i + 2 + (uint64_t)(int64_t)(int8_t)code[i + 1];
        /* Before the opcode there may be a prefix: the instruction begins there. */
        if (is_opcode && target > low && target < high && !is_own(own, start + i) &&
            (is_instruction(elf, start + i) ||
             (i && is_prefix(code[i - 1]) && is_instruction(elf, start + i - 1))))
            return start + i;
    }
    return 0;
}

/*
 * A jump to the very first byte from the function's own cold part (f.cold), which compilers put
 * elsewhere: a loop, each turn of which would be taken for a call. Its address, 0: there is none.
 */
static uint64_t cold_branch_to(struct gib_elf *elf, uint64_t vaddr)
{
    static const char cold[] = ".cold";
    const struct gib_elf_symbol *function = gib_elf_symbol_at(elf, vaddr);
    const struct table *table = table_of(elf);
    size_t length = function ? strlen(function->name) : 0;
    for (size_t i = table ? first_behind(table, vaddr - 1) : 0;
         length && i < table->count && table->branch[i].target == vaddr; i++) {
        uint64_t source = table->branch[i].source;
        const struct gib_elf_symbol *part = gib_elf_symbol_at(elf, source);
        uint8_t opcode;
        if (part && !strncmp(part->name, function->name, length) &&
            !strncmp(part->name + length, cold, sizeof cold - 1) &&
            gib_elf_read(elf, source, &opcode, 1) == 1 && opcode != 0xe8 &&
            is_instruction(elf, source))
            return source;
    }
    return 0;
}

/* ---- labels and tables ---- */

static bool is_code(struct gib_elf *elf, uint64_t vaddr)
{
    const struct gib_elf_info *info = gib_elf_info(elf);
    for (size_t i = 0; i < info->segment_count; i++)
        if (info->segments[i].executable &&
            vaddr - info->segments[i].vaddr < info->segments[i].file_size)
            return true;
    return false;
}

/* Behind a table there may be one of another function, whose distances count from another place:
 * all entries up to `last` must lead to instructions. */
static bool is_table(struct gib_elf *elf, uint64_t table, uint64_t last)
{
    for (uint64_t i = 0; i <= last; i++) {
        int32_t entry;
        if (gib_elf_read(elf, table + 4 * i, &entry, sizeof entry) != sizeof entry ||
            !is_instruction(elf, table + (uint64_t)(int64_t)entry))
            return false;
    }
    return true;
}

/* Does a table of distances from itself, as compilers make for a switch, lead into the window? It
 * ends where they lead to no code. */
static bool table_leads_into(struct gib_elf *elf, uint64_t table, uint64_t low, uint64_t high,
                             uint64_t limit, uint64_t *target)
{
    enum { LARGEST = 1 << 16, AT_ONCE = 64 };
    int32_t entry[AT_ONCE];
    for (uint64_t done = 0; done < LARGEST; done += AT_ONCE) {
        size_t count = gib_elf_read(elf, table + 4 * done, entry, sizeof entry) / sizeof *entry;
        for (size_t i = 0; i < count; i++) {
            if (table + 4 * (done + i) >= limit)
                return false;
            *target = table + (uint64_t)(int64_t)entry[i];
            if (*target >= low && *target < high)
                return is_table(elf, table, done + i);
            if (!is_code(elf, *target))
                return false;
        }
        if (count < AT_ONCE)
            return false;
    }
    return false;
}

static bool switched_into(const struct gib_stretch *stretch, size_t consumed, uint64_t *target)
{
    enum { MOST = 2048 }; /* the largest interpreters form some hundreds of addresses */
    uint64_t tables[MOST];
    size_t count = gib_find_tables(stretch->code, stretch->size, stretch->vaddr, tables, MOST);
    for (size_t i = 0; i < count; i++) {
        uint64_t limit = UINT64_MAX; /* where the function's next table begins */
        for (size_t k = 0; k < count; k++)
            if (tables[k] > tables[i] && tables[k] < limit)
                limit = tables[k];
        if (table_leads_into(stretch->elf, tables[i], stretch->vaddr, stretch->vaddr + consumed,
                             limit, target))
            return true;
    }
    return false;
}

/* The first of the labels between low and high, exclusive, that is one. */
static const struct gib_elf_label *label_between(struct gib_elf *elf, uint64_t low, uint64_t high)
{
    size_t count;
    const struct gib_elf_label *label = gib_elf_labels(elf, low + 1, high, &count);
    for (size_t i = 0; i < count; i++)
        if (label[i].kind != GIB_ELF_LABEL_NUMBER || is_instruction(elf, label[i].vaddr))
            return &label[i];
    return NULL;
}

static const char *name_at(struct gib_elf *elf, uint64_t vaddr)
{
    const struct gib_elf_symbol *symbol = gib_elf_symbol_at(elf, vaddr);
    return symbol && symbol->value == vaddr ? symbol->name : NULL;
}

bool gib_is_entered(const struct gib_stretch *stretch, size_t consumed, char *reason,
                    size_t reason_size)
{
    struct gib_elf *elf = stretch->elf;
    uint64_t low = stretch->vaddr, high = low + consumed, source, target;
    const struct gib_elf_label *label = label_between(elf, low, high);
    if (label) {
        const char *name = name_at(elf, label->vaddr);
        if (name)
            snprintf(reason, reason_size, "%.60s begins at byte %u of it.", name,
                     (unsigned)(label->vaddr - low));
        else
            snprintf(reason, reason_size, "%s byte %u of it.",
                     label->kind >= GIB_ELF_LABEL_POINTER ? "data of the module points to"
                                                          : "there is a label at",
                     (unsigned)(label->vaddr - low));
        return true;
    }
    if ((source = long_branch_into(elf, low, high, stretch)) ||
        (source = short_branch_into(elf, low, high, stretch))) {
        const struct gib_elf_symbol *from = gib_elf_symbol_at(elf, source);
        if (from)
            snprintf(reason, reason_size,
                     "%.60s, another function, jumps into its first %zu bytes.", from->name,
                     consumed);
        else
            snprintf(reason, reason_size, "another function jumps into its first %zu bytes.",
                     consumed);
        return true;
    }
    if (cold_branch_to(elf, low)) {
        snprintf(reason, reason_size, "its cold part jumps back to its beginning.");
        return true;
    }
    if (switched_into(stretch, consumed, &target)) {
        snprintf(reason, reason_size, "a jump table of it leads back to byte %u.",
                 (unsigned)(target - low));
        return true;
    }
    return false;
}

/* ---- islands ---- */

struct around {
    uint64_t start; /* vaddr of code[0] */
    size_t size;
    uint8_t *code, *marks;
};

/* Decodes what is in reach of a short jump at vaddr; from the start of a function, so that it is in
 * step. */
static bool look_around(struct gib_elf *elf, uint64_t vaddr, struct around *a)
{
    enum { STARTS = 512 };
    uint64_t starts[STARTS], function, end = vaddr + NEARBY;
    size_t found = 0, count;
    a->start = vaddr > NEARBY ? vaddr - NEARBY : 0;
    if (gib_elf_function_range(elf, a->start, &function, &end)) {
        if (a->start - function <= LONGEST_DECODED)
            a->start = function;
        starts[found++] = a->start == function ? function : end;
    }
    const struct gib_elf_label *label =
        gib_elf_labels(elf, vaddr > NEARBY ? vaddr - NEARBY : 0, vaddr + NEARBY, &count);
    for (size_t i = 0; i < count && found < STARTS; i++)
        if (!found || label[i].vaddr > starts[found - 1])
            starts[found++] = label[i].vaddr;
    a->size = (size_t)(vaddr + NEARBY - a->start);
    a->code = malloc(a->size);
    a->marks = malloc(a->size);
    a->size = a->code && a->marks ? gib_elf_read(elf, a->start, a->code, a->size) : 0;
    if (a->size)
        gib_bytes_mark(a->code, a->size, a->start, starts, found, a->marks);
    return a->size > 0;
}

/* Padding that belongs to no function, and to which nothing leads. */
static bool is_free(struct gib_elf *elf, uint64_t vaddr, const uint8_t *marks)
{
    uint64_t start, end;
    size_t count;
    for (size_t i = 0; i < GIB_DETOUR_SIZE; i++)
        if (!(marks[i] & GIB_BYTE_PADDING) || (marks[i] & GIB_BYTE_TARGET))
            return false;
    return !gib_elf_function_range(elf, vaddr, &start, &end) &&
           !gib_elf_function_range(elf, vaddr + GIB_DETOUR_SIZE - 1, &start, &end) &&
           !gib_elf_labels(elf, vaddr, vaddr + GIB_DETOUR_SIZE, &count);
}

uint64_t gib_island_near(struct gib_elf *elf, uint64_t vaddr, gib_bytes_taken *taken, void *context)
{
    struct around a = {0};
    uint64_t best = 0;
    bool known = look_around(elf, vaddr, &a);
    for (uint64_t at = vaddr - SHORT_REACH + 2; known && at <= vaddr + SHORT_REACH + 1; at++) {
        if (at < a.start || at + GIB_DETOUR_SIZE > a.start + a.size ||
            (at < vaddr + 2 && at + GIB_DETOUR_SIZE > vaddr) ||
            !is_free(elf, at, a.marks + (at - a.start)) || taken(at, GIB_DETOUR_SIZE, context) ||
            long_branch_into(elf, at - 1, at + GIB_DETOUR_SIZE, NULL))
            continue;
        if (!best || llabs((long long)(at - vaddr)) < llabs((long long)(best - vaddr)))
            best = at;
    }
    free(a.code);
    free(a.marks);
    return best;
}

/* -fpatchable-function-entry=N,M: M nops before the entry. A pointer in the section
 * __patchable_function_entries says where they begin. */
uint64_t gib_own_pad(struct gib_elf *elf, uint64_t entry)
{
    uint8_t code[SHORT_REACH];
    size_t count, size = 0;
    if (entry < sizeof code ||
        gib_elf_read(elf, entry - sizeof code, code, sizeof code) != sizeof code)
        return 0;
    while (size < sizeof code && code[sizeof code - size - 1] == 0x90)
        size++;
    const struct gib_elf_label *label = gib_elf_labels(elf, entry - size, entry, &count);
    for (size_t i = 0; i < count; i++)
        if (label[i].kind < GIB_ELF_LABEL_POINTER || label[i].vaddr != label[0].vaddr)
            return 0;
    return count && entry - label[0].vaddr >= GIB_DETOUR_SIZE ? entry - GIB_DETOUR_SIZE : 0;
}
