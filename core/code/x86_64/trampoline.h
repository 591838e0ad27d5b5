/* trampoline.h: from a relocated window to a trampoline that unwinders understand. Pure. */
#ifndef GIBBON_TRAMPOLINE_H
#define GIBBON_TRAMPOLINE_H

#include "gibbon/relocate.h"

/* Calls among the displaced instructions. */
enum gib_trampoline_calls {
    GIB_CALLS_NONE,   /* none, or only such as ask for their own address, which the copy pushes */
    GIB_CALLS_HOME,   /* one, the last instruction: the copy pushes the address behind the original
                         and jumps. The processor's shadow stack has no such return address. */
    GIB_CALLS_INSIDE, /* one that returns into the copy, for which there are no unwind rows and no
                         exception handlers */
};

/*
 * When the last displaced instruction is a call, makes the copy push the address behind the
 * original call and jump, so that the callee returns into the function itself, as it would have.
 * Its return address then has the function's own unwind rows and exception handlers; the copy of a
 * call would have none. `request` and `relocation` are those of gib_relocate.
 */
enum gib_trampoline_calls gib_trampoline_return_home(const struct gib_relocation_request *request,
                                                     struct gib_relocation *relocation);

#endif
