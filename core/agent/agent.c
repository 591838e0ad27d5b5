/* agent.c: the entry points that thunks call. */
#include "agent.h"

uint64_t gib_enter(struct gib_frame *frame, const struct gib_site *site, struct gib_shared *shared);
void gib_leave(struct gib_frame *frame, const struct gib_site *site, struct gib_shared *shared);
void gib_count(uint32_t counter, struct gib_shared *shared, uint32_t mode);
const void *gib_find_fde(uint64_t pc, struct gib_unwind_bases *bases, struct gib_shared *shared);
int gib_find_object(uint64_t pc, struct gib_found_object *object, struct gib_shared *shared);

/* struct gib_agent_image. The image is linked at address 0, so these are offsets. */
__asm__(".pushsection .head, \"a\"\n"
        ".long 0x47424e32, gib_enter, gib_leave, gib_count, gib_find_fde, gib_find_object, "
        "gib_texts, gib_mark_enter, gib_mark_leave, gib_handle, gib_call_original, "
        "ffi_go_closure_unix64, ffi_go_closure_unix64_sse, gib_stop_pad, gib_stop_return_pad, "
        "gib_image_size\n"
        ".popsection\n");

static char *capture_backtrace(struct gib_view *view, const struct gib_frame *frame, uint32_t depth,
                               char *end)
{
    bool cut;
    uint64_t *frames = (uint64_t *)(end + sizeof(struct gib_chunk));
    uint32_t count =
        gib_backtrace(view, frame, frames, depth < GIB_MAX_FRAMES ? depth : GIB_MAX_FRAMES, &cut);
    struct gib_chunk *chunk = (struct gib_chunk *)end;
    *chunk = (struct gib_chunk){GIB_CHUNK_BACKTRACE, 0, cut ? GIB_CHUNK_CUT : 0, 0, count * 8};
    return end + sizeof *chunk + count * 8ul;
}

int32_t gib_target_errno(const struct gib_shared *shared)
{
    int32_t *(*location)(void) = (int32_t * (*)(void)) shared->errno_location;
    return *location();
}

uint64_t gib_copyable(struct gib_view *view, const struct gib_site *site,
                      const struct gib_frame *frame)
{
    if (site->stack_copy < GIB_COPY_UNKNOWN)
        return site->stack_copy;
    return gib_readable_run(view, (uint64_t)(&frame->caller + 1), site->stack_copy) & ~7u;
}

/* Claims the block (thread->busy) and room for a record behind what an enclosing call left open. */
static struct gib_record *begin_record(struct gib_shared *shared, struct gib_thread *thread,
                                       const struct gib_site *site, const struct gib_frame *frame,
                                       struct gib_view *view)
{
    thread->busy = (uint64_t)frame;
    gib_barrier();
    if (thread->open)
        gib_ring_publish_open(shared, thread);
    gib_view_open(view, shared, thread, (uint64_t)frame);
    return gib_ring_reserve(shared, thread, site->lines);
}

static uint64_t divert(struct gib_shared *shared, const struct gib_site *site,
                       struct gib_thread *thread, struct gib_frame *frame)
{
    struct gib_view view;
    if (site->flags & GIB_SITE_PRESERVE) {
        gib_view_open(&view, shared, thread, (uint64_t)frame);
        frame->copy = gib_copyable(&view, site, frame);
    }
    return GIB_ENTER_DIVERT;
}

/* Writes the record of a call that is about to be made, but for its end. */
static void record_call(struct gib_shared *shared, const struct gib_site *site,
                        struct gib_thread *thread, struct gib_frame *frame,
                        const struct gib_decision *decision, bool entry_only)
{
    struct gib_view view;
    uint32_t accepted = decision->recorded & ~decision->undecided;
    struct gib_record *record = begin_record(shared, thread, site, frame, &view);
    record->site = site->index;
    record->accepted = (uint8_t)accepted;
    record->caller = gib_real_caller(&view, shared, frame);
    record->duration = (uint64_t)&frame->rbp;
    char *end = gib_capture_arguments(&view, site, frame, record);
    if (decision->depth)
        end = capture_backtrace(&view, frame, decision->depth, end);
    gib_capture_finish(record, end);
    frame->position = thread->head;
    frame->header = (uint64_t)accepted << 56;
    record->kind = entry_only ? GIB_RECORD_ENTRY : GIB_RECORD_OPEN;
    if (entry_only && !(site->flags & GIB_SITE_ENTRY_ONLY))
        gib_time_nothing(shared, thread, site, accepted);
    record->entered = frame->entered = gib_ticks();
    if (entry_only)
        gib_store(&thread->head, thread->head + (uint64_t)record->lines * GIB_LINE);
    else
        thread->open = thread->head + 1;
    gib_barrier();
    thread->busy = 0;
}

