/*
 * dwarf.c: one compilation unit for all pieces that have source lines (DWARF 4).
 *
 * No row is the beginning of a statement (DWARF 4, 6.2.2): the original code is where a breakpoint
 * on a line belongs.
 */
#include "symbols/internal.h"

#include <dwarf.h>

enum { UNIT = 1, FUNCTION = 2, FUNCTION_WITH_PARAMETERS = 3, FUNCTION_WITHOUT_LINES };

/* A line behind all lines. LLDB takes every row for a statement, but leaves out functions that are
 * declared behind the line of a breakpoint. */
enum { LAST_LINE = 0x7fffffff };

static void put_attribute(struct gib_buffer *abbrev, unsigned name, unsigned form)
{
    gib_put_uleb(abbrev, name);
    gib_put_uleb(abbrev, form);
}

/* Begins something that starts with its own length; ended by end_unit. */
static size_t begin_unit(struct gib_buffer *buffer, unsigned version)
{
    size_t start = buffer->size;
    gib_put_fixed(buffer, 0, 4);
    gib_put_fixed(buffer, version, 2);
    return start;
}

static void set_length(struct gib_buffer *buffer, size_t at, size_t from)
{
    uint32_t length = (uint32_t)(buffer->size - from);
    if (!buffer->failed)
        memcpy(buffer->bytes + at, &length, sizeof length);
}

static void put_function_without_lines(const struct gib_symbols *symbols, const struct piece *piece,
                                       struct gib_buffer *info)
{
    gib_put_uleb(info, FUNCTION_WITHOUT_LINES);
    gib_put(info, symbols->strings.bytes + piece->symbol, piece->name_size);
    gib_put_fixed(info, 0, 1);
    gib_put_fixed(info, piece->address, 8);
    gib_put_fixed(info, piece->size, 8);
}

static void put_function(const struct gib_symbols *symbols, const struct piece *piece,
                         struct gib_buffer *info)
{
    const struct line *line = (const struct line *)symbols->lines.bytes + piece->first_line;
    gib_put_uleb(info, piece->parameters_size ? FUNCTION_WITH_PARAMETERS : FUNCTION);
    gib_put(info, symbols->strings.bytes + piece->symbol, piece->name_size);
    gib_put_fixed(info, 0, 1);
    gib_put_uleb(info, line->file);
    gib_put_uleb(info, LAST_LINE);
    gib_put_fixed(info, piece->address, 8);
    gib_put_fixed(info, piece->size, 8);
    if (!piece->parameters_size)
        return;
    gib_put_uleb(info, piece->frame_base_size);
    gib_put(info, symbols->parameters.bytes + piece->frame_base, piece->frame_base_size);
    gib_put(info, symbols->parameters.bytes + piece->parameters, piece->parameters_size);
    gib_put_uleb(info, 0);
}

/* An index without names (DWARF 5, 6.1.1): the functions are found by their addresses only, not by
 * a breakpoint on /regex/. */
static void put_names(struct gib_buffer *names)
{
    size_t start = begin_unit(names, 5);
    gib_put_fixed(names, 0, 2);
    gib_put_fixed(names, 1, 4); /* one compilation unit; none of types, here or elsewhere */
    gib_put_fixed(names, 0, 8);
    gib_put_fixed(names, 0, 8); /* buckets, names */
    gib_put_fixed(names, 1, 4); /* size of the abbreviations */
    gib_put_fixed(names, 0, 4); /* size of the augmentation */
    gib_put_fixed(names, 0, 4); /* where the unit is */
    gib_put_fixed(names, 0, 1);
    set_length(names, start, start + 4);
}

