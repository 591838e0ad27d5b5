/* log.c: the spool, what is shown of it, and the sites it refers to. The reader is in reader.c. */
#include "log/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gib_log *gib_log_new(void (*wake)(void *context), void (*tick)(void *context), void *context)
{
    struct gib_log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    log->wake = wake;
    log->tick = tick;
    log->wake_context = context;
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&log->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    log->spool = tmpfile();
    log->spool_fd = log->spool ? fileno(log->spool) : -1;
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
    for (uint32_t p = 0; p < log->process_count; p++) {
        for (uint32_t i = 0; i < log->process[p].site_count; i++)
            free_site(log->process[p].site[i]);
        free(log->process[p].site);
    }
    free(log->process);
    free(log->buffer);
    gib_nesting_free(&log->nesting);
    if (log->spool)
        fclose(log->spool);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

struct gib_log_process *gib_log_current(struct gib_log *log)
{
    return log->process_count ? &log->process[log->process_count - 1] : NULL;
}

void gib_log_set_site(struct gib_log *log, uint32_t index, struct gib_log_site *site)
{
    pthread_mutex_lock(&log->lock);
    struct gib_log_process *process = gib_log_current(log);
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
        process->names_changed = true;
    }
    pthread_mutex_unlock(&log->lock);
}

/* ---- the spool ---- */

