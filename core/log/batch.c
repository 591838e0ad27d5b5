/*
 * batch.c: the calls of one pass over the rings, in the order in which they ended.
 *
 * What is in one ring ended in its order already, so runs are merged, not sorted.
 */
#include "log/reader.h"

#include <errno.h>
#include <stdlib.h>

/* ---- memory ---- */

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

/* Blocks do not move, and are used again by the next batch. */
void *gib_batch_room(struct gib_reader *r, size_t size)
{
    enum { BLOCK = 1 << 20 };
    struct gib_batch *b = &r->batch;
    size = (size + 7) & ~(size_t)7;
    for (; b->filling < b->blocks; b->filling++) {
        struct gib_batch_block *block = &b->block[b->filling];
        if (block->size - block->used >= size) {
            block->used += size;
            return block->bytes + block->used - size;
        }
    }
    if (!grow((void **)&b->block, &b->block_room, b->blocks + 1, sizeof *b->block))
        return NULL;
    struct gib_batch_block block = {NULL, size > BLOCK ? size : BLOCK, size};
    if (!(block.bytes = malloc(block.size)))
        return NULL;
    b->block[b->blocks++] = block;
    return block.bytes;
}

static void empty(struct gib_batch *b)
{
    enum { KEPT = 8 }; /* blocks; more come from many threads at once */
    b->count = b->runs = b->filling = 0;
    while (b->blocks > KEPT)
        free(b->block[--b->blocks].bytes);
    for (size_t i = 0; i < b->blocks; i++)
        b->block[i].used = 0;
}

void gib_batch_free(struct gib_batch *b)
{
    while (b->blocks)
        free(b->block[--b->blocks].bytes);
    free(b->block);
    free(b->entry);
    *b = (struct gib_batch){0};
}

/* ---- filling ---- */

void gib_batch_begin_run(struct gib_reader *r)
{
    struct gib_batch *b = &r->batch;
    size_t runs = b->runs;
    if (runs && b->run[runs - 1].next == b->count) /* the last one stayed empty */
        return;
    if (runs == GIB_MAX_THREADS)
        return;
    b->run[b->runs++] = (struct gib_batch_run){b->count, b->count};
}

void gib_batch_add(struct gib_reader *r, struct gib_ring *ring, enum gib_call_status status,
                   const void *record, size_t size, const void *more, size_t more_size,
                   enum gib_call_flags flags)
{
    struct gib_batch *b = &r->batch;
    const struct gib_record *head = record;
    uint64_t ended = status == GIB_CALL_DONE ? head->entered + head->duration : head->entered;
    /* A call that never returned comes last, whenever it began. */
    if (ended < ring->latest || status == GIB_CALL_UNFINISHED)
        ended = ring->latest;
    ring->latest = ended;
    if (!head->accepted && status != GIB_CALL_LOST && status != GIB_CALL_THREAD)
        return; /* it was to be decided on return, and nobody wanted it, or it never returned */
    if (!grow((void **)&b->entry, &b->room, b->count + 1, sizeof *b->entry)) {
        pthread_mutex_lock(&r->log->lock);
        r->log->lost++;
        pthread_mutex_unlock(&r->log->lock);
        return;
    }
    b->entry[b->count++] = (struct gib_batch_entry){
        ended,     record,           more,           (uint32_t)size, (uint32_t)more_size, ring->pid,
        ring->tid, (uint16_t)status, (uint16_t)flags};
    b->run[b->runs - 1].end = b->count;
}

void gib_batch_tell(struct gib_reader *r, struct gib_ring *ring, enum gib_call_status status,
                    uint64_t first, uint64_t second)
{
    struct gib_record *record = gib_batch_room(r, sizeof *record);
    if (!record)
        return;
    *record = (struct gib_record){.lines = 1, .entered = ring->latest, .word = {first, second}};
    gib_batch_add(r, ring, status, record, sizeof *record, NULL, 0, 0);
}

/* ---- the time of the first call ---- */

static void earlier(uint64_t *first, const struct gib_record *record)
{
    if (record->entered && (!*first || record->entered < *first))
        *first = record->entered;
}

