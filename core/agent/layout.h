/*
 * layout.h: what the agent and the engine share: memory, sites, records.
 *
 * One memfd holds it all. The target maps the data part read-write and each arena (a slice of the
 * code part) read-execute near a module; the engine maps the whole through /proc/PID/fd. Whatever
 * the engine reads here may have been scribbled on by the target: it keeps its own copy of
 * everything it decides by, and checks the rest.
 *
 *   offset 0          struct gib_shared        settings, patches, address ranges, errno
 *          sites      struct gib_site[]        what to do at each patched entry
 *          unwind     struct gib_unwind_module[], rows
 *          histograms GIB_MAX_HISTOGRAMS pages of times, whoever needs one takes the next
 *          threads    GIB_MAX_THREADS blocks   struct gib_thread, counters, ring
 *          code       GIB_MAX_ARENAS slices    agent image, thunks, trampolines
 *
 * The file is sparse: only what is touched takes memory.
 */
#ifndef GIBBON_LAYOUT_H
#define GIBBON_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define GIB_MAX_SITES        65536
#define GIB_MAX_PATCHES      65536
#define GIB_MAX_ACTIONS      8    /* patches on one site */
#define GIB_MAX_WORDS        24   /* 8-byte words of arguments kept of one call */
#define GIB_MAX_STRINGS      6    /* string arguments kept of one call */
#define GIB_MAX_FRAMES       64   /* of one backtrace */
#define GIB_MAX_RANGES       4096 /* address ranges of -from modules */
#define GIB_MAX_MARKS        32   /* functions of -during at the same time */
#define GIB_MAX_UNWIND       1024 /* modules with unwind rows */
#define GIB_MAX_ARENAS       128
#define GIB_MAX_OBJECTS      256 /* shared objects of packages */
#define GIB_MAX_THREADS      1024
#define GIB_MAX_HISTOGRAMS   65536 /* of all patches on functions in all threads */
#define GIB_ARENA_SIZE       (4u << 20)
#define GIB_UNWIND_SIZE      (256u << 20)
#define GIB_HASH_SLOTS       4096
#define GIB_COPY_UNKNOWN     2048 /* bytes of stack arguments copied when nobody knows their number */
#define GIB_COPY_MOST        (64u << 10) /* and never more than this */
#define GIB_MAX_STRING_LIMIT 4096

/* ---- records ---- */

#define GIB_LINE 64 /* a record is a whole number of cache lines, and begins on one */

enum gib_record_kind {
    GIB_RECORD_NONE,
    GIB_RECORD_CALL, /* a call that returned: both times, arguments, result */
    GIB_RECORD_OPEN, /* a call inside which others were recorded; its RETURN follows, or never does
                      */
    GIB_RECORD_RETURN, /* the return of an earlier OPEN */
    GIB_RECORD_ENTRY,  /* a call of a function whose return is not seen (entry-only thunk) */
    GIB_RECORD_THREAD, /* what follows in this ring belongs to another thread: word[0] pid, word[1]
                          tid */
    GIB_RECORD_PAD,    /* nothing, up to the end of the ring */
};

enum gib_record_flags {
    GIB_RECORD_ELSEWHERE =
        1, /* RETURN: the OPEN is in another ring (fork, a coroutine that moved) */
};

/*
 *  0      4    6  7    8        16         24       32       40                    64
 *  +------+----+--+--+---------+----------+--------+--------+------+------+------+  more words,
 *  | site |line|ki|ac| entered | duration | result | caller | w[0] | w[1] | w[2] |  then chunks ...
 *  +------+----+--+--+---------+----------+--------+--------+------+------+------+
 */
struct gib_record {
    uint32_t site;     /* index of the site in the low 24 bits, enum gib_record_flags above */
    uint16_t lines;    /* whole record, in units of GIB_LINE bytes */
    uint8_t kind;      /* enum gib_record_kind */
    uint8_t accepted;  /* one bit for each action of the site that wants this record */
    uint64_t entered;  /* time stamp counter */
    uint64_t duration; /* time stamp counter ticks; for RETURN the time stamp counter itself; for
                          OPEN the address of its frame: a later call whose frame is no deeper tells
                          that this one was left */
    uint64_t result;   /* rax, or the low eight bytes of xmm0 */
    uint64_t caller;   /* return address */
    uint64_t
        word[3]; /* arguments; for RETURN: word[0] position of the OPEN, word[1] its thread block */
};

