/*
 * reader.c: takes records out of the rings while the target runs.
 *
 * A native thread: no debugger API is usable while LLDB runs synchronously. What it reads is
 * untrusted: every size is checked before it is used, and a ring that makes no sense is skipped to
 * its head.
 */
#include "log/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* A call whose return has not been seen. */
struct open_call {
    struct open_call *next; /* newest first */
    uint64_t position;
    struct gib_call call;
    /* the record follows */
};

struct ring {
    uint64_t position; /* of the next record */
    uint64_t taken;    /* records (calls, returns) before `position`, read or lost */
    int32_t pid, tid;
    struct open_call *open;
};

/* Calls of one pass, sorted by the time they ended before they are appended. */
struct batch_entry {
    uint64_t ended;
    size_t offset;
};
struct batch {
    struct batch_entry *entry;
    size_t count, room;
    uint8_t *bytes;
    size_t used, size;
};

struct gib_reader {
    struct gib_log *log;
    struct gib_shared *shared;
    uint64_t size;
    uint64_t ring_size, thread_size, threads,
        ring_offset; /* from shared, before the target could change them */
    pid_t pid;
    pthread_t thread;
    atomic_bool stop, waking, gone;
    struct ring ring[GIB_MAX_THREADS];
    struct batch batch;
    uint8_t copy[65536 * GIB_LINE]; /* one record, the longest that `lines` can say */
};

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

/* Adds a call made of `record` (size bytes) and more bytes behind it. */
static void add(struct gib_reader *r, const struct ring *ring, enum gib_call_status status,
                const void *record, size_t size, const void *more, size_t more_size)
{
    struct batch *b = &r->batch;
    const struct gib_record *head = record;
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
    b->entry[b->count++] = (struct batch_entry){ended, b->used};
    memcpy(b->bytes + b->used, &call, sizeof call);
    memcpy(b->bytes + b->used + sizeof call, record, size);
    if (more_size)
        memcpy(b->bytes + b->used + sizeof call + size, more, more_size);
    b->used += call.size;
}

static int by_end(const void *a, const void *b)
{
    const struct batch_entry *x = a, *y = b;
    if (x->ended != y->ended)
        return x->ended < y->ended ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static struct gib_thread *block(const struct gib_reader *r, uint32_t index)
{
    return (struct gib_thread *)((char *)r->shared + r->threads + index * r->thread_size);
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
        for (const struct open_call *open = r->ring[i].open; open; open = open->next)
            earlier(first, (const struct gib_record *)(open + 1));
        const struct gib_thread *thread = block(r, i);
        uint64_t head =
            __atomic_load_n(&thread->head, __ATOMIC_ACQUIRE) & ~(uint64_t)(GIB_LINE - 1);
        if (thread->open == head + 1)
            earlier(first, (const struct gib_record *)((const char *)thread + r->ring_offset +
                                                       (head & (r->ring_size - 1))));
    }
}

