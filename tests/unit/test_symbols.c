/*
 * test_symbols.c: the symbol file of generated code, read back by libdw and by core/elf. The unwind
 * rows of copied instructions are compared with libdw's reading of the original's, register by
 * register, for every function that can be relocated.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "code/x86_64/trampoline.h"
#include "elf_test.h"
#include "symbols/symbols.h"
#include "symbols/thunk_rows.h"

enum { PASSES = 4000, REGISTERS = 17 };
/* Near enough for rel32 from any file of ours, far enough from all vaddrs. */
static const uint64_t arena = 0x30000000;

struct copied {
    uint64_t vaddr, end, address;
    struct gib_relocation relocation;
    bool described;
};

static struct copied *copied;
static size_t copied_count;

/* The copies of the entries of a file's functions, as a symbol file. */
static int write_copies(struct gib_elf *elf)
{
    const struct gib_elf_symbol *symbols;
    size_t count = gib_elf_functions(elf, &symbols);
    struct gib_symbols *file = gib_symbols_new();
    uint64_t to = arena;
    copied = calloc(count + 1, sizeof *copied);
    copied_count = 0;
    for (size_t i = 0; i < count && copied_count < PASSES; i++) {
        uint8_t code[512];
        size_t size = gib_elf_read(elf, symbols[i].value, code,
                                   symbols[i].size < sizeof code ? symbols[i].size : sizeof code);
        struct copied *c = &copied[copied_count];
        struct gib_relocation_request request = {GIB_ARCH_X86_64,  code, size,
                                                 symbols[i].value, to,   5};
        if ((i && symbols[i - 1].value == symbols[i].value) || !size ||
            gib_relocate(&request, &c->relocation, NULL))
            continue;
        gib_trampoline_return_home(&request, &c->relocation);
        c->vaddr = symbols[i].value;
        c->end = c->vaddr + symbols[i].size;
        c->address = to;
        struct gib_code_line lines[32];
        struct gib_code piece = {.name = symbols[i].name,
                                 .symbol = symbols[i].name,
                                 .address = to,
                                 .bytes = c->relocation.code,
                                 .size = c->relocation.size,
                                 .lines = lines};
        struct gib_cfi cfi;
        c->described = gib_elf_cfi_copy(elf, c->vaddr, c->relocation.boundary,
                                        c->relocation.boundaries, c->relocation.code, &cfi);
        if (c->described) {
            piece.cie = &cfi.cie;
            piece.fde = &cfi.fde;
        }
        for (size_t b = 0; b + 1 < c->relocation.boundaries; b++) {
            struct gib_elf_place place;
            if (gib_elf_place(elf, c->vaddr + c->relocation.boundary[b].original, &place))
                lines[piece.line_count++] = (struct gib_code_line){
                    c->relocation.boundary[b].copy, place.path, place.line, place.column};
        }
        struct gib_buffer parameters = {0}, frame_base = {0};
        if (piece.line_count &&
            gib_elf_copy_parameters(elf, c->vaddr, c->vaddr, c->relocation.boundary,
                                    c->relocation.boundaries, to, c->relocation.size,
                                    gib_symbols_copies(file), &parameters, &frame_base)) {
            piece.parameters = &parameters;
            piece.frame_base = &frame_base;
        }
        gib_symbols_add(file, &piece);
        gib_buffer_free(&parameters);
        gib_buffer_free(&frame_base);
        gib_cfi_free(&cfi);
        copied_count++;
        to += (c->relocation.size + 31) & ~15ull;
    }
    struct gib_error error;
    int fd = memfd_create("symbols", 0);
    if (gib_symbols_write(file, fd, &error))
        fail_msg("%s", error.message);
    gib_symbols_free(file);
    return fd;
}

/* ---- frames ---- */

