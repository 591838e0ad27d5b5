/*
 * image_relocations.c: what must be written into a shared object, and the symbols that takes.
 *
 * A name that the object defines itself means its own definition, also where another library of the
 * target has the same name (as RTLD_DEEPBIND and -Bsymbolic): a package's helper called `log` is
 * never libm's.
 */
#include <stdio.h>
#include <stdlib.h>
#include "package/image_internal.h"

struct table {
    struct gib_object_reader *reader;
    uint32_t *need_of; /* index of the need of each symbol, plus 1 */
    size_t symbols;    /* of need_of */
    size_t need_room, room;
};

/* ---- versions ---- */

/* The version that version index `index` means in DT_VERNEED; NULL: none. */
static const char *needed_version(const struct gib_object_reader *reader, uint16_t index)
{
    const struct gib_object *object = reader->object;
    uint64_t at = reader->dynamic.needs;
    for (uint64_t i = 0; i < reader->dynamic.need_count; i++) {
        Elf64_Verneed need;
        const uint8_t *bytes = gib_object_at(object, at, sizeof need);
        if (!bytes)
            return NULL;
        memcpy(&need, bytes, sizeof need);
        uint64_t entry = at + need.vn_aux;
        for (unsigned k = 0; k < need.vn_cnt; k++) {
            Elf64_Vernaux aux;
            if (!(bytes = gib_object_at(object, entry, sizeof aux)))
                return NULL;
            memcpy(&aux, bytes, sizeof aux);
            if ((aux.vna_other & 0x7fff) == index) {
                return gib_object_string(reader, aux.vna_name);
            }
            if (!aux.vna_next)
                break;
            entry += aux.vna_next;
        }
        if (!need.vn_next)
            return NULL;
        at += need.vn_next;
    }
    return NULL;
}

static void read_version(const struct gib_object_reader *reader, uint64_t symbol,
                         struct gib_object_need *need)
{
    const uint8_t *entry =
        reader->dynamic.versions
            ? gib_object_at(reader->object, reader->dynamic.versions + 2 * symbol, 2)
            : NULL;
    uint16_t index = entry ? gib_object_load(entry, 2) & 0x7fff : 0;
    if (index > VER_NDX_GLOBAL)
        need->version = needed_version(reader, index);
}

/* ---- needs ---- */

static int add_need(struct table *table, const struct gib_object_need *need, uint32_t *index)
{
    struct gib_object *object = table->reader->object;
    if (object->need_count == table->need_room) {
        size_t room = 2 * table->need_room + 32;
        void *grown = realloc(object->needs, room * sizeof *object->needs);
        if (!grown)
            return gib_object_no_memory(table->reader);
        object->needs = grown;
        table->need_room = room;
    }
    *index = (uint32_t)object->need_count;
    object->needs[object->need_count++] = *need;
    return 0;
}

static bool is_code(const struct gib_object *object, uint64_t vaddr)
{
    const struct gib_object_segment *segment = gib_object_segment_at(object, vaddr, 1);
    return segment && segment->executable;
}

