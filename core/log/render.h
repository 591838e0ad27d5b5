/*
 * render.h: what the renderers of programs' formats have in common: a buffer, and texts that are
 * the same for many calls, escaped once.
 */
#ifndef GIBBON_LOG_RENDER_H
#define GIBBON_LOG_RENDER_H

#include "log/nesting.h"

/* A text that was made once for a key. */
struct gib_cached {
    uint64_t key[2];
    char *text; /* owned; NULL: a free place */
    size_t size;
};

enum {
    GIB_CACHED_SITES = 512,
    GIB_CACHED_ADDRESSES = 4096,
    GIB_CACHED_THREADS = 64,
    GIB_SEEN_PROCESSES = 64
};

/* The end of what a thread's track has last: as it was, and as it is shown. */
struct gib_track_end {
    int32_t pid, tid; /* 0: none yet */
    int64_t end, shown;
};

struct gib_renderer {
    enum gib_log_format format;
    struct gib_out out;
    struct gib_nesting *nesting, own_nesting;  /* NULL: without indentation */
    bool begun;                                /* there is an event before the next one: TRACE */
    struct gib_cached *site, *names, *address; /* GIB_CACHED_...; NULL: TEXT */
    struct gib_cached thread[GIB_CACHED_THREADS];
    struct gib_track_end track[GIB_CACHED_THREADS]; /* TRACE */
    struct gib_out scratch;                         /* a cell before it is quoted: CSV */
    uint64_t origin;                                /* time stamp that is its time 0; 0: none yet */
    uint64_t described;                /* when addresses were described: gib_modules_changes */
    int32_t named[GIB_SEEN_PROCESSES]; /* that have their name; the newest of them */
    unsigned named_count;
};

/* Makes a text for a key, which is then the renderer's. */
typedef void gib_make_text(const struct gib_log_view *view, uint64_t address, struct gib_out *out);
/* Writes the text of the view's thread. */
void gib_cached_thread(struct gib_renderer *renderer, const struct gib_log_view *view,
                       gib_make_text *make);
/* ... of the view's site and patch. */
void gib_cached_site(struct gib_renderer *renderer, const struct gib_log_view *view,
                     gib_make_text *make);
/* The same, but gives it: texts for the site's arguments, each with a NUL behind it. */
const char *gib_cached_names(struct gib_renderer *renderer, const struct gib_log_view *view,
                             gib_make_text *make);
/* ... of the view's caller, and of a frame of its backtrace as recorded. */
void gib_cached_caller(struct gib_renderer *renderer, const struct gib_log_view *view,
                       gib_make_text *make);
void gib_cached_frame(struct gib_renderer *renderer, const struct gib_log_view *view,
                      uint64_t frame, gib_make_text *make);
/* Writes each of the frames at what was recorded, innermost first, with `between` between. `write`
 * gets NULL for the kernel's frame below a signal handler. */
void gib_log_each_frame(const struct gib_log_view *view, uint64_t frame, const char *between,
                        void (*write)(const struct gib_frame_text *frame, uint64_t address,
                                      struct gib_out *out),
                        struct gib_out *out);

/* One argument of a call. */
struct gib_log_argument {
    const struct gib_type *type; /* NULL: a raw word */
    const char *name;            /* NULL: none */
    const uint64_t *word;        /* in the record */
    int words;                   /* of the value; 0: not recorded */
    const struct gib_chunk *text;
};
/* How many arguments the view shows, and one of them. */
size_t gib_log_argument_count(const struct gib_log_view *view);
struct gib_log_argument gib_log_argument(const struct gib_log_view *view, size_t index);

/* The result's two words; its text, or NULL; the errno when it failed, 0 when it did not. */
struct gib_log_result {
    const struct gib_type *type; /* NULL: a raw word */
    bool none;                   /* void */
    uint64_t word[2];
    int words; /* of the value; 0: not recorded */
    const struct gib_chunk *text;
    bool failed;
    int32_t code;
};
struct gib_log_result gib_log_result(const struct gib_log_view *view);

/* jsonl.c: ,"a":1,"b":2 without the braces and the first comma */
void gib_json_arguments(struct gib_renderer *renderer, const struct gib_log_view *view);
/* `,"backtrace":[...]`, each frame as `make` writes it; nothing when there is none. */
void gib_json_backtrace(struct gib_renderer *renderer, const struct gib_log_view *view,
                        gib_make_text *make);
void gib_json_string(struct gib_out *out, const char *text);

void gib_log_jsonl(struct gib_renderer *renderer, const struct gib_log_view *view);
void gib_log_csv_header(struct gib_out *out);
void gib_log_csv(struct gib_renderer *renderer, const struct gib_log_view *view);
void gib_log_trace(struct gib_renderer *renderer, const struct gib_log_view *view);

/* "main+0x2f (guide.c:30)" of the innermost frame at a return address. */
void gib_log_describe(const struct gib_log_view *view, uint64_t address, char text[600]);
/* The same of a frame; NULL: as of gib_log_frames. */
void gib_log_describe_frame(const struct gib_frame_text *frame, char text[600]);

#endif