/* The result is an enum gib_enter_answer. */
uint64_t gib_enter(struct gib_frame *frame, const struct gib_site *site, struct gib_shared *shared)
{
    struct gib_thread *thread = gib_thread_here(shared, site->thread_pointer);
    bool stops = site->flags & GIB_SITE_STOP;
    if (gib_unlikely(stops) && gib_stop_passes(frame, site))
        return GIB_ENTER_PASS;
    if (!thread) {
        struct gib_thread nobody = {0};
        if (stops)
            return gib_stop_call(frame, site, gib_stops_uncounted(shared, site, &nobody, frame))
                       ? GIB_ENTER_STOP
                       : GIB_ENTER_PASS;
        return gib_diverts_uncounted(shared, site, &nobody, frame)
                   ? divert(shared, site, &nobody, frame)
                   : GIB_ENTER_PASS;
    }
    struct gib_decision decision = gib_decide(shared, site, thread, frame);
    if (gib_unlikely(stops) && gib_stop_call(frame, site, decision.accepted))
        return GIB_ENTER_STOP;
    uint64_t unrecorded = decision.divert ? divert(shared, site, thread, frame) : GIB_ENTER_PASS;
    if (!decision.recorded && !decision.undecided)
        return unrecorded;
    bool seen = !thread->busy || (thread = gib_thread_above(shared, thread, (uint64_t)frame));
    bool entry_only =
        !seen || site->flags & GIB_SITE_ENTRY_ONLY || !gib_depth_enter(thread, site, frame);
    if (entry_only && decision.undecided) {
        gib_leave_undecided(shared, site, decision.undecided);
        decision.recorded &= ~decision.undecided;
        decision.undecided = 0;
    }
    if (!seen || (!decision.recorded && !decision.undecided))
        return unrecorded;
    frame->thread = (uint64_t)thread;
    frame->position = GIB_NO_RECORD;
    frame->header = 0;
    frame->undecided = decision.undecided;
    frame->generation = thread->generation |
                        (!entry_only && frame->deep ? GIB_GENERATION_DEEP : 0) |
                        (decision.undecided ? GIB_GENERATION_UNDECIDED : 0);
    if (site->errno_rule >= GIB_ERRNO_MINUS_ONE_CHANGED && shared->errno_location)
        frame->errno_before = (uint64_t)gib_target_errno(shared);
    if (!entry_only) {
        struct gib_view view;
        gib_view_open(&view, shared, thread, (uint64_t)frame);
        frame->copy = gib_copyable(&view, site, frame);
    }
    if (decision.recorded)
        record_call(shared, site, thread, frame, &decision, entry_only);
    return entry_only ? unrecorded : GIB_ENTER_CALL;
}

/* Whether the function says, by its own convention, that it failed. */
static bool has_failed(const struct gib_site *site, uint64_t result)
{
    switch (site->errno_rule) {
    case GIB_ERRNO_MINUS_ONE:
    case GIB_ERRNO_MINUS_ONE_CHANGED:
        return site->result_size == 4 ? (uint32_t)result == UINT32_MAX : result == UINT64_MAX;
    case GIB_ERRNO_NULL:
    case GIB_ERRNO_NULL_CHANGED:
        return result == 0 || result == UINT64_MAX; /* MAP_FAILED */
    default:
        return false;
    }
}

/* errno when the call has failed, or when one of these actions looks at it; else 0. */
static int32_t failed_with(const struct gib_shared *shared, const struct gib_site *site,
                           const struct gib_frame *frame, uint32_t actions)
{
    if (!shared->errno_location)
        return 0;
    for (uint32_t i = 0; i < site->actions; i++)
        if (actions & 1u << i && site->action[i].flags & GIB_ACTION_ERRNO)
            return gib_target_errno(shared);
    if (!has_failed(site, frame->rax))
        return 0;
    int32_t code = gib_target_errno(shared);
    bool always = site->errno_rule < GIB_ERRNO_MINUS_ONE_CHANGED;
    return always || code != (int32_t)frame->errno_before ? code : 0;
}

