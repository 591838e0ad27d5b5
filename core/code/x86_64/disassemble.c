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
    /* As the debuggers write it: small letters, no leading zeros. */
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT);
    static const ZydisFormatterProperty padding[] = {
        ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_FORMATTER_PROP_ADDR_PADDING_RELATIVE,
        ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_FORMATTER_PROP_IMM_PADDING};
    for (size_t i = 0; i < sizeof padding / sizeof *padding; i++)
        ZydisFormatterSetProperty(&formatter, padding[i], ZYDIS_PADDING_DISABLED);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &instruction, operand,
                                                      instruction.operand_count_visible, out,
                                                      out_size, address, NULL)))
        return 0;
    return instruction.length;
}
