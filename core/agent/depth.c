/*
 * depth.c: a thunk that calls through takes 264 bytes of stack and the stack arguments once more. A
 * function that calls itself a hundred thousand times would not fit its stack any more.
 *
 *   base                    shallow                          top
 *    | deep: an eighth of it may | shallow: a sixteenth of the |
 *    | be thunks                 | stack, without counting     |
 *
 * Where there is no more room for thunks, calls are recorded at entry and jump to the original.
 */
#include "agent.h"

enum { OTHER_STACK = 16 << 10, LOST = 64 << 20, CONTROL_BLOCK = 0x900 };

/* glibc's struct pthread, and musl's, begin at the thread pointer and hold the address and the size
 * of the stack's mapping next to each other; the main thread's do not. */
static bool find_block(struct gib_view *view, uint64_t pointer, uint64_t *base, uint64_t *top)
{
    for (uint64_t at = pointer + 64; at < pointer + CONTROL_BLOCK; at += 8) {
        if (!gib_readable(view, at, 16))
            return false;
        const volatile uint64_t *pair = (const volatile uint64_t *)at;
        uint64_t start = pair[0], size = pair[1];
        if ((start & 4095) || (size & 4095) || !start || !size || start > view->sp ||
            view->sp >= pointer || size <= pointer - start || size > 1ull << 40)
            continue;
        *base = start;
        *top = pointer;
        return true;
    }
    return false;
}

/* Whole pages, and never more than a sixteenth. Where none fits, it is the page at address 0. */
static void set_shallow(struct gib_thread *thread)
{
    enum { PAGE = 1 << GIB_PAGE_SHIFT };
    uint64_t size = thread->stack_top - thread->stack_base;
    uint64_t first = (thread->stack_top - size / 16 + PAGE - 1) >> GIB_PAGE_SHIFT;
    uint64_t end = thread->stack_top >> GIB_PAGE_SHIFT;
    thread->shallow = 0;
    thread->shallow_pages = 0;
    if (!size) {
        thread->shallow_pages = UINT32_MAX; /* nothing is known: no bound */
    } else if (end > first) {
        thread->shallow = (uint32_t)first;
        thread->shallow_pages = (uint32_t)(end - 1 - first);
    }
}

void gib_depth_learn(struct gib_shared *shared, struct gib_thread *thread, uint64_t sp)
{
    struct gib_view view;
    uint64_t base = 0, top = 0;
    gib_view_open(&view, shared, thread, sp);
    if (thread->tid == thread->pid && sp < shared->main_stack_end &&
        sp >= shared->main_stack_end - shared->main_stack_size) {
        top = shared->main_stack_end;
        base = top - shared->main_stack_size;
    } else if (thread->owner == 1 || !find_block(&view, thread->owner, &base, &top)) {
        base = top = 0;
    }
    thread->stack_base = base;
    thread->stack_top = top;
    thread->deep_limit = (top - base) / 8;
    thread->deep_from = thread->deep_used = 0;
    set_shallow(thread);
}

bool gib_depth_enter(struct gib_thread *thread, const struct gib_site *site,
                     struct gib_frame *frame)
{
    uint64_t at = (uint64_t)frame;
    frame->deep = 0;
    if (gib_likely(gib_depth_shallow(thread, frame)))
        return true;
    bool own = at >= thread->stack_base && at < thread->stack_top;
    uint64_t limit = own ? thread->deep_limit : OTHER_STACK;
    uint64_t cost = sizeof *frame + 8 + ((site->stack_copy + 63ull) & ~63ull);
    if (site->flags & GIB_SITE_ON_RETURN)
        cost += sizeof(struct gib_kept);
    /* Frames left by longjmp or an exception never gave back what they took: there cannot be more
     * than fits between here and the outermost of them. */
    if (at >= thread->deep_from || thread->deep_from - at > LOST) {
        thread->deep_from = at;
        thread->deep_used = 0;
    } else if (thread->deep_used > thread->deep_from - at) {
        thread->deep_used = thread->deep_from - at;
    }
    if (thread->deep_used + cost > limit)
        return false;
    frame->deep = thread->deep_used + 1;
    thread->deep_used += cost;
    return true;
}

void gib_depth_leave(struct gib_thread *thread, const struct gib_frame *frame)
{
    thread->deep_used = frame->deep - 1;
}
