/*
 * origin.c: which module a call came from, for -from.
 *
 * The return address says it, unless the call is a tail call: `jmp open@plt` at the end of a
 * function leaves the return address of that function's own caller. The instruction before it then
 * still names the function that was called there:
 *
 *      e8 rel32            call target           | directly, or through stubs like those of a PLT:
 *      ff 15 disp32        call *[rip + disp32]  |   [endbr64] [bnd] jmp *[rip + disp32]
 *
 * When that is not the patched function but lies in MODULE, MODULE passed the call on. The engine
 * leaves PLTs out of the ranges: a stub of MODULE's is not its code. All other calls go through a
 * register or a table; nobody knows where they led.
 */
#include "agent.h"

enum origin { ELSEWHERE = 1, FROM_MODULE, UNKNOWN };

static bool is_within(const struct gib_shared *shared, const struct gib_action *action,
                      uint64_t address)
{
    for (uint32_t i = 0; i < action->from_count; i++) {
        const struct gib_range *range = &shared->range[action->from + i];
        if (address >= range->start && address < range->end)
            return true;
    }
    return false;
}

typedef int32_t unaligned_int32 __attribute__((may_alias, aligned(1)));
static int32_t unaligned(const uint8_t *bytes)
{
    return *(const unaligned_int32 *)bytes;
}

/* Where `jmp *[rip + disp32]` at `address` leads; 0: something else is there. */
static uint64_t behind_stub(struct gib_view *view, uint64_t address)
{
    static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    uint8_t code[11];
    uint32_t at = 0;
    uint64_t to;
    if (!gib_copy_bytes(view, address, code, sizeof code))
        return 0;
    while (at < sizeof endbr64 && code[at] == endbr64[at])
        at++;
    if (at != sizeof endbr64)
        at = 0;
    at += code[at] == 0xf2;
    if (code[at] != 0xff || code[at + 1] != 0x25)
        return 0;
    int32_t distance = unaligned(code + at + 2);
    return gib_copy_bytes(view, address + at + 6 + (uint64_t)distance, &to, sizeof to) ? to : 0;
}

/* A call instruction that was displaced by the detour of its own function. */
static bool find_displaced(const struct gib_shared *shared, uint64_t caller, uint64_t *to,
                           uint64_t *pointer)
{
    const struct gib_site *site = (const struct gib_site *)((const char *)shared + shared->sites);
    uint64_t count = gib_load(&shared->site_count);
    for (uint64_t i = 0; i < count && i < GIB_MAX_SITES; i++) {
        if (site[i].call_return != caller)
            continue;
        *to = site[i].call_target;
        *pointer = site[i].call_pointer;
        return true;
    }
    return false;
}

static enum origin find_origin(struct gib_view *view, const struct gib_shared *shared,
                               const struct gib_site *site, const struct gib_action *action,
                               uint64_t caller)
{
    enum { STUBS = 4 };
    uint8_t call[6];
    uint64_t to;
    if (!gib_copy_bytes(view, caller - sizeof call, call, sizeof call))
        return UNKNOWN;
    int32_t distance = unaligned(call + 2);
    uint64_t pointer = 0;
    if (call[0] == 0xff && call[1] == 0x15)
        pointer = caller + (uint64_t)distance;
    else if (call[1] == 0xe8)
        to = caller + (uint64_t)distance;
    else if (!find_displaced(shared, caller, &to, &pointer))
        return UNKNOWN;
    if (pointer && !gib_copy_bytes(view, pointer, &to, sizeof to))
        return UNKNOWN;
    for (int i = 0; i < STUBS && to; i++, to = behind_stub(view, to)) {
        if (to == site->entry)
            return ELSEWHERE;
        if (is_within(shared, action, to))
            return FROM_MODULE;
    }
    return UNKNOWN;
}

uint64_t gib_real_caller(struct gib_view *view, const struct gib_shared *shared,
                         const struct gib_frame *frame)
{
    uint64_t caller = frame->caller;
    for (int i = 0; i < 8 && gib_arena_of(shared, caller); i++) {
        bool cut;
        if (gib_in_agent(shared, caller)) { /* a handler's call of what is below it */
            gib_backtrace(view, frame, &caller, 1, &cut);
            break;
        }
        uint64_t outer = frame->rbp; /* thunks have a frame pointer */
        if (outer <= (uint64_t)&frame->caller || (outer & 7) || !gib_readable(view, outer, 8) ||
            !gib_readable(view, outer + 8, 8))
            break;
        frame = (const struct gib_frame *)(outer - GIB_FRAME_SIZE);
        caller = frame->caller;
    }
    return caller;
}

/* The same call instruction is met again and again. A signal handler may come between: the key is
 * written last, and looked at twice. */
static enum origin remembered(const struct gib_shared *shared, struct gib_thread *thread,
                              struct gib_view *view, const struct gib_site *site,
                              const struct gib_action *action, uint64_t caller)
{
    uint32_t key = site->index | (uint32_t)(action - site->action) << 24;
    if (!thread->owner)
        return find_origin(view, shared, site, action, caller);
    struct gib_origin *table = (struct gib_origin *)((char *)thread + GIB_ORIGINS_OFFSET);
    struct gib_origin *known = &table[(caller ^ caller >> 6 ^ key) & (GIB_ORIGINS - 1)];
    struct gib_origin seen = {gib_load(&known->caller), known->site, known->verdict};
    gib_barrier();
    if (seen.caller == caller && seen.site == key &&
        seen.verdict >> 2 == (shared->epoch << 2) >> 2 && gib_load(&known->caller) == caller)
        return seen.verdict & 3;
    enum origin origin = find_origin(view, shared, site, action, caller);
    gib_store(&known->caller, 0);
    gib_barrier();
    known->site = key;
    known->verdict = shared->epoch << 2 | origin;
    gib_barrier();
    gib_store(&known->caller, caller);
    return origin;
}

bool gib_comes_from(struct gib_shared *shared, const struct gib_site *site,
                    const struct gib_action *action, struct gib_thread *thread,
                    const struct gib_frame *frame)
{
    struct gib_view view;
    if (!action->from_count)
        return false; /* the module is not there */
    gib_view_open(&view, shared, thread, (uint64_t)frame);
    uint64_t caller = gib_real_caller(&view, shared, frame);
    if (is_within(shared, action, caller - 1)) /* the call is before its return address */
        return true;
    enum origin origin = remembered(shared, thread, &view, site, action, caller);
    if (origin == UNKNOWN)
        __atomic_fetch_add(&shared->patch[action->patch].unknown, 1, __ATOMIC_RELAXED);
    return origin == FROM_MODULE;
}
