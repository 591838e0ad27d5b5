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
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include "code/x86_64/undo.h"
#include <sys/stat.h>
#include "agent/layout.h"
#include "code/x86_64/stack_use.h"
#include "code/x86_64/convention.h"
#include "code/x86_64/returns.h"
#include "code/x86_64/thunk.h"
#include "code/x86_64/trampoline.h"
#include "elf/modules.h"
#include "gibbon/engine.h"
#include "log/log.h"
#include "package/package.h"
#include "package/resolve.h"

/* ---- patches: definitions ---- */

enum gib_location_kind { GIB_LOCATION_NAME, GIB_LOCATION_ADDRESS, GIB_LOCATION_FILE };

struct gib_location {
    char *text; /* as typed */
    enum gib_location_kind kind;
    char *module;   /* before the `!`, may be a glob; NULL: any */
    char *file;     /* FILE: before the colon */
    char *function; /* name, glob, regular expression without its slashes, or the expression of an
                       ADDRESS */
    bool optional;  /* `module?!`: pending without a question */
    bool glob;      /* the function is a glob */
    bool exported;  /* of a glob's functions, those that other modules can call */
    regex_t *regex; /* POSIX extended, found anywhere in a name as by `rbreak`; NULL: none */
};

/* A function that a patch could not be put on. */
struct gib_refusal {
    struct gib_module *module; /* NULL: in none */
    uint64_t address;
    int code;      /* enum gib_error_code */
    char *message; /* a sentence with its name and the reason */
};
struct gib_refusals {
    struct gib_refusal *item;
    size_t count;
};

/* A package that the user has loaded. */
struct gib_used_package {
    char *name, *path; /* the file as it was found */
    char *object; /* the shared object: the same, or compiled from it; NULL: a list of commands */
    struct gib_package *content; /* NULL: a list of commands */
    struct stat status;          /* of the object when it was read */
    bool hidden;                 /* made for one `replace f file.c:g`, or read anew since */
    struct gib_used_package *next;
};

enum gib_patch_type {
    GIB_PATCH_WRAP,    /* records the call, then the original */
    GIB_PATCH_REPLACE, /* other code in place of the original */
    GIB_PATCH_MOCK,    /* a value in place of the call */
    GIB_PATCH_HOOK,    /* of a package: a function that is called when a module is loaded */
    GIB_PATCH_MARK,    /* tells -during when a thread is inside; hidden, its number is 0 */
    GIB_PATCH_HANDLER, /* a function of the target's that is given the call; a `wrap` to the user */
};

struct gib_patch {
    int number;
    enum gib_patch_type type;
    struct gib_location location;
    struct gib_location with; /* REPLACE: the function that runs instead; HANDLER: the handler */
    char *library;            /* REPLACE: a module whose function of the same name does; or NULL */
    /* Of a package; borrowed, packages stay as long as the engine. The code of a REPLACE without a
     * registration is the function with.function of package->object. */
    struct gib_used_package *package;
    const struct gib_registration *registration;
    char *value;      /* MOCK: as typed */
    int error_number; /* MOCK: errno, 0: left alone */
    char *options;    /* as typed, for `save` and `list`; "" when there are none */
    bool enabled, count_only, temporary, quiet, all_or_none;
    unsigned backtrace; /* depth, 0: none */
    uint64_t after, every, times;
    int thread;               /* as typed: a debugger's number or a tid; 0: any */
    int32_t tid;              /* of that thread in the current process, 0: it has not been seen */
    char *from;               /* module, NULL: any */
    struct gib_patch *during; /* MARK of the function inside which calls count, NULL: none */
    /* MARK */
    unsigned users;  /* patches with -during */
    uint16_t mark;   /* place in struct gib_mark_slot */
    uint32_t serial; /* no other mark of this engine has or had it */
    char *prototype_text;
    struct gib_prototype *prototype; /* of -prototype */
    /* of the current process */
    uint32_t state;     /* index into gib_shared.patch */
    bool address_known; /* ADDRESS locations are evaluated once a process */
    uint64_t address;
    bool reported, waited;       /* news.c */
    bool placed;                 /* on a function of the process that ran last */
    bool told;                   /* what it does not see; once a session */
    bool given_up;               /* -all-or-none, and a function was refused */
    bool spent;                  /* -temporary and called, or -times reached */
    struct gib_refusals refused; /* functions that cannot be patched */
    size_t delayed;              /* sites that can be when a thread has left them */
    struct gib_error delay;      /* of the first of them */
    uint64_t earlier_calls, earlier_failures, earlier_unknown; /* of the process that ended last */
};

/* ---- process: what is in the target ---- */

struct gib_arena {
    uint64_t start;  /* address in the target */
    uint64_t offset; /* in the shared memory */
    uint64_t used;
    bool stubs; /* only jumps to thunks, each where its detour needs it */
};

struct gib_chain_link {
    struct gib_patch *patch; /* NULL: deleted; the place is free */
    uint32_t counter;
};

/*
 * What calls of a site go through, from the newest patch to the oldest, and then the original:
 *
 *   detour -> stub -> layer[n].thunk -> ... -> layer[0].thunk -> trampoline
 *
 * Patches that only record share a layer as long as none of another type comes between.
 */
