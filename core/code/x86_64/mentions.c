#include "code/x86_64/mentions.h"

#include <Zydis/Zydis.h>

static size_t add(uint64_t value, uint64_t *values, size_t count, size_t max)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] == value)
            return count;
    if (count < max)
        values[count++] = value;
    return count;
}

size_t gib_find_values(const uint8_t *code, size_t size, uint64_t address, uint64_t *values,
                       size_t max)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
    size_t count = 0;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (size_t at = 0; at < size; at += instruction.length) {
        uint64_t value;
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeFull(&decoder, code + at, size - at, &instruction, operand)))
            break;
        if (instruction.mnemonic == ZYDIS_MNEMONIC_LEA &&
            operand[1].mem.base == ZYDIS_REGISTER_RIP &&
            ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&instruction, &operand[1], address + at, &value)))
            count = add(value, values, count, max);
        else if (instruction.mnemonic == ZYDIS_MNEMONIC_MOV &&
                 operand[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
            count = add(operand[1].imm.value.u, values, count, max);
    }
    return count;
}

bool gib_has_syscall(const uint8_t *code, size_t size)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction instruction;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (size_t at = 0; at < size; at += instruction.length) {
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeInstruction(&decoder, NULL, code + at, size - at, &instruction)))
            return false;
        if (instruction.mnemonic == ZYDIS_MNEMONIC_SYSCALL)
            return true;
    }
    return false;
}

bool gib_ends_in_call(const uint8_t *code, size_t size)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction instruction;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (size_t length = 2; length <= 8 && length <= size; length++)
        if (ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code + size - length, length,
                                                       &instruction)) &&
            instruction.length == length && instruction.meta.category == ZYDIS_CATEGORY_CALL)
            return true;
    return false;
}
