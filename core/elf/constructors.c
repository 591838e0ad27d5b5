/* constructors.c: what runs first of a module that is being loaded. */
#include "elf/file.h"

static bool first_of_array(struct gib_elf *elf, int64_t array, int64_t size_tag, uint64_t *vaddr)
{
    uint64_t at, size;
    struct gib_elf_pointer pointer;
    if (!gib_elf_dynamic(elf, array, &at) || !gib_elf_dynamic(elf, size_tag, &size))
        return false;
    for (uint64_t i = 0; i + 8 <= size; i += 8) {
        if (!gib_elf_pointers(elf, at + i, 1, &pointer))
            return false;
        bool is_code = pointer.kind == GIB_ELF_POINTER_ADDRESS ||
                       (pointer.kind == GIB_ELF_POINTER_NUMBER && !elf->info.is_dynamic_object);
        if (is_code && pointer.value && pointer.value != UINT64_MAX) {
            *vaddr = pointer.value;
            return true;
        }
    }
    return false;
}

bool gib_elf_first_constructor(struct gib_elf *elf, uint64_t *vaddr)
{
    return first_of_array(elf, DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ, vaddr) ||
           (gib_elf_dynamic(elf, DT_INIT, vaddr) && *vaddr) ||
           first_of_array(elf, DT_INIT_ARRAY, DT_INIT_ARRAYSZ, vaddr);
}