/* All argument words of a record: word[] above is only the part of them in the first line. */
static inline uint64_t *gib_record_words(const struct gib_record *record)
{
    return (uint64_t *)((char *)(uintptr_t)record + offsetof(struct gib_record, word));
}

/* Behind the words: chunks, each 8-byte aligned. */
enum gib_chunk_type {
    GIB_CHUNK_END,
    GIB_CHUNK_STRING,       /* of the argument word `index` */
    GIB_CHUNK_RESULT,       /* the text of a string result */
    GIB_CHUNK_ERRNO,        /* int32 */
    GIB_CHUNK_BACKTRACE,    /* frames, innermost first, 8 bytes each: see GIB_FRAME_ below */
    GIB_CHUNK_RESULT2,      /* rdx, or the rest of a wide result: 8 bytes */
    GIB_CHUNK_EXTRA,        /* values of variadic arguments, 8 bytes each */
    GIB_CHUNK_EXTRA_STRING, /* text of variadic value `index` */
};
enum gib_chunk_flags {
    GIB_CHUNK_CUT = 1,        /* there is more text, or there are more frames */
    GIB_CHUNK_UNREADABLE = 2, /* the pointer was bad from here on */
};
/* One frame: a return address, or with one of these bits, which no user's address has: where a
 * signal has interrupted the function, and the kernel's own frame below it. */
#define GIB_FRAME_EXACT  (1ull << 63)
#define GIB_FRAME_SIGNAL (1ull << 62)
struct gib_chunk {
    uint8_t type, index, flags, reserved;
    uint32_t size; /* bytes that follow, without padding */
};

/* ---- sites and patches ---- */

/* Where one argument word comes from: enum + number. */
enum gib_source {
    GIB_SOURCE_GPR = 0x00,   /* + 0..5: rdi rsi rdx rcx r8 r9 */
    GIB_SOURCE_XMM = 0x10,   /* + 0..7: low eight bytes */
    GIB_SOURCE_STACK = 0x40, /* + n: n-th eightbyte of the stack arguments, n < 64 */
};

enum gib_result_source {
    GIB_RESULT_NONE,
    GIB_RESULT_RAX,
    GIB_RESULT_RAX_RDX,
    GIB_RESULT_XMM0,
    GIB_RESULT_XMM0_XMM1,
    GIB_RESULT_X87,
    GIB_RESULT_RAX_XMM0, /* the two eightbytes of a structure, in this order */
    GIB_RESULT_XMM0_RAX,
};

enum gib_errno_rule {
    GIB_ERRNO_NO,
    GIB_ERRNO_MINUS_ONE,         /* failed when the low result_size bytes are all ones */
    GIB_ERRNO_NULL,              /* failed when 0 */
    GIB_ERRNO_MINUS_ONE_CHANGED, /* failed as above, but only if errno changed during the call */
    GIB_ERRNO_NULL_CHANGED,
};

enum gib_action_flags {
    GIB_ACTION_RECORD = 1,    /* write a record */
    GIB_ACTION_BACKTRACE = 2, /* with the callers */
    GIB_ACTION_THREAD = 4,    /* only thread `thread` */
    GIB_ACTION_FROM = 8,      /* only callers inside ranges[from .. from + from_count) */
    GIB_ACTION_LIMITS = 16,   /* struct gib_patch_state has -after, -every, -times */
    GIB_ACTION_ENABLED = 32,
    GIB_ACTION_DIVERT = 64,  /* an accepted call goes to the thunk's callee, not to what is below */
    GIB_ACTION_DURING = 128, /* only inside a call of the function that has `mark` */
    GIB_ACTION_CONDITION = 256, /* only when the code at `condition` says so; about to be called */
    GIB_ACTION_ON_RETURN = 512, /* the same, when it has returned; instead of the one above */
    GIB_ACTION_ERRNO = 1024,    /* the condition looks at errno */
    GIB_ACTION_NUMBERED = 2048, /* the condition looks at the number of the call */
};
struct gib_action {
    uint32_t flags;
    uint32_t patch;   /* index into gib_shared.patches */
    uint32_t counter; /* index into a thread's counters, of the first of enum gib_counter */
    int32_t thread;
    uint16_t from, from_count;
    uint16_t depth;     /* of the backtrace */
    uint16_t mark;      /* DURING, and of the thunk of such a function: place in gib_mark_slot */
    uint32_t serial;    /* of that mark: no other ever has it */
    uint64_t condition; /* address of its code, in an arena */
};

