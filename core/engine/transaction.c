/* transaction.c: a change to the target's code is made whole or not at all. */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

static int by_address(const void *a, const void *b)
{
    const struct gib_write_plan *x = a, *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

/* The writes [first, last) begin on one page: they are one read and one write. */
static size_t page_end(const struct gib_write_plan *writes, size_t first, size_t count)
{
    size_t last = first + 1;
    while (last < count && writes[last].address / PAGE == writes[first].address / PAGE)
        last++;
    return last;
}

/* Reads the span, compares it with `from`'s side of each write and writes the other side. */
static int change_span(struct gib_engine *engine, const struct gib_write_plan *writes, size_t first,
                       size_t last, bool back, struct gib_error *error)
{
    uint8_t span[PAGE + 8], before[PAGE + 8];
    uint64_t start = writes[first].address;
    size_t size = (size_t)(writes[last - 1].address + writes[last - 1].size - start);
    int failed = gib_read(engine, start, span, size, error);
    if (failed)
        return failed;
    memcpy(before, span, size);
    for (size_t i = first; i < last; i++) {
        uint8_t *at = span + (writes[i].address - start);
        if (!back && memcmp(at, writes[i].expected, writes[i].size))
            return gib_fail(
                error, GIB_E_CHANGED, writes[i].address,
                "The bytes at 0x%" PRIx64
                " changed since they were looked at; another tool may be patching this code.",
                writes[i].address);
        memcpy(at, back ? writes[i].expected : writes[i].bytes, writes[i].size);
    }
    failed = gib_write(engine, start, span, size, error);
    if (failed) { /* part of it may have been written */
        struct gib_error ignored;
        gib_write(engine, start, before, size, &ignored);
    }
    return failed;
}

int gib_transaction(struct gib_engine *engine, struct gib_write_plan *writes, size_t count,
                    struct gib_error *error)
{
    if (count)
        qsort(writes, count, sizeof *writes, by_address);
    for (size_t first = 0; first < count;) {
        size_t last = page_end(writes, first, count);
        int failed = change_span(engine, writes, first, last, false, error);
        if (failed) {
            /* Back out, newest first; what cannot be put back is reported by the first error
             * anyway. */
            struct gib_error ignored;
            for (size_t undo = 0; undo < first;) {
                size_t end = page_end(writes, undo, first);
                change_span(engine, writes, undo, end, true, &ignored);
                undo = end;
            }
            return failed;
        }
        first = last;
    }
    return 0;
}

void gib_plan_write(struct gib_write_plan *writes, size_t *n, uint64_t address,
                    const uint8_t *expected, const uint8_t *bytes, uint8_t size)
{
    struct gib_write_plan *w = &writes[*n];
    if (!memcmp(expected, bytes, size))
        return;
    w->address = address;
    w->size = size;
    memcpy(w->expected, expected, size);
    memcpy(w->bytes, bytes, size);
    ++*n;
}
