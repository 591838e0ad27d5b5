/*
 * log.h: from the rings to the user.
 *
 *   rings --reader--> spool (a temporary file) --renderer--> lines on the terminal, `log`, `log
 * -save`
 *                                              --renderer--> a stream: a file that grows with the
 * calls
 *
 * The reader takes records out of shared memory as fast as it can, joins a call and its return, and
 * appends them to the spool. Whatever is shown is rendered from the spool, so a slow terminal costs
 * the target nothing and memory does not grow.
 *
 * Threads: one reads the rings, one wakes the front-end, one writes the stream when there is one.
 * Every function here may be called from any thread.
 */
#ifndef GIBBON_LOG_H
#define GIBBON_LOG_H

#include <stdio.h>
#include <sys/types.h>
#include "agent/layout.h"
#include "code/x86_64/convention.h"
#include "elf/modules.h"
#include "log/out.h"
#include "prototypes/prototype.h"

/* In the order of GIB_LOG_FORMATS. */
enum gib_log_format {
    GIB_LOG_TEXT,
    GIB_LOG_JSONL,
    GIB_LOG_CSV,
    GIB_LOG_TRACE,
    GIB_LOG_MARKED = 16, /* text with marks (marks.h), to be shown */
};
#define GIB_LOG_FORMATS "text|jsonl|csv|trace"

/* What rendering needs to know of a site. Kept as long as the log: a deleted patch's calls can
 * still be shown. */
struct gib_log_site {
    char *function; /* as shown */
    char *module;
    struct gib_prototype *prototype; /* NULL: raw words */
    struct gib_convention convention;
    bool mocked;     /* the result is a mock's: the function was not called */
    bool ambiguous;  /* a patched function of another module has the same name; kept by the log */
    uint64_t serial; /* no other site ever has it; given by the log */
    struct {
        int patch; /* the user's number, 0: none */
        bool quiet;
    } action[GIB_MAX_ACTIONS];
};

/* One joined call in the spool. */
enum gib_call_status {
    GIB_CALL_DONE,
    GIB_CALL_ENTRY,      /* the return is not watched */
    GIB_CALL_UNFINISHED, /* the thread never came back */
    GIB_CALL_RESUMED,    /* only the return is known */
    GIB_CALL_LOST,       /* not a call: word[0] records were lost, word[1]: enum gib_lost */
    GIB_CALL_THREAD, /* not a call: a thread was seen first; word[0..1] is its name, not ended by
                        a NUL when it has 16 bytes */
    GIB_CALL_BEGUN,  /* not a call: others were recorded inside one; its end follows, or does not.
                        Only kept for lines that are indented */
};
enum gib_lost {
    GIB_LOST_READING, /* the target was faster than the reader, or a record made no sense */
    GIB_LOST_SPOOLING /* the temporary file could not be written */
};
enum gib_call_flags {
    GIB_CALL_INSIDE = 1, /* UNFINISHED: the last thing that its thread was seen to do */
};
struct gib_call {
    uint32_t size;    /* of this struct and the record behind it */
    uint32_t process; /* counts processes of this log, from 1 */
    int32_t pid, tid;
    uint32_t status; /* enum gib_call_status */
    uint32_t flags;  /* enum gib_call_flags */
    /* struct gib_record follows; of LOST and THREAD `entered` is a time nearby, or 0 */
};

struct gib_log;
/* Both are called from a thread of the log's that does nothing else: `wake` when there is something
 * to show, `tick` a few times a second. */
struct gib_log *gib_log_new(void (*wake)(void *context), void (*tick)(void *context),
                            void *context);
void gib_log_free(struct gib_log *log);

/* Starts reading `shared` of process `pid`: a mapping of `size` bytes that the log owns from now on
 * and unmaps in gib_log_detach. `modules` is borrowed and must live as long as the log. 0 or a
 * GIB_E_ code, and then the mapping stays the caller's. */
int gib_log_attach(struct gib_log *log, struct gib_shared *shared, uint64_t size,
                   struct gib_modules *modules, pid_t pid, struct gib_error *error);
/* It lives as long as process `pid` from now on: a forked child of what it was. */
void gib_log_follow(struct gib_log *log, pid_t pid);
/* Reads what is left, reports calls that never returned, stops the threads that read. */
void gib_log_detach(struct gib_log *log);
/* Only stops these threads; for a debugger that exits. */
void gib_log_stop(struct gib_log *log);
/* Reads everything published so far. From any thread. */
void gib_log_drain(struct gib_log *log);
/* The process has ended: reads what is left, reports calls that never returned, and completes the
 * stream's file. Its forked children are read on. */