static int need_of_symbol(struct table *table, uint64_t symbol_index, uint32_t *index)
{
    const struct gib_object_reader *reader = table->reader;
    struct gib_object_need need = {0};
    Elf64_Sym symbol;
    if (symbol_index >= table->symbols)
        return gib_object_damaged(reader, "a relocation has a symbol that does not exist");
    if (table->need_of[symbol_index]) {
        *index = table->need_of[symbol_index] - 1;
        return 0;
    }
    if (!gib_object_dynamic_symbol(reader, symbol_index, &symbol))
        return gib_object_damaged(reader, "a relocation has a symbol that does not exist");
    need.name = gib_object_string(reader, symbol.st_name);
    if (!need.name)
        return gib_object_damaged(reader, "a symbol has no name");
    unsigned type = ELF64_ST_TYPE(symbol.st_info);
    if (type == STT_TLS)
        return gib_object_refuse(reader, "uses the thread-local variable %.60s.", need.name);
    need.weak = ELF64_ST_BIND(symbol.st_info) == STB_WEAK;
    need.defined = symbol_index == 0 || symbol.st_shndx != SHN_UNDEF;
    if (need.defined) {
        need.value = symbol_index ? symbol.st_value : 0;
        need.own = symbol_index && symbol.st_shndx != SHN_ABS;
        need.ifunc = need.own && type == STT_GNU_IFUNC;
        if (need.ifunc && !is_code(reader->object, need.value))
            return gib_object_damaged(reader, "the resolver of an IFUNC is no code");
    } else {
        if (!*need.name)
            return gib_object_damaged(reader, "a symbol has no name");
        read_version(reader, symbol_index, &need);
    }
    int failed = add_need(table, &need, index);
    if (!failed)
        table->need_of[symbol_index] = *index + 1;
    return failed;
}

/* ---- relocations ---- */

static int add_relocation(struct table *table, uint64_t vaddr, uint32_t need, uint64_t addend,
                          bool in_place)
{
    enum { MOST = 1 << 24 };
    struct gib_object *object = table->reader->object;
    const struct gib_object_segment *segment = gib_object_segment_at(object, vaddr, 8);
    if (!segment)
        return gib_object_damaged(table->reader, "a relocation is outside of its memory");
    if (!segment->writable)
        return gib_object_refuse(table->reader,
                                 "needs relocations in its code; compile it with -fPIC.");
    if (object->relocation_count == table->room) {
        size_t room = 2 * table->room + 64;
        void *grown =
            room > MOST ? NULL : realloc(object->relocations, room * sizeof *object->relocations);
        if (!grown)
            return gib_object_no_memory(table->reader);
        object->relocations = grown;
        table->room = room;
    }
    uint8_t before[8] = {0};
    uint64_t there = vaddr < segment->data_end ? segment->data_end - vaddr : 0;
    if (there > 8)
        there = 8;
    if (there)
        memcpy(before, object->bytes + segment->file_offset + (vaddr - segment->vaddr), there);
    struct gib_object_relocation relocation = {vaddr, need, addend, gib_object_load(before, 8)};
    if (in_place)
        relocation.addend = relocation.before;
    object->relocations[object->relocation_count++] = relocation;
    return 0;
}

static int read_rela(struct table *table, const Elf64_Rela *rela)
{
    const struct gib_object_reader *reader = table->reader;
    uint64_t symbol = ELF64_R_SYM(rela->r_info), addend = (uint64_t)rela->r_addend;
    uint32_t type = ELF64_R_TYPE(rela->r_info), need = GIB_NO_NEED;
    struct gib_object_need own = {.defined = true, .own = true, .ifunc = true, .value = addend};
    int failed;
    switch (type) {
    case R_X86_64_NONE:
        return 0;
    case R_X86_64_RELATIVE:
        return add_relocation(table, rela->r_offset, GIB_NO_NEED, addend, false);
    case R_X86_64_IRELATIVE:
        if (!is_code(reader->object, addend))
            return gib_object_damaged(reader, "the resolver of an IFUNC is no code");
        failed = add_need(table, &own, &need);
        return failed ? failed : add_relocation(table, rela->r_offset, need, 0, false);
    case R_X86_64_GLOB_DAT:
    case R_X86_64_JUMP_SLOT:
        addend = 0;
        /* fall through */
    case R_X86_64_64:
        failed = need_of_symbol(table, symbol, &need);
        return failed ? failed : add_relocation(table, rela->r_offset, need, addend, false);
    case R_X86_64_DTPMOD64:
    case R_X86_64_DTPOFF64:
    case R_X86_64_TPOFF64:
    case R_X86_64_TLSDESC:
        return gib_object_refuse(reader, "uses thread-local variables, which only the dynamic "
                                         "linker can give to each thread.");
    case R_X86_64_COPY:
        return gib_object_refuse(reader, "copies another library's variable (R_X86_64_COPY), as "
                                         "only a program does.");
    default:
        return gib_object_refuse(reader, "has a relocation of type %u, which Gibbon does not know.",
                                 type);
    }
}