static Dwarf_CFI *frames_of(const char *path, Dwarf **dwarf, Elf **elf, int *fd)
{
    *fd = open(path, O_RDONLY);
    *elf = elf_begin(*fd, ELF_C_READ, NULL);
    *dwarf = dwarf_begin_elf(*elf, DWARF_C_READ, NULL);
    Dwarf_CFI *cfi = dwarf_getcfi_elf(*elf);
    return cfi ? cfi : dwarf_getcfi(*dwarf);
}

static bool same_ops(const Dwarf_Op *a, size_t a_count, const Dwarf_Op *b, size_t b_count,
                     int64_t deeper)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++) {
        int64_t more = deeper && a[i].atom == DW_OP_bregx ? deeper : 0;
        bool is_number2 = a[i].atom == DW_OP_bregx;
        if (a[i].atom != b[i].atom ||
            a[i].number + (uint64_t)(is_number2 ? 0 : more) != b[i].number ||
            a[i].number2 + (uint64_t)(is_number2 ? more : 0) != b[i].number2)
            return false;
    }
    return true;
}

/* Whether both rows say the same, but for a CFA that is `deeper` bytes further from rsp. */
static void compare_frames(Dwarf_CFI *original, uint64_t vaddr, Dwarf_CFI *copy, uint64_t address,
                           int64_t deeper, bool described)
{
    Dwarf_Frame *a = NULL, *b = NULL;
    bool has_a = dwarf_cfi_addrframe(original, vaddr, &a) == 0;
    bool has_b = dwarf_cfi_addrframe(copy, address, &b) == 0;
    if (!has_a || !has_b) {
        if (has_b || described)
            fail_msg("0x%lx: a frame %d, its copy %d", vaddr, has_a, has_b);
        free(a);
        free(b);
        return;
    }
    Dwarf_Op *a_ops, *b_ops, a_few[3], b_few[3];
    size_t a_count, b_count;
    int a_failed = dwarf_frame_cfa(a, &a_ops, &a_count),
        b_failed = dwarf_frame_cfa(b, &b_ops, &b_count);
    bool by_rsp = !a_failed && a_count == 1 && a_ops[0].atom == DW_OP_bregx && a_ops[0].number == 7;
    if (a_failed != b_failed ||
        (!a_failed && !same_ops(a_ops, a_count, b_ops, b_count, by_rsp ? deeper : 0)))
        fail_msg("0x%lx: another CFA at its copy 0x%lx", vaddr, address);
    for (int reg = 0; reg < REGISTERS; reg++) {
        a_failed = dwarf_frame_register(a, reg, a_few, &a_ops, &a_count);
        b_failed = dwarf_frame_register(b, reg, b_few, &b_ops, &b_count);
        bool a_none = a_ops == NULL, b_none = b_ops == NULL;
        if (a_failed != b_failed || a_none != b_none ||
            (!a_failed && a_ops && !same_ops(a_ops, a_count, b_ops, b_count, 0)))
            fail_msg("0x%lx: register %d differs at its copy 0x%lx", vaddr, reg, address);
    }
    free(a);
    free(b);
}

static size_t check_frames(const char *path)
{
    struct gib_elf *elf = open_elf(path);
    int made = write_copies(elf), fd[2];
    char name[64];
    Dwarf *dwarf[2];
    Elf *file[2];
    size_t compared = 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", made);
    Dwarf_CFI *original = frames_of(path, &dwarf[0], &file[0], &fd[0]),
              *copy = frames_of(name, &dwarf[1], &file[1], &fd[1]);
    assert_non_null(original);
    assert_non_null(copy);
    for (size_t i = 0; i < copied_count; i++) {
        const struct copied *c = &copied[i];
        for (size_t b = 0; b < c->relocation.boundaries; b++) {
            uint64_t at = c->relocation.boundary[b].original;
            uint64_t to = c->relocation.boundary[b].copy;
            bool last = b + 1 == c->relocation.boundaries;
            if (last && (to >= c->relocation.size || c->vaddr + at >= c->end))
                continue; /* nothing goes on behind a jump, or a call that does not return */
            compare_frames(original, c->vaddr + at, copy, c->address + to, 0, c->described);
            compared++;
            if (last || c->relocation.code[to] != 0x68 ||
                c->relocation.boundary[b + 1].copy - to <= 5)
                continue;
            /* The return address is on the stack from here on. */
            for (uint64_t k = to + 5; k < c->relocation.boundary[b + 1].copy; k++)
                compare_frames(original, c->vaddr + at, copy, c->address + k, 8, c->described);
        }
    }
    if (original != dwarf_getcfi(dwarf[0])) /* that one belongs to `dwarf` */
        dwarf_cfi_end(original);
    for (int i = 0; i < 2; i++) {
        dwarf_end(dwarf[i]);
        elf_end(file[i]);
        close(fd[i]);
    }
    close(made);
    free(copied);
    gib_elf_close(elf);
    return compared;
}

