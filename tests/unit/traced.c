/* traced.c: see traced.h. */
#include "traced.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int32_t its_pid(void *context)
{
    return ((struct traced *)context)->pid;
}
static enum gib_target_state its_state(void *context)
{
    return GIB_TARGET_STOPPED;
}
static const char *its_program(void *context)
{
    return ((struct traced *)context)->program;
}
static int its_read(void *context, uint64_t address, void *buffer, size_t size)
{
    struct traced *t = context;
    return pread(t->memory, buffer, size, (off_t)address) == (ssize_t)size ? 0 : -1;
}
static int its_write(void *context, uint64_t address, const void *buffer, size_t size)
{
    struct traced *t = context;
    return pwrite(t->memory, buffer, size, (off_t)address) == (ssize_t)size ? 0 : -1;
}
static int no_call(void *context, uint64_t address, uint64_t *result)
{
    return -1;
}
static size_t its_threads(void *context, struct gib_target_thread *threads, size_t max)
{
    struct traced *t = context;
    struct user_regs_struct registers = {0};
    assert_int_equal(ptrace(PTRACE_GETREGS, t->pid, NULL, &registers), 0);
    if (max)
        threads[0] = (struct gib_target_thread){t->pid, 1, registers.rip, registers.rsp};
    return 1;
}
static int its_set_pc(void *context, int32_t tid, uint64_t pc)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, tid, NULL, &registers))
        return -1;
    registers.rip = pc;
    return ptrace(PTRACE_SETREGS, tid, NULL, &registers) ? -1 : 0;
}
static int no_register(void *context, const char *name, uint64_t *value)
{
    return -1;
}
static size_t no_breakpoints(void *context, int32_t number,
                             struct gib_target_breakpoint *breakpoints, size_t max)
{
    return 0;
}
static int32_t no_move(void *context, int32_t number, uint64_t from, uint64_t to)
{
    return -1;
}
static int no_evaluate(void *context, const char *expression, uint64_t *value, char *error)
{
    return -1;
}
static int no_watch(void *context, const char *path, uint64_t address, bool on)
{
    return 0;
}
static int its_symbols(void *context, const char *path, uint64_t bias)
{
    struct traced *t = context;
    if (bias) {
        t->symbols_bias = bias;
        t->symbols_given++;
    } else if (!path) {
        t->symbols_given = 0;
    }
    return 0;
}
static void its_print(void *context, const char *text, enum gib_print_style style)
{
    if (style == GIB_PRINT_WARNING)
        fputs(text, stderr);
}
static const char *no_styles(void *context)
{
    return "";
}
static int no_query(void *context, const char *question)
{
    return -1;
}
static void no_wake(void *context)
{
}

/* The next stop's signal. */
static int wait_for_stop(struct traced *t)
{
    int status;
    while (waitpid(t->pid, &status, __WALL) < 0)
        assert_int_equal(errno, EINTR);
    if (!WIFSTOPPED(status))
        fail_msg("%s ended: %x", t->program, status);
    return WSTOPSIG(status);
}

struct traced *traced_start(const char *program, const char *root)
{
    struct traced *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->program = program;
    t->pid = fork();
    assert_true(t->pid >= 0);
    if (t->pid == 0) {
        if (root && (chroot(root) || chdir("/")))
            _exit(126);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        setenv("GIBBON_TEST", "environment", 1);
        unsetenv("LD_PRELOAD");
        execl(program, program, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(wait_for_stop(t), SIGTRAP);
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/mem", (int)t->pid);
    t->memory = open(name, O_RDWR | O_CLOEXEC);
    assert_true(t->memory >= 0);
    const struct gib_target_operations operations = {
        .size = sizeof operations,
        .tells_exit = true,
        .knows_statements = true,
        .pid = its_pid,
        .state = its_state,
        .program = its_program,
        .read = its_read,
        .write = its_write,
        .call = no_call,
        .threads = its_threads,
        .set_pc = its_set_pc,
        .get_register = no_register,
        .breakpoints = no_breakpoints,
        .move_breakpoint = no_move,
        .evaluate = no_evaluate,
        .watch = no_watch,
        .symbols = its_symbols,
        .print = its_print,
        .styles = no_styles,
        .query = no_query,
        .wake = no_wake,
    };
    t->engine = gib_engine_new(&operations, t, "test");
    assert_non_null(t->engine);
    traced_update(t);
    return t;
}

void traced_run(struct traced *t)
{
    assert_int_equal(ptrace(PTRACE_CONT, t->pid, NULL, NULL), 0);
    assert_int_equal(wait_for_stop(t), SIGSTOP);
    traced_update(t);
}

void traced_run_to(struct traced *t, uint64_t address)
{
    uint8_t saved;
    /* It may be there already. */
    assert_int_equal(ptrace(PTRACE_SINGLESTEP, t->pid, NULL, NULL), 0);
    assert_int_equal(wait_for_stop(t), SIGTRAP);
    assert_int_equal(its_read(t, address, &saved, 1), 0);
    assert_int_equal(its_write(t, address, "\xcc", 1), 0);
    assert_int_equal(ptrace(PTRACE_CONT, t->pid, NULL, NULL), 0);
    assert_int_equal(wait_for_stop(t), SIGTRAP);
    assert_int_equal(its_write(t, address, &saved, 1), 0);
    assert_int_equal(its_set_pc(t, t->pid, address), 0);
    traced_update(t);
}

void traced_update(struct traced *t)
{
    t->process = gib_process_here(t->engine);
    assert_non_null(t->process);
}

struct gib_module *traced_module(struct traced *t, const char *name)
{
    for (size_t i = 0; i < gib_modules_count(t->process->modules); i++) {
        struct gib_module *module = gib_modules_get(t->process->modules, i);
        if (!module->gone && !strcmp(module->name, name))
            return module;
    }
    return NULL;
}

static void take(const struct gib_elf_symbol *symbol, void *context)
{
    *(uint64_t *)context = symbol->value;
}

uint64_t traced_function(struct traced *t, const char *name, const char *function)
{
    struct gib_module *module = traced_module(t, name);
    uint64_t value = 0;
    if (!module || !module->elf || !gib_elf_find(module->elf, function, take, &value))
        fail_msg("no %s in %s", function, name);
    return module->bias + value;
}

uint64_t traced_call(struct traced *t, uint64_t address)
{
    struct gib_error error = {0};
    uint64_t result = 0;
    if (gib_target_call(t->engine, address, &result, &error))
        fail_msg("%s", error.message);
    return result;
}

void traced_end(struct traced *t)
{
    int status;
    kill(t->pid, SIGKILL);
    waitpid(t->pid, &status, __WALL);
    gib_process_end(t->engine);
    gib_engine_free(t->engine);
    close(t->memory);
    free(t);
}
