/*
 * nesting.h: which calls each thread is in, as far as their opening lines have been shown.
 *
 * Calls are known by their site and the time they began, not by their place on a stack: a function
 * may be left by longjmp, and coroutines return in any order.
 */
#ifndef GIBBON_NESTING_H
#define GIBBON_NESTING_H

#include "log/log.h"

enum { GIB_NESTING_SHOWN = 24 }; /* levels that are indented; deeper ones stay there */

struct gib_nesting {
    struct gib_nesting_thread *thread; /* only those inside a call */
    size_t count, room;
};

void gib_nesting_free(struct gib_nesting *nesting);
/* How many calls the thread of `call` is in. */
unsigned gib_nesting_depth(const struct gib_nesting *nesting, const struct gib_call *call);
/* The opening line of a call was shown. */
void gib_nesting_begin(struct gib_nesting *nesting, const struct gib_call *call);
/* The call has ended. True when its opening line was shown; calls inside it that are still open
 * have been left without a return, and are forgotten. */
bool gib_nesting_end(struct gib_nesting *nesting, const struct gib_call *call);

#endif
