/*
 * The copy's bytes. Nothing emitted here changes a register, a flag or memory that the original
 * instruction does not change; what would need that is refused.
 */
#include "code/x86_64/relocator.h"

#include <string.h>

enum { NEAR_JUMP = 5, FAR_JUMP = 14, MAX_FIXUPS = X86_MAX_INSTRUCTIONS };

/* Where a branch in the copy goes: to an address, or to the copy of a displaced instruction. */
struct destination {
    bool internal;
    uint64_t address;
    size_t index;
};

struct emitter {
    const struct x86_function *function;
    const struct x86_window *window;
    struct gib_relocation *out;
    bool full;
    /* rel32 fields that wait for the place of the instruction they go to */
    struct fixup {
        size_t field, index;
    } fixup[MAX_FIXUPS];
    size_t fixups;
};

static void put(struct emitter *emitter, const void *bytes, size_t size)
{
    struct gib_relocation *out = emitter->out;
    if (emitter->full || size > sizeof out->code - out->size) {
        emitter->full = true;
        return;
    }
    memcpy(out->code + out->size, bytes, size);
    out->size += size;
}

static void put_byte(struct emitter *emitter, uint8_t byte)
{
    put(emitter, &byte, 1);
}

/* The host is little-endian or the bytes would be wrong: written out so that it does not matter. */
static void put_value(struct emitter *emitter, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        put_byte(emitter, (uint8_t)(value >> (8 * i)));
}

static uint64_t here(const struct emitter *emitter)
{
    return emitter->function->copy_address + emitter->out->size;
}

/* Does a signed 32-bit distance lead from an instruction's end to `target`? */
static bool fits(uint64_t end, uint64_t target)
{
    int64_t distance = (int64_t)(target - end);
    return distance == (int32_t)distance;
}

/* Would rel32 reach from an instruction of `length` bytes emitted now? */
static bool reaches(const struct emitter *emitter, const struct destination *destination,
                    size_t length)
{
    return destination->internal || fits(here(emitter) + length, destination->address);
}

/* The last field of a branch. */
static void put_rel32(struct emitter *emitter, const struct destination *destination)
{
    if (destination->internal) {
        struct fixup *fixup = &emitter->fixup[emitter->fixups++];
        fixup->field = emitter->out->size;
        fixup->index = destination->index;
        put_value(emitter, 0, 4);
    } else {
        put_value(emitter, destination->address - (here(emitter) + 4), 4);
    }
}

/*
 *   ff 25 00 00 00 00  <8 bytes>      jmp [rip+0]; .quad target
 */
static void emit_far_jump(struct emitter *emitter, uint64_t target)
{
    put(emitter, "\xff\x25\0\0\0\0", 6);
    put_value(emitter, target, 8);
}

/*
 *   e9 rel32                          jmp target
 * or, out of its reach, the far jump
 */
static void emit_jump(struct emitter *emitter, const struct destination *destination)
{
    if (reaches(emitter, destination, NEAR_JUMP)) {
        put_byte(emitter, 0xe9);
        put_rel32(emitter, destination);
    } else {
        emit_far_jump(emitter, destination->address);
    }
}

/*
 * Jumps over a jump: what stands before this goes to the second one when its branch is taken.
 *
 *   eb 05            jmp over             eb 0e
 *   e9 rel32         jmp target    or     ff 25 0, quad
 *                    over:
 */
static void emit_island(struct emitter *emitter, const struct destination *destination)
{
    put_byte(emitter, 0xeb);
    /* The reach is asked for where the jump will stand, behind the displacement byte. */
    bool near = destination->internal || fits(here(emitter) + 1 + NEAR_JUMP, destination->address);
    put_byte(emitter, near ? NEAR_JUMP : FAR_JUMP);
    emit_jump(emitter, destination);
}

static const uint8_t *bytes_of(const struct emitter *emitter,
                               const struct x86_instruction *instruction)
{
    return emitter->function->bytes + instruction->offset;
}

/*
 * The prefixes of a branch, kept where the longer instruction stays within 15 bytes. On direct
 * branches they are hints or have no effect, except for 67 on loop and jrcxz, which keep their
 * length.
 */
