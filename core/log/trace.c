/*
 * trace.c: Chrome's trace events, which Perfetto and chrome://tracing open: a JSON array of them,
 * one a line.
 *
 *   a call                    X  complete: a bar in its thread's track
 *   a call seen at entry only i  instant
 *   a call that never ended   B  begin, if it is the last thing its thread did; else an instant
 *   only the return is known  i
 *   lost records              i  over the whole process
 *   names                     M  metadata, before the first event of a process or a thread
 *
 * Times are microseconds with three digits, from the first call of the trace. Begin and end are
 * rounded, not the duration, so that what is nested stays so.
 *
 * Where time stamps are coarse, a call may end when the one inside it does. Readers add begin and
 * duration in floating point, and then either is the first: so the outer one is made to end a
 * nanosecond later, and what follows it in the track begins no earlier.
 */
#include "log/render.h"

/* Of a time since the first record of the view's process: since the first one of the trace. */
static int64_t time_of(const struct gib_renderer *renderer, const struct gib_log_view *view,
                       int64_t nanoseconds)
{
    uint64_t first = view->first ? view->first : renderer->origin;
    double ahead = (double)(int64_t)(first - renderer->origin) * view->nanoseconds;
    ahead = ahead < -4e18 ? -4e18 : ahead > 4e18 ? 4e18 : ahead;
    return nanoseconds + (int64_t)(ahead + (ahead < 0 ? -.5 : .5));
}

static void begin_event(struct gib_renderer *renderer)
{
    if (renderer->begun)
        gib_out_text(&renderer->out, ",\n");
    renderer->begun = true;
}

static void make_track(const struct gib_log_view *view, uint64_t ignored, struct gib_out *out)
{
    gib_out_printf(out, ",\"pid\":%d,\"tid\":%d", view->call->pid, view->call->tid);
}

static void write_track(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    gib_cached_thread(renderer, view, make_track);
}

/* ---- names ---- */

static void write_name(struct gib_renderer *renderer, const struct gib_log_view *view,
                       const char *what, const char *name, size_t size)
{
    begin_event(renderer);
    gib_out_printf(&renderer->out, "{\"name\":\"%s\",\"ph\":\"M\"", what);
    write_track(renderer, view);
    gib_out_text(&renderer->out, ",\"args\":{\"name\":");
    gib_escape_json(&renderer->out, name, size);
    gib_out_text(&renderer->out, "}}");
}

static void name_process(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    unsigned known =
        renderer->named_count < GIB_SEEN_PROCESSES ? renderer->named_count : GIB_SEEN_PROCESSES;
    for (unsigned i = 0; i < known; i++)
        if (renderer->named[i] == view->call->pid)
            return;
    renderer->named[renderer->named_count++ % GIB_SEEN_PROCESSES] = view->call->pid;
    gib_modules_lock(view->modules);
    for (size_t i = 0; i < gib_modules_count(view->modules); i++) {
        const struct gib_module *module = gib_modules_get(view->modules, i);
        if (module->main) {
            write_name(renderer, view, "process_name", module->name, strlen(module->name));
            if (view->call->tid == view->call->pid) /* until its own is known, if ever */
                write_name(renderer, view, "thread_name", module->name, strlen(module->name));
            break;
        }
    }
    gib_modules_unlock(view->modules);
}

static void name_thread(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    char name[17] = "";
    memcpy(name, view->record->word, 16);
    if (*name)
        write_name(renderer, view, "thread_name", name, strlen(name));
}

/* ---- events ---- */

static void make_site(const struct gib_log_view *view, uint64_t ignored, struct gib_out *out)
{
    gib_out_text(out, "{\"name\":");
    gib_json_string(out, view->site->function);
    gib_out_text(out, ",\"cat\":");
    gib_json_string(out, view->site->module);
}

static void make_caller(const struct gib_log_view *view, uint64_t address, struct gib_out *out)
{
    char text[600];
    gib_log_describe(view, address, text);
    gib_json_string(out, text);
}

static void write_frame(const struct gib_frame_text *frame, uint64_t address, struct gib_out *out)
{
    char text[600];
    gib_log_describe_frame(frame, text);
    gib_json_string(out, text);
}

static void make_frame(const struct gib_log_view *view, uint64_t frame, struct gib_out *out)
{
    gib_log_each_frame(view, frame, ",", write_frame, out);
}

