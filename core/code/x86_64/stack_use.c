/*
 * stack_use.c: the caller's part of the stack begins at the CFA, the address behind the return
 * address. The unwind rows say for each instruction how far that is from rsp or rbp.
 */
#include "code/x86_64/stack_use.h"

#include <string.h>
#include <Zydis/Zydis.h>

struct study {
    const struct gib_cfa *rows;
    size_t count, row; /* rows[row - 1] is in force; 0: none is */
    struct gib_cfa
        here; /* where there are no rows: followed from the entry up to the first branch */
    struct gib_stack_use *out;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
};

static void take_row(struct study *s, uint32_t at)
{
    while (s->row < s->count && s->rows[s->row].start <= at)
        s->row++;
}

static const struct gib_cfa *in_force(const struct study *s)
{
    return s->count ? s->row ? &s->rows[s->row - 1] : NULL : &s->here;
}

/* The CFA as a register and a distance; false where it is something else, or not known. */
static bool cfa(const struct study *s, ZydisRegister *base, int64_t *offset)
{
    const struct gib_cfa *row = in_force(s);
    if (!row || (row->base != GIB_CFA_RSP && row->base != GIB_CFA_RBP))
        return false;
    *base = row->base == GIB_CFA_RSP ? ZYDIS_REGISTER_RSP : ZYDIS_REGISTER_RBP;
    *offset = row->offset;
    return true;
}

static void look_at_memory(struct study *s, const ZydisDecodedOperand *o)
{
    ZydisRegister base;
    int64_t offset;
    if (o->mem.segment == ZYDIS_REGISTER_FS || o->mem.segment == ZYDIS_REGISTER_GS ||
        !cfa(s, &base, &offset) || o->mem.base != base)
        return;
    int64_t at = o->mem.disp.value - offset; /* from the CFA */
    bool address = o->mem.type == ZYDIS_MEMOP_TYPE_AGEN;
    int64_t end = at + (address ? 0 : o->size / 8);
    /* endbr64, nop [rsp + ...]: an operand that is not used */
    if (s->instruction.meta.category == ZYDIS_CATEGORY_WIDENOP)
        return;
    if (at < -8 && (end <= -8 || o->mem.index))
        return; /* its own; with an index, an array of its own: `[rsp + rax*8 + 16]` */
    if (at < 0 && !address && !o->mem.index) {
        s->out->looks_back = true;
        if (end <= 0)
            return;
    }
    /* An address is perhaps that of the end of something; an index may lead anywhere. */
    if (at >= 0 && (address || o->mem.index)) {
        s->out->escapes = true;
        end = at;
    }
    if (end > (int64_t)s->out->reach)
        s->out->reach = end < 1 << 20 ? (uint32_t)(end + 7) & ~7u : 1 << 20;
}

/* rsp from elsewhere than this frame. Functions with variable-length arrays set it back from a
 * register or from memory, but they have a frame pointer. */
static void look_at_stack_pointer(struct study *s)
{
    ZydisRegister base = ZYDIS_REGISTER_NONE;
    int64_t offset;
    const ZydisDecodedOperand *to = &s->operand[0], *from = &s->operand[1];
    ZydisMnemonic m = s->instruction.mnemonic;
    if (m == ZYDIS_MNEMONIC_POP) { /* vfork keeps its return address in a register */
        if (cfa(s, &base, &offset) && base == ZYDIS_REGISTER_RSP && offset == 8)
            s->out->looks_back = true;
        if (to->type != ZYDIS_OPERAND_TYPE_REGISTER || to->reg.value != ZYDIS_REGISTER_RSP)
            return;
    } else if (m == ZYDIS_MNEMONIC_MOV || m == ZYDIS_MNEMONIC_XCHG || m == ZYDIS_MNEMONIC_LEA) {
        if (m == ZYDIS_MNEMONIC_XCHG && from->type == ZYDIS_OPERAND_TYPE_REGISTER &&
            from->reg.value == ZYDIS_REGISTER_RSP) {
            const ZydisDecodedOperand *swapped = to;
            to = from;
            from = swapped;
        }
        if (to->type != ZYDIS_OPERAND_TYPE_REGISTER || to->reg.value != ZYDIS_REGISTER_RSP)
            return;
        ZydisRegister source =
            from->type == ZYDIS_OPERAND_TYPE_REGISTER ? from->reg.value : from->mem.base;
        if (source == ZYDIS_REGISTER_RBP ||
            (m == ZYDIS_MNEMONIC_LEA && source == ZYDIS_REGISTER_RSP))
            return; /* its own frame pointer */
    } else {
        return;
    }
    enum gib_cfa_base now = in_force(s) ? in_force(s)->base : GIB_CFA_UNKNOWN;
    s->out->switches |= now != GIB_CFA_RBP && now != GIB_CFA_FRAMED;
}

