/*
 * agent.h: shared by the agent's few files.
 *
 * The agent is the code that runs in the target when a patched function is called. It is
 * freestanding: no libc, no thread-local storage, no relocations, no writable data of its own, no
 * vector registers. It calls nothing of the target but __errno_location, after a failed call and
 * around handlers. Everything it knows is in struct gib_shared. libffi, for handlers, is linked
 * into it; that does use vector registers.
 */
#ifndef GIBBON_AGENT_H
#define GIBBON_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include "layout.h"

/* The image runs at any address: the address of a function is taken relative to the instruction,
 * not from a table, which the linker would turn into a number. */
#pragma GCC visibility push(hidden)

/* Linux system calls, man 2 syscall: r10 instead of rcx, rcx and r11 are lost. */
static inline long gib_syscall(long number, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}
static inline long gib_syscall6(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
enum {
    GIB_SYS_READ = 0,
    GIB_SYS_CLOSE = 3,
    GIB_SYS_RT_SIGPROCMASK = 14,
    GIB_SYS_SCHED_YIELD = 24,
    GIB_SYS_NANOSLEEP = 35,
    GIB_SYS_CLOCK_GETTIME = 228,
    GIB_SYS_GETPID = 39,
    GIB_SYS_ARCH_PRCTL = 158,
    GIB_SYS_GETTID = 186,
    GIB_SYS_SIGALTSTACK = 131,
    GIB_SYS_TGKILL = 234,
    GIB_SYS_OPENAT = 257,
    GIB_SYS_PROCESS_VM_READV = 310,
};

static inline uint64_t gib_ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* A signal handler on this thread may run between any two instructions: the compiler must not
 * reorder around these. */
#define gib_barrier()   __asm__ volatile("" ::: "memory")
#define gib_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define gib_load(p)     __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define gib_likely(x)   __builtin_expect(!!(x), 1)
#define gib_unlikely(x) __builtin_expect(!!(x), 0)

/* agent.c: the arena that holds pc, or NULL. */
const struct gib_range *gib_arena_of(const struct gib_shared *shared, uint64_t pc);

/* thread.c */
struct gib_thread *gib_thread_here(struct gib_shared *shared, uint32_t mode);
struct gib_thread *gib_thread_slow(struct gib_shared *shared, uint64_t thread_pointer);
struct gib_thread *gib_thread_above(struct gib_shared *shared, struct gib_thread *thread,
                                    uint64_t sp);
/* x86-64 ABI, "Thread-local storage": the word at fs:0 is the thread pointer itself. Only where
 * thread-local storage is known to be set up: before that it is a fault. */
static inline uint64_t gib_fs0(void)
{
    uint64_t pointer;
    __asm__ volatile("mov %%fs:0, %0" : "=r"(pointer));
    return pointer;
}
uint64_t gib_thread_pointer(uint32_t mode); /* enum gib_thread_pointer */
static inline uint64_t *gib_thread_counter(const struct gib_shared *shared,
                                           struct gib_thread *thread, uint32_t counter)
{
    return (uint64_t *)((char *)thread + shared->counters_offset) + counter;
}

/* depth.c: a bound on what thunks take of a thread's stack. */
/* Learns where the stack of the running thread is. */
void gib_depth_learn(struct gib_shared *shared, struct gib_thread *thread, uint64_t sp);
/* The fast part of a thunk asks the same before it does anything. */
static inline bool gib_depth_shallow(const struct gib_thread *thread, const struct gib_frame *frame)
{
    return (uint32_t)((uint64_t)frame >> GIB_PAGE_SHIFT) - thread->shallow <= thread->shallow_pages;
}
/* Whether the thunk may call through. Sets frame->deep: 0, or what gib_depth_leave() gives back. */
bool gib_depth_enter(struct gib_thread *thread, const struct gib_site *site,
                     struct gib_frame *frame);
void gib_depth_leave(struct gib_thread *thread, const struct gib_frame *frame);

/* histogram.c: of a call's accepted actions; `thread` is busy. */
void gib_time_call(struct gib_shared *shared, struct gib_thread *thread,
                   const struct gib_site *site, uint32_t accepted, uint64_t ticks);
/* Its return will not be seen, though that of others is. */
void gib_time_nothing(struct gib_shared *shared, struct gib_thread *thread,
                      const struct gib_site *site, uint32_t accepted);

/* ring.c */
/* Room for `lines` contiguous lines at thread->head; NULL (and one more lost) when there is none.
 */
struct gib_record *gib_ring_reserve(struct gib_shared *shared, struct gib_thread *thread,
                                    uint32_t lines);
struct gib_record *gib_ring_at(const struct gib_shared *shared, struct gib_thread *thread,
                               uint64_t position);
/* Publishes the record that an enclosing call left open, as OPEN. */
void gib_ring_publish_open(struct gib_shared *shared, struct gib_thread *thread);

/* memory.c: the target's pointers may be bad. */
/* Where the current thread's live stack begins, and what is known of it. */
struct gib_view {
    struct gib_shared *shared;
    struct gib_thread *thread;
    uint64_t sp;
    uint64_t page; /* proved readable while this record is made; 1: none yet */
};
void gib_view_open(struct gib_view *view, struct gib_shared *shared, struct gib_thread *thread,
                   uint64_t sp);
/* Whether bytes at `address` (in one page) that can be read now stay so while they are read: they
 * are known to stay, or there is no other thread that could unmap them. */
bool gib_stays(const struct gib_view *view, uint64_t address, uint32_t size);
/* Whether `size` bytes (not crossing a page) at `address` can be read. What another thread may
 * unmap at any time is read by gib_copy_bytes() or gib_copy_text(). */
bool gib_readable(struct gib_view *view, uint64_t address, uint32_t size);
/* Bytes from `address` on that can be read, at most `size`. */
uint32_t gib_readable_run(struct gib_view *view, uint64_t address, uint32_t size);
/* Copies text up to its NUL or `limit` bytes; returns the number of bytes and sets enum
 * gib_chunk_flags. */
uint32_t gib_copy_text(struct gib_view *view, uint64_t address, char *out, uint32_t limit,
                       uint8_t *flags);

/* As gib_readable(), of bytes that may cross pages: copies them. */
bool gib_copy_bytes(struct gib_view *view, uint64_t address, void *out, uint32_t size);
/* How far the caller's stack arguments can be repeated when nobody knows how many there are. */
uint64_t gib_copyable(struct gib_view *view, const struct gib_site *site,
                      const struct gib_frame *frame);

/* condition.c: what struct gib_condition_call gives to the code of a condition; `view` is its
 * context. */
uint64_t gib_condition_read(void *view, uint64_t address, void *out, uint64_t size);
/* A text of a pointer that has no end within 64 KiB makes it fail; so does a search that compares
 * more than 4 Mi bytes. */
uint64_t gib_condition_text(void *view, uint64_t operation,
                            const struct gib_text_operand operand[2]);

/* origin.c */
/* The return address of the call as the program made it: that of an outer layer's thunk says
 * nothing. */
uint64_t gib_real_caller(struct gib_view *view, const struct gib_shared *shared,
                         const struct gib_frame *frame);
/* Whether the call came from the modules of the action's -from. Counts it when that
 * cannot be known. `thread` may be one without an owner. */
bool gib_comes_from(struct gib_shared *shared, const struct gib_site *site,
                    const struct gib_action *action, struct gib_thread *thread,
                    const struct gib_frame *frame);

/* filter.c: which calls an action is about. */
/* What the actions of a site want of one call. */
struct gib_decision {
    uint32_t accepted;  /* a bit for each action that the call is for */
    uint32_t undecided; /* for those that will be decided on return */
    uint32_t recorded;  /* of both: those that want a record */
    uint32_t depth;     /* of its backtrace, 0: none */
    bool divert;
};
/* At the entry. Counts the call for each action that accepts it. */
struct gib_decision gib_decide(struct gib_shared *shared, const struct gib_site *site,
                               struct gib_thread *thread, struct gib_frame *frame);
/* When the function has returned: the bits of `undecided` that are accepted; counts them. */
uint32_t gib_decide_on_return(struct gib_shared *shared, const struct gib_site *site,
                              struct gib_thread *thread, struct gib_frame *frame,
                              uint32_t undecided);
/* Nobody sees the return of a call that was to be decided then. */
void gib_leave_undecided(struct gib_shared *shared, const struct gib_site *site,
                         uint32_t undecided);
/* Whether a thread without a block diverts the call; nothing can be counted for it. */
bool gib_diverts_uncounted(struct gib_shared *shared, const struct gib_site *site,
                           struct gib_thread *nobody, struct gib_frame *frame);
/* The actions that stop the call of such a thread. */
uint32_t gib_stops_uncounted(struct gib_shared *shared, const struct gib_site *site,
                             struct gib_thread *nobody, struct gib_frame *frame);

/* stop.c: stopping in the debugger. */
/* Whether this call has been stopped already and goes on now; once. */
bool gib_stop_passes(struct gib_frame *frame, const struct gib_site *site);
/* Whether the call shall be stopped for these actions: a debugger is there. */
bool gib_stop_call(struct gib_frame *frame, const struct gib_site *site, uint32_t actions);
/* The same when it has returned; the thunk looks at frame->stop. `code` is errno when the call has
 * failed. */
void gib_stop_return(struct gib_frame *frame, const struct gib_site *site, uint32_t actions,
                     int32_t code);

/* mark.c: whether the thread is inside the function of -during; `at` is an address on its stack. */
bool gib_is_inside(struct gib_shared *shared, const struct gib_action *action,
                   struct gib_thread *thread, uint64_t at);

/* capture.c: append to a record. `end` is where the next chunk goes; each returns the new end. */
char *gib_capture_arguments(struct gib_view *view, const struct gib_site *site,
                            const struct gib_frame *frame, struct gib_record *record);
char *gib_capture_text(struct gib_view *view, char *end, uint8_t type, uint8_t index,
                       uint64_t address);
char *gib_capture_value(char *end, uint8_t type, uint8_t index, uint64_t value, uint32_t size);
/* The end of the chunks of a record that is still being built. */
char *gib_capture_end(const struct gib_site *site, struct gib_record *record);
/* For the fast part of a thunk: appends the texts of a record that has its header and words, and
 * belongs to nobody else yet. */
struct gib_record *gib_texts(struct gib_record *record, const struct gib_site *site,
                             struct gib_shared *shared, struct gib_thread *thread, uint64_t frame);
/* Sets record->lines from the end of the chunks and terminates them. */
void gib_capture_finish(struct gib_record *record, char *end);

/* agent.c */
int32_t gib_target_errno(const struct gib_shared *shared);
static inline bool gib_in_agent(const struct gib_shared *shared, uint64_t pc)
{
    return pc >= shared->agent_start && pc < shared->agent_end;
}
/* unwind.c */
uint32_t gib_backtrace(struct gib_view *view, const struct gib_frame *frame, uint64_t *out,
                       uint32_t depth, bool *cut);

#pragma GCC visibility pop
#endif