enum gib_site_flags {
    GIB_SITE_PRINTF = 1, /* the last named argument is a printf format: record what follows */
    GIB_SITE_OPEN =
        2, /* the last named argument is open flags: record the mode when there is one */
    GIB_SITE_ENTRY_ONLY = 4,
    GIB_SITE_PRESERVE = 8,   /* a diverted call is a call: it needs its stack arguments again */
    GIB_SITE_HANDLER = 16,   /* diverted calls run a handler: not before the thread has its TLS */
    GIB_SITE_ON_RETURN = 32, /* an action may be decided on return: struct gib_kept */
    GIB_SITE_STOP = 64,      /* an accepted call stops in the debugger */
};

/* The word a thunk looks at first. */
enum gib_gate {
    GIB_GATE_CLOSED,  /* no action is enabled: straight to the original */
    GIB_GATE_GENERAL, /* the agent decides */
    GIB_GATE_FAST,    /* the thunk may write the record itself */
};

struct gib_site {
    uint32_t index;
    uint32_t flags;      /* enum gib_site_flags */
    uint32_t stack_copy; /* bytes of stack arguments the thunk repeats; from GIB_COPY_UNKNOWN on: as
                            far as readable */
    uint32_t lines;      /* the longest record of this site, in lines */
    uint8_t words;       /* argument words recorded */
    uint8_t strings;     /* how many of them point to text */
    uint8_t result;      /* enum gib_result_source */
    uint8_t result_size; /* bytes, for the errno rule */
    uint8_t result_string; /* the result points to text */
    uint8_t errno_rule;    /* enum gib_errno_rule */
    uint8_t actions;
    uint8_t named_gpr, named_xmm,
        named_stack;    /* argument places used by named parameters, for variadics */
    uint8_t last_named; /* word that is the format or the flags */
    uint8_t
        thread_pointer; /* enum gib_thread_pointer: functions of ld.so run before fs is set up */
    uint8_t reserved[4];
    uint8_t source[GIB_MAX_WORDS];
    uint8_t string[GIB_MAX_STRINGS]; /* word indices */
    uint8_t reserved2[2];
    uint64_t entry; /* address of the function */
    /* For the fast part of the thunk, while GIB_GATE_FAST. */
    uint64_t fast_header;  /* first eight bytes of a record */
    uint32_t fast_counter; /* offset of its counters in a thread block */
    uint32_t fast_tid;     /* gib_shared.tid_offset */
    /* The call instruction among the displaced ones, which nobody can read any more: where it
     * returns to (0: there is none) and what it calls, or where that is written. */
    uint64_t call_return, call_target, call_pointer;
    struct gib_action action[GIB_MAX_ACTIONS];
};

/* What several sites of one patch count together. */
struct gib_patch_state {
    uint64_t seen;                /* calls that passed the other filters; agent */
    uint64_t accepted;            /* of those, calls that -after and -every let through; agent */
    uint64_t unknown;             /* calls that may have come from the -from module; agent */
    uint64_t numbered;            /* calls that a condition was asked about; agent */
    uint64_t undecided;           /* of those, calls of which it could say nothing; agent */
    uint64_t after, every, times; /* engine; every and times 0: no limit */
};

struct gib_range {
    uint64_t start, end;
};

/* ---- counts and times ---- */

/* What a thread counts for one patch on one function: words next to each other in its block. Each
 * is changed by one instruction, so that a signal handler may come between any two. */
enum gib_counter {
    GIB_COUNTER_CALLS,
    GIB_COUNTER_FAILURES,
    GIB_COUNTER_HISTOGRAM, /* address of a struct gib_histogram; 0: no call has been timed yet */
    GIB_COUNTER_UNTIMED,   /* calls that returned and were not timed, or were too deep to be */
    GIB_COUNTER_WORDS,
};

