/* log.c: processes and sites, and what is shown of the spool. */
#include "log/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

struct gib_log *gib_log_new(void (*wake)(void *context), void (*tick)(void *context), void *context)
{
    struct gib_log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    log->wake = wake;
    log->tick = tick;
    log->wake_context = context;
    pthread_mutex_init(&log->lock, NULL);
    pthread_mutex_init(&log->life, NULL);
    pthread_mutex_init(&log->show, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->grown, &monotonic);
    pthread_condattr_destroy(&monotonic);
    /* Two threads read all the time: who wants to write must not wait for a moment without one. */
    pthread_rwlockattr_t fair;
    pthread_rwlockattr_init(&fair);
    pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&log->sites, &fair);
    pthread_rwlockattr_destroy(&fair);
    gib_spool_open(&log->spool);
    return log;
}

static void free_site(struct gib_log_site *site)
{
    if (!site)
        return;
    free(site->function);
    free(site->module);
    gib_prototype_free(site->prototype);
    free(site);
}

void gib_log_free(struct gib_log *log)
{
    if (!log)
        return;
    gib_log_detach(log);
    gib_log_stream_end(log, NULL, NULL);
    for (uint32_t p = 0; p < log->process_count; p++) {
        for (uint32_t i = 0; i < log->process[p].site_count; i++)
            free_site(log->process[p].site[i]);
        free(log->process[p].site);
    }
    free(log->process);
    free(log->problem);
    gib_spool_close(&log->spool);
    pthread_rwlock_destroy(&log->sites);
    pthread_cond_destroy(&log->grown);
    pthread_mutex_destroy(&log->lock);
    pthread_mutex_destroy(&log->life);
    pthread_mutex_destroy(&log->show);
    gib_nesting_free(&log->nesting);
    free(log);
}

void gib_log_set_site(struct gib_log *log, uint32_t index, struct gib_log_site *site)
{
    pthread_rwlock_wrlock(&log->sites);
    struct gib_log_process *process =
        log->process_count ? &log->process[log->process_count - 1] : NULL;
    if (process && index >= process->site_count) {
        uint32_t count = process->site_count ? process->site_count : 64;
        while (count <= index)
            count *= 2;
        struct gib_log_site **grown = realloc(process->site, count * sizeof *grown);
        if (grown) {
            memset(grown + process->site_count, 0, (count - process->site_count) * sizeof *grown);
            process->site = grown;
            process->site_count = count;
        }
    }
    if (!process || index >= process->site_count) {
        free_site(site);
    } else {
        /* A place whose patch was deleted keeps its number: its calls can still be shown. */
        struct gib_log_site *before = process->site[index];
        for (int i = 0; before && i < GIB_MAX_ACTIONS; i++)
            if (!site->action[i].patch)
                site->action[i] = before->action[i];
        free_site(before);
        process->site[index] = site;
        site->serial = ++log->serials;
        process->names_changed = true;
    }
    pthread_rwlock_unlock(&log->sites);
}

void gib_log_each_site(struct gib_log *log,
                       bool (*each)(const struct gib_log_site *site, void *context), void *context)
{
    pthread_rwlock_rdlock(&log->sites);
    const struct gib_log_process *process =
        log->process_count ? &log->process[log->process_count - 1] : NULL;
    for (uint32_t i = 0; process && i < process->site_count; i++)
        if (process->site[i] && !each(process->site[i], context))
            break;
    pthread_rwlock_unlock(&log->sites);
}

/* ---- views ---- */

static uint32_t fixed_words(const struct gib_log_view *view)
{
    uint32_t words = view->call->status == GIB_CALL_RESUMED ? 3 : view->site->convention.words;
    return words > 3 ? words : 3;
}

const struct gib_chunk *gib_log_chunk(const struct gib_log_view *view, enum gib_chunk_type type,
                                      int index)
{
    const char *at = (const char *)(gib_record_words(view->record) + fixed_words(view));
    const char *end = (const char *)view->record + (view->call->size - sizeof *view->call);
    while (at + sizeof(struct gib_chunk) <= end) {
        const struct gib_chunk *chunk = (const struct gib_chunk *)at;
        if (chunk->type == GIB_CHUNK_END || chunk->size > (size_t)(end - at) - sizeof *chunk)
            return NULL;
        if (chunk->type == type && (index < 0 || chunk->index == index))
            return chunk;
        at += sizeof *chunk + ((chunk->size + 7) & ~7u);
    }
    return NULL;
}

