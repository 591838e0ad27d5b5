/* assembler.c: instructions of thunks as bytes. */
#include "code/x86_64/assembler.h"

#include <string.h>

void gib_put(struct emitter *e, const void *bytes, size_t size)
{
    if (e->at + size > e->room) { /* cannot happen: the longest thunk is measured by a test */
        e->failed = true;
        return;
    }
    memcpy(e->code + e->at, bytes, size);
    e->at += size;
}

void gib_put32(struct emitter *e, uint32_t value)
{
    gib_put(e, &value, 4);
}

void gib_put_relative(struct emitter *e, uint64_t target, size_t behind)
{
    int64_t distance = (int64_t)(target - (e->address + e->at + 4 + behind));
    if (distance != (int32_t)distance)
        e->failed = true;
    gib_put32(e, (uint32_t)distance);
}

/*
 *  opcode /r with [base + disp]:  modrm mod=01 disp8 | mod=10 disp32   (SDM table 2-2)
 *  base rsp: its number says that a SIB byte follows, 24: no index, rsp
 */
void gib_put_operand(struct emitter *e, int reg, int base, int64_t offset)
{
    uint8_t registers = (uint8_t)((reg & 7) << 3 | (base & 7));
    bool near = offset == (int8_t)offset;
    if (offset != (int32_t)offset)
        e->failed = true;
    BYTES(e, (uint8_t)((near ? 0x40 : 0x80) | registers));
    if ((base & 7) == RSP)
        BYTES(e, 0x24);
    if (near)
        BYTES(e, (uint8_t)offset);
    else
        gib_put32(e, (uint32_t)offset);
}

/*  REX.W + R + B | opcode | operand   */
void gib_memory(struct emitter *e, uint8_t opcode, int reg, int base, int64_t offset)
{
    BYTES(e, (uint8_t)(0x48 | (reg >= 8) << 2 | (base >= 8)), opcode);
    gib_put_operand(e, reg, base, offset);
}

/*  REX + R + B | opcode | operand   */
void gib_memory32(struct emitter *e, uint8_t opcode, int reg, int base, int64_t offset)
{
    BYTES(e, (uint8_t)(0x40 | (reg >= 8) << 2 | (base >= 8)), opcode);
    gib_put_operand(e, reg, base, offset);
}

/*  66 REX.B 0f d6 /r   */
void gib_store_xmm(struct emitter *e, int xmm, int base, int64_t offset)
{
    BYTES(e, 0x66, (uint8_t)(0x40 | (base >= 8)), 0x0f, 0xd6);
    gib_put_operand(e, xmm, base, offset);
}

/*  REX.W b8+r imm64   */
void gib_immediate(struct emitter *e, int reg, uint64_t value)
{
    BYTES(e, (uint8_t)(0x48 | (reg >= 8)), (uint8_t)(0xb8 | (reg & 7)));
    gib_put(e, &value, 8);
}

/*  e9 rel32   */
void gib_jump(struct emitter *e, uint64_t target)
{
    BYTES(e, JMP);
    gib_put_relative(e, target, 0);
}

/*  0f 8x rel32   */
void gib_jump_if(struct emitter *e, uint8_t condition, uint64_t target)
{
    BYTES(e, 0x0f, condition);
    gib_put_relative(e, target, 0);
}

void gib_jump_label(struct emitter *e, uint8_t condition, struct label *label)
{
    if (condition != JMP)
        BYTES(e, 0x0f);
    BYTES(e, condition);
    size_t field = e->at;
    gib_put32(e, (uint32_t)label->last);
    label->last = field;
}

void gib_label_to(struct emitter *e, const struct label *label, uint64_t target)
{
    for (size_t field = label->last; field && !e->failed;) {
        int64_t distance = (int64_t)(target - (e->address + field + 4));
        uint32_t before, relative = (uint32_t)distance;
        if (distance != (int32_t)distance)
            e->failed = true;
        memcpy(&before, e->code + field, 4);
        memcpy(e->code + field, &relative, 4);
        field = before;
    }
}

void gib_label_here(struct emitter *e, const struct label *label)
{
    gib_label_to(e, label, e->address + e->at);
}
