/*
 * stream.c: calls are written to a file as they come.
 *
 * A thread follows the spool, renders what is new and writes it in large pieces, each of whole
 * events: a debugger that is killed leaves whole lines. A trace needs no closing bracket to be
 * loaded; it gets one whenever the target ends, and loses it when more comes.
 */
#include "log/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct gib_stream {
    struct gib_log *log;
    int fd;
    bool regular; /* a file, which can be shortened; else a pipe, a terminal... */
    struct gib_log_stream_state state;
    pthread_t thread;
    /* Of the thread alone. */
    struct gib_renderer *renderer;
    struct gib_spool_cursor cursor;
    uint64_t pending; /* lines that are rendered and not written */
    bool complete;    /* the file has its last bytes */
    int64_t size;     /* of the file, without them */
    /* With the log's lock. */
    uint64_t place; /* what is before has been written */
    bool wanted;    /* somebody waits until the file has all before wanted_place, and is complete */
    uint64_t wanted_place;
    bool stop, over, gone; /* gone: the file was removed */
    bool starting;         /* whoever starts it tells of an error */
    int error;             /* why it ended itself */
};

enum { PIECE = 256 << 10, PATIENCE = 2000 /* ms, for a pipe that nobody reads, at the end */ };

uint64_t gib_stream_place(const struct gib_log *log)
{
    const struct gib_stream *s = log->stream;
    return s && !s->over ? s->place : UINT64_MAX;
}

bool gib_stream_bounds(const struct gib_log *log)
{
    return gib_stream_place(log) != UINT64_MAX && !log->stream->state.patch;
}

bool gib_stream_lags(struct gib_log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t place = gib_stream_place(log);
    bool lags = place < log->spool.end && log->spool.end - place > GIB_SPOOL_SEGMENT;
    pthread_mutex_unlock(&log->lock);
    return lags;
}

/* ---- the thread ---- */

static bool is_stopping(struct gib_stream *s)
{
    pthread_mutex_lock(&s->log->lock);
    bool stop = s->stop;
    pthread_mutex_unlock(&s->log->lock);
    return stop;
}

/* A pipe that is full: waits for its reader, at the end only for a while. */
static bool wait_for_room(struct gib_stream *s)
{
    struct pollfd poll_for = {s->fd, POLLOUT, 0};
    for (int waited = 0; waited < PATIENCE; waited += 100) {
        if (poll(&poll_for, 1, 100) > 0)
            return true;
        if (!is_stopping(s))
            waited = 0;
    }
    return false;
}

static int write_bytes(struct gib_stream *s, const char *bytes, size_t size)
{
    size_t done = 0, part;
    int error;
    do {
        error = gib_write_all(s->fd, bytes + done, size - done, -1, NULL, &part);
        done += part;
    } while (error == EAGAIN && wait_for_room(s));
    return error;
}

/* The file as it was before a piece that could not be written whole. */
static void take_back(struct gib_stream *s)
{
    if (s->regular && ftruncate(s->fd, s->size) == 0)
        lseek(s->fd, s->size, SEEK_SET);
}

static void fail(struct gib_stream *s, int error)
{
    struct gib_log *log = s->log;
    pthread_mutex_lock(&log->lock);
    s->over = true;
    s->error = error;
    const char *why = s->gone ? "it was removed" : strerror(error);
    if (!s->starting)
        gib_log_set_problem(log,
                            "Calls are no longer written to %.200s: %s. It has %llu; later ones "
                            "are kept for \"gibbon log -save\".",
                            s->state.path, why, (unsigned long long)s->state.written);
    pthread_cond_broadcast(&log->grown);
    pthread_mutex_unlock(&log->lock);
}

/* Writes what is rendered. */
static bool write_out(struct gib_stream *s)
{
    struct gib_out *out = gib_renderer_out(s->renderer);
    struct stat status;
    int error = out->failed ? ENOMEM : 0;
    if (s->regular && fstat(s->fd, &status) == 0 && status.st_nlink == 0) {
        s->gone = true;
        error = ENOENT;
    }
    if (!error && s->complete && s->regular) {
        take_back(s); /* it goes on */
        s->complete = false;
    }
    if (!error && out->used)
        error = write_bytes(s, out->bytes, out->used);
    if (error) {
        take_back(s);
        fail(s, error);
        return false;
    }
    s->size += (int64_t)out->used;
    out->used = 0;
    pthread_mutex_lock(&s->log->lock);
    s->state.written += s->pending;
    s->place = s->cursor.place;
    pthread_cond_broadcast(&s->log->grown);
    pthread_mutex_unlock(&s->log->lock);
    s->pending = 0;
    return true;
}

