/*
 * cfi_copy.c: moves an unwind program along with the code it describes.
 *
 * The program is copied instruction by instruction; only the advances are new. So every register
 * and every expression that the compiler described survives, whether Gibbon understands it or not.
 */
#include "elf/cfi_copy.h"
#include "elf/cfi.h"

#include <dwarf.h>

enum { reg_rsp = 7, push_size = 5, state_depth = 64 };

struct cfa {
    uint64_t reg;
    uint64_t offset;
    bool known; /* a register and an offset, as opposed to an expression */
};

struct copier {
    const struct gib_relocation_boundary *map;
    size_t count;
    const uint8_t *code;
    const struct gib_cie *cie;
    struct gib_buffer *out;
    uint64_t at;   /* offset from the function's vaddr, where the program is; negative ones are 0 */
    uint64_t done; /* offset in the copy that `out` has reached */
    size_t next;   /* index in the map of the first boundary not yet passed */
    struct cfa cfa, stack[state_depth];
    size_t depth;
};

void gib_cfi_free(struct gib_cfi *cfi)
{
    gib_buffer_free(&cfi->cie);
    gib_buffer_free(&cfi->fde);
}

static void advance(struct copier *c, uint64_t to)
{
    uint64_t delta = to - c->done;
    if (!delta)
        return;
    if (delta < 0x40) {
        gib_put_fixed(c->out, DW_CFA_advance_loc | delta, 1);
    } else {
        gib_put_fixed(c->out, DW_CFA_advance_loc4, 1);
        gib_put_fixed(c->out, delta, 4);
    }
    c->done = to;
}

/*
 * The copies of instructions from c->next up to the one that ends at `end`. A call whose copy
 * pushes the return address itself (`68 imm32` and more) leaves the stack one word deeper for the
 * rest of the copy.
 */
static void pass_instructions(struct copier *c, uint64_t end)
{
    for (; c->next + 1 < c->count && c->map[c->next + 1].original <= end; c->next++) {
        uint64_t start = c->map[c->next].copy, stop = c->map[c->next + 1].copy;
        if (c->code[start] != 0x68 || stop - start <= push_size || !c->cfa.known ||
            c->cfa.reg != reg_rsp)
            continue;
        advance(c, start + push_size);
        gib_put_fixed(c->out, DW_CFA_def_cfa_offset, 1);
        gib_put_uleb(c->out, c->cfa.offset + 8);
        advance(c, stop);
        gib_put_fixed(c->out, DW_CFA_def_cfa_offset, 1);
        gib_put_uleb(c->out, c->cfa.offset);
    }
}

/* Moves on to an offset of the original; false: it is behind the copied code. */
static bool move_to(struct copier *c, uint64_t offset)
{
    if (!c->count) {
        advance(c, offset);
        return true;
    }
    if (offset > c->map[c->count - 1].original)
        return false;
    pass_instructions(c, offset);
    size_t i = c->next; /* padding between two instructions has no copy: the row begins behind it */
    while (i + 1 < c->count && c->map[i].original < offset)
        i++;
    if (c->map[i].copy > c->done)
        advance(c, c->map[i].copy);
    return true;
}

static bool skip_block(struct gib_cursor *cursor)
{
    uint64_t size = gib_cursor_uleb(cursor);
    if (size > (size_t)(cursor->end - cursor->at))
        return false;
    cursor->at += size;
    return true;
}

/* Follows the CFA through an instruction other than those with an operand in the opcode and the
 * moves; false when it is not known. The cursor is behind the opcode, then behind the operands. */
