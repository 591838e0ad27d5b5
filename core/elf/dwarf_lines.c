/*
 * dwarf_lines.c: source files and lines.
 */
#include "elf/file.h"
#include "elf/dwarf_walk.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool gib_elf_place(struct gib_elf *elf, uint64_t vaddr, struct gib_elf_place *place)
{
    Dwarf_Die unit;
    Dwarf_Lines *lines;
    size_t count;
    if (!gib_elf_cu_at(elf, vaddr, &unit) || dwarf_getsrclines(&unit, &lines, &count))
        return false;
    /* libdw sorts the rows of all sequences by address, ends before beginnings: find the last one
     * not above vaddr. */
    size_t low = 0, high = count;
    Dwarf_Addr address;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (dwarf_lineaddr(dwarf_onesrcline(lines, middle), &address))
            return false;
        if (address <= vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return false;
    Dwarf_Line *row = dwarf_onesrcline(lines, low - 1);
    bool end;
    int number, column;
    const char *path = dwarf_linesrc(row, NULL, NULL);
    if (dwarf_lineendsequence(row, &end) || end || dwarf_lineno(row, &number) || number <= 0 ||
        !path)
        return false;
    place->path = path;
    place->line = number;
    place->column = !dwarf_linecol(row, &column) && column > 0 ? column : 0;
    return true;
}

bool gib_elf_line(struct gib_elf *elf, uint64_t vaddr, const char **file, unsigned *line)
{
    struct gib_elf_place place;
    if (!gib_elf_place(elf, vaddr, &place))
        return false;
    *file = base_name(place.path);
    *line = place.line;
    return true;
}

/* Whether `path` is `file` or ends with it, in whole components. */
static bool ends_with(const char *path, const char *file)
{
    size_t length = strlen(path), wanted = strlen(file);
    return wanted && length >= wanted && !strcmp(path + length - wanted, file) &&
           (length == wanted || file[0] == '/' || path[length - wanted - 1] == '/');
}

const char *gib_die_file(Dwarf_Die *die, unsigned name)
{
    Dwarf_Die unit, skeleton;
    Dwarf_Files *files;
    size_t count;
    uint64_t number;
    Dwarf_Half version = 0;
    if (!gib_die_number(die, name, &number) || !dwarf_diecu(die, &unit, NULL, NULL))
        return NULL;
    /* A unit of a .dwo file may leave the table to the one that stands for it. */
    if (dwarf_getsrcfiles(&unit, &files, &count) &&
        (dwarf_cu_info(unit.cu, &version, NULL, &skeleton, NULL, NULL, NULL, NULL) ||
         dwarf_getsrcfiles(&skeleton, &files, &count)))
        return NULL;
    dwarf_cu_info(unit.cu, &version, NULL, NULL, NULL, NULL, NULL, NULL);
    /* Up to DWARF 4, file 0 is none. */
    return number < count && (number || version >= 5) ? dwarf_filesrc(files, number, NULL, NULL)
                                                      : NULL;
}

/* Of the entry or one that it completes. */
static const char *declared_file(Dwarf_Die *die)
{
    Dwarf_Die at = *die, next;
    const char *path = NULL;
    for (int steps = 0; steps < 8 && !(path = gib_die_file(&at, DW_AT_decl_file)); steps++) {
        if (!gib_die_reference(&at, DW_AT_abstract_origin, &next) &&
            !gib_die_reference(&at, DW_AT_specification, &next))
            break;
        at = next;
    }
    return path;
}

bool gib_elf_declared_in(struct gib_elf *elf, uint64_t vaddr, const char *file)
{
    Dwarf_Die die;
    if (gib_elf_subprogram(elf, vaddr, &die)) {
        const char *path = declared_file(&die);
        if (path)
            return ends_with(path, file);
    }
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(elf, &symbols), low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbols[middle].value < vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count && symbols[low].value == vaddr; low++)
        if (symbols[low].file && ends_with(symbols[low].file, file))
            return true;
    return false;
}
