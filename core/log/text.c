/* text.c: one line a call, in the manner of strace and ltrace; its callers below it. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "log/log.h"
#include "log/marks.h"

static void mark(const struct gib_log_view *view, FILE *out, enum gib_mark mark)
{
    if (view->marks)
        fputc(mark, out);
}

static void write_arguments(const struct gib_log_view *view, FILE *out)
{
    const struct gib_log_site *site = view->site;
    const struct gib_prototype *prototype = site->prototype;
    if (!prototype || prototype->unspecified) {
        for (int i = 0; i < site->convention.words; i++) {
            fputs(i ? ", " : "", out);
            gib_value_write(out, GIB_VALUE_TEXT, NULL, &gib_record_words(view->record)[i], 1, NULL);
        }
        return;
    }
    for (size_t i = 0; i < prototype->parameter_count; i++) {
        const struct gib_parameter *parameter = &prototype->parameters[i];
        fputs(i ? ", " : "", out);
        if (i >= site->convention.parameters) {
            fputs("...", out);
            break;
        }
        if (parameter->name) {
            mark(view, out, GIB_MARK_VARIABLE);
            gib_escape_name(out, parameter->name);
            mark(view, out, GIB_MARK_END);
            fputc('=', out);
        }
        int first = site->convention.parameter[i].first,
            count = site->convention.parameter[i].count;
        uint64_t word[2] = {0, 0};
        memcpy(word, &gib_record_words(view->record)[first],
               sizeof(uint64_t) * (count > 2 ? 2 : (size_t)count));
        gib_value_write(out, GIB_VALUE_TEXT, &parameter->type, word, count,
                        gib_log_chunk(view, GIB_CHUNK_STRING, first));
    }
    gib_variadic_write(view, GIB_VALUE_TEXT, out);
}

static void write_result(const struct gib_log_view *view, FILE *out)
{
    const struct gib_prototype *prototype = view->site->prototype;
    uint64_t word[2] = {view->record->result, 0};
    const struct gib_chunk *second = gib_log_chunk(view, GIB_CHUNK_RESULT2, -1);
    const struct gib_chunk *code = gib_log_chunk(view, GIB_CHUNK_ERRNO, -1);
    if (second)
        memcpy(&word[1], gib_log_chunk_bytes(second), 8);
    if (prototype && prototype->result.kind == GIB_TYPE_VOID)
        return;
    fputs(" = ", out);
    if (code) {
        int32_t number;
        memcpy(&number, gib_log_chunk_bytes(code), 4);
        const char *name = strerrorname_np(number), *text = strerrordesc_np(number);
        /* -1 also for MAP_FAILED and for results that C calls unsigned. */
        fputs(word[0] ? "-1" : "NULL", out);
        fputc(' ', out);
        mark(view, out, GIB_MARK_HIGHLIGHT);
        if (name)
            fprintf(out, "%s (%s)", name, text);
        else
            fprintf(out, "errno %d", number);
        mark(view, out, GIB_MARK_END);
        return;
    }
    if (prototype && prototype->result.kind == GIB_TYPE_STRING) {
        /* The pointer says whose memory it is; the text is what people want. */
        static const struct gib_type pointer = {.kind = GIB_TYPE_POINTER, .size = 8};
        gib_value_write(out, GIB_VALUE_TEXT, &pointer, word, 1, NULL);
        const struct gib_chunk *text = gib_log_chunk(view, GIB_CHUNK_RESULT, -1);
        if (text && (text->size || !text->flags)) {
            fputc(' ', out);
            gib_value_write(out, GIB_VALUE_TEXT, &prototype->result, word, 1, text);
        }
        return;
    }
    gib_value_write(out, GIB_VALUE_TEXT, prototype ? &prototype->result : NULL, word, 2, NULL);
}

/* A word of Gibbon's about the call. */
static void write_note(const struct gib_log_view *view, const char *note, FILE *out)
{
    fputc(' ', out);
    mark(view, out, GIB_MARK_METADATA);
    fputs(note, out);
    mark(view, out, GIB_MARK_END);
}

/* Three significant digits in the unit that suits. */
static void write_duration(const struct gib_log_view *view, FILE *out)
{
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}};
    size_t i = 0;
    while (i < 3 && view->duration < units[i].unit)
        i++;
    double value = view->duration / units[i].unit;
    int decimals = i == 3 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    char text[64];
    snprintf(text, sizeof text, "<%.*f%s>", decimals, value, units[i].name);
    write_note(view, text, out);
}

