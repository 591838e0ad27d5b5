#include "relocate_unfit.h"

#include <stdio.h>

static bool is_unfit(const ZydisDecodedInstruction *instruction)
{
    switch (instruction->meta.category) {
    case ZYDIS_CATEGORY_SYSTEM:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_IO:
    case ZYDIS_CATEGORY_IOSTRINGOP:
    case ZYDIS_CATEGORY_SEGOP:
    case ZYDIS_CATEGORY_RDRAND:
    case ZYDIS_CATEGORY_RDSEED:
    case ZYDIS_CATEGORY_XSAVE:
    case ZYDIS_CATEGORY_XSAVEOPT:
        return true;
    default:
        break;
    }
    switch (instruction->mnemonic) {
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFQ:
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_RDPID:
    case ZYDIS_MNEMONIC_XBEGIN: /* QEMU has no transactions, and single steps abort them */
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
        return true;
    default:
        /* 8e loads a segment register, as far calls and returns do. */
        return instruction->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
               (instruction->mnemonic == ZYDIS_MNEMONIC_MOV && instruction->opcode == 0x8e);
    }
}

bool relocate_window_is_unfit(const struct gib_relocation_request *request,
                              const struct gib_relocation *copy,
                              bool (*also)(const ZydisDecodedInstruction *instruction))
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction instruction;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (size_t i = 0; i + 1 < copy->boundaries; i++) {
        size_t offset = copy->boundary[i].original;
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, request->code + offset,
                                                        request->code_size - offset,
                                                        &instruction)) ||
            is_unfit(&instruction) || also(&instruction))
            return true;
    }
    return false;
}

void relocate_print_bytes(const char *title, const uint8_t *bytes, size_t size)
{
    fprintf(stderr, "  %s", title);
    for (size_t i = 0; i < size; i++)
        fprintf(stderr, " %02x", bytes[i]);
    fprintf(stderr, "\n");
}
