/*
 * batch.c: the calls of one pass over the rings, in the order in which they ended.
 */
#include "log/reader.h"

#include <stdlib.h>
#include <string.h>

static bool grow(void **pointer, size_t *room, size_t needed, size_t unit)
{
    if (needed <= *room)
        return true;
    size_t larger = *room ? *room : 256;
    while (larger < needed)
        larger *= 2;
    void *grown = realloc(*pointer, larger * unit);
    if (!grown)
        return false;
    *pointer = grown;
    *room = larger;
    return true;
}

void gib_batch_add(struct gib_reader *r, const struct gib_ring *ring, enum gib_call_status status,
                   const void *record, size_t size, const void *more, size_t more_size)
{
    struct gib_batch *b = &r->batch;
    const struct gib_record *head = record;
    if (!head->accepted && status != GIB_CALL_LOST)
        return; /* it was to be decided on return, and nobody wanted it, or it never returned */
    struct gib_call call = {(uint32_t)(sizeof call + size + more_size),
                            r->log->process_count,
                            ring->pid,
                            ring->tid,
                            status,
                            0};
    if (!grow((void **)&b->entry, &b->room, b->count + 1, sizeof *b->entry) ||
        !grow((void **)&b->bytes, &b->size, b->used + call.size, 1)) {
        r->log->lost++;
        return;
    }
    uint64_t ended = status == GIB_CALL_DONE ? head->entered + head->duration : head->entered;
    /* With indentation, behind the calls inside it. */
    if (status == GIB_CALL_UNFINISHED && r->log->indent)
        ended = UINT64_MAX;
    b->entry[b->count++] = (struct gib_batch_entry){ended, b->used};
    memcpy(b->bytes + b->used, &call, sizeof call);
    memcpy(b->bytes + b->used + sizeof call, record, size);
    if (more_size)
        memcpy(b->bytes + b->used + sizeof call + size, more, more_size);
    b->used += call.size;
}

static int by_end(const void *a, const void *b)
{
    const struct gib_batch_entry *x = a, *y = b;
    if (x->ended != y->ended)
        return x->ended < y->ended ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void earlier(uint64_t *first, const struct gib_record *record)
{
    if (record->entered && (!*first || record->entered < *first))
        *first = record->entered;
}

/* Time 0 is the beginning of the earliest call known when the first one ended: others that began
 * before may still be open. */
static void find_first(struct gib_reader *r, uint64_t *first)
{
    for (size_t i = 0; i < r->batch.count; i++)
        earlier(first, (const struct gib_record *)(r->batch.bytes + r->batch.entry[i].offset +
                                                   sizeof(struct gib_call)));
    for (uint32_t i = 0; i < GIB_MAX_THREADS && i < r->shared->threads_used; i++) {
        for (const struct gib_open_call *open = r->ring[i].open; open; open = open->next)
            earlier(first, (const struct gib_record *)(open + 1));
        const struct gib_thread *thread = gib_ring_block(r, i);
        uint64_t head =
            __atomic_load_n(&thread->head, __ATOMIC_ACQUIRE) & ~(uint64_t)(GIB_LINE - 1);
        if (thread->open == head + 1)
            earlier(first, (const struct gib_record *)((const char *)thread + r->ring_offset +
                                                       (head & (r->ring_size - 1))));
    }
}

bool gib_batch_append(struct gib_reader *r)
{
    struct gib_batch *b = &r->batch;
    bool any = b->count > 0;
    if (any && !gib_log_current(r->log)->first)
        find_first(r, &gib_log_current(r->log)->first);
    if (any)
        qsort(b->entry, b->count, sizeof *b->entry, by_end);
    for (size_t i = 0; i < b->count; i++) {
        struct gib_call call;
        memcpy(&call, b->bytes + b->entry[i].offset, sizeof call);
        gib_log_append(r->log, &call, b->bytes + b->entry[i].offset + sizeof call);
    }
    b->count = b->used = 0;
    return any;
}
