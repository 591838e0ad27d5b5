/*
 * internal.h: the log's state.
 *
 *   log.c      processes, sites, what is shown of the spool
 *   spool.c    the calls, in temporary files
 *   render.c   one call in one of the formats: text.c, jsonl.c, csv.c, trace.c
 *   stream.c   a file that grows with the calls
 *   reader.c   the thread that reads the rings, the thread that tells of it; see reader.h
 *
 * Locks, in the order in which they may be taken together: the reader's (reader.h), `sites`,
 * `lock`.
 */
#ifndef GIBBON_LOG_INTERNAL_H
#define GIBBON_LOG_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include "log/log.h"
#include "log/nesting.h"
#include "log/spool.h"

/* One process whose calls are in the spool. */
struct gib_log_process {
    struct gib_modules *modules;
    struct gib_log_site **site;
    uint32_t site_count;
    bool names_changed; /* since it was decided which sites are ambiguous */
    uint64_t first;     /* time stamp of its first record, 0: none yet; atomic */
};

struct gib_reader;
struct gib_stream;

struct gib_log {
    void (*wake)(void *context);
    void (*tick)(void *context);
    void *wake_context;
    double ticks_per_second;

    pthread_rwlock_t sites; /* of the processes and their sites; never taken twice by one thread */
    struct gib_log_process *process;
    uint32_t process_count;
    uint64_t serials;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t grown; /* the spool has grown, or somebody is to look */
    struct gib_spool spool;
    uint64_t printed;         /* place in the spool: what has been shown */
    uint64_t lost, unwritten; /* records; of those, how many the spool could not take */
    char *problem;            /* a sentence for the user */
    struct gib_stream *stream;

    pthread_mutex_t life; /* who starts and ends streams */
    struct gib_reader *reader;
    _Atomic bool indent;
    pthread_mutex_t show;       /* who prints; taken before the others */
    struct gib_nesting nesting; /* of what has been printed; with `show` */
};

/* render.c */
struct gib_renderer;
struct gib_renderer *gib_renderer_new(enum gib_log_format format);
void gib_renderer_free(struct gib_renderer *renderer);
/* Indents text; `nesting`: of the caller's, NULL: the renderer's own. */
void gib_renderer_indent(struct gib_renderer *renderer, struct gib_nesting *nesting);
/* Where the text goes; whoever takes bytes away may empty it between two calls. */
struct gib_out *gib_renderer_out(struct gib_renderer *renderer);
/* What stands before the first call and behind the last one. */
void gib_renderer_begin(struct gib_renderer *renderer);
void gib_renderer_end(struct gib_renderer *renderer);
/* One line for each patch of the site that wanted the record, after the first *skip of all lines.
 * `patch`: 0 for any; `print`: without those of -quiet. Returns how many were written. */
unsigned gib_render(struct gib_renderer *renderer, struct gib_log_view *view, int patch, bool print,
                    uint64_t *skip);

/* log.c. Both with `sites` locked for reading. */
bool gib_log_view_make(const struct gib_log *log, const struct gib_call *call,
                       struct gib_log_view *view);
/* Locks `sites` for reading, and decides before which ones are ambiguous. */
void gib_log_lock_sites(struct gib_log *log);
void gib_log_set_problem(struct gib_log *log, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* stream.c, with `lock` held: how far it is, UINT64_MAX without one; whether older calls may go. */
uint64_t gib_stream_place(const struct gib_log *log);
bool gib_stream_bounds(const struct gib_log *log);
/* Whether it is too far behind for more to be read. */
bool gib_stream_lags(struct gib_log *log);

/* spool.c. A full disk may be a signal (RLIMIT_FSIZE), as a closed pipe is; either would end the
 * debugger. They are held back, and those that come meanwhile are dropped. */
struct gib_quiet_signals {
    sigset_t before;
    bool pending[2];
};
void gib_hold_signals(struct gib_quiet_signals *held);
void gib_let_signals(const struct gib_quiet_signals *held);
/* write(2) to the end, without the signals of full disks and closed pipes; `beat` is
 * increased meanwhile. 0 or an errno. *done: bytes written. */
int gib_write_all(int fd, const char *bytes, size_t size, int64_t offset, uint32_t *beat,
                  size_t *done);

#endif
