/*
 * reader.h: the parts of the reader.
 *
 *   reader.c   the thread that looks at the rings again and again, and its life
 *   rings.c    takes records out of a ring and joins calls with their returns
 *   batch.c    brings the calls of one pass into order and hands them to the log
 *
 * Every function here but gib_has_ended is called with the reader's lock held, and with the log's
 * sites locked for reading.
 */
#ifndef GIBBON_LOG_READER_H
#define GIBBON_LOG_READER_H

#include <stdatomic.h>
#include "log/internal.h"

/* A call whose return has not been seen. */
struct gib_open_call {
    struct gib_open_call *next; /* newest first */
    uint64_t position;
    size_t size; /* of the record, which follows */
};

struct gib_ring {
    uint64_t position; /* of the next record */
    uint64_t taken;    /* records (calls, returns) before `position`, read or lost */
    uint64_t latest;   /* time stamp of the last thing that was seen in it */
    int32_t pid, tid;
    struct gib_open_call *open; /* the newest first */
    size_t opened;              /* how many */
};

/* Calls of one pass. Those of one ring are a run, in the order in which they ended. */
struct gib_batch_entry {
    uint64_t ended;
    const void *record; /* in the batch's memory */
    const void *more;   /* bytes behind it, of more_size; also there */
    uint32_t size, more_size;
    int32_t pid, tid;
    uint16_t status, flags;
};
struct gib_batch_run {
    size_t next, end; /* entries */
};
struct gib_batch_block {
    char *bytes;
    size_t size, used;
};
struct gib_batch {
    struct gib_batch_entry *entry;
    size_t count, room;
    struct gib_batch_run run[GIB_MAX_THREADS];
    size_t runs;
    struct gib_batch_block *block;
    size_t blocks, block_room, filling; /* `filling`: the one that is used now */
};

struct gib_reader {
    struct gib_log *log;
    struct gib_shared *shared;
    uint64_t size;
    uint64_t ring_size, thread_size, threads,
        ring_offset; /* from shared, before the target could change them */
    uint32_t process;
    atomic_int pid;       /* of the process whose end is waited for */
    pthread_mutex_t lock; /* of ring and batch */
    pthread_t thread, teller;
    atomic_bool stop, waking, gone;
    struct gib_ring ring[GIB_MAX_THREADS];
    struct gib_batch batch;
};

/* The target waits as long as it sees this. A thread that lost patience, as with a debugger that
 * was stopped for a while, is told that it may wait again. */
static inline void gib_reader_beat(struct gib_reader *r)
{
    if (!__atomic_load_n(&r->shared->reader, __ATOMIC_RELAXED))
        __atomic_store_n(&r->shared->reader, 1, __ATOMIC_RELEASE);
    __atomic_add_fetch(&r->shared->reader_beat, 1, __ATOMIC_RELAXED);
}

/* batch.c: memory that stays until the batch is appended; NULL when there is none. */
void *gib_batch_room(struct gib_reader *r, size_t size);
/* What is added from here on is of another ring. */
void gib_batch_begin_run(struct gib_reader *r);
/* Adds a call made of `record` (size bytes, in the batch's memory) and more bytes behind it. */
void gib_batch_add(struct gib_reader *r, struct gib_ring *ring, enum gib_call_status status,
                   const void *record, size_t size, const void *more, size_t more_size,
                   enum gib_call_flags flags);
/* The same for what is no call: a record of one line is made. */
void gib_batch_tell(struct gib_reader *r, struct gib_ring *ring, enum gib_call_status status,
                    uint64_t first, uint64_t second);
/* Hands all calls to the log, in the order in which they ended; true when there were any. */
bool gib_batch_append(struct gib_reader *r);
void gib_batch_free(struct gib_batch *batch);

/* rings.c */
struct gib_thread *gib_ring_block(const struct gib_reader *r, uint32_t index);
/* Takes what is new in one ring, up to a limit; true when there was something. */
bool gib_ring_read(struct gib_reader *r, uint32_t index);
/* What threads of ended processes were doing: calls written but not yet published, and those left
 * open. */
void gib_rings_unfinished(struct gib_reader *r);

/* reader.c: whether the process has ended; a zombie has, though its parent has not noticed yet.
 * One that cannot be looked at now has not. */
bool gib_has_ended(pid_t pid);

#endif
