/*
 * cfi.c: the entries of .eh_frame and .debug_frame: which function has which unwind program.
 */
#include <dwarf.h>
#include <stdlib.h>
#include "elf/cfi.h"

struct section {
    const uint8_t *bytes;
    size_t size;
    uint64_t vaddr;
    bool eh; /* .eh_frame, as opposed to .debug_frame */
};

uint64_t gib_cursor_pointer(struct gib_cursor *cursor, uint8_t encoding, uint64_t vaddr)
{
    uint64_t value;
    switch (encoding & 0x0f) {
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        value = gib_cursor_fixed(cursor, 8);
        break;
    case DW_EH_PE_udata4:
        value = gib_cursor_fixed(cursor, 4);
        break;
    case DW_EH_PE_sdata4:
        value = (int64_t)(int32_t)gib_cursor_fixed(cursor, 4);
        break;
    case DW_EH_PE_udata2:
        value = gib_cursor_fixed(cursor, 2);
        break;
    case DW_EH_PE_sdata2:
        value = (int64_t)(int16_t)gib_cursor_fixed(cursor, 2);
        break;
    case DW_EH_PE_uleb128:
        value = gib_cursor_uleb(cursor);
        break;
    case DW_EH_PE_sleb128:
        value = gib_cursor_sleb(cursor);
        break;
    default:
        cursor->bad = true;
        return 0;
    }
    switch (encoding & 0x70) {
    case 0:
        return value;
    case DW_EH_PE_pcrel:
        return value + vaddr;
    default: /* relative to a section: no compiler does that here */
        cursor->bad = true;
        return 0;
    }
}

static bool find_section(struct gib_elf *elf, struct section *section)
{
    Elf64_Shdr header;
    size_t size;
    if (gib_image_section(&elf->image, ".eh_frame", &header) && header.sh_type != SHT_NOBITS) {
        section->bytes = gib_image_at(&elf->image, header.sh_offset, header.sh_size);
        section->size = header.sh_size;
        section->vaddr = header.sh_addr;
        section->eh = true;
        if (section->bytes && section->size > 4)
            return true;
    }
    /* Without section headers the search table of the run-time unwinder tells where it begins. */
    const uint8_t *table = NULL;
    Elf64_Ehdr file;
    memcpy(&file, elf->image.bytes, sizeof file);
    for (size_t i = 0; i < file.e_phnum && !table; i++) {
        Elf64_Phdr program;
        const uint8_t *at = gib_image_at(&elf->image, file.e_phoff, (i + 1) * sizeof program);
        if (!at)
            break;
        memcpy(&program, at + i * sizeof program, sizeof program);
        if (program.p_type != PT_GNU_EH_FRAME)
            continue;
        table = gib_elf_at(elf, program.p_vaddr, &size);
        if (table && size > 4 && table[0] == 1) {
            struct gib_cursor cursor = {table + 4, table + size, false};
            section->vaddr = gib_cursor_pointer(&cursor, table[1], program.p_vaddr + 4);
            section->bytes = cursor.bad ? NULL : gib_elf_at(elf, section->vaddr, &section->size);
            section->eh = true;
            if (section->bytes)
                return true;
        }
    }
    struct gib_image *images[] = {&elf->image, gib_elf_debug_image(elf)};
    for (size_t i = 0; i < GIB_COUNT(images); i++) {
        if (!images[i] || !gib_image_section(images[i], ".debug_frame", &header) ||
            header.sh_type == SHT_NOBITS)
            continue;
        Elf_Scn *scn = NULL;
        while ((scn = elf_nextscn(images[i]->elf, scn))) {
            const Elf64_Shdr *found = elf64_getshdr(scn);
            if (found && found->sh_offset == header.sh_offset && found->sh_name == header.sh_name)
                break;
        }
        if (scn && header.sh_flags & SHF_COMPRESSED && elf_compress(scn, 0, 0) < 0)
            continue;
        Elf_Data *data = scn ? elf_rawdata(scn, NULL) : NULL;
        if (!data || !data->d_buf)
            continue;
        *section = (struct section){data->d_buf, data->d_size, 0, false};
        return true;
    }
    return false;
}

