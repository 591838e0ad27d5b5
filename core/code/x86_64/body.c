/*
 * The rest of the function: the proof that nothing in it branches into the window, reads its bytes
 * or names one of its addresses.
 */
#include "code/x86_64/relocator.h"

#include <string.h>

enum {
    /* fxsave's. Only xsave's can be longer, and no program keeps its state right before a function.
     */
    LONGEST_OPERAND = 512,
    SHORT_REACH = 128, /* of a rel8 */
    LONGEST_WINDOW = X86_MAX_MIN_BYTES + X86_MAX_LENGTH,
    NEARBY = SHORT_REACH + X86_MAX_LENGTH, /* bytes behind the window that hold all such branches */
};

/* What one look at the body keeps. */
struct body {
    const struct x86_function *function;
    const struct x86_window *window;
    size_t near_end; /* no rel8 from there on reaches the window */
    size_t unknown;  /* bytes from here on may have been read out of step; 0: none */
    /* of offsets below near_end: an instruction was read here; a branch goes here */
    uint8_t read[LONGEST_WINDOW + NEARBY], reached[LONGEST_WINDOW + NEARBY];
};

/* ---- what one instruction refers to ---- */

static bool in_window(const struct x86_function *function, const struct x86_window *window,
                      uint64_t address)
{
    return gib_x86_offset(function, address) - 1 < window->consumed - 1; /* not the entry itself */
}

/* A program at a fixed address may name a label as a number. The entry's own is anybody's. */
static int check_numbers(const struct x86_function *function, const struct x86_window *window,
                         const struct x86_instruction *instruction)
{
    const ZydisDecodedInstruction *decoded = &instruction->decoded;
    bool named = false;
    for (size_t i = 0; i < 2; i++) {
        if (decoded->raw.imm[i].is_relative || decoded->raw.imm[i].size < 32)
            continue;
        named |= in_window(function, window, decoded->raw.imm[i].value.u) ||
                 in_window(function, window, (uint32_t)decoded->raw.imm[i].value.u);
    }
    if (instruction->kind != X86_DATA && decoded->raw.disp.size >= 32)
        named |= in_window(function, window, (uint64_t)decoded->raw.disp.value);
    if (!named)
        return 0;
    return gib_x86_refuse(function, instruction->offset, GIB_E_BRANCH,
                          "it names an address in the first %zu bytes, which the patch displaces",
                          window->consumed);
}

