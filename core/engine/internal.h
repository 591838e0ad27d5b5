/*
 * internal.h: the engine's own structures.
 *
 *   engine ── patches    what the user asked for; they outlive processes, like breakpoints
 *          ── process    what is in the target now: modules, agent, arenas, sites; gone with it
 *          ── log        what the target did
 */
#ifndef GIBBON_ENGINE_INTERNAL_H
#define GIBBON_ENGINE_INTERNAL_H

#include <pthread.h>
#include <stdarg.h>
#include "agent/layout.h"
#include "code/x86_64/stack_use.h"
#include "code/x86_64/convention.h"
#include "code/x86_64/returns.h"
#include "code/x86_64/thunk.h"
#include "code/x86_64/trampoline.h"
#include "elf/modules.h"
#include "gibbon/engine.h"
#include "log/log.h"

/* ---- patches: definitions ---- */

enum gib_location_kind { GIB_LOCATION_NAME, GIB_LOCATION_ADDRESS, GIB_LOCATION_FILE };

struct gib_location {
    char *text; /* as typed */
    enum gib_location_kind kind;
    char *module;   /* before the `!`, may be a glob; NULL: any */
    char *file;     /* FILE: before the colon */
    char *function; /* name, glob, or the expression of an ADDRESS */
    bool optional;  /* `module?!`: pending without a question */
    bool glob;      /* the function is a glob */
};

struct gib_patch {
    int number;
    struct gib_location location;
    char *options; /* as typed, for `save` and `list`; "" when there are none */
    bool enabled, count_only, temporary, quiet;
    unsigned backtrace; /* depth, 0: none */
    uint64_t after, every, times;
    int thread; /* as typed: a debugger's number or a tid; 0: any */
    char *from; /* module, NULL: any */
    char *prototype_text;
    struct gib_prototype *prototype; /* of -prototype */
    /* of the current process */
    uint32_t state;     /* index into gib_shared.patch */
    bool address_known; /* ADDRESS locations are evaluated once a process */
    uint64_t address;
    bool placed;                              /* on a function of the process that ran last */
    bool spent;                               /* -temporary and called, or -times reached */
    size_t refused;                           /* sites that could not be patched */
    struct gib_error trouble;                 /* of the first of them */
    uint64_t earlier_calls, earlier_failures; /* of the process that ended last */
};

/* ---- process: what is in the target ---- */

struct gib_arena {
    uint64_t start;  /* address in the target */
    uint64_t offset; /* in the shared memory */
    uint64_t used;
};

struct gib_chain_link {
    struct gib_patch *patch; /* NULL: deleted; the place is free */
    uint32_t counter;
};

/* One patched entry. Kept until the process ends: its thunk may be on a stack long after it was
 * deleted. */
struct gib_site_state {
    uint32_t index;
    uint64_t entry;   /* the function's address */
    uint64_t address; /* where the detour is: behind endbr64 */
    struct gib_module *module;
    char *function; /* shown name */
    uint8_t original[GIB_DETOUR_SIZE], detour[GIB_DETOUR_SIZE];
    uint8_t detour_size; /* 5: jmp rel32 to the thunk; 2: jmp rel8 to the island, which has the long
                            jump */
    uint64_t island;     /* address, 0: none */
    uint8_t island_original[GIB_DETOUR_SIZE], island_jump[GIB_DETOUR_SIZE];
    uint64_t trampoline, thunk, active; /* addresses; `active` is a word in the arena */
    uint32_t thunk_size;
    uint32_t consumed; /* displaced bytes */
    struct gib_relocation_boundary boundary[32];
    size_t boundaries;
    bool has_call;  /* the copy has a call that returns into it */
    bool installed; /* the detour is in memory */
    bool internal;  /* Gibbon's own, no patch of the user's */
    struct gib_prototype *prototype;
    struct gib_convention convention;
    struct gib_stack_use stack_use;
    bool unguarded; /* as of the process, when it was planned */
    enum gib_thunk_kind kind;
    struct gib_chain_link chain[GIB_MAX_ACTIONS];
};

struct gib_watch_state {
    uint64_t address;
    uint64_t resolver; /* whose return this is */
};

struct gib_process {
    int32_t pid;
    struct gib_modules *modules;
    bool installed; /* the agent is in the target */
    bool released;  /* given back after the debugger let it go */
    uint32_t
        thread_pointer; /* enum gib_thread_pointer of functions that run after libc's start-up */
    uint32_t early_pointer;    /* of those that run before */
    struct gib_shared *shared; /* our mapping; owned by the log */
    uint64_t size;
    int fd, memory_fd;            /* the shared memory; /proc/PID/mem, for reading */
    uint64_t data, alias, hash;   /* addresses in the target */
    uint64_t agent;               /* address of its image */
    uint64_t call_stop;           /* address of an int3 for calls by ptrace */
    uint64_t syscall_instruction; /* address of one, for system calls by ptrace */
    uint64_t stub;                /* address of 128 bytes for a system-call stub */
    struct gib_arena arena[GIB_MAX_ARENAS];
    uint32_t arena_count;
    struct gib_site_state **site;
    uint32_t site_count, counters, patches, ranges, unwind_modules;
    uint64_t unwind_used;
    size_t modules_seen;    /* of the table, by pending patches */
    size_t modules_guarded; /* whose unwinder knows our frames */
    bool finds_objects;     /* libc's _dl_find_object knows them */
    bool unguarded;         /* some unwinder does not: no thunk may have a frame that lasts */
    struct gib_watch_state watch[64];
    size_t watch_count;
    uint64_t exit_watch; /* libc's _exit, when the debugger does not tell of the end */
};

