/*
 * access.h: talking to the user and to the target: messages, memory, calls, transactions, mappings.
 */
#ifndef GIBBON_ENGINE_ACCESS_H
#define GIBBON_ENGINE_ACCESS_H

#include <stdarg.h>
#include <stdio.h>
#include "engine/process.h"

struct gib_engine;

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
/* The same of text with marks (log/marks.h), in which nothing else is left to be escaped. */
void gib_show_marked(struct gib_engine *engine, const char *text, enum gib_print_style style);
/* gib_print of a piece of a line that is marked. */
__attribute__((format(printf, 3, 4))) void gib_print_as(struct gib_engine *engine, char mark,
                                                        const char *format, ...);
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
/* Whether the selected thread can be made to step, which is also so inside an event. */
bool gib_target_steps(struct gib_engine *engine);
/* The same as gib_target_run_to, from `from` on, only for a thread that steps. With `deeper` the
 * stack pointer may be below `sp` at `to`, and may not rise above it on the way. */
int gib_target_step_to(struct gib_engine *engine, uint64_t from, uint64_t to, uint64_t sp,
                       bool deeper);
/* Calls a function without parameters in the selected thread. */
int gib_target_call(struct gib_engine *engine, uint64_t address, uint64_t *result,
                    struct gib_error *error);
/* Who traces the process by ptrace, 0: nobody; -1 when it is gone. Where that cannot be read now,
 * as without a free descriptor, it is taken for somebody. */
enum { GIB_TRACER_UNKNOWN = INT32_MAX };
pid_t gib_tracer_of(pid_t pid);
/* Locations of the user's breakpoints, or of one (0: all); the array is malloc'ed. */
int gib_target_breakpoints(struct gib_engine *engine, int32_t number,
                           struct gib_target_breakpoint **breakpoints, size_t *count,
                           struct gib_error *error);
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
/* The file that the user knows: the source of what was compiled to `object`; else `object`. */
const char *gib_package_source(const struct gib_engine *engine, const char *object);
/* Whether the file could be mapped so, as far as that can be told without a process: 0, or a
 * sentence that begins with the name of the file `shown`; GIB_E_UNSUPPORTED: it needs the dynamic
 * linker. */
int gib_image_check(const char *path, const char *shown, struct gib_error *error);
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
/* Where code that is there already leads from now on, up to eight bytes. A forked child sees what
 * is written to the file, and may not have what this leads to (a package, another arena): it goes
 * on by the old way. */
int gib_arena_lead(struct gib_engine *engine, struct gib_process *process, uint64_t address,
                   const void *bytes, size_t size, struct gib_error *error);
/* Where a stub of up to GIB_STUB_SIZE bytes makes a detour at this address immune to breakpoints;
 * 0: the place is taken. */
uint64_t gib_stub_place(struct gib_engine *engine, struct gib_process *process, uint64_t detour);

#endif