uint64_t gib_log_frame(const struct gib_chunk *backtrace, uint32_t index)
{
    uint64_t frame;
    memcpy(&frame, gib_log_chunk_bytes(backtrace) + index * 8ull, 8);
    return frame;
}

const struct gib_frame_text *gib_log_frames(const struct gib_log_view *view, uint64_t frame,
                                            uint64_t *address, size_t *count)
{
    *address = frame & ~(GIB_FRAME_EXACT | GIB_FRAME_SIGNAL);
    *count = 1;
    return frame & GIB_FRAME_SIGNAL
               ? NULL
               : gib_modules_frames(view->modules, *address, !(frame & GIB_FRAME_EXACT), count);
}

static bool is_patched(const struct gib_log_site *site)
{
    bool patched = false;
    for (int i = 0; i < GIB_MAX_ACTIONS; i++)
        patched |= site->action[i].patch != 0;
    return patched;
}

static int by_name(const void *a, const void *b)
{
    const struct gib_log_site *x = *(struct gib_log_site *const *)a,
                              *y = *(struct gib_log_site *const *)b;
    int order = strcmp(x->function, y->function);
    return order ? order : strcmp(x->module, y->module);
}

/* Sites that need their module's name to be told apart. Decided for all at once, when the first
 * line is rendered after a change. */
static void find_ambiguous(struct gib_log_process *process)
{
    struct gib_log_site **sorted =
        calloc(process->site_count + 1ull, sizeof(struct gib_log_site *));
    size_t count = 0;
    for (uint32_t i = 0; sorted && i < process->site_count; i++)
        if (process->site[i] && is_patched(process->site[i]))
            sorted[count++] = process->site[i];
    if (count)
        qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count; end++)
            if (strcmp(sorted[end]->function, sorted[first]->function))
                break;
        /* Sorted by module as well: one module if the first and the last are of the same. */
        bool several = strcmp(sorted[first]->module, sorted[end - 1]->module) != 0;
        for (size_t i = first; i < end; i++)
            sorted[i]->ambiguous = several;
    }
    free(sorted);
    process->names_changed = false;
}

void gib_log_lock_sites(struct gib_log *log)
{
    bool changed = false;
    pthread_rwlock_rdlock(&log->sites);
    for (uint32_t i = 0; i < log->process_count; i++)
        changed |= log->process[i].names_changed;
    if (!changed)
        return;
    pthread_rwlock_unlock(&log->sites);
    pthread_rwlock_wrlock(&log->sites);
    for (uint32_t i = 0; i < log->process_count; i++)
        if (log->process[i].names_changed)
            find_ambiguous(&log->process[i]);
    pthread_rwlock_unlock(&log->sites);
    pthread_rwlock_rdlock(&log->sites);
}

/* 4e18 nanoseconds are a century; a difference of two fits as well. */
static int64_t rounded(double value)
{
    value = value < -4e18 ? -4e18 : value > 4e18 ? 4e18 : value;
    return (int64_t)(value + (value < 0 ? -.5 : .5));
}

/* Ticks to seconds; the first record of the process is 0. */
bool gib_log_view_make(const struct gib_log *log, const struct gib_call *call,
                       struct gib_log_view *view)
{
    if (call->process == 0 || call->process > log->process_count)
        return false;
    struct gib_log_process *process = &log->process[call->process - 1];
    *view = (struct gib_log_view){.call = call,
                                  .record = (const struct gib_record *)(call + 1),
                                  .modules = process->modules,
                                  .nanoseconds = 1e9 / log->ticks_per_second,
                                  .first = __atomic_load_n(&process->first, __ATOMIC_RELAXED)};
    uint64_t start = view->first ? view->first : view->record->entered;
    double began = (double)(int64_t)(view->record->entered - start) * view->nanoseconds;
    if (call->status == GIB_CALL_LOST || call->status == GIB_CALL_THREAD) {
        view->began = view->record->entered ? rounded(began) : 0;
        return true;
    }
    uint32_t index = view->record->site & 0xffffff;
    view->site = index < process->site_count ? process->site[index] : NULL;
    if (!view->site || call->status > GIB_CALL_BEGUN)
        return false;
    uint64_t needed = offsetof(struct gib_record, word) + 8ull * fixed_words(view);
    if (call->size - sizeof *call < needed)
        return false;
    /* Below 0: the clocks of two processors differ. */
    uint64_t ticks = (int64_t)view->record->duration < 0 ? 0 : view->record->duration;
    double lasted = (double)ticks * view->nanoseconds;
    view->seconds = began * 1e-9;
    view->duration = lasted * 1e-9;
    /* Begin and end are rounded, not the duration: what is nested stays so. */
    view->began = rounded(began);
    view->lasted = rounded(began + lasted) - view->began;
    return true;
}

