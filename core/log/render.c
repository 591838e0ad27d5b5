/* render.c: one call in one of the formats; texts that are made once. */
#include "log/render.h"
#include "log/internal.h"

#include <stdlib.h>

static void forget(struct gib_cached *place, size_t count)
{
    for (size_t i = 0; place && i < count; i++) {
        free(place[i].text);
        place[i] = (struct gib_cached){0};
    }
}

struct gib_renderer *gib_renderer_new(enum gib_log_format format)
{
    struct gib_renderer *renderer = calloc(1, sizeof *renderer);
    if (!renderer)
        return NULL;
    renderer->format = format;
    renderer->out.strict = format == GIB_LOG_TRACE;
    if (format == GIB_LOG_TEXT || format == GIB_LOG_MARKED)
        return renderer;
    renderer->site = calloc(GIB_CACHED_SITES, sizeof *renderer->site);
    renderer->names = calloc(GIB_CACHED_SITES, sizeof *renderer->names);
    renderer->address = calloc(GIB_CACHED_ADDRESSES, sizeof *renderer->address);
    if (renderer->site && renderer->names && renderer->address)
        return renderer;
    gib_renderer_free(renderer);
    return NULL;
}

void gib_renderer_free(struct gib_renderer *renderer)
{
    if (!renderer)
        return;
    forget(renderer->site, GIB_CACHED_SITES);
    forget(renderer->address, GIB_CACHED_ADDRESSES);
    forget(renderer->names, GIB_CACHED_SITES);
    forget(renderer->thread, GIB_CACHED_THREADS);
    free(renderer->names);
    free(renderer->site);
    free(renderer->address);
    gib_out_free(&renderer->out);
    gib_out_free(&renderer->scratch);
    gib_nesting_free(&renderer->own_nesting);
    free(renderer);
}

void gib_renderer_indent(struct gib_renderer *renderer, struct gib_nesting *nesting)
{
    if (renderer->format == GIB_LOG_TEXT || renderer->format == GIB_LOG_MARKED)
        renderer->nesting = nesting ? nesting : &renderer->own_nesting;
}

struct gib_out *gib_renderer_out(struct gib_renderer *renderer)
{
    return &renderer->out;
}

void gib_renderer_begin(struct gib_renderer *renderer)
{
    if (renderer->format == GIB_LOG_CSV)
        gib_log_csv_header(&renderer->out);
    else if (renderer->format == GIB_LOG_TRACE)
        gib_out_text(&renderer->out, "[\n");
}

void gib_renderer_end(struct gib_renderer *renderer)
{
    if (renderer->format == GIB_LOG_TRACE)
        gib_out_text(&renderer->out, "\n]\n");
}

/* ---- texts made once ---- */

static const struct gib_cached *find(const struct gib_renderer *renderer, struct gib_cached *place,
                                     uint64_t key, uint64_t other, const struct gib_log_view *view,
                                     gib_make_text *make)
{
    if (!place->text || place->key[0] != key || place->key[1] != other) {
        struct gib_out text = {.strict = renderer->out.strict};
        make(view, key, &text);
        free(place->text);
        *place = (struct gib_cached){{key, other}, text.bytes, text.used};
    }
    return place;
}

static void write_cached(struct gib_renderer *renderer, const struct gib_cached *cached)
{
    if (cached->size)
        gib_out_bytes(&renderer->out, cached->text, cached->size);
}

void gib_cached_thread(struct gib_renderer *renderer, const struct gib_log_view *view,
                       gib_make_text *make)
{
    const struct gib_call *call = view->call;
    uint64_t key = (uint64_t)(uint32_t)call->pid << 32 | (uint32_t)call->tid;
    struct gib_cached *place = &renderer->thread[(uint32_t)call->tid % GIB_CACHED_THREADS];
    write_cached(renderer, find(renderer, place, key, call->process, view, make));
}

void gib_cached_site(struct gib_renderer *renderer, const struct gib_log_view *view,
                     gib_make_text *make)
{
    uint64_t key = view->site->serial, patch = (uint64_t)view->patch;
    struct gib_cached *place = &renderer->site[(key + patch * 31) % GIB_CACHED_SITES];
    write_cached(renderer, find(renderer, place, key, patch, view, make));
}

const char *gib_cached_names(struct gib_renderer *renderer, const struct gib_log_view *view,
                             gib_make_text *make)
{
    uint64_t key = view->site->serial;
    const char *text =
        find(renderer, &renderer->names[key % GIB_CACHED_SITES], key, 0, view, make)->text;
    return text ? text : "";
}

static void write_address(struct gib_renderer *renderer, const struct gib_log_view *view,
                          uint64_t key, uint64_t kind, gib_make_text *make)
{
    struct gib_cached *place = &renderer->address[(key ^ key >> 12) % GIB_CACHED_ADDRESSES];
    write_cached(renderer,
                 find(renderer, place, key, kind << 32 | view->call->process, view, make));
}

void gib_cached_caller(struct gib_renderer *renderer, const struct gib_log_view *view,
                       gib_make_text *make)
{
    write_address(renderer, view, view->record->caller, 0, make);
}

void gib_cached_frame(struct gib_renderer *renderer, const struct gib_log_view *view,
                      uint64_t frame, gib_make_text *make)
{
    write_address(renderer, view, frame, 1, make);
}

/* ---- what the formats show ---- */

