/*
 * process.h: what is in the target now: arenas, sites with their layers, packages' images. Gone
 * with the process.
 */
#ifndef GIBBON_ENGINE_PROCESS_H
#define GIBBON_ENGINE_PROCESS_H

#include "agent/layout.h"
#include "code/x86_64/convention.h"
#include "code/x86_64/returns.h"
#include "code/x86_64/stack_use.h"
#include "code/x86_64/thunk.h"
#include "code/x86_64/trampoline.h"
#include "code/x86_64/undo.h"
#include "engine/patches.h"
#include "package/resolve.h"

struct gib_arena {
    uint64_t start;  /* address in the target */
    uint64_t offset; /* in the shared memory */
    uint64_t used;
    bool stubs; /* only jumps to thunks, each where its detour needs it */
};

struct gib_chain_link {
    struct gib_patch *patch; /* NULL: deleted; the place is free */
    uint32_t counter;
    struct gib_condition *condition; /* of the patch, for this function; owned; NULL: none */
    uint64_t code;                   /* address of its code for the agent; 0: none */
};

/* Layers of a higher rank lie further outside, whatever came first: a call is stopped once, before
 * all that other patches do, and its return right before the caller. */
enum gib_layer_rank { GIB_LAYER_ORDINARY, GIB_LAYER_STOPS_RETURNS, GIB_LAYER_STOPS_CALLS };
#define GIB_MAX_LAYERS 8

/*
 * What calls of a site go through, from the newest patch to the oldest, and then the original:
 *
 *   detour -> stub -> layer[n].thunk -> ... -> layer[0].thunk -> trampoline
 *
 * Patches that only record share a layer as long as none of another type comes between.
 */
struct gib_layer {
    uint32_t index; /* of its struct gib_site in the shared memory, and of its records */
    enum gib_layer_rank rank;
    enum gib_thunk_kind kind;
    uint64_t thunk, active; /* addresses; `active` is a word in the arena: enum gib_gate, or of
                               GIB_THUNK_JUMP the eight bytes that say where it jumps */
    uint32_t thunk_size;
    uint64_t next;   /* address of the code below: the trampoline, or `jmp *[link]` */
    uint64_t link;   /* address of eight bytes: the thunk of the layer below; 0: there is none */
    uint64_t callee; /* address of the code that runs in place of what is below; 0: none */
    uint64_t with;   /* REPLACE: address of the function that callee leads to */
    const struct gib_condition *decided; /* the thunk decides this one, of the only patch */
    bool keeps_entry;                    /* the thunk has room for struct gib_kept */
    struct gib_chain_link chain[GIB_MAX_ACTIONS];
};

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
    uint64_t call_target,
        call_pointer;     /* as in struct gib_site, of the last displaced instruction */
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
    uint32_t frame; /* of a thunk: from here on it has a frame with a frame pointer */
    uint32_t site;  /* index */
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
    int32_t other;      /* the process of the same fork where the patches were before; 0: none */
    bool ends;          /* a thread is at `exit_watch` */
    bool reported;      /* which patches found nothing in it */
    bool unseen;        /* its code was not looked at since patches moved there */
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
    size_t *portion, portions; /* ends of what was described at once, indices of code */
    bool code_has_lines;       /* what is described */
    bool has_symbols;          /* the debugger was given some */
    struct gib_loaded **image; /* packages */
    size_t image_count;
    bool object_used[GIB_MAX_OBJECTS]; /* slots of gib_shared.object */
    uint32_t objects;
    uint64_t stops; /* address of the agent whose pads are watched, which may be gone; 0: none */
    uint64_t exit_watch; /* libc's _exit, when the debugger does not tell of the end */
};

#endif
