#include "code/x86_64/branches.h"

#include <stdlib.h>
#include <string.h>
#include "code/x86_64/relocator.h"

static int by_target(const void *a, const void *b)
{
    const struct gib_branch *x = a, *y = b;
    return x->target < y->target ? -1 : x->target > y->target;
}

struct gib_branch *gib_branches_find(const uint8_t *code, size_t size, uint64_t address,
                                     uint64_t low, uint64_t high, size_t *count)
{
    struct gib_branch *found = NULL;
    size_t room = 0;
    *count = 0;
    for (size_t i = 0; i + 5 <= size; i++) {
        /* e8 call, e9 jmp: the displacement follows at once; 0f 80..8f jcc: behind the second byte.
         */
        bool one = code[i] == 0xe8 || code[i] == 0xe9;
        bool two = code[i] == 0x0f && (code[i + 1] & 0xf0) == 0x80 && i + 6 <= size;
        if (!one && !two)
            continue;
        int32_t displacement;
        size_t length = one ? 5 : 6;
        memcpy(&displacement, code + i + length - 4, 4);
        uint64_t target = address + i + length + (uint64_t)(int64_t)displacement;
        if (target < low || target >= high)
            continue;
        if (*count == room) {
            size_t larger = room ? room * 2 : 1024;
            struct gib_branch *grown = realloc(found, larger * sizeof *grown);
            if (!grown)
                break;
            found = grown;
            room = larger;
        }
        found[(*count)++] = (struct gib_branch){target, address + i};
    }
    if (found)
        qsort(found, *count, sizeof *found, by_target);
    return found;
}

static bool ends_flow(const ZydisDecodedInstruction *i)
{
    return i->meta.category == ZYDIS_CATEGORY_RET || i->mnemonic == ZYDIS_MNEMONIC_JMP ||
           i->mnemonic == ZYDIS_MNEMONIC_UD2 || i->mnemonic == ZYDIS_MNEMONIC_HLT;
}

size_t gib_padding_length(const uint8_t *code, size_t size)
{
    struct x86_function function = {.bytes = code, .size = size};
    /* Zeros may be data. */
    if (!size || code[0] == 0 ||
        !ZYAN_SUCCESS(
            ZydisDecoderInit(&function.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        return 0;
    return gib_x86_padding(&function, 0);
}

struct stretch {
    ZydisDecoder decoder;
    const uint8_t *code;
    size_t size;
    uint64_t address;
    uint8_t *marks;
};

static void mark_target(struct stretch *s, const ZydisDecodedInstruction *instruction,
                        const ZydisDecodedOperand *operands, size_t at)
{
    for (uint8_t i = 0; i < instruction->operand_count; i++) {
        uint64_t target;
        if (operands[i].type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !operands[i].imm.is_relative ||
            !ZYAN_SUCCESS(
                ZydisCalcAbsoluteAddress(instruction, &operands[i], s->address + at, &target)))
            continue;
        if (target < s->address || target >= s->address + s->size)
            continue;
        s->marks[target - s->address] |= GIB_BYTE_TARGET;
    }
}

static void decode_function(struct stretch *s, size_t at, size_t end)
{
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    bool ended = false;
    while (at < end) {
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&s->decoder, s->code + at, end - at, &instruction,
                                                 operands))) {
            s->marks[at++] |= GIB_BYTE_DATA;
            ended = false;
            continue;
        }
        s->marks[at] |= GIB_BYTE_START;
        bool padding = gib_padding_length(s->code + at, end - at) > 0;
        for (size_t i = at; ended && padding && i < at + instruction.length; i++)
            s->marks[i] |= GIB_BYTE_PADDING;
        mark_target(s, &instruction, operands, at);
        if (!padding)
            ended = ends_flow(&instruction);
        at += instruction.length;
    }
}

void gib_bytes_mark(const uint8_t *code, size_t size, uint64_t address, const uint64_t *starts,
                    size_t start_count, uint8_t *marks)
{
    struct stretch s = {.code = code, .size = size, .address = address, .marks = marks};
    memset(marks, 0, size);
    ZydisDecoderInit(&s.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (size_t i = 0; i < start_count; i++) {
        if (starts[i] < address || starts[i] >= address + size)
            continue;
        uint64_t end =
            i + 1 < start_count && starts[i + 1] < address + size ? starts[i + 1] : address + size;
        marks[starts[i] - address] |= GIB_BYTE_TARGET;
        decode_function(&s, (size_t)(starts[i] - address), (size_t)(end - address));
    }
}

/* jmp with a register or memory operand: ff /4, except [rip+d], which holds another function. */
static bool may_jump_by_table(const uint8_t *code, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++)
        if (code[i] == 0xff && (code[i + 1] & 0x38) == 0x20 && code[i + 1] != 0x25)
            return true;
    return false;
}

/*
 *   48 8d 05 disp32   lea rax, [rip + disp32], and so for other registers
 *
 * Read at any byte, as gib_branches_find does: nobody mistakes what is no instruction for a table,
 * as all that a table leads to must be instructions.
 */
size_t gib_find_tables(const uint8_t *code, size_t size, uint64_t address, uint64_t *tables,
                       size_t max)
{
    size_t count = 0;
    if (!may_jump_by_table(code, size))
        return 0;
    for (size_t at = 0; at + 6 <= size && count < max; at++) {
        int32_t displacement;
        if (code[at] != 0x8d || (code[at + 1] & 0xc7) != 0x05)
            continue;
        memcpy(&displacement, code + at + 2, 4);
        uint64_t target = address + at + 6 + (uint64_t)(int64_t)displacement;
        bool known = false;
        for (size_t i = 0; i < count && !known; i++)
            known = tables[i] == target;
        if (!known)
            tables[count++] = target;
    }
    return count;
}
