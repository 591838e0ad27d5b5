/* jsonl.c: one JSON object a line and call. The fields are documented in docs/commands.md, section
 * log. */
#include "log/render.h"

void gib_json_string(struct gib_out *out, const char *text)
{
    gib_escape_json(out, text, strlen(text));
}

static void write_string_field(struct gib_out *out, const char *name, const char *value)
{
    gib_out_printf(out, ",\"%s\":", name);
    gib_json_string(out, value);
}

/* "path":  ,"flags":  ... */
static void make_names(const struct gib_log_view *view, uint64_t ignored, struct gib_out *out)
{
    size_t count = gib_log_argument_count(view);
    for (size_t i = 0; i < count; i++) {
        const char *name = gib_log_argument(view, i).name;
        if (i)
            gib_out_byte(out, ',');
        if (name)
            gib_json_string(out, name);
        else
            gib_out_printf(out, "\"arg%zu\"", i + 1);
        gib_out_bytes(out, ":", 2); /* and a NUL */
    }
    gib_out_byte(out, '\0');
}

void gib_json_arguments(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    const struct gib_prototype *prototype = view->site->prototype;
    struct gib_out *out = &renderer->out;
    const char *name = gib_cached_names(renderer, view, make_names);
    size_t count = *name ? gib_log_argument_count(view) : 0;
    for (size_t i = 0; i < count; i++) {
        struct gib_log_argument a = gib_log_argument(view, i);
        size_t length = strlen(name);
        gib_out_bytes(out, name, length);
        name += length + 1;
        gib_value_write(out, GIB_VALUE_JSON, a.type, a.word, a.words, a.text);
    }
    if (prototype && !prototype->unspecified)
        gib_variadic_write(view, GIB_VALUE_JSON, out);
}

void gib_json_backtrace(struct gib_renderer *renderer, const struct gib_log_view *view,
                        gib_make_text *make)
{
    const struct gib_chunk *chunk = gib_log_chunk(view, GIB_CHUNK_BACKTRACE, -1);
    if (!chunk)
        return;
    gib_out_text(&renderer->out, ",\"backtrace\":[");
    for (uint32_t i = 0; i < chunk->size / 8; i++) {
        if (i)
            gib_out_byte(&renderer->out, ',');
        gib_cached_frame(renderer, view, gib_log_frame(chunk, i), make);
    }
    gib_out_text(&renderer->out, chunk->flags & GIB_CHUNK_CUT ? "],\"more_frames\":true" : "]");
}

static void write_result(const struct gib_log_view *view, struct gib_out *out)
{
    struct gib_log_result r = gib_log_result(view);
    if (!r.none) {
        gib_out_text(out, ",\"result\":");
        gib_value_write(out, GIB_VALUE_JSON, r.type, r.word, r.words, NULL);
    }
    if (r.text) {
        gib_out_text(out, ",\"result_text\":");
        gib_escape_json(out, gib_log_chunk_bytes(r.text), r.text->size);
    }
    if (r.failed) {
        const char *name = strerrorname_np(r.code);
        gib_out_text(out, ",\"errno\":");
        gib_out_signed(out, r.code);
        if (name)
            write_string_field(out, "error", name);
    }
}

/* One frame's object, without its end. */
static void begin_frame(const struct gib_frame_text *frame, uint64_t address, struct gib_out *out)
{
    char text[600];
    gib_log_describe_frame(frame, text);
    gib_out_text(out, "{\"address\":\"");
    gib_out_hex(out, address);
    gib_out_text(out, "\",\"symbol\":");
    gib_json_string(out, text);
    if (frame && frame->inlined)
        gib_out_text(out, ",\"inlined\":true");
}

static void write_frame(const struct gib_frame_text *frame, uint64_t address, struct gib_out *out)
{
    begin_frame(frame, address, out);
    gib_out_byte(out, '}');
}