static int read_table(struct table *table, uint64_t vaddr, uint64_t size)
{
    const uint8_t *bytes = size ? gib_object_at(table->reader->object, vaddr, size) : NULL;
    if (size && !bytes)
        return gib_object_damaged(table->reader, "its relocations are outside of the file");
    int failed = 0;
    for (uint64_t at = 0; !failed && size - at >= sizeof(Elf64_Rela); at += sizeof(Elf64_Rela)) {
        Elf64_Rela rela;
        memcpy(&rela, bytes + at, sizeof rela);
        failed = read_rela(table, &rela);
    }
    return failed;
}

/* DT_RELR: an even word is an address; an odd one has a bit for each of the 63 words that follow.
 */
static int read_relr(struct table *table, uint64_t vaddr, uint64_t size)
{
    const uint8_t *bytes = size ? gib_object_at(table->reader->object, vaddr, size) : NULL;
    if (size && !bytes)
        return gib_object_damaged(table->reader, "its relocations are outside of the file");
    uint64_t next = 0;
    int failed = 0;
    for (uint64_t at = 0; !failed && size - at >= 8; at += 8) {
        uint64_t word = gib_object_load(bytes + at, 8);
        if (!(word & 1)) {
            failed = add_relocation(table, word, GIB_NO_NEED, 0, true);
            next = word + 8;
            continue;
        }
        for (unsigned bit = 1; bit < 64 && !failed; bit++)
            if (word >> bit & 1)
                failed = add_relocation(table, next + 8ull * (bit - 1), GIB_NO_NEED, 0, true);
        next += 8ull * 63;
    }
    return failed;
}

static int by_vaddr(const void *a, const void *b)
{
    const struct gib_object_relocation *x = a, *y = b;
    return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

int gib_object_read_relocations(struct gib_object_reader *reader)
{
    struct gib_object *object = reader->object;
    const struct gib_object_dynamic *d = &reader->dynamic;
    struct table table = {.reader = reader, .symbols = object->size / sizeof(Elf64_Sym) + 1};
    if (!(table.need_of = calloc(table.symbols, sizeof *table.need_of)))
        return gib_object_no_memory(reader);
    int failed = read_table(&table, d->rela, d->rela_size);
    /* Some linkers count those of the procedure linkage table among the others. */
    bool counted = d->plt >= d->rela && d->plt - d->rela < d->rela_size;
    if (!failed && !counted)
        failed = read_table(&table, d->plt, d->plt_size);
    if (!failed)
        failed = read_relr(&table, d->relr, d->relr_size);
    free(table.need_of);
    if (failed)
        return failed;
    if (object->relocation_count)
        qsort(object->relocations, object->relocation_count, sizeof *object->relocations, by_vaddr);
    for (size_t i = 1; i < object->relocation_count; i++)
        if (object->relocations[i].vaddr - object->relocations[i - 1].vaddr < 8)
            return gib_object_damaged(reader, "two relocations are for the same bytes");
    return 0;
}

size_t gib_object_stubs(const struct gib_object *object)
{
    size_t count = 0;
    for (size_t i = 0; i < object->need_count; i++)
        count += object->needs[i].ifunc;
    return count;
}

uint64_t gib_object_value(const struct gib_object *object,
                          const struct gib_object_relocation *relocation, uint64_t bias,
                          const uint64_t *stubs)
{
    if (relocation->need == GIB_NO_NEED)
        return bias + relocation->addend;
    const struct gib_object_need *need = &object->needs[relocation->need];
    if (!need->defined) /* weak */
        return relocation->addend;
    if (need->ifunc)
        return stubs[relocation->need] + relocation->addend;
    return need->value + (need->own ? bias : 0) + relocation->addend;
}
