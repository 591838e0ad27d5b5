/*
 * How many functions of real programs can be patched: relocates the entry window (5 bytes, behind
 * an endbr64) of every sized function of the ELF files given, to 1 MiB below their first segment.
 *
 *   relocate_sweep [-v] [-m MIN_BYTES] FILE...      -v prints every refusal
 */
#include "gibbon/relocate.h"

#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Where a file is taken to be loaded: addresses from 0 would make copies wrap around. */
#define LOADED 0x555500000000ULL

struct function {
    uint64_t address, size;
};

struct functions {
    struct function *item;
    size_t count, capacity;
};

struct tally {
    size_t files, functions, relocated, refused[GIB_E_REFUSED + 1];
    double seconds;
    uint64_t to; /* where the present file's copies go */
};

static bool verbose;
static size_t min_bytes = 5;

static const char *const reasons[GIB_E_REFUSED + 1] = {
    [GIB_E_DECODE] = "no known instruction",     [GIB_E_UNSUPPORTED] = "cannot be relocated safely",
    [GIB_E_BRANCH] = "a branch into the window", [GIB_E_TOO_SHORT] = "too short",
    [GIB_E_RANGE] = "data out of reach",         [GIB_E_SPACE] = "too long a copy",
};

static void add_function(struct functions *functions, uint64_t address, uint64_t size)
{
    if (functions->count == functions->capacity) {
        functions->capacity = functions->capacity ? 2 * functions->capacity : 1024;
        functions->item = realloc(functions->item, functions->capacity * sizeof *functions->item);
        if (!functions->item)
            abort();
    }
    functions->item[functions->count++] = (struct function){address, size};
}

static int by_address(const void *a, const void *b)
{
    const struct function *x = a, *y = b;
    return x->address != y->address ? (x->address > y->address) - (x->address < y->address)
                                    : (x->size < y->size) - (x->size > y->size);
}

/* Keeps the longest of the symbols of one address. */
static void sort_and_merge(struct functions *functions)
{
    size_t kept = 0;
    if (functions->count == 0)
        return;
    qsort(functions->item, functions->count, sizeof *functions->item, by_address);
    for (size_t i = 1; i < functions->count; i++)
        if (functions->item[i].address != functions->item[kept].address)
            functions->item[++kept] = functions->item[i];
    functions->count = kept + 1;
}

static void read_symbols(Elf *elf, struct functions *functions)
{
    GElf_Shdr header;
    GElf_Sym symbol;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
        if (!gelf_getshdr(section, &header) || header.sh_entsize == 0 ||
            (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM))
            continue;
        Elf_Data *data = elf_getdata(section, NULL);
        for (size_t i = 0; data && i < header.sh_size / header.sh_entsize; i++)
            if (gelf_getsym(data, (int)i, &symbol) && symbol.st_size > 0 &&
                symbol.st_shndx != SHN_UNDEF &&
                (GELF_ST_TYPE(symbol.st_info) == STT_FUNC ||
                 GELF_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC))
                add_function(functions, symbol.st_value, symbol.st_size);
    }
}

/* Where what may follow the function begins: the next symbol or section, or the segment's end. */
static uint64_t gap_end(Elf *elf, const struct functions *functions, size_t index,
                        const GElf_Phdr *segment)
{
    GElf_Shdr header;
    const struct function *function = &functions->item[index];
    uint64_t end = function->address + function->size;
    uint64_t limit = segment->p_vaddr + segment->p_filesz;
    if (index + 1 < functions->count && functions->item[index + 1].address < limit)
        limit = functions->item[index + 1].address;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));)
        if (gelf_getshdr(section, &header) && (header.sh_flags & SHF_ALLOC) &&
            header.sh_addr >= end && header.sh_addr < limit)
            limit = header.sh_addr;
    return limit;
}

/*
 * The function's size; when that is too short for a window, with the gap behind it, where a
 * debugger may look for padding. Not always: in a stripped file the gap is other functions' code.
 */
static uint64_t size_to_search(Elf *elf, const struct functions *functions, size_t index,
                               const GElf_Phdr *segment)
{
    const struct function *function = &functions->item[index];
    const uint64_t endbr64 = 4, longest_padding = 15;
    if (function->size >= min_bytes + endbr64)
        return function->size;
    uint64_t size = gap_end(elf, functions, index, segment) - function->address;
    uint64_t enough = min_bytes + endbr64 + longest_padding;
    if (size > enough)
        size = enough;
    return size > function->size ? size : function->size;
}

