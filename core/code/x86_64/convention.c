/* convention.c: System V ABI, AMD64 supplement, 3.2.3 "Parameter Passing". */
#include "code/x86_64/convention.h"

#include <string.h>
#include "code/x86_64/stack_use.h"

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
    uint32_t align = type->align > 8 ? type->align : 8;
    c->stack_copy = (c->stack_copy + align - 1) & ~(align - 1);
    uint32_t words = (type->size + 7) / 8, first = c->stack_copy / 8;
    if (parameter < GIB_MAX_PARAMETERS && first < UINT16_MAX)
        c->parameter[parameter].stack = (uint16_t)(first + 1);
    for (uint32_t i = 0; i < words; i++) {
        /* A large record is not kept, nor one of which nobody can tell what is in its words. */
        bool kept = words <= 2 || (words <= GIB_RECORD_WORDS && type->member_count);
        if (kept && first + i < 64)
            record_word(c, parameter, (uint8_t)(GIB_SOURCE_STACK + first + i));
    }
    c->stack_copy += words * 8;
}

static const struct gib_type address_of_object = {
    .kind = GIB_TYPE_POINTER,
    .size = 8,
    .align = 8,
    .known_layout = true,
    .eightbyte = {GIB_CLASS_INTEGER, GIB_CLASS_NONE},
};