static void make_frame(const struct gib_log_view *view, uint64_t frame, struct gib_out *out)
{
    gib_log_each_frame(view, frame, ",", write_frame, out);
}

static void make_caller(const struct gib_log_view *view, uint64_t address, struct gib_out *out)
{
    size_t count;
    gib_modules_lock(view->modules);
    const struct gib_frame_text *frames = gib_modules_frames(view->modules, address, true, &count);
    begin_frame(frames, address, out);
    if (count > 1) {
        char text[600];
        gib_frame_describe(&frames[count - 1], text, sizeof text);
        write_string_field(out, "in", text);
    }
    gib_modules_unlock(view->modules);
    gib_out_byte(out, '}');
}

/* What the calls of one patch at one place begin with. */
static void make_site(const struct gib_log_view *view, uint64_t ignored, struct gib_out *out)
{
    gib_out_text(out, ",\"patch\":");
    gib_out_signed(out, view->patch);
    write_string_field(out, "function", view->site->function);
    write_string_field(out, "module", view->site->module);
}

static void make_head(const struct gib_log_view *view, uint64_t ignored, struct gib_out *out)
{
    const struct gib_call *call = view->call;
    gib_out_printf(out, "\",\"process\":%u,\"pid\":%d,\"tid\":%d", call->process, call->pid,
                   call->tid);
}

/* Texts that are longer than what was kept. */
static void write_cuts(const struct gib_log_view *view, struct gib_out *out)
{
    size_t count = view->call->status == GIB_CALL_RESUMED ? 0 : gib_log_argument_count(view);
    bool any = false;
    for (size_t i = 0; i <= count; i++) {
        struct gib_log_argument a = {0};
        if (i < count)
            a = gib_log_argument(view, i);
        else
            a.text = gib_log_chunk(view, GIB_CHUNK_RESULT, -1);
        if (!a.text || !a.text->flags || (a.text->flags & GIB_CHUNK_UNREADABLE && !a.text->size))
            continue;
        gib_out_text(out, any ? "," : ",\"cut\":[");
        any = true;
        if (i == count)
            gib_out_text(out, "\"result_text\"");
        else if (a.name)
            gib_json_string(out, a.name);
        else
            gib_out_printf(out, "\"arg%zu\"", i + 1);
    }
    if (any)
        gib_out_byte(out, ']');
}

void gib_log_jsonl(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    static const char *const types[] = {"call", "entry", "unfinished", "resumed", "lost", "thread"};
    const struct gib_call *call = view->call;
    struct gib_out *out = &renderer->out;
    gib_out_text(out, "{\"type\":\"");
    gib_out_text(out, types[call->status]);
    gib_cached_thread(renderer, view, make_head);
    if (call->status == GIB_CALL_LOST) {
        gib_out_text(out, ",\"lost\":");
        gib_out_unsigned(out, view->record->word[0]);
        gib_out_text(out, "}\n");
        return;
    }
    gib_out_text(out, ",\"time\":");
    gib_out_fixed(out, view->began, 9);
    gib_cached_site(renderer, view, make_site);
    if (call->status != GIB_CALL_RESUMED) {
        gib_out_text(out, ",\"arguments\":{");
        gib_json_arguments(renderer, view);
        gib_out_byte(out, '}');
    }
    if (call->status == GIB_CALL_DONE || call->status == GIB_CALL_RESUMED)
        write_result(view, out);
    if (call->size > sizeof *call + sizeof(struct gib_record)) /* a text does not fit one line */
        write_cuts(view, out);
    if (call->status == GIB_CALL_DONE) {
        gib_out_text(out, ",\"duration\":");
        gib_out_fixed(out, view->lasted, 9);
    }
    if (view->site->mocked)
        gib_out_text(out, ",\"mocked\":true");
    gib_out_text(out, ",\"caller\":");
    gib_cached_caller(renderer, view, make_caller);
    gib_json_backtrace(renderer, view, make_frame);
    gib_out_text(out, "}\n");
}