/* What the instruction does to the distance from rsp to the CFA. */
static void follow(struct study *s)
{
    const ZydisDecodedOperand *to = &s->operand[0], *from = &s->operand[1];
    bool to_rsp = to->type == ZYDIS_OPERAND_TYPE_REGISTER && to->reg.value == ZYDIS_REGISTER_RSP;
    bool by_number = from->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    struct gib_cfa *here = &s->here;
    ZydisInstructionCategory category = s->instruction.meta.category;
    if (here->base == GIB_CFA_RBP) { /* in force until rbp is the caller's again */
        bool to_rbp =
            to->type == ZYDIS_OPERAND_TYPE_REGISTER && to->reg.value == ZYDIS_REGISTER_RBP;
        if (s->instruction.mnemonic == ZYDIS_MNEMONIC_LEAVE ||
            (to_rbp && (to->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)))
            here->base = GIB_CFA_UNKNOWN;
        return;
    }
    if (here->base != GIB_CFA_RSP)
        return;
    switch (s->instruction.mnemonic) {
    case ZYDIS_MNEMONIC_PUSH:
    case ZYDIS_MNEMONIC_PUSHFQ:
        here->offset += 8;
        return;
    case ZYDIS_MNEMONIC_POP:
    case ZYDIS_MNEMONIC_POPFQ:
        here->offset -= 8;
        break;
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_ADD:
        if (to_rsp && by_number) {
            int32_t n = (int32_t)from->imm.value.s;
            here->offset += s->instruction.mnemonic == ZYDIS_MNEMONIC_SUB ? n : -n;
            return;
        }
        break;
    case ZYDIS_MNEMONIC_LEA:
        if (to_rsp && from->mem.base == ZYDIS_REGISTER_RSP && !from->mem.index) {
            here->offset -= (int32_t)from->mem.disp.value;
            return;
        }
        break;
    case ZYDIS_MNEMONIC_MOV:
        if (to->type == ZYDIS_OPERAND_TYPE_REGISTER && to->reg.value == ZYDIS_REGISTER_RBP &&
            from->type == ZYDIS_OPERAND_TYPE_REGISTER && from->reg.value == ZYDIS_REGISTER_RSP) {
            here->base = GIB_CFA_RBP;
            return;
        }
        break;
    default:
        break;
    }
    bool branch = category == ZYDIS_CATEGORY_UNCOND_BR || category == ZYDIS_CATEGORY_COND_BR ||
                  category == ZYDIS_CATEGORY_RET;
    bool writes_rsp = to_rsp && (to->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE);
    if (branch || (writes_rsp && s->instruction.mnemonic != ZYDIS_MNEMONIC_CMP))
        here->base = GIB_CFA_UNKNOWN;
}

/* A jump out of the function: to its cold part, or to another function that takes over the caller's
 * arguments as they are. */
static void look_at_jump(struct study *s, size_t at, size_t size)
{
    ZydisInstructionCategory category = s->instruction.meta.category;
    uint64_t target;
    if (category != ZYDIS_CATEGORY_UNCOND_BR && category != ZYDIS_CATEGORY_COND_BR)
        return;
    if (s->operand[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
        !ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&s->instruction, &s->operand[0], at, &target)) ||
        target >= size)
        s->out->escapes = true;
}

/*
 * Whether the operands matter: one may be in memory at rsp or rbp, or be rsp itself; or it is a
 * push, a pop or a branch. Most instructions are none of that, and operands take as long to decode
 * as all the rest.
 */
static bool is_of_interest(const ZydisDecodedInstruction *i)
{
    enum { SP = 4, BP = 5, IN_REGISTER = 3, POP_MEMORY = 0x8f };
    if (!(i->attributes & ZYDIS_ATTRIB_HAS_MODRM) || i->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT ||
        i->opcode >= 0xc0 || i->opcode == POP_MEMORY)
        return true;
    uint8_t mod = i->raw.modrm.mod, reg = i->raw.modrm.reg, rm = i->raw.modrm.rm;
    if (reg == SP || reg == BP) /* or a part of the opcode: sub */
        return true;
    if (mod != IN_REGISTER && rm == SP)
        return i->raw.sib.base == SP || i->raw.sib.base == BP;
    return rm == SP || (rm == BP && mod != 0);
}

void gib_stack_use_find(const uint8_t *code, size_t size, const struct gib_cfa *rows, size_t count,
                        struct gib_stack_use *out)
{
    struct study s = {.rows = rows, .count = count, .out = out, .here = {0, 8, GIB_CFA_RSP}};
    ZydisDecoder decoder;
    memset(out, 0, sizeof *out);
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    size_t at = 0;
    for (ZydisDecoderContext context;
         at < size && ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, code + at,
                                                                 size - at, &s.instruction));
         at += s.instruction.length) {
        take_row(&s, (uint32_t)at);
        if (!is_of_interest(&s.instruction))
            continue;
        memset(s.operand, 0, 2 * sizeof *s.operand); /* it may have none */
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&decoder, &context, &s.instruction, s.operand,
                                                     s.instruction.operand_count)))
            break;
        for (uint8_t i = 0; i < s.instruction.operand_count_visible; i++)
            if (s.operand[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
                look_at_memory(&s, &s.operand[i]);
        look_at_stack_pointer(&s);
        look_at_jump(&s, at, size);
        follow(&s);
    }
    out->known = at >= size && count;
}