static char *capture_result(struct gib_view *view, const struct gib_site *site,
                            struct gib_frame *frame, struct gib_record *record, char *end)
{
    switch (site->result) {
    case GIB_RESULT_XMM0:
        record->result = frame->result_xmm;
        break;
    case GIB_RESULT_XMM0_XMM1:
        record->result = frame->result_xmm;
        end = gib_capture_value(end, GIB_CHUNK_RESULT2, 0, frame->result_x87[1], 8);
        break;
    case GIB_RESULT_RAX_XMM0:
        record->result = frame->rax;
        end = gib_capture_value(end, GIB_CHUNK_RESULT2, 0, frame->result_xmm, 8);
        break;
    case GIB_RESULT_XMM0_RAX:
        record->result = frame->result_xmm;
        end = gib_capture_value(end, GIB_CHUNK_RESULT2, 0, frame->rax, 8);
        break;
    case GIB_RESULT_X87:
        record->result = frame->result_x87[0];
        end = gib_capture_value(end, GIB_CHUNK_RESULT2, 0, frame->result_x87[1], 8);
        break;
    case GIB_RESULT_RAX_RDX:
        end = gib_capture_value(end, GIB_CHUNK_RESULT2, 0, frame->gpr[2], 8);
        /* fall through */
    default:
        record->result = frame->rax;
    }
    if (gib_unlikely(has_failed(site, frame->rax))) {
        const struct gib_shared *shared = view->shared;
        if (!shared->errno_location)
            return end; /* as in the loader: nobody can say whether it failed */
        int32_t code = gib_target_errno(shared);
        bool always = site->errno_rule < GIB_ERRNO_MINUS_ONE_CHANGED;
        if (!always && code == (int32_t)frame->errno_before)
            return end; /* "no more", not a failure */
        end = gib_capture_value(end, GIB_CHUNK_ERRNO, 0, (uint32_t)code, 4);
        for (uint32_t i = 0; i < site->actions; i++)
            if (frame->header >> 56 & 1u << i)
                ++*gib_thread_counter(shared, view->thread,
                                      site->action[i].counter + GIB_COUNTER_FAILURES);
    } else if (site->result_string && frame->rax) {
        end = gib_capture_text(view, end, GIB_CHUNK_RESULT, 0, frame->rax);
    }
    return end;
}

/* The call's own record is gone from the end of the ring: others followed it, or this is another
 * process or thread. */
static void record_return(struct gib_shared *shared, const struct gib_site *site,
                          struct gib_frame *frame, uint64_t now)
{
    struct gib_thread *thread = gib_thread_here(shared, site->thread_pointer);
    if (thread && thread->busy)
        thread = gib_thread_above(shared, thread, (uint64_t)frame);
    if (!thread)
        return;
    bool elsewhere = (uint64_t)thread != frame->thread || thread->generation != frame->generation;
    struct gib_view view;
    struct gib_record *record = begin_record(shared, thread, site, frame, &view);
    record->site = site->index | (elsewhere ? (uint32_t)GIB_RECORD_ELSEWHERE << 24 : 0);
    record->kind = GIB_RECORD_RETURN;
    record->accepted = (uint8_t)(frame->header >> 56);
    record->caller = gib_real_caller(&view, shared, frame);
    record->entered = now;
    record->duration = now;
    record->word[0] = frame->position;
    record->word[1] = frame->thread - (uint64_t)shared;
    char *end = capture_result(&view, site, frame, record, (char *)(gib_record_words(record) + 3));
    gib_capture_finish(record, end);
    gib_store(&thread->head, thread->head + (uint64_t)record->lines * GIB_LINE);
    /* A forked child comes back from calls that its parent made: they are timed there. */
    if (thread->generation == frame->generation)
        gib_time_call(shared, thread, site, (uint32_t)(frame->header >> 56), now - frame->entered);
    gib_barrier();
    thread->busy = 0;
}

