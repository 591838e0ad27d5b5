/*
 * unwind_rows.c: the unwind table reduced to rows of 16 bytes.
 *
 * Runs the call frame programs of all functions once, in the order of their addresses. Only the
 * registers that a frame-by-frame walk needs are followed: the CFA, rbp, the return address, and
 * rsp when it is saved.
 */
#include <dwarf.h>
#include <stdlib.h>
#include "elf/cfi.h"

enum { reg_rbp = 6, reg_rsp = 7, state_depth = 64 };

enum rule {
    rule_same,
    rule_offset, /* saved at CFA + offset */
    rule_base,   /* saved at rbp + offset: gcc's realigned frames */
    rule_undefined,
    rule_other,
};

struct saved {
    uint8_t rule;
    int64_t offset;
};

struct state {
    uint64_t cfa_register;
    int64_t cfa_offset;
    uint8_t cfa_kind; /* CFA_RSP stands for "a register": see row_of; others as they are */
    struct saved rbp, rsp, ra;
};

struct program {
    const struct gib_cie *cie;
    struct state now, initial;
    struct state stack[state_depth];
    size_t depth;
    uint64_t location;
};

struct rows {
    struct gib_unwind_row *rows;
    size_t count, capacity;
    uint64_t base;
    bool failed;
};

static void add_row(struct rows *rows, uint64_t vaddr, struct gib_unwind_row row)
{
    if (vaddr < rows->base || vaddr - rows->base > UINT32_MAX)
        return;
    row.start = vaddr - rows->base;
    struct gib_unwind_row *last = rows->count ? &rows->rows[rows->count - 1] : NULL;
    if (last && last->start == row.start) {
        rows->count--; /* the last one covers nothing */
        last = rows->count ? last - 1 : NULL;
    }
    if (last && last->kind == row.kind && last->cfa_offset == row.cfa_offset &&
        last->rbp_offset == row.rbp_offset && last->rbp_in_frame == row.rbp_in_frame)
        return;
    if (!last && row.kind == GIB_UNWIND_NONE)
        return;
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity * 2 + 1024;
        void *larger = realloc(rows->rows, capacity * sizeof *rows->rows);
        if (!larger) {
            rows->failed = true;
            return;
        }
        rows->rows = larger;
        rows->capacity = capacity;
    }
    rows->rows[rows->count++] = row;
}

static bool fits(int64_t value)
{
    return value >= INT32_MIN && value <= INT32_MAX;
}

/* What a simple unwinder can do with the state. */
static struct gib_unwind_row row_of(const struct program *program)
{
    const struct state *state = &program->now;
    struct gib_unwind_row row = {.kind = GIB_UNWIND_NONE};
    if (program->cie->is_signal) {
        row.kind = GIB_UNWIND_SIGNAL;
        return row;
    }
    if (state->ra.rule == rule_undefined) {
        row.kind = GIB_UNWIND_END;
        return row;
    }
    if (state->ra.rule != rule_offset || state->ra.offset != -8 || state->rsp.rule != rule_same ||
        !fits(state->cfa_offset) || !fits(state->rbp.offset))
        return row;
    uint8_t kind = state->cfa_kind;
    if (kind == GIB_UNWIND_CFA_RSP && state->cfa_register != reg_rsp)
        kind = state->cfa_register == reg_rbp ? GIB_UNWIND_CFA_RBP : GIB_UNWIND_NONE;
    switch (state->rbp.rule) {
    case rule_same:
        break;
    case rule_offset:
        if (!state->rbp.offset) /* 0 says "unchanged" */
            return row;
        row.rbp_offset = state->rbp.offset;
        break;
    case rule_base:
        row.rbp_offset = state->rbp.offset;
        row.rbp_in_frame = true;
        break;
    default:
        return row;
    }
    if (kind == GIB_UNWIND_NONE)
        return (struct gib_unwind_row){.kind = GIB_UNWIND_NONE};
    row.kind = kind;
    row.cfa_offset = state->cfa_offset;
    return row;
}

/* binutils: rsp + 8 + ((rip & 15) >= n) * 8, n being where the stub's push ends. */
static bool is_plt(const uint8_t *code, size_t size, int64_t *threshold)
{
    static const uint8_t head[] = {DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and},
                         tail[] = {DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus};
    if (size != sizeof head + 1 + sizeof tail || memcmp(code, head, sizeof head) ||
        memcmp(code + sizeof head + 1, tail, sizeof tail))
        return false;
    *threshold = code[sizeof head] - DW_OP_lit0;
    return *threshold > 0 && *threshold < 16;
}

