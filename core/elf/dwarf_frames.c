/*
 * dwarf_frames.c: the functions that an instruction is in, when compilers have put some into
 * others.
 *
 *   DW_TAG_subprogram main                      frames of an address in `inner`'s copy:
 *     DW_TAG_inlined_subroutine outer             inner   the line table's line
 *       call_line 30                              outer   20
 *       DW_TAG_lexical_block                      main    30
 *         DW_TAG_inlined_subroutine inner
 *           call_line 20
 */
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include "elf/dwarf_walk.h"
#include "elf/file.h"

enum { DEEPEST = 64 };

/* ---- names ---- */

/* Other languages write linkage names for all functions, or have no namespaces. */
static bool is_cxx(Dwarf_Die *die)
{
    Dwarf_Die unit;
    Dwarf_Word language;
    Dwarf_Attribute attribute;
    if (!dwarf_diecu(die, &unit, NULL, NULL) || !dwarf_attr(&unit, DW_AT_language, &attribute) ||
        dwarf_formudata(&attribute, &language))
        return false;
    return language == DW_LANG_C_plus_plus || language == DW_LANG_C_plus_plus_03 ||
           language == DW_LANG_C_plus_plus_11 || language == DW_LANG_C_plus_plus_14 ||
           language == 0x2b /* 17 */ || language == 0x2c /* 20 */;
}

/* A name with the namespaces and classes around its entry: gcc writes no linkage name for functions
 * that are local to a file. */
static char *qualified_name(Dwarf_Die *root, const char *name)
{
    Dwarf_Die *scope = NULL;
    char *whole = strdup(name);
    int count = dwarf_getscopes_die(root, &scope);
    for (int i = 1; i < count && whole; i++) {
        int tag = dwarf_tag(&scope[i]);
        const char *outer = dwarf_diename(&scope[i]);
        if (tag == DW_TAG_namespace && !outer)
            outer = "(anonymous namespace)";
        if (!outer || (tag != DW_TAG_namespace && tag != DW_TAG_class_type &&
                       tag != DW_TAG_structure_type && tag != DW_TAG_union_type))
            continue;
        size_t size = strlen(outer) + strlen(whole) + 3;
        char *longer = malloc(size);
        if (longer)
            snprintf(longer, size, "%s::%s", outer, whole);
        free(whole);
        whole = longer;
    }
    free(scope);
    return whole;
}

static char *name_of(Dwarf_Die *die)
{
    struct gib_elf_source source;
    Dwarf_Die root;
    gib_die_identify(die, &source, &root);
    if (source.linkage)
        return gib_elf_demangle(source.linkage);
    if (!source.name)
        return strdup("??");
    return is_cxx(&root) ? qualified_name(&root, source.name) : strdup(source.name);
}

/* ---- the copies around an address ---- */

/* An entry without addresses is none of its own: what is in it belongs to the one around it. */
static bool is_transparent(Dwarf_Die *die)
{
    return dwarf_tag(die) == DW_TAG_lexical_block && !dwarf_hasattr(die, DW_AT_low_pc) &&
           !dwarf_hasattr(die, DW_AT_ranges);
}

/* Adds the copies inside `parent` that hold vaddr, the outermost first. */
static size_t find_copies(Dwarf_Die *parent, uint64_t vaddr, Dwarf_Die *copy, size_t count,
                          unsigned depth)
{
    Dwarf_Die die;
    for (bool more = gib_die_first(parent, &die); more && depth; more = gib_die_next(&die)) {
        int tag = dwarf_tag(&die);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block)
            continue;
        bool inside = dwarf_haspc(&die, vaddr) > 0;
        if (!inside && !is_transparent(&die))
            continue;
        if (inside && tag == DW_TAG_inlined_subroutine) {
            if (count == DEEPEST)
                return count;
            copy[count++] = die;
        }
        size_t found = find_copies(&die, vaddr, copy, count, depth - 1);
        if (inside || found > count)
            return found;
    }
    return count;
}

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

static void set_call_place(struct gib_elf_frame *frame, Dwarf_Die *copy)
{
    uint64_t line;
    frame->file = base_name(gib_die_file(copy, DW_AT_call_file));
    frame->line = gib_die_number(copy, DW_AT_call_line, &line) ? (unsigned)line : 0;
    if (!frame->line)
        frame->file = NULL;
}

size_t gib_elf_frames(struct gib_elf *elf, uint64_t vaddr, struct gib_elf_frame *frames, size_t max)
{
    Dwarf_Die function, copy[DEEPEST];
    const char *file = NULL;
    unsigned line = 0;
    bool known = gib_elf_line(elf, vaddr, &file, &line);
    size_t count = gib_elf_subprogram_around(elf, vaddr, &function)
                       ? find_copies(&function, vaddr, copy, 0, 4 * DEEPEST)
                       : 0;
    if (!max || (!known && !count))
        return 0;
    frames[0] = (struct gib_elf_frame){NULL, file, line};
    if (count > max - 1) { /* the innermost ones go */
        count = max - 1;
        set_call_place(&frames[0], &copy[count]);
    }
    for (size_t i = 0; i < count; i++) {
        Dwarf_Die *inner = &copy[count - 1 - i];
        frames[i].name = name_of(inner);
        frames[i + 1] = (struct gib_elf_frame){0};
        set_call_place(&frames[i + 1], inner);
    }
    return count + 1;
}
