/* memory.c: reading through pointers that may be bad, without a fault. */
#include "agent.h"

enum { PAGE = 4096, MOST = 8 << 20 };

/* The kernel proves the page readable without side effect: rt_sigprocmask reads the new set
 * (EFAULT) before it rejects the operation -1 (EINVAL). */
static bool probe(uint64_t address)
{
    enum { EFAULT = 14 };
    /* A set at NULL means "no new set" to it, and that is no fault. */
    return address >= 8 &&
           gib_syscall(GIB_SYS_RT_SIGPROCMASK, -1, (long)(address & ~7ull), 0, 8) != -EFAULT;
}

void gib_view_open(struct gib_view *view, struct gib_shared *shared, struct gib_thread *thread,
                   uint64_t sp)
{
    view->shared = shared;
    view->thread = thread;
    view->sp = sp;
    if (sp < thread->stack_low || sp >= thread->stack_high) {
        /* Another stack, or deeper than before: all that is known is the page we are on. */
        thread->stack_low = sp & ~(uint64_t)(PAGE - 1);
        thread->stack_high = thread->stack_low + PAGE;
    }
}

bool gib_readable(struct gib_view *view, uint64_t address, uint32_t size)
{
    struct gib_thread *thread = view->thread;
    if (address >= view->sp && address < thread->stack_high && size <= thread->stack_high - address)
        return true;
    const struct gib_shared *shared = view->shared;
    for (uint32_t i = 0; i < shared->stable_count; i++) {
        const struct gib_range *range = &shared->stable[i];
        if (address >= range->start && address < range->end && size <= range->end - address)
            return true;
    }
    if (!probe(address))
        return false;
    /* The stack goes on: no need to ask again. A thread's own stack ends at its control block, the
     * main thread's where the kernel put it; beyond, and on other stacks, nothing is taken for
     * granted, for it may be unmapped. */
    uint64_t end = thread->tid == thread->pid ? shared->main_stack_end : thread->owner;
    if ((address & ~(uint64_t)(PAGE - 1)) == thread->stack_high && thread->stack_high < end &&
        end - thread->stack_high < MOST)
        thread->stack_high += PAGE;
    return true;
}

uint32_t gib_readable_run(struct gib_view *view, uint64_t address, uint32_t size)
{
    uint32_t done = 0;
    while (done < size) {
        uint32_t step = PAGE - (uint32_t)((address + done) & (PAGE - 1));
        if (step > size - done)
            step = size - done;
        if (!gib_readable(view, address + done, step))
            break;
        done += step;
    }
    return done;
}

uint32_t gib_copy_text(struct gib_view *view, uint64_t address, char *out, uint32_t limit,
                       uint8_t *flags)
{
    uint32_t done = 0;
    *flags = 0;
    while (done < limit) {
        uint32_t step = PAGE - (uint32_t)((address + done) & (PAGE - 1));
        if (step > limit - done)
            step = limit - done;
        if (!gib_readable(view, address + done, 1)) {
            *flags = GIB_CHUNK_UNREADABLE;
            return done;
        }
        const volatile char *in = (const volatile char *)(address + done);
        for (uint32_t i = 0; i < step; i++) {
            char c = in[i];
            if (!c)
                return done + i;
            out[done + i] = c;
        }
        done += step;
    }
    if (gib_readable(view, address + done, 1) && *(const volatile char *)(address + done))
        *flags = GIB_CHUNK_CUT;
    return done;
}
