/* spool.c: the calls, in temporary files. */
#include "log/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, BLOCK = 256 << 10 };

/* ---- writing ---- */

static const int quiet[2] = {SIGXFSZ, SIGPIPE};

void gib_hold_signals(struct gib_quiet_signals *held)
{
    sigset_t pending, ours;
    sigemptyset(&ours);
    sigpending(&pending);
    for (int i = 0; i < 2; i++) {
        sigaddset(&ours, quiet[i]);
        held->pending[i] = sigismember(&pending, quiet[i]) == 1;
    }
    pthread_sigmask(SIG_BLOCK, &ours, &held->before);
}

void gib_let_signals(const struct gib_quiet_signals *held)
{
    int error = errno;
    for (int i = 0; i < 2; i++) {
        const struct timespec now = {0, 0};
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, quiet[i]);
        if (!held->pending[i])
            sigtimedwait(&one, NULL, &now);
    }
    pthread_sigmask(SIG_SETMASK, &held->before, NULL);
    errno = error;
}

int gib_write_all(int fd, const char *bytes, size_t size, int64_t offset, uint32_t *beat,
                  size_t *done)
{
    enum { PIECE = 128 << 10 }; /* a slow disk takes its time for each */
    struct gib_quiet_signals held;
    int error = 0;
    *done = 0;
    gib_hold_signals(&held);
    while (*done < size && !error) {
        size_t piece = size - *done < PIECE ? size - *done : PIECE;
        ssize_t n = offset < 0 ? write(fd, bytes + *done, piece)
                               : pwrite(fd, bytes + *done, piece, offset + (int64_t)*done);
        if (n > 0)
            *done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            error = n == 0 ? ENOSPC : errno;
        if (beat)
            __atomic_add_fetch(beat, 1, __ATOMIC_RELAXED);
    }
    gib_let_signals(&held);
    return error;
}

/* tmpfile(3), without a FILE. */
static int temporary_file(void)
{
    char name[] = "/tmp/gibbon-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    return fd;
}

/* Everybody goes back to where the buffer begins. Returns how many of its calls a stream has. */
static uint64_t throw_away(struct gib_spool *spool)
{
    uint64_t taken = spool->written, calls = 0;
    for (struct gib_spool_cursor *c = spool->cursors; c; c = c->next) {
        bool thrown = c->back != UINT64_MAX; /* what it has last was of an earlier buffer */
        if (c->keeps && !thrown && c->block_start + c->block_size > taken)
            taken = c->block_start + c->block_size;
        if (c->back > spool->written)
            c->back = spool->written;
    }
    for (uint64_t at = spool->written; at < taken && at < spool->end;) {
        const struct gib_call *call =
            (const struct gib_call *)(spool->buffer + (at - spool->written));
        calls += call->status < GIB_CALL_LOST;
        at += call->size;
    }
    if (taken > spool->written)
        spool->buffer_lost = 0; /* it knows */
    spool->end = spool->written;
    spool->throws++;
    return calls;
}

/* What cannot be kept is counted as lost; the target never waits for a disk. Returns how many calls
 * that were. */
static uint64_t write_buffer(struct gib_spool *spool)
{
    size_t done, size = spool->end - spool->written;
    int error = ENOSPC;
    if (spool->current.fd < 0) /* there was no room for it */
        spool->current = (struct gib_spool_file){temporary_file(), spool->written, 0};
    if (spool->current.fd >= 0)
        error = gib_write_all(spool->current.fd, spool->buffer, size,
                              (int64_t)(spool->written - spool->current.start), spool->beat, &done);
    uint64_t lost = 0;
    if (error) {
        uint64_t taken = throw_away(spool);
        lost = spool->buffer_calls - taken;
        spool->gone += taken;
        spool->lost += spool->buffer_lost + lost;
    } else {
        spool->written = spool->end;
        spool->current.calls += spool->buffer_calls;
    }
    spool->failing = error != 0;
    spool->buffer_calls = spool->buffer_lost = 0;
    errno = error;
    return lost;
}

static void put(struct gib_spool *spool, const void *bytes, size_t size)
{
    memcpy(spool->buffer + (spool->end - spool->written), bytes, size);
    spool->end += size;
}

/* Where calls are missing that could not be written. */
static void tell_lost(struct gib_spool *spool, const struct gib_call *call,
                      const struct gib_record *record)
{
    struct gib_record lost = {
        .lines = 1, .entered = record->entered, .word = {spool->lost, GIB_LOST_SPOOLING}};
    struct gib_call what = {
        sizeof what + sizeof lost, call->process, call->pid, call->tid, GIB_CALL_LOST, 0};
    put(spool, &what, sizeof what);
    put(spool, &lost, sizeof lost);
    spool->buffer_lost = spool->lost;
    spool->lost = 0;
}

uint64_t gib_spool_add(struct gib_spool *spool, const struct gib_call *call, const void *record,
                       size_t size, const void *more, size_t more_size)
{
    enum { SPARE = sizeof(struct gib_call) + sizeof(struct gib_record) };
    bool counts = call->status < GIB_CALL_LOST;
    uint64_t lost = 0;
    if ((!spool->buffer && !(spool->buffer = malloc(BUFFER))) || call->size > BUFFER - SPARE) {
        spool->lost += counts;
        return counts;
    }
    if (spool->end - spool->written + call->size > BUFFER)
        lost = write_buffer(spool);
    if (spool->lost && spool->end == spool->written)
        tell_lost(spool, call, record);
    put(spool, call, sizeof *call);
    put(spool, record, size);
    if (more_size)
        put(spool, more, more_size);
    spool->buffer_calls += counts;
    return lost;
}

