/*
 * Arbitrary bytes at arbitrary addresses through the relocator: no crash, no read beyond the code,
 * and a result that keeps its promises.
 */
#include "gibbon/relocate.h"

#include <stdlib.h>
#include <string.h>

struct header {
    uint64_t from, to;
    uint8_t min_bytes, near;
};

static void check(const struct gib_relocation_request *request, const struct gib_relocation *copy)
{
    const struct gib_relocation_boundary *end = &copy->boundary[copy->boundaries - 1];
    if (copy->boundaries < 2 || copy->boundary[0].original || copy->boundary[0].copy ||
        copy->size > sizeof copy->code || copy->size < end->copy ||
        copy->consumed < request->min_bytes || copy->consumed > request->code_size ||
        end->original != copy->consumed || copy->falls_through != (copy->size > end->copy))
        abort();
    for (size_t i = 1; i < copy->boundaries; i++)
        if (copy->boundary[i].original <= copy->boundary[i - 1].original ||
            copy->boundary[i].copy <= copy->boundary[i - 1].copy)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct header header;
    struct gib_relocation copy;
    struct gib_error error = {0};
    if (size < sizeof header + 1)
        return 0;
    memcpy(&header, data, sizeof header);
    /* A block of exactly this size, for the sanitizer to see a read beyond it. */
    size_t code_size = size - sizeof header;
    uint8_t *code = malloc(code_size);
    if (!code)
        return 0;
    memcpy(code, data + sizeof header, code_size);
    struct gib_relocation_request request = {
        .arch = GIB_ARCH_X86_64,
        .code = code,
        .code_size = code_size,
        .from = header.from,
        .to = header.near & 1 ? header.from + 0x100000 : header.to,
        .min_bytes = header.min_bytes % 40,
    };
    int result = gib_relocate(&request, &copy, &error);
    if (result == 0)
        check(&request, &copy);
    else if (error.code != result || error.message[0] == 0 ||
             memchr(error.message, 0, sizeof error.message) == NULL)
        abort();
    free(code);
    return 0;
}