static size_t kept_prefixes(const struct x86_instruction *branch, size_t opcode_length,
                            size_t new_length)
{
    size_t prefixes = branch->decoded.raw.imm[0].offset - opcode_length;
    return prefixes + new_length <= X86_MAX_LENGTH ? prefixes : 0;
}

/* [prefixes] e9 rel32, or the far jump. */
static void emit_displaced_jump(struct emitter *emitter, const struct x86_instruction *jump,
                                const struct destination *destination)
{
    size_t prefixes = kept_prefixes(jump, 1, NEAR_JUMP);
    if (reaches(emitter, destination, prefixes + NEAR_JUMP))
        put(emitter, bytes_of(emitter, jump), prefixes);
    emit_jump(emitter, destination);
}

/*
 *   [prefixes] 0f 8c rel32            jcc target
 * or, out of its reach, inverted over a far jump
 *   7c 0e  ff 25 0, quad
 */
static void emit_condition(struct emitter *emitter, const struct x86_instruction *branch,
                           const struct destination *destination)
{
    uint8_t condition = branch->decoded.opcode & 15;
    bool is_short = branch->decoded.raw.imm[0].size == 8;
    size_t prefixes = kept_prefixes(branch, is_short ? 1 : 2, 6);
    if (reaches(emitter, destination, prefixes + 6)) {
        put(emitter, bytes_of(emitter, branch), prefixes);
        put_byte(emitter, 0x0f);
        put_byte(emitter, 0x80 | condition);
        put_rel32(emitter, destination);
    } else {
        put_byte(emitter, 0x70 | (condition ^ 1));
        put_byte(emitter, FAR_JUMP);
        emit_far_jump(emitter, destination->address); /* even if e9 would reach from here */
    }
}

/*
 * loop and jrcxz have no long form, and dec or test instead would change flags.
 *
 *   e2 02            loop +2
 *   <island>
 */
static void emit_count(struct emitter *emitter, const struct x86_instruction *branch,
                       const struct destination *destination)
{
    put(emitter, bytes_of(emitter, branch), branch->decoded.raw.imm[0].offset);
    put_byte(emitter, 2);
    emit_island(emitter, destination);
}

/*
 *   c7 f8 rel32      xbegin handler
 * or, out of its reach,
 *   c7 f8 02 00 00 00
 *   <island>
 */
static void emit_begin(struct emitter *emitter, const struct x86_instruction *begin,
                       const struct destination *destination)
{
    size_t opcode = begin->decoded.raw.imm[0].offset;
    bool near = reaches(emitter, destination, opcode + 4);
    put(emitter, bytes_of(emitter, begin), opcode);
    if (near) {
        put_rel32(emitter, destination);
    } else {
        put_value(emitter, 2, 4);
        emit_island(emitter, destination);
    }
}

/*
 * call to the next instruction: pushes its own address for position-independent code to pop. The
 * copy must push the original's.
 *
 *   68 imm32                          push low half (sign-extended)
 *   c7 44 24 04 imm32                 mov dword [rsp+4], high half
 */
static void emit_push_of_address(struct emitter *emitter, uint64_t address)
{
    put_byte(emitter, 0x68);
    put_value(emitter, address, 4);
    put(emitter, "\xc7\x44\x24\x04", 4);
    put_value(emitter, address >> 32, 4);
}

/*
 * A call of code that only gives back its return address: that must be the original's.
 *
 *   <push of address>
 *   5b                                pop rbx
 */
static void emit_pc_thunk(struct emitter *emitter, uint64_t address, int reg)
{
    emit_push_of_address(emitter, address);
    if (reg >= 8)
        put_byte(emitter, 0x41);
    put_byte(emitter, (uint8_t)(0x58 | (reg & 7)));
}

/*
 *   [prefixes] e8 rel32               call target
 * or, out of its reach,
 *   eb 08  <8 bytes>                  jmp over; .quad target
 *   ff 15 f2 ff ff ff                 call [rip-14]
 *
 * The call stands last, so that it returns to a boundary.
 */
