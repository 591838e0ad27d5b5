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
    view->page = 1;
    if (sp < thread->stack_low || sp >= thread->stack_high) {
        /* Another stack, or deeper than before: all that is known is the page we are on. */
        thread->stack_low = sp & ~(uint64_t)(PAGE - 1);
        thread->stack_high = thread->stack_low + PAGE;
    }
}

/* Whether that is known without a question to the kernel, for longer than this record. */
static inline bool is_stable(const struct gib_view *view, uint64_t address, uint32_t size)
{
    uint64_t stack_high = view->thread->stack_high;
    if (address >= view->sp && address < stack_high && size <= stack_high - address)
        return true;
    const struct gib_shared *shared = view->shared;
    for (uint32_t i = 0; i < shared->stable_count; i++) {
        const struct gib_range *range = &shared->stable[i];
        if (address >= range->start && address < range->end && size <= range->end - address)
            return true;
    }
    return false;
}

static inline bool is_known(const struct gib_view *view, uint64_t address, uint32_t size)
{
    return is_stable(view, address, size) || (address & ~(uint64_t)(PAGE - 1)) == view->page;
}

static inline bool is_alone(const struct gib_view *view)
{
    uint64_t flag = view->shared->single_threaded;
    return flag && *(const volatile uint8_t *)flag;
}

bool gib_stays(const struct gib_view *view, uint64_t address, uint32_t size)
{
    return is_stable(view, address, size) || is_alone(view);
}

/*
 * Bytes that another thread may unmap between a proof and the reading of them: the kernel copies
 * them. That takes several times as long as a proof. Returns how many there were; a negative
 * number: the kernel does not do it here.
 */
static long copy_by_kernel(const struct gib_view *view, uint64_t address, void *out, uint32_t size)
{
    enum { EFAULT = 14 };
    struct {
        uint64_t base, length;
    } to = {(uint64_t)out, size}, from = {address, size};
    long done =
        gib_syscall6(GIB_SYS_PROCESS_VM_READV, view->thread->tid, (long)&to, 1, (long)&from, 1, 0);
    return done == -EFAULT ? 0 : done;
}

static bool prove(struct gib_view *view, uint64_t address)
{
    struct gib_thread *thread = view->thread;
    uint64_t page = address & ~(uint64_t)(PAGE - 1);
    if (!probe(address))
        return false;
    view->page = page;
    /* The stack goes on: no need to ask again. A thread's own stack ends at its control block, the
     * main thread's where the kernel put it; beyond, and on other stacks, nothing is taken for
     * granted, for it may be unmapped. */
    if (page != thread->stack_high)
        return true;
    uint64_t end = thread->tid == thread->pid ? view->shared->main_stack_end : thread->owner;
    if (page < end && end - page < MOST)
        thread->stack_high += PAGE;
    return true;
}

bool gib_readable(struct gib_view *view, uint64_t address, uint32_t size)
{
    return is_known(view, address, size) || prove(view, address);
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

bool gib_copy_bytes(struct gib_view *view, uint64_t address, void *out, uint32_t size)
{
    if (!gib_stays(view, address, size)) {
        long done = copy_by_kernel(view, address, out, size);
        if (done >= 0)
            return (uint64_t)done == size;
    }
    if (gib_readable_run(view, address, size) != size)
        return false;
    for (uint32_t i = 0; i < size; i++)
        ((uint8_t *)out)[i] = ((const volatile uint8_t *)address)[i];
    return true;
}

/* Text that starts at `in` and ends at a NUL or after `size` bytes, all of them readable. Eight
 * bytes at a time: those behind the NUL are in the same page. */
static inline uint32_t copy_readable(const char *in, char *out, uint32_t size, bool *ended)
{
    typedef uint64_t __attribute__((may_alias, aligned(1))) word;
    const uint64_t ones = 0x0101010101010101ull, high = ones << 7;
    uint32_t i = 0;
    *ended = true;
    for (; i + 8 <= size; i += 8) {
        uint64_t eight = *(const volatile word *)(in + i);
        uint64_t zero = (eight - ones) & ~eight & high; /* the lowest bit set is of the first NUL */
        if (zero) {
            *(word *)(out + i) = eight & (((zero & -zero) >> 7) - 1);
            return i + (uint32_t)__builtin_ctzll(zero) / 8;
        }
        *(word *)(out + i) = eight;
    }
    for (; i < size; i++) {
        char c = ((const volatile char *)in)[i];
        if (!c)
            return i;
        out[i] = c;
    }
    *ended = false;
    return i;
}

uint32_t gib_copy_text(struct gib_view *view, uint64_t address, char *out, uint32_t limit,
                       uint8_t *flags)
{
    uint32_t done = 0;
    bool ended;
    *flags = 0;
    while (done < limit) {
        uint32_t step = PAGE - (uint32_t)((address + done) & (PAGE - 1));
        if (step > limit - done)
            step = limit - done;
        const char *in = (const char *)(address + done);
        long copied = -1;
        if (!gib_stays(view, address + done, 1)) {
            copied = copy_by_kernel(view, address + done, out + done, step);
            if (copied > 0) {
                in = out + done;
                step = (uint32_t)copied;
            }
        }
        if (copied == 0 || (copied < 0 && !gib_readable(view, address + done, 1))) {
            *flags = GIB_CHUNK_UNREADABLE;
            return done;
        }
        done += copy_readable(in, out + done, step, &ended);
        if (ended)
            return done;
    }
    char next;
    if (gib_copy_bytes(view, address + done, &next, 1) && next)
        *flags = GIB_CHUNK_CUT;
    return done;
}

struct gib_record *gib_texts(struct gib_record *record, const struct gib_site *site,
                             struct gib_shared *shared, struct gib_thread *thread, uint64_t frame)
{
    const uint64_t *words = gib_record_words(record);
    struct gib_view view;
    gib_view_open(&view, shared, thread, frame);
    char *end = (char *)(words + (site->words > 3 ? site->words : 3));
    for (uint32_t i = 0; i < site->strings; i++) {
        struct gib_chunk *chunk = (struct gib_chunk *)end;
        uint8_t index = site->string[i], flags = 0;
        uint64_t address = words[index];
        uint32_t limit = shared->string_limit, size;
        /* Nearly every text is short and in one page. */
        uint32_t room = PAGE - (uint32_t)(address & (PAGE - 1));
        bool ended = false;
        if (gib_stays(&view, address, 1) && gib_readable(&view, address, 1))
            size = copy_readable((const char *)address, (char *)(chunk + 1),
                                 room < limit ? room : limit, &ended);
        if (!ended)
            size = gib_copy_text(&view, address, (char *)(chunk + 1), limit, &flags);
        *(uint64_t *)chunk = GIB_CHUNK_STRING | (uint64_t)index << 8 | (uint64_t)flags << 16 |
                             (uint64_t)size << 32; /* struct gib_chunk in one store */
        end = (char *)(chunk + 1) + ((size + 7) & ~7u);
    }
    gib_capture_finish(record, end);
    return record;
}
