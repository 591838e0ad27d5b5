/*
 * Copies behave like their originals, says an emulator: the vectors, random instructions, and the
 * entries of libc's functions. What could not be run is counted and printed, by reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulator.h"
#include "relocate_unfit.h"
#include "relocate_vectors.h"

#define LIBC "/lib/x86_64-linux-gnu/libc.so.6"

enum {
    RANDOM_WINDOWS = 3000,
    LIBC_FUNCTIONS = 1000,
    STATES = 2, /* initial states for each window */
    LARGEST_FUNCTION = 3000,
};

struct counts {
    size_t windows, same, faults, cannot, endless, modifying, refused, unfit, different;
};

static struct emulator *emulator;

static int setup(void **state)
{
    emulator = emulator_new();
    return 0;
}

static int teardown(void **state)
{
    emulator_free(emulator);
    return 0;
}

static void print_counts(const char *title, const struct counts *counts)
{
    printf("%s: %zu windows relocated; runs: %zu the same, %zu fault alike, %zu different; not "
           "compared: %zu unknown to Unicorn, %zu without end, %zu that "
           "modify their own code; windows not run: %zu refused by the "
           "relocator, %zu depend on more than "
           "their state or are misread by Unicorn\n",
           title, counts->windows, counts->same, counts->faults, counts->different, counts->cannot,
           counts->endless, counts->modifying, counts->refused, counts->unfit);
}

/* What Unicorn 2.0.1 does in its own way. */
static bool is_unfit(const ZydisDecodedInstruction *instruction)
{
    /* A REX prefix before another has no effect, but QEMU gives it one. */
    for (int i = 0; i + 1 < instruction->raw.prefix_count; i++)
        if ((instruction->raw.prefixes[i].value & 0xf0) == 0x40)
            return true;
    /* Nested enter gets other memory and shifts of memory by cl other flags even for the very same
     * bytes at two addresses. */
    if (instruction->mnemonic == ZYDIS_MNEMONIC_ENTER && instruction->raw.imm[1].value.u != 0)
        return true;
    if (instruction->encoding == ZYDIS_INSTRUCTION_ENCODING_XOP) /* QEMU has none: a pop */
        return true;
    if ((instruction->opcode & 0xfe) == 0xd2 && instruction->raw.modrm.mod != 3 &&
        instruction->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
        return true;
    switch (instruction->mnemonic) {
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_HLT:
        return true;
    default:
        return false;
    }
}

static void print_case(const struct gib_relocation_request *request,
                       const struct gib_relocation *copy, const char *why)
{
    fprintf(stderr, "  %s\n  original at 0x%llx, copy at 0x%llx\n", why,
            (unsigned long long)request->from, (unsigned long long)request->to);
    relocate_print_bytes("original:", request->code, copy->consumed);
    relocate_print_bytes("copy:", copy->code, copy->size);
}

static void compare(const struct gib_relocation_request *request, const char *name,
                    struct counts *counts)
{
    struct gib_relocation copy;
    char why[200] = "";
    if (gib_relocate(request, &copy, NULL)) {
        counts->refused++;
        return;
    }
    if (relocate_window_is_unfit(request, &copy, is_unfit)) {
        counts->unfit++;
        return;
    }
    counts->windows++;
    for (uint64_t seed = 0; seed < STATES; seed++) {
        switch (emulator_compare(emulator, request, &copy, request->from + seed, why, sizeof why)) {
        case SAME:
            counts->same++;
            break;
        case FAULTS_ALIKE:
            counts->faults++;
            break;
        case CANNOT_RUN:
            counts->cannot++;
            break;
        case TOO_LONG:
            counts->endless++;
            break;
        case WRITES_CODE:
            counts->modifying++;
            break;
        case DIFFERENT:
            counts->different++;
            fprintf(stderr, "%s, seed %d:\n", name, (int)seed);
            print_case(request, &copy, why);
            break;
        }
    }
}

static void test_vectors_run_alike(void **state)
{
    struct counts counts = {0};
    const struct relocate_vector *vector;
    for (size_t i = 0; (vector = relocate_vector(i)); i++) {
        uint8_t bytes[64];
        struct gib_relocation_request request = {
            .arch = GIB_ARCH_X86_64,
            .code = bytes,
            .code_size = vector_bytes(vector->original, bytes, sizeof bytes),
            .from = VECTOR_FROM,
            .to = vector_to(vector),
            .min_bytes = vector->min_bytes,
        };
        compare(&request, vector->name, &counts);
    }
    print_counts("vectors", &counts);
    assert_int_equal(counts.different, 0);
    assert_true(counts.same > counts.windows);
}

/* Where copies go: mostly near, sometimes at the far end of rel32's reach or out of it. */
static uint64_t random_place(uint64_t from, uint64_t *random)
{
    uint64_t draw = random_next(random);
    switch (draw & 7) {
    case 0:
        return from + (draw >> 8) % (1ULL << 46);
    case 1:
        return from + 0x7fffff00 + (draw >> 8) % 512;
    case 2:
        return from - 0x7fffff00 - (draw >> 8) % 512;
    default:
        return (from + (1 << 16) + (draw >> 8) % (1 << 30)) & ~15ULL;
    }
}

/* Beginnings of instructions that a copy must change; random bytes follow as operands. */
static size_t put_interesting(uint8_t *bytes, uint64_t draw)
{
    static const char *const starts[] = {
        "7",
        "0f 8",
        "eb",
        "e9",
        "e8",
        "e0",
        "e1",
        "e2",
        "e3",
        "67 e3",
        "67 e2",
        "f2 e8",
        "48 8d 05",
        "4c 8d 25",
        "8d 0d",
        "66 8d 0d",
        "48 8b 05",
        "44 8b 25",
        "8b 2d",
        "0f b6 05",
        "4c 0f be 25",
        "48 63 2d",
        "89 05",
        "48 89 25",
        "80 3d",
        "c7 05",
        "66 c7 05",
        "48 c7 05",
        "f7 05",
        "f6 1d",
        "ff 35",
        "8f 05",
        "ff 15",
        "ff 25",
        "f0 0f b1 0d",
        "0f 10 05",
        "66 0f 6f 05",
        "f3 0f 10 05",
        "66 0f 3a 0f 05",
        "dd 05",
        "d3 25",
        "64 48 8b 05",
        "65 8b 0d",
        "67 8b 05",
        "67 48 8d 05",
        "0f 18 05",
        "e8 00 00 00 00 58",
    };
    const char *start = starts[draw % (sizeof starts / sizeof *starts)];
    size_t size = vector_bytes(start, bytes, 15);
    if (strlen(start) == 1 || start[strlen(start) - 2] == ' ') /* a condition is to be added */
        bytes[size - 1] = (uint8_t)(bytes[size - 1] << 4 | ((draw >> 16) & 15));
    return size;
}

/* Displacements are drawn small, so that branches find each other and data lies near the code. */
static void random_code(uint8_t *bytes, size_t size, uint64_t *random)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)random_next(random);
    for (size_t i = 0; i + 24 < size;) {
        uint64_t draw = random_next(random);
        if (draw & 1) { /* any instruction: random bytes stay */
            i += 1 + (draw >> 1) % 5;
            continue;
        }
        i += put_interesting(bytes + i, draw >> 8);
        int32_t displacement = (int32_t)((draw >> 32) % 40) - 12;
        if (draw & 2)
            displacement = (int32_t)(draw >> 32) % 100000;
        memcpy(bytes + i, &displacement, 4);
        i += 1 + 3 * ((draw >> 2) & 1);
    }
}