/* Whether the call's record is still the last one, unpublished, of this thread in this process. If
 * so, the thread's block is claimed. */
static bool claim_open(const struct gib_site *site, const struct gib_frame *frame,
                       const struct gib_hash *hash, struct gib_thread *thread)
{
    if (gib_unlikely(hash->generation != frame->generation ||
                     thread->owner != gib_thread_pointer(site->thread_pointer) || thread->busy))
        return false;
    /* Claimed first, looked at afterwards: a signal handler between the two would publish the
     * record itself. */
    thread->busy = (uint64_t)frame;
    gib_barrier();
    if (gib_likely(thread->open == frame->position + 1))
        return true;
    thread->busy = 0;
    return false;
}

/* The actions that waited for the result. False: there is nothing left to do. */
static bool decide_late(struct gib_shared *shared, const struct gib_site *site,
                        struct gib_frame *frame, const struct gib_hash *hash)
{
    struct gib_thread *thread = gib_thread_here(shared, site->thread_pointer);
    uint32_t accepted = 0;
    if (thread)
        accepted = gib_decide_on_return(shared, site, thread, frame, (uint32_t)frame->undecided);
    if (site->flags & GIB_SITE_STOP) { /* makes no records */
        gib_stop_return(frame, site, accepted, failed_with(shared, site, frame, accepted));
        return false;
    }
    if (frame->position == GIB_NO_RECORD)
        return false;
    for (uint32_t i = 0; i < site->actions; i++)
        if (site->action[i].flags & GIB_ACTION_RECORD)
            frame->header |= (uint64_t)(accepted & 1u << i) << 56;
    if (frame->header >> 56)
        return true;
    /* Nobody wants the record. If others followed it, the reader is told. */
    thread = (struct gib_thread *)frame->thread;
    if (!claim_open(site, frame, hash, thread))
        return true;
    thread->open = 0;
    gib_barrier();
    thread->busy = 0;
    return false;
}

void gib_leave(struct gib_frame *frame, const struct gib_site *site, struct gib_shared *shared)
{
    uint64_t now = gib_ticks();
    struct gib_thread *thread = (struct gib_thread *)frame->thread;
    const struct gib_hash *hash = (const struct gib_hash *)shared->hash;
    bool late = frame->generation & GIB_GENERATION_UNDECIDED;
    if (gib_unlikely(frame->generation & GIB_GENERATION_DEEP)) {
        frame->generation &= ~GIB_GENERATION_DEEP;
        if (hash->generation == (frame->generation & ~GIB_GENERATION_UNDECIDED))
            gib_depth_leave(thread, frame);
    }
    if (gib_unlikely(late)) {
        frame->generation &= ~GIB_GENERATION_UNDECIDED;
        if (!decide_late(shared, site, frame, hash))
            return;
    }
    if (gib_unlikely(!claim_open(site, frame, hash, thread))) {
        record_return(shared, site, frame, now);
        return;
    }
    struct gib_record *record = gib_ring_at(shared, thread, frame->position);
    record->duration = now - record->entered;
    record->kind = GIB_RECORD_CALL;
    record->accepted = (uint8_t)(frame->header >> 56);
    struct gib_view view;
    gib_view_open(&view, shared, thread, (uint64_t)frame);
    if (gib_likely(!site->result_string && !site->errno_rule && site->result <= GIB_RESULT_RAX)) {
        record->result = frame->rax;
    } else {
        char *end = gib_capture_end(site, record);
        char *grown = capture_result(&view, site, frame, record, end);
        if (grown != end)
            gib_capture_finish(record, grown);
    }
    thread->open = 0;
    gib_store(&thread->head, frame->position + (uint64_t)record->lines * GIB_LINE);
    gib_time_call(shared, thread, site, record->accepted, now - frame->entered);
    gib_barrier();
    thread->busy = 0;
}

/* The slow path of a thunk that only counts: this thread was not in the first slot of the table. */
void gib_count(uint32_t counter, struct gib_shared *shared, uint32_t mode)
{
    uint64_t pointer = gib_thread_pointer(mode);
    struct gib_thread *thread = gib_thread_slow(shared, pointer);
    if (thread)
        ++*gib_thread_counter(shared, thread, counter);
}

