/*
 * log.h: from the rings to the user.
 *
 *   rings --reader thread--> spool (a temporary file) --renderer--> lines on the terminal, `log`,
 * `log -save`
 *
 * The reader takes records out of shared memory as fast as it can, joins a call and its return, and
 * appends them to the spool. Whatever is shown is rendered from the spool, so a slow terminal costs
 * the target nothing and memory does not grow.
 */
#ifndef GIBBON_LOG_H
#define GIBBON_LOG_H

#include <stdio.h>
#include <sys/types.h>
#include "agent/layout.h"
#include "code/x86_64/convention.h"
#include "elf/modules.h"
#include "prototypes/prototype.h"

enum gib_log_format {
    GIB_LOG_TEXT,
    GIB_LOG_JSONL,
    GIB_LOG_MARKED = 16, /* text with marks (marks.h), to be shown */
};

/* What rendering needs to know of a site. Kept as long as the log: a deleted patch's calls can
 * still be shown. */
struct gib_log_site {
    char *function; /* as shown */
    char *module;
    struct gib_prototype *prototype; /* NULL: raw words */
    struct gib_convention convention;
    bool mocked;    /* the result is a mock's: the function was not called */
    bool ambiguous; /* a patched function of another module has the same name; kept by the log */
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
    GIB_CALL_LOST,       /* not a call: word[0] records were lost */
    GIB_CALL_BEGUN, /* not one either: others were recorded inside; its end follows, or does not.
                       Only kept for lines that are indented */
};
struct gib_call {
    uint32_t size;    /* of this struct and the record behind it */
    uint32_t process; /* counts processes of this log, from 1 */
    int32_t pid, tid;
    uint32_t status; /* enum gib_call_status */
    uint32_t reserved;
    /* struct gib_record follows */
};

struct gib_log;
/* Both are called from the reader thread: `wake` when there is something to show, `tick` a few
 * times a second. */
struct gib_log *gib_log_new(void (*wake)(void *context), void (*tick)(void *context),
                            void *context);
void gib_log_free(struct gib_log *log);

/* Starts reading `shared` of process `pid`: a mapping of `size` bytes that the log owns from now on
 * and unmaps in gib_log_detach. `modules` is borrowed and must live as long as the log. 0 or a
 * GIB_E_ code, and then the mapping stays the caller's. */
int gib_log_attach(struct gib_log *log, struct gib_shared *shared, uint64_t size,
                   struct gib_modules *modules, pid_t pid, struct gib_error *error);
/* Reads what is left, reports calls that never returned, stops the reader thread. */
void gib_log_detach(struct gib_log *log);
/* Only stops the reader thread; for a debugger that exits. */
void gib_log_stop(struct gib_log *log);
/* Reads everything published so far. From any thread. */
void gib_log_drain(struct gib_log *log);
/* The process has ended: reads what is left and reports calls that never returned. Its forked
 * children are read on. */
void gib_log_ended(struct gib_log *log);
/* To be called before gib_log_next_text by whoever was woken: the reader may wake again. */
void gib_log_flushed(struct gib_log *log);
/* Whether the process has ended, as the reader sees it. */
bool gib_log_process_gone(struct gib_log *log);

/* Registers a site of the process being read; the log owns *site (malloc'ed) from now on. NULL out
 * of memory. */
void gib_log_set_site(struct gib_log *log, uint32_t index, struct gib_log_site *site);

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
 * calls written, or -1 when writing failed. */
int64_t gib_log_render(struct gib_log *log, enum gib_log_format format, uint64_t last, int patch,
                       FILE *out);
uint64_t gib_log_lost(struct gib_log *log);
void gib_log_clear(struct gib_log *log);

/* ---- inside core/log ---- */

struct gib_log_view { /* what a renderer sees of one call */
    const struct gib_call *call;
    const struct gib_record *record;
    const struct gib_log_site *site;
    struct gib_modules *modules;
    double seconds, duration; /* since the first record of the process; in seconds */
    int patch;
    bool marks;
    unsigned depth; /* of indentation */
    bool closes;    /* the call's opening line was shown */
};
void gib_log_text(const struct gib_log_view *view, FILE *out);
void gib_log_jsonl(const struct gib_log_view *view, FILE *out);

/* A chunk of the record, with its bytes; NULL when there is none. Checked against the record's
 * size. */
const struct gib_chunk *gib_log_chunk(const struct gib_log_view *view, enum gib_chunk_type type,
                                      int index);
/* Of frame `index` in a chunk of a backtrace: the address, and as gib_modules_frames what is there,
 * while the modules are locked; NULL: the kernel's frame below a signal handler. */
const struct gib_frame_text *gib_log_frames(const struct gib_log_view *view,
                                            const struct gib_chunk *backtrace, uint32_t index,
                                            uint64_t *address, size_t *count);
static inline const char *gib_log_chunk_bytes(const struct gib_chunk *chunk)
{
    return (const char *)(chunk + 1);
}

/* value.c */
enum gib_value_form { GIB_VALUE_TEXT, GIB_VALUE_JSON };
/* One value of type `type` (NULL: a raw word), from its one or two words and, for a string, its
 * text. */
void gib_value_write(FILE *out, enum gib_value_form form, const struct gib_type *type,
                     const uint64_t word[2], int words, const struct gib_chunk *text);

/* variadic.c: in text ", value, value"; in JSON, inside the object of the arguments, `,"mode":420`
 * (open) or `,"more":[...]` (printf). */
void gib_variadic_write(const struct gib_log_view *view, enum gib_value_form form, FILE *out);

/* escape.c: bytes of the target as text that cannot harm a terminal, between double quotes. */
void gib_escape_text(FILE *out, const char *bytes, size_t size);
/* The same for a name (a symbol, a path): no quotes, anything but printable characters becomes `?`.
 */
void gib_escape_name(FILE *out, const char *name);
/* The same for a message of Gibbon's own, which may hold what the user typed or names of the
 * target: no quotes, and backslashes stay. `lines`: line ends are the message's own and stay, too.
 */
void gib_escape_message(FILE *out, const char *text, bool lines);
/* A JSON string with its quotes. Bytes that are not UTF-8 become U+DC80..U+DCFF, as Python's
 * surrogateescape does. */
void gib_escape_json(FILE *out, const char *bytes, size_t size);

#endif