static void emit_call(struct emitter *emitter, const struct x86_instruction *call,
                      const struct destination *destination)
{
    uint64_t next = emitter->function->address + call->offset + call->decoded.length;
    size_t prefixes = kept_prefixes(call, 1, 5);
    int reg = gib_x86_pc_thunk(emitter->function, call->target);
    if (call->target == next) {
        emit_push_of_address(emitter, next);
    } else if (reg >= 0) {
        emit_pc_thunk(emitter, next, reg);
    } else if (reaches(emitter, destination, prefixes + 5)) {
        put(emitter, bytes_of(emitter, call), prefixes);
        put_byte(emitter, 0xe8);
        put_rel32(emitter, destination);
    } else {
        put(emitter, "\xeb\x08", 2);
        put_value(emitter, destination->address, 8);
        put(emitter, "\xff\x15\xf2\xff\xff\xff", 6);
    }
}

/* The general register in ModRM.reg, 0 to 15. */
static uint8_t register_field(const struct x86_instruction *instruction)
{
    return (uint8_t)(instruction->decoded.raw.rex.R << 3 | instruction->decoded.raw.modrm.reg);
}

/*
 *   49 bc imm64                       movabs r12, address
 */
static void emit_movabs(struct emitter *emitter, uint8_t reg, uint64_t address)
{
    put_byte(emitter, 0x48 | reg >> 3);
    put_byte(emitter, 0xb8 | (reg & 7));
    put_value(emitter, address, 8);
}

/* A load that overwrites all 64 bits of a general register, which is free to hold the address then.
 */
static bool loads_whole_register(const struct x86_instruction *instruction)
{
    const ZydisDecodedInstruction *decoded = &instruction->decoded;
    if (decoded->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || decoded->operand_width < 32 ||
        register_field(instruction) == 4) /* a signal may arrive: rsp is never free */
        return false;
    switch (decoded->mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
        return decoded->opcode == 0x8b;
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
        return true;
    default:
        return false;
    }
}

/*
 * mov rax, [rip+d] out of reach; the destination holds the address meanwhile.
 *
 *   48 b8 imm64                       movabs rax, address
 *   48 8b 80 00 00 00 00              mov rax, [rax+0]
 *
 * The second keeps prefixes and opcode; REX.B follows REX.R. Register 4 (r12) needs a SIB
 * byte, in which REX.X (without meaning until now) would name an index.
 */
static void emit_far_load(struct emitter *emitter, const struct x86_instruction *load)
{
    const ZydisDecodedInstruction *decoded = &load->decoded;
    const uint8_t *bytes = bytes_of(emitter, load);
    uint8_t reg = register_field(load);
    emit_movabs(emitter, reg, load->target);
    for (size_t i = 0; i < decoded->raw.modrm.offset; i++) {
        bool is_rex = (decoded->attributes & ZYDIS_ATTRIB_HAS_REX) && i == decoded->raw.rex.offset;
        put_byte(emitter, is_rex ? (uint8_t)((bytes[i] & ~3) | reg >> 3) : bytes[i]);
    }
    put_byte(emitter, (uint8_t)(0x80 | (reg & 7) << 3 | (reg & 7)));
    if ((reg & 7) == 4)
        put_byte(emitter, 0x24);
    put_value(emitter, 0, 4);
}

static bool is_prefetch(ZydisMnemonic mnemonic)
{
    return mnemonic == ZYDIS_MNEMONIC_PREFETCH || mnemonic == ZYDIS_MNEMONIC_PREFETCHNTA ||
           mnemonic == ZYDIS_MNEMONIC_PREFETCHT0 || mnemonic == ZYDIS_MNEMONIC_PREFETCHT1 ||
           mnemonic == ZYDIS_MNEMONIC_PREFETCHT2 || mnemonic == ZYDIS_MNEMONIC_PREFETCHW ||
           mnemonic == ZYDIS_MNEMONIC_PREFETCHWT1;
}

/* The operand is further away than a displacement reaches. */
static int emit_far_data(struct emitter *emitter, const struct x86_instruction *instruction)
{
    if (instruction->decoded.mnemonic == ZYDIS_MNEMONIC_LEA)
        emit_movabs(emitter, register_field(instruction), instruction->target);
    else if (loads_whole_register(instruction))
        emit_far_load(emitter, instruction);
    else if (is_prefetch(instruction->decoded.mnemonic))
        put_byte(emitter, 0x90); /* a hint may be ignored */
    else
        return gib_x86_refuse(emitter->function, instruction->offset, GIB_E_RANGE,
                              "its data is more than 2 GiB from the copy at 0x%llx, and no "
                              "register is free to hold the address",
                              (unsigned long long)emitter->function->copy_address);
    return 0;
}