static bool render_block(struct gib_stream *s)
{
    struct gib_log *log = s->log;
    const struct gib_call *call;
    struct gib_log_view view;
    uint64_t none = 0;
    bool good = true;
    while (good) {
        gib_log_lock_sites(log);
        while (gib_renderer_out(s->renderer)->used < PIECE && (call = gib_spool_next(&s->cursor)))
            if (gib_log_view_make(log, call, &view))
                s->pending += gib_render(s->renderer, &view, s->state.patch, false, &none);
        pthread_rwlock_unlock(&log->sites);
        if (gib_renderer_out(s->renderer)->used < PIECE)
            return true;
        good = write_out(s);
    }
    return false;
}

static bool complete(struct gib_stream *s)
{
    struct gib_out *out = gib_renderer_out(s->renderer);
    if (!write_out(s))
        return false;
    if (s->complete || (!s->regular && !is_stopping(s))) /* a pipe cannot take anything back */
        return true;
    gib_renderer_end(s->renderer);
    int error = write_bytes(s, out->bytes, out->used);
    out->used = 0;
    s->complete = true;
    if (error) {
        take_back(s);
        fail(s, error);
    }
    return !error;
}

/* Waits for more in the spool. False at the end; *quiet: there is no more for now. */
static bool next_block(struct gib_stream *s, bool *quiet)
{
    struct gib_log *log = s->log;
    pthread_mutex_lock(&log->lock);
    *quiet = !gib_spool_fill(&log->spool, &s->cursor);
    bool go_on = !*quiet || !s->stop;
    pthread_mutex_unlock(&log->lock);
    return go_on;
}

static void wait_for_more(struct gib_stream *s)
{
    struct gib_log *log = s->log;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 1; /* has the file been removed? */
    pthread_mutex_lock(&log->lock);
    if (!s->stop && s->cursor.place >= log->spool.end && !s->wanted)
        pthread_cond_timedwait(&log->grown, &log->lock, &end);
    pthread_mutex_unlock(&log->lock);
}

static bool is_wanted(struct gib_stream *s)
{
    pthread_mutex_lock(&s->log->lock);
    bool wanted =
        s->wanted && (s->cursor.place >= s->wanted_place || s->cursor.place >= s->log->spool.end);
    pthread_mutex_unlock(&s->log->lock);
    return wanted;
}