/* ---- files ---- */

void gib_spool_open(struct gib_spool *spool)
{
    *spool = (struct gib_spool){.old.fd = -1, .current.fd = temporary_file()};
}

void gib_spool_close(struct gib_spool *spool)
{
    if (spool->old.fd >= 0)
        close(spool->old.fd);
    if (spool->current.fd >= 0)
        close(spool->current.fd);
    free(spool->buffer);
}

static uint64_t oldest(const struct gib_spool *spool)
{
    return spool->old.fd >= 0 ? spool->old.start : spool->current.start;
}

uint64_t gib_spool_begin(const struct gib_spool *spool)
{
    return oldest(spool) > spool->first ? oldest(spool) : spool->first;
}

static void drop_old(struct gib_spool *spool)
{
    close(spool->old.fd);
    spool->old.fd = -1;
}

/* Everything in files and buffer is cleared and read: the file is emptied. */
static void start_again(struct gib_spool *spool)
{
    spool->written = spool->end;
    spool->buffer_calls = spool->buffer_lost = 0;
    spool->current.start = spool->end;
    spool->current.calls = 0;
    if (spool->current.fd >= 0 && ftruncate(spool->current.fd, 0)) {
        close(spool->current.fd); /* a new one is made at the next write */
        spool->current.fd = -1;
    }
}

void gib_spool_clear(struct gib_spool *spool, uint64_t needed)
{
    spool->first = spool->end;
    spool->gone = spool->lost = 0;
    gib_spool_trim(spool, needed, false);
}

void gib_spool_trim(struct gib_spool *spool, uint64_t needed, bool bounded)
{
    if (spool->old.fd >= 0 && spool->first >= spool->current.start &&
        needed >= spool->current.start)
        drop_old(spool);
    if (spool->old.fd < 0 && spool->first == spool->end && needed >= spool->end &&
        spool->current.start != spool->end)
        start_again(spool);
    if (!bounded || spool->written - spool->current.start < GIB_SPOOL_SEGMENT ||
        (spool->old.fd >= 0 && needed < spool->current.start))
        return;
    int fd = temporary_file();
    if (fd < 0)
        return; /* the one there is grows on */
    if (spool->old.fd >= 0) {
        if (spool->old.start >= spool->first)
            spool->gone += spool->old.calls;
        drop_old(spool);
    }
    spool->old = spool->current;
    spool->current = (struct gib_spool_file){fd, spool->written, 0};
}

/* ---- reading ---- */

void gib_spool_begin_cursor(struct gib_spool *spool, struct gib_spool_cursor *cursor,
                            uint64_t place)
{
    cursor->place = place;
    cursor->back = UINT64_MAX;
    cursor->next = spool->cursors;
    spool->cursors = cursor;
}

uint64_t gib_spool_cursor_place(struct gib_spool_cursor *cursor)
{
    if (cursor->place > cursor->back)
        cursor->place = cursor->back;
    cursor->back = UINT64_MAX;
    return cursor->place;
}

void gib_spool_end_cursor(struct gib_spool *spool, struct gib_spool_cursor *cursor)
{
    for (struct gib_spool_cursor **link = &spool->cursors; *link; link = &(*link)->next) {
        if (*link == cursor) {
            *link = cursor->next;
            break;
        }
    }
    free(cursor->block);
    cursor->block = NULL;
}

bool gib_spool_fill(const struct gib_spool *spool, struct gib_spool_cursor *cursor)
{
    if (!cursor->block && !(cursor->block = malloc(BUFFER)))
        return false;
    uint64_t from = gib_spool_cursor_place(cursor);
    if (from < oldest(spool))
        from = cursor->place = oldest(spool);
    uint64_t size = BLOCK;
    ssize_t got = 0;
    cursor->block_start = from;
    cursor->block_size = 0;
    if (from >= spool->end)
        return false;
    if (from >= spool->written) {
        size = spool->end - from;
        memcpy(cursor->block, spool->buffer + (from - spool->written), size);
        got = (ssize_t)size;
    } else {
        const struct gib_spool_file *file =
            from < spool->current.start ? &spool->old : &spool->current;
        uint64_t end = from < spool->current.start ? spool->current.start : spool->written;
        for (; got >= 0 && size <= BUFFER; size = BUFFER) {
            if (size > end - from)
                size = end - from;
            got = pread(file->fd, cursor->block, size, (off_t)(from - file->start));
            const struct gib_call *call = (const struct gib_call *)cursor->block;
            if (got >= (ssize_t)sizeof *call && call->size <= (uint64_t)got)
                break; /* one call at least, and most of them are small */
            if (size == end - from || size == BUFFER) {
                got = -1;
                break;
            }
        }
    }
    if (got <= 0) { /* a disk that cannot be read: on to what is in memory */
        cursor->place = spool->written > from ? spool->written : spool->end;
        return cursor->place < spool->end && gib_spool_fill(spool, cursor);
    }
    cursor->block_size = (uint64_t)got;
    return true;
}

const struct gib_call *gib_spool_next(struct gib_spool_cursor *cursor)
{
    uint64_t left = cursor->block_start + cursor->block_size - cursor->place;
    const struct gib_call *call =
        (const struct gib_call *)(cursor->block + (cursor->place - cursor->block_start));
    if (cursor->place < cursor->block_start || !cursor->block_size || left < sizeof *call ||
        call->size > left || call->size < sizeof *call + sizeof(struct gib_record))
        return NULL;
    cursor->place += call->size;
    return call;
}