static void test_random_windows_run_alike(void **state)
{
    struct counts counts = {0};
    uint64_t random = 20240229;
    for (size_t tries = 0; counts.windows < RANDOM_WINDOWS && tries < 20 * RANDOM_WINDOWS;
         tries++) {
        uint8_t bytes[64];
        random_code(bytes, sizeof bytes, &random);
        struct gib_relocation_request request = {
            .arch = GIB_ARCH_X86_64,
            .code = bytes,
            .code_size = 24 + random_next(&random) % 40,
            .from = 0x7f0000400000ULL + random_next(&random) % 0x10000,
            .min_bytes = 1 + random_next(&random) % 16,
        };
        request.to = random_place(request.from, &random);
        compare(&request, "random", &counts);
    }
    print_counts("random", &counts);
    assert_int_equal(counts.different, 0);
    assert_int_equal(counts.windows, RANDOM_WINDOWS);
    assert_true(counts.same > RANDOM_WINDOWS);
}

static void compare_function(const uint8_t *image, size_t size, const GElf_Sym *symbol,
                             uint64_t *random, struct counts *counts)
{
    /* Debian's libc has its text at the file offset of its address. */
    if (symbol->st_value >= size || symbol->st_size > size - symbol->st_value ||
        symbol->st_size > LARGEST_FUNCTION)
        return;
    struct gib_relocation_request request = {
        .arch = GIB_ARCH_X86_64,
        .code = image + symbol->st_value,
        .code_size = symbol->st_size,
        .from = 0x7f1234000000ULL + symbol->st_value,
        .min_bytes = 2 + random_next(random) % 14,
    };
    request.to = random_place(request.from, random);
    compare(&request, "libc", counts);
}

static void test_libc_runs_alike(void **state)
{
    struct counts counts = {0};
    uint64_t random = 42;
    size_t size;
    int file = open(LIBC, O_RDONLY);
    if (file < 0)
        skip();
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(file, ELF_C_READ_MMAP, NULL);
    const uint8_t *image = (const uint8_t *)elf_rawfile(elf, &size);
    GElf_Shdr header;
    GElf_Sym symbol;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
        if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNSYM)
            continue;
        Elf_Data *data = elf_getdata(section, NULL);
        for (int i = 0; gelf_getsym(data, i, &symbol) && counts.windows < LIBC_FUNCTIONS; i++)
            if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_size > 0)
                compare_function(image, size, &symbol, &random, &counts);
    }
    elf_end(elf);
    close(file);
    print_counts("libc", &counts);
    assert_int_equal(counts.different, 0);
    assert_true(counts.same > counts.windows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_run_alike),
        cmocka_unit_test(test_random_windows_run_alike),
        cmocka_unit_test(test_libc_runs_alike),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
