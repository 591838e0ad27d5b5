/* text.c: one line a call, in the manner of strace and ltrace; its callers below it. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "log/log.h"
#include "log/marks.h"

static void mark(const struct gib_log_view *view, struct gib_out *out, enum gib_mark mark)
{
    if (view->marks)
        gib_out_byte(out, mark);
}

void gib_log_text_argument(const struct gib_log_view *view, size_t index, struct gib_out *out)
{
    const struct gib_log_site *site = view->site;
    const struct gib_prototype *prototype = site->prototype;
    if (!prototype || prototype->unspecified) {
        gib_value_write(out, GIB_VALUE_TEXT, NULL, &gib_record_words(view->record)[index], 1, NULL);
        return;
    }
    int first = site->convention.parameter[index].first,
        count = site->convention.parameter[index].count;
    gib_value_write(out, GIB_VALUE_TEXT, &prototype->parameters[index].type,
                    &gib_record_words(view->record)[first], count,
                    gib_log_chunk(view, GIB_CHUNK_STRING, first));
}

void gib_log_text_arguments(const struct gib_log_view *view, struct gib_out *out)
{
    const struct gib_log_site *site = view->site;
    const struct gib_prototype *prototype = site->prototype;
    if (!prototype || prototype->unspecified) {
        for (int i = 0; i < site->convention.words; i++) {
            gib_out_text(out, i ? ", " : "");
            gib_log_text_argument(view, (size_t)i, out);
        }
        return;
    }
    for (size_t i = 0; i < prototype->parameter_count; i++) {
        const struct gib_parameter *parameter = &prototype->parameters[i];
        gib_out_text(out, i ? ", " : "");
        if (i >= site->convention.parameters) {
            gib_out_text(out, "...");
            break;
        }
        if (parameter->name) {
            mark(view, out, GIB_MARK_VARIABLE);
            gib_escape_name(out, parameter->name);
            mark(view, out, GIB_MARK_END);
            gib_out_byte(out, '=');
        }
        gib_log_text_argument(view, i, out);
    }
    gib_variadic_write(view, GIB_VALUE_TEXT, out);
}

void gib_log_text_result(const struct gib_log_view *view, struct gib_out *out)
{
    const struct gib_prototype *prototype = view->site->prototype;
    uint64_t word[2] = {view->record->result, 0};
    const struct gib_chunk *second = gib_log_chunk(view, GIB_CHUNK_RESULT2, -1);
    const struct gib_chunk *code = gib_log_chunk(view, GIB_CHUNK_ERRNO, -1);
    if (second)
        memcpy(&word[1], gib_log_chunk_bytes(second), 8);
    if (prototype && prototype->result.kind == GIB_TYPE_VOID)
        return;
    if (code) {
        int32_t number;
        memcpy(&number, gib_log_chunk_bytes(code), 4);
        const char *name = strerrorname_np(number), *text = strerrordesc_np(number);
        /* -1 also for MAP_FAILED and for results that C calls unsigned. */
        gib_out_text(out, word[0] ? "-1" : "NULL");
        gib_out_byte(out, ' ');
        mark(view, out, GIB_MARK_HIGHLIGHT);
        if (name)
            gib_out_printf(out, "%s (%s)", name, text);
        else
            gib_out_printf(out, "errno %d", number);
        mark(view, out, GIB_MARK_END);
        return;
    }
    if (prototype && prototype->result.kind == GIB_TYPE_STRING) {
        /* The pointer says whose memory it is; the text is what people want. */
        static const struct gib_type pointer = {.kind = GIB_TYPE_POINTER, .size = 8};
        gib_value_write(out, GIB_VALUE_TEXT, &pointer, word, 1, NULL);
        const struct gib_chunk *text = gib_log_chunk(view, GIB_CHUNK_RESULT, -1);
        if (text && (text->size || !text->flags)) {
            gib_out_byte(out, ' ');
            gib_value_write(out, GIB_VALUE_TEXT, &prototype->result, word, 1, text);
        }
        return;
    }
    const struct gib_type *type = prototype ? &prototype->result : NULL;
    gib_value_write(out, GIB_VALUE_TEXT, type, word, gib_result_words(type, second ? 2 : 1), NULL);
}

static void write_result(const struct gib_log_view *view, struct gib_out *out)
{
    const struct gib_prototype *prototype = view->site->prototype;
    if (prototype && prototype->result.kind == GIB_TYPE_VOID)
        return;
    gib_out_text(out, " = ");
    gib_log_text_result(view, out);
}

/* A word of Gibbon's about the call. */
static void write_note(const struct gib_log_view *view, const char *note, struct gib_out *out)
{
    gib_out_byte(out, ' ');
    mark(view, out, GIB_MARK_METADATA);
    gib_out_text(out, note);
    mark(view, out, GIB_MARK_END);
}

static void put_duration(double seconds, struct gib_out *out)
{
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}};
    size_t i = 0;
    while (i < 3 && seconds < units[i].unit)
        i++;
    double value = seconds / units[i].unit;
    if (i == 3 || value >= 100)
        gib_out_signed(out, (int64_t)(value < 1e18 ? value + .5 : 1e18));
    else if (value >= 10)
        gib_out_fixed(out, (int64_t)(value * 10 + .5), 1);
    else
        gib_out_fixed(out, (int64_t)(value * 100 + .5), 2);
    gib_out_text(out, units[i].name);
}

void gib_log_duration(double seconds, char out[GIB_DURATION_TEXT])
{
    struct gib_out text = {.bytes = out, .room = GIB_DURATION_TEXT - 1}; /* always long enough */
    put_duration(seconds, &text);
    out[text.used] = '\0';
}

