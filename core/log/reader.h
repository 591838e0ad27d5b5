/*
 * reader.h: the parts of the reader.
 *
 *   reader.c   the thread that looks at the rings again and again, and its life
 *   rings.c    takes records out of a ring and joins calls with their returns
 *   batch.c    brings the calls of one pass into order and hands them to the log
 *
 * The log is locked in every function here but gib_has_ended.
 */
#ifndef GIBBON_LOG_READER_H
#define GIBBON_LOG_READER_H

#include <stdatomic.h>
#include "log/internal.h"

/* A call whose return has not been seen. */
struct gib_open_call {
    struct gib_open_call *next; /* newest first */
    uint64_t position;
    struct gib_call call;
    /* the record follows */
};

struct gib_ring {
    uint64_t position; /* of the next record */
    uint64_t taken;    /* records (calls, returns) before `position`, read or lost */
    int32_t pid, tid;
    struct gib_open_call *open;
};

/* Calls of one pass, sorted by the time they ended before they are appended. */
struct gib_batch_entry {
    uint64_t ended;
    size_t offset;
};
struct gib_batch {
    struct gib_batch_entry *entry;
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
    struct gib_ring ring[GIB_MAX_THREADS];
    struct gib_batch batch;
    uint8_t copy[65536 * GIB_LINE]; /* one record, the longest that `lines` can say */
};

/* batch.c: adds a call made of `record` (size bytes) and more bytes behind it. */
void gib_batch_add(struct gib_reader *r, const struct gib_ring *ring, enum gib_call_status status,
                   const void *record, size_t size, const void *more, size_t more_size);
/* Hands all calls to the log, in the order in which they ended; true when there were any. */
bool gib_batch_append(struct gib_reader *r);

/* rings.c */
struct gib_thread *gib_ring_block(const struct gib_reader *r, uint32_t index);
/* Takes what is new in one ring, up to a limit; true when there was something. */
bool gib_ring_read(struct gib_reader *r, uint32_t index);
/* What threads of ended processes were doing: calls written but not yet published, and those left
 * open. */
void gib_rings_unfinished(struct gib_reader *r);

/* reader.c: whether the process has ended; a zombie has, though its parent has not noticed yet. */
bool gib_has_ended(pid_t pid);

#endif
