/*
 * histogram.c: how long calls took. The fast part of a thunk does the same for calls that it
 * completes itself (core/code/x86_64/thunk_fast.c), once the thread has a histogram here.
 */
#include "agent.h"

/* The next free page of the shared memory; NULL when there is none. It is of this thread and this
 * patch for ever: a thread that comes after this one goes on with it, as with its counters. */
static struct gib_histogram *take(struct gib_shared *shared)
{
    /* Looked at first: later calls without one must not count on for ever. */
    if (__atomic_load_n(&shared->histograms_used, __ATOMIC_RELAXED) >= GIB_MAX_HISTOGRAMS)
        return NULL;
    uint64_t index = __atomic_fetch_add(&shared->histograms_used, 1, __ATOMIC_RELAXED);
    if (index >= GIB_MAX_HISTOGRAMS)
        return NULL;
    struct gib_histogram *taken =
        (struct gib_histogram *)((char *)shared + shared->histograms) + index;
    taken->least = UINT64_MAX;
    return taken;
}

/* The call before this one goes into its bucket. */
static void add(struct gib_histogram *times, uint64_t last)
{
    enum { LEAST = 1 << GIB_HISTOGRAM_FINE };
    uint64_t ticks = times->last;
    times->last = last;
    /* Two processors' counters may be apart by more than a short call takes. */
    if ((int64_t)ticks < 0)
        ticks = 0;
    if (ticks < times->least)
        times->least = ticks < LEAST ? LEAST : ticks;
    if (ticks > times->most)
        times->most = ticks;
    times->total += ticks;
    times->bucket[gib_histogram_index(ticks)]++;
}

void gib_time_call(struct gib_shared *shared, struct gib_thread *thread,
                   const struct gib_site *site, uint32_t accepted, uint64_t ticks)
{
    for (uint32_t i = 0; i < site->actions; i++) {
        if (!(accepted & 1u << i))
            continue;
        uint64_t *counter = gib_thread_counter(shared, thread, site->action[i].counter);
        struct gib_histogram *times = (struct gib_histogram *)counter[GIB_COUNTER_HISTOGRAM];
        if (gib_likely(times)) {
            add(times, ticks);
        } else if ((times = take(shared))) {
            times->last = ticks;
            gib_barrier();
            counter[GIB_COUNTER_HISTOGRAM] = (uint64_t)times;
        } else {
            ++counter[GIB_COUNTER_UNTIMED];
        }
    }
}

void gib_time_nothing(struct gib_shared *shared, struct gib_thread *thread,
                      const struct gib_site *site, uint32_t accepted)
{
    for (uint32_t i = 0; i < site->actions; i++)
        if (accepted & 1u << i)
            ++gib_thread_counter(shared, thread, site->action[i].counter)[GIB_COUNTER_UNTIMED];
}
