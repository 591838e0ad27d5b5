/*
 * rings.c: takes records out of a ring and joins calls with their returns.
 *
 * What is read is untrusted: every size is checked before it is used, and a ring that makes no
 * sense is skipped to its head.
 */
#include "log/reader.h"

#include <stdlib.h>
#include <string.h>

struct gib_thread *gib_ring_block(const struct gib_reader *r, uint32_t index)
{
    return (struct gib_thread *)((char *)r->shared + r->threads + index * r->thread_size);
}

/* ---- joining ---- */

static void remember_open(struct gib_reader *r, struct gib_ring *ring, uint64_t position,
                          size_t size)
{
    struct gib_open_call *open = malloc(sizeof *open + size);
    if (!open) {
        r->log->lost++;
        return;
    }
    open->next = ring->open;
    open->position = position;
    memcpy(open + 1, r->copy, size);
    open->call = (struct gib_call){.size = (uint32_t)size, .pid = ring->pid, .tid = ring->tid};
    ring->open = open;
}

static struct gib_open_call *find_open(struct gib_ring *ring, uint64_t position, bool take)
{
    for (struct gib_open_call **link = &ring->open; *link; link = &(*link)->next) {
        struct gib_open_call *open = *link;
        if (open->position == position) {
            if (take)
                *link = open->next;
            return open;
        }
    }
    return NULL;
}

/* The part of a record's chunks that is in use, so that others can follow them. */
static size_t used_size(const struct gib_log *log, const struct gib_record *record, size_t size)
{
    const struct gib_log_process *process = &log->process[log->process_count - 1];
    uint32_t index = record->site & 0xffffff;
    const struct gib_log_site *site = index < process->site_count ? process->site[index] : NULL;
    size_t words = site && site->convention.words > 3 ? site->convention.words : 3;
    size_t at = offsetof(struct gib_record, word) + 8 * words;
    while (at + sizeof(struct gib_chunk) <= size) {
        const struct gib_chunk *chunk = (const struct gib_chunk *)((const char *)record + at);
        if (chunk->type == GIB_CHUNK_END || chunk->size > size - at - sizeof *chunk)
            break;
        at += sizeof *chunk + ((chunk->size + 7) & ~7u);
    }
    return at < size ? at : size;
}

/* A forked child has returned from a call that its parent is still in: the parent's record is not
 * published yet, so it is looked at in its ring. The caller frees it. */
static struct gib_open_call *peek_open(struct gib_reader *r, uint64_t index, uint64_t position)
{
    const struct gib_thread *thread = gib_ring_block(r, (uint32_t)index);
    uint64_t offset = position & (r->ring_size - 1);
    if (position < r->ring[index].position || position % GIB_LINE)
        return NULL;
    const struct gib_record *record =
        (const struct gib_record *)((const char *)thread + r->ring_offset + offset);
    size_t size = (size_t)__atomic_load_n(&record->lines, __ATOMIC_RELAXED) * GIB_LINE;
    struct gib_open_call *open =
        size && size <= r->ring_size - offset ? malloc(sizeof *open + size) : NULL;
    if (!open)
        return NULL;
    memcpy(open + 1, record, size);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    const struct gib_record *copy = (const struct gib_record *)(open + 1);
    if (__atomic_load_n(&thread->tail, __ATOMIC_ACQUIRE) > position ||
        (copy->kind != GIB_RECORD_OPEN && copy->kind != GIB_RECORD_CALL)) {
        free(open);
        return NULL;
    }
    open->call = (struct gib_call){.size = (uint32_t)size};
    return open;
}

static void join(struct gib_reader *r, struct gib_ring *ring, size_t size)
{
    struct gib_record *back = (struct gib_record *)r->copy;
    struct gib_ring *home = ring;
    bool elsewhere = back->site >> 24 & GIB_RECORD_ELSEWHERE, take = true;
    uint64_t index = elsewhere ? (back->word[1] - r->threads) / r->thread_size : GIB_MAX_THREADS;
    if (elsewhere) {
        home = index < GIB_MAX_THREADS ? &r->ring[index] : ring;
        take = home->pid == ring->pid; /* after fork the parent returns as well */
    }
    back->site &= 0xffffff;
    struct gib_open_call *open = find_open(home, back->word[0], take);
    if (!open && !take && index < GIB_MAX_THREADS) {
        open = peek_open(r, index, back->word[0]);
        take = true;
    }
    if (!open) {
        gib_batch_add(r, ring, GIB_CALL_RESUMED, back, size, NULL, 0);
        return;
    }
    struct gib_record *front = (struct gib_record *)(open + 1);
    uint64_t ended = back->duration;
    front->duration = ended - front->entered;
    front->accepted = back->accepted; /* some were decided on return */
    front->result = back->result;
    size_t chunks = offsetof(struct gib_record, word) + 24;
    gib_batch_add(r, ring, GIB_CALL_DONE, front, used_size(r->log, front, open->call.size),
                  r->copy + chunks, size - chunks);
    if (take)
        free(open);
}

static void report_unfinished(struct gib_reader *r, struct gib_ring *ring)
{
    struct gib_open_call *first = NULL;
    while (ring->open &&
           !r->log->indent) { /* the list has the newest first, as indentation wants it */
        struct gib_open_call *open = ring->open;
        ring->open = open->next;
        open->next = first;
        first = open;
    }
    if (r->log->indent) {
        first = ring->open;
        ring->open = NULL;
    }
    while (first) {
        struct gib_open_call *open = first;
        first = open->next;
        gib_batch_add(r, ring, GIB_CALL_UNFINISHED, open + 1, open->call.size, NULL, 0);
        free(open);
    }
}

