/* thread.c: from the thread that runs to its block of shared memory. */
#include "agent.h"

uint64_t gib_thread_pointer(uint32_t mode)
{
    uint64_t pointer;
    if (gib_likely(mode == GIB_POINTER_FS0))
        return gib_fs0();
    if (mode == GIB_POINTER_RDFSBASE) {
        __asm__ volatile("rdfsbase %0" : "=r"(pointer));
    } else {
        enum { ARCH_GET_FS = 0x1003 };
        pointer = 0;
        gib_syscall(GIB_SYS_ARCH_PRCTL, ARCH_GET_FS, (long)&pointer, 0, 0);
    }
    return pointer ? pointer
                   : 1; /* before libc has set up TLS there is one thread and no pointer */
}

static struct gib_thread *block_at(const struct gib_shared *shared, uint32_t index)
{
    return (struct gib_thread *)((char *)shared + shared->threads + index * shared->thread_size);
}

/* glibc keeps the kernel's thread id at a fixed place behind the thread pointer; it changes when a
 * new thread gets a dead one's stack, and in a forked child. -1: not known. */
static int32_t libc_tid(const struct gib_shared *shared, uint64_t thread_pointer)
{
    if (!shared->tid_offset || thread_pointer == 1)
        return -1;
    return *(volatile int32_t *)(thread_pointer + shared->tid_offset);
}

/* Tells the reader that the records which follow are those of (pid, tid). */
static void announce(struct gib_shared *shared, struct gib_thread *thread, int32_t pid, int32_t tid)
{
    thread->pid = pid;
    thread->tid = tid;
    gib_depth_learn(shared, thread, (uint64_t)__builtin_frame_address(0));
    struct gib_record *record = gib_ring_reserve(shared, thread, 1);
    if (!record)
        return;
    record->site = 0;
    record->lines = 1;
    record->kind = GIB_RECORD_THREAD;
    record->entered = gib_ticks();
    record->word[0] = (uint32_t)pid;
    record->word[1] = (uint32_t)tid;
    gib_store(&thread->head, thread->head + GIB_LINE);
}

static bool is_dead(const struct gib_thread *thread)
{
    enum { ESRCH = 3 };
    return gib_syscall(GIB_SYS_TGKILL, thread->pid, thread->tid, 0, 0) == -ESRCH;
}

