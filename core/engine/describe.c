#include "engine/describe.h"

#include <string.h>

/* ---- the function ---- */

static uint8_t errno_rule(const struct gib_prototype *prototype)
{
    if (!prototype || prototype->failure == GIB_FAILURE_NONE)
        return GIB_ERRNO_NO;
    enum gib_type_kind kind = prototype->result.kind;
    bool pointer = kind == GIB_TYPE_POINTER || kind == GIB_TYPE_STRING;
    bool maybe = prototype->failure == GIB_FAILURE_ERRNO_MAYBE;
    if (pointer)
        return maybe ? GIB_ERRNO_NULL_CHANGED : GIB_ERRNO_NULL;
    if (kind != GIB_TYPE_INT && kind != GIB_TYPE_ENUM)
        return GIB_ERRNO_NO;
    return maybe ? GIB_ERRNO_MINUS_ONE_CHANGED : GIB_ERRNO_MINUS_ONE;
}

static void fill_arguments(struct gib_site *s, const struct gib_prototype *prototype,
                           const struct gib_convention *c)
{
    s->words = c->words;
    memcpy(s->source, c->source, sizeof s->source);
    s->named_gpr = c->named_gpr;
    s->named_xmm = c->named_xmm;
    s->named_stack = c->named_stack;
    s->strings = 0;
    if (!prototype || prototype->unspecified)
        return;
    for (size_t i = 0; i < prototype->parameter_count && i < c->parameters; i++) {
        if (prototype->parameters[i].type.kind == GIB_TYPE_STRING && c->parameter[i].count == 1 &&
            s->strings < GIB_MAX_STRINGS)
            s->string[s->strings++] = c->parameter[i].first;
    }
    size_t last = prototype->parameter_count - 1;
    if (prototype->parameter_count && last < c->parameters && c->parameter[last].count) {
        s->last_named = c->parameter[last].first;
        if (prototype->variadic == GIB_VARIADIC_PRINTF &&
            prototype->parameters[last].type.kind == GIB_TYPE_STRING)
            s->flags |= GIB_SITE_PRINTF;
        if (prototype->variadic == GIB_VARIADIC_OPEN)
            s->flags |= GIB_SITE_OPEN;
    }
}

void gib_describe_function(struct gib_site *site, const struct gib_prototype *prototype,
                           const struct gib_convention *convention)
{
    site->stack_copy = convention->stack_copy;
    site->result = convention->result;
    fill_arguments(site, prototype, convention);
    if (prototype) {
        uint32_t size = prototype->result.size;
        site->result_size = (uint8_t)(size < 255 ? size : 255);
        site->result_string = prototype->result.kind == GIB_TYPE_STRING;
    }
    site->errno_rule = errno_rule(prototype);
}

/* ---- the record ---- */

/* The longest record the site can write, in lines. */
static uint32_t record_lines(const struct gib_site *s, uint32_t limit)
{
    bool backtrace = false;
    for (size_t i = 0; i < s->actions; i++)
        backtrace |= (s->action[i].flags & GIB_ACTION_BACKTRACE) != 0;
    uint32_t text = sizeof(struct gib_chunk) + ((limit + 7) & ~7u);
    uint32_t size =
        (uint32_t)offsetof(struct gib_record, word) + 8u * (s->words > 3 ? s->words : 3);
    size += s->strings * text;
    size += (s->flags & GIB_SITE_PRINTF) ? 8 + 16 * 8 + 4 * text : 0;
    size += (s->flags & GIB_SITE_OPEN) ? 16 : 0;
    size += backtrace ? sizeof(struct gib_chunk) + GIB_MAX_FRAMES * 8 : 0;
    size += s->result_string ? text : 0;
    size += s->result == GIB_RESULT_RAX_RDX || s->result >= GIB_RESULT_XMM0_XMM1 ? 16 : 0;
    size += s->errno_rule ? 16 : 0;
    return (size + 8 + GIB_LINE - 1) / GIB_LINE;
}

/* Nearly every patch is one action without filters on a function that takes up to six integers:
 * then a record is a copy of registers. */
static void choose_fast_path(struct gib_site *s, const struct gib_shared *shared)
{
    size_t used = 0, place = 0;
    for (size_t i = 0; i < s->actions; i++) {
        if (s->action[i].flags) {
            place = i;
            used++;
        }
    }
    const struct gib_action *only = &s->action[place];
    bool plain = used == 1 && only->flags == (GIB_ACTION_ENABLED | GIB_ACTION_RECORD) &&
                 s->words <= 6 && !s->strings && !s->flags && !s->errno_rule && !s->result_string &&
                 s->result <= GIB_RESULT_RAX && s->stack_copy != GIB_COPY_UNKNOWN &&
                 s->thread_pointer == GIB_POINTER_FS0 && shared->tid_offset;
    for (size_t i = 0; i < s->words && plain; i++)
        plain = s->source[i] == GIB_SOURCE_GPR + i;
    if (!plain)
        return;
    s->simple = s->words > 3 ? 2 : 1;
    s->simple_accepted = 1u << place;
    s->header = s->index | (uint64_t)s->simple << 32 | (uint64_t)GIB_RECORD_OPEN << 48 |
                (uint64_t)s->simple_accepted << 56;
    s->counter_offset = (uint32_t)(shared->counters_offset + 8ull * only->counter);
}

void gib_describe_record(struct gib_site *site, uint32_t limit, const struct gib_shared *shared)
{
    site->lines = record_lines(site, limit);
    choose_fast_path(site, shared);
}
