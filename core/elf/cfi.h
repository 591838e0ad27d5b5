/*
 * cfi.h: call frame information as read from .eh_frame or .debug_frame, for the files of core/elf
 * only.
 */
#ifndef GIBBON_CFI_H
#define GIBBON_CFI_H

#include "elf/file.h"

struct gib_cie {
    uint64_t offset; /* in the section: FDEs refer to it */
    const uint8_t *program, *program_end;
    uint64_t code_alignment;
    int64_t data_alignment;
    uint64_t return_register;
    uint8_t pointer_encoding; /* DW_EH_PE_ */
    bool has_augmentation;    /* 'z' */
    bool is_signal;           /* 'S' */
    bool has_personality;     /* 'P': something is done when an exception passes */
    bool usable;
};

/* Reads both; false when the file has neither section, or nothing in them makes sense. */
bool gib_elf_read_cfi(struct gib_elf *elf);

/* A place in bytes that are not to be trusted: every read checks, and a read past the end sets
 * `bad`. */
struct gib_cursor {
    const uint8_t *at, *end;
    bool bad;
};

static inline uint64_t gib_cursor_fixed(struct gib_cursor *cursor, size_t size)
{
    if ((size_t)(cursor->end - cursor->at) < size) {
        cursor->bad = true;
        cursor->at = cursor->end;
        return 0;
    }
    cursor->at += size;
    return gib_load(cursor->at - size, size);
}

static inline uint64_t gib_cursor_uleb(struct gib_cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; cursor->at < cursor->end; shift += 7) {
        uint8_t byte = *cursor->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    cursor->bad = true;
    return 0;
}

static inline int64_t gib_cursor_sleb(struct gib_cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; cursor->at < cursor->end;) {
        uint8_t byte = *cursor->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
        if (!(byte & 0x80)) {
            if (byte & 0x40 && shift < 64)
                value |= ~0ULL << shift;
            return (int64_t)value;
        }
    }
    cursor->bad = true;
    return 0;
}

/* A DW_EH_PE_ encoded pointer whose first byte is at `vaddr`. */
uint64_t gib_cursor_pointer(struct gib_cursor *cursor, uint8_t encoding, uint64_t vaddr);
#endif