static void parse_augmentation(const struct section *section, struct gib_cursor *cursor,
                               struct gib_cie *cie, const char *text)
{
    uint64_t size = gib_cursor_uleb(cursor);
    if (cursor->bad || size > (size_t)(cursor->end - cursor->at)) {
        cie->usable = false;
        return;
    }
    struct gib_cursor data = {cursor->at, cursor->at + size, false};
    cursor->at += size;
    for (; *text; text++) {
        uint8_t encoding;
        switch (*text) {
        case 'R':
            cie->pointer_encoding = gib_cursor_fixed(&data, 1);
            break;
        case 'L':
            gib_cursor_fixed(&data, 1);
            break;
        case 'P':
            cie->has_personality = true;
            encoding = gib_cursor_fixed(&data, 1);
            gib_cursor_pointer(&data, encoding & 0x0f, section->vaddr + (data.at - section->bytes));
            break;
        case 'S':
            cie->is_signal = true;
            break;
        case 'B': /* AArch64's pointer authentication key */
            break;
        default: /* its data cannot be skipped, so neither can what follows */
            return;
        }
    }
    cie->usable &= !data.bad;
}

static void parse_cie(const struct section *section, struct gib_cursor *cursor, struct gib_cie *cie)
{
    uint8_t version = gib_cursor_fixed(cursor, 1);
    const char *text = (const char *)cursor->at;
    const uint8_t *end = memchr(cursor->at, 0, cursor->end - cursor->at);
    if (!end || (version != 1 && version != 3 && version != 4))
        return;
    cursor->at = end + 1;
    if (version == 4 && (gib_cursor_fixed(cursor, 1) != 8 || gib_cursor_fixed(cursor, 1)))
        return; /* addresses of 8 bytes, no segments */
    cie->code_alignment = gib_cursor_uleb(cursor);
    cie->data_alignment = gib_cursor_sleb(cursor);
    cie->return_register = version == 1 ? gib_cursor_fixed(cursor, 1) : gib_cursor_uleb(cursor);
    cie->usable = true;
    if (*text == 'z') {
        cie->has_augmentation = true;
        parse_augmentation(section, cursor, cie, text + 1);
    } else if (*text) {
        cie->usable = false;
    }
    cie->program = cursor->at;
    cie->program_end = cursor->end;
    cie->usable &= !cursor->bad;
}

static bool parse_fde(const struct section *section, struct gib_cursor *cursor,
                      const struct gib_cie *cie, struct gib_fde *fde)
{
    uint8_t encoding = section->eh ? cie->pointer_encoding : DW_EH_PE_absptr;
    fde->start =
        gib_cursor_pointer(cursor, encoding, section->vaddr + (cursor->at - section->bytes));
    /* The length has the format of the address, but is no address. */
    uint64_t size = gib_cursor_pointer(cursor, encoding & 0x0f, 0);
    if ((encoding & 0x0f) == DW_EH_PE_sdata4)
        size = (uint32_t)size;
    fde->end = fde->start + size;
    if (cie->has_augmentation) {
        uint64_t skipped = gib_cursor_uleb(cursor);
        if (skipped > (size_t)(cursor->end - cursor->at))
            return false;
        cursor->at += skipped;
    }
    fde->program = cursor->at;
    fde->program_end = cursor->end;
    return !cursor->bad && fde->end > fde->start && fde->start;
}

