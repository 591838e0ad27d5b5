#include "code/x86_64/disassemble.h"

#include <Zydis/Zydis.h>

size_t gib_disassemble(const uint8_t *code, size_t size, uint64_t address, char *out,
                       size_t out_size)
{
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, size, &instruction, operand)))
        return 0;
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT);
    if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &instruction, operand,
                                                      instruction.operand_count_visible, out,
                                                      out_size, address, NULL)))
        return 0;
    return instruction.length;
}
