/*
 * spool.h: the calls, in temporary files without names.
 *
 *   place  0 ........... old.start .............. current.start ............ written ........ end
 *          | gone        | file `old`             | file `current`           | buffer         |
 *
 * Each place is where a struct gib_call begins. They grow, except when the buffer cannot be
 * written: then it is thrown away, and its places are used again. A cursor that has read there goes
 * back.
 *
 * With `bounded`, a file that has
 * GIB_SPOOL_SEGMENT bytes is followed by a new one, and the one before it goes as soon as everybody
 * has read it. Without, there is one file that grows.
 *
 * The log's `lock` is held in every function here.
 */
#ifndef GIBBON_LOG_SPOOL_H
#define GIBBON_LOG_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gib_call;

struct gib_spool_file {
    int fd; /* -1: none */
    uint64_t start, calls;
};
struct gib_spool {
    struct gib_spool_file old, current;
    uint64_t first;   /* what is before was cleared */
    uint64_t written; /* what is behind is in the buffer */
    uint64_t end;
    char *buffer;
    uint64_t buffer_calls;
    uint64_t buffer_lost; /* what the buffer tells of: it is lost again if that is not written */
    uint64_t lost;        /* calls that could not be written and of which the spool does not tell */
    uint64_t gone;        /* calls that went with old files, or that only a stream has taken */
    uint64_t throws;      /* how often the buffer was thrown away */
    struct gib_spool_cursor *cursors; /* all that there are */
    bool failing;
    uint32_t *beat; /* of the reader: see gib_write_all; or NULL */
};

struct gib_spool_cursor {
    uint64_t place;
    uint64_t back; /* where it has to go back to, if it is beyond; with the lock */
    bool keeps; /* what it has taken is kept elsewhere: it is not lost when it cannot be written */
    struct gib_spool_cursor *next;
    char *block; /* owned */
    uint64_t block_start, block_size;
};

void gib_spool_open(struct gib_spool *spool);
void gib_spool_close(struct gib_spool *spool);
/* Adds a call: behind *call come the bytes of `record`, then those of `more`. Returns how many
 * calls could not be written and are lost, with errno and `failing`; it is 0 most of the time. */
uint64_t gib_spool_add(struct gib_spool *spool, const struct gib_call *call, const void *record,
                       size_t size, const void *more, size_t more_size);
/* The first place that is not cleared. */
uint64_t gib_spool_begin(const struct gib_spool *spool);
/* Drops what is before the end, as soon as it is before `needed`. */
void gib_spool_clear(struct gib_spool *spool, uint64_t needed);
/* Lets an old file go when all places below `needed` have been read, and begins a new one. */
void gib_spool_trim(struct gib_spool *spool, uint64_t needed, bool bounded);
/* A cursor, zeroed, is to begin and to end. Its place is to be asked for, as it may have to go
 * back. */
void gib_spool_begin_cursor(struct gib_spool *spool, struct gib_spool_cursor *cursor,
                            uint64_t place);
uint64_t gib_spool_cursor_place(struct gib_spool_cursor *cursor);
void gib_spool_end_cursor(struct gib_spool *spool, struct gib_spool_cursor *cursor);
/* Copies as many calls as there are from the cursor's place on, cleared or not as long as they are
 * there, up to a limit, into its block;
 * false when there is none, or it cannot be read. */
bool gib_spool_fill(const struct gib_spool *spool, struct gib_spool_cursor *cursor);

/* Needs no lock: the next call of the block; NULL at its end. */
const struct gib_call *gib_spool_next(struct gib_spool_cursor *cursor);

#endif