static void frames_of_copies_are_those_of_the_originals(void **state)
{
    size_t compared = check_frames(libc_path);
    assert_true(compared > 1000);
    for (size_t i = 0; i < COUNT(c_programs); i++)
        assert_true(check_frames(program(c_programs[i])) > 3);
    for (size_t i = 0; i < COUNT(cxx_programs); i++)
        assert_true(check_frames(program(cxx_programs[i])) > 3);
    check_frames(program("frames.so"));
    check_frames(program("realigned.so"));
}

/* ---- lines ---- */

static void check_lines(const char *path)
{
    struct gib_elf *elf = open_elf(path);
    int made = write_copies(elf);
    char name[64];
    size_t with_lines = 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", made);
    struct gib_elf *copy = open_elf(name);
    for (size_t i = 0; i < copied_count; i++) {
        const struct copied *c = &copied[i];
        for (size_t b = 0; b + 1 < c->relocation.boundaries; b++) {
            struct gib_elf_place there, here;
            bool known = gib_elf_place(elf, c->vaddr + c->relocation.boundary[b].original, &there);
            if (!known)
                continue;
            with_lines++;
            assert_true(gib_elf_place(copy, c->address + c->relocation.boundary[b].copy, &here));
            assert_string_equal(here.path, there.path);
            assert_int_equal(here.line, there.line);
            assert_int_equal(here.column, there.column);
        }
    }
    assert_true(with_lines > 5);
    /* No row begins a statement. */
    Dwarf *dwarf = dwarf_begin(made, DWARF_C_READ);
    Dwarf_Off offset = 0, next;
    size_t header, rows;
    Dwarf_Die unit;
    Dwarf_Lines *lines;
    assert_non_null(dwarf);
    assert_int_equal(dwarf_nextcu(dwarf, offset, &next, &header, NULL, NULL, NULL), 0);
    assert_non_null(dwarf_offdie(dwarf, header, &unit));
    assert_int_equal(dwarf_getsrclines(&unit, &lines, &rows), 0);
    assert_true(rows > 5);
    for (size_t i = 0; i < rows; i++) {
        bool statement;
        dwarf_linebeginstatement(dwarf_onesrcline(lines, i), &statement);
        assert_false(statement);
    }
    dwarf_end(dwarf);
    gib_elf_close(copy);
    close(made);
    free(copied);
    gib_elf_close(elf);
}

static void lines_of_copies_are_those_of_the_originals(void **state)
{
    for (size_t i = 0; i < COUNT(c_programs); i++)
        check_lines(program(c_programs[i]));
    for (size_t i = 0; i < COUNT(cxx_programs); i++)
        check_lines(program(cxx_programs[i]));
}

/* ---- parameters ---- */

