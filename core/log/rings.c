/*
 * rings.c: takes records out of a ring and joins calls with their returns.
 *
 * What is read is untrusted: every size is checked before it is used, and a ring that makes no
 * sense is skipped to its head.
 */
#include "log/reader.h"

#include <sched.h>
#include <stdlib.h>

struct gib_thread *gib_ring_block(const struct gib_reader *r, uint32_t index)
{
    return (struct gib_thread *)((char *)r->shared + r->threads + index * r->thread_size);
}

static void count_lost(struct gib_reader *r, uint64_t records)
{
    pthread_mutex_lock(&r->log->lock);
    r->log->lost += records;
    pthread_mutex_unlock(&r->log->lock);
}

/* ---- joining ---- */

/*
 * Calls that longjmp or an exception has left do not return, and nobody tells. But a call whose
 * frame is not below theirs was made after they had been left. That is known of the thread's own
 * stack only: frames on others, of coroutines and of signal handlers, come and go in any order.
 */
static bool is_left(const struct gib_thread *thread, const struct gib_open_call *open,
                    uint64_t frame)
{
    uint64_t its = ((const struct gib_record *)(open + 1))->duration;
    uint64_t base = thread->stack_base, size = thread->stack_top - base;
    return frame - base < size && its - base < size && its <= frame;
}

/* `ended`: the thread is no more, and may have ended in the newest of them. */
static void report_unfinished(struct gib_reader *r, struct gib_ring *ring, bool ended)
{
    struct gib_open_call *first = NULL, *newest = ring->open;
    ring->opened = 0;
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
        const struct gib_record *record = (const struct gib_record *)(open + 1);
        bool inside = ended && open == newest && record->entered >= ring->latest;
        first = open->next;
        void *copy = gib_batch_room(r, open->size);
        if (copy)
            gib_batch_add(r, ring, GIB_CALL_UNFINISHED, memcpy(copy, record, open->size),
                          open->size, NULL, 0, inside ? GIB_CALL_INSIDE : 0);
        else
            count_lost(r, 1);
        free(open);
    }
}

/* Calls that exceptions or longjmp have left never return, and nobody tells. A thread has hardly
 * so many frames of thunks as this (core/agent/depth.c), so the older half are such ones. */
enum { MOST_OPEN = 128 << 10 };
static void give_up_oldest(struct gib_reader *r, struct gib_ring *ring)
{
    struct gib_open_call **link = &ring->open;
    for (size_t i = 0; i < MOST_OPEN / 2; i++)
        link = &(*link)->next;
    struct gib_open_call *newest = ring->open, *old = *link;
    *link = NULL;
    ring->open = old;
    report_unfinished(r, ring, false);
    ring->open = newest;
    ring->opened = MOST_OPEN / 2;
}

/* What was left before the call at `position` began, or before it returned. */
static void report_left(struct gib_reader *r, struct gib_ring *ring, uint64_t position,
                        const struct gib_record *record)
{
    const struct gib_thread *thread = gib_ring_block(r, (uint32_t)(ring - r->ring));
    struct gib_open_call **link = &ring->open;
    size_t opened = ring->opened, left = 0;
    while (*link && (*link)->position != position && is_left(thread, *link, record->duration)) {
        link = &(*link)->next;
        left++;
    }
    if (!left)
        return;
    struct gib_open_call *older = *link;
    *link = NULL;
    report_unfinished(r, ring, false);
    ring->open = older;
    ring->opened = opened - left;
}

static void remember_open(struct gib_reader *r, struct gib_ring *ring, uint64_t position,
                          const struct gib_record *record, size_t size)
{
    struct gib_open_call *open = malloc(sizeof *open + size);
    if (!open) {
        count_lost(r, 1);
        return;
    }
    report_left(r, ring, position, record);
    open->next = ring->open;
    open->position = position;
    memcpy(open + 1, record, size);
    open->size = size;
    ring->open = open;
    if (++ring->opened > MOST_OPEN)
        give_up_oldest(r, ring);
}

