/* convention.c: System V ABI, AMD64 supplement, 3.2.3 "Parameter Passing". */
#include "code/x86_64/convention.h"

#include <string.h>

static bool in_memory(const struct gib_type *type)
{
    /* long double is class X87: passed in memory, returned in st0. */
    return type->eightbyte[0] == GIB_CLASS_MEMORY || type->eightbyte[0] == GIB_CLASS_X87 ||
           type->size > 16;
}

static void record_word(struct gib_convention *c, size_t parameter, uint8_t source)
{
    if (c->words == GIB_MAX_WORDS || parameter >= GIB_MAX_PARAMETERS)
        return;
    if (!c->parameter[parameter].count)
        c->parameter[parameter].first = c->words;
    c->parameter[parameter].count++;
    c->source[c->words++] = source;
}

static void on_stack(struct gib_convention *c, const struct gib_type *type, size_t parameter)
{
    if (type->align >= 16 && (c->named_stack & 1)) { /* a word of padding is there as well */
        c->named_stack++;
        c->stack_copy += 8;
    }
    uint32_t words = (type->size + 7) / 8;
    for (uint32_t i = 0; i < words; i++) {
        /* A large record is not kept: its first two words would say little. */
        if (words <= 2 && c->named_stack + i < 64)
            record_word(c, parameter, (uint8_t)(GIB_SOURCE_STACK + c->named_stack + i));
    }
    uint32_t end = c->named_stack + words;
    c->named_stack = (uint8_t)(end < 255 ? end : 255);
    c->stack_copy += words * 8;
}

static void place(struct gib_convention *c, const struct gib_type *type, size_t parameter)
{
    if (type->indirect) { /* a C++ object that cannot be copied: its address is passed */
        if (c->named_gpr < 6) {
            record_word(c, parameter, (uint8_t)(GIB_SOURCE_GPR + c->named_gpr++));
        } else {
            record_word(c, parameter, (uint8_t)(GIB_SOURCE_STACK + c->named_stack++));
            c->stack_copy += 8;
        }
        return;
    }
    if (type->eightbyte[0] == GIB_CLASS_NONE && type->size == 0)
        return; /* an empty record takes no place */
    uint32_t gprs = 0, xmms = 0;
    for (int i = 0; i < 2; i++) {
        gprs += type->eightbyte[i] == GIB_CLASS_INTEGER;
        xmms += type->eightbyte[i] == GIB_CLASS_SSE;
    }
    bool vector = type->eightbyte[0] == GIB_CLASS_SSE && type->eightbyte[1] == GIB_CLASS_SSEUP;
    if ((in_memory(type) && !vector) || c->named_gpr + gprs > 6 || c->named_xmm + xmms > 8) {
        on_stack(c, type, parameter);
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (type->eightbyte[i] == GIB_CLASS_INTEGER)
            record_word(c, parameter, (uint8_t)(GIB_SOURCE_GPR + c->named_gpr++));
        else if (type->eightbyte[i] == GIB_CLASS_SSE)
            record_word(c, parameter, (uint8_t)(GIB_SOURCE_XMM + c->named_xmm++));
    }
}

static uint8_t result_source(const struct gib_type *type)
{
    if (type->kind == GIB_TYPE_VOID)
        return GIB_RESULT_NONE;
    if (type->eightbyte[0] == GIB_CLASS_X87)
        return GIB_RESULT_X87;
    if (type->eightbyte[0] == GIB_CLASS_SSE)
        return type->eightbyte[1] == GIB_CLASS_SSE ? GIB_RESULT_XMM0_XMM1 : GIB_RESULT_XMM0;
    if (type->eightbyte[1] == GIB_CLASS_INTEGER)
        return GIB_RESULT_RAX_RDX;
    return GIB_RESULT_RAX;
}

void gib_convention_make(const struct gib_prototype *prototype, struct gib_convention *out)
{
    memset(out, 0, sizeof *out);
    out->result = GIB_RESULT_RAX;
    if (!prototype || prototype->unspecified) {
        out->words = prototype ? 0 : 4;
        for (uint8_t i = 0; i < out->words; i++)
            out->source[i] = (uint8_t)(GIB_SOURCE_GPR + i);
        out->stack_copy = GIB_COPY_UNKNOWN;
        if (prototype)
            out->result = result_source(&prototype->result);
        return;
    }
    const struct gib_type *result = &prototype->result;
    out->result = result_source(result);
    if (result->indirect || (in_memory(result) && result->eightbyte[0] == GIB_CLASS_MEMORY))
        out->named_gpr = 1; /* the caller passes where to put it, and gets that back in rax */
    for (size_t i = 0; i < prototype->parameter_count; i++) {
        place(out, &prototype->parameters[i].type, i);
        if (i < GIB_MAX_PARAMETERS)
            out->parameters = (uint8_t)(i + 1);
    }
    for (uint8_t i = 0; i < out->words; i++)
        out->reads_xmm |= out->source[i] >= GIB_SOURCE_XMM && out->source[i] < GIB_SOURCE_STACK;
    if (prototype->variadic != GIB_VARIADIC_NO) {
        /* Nobody knows how many there are; printf's may be floating. An open's mode is in a
         * register. */
        out->stack_copy =
            prototype->variadic == GIB_VARIADIC_OPEN ? out->stack_copy : GIB_COPY_UNKNOWN;
        out->reads_xmm |= prototype->variadic == GIB_VARIADIC_PRINTF;
    }
    if (out->stack_copy > GIB_COPY_UNKNOWN)
        out->stack_copy = (out->stack_copy + 7) & ~7u;
}