/* ---- what is shown ---- */

static bool fill(struct gib_log *log, struct gib_spool_cursor *cursor)
{
    pthread_mutex_lock(&log->lock);
    bool filled = gib_spool_fill(&log->spool, cursor);
    pthread_mutex_unlock(&log->lock);
    return filled;
}

void gib_log_each(struct gib_log *log, bool (*each)(const struct gib_log_view *view, void *context),
                  void *context)
{
    gib_log_drain(log);
    pthread_mutex_lock(&log->lock);
    struct gib_spool_cursor cursor = {0};
    gib_spool_begin_cursor(&log->spool, &cursor, gib_spool_begin(&log->spool));
    uint64_t end = log->spool.end;
    pthread_mutex_unlock(&log->lock);
    bool more = true;
    while (more && cursor.place < end && fill(log, &cursor)) {
        const struct gib_call *call;
        struct gib_log_view view;
        gib_log_lock_sites(log);
        while (more && cursor.place < end && (call = gib_spool_next(&cursor)))
            more = !gib_log_view_make(log, call, &view) || each(&view, context);
        pthread_rwlock_unlock(&log->sites);
    }
    pthread_mutex_lock(&log->lock);
    gib_spool_end_cursor(&log->spool, &cursor);
    pthread_mutex_unlock(&log->lock);
}

static char *next_text(struct gib_log *log, enum gib_log_format format)
{
    enum { ENOUGH = 64 << 10 };
    pthread_mutex_lock(&log->lock);
    struct gib_spool_cursor cursor = {0};
    uint64_t end = log->spool.end;
    bool any = log->printed < end;
    if (any)
        gib_spool_begin_cursor(&log->spool, &cursor, log->printed);
    pthread_mutex_unlock(&log->lock);
    if (!any)
        return NULL;
    struct gib_renderer *renderer = gib_renderer_new(format);
    uint64_t none = 0;
    if (renderer && log->indent)
        gib_renderer_indent(renderer, &log->nesting);
    while (renderer && gib_renderer_out(renderer)->used < ENOUGH && cursor.place < end &&
           fill(log, &cursor)) {
        const struct gib_call *call;
        struct gib_log_view view;
        gib_log_lock_sites(log);
        while (gib_renderer_out(renderer)->used < ENOUGH && (call = gib_spool_next(&cursor)))
            if (gib_log_view_make(log, call, &view))
                gib_render(renderer, &view, 0, true, &none);
        pthread_rwlock_unlock(&log->sites);
    }
    pthread_mutex_lock(&log->lock);
    uint64_t place = gib_spool_cursor_place(&cursor);
    gib_spool_end_cursor(&log->spool, &cursor);
    if (log->printed < place) /* or it was all skipped meanwhile */
        log->printed = place;
    if (!renderer || log->printed > log->spool.end)
        log->printed = log->spool.end;
    bool more = log->printed < log->spool.end;
    pthread_mutex_unlock(&log->lock);
    char *text = renderer && (more || gib_renderer_out(renderer)->used)
                     ? gib_out_take(gib_renderer_out(renderer))
                     : NULL;
    gib_renderer_free(renderer);
    return text;
}

static char *next_shown(struct gib_log *log, enum gib_log_format format)
{
    pthread_mutex_lock(&log->show);
    char *text = next_text(log, format);
    pthread_mutex_unlock(&log->show);
    return text;
}

char *gib_log_next_text(struct gib_log *log)
{
    return next_shown(log, GIB_LOG_TEXT);
}

char *gib_log_next_marked(struct gib_log *log)
{
    return next_shown(log, GIB_LOG_MARKED);
}

void gib_log_skip(struct gib_log *log)
{
    pthread_mutex_lock(&log->show);
    gib_nesting_free(&log->nesting);
    pthread_mutex_lock(&log->lock);
    log->printed = log->spool.end;
    pthread_mutex_unlock(&log->lock);
    pthread_mutex_unlock(&log->show);
}

void gib_log_indent(struct gib_log *log, bool on)
{
    pthread_mutex_lock(&log->show);
    if (!on)
        gib_nesting_free(&log->nesting);
    log->indent = on;
    pthread_mutex_unlock(&log->show);
}

struct lines {
    int patch;
    uint64_t count;
};

