/*
 * gibbon/engine.h: the engine, as a front-end sees it.
 *
 * One engine serves one debugger process. Calls are serialised inside; only gib_engine_flush may be
 * called while another call is under way in a different thread. Strings are UTF-8; strings returned
 * belong to the engine and stay valid until the next call that returns one.
 */
#ifndef GIBBON_ENGINE_H
#define GIBBON_ENGINE_H

#include "gibbon/relocate.h" /* struct gib_error */
#include "gibbon/target.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gib_engine;

/* Bumped when this header or target.h changes incompatibly; a front-end checks it first. */
#define GIB_ENGINE_INTERFACE 10
GIB_API int gib_engine_interface(void);

/* An engine for the debugger behind `operations` (copied). `debugger` is "gdb" or "lldb", for
 * messages only. NULL when out of memory. */
GIB_API struct gib_engine *gib_engine_new(const struct gib_target_operations *operations,
                                          void *context, const char *debugger);

/* Loads the packages that GIBBON_PATCHES names; prints only what goes wrong. The front-end's last
 * word when it has been set up. */
GIB_API void gib_engine_start(struct gib_engine *engine);

/* Removes every patch from the target if that is still possible, ends the reader thread, frees
 * everything. NULL is allowed. */
GIB_API void gib_engine_free(struct gib_engine *engine);

/*
 * Executes one command, the text behind the word "gibbon". Output goes through operations->print.
 * 0, or a GIB_E_ code and one sentence in *error; then nothing has changed.
 */
GIB_API int gib_engine_command(struct gib_engine *engine, const char *text, bool interactive,
                               struct gib_error *error);

/* The user pressed Ctrl-C, which usually the engine finds out itself (SIGINT is its own while it
 * works). False: it is not at work, and the debugger shall do what it does then. In any thread. */
GIB_API bool gib_engine_interrupt(void);

/* Completions of the last word of `text`, newline separated, whole words; "" when there are none.
 * `functions` is set when the debugger should add its own completion of locations. */
GIB_API const char *gib_engine_complete(struct gib_engine *engine, const char *text,
                                        bool *functions);

/* Newline-separated "name\tone line of help" of every command, and the whole help of one, "" for an
 * overview; NULL when unknown. */
GIB_API const char *gib_engine_commands(struct gib_engine *engine);
GIB_API const char *gib_engine_help(struct gib_engine *engine, const char *command);
/* Newline-separated "name\tone line of help\tvalue" of every setting. */
GIB_API const char *gib_engine_settings(struct gib_engine *engine);

/* How often patch N was called, as $_gibbon_calls(N); -1 when there is no such patch. */
GIB_API int64_t gib_engine_calls(struct gib_engine *engine, int number);

/* A line for each patch, fields separated by tabs: number, type ("wrap"), state ("active",
 * "pending", "disabled"), calls, functions it is on, address of the first of them (hexadecimal, 0:
 * none), location, the value or what runs instead (or ""), options as typed (or ""). */
GIB_API const char *gib_engine_patches(struct gib_engine *engine);

/* Takes patch N off. While the program runs it is only switched off, and goes at the next stop. No
 * such patch: nothing happens. */
GIB_API void gib_engine_drop(struct gib_engine *engine, int number);

/*
 * Whether a detour is in memory at a function that `location` means: 1, 0 (also without a process),
 * or -1 with *error. By the bytes there, not by what was once written.
 */
GIB_API int gib_engine_patched(struct gib_engine *engine, const char *location,
                               struct gib_error *error);

/* The address that calls the function as it is in its file, past all patches: its trampoline, or
 * itself. *entry is its own address. 0 with *error when `location` is no one function. */
GIB_API uint64_t gib_engine_original(struct gib_engine *engine, const char *location,
                                     uint64_t *entry, struct gib_error *error);

/* The beginning of the thunk that `pc` is in, behind a call: its frame then has a frame pointer
 * (caller's pc at rbp + 8, caller's rbp at rbp, caller's rsp is rbp + 16). For debuggers that
 * unwind through code without tables, in the time before operations->symbols has given them some:
 * then, and for all other addresses, 0. */
GIB_API uint64_t gib_engine_thunk_at(struct gib_engine *engine, uint64_t pc);

/* What happened in the debugger. */
enum gib_event {
    GIB_EVENT_LOADED,  /* modules were mapped or unmapped, or a process has just been started or
                          attached to; it is stopped, perhaps only for this call */
    GIB_EVENT_STOPPED, /* the target stopped and the user will see it */
    GIB_EVENT_RESUMED,
    GIB_EVENT_REACHED,   /* a watched address (value) is about to be executed by the selected thread
                          */
    GIB_EVENT_EXITED,    /* the process with the id `value` (0: the current one) is gone, or no
                            longer ours; the debugger may have gone on with its forked child */
    GIB_EVENT_DETACHING, /* the debugger is about to let the process go: the last chance to restore
                            it */
    GIB_EVENT_BREAKPOINT, /* the user's breakpoints changed: the one with the number `value`, 0: any
                           */
    GIB_EVENT_STOPPING,   /* the selected thread, of which gib_engine_stop() has told, has left the
                             watched address and is about to be shown; only from a debugger whose
                             threads the engine cannot borrow by ptrace. gib_engine_stop() tells
                             again, as the patch may have gone. */
    GIB_EVENT_UNMAPPED,   /* a module was unmapped; the debugger answers nothing now, and need not:
                             no operation is called */
};
GIB_API void gib_engine_event(struct gib_engine *engine, enum gib_event event, uint64_t value);

/*
 * Behind GIB_EVENT_REACHED: whether the selected thread shall stop for the user, where it is now,
 * which may be another place than before the event. NULL: it goes on, unseen. Otherwise what the
 * debugger says in front of the thread's frame, as it says "Breakpoint 2, "; a text that ends with
 * a line end is a line of its own. *commands are those that the user wants executed then, a line
 * each; NULL: the thread is not there yet, and the debugger shall let it stop again where it is, or
 * behind the instruction there, which does nothing, and tell of it by GIB_EVENT_STOPPING.
 */
GIB_API const char *gib_engine_stop(struct gib_engine *engine, const char **commands);

/* Prints what the reader has collected. */
GIB_API void gib_engine_flush(struct gib_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