void gib_log_ended(struct gib_log *log);
/* To be called before gib_log_next_text by whoever was woken: the reader may wake again. */
void gib_log_flushed(struct gib_log *log);

/* Registers a site of the process being read; the log owns *site (malloc'ed) from now on. NULL out
 * of memory. */
void gib_log_set_site(struct gib_log *log, uint32_t index, struct gib_log_site *site);

/* Calls `each` for every site of the process that was attached last, until it returns false; what
 * it is given is valid during the call. It may not call functions of the log. */
void gib_log_each_site(struct gib_log *log,
                       bool (*each)(const struct gib_log_site *site, void *context), void *context);

/* Whether text shows calls inside others indented; from now on the reader keeps what that needs. */
void gib_log_indent(struct gib_log *log, bool on);

/* Text of the calls that came since the last call of this function and are to be printed;
 * malloc'ed, NULL when there is none. At most about 64 KiB at once: call again. */
char *gib_log_next_text(struct gib_log *log);
/* The same with marks. */
char *gib_log_next_marked(struct gib_log *log);
/* Goes on from here: what was collected so far is not printed. */
void gib_log_skip(struct gib_log *log);

/* Renders the last `last` calls (0: all), of patch `patch` (0: any) to `out`. Returns the number of
 * calls written, or -1 with errno when writing failed. The rings are read meanwhile. */
int64_t gib_log_render(struct gib_log *log, enum gib_log_format format, uint64_t last, int patch,
                       FILE *out);
/* Records that are in no log; of those, how many since its temporary file could not be written. */
uint64_t gib_log_lost(struct gib_log *log);
uint64_t gib_log_unwritten(struct gib_log *log);
/* Calls that `log` has no more, since a stream has written them to its file. */
uint64_t gib_log_streamed_away(struct gib_log *log);
/* Ticks of the time stamp counter in a second; 0 before the first process. */
double gib_log_rate(struct gib_log *log);
void gib_log_clear(struct gib_log *log);
/* A sentence that the user should see, from another thread: malloc'ed, NULL when there is none. */
char *gib_log_take_problem(struct gib_log *log);

/*
 * The stream: calls are written to the file as they come, by a thread of its own. It begins with
 * all calls there are. While it is on, the spool keeps only the newest calls (GIB_SPOOL_SEGMENT
 * bytes of them, or up to three times as many), unless it is of one patch; and when it is that far
 * behind, rings are not read, so that the target waits for it, or overwrites.
 */
#define GIB_SPOOL_SEGMENT (64ull << 20)
struct gib_log_stream_state {
    char path[4096];
    enum gib_log_format format;
    int patch; /* 0: any */
    uint64_t written;
};
/* Opens a file for calls, empty: a descriptor, or -1 and *error. A pipe that nobody reads is an
 * error, not a wait; writing does not wait either (O_NONBLOCK). */
int gib_log_create(const char *path, struct gib_error *error);
/* 0 or GIB_E_FILE. Only one at a time: a stream that was on is ended. */
int gib_log_stream(struct gib_log *log, const char *path, enum gib_log_format format, int patch,
                   struct gib_error *error);
/* Waits until the file has all that is in the spool, and completes it, as a trace needs a bracket
 * at its end; it may go on later. Returns at once when there is no stream. */
void gib_log_stream_complete(struct gib_log *log);
/* Whether there is one; *state may be NULL. */
bool gib_log_streams(struct gib_log *log, struct gib_log_stream_state *state);
/* Writes what has come, completes and closes the file. 0, also when there is none; or GIB_E_FILE.
 * *written: how many calls it has. */
int gib_log_stream_end(struct gib_log *log, uint64_t *written, struct gib_error *error);

/* Calls `each` for every entry of the spool, LOST, THREAD and BEGUN too, from the oldest on; until
 * it returns false. What it is given is valid during the call. It may not call functions of the
 * log. The rings are read meanwhile; entries that come later are not seen. */
struct gib_log_view;
void gib_log_each(struct gib_log *log, bool (*each)(const struct gib_log_view *view, void *context),
                  void *context);

/* ---- inside core/log ---- */

