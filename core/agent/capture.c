/* capture.c: what a record keeps of a call: argument words, texts, variadic arguments. */
#include "agent.h"
#include "format.h"

static uint64_t word_from(const struct gib_frame *frame, uint8_t source)
{
    if (source < GIB_SOURCE_XMM)
        return frame->gpr[source];
    if (source < GIB_SOURCE_STACK)
        return frame->xmm[source - GIB_SOURCE_XMM];
    return (&frame->caller)[1 + source - GIB_SOURCE_STACK];
}

static char *chunks_of(const struct gib_site *site, struct gib_record *record)
{
    uint32_t words = site->words > 3 ? site->words : 3;
    return (char *)(gib_record_words(record) + words);
}

static char *put_chunk(char *end, uint8_t type, uint8_t index, uint8_t flags, uint32_t size)
{
    struct gib_chunk *chunk = (struct gib_chunk *)end;
    chunk->type = type;
    chunk->index = index;
    chunk->flags = flags;
    chunk->reserved = 0;
    chunk->size = size;
    return end + sizeof *chunk + ((size + 7) & ~7u);
}

char *gib_capture_value(char *end, uint8_t type, uint8_t index, uint64_t value, uint32_t size)
{
    *(uint64_t *)(end + sizeof(struct gib_chunk)) = value;
    return put_chunk(end, type, index, 0, size);
}

char *gib_capture_text(struct gib_view *view, char *end, uint8_t type, uint8_t index,
                       uint64_t address)
{
    uint8_t flags;
    uint32_t size = gib_copy_text(view, address, end + sizeof(struct gib_chunk),
                                  view->shared->string_limit, &flags);
    return put_chunk(end, type, index, flags, size);
}

/* The arguments behind the named ones, in the order va_arg would give them (ABI 3.5.7). */
struct variadic {
    const struct gib_frame *frame;
    uint32_t gpr, xmm, stack;
};
static uint64_t next_stack(struct variadic *v)
{
    return (&v->frame->caller)[1 + v->stack++];
}
static uint64_t next_integer(struct variadic *v)
{
    return v->gpr < 6 ? v->frame->gpr[v->gpr++] : next_stack(v);
}
static uint64_t next_double(struct variadic *v)
{
    return v->xmm < 8 ? v->frame->xmm[v->xmm++] : next_stack(v);
}

enum { EXTRA_VALUES = 12, EXTRA_STRINGS = 4 };

/* Values are read before any text, and the count is bounded by what the caller can have passed. */
static char *capture_printf(struct gib_view *view, const struct gib_site *site,
                            const struct gib_frame *frame, const char *format, uint32_t size,
                            char *end)
{
    struct variadic v = {frame, site->named_gpr, site->named_xmm, site->named_stack};
    uint64_t values[EXTRA_VALUES + 2];
    uint8_t strings[EXTRA_STRINGS];
    uint32_t count = 0, texts = 0;
    for (uint32_t at = 0; at < size && count < EXTRA_VALUES;) {
        if (format[at++] != '%')
            continue;
        struct gib_conversion c;
        at = gib_parse_conversion(format, size, at, &c);
        for (uint32_t i = 0; i < c.stars && count < EXTRA_VALUES; i++)
            values[count++] = next_integer(&v);
        if (c.stop || count >= EXTRA_VALUES)
            break;
        if (c.kind == 'i') {
            values[count++] = next_integer(&v);
        } else if (c.kind == 'f') {
            values[count++] = next_double(&v);
        } else if (c.kind == 'L') {
            v.stack += v.stack & 1; /* 16-byte aligned in memory */
            values[count++] = next_stack(&v);
            values[count++] = next_stack(&v);
        } else if (c.kind == 's') {
            if (texts < EXTRA_STRINGS)
                strings[texts++] = (uint8_t)count;
            values[count++] = next_integer(&v);
        }
    }
    if (!count)
        return end;
    uint64_t *out = (uint64_t *)(end + sizeof(struct gib_chunk));
    for (uint32_t i = 0; i < count; i++)
        out[i] = values[i];
    end = put_chunk(end, GIB_CHUNK_EXTRA, 0, 0, count * 8);
    for (uint32_t i = 0; i < texts; i++)
        end = gib_capture_text(view, end, GIB_CHUNK_EXTRA_STRING, strings[i], values[strings[i]]);
    return end;
}

char *gib_capture_arguments(struct gib_view *view, const struct gib_site *site,
                            const struct gib_frame *frame, struct gib_record *record)
{
    for (uint32_t i = 0; i < site->words; i++)
        gib_record_words(record)[i] = word_from(frame, site->source[i]);
    char *end = chunks_of(site, record);
    for (uint32_t i = 0; i < site->strings; i++) {
        char *text = end + sizeof(struct gib_chunk);
        uint8_t index = site->string[i];
        end = gib_capture_text(view, end, GIB_CHUNK_STRING, index, gib_record_words(record)[index]);
        if ((site->flags & GIB_SITE_PRINTF) && index == site->last_named) {
            uint32_t size = ((struct gib_chunk *)(text - sizeof(struct gib_chunk)))->size;
            end = capture_printf(view, site, frame, text, size, end);
        }
    }
    if (site->flags & GIB_SITE_OPEN) {
        enum { CREATE = 0100, TMPFILE = 020000000 }; /* O_CREAT and __O_TMPFILE of x86-64 */
        if (gib_record_words(record)[site->last_named] & (CREATE | TMPFILE)) {
            struct variadic v = {frame, site->named_gpr, site->named_xmm, site->named_stack};
            end = gib_capture_value(end, GIB_CHUNK_EXTRA, 0, next_integer(&v), 8);
        }
    }
    return end;
}

char *gib_capture_end(const struct gib_site *site, struct gib_record *record)
{
    char *at = chunks_of(site, record);
    char *limit = (char *)record + (uint64_t)record->lines * GIB_LINE;
    while (at + sizeof(struct gib_chunk) <= limit) {
        const struct gib_chunk *chunk = (const struct gib_chunk *)at;
        if (chunk->type == GIB_CHUNK_END)
            break;
        at += sizeof *chunk + ((chunk->size + 7) & ~7u);
    }
    return at;
}

void gib_capture_finish(struct gib_record *record, char *end)
{
    uint64_t size = (uint64_t)(end - (char *)record);
    uint64_t lines = (size + GIB_LINE - 1) / GIB_LINE;
    if (size < lines * GIB_LINE)
        *(uint64_t *)end = 0; /* GIB_CHUNK_END; a full last line needs none */
    record->lines = (uint16_t)lines;
}
