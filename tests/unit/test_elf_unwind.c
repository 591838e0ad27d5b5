/*
 * test_elf_unwind.c: unwind rows, against libdw's interpreter of the same tables.
 */
#include <elfutils/libdw.h>
#include <dwarf.h>
#include <fcntl.h>
#include <unistd.h>
#include "elf_test.h"

/* The row that covers vaddr. */
static struct gib_unwind_row row_at(struct gib_elf *elf, uint64_t vaddr)
{
    const struct gib_unwind_row *rows;
    size_t count = gib_elf_unwind_rows(elf, &rows), low = 0, high = count;
    uint64_t base = gib_elf_info(elf)->segments[0].vaddr;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (base + rows[middle].start <= vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? rows[low - 1] : (struct gib_unwind_row){.kind = GIB_UNWIND_NONE};
}

static bool is_base(const Dwarf_Op *op, int reg, int64_t *offset)
{
    *offset = op->atom == DW_OP_bregx ? (int64_t)op->number2 : (int64_t)op->number;
    return op->atom == DW_OP_breg0 + reg ||
           (op->atom == DW_OP_bregx && op->number == (unsigned)reg);
}

/* The saved place of a register in libdw's words, "CFA + n" or "rbp + n". */
static bool is_at(const Dwarf_Op *ops, size_t count, bool in_frame, int64_t offset)
{
    int64_t found;
    if (in_frame) /* an expression starts with the CFA on its stack */
        return count == 2 && ops[0].atom == DW_OP_call_frame_cfa && is_base(&ops[1], 6, &found) &&
               found == offset;
    if (!count || ops[0].atom != DW_OP_call_frame_cfa)
        return false;
    return count == 1
               ? offset == 0
               : count == 2 && ops[1].atom == DW_OP_plus_uconst && (int64_t)ops[1].number == offset;
}

/* The row that libdw's frame amounts to; an independent reading of what elf.h promises. */
static struct gib_unwind_row expected_row(Dwarf_Frame *frame)
{
    struct gib_unwind_row none = {.kind = GIB_UNWIND_NONE}, row = {0};
    bool signal;
    Dwarf_Op dummy[3], *ops, *ra, *rbp, *rsp;
    size_t count, ra_count, rbp_count, rsp_count;
    int64_t offset;
    int column = dwarf_frame_info(frame, NULL, NULL, &signal);
    assert_true(column >= 0);
    if (signal)
        return (struct gib_unwind_row){.kind = GIB_UNWIND_SIGNAL};
    assert_int_equal(dwarf_frame_register(frame, column, dummy, &ra, &ra_count), 0);
    if (ra_count == 0 && ra == dummy)
        return (struct gib_unwind_row){.kind = GIB_UNWIND_END};
    if (!is_at(ra, ra_count, false, -8))
        return none;
    Dwarf_Op rsp_dummy[3], rbp_dummy[3];
    assert_int_equal(dwarf_frame_register(frame, 7, rsp_dummy, &rsp, &rsp_count), 0);
    /* libdw answers "the CFA itself" for an rsp of which nothing is said. */
    if (rsp_count && !(rsp_count == 2 && rsp[0].atom == DW_OP_call_frame_cfa &&
                       rsp[1].atom == DW_OP_stack_value))
        return none;
    assert_int_equal(dwarf_frame_register(frame, 6, rbp_dummy, &rbp, &rbp_count), 0);
    if (rbp_count == 0) {
        if (rbp) /* undefined, as opposed to unchanged */
            return none;
    } else if (rbp_count == 2 && is_base(&rbp[1], 6, &offset)) {
        if (!is_at(rbp, rbp_count, true, offset))
            return none;
        row.rbp_offset = offset;
        row.rbp_in_frame = 1;
    } else if (rbp[0].atom == DW_OP_call_frame_cfa && rbp_count == 2) {
        row.rbp_offset = (int64_t)rbp[1].number;
        if (!is_at(rbp, rbp_count, false, row.rbp_offset))
            return none;
    } else {
        return none;
    }
    assert_int_equal(dwarf_frame_cfa(frame, &ops, &count), 0);
    bool by_rbp = is_base(&ops[0], 6, &offset);
    if (!by_rbp && !is_base(&ops[0], 7, &offset))
        return none;
    row.cfa_offset = offset;
    if (count == 1)
        row.kind = by_rbp ? GIB_UNWIND_CFA_RBP : GIB_UNWIND_CFA_RSP;
    else if (count == 2 && ops[1].atom == DW_OP_deref)
        row.kind = by_rbp ? GIB_UNWIND_CFA_DEREF_RBP : GIB_UNWIND_CFA_DEREF_RSP;
    else if (count == 9 && ops[1].atom == DW_OP_breg16 && ops[8].atom == DW_OP_plus) {
        row.kind = GIB_UNWIND_PLT;
        row.cfa_offset = ops[4].atom - DW_OP_lit0;
    } else {
        return none;
    }
    return row;
}

static void compare_at(struct gib_elf *elf, Dwarf_CFI *cfi, uint64_t vaddr, size_t kinds[8])
{
    Dwarf_Frame *frame = NULL;
    struct gib_unwind_row row = row_at(elf, vaddr), wanted = {.kind = GIB_UNWIND_NONE};
    if (!dwarf_cfi_addrframe(cfi, vaddr, &frame)) {
        wanted = expected_row(frame);
        free(frame);
    }
    if (row.kind != wanted.kind || row.cfa_offset != wanted.cfa_offset ||
        row.rbp_offset != wanted.rbp_offset || row.rbp_in_frame != wanted.rbp_in_frame)
        fail_msg("at %#lx: kind %u cfa %d rbp %d/%u, libdw: kind %u cfa %d rbp %d/%u", vaddr,
                 row.kind, row.cfa_offset, row.rbp_offset, row.rbp_in_frame, wanted.kind,
                 wanted.cfa_offset, wanted.rbp_offset, wanted.rbp_in_frame);
    kinds[row.kind]++;
}

static void compare_with_libdw(const char *path, size_t kinds[8])
{
    struct gib_elf *elf = open_elf(path);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    elf_version(EV_CURRENT);
    Elf *other = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    Dwarf_CFI *cfi = dwarf_getcfi_elf(other);
    assert_non_null(cfi);
    const struct gib_elf_info *info = gib_elf_info(elf);
    const struct gib_unwind_row *rows;
    size_t count = gib_elf_unwind_rows(elf, &rows);
    assert_true(count > 10);
    for (size_t i = 1; i < count; i++)
        assert_true(rows[i - 1].start < rows[i].start);
    for (size_t i = 0; i < info->segment_count; i++) {
        const struct gib_elf_segment *segment = &info->segments[i];
        for (int j = 0; segment->executable && j < 10000; j++)
            compare_at(elf, cfi, segment->vaddr + random_number() % segment->memory_size, kinds);
    }
    /* Both sides of edges, where mistakes are. */
    for (int j = 0; j < 10000; j++) {
        uint64_t edge = info->segments[0].vaddr + rows[random_number() % count].start;
        compare_at(elf, cfi, edge, kinds);
        compare_at(elf, cfi, edge - 1, kinds);
    }
    dwarf_cfi_end(cfi);
    elf_end(other);
    close(fd);
    gib_elf_close(elf);
}

static void libraries_agree_with_libdw(void **state)
{
    static const char *const paths[] = {
        "/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libstdc++.so.6",
        "/lib/x86_64-linux-gnu/libpython3.11.so.1.0", "/lib/x86_64-linux-gnu/libdw.so.1"};
    size_t kinds[8] = {0};
    for (size_t i = 0; i < COUNT(paths); i++) {
        if (access(paths[i], R_OK))
            continue;
        compare_with_libdw(paths[i], kinds);
    }
    assert_true(kinds[GIB_UNWIND_CFA_RSP] > 10000);
    assert_true(kinds[GIB_UNWIND_CFA_RBP] > 100);
    assert_true(kinds[GIB_UNWIND_NONE] > 0);
}

static void programs_agree_with_libdw(void **state)
{
    size_t kinds[8] = {0};
    for (size_t i = 0; i < COUNT(c_programs); i++)
        compare_with_libdw(program(c_programs[i]), kinds);
    for (size_t i = 0; i < COUNT(cxx_programs); i++)
        compare_with_libdw(program(cxx_programs[i]), kinds);
    assert_true(kinds[GIB_UNWIND_PLT] > 0);
    assert_true(kinds[GIB_UNWIND_END] > 0); /* _start */
}

/* Frames that only some functions have. */
static void special_frames(void **state)
{
    struct gib_elf *elf = open_elf(program("c-gcc-static"));
    struct gib_elf_symbol symbol = find_one(elf, "_start");
    assert_int_equal(row_at(elf, symbol.value + 4).kind, GIB_UNWIND_END);
    symbol = find_one(elf, "__restore_rt");
    assert_int_equal(row_at(elf, symbol.value).kind, GIB_UNWIND_SIGNAL);
    gib_elf_close(elf);

    elf = open_elf(program("c-gcc-O0"));
    symbol = find_one(elf, "f_void");
    struct gib_unwind_row row = row_at(elf, symbol.value);
    assert_int_equal(row.kind, GIB_UNWIND_CFA_RSP);
    assert_int_equal(row.cfa_offset, 8);
    assert_int_equal(row.rbp_offset, 0);
    row = row_at(elf, symbol.value + symbol.size / 2); /* push rbp; mov rbp, rsp */
    assert_int_equal(row.kind, GIB_UNWIND_CFA_RBP);
    assert_int_equal(row.cfa_offset, 16);
    assert_int_equal(row.rbp_offset, -16);
    gib_elf_close(elf);

    /* and rsp, -32 with a pointer to the arguments: the CFA is stored in the frame, and so is rbp
     */
    elf = open_elf(program("realigned.so"));
    symbol = find_one(elf, "realigned");
    size_t deref = 0;
    for (uint64_t at = 0; at < symbol.size; at++) {
        row = row_at(elf, symbol.value + at);
        if (row.kind != GIB_UNWIND_CFA_DEREF_RBP)
            continue;
        deref++;
        assert_true(row.cfa_offset < 0);
        assert_int_equal(row.rbp_in_frame, 1);
        assert_int_equal(row.rbp_offset, 0);
    }
    assert_true(deref > 10);
    gib_elf_close(elf);
    size_t kinds[8] = {0};
    compare_with_libdw(program("realigned.so"), kinds);
    assert_true(kinds[GIB_UNWIND_CFA_DEREF_RBP] > 0);
}

/* At each address of functions that use every instruction of call frame information there is. */
static void odd_frames(void **state)
{
    static const char *const functions[] = {"saved_rsp", "odd_return", "odd_rbp",
                                            "odd_cfa",   "long_moves", "signal_frame"};
    const char *path = program("frames.so");
    struct gib_elf *elf = open_elf(path);
    int fd = open(path, O_RDONLY);
    Elf *other = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    Dwarf_CFI *cfi = dwarf_getcfi_elf(other);
    assert_non_null(cfi);
    size_t kinds[8] = {0};
    for (size_t i = 0; i < COUNT(functions); i++) {
        struct gib_elf_symbol symbol = find_one(elf, functions[i]);
        for (uint64_t at = 0; at < symbol.size + 3; at++)
            compare_at(elf, cfi, symbol.value + at, kinds);
    }
    for (size_t i = 0; i < 8; i++)
        assert_true(kinds[i] > 0 || i == GIB_UNWIND_PLT);
    dwarf_cfi_end(cfi);
    elf_end(other);
    close(fd);
    gib_elf_close(elf);
}

/* A file without section headers gives the same rows, found through the run-time unwinder's table.
 */
static void without_section_headers(void **state)
{
    const struct gib_unwind_row *rows, *other_rows;
    struct gib_elf *elf = open_elf(program("c-gcc-O2")), *other;
    size_t count = gib_elf_unwind_rows(elf, &rows);
    other = open_elf(program("c-sectionless"));
    assert_int_equal(gib_elf_unwind_rows(other, &other_rows), count);
    assert_memory_equal(rows, other_rows, count * sizeof *rows);
    gib_elf_close(elf);
    gib_elf_close(other);
}

/* Without .eh_frame, .debug_frame has the same to say. */
static void debug_frame(void **state)
{
    const struct gib_unwind_row *rows;
    struct gib_elf *elf = open_elf(program("debug-frame"));
    assert_true(gib_elf_unwind_rows(elf, &rows) > 3);
    struct gib_elf_symbol symbol = find_one(elf, "f_void");
    assert_int_equal(row_at(elf, symbol.value).cfa_offset, 8);
    assert_int_equal(row_at(elf, symbol.value + symbol.size / 2).kind, GIB_UNWIND_CFA_RBP);
    gib_elf_close(elf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libraries_agree_with_libdw),
        cmocka_unit_test(programs_agree_with_libdw),
        cmocka_unit_test(special_frames),
        cmocka_unit_test(without_section_headers),
        cmocka_unit_test(debug_frame),
        cmocka_unit_test(odd_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