/* ---- reading ---- */

static void take_record(struct gib_reader *r, struct gib_ring *ring, uint64_t position, size_t size)
{
    struct gib_record *record = (struct gib_record *)r->copy;
    switch (record->kind) {
    case GIB_RECORD_CALL:
        gib_batch_add(r, ring, GIB_CALL_DONE, record, size, NULL, 0);
        break;
    case GIB_RECORD_ENTRY:
        gib_batch_add(r, ring, GIB_CALL_ENTRY, record, size, NULL, 0);
        break;
    case GIB_RECORD_OPEN:
        remember_open(r, ring, position, size);
        if (r->log->indent)
            gib_batch_add(r, ring, GIB_CALL_BEGUN, record, size, NULL, 0);
        break;
    case GIB_RECORD_RETURN:
        join(r, ring, size);
        break;
    case GIB_RECORD_THREAD:
        report_unfinished(r, ring);
        ring->pid = (int32_t)record->word[0];
        ring->tid = (int32_t)record->word[1];
        break;
    default:
        break;
    }
}

/* Copies the record at `position`; 0 when it is overwritten meanwhile, or makes no sense (*broken).
 */
static size_t copy_record(struct gib_reader *r, struct gib_thread *thread, uint64_t position,
                          uint64_t head, bool *broken)
{
    uint64_t offset = position & (r->ring_size - 1);
    const struct gib_record *record =
        (const struct gib_record *)((const char *)thread + r->ring_offset + offset);
    size_t size = (size_t)__atomic_load_n(&record->lines, __ATOMIC_RELAXED) * GIB_LINE;
    *broken = size == 0 || size > r->ring_size - offset || size > head - position;
    if (*broken)
        size = 0;
    memcpy(r->copy, record, size);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t tail = __atomic_load_n(&thread->tail, __ATOMIC_ACQUIRE);
    if (tail > position) {
        *broken = false;
        return 0;
    }
    return size;
}

/* The writer was faster. It says how many records it has overwritten; what of them was not taken is
 * lost. */
static void skip_overwritten(struct gib_reader *r, const struct gib_thread *thread,
                             struct gib_ring *ring, uint64_t head)
{
    uint64_t tail, dropped;
    do {
        tail = __atomic_load_n(&thread->tail, __ATOMIC_ACQUIRE);
        dropped = __atomic_load_n(&thread->dropped, __ATOMIC_ACQUIRE);
    } while (tail != __atomic_load_n(&thread->tail, __ATOMIC_ACQUIRE));
    ring->position = (tail < head ? tail : head) & ~(uint64_t)(GIB_LINE - 1);
    if (dropped <= ring->taken)
        return;
    struct gib_record record = {.lines = 1, .word = {dropped - ring->taken}};
    r->log->lost += dropped - ring->taken;
    ring->taken = dropped;
    gib_batch_add(r, ring, GIB_CALL_LOST, &record, sizeof record, NULL, 0);
}

bool gib_ring_read(struct gib_reader *r, uint32_t index)
{
    enum { AT_ONCE = 8192 };
    struct gib_thread *thread = gib_ring_block(r, index);
    struct gib_ring *ring = &r->ring[index];
    /* Whole lines only: a scribbled head must not lead to half of one. */
    uint64_t head = __atomic_load_n(&thread->head, __ATOMIC_ACQUIRE) & ~(uint64_t)(GIB_LINE - 1);
    int taken = 0;
    if (head - ring->position > r->ring_size * 2 && head < ring->position)
        ring->position = head; /* the head went back: scribbled on */
    while (ring->position < head && taken < AT_ONCE) {
        if (__atomic_load_n(&thread->tail, __ATOMIC_ACQUIRE) > ring->position) {
            skip_overwritten(r, thread, ring, head);
            continue;
        }
        bool broken;
        size_t size = copy_record(r, thread, ring->position, head, &broken);
        if (broken) {
            r->log->lost++;
            ring->position = head;
            break;
        }
        if (!size)
            continue;
        const struct gib_record *record = (const struct gib_record *)r->copy;
        ring->taken += record->kind != GIB_RECORD_PAD && record->kind != GIB_RECORD_THREAD;
        take_record(r, ring, ring->position, size);
        ring->position += size;
        if (++taken % 512 == 0)
            __atomic_store_n(&thread->read, ring->position, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&thread->read, ring->position, __ATOMIC_RELEASE);
    return taken > 0;
}

/* What threads were doing when they ended: calls that are written but unpublished at the head, and
 * those left open. */
void gib_rings_unfinished(struct gib_reader *r)
{
    for (uint32_t i = 0; i < GIB_MAX_THREADS && i < r->shared->threads_used; i++) {
        struct gib_thread *thread = gib_ring_block(r, i);
        struct gib_ring *ring = &r->ring[i];
        if (!ring->pid || !gib_has_ended(ring->pid))
            continue;
        uint64_t offset = ring->position & (r->ring_size - 1);
        const struct gib_record *record =
            (const struct gib_record *)((const char *)thread + r->ring_offset + offset);
        size_t size = (size_t)record->lines * GIB_LINE;
        if (thread->open == ring->position + 1 && size && size <= r->ring_size - offset &&
            record->kind == GIB_RECORD_OPEN) {
            memcpy(r->copy, record, size);
            remember_open(r, ring, ring->position, size);
        }
        report_unfinished(r, ring);
        thread->open = 0;
    }
    gib_batch_append(r);
}