static void put_unit(const struct gib_symbols *symbols, struct gib_debug_sections *out)
{
    struct gib_buffer *abbrev = &out->abbrev, *info = &out->info;
    gib_put_uleb(abbrev, UNIT);
    gib_put_uleb(abbrev, DW_TAG_compile_unit);
    gib_put_fixed(abbrev, DW_CHILDREN_yes, 1);
    put_attribute(abbrev, DW_AT_producer, DW_FORM_string);
    put_attribute(abbrev, DW_AT_language, DW_FORM_data2);
    put_attribute(abbrev, DW_AT_name, DW_FORM_string);
    put_attribute(abbrev, DW_AT_stmt_list, DW_FORM_sec_offset);
    put_attribute(abbrev, DW_AT_low_pc, DW_FORM_addr);
    put_attribute(abbrev, DW_AT_ranges, DW_FORM_sec_offset);
    put_attribute(abbrev, 0, 0);
    for (int with = 0; with < 2; with++) {
        gib_put_uleb(abbrev, with ? FUNCTION_WITH_PARAMETERS : FUNCTION);
        gib_put_uleb(abbrev, DW_TAG_subprogram);
        gib_put_fixed(abbrev, with ? DW_CHILDREN_yes : DW_CHILDREN_no, 1);
        put_attribute(abbrev, DW_AT_name, DW_FORM_string);
        put_attribute(abbrev, DW_AT_decl_file, DW_FORM_udata);
        put_attribute(abbrev, DW_AT_decl_line, DW_FORM_udata);
        put_attribute(abbrev, DW_AT_artificial, DW_FORM_flag_present);
        put_attribute(abbrev, DW_AT_low_pc, DW_FORM_addr);
        put_attribute(abbrev, DW_AT_high_pc, DW_FORM_data8);
        if (with) {
            put_attribute(abbrev, DW_AT_prototyped, DW_FORM_flag_present);
            put_attribute(abbrev, DW_AT_frame_base, DW_FORM_exprloc);
        }
        put_attribute(abbrev, 0, 0);
    }
    gib_put_uleb(abbrev, FUNCTION_WITHOUT_LINES);
    gib_put_uleb(abbrev, DW_TAG_subprogram);
    gib_put_fixed(abbrev, DW_CHILDREN_no, 1);
    put_attribute(abbrev, DW_AT_name, DW_FORM_string);
    put_attribute(abbrev, DW_AT_artificial, DW_FORM_flag_present);
    put_attribute(abbrev, DW_AT_low_pc, DW_FORM_addr);
    put_attribute(abbrev, DW_AT_high_pc, DW_FORM_data8);
    put_attribute(abbrev, 0, 0);
    gib_dwarf_copies_abbreviations(abbrev);
    gib_put_uleb(abbrev, 0);

    size_t start = begin_unit(info, 4);
    gib_put_fixed(info, 0, 4); /* of the abbreviations */
    gib_put_fixed(info, 8, 1); /* size of an address */
    gib_put_uleb(info, UNIT);
    gib_put_text(info, "Gibbon");
    gib_put_fixed(info, DW_LANG_C99, 2);
    gib_put_text(info, "gibbon");
    gib_put_fixed(info, 0, 4);
    gib_put_fixed(info, 0, 8); /* addresses in .debug_ranges are not relative */
    gib_put_fixed(info, 0, 4);
    if (info->size != GIB_UNIT_SIZE) /* the copied types refer to each other by their offsets */
        info->failed = true;
    gib_put(info, symbols->copies.types.bytes, symbols->copies.types.size);
    size_t count;
    const struct piece *piece = pieces_of(symbols, &count);
    for (size_t i = 0; i < count; i++)
        if (piece[i].line_count)
            put_function(symbols, &piece[i], info);
        else if (piece[i].passed || gib_has_function_only(&piece[i]))
            put_function_without_lines(symbols, &piece[i], info);
    gib_put_uleb(info, 0);
    set_length(info, start, start + 4);
}

static size_t put_line_header(const struct gib_symbols *symbols, struct gib_buffer *out)
{
    static const uint8_t operands[] = {0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};
    size_t start = begin_unit(out, 4), length = out->size;
    gib_put_fixed(out, 0, 4);
    /* Shortest instruction, operations in one, rows are no statements, line base, line range. */
    gib_put(out, (const uint8_t[]){1, 1, 0, 0xfb, 14, sizeof operands + 1}, 6);
    gib_put(out, operands, sizeof operands);
    gib_put_fixed(out, 0, 1); /* no directories: paths are whole */
    const char *path = (const char *)symbols->files.bytes;
    for (size_t i = 0; i < symbols->file_count; i++) {
        gib_put_text(out, path);
        gib_put(out, (const uint8_t[]){0, 0, 0}, 3); /* directory, time, size */
        path += strlen(path) + 1;
    }
    gib_put_fixed(out, 0, 1);
    set_length(out, length, length + 4);
    return start;
}

static void put_extended(struct gib_buffer *out, size_t size, unsigned opcode)
{
    gib_put_fixed(out, 0, 1);
    gib_put_uleb(out, size);
    gib_put_fixed(out, opcode, 1);
}

static void advance_pc(struct gib_buffer *out, uint64_t by)
{
    if (!by)
        return;
    gib_put_fixed(out, DW_LNS_advance_pc, 1);
    gib_put_uleb(out, by);
}