static bool append_batch(struct gib_reader *r)
{
    struct batch *b = &r->batch;
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

/* ---- joining ---- */

static void remember_open(struct gib_reader *r, struct ring *ring, uint64_t position, size_t size)
{
    struct open_call *open = malloc(sizeof *open + size);
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

static struct open_call *find_open(struct ring *ring, uint64_t position, bool take)
{
    for (struct open_call **link = &ring->open; *link; link = &(*link)->next) {
        struct open_call *open = *link;
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

static void join(struct gib_reader *r, struct ring *ring, size_t size)
{
    struct gib_record *back = (struct gib_record *)r->copy;
    struct ring *home = ring;
    bool elsewhere = back->site >> 24 & GIB_RECORD_ELSEWHERE, take = true;
    if (elsewhere) {
        uint64_t index = (back->word[1] - r->threads) / r->thread_size;
        home = index < GIB_MAX_THREADS ? &r->ring[index] : ring;
        take = home->pid == ring->pid; /* after fork the parent returns as well */
    }
    back->site &= 0xffffff;
    struct open_call *open = find_open(home, back->word[0], take);
    if (!open) {
        add(r, ring, GIB_CALL_RESUMED, back, size, NULL, 0);
        return;
    }
    struct gib_record *front = (struct gib_record *)(open + 1);
    uint64_t ended = back->duration;
    front->duration = ended - front->entered;
    front->result = back->result;
    size_t chunks = offsetof(struct gib_record, word) + 24;
    add(r, ring, GIB_CALL_DONE, front, used_size(r->log, front, open->call.size), r->copy + chunks,
        size - chunks);
    if (take)
        free(open);
}

static void report_unfinished(struct gib_reader *r, struct ring *ring)
{
    struct open_call *oldest = NULL;
    while (ring->open) { /* the list has the newest first */
        struct open_call *open = ring->open;
        ring->open = open->next;
        open->next = oldest;
        oldest = open;
    }
    while (oldest) {
        struct open_call *open = oldest;
        oldest = open->next;
        add(r, ring, GIB_CALL_UNFINISHED, open + 1, open->call.size, NULL, 0);
        free(open);
    }
}

/* ---- reading ---- */

static void take_record(struct gib_reader *r, struct ring *ring, uint64_t position, size_t size)
{
    struct gib_record *record = (struct gib_record *)r->copy;
    switch (record->kind) {
    case GIB_RECORD_CALL:
        add(r, ring, GIB_CALL_DONE, record, size, NULL, 0);
        break;
    case GIB_RECORD_ENTRY:
        add(r, ring, GIB_CALL_ENTRY, record, size, NULL, 0);
        break;
    case GIB_RECORD_OPEN:
        remember_open(r, ring, position, size);
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
                             struct ring *ring, uint64_t head)
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
    add(r, ring, GIB_CALL_LOST, &record, sizeof record, NULL, 0);
}

static bool read_ring(struct gib_reader *r, uint32_t index)
{
    enum { AT_ONCE = 8192 };
    struct gib_thread *thread = block(r, index);
    struct ring *ring = &r->ring[index];
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

/* One pass over all rings; true when there was something. The log is locked. */
static bool pass(struct gib_reader *r)
{
    uint32_t used = __atomic_load_n(&r->shared->threads_used, __ATOMIC_ACQUIRE);
    bool any = false;
    __atomic_add_fetch(&r->shared->reader_beat, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < used && i < GIB_MAX_THREADS; i++)
        any |= read_ring(r, i);
    append_batch(r);
    return any;
}

/* A zombie has ended as well; its parent, the debugger, has not noticed yet. */
static bool has_ended(pid_t pid)
{
    char name[64], text[512];
    snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(name, "re");
    if (!file)
        return true;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *behind = strrchr(text, ')');
    return !behind || (behind[1] == ' ' && (behind[2] == 'Z' || behind[2] == 'X'));
}

/* What threads were doing when they ended: calls that are written but unpublished at the head, and
 * those left open. */
static void take_unfinished(struct gib_reader *r)
{
    for (uint32_t i = 0; i < GIB_MAX_THREADS && i < r->shared->threads_used; i++) {
        struct gib_thread *thread = block(r, i);
        struct ring *ring = &r->ring[i];
        if (!ring->pid || !has_ended(ring->pid))
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
    append_batch(r);
}

void gib_log_drain(struct gib_log *log)
{
    pthread_mutex_lock(&log->lock);
    for (int i = 0; log->reader && i < 4096 && pass(log->reader); i++)
        ;
    pthread_mutex_unlock(&log->lock);
}

void gib_log_ended(struct gib_log *log)
{
    gib_log_drain(log);
    pthread_mutex_lock(&log->lock);
    if (log->reader)
        take_unfinished(log->reader);
    pthread_mutex_unlock(&log->lock);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *run(void *argument)
{
    struct gib_reader *r = argument;
    int64_t ticked = now_ms();
    int idle = 0;
    while (!atomic_load(&r->stop)) {
        pthread_mutex_lock(&r->log->lock);
        bool any = pass(r);
        bool show = r->log->spool_size > r->log->printed;
        pthread_mutex_unlock(&r->log->lock);
        if (show && !atomic_exchange(&r->waking, true))
            r->log->wake(r->log->wake_context);
        idle = any ? 0 : idle + 1;
        if (idle >= 16 && idle % 16 == 0 && !atomic_load(&r->gone) && has_ended(r->pid)) {
            atomic_store(&r->gone, true);
            gib_log_ended(r->log);
        }
        if (now_ms() - ticked >= 100) {
            ticked = now_ms();
            r->log->tick(r->log->wake_context);
        }
        struct timespec pause = {0, idle < 200 ? 500000 : 5000000};
        if (!any)
            nanosleep(&pause, NULL);
    }
    return NULL;
}

/* ---- life ---- */

static uint64_t ticks(void)
{
    return __builtin_ia32_rdtsc();
}

/* The rate of the time stamp counter, once: 20 ms give it to better than one in ten thousand. */
static double measure_rate(void)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    uint64_t first = ticks();
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds =
        (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) * 1e-9;
    return (double)(ticks() - first) / seconds;
}

static int no_memory(struct gib_error *error)
{
    error->code = GIB_E_MEMORY;
    error->address = 0;
    snprintf(error->message, sizeof error->message, "The debugger is out of memory.");
    return GIB_E_MEMORY;
}

int gib_log_attach(struct gib_log *log, struct gib_shared *shared, uint64_t size,
                   struct gib_modules *modules, pid_t pid, struct gib_error *error)
{
    gib_log_detach(log);
    if (log->ticks_per_second == 0)
        log->ticks_per_second = measure_rate();
    struct gib_reader *r = calloc(1, sizeof *r);
    struct gib_log_process *processes =
        realloc(log->process, (log->process_count + 1) * sizeof *processes);
    if (processes)
        log->process = processes;
    if (!r || !processes) {
        free(r);
        return no_memory(error);
    }
    log->process[log->process_count++] = (struct gib_log_process){.modules = modules};
    r->log = log;
    r->shared = shared;
    r->size = size;
    r->pid = pid;
    r->ring_size = shared->ring_size;
    r->thread_size = shared->thread_size;
    r->threads = shared->threads;
    r->ring_offset = shared->ring_offset;
    log->reader = r;
    __atomic_store_n(&shared->reader, 1, __ATOMIC_RELEASE);
    /* The debugger's signals are for its own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&r->thread, NULL, run, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        log->reader = NULL;
        free(r);
        return no_memory(error);
    }
    return 0;
}

void gib_log_flushed(struct gib_log *log)
{
    struct gib_reader *r = log->reader;
    if (r)
        atomic_store(&r->waking, false);
}

bool gib_log_process_gone(struct gib_log *log)
{
    return log->reader && atomic_load(&log->reader->gone);
}

void gib_log_stop(struct gib_log *log)
{
    struct gib_reader *r = log->reader;
    if (!r || atomic_exchange(&r->stop, true))
        return;
    pthread_join(r->thread, NULL);
}

void gib_log_detach(struct gib_log *log)
{
    struct gib_reader *r = log->reader;
    if (!r)
        return;
    gib_log_stop(log);
    gib_log_ended(log);
    __atomic_store_n(&r->shared->reader, 0, __ATOMIC_RELEASE);
    pthread_mutex_lock(&log->lock);
    log->reader = NULL;
    for (size_t i = 0; i < GIB_MAX_THREADS; i++) {
        while (r->ring[i].open) {
            struct open_call *open = r->ring[i].open;
            r->ring[i].open = open->next;
            free(open);
        }
    }
    pthread_mutex_unlock(&log->lock);
    munmap(r->shared, r->size);
    free(r->batch.entry);
    free(r->batch.bytes);
    free(r);
}