/* Written in large pieces; `spool_size` counts what is in the buffer too. */
static bool write_buffer(struct gib_log *log)
{
    size_t done = 0;
    while (done < log->buffer_used) {
        ssize_t n = pwrite(log->spool_fd, log->buffer + done, log->buffer_used - done,
                           (off_t)(log->buffer_offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            /* The disk is full. What cannot be kept is counted as lost; the target never waits for
             * a disk. */
            log->spool_size = log->buffer_offset;
            log->lost += log->buffer_calls;
            log->buffer_used = log->buffer_calls = 0;
            return false;
        }
        done += (size_t)n;
    }
    log->buffer_offset += log->buffer_used;
    log->buffer_used = log->buffer_calls = 0;
    return true;
}

void gib_log_append(struct gib_log *log, const struct gib_call *call, const void *record)
{
    enum { BUFFER = 1 << 20 };
    if (!log->buffer && !(log->buffer = malloc(BUFFER)))
        return;
    if (log->buffer_used + call->size > BUFFER)
        write_buffer(log);
    if (call->size > BUFFER || log->spool_fd < 0)
        return;
    memcpy(log->buffer + log->buffer_used, call, sizeof *call);
    memcpy(log->buffer + log->buffer_used + sizeof *call, record, call->size - sizeof *call);
    log->buffer_used += call->size;
    log->buffer_calls += call->status != GIB_CALL_BEGUN;
    log->spool_size += call->size;
    log->calls += call->status != GIB_CALL_LOST && call->status != GIB_CALL_BEGUN;
}

/* Copies a call of the spool to `out` (grown as needed); false at the end. */
struct cursor {
    uint64_t offset;
    uint8_t *block;
    uint64_t block_offset, block_size;
    bool failed;
};
enum { BLOCK = 1 << 20 };

static const struct gib_call *next_call(struct gib_log *log, struct cursor *c)
{
    if (c->offset + sizeof(struct gib_call) > log->buffer_offset)
        return NULL;
    if (!c->block && !(c->block = malloc(BLOCK)))
        return NULL;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (c->offset >= c->block_offset &&
            c->offset + sizeof(struct gib_call) <= c->block_offset + c->block_size) {
            const struct gib_call *call =
                (const struct gib_call *)(c->block + (c->offset - c->block_offset));
            if (call->size < sizeof *call + sizeof(struct gib_record) || call->size > BLOCK)
                break;
            if (c->offset + call->size <= c->block_offset + c->block_size) {
                c->offset += call->size;
                return call;
            }
        }
        ssize_t n = pread(log->spool_fd, c->block, BLOCK, (off_t)c->offset);
        c->block_offset = c->offset;
        c->block_size = n > 0 ? (uint64_t)n : 0;
    }
    c->failed = true;
    return NULL;
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

const struct gib_frame_text *gib_log_frames(const struct gib_log_view *view,
                                            const struct gib_chunk *backtrace, uint32_t index,
                                            uint64_t *address, size_t *count)
{
    const uint64_t bits = GIB_FRAME_EXACT | GIB_FRAME_SIGNAL;
    uint64_t frame;
    memcpy(&frame, gib_log_chunk_bytes(backtrace) + index * 8ull, 8);
    *address = frame & ~bits;
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

/* Ticks to seconds; the first record of the process is 0. */
static bool make_view(struct gib_log *log, const struct gib_call *call, struct gib_log_view *view)
{
    if (call->process == 0 || call->process > log->process_count)
        return false;
    struct gib_log_process *process = &log->process[call->process - 1];
    if (process->names_changed)
        find_ambiguous(process);
    *view = (struct gib_log_view){
        .call = call, .record = (const struct gib_record *)(call + 1), .modules = process->modules};
    if (call->status == GIB_CALL_LOST)
        return true;
    uint32_t index = view->record->site & 0xffffff;
    view->site = index < process->site_count ? process->site[index] : NULL;
    if (!view->site)
        return false;
    uint64_t needed = offsetof(struct gib_record, word) + 8ull * fixed_words(view);
    if (call->size - sizeof *call < needed)
        return false;
    view->seconds =
        (double)(int64_t)(view->record->entered - process->first) / log->ticks_per_second;
    view->duration = (double)view->record->duration / log->ticks_per_second;
    return true;
}

/* What is shown of the calls in the spool. */
struct rendering {
    enum gib_log_format format;
    int patch;                   /* 0: any */
    bool print;                  /* as they come: without those of quiet patches */
    uint64_t skip;               /* so many lines of calls first */
    struct gib_nesting *nesting; /* NULL: without indentation */
    FILE *out;
};

static void render_line(const struct rendering *r, const struct gib_log_view *view)
{
    (r->format == GIB_LOG_JSONL ? gib_log_jsonl : gib_log_text)(view, r->out);
}

/* One line for each patch of the site that wanted the record. */
static unsigned render_call(struct rendering *r, struct gib_log_view *view)
{
    unsigned written = 0;
    bool begun = view->call->status == GIB_CALL_BEGUN;
    if (view->call->status == GIB_CALL_LOST) {
        if (!r->skip)
            render_line(r, view);
        return 0;
    }
    if (begun && (!r->nesting || r->skip))
        return 0;
    if (r->nesting) {
        view->closes = !begun && gib_nesting_end(r->nesting, view->call);
        view->depth = gib_nesting_depth(r->nesting, view->call);
    }
    for (int i = 0; i < GIB_MAX_ACTIONS; i++) {
        int number = view->site->action[i].patch;
        if (!(view->record->accepted & 1u << i) || !number || (r->patch && number != r->patch) ||
            (r->print && view->site->action[i].quiet))
            continue;
        if (r->skip) {
            --r->skip;
            continue;
        }
        view->patch = number;
        view->marks = r->format == GIB_LOG_MARKED;
        render_line(r, view);
        written++;
    }
    if (begun && written)
        gib_nesting_begin(r->nesting, view->call);
    return begun ? 0 : written;
}

static char *next_text(struct gib_log *log, enum gib_log_format format)
{
    enum { ENOUGH = 64 << 10 };
    char *text = NULL;
    size_t size = 0;
    pthread_mutex_lock(&log->lock);
    write_buffer(log);
    if (log->printed < log->buffer_offset) {
        FILE *out = open_memstream(&text, &size);
        struct cursor cursor = {.offset = log->printed};
        const struct gib_call *call;
        struct rendering rendering = {.format = format,
                                      .print = true,
                                      .nesting = log->indent ? &log->nesting : NULL,
                                      .out = out};
        while (out && ftello(out) < ENOUGH && (call = next_call(log, &cursor))) {
            struct gib_log_view view;
            if (make_view(log, call, &view))
                render_call(&rendering, &view);
        }
        log->printed = cursor.failed ? log->buffer_offset : cursor.offset;
        free(cursor.block);
        if (out)
            fclose(out);
        bool more = log->printed < log->buffer_offset;
        if (text && !*text && !more) {
            free(text);
            text = NULL;
        }
    }
    pthread_mutex_unlock(&log->lock);
    return text;
}

char *gib_log_next_text(struct gib_log *log)
{
    return next_text(log, GIB_LOG_TEXT);
}

char *gib_log_next_marked(struct gib_log *log)
{
    return next_text(log, GIB_LOG_MARKED);
}

void gib_log_skip(struct gib_log *log)
{
    pthread_mutex_lock(&log->lock);
    write_buffer(log);
    log->printed = log->buffer_offset;
    gib_nesting_free(&log->nesting);
    pthread_mutex_unlock(&log->lock);
}

void gib_log_indent(struct gib_log *log, bool on)
{
    pthread_mutex_lock(&log->lock);
    if (!on)
        gib_nesting_free(&log->nesting);
    log->indent = on;
    pthread_mutex_unlock(&log->lock);
}

/* How many lines the calls from the start make, for -last. */
static uint64_t count_lines(struct gib_log *log, int patch)
{
    struct cursor cursor = {.offset = 0};
    const struct gib_call *call;
    uint64_t lines = 0;
    while ((call = next_call(log, &cursor))) {
        struct gib_log_view view;
        if (!make_view(log, call, &view) || call->status == GIB_CALL_LOST ||
            call->status == GIB_CALL_BEGUN)
            continue;
        for (int i = 0; i < GIB_MAX_ACTIONS; i++) {
            int number = view.site->action[i].patch;
            lines += (view.record->accepted & 1u << i) && number && (!patch || number == patch);
        }
    }
    free(cursor.block);
    return lines;
}

int64_t gib_log_render(struct gib_log *log, enum gib_log_format format, uint64_t last, int patch,
                       FILE *out)
{
    gib_log_drain(log);
    pthread_mutex_lock(&log->lock);
    write_buffer(log);
    uint64_t lines = last ? count_lines(log, patch) : 0;
    struct gib_nesting nesting = {0};
    struct rendering rendering = {.format = format,
                                  .patch = patch,
                                  .skip = last && lines > last ? lines - last : 0,
                                  .nesting =
                                      log->indent && format != GIB_LOG_JSONL ? &nesting : NULL,
                                  .out = out};
    int64_t written = 0;
    struct cursor cursor = {.offset = 0};
    const struct gib_call *call;
    while ((call = next_call(log, &cursor))) {
        struct gib_log_view view;
        if (make_view(log, call, &view))
            written += render_call(&rendering, &view);
    }
    free(cursor.block);
    gib_nesting_free(&nesting);
    pthread_mutex_unlock(&log->lock);
    return fflush(out) || ferror(out) ? -1 : written;
}

uint64_t gib_log_lost(struct gib_log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t lost = log->lost;
    pthread_mutex_unlock(&log->lock);
    return lost;
}

void gib_log_clear(struct gib_log *log)
{
    gib_log_drain(log);
    pthread_mutex_lock(&log->lock);
    log->buffer_used = log->buffer_calls = 0;
    log->buffer_offset = log->spool_size = log->printed = 0;
    log->calls = log->lost = 0;
    gib_nesting_free(&log->nesting);
    if (log->spool_fd >= 0 && ftruncate(log->spool_fd, 0))
        log->spool_size = 0; /* nothing to do: the offsets alone decide what is read */
    pthread_mutex_unlock(&log->lock);
}
