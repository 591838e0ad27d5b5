/*
 * sites.h: patches on their functions: layers, thunks and what they lead to; threads and
 * breakpoints that are in the way; applying, removing, describing.
 */
#ifndef GIBBON_ENGINE_SITES_H
#define GIBBON_ENGINE_SITES_H

#include "engine/planning.h"

struct gib_out;

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
/* A new layer without a thunk: the outermost, but below stops. The patch, NULL for a site of
 * Gibbon's own, does not get its place yet. */
int gib_layer_add(struct gib_engine *engine, struct gib_process *process,
                  struct gib_site_state *site, const struct gib_patch *patch,
                  struct gib_layer **out, struct gib_error *error);
void gib_layer_drop(struct gib_site_state *site, struct gib_layer *layer);
void gib_layer_free(struct gib_layer *layer);
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

/* condition.c */
/* Compiles the condition of link->patch for the site, and puts its code into an arena; nothing to
 * do when it has none. GIB_E_WAITING: it names a function that no module has yet. */
int gib_link_condition(struct gib_engine *engine, struct gib_process *process,
                       const struct gib_site_state *site, struct gib_chain_link *link,
                       struct gib_error *error);
/* Calls `visit` for the words that can stand in a condition of the function that `location` means;
 * only for those of all functions when it is none, or more than one. */
void gib_condition_words(struct gib_engine *engine, const char *location,
                         void (*visit)(void *context, const char *word), void *context);
/* Whether it is decided when the function has returned. */
bool gib_condition_on_return(const struct gib_patch *patch);
/* The condition that the layer's thunk can decide without the agent; NULL: none. */
const struct gib_condition *gib_layer_decides(const struct gib_layer *layer);
/* Whether the thunk must keep what conditions on return need. */
bool gib_layer_keeps_entry(const struct gib_layer *layer);

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

/* stop.c */
/* The debugger stops, unseen, where the agent's pads are. Doing it again is harmless. */
void gib_stops_begin(struct gib_engine *engine, struct gib_process *process);
void gib_stops_end(struct gib_engine *engine, struct gib_process *process);
/* The same when no patch of this type is left. */
void gib_stops_end_unused(struct gib_engine *engine);
/* Whether the watched address is one of ours; gib_engine_stop() then says what comes of it. */
bool gib_stop_reached(struct gib_engine *engine, uint64_t address);
/* returned.c: "work returned -1"; `frame` is what the thunk left of it, `rax` and `rdx` are the
 * registers. */
void gib_write_result(struct gib_engine *engine, const struct gib_site_state *site,
                      const struct gib_frame *frame, uint64_t rax, uint64_t rdx,
                      struct gib_out *out);
/* GIB_EVENT_STOPPING. */
void gib_stop_carry(struct gib_engine *engine);
/* Looks at threads that waited at an entry; the target is stopped. */
void gib_stops_withdraw(struct gib_engine *engine);
/* The target has stopped. */
void gib_stops_tidy(struct gib_engine *engine);

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
/* The same of one of them, by its number. */
void gib_check_breakpoint(struct gib_engine *engine, int32_t number);
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
/* A debugger that does not say when the process ends is stopped, unseen, just before: what was
 * logged, and what found no function, is then shown while the command that runs the program is
 * still under way. */
void gib_watch_exit(struct gib_engine *engine);
/* Where a trap at its end would be left behind. */
void gib_stop_watching_exit(struct gib_engine *engine, struct gib_process *process);

/* fork.c */
/* Whether the shared memory of `process` is mapped at its place in process `pid`: 1, 0, or -1: that
 * cannot be read now. */
int gib_has_memory(const struct gib_process *process, int32_t pid);
/* A child of the process that was forked from it with our memory, and is debugged; 0: there is
 * none. */
int32_t gib_followed_child(const struct gib_process *process);
/* When the debugger stands in another process of the same fork, patches are there from now on. */
void gib_follow_fork(struct gib_engine *engine);
/* Process `pid` is not the debugger's any more (0: whichever it was). True: patches are not there,
 * or the debugger has another process of the same fork, which takes its place. */
bool gib_went_on(struct gib_engine *engine, int32_t pid);
/* Before the debugger lets this process go: when it holds another of the same fork, this one gets
 * its code back and nothing else, and gib_went_on() will be true. */
bool gib_leave_for_other(struct gib_engine *engine);
/* The debugger holds the process, but stands in another that has nothing to do with it. */
bool gib_is_foreign(struct gib_engine *engine);
/* The debugger holds the process, but stands where there is none. */
bool gib_is_elsewhere(struct gib_engine *engine);
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

#endif
