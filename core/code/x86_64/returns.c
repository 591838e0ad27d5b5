#include "code/x86_64/returns.h"

#include <Zydis/Zydis.h>

size_t gib_find_returns(const uint8_t *code, size_t size, uint16_t *offsets, size_t max)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
    size_t count = 0;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (size_t at = 0; at < size;) {
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeFull(&decoder, code + at, size - at, &instruction, operand)))
            return 0;
        if (instruction.meta.category == ZYDIS_CATEGORY_RET) {
            if (count == max)
                return 0;
            offsets[count++] = (uint16_t)at;
        }
        if (instruction.mnemonic == ZYDIS_MNEMONIC_JMP) {
            uint64_t target;
            if (!ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&instruction, &operand[0], at, &target)) ||
                target >= size)
                return 0;
        }
        at += instruction.length;
    }
    return count;
}
