/*
 * How many functions of real programs can be patched: chooses the detour of every function of the
 * ELF files given, relocates the displaced instructions to 1 MiB below the file's first segment,
 * and checks what a copy promises. A directory stands for the files below it.
 *
 *   relocate_sweep [-v] [-r] [-s N -o PREFIX] FILE|DIRECTORY...
 *
 *   -v  prints every refusal
 *   -r  the relocator alone, with 5 bytes: no islands, no look at other functions
 *   -s  writes every Nth window and its copy to PREFIX.original, PREFIX.copy and PREFIX.index, for
 *       relocate_objdump.py to compare
 */
#include "code/x86_64/branches.h"
#include "engine/internal.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Where a file is taken to be loaded: addresses from 0 would make copies wrap around. */
#define LOADED 0x555500000000ULL

enum { SLOT = 512 }; /* bytes of one window or copy in the files of -o */

struct tally {
    size_t files, functions, patched, islands, refused[GIB_E_REFUSED + 1], wrong, written;
    double seconds;
};

static bool verbose, relocator_alone;
static size_t sample;
static FILE *originals, *copies, *index_file;
static struct tally by_symbol, by_unwind_table; /* functions whose size a symbol tells, or an FDE */

static const char *const reasons[GIB_E_REFUSED + 1] = {
    [GIB_E_DECODE] = "no known instruction",     [GIB_E_UNSUPPORTED] = "cannot be relocated safely",
    [GIB_E_BRANCH] = "a branch into the window", [GIB_E_TOO_SHORT] = "too short",
    [GIB_E_RANGE] = "data out of reach",         [GIB_E_SPACE] = "too long a copy",
};

static bool never_taken(uint64_t vaddr, size_t size, void *context)
{
    return false;
}

static const char *broken_promise(const struct gib_entry *entry)
{
    const struct gib_relocation *copy = &entry->copy;
    const struct gib_relocation_boundary *end = &copy->boundary[copy->boundaries - 1];
    if (copy->boundaries < 2 || copy->boundary[0].original || copy->boundary[0].copy)
        return "the first boundary is not 0:0";
    if (copy->consumed < entry->detour_size || copy->consumed > entry->stretch.size)
        return "consumed is out of range";
    if (end->original != copy->consumed || end->copy > copy->size ||
        copy->size > sizeof copy->code || copy->falls_through != (copy->size > end->copy))
        return "the last boundary is not the end";
    for (size_t i = 1; i < copy->boundaries; i++)
        if (copy->boundary[i].original <= copy->boundary[i - 1].original ||
            copy->boundary[i].copy <= copy->boundary[i - 1].copy)
            return "boundaries do not rise";
    size_t count;
    uint64_t vaddr = entry->stretch.vaddr;
    const struct gib_elf_label *label =
        gib_elf_labels(entry->stretch.elf, vaddr + 1, vaddr + copy->consumed, &count);
    for (size_t i = 0; i < count && !relocator_alone; i++)
        if (label[i].kind != GIB_ELF_LABEL_NUMBER)
            return "a label is in the window";
    if (entry->island && (entry->detour_size != 2 || (int64_t)(entry->island - vaddr - 2) !=
                                                         (int8_t)(entry->island - vaddr - 2)))
        return "the island is out of reach";
    return NULL;
}

static void write_sample(const struct gib_entry *entry, uint64_t to, struct tally *tally)
{
    uint8_t slot[SLOT];
    const struct gib_relocation *copy = &entry->copy;
    memset(slot, 0x90, sizeof slot);
    memcpy(slot, entry->stretch.code, copy->consumed);
    fwrite(slot, sizeof slot, 1, originals);
    memset(slot, 0x90, sizeof slot);
    memcpy(slot, copy->code, copy->size);
    fwrite(slot, sizeof slot, 1, copies);
    fprintf(index_file, "%llx %llx %zu %zu %d", (unsigned long long)(LOADED + entry->stretch.vaddr),
            (unsigned long long)to, copy->consumed, copy->size, copy->falls_through);
    for (size_t i = 0; i < copy->boundaries; i++)
        fprintf(index_file, " %u:%u", copy->boundary[i].original, copy->boundary[i].copy);
    fprintf(index_file, "\n");
    tally->written++;
}

static int choose(struct gib_entry *entry, uint64_t to, struct gib_error *error)
{
    if (!relocator_alone)
        return gib_entry_choose(entry, LOADED, to, never_taken, NULL, error);
    struct gib_relocation_request request = {
        .arch = GIB_ARCH_X86_64,
        .code = entry->stretch.code,
        .code_size = entry->stretch.size,
        .from = LOADED + entry->stretch.vaddr,
        .to = to,
        .min_bytes = GIB_DETOUR_SIZE,
    };
    entry->detour_size = GIB_DETOUR_SIZE;
    return gib_relocate(&request, &entry->copy, error);
}