#define GIB_FIRST_COUNTERS 8                                 /* those before are nobody's */
#define GIB_MAX_COUNTERS   ((GIB_MAX_SITES / 126 + 1) * 512) /* 126 of GIB_COUNTER_WORDS a page */
/*
 * The index of the counters to give away next. The first 64 bytes of a page are left out: so far
 * into its own page lies what every call needs of struct gib_thread, and to a processor that
 * compares the low twelve bits first a store here looks like one there. It costs 15 ns a call.
 */
static inline uint32_t gib_next_counters(uint32_t counters)
{
    uint32_t next = counters + GIB_COUNTER_WORDS;
    return next % 512 ? next : next + GIB_FIRST_COUNTERS;
}

/*
 * How long calls took, in ticks of the time stamp counter: eight buckets for each power of two, so
 * that none is wider than an eighth of what it holds.
 *
 *      ticks     0 1 2 ... 15 | 16,17 18,19 ... 30,31 | 32-35 36-39 ... 60-63 | 64-71 ...
 *      bucket    0 1 2 ... 15 |  16    17   ...   23  |  24    25   ...   31  |  32   ...
 *
 * Only the thread that has it writes here, while its block is busy: a signal handler that
 * interrupts it has another block, with histograms of its own.
 */
#define GIB_HISTOGRAM_FINE    3 /* log2 of the buckets for a power of two */
#define GIB_HISTOGRAM_BUCKETS 496
struct gib_histogram {
    uint64_t aside[8]; /* see gib_next_counters() */
    /* All are without the call that ended last, whose time is here. It goes into its bucket when
     * the next one ends: only then is the address of the bucket known early enough for a processor
     * to go on before the next time stamp is there (core/code/x86_64/thunk_fast.c). */
    uint64_t last;
    uint64_t least; /* but never less than 1 << GIB_HISTOGRAM_FINE; UINT64_MAX: none */
    uint64_t most, total;
    uint64_t reserved[4];
    uint64_t bucket[GIB_HISTOGRAM_BUCKETS];
};
_Static_assert(sizeof(struct gib_histogram) == 4096, "struct gib_histogram: a page");

static inline uint32_t gib_histogram_index(uint64_t ticks)
{
    uint32_t shift = 0;
    if (ticks >> (GIB_HISTOGRAM_FINE + 1))
        shift = 63 - (uint32_t)__builtin_clzll(ticks) - GIB_HISTOGRAM_FINE;
    return (shift << GIB_HISTOGRAM_FINE) + (uint32_t)(ticks >> shift);
}
/* The least time of a bucket; the next one's is where it ends. */
static inline uint64_t gib_histogram_from(uint32_t index)
{
    uint32_t shift = index >> (GIB_HISTOGRAM_FINE + 1) ? (index >> GIB_HISTOGRAM_FINE) - 1 : 0;
    return (uint64_t)(index - (shift << GIB_HISTOGRAM_FINE)) << shift;
}

struct gib_unwind_module {
    uint64_t start, end; /* addresses in the target */
    uint64_t rows; /* offset of its struct gib_unwind_row[] from the start of the shared memory */
    uint64_t count;
};

/* A shared object that the engine has mapped, which the dynamic linker does not know. */
struct gib_mapped_object {
    uint64_t start, end; /* addresses in the target; both 0: gone */
    uint64_t frames;     /* of its .eh_frame_hdr, or 0 */
    uint64_t count;      /* entries of its search table when the agent can read it, else 0 */
};

/* ---- threads ---- */

#define GIB_PAGE_SHIFT 12

struct gib_thread {
    /* One cache line for what every call needs. */
    uint64_t owner; /* thread pointer; 0: free */
    int32_t tid;
    uint32_t generation; /* of the process that claimed it */
    uint64_t head;       /* bytes ever published, writer; the ring offset is head % ring_size */
    uint64_t open;  /* position + 1 of the record that is written but not yet published, or 0 */
    uint64_t limit; /* writer: the head may grow up to here, in one piece, without a further look */
    uint64_t base;  /* writer: address of a record minus its position, for positions below limit */
    uint64_t busy;  /* a record is being written: stack pointer of whoever writes it; or 0 */
    /* depth.c: while the stack pointer is in page `shallow` or one of the next `shallow_pages`,
     * thunks may call through. Below, and on other stacks, they may have `deep_limit` bytes in all.
     * The low 32 bits of page numbers: they repeat every 16 TiB, where another stack is by the
     * rarest chance, and then has no bound. */
    uint32_t shallow, shallow_pages;