static struct gib_open_call *find_open(struct gib_ring *ring, uint64_t position, bool take)
{
    for (struct gib_open_call **link = &ring->open; *link; link = &(*link)->next) {
        struct gib_open_call *open = *link;
        if (open->position == position) {
            if (take) {
                *link = open->next;
                ring->opened--;
            }
            return open;
        }
    }
    return NULL;
}

/* The part of a record's chunks that is in use, so that others can follow them. */
static size_t used_size(const struct gib_reader *r, const struct gib_record *record, size_t size)
{
    const struct gib_log_process *process = &r->log->process[r->process - 1];
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

/* A forked child has returned from a call of its parent's, whose record is not published yet, or
 * was joined with the parent's own return: it is looked at in the parent's ring, as long as nothing
 * else can be in its place. The caller frees it. */
static struct gib_open_call *peek_open(struct gib_reader *r, uint64_t index, uint64_t position,
                                       const struct gib_record *back)
{
    const struct gib_thread *thread = gib_ring_block(r, (uint32_t)index);
    uint64_t offset = position & (r->ring_size - 1);
    if (position % GIB_LINE)
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
    /* What has been read may be written over at any time; half a ring is more than any record. */
    uint64_t head = __atomic_load_n(&thread->head, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&thread->tail, __ATOMIC_ACQUIRE) > position || head < position ||
        head - position > r->ring_size / 2 || (copy->site ^ back->site) & 0xffffff ||
        copy->entered > back->entered ||
        (copy->kind != GIB_RECORD_OPEN && copy->kind != GIB_RECORD_CALL)) {
        free(open);
        return NULL;
    }
    open->size = size;
    return open;
}

static void join(struct gib_reader *r, struct gib_ring *ring, struct gib_record *back, size_t size)
{
    struct gib_ring *home = ring;
    bool elsewhere = back->site >> 24 & GIB_RECORD_ELSEWHERE, take = true;
    uint64_t index = elsewhere ? (back->word[1] - r->threads) / r->thread_size : GIB_MAX_THREADS;
    if (elsewhere) {
        home = index < GIB_MAX_THREADS ? &r->ring[index] : ring;
        take = home->pid == ring->pid; /* after fork the parent returns as well */
    }
    back->site &= 0xffffff;
    struct gib_open_call *open = find_open(home, back->word[0], false);
    if (open && take) {
        report_left(r, home, open->position, (const struct gib_record *)(open + 1));
        find_open(home, back->word[0], true);
    }
    if (!open && !take && index < GIB_MAX_THREADS) {
        open = peek_open(r, index, back->word[0], back);
        take = true;
    }
    if (!open) {
        gib_batch_add(r, ring, GIB_CALL_RESUMED, back, size, NULL, 0, 0);
        return;
    }
    size_t used = used_size(r, (const struct gib_record *)(open + 1), open->size);
    struct gib_record *front = gib_batch_room(r, used);
    size_t chunks = offsetof(struct gib_record, word) + 24;
    if (front) {
        memcpy(front, open + 1, used);
        front->duration = back->duration - front->entered;
        front->accepted = back->accepted; /* some were decided on return */
        front->result = back->result;
        gib_batch_add(r, ring, GIB_CALL_DONE, front, used, (const char *)back + chunks,
                      size - chunks, 0);
    } else {
        count_lost(r, 1);
    }
    if (take)
        free(open);
}

/* The thread's name, as the kernel has it now: it may be gone when somebody wants to know. */
static void tell_name(struct gib_reader *r, struct gib_ring *ring)
{
    char path[64], name[17] = "";
    uint64_t word[2] = {0, 0};
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", ring->pid, ring->tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    size_t size = fread(name, 1, sizeof name - 1, file); /* and a line end; it may have others */
    if (size > 1) {
        memcpy(word, name, size - 1);
        gib_batch_tell(r, ring, GIB_CALL_THREAD, word[0], word[1]);
    }
    fclose(file);
}

