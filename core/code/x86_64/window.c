/*
 * The window: which instructions are displaced, and the proof that nothing else depends on their
 * bytes.
 */
#include "code/x86_64/relocator.h"

#include <string.h>

/* fxsave's. Only xsave's can be longer, and no program keeps its state right before a function. */
enum { LONGEST_OPERAND = 512 };

/* Offset of an address from code[0]; addresses before it become huge. */
static uint64_t offset_of(const struct x86_function *function, uint64_t address)
{
    return address - function->address;
}

/* Where the copied bytes end: `consumed`, less the padding at the end. */
static size_t displaced_end(const struct x86_window *window)
{
    const struct x86_instruction *last = &window->instruction[window->count - 1];
    return last->offset + last->decoded.length;
}

int gib_x86_displaced_at(const struct x86_function *function, const struct x86_window *window,
                         uint64_t address)
{
    for (size_t i = 0; i < window->count; i++)
        if (window->instruction[i].offset == offset_of(function, address))
            return (int)i;
    return -1;
}

bool gib_x86_is_movable(const struct x86_function *function, const struct x86_window *window)
{
    if (window->gaps)
        return false;
    for (size_t i = 0; i < window->count; i++) {
        const struct x86_instruction *instruction = &window->instruction[i];
        if (instruction->kind == X86_PLAIN)
            continue;
        if (instruction->kind == X86_DATA || instruction->kind == X86_CALL ||
            offset_of(function, instruction->target) >= displaced_end(window))
            return false;
    }
    return true;
}

static int too_short(const struct x86_function *function, size_t offset, size_t min_bytes)
{
    if (offset >= function->size)
        return gib_x86_refuse(function, function->size, GIB_E_TOO_SHORT,
                              "the function ends here, after %zu bytes; a patch needs %zu",
                              function->size, min_bytes);
    return gib_x86_refuse(function, offset, GIB_E_TOO_SHORT,
                          "control leaves the function after %zu bytes, a patch needs %zu, and "
                          "this is not padding",
                          offset, min_bytes);
}

static int undecodable(const struct x86_function *function, size_t offset, size_t min_bytes)
{
    ZydisDecodedInstruction ignored;
    if (offset >= function->size)
        return too_short(function, offset, min_bytes);
    ZyanStatus status = ZydisDecoderDecodeInstruction(
        &function->decoder, NULL, function->bytes + offset, function->size - offset, &ignored);
    if (status == ZYDIS_STATUS_NO_MORE_DATA)
        return gib_x86_refuse(function, offset, GIB_E_TOO_SHORT,
                              "the function's %zu bytes end in the middle of an instruction",
                              function->size);
    return gib_x86_refuse(function, offset, GIB_E_DECODE,
                          "byte %02x begins no instruction this relocator knows",
                          function->bytes[offset]);
}

/* Refuses what would not mean the same elsewhere, whatever is done to it. */
static int check_instruction(const struct x86_function *function,
                             const struct x86_instruction *instruction)
{
    const ZydisDecodedInstruction *decoded = &instruction->decoded;
    if (decoded->mnemonic == ZYDIS_MNEMONIC_INT3)
        return gib_x86_refuse(function, instruction->offset, GIB_E_UNSUPPORTED,
                              "this is a breakpoint, probably a debugger's: the function's own "
                              "bytes must be read, not those in memory");
    /* REX.W makes it 64 bits wide again for all vendors: the call of a TLS access is 66 66 48 e8.
     */
    if (gib_x86_is_branch(instruction) && (decoded->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) &&
        !decoded->raw.rex.W)
        return gib_x86_refuse(function, instruction->offset, GIB_E_UNSUPPORTED,
                              "the length and target of a 16-bit branch depend on the processor's "
                              "vendor");
    return 0;
}

static int displace(const struct x86_function *function, size_t offset, size_t min_bytes,
                    struct x86_window *window)
{
    if (window->count == X86_MAX_INSTRUCTIONS)
        return gib_x86_refuse(function, offset, GIB_E_SPACE,
                              "more than %zu instructions would have to be displaced",
                              X86_MAX_INSTRUCTIONS);
    struct x86_instruction *instruction = &window->instruction[window->count];
    if (!gib_x86_decode(function, offset, instruction))
        return undecodable(function, offset, min_bytes);
    window->count++;
    return check_instruction(function, instruction);
}

/* A displaced branch goes to `offset`: what stands there is code although nothing falls into it. */
static bool is_reached(const struct x86_function *function, const struct x86_window *window,
                       size_t offset)
{
    for (size_t i = 0; i < window->count; i++)
        if (gib_x86_is_branch(&window->instruction[i]) &&
            offset_of(function, window->instruction[i].target) == offset)
            return true;
    return false;
}

/*
 * Displaces instructions until min_bytes are covered. Bytes before `known` are code of the function
 * even where nothing in the window leads to them.
 */