struct gib_layer {
    uint32_t index; /* of its struct gib_site in the shared memory, and of its records */
    enum gib_thunk_kind kind;
    uint64_t thunk, active; /* addresses; `active` is a word in the arena: enum gib_gate, or of
                               GIB_THUNK_JUMP the eight bytes that say where it jumps */
    uint32_t thunk_size;
    uint64_t next;   /* address of the code below: the trampoline, or `jmp *[link]` */
    uint64_t link;   /* address of eight bytes: the thunk of the layer below; 0: there is none */
    uint64_t callee; /* address of the code that runs in place of what is below; 0: none */
    uint64_t with;   /* REPLACE: address of the function that callee leads to */
    struct gib_chain_link chain[GIB_MAX_ACTIONS];
};
#define GIB_MAX_LAYERS 8

/* One patched entry. Kept until the process ends: its thunk may be on a stack long after it was
 * deleted. */
struct gib_site_state {
    uint32_t index;
    uint64_t entry;   /* the function's address */
    uint64_t address; /* of the first displaced instruction, behind endbr64 */
    uint8_t kept;     /* bytes of displaced instructions that stay in place all the same, before the
                         detour: what debuggers skip, or look for. The way to the thunk undoes it. */
    struct gib_undo undo; /* when something is kept; lies right before the thunk */
    struct gib_module *module;
    char *symbol;   /* its name in the file */
    char *function; /* the same for people: C++ names demangled */
    uint8_t original[GIB_DETOUR_SIZE], detour[GIB_DETOUR_SIZE];
    uint8_t detour_size; /* 5: jmp rel32 to the thunk; 2: jmp rel8 to the island, which has the long
                            jump */
    uint64_t island;     /* address, 0: none */
    uint8_t island_original[GIB_DETOUR_SIZE], island_jump[GIB_DETOUR_SIZE];
    uint64_t stub;       /* address of the jump between detour and thunk, 0: none (arena.c) */
    uint64_t trampoline; /* address */
    uint32_t consumed;   /* displaced bytes */
    struct gib_relocation_boundary boundary[32];
    size_t boundaries;
    bool ends_in_syscall; /* the kernel may go back over its end, to begin a system call again */
    bool installed;       /* the detour is in memory */
    bool overwritten;     /* it was, until somebody wrote over it */
    bool internal;        /* Gibbon's own, no patch of the user's */
    struct gib_prototype *prototype;
    struct gib_convention convention;
    struct gib_stack_use stack_use;
    bool unguarded;       /* as of the process, when it was planned */
    bool private_callers; /* some may know which registers the function changes: those compiled
                             with it */
    struct gib_layer *layer[GIB_MAX_LAYERS]; /* the innermost first; owned */
    size_t layers;
};

static inline struct gib_layer *gib_site_top(const struct gib_site_state *site)
{
    return site->layer[site->layers - 1];
}
static inline uint64_t gib_site_detour(const struct gib_site_state *site)
{
    return site->address + site->kept;
}
/* Where the detour leads to: what is kept is undone there, and then comes the thunk. */
static inline uint64_t gib_site_way_in(const struct gib_site_state *site)
{
    return gib_site_top(site)->thunk - site->undo.size;
}
enum { GIB_STUB_SIZE = GIB_DETOUR_SIZE };

/* A piece of code in an arena, for the debugger's eyes. */
struct gib_made_code {
    uint64_t address;
    uint32_t size;
    uint32_t site; /* index */
    enum gib_made_kind { GIB_MADE_THUNK, GIB_MADE_STUB, GIB_MADE_UNDO, GIB_MADE_TRAMPOLINE } kind;
};

struct gib_watch_state {
    uint64_t address;
    uint64_t resolver; /* whose return this is */
};

/* A breakpoint of the user that a stand-in stops for. */
struct gib_moved_breakpoint {
    int32_t number;
    uint64_t from;  /* address of the location */
    uint64_t entry; /* of the site in the way */
};

/* load.c: a package's shared object in the target. */
struct gib_loaded {
    char *path; /* as the debugger sees it, without symbolic links */
    uint8_t *bytes;
    size_t size;
    struct gib_object *object; /* of the bytes */
    uint64_t start, end;       /* all of its memory in the target */
    uint64_t bias;             /* add to a vaddr of the file */
    uint32_t slot;             /* in gib_shared.object */
    bool described;            /* the debugger has its symbols */
    struct stat status;        /* of the file when it was read */
};
/* Whether both are of one file that nobody has written to in between. */
bool gib_same_file(const struct stat *one, const struct stat *other);

/* places.c: sites by the pages that their windows and islands touch. */
struct gib_place {
    uint64_t page;
    uint32_t site, next;
};
struct gib_places {
    struct gib_place *place;
    uint32_t *bucket;
    uint32_t count;
    size_t room, bucket_count;
};

