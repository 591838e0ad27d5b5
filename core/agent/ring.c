/*
 * ring.c: one writer, the thread itself; one reader, in the debugger; no locks.
 *
 *      tail            read                       head          open
 *       |  overwritable |  not yet read            | being built |
 *  -----+---------------+--------------------------+-------------+------ positions only grow;
 * offset = position % ring_size
 *
 * A record is built at `head`, unpublished; one release store of `head` publishes it. `open` says
 * that an unpublished record is complete enough to be shown if the thread never comes back.
 */
#include "agent.h"

struct gib_record *gib_ring_at(const struct gib_shared *shared, struct gib_thread *thread,
                               uint64_t position)
{
    char *ring = (char *)thread + shared->ring_offset;
    return (struct gib_record *)(ring + (position & (shared->ring_size - 1)));
}

static uint64_t milliseconds(void)
{
    enum { CLOCK_MONOTONIC = 1 };
    struct {
        uint64_t seconds, nanoseconds;
    } now = {0, 0};
    gib_syscall(GIB_SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)&now, 0, 0);
    return now.seconds * 1000 + now.nanoseconds / 1000000;
}

/* Waits until the reader has made room, as long as it is alive, but not for ever: it may have been
 * stopped with its debugger. Time is measured, not naps: signals cut naps short. But of one nap
 * only a little counts: this process may have been stopped, and the debugger with it. */
static bool wait_for_reader(struct gib_shared *shared, struct gib_thread *thread, uint64_t end)
{
    enum { PATIENCE = 2000, LONGEST = 20 }; /* ms without a sign of life; of one nap */
    if (!gib_load(&shared->reader) || shared->overflow)
        return false;
    uint32_t beat = gib_load(&shared->reader_beat);
    uint64_t silent = 0, before = 0;
    int spins = 0;
    for (;;) {
        thread->read_cache = gib_load(&thread->read);
        if (end - thread->read_cache <= shared->ring_size)
            return true;
        if (spins++ < 64) {
            gib_syscall(GIB_SYS_SCHED_YIELD, 0, 0, 0, 0);
            continue;
        }
        if (!before)
            before = milliseconds();
        struct {
            long seconds, nanoseconds;
        } pause = {0, 1000000};
        gib_syscall(GIB_SYS_NANOSLEEP, (long)&pause, 0, 0, 0);
        uint64_t after = milliseconds();
        silent += after - before < LONGEST ? after - before : LONGEST;
        before = after;
        uint32_t now = gib_load(&shared->reader_beat);
        if (now != beat) {
            beat = now;
            silent = 0;
        } else if (silent > PATIENCE || !gib_load(&shared->reader)) {
            gib_store(&shared->reader, 0); /* nobody waits for it again until it says so */
            return false;
        }
    }
}

/* What the reader has read may have been written over, and is not to be looked at: the tail is
 * where the reader is, if that is further. */
static void catch_up(struct gib_thread *thread, uint64_t *tail, uint64_t *dropped)
{
    for (int tries = 0; tries < 100; tries++) {
        uint64_t turn = gib_load(&thread->checkpoints);
        uint64_t position = gib_load(&thread->checkpoint[turn & 1].position);
        uint64_t taken = gib_load(&thread->checkpoint[turn & 1].taken);
        if (turn != gib_load(&thread->checkpoints))
            continue;
        if (position > *tail && position <= thread->head) {
            *tail = position;
            *dropped = taken;
            thread->tail_pid = thread->tail_tid = 0; /* the reader knows */
        }
        return;
    }
}

/* Gives up the oldest records. The tail moves before their bytes change, so that the reader can
 * tell. */
static void overwrite(struct gib_shared *shared, struct gib_thread *thread, uint64_t end)
{
    uint64_t tail = thread->tail, dropped = thread->dropped;
    gib_store(&thread->overwriting, thread->overwriting | 1);
    catch_up(thread, &tail, &dropped);
    while (end - tail > shared->ring_size && tail < thread->head) {
        const struct gib_record *oldest = gib_ring_at(shared, thread, tail);
        uint64_t size = (uint64_t)(oldest->lines ? oldest->lines : 1) * GIB_LINE;
        dropped += oldest->kind != GIB_RECORD_PAD && oldest->kind != GIB_RECORD_THREAD;
        if (oldest->kind == GIB_RECORD_THREAD) {
            thread->tail_pid = (int32_t)oldest->word[0];
            thread->tail_tid = (int32_t)oldest->word[1];
        }
        tail += size;
    }
    gib_store(&thread->dropped, dropped);
    gib_store(&thread->tail, tail);
    gib_store(&thread->overwriting, thread->overwriting + 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

struct gib_record *gib_ring_reserve(struct gib_shared *shared, struct gib_thread *thread,
                                    uint32_t lines)
{
    uint64_t size = (uint64_t)lines * GIB_LINE;
    uint64_t left = shared->ring_size - (thread->head & (shared->ring_size - 1));
    uint64_t pad = left < size ? left : 0;
    uint64_t end = thread->head + pad + size;
    uint64_t oldest = thread->read_cache > thread->tail ? thread->read_cache : thread->tail;
    if (gib_unlikely(end - oldest > shared->ring_size)) {
        if (!wait_for_reader(shared, thread, end)) {
            overwrite(shared, thread, end);
        }
    }
    if (gib_unlikely(pad)) {
        struct gib_record *filler = gib_ring_at(shared, thread, thread->head);
        filler->site = 0;
        filler->lines = (uint16_t)(pad / GIB_LINE);
        filler->kind = GIB_RECORD_PAD;
        gib_store(&thread->head, thread->head + pad);
    }
    struct gib_record *record = gib_ring_at(shared, thread, thread->head);
    oldest = thread->read_cache > thread->tail ? thread->read_cache : thread->tail;
    uint64_t room = oldest + shared->ring_size;
    uint64_t wrap = (thread->head | (shared->ring_size - 1)) + 1;
    thread->limit = room < wrap ? room : wrap;
    thread->base = (uint64_t)record - thread->head;
    return record;
}

void gib_ring_publish_open(struct gib_shared *shared, struct gib_thread *thread)
{
    uint64_t position = thread->open - 1;
    struct gib_record *record = gib_ring_at(shared, thread, position);
    record->kind = GIB_RECORD_OPEN;
    thread->open = 0;
    gib_store(&thread->head, position + (uint64_t)record->lines * GIB_LINE);
}
