/*
 * gibbon/target.h: what a debugger does for the engine. The only contract between the two.
 *
 * A front-end fills one struct of callbacks, forwards the text of commands, and tells the engine
 * when something happened. The engine drives: it calls back only from inside a gib_engine_
 * function, in the thread that called it, with one exception, `wake`.
 *
 * Everything the ELF files and /proc can answer the engine finds out itself, so that it is the same
 * in every debugger and available while the target runs (docs/architecture.md, "Who knows what").
 */
#ifndef GIBBON_TARGET_H
#define GIBBON_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum gib_target_state {
    GIB_TARGET_NONE,    /* no process: not started, or gone */
    GIB_TARGET_STOPPED, /* every thread is stopped: memory and registers may be changed */
    GIB_TARGET_RUNNING, /* some thread runs */
    GIB_TARGET_CORE,    /* a core file: memory may be read only */
};

struct gib_target_thread {
    int32_t tid;    /* the kernel's id */
    int32_t number; /* the debugger's own number */
    uint64_t pc, sp;
};

struct gib_target_breakpoint {
    int32_t number;   /* the user's number for it */
    uint64_t address; /* of one location */
    bool exact;       /* set on an address (`*0x1234`), not on a function or a line */
};

enum gib_print_style {
    GIB_PRINT_PLAIN, /* output of a command */
    GIB_PRINT_LOG,   /* a line of the log: must not stop at a pager */
    GIB_PRINT_WARNING,
};

/* What happens to a patch. */
enum gib_patch_event {
    GIB_WILL_PATCH,       /* it is about to be made; may be refused */
    GIB_DID_PATCH,        /* it is on functions of the process now */
    GIB_DID_UNPATCH,      /* it was on some, and has been taken off */
    GIB_PENDING_RESOLVED, /* it waited for its functions, and is on them now; DID_PATCH follows */
};

/* All callbacks get the context given to gib_engine_new. "0 or -1": -1 says that the debugger could
 * not. */
struct gib_target_operations {
    size_t size;           /* sizeof(struct gib_target_operations), for compatibility */
    bool tells_exit;       /* GIB_EVENT_EXITED comes as soon as the process has ended */
    bool reads_prologues;  /* finds where a function's body begins by reading its instructions */
    bool knows_statements; /* a breakpoint on a line goes to rows of a line table only that begin a
                              statement */
    bool symbols_follow_fork; /* a forked child that it goes on with has the symbols it was given */

    /* The process id, 0 when there is no process; and what it does. */
    int32_t (*pid)(void *context);
    enum gib_target_state (*state)(void *context);
    /* Path of the program the user chose, before or after it was started; "" when there is none.
     * Valid until the next call. */
    const char *(*program)(void *context);

    /* Memory as the program sees it: the debugger's own breakpoints are not in it. Exactly `size`
     * bytes, or -1. A write must leave breakpoints at its addresses working. */
    int (*read)(void *context, uint64_t address, void *buffer, size_t size);
    int (*write)(void *context, uint64_t address, const void *buffer, size_t size);

    /* Calls the function without parameters at `address` in the selected thread while all others
     * stay stopped; *result is rax. */
    int (*call)(void *context, uint64_t address, uint64_t *result);

    /* Threads with their registers: fills up to `max`, returns how many there are. */
    size_t (*threads)(void *context, struct gib_target_thread *threads, size_t max);
    int (*set_pc)(void *context, int32_t tid, uint64_t pc);
    /* An integer register of the selected thread, "rax". */
    int (*get_register)(void *context, const char *name, uint64_t *value);
    /* What the register holds now; the debugger has kept an older value. */
    int (*set_register)(void *context, const char *name, uint64_t value);
    /* Lets the selected thread, and no other, run until it comes to `address` with this stack
     * pointer, unseen, and shows its registers of then: a way of some hundred instructions that
     * cannot wait for another thread. Only asked of a debugger whose threads the engine cannot
     * borrow by ptrace. 0 or -1. */
    int (*run_to)(void *context, uint64_t address, uint64_t sp);

    /* Locations of the user's enabled software breakpoints, or of one of them by its number (0: of
     * all): fills up to `max`, returns how many there are. */
    size_t (*breakpoints)(void *context, int32_t number, struct gib_target_breakpoint *breakpoints,
                          size_t max);

    /* The location at `from` of the user's breakpoint shall not be used for a while; a stand-in at
     * `to`, with the same conditions, counts and commands, stops in its place. Returns the
     * stand-in's number, which the user sees. Doing it again is harmless. With `to` 0 the stand-in
     * goes and the location is used again: 0. -1: the debugger could not. */
    int32_t (*move_breakpoint)(void *context, int32_t number, uint64_t from, uint64_t to);

    /* The value of an expression of the debugger's language as an address, as in "*EXPRESSION". On
     * failure -1 and a sentence in `error` (256 bytes). */
    int (*evaluate)(void *context, const char *expression, uint64_t *value, char *error);

    /* Executes a command of the debugger's as if it had been typed, and comes back when it has
     * ended: when the program has stopped again, if the command lets it run. Calls of the engine
     * are allowed meanwhile. On failure -1 and a sentence in `error` (256 bytes). */
    int (*execute)(void *context, const char *command, char *error);

    /*
     * Tells of a patch: a line as of gib_engine_patches. WILL_PATCH comes inside a command, which
     * fails when the answer is -1, with the reason in `error` (256 bytes); no command may be given
     * then. The others come at the end of a command or an event, one call for each; their answer
     * is not looked at, and commands may be given if the debugger is ready for them.
     */
    int (*patch_event)(void *context, enum gib_patch_event event, const char *line, char *error);

    /* Stop internally, unseen by the user, whenever `address` is executed, and report
     * GIB_EVENT_REACHED, behind which gib_engine_stop() may want the user to see it; on: false ends
     * it. With a path, `address` is one of that file's, which may
     * not be mapped yet; the path "" is of whatever program the user will choose: where its
     * libraries are mapped. */
    int (*watch)(void *context, const char *path, uint64_t address, bool on);

    /*
     * Takes the ELF file at `path` as symbols, call frames and lines of code that Gibbon has made;
     * its sections have the addresses at which they are in the target. The path is valid during
     * the call only. With a `bias` that is not 0 it is a package's own file, which stays, and is
     * mapped with that bias: what is added to its addresses. NULL: forget all of them, the code is
     * gone. 0, -1 when the debugger cannot, 1 when not at this moment: it will be asked again.
     * Called at stops that the user sees, in commands, and when a watched address was reached; with
     * NULL, and for a package that was just mapped, in any event.
     */
    int (*symbols)(void *context, const char *path, uint64_t bias);

    /* Shows text to the user (ends with a newline). */
    void (*print)(void *context, const char *text, enum gib_print_style style);
    /*
     * How the debugger shows pieces of text there where it goes now: the numbers of an escape
     * sequence "ESC [ numbers m" for a function's name, a file's, a line's number, an address, a
     * variable's name, a note about something (metadata), something to be noticed, and a table's
     * heading; tabs between them, nothing for a piece that is shown like others. "" where it shows
     * no colours. Asked whenever text is to be shown; valid until the next call.
     */
    const char *(*styles)(void *context);
    /* Asks a yes-no question: 1, 0, or -1 when nobody can be asked. */
    int (*query)(void *context, const char *question);

    /* From the engine's reader thread: there is something to show. The front-end calls
     * gib_engine_flush soon, in whatever thread may print. Must not block. */
    void (*wake)(void *context);
};

#ifdef __cplusplus
}
#endif
#endif
