/* jsonl.c: one JSON object a line and call. The fields are documented in docs/commands.md, section
 * log. */
#include <inttypes.h>
#include <string.h>
#include "log/log.h"

static void write_string_field(FILE *out, const char *name, const char *value)
{
    fprintf(out, ",\"%s\":", name);
    gib_escape_json(out, value, strlen(value));
}

static void write_arguments(const struct gib_log_view *view, FILE *out)
{
    const struct gib_log_site *site = view->site;
    const struct gib_prototype *prototype = site->prototype;
    fputs(",\"arguments\":{", out);
    bool named = prototype && !prototype->unspecified;
    size_t count = named ? prototype->parameter_count : site->convention.words;
    for (size_t i = 0; i < count && (!named || i < site->convention.parameters); i++) {
        const struct gib_parameter *parameter = named ? &prototype->parameters[i] : NULL;
        char number[32];
        snprintf(number, sizeof number, "arg%zu", i + 1);
        const char *name = parameter && parameter->name ? parameter->name : number;
        int first = named ? site->convention.parameter[i].first : (int)i;
        int words = named ? site->convention.parameter[i].count : 1;
        uint64_t word[2] = {0, 0};
        memcpy(word, &gib_record_words(view->record)[first],
               sizeof(uint64_t) * (words > 2 ? 2 : (size_t)words));
        fputs(i ? "," : "", out);
        gib_escape_json(out, name, strlen(name));
        fputc(':', out);
        gib_value_write(out, GIB_VALUE_JSON, parameter ? &parameter->type : NULL, word, words,
                        gib_log_chunk(view, GIB_CHUNK_STRING, first));
    }
    if (named)
        gib_variadic_write(view, GIB_VALUE_JSON, out);
    fputc('}', out);
}

static void write_result(const struct gib_log_view *view, FILE *out)
{
    const struct gib_prototype *prototype = view->site->prototype;
    uint64_t word[2] = {view->record->result, 0};
    const struct gib_chunk *second = gib_log_chunk(view, GIB_CHUNK_RESULT2, -1);
    const struct gib_chunk *text = gib_log_chunk(view, GIB_CHUNK_RESULT, -1);
    const struct gib_chunk *code = gib_log_chunk(view, GIB_CHUNK_ERRNO, -1);
    if (second)
        memcpy(&word[1], gib_log_chunk_bytes(second), 8);
    if (!prototype || prototype->result.kind != GIB_TYPE_VOID) {
        fputs(",\"result\":", out);
        gib_value_write(out, GIB_VALUE_JSON, prototype ? &prototype->result : NULL, word, 2, NULL);
    }
    if (text) {
        fputs(",\"result_text\":", out);
        gib_escape_json(out, gib_log_chunk_bytes(text), text->size);
    }
    if (code) {
        int32_t number;
        memcpy(&number, gib_log_chunk_bytes(code), 4);
        const char *name = strerrorname_np(number);
        fprintf(out, ",\"errno\":%d", number);
        if (name)
            write_string_field(out, "error", name);
    }
}

/* Members of one frame's object, without its end. */
static void write_frame(const struct gib_frame_text *frame, uint64_t address, FILE *out)
{
    char text[600] = "<signal handler called>";
    if (frame)
        gib_frame_describe(frame, text, sizeof text);
    fprintf(out, "{\"address\":\"0x%" PRIx64 "\",\"symbol\":", address);
    gib_escape_json(out, text, strlen(text));
    if (frame && frame->inlined)
        fputs(",\"inlined\":true", out);
}

static void write_caller(const struct gib_log_view *view, FILE *out)
{
    size_t count;
    uint64_t address = view->record->caller;
    fputs(",\"caller\":", out);
    gib_modules_lock(view->modules);
    const struct gib_frame_text *frames = gib_modules_frames(view->modules, address, true, &count);
    write_frame(frames, address, out);
    if (count > 1) {
        char text[600];
        gib_frame_describe(&frames[count - 1], text, sizeof text);
        write_string_field(out, "in", text);
    }
    gib_modules_unlock(view->modules);
    fputc('}', out);
}

static void write_backtrace(const struct gib_log_view *view, FILE *out)
{
    const struct gib_chunk *chunk = gib_log_chunk(view, GIB_CHUNK_BACKTRACE, -1);
    if (!chunk)
        return;
    fputs(",\"backtrace\":[", out);
    gib_modules_lock(view->modules);
    for (uint32_t i = 0; i < chunk->size / 8; i++) {
        uint64_t address;
        size_t count;
        const struct gib_frame_text *frames = gib_log_frames(view, chunk, i, &address, &count);
        for (size_t k = 0; k < count; k++) {
            fputs(i || k ? "," : "", out);
            write_frame(frames ? &frames[k] : NULL, address, out);
            fputc('}', out);
        }
    }
    gib_modules_unlock(view->modules);
    fputc(']', out);
}

void gib_log_jsonl(const struct gib_log_view *view, FILE *out)
{
    static const char *const status[] = {"call", "entry", "unfinished", "resumed", "lost"};
    const struct gib_call *call = view->call;
    fprintf(out, "{\"type\":\"%s\",\"process\":%u,\"pid\":%d,\"tid\":%d", status[call->status],
            call->process, call->pid, call->tid);
    if (call->status == GIB_CALL_LOST) {
        fprintf(out, ",\"lost\":%" PRIu64 "}\n", view->record->word[0]);
        return;
    }
    fprintf(out, ",\"time\":%.9f,\"patch\":%d", view->seconds, view->patch);
    write_string_field(out, "function", view->site->function);
    write_string_field(out, "module", view->site->module);
    if (call->status != GIB_CALL_RESUMED)
        write_arguments(view, out);
    if (call->status == GIB_CALL_DONE || call->status == GIB_CALL_RESUMED)
        write_result(view, out);
    if (call->status == GIB_CALL_DONE)
        fprintf(out, ",\"duration\":%.9f", view->duration);
    if (view->site->mocked)
        fputs(",\"mocked\":true", out);
    write_caller(view, out);
    write_backtrace(view, out);
    fputs("}\n", out);
}
