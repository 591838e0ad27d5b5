/*
 * x86-64 instructions, seen by a relocator.
 */
#include "code/x86_64/relocator.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "code/x86_64/disassemble.h"

/*
 * The kind of an instruction with a relative immediate. Zydis' branch types do not know xbegin, so
 * the mnemonic decides.
 */
static enum x86_kind branch_kind(ZydisMnemonic mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_JMP:
        return X86_JUMP;
    case ZYDIS_MNEMONIC_CALL:
        return X86_CALL;
    case ZYDIS_MNEMONIC_XBEGIN:
        return X86_BEGIN;
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ:
        return X86_COUNT;
    default:
        return X86_CONDITION;
    }
}

/* A nop or a prefetch hint with an address computes it for nothing: any displacement will do. */
static bool ignores_address(const ZydisDecodedInstruction *decoded)
{
    return decoded->mnemonic == ZYDIS_MNEMONIC_NOP;
}

static bool has_rip_operand(const ZydisDecodedInstruction *decoded)
{
    /* mod 0, rm 5 without a displacement is the register form that mov cr/dr force. */
    return (decoded->attributes & ZYDIS_ATTRIB_HAS_MODRM) && decoded->raw.modrm.mod == 0 &&
           decoded->raw.modrm.rm == 5 && decoded->raw.disp.size == 32 && !ignores_address(decoded);
}

bool gib_x86_decode(const struct x86_function *function, size_t offset,
                    struct x86_instruction *instruction)
{
    ZydisDecodedInstruction *decoded = &instruction->decoded;
    if (offset >= function->size ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(
            &function->decoder, NULL, function->bytes + offset, function->size - offset, decoded)))
        return false;

    uint64_t end = function->address + offset + decoded->length;
    instruction->offset = offset;
    instruction->kind = X86_PLAIN;
    instruction->target = 0;
    if (decoded->raw.imm[0].is_relative) {
        instruction->kind = branch_kind(decoded->mnemonic);
        instruction->target = end + (uint64_t)decoded->raw.imm[0].value.s;
    } else if (has_rip_operand(decoded)) {
        instruction->kind = X86_DATA;
        instruction->target = end + (uint64_t)decoded->raw.disp.value;
        if (decoded->address_width == 32) /* [eip+d]: a 67 prefix cuts the sum */
            instruction->target = (uint32_t)instruction->target;
    }
    return true;
}

bool gib_x86_is_branch(const struct x86_instruction *instruction)
{
    return instruction->kind != X86_PLAIN && instruction->kind != X86_DATA;
}

/* REX.W makes it 64 bits wide again for all vendors: the call of a TLS access is 66 66 48 e8. */
bool gib_x86_is_ambiguous(const struct x86_instruction *instruction)
{
    return gib_x86_is_branch(instruction) &&
           (instruction->decoded.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) &&
           !instruction->decoded.raw.rex.W;
}

bool gib_x86_ends_flow(const struct x86_instruction *instruction)
{
    switch (instruction->decoded.mnemonic) {
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_RET:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_UIRET:
    case ZYDIS_MNEMONIC_SYSRET:
    case ZYDIS_MNEMONIC_SYSEXIT:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
    case ZYDIS_MNEMONIC_HLT:
        return true;
    default:
        return false;
    }
}

size_t gib_x86_padding(const struct x86_function *function, size_t offset)
{
    if (offset >= function->size)
        return 0;
    if (function->bytes[offset] == 0xcc || function->bytes[offset] == 0)
        return 1;
    struct x86_instruction instruction;
    if (!gib_x86_decode(function, offset, &instruction))
        return 0;
    const ZydisDecodedInstruction *decoded = &instruction.decoded;
    bool swap_with_itself = decoded->mnemonic == ZYDIS_MNEMONIC_XCHG && decoded->opcode == 0x90 &&
                            !(decoded->attributes & ZYDIS_ATTRIB_HAS_REX);
    if (decoded->mnemonic != ZYDIS_MNEMONIC_NOP && !swap_with_itself)
        return 0;
    /* Fillers have no displacement. XRay marks its sleds by one (512): it will write over them. */
    if (decoded->raw.disp.value != 0)
        return 0;
    return decoded->length;
}

size_t gib_x86_access_size(const struct x86_function *function,
                           const struct x86_instruction *instruction)
{
    ZydisDecodedInstruction decoded;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&function->decoder, function->bytes + instruction->offset,
                                   function->size - instruction->offset, &decoded, operands)))
        return 0;
    for (size_t i = 0; i < decoded.operand_count; i++) {
        if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            operands[i].mem.type == ZYDIS_MEMOP_TYPE_MEM &&
            (operands[i].mem.base == ZYDIS_REGISTER_RIP ||
             operands[i].mem.base == ZYDIS_REGISTER_EIP))
            return operands[i].size < 8 ? 1 : operands[i].size / 8;
    }
    return 0;
}

/*
 *   [f3 0f 1e fa]  48 8b 1c 24  c3    [endbr64]  mov rbx, [rsp]  ret
 */
int gib_x86_pc_thunk(const struct x86_function *function, uint64_t address)
{
    static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    uint64_t offset = gib_x86_offset(function, address);
    if (offset >= function->size)
        return -1;
    const uint8_t *bytes = function->bytes + offset;
    size_t left = function->size - offset;
    if (left > sizeof endbr64 && !memcmp(bytes, endbr64, sizeof endbr64)) {
        bytes += sizeof endbr64;
        left -= sizeof endbr64;
    }
    if (left < 5 || (bytes[0] & ~4) != 0x48 || bytes[1] != 0x8b || (bytes[2] & 0xc7) != 4 ||
        bytes[3] != 0x24 || bytes[4] != 0xc3)
        return -1;
    int reg = (bytes[0] & 4) << 1 | bytes[2] >> 3;
    return reg == 4 ? -1 : reg;
}

/* Writes the instruction as text. Returns how many of its bytes to show: a few if it is none. */
static size_t describe(const struct x86_function *function, size_t offset, char *text, size_t size)
{
    size_t left = function->size - offset;
    size_t length =
        gib_disassemble(function->bytes + offset, left, function->address + offset, text, size);
    if (length)
        return length;
    snprintf(text, size, "no known instruction");
    return left < 8 ? left : 8;
}

int gib_x86_refuse(const struct x86_function *function, size_t offset, int code, const char *reason,
                   ...)
{
    struct gib_error *error = function->error;
    if (!error)
        return code;

    char text[80] = "", hex[3 * X86_MAX_LENGTH + 1] = "";
    size_t length = 0;
    if (offset < function->size)
        length = describe(function, offset, text, sizeof text);
    for (size_t i = 0; i < length; i++)
        snprintf(hex + 3 * i, 4, i + 1 < length ? "%02x " : "%02x", function->bytes[offset + i]);

    char *message = error->message;
    size_t size = sizeof error->message;
    error->code = code;
    error->address = function->address + offset;
    int used = length ? snprintf(message, size,
                                 "0x%llx: %s (%s): ", (unsigned long long)error->address, hex, text)
                      : snprintf(message, size, "0x%llx: ", (unsigned long long)error->address);
    va_list arguments;
    va_start(arguments, reason);
    vsnprintf(message + used, size - (size_t)used, reason, arguments);
    va_end(arguments);
    return code;
}