struct gib_process {
    int32_t pid;
    struct gib_modules *modules;
    bool installed;     /* the agent is in the target */
    bool released;      /* given back after the debugger let it go */
    bool shadow_stacks; /* the kernel keeps a second stack of return addresses, or soon will */
    uint32_t
        thread_pointer; /* enum gib_thread_pointer of functions that run after libc's start-up */
    uint32_t early_pointer;    /* of those that run before */
    struct gib_shared *shared; /* our mapping; owned by the log */
    uint64_t size;
    int fd, memory_fd;                 /* the shared memory; gib_target_memory() */
    uint64_t data, alias, hash, marks; /* addresses in the target */
    uint64_t agent;                    /* address of its image */
    uint64_t call_stop;                /* address of an int3 for calls by ptrace */
    uint64_t syscall_instruction;      /* address of one, for system calls by ptrace */
    uint64_t
        trap_instruction; /* of an int3 that somebody else has, for calls before ours is there */
    uint64_t stub;        /* address of 128 bytes for a system-call stub */
    struct gib_arena arena[GIB_MAX_ARENAS];
    uint32_t arena_count, no_stubs_count;
    uint64_t no_stubs[GIB_MAX_ARENAS]; /* where stubs were wanted, but the place is taken */
    struct gib_site_state **site;
    void *site_tree; /* tsearch(3), by entry: the newest site of each */
    struct gib_places places;
    uint32_t site_count, layer_count, counters, patches, ranges, unwind_modules;
    struct gib_range range[GIB_MAX_RANGES]; /* of -from: our copy of the shared table */
    uint64_t unwind_used;
    bool modules_changed;   /* since sites with -from were published */
    size_t modules_seen;    /* of the table, by pending patches */
    size_t modules_guarded; /* whose unwinder knows our frames */
    bool agent_rows;        /* the agent's own unwind rows are among unwind_modules */
    bool guards_idle;       /* no patch is left that needs them */
    bool finds_objects;     /* libc's _dl_find_object knows them */
    bool unguarded;         /* some unwinder does not: no thunk may have a frame that lasts */
    struct gib_watch_state watch[1024]; /* all of libc and libm are about 200 */
    size_t watch_count;
    struct gib_moved_breakpoint *moved;
    size_t moved_count;
    struct gib_made_code *code; /* all thunks and trampolines */
    size_t code_count, code_described;
    bool code_has_lines;       /* what is described */
    bool has_symbols;          /* the debugger was given some */
    struct gib_loaded **image; /* packages */
    size_t image_count;
    bool object_used[GIB_MAX_OBJECTS]; /* slots of gib_shared.object */
    uint32_t objects;
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
    uint32_t processes, marks; /* ever */
    struct gib_process *process;
    struct gib_modules *
        *old_modules; /* of ended processes: the log still describes their addresses */
    size_t old_module_count;
    struct gib_prototypes *prototypes;
    struct gib_log *log;
    char *reply;                       /* the last string returned */
    struct gib_used_package *packages; /* the one loaded last is first */
    struct gib_compiler *compiler;     /* made when it is first needed */
    struct gib_used_package *loading;  /* whose commands are being executed */
    bool quiet;                        /* output of commands is not shown, as nobody typed them */
    char *line;                        /* of output, until its end comes */
    char *late; /* a warning that nobody could be given when it came, for the next command */
    struct gib_news *news; /* not told yet */
    size_t news_count;
    bool asking;          /* inside GIB_WILL_PATCH */
    bool busy;            /* inside a change: nested events wait */
    bool interruptible;   /* inside a command of the user's */
    bool stood_on_return; /* at the last stop, before a return instruction */
    struct {              /* the page of code read last; valid inside one change */
        bool valid;
        uint64_t address;
        uint8_t bytes[4096];
    } page;
    int64_t progress;        /* ms, when a line of progress is due; 0: no change is under way */
    struct gib_engine *next; /* of all engines of this debugger */
};

/* carry.c; at a stop that the user will see */
void gib_carry_out(struct gib_engine *engine);

/* error.c */
__attribute__((format(printf, 4, 5))) int gib_fail(struct gib_error *error, int code,
                                                   uint64_t address, const char *format, ...);
__attribute__((format(printf, 2, 3))) void gib_print(struct gib_engine *engine, const char *format,
                                                     ...);
__attribute__((format(printf, 2, 3))) void gib_warn(struct gib_engine *engine, const char *format,
                                                    ...);
/* Text of a command's output, however long. */
void gib_show_text(struct gib_engine *engine, const char *text, enum gib_print_style style);
/* As operations->query: 1 yes, 0 no, -1 nobody can be asked. */
__attribute__((format(printf, 2, 3))) int gib_ask(struct gib_engine *engine, const char *format,
                                                  ...);
/* Before an error leaves the engine: control characters in it are escaped, as in all that is
 * printed. */
void gib_error_clean(struct gib_error *error);
char *gib_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* interrupt.c: between these two, Ctrl-C is ours: kept until somebody takes it, and given to the
 * debugger if nobody has. They nest, in all threads together. */
void gib_hold_interrupts(void);
void gib_let_interrupts(void);
/* The debugger's again for a while, when it waits for the user; and back. */
void gib_lend_interrupts(bool lend);
/* Whether the user has pressed Ctrl-C since: a long command ends then. Never outside a command. */
bool gib_take_interrupt(const struct gib_engine *engine);

/* access.c: the one place that touches the target. */
int gib_read(struct gib_engine *engine, uint64_t address, void *buffer, size_t size,
             struct gib_error *error);
int gib_write(struct gib_engine *engine, uint64_t address, const void *buffer, size_t size,
              struct gib_error *error);
/* The same for code, of which neighbouring functions are read one after the other: by whole pages.
 * Only between gib_begin_change and gib_end_change. */
int gib_read_code(struct gib_engine *engine, uint64_t address, void *buffer, size_t size,
                  struct gib_error *error);
void gib_begin_change(struct gib_engine *engine);
void gib_end_change(struct gib_engine *engine);
/* A line about long work, after a second and then once a second. */
void gib_show_progress(struct gib_engine *engine, const char *doing, size_t done, size_t total);
/* A system call in the selected thread; *result is what the kernel returned, negative errors
 * included. */
int gib_target_syscall(struct gib_engine *engine, long number, const uint64_t arguments[6],
                       uint64_t *result, struct gib_error *error);
