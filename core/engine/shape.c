#include "engine/shape.h"

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

void gib_shape_function(struct gib_site *site, const struct gib_prototype *prototype,
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

uint32_t gib_shape_lines(const struct gib_site *s, uint32_t limit)
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