/* How many lines the calls make, for -last. */
static bool count_lines(const struct gib_log_view *view, void *context)
{
    struct lines *lines = context;
    bool is_call = view->site && view->call->status != GIB_CALL_BEGUN;
    for (int i = 0; is_call && i < GIB_MAX_ACTIONS; i++) {
        int number = view->site->action[i].patch;
        lines->count += (view->record->accepted & 1u << i) && number &&
                        (!lines->patch || number == lines->patch);
    }
    return true;
}

struct rendering {
    struct gib_renderer *renderer;
    int patch;
    uint64_t skip;
    int64_t written;
    FILE *out;
    int error;
};

static void hand_on(struct rendering *r, size_t least)
{
    struct gib_out *out = gib_renderer_out(r->renderer);
    if (out->failed)
        r->error = ENOMEM;
    if (out->used < least || r->error)
        return;
    if (fwrite(out->bytes, 1, out->used, r->out) != out->used)
        r->error = errno ? errno : EIO;
    out->used = 0;
}

static bool render_view(const struct gib_log_view *view, void *context)
{
    struct rendering *r = context;
    struct gib_log_view mine = *view;
    r->written += gib_render(r->renderer, &mine, r->patch, false, &r->skip);
    hand_on(r, 256 << 10);
    return !r->error;
}

int64_t gib_log_render(struct gib_log *log, enum gib_log_format format, uint64_t last, int patch,
                       FILE *out)
{
    struct rendering r = {.renderer = gib_renderer_new(format), .patch = patch, .out = out};
    struct lines lines = {.patch = patch};
    if (!r.renderer) {
        errno = ENOMEM;
        return -1;
    }
    if (last)
        gib_log_each(log, count_lines, &lines);
    r.skip = last && lines.count > last ? lines.count - last : 0;
    if (log->indent)
        gib_renderer_indent(r.renderer, NULL);
    struct gib_quiet_signals held;
    gib_hold_signals(&held);
    gib_renderer_begin(r.renderer);
    gib_log_each(log, render_view, &r);
    gib_renderer_end(r.renderer);
    hand_on(&r, 1);
    if (!r.error && fflush(out))
        r.error = errno;
    gib_let_signals(&held);
    gib_renderer_free(r.renderer);
    errno = r.error;
    return r.error || ferror(out) ? -1 : r.written;
}

struct visit {
    bool (*visit)(const struct gib_log_view *, void *);
    void *context;
    uint32_t process;
};

static bool visit_call(const struct gib_log_view *view, void *context)
{
    const struct visit *v = context;
    uint32_t status = view->call->status;
    return view->call->process != v->process || status == GIB_CALL_THREAD ||
           status == GIB_CALL_BEGUN || v->visit(view, v->context);
}

void gib_log_visit(struct gib_log *log, bool (*visit)(const struct gib_log_view *, void *),
                   void *context)
{
    struct visit v = {visit, context, log->process_count};
    gib_log_each(log, visit_call, &v);
}

double gib_log_rate(struct gib_log *log)
{
    pthread_mutex_lock(&log->lock);
    double rate = log->ticks_per_second;
    pthread_mutex_unlock(&log->lock);
    return rate;
}

uint64_t gib_log_lost(struct gib_log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t lost = log->lost;
    pthread_mutex_unlock(&log->lock);
    return lost;
}

uint64_t gib_log_unwritten(struct gib_log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t unwritten = log->unwritten;
    pthread_mutex_unlock(&log->lock);
    return unwritten;
}

uint64_t gib_log_streamed_away(struct gib_log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t gone = log->spool.gone;
    pthread_mutex_unlock(&log->lock);
    return gone;
}

void gib_log_clear(struct gib_log *log)
{
    gib_log_drain(log);
    pthread_mutex_lock(&log->show);
    gib_nesting_free(&log->nesting);
    pthread_mutex_lock(&log->lock);
    log->printed = log->spool.end;
    log->lost = log->unwritten = 0;
    gib_spool_clear(&log->spool, gib_stream_place(log));
    pthread_mutex_unlock(&log->lock);
    pthread_mutex_unlock(&log->show);
}

/* ---- problems ---- */

void gib_log_set_problem(struct gib_log *log, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    free(log->problem);
    log->problem = text;
}

char *gib_log_take_problem(struct gib_log *log)
{
    pthread_mutex_lock(&log->lock);
    char *problem = log->problem;
    log->problem = NULL;
    pthread_mutex_unlock(&log->lock);
    return problem;
}