const struct gib_range *gib_arena_of(const struct gib_shared *shared, uint64_t pc)
{
    if (pc < shared->arena_low || pc >= shared->arena_high)
        return NULL;
    for (uint32_t i = 0; i < shared->arena_count; i++)
        if (pc >= shared->arena[i].start && pc < shared->arena[i].end)
            return &shared->arena[i];
    return NULL;
}

static const struct gib_mapped_object *object_of(const struct gib_shared *shared, uint64_t pc)
{
    uint64_t count = gib_load(&shared->object_count);
    for (uint64_t i = 0; i < count && i < GIB_MAX_OBJECTS; i++)
        if (pc >= shared->object[i].start && pc < shared->object[i].end)
            return &shared->object[i];
    return NULL;
}

/* The unwind entry of the function at pc, by the search table of the object. The engine has checked
 * the table: all addresses have four bytes, so an entry is length, CIE, start, size. */
static const void *search_frames(const struct gib_mapped_object *object, uint64_t pc,
                                 struct gib_unwind_bases *bases)
{
    const struct gib_frame_entry *entry =
        (const struct gib_frame_entry *)(object->frames + GIB_FRAME_TABLE);
    uint64_t low = 0, high = object->count; /* the last one that begins at or before pc */
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (object->frames + (uint64_t)(int64_t)entry[middle].function <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return NULL;
    entry += low - 1;
    uint64_t function = object->frames + (uint64_t)(int64_t)entry->function;
    const uint32_t *fde = (const uint32_t *)(object->frames + (uint64_t)(int64_t)entry->fde);
    if (pc - function >= fde[3])
        return NULL;
    bases->text = bases->data = 0;
    bases->function = function;
    return fde;
}

/* The agent's own, in its image; the linker made the table in the same form. */
extern const uint8_t gib_frame_header[] __attribute__((visibility("hidden")));
static struct gib_mapped_object own_frames(void)
{
    uint32_t count;
    __builtin_memcpy(&count, gib_frame_header + GIB_FRAME_TABLE - sizeof count, sizeof count);
    return (struct gib_mapped_object){.frames = (uint64_t)gib_frame_header, .count = count};
}

/*
 * What libgcc's unwinder asks for each frame (unwind-dw2-fde.h). For a thunk the answer is one
 * unwind entry that the engine put at the start of each arena: an ordinary frame with a frame
 * pointer. So exceptions and pthread_cancel pass through a patched function, and through a
 * package's. The agent's own frames are on a stack behind a handler.
 */
const void *gib_find_fde(uint64_t pc, struct gib_unwind_bases *bases, struct gib_shared *shared)
{
    const struct gib_range *arena = gib_arena_of(shared, pc);
    const struct gib_mapped_object *object = arena ? NULL : object_of(shared, pc);
    if (object)
        return object->count ? search_frames(object, pc, bases) : NULL;
    if (!arena)
        return NULL;
    if (gib_in_agent(shared, pc)) {
        const struct gib_mapped_object agent = own_frames();
        return search_frames(&agent, pc, bases);
    }
    bases->text = bases->data = 0;
    bases->function = arena->start;
    return (const void *)(arena->start + GIB_ARENA_FDE);
}

/* The same question, as libgcc asks it of glibc since 2.35: also where the unwinder itself is part
 * of a stripped program. */
int gib_find_object(uint64_t pc, struct gib_found_object *object, struct gib_shared *shared)
{
    const struct gib_range *arena = gib_arena_of(shared, pc);
    const struct gib_mapped_object *mapped = arena ? NULL : object_of(shared, pc);
    if (mapped && mapped->frames) {
        object->flags = object->link_map = 0;
        object->map_start = mapped->start;
        object->map_end = mapped->end;
        object->eh_frame_header = mapped->frames;
        return 0;
    }
    if (!arena)
        return -1;
    object->flags = object->link_map = 0;
    if (gib_in_agent(shared, pc)) {
        object->map_start = shared->agent_start;
        object->map_end = shared->agent_end;
        object->eh_frame_header = (uint64_t)gib_frame_header;
        return 0;
    }
    object->map_start = arena->start;
    object->map_end = arena->end;
    object->eh_frame_header = arena->start + GIB_ARENA_HDR;
    return 0;
}