static void write_phase(struct gib_out *out, const char *phase, int64_t began)
{
    gib_out_text(out, ",\"ph\":\"");
    gib_out_text(out, phase);
    gib_out_text(out, "\",\"ts\":");
    gib_out_fixed(out, began, 3);
}

static void write_result(const struct gib_log_view *view, struct gib_out *out)
{
    struct gib_log_result r = gib_log_result(view);
    if (!r.none) {
        gib_out_text(out, ",\"result\":");
        if (r.text)
            gib_escape_json(out, gib_log_chunk_bytes(r.text), r.text->size);
        else
            gib_value_write(out, GIB_VALUE_JSON, r.type, r.word, r.words, NULL);
    }
    if (r.failed) {
        const char *name = strerrorname_np(r.code);
        gib_out_text(out, ",\"errno\":");
        if (name)
            gib_json_string(out, name);
        else
            gib_out_signed(out, r.code);
    }
}

static void write_lost(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    struct gib_out *out = &renderer->out;
    begin_event(renderer);
    gib_out_text(out, "{\"name\":\"records lost\",\"cat\":\"gibbon\"");
    write_phase(out, "i\",\"s\":\"p", time_of(renderer, view, view->began));
    write_track(renderer, view);
    gib_out_text(out, ",\"args\":{\"lost\":");
    gib_out_unsigned(out, view->record->word[0]);
    gib_out_text(out, "}}");
}

/* Events of a track come in the order of their ends. */
static void set_apart(struct gib_renderer *renderer, const struct gib_call *call, int64_t *began,
                      int64_t *ended)
{
    struct gib_track_end *track = &renderer->track[(uint32_t)call->tid % GIB_CACHED_THREADS];
    int64_t end = *ended;
    if (track->pid == call->pid && track->tid == call->tid) {
        if (*began >= track->end) /* behind it, else around it */
            *began = *began > track->shown ? *began : track->shown;
        else if (end <= track->shown)
            *ended = track->shown + 1;
        *ended = *ended > *began ? *ended : *began;
    }
    *track = (struct gib_track_end){call->pid, call->tid, end, *ended};
}

static void write_phase_of_call(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    const struct gib_call *call = view->call;
    struct gib_out *out = &renderer->out;
    int64_t began = time_of(renderer, view, view->began);
    if (call->status == GIB_CALL_DONE) {
        int64_t ended = began + view->lasted;
        set_apart(renderer, call, &began, &ended);
        write_phase(out, "X", began);
        gib_out_text(out, ",\"dur\":");
        gib_out_fixed(out, ended - began, 3);
    } else if (call->status == GIB_CALL_UNFINISHED && call->flags & GIB_CALL_INSIDE) {
        write_phase(out, "B", began);
    } else {
        write_phase(out, "i\",\"s\":\"t", began);
    }
}

void gib_log_trace(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    static const char *const kinds[] = {"", "entry", "unfinished", "return"};
    const struct gib_call *call = view->call;
    struct gib_out *out = &renderer->out;
    if (!renderer->origin)
        renderer->origin = view->first ? view->first : view->record->entered;
    name_process(renderer, view);
    if (call->status == GIB_CALL_THREAD || call->status == GIB_CALL_LOST) {
        (call->status == GIB_CALL_LOST ? write_lost : name_thread)(renderer, view);
        return;
    }
    begin_event(renderer);
    gib_cached_site(renderer, view, make_site);
    write_phase_of_call(renderer, view);
    write_track(renderer, view);
    gib_out_text(out, ",\"args\":{\"patch\":");
    gib_out_signed(out, view->patch);
    if (call->status != GIB_CALL_DONE) {
        gib_out_text(out, ",\"seen\":\"");
        gib_out_text(out, kinds[call->status]);
        gib_out_byte(out, '"');
    }
    if (call->status != GIB_CALL_RESUMED) {
        gib_out_text(out, ",\"arguments\":{");
        gib_json_arguments(renderer, view);
        gib_out_byte(out, '}');
    }
    if (call->status == GIB_CALL_DONE || call->status == GIB_CALL_RESUMED)
        write_result(view, out);
    if (view->site->mocked)
        gib_out_text(out, ",\"mocked\":true");
    gib_out_text(out, ",\"caller\":");
    gib_cached_caller(renderer, view, make_caller);
    gib_json_backtrace(renderer, view, make_frame);
    gib_out_text(out, "}}");
}