/* A free block, or one whose thread is dead and whose records have been read. */
static struct gib_thread *claim(struct gib_shared *shared, uint64_t owner)
{
    for (uint32_t i = 0; i < GIB_MAX_THREADS; i++) {
        struct gib_thread *thread = block_at(shared, i);
        uint64_t free = 0;
        if (__atomic_load_n(&thread->owner, __ATOMIC_RELAXED) == 0 &&
            __atomic_compare_exchange_n(&thread->owner, &free, owner, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            uint32_t used = __atomic_load_n(&shared->threads_used, __ATOMIC_RELAXED);
            while (used < i + 1 &&
                   !__atomic_compare_exchange_n(&shared->threads_used, &used, i + 1, false,
                                                __ATOMIC_RELEASE, __ATOMIC_RELAXED))
                ;
            return thread;
        }
    }
    for (uint32_t i = 0; i < GIB_MAX_THREADS; i++) {
        struct gib_thread *thread = block_at(shared, i);
        uint64_t old = gib_load(&thread->owner);
        if (gib_load(&thread->head) == gib_load(&thread->read) && is_dead(thread) &&
            __atomic_compare_exchange_n(&thread->owner, &old, owner, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
            return thread;
    }
    return NULL;
}

static struct gib_thread *new_block(struct gib_shared *shared, uint64_t owner, uint64_t generation)
{
    struct gib_thread *thread = claim(shared, owner);
    if (!thread) {
        __atomic_add_fetch(&shared->unrecorded, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    if (thread->open) /* the thread before ended inside a call */
        gib_ring_publish_open(shared, thread);
    thread->busy = 0;
    thread->above = 0;
    thread->stack_low = thread->stack_high = 0;
    thread->generation = generation;
    announce(shared, thread, (int32_t)gib_syscall(GIB_SYS_GETPID, 0, 0, 0, 0),
             (int32_t)gib_syscall(GIB_SYS_GETTID, 0, 0, 0, 0));
    return thread;
}

/* The table's entry for this thread: found, or made with a block of its own. */
struct gib_thread *gib_thread_slow(struct gib_shared *shared, uint64_t thread_pointer)
{
    struct gib_hash *hash = (struct gib_hash *)shared->hash;
    if (!hash->generation) {
        /* Right after fork, or at the first call ever. Only one thread exists then, or all write
         * the same. */
        hash->generation = (uint64_t)gib_syscall(GIB_SYS_GETPID, 0, 0, 0, 0);
    }
    uint32_t index = gib_hash_index(thread_pointer);
    for (uint32_t i = 0; i < GIB_HASH_SLOTS; i++, index = (index + 1) & (GIB_HASH_SLOTS - 1)) {
        struct gib_hash_slot *slot = &hash->slot[index];
        uint64_t owner = gib_load(&slot->owner);
        if (owner == 0 && __atomic_compare_exchange_n(&slot->owner, &owner, thread_pointer, false,
                                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            owner = thread_pointer;
        if (owner != thread_pointer)
            continue;
        /* Only this thread uses the slot now; a signal handler may have come between, hence the
         * second look. */
        struct gib_thread *known = (struct gib_thread *)slot->block;
        if (known && known->owner == thread_pointer)
            return known;
        struct gib_thread *thread = new_block(shared, thread_pointer, hash->generation);
        if (slot->block != (uint64_t)known)
            return (struct gib_thread *)slot->block;
        if (thread)
            slot->block = (uint64_t)thread;
        return thread;
    }
    __atomic_add_fetch(&shared->unrecorded, 1, __ATOMIC_RELAXED);
    return NULL;
}

struct gib_thread *gib_thread_here(struct gib_shared *shared, uint32_t mode)
{
    uint64_t pointer = gib_thread_pointer(mode);
    struct gib_hash *hash = (struct gib_hash *)shared->hash;
    struct gib_hash_slot *slot = &hash->slot[gib_hash_index(pointer)];
    struct gib_thread *thread = (struct gib_thread *)slot->block;
    if (gib_unlikely(!thread || thread->owner != pointer) &&
        !(thread = gib_thread_slow(shared, pointer)))
        return NULL;
    int32_t tid = libc_tid(shared, pointer);
    if (gib_unlikely(tid != thread->tid)) {
        /* Ask the kernel: the libc of this program may keep something else there, or nothing yet.
         */
        tid = (int32_t)gib_syscall(GIB_SYS_GETTID, 0, 0, 0, 0);
        if (tid != thread->tid && !thread->busy) {
            if (thread->open)
                gib_ring_publish_open(shared, thread);
            thread->stack_low = thread->stack_high = 0;
            announce(shared, thread, (int32_t)gib_syscall(GIB_SYS_GETPID, 0, 0, 0, 0), tid);
        }
    }
    return thread;
}

/* The writer was interrupted by a handler that never came back to it (siglongjmp): the stack is
 * below where it stood. Not on an alternate stack, which may lie anywhere. */
static bool writer_is_gone(const struct gib_thread *thread, uint64_t sp)
{
    enum { ONSTACK = 1 };
    struct {
        uint64_t sp;
        int32_t flags;
        uint64_t size;
    } alternate = {0, ONSTACK, 0};
    if (sp < thread->busy)
        return false;
    return gib_syscall(GIB_SYS_SIGALTSTACK, 0, (long)&alternate, 0, 0) == 0 &&
           !(alternate.flags & ONSTACK);
}

/* A signal handler interrupted the writing of a record: its own records go to a block of their own.
 */
struct gib_thread *gib_thread_above(struct gib_shared *shared, struct gib_thread *thread,
                                    uint64_t sp)
{
    for (int level = 0; thread && thread->busy && level < 8; level++) {
        if (writer_is_gone(thread, sp)) {
            thread->busy = 0;
            break;
        }
        struct gib_thread *above = (struct gib_thread *)thread->above;
        if (!above || above->generation != thread->generation) {
            above = new_block(shared, thread->owner, thread->generation);
            if (above)
                above->level = thread->level + 1;
            thread->above = (uint64_t)above;
        } else if (above->tid != thread->tid && !above->busy) {
            announce(shared, above, thread->pid, thread->tid);
        }
        thread = above;
    }
    if (thread && !thread->busy)
        return thread;
    __atomic_add_fetch(&shared->unrecorded, 1, __ATOMIC_RELAXED);
    return NULL;
}