    uint64_t tail;    /* oldest byte not overwritten, writer */
    uint64_t dropped; /* records (calls, returns) before `tail`, read or not: the reader knows how
                         many of them it took */
    uint64_t read_cache; /* writer's copy of `read` */
    uint64_t above; /* address of the block for a signal handler that interrupts this one, or 0 */
    uint64_t stack_low, stack_high; /* proved readable */
    uint32_t level;                 /* how many signal handlers deep this block is used */
    int32_t pid;
    uint64_t stack_base, stack_top; /* depth.c; 0: not known */
    uint64_t deep_from, deep_used, deep_limit;
    uint32_t overwriting; /* odd while `dropped`, `tail` and these do not belong together, writer */
    uint32_t reserved;
    int32_t tail_pid, tail_tid; /* whose the records from `tail` on are; 0: as THREAD says */
    _Alignas(64) uint64_t read; /* bytes consumed, reader */
    /* How many records were before a place that the reader has come to: the last one is
     * checkpoint[checkpoints % 2], and it never changes while it is the last. Reader. */
    struct {
        uint64_t position, taken;
    } checkpoint[2];
    uint64_t checkpoints;
};
_Static_assert(offsetof(struct gib_thread, tail) == 64, "struct gib_thread: one cache line");

/* ---- the head of the shared memory ---- */

#define GIB_SHARED_MAGIC 0x4e4f424249472101ull /* "\1!GIBBON" */

enum gib_thread_pointer {
    GIB_POINTER_FS0,      /* fs:0 holds it: a dynamically linked program after TLS set-up */
    GIB_POINTER_RDFSBASE, /* the instruction may be used in this process (AT_HWCAP2 bit 1) */
    GIB_POINTER_SYSCALL,  /* arch_prctl */
};

struct gib_shared {
    uint64_t magic;
    uint64_t size;                         /* of the data part the target maps */
    uint64_t sites, unwind, threads;       /* offsets */
    uint64_t histograms;                   /* offset */
    uint64_t thread_size;                  /* of one block: head page, counters, ring */
    uint64_t counters_offset, ring_offset; /* inside a block */
    uint64_t ring_size;                    /* a power of two */
    uint32_t epoch;                        /* grows when modules came or went */
    uint32_t
        tid_offset; /* of the kernel's thread id behind the thread pointer (glibc); 0: not known */
    uint32_t string_limit;
    uint32_t unwind_count;
    uint64_t hash;  /* address of struct gib_hash, private to the process, wiped on fork */
    uint64_t marks; /* address of struct gib_marks, private to the process, kept on fork */
    uint64_t arena_low, arena_high;  /* all arenas lie between */
    uint64_t errno_location;         /* address of __errno_location, or 0 */
    uint64_t agent_start, agent_end; /* the agent's own code */
    uint32_t reader;                 /* a reader is attached */
    uint32_t reader_beat;            /* grows while it lives */
    uint32_t threads_used;           /* blocks ever claimed: the reader looks no further */
    uint32_t overflow;        /* 0: block, until the reader has made room (bounded), 1: overwrite */
    uint64_t unrecorded;      /* calls that found no thread block */
    uint64_t histograms_used; /* taken, and more when there were not enough */
    struct gib_range arena[GIB_MAX_ARENAS]; /* sorted is not needed */
    uint32_t arena_count, range_count;
    uint64_t site_count; /* sites ever made */
    struct gib_mapped_object object[GIB_MAX_OBJECTS];
    uint64_t object_count;
    struct gib_range stable[16]; /* read-only segments that stay: strings there need no proof */
    uint32_t stable_count, reserved;
    uint64_t single_threaded; /* address of glibc's __libc_single_threaded; 0: not known */
    uint64_t main_stack_end;  /* of the main thread's own stack */
    uint64_t main_stack_size; /* how large it may grow */
    struct gib_range range[GIB_MAX_RANGES];
    struct gib_unwind_module unwind_module[GIB_MAX_UNWIND];
    struct gib_patch_state patch[GIB_MAX_PATCHES];
};