/* Lets the selected thread alone run, for a short way, until it is at `to` with this stack pointer;
 * the debugger shows it there. 0, or -1: it is somewhere on the way. */
int gib_target_run_to(struct gib_engine *engine, uint64_t to, uint64_t sp);
/* Calls a function without parameters in the selected thread. */
int gib_target_call(struct gib_engine *engine, uint64_t address, uint64_t *result,
                    struct gib_error *error);
/* Who traces the process by ptrace, 0: nobody; -1 when it is gone. */
pid_t gib_tracer_of(pid_t pid);
/* Locations of the user's breakpoints; the array is malloc'ed. */
int gib_target_breakpoints(struct gib_engine *engine, struct gib_target_breakpoint **breakpoints,
                           size_t *count, struct gib_error *error);
/* A descriptor of its /proc/PID/mem, which belongs to the process; -1: it may not be opened. Traps
 * of the debugger are in what it reads. */
int gib_target_memory(struct gib_process *process);
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
/* Adds a write to the plan, unless nothing would change. */
void gib_plan_write(struct gib_write_plan *writes, size_t *n, uint64_t address,
                    const uint8_t *expected, const uint8_t *bytes, uint8_t size);
/* All writes, or none: GIB_E_CHANGED when some byte is not as expected. Sorts the array. */
int gib_transaction(struct gib_engine *engine, struct gib_write_plan *writes, size_t count,
                    struct gib_error *error);

/* shadow.c */
/* Whether threads have shadow stacks (CET), told by the text of /proc/PID/status. */
bool gib_status_has_shadow_stack(FILE *status);
/* Whether glibc will be asked for them when the program starts, by its environment: strings, each
 * with its end. */
bool gib_environment_wants_shadow_stack(const char *environment, size_t size);
bool gib_has_shadow_stacks(int32_t pid);
/* Whether a program that just starts will have them. */
bool gib_will_have_shadow_stacks(int32_t pid);

/* install.c */
int gib_install(struct gib_engine *engine, struct gib_process *process, struct gib_error *error);
/* Whether system calls may get the process killed (seccomp): the agent makes some of its own
 * (gettid, rt_sigprocmask...). */
bool gib_is_filtered(int32_t pid);
void gib_uninstall(struct gib_engine *engine, struct gib_process *process);
/* A system call of the target's for us; on failure "The target could not WHAT for Gibbon". */
int gib_system_call(struct gib_engine *engine, const char *what, long number, uint64_t a,
                    uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t *result,
                    struct gib_error *error);

/* scope.c */
/* The modules of the process in the order of symbol lookup; free scope->module. Hold
 * gib_modules_lock. */
int gib_scope_make(struct gib_engine *engine, struct gib_process *process, struct gib_scope *scope,
                   struct gib_error *error);

/* load_file.c */
struct stat;
/* Reads image->path into image->bytes. */
int gib_image_file_read(struct gib_loaded *image, struct stat *status, struct gib_error *error);
/* *fd is the target's descriptor of the file that `status` is of; GIB_E_NOT_FOUND: the target sees
 * another one at this path. */
int gib_image_file_open(struct gib_engine *engine, struct gib_process *process,
                        const struct gib_loaded *image, const struct stat *status, uint64_t *fd,
                        struct gib_error *error);
/* The same of a copy in memory, for a target in another root, or that may not open or map the file.
 */
int gib_image_file_copy(struct gib_engine *engine, struct gib_process *process,
                        const struct gib_loaded *image, uint64_t *fd, struct gib_error *error);
void gib_image_file_close(struct gib_engine *engine, uint64_t fd);

/* load.c */
/* Maps the shared object at `path` into the process, which must be stopped, installs the agent
 * before if needed, and adds it to process->image and to the modules. Nothing of it runs. On
 * failure a sentence, and everything is as before. *out belongs to the process. */
int gib_image_load(struct gib_engine *engine, struct gib_process *process, const char *path,
                   struct gib_loaded **out, struct gib_error *error);
/* Whether the file could be mapped so, as far as that can be told without a process: 0, or a
 * sentence that begins with its name; GIB_E_UNSUPPORTED: it needs the dynamic linker. */
int gib_image_check(const char *path, struct gib_error *error);
/* Unmaps and frees it; GIB_E_BUSY when a thread is inside. Nothing may lead to it any more. */
int gib_image_unload(struct gib_engine *engine, struct gib_process *process,
                     struct gib_loaded *image, struct gib_error *error);
/* The address in the target of a function or variable of the image, exported or not. */
bool gib_image_symbol(const struct gib_loaded *image, const char *name, uint64_t *address);
/* Whether the address is in a package. */
bool gib_in_images(const struct gib_process *process, uint64_t address);
/* Unmaps and forgets all; only forgets, where the process is gone. */
void gib_images_unmap(struct gib_engine *engine, struct gib_process *process);
void gib_images_forget(struct gib_process *process);

/* arena.c */
/* An arena within reach of every byte of the module, with `size` bytes left. */
int gib_arena_near(struct gib_engine *engine, struct gib_process *process,
                   const struct gib_module *module, uint64_t size, struct gib_arena **arena,
                   struct gib_error *error);
/* Writes into an arena, so that the target sees it. */
int gib_arena_write(struct gib_engine *engine, struct gib_process *process, uint64_t address,
                    const void *bytes, size_t size, struct gib_error *error);
/* The same for a word of at most 8 bytes that is data, where no debugger has a trap: also while the
 * target runs, when some debuggers cannot write. */