struct gib_settings {
    unsigned string_limit;
    bool follow;
    bool keep_on_detach;
    uint64_t ring_size;
    bool overwrite;
    int pending; /* 0 off, 1 on, 2 auto */
};

struct gib_engine {
    struct gib_target_operations ops;
    void *context;
    char debugger[16];
    pthread_mutex_t lock, flush_lock;
    struct gib_settings settings;
    struct gib_patch **patch;
    size_t patch_count;
    int next_number;
    uint32_t processes;
    struct gib_process *process;
    struct gib_modules *
        *old_modules; /* of ended processes: the log still describes their addresses */
    size_t old_module_count;
    struct gib_prototypes *prototypes;
    struct gib_log *log;
    char *reply;             /* the last string returned */
    bool busy;               /* inside a change: nested events wait */
    struct gib_engine *next; /* of all engines of this debugger */
};

/* error.c */
__attribute__((format(printf, 4, 5))) int gib_fail(struct gib_error *error, int code,
                                                   uint64_t address, const char *format, ...);
__attribute__((format(printf, 2, 3))) void gib_print(struct gib_engine *engine, const char *format,
                                                     ...);
__attribute__((format(printf, 2, 3))) void gib_warn(struct gib_engine *engine, const char *format,
                                                    ...);
char *gib_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* access.c: the one place that touches the target. */
int gib_read(struct gib_engine *engine, uint64_t address, void *buffer, size_t size,
             struct gib_error *error);
int gib_write(struct gib_engine *engine, uint64_t address, const void *buffer, size_t size,
              struct gib_error *error);
/* A system call in the selected thread; *result is what the kernel returned, negative errors
 * included. */
int gib_target_syscall(struct gib_engine *engine, long number, const uint64_t arguments[6],
                       uint64_t *result, struct gib_error *error);
/* Calls a function without parameters in the selected thread. */
int gib_target_call(struct gib_engine *engine, uint64_t address, uint64_t *result,
                    struct gib_error *error);
/* Who traces the process by ptrace, 0: nobody; -1 when it is gone. */
pid_t gib_tracer_of(pid_t pid);
/* Locations of the user's breakpoints; the array is malloc'ed. */
int gib_target_breakpoints(struct gib_engine *engine, struct gib_target_breakpoint **breakpoints,
                           size_t *count, struct gib_error *error);
/* Calls `visit` for each word of a stack from sp on, until it returns false. */
void gib_scan_stack(struct gib_engine *engine, uint64_t sp,
                    bool (*visit)(uint64_t word, void *context), void *context);
/* All threads; the array is malloc'ed. */
int gib_target_threads(struct gib_engine *engine, struct gib_target_thread **threads, size_t *count,
                       struct gib_error *error);

/* transaction.c */
struct gib_write_plan {
    uint64_t address;
    uint8_t expected[8], bytes[8];
    uint8_t size;
};
/* All writes, or none: GIB_E_CHANGED when some byte is not as expected. Sorts the array. */
int gib_transaction(struct gib_engine *engine, struct gib_write_plan *writes, size_t count,
                    struct gib_error *error);

/* install.c */
int gib_install(struct gib_engine *engine, struct gib_process *process, struct gib_error *error);
/* An arena within reach of every byte of the module, with `size` bytes left. */
int gib_arena_near(struct gib_engine *engine, struct gib_process *process,
                   const struct gib_module *module, uint64_t size, struct gib_arena **arena,
                   struct gib_error *error);
/* Writes into an arena, so that the target sees it. */
int gib_arena_write(struct gib_engine *engine, struct gib_process *process, uint64_t address,
                    const void *bytes, size_t size, struct gib_error *error);
void gib_uninstall(struct gib_engine *engine, struct gib_process *process);
void gib_update_agent(
    struct gib_engine *engine,
    struct gib_process *process); /* settings, errno, thread pointer, stable ranges, unwind rows */

/* location.c */
int gib_location_parse(const char *text, struct gib_location *out, struct gib_error *error);
void gib_location_free(struct gib_location *location);
struct gib_found {
    struct gib_module *module; /* NULL for an address in none */
    uint64_t address;
    char *name;
    uint64_t resolver; /* IFUNC whose implementation is not known yet: watch this */
};
struct gib_found_list {
    struct gib_found *item;
    size_t count;
};
void gib_found_free(struct gib_found_list *list);
/* Functions the location means in the process; with `from` > 0 only in modules of the table from
 * that index on. */