static void cfa_expression(struct state *state, struct gib_cursor code)
{
    int64_t offset;
    state->cfa_kind = GIB_UNWIND_NONE;
    if (is_plt(code.at, code.end - code.at, &offset)) {
        state->cfa_kind = GIB_UNWIND_PLT;
        state->cfa_offset = offset;
        return;
    }
    uint64_t operation = gib_cursor_fixed(&code, 1);
    if (operation != DW_OP_breg6 && operation != DW_OP_breg7)
        return;
    offset = gib_cursor_sleb(&code);
    bool deref = code.at < code.end && gib_cursor_fixed(&code, 1) == DW_OP_deref;
    if (code.bad || code.at < code.end)
        return;
    state->cfa_offset = offset;
    state->cfa_register = operation - DW_OP_breg0;
    if (deref)
        state->cfa_kind =
            operation == DW_OP_breg6 ? GIB_UNWIND_CFA_DEREF_RBP : GIB_UNWIND_CFA_DEREF_RSP;
    else
        state->cfa_kind = GIB_UNWIND_CFA_RSP;
}

/* "DW_OP_breg6 n": saved relative to rbp itself. */
static struct saved saved_expression(struct gib_cursor code)
{
    struct saved saved = {rule_other, 0};
    if (gib_cursor_fixed(&code, 1) != DW_OP_breg6)
        return saved;
    saved.offset = gib_cursor_sleb(&code);
    if (!code.bad && code.at == code.end)
        saved.rule = rule_base;
    return saved;
}

static struct saved *saved_of(struct program *program, struct state *state, uint64_t reg)
{
    if (reg == program->cie->return_register)
        return &state->ra;
    return reg == reg_rbp ? &state->rbp : reg == reg_rsp ? &state->rsp : NULL;
}

static void set(struct program *program, uint64_t reg, uint8_t rule, int64_t offset)
{
    struct saved *saved = saved_of(program, &program->now, reg);
    if (saved)
        *saved = (struct saved){rule, offset};
}

static void restore(struct program *program, uint64_t reg)
{
    struct saved *saved = saved_of(program, &program->now, reg);
    if (saved)
        *saved = *saved_of(program, &program->initial, reg);
}

/* Hostile factors overflow; what comes out is then nonsense, but defined. */
static int64_t scaled(const struct program *program, uint64_t value)
{
    return (int64_t)(value * (uint64_t)program->cie->data_alignment);
}

static struct gib_cursor block(struct gib_cursor *cursor)
{
    uint64_t size = gib_cursor_uleb(cursor);
    if (size > (size_t)(cursor->end - cursor->at)) {
        cursor->bad = true;
        size = 0;
    }
    cursor->at += size;
    return (struct gib_cursor){cursor->at - size, cursor->at, false};
}

static void define_cfa(struct state *state, uint64_t reg, int64_t offset)
{
    state->cfa_kind = GIB_UNWIND_CFA_RSP;
    state->cfa_register = reg;
    state->cfa_offset = offset;
}

/* An instruction other than the three with an operand in the opcode and the moves; false when it is
 * not known. */
static bool execute(struct program *program, uint8_t opcode, struct gib_cursor *cursor)
{
    struct state *now = &program->now;
    uint64_t reg;
    switch (opcode) {
    case DW_CFA_nop:
        return true;
    case DW_CFA_def_cfa:
        reg = gib_cursor_uleb(cursor);
        define_cfa(now, reg, gib_cursor_uleb(cursor));
        return true;
    case DW_CFA_def_cfa_sf:
        reg = gib_cursor_uleb(cursor);
        define_cfa(now, reg, scaled(program, gib_cursor_sleb(cursor)));
        return true;
    case DW_CFA_def_cfa_register:
        define_cfa(now, gib_cursor_uleb(cursor), now->cfa_offset);
        return true;
    case DW_CFA_def_cfa_offset:
        define_cfa(now, now->cfa_register, gib_cursor_uleb(cursor));
        return true;
    case DW_CFA_def_cfa_offset_sf:
        define_cfa(now, now->cfa_register, scaled(program, gib_cursor_sleb(cursor)));
        return true;
    case DW_CFA_def_cfa_expression:
        cfa_expression(now, block(cursor));
        return true;
    case DW_CFA_undefined:
        set(program, gib_cursor_uleb(cursor), rule_undefined, 0);
        return true;
    case DW_CFA_same_value:
        set(program, gib_cursor_uleb(cursor), rule_same, 0);
        return true;
    case DW_CFA_offset_extended:
        reg = gib_cursor_uleb(cursor);
        set(program, reg, rule_offset, scaled(program, gib_cursor_uleb(cursor)));
        return true;
    case DW_CFA_offset_extended_sf:
        reg = gib_cursor_uleb(cursor);
        set(program, reg, rule_offset, scaled(program, gib_cursor_sleb(cursor)));
        return true;
    case DW_CFA_GNU_negative_offset_extended:
        reg = gib_cursor_uleb(cursor);
        set(program, reg, rule_offset, scaled(program, -gib_cursor_uleb(cursor)));
        return true;
    case DW_CFA_restore_extended:
        restore(program, gib_cursor_uleb(cursor));
        return true;
    case DW_CFA_register:
    case DW_CFA_val_offset:
    case DW_CFA_val_offset_sf:
        reg = gib_cursor_uleb(cursor);
        gib_cursor_uleb(cursor);
        set(program, reg, rule_other, 0);
        return true;
    case DW_CFA_expression:
    case DW_CFA_val_expression: {
        reg = gib_cursor_uleb(cursor);
        struct gib_cursor code = block(cursor);
        struct saved saved =
            opcode == DW_CFA_expression ? saved_expression(code) : (struct saved){rule_other, 0};
        set(program, reg, saved.rule, saved.offset);
        return true;
    }
    case DW_CFA_remember_state:
        if (program->depth == state_depth)
            return false;
        program->stack[program->depth++] = *now;
        return true;
    case DW_CFA_restore_state:
        if (!program->depth)
            return false;
        *now = program->stack[--program->depth];
        return true;
    case DW_CFA_GNU_args_size:
        gib_cursor_uleb(cursor);
        return true;
    default:
        return false;
    }
}