/* Time 0 is the beginning of the earliest call known when the first one ended: others that began
 * before may still be open. */
static uint64_t find_first(struct gib_reader *r)
{
    uint64_t first = 0;
    for (size_t i = 0; i < r->batch.count; i++)
        if (r->batch.entry[i].status != GIB_CALL_THREAD)
            earlier(&first, r->batch.entry[i].record);
    for (uint32_t i = 0; first && i < GIB_MAX_THREADS && i < r->shared->threads_used; i++) {
        for (const struct gib_open_call *open = r->ring[i].open; open; open = open->next)
            earlier(&first, (const struct gib_record *)(open + 1));
        const struct gib_thread *thread = gib_ring_block(r, i);
        uint64_t head =
            __atomic_load_n(&thread->head, __ATOMIC_ACQUIRE) & ~(uint64_t)(GIB_LINE - 1);
        if (thread->open == head + 1)
            earlier(&first, (const struct gib_record *)((const char *)thread + r->ring_offset +
                                                        (head & (r->ring_size - 1))));
    }
    return first;
}

/* ---- merging ---- */

static bool is_before(const struct gib_batch *b, size_t x, size_t y)
{
    size_t one = b->run[x].next, other = b->run[y].next;
    return b->entry[one].ended < b->entry[other].ended ||
           (b->entry[one].ended == b->entry[other].ended && one < other);
}

/* The heap is of numbers of runs; the one whose next call ended first is on top. */
static void sift(const struct gib_batch *b, uint16_t *heap, size_t count, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_before(b, heap[child + 1], heap[child]))
            child++;
        if (!is_before(b, heap[child], heap[at]))
            return;
        uint16_t swapped = heap[at];
        heap[at] = heap[child];
        heap[child] = swapped;
    }
}

static void add_to_spool(struct gib_reader *r, const struct gib_batch_entry *entry)
{
    struct gib_log *log = r->log;
    const struct gib_call call = {(uint32_t)(sizeof call + entry->size + entry->more_size),
                                  r->process,
                                  entry->pid,
                                  entry->tid,
                                  entry->status,
                                  entry->flags};
    bool failing = log->spool.failing;
    uint64_t throws = log->spool.throws;
    uint64_t lost = gib_spool_add(&log->spool, &call, entry->record, entry->size, entry->more,
                                  entry->more_size);
    log->lost += lost;
    log->unwritten += lost;
    if (log->spool.throws != throws && log->printed > log->spool.written)
        log->printed = log->spool.written;
    if (log->spool.failing && !failing)
        gib_log_set_problem(log,
                            "Gibbon's temporary file in /tmp cannot be written: %s. Calls are lost "
                            "and counted until it can.",
                            strerror(errno));
}

bool gib_batch_append(struct gib_reader *r)
{
    struct gib_batch *b = &r->batch;
    struct gib_log *log = r->log;
    struct gib_log_process *process = &log->process[r->process - 1];
    uint16_t heap[GIB_MAX_THREADS];
    size_t count = 0;
    if (!b->count)
        return false;
    if (!process->first)
        __atomic_store_n(&process->first, find_first(r), __ATOMIC_RELAXED);
    for (size_t i = 0; i < b->runs; i++)
        if (b->run[i].next < b->run[i].end)
            heap[count++] = (uint16_t)i;
    for (size_t i = count / 2; i-- > 0;)
        sift(b, heap, count, i);
    pthread_mutex_lock(&log->lock);
    while (count) {
        struct gib_batch_run *run = &b->run[heap[0]];
        add_to_spool(r, &b->entry[run->next++]);
        if (run->next == run->end)
            heap[0] = heap[--count];
        if (count > 1)
            sift(b, heap, count, 0);
    }
    uint64_t needed = gib_stream_place(log);
    gib_spool_trim(&log->spool, needed < log->printed ? needed : log->printed,
                   gib_stream_bounds(log));
    pthread_cond_broadcast(&log->grown);
    pthread_mutex_unlock(&log->lock);
    empty(b);
    return true;
}
