/*
 * out.h: text that grows in memory, for renderers: no locale, no format strings where it matters.
 *
 * A renderer writes one event after the other; whoever owns the buffer hands it on in large pieces,
 * cut between events.
 */
#ifndef GIBBON_LOG_OUT_H
#define GIBBON_LOG_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct gib_out {
    char *bytes; /* owned; no NUL behind them */
    size_t used, room;
    bool failed; /* out of memory: something is missing */
    bool strict; /* JSON for readers that know less than all of it; see gib_escape_json() */
};

/* Room for `size` more bytes at the end; NULL (and `failed`) when there is no memory. */
char *gib_out_grow(struct gib_out *out, size_t size);
static inline char *gib_out_room(struct gib_out *out, size_t size)
{
    return out->room - out->used >= size ? out->bytes + out->used : gib_out_grow(out, size);
}
void gib_out_free(struct gib_out *out);
/* What was written so far as a string, malloc'ed, the caller's; the buffer is empty then. NULL out
 * of memory. */
char *gib_out_take(struct gib_out *out);

static inline void gib_out_byte(struct gib_out *out, char byte)
{
    char *at = gib_out_room(out, 1);
    if (at) {
        *at = byte;
        out->used++;
    }
}
static inline void gib_out_bytes(struct gib_out *out, const char *bytes, size_t size)
{
    char *at = gib_out_room(out, size);
    if (at) {
        memcpy(at, bytes, size);
        out->used += size;
    }
}
static inline void gib_out_text(struct gib_out *out, const char *text)
{
    gib_out_bytes(out, text, strlen(text));
}
void gib_out_unsigned(struct gib_out *out, uint64_t value);
void gib_out_signed(struct gib_out *out, int64_t value);
void gib_out_hex(struct gib_out *out, uint64_t value); /* with 0x */
/* `value` / 10^digits, with all of the digits behind the point: 9 for nanoseconds as seconds. */
void gib_out_fixed(struct gib_out *out, int64_t value, int digits);
void gib_out_printf(struct gib_out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
