/* trampoline.h: from a relocated window to a trampoline that unwinders understand. Pure. */
#ifndef GIBBON_TRAMPOLINE_H
#define GIBBON_TRAMPOLINE_H

#include "gibbon/relocate.h"

/*
 * When the last displaced instruction is a call, makes the copy push the address behind the
 * original call and jump, so that the callee returns into the function itself, as it would have.
 * Its return address then has the function's own unwind rows and exception handlers; the copy of a
 * call would have none. `request` and `relocation` are those of gib_relocate. False when a call
 * remains whose return address is in the copy.
 */
bool gib_trampoline_return_home(const struct gib_relocation_request *request,
                                struct gib_relocation *relocation);

#endif
