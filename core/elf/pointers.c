/*
 * pointers.c: what pointers in a file's data hold once they are relocated.
 */
#include "elf/file.h"

struct words {
    uint64_t vaddr;
    size_t count;
    struct gib_elf_pointer *pointers;
    struct gib_symbol_table symbols; /* count is 0 when there is none */
};

/* The word at vaddr; NULL when it is none of those asked for. */
static struct gib_elf_pointer *word_at(const struct words *words, uint64_t vaddr)
{
    uint64_t into = vaddr - words->vaddr;
    return into % 8 == 0 && into / 8 < words->count ? &words->pointers[into / 8] : NULL;
}

static void resolve(const struct gib_symbol_table *table, uint32_t index, int64_t addend,
                    struct gib_elf_pointer *pointer)
{
    Elf64_Sym symbol;
    pointer->kind = GIB_ELF_POINTER_OTHER;
    if (index >= table->count)
        return;
    memcpy(&symbol, table->symbols + index * sizeof symbol, sizeof symbol);
    unsigned type = ELF64_ST_TYPE(symbol.st_info);
    if (symbol.st_name >= table->strings_size || type == STT_TLS || type == STT_GNU_IFUNC)
        return;
    if (symbol.st_shndx != SHN_UNDEF) {
        *pointer = (struct gib_elf_pointer){GIB_ELF_POINTER_ADDRESS, symbol.st_value + addend, 0};
        return;
    }
    *pointer =
        (struct gib_elf_pointer){GIB_ELF_POINTER_SYMBOL, addend, table->strings + symbol.st_name};
}

static bool apply(struct gib_elf *elf, const Elf64_Rela *relocation, void *context)
{
    const struct words *words = context;
    struct gib_elf_pointer *pointer = word_at(words, relocation->r_offset);
    bool arm = elf->info.machine == EM_AARCH64;
    uint32_t type = ELF64_R_TYPE(relocation->r_info);
    if (!pointer)
        return false;
    if (type == (arm ? R_AARCH64_RELATIVE : R_X86_64_RELATIVE))
        *pointer = (struct gib_elf_pointer){GIB_ELF_POINTER_ADDRESS, relocation->r_addend, NULL};
    else if (type == (arm ? R_AARCH64_ABS64 : R_X86_64_64))
        resolve(&words->symbols, ELF64_R_SYM(relocation->r_info), relocation->r_addend, pointer);
    else
        *pointer = (struct gib_elf_pointer){GIB_ELF_POINTER_OTHER, 0, NULL};
    return false;
}

/* DT_RELR: the word there holds a vaddr already. */
static void apply_relative(const struct words *words, uint64_t vaddr)
{
    struct gib_elf_pointer *pointer = word_at(words, vaddr);
    if (pointer)
        pointer->kind = GIB_ELF_POINTER_ADDRESS;
}

/* Even entries are the address of one word; odd ones have a bit for each of the 63 words behind the
 * last. */
static void apply_packed(struct gib_elf *elf, const struct words *words)
{
    uint64_t vaddr, size, next = 0;
    size_t there;
    if (!gib_elf_dynamic(elf, DT_RELR, &vaddr) || !gib_elf_dynamic(elf, DT_RELRSZ, &size))
        return;
    const uint8_t *table = gib_elf_at(elf, vaddr, &there);
    for (size_t i = 0; table && i + 8 <= size && i + 8 <= there; i += 8) {
        uint64_t entry = gib_load(table + i, 8);
        if (!(entry & 1)) {
            apply_relative(words, entry);
            next = entry + 8;
            continue;
        }
        for (unsigned bit = 1; bit < 64; bit++)
            if (entry >> bit & 1)
                apply_relative(words, next + (bit - 1) * 8);
        next += 63 * 8;
    }
}

bool gib_elf_pointers(struct gib_elf *elf, uint64_t vaddr, size_t count,
                      struct gib_elf_pointer *pointers)
{
    struct words words = {vaddr, count, pointers, {0}};
    size_t there;
    const uint8_t *bytes = gib_elf_at(elf, vaddr, &there);
    if (!bytes || count > there / 8)
        return false;
    for (size_t i = 0; i < count; i++)
        pointers[i] =
            (struct gib_elf_pointer){GIB_ELF_POINTER_NUMBER, gib_load(bytes + i * 8, 8), 0};
    if (!gib_elf_dynamic_symbols(elf, &words.symbols))
        words.symbols.count = 0;
    apply_packed(elf, &words);
    gib_elf_visit_relocations(elf, apply, &words);
    return true;
}

bool gib_elf_section(struct gib_elf *elf, const char *name, uint64_t *vaddr, uint64_t *size)
{
    Elf64_Shdr header;
    size_t there;
    if (!gib_image_section(&elf->image, name, &header) || header.sh_type != SHT_PROGBITS ||
        !(header.sh_flags & SHF_ALLOC) || !gib_elf_at(elf, header.sh_addr, &there) ||
        header.sh_size > there)
        return false;
    *vaddr = header.sh_addr;
    *size = header.sh_size;
    return true;
}