static void write_duration(const struct gib_log_view *view, struct gib_out *out)
{
    gib_out_byte(out, ' ');
    mark(view, out, GIB_MARK_METADATA);
    gib_out_byte(out, '<');
    put_duration(view->duration, out);
    gib_out_byte(out, '>');
    mark(view, out, GIB_MARK_END);
}

static void indent(const struct gib_log_view *view, struct gib_out *out)
{
    for (unsigned i = 0; i < view->depth; i++)
        gib_out_text(out, "  ");
}

/* As gib_frame_describe, with marks. NULL: see gib_log_frames. */
static void write_frame(const struct gib_log_view *view, const struct gib_frame_text *frame,
                        struct gib_out *out)
{
    if (!frame) {
        gib_out_text(out, "<signal handler called>");
        return;
    }
    mark(view, out, frame->function ? GIB_MARK_FUNCTION : GIB_MARK_ADDRESS);
    if (frame->function)
        gib_escape_name(out, frame->function);
    else
        gib_out_printf(out, "0x%" PRIx64, frame->address);
    mark(view, out, GIB_MARK_END);
    if (frame->function && frame->offset && !frame->inlined)
        gib_out_printf(out, "+0x%" PRIx64, frame->offset);
    if (!frame->module)
        return;
    gib_out_text(out, " (");
    mark(view, out, GIB_MARK_FILE);
    gib_escape_name(out, frame->file ? frame->file : frame->module);
    mark(view, out, GIB_MARK_END);
    if (frame->file) {
        gib_out_byte(out, ':');
        mark(view, out, GIB_MARK_LINE);
        gib_out_printf(out, "%u", frame->line);
        mark(view, out, GIB_MARK_END);
    } else if (!frame->function) {
        gib_out_printf(out, "+0x%" PRIx64, frame->offset);
    }
    gib_out_byte(out, ')');
    if (frame->inlined)
        write_note(view, "[inlined]", out);
}

static void write_backtrace(const struct gib_log_view *view, struct gib_out *out)
{
    const struct gib_chunk *chunk = gib_log_chunk(view, GIB_CHUNK_BACKTRACE, -1);
    unsigned number = 0;
    if (!chunk)
        return;
    gib_modules_lock(view->modules);
    for (uint32_t i = 0; i < chunk->size / 8; i++) {
        uint64_t address;
        size_t count;
        const struct gib_frame_text *frames =
            gib_log_frames(view, gib_log_frame(chunk, i), &address, &count);
        for (size_t k = 0; k < count; k++) {
            indent(view, out);
            gib_out_printf(out, "    #%u ", number++);
            write_frame(view, frames ? &frames[k] : NULL, out);
            gib_out_byte(out, '\n');
        }
    }
    gib_modules_unlock(view->modules);
    if (chunk->flags & GIB_CHUNK_CUT) {
        indent(view, out);
        gib_out_text(out, "    (more frames follow)\n");
    }
}

static void write_function(const struct gib_log_view *view, struct gib_out *out)
{
    mark(view, out, GIB_MARK_FUNCTION);
    if (view->site->ambiguous) {
        gib_escape_name(out, view->site->module);
        gib_out_byte(out, '!');
    }
    gib_escape_name(out, view->site->function);
    mark(view, out, GIB_MARK_END);
}

static void write_end(const struct gib_log_view *view, struct gib_out *out)
{
    bool done = view->call->status == GIB_CALL_DONE;
    if (done || view->call->status == GIB_CALL_RESUMED) {
        write_result(view, out);
        if (view->site->mocked)
            write_note(view, "(mocked)", out);
    }
    if (view->several) {
        char which[32];
        snprintf(which, sizeof which, "(patch %d)", view->patch);
        write_note(view, which, out);
    }
    if (done)
        write_duration(view, out);
    else if (view->call->status == GIB_CALL_UNFINISHED)
        write_note(view, "<unfinished ...>", out);
    else if (view->call->status == GIB_CALL_BEGUN)
        gib_out_text(out, " {");
    gib_out_byte(out, '\n');
}

void gib_log_text(const struct gib_log_view *view, struct gib_out *out)
{
    const struct gib_call *call = view->call;
    if (call->status == GIB_CALL_LOST) {
        gib_out_printf(out, "gibbon: [%d] %" PRIu64 " record%s lost: %s\n", call->tid,
                       view->record->word[0], view->record->word[0] == 1 ? "" : "s",
                       view->record->word[1] == GIB_LOST_SPOOLING
                           ? "Gibbon's temporary file could not be written; room in its file "
                             "system helps"
                           : "the target was faster than the reader; a larger ring helps (gibbon "
                             "set ring-size)");
        return;
    }
    /* The end of what has begun in a line of its own has its own time, too. */
    bool ends_later = view->closes && call->status == GIB_CALL_DONE;
    int64_t time = view->began + (ends_later ? view->lasted : 0);
    int64_t microseconds = (time + (time < 0 ? -500 : 500)) / 1000;
    gib_out_text(out, "gibbon: [");
    gib_out_signed(out, call->tid);
    gib_out_text(out, microseconds < 0 ? "] " : "] +");
    gib_out_fixed(out, microseconds, 6);
    gib_out_byte(out, ' ');
    indent(view, out);
    if (view->closes) {
        gib_out_text(out, "} ");
        write_function(view, out);
        write_end(view, out);
        return;
    }
    if (call->status == GIB_CALL_RESUMED) {
        gib_out_text(out, "<... ");
        write_function(view, out);
        gib_out_text(out, " resumed>");
        write_end(view, out);
        return;
    }
    write_function(view, out);
    gib_out_byte(out, '(');
    gib_log_text_arguments(view, out);
    gib_out_byte(out, ')');
    write_end(view, out);
    write_backtrace(view, out);
}