int gib_arena_write_word(struct gib_engine *engine, struct gib_process *process, uint64_t address,
                         const void *word, size_t size, struct gib_error *error);
/* Where a stub of up to GIB_STUB_SIZE bytes makes a detour at this address immune to breakpoints;
 * 0: the place is taken. */
uint64_t gib_stub_place(struct gib_engine *engine, struct gib_process *process, uint64_t detour);

/* process.c */
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
    size_t order;      /* in which it was found */
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
/* Whether the dynamic linker has done its work on the module. */
bool gib_is_relocated(struct gib_engine *engine, const struct gib_module *module);
/* A name like the one misspelt, malloc'ed, or NULL. */
char *gib_location_nearest(struct gib_engine *engine, const char *name);
/* The same for a module that the process has or had. */
char *gib_module_nearest(struct gib_engine *engine, const char *name);
/* Whether a module of the process is meant by `wanted`; with `ever`, one that is gone counts. */
bool gib_module_known(struct gib_engine *engine, const char *wanted, bool ever);

/* refusals.c; when memory is short, one is not kept */
void gib_refusals_add(struct gib_refusals *list, const struct gib_found *found,
                      const struct gib_error *why);
void gib_refusals_drop_gone(struct gib_refusals *list); /* those of modules that are gone */
void gib_refusals_free(struct gib_refusals *list);

/* places.c */
/* False: out of memory. */
bool gib_places_add(struct gib_places *places, uint64_t address, size_t size, uint32_t site);
/* Calls `visit` for sites that may use bytes of [address, address + size), some perhaps twice,
 * until one is true. */
bool gib_places_visit(const struct gib_places *places, uint64_t address, size_t size,
                      bool (*visit)(uint32_t site, void *context), void *context);
void gib_places_free(struct gib_places *places);

/* neighbours.c: vaddrs of the file. */
/* Some bytes of the file's code: a function from the detour's place on. */
struct gib_stretch {
    struct gib_elf *elf;
    uint64_t vaddr;
    const uint8_t *code;
    size_t size;
};
/* Whether something outside the stretch leads strictly into its first `consumed` bytes, or a table
 * of the function to them; then *reason gets a sentence without its end. */
bool gib_is_entered(const struct gib_stretch *stretch, size_t consumed, char *reason,
                    size_t reason_size);
/* Whether `size` bytes are in use by another patch, or not what the file says. */
typedef bool gib_bytes_taken(uint64_t vaddr, size_t size, void *context);
/* Five bytes of padding between functions that a two-byte jump at vaddr reaches, 0: none. */
uint64_t gib_island_near(struct gib_elf *elf, uint64_t vaddr, gib_bytes_taken *taken,
                         void *context);
/* The last five bytes of the pad that a compiler was told to leave before the function `entry`, 0:
 * it has none. */
uint64_t gib_own_pad(struct gib_elf *elf, uint64_t entry);

/* entry.c: the detour of one function; files only. */
struct gib_entry {
    struct gib_stretch stretch; /* stretch.code is malloc'ed: gib_entry_free */
    uint64_t entry;             /* vaddr of the function; stretch.vaddr is behind its endbr64 */
    uint8_t detour_size;        /* 5, or 2 with an island */
    uint8_t kept;               /* bytes at stretch.vaddr that stay, before the detour */
    struct gib_undo undo;       /* of those */
    uint64_t island;            /* vaddr, 0: none */
    uint8_t island_original[GIB_DETOUR_SIZE];
    bool shadow_stacks; /* set by the caller: the process has them, so no call may become a push
                           and a jump */
    struct gib_relocation copy;
};
/* Reads the function at `entry` and the padding behind it. */
int gib_entry_read(struct gib_elf *elf, uint64_t entry, struct gib_entry *out,
                   struct gib_error *error);
/* Chooses the smallest detour, for the file loaded at `bias` and a copy at address `to`. */
int gib_entry_choose(struct gib_entry *entry, uint64_t bias, uint64_t to, gib_bytes_taken *taken,
                     void *context, struct gib_error *error);
/*
 * The same with as many instructions left before the detour that nobody who waits at vaddr `body`,
 * the function's body as the debugger sees it, waits in vain: the body is then behind what is
 * displaced, or is the detour itself. With `frame` the debugger must find the set-up of a frame,
 * `push %rbp; mov %rsp,%rbp`, in its place to know the body. The way to the thunk undoes what was
 * left. False, and nothing changed: not here, or not needed.
 */
bool gib_entry_keep(struct gib_entry *entry, uint64_t bias, uint64_t to, uint64_t body, bool frame,
                    gib_bytes_taken *taken, void *context);
void gib_entry_free(struct gib_entry *entry);

/* plan.c */
bool gib_is_entry_only(const char *function);
/* Everything about one entry that can be known without changing the target; *out is malloc'ed. With
 * `trampoline_at` 0 the copy is planned near the function, for explain. */
int gib_site_plan(struct gib_engine *engine, struct gib_process *process,
                  const struct gib_found *found, const struct gib_patch *patch,
                  struct gib_site_state **out, struct gib_relocation *copy, uint64_t trampoline_at,
                  struct gib_error *error);
/* GIB_E_FILE: its code is of no file. */
int gib_in_no_file(const char *function, uint64_t address, struct gib_error *error);
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
/* Where the patch stands at a site; NULL: nowhere. */
struct gib_chain_link *gib_site_link_of(const struct gib_site_state *site,
                                        const struct gib_patch *patch, struct gib_layer **layer);