/* Runs instructions and adds a row before each move, when `rows` is given. False when the program
 * is broken. */
static bool run(struct program *program, struct gib_cursor cursor, struct rows *rows, uint64_t end)
{
    while (cursor.at < cursor.end && !cursor.bad) {
        uint8_t opcode = *cursor.at++, operand = opcode & 0x3f;
        uint64_t delta;
        switch (opcode & 0xc0) {
        case DW_CFA_offset:
            set(program, operand, rule_offset, scaled(program, gib_cursor_uleb(&cursor)));
            continue;
        case DW_CFA_restore:
            restore(program, operand);
            continue;
        case DW_CFA_advance_loc:
            delta = operand;
            break;
        default:
            switch (opcode) {
            case DW_CFA_advance_loc1:
                delta = gib_cursor_fixed(&cursor, 1);
                break;
            case DW_CFA_advance_loc2:
                delta = gib_cursor_fixed(&cursor, 2);
                break;
            case DW_CFA_advance_loc4:
                delta = gib_cursor_fixed(&cursor, 4);
                break;
            case DW_CFA_set_loc:
                return false; /* no compiler writes it */
            default:
                if (!execute(program, opcode, &cursor))
                    return false;
                continue;
            }
        }
        if (__builtin_mul_overflow(delta, program->cie->code_alignment, &delta) || cursor.bad)
            return false;
        if (!rows)
            continue;
        add_row(rows, program->location, row_of(program));
        if (delta >= end - program->location)
            return true; /* beyond the function: what follows is for nothing */
        program->location += delta;
    }
    if (rows && !cursor.bad)
        add_row(rows, program->location, row_of(program));
    return !cursor.bad;
}

static void run_fde(const struct gib_elf *elf, const struct gib_fde *fde, struct rows *rows)
{
    struct gib_unwind_row none = {.kind = GIB_UNWIND_NONE};
    struct program program;
    const struct gib_cie *cie = &elf->cies[fde->cie];
    program.cie = cie;
    program.depth = 0;
    program.location = fde->start;
    memset(&program.now, 0, sizeof program.now);
    program.initial = program.now;
    bool good = run(&program, (struct gib_cursor){cie->program, cie->program_end, false}, NULL, 0);
    program.initial = program.now;
    program.depth = 0;
    if (!good ||
        !run(&program, (struct gib_cursor){fde->program, fde->program_end, false}, rows, fde->end))
        add_row(rows, program.location, none);
    add_row(rows, fde->end, none);
}

size_t gib_elf_unwind_rows(struct gib_elf *elf, const struct gib_unwind_row **rows)
{
    if (!elf->rows_read) {
        elf->rows_read = true;
        if (elf->info.machine == EM_X86_64 && elf->info.segment_count && gib_elf_read_cfi(elf)) {
            struct rows made = {.base = elf->segments[0].vaddr};
            for (size_t i = 0; i < elf->fde_count && !made.failed; i++)
                run_fde(elf, &elf->fdes[i], &made);
            elf->rows = made.rows;
            elf->row_count = made.count;
        }
    }
    *rows = elf->rows;
    return elf->row_count;
}

size_t gib_elf_function_rows(struct gib_elf *elf, uint64_t vaddr, struct gib_unwind_row **rows)
{
    const struct gib_fde *fde = elf->info.machine == EM_X86_64 && elf->info.segment_count
                                    ? gib_elf_fde_at(elf, vaddr)
                                    : NULL;
    struct rows made = {.base = fde ? elf->segments[0].vaddr : 0};
    if (fde)
        run_fde(elf, fde, &made);
    *rows = made.rows;
    return made.count;
}
