/* condition.c: what the code of a condition asks for: memory and texts, without a fault. */
#include "agent.h"

uint64_t gib_condition_read(void *view, uint64_t address, void *out, uint64_t size)
{
    return gib_copy_bytes(view, address, out, (uint32_t)size);
}

enum {
    PAGE = 4096,
    TEXT_MOST = 64 << 10,   /* bytes of a text that has no end */
    SEARCH_MOST = 1u << 22, /* bytes compared to find one in another */
    END = 256,              /* in place of a byte */
    BAD = 257,
};

/* A text whose bytes up to `proved` can be read where they are, or one of which `held` has
 * `held_size` bytes from number `held_from` on. */
struct text {
    struct gib_view *view;
    uint64_t address, size, proved;
    uint64_t held_from;
    uint32_t held_size;
    uint8_t held[128];
};

static void open(struct text *text, struct gib_view *view, const struct gib_text_operand *operand)
{
    text->view = view;
    text->address = operand->address;
    text->size = operand->size;
    text->proved = operand->known ? operand->size : 0;
    text->held_from = text->held_size = 0;
}

/* The same of memory that another thread may unmap meanwhile. */
static uint32_t held_byte(struct text *text, uint64_t index)
{
    if (index - text->held_from >= text->held_size) {
        uint64_t address = text->address + index, size = PAGE - (address & (PAGE - 1));
        if (size > sizeof text->held)
            size = sizeof text->held;
        if (size > text->size - index)
            size = text->size - index;
        text->held_size = 0;
        if (!gib_copy_bytes(text->view, address, text->held, (uint32_t)size))
            return BAD;
        text->held_from = index;
        text->held_size = (uint32_t)size;
    }
    uint8_t byte = text->held[index - text->held_from];
    return byte ? byte : END;
}

/* Byte number `index`, END or BAD. All before it have been asked for. */
static inline uint32_t byte_at(struct text *text, uint64_t index)
{
    if (index >= text->size)
        return END;
    uint64_t address = text->address + index;
    if (gib_unlikely(index >= text->proved)) {
        if (index >= TEXT_MOST)
            return BAD;
        if (!gib_stays(text->view, address, 1))
            return held_byte(text, index);
        if (!gib_readable(text->view, address, 1))
            return BAD;
        text->proved = index + PAGE - (address & (PAGE - 1));
    }
    uint8_t byte = *(const volatile uint8_t *)address;
    return byte ? byte : END;
}

/* Whether `b` is at `from` in `a`, up to the end of `a` if `whole`. */
static enum gib_verdict matches(struct text *a, uint64_t from, struct text *b, bool whole,
                                uint32_t *work)
{
    for (uint64_t i = 0;; i++) {
        uint32_t y = byte_at(b, i);
        if (y == END && !whole)
            return GIB_VERDICT_TRUE;
        uint32_t x = byte_at(a, from + i);
        if (x == BAD || y == BAD || ++*work > SEARCH_MOST)
            return GIB_VERDICT_FAILED;
        if (x != y)
            return GIB_VERDICT_FALSE;
        if (x == END)
            return GIB_VERDICT_TRUE;
    }
}

uint64_t gib_condition_text(void *view, uint64_t operation,
                            const struct gib_text_operand operand[2])
{
    struct text a, b;
    uint32_t work = 0;
    open(&a, view, &operand[0]);
    open(&b, view, &operand[1]);
    if (operation != GIB_TEXT_CONTAINS)
        return matches(&a, 0, &b, operation == GIB_TEXT_EQUAL, &work);
    for (uint64_t from = 0;; from++) {
        enum gib_verdict verdict = matches(&a, from, &b, false, &work);
        if (verdict != GIB_VERDICT_FALSE)
            return verdict;
        uint32_t byte = byte_at(&a, from);
        if (byte == END || byte == BAD)
            return byte == END ? GIB_VERDICT_FALSE : GIB_VERDICT_FAILED;
    }
}
