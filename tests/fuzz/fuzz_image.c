/*
 * fuzz_image.c: any bytes as a package's shared object; what is accepted must be within its memory.
 * Seeds: tests/unit/elf_programs/package*.so of a build with -DGIBBON_TESTS=ON.
 */
#include <stdlib.h>
#include "package/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gib_object *object;
    struct gib_error error;
    uint64_t vaddr;
    if (gib_object_read(data, size, "package.so", &object, &error))
        return 0;
    uint64_t *stubs = calloc(object->need_count + 1, sizeof *stubs);
    for (size_t i = 0; stubs && i < object->relocation_count; i++) {
        const struct gib_object_relocation *relocation = &object->relocations[i];
        if (relocation->vaddr < object->low || relocation->vaddr + 8 > object->low + object->span ||
            (i && relocation->vaddr < object->relocations[i - 1].vaddr + 8))
            abort();
        gib_object_value(object, relocation, 0x7f0000000000, stubs);
    }
    for (size_t i = 0; i < object->segment_count; i++) {
        const struct gib_object_segment *segment = &object->segments[i];
        if (segment->file_size > segment->memory_size || segment->file_offset > size ||
            segment->vaddr + segment->memory_size > object->low + object->span ||
            (segment->zero_size &&
             segment->data_end + segment->zero_size > segment->vaddr + segment->file_size))
            abort();
    }
    gib_object_symbol(object, "wrapper", &vaddr);
    free(stubs);
    gib_object_free(object);
    return 0;
}
