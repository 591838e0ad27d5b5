/*
 * thread_db.c: what a libc says about its own threads, for debuggers.
 */
#include "elf/file.h"

uint32_t gib_elf_pthread_tid_offset(struct gib_elf *elf)
{
    /* glibc's nptl_db describes a field by three words: its size in bits, how many there are, its
     * offset. */
    static const char name[] = "_thread_db_pthread_tid";
    struct gib_symbol_table table;
    if (!gib_elf_dynamic_symbols(elf, &table))
        return 0;
    for (size_t i = 0; i < table.count; i++) {
        Elf64_Sym symbol;
        uint32_t field[3];
        memcpy(&symbol, table.symbols + i * sizeof symbol, sizeof symbol);
        if (symbol.st_shndx == SHN_UNDEF || symbol.st_name >= table.strings_size ||
            strcmp(table.strings + symbol.st_name, name))
            continue;
        bool understood = gib_elf_read(elf, symbol.st_value, field, sizeof field) == sizeof field &&
                          field[0] == 32 && field[1] == 1;
        return understood && field[2] < 4096 ? field[2] : 0;
    }
    return 0;
}
