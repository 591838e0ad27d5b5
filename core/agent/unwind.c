/* unwind.c: who called, from tables that the engine made of .eh_frame. Nothing of the target is
 * called. */
#include "agent.h"
#include "elf/elf.h"

struct cursor {
    uint64_t pc, sp, bp;
    bool exact; /* pc is where the frame stands, not behind a call */
};

static bool load(struct gib_view *view, uint64_t address, uint64_t *value)
{
    return !(address & 7) && gib_copy_bytes(view, address, value, sizeof *value);
}

static const struct gib_unwind_row *find_row(const struct gib_shared *shared, uint64_t pc)
{
    for (uint32_t i = 0; i < gib_load(&shared->unwind_count); i++) {
        const struct gib_unwind_module *module = &shared->unwind_module[i];
        if (pc < module->start || pc >= module->end)
            continue;
        const struct gib_unwind_row *rows =
            (const struct gib_unwind_row *)((const char *)shared + module->rows);
        uint64_t low = 0, high = module->count; /* the last row with start <= pc */
        while (low < high) {
            uint64_t middle = (low + high) / 2;
            if (rows[middle].start <= pc - module->start)
                low = middle + 1;
            else
                high = middle;
        }
        return low ? &rows[low - 1] : NULL;
    }
    return NULL;
}

/* A frame with a frame pointer, as compilers made them before they had tables, and as thunks are.
 */
static bool step_by_frame_pointer(struct gib_view *view, struct cursor *c)
{
    uint64_t pc, bp;
    if (c->bp < c->sp || c->bp - c->sp > (1u << 20) || !load(view, c->bp, &bp) ||
        !load(view, c->bp + 8, &pc))
        return false;
    c->sp = c->bp + 16;
    c->bp = bp;
    c->pc = pc;
    c->exact = false;
    return true;
}

/* The kernel's frame: at rsp a struct ucontext (sigaction(2)); its registers start at 40, REG_RBP
 * 10, REG_RSP 15, REG_RIP 16. */
static bool step_signal(struct gib_view *view, struct cursor *c)
{
    uint64_t registers = c->sp + 40;
    uint64_t bp, sp, pc;
    if (!load(view, registers + 8 * 10, &bp) || !load(view, registers + 8 * 15, &sp) ||
        !load(view, registers + 8 * 16, &pc))
        return false;
    c->bp = bp;
    c->sp = sp;
    c->pc = pc;
    c->exact = true;
    return true;
}

static bool find_cfa(struct gib_view *view, const struct gib_unwind_row *row,
                     const struct cursor *c, uint64_t *cfa)
{
    switch (row->kind) {
    case GIB_UNWIND_CFA_RSP:
        *cfa = c->sp + (int64_t)row->cfa_offset;
        return true;
    case GIB_UNWIND_CFA_RBP:
        *cfa = c->bp + (int64_t)row->cfa_offset;
        return true;
    case GIB_UNWIND_CFA_DEREF_RBP:
        return load(view, c->bp + (int64_t)row->cfa_offset, cfa);
    case GIB_UNWIND_CFA_DEREF_RSP:
        return load(view, c->sp + (int64_t)row->cfa_offset, cfa);
    case GIB_UNWIND_PLT:
        *cfa = c->sp + 8 + ((c->pc & 15) >= (uint64_t)row->cfa_offset ? 8 : 0);
        return true;
    default:
        return false;
    }
}

static bool is_in_module(const struct gib_shared *shared, uint64_t pc)
{
    for (uint32_t i = 0; i < gib_load(&shared->unwind_count); i++)
        if (pc >= shared->unwind_module[i].start && pc < shared->unwind_module[i].end)
            return true;
    return false;
}

/* Code without tables in a module that has some: compiled with frame pointers, or rbp may be
 * anything. Then it rarely leads to what looks like a frame. */
static bool step_without_row(struct gib_view *view, struct cursor *c)
{
    struct cursor next = *c;
    if (!step_by_frame_pointer(view, &next) ||
        !(is_in_module(view->shared, next.pc) || gib_arena_of(view->shared, next.pc)))
        return false;
    *c = next;
    return true;
}

static bool step(struct gib_view *view, struct cursor *c)
{
    if (gib_arena_of(view->shared, c->pc) && !gib_in_agent(view->shared, c->pc))
        return step_by_frame_pointer(view, c);
    const struct gib_unwind_row *row = find_row(view->shared, c->exact ? c->pc : c->pc - 1);
    if (!row)
        return step_by_frame_pointer(view, c);
    if (row->kind == GIB_UNWIND_NONE)
        return step_without_row(view, c);
    if (row->kind == GIB_UNWIND_SIGNAL)
        return step_signal(view, c);
    uint64_t cfa, pc, bp = c->bp;
    if (!find_cfa(view, row, c, &cfa) || cfa <= c->sp || !load(view, cfa - 8, &pc))
        return false;
    if ((row->rbp_offset || row->rbp_in_frame) &&
        !load(view, (row->rbp_in_frame ? c->bp : cfa) + (uint64_t)(int64_t)row->rbp_offset, &bp))
        return false;
    c->sp = cfa;
    c->bp = bp;
    c->pc = pc;
    c->exact = false;
    return true;
}

uint32_t gib_backtrace(struct gib_view *view, const struct gib_frame *frame, uint64_t *out,
                       uint32_t depth, bool *cut)
{
    struct cursor c = {frame->caller, (uint64_t)(&frame->caller + 1), frame->rbp, false};
    uint32_t count = 0;
    *cut = false;
    for (uint32_t steps = 0; steps < GIB_MAX_FRAMES + 64 && c.pc; steps++) {
        if (!gib_arena_of(view->shared, c.pc)) {
            if (count == depth) {
                *cut = true;
                break;
            }
            out[count++] = c.pc | (c.exact ? GIB_FRAME_EXACT : 0);
        }
        bool interrupted = c.exact;
        if (!step(view, &c))
            break;
        if (c.exact && !interrupted && count)
            out[count - 1] |= GIB_FRAME_SIGNAL;
    }
    return count;
}
