#include "code/x86_64/branches.h"

#include <stdlib.h>
#include <string.h>
#include <Zydis/Zydis.h>

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

static bool is_padding(const ZydisDecodedInstruction *i, const uint8_t *bytes)
{
    return i->meta.category == ZYDIS_CATEGORY_NOP || i->meta.category == ZYDIS_CATEGORY_WIDENOP ||
           i->mnemonic == ZYDIS_MNEMONIC_NOP || i->mnemonic == ZYDIS_MNEMONIC_INT3 ||
           (bytes[0] == 0 && i->length == 2 && bytes[1] == 0);
}

struct stretch {
    ZydisDecoder decoder;
    const uint8_t *code;
    size_t size;
    uint64_t address, own_start, own_end;
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
        uint64_t from = s->address + at;
        bool own = from >= s->own_start && from < s->own_end;
        s->marks[target - s->address] |= (uint8_t)(GIB_BYTE_TARGET | (own ? 0 : GIB_BYTE_FOREIGN));
    }
}

static void decode_function(struct stretch *s, size_t at, size_t end)
{
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    bool ended = false;
    while (at < end) {
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&s->decoder, s->code + at, end - at, &instruction,
                                                 operands)))
            return;
        s->marks[at] |= GIB_BYTE_START;
        bool padding = is_padding(&instruction, s->code + at);
        for (size_t i = at; ended && padding && i < at + instruction.length; i++)
            s->marks[i] |= GIB_BYTE_PADDING;
        mark_target(s, &instruction, operands, at);
        if (!padding)
            ended = ends_flow(&instruction);
        at += instruction.length;
    }
}

void gib_bytes_mark(const uint8_t *code, size_t size, uint64_t address, const uint64_t *starts,
                    size_t start_count, uint64_t own_start, uint64_t own_end, uint8_t *marks)
{
    struct stretch s = {.code = code,
                        .size = size,
                        .address = address,
                        .own_start = own_start,
                        .own_end = own_end,
                        .marks = marks};
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