static const struct gib_cie *cie_at(const struct gib_elf *elf, uint64_t offset)
{
    /* In the order of the file; most FDEs follow theirs at once. */
    size_t low = 0, high = elf->cie_count;
    if (high && elf->cies[high - 1].offset == offset)
        return &elf->cies[high - 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (elf->cies[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < elf->cie_count && elf->cies[low].offset == offset ? &elf->cies[low] : NULL;
}

struct capacities {
    size_t cies, fdes;
};

static void *grown(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    void *moved = realloc(array, (*capacity * 2 + 64) * size);
    if (moved)
        *capacity = *capacity * 2 + 64;
    return moved;
}

/* One pass over the entries; `cies` tells which kind to take, since .debug_frame may refer forward.
 */
static bool read_entries(struct gib_elf *elf, const struct section *section, bool cies,
                         struct capacities *capacities)
{
    struct gib_cursor whole = {section->bytes, section->bytes + section->size, false};
    while (whole.at < whole.end) {
        uint64_t offset = whole.at - section->bytes, length = gib_cursor_fixed(&whole, 4);
        size_t id_size = section->eh ? 4 : 4;
        if (length == 0xffffffff) {
            length = gib_cursor_fixed(&whole, 8);
            id_size = section->eh ? 4 : 8;
        }
        if (whole.bad || !length || length > (size_t)(whole.end - whole.at))
            return true; /* the terminator, or nothing that can be followed */
        struct gib_cursor entry = {whole.at, whole.at + length, false};
        whole.at += length;
        uint64_t id_at = entry.at - section->bytes, id = gib_cursor_fixed(&entry, id_size);
        bool is_cie = section->eh ? id == 0 : id == (id_size == 8 ? ~0ULL : 0xffffffffULL);
        if (is_cie != cies || entry.bad)
            continue;
        if (is_cie) {
            void *moved = grown(elf->cies, elf->cie_count, &capacities->cies, sizeof *elf->cies);
            if (!moved)
                return false;
            elf->cies = moved;
            struct gib_cie *cie = &elf->cies[elf->cie_count++];
            *cie = (struct gib_cie){.offset = offset};
            parse_cie(section, &entry, cie);
            continue;
        }
        const struct gib_cie *cie = cie_at(elf, section->eh ? id_at - id : id);
        struct gib_fde fde;
        if (!cie || !cie->usable || !parse_fde(section, &entry, cie, &fde))
            continue;
        void *moved = grown(elf->fdes, elf->fde_count, &capacities->fdes, sizeof *elf->fdes);
        if (!moved)
            return false;
        elf->fdes = moved;
        fde.cie = cie - elf->cies;
        elf->fdes[elf->fde_count++] = fde;
    }
    return true;
}

static int by_start(const void *a, const void *b)
{
    const struct gib_fde *left = a, *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    return left->program < right->program ? -1 : left->program > right->program;
}

/* Linkers write most entries in order; only when they did not, sorting is work. */
static void sort_fdes(struct gib_elf *elf)
{
    size_t used = 0;
    for (size_t i = 1; i < elf->fde_count; i++) {
        if (by_start(&elf->fdes[i - 1], &elf->fdes[i]) > 0) {
            qsort(elf->fdes, elf->fde_count, sizeof *elf->fdes, by_start);
            break;
        }
    }
    /* Where entries overlap, the first one counts. */
    for (size_t i = 0; i < elf->fde_count; i++) {
        struct gib_fde *fde = &elf->fdes[i];
        if (used && fde->start < elf->fdes[used - 1].end)
            continue;
        elf->fdes[used++] = *fde;
    }
    elf->fde_count = used;
}

bool gib_elf_read_cfi(struct gib_elf *elf)
{
    if (!elf->fdes_read) {
        struct section section = {0};
        struct capacities capacities = {0};
        elf->fdes_read = true;
        if (find_section(elf, &section) && read_entries(elf, &section, true, &capacities) &&
            read_entries(elf, &section, false, &capacities) && elf->fde_count)
            sort_fdes(elf);
    }
    return elf->fde_count;
}

const struct gib_fde *gib_elf_fde_at(struct gib_elf *elf, uint64_t vaddr)
{
    gib_elf_read_cfi(elf);
    size_t low = 0, high = elf->fde_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (elf->fdes[middle].start <= vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low && vaddr < elf->fdes[low - 1].end ? &elf->fdes[low - 1] : NULL;
}

bool gib_elf_has_personality(struct gib_elf *elf)
{
    gib_elf_read_cfi(elf);
    for (size_t i = 0; i < elf->cie_count; i++)
        if (elf->cies[i].has_personality)
            return true;
    return false;
}