/* All parameters are there, or none; numbers and pointers are what they were. */
static size_t check_parameters(const char *path)
{
    struct gib_elf *elf = open_elf(path);
    int made = write_copies(elf);
    size_t compared = 0;
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", made);
    struct gib_elf *copy = open_elf(name);
    for (size_t i = 0; i < copied_count; i++) {
        struct gib_prototype *there = gib_elf_prototype(elf, copied[i].vaddr),
                             *here = gib_elf_prototype(copy, copied[i].address);
        for (size_t k = 0; there && here && k < here->parameter_count; k++) {
            const struct gib_parameter *p = &here->parameters[k], *q = NULL;
            for (size_t j = 0; j < there->parameter_count && !q; j++)
                if (there->parameters[j].name && p->name &&
                    !strcmp(there->parameters[j].name, p->name))
                    q = &there->parameters[j];
            assert_non_null(q);
            compared++;
            if (q->type.kind == GIB_TYPE_INT || q->type.kind == GIB_TYPE_STRING ||
                q->type.kind == GIB_TYPE_POINTER) {
                assert_int_equal(p->type.kind, q->type.kind);
                assert_int_equal(p->type.size, q->type.size);
            }
        }
        gib_prototype_free(there);
        gib_prototype_free(here);
    }
    gib_elf_close(copy);
    close(made);
    free(copied);
    gib_elf_close(elf);
    return compared;
}

static void parameters_of_copies_are_those_of_the_originals(void **state)
{
    for (size_t i = 0; i < COUNT(c_programs); i++)
        assert_true(check_parameters(program(c_programs[i])) > 3);
    for (size_t i = 0; i < COUNT(cxx_programs); i++)
        assert_true(check_parameters(program(cxx_programs[i])) > 3);
    check_parameters(libc_path);
}

/* ---- the file ---- */

static void pieces_far_apart_are_in_one_file(void **state)
{
    static const uint8_t code[] = {0x55, 0x48, 0x89, 0xe5, 0x5d, 0xc3};
    static const uint64_t places[] = {0x7fff00000100, 0x555500000000, 0x555500000010, 0x1000};
    static const char *const names[] = {"gibbon:far", "gibbon:one", "gibbon:two", "f.gibbon.0"};
    struct gib_thunk_shapes shapes = {0};
    struct gib_buffer cie = {0};
    gib_thunk_cie(&cie);
    const struct gib_thunk_shape *shape = gib_thunk_rows(&shapes, code, sizeof code);
    assert_non_null(shape);
    struct gib_symbols *file = gib_symbols_new();
    for (size_t i = 0; i < COUNT(places); i++) {
        struct gib_code piece = {.name = names[i],
                                 .symbol = names[i],
                                 .address = places[i],
                                 .bytes = code,
                                 .size = sizeof code,
                                 .cie = &cie,
                                 .fde = &shape->fde};
        gib_symbols_add(file, &piece);
    }
    int fd = memfd_create("symbols", 0);
    struct gib_error error;
    assert_int_equal(gib_symbols_write(file, fd, &error), 0);
    gib_symbols_free(file);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int copy;
    Elf *elf;
    Dwarf *dwarf;
    Dwarf_CFI *cfi = frames_of(path, &dwarf, &elf, &copy);
    assert_non_null(cfi);
    size_t symbols = 0;
    for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
        Elf64_Shdr *header = elf64_getshdr(scn);
        Elf_Data *data = elf_getdata(scn, NULL);
        if (header->sh_flags & SHF_EXECINSTR)
            assert_memory_equal(data->d_buf, code, sizeof code);
        if (header->sh_type != SHT_SYMTAB)
            continue;
        for (size_t i = 1; i < header->sh_size / sizeof(Elf64_Sym); i++) {
            const Elf64_Sym *symbol = (const Elf64_Sym *)data->d_buf + i;
            const char *name = elf_strptr(elf, header->sh_link, symbol->st_name);
            for (size_t k = 0; k < COUNT(names); k++) {
                if (strcmp(name, names[k]))
                    continue;
                symbols++;
                assert_int_equal(symbol->st_value, places[k]);
                assert_int_equal(symbol->st_size, sizeof code);
            }
        }
    }
    assert_int_equal(symbols, COUNT(names));
    for (size_t i = 0; i < COUNT(places); i++) {
        static const int64_t depth[] = {8, 16, 16, 16, 16, 8};
        for (size_t at = 0; at < sizeof code; at++) {
            Dwarf_Frame *frame;
            Dwarf_Op *ops;
            size_t count;
            assert_int_equal(dwarf_cfi_addrframe(cfi, places[i] + at, &frame), 0);
            assert_int_equal(dwarf_frame_cfa(frame, &ops, &count), 0);
            assert_int_equal(count, 1);
            assert_int_equal(ops->number, at == 4 ? 6 : depth[at] == 8 || at < 4 ? 7 : 6);
            assert_int_equal(ops->number2, depth[at]);
            free(frame);
        }
    }
    dwarf_end(dwarf);
    elf_end(elf);
    close(copy);
    close(fd);
    gib_buffer_free(&cie);
    gib_thunk_shapes_free(&shapes);
}