/* Writes what the agent does at this site, and the active words of its layers. False: some could
 * not be written. */
bool gib_site_publish(struct gib_engine *engine, struct gib_process *process,
                      struct gib_site_state *site);
/* Modules came or went: sites with -from are published again. */
void gib_sites_follow_modules(struct gib_engine *engine, struct gib_process *process);
/* The thunk that the patches of a layer need. */
enum gib_thunk_kind gib_layer_kind(const struct gib_site_state *site,
                                   const struct gib_layer *layer);
/* Tells the log what the site's records look like. */
void gib_log_register(struct gib_engine *engine, const struct gib_site_state *site);
/* Leads the site's stub, if it has one, to its outermost thunk, and each layer to the one below. */
int gib_site_connect(struct gib_engine *engine, struct gib_process *process,
                     const struct gib_site_state *site, struct gib_error *error);
/* A new thunk of layer->kind in an arena. */
int gib_layer_thunk(struct gib_engine *engine, struct gib_process *process,
                    struct gib_site_state *site, struct gib_layer *layer, struct gib_error *error);
/* Plans the detour to the outermost thunk, or to the stub. */
int gib_site_lead(struct gib_engine *engine, struct gib_process *process,
                  struct gib_site_state *site, struct gib_error *error);

/* What makes the replacement of a function another kind of function, malloc'ed; NULL: nothing that
 * is known. */
char *gib_replacement_differs(struct gib_engine *engine, const struct gib_site_state *site,
                              const struct gib_patch *patch);

/* layers.c */
/* `jmp` to an address anywhere, in an arena near the site; the address it goes to is the eight
 * bytes at *at + 8. */
int gib_jump_stub(struct gib_engine *engine, struct gib_process *process,
                  const struct gib_site_state *site, uint64_t to, uint64_t *at,
                  struct gib_error *error);
/* A new outermost layer, without a thunk. */
int gib_layer_add(struct gib_engine *engine, struct gib_process *process,
                  struct gib_site_state *site, struct gib_layer **out, struct gib_error *error);
void gib_layer_drop(struct gib_site_state *site, struct gib_layer *layer);
/* Calls no longer go through layers without a patch; the site is in use. */
void gib_layers_drop_empty(struct gib_engine *engine, struct gib_process *process,
                           struct gib_site_state *site);
struct gib_layer_change {
    struct gib_layer *layer;
    struct gib_layer before;
    bool added;
};
/* The patch gets its place: in the outermost layer, or in a new one; with a thunk, to which no
 * detour leads yet. `out` takes it back, with gib_layer_undo. */
int gib_layer_take(struct gib_engine *engine, struct gib_process *process,
                   struct gib_site_state *site, struct gib_patch *patch,
                   struct gib_layer_change *out, struct gib_error *error);
void gib_layer_undo(struct gib_site_state *site, const struct gib_layer_change *change);

/* packages.c */
/* Directories of this build or installation; malloc'ed, NULL: unknown. */
char *gib_library_directory(void);
/* Where packages are looked for. */
int gib_engine_package_path(struct gib_package_path *path, struct gib_error *error);
struct gib_compiler *gib_engine_compiler(struct gib_engine *engine);
/* The package that `text` means: *fresh when it was not loaded before. A C file is compiled; what
 * the compiler said is shown. */
int gib_package_use(struct gib_engine *engine, const char *text, struct gib_used_package **out,
                    bool *fresh, struct gib_error *error);
/* The code of `replace f FILE.c:FUNCTION`; GIB_E_ARGUMENT: the text is not of that form. */
int gib_package_function(struct gib_engine *engine, const char *text, struct gib_patch *patch,
                         struct gib_error *error);
/* A patch, without a number, that a registration asks for. */
/* Fills in anew what runs or is returned, as the registration says. GIB_E_MEMORY. */
int gib_package_effect(struct gib_patch *patch, struct gib_error *error);
int gib_package_patch(struct gib_used_package *package, const struct gib_registration *registration,
                      struct gib_patch **out, struct gib_error *error);
/* Where the patch's code is in the target; the package comes there now, if it is not. For a WRAP
 * the package's pointer to the original is set. */
int gib_package_code(struct gib_engine *engine, struct gib_process *process,
                     const struct gib_site_state *site, const struct gib_layer *layer,
                     const struct gib_patch *patch, uint64_t *address, struct gib_error *error);
/* Modules have come: pointers of GIBBON_ORIGINAL that led nowhere may lead to a function. */
void gib_package_originals(struct gib_engine *engine, struct gib_process *process);
void gib_packages_free(struct gib_engine *engine);

/* hooks.c */
/* Whether the module's constructors have run, as far as can be told. */
bool gib_is_initialised(struct gib_engine *engine, const struct gib_module *module);
/* Calls the hook now, for a module that is initialised already. GIB_E_BUSY: not at this moment. */
int gib_call_hook(struct gib_engine *engine, struct gib_process *process,
                  const struct gib_patch *patch, const struct gib_module *module,
                  struct gib_error *error);

/* callee.c */
/* A loaded module, by its name, or by its path (without symbolic links) when `library` has a slash;
 * NULL: none, or no process. */
struct gib_module *gib_library_here(struct gib_engine *engine, const char *library);
/* Code in an arena that runs in place of the original: the patch's function, or what returns its
 * value; layer->callee is its address. */
