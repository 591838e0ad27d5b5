/*
 * agent_fixture.h: the real agent in the test's own process.
 *
 * What the engine does in a target is done here without one: shared memory, the agent's image, a
 * site and a thunk for a C function. Nothing is patched: the thunk is called instead of the
 * function, and its trampoline jumps to the function.
 */
#ifndef GIBBON_AGENT_FIXTURE_H
#define GIBBON_AGENT_FIXTURE_H

#include "agent/layout.h"
#include "code/x86_64/thunk.h"
#include "engine/stats.h"
#include "log/log.h"

/* For functions to be patched: the compiler must not know their bodies at the call. */
#ifdef __clang__
#define NOT_INLINED __attribute__((noinline, optnone))
#else
#define NOT_INLINED __attribute__((noipa))
#endif

struct agent_options {
    uint64_t ring_size;      /* 0: 1 MiB */
    uint32_t string_limit;   /* 0: 64 */
    uint32_t thread_pointer; /* enum gib_thread_pointer */
    bool overwrite;
    bool no_reader; /* agent_attach comes later, or never */
    bool no_tid;    /* the place of the kernel's thread id is not known */
};

struct agent {
    struct gib_shared *shared;
    uint64_t size;
    int fd;
    struct gib_hash *hash;
    struct gib_marks *marks;
    uint8_t *arena;
    size_t arena_used;
    uint64_t entry; /* address of the image */
    uint32_t thread_pointer;
    uint32_t sites, counters, patches;
    struct gib_log *log; /* NULL without a reader */
    struct gib_modules *modules;
    uint64_t wakes;
    struct {
        struct gib_prototype *prototype;
        struct gib_convention convention;
        uint32_t *active;
        uint32_t counter;
        char *name;
    } site[64];
};

/* As of a `gibbon wrap`. */
struct patch_options {
    bool stop; /* instead of the wrap; on return when its condition is */
    bool count, entry_only;
    unsigned backtrace;
    uint64_t after, every, times;
    int thread;
    const struct gib_range *from;
    uint16_t from_count;
    uint32_t during; /* the serial of a mark */
    uint32_t mark;   /* serial: no wrap, but a mark, at the place of this number */
    uint32_t (*condition)(struct gib_condition_call *call); /* enum gib_verdict */
    uint32_t condition_flags; /* of enum gib_action_flags: ON_RETURN, ERRNO, NUMBERED */
};

void agent_open(struct agent *a, struct agent_options options);
void agent_close(struct agent *a);
/* For cmocka_unit_test_prestate_setup_teardown: the state is an agent, opened without options. */
int agent_setup(void **state);
int agent_teardown(void **state);
/* A reader in this process, as in the debugger's. */
void agent_attach(struct agent *a);
/* A thunk that is called like `original`. `declaration`: of -prototype, with annotations; NULL:
 * nothing is known. */
void *agent_patch(struct agent *a, void *original, const char *declaration,
                  struct patch_options options);
/* With the prototype that this program's own debug information gives. */
void *agent_patch_debug(struct agent *a, void *original);
void *agent_patch_prototype(struct agent *a, void *original, struct gib_prototype *prototype,
                            struct patch_options options); /* takes the prototype */
/* The thunk's site, counter values over all threads. */
void agent_enable(struct agent *a, uint32_t site, bool on);
uint64_t agent_calls(struct agent *a, uint32_t site);
uint64_t agent_failures(struct agent *a, uint32_t site);
/* As the engine sums them up for a patch on this site. */
void agent_times(struct agent *a, uint32_t site, struct gib_times *times);
struct gib_site *agent_site(struct agent *a, uint32_t site);
struct gib_thread *agent_block(struct agent *a, uint32_t index);
/* Records taken or to be taken from this block, without those that say whose they are. */
uint64_t agent_records(struct agent *a, uint32_t block);
/* Unwind rows of every module of this process, for backtraces. */
void agent_add_unwind_rows(struct agent *a);

/* Lines of the log so far, without "gibbon: [tid] +seconds " and " <duration>"; malloc'ed. */
char *agent_lines(struct agent *a);
char *agent_jsonl(struct agent *a);
/* Asserts that the log is exactly this, and clears it. */
void agent_expect(struct agent *a, const char *lines);
/* How often `piece` occurs in `text`. */
size_t occurrences(const char *text, const char *piece);

#endif