/* ---- rows of thunks ---- */

static bool rows(const uint8_t *code, size_t size)
{
    struct gib_thunk_shapes shapes = {0};
    bool good = gib_thunk_rows(&shapes, code, size) != NULL;
    gib_thunk_shapes_free(&shapes);
    return good;
}
#define ROWS(...) rows((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void code_that_is_not_understood_has_no_rows(void **state)
{
    assert_true(ROWS(0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xe4, 0xc0, 0xc9, 0xc3)); /* and rsp */
    assert_false(ROWS(0x48, 0x83, 0xe4, 0xc0, 0xc3)); /* and rsp without a frame pointer */
    assert_false(ROWS(0xbd, 1, 0, 0, 0, 0xc3));       /* mov ebp, 1 */
    assert_false(ROWS(0x48, 0x94, 0xc3));             /* xchg rsp, rax */
    assert_false(ROWS(0xc9, 0xc3));                   /* leave without a frame */
    assert_false(ROWS(0x74, 0x01, 0x50, 0xc3));       /* two depths at one place */
    assert_false(ROWS(0x06, 0xc3));                   /* no instruction */
    assert_true(ROWS(0x74, 0x02, 0x50, 0x58, 0xc3));  /* the same depth */
}

/* A thunk of a shape seen before is not looked at again, but only if it is of that shape. */
static void shapes_differ_in_constants_only(void **state)
{
    /* jmp rel32 out ; mov rax, imm64 ; je rel32 out ; push rax ; ret 8 is not reached from `je` */
    uint8_t one[] = {0x48, 0xb8, 1, 2, 3,    4,    5,    6,    7,    8, 0x0f, 0x84,
                     0,    1,    0, 0, 0x50, 0xe8, 0x00, 0x02, 0x00, 0, 0x58, 0xc3};
    struct gib_thunk_shapes shapes = {0};
    const struct gib_thunk_shape *first = gib_thunk_rows(&shapes, one, sizeof one);
    assert_non_null(first);
    assert_int_equal(first->calls.size, sizeof(uint32_t));
    assert_int_equal(*(const uint32_t *)first->calls.bytes, 17); /* the call that leaves */
    uint8_t other[sizeof one];
    memcpy(other, one, sizeof one);
    other[4] = 99;  /* of the constant */
    other[13] = 2;  /* of the branch out */
    other[19] = 77; /* of the call */
    assert_ptr_equal(gib_thunk_rows(&shapes, other, sizeof other), first);
    other[13] = 0; /* the branch stays inside now: je to the pop, where the stack is deeper */
    other[12] = 6;
    assert_null(gib_thunk_rows(&shapes, other, sizeof other));
    other[12] = 7; /* to the ret, where it is not */
    const struct gib_thunk_shape *fourth = gib_thunk_rows(&shapes, other, sizeof other);
    assert_non_null(fourth);
    assert_ptr_not_equal(first, fourth);
    gib_thunk_shapes_free(&shapes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_copies_are_those_of_the_originals),
        cmocka_unit_test(lines_of_copies_are_those_of_the_originals),
        cmocka_unit_test(parameters_of_copies_are_those_of_the_originals),
        cmocka_unit_test(pieces_far_apart_are_in_one_file),
        cmocka_unit_test(code_that_is_not_understood_has_no_rows),
        cmocka_unit_test(shapes_differ_in_constants_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