static bool follow(struct copier *c, uint8_t opcode, struct gib_cursor *cursor)
{
    struct cfa *cfa = &c->cfa;
    switch (opcode) {
    case DW_CFA_nop:
        return true;
    case DW_CFA_def_cfa:
        cfa->reg = gib_cursor_uleb(cursor);
        cfa->offset = gib_cursor_uleb(cursor);
        cfa->known = true;
        return true;
    case DW_CFA_def_cfa_sf:
        cfa->reg = gib_cursor_uleb(cursor);
        cfa->offset = (uint64_t)gib_cursor_sleb(cursor) * (uint64_t)c->cie->data_alignment;
        cfa->known = true;
        return true;
    case DW_CFA_def_cfa_register:
        cfa->reg = gib_cursor_uleb(cursor);
        return true;
    case DW_CFA_def_cfa_offset:
        cfa->offset = gib_cursor_uleb(cursor);
        return true;
    case DW_CFA_def_cfa_offset_sf:
        cfa->offset = (uint64_t)gib_cursor_sleb(cursor) * (uint64_t)c->cie->data_alignment;
        return true;
    case DW_CFA_def_cfa_expression:
        cfa->known = false;
        return skip_block(cursor);
    case DW_CFA_undefined:
    case DW_CFA_same_value:
    case DW_CFA_restore_extended:
    case DW_CFA_GNU_args_size:
        gib_cursor_uleb(cursor);
        return true;
    case DW_CFA_offset_extended:
    case DW_CFA_GNU_negative_offset_extended:
    case DW_CFA_register:
    case DW_CFA_val_offset:
    case DW_CFA_offset_extended_sf: /* one SLEB has the length of a ULEB */
    case DW_CFA_val_offset_sf:
        gib_cursor_uleb(cursor);
        gib_cursor_uleb(cursor);
        return true;
    case DW_CFA_expression:
    case DW_CFA_val_expression:
        gib_cursor_uleb(cursor);
        return skip_block(cursor);
    case DW_CFA_remember_state:
        if (c->depth == state_depth)
            return false;
        c->stack[c->depth++] = *cfa;
        return true;
    case DW_CFA_restore_state:
        if (!c->depth)
            return false;
        *cfa = c->stack[--c->depth];
        return true;
    default:
        return false;
    }
}

/* Copies the instructions of one program; false when it cannot be followed. */
static bool copy_program(struct copier *c, struct gib_cursor cursor, uint64_t bias)
{
    while (cursor.at < cursor.end && !cursor.bad) {
        const uint8_t *start = cursor.at;
        uint8_t opcode = *cursor.at++;
        uint64_t delta;
        if ((opcode & 0xc0) == DW_CFA_advance_loc) {
            delta = opcode & 0x3f;
        } else if (opcode >= DW_CFA_advance_loc1 && opcode <= DW_CFA_advance_loc4) {
            delta = gib_cursor_fixed(&cursor, 1u << (opcode - DW_CFA_advance_loc1));
        } else {
            if ((opcode & 0xc0) == DW_CFA_offset)
                gib_cursor_uleb(&cursor);
            else if ((opcode & 0xc0) != DW_CFA_restore && !follow(c, opcode, &cursor))
                return false;
            if (opcode != DW_CFA_nop)
                gib_put(c->out, start, (size_t)(cursor.at - start));
            continue;
        }
        if (__builtin_mul_overflow(delta, c->cie->code_alignment, &delta) ||
            __builtin_add_overflow(c->at, delta, &c->at))
            return false;
        if (c->at >= bias && !move_to(c, c->at - bias))
            return !cursor.bad; /* what follows is for code that was not copied */
    }
    return !cursor.bad;
}

bool gib_elf_cfi_copy(struct gib_elf *elf, uint64_t vaddr,
                      const struct gib_relocation_boundary *map, size_t count, const uint8_t *code,
                      struct gib_cfi *out)
{
    memset(out, 0, sizeof *out);
    const struct gib_fde *fde = gib_elf_fde_at(elf, vaddr);
    if (!fde || (!count && fde->start != vaddr))
        return false;
    const struct gib_cie *cie = &elf->cies[fde->cie];
    if (cie->is_signal) /* its frame is the kernel's */
        return false;
    struct copier c = {map, count, code, cie, &out->cie, 0, 0, 0, {0}, {{0}}, 0};
    gib_put_uleb(&out->cie, 1);
    gib_put_sleb(&out->cie, cie->data_alignment);
    gib_put_uleb(&out->cie, cie->return_register);
    bool good =
        copy_program(&c, (struct gib_cursor){cie->program, cie->program_end, false}, UINT64_MAX);
    /* The copied code may be in the middle of the function: what was said before is said at once.
     */
    c.out = &out->fde;
    c.at = c.depth = 0;
    good = good && copy_program(&c, (struct gib_cursor){fde->program, fde->program_end, false},
                                vaddr - fde->start);
    if (good && count)
        pass_instructions(&c, map[count - 1].original);
    if (!good || out->cie.failed || out->fde.failed) {
        gib_cfi_free(out);
        return false;
    }
    return true;
}