int gib_x86_check_data(const struct x86_function *function, const struct x86_window *window,
                       const struct x86_instruction *instruction)
{
    if (instruction->kind != X86_DATA)
        return check_numbers(function, window, instruction);
    int64_t start = (int64_t)gib_x86_offset(function, instruction->target);
    if (start <= -LONGEST_OPERAND || start >= (int64_t)window->consumed)
        return check_numbers(function, window, instruction);
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

/* A jump to the entry itself counts: each turn of such a loop would look like a call. A call to it
 * is one. */
static bool branches_into(const struct x86_function *function, const struct x86_window *window,
                          const struct x86_instruction *instruction)
{
    uint64_t target = gib_x86_offset(function, instruction->target);
    return gib_x86_is_branch(instruction) && target < window->consumed &&
           !(instruction->kind == X86_CALL && target == 0);
}

static int check_instruction(const struct body *body, const struct x86_instruction *instruction)
{
    if (!branches_into(body->function, body->window, instruction))
        return gib_x86_check_data(body->function, body->window, instruction);
    return gib_x86_refuse(body->function, instruction->offset, GIB_E_BRANCH,
                          "it branches back to byte %llu of the function, and the patch "
                          "displaces the first %zu bytes",
                          (unsigned long long)gib_x86_offset(body->function, instruction->target),
                          body->window->consumed);
}

/* ---- the bytes, without knowing where instructions begin ---- */

/* A field of 4 bytes: the distance to, or the number of, an address of the window. */
static bool field_refers(const struct x86_function *function, const struct x86_window *window,
                         size_t at)
{
    int32_t value;
    memcpy(&value, function->bytes + at, 4);
    /* from the longest operand before the entry to the last byte of the window */
    uint64_t target = at + 4 + (uint64_t)(int64_t)value;
    if (target + LONGEST_OPERAND < window->consumed + LONGEST_OPERAND ||
        in_window(function, window, (uint64_t)(int64_t)value) ||
        in_window(function, window, (uint32_t)value))
        return true;
    uint64_t wide;
    if (at + 8 > function->size)
        return false;
    memcpy(&wide, function->bytes + at, 8);
    return in_window(function, window, wide);
}

static bool short_branch_refers(const struct x86_function *function,
                                const struct x86_window *window, size_t at)
{
    const uint8_t *bytes = function->bytes + at;
    bool is_opcode = (bytes[0] & 0xf0) == 0x70 || (bytes[0] & 0xfc) == 0xe0 || bytes[0] == 0xeb;
    uint64_t target = at + 2 + (uint64_t)(int64_t)(int8_t)bytes[1];
    return is_opcode && target < window->consumed;
}

/*
 * Could any field behind the window refer to it? Every branch ends with its distance and a
 * RIP-relative operand's is followed by an immediate of 4 bytes at most, so this misses nothing,
 * and it spares nearly every function the decoding of its whole body.
 */
static bool may_refer_to_window(const struct body *body)
{
    const struct x86_function *function = body->function;
    for (size_t i = body->window->consumed; i + 4 <= function->size; i++)
        if (field_refers(function, body->window, i))
            return true;
    for (size_t i = body->window->consumed; i + 1 < function->size && i < body->near_end; i++)
        if (short_branch_refers(function, body->window, i))
            return true;
    for (size_t i = body->window->consumed; i + 4 <= function->size; i++)
        if (function->bytes[i] == 0xc7 && function->bytes[i + 1] == 0xf8) /* may have 16 bits */
            return true;
    return false;
}

/*
 * A long branch into the window at any byte, whether or not reading the body from its start comes
 * by there: data between code can hide it. Chance does not make one.
 */
static int check_long_branches(const struct body *body)
{
    const struct x86_function *function = body->function;
    for (size_t i = body->window->consumed; i + 5 <= function->size; i++) {
        const uint8_t *bytes = function->bytes + i;
        bool one = bytes[0] == 0xe8 || bytes[0] == 0xe9;
        bool two = (bytes[0] == 0x0f && (bytes[1] & 0xf0) == 0x80) ||
                   (bytes[0] == 0xc7 && bytes[1] == 0xf8);
        struct x86_instruction instruction;
        if ((one || two) && gib_x86_decode(function, i, &instruction) &&
            instruction.decoded.raw.imm[0].size == 32 &&
            branches_into(function, body->window, &instruction))
            return check_instruction(body, &instruction);
    }
    return 0;
}

/* ---- reading the body ---- */

static void note(struct body *body, uint64_t offset)
{
    if (offset >= body->window->consumed && offset < body->near_end)
        body->reached[offset] = 1;
}

/* Where else instructions begin if this is one. */
static void note_target(struct body *body, const struct x86_instruction *instruction)
{
    if (!gib_x86_is_branch(instruction))
        return;
    note(body, gib_x86_offset(body->function, instruction->target));
    if (gib_x86_is_ambiguous(instruction)) /* its distance has two bytes elsewhere, or four */
        note(body, instruction->offset + instruction->decoded.raw.imm[0].offset +
                       (instruction->decoded.raw.imm[0].size == 16 ? 4 : 2));
}

/* From beginning to end, over whatever is no instruction. */
static int read_through(struct body *body, size_t *branch_end)
{
    struct x86_instruction instruction;
    for (size_t offset = body->window->consumed; offset < body->function->size;) {
        if (!gib_x86_decode(body->function, offset, &instruction)) {
            if (!body->unknown)
                body->unknown = offset;
            offset++; /* data between code: find the way back */
            continue;
        }
        if (offset < body->near_end)
            body->read[offset] = 1;
        note_target(body, &instruction);
        offset += instruction.decoded.length;
        int code = check_instruction(body, &instruction);
        if (code) {
            /* a larger window may be as good */
            *branch_end = branches_into(body->function, body->window, &instruction) ? offset : 0;
            return code;
        }
    }
    return 0;
}

/*
 * Behind bytes that are no known instruction, which may well be one of a newer processor, any byte
 * may begin a branch.
 */
static int check_short_branches(const struct body *body)
{
    const struct x86_function *function = body->function;
    for (size_t i = body->unknown; i && i + 1 < function->size && i < body->near_end; i++)
        if (short_branch_refers(function, body->window, i))
            return gib_x86_refuse(function, body->unknown, GIB_E_BRANCH,
                                  "what follows this may branch back into the first %zu bytes, "
                                  "which the patch displaces",
                                  body->window->consumed);
    return 0;
}

/* From `offset` on, up to where the body was read before or control goes elsewhere. */
static int read_from(struct body *body, size_t offset)
{
    struct x86_instruction instruction;
    while (offset < body->near_end && !body->read[offset]) {
        body->read[offset] = 1;
        if (!gib_x86_decode(body->function, offset, &instruction))
            return 0;
        note_target(body, &instruction);
        int code = check_instruction(body, &instruction);
        if (code || gib_x86_ends_flow(&instruction))
            return code;
        offset += instruction.decoded.length;
    }
    return 0;
}

/* Where branches lead, for the short branches that reading through has passed over. */
static int follow_branches(struct body *body)
{
    for (size_t i = 0; i < body->window->count; i++)
        note_target(body, &body->window->instruction[i]);
    bool more = true;
    while (more) {
        more = false;
        for (size_t i = body->window->consumed; i < body->near_end; i++) {
            if (!body->reached[i] || body->read[i])
                continue;
            more = true;
            int code = read_from(body, i);
            if (code)
                return code;
        }
    }
    return 0;
}

int gib_x86_check_body(const struct x86_function *function, const struct x86_window *window,
                       size_t *branch_end)
{
    struct body body = {.function = function, .window = window};
    body.near_end = window->consumed + NEARBY;
    if (body.near_end > function->size)
        body.near_end = function->size;
    if (body.near_end > sizeof body.read)
        return gib_x86_refuse(function, 0, GIB_E_SPACE, "%zu bytes would have to be displaced",
                              window->consumed);
    if (!may_refer_to_window(&body))
        return 0;
    int code = read_through(&body, branch_end);
    if (!code)
        code = follow_branches(&body);
    if (!code)
        code = check_long_branches(&body);
    return code ? code : check_short_branches(&body);
}