/* The same bytes with the displacement counted from the copy's end. */
static int emit_data(struct emitter *emitter, const struct x86_instruction *instruction)
{
    const ZydisDecodedInstruction *decoded = &instruction->decoded;
    const uint8_t *bytes = bytes_of(emitter, instruction);
    uint64_t end = here(emitter) + decoded->length;
    /* A sum of which 32 bits are used is right in those whatever the distance. */
    bool is_cut = decoded->address_width == 32 ||
                  (decoded->mnemonic == ZYDIS_MNEMONIC_LEA && decoded->operand_width <= 32);
    if (!is_cut && !fits(end, instruction->target))
        return emit_far_data(emitter, instruction);

    size_t field = decoded->raw.disp.offset;
    put(emitter, bytes, field);
    put_value(emitter, instruction->target - end, 4);
    put(emitter, bytes + field + 4, decoded->length - field - 4);
    return 0;
}

/* Where the copy of a branch goes. A call of the entry is recursion, which the patch has to see. */
static struct destination find_destination(const struct emitter *emitter,
                                           const struct x86_instruction *branch)
{
    struct destination destination = {.address = branch->target};
    int index = -1;
    if (gib_x86_is_branch(branch) && branch->kind != X86_CALL)
        index = gib_x86_displaced_at(emitter->function, emitter->window, branch->target);
    if (index >= 0) {
        destination.internal = true;
        destination.index = (size_t)index;
    }
    return destination;
}

static int emit_instruction(struct emitter *emitter, const struct x86_instruction *instruction)
{
    struct destination destination = find_destination(emitter, instruction);
    switch (instruction->kind) {
    case X86_PLAIN:
        put(emitter, bytes_of(emitter, instruction), instruction->decoded.length);
        break;
    case X86_DATA:
        return emit_data(emitter, instruction);
    case X86_JUMP:
        emit_displaced_jump(emitter, instruction, &destination);
        break;
    case X86_CONDITION:
        emit_condition(emitter, instruction, &destination);
        break;
    case X86_COUNT:
        emit_count(emitter, instruction, &destination);
        break;
    case X86_CALL:
        emit_call(emitter, instruction, &destination);
        break;
    case X86_BEGIN:
        emit_begin(emitter, instruction, &destination);
        break;
    }
    return 0;
}

static void add_boundary(struct emitter *emitter, size_t original)
{
    struct gib_relocation *out = emitter->out;
    out->boundary[out->boundaries].original = (uint16_t)original;
    out->boundary[out->boundaries].copy = (uint16_t)out->size;
    out->boundaries++;
}

static void apply_fixups(struct emitter *emitter)
{
    struct gib_relocation *out = emitter->out;
    size_t end = out->size;
    for (size_t i = 0; i < emitter->fixups; i++) {
        const struct fixup *fixup = &emitter->fixup[i];
        uint64_t target = out->boundary[fixup->index].copy;
        out->size = fixup->field;
        put_value(emitter, target - (fixup->field + 4), 4);
    }
    out->size = end;
}

int gib_x86_emit_copy(const struct x86_function *function, const struct x86_window *window,
                      struct gib_relocation *out)
{
    struct emitter emitter = {.function = function, .window = window, .out = out};
    bool movable = gib_x86_is_movable(function, window);
    for (size_t i = 0; i < window->count; i++) {
        const struct x86_instruction *instruction = &window->instruction[i];
        int code = 0;
        add_boundary(&emitter, instruction->offset);
        if (movable) /* branches inside the window stay right, even into the middle of a neighbour
                      */
            put(&emitter, bytes_of(&emitter, instruction), instruction->decoded.length);
        else
            code = emit_instruction(&emitter, instruction);
        if (code)
            return code;
    }
    add_boundary(&emitter, window->consumed);
    if (window->falls_through) {
        struct destination rest = {.address = function->address + window->consumed};
        emit_jump(&emitter, &rest);
    }
    if (emitter.full)
        return gib_x86_refuse(function, 0, GIB_E_SPACE,
                              "the copy of the first %zu bytes needs more than %zu bytes",
                              window->consumed, sizeof out->code);
    apply_fixups(&emitter);
    out->consumed = window->consumed;
    out->falls_through = window->falls_through;
    return 0;
}
