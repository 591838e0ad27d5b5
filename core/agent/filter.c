/*
 * filter.c: which calls an action is about: -thread, -during, -from, its condition, and then
 * -after, -every and -times, which count what is left.
 */
#include "agent.h"

static struct gib_kept *kept_of(const struct gib_frame *frame)
{
    return (struct gib_kept *)frame - 1;
}

/* Those that are known at the entry, and cheap. */
static bool passes_filters(struct gib_shared *shared, const struct gib_site *site,
                           const struct gib_action *action, struct gib_thread *thread,
                           const struct gib_frame *frame)
{
    uint32_t flags = action->flags;
    if ((flags & GIB_ACTION_THREAD) && thread->tid != action->thread)
        return false;
    if ((flags & GIB_ACTION_DURING) && !gib_is_inside(shared, action, thread, (uint64_t)frame))
        return false;
    return !(flags & GIB_ACTION_FROM) || gib_comes_from(shared, site, action, thread, frame);
}

/* -after, -every, -times; counts the call. */
static bool is_within_limits(struct gib_shared *shared, const struct gib_action *action)
{
    if (!(action->flags & GIB_ACTION_LIMITS))
        return true;
    struct gib_patch_state *patch = &shared->patch[action->patch];
    uint64_t number = __atomic_fetch_add(&patch->seen, 1, __ATOMIC_RELAXED);
    if (number < patch->after || (patch->every && (number - patch->after + 1) % patch->every))
        return false;
    return !patch->times ||
           __atomic_fetch_add(&patch->accepted, 1, __ATOMIC_RELAXED) < patch->times;
}

static uint64_t number_of(struct gib_shared *shared, const struct gib_action *action)
{
    if (!(action->flags & GIB_ACTION_NUMBERED))
        return 0;
    return __atomic_add_fetch(&shared->patch[action->patch].numbered, 1, __ATOMIC_RELAXED);
}

static void count_undecided(struct gib_shared *shared, const struct gib_action *action)
{
    __atomic_fetch_add(&shared->patch[action->patch].undecided, 1, __ATOMIC_RELAXED);
}

/* Asks the condition's code, which reads through pointers by way of `view`. */
static bool ask(struct gib_shared *shared, const struct gib_action *action, struct gib_view *view,
                struct gib_condition_call *call)
{
    if (action->flags & GIB_ACTION_ERRNO) {
        if (!shared->errno_location) {
            count_undecided(shared, action);
            return false;
        }
        call->error = gib_target_errno(shared);
    }
    call->context = view;
    call->read = gib_condition_read;
    call->text = gib_condition_text;
    uint32_t (*code)(struct gib_condition_call *) =
        (uint32_t(*)(struct gib_condition_call *))action->condition;
    uint32_t verdict = code(call);
    if (gib_unlikely(verdict == GIB_VERDICT_FAILED))
        count_undecided(shared, action);
    return verdict == GIB_VERDICT_TRUE;
}

static void fill_call(struct gib_condition_call *call, const uint64_t gpr[6], const uint64_t xmm[8],
                      const struct gib_shared *shared, const struct gib_thread *thread,
                      const struct gib_frame *frame, struct gib_view *view)
{
    for (uint32_t i = 0; i < 6; i++)
        call->gpr[i] = gpr[i];
    for (uint32_t i = 0; i < 8; i++)
        call->xmm[i] = xmm[i];
    call->stack = &frame->caller + 1;
    call->caller = gib_real_caller(view, shared, frame);
    call->tid = thread->tid;
}

static bool holds(struct gib_shared *shared, const struct gib_action *action,
                  struct gib_thread *thread, const struct gib_frame *frame)
{
    struct gib_condition_call call;
    struct gib_view view;
    gib_view_open(&view, shared, thread, (uint64_t)frame);
    fill_call(&call, frame->gpr, frame->xmm, shared, thread, frame, &view);
    call.calls = number_of(shared, action);
    return ask(shared, action, &view, &call);
}

static bool accepts(struct gib_shared *shared, const struct gib_site *site,
                    const struct gib_action *action, struct gib_thread *thread,
                    const struct gib_frame *frame)
{
    const uint32_t filters = GIB_ACTION_THREAD | GIB_ACTION_FROM | GIB_ACTION_DURING;
    uint32_t flags = action->flags;
    if ((flags & filters) && !passes_filters(shared, site, action, thread, frame))
        return false;
    if ((flags & GIB_ACTION_CONDITION) && !holds(shared, action, thread, frame))
        return false;
    return is_within_limits(shared, action);
}

static void count(struct gib_shared *shared, const struct gib_action *action,
                  struct gib_thread *thread)
{
    ++*gib_thread_counter(shared, thread, action->counter);
}

