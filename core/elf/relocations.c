/*
 * relocations.c: the relocations that tell where the dynamic linker has put something.
 */
#include <stdlib.h>
#include "elf/file.h"

static uint32_t irelative(const struct gib_elf *elf)
{
    return elf->info.machine == EM_AARCH64 ? R_AARCH64_IRELATIVE : R_X86_64_IRELATIVE;
}

static uint32_t relative(const struct gib_elf *elf)
{
    return elf->info.machine == EM_AARCH64 ? R_AARCH64_RELATIVE : R_X86_64_RELATIVE;
}

static bool visit_table(struct gib_elf *elf, const uint8_t *table, size_t size,
                        gib_visit_relocation *visit, void *context)
{
    for (; table && size >= sizeof(Elf64_Rela); size -= sizeof(Elf64_Rela)) {
        Elf64_Rela relocation;
        memcpy(&relocation, table, sizeof relocation);
        table += sizeof relocation;
        if (visit(elf, &relocation, context))
            return true;
    }
    return false;
}

bool gib_elf_visit_relocations(struct gib_elf *elf, gib_visit_relocation *visit, void *context)
{
    /* A static program has no dynamic section, so sections first; a file without sections has one.
     */
    bool sections = false;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf->image.elf, section));) {
        const Elf64_Shdr *header = elf64_getshdr(section);
        if (!header || header->sh_type != SHT_RELA || !(header->sh_flags & SHF_ALLOC))
            continue;
        sections = true;
        if (visit_table(elf, gib_image_at(&elf->image, header->sh_offset, header->sh_size),
                        header->sh_size, visit, context))
            return true;
    }
    static const struct {
        int64_t address, size;
    } tables[] = {{DT_RELA, DT_RELASZ}, {DT_JMPREL, DT_PLTRELSZ}};
    for (size_t i = 0; i < GIB_COUNT(tables) && !sections; i++) {
        uint64_t vaddr, size;
        size_t there;
        if (!gib_elf_dynamic(elf, tables[i].address, &vaddr) ||
            !gib_elf_dynamic(elf, tables[i].size, &size))
            continue;
        const uint8_t *table = gib_elf_at(elf, vaddr, &there);
        if (visit_table(elf, table, size < there ? size : there, visit, context))
            return true;
    }
    return false;
}

struct ifuncs {
    size_t capacity;
};

static bool add_ifunc(struct gib_elf *elf, const Elf64_Rela *relocation, void *context)
{
    struct ifuncs *ifuncs = context;
    if (ELF64_R_TYPE(relocation->r_info) != irelative(elf))
        return false;
    if (elf->ifunc_count == ifuncs->capacity) {
        size_t capacity = ifuncs->capacity * 2 + 64;
        void *larger = realloc(elf->ifuncs, capacity * sizeof *elf->ifuncs);
        if (!larger)
            return true;
        elf->ifuncs = larger;
        ifuncs->capacity = capacity;
    }
    elf->ifuncs[elf->ifunc_count++] =
        (struct gib_ifunc_slot){relocation->r_addend, relocation->r_offset};
    return false;
}

static int by_resolver(const void *a, const void *b)
{
    const struct gib_ifunc_slot *left = a, *right = b;
    if (left->resolver != right->resolver)
        return left->resolver < right->resolver ? -1 : 1;
    return left->slot < right->slot ? -1 : left->slot > right->slot;
}

size_t gib_elf_ifunc_slots(struct gib_elf *elf, uint64_t resolver,
                           void (*visit)(uint64_t slot, void *context), void *context)
{
    if (!elf->ifuncs_read) {
        struct ifuncs ifuncs = {0};
        elf->ifuncs_read = true;
        gib_elf_visit_relocations(elf, add_ifunc, &ifuncs);
        if (elf->ifunc_count)
            qsort(elf->ifuncs, elf->ifunc_count, sizeof *elf->ifuncs, by_resolver);
    }
    size_t low = 0, high = elf->ifunc_count, found = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (elf->ifuncs[middle].resolver < resolver)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < elf->ifunc_count && elf->ifuncs[low].resolver == resolver; low++, found++)
        visit(elf->ifuncs[low].slot, context);
    return found;
}

struct relative_search {
    Elf64_Shdr data, read_only; /* .data, .data.rel.ro; size 0 when there is none */
    bool found, good;
    uint64_t slot, value;
};

static bool inside(const Elf64_Shdr *section, uint64_t vaddr)
{
    return vaddr >= section->sh_addr && section->sh_size >= 8 &&
           vaddr - section->sh_addr <= section->sh_size - 8;
}

static bool consider_relative(struct gib_elf *elf, const Elf64_Rela *relocation, void *context)
{
    struct relative_search *search = context;
    if (ELF64_R_TYPE(relocation->r_info) != relative(elf))
        return false;
    bool good = inside(&search->data, relocation->r_offset) ||
                inside(&search->read_only, relocation->r_offset);
    if (search->found && !good)
        return false;
    search->found = true;
    search->good = good;
    search->slot = relocation->r_offset;
    search->value = relocation->r_addend;
    return good;
}

/* The first word of DT_RELR is the address of a slot that holds its own value. */
static bool first_relr(struct gib_elf *elf, struct relative_search *search)
{
    uint64_t vaddr, size;
    size_t there;
    if (!gib_elf_dynamic(elf, DT_RELR, &vaddr) || !gib_elf_dynamic(elf, DT_RELRSZ, &size))
        return false;
    const uint8_t *table = gib_elf_at(elf, vaddr, &there);
    if (!table || size < 8 || there < 8)
        return false;
    search->slot = gib_load(table, 8);
    const uint8_t *slot = gib_elf_at(elf, search->slot, &there);
    if (!slot || there < 8 || search->slot & 1)
        return false;
    search->value = gib_load(slot, 8);
    return true;
}

bool gib_elf_relative_slot(struct gib_elf *elf, uint64_t *slot, uint64_t *value)
{
    struct relative_search search = {0};
    if (!gib_image_section(&elf->image, ".data", &search.data))
        search.data.sh_size = 0;
    if (!gib_image_section(&elf->image, ".data.rel.ro", &search.read_only))
        search.read_only.sh_size = 0;
    gib_elf_visit_relocations(elf, consider_relative, &search);
    if (!search.found && !first_relr(elf, &search))
        return false;
    *slot = search.slot;
    *value = search.value;
    return true;
}