/* Thread pointer to block. Lives in private memory with MADV_WIPEONFORK: a forked child finds it
 * empty and claims blocks of its own. */
struct gib_hash {
    uint64_t generation; /* 0 right after fork; then the pid */
    uint64_t reserved[7];
    struct gib_hash_slot {
        uint64_t owner, block;
    } slot[GIB_HASH_SLOTS];
};
static inline uint32_t gib_hash_index(uint64_t thread_pointer)
{
    /* Thread control blocks are spaced by stack sizes: the middle bits differ. */
    return (uint32_t)(thread_pointer >> 12 ^ thread_pointer >> 6) & (GIB_HASH_SLOTS - 1);
}

/*
 * -during: which of the functions with a mark each thread is inside. Private memory, as the stacks
 * that it tells of: a forked child is inside what its parent was inside. A place that is taken
 * stays with its thread pointer.
 */
struct gib_mark_slot {
    uint64_t owner; /* thread pointer; 0: free */
    int32_t pid, tid;
    uint64_t frame[GIB_MAX_MARKS]; /* address of the outermost call's struct gib_frame; 0: none */
};
struct gib_marks {
    struct gib_mark_slot slot[GIB_HASH_SLOTS];
};

/* -from: what was found out about a call instruction, in a thread's block. */
struct gib_origin {
    uint64_t caller;  /* return address; 0: free */
    uint32_t site;    /* index, and the action's number above GIB_MAX_SITES */
    uint32_t verdict; /* epoch << 2 | enum of origin.c */
};
#define GIB_ORIGINS        64
#define GIB_ORIGINS_OFFSET 2048 /* in a thread's block */
_Static_assert(sizeof(struct gib_thread) <= GIB_ORIGINS_OFFSET, "the head page of a block");

/* ---- the agent's entry points ---- */

/*
 * The thunk's frame, at rbp - GIB_FRAME_SIZE. 16 + GIB_FRAME_SIZE is a multiple of 64: the original
 * function sees its stack arguments aligned as the caller aligned them, __m512 included.
 */
struct gib_frame {
    uint64_t xmm[8];        /*   0 low eight bytes, only when the site reads them */
    uint64_t result_xmm;    /*  64 xmm0 after the call, only when it is the result */
    uint64_t result_x87[2]; /*  72 st0 after the call, only when it is the result; [1]: xmm1 when
                               that is part of it */
    uint64_t errno_before;  /*  88 */
    uint64_t copy;          /*  96 bytes of stack arguments to repeat, a multiple of 8 */
    uint64_t deep;          /* 104 depth.c; only where generation has GIB_GENERATION_DEEP */
    /* From here on an eight-bit displacement from rbp is enough. */
    uint64_t wide; /* 112 address of the XSAVE area of a call that preserves registers */
    union {
        uint64_t histogram; /* 120 address; only of the fast part of a thunk */
        /* A bit for each action that is decided on return, where GIB_SITE_ON_RETURN; before the
         * agent has seen the call, perhaps its pass (stop.c). The lowest word of the red zone at
         * the function's entry. */
        uint64_t undecided;
    };
    uint64_t gpr[6];        /* 128 rdi rsi rdx rcx r8 r9; after the call, what they are then */
    uint64_t rax, r10, r11; /* 176 184 192 likewise */
    uint64_t thread;        /* 200 block of the record */
    uint64_t position;      /* 208 of the record in its ring */
    uint64_t generation;    /* 216 of the process that wrote it */
    uint64_t header; /* 224 first eight bytes of the record: `accepted` is the last of them */
    union {
        uint64_t entered; /* 232 time stamp counter, as in the record */
        uint64_t stop;    /* GIB_SITE_STOP, which makes no records: what stops, gib_stop_word() */
    };
    uint64_t rbp, caller; /* 240 248 pushed by the thunk, and by the caller */
};
#define GIB_FRAME_SIZE 240 /* up to rbp */
_Static_assert(offsetof(struct gib_frame, rbp) == GIB_FRAME_SIZE, "struct gib_frame");
/*
 * What a condition that is decided on return needs of the entry; right below the frame of a thunk
 * whose site has GIB_SITE_ON_RETURN.
 */