static int select_instructions(const struct x86_function *function, size_t min_bytes, size_t known,
                               struct x86_window *window)
{
    size_t offset = 0;
    bool live = true, padded = false;
    window->count = 0;
    window->gaps = false;
    while (offset < min_bytes) {
        size_t padding = 0;
        if (!live && !is_reached(function, window, offset))
            padding = gib_x86_padding(function, offset);
        if (padding) {
            padded = true;
            offset += padding;
            continue;
        }
        if (!live && offset >= known && !is_reached(function, window, offset))
            return too_short(function, offset, min_bytes);
        int code = displace(function, offset, min_bytes, window);
        if (code)
            return code;
        const struct x86_instruction *last = &window->instruction[window->count - 1];
        window->gaps = window->gaps || padded;
        live = !gib_x86_ends_flow(last);
        offset += last->decoded.length;
    }
    window->consumed = offset;
    window->falls_through = live;
    return 0;
}

/*
 * A branch into the middle of a displaced instruction (old glibc jumped over a lock prefix). Its
 * bytes can be kept together only if the second reading of them is as movable as the first.
 */
static bool can_overlap(const struct x86_function *function, const struct x86_window *window,
                        size_t offset)
{
    if (!gib_x86_is_movable(function, window))
        return false;
    while (offset < displaced_end(window)) {
        struct x86_instruction instruction;
        if (gib_x86_displaced_at(function, window, function->address + offset) >= 0)
            return true;
        if (!gib_x86_decode(function, offset, &instruction) || instruction.kind != X86_PLAIN ||
            instruction.decoded.mnemonic == ZYDIS_MNEMONIC_INT3)
            return false;
        offset += instruction.decoded.length;
        if (gib_x86_ends_flow(&instruction))
            return offset <= displaced_end(window);
    }
    return offset == displaced_end(window) && window->falls_through;
}

/* `call` to the next instruction only pushes its address; a return to it must not be possible. */
static int check_push_of_address(const struct x86_function *function,
                                 const struct x86_window *window, size_t index)
{
    const struct x86_instruction *call = &window->instruction[index];
    if (offset_of(function, call->target) >= window->consumed)
        return 0; /* the original stays there */
    if (index + 1 < window->count &&
        window->instruction[index + 1].decoded.mnemonic == ZYDIS_MNEMONIC_POP)
        return 0;
    return gib_x86_refuse(function, call->offset, GIB_E_UNSUPPORTED,
                          "the address it pushes lies in the bytes to patch and is not popped at "
                          "once");
}

static int check_displaced_branch(const struct x86_function *function,
                                  const struct x86_window *window, size_t index)
{
    const struct x86_instruction *branch = &window->instruction[index];
    uint64_t target = offset_of(function, branch->target);
    if (branch->kind == X86_CALL && target == branch->offset + branch->decoded.length)
        return check_push_of_address(function, window, index);
    if (target >= window->consumed)
        return 0;
    if (branch->kind == X86_CALL)
        return target == 0 ? 0
                           : gib_x86_refuse(function, branch->offset, GIB_E_UNSUPPORTED,
                                            "a call into the bytes to patch would return into "
                                            "them");
    if (gib_x86_displaced_at(function, window, branch->target) >= 0 ||
        can_overlap(function, window, target))
        return 0;
    return gib_x86_refuse(function, branch->offset, GIB_E_UNSUPPORTED,
                          "it jumps into the middle of another instruction, whose bytes cannot be "
                          "kept together");
}

/* The operand of an instruction anywhere in the function against the bytes that a patch changes. */
static int check_data(const struct x86_function *function, const struct x86_window *window,
                      const struct x86_instruction *instruction)
{
    int64_t start = (int64_t)offset_of(function, instruction->target);
    if (start <= -LONGEST_OPERAND || start >= (int64_t)window->consumed)
        return 0;
    if (instruction->decoded.mnemonic == ZYDIS_MNEMONIC_LEA)
        return start <= 0 ? 0
                          : gib_x86_refuse(function, instruction->offset, GIB_E_BRANCH,
                                           "it takes the address of a label in the first %zu "
                                           "bytes, which the patch displaces",
                                           window->consumed);
    if (start + (int64_t)gib_x86_access_size(function, instruction) <= 0)
        return 0;
    return gib_x86_refuse(function, instruction->offset, GIB_E_UNSUPPORTED,
                          "it accesses the code of the first %zu bytes, which the patch changes",
                          window->consumed);
}

/*
 * Could any field behind the window be a distance into it? Every branch ends with its distance and
 * a RIP-relative operand's is followed by an immediate of 4 bytes at most, so this misses nothing,
 * and it spares nearly every function the decoding of its whole body.
 */