static bool is_decided_later(struct gib_shared *shared, const struct gib_site *site, uint32_t i,
                             struct gib_thread *thread, struct gib_frame *frame)
{
    const struct gib_action *action = &site->action[i];
    if (!passes_filters(shared, site, action, thread, frame))
        return false;
    kept_of(frame)->number[i] = number_of(shared, action);
    return true;
}

static void keep_entry(struct gib_frame *frame)
{
    struct gib_kept *kept = kept_of(frame);
    for (uint32_t i = 0; i < 6; i++)
        kept->gpr[i] = frame->gpr[i];
    for (uint32_t i = 0; i < 8; i++)
        kept->xmm[i] = frame->xmm[i];
}

struct gib_decision gib_decide(struct gib_shared *shared, const struct gib_site *site,
                               struct gib_thread *thread, struct gib_frame *frame)
{
    struct gib_decision d = {0, 0, 0, 0, false};
    /* A handler is C code: it may need the thread's control block, as libffi does. */
    if (gib_unlikely((site->flags & GIB_SITE_HANDLER) && thread->owner == 1))
        return d;
    for (uint32_t i = 0; i < site->actions; i++) {
        const struct gib_action *action = &site->action[i];
        uint32_t flags = action->flags, bit = 1u << i;
        if (!(flags & GIB_ACTION_ENABLED))
            continue;
        if (flags & GIB_ACTION_ON_RETURN) {
            if (!is_decided_later(shared, site, i, thread, frame))
                continue;
            d.undecided |= bit;
        } else if (accepts(shared, site, action, thread, frame)) {
            count(shared, action, thread);
            d.accepted |= bit;
            d.divert |= (flags & GIB_ACTION_DIVERT) != 0;
        } else {
            continue;
        }
        if (flags & GIB_ACTION_RECORD)
            d.recorded |= bit;
        if ((flags & GIB_ACTION_BACKTRACE) && action->depth > d.depth)
            d.depth = action->depth;
    }
    if (d.undecided)
        keep_entry(frame);
    return d;
}

uint32_t gib_decide_on_return(struct gib_shared *shared, const struct gib_site *site,
                              struct gib_thread *thread, struct gib_frame *frame,
                              uint32_t undecided)
{
    const struct gib_kept *kept = kept_of(frame);
    struct gib_condition_call call;
    struct gib_view view;
    uint32_t accepted = 0;
    gib_view_open(&view, shared, thread, (uint64_t)frame);
    fill_call(&call, kept->gpr, kept->xmm, shared, thread, frame, &view);
    call.rax = frame->rax;
    call.rdx = frame->gpr[2];
    call.result_xmm[0] = frame->result_xmm;
    call.result_xmm[1] = frame->result_x87[1];
    for (uint32_t i = 0; i < site->actions; i++) {
        const struct gib_action *action = &site->action[i];
        call.calls = kept->number[i];
        if (!(undecided & 1u << i) || !(action->flags & GIB_ACTION_ON_RETURN) ||
            !ask(shared, action, &view, &call) || !is_within_limits(shared, action))
            continue;
        count(shared, action, thread);
        accepted |= 1u << i;
    }
    return accepted;
}

void gib_leave_undecided(struct gib_shared *shared, const struct gib_site *site, uint32_t undecided)
{
    for (uint32_t i = 0; i < site->actions; i++)
        if (undecided & 1u << i)
            count_undecided(shared, &site->action[i]);
}

bool gib_diverts_uncounted(struct gib_shared *shared, const struct gib_site *site,
                           struct gib_thread *nobody, struct gib_frame *frame)
{
    const struct gib_action *action = &site->action[0];
    const uint32_t wanted = GIB_ACTION_ENABLED | GIB_ACTION_DIVERT;
    if ((site->flags & GIB_SITE_HANDLER) && gib_thread_pointer(site->thread_pointer) == 1)
        return false;
    return site->actions == 1 && (action->flags & wanted) == wanted &&
           accepts(shared, site, action, nobody, frame);
}

uint32_t gib_stops_uncounted(struct gib_shared *shared, const struct gib_site *site,
                             struct gib_thread *nobody, struct gib_frame *frame)
{
    uint32_t stops = 0;
    for (uint32_t i = 0; i < site->actions; i++) {
        const struct gib_action *action = &site->action[i];
        const uint32_t looked_at = GIB_ACTION_ENABLED | GIB_ACTION_ON_RETURN;
        if ((action->flags & looked_at) == GIB_ACTION_ENABLED &&
            accepts(shared, site, action, nobody, frame))
            stops |= 1u << i;
    }
    return stops;
}