/* ---- reading ---- */

/* What follows in the ring is another thread's. */
static void begin_thread(struct gib_reader *r, struct gib_ring *ring, int32_t pid, int32_t tid)
{
    report_unfinished(r, ring, true);
    ring->pid = pid;
    ring->tid = tid;
    tell_name(r, ring);
}

static void take_record(struct gib_reader *r, struct gib_ring *ring, uint64_t position,
                        struct gib_record *record, size_t size)
{
    switch (record->kind) {
    case GIB_RECORD_CALL:
        gib_batch_add(r, ring, GIB_CALL_DONE, record, size, NULL, 0, 0);
        break;
    case GIB_RECORD_ENTRY:
        gib_batch_add(r, ring, GIB_CALL_ENTRY, record, size, NULL, 0, 0);
        break;
    case GIB_RECORD_OPEN:
        remember_open(r, ring, position, record, size);
        if (r->log->indent)
            gib_batch_add(r, ring, GIB_CALL_BEGUN, record, size, NULL, 0, 0);
        break;
    case GIB_RECORD_RETURN:
        join(r, ring, record, size);
        break;
    case GIB_RECORD_THREAD:
        begin_thread(r, ring, (int32_t)record->word[0], (int32_t)record->word[1]);
        break;
    default:
        break;
    }
    ring->taken += record->kind != GIB_RECORD_PAD && record->kind != GIB_RECORD_THREAD;
}

/* The writer was faster. It says how many records it has overwritten; what of them was not taken is
 * lost. */
static void skip_overwritten(struct gib_reader *r, const struct gib_thread *thread,
                             struct gib_ring *ring, uint64_t head)
{
    uint64_t tail, dropped;
    int32_t pid, tid;
    uint32_t turn;
    int tries = 0;
    do { /* these belong together while `overwriting` is even and stays the same; a writer that
            was killed between may have left it odd */
        turn = __atomic_load_n(&thread->overwriting, __ATOMIC_ACQUIRE);
        tail = __atomic_load_n(&thread->tail, __ATOMIC_ACQUIRE);
        dropped = __atomic_load_n(&thread->dropped, __ATOMIC_ACQUIRE);
        pid = __atomic_load_n(&thread->tail_pid, __ATOMIC_ACQUIRE);
        tid = __atomic_load_n(&thread->tail_tid, __ATOMIC_ACQUIRE);
        if (tries > 100)
            sched_yield();
    } while (tries++ < 10000 &&
             (turn & 1 || turn != __atomic_load_n(&thread->overwriting, __ATOMIC_ACQUIRE)));
    tail = tail < head ? (tail + GIB_LINE - 1) & ~(uint64_t)(GIB_LINE - 1) : head;
    ring->position = tail > ring->position ? tail : head;
    if (tid && (tid != ring->tid || pid != ring->pid))
        begin_thread(r, ring, pid, tid);
    if (dropped <= ring->taken)
        return;
    count_lost(r, dropped - ring->taken);
    gib_batch_tell(r, ring, GIB_CALL_LOST, dropped - ring->taken, GIB_LOST_READING);
    ring->taken = dropped;
}

/* Takes what is in a piece of the ring that was copied from `start` on, `size` bytes; as far as
 * records are whole. False when it makes no sense. */
static bool take_piece(struct gib_reader *r, struct gib_ring *ring, char *piece, uint64_t start,
                       uint64_t size)
{
    while (ring->position < start + size) {
        struct gib_record *record = (struct gib_record *)(piece + (ring->position - start));
        uint64_t length = (uint64_t)record->lines * GIB_LINE;
        if (!length || length > r->ring_size - (ring->position & (r->ring_size - 1)))
            return false;
        if (length > start + size - ring->position)
            break;
        take_record(r, ring, ring->position, record, length);
        ring->position += length;
    }
    return true;
}