static void place(struct gib_convention *c, const struct gib_type *type, size_t parameter)
{
    if (type->indirect) /* a C++ object that cannot be copied: its address is passed */
        type = &address_of_object;
    if (type->eightbyte[0] == GIB_CLASS_NONE && type->size <= 1)
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

/* Whether compilers agree where it goes, whatever processor they were told of: __m256 is in memory
 * without AVX, and so is __m512 without AVX-512. */
static bool is_certain(const struct gib_type *type)
{
    if (type->kind == GIB_TYPE_VOID || type->indirect)
        return true;
    bool wide = type->size > 16 && type->eightbyte[0] == GIB_CLASS_SSE;
    return !wide && type->align <= 16 && (type->known_layout || type->kind != GIB_TYPE_RECORD);
}

/* What the arguments take if all of them are on the stack. */
static uint32_t most(const struct gib_prototype *prototype)
{
    uint64_t size = 8;
    for (size_t i = 0; i < prototype->parameter_count; i++) {
        const struct gib_type *type = &prototype->parameters[i].type;
        size += (type->size + 7ull) / 8 * 8 + (type->align > 8 ? type->align : 0);
    }
    return size < GIB_COPY_MOST ? (uint32_t)size : GIB_COPY_MOST;
}

static uint8_t result_source(const struct gib_type *type)
{
    if (type->kind == GIB_TYPE_VOID)
        return GIB_RESULT_NONE;
    if (type->eightbyte[0] == GIB_CLASS_X87)
        return GIB_RESULT_X87;
    if (type->eightbyte[0] == GIB_CLASS_SSE)
        return type->eightbyte[1] == GIB_CLASS_SSE       ? GIB_RESULT_XMM0_XMM1
               : type->eightbyte[1] == GIB_CLASS_INTEGER ? GIB_RESULT_XMM0_RAX
                                                         : GIB_RESULT_XMM0;
    if (type->eightbyte[0] == GIB_CLASS_INTEGER && type->eightbyte[1] == GIB_CLASS_SSE)
        return GIB_RESULT_RAX_XMM0;
    if (type->eightbyte[1] == GIB_CLASS_INTEGER)
        return GIB_RESULT_RAX_RDX;
    return GIB_RESULT_RAX;
}

/* DWARF's numbers of the registers for arguments. */
static const struct {
    uint8_t source, number;
} argument_register[] = {
    {GIB_SOURCE_GPR + 0, 5},  {GIB_SOURCE_GPR + 1, 4},  {GIB_SOURCE_GPR + 2, 1},
    {GIB_SOURCE_GPR + 3, 2},  {GIB_SOURCE_GPR + 4, 8},  {GIB_SOURCE_GPR + 5, 9},
    {GIB_SOURCE_XMM + 0, 17}, {GIB_SOURCE_XMM + 1, 18}, {GIB_SOURCE_XMM + 2, 19},
    {GIB_SOURCE_XMM + 3, 20}, {GIB_SOURCE_XMM + 4, 21}, {GIB_SOURCE_XMM + 5, 22},
    {GIB_SOURCE_XMM + 6, 23}, {GIB_SOURCE_XMM + 7, 24},
};

/* The source that is the register, or GIB_SOURCE_STACK: none is. */
static uint8_t source_of(uint8_t number)
{
    for (size_t i = 0; i < sizeof argument_register / sizeof *argument_register; i++)
        if (argument_register[i].number == number)
            return argument_register[i].source;
    return GIB_SOURCE_STACK;
}

/* Debug information has an argument elsewhere than the convention. */
static bool is_elsewhere(const struct gib_convention *c, const struct gib_prototype *prototype)
{
    for (size_t i = 0; i < prototype->parameter_count && i < c->parameters; i++) {
        const struct gib_parameter *parameter = &prototype->parameters[i];
        if (parameter->entry == GIB_ENTRY_NOWHERE ||
            (parameter->entry == GIB_ENTRY_REGISTER && c->parameter[i].count == 1 &&
             source_of(parameter->entry_register) != c->source[c->parameter[i].first]))
            return true;
    }
    return false;
}

/* Of a function that is called in another way only those arguments are known whose registers debug
 * information tells. */
static void take_places(struct gib_convention *c, const struct gib_prototype *prototype)
{
    enum { MS_HOME = 32 }; /* ms_abi has room for its four registers before the other arguments */
    c->words = 0;
    memset(c->parameter, 0, sizeof c->parameter);
    for (size_t i = 0; i < prototype->parameter_count; i++) {
        const struct gib_parameter *parameter = &prototype->parameters[i];
        uint8_t source = source_of(parameter->entry_register);
        if (parameter->entry == GIB_ENTRY_REGISTER && parameter->type.size <= 8 &&
            source < GIB_SOURCE_STACK)
            record_word(c, i, source);
    }
    c->stack_copy = MS_HOME + most(prototype); /* if the code takes more, stack_use.c tells */
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
    bool certain = is_certain(result);
    out->result = result_source(result);
    if (result->indirect || (in_memory(result) && result->eightbyte[0] == GIB_CLASS_MEMORY))
        out->named_gpr = 1; /* the caller passes where to put it, and gets that back in rax */
    for (size_t i = 0; i < prototype->parameter_count; i++) {
        certain &= is_certain(&prototype->parameters[i].type);
        place(out, &prototype->parameters[i].type, i);
        if (i < GIB_MAX_PARAMETERS)
            out->parameters = (uint8_t)(i + 1);
    }
    uint32_t named = out->stack_copy;
    out->elsewhere = prototype->foreign || is_elsewhere(out, prototype);
    if (out->elsewhere)
        take_places(out, prototype);
    for (uint8_t i = 0; i < out->words; i++)
        out->reads_xmm |= out->source[i] >= GIB_SOURCE_XMM && out->source[i] < GIB_SOURCE_STACK;
    out->named_stack = (uint8_t)(named / 8 < 255 ? named / 8 : 255);
    if (!certain) {
        out->stack_copy = GIB_COPY_UNKNOWN + most(prototype);
        for (uint8_t i = 0; i < out->parameters; i++)
            out->parameter[i].stack = 0;
    }
    if (prototype->variadic != GIB_VARIADIC_NO) {
        /* Nobody knows how many there are; printf's may be floating. An open's mode is in a
         * register. */
        if (prototype->variadic != GIB_VARIADIC_OPEN)
            out->stack_copy += GIB_COPY_UNKNOWN;
        out->reads_xmm |= prototype->variadic == GIB_VARIADIC_PRINTF;
    }
    if (out->stack_copy > GIB_COPY_MOST)
        out->stack_copy = GIB_COPY_MOST;
}

void gib_convention_adjust(struct gib_convention *c, const struct gib_stack_use *use,
                           bool has_prototype)
{
    if (!use->known)
        return;
    if (!has_prototype) {
        c->stack_copy = use->reach + (use->escapes ? GIB_COPY_UNKNOWN : 0);
    } else if (use->reach > c->stack_copy) {
        /* It is called in another way than its prototype says: __attribute__((ms_abi)). */
        c->stack_copy = use->reach > GIB_COPY_UNKNOWN ? use->reach : GIB_COPY_UNKNOWN;
        c->words = 0;
        memset(c->parameter, 0, sizeof c->parameter);
        c->reads_xmm = false;
    }
}