int gib_layer_callee(struct gib_engine *engine, struct gib_process *process,
                     const struct gib_site_state *site, struct gib_layer *layer,
                     const struct gib_patch *patch, struct gib_error *error);

/* handler.c */
/* The same for a handler: a function at this address, of the type void (struct gibbon_call *). */
int gib_handler_callee(struct gib_engine *engine, struct gib_process *process,
                       const struct gib_site_state *site, struct gib_layer *layer,
                       uint64_t function, struct gib_error *error);

/* obstacles.c */
/* All threads, and every word on their stacks that could be an address in a module, sorted. Read
 * once for any number of sites. */
struct stack_word {
    uint64_t word;
    int32_t tid;
};
struct gib_stopped {
    struct gib_target_thread *threads;
    size_t count;
    struct stack_word *words;
    size_t word_count, room;
    uint64_t low, high; /* of all modules */
    int32_t tid;
    /* When not all threads are stopped: the first so many modules may be in use. */
    struct gib_modules *modules;
    size_t used_modules;
};

/* Reads all threads and their stacks. Free with gib_forget_stopped. */
int gib_look_at_threads(struct gib_engine *engine, struct gib_stopped *stopped,
                        struct gib_error *error);
void gib_forget_stopped(struct gib_stopped *stopped);
/* 0, or GIB_E_BUSY: a thread cannot be moved out of the bytes to be replaced, or will come back
 * into them. */
int gib_check_threads(const struct gib_site_state *site, const struct gib_stopped *stopped,
                      struct gib_error *error);
/* Threads inside the bytes go on in their copy; or `back`, when nothing came of it. */
int gib_move_threads(struct gib_engine *engine, const struct gib_site_state *site,
                     const struct gib_stopped *stopped, bool back, struct gib_error *error);
/* Threads between the two jumps of a detour with an island go on in the copy: at the entry a
 * breakpoint would be met once more. */
int gib_leave_island(struct gib_engine *engine, const struct gib_site_state *site,
                     const struct gib_stopped *stopped, struct gib_error *error);

/* overwritten.c: a detour's bytes that somebody else has written over. */
enum gib_bytes_of { GIB_BYTES_OURS, GIB_BYTES_ORIGINAL, GIB_BYTES_OTHERS, GIB_BYTES_UNREADABLE };
/* Whose bytes are at an installed site. Inside a change pages are read once. */
enum gib_bytes_of gib_site_bytes(struct gib_engine *engine, const struct gib_site_state *site);
/* 0, or GIB_E_CHANGED: nothing more can be done with this detour. */
int gib_check_detour(struct gib_engine *engine, const struct gib_site_state *site,
                     struct gib_error *error);
/* How many of the patch's detours are not ours any more, and the first. */
size_t gib_patch_overwritten(struct gib_engine *engine, const struct gib_patch *patch,
                             const struct gib_site_state **first);

/* breakpoints.c */
/* Stand-ins for those of the user's breakpoints that are in replaced bytes and have none yet. */
void gib_check_breakpoints(struct gib_engine *engine);
/* Gives breakpoints in the function at `entry`, or all of them (0), their own places back. */
void gib_return_breakpoints(struct gib_engine *engine, uint64_t entry);

/* guard.c */
/* Lets C++ exceptions pass through thunks, in modules that came since the last call that succeeded.
 * Fails for what may pass: a thread in the way, a read that was interrupted. */
int gib_guard_unwinders(struct gib_engine *engine, struct gib_error *error);

/* apply.c */
/* The site at a function's entry that patches are on, or NULL. */
struct gib_site_state *gib_site_at(const struct gib_process *process, uint64_t entry);
/* GIB_E_STATE: the function is patched by Gibbon itself. */
int gib_site_internal(const struct gib_site_state *site, struct gib_error *error);
/* Behind a refusal that undid everything; refusals leave room for it in their message. */
#define GIB_NONE_PATCHED    "With -all-or-none, nothing was patched."
#define GIB_NO_MORE_PATCHED "With -all-or-none, nothing more is patched."
/* Puts the patch on the functions found. Refusals are counted, and so are functions that a thread
 * is in the way of; but with -all-or-none, or one function that is refused, the first undoes
 * everything. */
int gib_patch_apply(struct gib_engine *engine, struct gib_patch *patch,
                    const struct gib_found_list *found, struct gib_error *error);
/* Tries again where threads were in the way. */
void gib_patch_retry(struct gib_engine *engine);
/* A site of Gibbon's own, without a patch of the user's. */
int gib_apply_internal(struct gib_engine *engine, const struct gib_found *found,
                       enum gib_thunk_kind kind, const struct gib_stopped *stopped,
                       struct gib_error *error);
/* Gives the sites that call through a thunk that jumps. `error` tells of those that could not. */
void gib_apply_entry_only(struct gib_engine *engine, const struct gib_stopped *stopped,
                          struct gib_error *error);
/* Makes the target follow patch->enabled and the other words that can be flipped. */
int gib_patch_update(struct gib_engine *engine, struct gib_patch *patch, struct gib_error *error);

/* remove.c */
/* Takes the patch off all its sites. */
int gib_patch_remove(struct gib_engine *engine, struct gib_patch *patch, struct gib_error *error);
/* When no patch of the user's is left and no thread is inside a thunk, the sites that guard
 * unwinders go too. Does nothing, quickly, at any other time. */
void gib_drop_guards(struct gib_engine *engine);
/* Restores every site; for detach. */
int gib_restore_all(struct gib_engine *engine, struct gib_error *error);

