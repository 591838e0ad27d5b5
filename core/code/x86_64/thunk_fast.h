/*
 * thunk_fast.h: the part of a thunk that writes a plain record by itself, without the agent. Pure.
 */
#ifndef GIBBON_THUNK_FAST_H
#define GIBBON_THUNK_FAST_H

#include "code/x86_64/assembler.h"
#include "code/x86_64/thunk.h"

/* Where the fast part gives up. In each place the frame is set up. */
struct gib_fast_exits {
    struct label enter, enter_claimed; /* before the call; `claimed`: the thread's block is ours */
    struct label unsaved;              /* behind the call, nothing saved yet */
    struct label leave, leave_claimed; /* behind the call */
};

/* Whether a thunk for this request has a fast part. */
bool gib_fast_possible(const struct gib_thunk_request *request);
/* From behind the frame's set-up to `ret`. */
void gib_fast_body(struct emitter *e, const struct gib_thunk_request *request,
                   struct gib_fast_exits *exits);
/* What goes before the general part: falls through with all registers as they were at the call. */
void gib_fast_to_enter(struct emitter *e, const struct gib_fast_exits *exits);
/* Jumps to `leave`, the general part behind the call, with all registers as the original left them.
 */
void gib_fast_to_leave(struct emitter *e, const struct gib_fast_exits *exits, uint64_t leave);

/* thunk.c: repeats the caller's stack arguments below the frame, at the same alignment. Uses rax,
 * and beyond 64 bytes rcx, rsi, rdi. */
void gib_copy_stack(struct emitter *e, uint32_t size);

#endif
