/* returned.c: what a call has returned, of which no record is made: for a stop on return. */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

/* Text of the target's, up to its NUL or the limit: a chunk as of a record, malloc'ed. */
static struct gib_chunk *read_text(struct gib_engine *engine, uint64_t address)
{
    size_t limit = engine->settings.string_limit;
    struct gib_chunk *chunk = calloc(1, sizeof *chunk + limit + 1);
    struct gib_error ignored;
    if (!chunk)
        return NULL;
    char *text = (char *)(chunk + 1);
    while (chunk->size < limit) {
        if (gib_read(engine, address + chunk->size, text + chunk->size, 1, &ignored)) {
            chunk->flags = GIB_CHUNK_UNREADABLE;
            return chunk;
        }
        if (!text[chunk->size])
            return chunk;
        chunk->size++;
    }
    chunk->flags = GIB_CHUNK_CUT;
    return chunk;
}

void gib_write_result(struct gib_engine *engine, const struct gib_site_state *site,
                      const struct gib_frame *frame, uint64_t rax, uint64_t rdx,
                      struct gib_out *out)
{
    const struct gib_type *type = site->prototype ? &site->prototype->result : NULL;
    uint64_t word[2] = {rax, rdx};
    char *name = gib_elf_function_name(site->symbol);
    gib_escape_name(out, name ? name : site->function);
    free(name);
    if (type && type->kind == GIB_TYPE_VOID) {
        gib_out_text(out, " returned");
        return;
    }
    switch (site->convention.result) {
    case GIB_RESULT_XMM0:
    case GIB_RESULT_XMM0_XMM1:
        word[0] = frame->result_xmm;
        word[1] = frame->result_x87[1];
        break;
    case GIB_RESULT_RAX_XMM0:
        word[1] = frame->result_xmm;
        break;
    case GIB_RESULT_XMM0_RAX:
        word[0] = frame->result_xmm;
        word[1] = rax;
        break;
    case GIB_RESULT_X87:
        memcpy(word, frame->result_x87, sizeof word);
        break;
    default:
        break;
    }
    gib_out_text(out, " returned ");
    bool text = type && type->kind == GIB_TYPE_STRING && word[0];
    struct gib_chunk *chunk = text ? read_text(engine, word[0]) : NULL;
    if (text) {
        gib_out_hex(out, word[0]);
        gib_out_byte(out, ' ');
    }
    gib_value_write(out, GIB_VALUE_TEXT, type, word, gib_result_words(type, 2), chunk);
    free(chunk);
    int32_t code = (int32_t)frame->position;
    const char *known = strerrorname_np(code);
    if (code && known)
        gib_out_printf(out, " %s (%s)", known, strerrordesc_np(code));
}