/* describe.c: symbols for our own code. */
/* Code of the site is in an arena now. */
void gib_code_made(struct gib_process *process, const struct gib_site_state *site, uint64_t address,
                   size_t size, enum gib_made_kind kind);
/* Gives the debugger a symbol file of all code that came since the last time. */
void gib_describe_code(struct gib_engine *engine);
/* The same for packages only. */
void gib_describe_images(struct gib_engine *engine, struct gib_process *process);
/* Takes them all back, and gives them again the next time. */
void gib_describe_anew(struct gib_engine *engine, struct gib_process *process);
/* The agent as a file, linked at 0, with symbols and call frames; NULL when it cannot be opened. */
struct gib_elf *gib_open_agent(void);
/* Takes them all back. */
void gib_describe_nothing(struct gib_engine *engine, struct gib_process *process);

/* process.c */
struct gib_process *
gib_process_here(struct gib_engine *engine); /* the current one, made when needed; NULL: none */
int gib_process_ready(struct gib_engine *engine, struct gib_process **process,
                      struct gib_error *error); /* stopped and changeable */
void gib_process_end(struct gib_engine *engine);
void gib_resolve_pending(struct gib_engine *engine);
/* Takes note of modules that are gone, without asking the debugger anything. */
void gib_modules_went(struct gib_engine *engine);
uint64_t gib_patch_calls(struct gib_engine *engine, const struct gib_patch *patch,
                         uint64_t *failures);
void gib_refresh_spent(struct gib_engine *engine);
bool gib_watch_reached(struct gib_engine *engine, uint64_t address);
/* Tells a debugger that has no load events where to stop so that pending patches are in time. */
void gib_expect_modules(struct gib_engine *engine);
/* Before the detour of a site is written. */
void gib_watches_make_way(struct gib_engine *engine, const struct gib_site_state *site);
int gib_watch_resolver(struct gib_engine *engine, struct gib_process *process,
                       const struct gib_found *found, struct gib_error *error);

/* Whether any thread may still come back into an arena: by its program counter or by something on
 * its stack. */
bool gib_anybody_inside(struct gib_engine *engine, const struct gib_process *process);
/* farewell.c: the thread that is stopped at process->exit_watch goes on there a little later. */
void gib_delay_exit(struct gib_engine *engine, struct gib_process *process);

/* release.c: restores all code, and unmaps Gibbon's memory when no thread is in it. */
void gib_release(struct gib_engine *engine);
/* The same for a process that its debugger has already let go; does nothing while somebody traces
 * it. */
void gib_release_detached(struct gib_engine *engine);

/* patch.c */
/* Finds the threads that -thread means; a number may be that of a thread to come. */
void gib_patch_find_threads(struct gib_engine *engine);
struct gib_patch *gib_patch_find(struct gib_engine *engine, int number);
/* Whether its calls are not counted, since they only jump. */
bool gib_patch_uncounted(struct gib_engine *engine, const struct gib_patch *patch);
void gib_patch_free(struct gib_patch *patch);
int gib_patch_add(struct gib_engine *engine, struct gib_patch *patch);
void gib_patch_forget(struct gib_engine *engine, struct gib_patch *patch);
/* Takes the patch off all its sites, forgets and frees it, and what only it used. On failure
 * nothing has changed. */
int gib_patch_delete(struct gib_engine *engine, struct gib_patch *patch, struct gib_error *error);
/* "patch 3 (open)", for messages; malloc'ed. */
char *gib_patch_name(const struct gib_engine *engine, const struct gib_patch *patch);
/* Calls that may be tail calls of the -from module. */
uint64_t gib_patch_unknown(struct gib_engine *engine, const struct gib_patch *patch);

/* Takes it off, or switches it off while the program runs; then it goes at the next stop. */
void gib_patch_drop(struct gib_engine *engine, struct gib_patch *patch);

/* news.c: what a front-end is told of patches. */
struct gib_news {
    enum gib_patch_event event;
    char *line;
};
/* 0, or GIB_E_REFUSED. */
int gib_will_patch(struct gib_engine *engine, const struct gib_patch *patch,
                   struct gib_error *error);
void gib_did_unpatch(struct gib_engine *engine, const struct gib_patch *patch);
/* Finds out which patches have come onto functions since the last time. */
void gib_collect_news(struct gib_engine *engine);
/* Tells it all; without the lock. */
void gib_tell_news(struct gib_engine *engine);
/* One line of gib_engine_patches, malloc'ed. In core/command. */
char *gib_patch_line(struct gib_engine *engine, const struct gib_patch *patch);

/* during.c: the marks of -during. */
/* The mark on this function, one more user of it; a new one is not placed yet. */
int gib_mark_get(struct gib_engine *engine, const char *function, struct gib_patch **mark,
                 struct gib_error *error);
/* One user less; the last one takes it off. NULL is allowed. */
int gib_mark_release(struct gib_engine *engine, struct gib_patch *mark, struct gib_error *error);
size_t gib_patch_sites(struct gib_engine *engine, const struct gib_patch *patch,
                       struct gib_site_state **first);
size_t gib_patch_inside(struct gib_engine *engine, const struct gib_patch *patch);

/* core/command */
int gib_command_execute(struct gib_engine *engine, const char *text, bool interactive,
                        struct gib_error *error);
/* Warns of what patches do not see that came into the process outside of a command: queued while
 * code is changed, so that it is called when that is done. */
void gib_tell_references(struct gib_engine *engine);

#endif
