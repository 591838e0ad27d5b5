/*
 * The window: which instructions are displaced, and the proof that nothing else depends on their
 * bytes.
 */
#include "code/x86_64/relocator.h"

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
        if (window->instruction[i].offset == gib_x86_offset(function, address))
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
            gib_x86_offset(function, instruction->target) >= displaced_end(window))
            return false;
    }
    return true;
}

static int too_short(const struct x86_function *function, const struct x86_window *window,
                     size_t offset, size_t min_bytes)
{
    if (offset >= function->size) {
        const struct x86_instruction *last = &window->instruction[window->count - 1];
        return gib_x86_refuse(function, last->offset, GIB_E_TOO_SHORT,
                              "the function ends here, after %zu byte%s; a patch needs %zu",
                              function->size, function->size == 1 ? "" : "s", min_bytes);
    }
    return gib_x86_refuse(function, offset, GIB_E_TOO_SHORT,
                          "control leaves the function after %zu bytes, a patch needs %zu, and "
                          "this is not padding",
                          offset, min_bytes);
}

static int undecodable(const struct x86_function *function, const struct x86_window *window,
                       size_t offset, size_t min_bytes)
{
    ZydisDecodedInstruction ignored;
    if (offset >= function->size)
        return too_short(function, window, offset, min_bytes);
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
                              "this is a breakpoint: a debugger's, if the bytes are from memory, "
                              "or the function's own, which must not move");
    if (gib_x86_is_ambiguous(instruction))
        return gib_x86_refuse(function, instruction->offset, GIB_E_UNSUPPORTED,
                              "the length and target of a 16-bit branch depend on the processor's "
                              "vendor");
    if (decoded->mnemonic == ZYDIS_MNEMONIC_CALL &&
        decoded->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        return gib_x86_refuse(function, instruction->offset, GIB_E_UNSUPPORTED,
                              "a far call pushes an address that may be cut to 32 bits");
    if (decoded->mnemonic == ZYDIS_MNEMONIC_CALL &&
        decoded->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR &&
        (decoded->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) && !decoded->raw.rex.W)
        return gib_x86_refuse(function, instruction->offset, GIB_E_UNSUPPORTED,
                              "how much a 16-bit call pushes depends on the processor's vendor");
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
        return undecodable(function, window, offset, min_bytes);
    window->count++;
    return check_instruction(function, instruction);
}

/* A displaced branch goes to `offset`: what stands there is code although nothing falls into it. */
static bool is_reached(const struct x86_function *function, const struct x86_window *window,
                       size_t offset)
{
    for (size_t i = 0; i < window->count; i++)
        if (gib_x86_is_branch(&window->instruction[i]) &&
            gib_x86_offset(function, window->instruction[i].target) == offset)
            return true;
    return false;
}

/*
 * Length of the nop at `offset` if the displaced jump before it does nothing but skip it, else 0:
 * the sled that XRay puts at an entry. No other branch goes there or it would be a refusal.
 */
static size_t skipped_nop(const struct x86_function *function, const struct x86_window *window,
                          size_t offset)
{
    struct x86_instruction nop;
    const struct x86_instruction *last = &window->instruction[window->count - 1];
    if (last->kind != X86_JUMP || last->offset + last->decoded.length != offset ||
        !gib_x86_decode(function, offset, &nop) || nop.decoded.mnemonic != ZYDIS_MNEMONIC_NOP ||
        gib_x86_offset(function, last->target) != offset + nop.decoded.length)
        return 0;
    return nop.decoded.length;
}

/*
 * Displaces instructions until min_bytes are covered. Bytes before `known` are code of the function
 * even where nothing in the window leads to them.
 */
static int select_instructions(const struct x86_function *function, size_t min_bytes, size_t known,
                               struct x86_window *window)
{
    size_t offset = 0;
    bool live = true, padded = false; /* the first instruction is live */
    window->count = 0;
    window->gaps = false;
    while (offset < min_bytes) {
        size_t padding = 0;
        if (!live && !is_reached(function, window, offset))
            padding = gib_x86_padding(function, offset);
        if (!live && !padding && window->count)
            padding = skipped_nop(function, window, offset);
        if (padding) {
            padded = true;
            offset += padding;
            continue;
        }
        if (!live && offset >= known && !is_reached(function, window, offset))
            return too_short(function, window, offset, min_bytes);
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

/* A jump whose target the bytes do not tell; [rip+d] holds another function's address. */
static bool is_computed_jump(const struct x86_instruction *instruction)
{
    return instruction->decoded.mnemonic == ZYDIS_MNEMONIC_JMP && instruction->kind == X86_PLAIN;
}

static bool has_computed_jump(const struct x86_function *function)
{
    struct x86_instruction instruction;
    for (size_t offset = 0; offset < function->size;) {
        if (!gib_x86_decode(function, offset, &instruction)) {
            offset++;
            continue;
        }
        if (is_computed_jump(&instruction))
            return true;
        offset += instruction.decoded.length;
    }
    return false;
}

/* Pops all eight bytes of an address. */
static bool is_whole_pop(const struct x86_instruction *instruction)
{
    return instruction->decoded.mnemonic == ZYDIS_MNEMONIC_POP &&
           instruction->decoded.operand_width == 64;
}

/* `call` to the next instruction only pushes its address; a return to it must not be possible. */
static int check_push_of_address(const struct x86_function *function,
                                 const struct x86_window *window, size_t index)
{
    const struct x86_instruction *call = &window->instruction[index];
    if (has_computed_jump(function))
        return gib_x86_refuse(function, call->offset, GIB_E_UNSUPPORTED,
                              "it asks for its address, and the function has a jump that may lead "
                              "from there into the bytes to patch");
    if (gib_x86_offset(function, call->target) >= window->consumed)
        return 0; /* the original stays there */
    if (index + 1 < window->count && is_whole_pop(&window->instruction[index + 1]))
        return 0;
    return gib_x86_refuse(function, call->offset, GIB_E_UNSUPPORTED,
                          "the address it pushes lies in the bytes to patch and is not popped at "
                          "once");
}

static int check_displaced_branch(const struct x86_function *function,
                                  const struct x86_window *window, size_t index)
{
    const struct x86_instruction *branch = &window->instruction[index];
    uint64_t target = gib_x86_offset(function, branch->target);
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

static int try_window(const struct x86_function *function, size_t min_bytes, size_t known,
                      struct x86_window *window, size_t *branch_end)
{
    int code = select_instructions(function, min_bytes, known, window);
    for (size_t i = 0; !code && i < window->count; i++) {
        if (gib_x86_is_branch(&window->instruction[i]))
            code = check_displaced_branch(function, window, i);
        else
            code = gib_x86_check_data(function, window, &window->instruction[i]);
    }
    return code ? code : gib_x86_check_body(function, window, branch_end);
}

/*
 * Of a window enlarged beyond what the patch overwrites, the original bytes may still be entered,
 * and would then branch into the patch. That takes a switch or an exception's landing pad. So: no
 * computed jump in the whole function, no call (its copy would not have the original's landing
 * pads), and nothing that no branch leads to.
 */
static bool is_closed(const struct x86_function *function, const struct x86_window *window)
{
    for (size_t i = 0; i < window->count; i++) {
        const struct x86_instruction *displaced = &window->instruction[i];
        if (displaced->decoded.mnemonic == ZYDIS_MNEMONIC_CALL)
            return false;
        if (i > 0 && gib_x86_ends_flow(displaced - 1) &&
            !is_reached(function, window, displaced->offset))
            return false;
    }
    return !has_computed_jump(function);
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