/* Copies a piece and takes its records. False when the ring makes no sense there. */
static bool read_piece(struct gib_reader *r, struct gib_thread *thread, struct gib_ring *ring,
                       uint64_t head, uint64_t most)
{
    uint64_t start = ring->position, offset = start & (r->ring_size - 1), size = head - start;
    if (size > r->ring_size - offset)
        size = r->ring_size - offset;
    uint64_t whole = size;
    if (size > most)
        size = most;
    char *piece = gib_batch_room(r, size);
    if (!piece)
        return false;
    memcpy(piece, (const char *)thread + r->ring_offset + offset, size);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* What the writer has given up meanwhile may be torn; what is behind the tail is not. */
    if (__atomic_load_n(&thread->tail, __ATOMIC_ACQUIRE) > start)
        skip_overwritten(r, thread, ring, head);
    if (ring->position >= start + size || ring->position < start)
        return true;
    uint64_t before = ring->position;
    if (!take_piece(r, ring, piece, start, size))
        return false;
    if (ring->position != before)
        return true;
    return size < whole && read_piece(r, thread, ring, head, whole); /* a long record */
}

/* The writer may reuse what is before the reader's position, and goes on counting there. */
static void tell_read(struct gib_thread *thread, const struct gib_ring *ring)
{
    uint64_t turn = __atomic_load_n(&thread->checkpoints, __ATOMIC_RELAXED) + 1;
    __atomic_thread_fence(__ATOMIC_RELEASE); /* the other one is told of before this one changes */
    __atomic_store_n(&thread->checkpoint[turn & 1].position, ring->position, __ATOMIC_RELAXED);
    __atomic_store_n(&thread->checkpoint[turn & 1].taken, ring->taken, __ATOMIC_RELAXED);
    __atomic_store_n(&thread->checkpoints, turn, __ATOMIC_RELEASE);
    __atomic_store_n(&thread->read, ring->position, __ATOMIC_RELEASE);
}

bool gib_ring_read(struct gib_reader *r, uint32_t index)
{
    enum { PIECE = 32 << 10, AT_ONCE = 512 << 10 };
    struct gib_thread *thread = gib_ring_block(r, index);
    struct gib_ring *ring = &r->ring[index];
    /* Whole lines only: a scribbled head must not lead to half of one. */
    uint64_t head = __atomic_load_n(&thread->head, __ATOMIC_ACQUIRE) & ~(uint64_t)(GIB_LINE - 1);
    if (head - ring->position > r->ring_size * 2 && head < ring->position)
        ring->position = head; /* the head went back: scribbled on */
    if (ring->position >= head)
        return false;
    uint64_t begin = ring->position;
    gib_batch_begin_run(r);
    while (ring->position < head && ring->position - begin < AT_ONCE) {
        if (__atomic_load_n(&thread->tail, __ATOMIC_ACQUIRE) > ring->position) {
            skip_overwritten(r, thread, ring, head);
            begin = ring->position;
            continue;
        }
        if (!read_piece(r, thread, ring, head, PIECE)) {
            count_lost(r, 1);
            ring->position = head;
            break;
        }
        tell_read(thread, ring);
        gib_reader_beat(r);
    }
    tell_read(thread, ring);
    return true;
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
        gib_batch_begin_run(r);
        uint64_t offset = ring->position & (r->ring_size - 1);
        const struct gib_record *record =
            (const struct gib_record *)((const char *)thread + r->ring_offset + offset);
        size_t size = (size_t)record->lines * GIB_LINE;
        if (thread->open == ring->position + 1 && size && size <= r->ring_size - offset &&
            record->kind == GIB_RECORD_OPEN) {
            remember_open(r, ring, ring->position, record, size);
        }
        report_unfinished(r, ring, true);
        thread->open = 0;
    }
    gib_batch_append(r);
}