static void *run(void *argument)
{
    struct gib_stream *s = argument;
    struct gib_log *log = s->log;
    bool quiet = false, good = true;
    while (good && next_block(s, &quiet)) {
        if (!quiet) {
            good = render_block(s);
            continue;
        }
        if (is_wanted(s)) {
            good = complete(s);
            pthread_mutex_lock(&log->lock);
            s->wanted = false;
            pthread_cond_broadcast(&log->grown);
            pthread_mutex_unlock(&log->lock);
        } else if (gib_renderer_out(s->renderer)->used || s->pending ||
                   s->place != s->cursor.place || !s->complete) {
            good = write_out(s);
        }
        if (good)
            wait_for_more(s);
    }
    if (good)
        complete(s);
    pthread_mutex_lock(&log->lock);
    s->over = true;
    s->wanted = false;
    pthread_cond_broadcast(&log->grown);
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

/* ---- life ---- */

static void free_stream(struct gib_stream *s)
{
    if (s->fd >= 0)
        close(s->fd);
    gib_renderer_free(s->renderer);
    free(s);
}

static int refuse(struct gib_error *error, const char *format, const char *path, int code)
{
    if (error) {
        error->code = GIB_E_FILE;
        error->address = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(error->message, sizeof error->message, format, path, strerror(code));
#pragma GCC diagnostic pop
    }
    return GIB_E_FILE;
}

#define NOT_TO_THE_END "%.150s could not be written to the end: %s."

int gib_log_create(const char *path, struct gib_error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    struct stat status;
    if (fd < 0 && errno == ENXIO && !stat(path, &status) && S_ISFIFO(status.st_mode))
        refuse(error, "%.150s cannot be written: nobody reads this pipe.", path, 0);
    else if (fd < 0)
        refuse(error, "%.150s cannot be written: %s.", path, errno);
    return fd;
}

int gib_log_stream(struct gib_log *log, const char *path, enum gib_log_format format, int patch,
                   struct gib_error *error)
{
    gib_log_stream_end(log, NULL, NULL);
    struct gib_stream *s = calloc(1, sizeof *s);
    struct stat status;
    if (!s || !(s->renderer = gib_renderer_new(format))) {
        free(s);
        return refuse(error, "%.150s cannot be written: %s.", path, ENOMEM);
    }
    s->fd = gib_log_create(path, error);
    if (s->fd < 0) {
        free_stream(s);
        return GIB_E_FILE;
    }
    s->log = log;
    s->starting = true;
    s->regular = !fstat(s->fd, &status) && S_ISREG(status.st_mode);
    s->state.format = format;
    s->state.patch = patch;
    snprintf(s->state.path, sizeof s->state.path, "%s", path);
    if (log->indent)
        gib_renderer_indent(s->renderer, NULL);
    gib_renderer_begin(s->renderer);
    sigset_t all, before;
    sigfillset(&all);
    pthread_mutex_lock(&log->life);
    pthread_mutex_lock(&log->lock);
    s->place = gib_spool_begin(&log->spool);
    s->cursor.keeps = !patch;
    gib_spool_begin_cursor(&log->spool, &s->cursor, s->place);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&s->thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!code)
        log->stream = s;
    if (code)
        gib_spool_end_cursor(&log->spool, &s->cursor);
    pthread_mutex_unlock(&log->lock);
    pthread_mutex_unlock(&log->life);
    if (code) {
        free_stream(s);
        return refuse(error, "%.150s cannot be written: %s.", path, code);
    }
    gib_log_stream_complete(log);
    pthread_mutex_lock(&log->lock);
    s->starting = false;
    code = s->over ? s->error : 0;
    pthread_mutex_unlock(&log->lock);
    if (!code)
        return 0;
    gib_log_stream_end(log, NULL, NULL);
    return refuse(error, NOT_TO_THE_END, path, code);
}

bool gib_log_streams(struct gib_log *log, struct gib_log_stream_state *state)
{
    pthread_mutex_lock(&log->lock);
    bool streams = log->stream && !log->stream->over;
    if (streams && state)
        *state = log->stream->state;
    pthread_mutex_unlock(&log->lock);
    return streams;
}

void gib_log_stream_complete(struct gib_log *log)
{
    pthread_mutex_lock(&log->life);
    pthread_mutex_lock(&log->lock);
    struct gib_stream *s = log->stream;
    uint64_t place = 0;
    struct timespec end = {0};
    if (s && !s->over) {
        s->wanted = true;
        s->wanted_place = log->spool.end;
        pthread_cond_broadcast(&log->grown);
    }
    /* As long as it gets on: a pipe may have a slow reader, or none. */
    while (s && !s->over && s->wanted) {
        if (place != s->place || !end.tv_sec) {
            place = s->place;
            clock_gettime(CLOCK_MONOTONIC, &end);
            end.tv_sec += PATIENCE / 1000;
        }
        if (pthread_cond_timedwait(&log->grown, &log->lock, &end) && place == s->place)
            break;
    }
    pthread_mutex_unlock(&log->lock);
    pthread_mutex_unlock(&log->life);
}

int gib_log_stream_end(struct gib_log *log, uint64_t *written, struct gib_error *error)
{
    if (written)
        *written = 0;
    gib_log_drain(log);
    pthread_mutex_lock(&log->life);
    pthread_mutex_lock(&log->lock);
    struct gib_stream *s = log->stream;
    bool was_over = s && s->over;
    if (s)
        s->stop = true;
    pthread_cond_broadcast(&log->grown);
    pthread_mutex_unlock(&log->lock);
    int failed = 0;
    if (s) {
        pthread_join(s->thread, NULL);
        pthread_mutex_lock(&log->lock);
        log->stream = NULL;
        gib_spool_end_cursor(&log->spool, &s->cursor);
        if (s->error && !was_over) { /* this is where it is told */
            free(log->problem);
            log->problem = NULL;
            failed = refuse(error, NOT_TO_THE_END, s->state.path, s->error);
        }
        pthread_mutex_unlock(&log->lock);
        if (written)
            *written = s->state.written;
        free_stream(s);
    }
    pthread_mutex_unlock(&log->life);
    return failed;
}
