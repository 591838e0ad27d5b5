/*
 * stats.h: how often the calls of a patch were made and how long they took: all of them, of all
 * threads and forked children of the process that runs or ran last. Recorded calls that the log
 * has lost are among them.
 */
#ifndef GIBBON_ENGINE_STATS_H
#define GIBBON_ENGINE_STATS_H

#include <stdbool.h>
#include "agent/layout.h"

struct gib_engine;
struct gib_patch;

struct gib_times {
    uint64_t calls, failures;
    /* Calls without a time: of functions whose return is not watched; too deep in the stack, or
     * with no memory left for times. What is missing still has not returned, or never did. */
    uint64_t unwatched, untimed;
    uint64_t timed, least, most, total; /* ticks */
    uint64_t bucket[GIB_HISTOGRAM_BUCKETS];
};

/* Fills in *times. While the program runs, calls that end meanwhile may be missing. */
void gib_patch_times(const struct gib_engine *engine, const struct gib_patch *patch,
                     struct gib_times *times);
/* Whether calls of the patch are timed at all: those of -count and of replacements are not. */
bool gib_patch_timed(const struct gib_patch *patch);
/* Before the counters go, with the process or with Gibbon's memory in it: keeps what they say. */
void gib_patch_remember(struct gib_engine *engine, struct gib_patch *patch);
void gib_patch_forget_counts(struct gib_patch *patch);

/* Adds one time; pure, as the two below. */
void gib_times_add(struct gib_times *times, uint64_t ticks);
/* Adds what a thread has counted; `from` may be written to meanwhile. */
void gib_times_sum(struct gib_times *times, const struct gib_histogram *from);
/* The time that this share (0 to 1) of the timed calls did not exceed; 0 when there is none.
 * Not more than a sixteenth off. */
double gib_times_share(const struct gib_times *times, double share);

#endif