static void indent(const struct gib_log_view *view, FILE *out)
{
    for (unsigned i = 0; i < view->depth; i++)
        fputs("  ", out);
}

/* As gib_frame_describe, with marks. NULL: see gib_log_frames. */
static void write_frame(const struct gib_log_view *view, const struct gib_frame_text *frame,
                        FILE *out)
{
    if (!frame) {
        fputs("<signal handler called>", out);
        return;
    }
    mark(view, out, frame->function ? GIB_MARK_FUNCTION : GIB_MARK_ADDRESS);
    if (frame->function)
        gib_escape_name(out, frame->function);
    else
        fprintf(out, "0x%" PRIx64, frame->address);
    mark(view, out, GIB_MARK_END);
    if (frame->function && frame->offset && !frame->inlined)
        fprintf(out, "+0x%" PRIx64, frame->offset);
    if (!frame->module)
        return;
    fputs(" (", out);
    mark(view, out, GIB_MARK_FILE);
    gib_escape_name(out, frame->file ? frame->file : frame->module);
    mark(view, out, GIB_MARK_END);
    if (frame->file) {
        fputc(':', out);
        mark(view, out, GIB_MARK_LINE);
        fprintf(out, "%u", frame->line);
        mark(view, out, GIB_MARK_END);
    } else if (!frame->function) {
        fprintf(out, "+0x%" PRIx64, frame->offset);
    }
    fputc(')', out);
    if (frame->inlined)
        write_note(view, "[inlined]", out);
}

static void write_backtrace(const struct gib_log_view *view, FILE *out)
{
    const struct gib_chunk *chunk = gib_log_chunk(view, GIB_CHUNK_BACKTRACE, -1);
    unsigned number = 0;
    if (!chunk)
        return;
    gib_modules_lock(view->modules);
    for (uint32_t i = 0; i < chunk->size / 8; i++) {
        uint64_t address;
        size_t count;
        const struct gib_frame_text *frames = gib_log_frames(view, chunk, i, &address, &count);
        for (size_t k = 0; k < count; k++) {
            indent(view, out);
            fprintf(out, "    #%u ", number++);
            write_frame(view, frames ? &frames[k] : NULL, out);
            fputc('\n', out);
        }
    }
    gib_modules_unlock(view->modules);
    if (chunk->flags & GIB_CHUNK_CUT) {
        indent(view, out);
        fputs("    (more frames follow)\n", out);
    }
}

static void write_function(const struct gib_log_view *view, FILE *out)
{
    mark(view, out, GIB_MARK_FUNCTION);
    if (view->site->ambiguous) {
        gib_escape_name(out, view->site->module);
        fputc('!', out);
    }
    gib_escape_name(out, view->site->function);
    mark(view, out, GIB_MARK_END);
}

static void write_end(const struct gib_log_view *view, FILE *out)
{
    bool done = view->call->status == GIB_CALL_DONE;
    if (done || view->call->status == GIB_CALL_RESUMED) {
        write_result(view, out);
        if (view->site->mocked)
            write_note(view, "(mocked)", out);
    }
    if (done)
        write_duration(view, out);
    else if (view->call->status == GIB_CALL_UNFINISHED)
        write_note(view, "<unfinished ...>", out);
    else if (view->call->status == GIB_CALL_BEGUN)
        fputs(" {", out);
    fputc('\n', out);
}

void gib_log_text(const struct gib_log_view *view, FILE *out)
{
    const struct gib_call *call = view->call;
    if (call->status == GIB_CALL_LOST) {
        fprintf(out,
                "gibbon: [%d] %" PRIu64 " record%s lost: the target was faster than the reader; a "
                "larger ring helps (gibbon set ring-size)\n",
                call->tid, view->record->word[0], view->record->word[0] == 1 ? "" : "s");
        return;
    }
    /* The end of what has begun in a line of its own has its own time, too. */
    bool ends_later = view->closes && call->status == GIB_CALL_DONE;
    fprintf(out, "gibbon: [%d] %+.6f ", call->tid,
            ends_later ? view->seconds + view->duration : view->seconds);
    indent(view, out);
    if (view->closes) {
        fputs("} ", out);
        write_function(view, out);
        write_end(view, out);
        return;
    }
    if (call->status == GIB_CALL_RESUMED) {
        fputs("<... ", out);
        write_function(view, out);
        fputs(" resumed>", out);
        write_end(view, out);
        return;
    }
    write_function(view, out);
    fputc('(', out);
    write_arguments(view, out);
    fputc(')', out);
    write_end(view, out);
    write_backtrace(view, out);
}