static void put_sequence(const struct piece *piece, const struct line *line, struct gib_buffer *out)
{
    uint32_t file = 1, at = 0;
    int64_t number = 1;
    unsigned column = 0;
    put_extended(out, 9, DW_LNE_set_address);
    gib_put_fixed(out, piece->address, 8);
    for (size_t i = 0; i < piece->line_count; i++, line++) {
        advance_pc(out, line->offset - at);
        at = line->offset;
        if (line->file != file) {
            gib_put_fixed(out, DW_LNS_set_file, 1);
            gib_put_uleb(out, file = line->file);
        }
        if (line->column != column) {
            gib_put_fixed(out, DW_LNS_set_column, 1);
            gib_put_uleb(out, column = line->column);
        }
        gib_put_fixed(out, DW_LNS_advance_line, 1);
        gib_put_sleb(out, (int64_t)line->line - number);
        number = line->line;
        gib_put_fixed(out, DW_LNS_copy, 1);
    }
    advance_pc(out, piece->size - at);
    put_extended(out, 1, DW_LNE_end_sequence);
}

/* Line 0 from one offset up to another; with two rows, the first of them of one byte. */
static void put_line_zero(const struct gib_symbols *symbols, const struct piece *piece,
                          uint64_t from, uint64_t to, bool two, struct gib_buffer *out)
{
    put_extended(out, 9, DW_LNE_set_address);
    gib_put_fixed(out, piece->address + from, 8);
    gib_put_fixed(out, DW_LNS_set_file, 1);
    gib_put_uleb(out, symbols->no_file);
    gib_put_fixed(out, DW_LNS_advance_line, 1);
    gib_put_sleb(out, -1);
    gib_put_fixed(out, DW_LNS_copy, 1);
    if (two) {
        advance_pc(out, 1);
        gib_put_fixed(out, DW_LNS_copy, 1);
        from++;
    }
    advance_pc(out, to - from);
    put_extended(out, 1, DW_LNE_end_sequence);
}

static void put_range(const struct piece *piece, uint64_t from, uint64_t to,
                      struct gib_buffer *ranges)
{
    gib_put_fixed(ranges, piece->address + from, 8);
    gib_put_fixed(ranges, piece->address + to, 8);
}

/*
 * LLDB's `next` from a detour comes through stub and thunk to the copy. From code without lines it
 * would step out: the step would end behind the function. Through code of line 0 it goes, if its
 * row does not cover all of a symbol: so the first byte has a row of its own. A call from there it
 * follows if the frame that calls is not of the unit in which that code is: so the unit has not
 * the bytes behind the first of a call, by which frames are looked up (the one before their return
 * address). They have no line either, and `bt` shows none (LLDB's ThreadPlanShouldStopHere::
 * DefaultStepFromHereCallback, ThreadPlanStepOverRange::IsEquivalentContext).
 */
static void put_stepped(const struct gib_symbols *symbols, const struct piece *piece,
                        struct gib_debug_sections *out)
{
    const uint32_t *call = (const uint32_t *)symbols->calls.bytes + piece->first_call;
    uint64_t at = 0;
    for (size_t i = 0; i <= piece->call_count; i++) {
        uint64_t end = i < piece->call_count ? call[i] + 1 : piece->size;
        put_line_zero(symbols, piece, at, end, end - at > 1, &out->line);
        put_range(piece, at, end, &out->ranges);
        at = end - 1 + GIB_CALL_SIZE;
    }
}

bool gib_symbols_debug(const struct gib_symbols *symbols, struct gib_debug_sections *out)
{
    size_t count;
    const struct piece *piece = pieces_of(symbols, &count);
    const struct line *lines = (const struct line *)symbols->lines.bytes;
    bool wanted = symbols->file_count > 0;
    for (size_t i = 0; i < count; i++)
        wanted |= piece[i].passed;
    if (!wanted)
        return false;
    put_unit(symbols, out);
    put_names(&out->names);
    size_t start = put_line_header(symbols, &out->line);
    for (size_t i = 0; i < count; i++) {
        if (!piece[i].line_count && !piece[i].passed && !piece[i].stepped)
            continue;
        if (piece[i].stepped)
            put_stepped(symbols, &piece[i], out);
        else
            put_range(&piece[i], 0, piece[i].size, &out->ranges);
        if (piece[i].line_count)
            put_sequence(&piece[i], lines + piece[i].first_line, &out->line);
    }
    set_length(&out->line, start, start + 4);
    gib_put_fixed(&out->ranges, 0, 8);
    gib_put_fixed(&out->ranges, 0, 8);
    return true;
}