size_t gib_log_argument_count(const struct gib_log_view *view)
{
    const struct gib_log_site *site = view->site;
    if (!site->prototype || site->prototype->unspecified)
        return (size_t)site->convention.words;
    size_t known = (size_t)site->convention.parameters;
    return site->prototype->parameter_count < known ? site->prototype->parameter_count : known;
}

struct gib_log_argument gib_log_argument(const struct gib_log_view *view, size_t index)
{
    const struct gib_log_site *site = view->site;
    const struct gib_prototype *prototype = site->prototype;
    struct gib_log_argument a = {.words = 1};
    int first = (int)index;
    if (prototype && !prototype->unspecified) {
        a.type = &prototype->parameters[index].type;
        a.name = prototype->parameters[index].name;
        first = site->convention.parameter[index].first;
        a.words = site->convention.parameter[index].count;
    }
    a.word = gib_record_words(view->record) + first;
    if (!a.type || a.type->kind == GIB_TYPE_STRING)
        a.text = gib_log_chunk(view, GIB_CHUNK_STRING, first);
    return a;
}

struct gib_log_result gib_log_result(const struct gib_log_view *view)
{
    const struct gib_prototype *prototype = view->site->prototype;
    struct gib_log_result r = {.type = prototype ? &prototype->result : NULL,
                               .none = prototype && prototype->result.kind == GIB_TYPE_VOID,
                               .word = {view->record->result, 0},
                               .text = gib_log_chunk(view, GIB_CHUNK_RESULT, -1)};
    const struct gib_chunk *second = gib_log_chunk(view, GIB_CHUNK_RESULT2, -1);
    const struct gib_chunk *code = gib_log_chunk(view, GIB_CHUNK_ERRNO, -1);
    if (second && second->size >= 8)
        memcpy(&r.word[1], gib_log_chunk_bytes(second), 8);
    r.words = gib_result_words(r.type, second ? 2 : 1);
    if (r.text && r.text->flags & GIB_CHUNK_UNREADABLE && !r.text->size)
        r.text = NULL; /* its address is all there is */
    if (code && code->size >= 4) {
        r.failed = true;
        memcpy(&r.code, gib_log_chunk_bytes(code), 4);
    }
    return r;
}

void gib_log_describe(const struct gib_log_view *view, uint64_t address, char text[600])
{
    gib_modules_describe(view->modules, address, true, text, 600);
}

void gib_log_describe_frame(const struct gib_frame_text *frame, char text[600])
{
    if (frame)
        gib_frame_describe(frame, text, 600);
    else
        strcpy(text, "<signal handler called>");
}

void gib_log_each_frame(const struct gib_log_view *view, uint64_t frame, const char *between,
                        void (*write)(const struct gib_frame_text *frame, uint64_t address,
                                      struct gib_out *out),
                        struct gib_out *out)
{
    uint64_t address;
    size_t count;
    gib_modules_lock(view->modules);
    const struct gib_frame_text *frames = gib_log_frames(view, frame, &address, &count);
    for (size_t i = 0; i < count; i++) {
        if (i)
            gib_out_text(out, between);
        write(frames ? &frames[i] : NULL, address, out);
    }
    gib_modules_unlock(view->modules);
}

/* ---- one entry of the spool ---- */

static void render_one(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    switch (renderer->format) {
    case GIB_LOG_TEXT:
    case GIB_LOG_MARKED:
        gib_log_text(view, &renderer->out);
        break;
    case GIB_LOG_JSONL:
        gib_log_jsonl(renderer, view);
        break;
    case GIB_LOG_CSV:
        gib_log_csv(renderer, view);
        break;
    case GIB_LOG_TRACE:
        gib_log_trace(renderer, view);
        break;
    }
}

/* For which of the site's patches the call has a line, one bit each. */
static unsigned wanted_actions(const struct gib_log_view *view, int patch, bool print)
{
    unsigned wanted = 0;
    for (unsigned left = view->record->accepted; left; left &= left - 1) {
        int i = __builtin_ctz(left), number = view->site->action[i].patch;
        if (number && (!patch || number == patch) && !(print && view->site->action[i].quiet))
            wanted |= left & -left;
    }
    return wanted;
}

unsigned gib_render(struct gib_renderer *renderer, struct gib_log_view *view, int patch, bool print,
                    uint64_t *skip)
{
    unsigned written = 0;
    bool begun = view->call->status == GIB_CALL_BEGUN;
    uint64_t changes = gib_modules_changes();
    if (changes != renderer->described) { /* an address may be something else now */
        forget(renderer->address, GIB_CACHED_ADDRESSES);
        renderer->described = changes;
    }
    if (!view->site) {
        /* The names of threads are told of those that are skipped, too. */
        if (view->call->status == GIB_CALL_LOST ? !*skip : renderer->format == GIB_LOG_TRACE)
            render_one(renderer, view);
        return 0;
    }
    if (begun && (!renderer->nesting || *skip))
        return 0;
    if (renderer->nesting) {
        view->closes = !begun && gib_nesting_end(renderer->nesting, view->call);
        view->depth = gib_nesting_depth(renderer->nesting, view->call);
    }
    view->marks = renderer->format == GIB_LOG_MARKED;
    unsigned wanted = wanted_actions(view, patch, print);
    view->several = wanted & (wanted - 1);
    for (; wanted; wanted &= wanted - 1) {
        if (*skip) {
            --*skip;
            continue;
        }
        view->patch = view->site->action[__builtin_ctz(wanted)].patch;
        render_one(renderer, view);
        written++;
    }
    if (begun && written)
        gib_nesting_begin(renderer->nesting, view->call);
    return begun ? 0 : written;
}
