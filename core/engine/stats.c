/* stats.c: adds up what the agent has counted. Counters and times are the target's: they are added
 * up, never trusted for anything else. */
#include "engine/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "engine/internal.h"

/* ---- times ---- */

void gib_times_add(struct gib_times *times, uint64_t ticks)
{
    if ((int64_t)ticks < 0)
        ticks = 0; /* as the agent does */
    if (!times->timed || ticks < times->least)
        times->least = ticks;
    if (ticks > times->most)
        times->most = ticks;
    times->timed++;
    times->total += ticks;
    times->bucket[gib_histogram_index(ticks)]++;
}

void gib_times_sum(struct gib_times *times, const struct gib_histogram *from)
{
    uint64_t sum = 0, least = __atomic_load_n(&from->least, __ATOMIC_RELAXED);
    uint64_t last = __atomic_load_n(&from->last, __ATOMIC_RELAXED);
    bool exact = false;
    for (uint32_t i = 0; i < GIB_HISTOGRAM_BUCKETS; i++) {
        uint64_t count = __atomic_load_n(&from->bucket[i], __ATOMIC_RELAXED);
        /* `least` leaves out the shortest, but those have a bucket for each number of ticks. */
        if (count && !exact && i < 1 << GIB_HISTOGRAM_FINE)
            least = i;
        exact |= count != 0;
        times->bucket[i] += count;
        sum += count;
    }
    if (sum) {
        uint64_t most = __atomic_load_n(&from->most, __ATOMIC_RELAXED);
        if (!times->timed || least < times->least)
            times->least = least;
        if (most > times->most)
            times->most = most;
        times->timed += sum;
        times->total += __atomic_load_n(&from->total, __ATOMIC_RELAXED);
    }
    gib_times_add(times, last);
}

double gib_times_share(const struct gib_times *times, double share)
{
    double rank = ceil(share * (double)times->timed);
    uint64_t wanted = rank < 1 ? 1 : (uint64_t)rank, below = 0;
    if (!times->timed)
        return 0;
    if (wanted > times->timed)
        wanted = times->timed;
    for (uint32_t i = 0; i < GIB_HISTOGRAM_BUCKETS; i++) {
        below += times->bucket[i];
        if (below < wanted)
            continue;
        /* The middle of the bucket; of its part that there were times in. */
        double from = (double)gib_histogram_from(i);
        double to = i + 1 < GIB_HISTOGRAM_BUCKETS ? (double)gib_histogram_from(i + 1) - 1 : from;
        double middle = (from + to) / 2;
        if (middle < (double)times->least)
            middle = (double)times->least;
        return middle > (double)times->most ? (double)times->most : middle;
    }
    return (double)times->most;
}

/* ---- patches ---- */

bool gib_patch_timed(const struct gib_patch *patch)
{
    return !patch->count_only && !gib_patch_uncounted(patch) &&
           (patch->type == GIB_PATCH_WRAP || patch->type == GIB_PATCH_MOCK ||
            patch->type == GIB_PATCH_HANDLER);
}

/* At an address that the target gives; NULL when no histogram is there. */
static const struct gib_histogram *histogram_at(const struct gib_process *process, uint64_t address)
{
    const struct gib_shared *shared = process->shared;
    uint64_t offset = address - process->data - shared->histograms;
    if (!address || offset % sizeof(struct gib_histogram) ||
        offset / sizeof(struct gib_histogram) >= GIB_MAX_HISTOGRAMS ||
        shared->histograms + offset + sizeof(struct gib_histogram) > process->size)
        return NULL;
    return (const struct gib_histogram *)((const char *)shared + shared->histograms + offset);
}

/* The counters of one thread; NULL: there are none. */
static const uint64_t *counters_of(const struct gib_process *process, uint32_t thread,
                                   uint32_t counter)
{
    const struct gib_shared *shared = process->shared;
    uint64_t at =
        shared->threads + thread * shared->thread_size + shared->counters_offset + 8ull * counter;
    uint64_t end = process->size - (uint64_t)GIB_MAX_ARENAS * GIB_ARENA_SIZE;
    return at + 8ull * GIB_COUNTER_WORDS <= end ? (const uint64_t *)((const char *)shared + at)
                                                : NULL;
}

void gib_patch_times(const struct gib_engine *engine, const struct gib_patch *patch,
                     struct gib_times *times)
{
    const struct gib_process *process = engine->process;
    memset(times, 0, sizeof *times);
    if (patch->earlier_times)
        *times = *patch->earlier_times;
    times->calls = patch->earlier_calls;
    times->failures = patch->earlier_failures;
    if (!process || !process->installed)
        return;
    for (uint32_t i = 0; i < process->site_count; i++) {
        struct gib_layer *layer = NULL;
        const struct gib_chain_link *link = gib_site_link_of(process->site[i], patch, &layer);
        const uint64_t *counter;
        for (uint32_t t = 0; link && t < process->shared->threads_used && t < GIB_MAX_THREADS &&
                             (counter = counters_of(process, t, link->counter));
             t++) {
            /* Times first: a call that begins meanwhile is then one that has not returned. */
            const struct gib_histogram *histogram = histogram_at(
                process, __atomic_load_n(&counter[GIB_COUNTER_HISTOGRAM], __ATOMIC_ACQUIRE));
            if (histogram)
                gib_times_sum(times, histogram);
            times->untimed += counter[GIB_COUNTER_UNTIMED];
            times->failures += counter[GIB_COUNTER_FAILURES];
            __atomic_thread_fence(__ATOMIC_ACQUIRE);
            uint64_t calls = counter[GIB_COUNTER_CALLS];
            times->calls += calls;
            if (layer->kind == GIB_THUNK_ENTRY_ONLY)
                times->unwatched += calls;
        }
    }
}

void gib_patch_remember(struct gib_engine *engine, struct gib_patch *patch)
{
    struct gib_times *times = malloc(sizeof *times);
    if (times)
        gib_patch_times(engine, patch, times);
    patch->earlier_calls = gib_patch_calls(engine, patch, &patch->earlier_failures);
    patch->earlier_unknown = gib_patch_unknown(engine, patch);
    patch->earlier_undecided = gib_patch_undecided(engine, patch);
    if (!times)
        return;
    free(patch->earlier_times);
    patch->earlier_times = times;
    if (!times->timed && !times->untimed && !times->unwatched) {
        free(times); /* of ten thousand patches most were never called */
        patch->earlier_times = NULL;
    }
}

void gib_patch_forget_counts(struct gib_patch *patch)
{
    patch->stopped = patch->earlier_calls = patch->earlier_failures = 0;
    patch->earlier_unknown = patch->earlier_undecided = 0;
    free(patch->earlier_times);
    patch->earlier_times = NULL;
}
