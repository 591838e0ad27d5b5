#include "code/x86_64/undo.h"

#include <string.h>
#include <Zydis/Zydis.h>

enum kind { PUSH, ROOM, FRAME };

struct kept {
    enum kind kind;
    uint8_t reg; /* number of what is pushed */
    uint32_t room;
};

static bool is_register(const ZydisDecodedOperand *operand, ZydisRegister reg)
{
    return operand->type == ZYDIS_OPERAND_TYPE_REGISTER && operand->reg.value == reg;
}

static bool understand(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *op,
                       struct kept *kept)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_PUSH:
        kept->kind = PUSH;
        if (op[0].type != ZYDIS_OPERAND_TYPE_REGISTER || op[0].size != 64 ||
            ZydisRegisterGetClass(op[0].reg.value) != ZYDIS_REGCLASS_GPR64 ||
            op[0].reg.value == ZYDIS_REGISTER_RSP)
            return false;
        kept->reg = (uint8_t)ZydisRegisterGetId(op[0].reg.value);
        return true;
    case ZYDIS_MNEMONIC_SUB:
        kept->kind = ROOM;
        if (!is_register(&op[0], ZYDIS_REGISTER_RSP) ||
            op[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE || op[1].imm.value.s <= 0 ||
            op[1].imm.value.s % 8 || op[1].imm.value.s > 1 << 20)
            return false;
        kept->room = (uint32_t)op[1].imm.value.s;
        return true;
    case ZYDIS_MNEMONIC_MOV:
        kept->kind = FRAME;
        return is_register(&op[0], ZYDIS_REGISTER_RBP) && is_register(&op[1], ZYDIS_REGISTER_RSP);
    default:
        return false;
    }
}

static void put_step(struct gib_undo *undo, uint32_t depth, uint8_t rbp_at)
{
    undo->step[undo->steps].at = undo->size;
    undo->step[undo->steps].depth = depth;
    undo->step[undo->steps++].rbp_at = rbp_at;
}

static void put_undoing(struct gib_undo *undo, const struct kept *kept)
{
    uint8_t *code = undo->code + undo->size;
    if (kept->kind == PUSH) {
        if (kept->reg >= 8)
            *code++ = 0x41;
        *code++ = 0x58 | (kept->reg & 7); /* pop */
    } else if (kept->room < 0x80) {
        memcpy(code, "\x48\x8d\x64\x24", 4); /* lea room(%rsp),%rsp */
        code[4] = (uint8_t)kept->room;
        code += 5;
    } else {
        memcpy(code, "\x48\x8d\xa4\x24", 4);
        memcpy(code + 4, &kept->room, 4);
        code += 8;
    }
    undo->size = (uint8_t)(code - undo->code);
}

bool gib_undo_make(const uint8_t *code, size_t size, struct gib_undo *undo)
{
    enum { RBP = 5 };
    ZydisDecoder decoder;
    struct kept kept[GIB_KEPT_MAX];
    size_t count = 0, at = 0;
    uint32_t depth = 8, pushed = 0; /* pushed: where rbp is */
    bool framed = false;
    memset(undo, 0, sizeof *undo);
    if (!size || size > GIB_KEPT_MAX)
        return false;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (; at < size; count++) {
        ZydisDecodedInstruction in;
        ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code + at, size - at, &in, op)) ||
            !understand(&in, op, &kept[count]))
            return false;
        at += in.length;
        bool is_rbp = kept[count].kind == PUSH && kept[count].reg == RBP;
        if (is_rbp && pushed)
            return false;
        if (kept[count].kind == FRAME) { /* only once, and behind the push that keeps the old one */
            if (!pushed || framed)
                return false;
            framed = true;
            continue;
        }
        depth += kept[count].kind == PUSH ? 8 : kept[count].room;
        if (is_rbp)
            pushed = depth;
    }
    if (pushed > 255)
        return false;
    put_step(undo, depth, (uint8_t)pushed);
    while (count--) {
        if (kept[count].kind == FRAME)
            continue;
        put_undoing(undo, &kept[count]);
        if (depth == pushed && kept[count].kind == PUSH && kept[count].reg == RBP)
            pushed = 0;
        depth -= kept[count].kind == PUSH ? 8 : kept[count].room;
        put_step(undo, depth, (uint8_t)pushed);
    }
    return true;
}