static void sweep_function(const char *file, struct gib_elf *elf, uint64_t vaddr, uint64_t to,
                           struct tally *tally)
{
    struct gib_entry entry;
    struct gib_error error;
    if (gib_entry_read(elf, vaddr, &entry, &error))
        return; /* not in the file: not a function we could read */
    tally->functions++;
    int code = choose(&entry, to, &error);
    const char *broken = code ? NULL : broken_promise(&entry);
    if (broken) {
        tally->wrong++;
        printf("%s: function 0x%llx: WRONG: %s\n", file, (unsigned long long)vaddr, broken);
    } else if (!code) {
        tally->patched++;
        tally->islands += entry.island != 0;
        if (sample && tally->patched % sample == 0)
            write_sample(&entry, to, tally);
    } else {
        tally->refused[code]++;
        if (verbose)
            printf("%s: function 0x%llx+%zu: %s\n", file, (unsigned long long)vaddr,
                   entry.stretch.size, error.message);
    }
    gib_entry_free(&entry);
}

static void sweep_program(const char *path, struct gib_elf *elf)
{
    const struct gib_elf_info *info = gib_elf_info(elf);
    uint64_t to = LOADED + info->segments[0].vaddr - (1 << 20), last = UINT64_MAX, start, end;
    size_t count;
    const struct gib_elf_label *label = gib_elf_labels(elf, 0, UINT64_MAX, &count);
    bool symbols = false, unwind = false;
    for (size_t i = 0; i < count; i++) {
        if (label[i].vaddr == last || label[i].kind >= GIB_ELF_LABEL_POINTER ||
            !gib_elf_function_range(elf, label[i].vaddr, &start, &end) || start != label[i].vaddr)
            continue;
        last = start;
        const struct gib_elf_symbol *symbol = gib_elf_symbol_at(elf, start);
        bool named = symbol && symbol->value == start && symbol->size;
        sweep_function(path, elf, start, to, named ? &by_symbol : &by_unwind_table);
        symbols |= named;
        unwind |= !named;
    }
    by_symbol.files += symbols;
    by_unwind_table.files += unwind;
}

static int sweep(const char *path, const struct stat *status, int type, struct FTW *where)
{
    struct gib_error error;
    struct gib_elf *elf = type == FTW_F ? gib_elf_open(path, NULL, &error) : NULL;
    if (elf && gib_elf_info(elf)->machine == 62 /* EM_X86_64 */ && gib_elf_info(elf)->segment_count)
        sweep_program(path, elf);
    gib_elf_close(elf);
    return 0;
}

static void print_tally(const char *title, const struct tally *tally)
{
    size_t refused = tally->functions - tally->patched - tally->wrong;
    double all = tally->functions ? (double)tally->functions : 1;
    printf("%s: %zu files, %zu functions: %zu can be patched (%zu by an island), %zu wrong, %zu "
           "refused (%.4f %%)\n",
           title, tally->files, tally->functions, tally->patched, tally->islands, tally->wrong,
           refused, 100 * (double)refused / all);
    for (int code = 0; code <= GIB_E_REFUSED; code++)
        if (tally->refused[code])
            printf("  %8zu  %.4f %%  %s\n", tally->refused[code],
                   100 * (double)tally->refused[code] / all,
                   reasons[code] ? reasons[code] : "other");
}

static FILE *open_sample(const char *prefix, const char *suffix)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.%s", prefix, suffix);
    FILE *file = fopen(path, "w");
    if (!file)
        perror(path), exit(1);
    return file;
}

int main(int argc, char **argv)
{
    struct timespec start, end;
    const char *prefix = NULL;
    int option;
    while ((option = getopt(argc, argv, "vrs:o:")) != -1) {
        if (option == 'v')
            verbose = true;
        else if (option == 'r')
            relocator_alone = true;
        else if (option == 's')
            sample = strtoul(optarg, NULL, 10);
        else if (option == 'o')
            prefix = optarg;
        else
            return 2;
    }
    if (!sample != !prefix || optind == argc)
        return 2;
    if (sample) {
        originals = open_sample(prefix, "original");
        copies = open_sample(prefix, "copy");
        index_file = open_sample(prefix, "index");
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (int i = optind; i < argc; i++)
        nftw(argv[i], sweep, 64, FTW_PHYS);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    print_tally("size known by a symbol", &by_symbol);
    print_tally("size known by the unwind table only", &by_unwind_table);
    double seconds =
        (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    printf("%.1f us each\n",
           1e6 * seconds / (double)(by_symbol.functions + by_unwind_table.functions + 1));
    if (sample && (fclose(originals) || fclose(copies) || fclose(index_file)))
        return 1;
    return by_symbol.wrong || by_unwind_table.wrong || by_symbol.functions == 0;
}