struct gib_kept {
    uint64_t gpr[6], xmm[8];          /* as in gib_frame, which holds other values by then */
    uint64_t number[GIB_MAX_ACTIONS]; /* $calls of each action */
    uint64_t reserved[2];
};
_Static_assert(sizeof(struct gib_kept) % 64 == 0, "the frame's alignment");
/* In gib_frame.position of a call that has no record. */
#define GIB_NO_RECORD UINT64_MAX

/* In gib_frame.generation of a call that counts against gib_thread.deep_limit. The fast part of a
 * thunk leaves `deep` unset. */
#define GIB_GENERATION_DEEP (1ull << 63)
/* The same: `undecided` is set. */
#define GIB_GENERATION_UNDECIDED (1ull << 62)

/* The search table of .eh_frame_hdr as linkers write it: 1b 03 3b (DWARF's encodings), then these,
 * 12 bytes behind its start, sorted; distances from its start. */
#define GIB_FRAME_TABLE 12
struct gib_frame_entry {
    int32_t function, fde;
};

/* struct dwarf_eh_bases of libgcc. */
struct gib_unwind_bases {
    uint64_t text, data, function;
};

/* struct dl_find_object of glibc 2.35 on x86-64. */
struct gib_found_object {
    uint64_t flags, map_start, map_end, link_map, eh_frame_header, reserved[7];
};

/* An arena begins with a CIE and an FDE for its thunks, at GIB_ARENA_FDE, and an .eh_frame_hdr that
 * leads there. */
#define GIB_ARENA_FDE  32
#define GIB_ARENA_HDR  80
#define GIB_ARENA_HEAD 128

/* What enter() tells a thunk to do. */
enum gib_enter_answer {
    GIB_ENTER_PASS,   /* jump to what is below */
    GIB_ENTER_CALL,   /* call the callee, then leave() */
    GIB_ENTER_DIVERT, /* jump to the callee */
    GIB_ENTER_STOP,   /* jump to the pad of the stop; come back from there */
};

/* ---- handlers ---- */

/*
 * What the calls of one function with a handler need; in an arena, read-only, made by
 * core/code/x86_64/handler.c. The closure, libffi's call interfaces and types, the signature and
 * the texts that it points to are behind it. Addresses are the target's.
 *
 * A call's values are in an area on the stack: the result, the arguments as libffi takes them, each
 * on a boundary of 16 bytes, and two arrays of pointers, to the parameters and to the arguments.
 */
struct gib_handler_argument {
    uint32_t at, size; /* in the area; size is a multiple of 8 */
};
struct gib_handler_parameter {
    uint32_t at;       /* in the area */
    uint32_t indirect; /* what is there is the address of the value */
};
enum gib_handler_result {
    GIB_HANDLER_VOID,
    GIB_HANDLER_VALUE,  /* in registers */
    GIB_HANDLER_MEMORY, /* where the first argument points to */
};
struct gib_handler {
    uint64_t closure[3];           /* ffi_go_closure: libffi's code, ffi_cif, gib_handle */
    uint64_t shared;               /* struct gib_shared */
    uint64_t original;             /* what is below the patch */
    uint64_t cif;                  /* ffi_cif of the original */
    uint64_t code;                 /* the user's handler */
    uint64_t signature, interface; /* struct gibbon_signature, gibbon_call_interface */
    uint32_t area;                 /* bytes of stack for one call */
    uint32_t arguments, parameters;
    uint32_t argument_table, parameter_table; /* offsets from the start of this struct */
    uint32_t values, pointers;                /* in the area: of the parameters, of the arguments */
    uint32_t instance;                        /* in the area: `this`; 0: none */
    uint32_t result;                          /* enum gib_handler_result; it is at 0 in the area */
    uint32_t result_size;                     /* bytes, as the handler sees it */
    uint32_t result_shift; /* bytes of it that are in no register, at its start */
    uint32_t reserved;
};
#define GIB_HANDLER_RESULT 32 /* bytes in the area, and of libffi's own place for a result */

/* ---- stops ---- */