static void relocate_one(const char *file, Elf *elf, const struct functions *functions,
                         size_t index, const GElf_Phdr *segment, const uint8_t *bytes,
                         struct tally *tally)
{
    const struct function *function = &functions->item[index];
    uint64_t offset = function->address - segment->p_vaddr;
    struct gib_relocation copy;
    struct gib_error error;
    struct gib_relocation_request request = {
        .arch = GIB_ARCH_X86_64,
        .code = bytes + offset,
        .code_size = size_to_search(elf, functions, index, segment),
        .from = LOADED + function->address,
        .to = tally->to,
        .min_bytes = min_bytes,
    };
    if (offset + request.code_size > segment->p_filesz)
        return; /* a symbol's size beyond its segment: not a function we could read */
    if (request.code_size > 4 && !memcmp(request.code, "\xf3\x0f\x1e\xfa", 4)) {
        request.code += 4;
        request.from += 4;
        request.code_size -= 4;
    }
    tally->functions++;
    int code = gib_relocate(&request, &copy, &error);
    if (!code) {
        tally->relocated++;
        return;
    }
    tally->refused[code]++;
    if (verbose)
        printf("%s: function 0x%llx+%llu: %s\n", file, (unsigned long long)function->address,
               (unsigned long long)function->size, error.message);
}

static void relocate_segment(const char *file, Elf *elf, const GElf_Phdr *segment,
                             const struct functions *functions, struct tally *tally)
{
    size_t size;
    const char *image = elf_rawfile(elf, &size);
    if (!image || segment->p_offset > size || segment->p_filesz > size - segment->p_offset)
        return;
    for (size_t i = 0; i < functions->count; i++)
        if (functions->item[i].address >= segment->p_vaddr &&
            functions->item[i].address < segment->p_vaddr + segment->p_filesz)
            relocate_one(file, elf, functions, i, segment,
                         (const uint8_t *)image + segment->p_offset, tally);
}

static uint64_t first_segment(Elf *elf)
{
    GElf_Phdr segment;
    size_t count = 0;
    uint64_t first = UINT64_MAX;
    elf_getphdrnum(elf, &count);
    for (size_t i = 0; i < count; i++)
        if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_LOAD &&
            segment.p_vaddr < first)
            first = segment.p_vaddr;
    return first;
}

static void sweep_program(const char *path, Elf *elf, struct tally *tally)
{
    struct functions functions = {0};
    GElf_Phdr segment;
    size_t count = 0;
    read_symbols(elf, &functions);
    sort_and_merge(&functions);
    tally->files++;
    tally->to = LOADED + first_segment(elf) - (1 << 20);
    elf_getphdrnum(elf, &count);
    for (size_t i = 0; i < count; i++)
        if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_LOAD &&
            (segment.p_flags & PF_X))
            relocate_segment(path, elf, &segment, &functions, tally);
    free(functions.item);
}

static void sweep(const char *path, struct tally *tally)
{
    int file = open(path, O_RDONLY);
    Elf *elf = file >= 0 ? elf_begin(file, ELF_C_READ_MMAP, NULL) : NULL;
    GElf_Ehdr header;
    if (elf && gelf_getehdr(elf, &header) && header.e_machine == EM_X86_64 &&
        (header.e_type == ET_EXEC || header.e_type == ET_DYN))
        sweep_program(path, elf, tally);
    elf_end(elf);
    if (file >= 0)
        close(file);
}

static void print_tally(const struct tally *tally)
{
    size_t refused = tally->functions - tally->relocated;
    double all = tally->functions ? (double)tally->functions : 1;
    printf("%zu files, %zu functions: %zu relocated, %zu refused (%.4f %%), %.0f ns each\n",
           tally->files, tally->functions, tally->relocated, refused, 100 * (double)refused / all,
           1e9 * tally->seconds / all);
    for (int code = 0; code <= GIB_E_REFUSED; code++)
        if (tally->refused[code])
            printf("  %8zu  %.4f %%  %s\n", tally->refused[code],
                   100 * (double)tally->refused[code] / all,
                   reasons[code] ? reasons[code] : "other");
}

int main(int argc, char **argv)
{
    struct tally tally = {0};
    struct timespec start, end;
    int option;
    while ((option = getopt(argc, argv, "vm:")) != -1) {
        if (option == 'v')
            verbose = true;
        else if (option == 'm')
            min_bytes = strtoul(optarg, NULL, 10);
        else
            return 2;
    }
    elf_version(EV_CURRENT);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (int i = optind; i < argc; i++)
        sweep(argv[i], &tally);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    tally.seconds =
        (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    print_tally(&tally);
    return tally.functions == 0;
}
