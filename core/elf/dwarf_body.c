/*
 * dwarf_body.c: where a function's body begins, as the debuggers see it.
 */
#include "elf/file.h"
#include "elf/dwarf_walk.h"

/* Location lists begin with a form of their own (DWARF 4: sec_offset, 5: loclistx too). */
static bool has_location_lists(Dwarf_Die *function)
{
    Dwarf_Die child;
    Dwarf_Attribute location;
    for (bool more = gib_die_first(function, &child); more; more = gib_die_next(&child)) {
        unsigned form =
            dwarf_attr(&child, DW_AT_location, &location) ? dwarf_whatform(&location) : 0;
        if (form == DW_FORM_sec_offset || form == DW_FORM_loclistx || form == DW_FORM_data4)
            return true;
    }
    return false;
}

/* The first rows of a function in its line table, one for each address. */
enum { ROWS = 12 };
struct row {
    uint64_t address;
    int line;
    bool ends_prologue;
};

static size_t first_rows(Dwarf_Die *unit, uint64_t vaddr, struct row rows[ROWS])
{
    Dwarf_Lines *lines;
    size_t count, low = 0, found = 0;
    Dwarf_Addr address;
    if (dwarf_getsrclines(unit, &lines, &count))
        return 0;
    for (size_t high = count; low < high;) { /* the first row at vaddr or above */
        size_t middle = low + (high - low) / 2;
        if (dwarf_lineaddr(dwarf_onesrcline(lines, middle), &address))
            return 0;
        if (address < vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count; low++) {
        Dwarf_Line *line = dwarf_onesrcline(lines, low);
        struct row row = {0, 0, false};
        bool end = false;
        if (dwarf_lineaddr(line, &address) || dwarf_lineno(line, &row.line) ||
            dwarf_lineprologueend(line, &row.ends_prologue) || dwarf_lineendsequence(line, &end))
            return 0;
        if (end && address == vaddr)
            continue; /* of what lies before */
        row.address = address;
        if (found && rows[found - 1].address == address) {
            row.ends_prologue = true; /* two at one address: the body begins there */
            found--;
        } else if (found == ROWS) {
            break;
        }
        rows[found++] = row;
        if (end)
            break;
    }
    return found && rows[0].address == vaddr ? found : 0;
}

static bool lldb_body(const struct row *row, size_t count, uint64_t *body)
{
    enum { LOOKED_AT = 6 };
    size_t at = 0, looked = count < LOOKED_AT ? count : LOOKED_AT;
    while (at < looked && !row[at].ends_prologue)
        at++;
    if (at == looked)
        for (at = 1; at < looked && row[at].line == row[0].line;)
            at++;
    if (at == looked)
        at = 1;
    while (at + 1 < count && row[at].line == 0)
        at++;
    *body = at < count ? row[at].address : 0;
    return at && at < count;
}

static bool gdb_body(struct gib_elf *elf, uint64_t vaddr, const struct row *row, size_t count,
                     struct gib_body *body)
{
    /* push %rbp; mov %rsp,%rbp, perhaps behind endbr64 */
    static const uint8_t frame[] = {0x55, 0x48, 0x89, 0xe5}, endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    uint8_t code[8];
    size_t size = gib_elf_read(elf, vaddr, code, sizeof code);
    size_t at = size >= 4 && !memcmp(code, endbr64, 4) ? 4 : 0;
    if (size < at + 4 || memcmp(code + at, frame, 4))
        return false;
    body->behind_frame = true;
    /* The next line behind the frame's set-up, if the set-up ends in the middle of one. */
    size_t next = 0;
    while (next < count && row[next].address < vaddr + at + 4)
        next++;
    body->vaddr = next < count ? row[next].address : vaddr + at + 4;
    return true;
}

static bool is_clang(Dwarf_Die *unit)
{
    Dwarf_Attribute attribute;
    const char *producer =
        dwarf_attr(unit, DW_AT_producer, &attribute) ? dwarf_formstring(&attribute) : NULL;
    return producer && (!strncmp(producer, "clang ", 6) || !strncmp(producer, " F90 Flang ", 11));
}

bool gib_elf_body(struct gib_elf *elf, uint64_t vaddr, bool reads_prologues, struct gib_body *body)
{
    Dwarf_Die die, unit;
    struct row row[ROWS];
    uint64_t start, end;
    *body = (struct gib_body){0, false, false};
    size_t count = gib_elf_subprogram(elf, vaddr, &die) && dwarf_diecu(&die, &unit, NULL, NULL)
                       ? first_rows(&unit, vaddr, row)
                       : 0;
    if (!count)
        return false;
    bool found;
    if (!reads_prologues) {
        found = lldb_body(row, count, &body->vaddr);
    } else if (is_clang(&unit)) {
        found = !row[0].ends_prologue && count > 1;
        body->vaddr = found ? row[1].address : 0;
    } else {
        found = gdb_body(elf, vaddr, row, count, body);
        body->has_lists = has_location_lists(&die);
    }
    return found && gib_elf_function_range(elf, vaddr, &start, &end) && body->vaddr > vaddr &&
           body->vaddr < end;
}
