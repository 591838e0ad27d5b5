#include "code/x86_64/trampoline.h"

#include <string.h>
#include "code/x86_64/relocator.h"

struct call {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
};

static bool decode(const struct gib_relocation_request *request, const struct gib_relocation *r,
                   size_t index, struct call *out)
{
    ZydisDecoder decoder;
    size_t at = r->boundary[index].original;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(
        &decoder, request->code + at, request->code_size - at, &out->instruction, out->operand));
}

static bool is_call(const struct call *c)
{
    return c->instruction.meta.category == ZYDIS_CATEGORY_CALL;
}

/* A call to the next instruction, or of code that only gives back its return address: nothing
 * returns from it. */
static bool asks_for_address(const struct gib_relocation_request *request, const struct call *c,
                             size_t original)
{
    struct x86_function function = {
        .bytes = request->code, .size = request->code_size, .address = request->from};
    uint64_t target;
    return c->operand[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
           ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&c->instruction, &c->operand[0],
                                                 request->from + original, &target)) &&
           (target == request->from + original + c->instruction.length ||
            gib_x86_pc_thunk(&function, target) >= 0);
}

/* With a 67 prefix the base is esp, or eip. */
static bool uses_stack_pointer(const struct call *c)
{
    const ZydisDecodedOperand *o = &c->operand[0];
    if (o->type == ZYDIS_OPERAND_TYPE_REGISTER)
        return o->reg.value == ZYDIS_REGISTER_RSP;
    return o->type == ZYDIS_OPERAND_TYPE_MEMORY &&
           (o->mem.base == ZYDIS_REGISTER_RSP || o->mem.base == ZYDIS_REGISTER_ESP);
}

/* ---- registers that may hold an address on the stack, one bit each ---- */

static uint32_t bit_of(ZydisRegister name)
{
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name);
    return whole >= ZYDIS_REGISTER_RAX && whole <= ZYDIS_REGISTER_R15
               ? 1u << (whole - ZYDIS_REGISTER_RAX)
               : 0;
}

/* What is made of one of them by arithmetic is one; what is read from memory only if one has been
 * pushed before. */
static uint32_t follow_stack_addresses(const struct call *c, uint32_t on_stack)
{
    uint32_t read = 0, written = 0;
    for (uint8_t i = 0; i < c->instruction.operand_count_visible; i++) {
        const ZydisDecodedOperand *o = &c->operand[i];
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.type == ZYDIS_MEMOP_TYPE_AGEN)
            read |= bit_of(o->mem.base) | bit_of(o->mem.index);
        if (o->type != ZYDIS_OPERAND_TYPE_REGISTER)
            continue;
        if (o->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
            read |= bit_of(o->reg.value);
        if (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
            written |= bit_of(o->reg.value);
    }
    bool pushes = c->instruction.mnemonic == ZYDIS_MNEMONIC_PUSH;
    if (read & on_stack)
        return pushes ? UINT32_MAX : on_stack | written;
    return on_stack == UINT32_MAX ? on_stack : (on_stack & ~written) | bit_of(ZYDIS_REGISTER_RSP);
}

/* The original reads where to go before it pushes; the copy must not push over that. */
static bool may_read_pushed(const struct call *c, uint32_t on_stack)
{
    const ZydisDecodedOperand *o = &c->operand[0];
    return o->type == ZYDIS_OPERAND_TYPE_MEMORY &&
           ((bit_of(o->mem.base) | bit_of(o->mem.index)) & on_stack);
}

static bool uses_program_counter(const struct call *c)
{
    const ZydisDecodedOperand *o = &c->operand[0];
    return o->type == ZYDIS_OPERAND_TYPE_MEMORY &&
           (o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP);
}

static void put32(uint8_t *at, uint64_t value)
{
    uint32_t low = (uint32_t)value;
    memcpy(at, &low, 4);
}

/* jmp instead of call, at address `here`, to the same place: e9 rel32, or ff /4 with the operand of
 * ff /2. 0: it does not fit. */
static size_t make_jump(const struct gib_relocation_request *request, const struct call *c,
                        size_t original, uint64_t here, uint8_t *out)
{
    const uint8_t *code = request->code + original;
    uint64_t target;
    if (c->operand[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        if (!ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&c->instruction, &c->operand[0],
                                                   request->from + original, &target)))
            return 0;
        int64_t distance = (int64_t)(target - (here + 5));
        out[0] = 0xe9;
        put32(out + 1, (uint64_t)distance);
        return distance == (int32_t)distance ? 5 : 0;
    }
    size_t size = c->instruction.length;
    memcpy(out, code, size);
    uint8_t *modrm = out + c->instruction.raw.modrm.offset;
    *modrm = (uint8_t)((*modrm & 0xc7) | 4 << 3);
    if (uses_program_counter(c)) {
        if (!ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&c->instruction, &c->operand[0],
                                                   request->from + original, &target)))
            return 0;
        int64_t distance = (int64_t)(target - (here + size));
        put32(out + c->instruction.raw.disp.offset, (uint64_t)distance);
        /* [eip+d] is a sum of 32 bits: right whatever the distance. */
        bool cut = c->operand[0].mem.base == ZYDIS_REGISTER_EIP;
        return cut || distance == (int32_t)distance ? size : 0;
    }
    return size;
}

/*
 *  68 imm32             push the low half of the return address (sign-extended)
 *  c7 44 24 04 imm32    mov dword [rsp+4], the high half
 *  e9 rel32 | ff /4     jmp where the call went
 *  e9 rel32             the jump back: never reached, but the map of instructions ends here
 */
enum gib_trampoline_calls gib_trampoline_return_home(const struct gib_relocation_request *request,
                                                     struct gib_relocation *r)
{
    struct call c = {0};
    size_t last = r->boundaries - 2, calls = 0;
    bool ends_in_call = false;
    uint32_t on_stack = bit_of(ZYDIS_REGISTER_RSP);
    for (size_t i = 0; i <= last; i++) {
        if (!decode(request, r, i, &c))
            return GIB_CALLS_INSIDE;
        if (i < last)
            on_stack = follow_stack_addresses(&c, on_stack);
        ends_in_call = is_call(&c) && !asks_for_address(request, &c, r->boundary[i].original);
        calls += ends_in_call;
    }
    size_t at = r->boundary[last].copy, original = r->boundary[last].original;
    if (!calls)
        return GIB_CALLS_NONE;
    if (calls > 1 || !ends_in_call || uses_stack_pointer(&c) || may_read_pushed(&c, on_stack) ||
        original + c.instruction.length != r->consumed)
        return GIB_CALLS_INSIDE;
    uint64_t home = request->from + r->boundary[last + 1].original;
    uint8_t jump[16];
    size_t size = make_jump(request, &c, original, request->to + at + 13, jump);
    int64_t back = (int64_t)(home - (request->to + at + 13 + size + 5));
    if (!size || at + 13 + size + 5 > sizeof r->code || back != (int32_t)back)
        return GIB_CALLS_INSIDE;
    uint8_t *out = r->code + at;
    out[0] = 0x68;
    put32(out + 1, home);
    memcpy(out + 5, (const uint8_t[]){0xc7, 0x44, 0x24, 0x04}, 4);
    put32(out + 9, home >> 32);
    memcpy(out + 13, jump, size);
    out[13 + size] = 0xe9;
    put32(out + 14 + size, (uint64_t)back);
    r->boundary[last + 1].copy = (uint16_t)(at + 13 + size);
    r->size = at + 13 + size + 5;
    return GIB_CALLS_HOME;
}