struct gib_log_view { /* what a renderer sees of one call */
    const struct gib_call *call;
    const struct gib_record *record;
    const struct gib_log_site *site; /* NULL of LOST and THREAD */
    struct gib_modules *modules;
    double seconds, duration; /* since the first record of the process; in seconds */
    int64_t began, lasted;    /* the same in nanoseconds */
    double nanoseconds;       /* of one tick of the time stamps */
    uint64_t first;           /* time stamp of the first record of the process */
    int patch;                /* the accepted patch that the renderer writes a line for */
    bool several;             /* the call has a line for each of several patches */
    bool marks;
    unsigned depth; /* of indentation */
    bool closes;    /* the call's opening line was shown */
};
/* Shows `visit` every call of the process that was attached last, in order, and where records were
 * lost (view->site is NULL then), until it says false; as gib_log_each. */
void gib_log_visit(struct gib_log *log, bool (*visit)(const struct gib_log_view *, void *),
                   void *context);
/* Parts of a line: one argument without its name, by its number among the site's parameters (of the
 * words, where there is no prototype); the result behind its `=`, nothing for void. */
void gib_log_text_argument(const struct gib_log_view *view, size_t index, struct gib_out *out);
void gib_log_text_result(const struct gib_log_view *view, struct gib_out *out);
/* Three significant digits in the unit that suits: "14.2us". */
enum { GIB_DURATION_TEXT = 32 };
void gib_log_duration(double seconds, char out[GIB_DURATION_TEXT]);

/* A chunk of the record, with its bytes; NULL when there is none. Checked against the record's
 * size. */
const struct gib_chunk *gib_log_chunk(const struct gib_log_view *view, enum gib_chunk_type type,
                                      int index);
/* Frame `index` of a backtrace, as recorded. */
uint64_t gib_log_frame(const struct gib_chunk *backtrace, uint32_t index);
/* Its address, and as gib_modules_frames what is there; NULL for the kernel's frame below a signal
 * handler. With the modules locked. */
const struct gib_frame_text *gib_log_frames(const struct gib_log_view *view, uint64_t frame,
                                            uint64_t *address, size_t *count);
static inline const char *gib_log_chunk_bytes(const struct gib_chunk *chunk)
{
    return (const char *)(chunk + 1);
}

/* text.c */
void gib_log_text(const struct gib_log_view *view, struct gib_out *out);
/* What the call's line has between its parentheses. */
void gib_log_text_arguments(const struct gib_log_view *view, struct gib_out *out);

/* value.c */
enum gib_value_form {
    GIB_VALUE_TEXT, /* for people */
    GIB_VALUE_JSON,
    GIB_VALUE_PLAIN, /* as JSON's, without quotes; text as between the quotes of TEXT */
};
/* One value of type `type` (NULL: a raw word), from its `words` words and, for a string, its text.
 */
void gib_value_write(struct gib_out *out, enum gib_value_form form, const struct gib_type *type,
                     const uint64_t *word, int words, const struct gib_chunk *text);
/* How many of a result's `words` words, which were in registers, are its value: of a structure in
 * memory there is only the address. */
int gib_result_words(const struct gib_type *type, int words);

/* variadic.c: in text ", value, value"; in JSON, inside the object of the arguments, `,"mode":420`
 * (open) or `,"more":[...]` (printf). */
void gib_variadic_write(const struct gib_log_view *view, enum gib_value_form form,
                        struct gib_out *out);

/* escape.c: bytes of the target as text that cannot harm a terminal, between double quotes. */
void gib_escape_text(struct gib_out *out, const char *bytes, size_t size);
/* The same without the quotes around it; quotes stay. */
void gib_escape_bare(struct gib_out *out, const char *bytes, size_t size);
/* The same for a name (a symbol, a path): no quotes, anything but printable characters becomes `?`.
 */
void gib_escape_name(struct gib_out *out, const char *name);
/* The same for a message of Gibbon's own, which may hold what the user typed or names of the
 * target: no quotes, and backslashes stay. `lines`: line ends are the message's own and stay, too.
 */
void gib_escape_message(struct gib_out *out, const char *text, bool lines);
/* A JSON string with its quotes. Bytes that are not UTF-8 become U+DC80..U+DCFF, as Python's
 * surrogateescape does; in a strict buffer each becomes U+FFFD, and a backslash at the end is
 * written as \u005c. Perfetto refuses halves of surrogate pairs, and takes a quote behind a
 * backslash for one of the text, also when that backslash is itself an escaped one. */
void gib_escape_json(struct gib_out *out, const char *bytes, size_t size);

#endif