/*
 * A thunk whose call is to stop restores every register and jumps to a pad of the agent's, where
 * the debugger has a breakpoint. What the debugger is to know lies in the red zone, which neither
 * signal handlers nor calls of the debugger's touch:
 *
 *     rsp       return address                as when the function was called, or is about to
 * return rsp-8     the thunk's address           at the pad of entries: it goes on there rsp-16
 * struct gib_frame.stop         which patches
 */
#define GIB_STOP_THUNK 8
#define GIB_STOP_WORD  16
/* What the agent leaves in gib_frame.undecided, at rsp-128, so that the call goes on when it comes
 * once more. No program has it on its stack by chance. */
static inline uint64_t gib_stop_pass(uint64_t frame, uint64_t site)
{
    return (frame ^ site) * 0x9e3779b97f4a7c15ull;
}
/* The site's index, and a bit for each of its actions that stops. */
static inline uint64_t gib_stop_word(uint32_t site, uint32_t actions)
{
    return site | (uint64_t)actions << 32;
}

/* ---- conditions ---- */

/* What the code of a condition says. */
enum gib_verdict {
    GIB_VERDICT_FALSE,
    GIB_VERDICT_TRUE,
    GIB_VERDICT_FAILED, /* memory that cannot be read, a division by zero: counts as false */
};

enum gib_text_operation { GIB_TEXT_EQUAL, GIB_TEXT_CONTAINS, GIB_TEXT_STARTS };
/* One of its two texts: up to a NUL, or `size` bytes without one. */
struct gib_text_operand {
    uint64_t address;
    uint64_t size;  /* at most so many bytes */
    uint64_t known; /* 1: a literal of the condition; may be read without proof */
};

/* What it is given of one call. The agent fills in what the condition's action uses. */
struct gib_condition_call {
    uint64_t gpr[6];        /*   0 at the entry: rdi rsi rdx rcx r8 r9 */
    uint64_t xmm[8];        /*  48 at the entry: the low eight bytes */
    const uint64_t *stack;  /* 112 the first stack argument */
    uint64_t rax, rdx;      /* 120 128 the result; when the function has returned */
    uint64_t result_xmm[2]; /* 136 the low eight bytes of xmm0, xmm1 */
    uint64_t calls;         /* 152 the number of this call, from 1 */
    uint64_t caller;        /* 160 return address */
    int32_t tid, error;     /* 168 172 */
    void *context;          /* 176 first argument of the functions below */
    /* Copies `size` bytes: 1; 0: they cannot be read. */
    uint64_t (*read)(void *context, uint64_t address, void *out, uint64_t size); /* 184 */
    /* Of operand[0] by operand[1]: enum gib_verdict. */
    uint64_t (*text)(void *context, uint64_t operation,
                     const struct gib_text_operand operand[2]); /* 192 */
};

/* The image starts with this table of offsets from its own start. */
struct gib_agent_image {
    uint32_t magic;
    uint32_t enter; /* uint64_t enter(struct gib_frame *, const struct gib_site *, struct gib_shared
                     *) */
    uint32_t
        leave; /* void leave(struct gib_frame *, const struct gib_site *, struct gib_shared *) */
    uint32_t count; /* void count(uint32_t counter, struct gib_shared *, uint32_t thread_pointer):
                       the slow path of a count thunk */
    uint32_t find_fde;    /* const void *find_fde(uint64_t pc, struct gib_unwind_bases *, struct
                             gib_shared *): NULL, not ours */
    uint32_t find_object; /* int find_object(uint64_t pc, struct gib_found_object *, struct
                             gib_shared *): -1, not ours */
    uint32_t texts; /* struct gib_record *texts(struct gib_record *, const struct gib_site *, struct
                       gib_shared *, struct gib_thread *, uint64_t frame) */
    uint32_t mark_enter, mark_leave; /* as enter and leave, of a function of -during */
    uint32_t handle; /* void handle(ffi_cif *, void *result, void **arguments, struct gib_handler *)
                      */
    uint32_t call_original;              /* void call_original(struct gibbon_call *) */
    uint32_t go_closure, go_closure_sse; /* libffi's */
    uint32_t stop_pad, stop_return_pad;  /* where a debugger's breakpoint stops calls, returns */
    uint32_t size;
};
#define GIB_AGENT_MAGIC 0x47424e32u

#endif
