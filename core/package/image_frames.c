/*
 * image_frames.c: whether the agent can search the object's table of call frames.
 *
 * .eh_frame_hdr has a table of all functions, sorted, for unwinders. The encoding is free; linkers
 * write one. The agent knows that one only, and trusts what is checked here.
 */
#include "package/image_internal.h"

enum { UDATA4 = 0x03, SDATA4 = 0x0b, PCREL_SDATA4 = 0x1b, DATAREL_SDATA4 = 0x3b };

static bool skip_leb128(const uint8_t **at, const uint8_t *end)
{
    while (*at < end)
        if (!(*(*at)++ & 0x80))
            return true;
    return false;
}

/* Whether the CIE's entries have addresses of four bytes. */
static bool has_short_addresses(const uint8_t *cie, const uint8_t *end)
{
    if (end - cie < 9)
        return false;
    uint64_t length = gib_object_load(cie, 4);
    if (length < 5 || length >= 0xfffffff0 || length > (uint64_t)(end - cie - 4) ||
        gib_object_load(cie + 4, 4))
        return false;
    end = cie + 4 + length;
    const char *augmentation = (const char *)cie + 9;
    const uint8_t *at = memchr(augmentation, 0, (size_t)(end - (cie + 9)));
    if (!at || *augmentation != 'z')
        return false;
    at++;
    /* code and data alignment, return address register, size of the augmentation */
    bool register_byte = cie[8] == 1;
    if (!skip_leb128(&at, end) || !skip_leb128(&at, end) ||
        (register_byte ? at++ >= end : !skip_leb128(&at, end)) || !skip_leb128(&at, end))
        return false;
    for (const char *letter = augmentation + 1; *letter; letter++) {
        if (at >= end && *letter != 'S' && *letter != 'B')
            return false;
        if (*letter == 'R')
            return (*at & 0x0f) == UDATA4 || (*at & 0x0f) == SDATA4;
        if (*letter == 'L')
            at++;
        else if (*letter == 'P' && ((*at & 0x0f) == UDATA4 || (*at & 0x0f) == SDATA4))
            at += 5;
        else if (*letter != 'S' && *letter != 'B')
            return false;
    }
    return false;
}

static bool is_entry(const struct gib_object *object, uint64_t fde)
{
    const struct gib_object_segment *segment = gib_object_segment_at(object, fde, 16);
    const uint8_t *bytes = gib_object_at(object, fde, 16);
    if (!segment || !bytes)
        return false;
    uint64_t length = gib_object_load(bytes, 4), back = gib_object_load(bytes + 4, 4);
    if (length < 12 || length >= 0xfffffff0 || length > segment->data_end - fde - 4 || !back ||
        back > fde + 4 - segment->vaddr)
        return false;
    const uint8_t *end = bytes + 4 + length;
    return has_short_addresses(bytes + 4 - back, end);
}

void gib_object_check_frames(struct gib_object *object, uint64_t header, uint64_t size)
{
    const uint8_t *bytes = gib_object_at(object, header, size);
    if (!bytes || bytes[0] != 1)
        return;
    object->frames = header;
    if (size < 12 || bytes[1] != PCREL_SDATA4 || bytes[2] != UDATA4 || bytes[3] != DATAREL_SDATA4)
        return;
    uint64_t count = gib_object_load(bytes + 8, 4);
    if (count > (size - 12) / 8)
        return;
    int32_t last = INT32_MIN;
    for (uint64_t i = 0; i < count; i++) {
        int32_t start = (int32_t)gib_object_load(bytes + 12 + 8 * i, 4);
        int32_t entry = (int32_t)gib_object_load(bytes + 16 + 8 * i, 4);
        if (start < last || !is_entry(object, header + (uint64_t)(int64_t)entry))
            return;
        last = start;
    }
    object->frame_count = (uint32_t)count;
}
