/*
 * buffer.h: bytes that grow. A buffer that ran out of memory takes nothing more and says so at the
 * end.
 */
#ifndef GIBBON_BUFFER_H
#define GIBBON_BUFFER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct gib_buffer {
    uint8_t *bytes;
    size_t size, room;
    bool failed;
};

static inline void gib_put(struct gib_buffer *buffer, const void *bytes, size_t size)
{
    if (buffer->failed || !size)
        return;
    if (size > buffer->room - buffer->size) {
        size_t room = 2 * buffer->room + size + 64;
        uint8_t *grown = realloc(buffer->bytes, room);
        if (!grown) {
            buffer->failed = true;
            return;
        }
        buffer->bytes = grown;
        buffer->room = room;
    }
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
}

/* Little-endian. */
static inline void gib_put_fixed(struct gib_buffer *buffer, uint64_t value, size_t size)
{
    gib_put(buffer, &value, size);
}

static inline void gib_put_uleb(struct gib_buffer *buffer, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        gib_put(buffer, &byte, 1);
        value >>= 7;
    } while (value);
}

static inline void gib_put_sleb(struct gib_buffer *buffer, int64_t value)
{
    for (bool more = true; more;) {
        uint8_t byte = (uint8_t)(value & 0x7f);
        value >>= 7;
        more = !((value == 0 && !(byte & 0x40)) || (value == -1 && byte & 0x40));
        byte |= more ? 0x80 : 0;
        gib_put(buffer, &byte, 1);
    }
}

static inline void gib_put_text(struct gib_buffer *buffer, const char *text)
{
    gib_put(buffer, text, strlen(text) + 1);
}

static inline void gib_buffer_free(struct gib_buffer *buffer)
{
    free(buffer->bytes);
    memset(buffer, 0, sizeof *buffer);
}
#endif
