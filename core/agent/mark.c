/*
 * mark.c: -during: whether a thread is inside a function.
 *
 * The function has a thunk of its own that calls through: the address of its frame is noted for the
 * thread while the call lasts. Only the outermost call needs that; others, by recursion, jump. A
 * frame that was left otherwise (longjmp, an exception, pthread_exit) is found out by the stack
 * pointer, which is above it, or by what it held, which was written over.
 */
#include "agent.h"

uint64_t gib_mark_enter(struct gib_frame *frame, const struct gib_site *site,
                        struct gib_shared *shared);
void gib_mark_leave(struct gib_frame *frame, const struct gib_site *site,
                    struct gib_shared *shared);

static uint64_t cookie(uint64_t frame, uint32_t serial)
{
    return 0x676962626f6e3a29ull ^ frame ^ (uint64_t)serial << 40;
}

/* What is known of this thread; NULL: nothing, and with `make` no room. */
static struct gib_mark_slot *slot_of(struct gib_shared *shared, const struct gib_thread *thread,
                                     bool make)
{
    struct gib_marks *marks = (struct gib_marks *)shared->marks;
    uint32_t index = gib_hash_index(thread->owner);
    if (!thread->owner || !marks)
        return NULL;
    for (uint32_t i = 0; i < GIB_HASH_SLOTS; i++, index = (index + 1) & (GIB_HASH_SLOTS - 1)) {
        struct gib_mark_slot *slot = &marks->slot[index];
        uint64_t owner = gib_load(&slot->owner);
        if (!owner && !make)
            return NULL;
        if (owner == 0 && __atomic_compare_exchange_n(&slot->owner, &owner, thread->owner, false,
                                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            owner = thread->owner;
        if (owner != thread->owner)
            continue;
        /* The same thread in a forked child is inside as well; a new thread in a dead one's place
         * is not. */
        if (slot->pid == thread->pid && slot->tid != thread->tid)
            for (uint32_t k = 0; k < GIB_MAX_MARKS; k++)
                slot->frame[k] = 0;
        slot->pid = thread->pid;
        slot->tid = thread->tid;
        return slot;
    }
    return NULL;
}

static bool on_signal_stack(void)
{
    enum { ONSTACK = 1 };
    struct {
        uint64_t sp;
        int32_t flags;
        uint64_t size;
    } alternate = {0, 0, 0};
    return gib_syscall(GIB_SYS_SIGALTSTACK, 0, (long)&alternate, 0, 0) == 0 &&
           (alternate.flags & ONSTACK);
}

static bool is_own(const struct gib_thread *thread, uint64_t address)
{
    return address >= thread->stack_base && address < thread->stack_top;
}

/* Whether the frame at `outer` is one that the code running at `at` will return through, as far as
 * addresses say. *gone: it never will. */
static bool is_above(struct gib_view *view, uint64_t outer, uint64_t at, bool *gone)
{
    enum { FAR = 256 << 10 };
    bool own = is_own(view->thread, outer), here = is_own(view->thread, at);
    if (own && here && at < outer)
        return true;
    /* A handler on its own stack interrupted the code inside. */
    if (on_signal_stack())
        return true;
    *gone = own && here;
    /* On other stacks, those of coroutines: between two of them there is a page that is not
     * readable. */
    return !own && !here && at < outer &&
           (view->thread->stack_top == 0 ||
            (outer - at < FAR && gib_readable_run(view, at, (uint32_t)(outer - at)) == outer - at));
}

bool gib_is_inside(struct gib_shared *shared, const struct gib_action *action,
                   struct gib_thread *thread, uint64_t at)
{
    struct gib_mark_slot *slot = slot_of(shared, thread, false);
    uint64_t outer = slot ? slot->frame[action->mark % GIB_MAX_MARKS] : 0, held;
    struct gib_view view;
    bool gone = false;
    if (!outer)
        return false;
    gib_view_open(&view, shared, thread, at);
    const struct gib_frame *frame = (const struct gib_frame *)outer;
    if (is_above(&view, outer, at, &gone) &&
        gib_copy_bytes(&view, (uint64_t)&frame->position, &held, sizeof held))
        return held == cookie(outer, action->serial);
    if (gone)
        slot->frame[action->mark % GIB_MAX_MARKS] = 0;
    return false;
}

/* The result is an enum gib_enter_answer. */
uint64_t gib_mark_enter(struct gib_frame *frame, const struct gib_site *site,
                        struct gib_shared *shared)
{
    const struct gib_action *action = &site->action[0];
    struct gib_thread *thread = gib_thread_here(shared, site->thread_pointer);
    if (!thread || !site->actions || !(action->flags & GIB_ACTION_ENABLED) ||
        gib_is_inside(shared, action, thread, (uint64_t)frame))
        return GIB_ENTER_PASS;
    struct gib_mark_slot *slot = slot_of(shared, thread, true);
    if (!slot)
        return GIB_ENTER_PASS;
    struct gib_view view;
    gib_view_open(&view, shared, thread, (uint64_t)frame);
    frame->copy = gib_copyable(&view, site, frame);
    uint64_t *place = &slot->frame[action->mark % GIB_MAX_MARKS];
    frame->thread = (uint64_t)place;
    frame->generation = *place; /* of a coroutine that waits, perhaps */
    frame->position = cookie((uint64_t)frame, action->serial);
    gib_barrier();
    gib_store(place, (uint64_t)frame);
    return GIB_ENTER_CALL;
}

void gib_mark_leave(struct gib_frame *frame, const struct gib_site *site, struct gib_shared *shared)
{
    uint64_t *place = (uint64_t *)frame->thread;
    if (*place == (uint64_t)frame)
        gib_store(place, frame->generation);
    gib_barrier();
    frame->position = 0;
}
