/*
 * csv.c: one line a call, for spreadsheets and data frames (RFC 4180). The columns are documented
 * in docs/commands.md, section log.
 *
 * All functions share the columns, so arguments are there twice: in one cell as people read them,
 * and the first six by their place, as programs do.
 */
#include "log/render.h"

enum { PLACES = 6 };

void gib_log_csv_header(struct gib_out *out)
{
    gib_out_text(out, "type,process,pid,tid,time,duration,patch,function,module,result,errno,error,"
                      "mocked,caller,lost,arguments");
    for (int i = 1; i <= PLACES; i++)
        gib_out_printf(out, ",arg%d", i);
    gib_out_text(out, ",backtrace\r\n");
}

/* A cell of text: quoted where it must be. A spreadsheet takes text that begins so for a formula,
 * and would carry it out: an apostrophe in front keeps it from that. */
static void write_cell(struct gib_out *out, const char *text, size_t size)
{
    bool formula = size && memchr("=+-@", *text, 4);
    bool quote = false;
    for (size_t i = 0; i < size; i++)
        quote |= text[i] == ',' || text[i] == '"' || (unsigned char)text[i] < ' ';
    quote |= size && (text[0] == ' ' || text[size - 1] == ' ');
    if (quote)
        gib_out_byte(out, '"');
    if (formula)
        gib_out_byte(out, '\'');
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"')
            gib_out_byte(out, '"');
        gib_out_byte(out, text[i]);
    }
    if (quote)
        gib_out_byte(out, '"');
}

static void write_name_cell(struct gib_out *out, const char *name)
{
    struct gib_out clean = {0};
    gib_escape_name(&clean, name);
    write_cell(out, clean.bytes, clean.used);
    gib_out_free(&clean);
}

/* The scratch buffer as a cell. */
static void write_scratch(struct gib_renderer *renderer)
{
    write_cell(&renderer->out, renderer->scratch.bytes, renderer->scratch.used);
    renderer->scratch.used = 0;
}

/* Numbers, also negative ones, are no text. */
static void write_value(struct gib_renderer *renderer, const struct gib_type *type,
                        const uint64_t *word, int words, const struct gib_chunk *text)
{
    bool is_text = type && !type->indirect &&
                   (type->kind == GIB_TYPE_STRING ? text != NULL : type->kind == GIB_TYPE_RECORD);
    if (!is_text) {
        gib_value_write(&renderer->out, GIB_VALUE_PLAIN, type, word, words, text);
        return;
    }
    gib_value_write(&renderer->scratch, GIB_VALUE_PLAIN, type, word, words, text);
    write_scratch(renderer);
}

static void make_site(const struct gib_log_view *view, uint64_t ignored, struct gib_out *out)
{
    gib_out_byte(out, ',');
    gib_out_signed(out, view->patch);
    gib_out_byte(out, ',');
    write_name_cell(out, view->site->function);
    gib_out_byte(out, ',');
    write_name_cell(out, view->site->module);
    gib_out_byte(out, ',');
}

static void make_head(const struct gib_log_view *view, uint64_t ignored, struct gib_out *out)
{
    const struct gib_call *call = view->call;
    gib_out_printf(out, ",%u,%d,%d,", call->process, call->pid, call->tid);
}

static void make_caller(const struct gib_log_view *view, uint64_t address, struct gib_out *out)
{
    char text[600];
    gib_log_describe(view, address, text);
    write_name_cell(out, text);
}

/* result,errno,error, */
static void write_result(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    struct gib_out *out = &renderer->out;
    bool known = view->call->status == GIB_CALL_DONE || view->call->status == GIB_CALL_RESUMED;
    struct gib_log_result r = known ? gib_log_result(view) : (struct gib_log_result){.none = true};
    if (!r.none)
        write_value(renderer, r.type, r.word, r.words, r.text);
    gib_out_byte(out, ',');
    if (r.failed) {
        const char *name = strerrorname_np(r.code);
        gib_out_signed(out, r.code);
        gib_out_byte(out, ',');
        if (name)
            gib_out_text(out, name);
    } else {
        gib_out_byte(out, ',');
    }
    gib_out_byte(out, ',');
}

static void write_arguments(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    bool known = view->call->status != GIB_CALL_RESUMED;
    size_t count = known ? gib_log_argument_count(view) : 0;
    if (known)
        gib_log_text_arguments(view, &renderer->scratch);
    write_scratch(renderer);
    for (size_t i = 0; i < PLACES; i++) {
        gib_out_byte(&renderer->out, ',');
        if (i < count) {
            struct gib_log_argument a = gib_log_argument(view, i);
            write_value(renderer, a.type, a.word, a.words, a.text);
        }
    }
}

static void write_frame(const struct gib_frame_text *frame, uint64_t address, struct gib_out *out)
{
    char text[600];
    gib_log_describe_frame(frame, text);
    gib_escape_name(out, text);
}

/* Innermost first, with semicolons between. */
static void write_backtrace(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    const struct gib_chunk *chunk = gib_log_chunk(view, GIB_CHUNK_BACKTRACE, -1);
    for (uint32_t i = 0; chunk && i < chunk->size / 8; i++) {
        if (i)
            gib_out_text(&renderer->scratch, "; ");
        gib_log_each_frame(view, gib_log_frame(chunk, i), "; ", write_frame, &renderer->scratch);
    }
    write_scratch(renderer);
}

void gib_log_csv(struct gib_renderer *renderer, const struct gib_log_view *view)
{
    static const char *const types[] = {"call", "entry", "unfinished", "resumed", "lost", "thread"};
    const struct gib_call *call = view->call;
    struct gib_out *out = &renderer->out;
    gib_out_text(out, types[call->status]);
    gib_cached_thread(renderer, view, make_head);
    if (call->status == GIB_CALL_LOST) {
        gib_out_text(out, ",,,,,,,,,,");
        gib_out_unsigned(out, view->record->word[0]);
        gib_out_text(out, ",,,,,,,,\r\n");
        return;
    }
    gib_out_fixed(out, view->began, 9);
    gib_out_byte(out, ',');
    if (call->status == GIB_CALL_DONE)
        gib_out_fixed(out, view->lasted, 9);
    gib_cached_site(renderer, view, make_site);
    write_result(renderer, view);
    gib_out_text(out, view->site->mocked ? "true," : ",");
    gib_cached_caller(renderer, view, make_caller);
    gib_out_text(out, ",,");
    write_arguments(renderer, view);
    gib_out_byte(out, ',');
    write_backtrace(renderer, view);
    gib_out_text(out, "\r\n");
}