int gib_location_resolve(struct gib_engine *engine, struct gib_patch *patch, size_t from,
                         struct gib_found_list *out, struct gib_error *error);
/* A name like the one misspelt, malloc'ed, or NULL. */
char *gib_location_nearest(struct gib_engine *engine, const char *name);

/* neighbours.c: vaddrs of the file. */
/* Whether code outside the function branches strictly into its first `consumed` bytes. */
bool gib_entered_elsewhere(struct gib_elf *elf, uint64_t vaddr, uint32_t consumed);
/* Five bytes of dead padding that a two-byte jump at vaddr reaches, 0: none. `taken` says which are
 * in use. */
uint64_t gib_island_near(struct gib_elf *elf, uint64_t vaddr,
                         bool (*taken)(uint64_t vaddr, void *context), void *context);

/* plan.c */
bool gib_is_entry_only(const char *function);
/* Everything about one entry that can be known without changing the target; *out is malloc'ed. With
 * `trampoline_at` 0 the copy is planned near the function, for explain. */
int gib_site_plan(struct gib_engine *engine, struct gib_process *process,
                  const struct gib_found *found, const struct gib_patch *patch,
                  struct gib_site_state **out, struct gib_relocation *copy, uint64_t trampoline_at,
                  struct gib_error *error);
void gib_site_free(struct gib_site_state *site);
void gib_site_choose_prototype(struct gib_engine *engine, struct gib_site_state *site,
                               const struct gib_patch *patch);

/* study.c */
/* Fills site->stack_use. */
void gib_site_study(const struct gib_process *process, struct gib_site_state *site);
/* Whether its thunk must jump to it instead of calling it: it returns twice, never, or looks at its
 * caller. */
bool gib_site_entry_only(const struct gib_site_state *site);

/* site.c */
bool gib_site_in_use(const struct gib_site_state *site);
/* Writes what the agent does at this site, and its active word. */
void gib_site_publish(struct gib_engine *engine, struct gib_process *process,
                      struct gib_site_state *site);
enum gib_thunk_kind gib_site_kind(const struct gib_site_state *site);
/* A new thunk of site->kind in an arena, and the detour to it. */
int gib_site_thunk(struct gib_engine *engine, struct gib_process *process,
                   struct gib_site_state *site, struct gib_error *error);

/* apply.c */
/* Puts the patch on the functions found. With strict, the first refusal undoes everything; else
 * refusals are counted. */
int gib_patch_apply(struct gib_engine *engine, struct gib_patch *patch,
                    const struct gib_found_list *found, bool strict, struct gib_error *error);
/* Lets C++ exceptions pass through thunks, in modules that came since the last call. */
void gib_guard_unwinders(struct gib_engine *engine);
/* Takes the patch off all its sites. */
int gib_patch_remove(struct gib_engine *engine, struct gib_patch *patch, struct gib_error *error);
/* Makes the target follow patch->enabled and the other words that can be flipped. */
void gib_patch_update(struct gib_engine *engine, struct gib_patch *patch);
/* Restores every site; for detach. */
int gib_restore_all(struct gib_engine *engine, struct gib_error *error);
void gib_log_register(struct gib_engine *engine, const struct gib_site_state *site);

/* process.c */
struct gib_process *
gib_process_here(struct gib_engine *engine); /* the current one, made when needed; NULL: none */
int gib_process_ready(struct gib_engine *engine, struct gib_process **process,
                      struct gib_error *error); /* stopped and changeable */
void gib_process_end(struct gib_engine *engine);
void gib_resolve_pending(struct gib_engine *engine);
uint64_t gib_patch_calls(struct gib_engine *engine, const struct gib_patch *patch,
                         uint64_t *failures);
void gib_refresh_spent(struct gib_engine *engine);
bool gib_watch_reached(struct gib_engine *engine, uint64_t address);
/* Tells a debugger that has no load events where to stop so that pending patches are in time. */
void gib_expect_modules(struct gib_engine *engine);
int gib_watch_resolver(struct gib_engine *engine, struct gib_process *process, uint64_t resolver,
                       const struct gib_module *module);

/* release.c: restores all code, and unmaps Gibbon's memory when no thread is in it. */
void gib_release(struct gib_engine *engine);
/* The same for a process that its debugger has already let go; does nothing while somebody traces
 * it. */
void gib_release_detached(struct gib_engine *engine);

/* patch.c */
struct gib_patch *gib_patch_find(struct gib_engine *engine, int number);
void gib_patch_free(struct gib_patch *patch);
int gib_patch_add(struct gib_engine *engine, struct gib_patch *patch);
void gib_patch_forget(struct gib_engine *engine, struct gib_patch *patch);
size_t gib_patch_sites(struct gib_engine *engine, const struct gib_patch *patch,
                       struct gib_site_state **first);
size_t gib_patch_inside(struct gib_engine *engine, const struct gib_patch *patch);

/* core/command */
int gib_command_execute(struct gib_engine *engine, const char *text, bool interactive,
                        struct gib_error *error);

#endif