static bool may_refer_to_window(const struct x86_function *function,
                                const struct x86_window *window)
{
    const uint8_t *bytes = function->bytes;
    for (size_t i = window->consumed; i + 4 <= function->size; i++) {
        int32_t distance;
        memcpy(&distance, bytes + i, 4);
        /* from the longest operand before the entry to the last byte of the window */
        uint64_t target = i + 4 + (uint64_t)(int64_t)distance;
        if (target + LONGEST_OPERAND < window->consumed + LONGEST_OPERAND)
            return true;
    }
    for (size_t i = window->consumed; i + 1 < function->size && i < window->consumed + 128; i++) {
        bool is_opcode = (bytes[i] & 0xf0) == 0x70 || (bytes[i] & 0xfc) == 0xe0 || bytes[i] == 0xeb;
        uint64_t target = i + 2 + (uint64_t)(int64_t)(int8_t)bytes[i + 1];
        if (is_opcode && target < window->consumed)
            return true;
    }
    for (size_t i = window->consumed; i + 4 <= function->size; i++)
        if (bytes[i] == 0xc7 && bytes[i + 1] == 0xf8) /* xbegin may have 16 bits */
            return true;
    return false;
}

/*
 * Reads the rest of the function for ways into the window. A jump to the entry itself counts,
 * because each turn of such a loop would look like a call; a call to it is one. *branch_end is set
 * when the only trouble is that the branch found is not displaced as well.
 */
static int check_body(const struct x86_function *function, const struct x86_window *window,
                      size_t *branch_end)
{
    struct x86_instruction instruction;
    if (!may_refer_to_window(function, window))
        return 0;
    for (size_t offset = window->consumed; offset < function->size;) {
        if (!gib_x86_decode(function, offset, &instruction)) {
            offset++; /* data between code: find the way back */
            continue;
        }
        if (instruction.kind == X86_DATA) {
            int code = check_data(function, window, &instruction);
            if (code)
                return code;
        }
        uint64_t target = offset_of(function, instruction.target);
        offset += instruction.decoded.length;
        if (!gib_x86_is_branch(&instruction) || target >= window->consumed ||
            (instruction.kind == X86_CALL && target == 0))
            continue;
        *branch_end = offset;
        return gib_x86_refuse(function, instruction.offset, GIB_E_BRANCH,
                              "it branches back to byte %llu of the function, and the patch "
                              "displaces the first %zu bytes",
                              (unsigned long long)target, window->consumed);
    }
    return 0;
}

static int try_window(const struct x86_function *function, size_t min_bytes, size_t known,
                      struct x86_window *window, size_t *branch_end)
{
    int code = select_instructions(function, min_bytes, known, window);
    for (size_t i = 0; !code && i < window->count; i++) {
        if (gib_x86_is_branch(&window->instruction[i]))
            code = check_displaced_branch(function, window, i);
        else if (window->instruction[i].kind == X86_DATA)
            code = check_data(function, window, &window->instruction[i]);
    }
    return code ? code : check_body(function, window, branch_end);
}

/* A jump whose target the bytes do not tell; [rip+d] holds another function's address. */
static bool is_computed_jump(const struct x86_instruction *instruction)
{
    return instruction->decoded.mnemonic == ZYDIS_MNEMONIC_JMP && instruction->kind == X86_PLAIN;
}

/*
 * Of a window enlarged beyond what the patch overwrites, the original bytes may still be entered,
 * and would then branch into the patch. That takes a switch or an exception's landing pad. So: no
 * computed jump in the whole function, no call (its copy would not have the original's landing
 * pads), and nothing that no branch leads to.
 */
static bool is_closed(const struct x86_function *function, const struct x86_window *window)
{
    struct x86_instruction instruction;
    for (size_t i = 0; i < window->count; i++) {
        const struct x86_instruction *displaced = &window->instruction[i];
        if (displaced->decoded.mnemonic == ZYDIS_MNEMONIC_CALL)
            return false;
        if (i > 0 && gib_x86_ends_flow(displaced - 1) &&
            !is_reached(function, window, displaced->offset))
            return false;
    }
    for (size_t offset = 0; offset < function->size;) {
        if (!gib_x86_decode(function, offset, &instruction)) {
            offset++;
            continue;
        }
        if (is_computed_jump(&instruction))
            return false;
        offset += instruction.decoded.length;
    }
    return true;
}

/*
 * When the function branches back into the window (a loop that begins at or near the entry), a
 * larger window that holds the branch too is as good: its copy goes to the copy.
 */
static bool enclose_branch(const struct x86_function *function, size_t branch_end,
                           struct x86_window *window)
{
    struct x86_function quiet = *function;
    quiet.error = NULL; /* a failure is reported as what made this necessary */
    size_t wanted;
    int code;
    do {
        wanted = branch_end;
        code = try_window(&quiet, wanted, wanted, window, &branch_end);
    } while (code == GIB_E_BRANCH && branch_end > wanted);
    return code == 0 && is_closed(function, window);
}

int gib_x86_choose_window(const struct x86_function *function, size_t min_bytes,
                          struct x86_window *window)
{
    size_t branch_end = 0;
    int code = try_window(function, min_bytes, 0, window, &branch_end);
    if (code && branch_end != 0 && enclose_branch(function, branch_end, window))
        code = 0;
    return code;
}
