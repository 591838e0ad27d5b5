/*
 * traced.h: a program that is traced by the test itself, and an engine on it: what a debugger is to
 * the engine, in a hundred lines. For tests of what the engine does to a target.
 */
#ifndef TRACED_H
#define TRACED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "engine/internal.h"

struct traced {
    pid_t pid;
    int memory;
    const char *program;
    struct gib_engine *engine;
    struct gib_process *process;
    uint64_t symbols_bias; /* of the last package described */
    size_t symbols_given;
};

/* Starts the program, stopped at its first instruction; in another root directory, when one is
 * given. */
struct traced *traced_start(const char *program, const char *root);
/* Lets it run up to an address, where it stays. */
void traced_run_to(struct traced *traced, uint64_t address);
/* Lets it run until it stops itself (SIGSTOP). */
void traced_run(struct traced *traced);
/* Modules are looked at again. */
void traced_update(struct traced *traced);
struct gib_module *traced_module(struct traced *traced, const char *name);
/* Address of a function of a module. */
uint64_t traced_function(struct traced *traced, const char *module, const char *name);
/* Calls a function without parameters. */
uint64_t traced_call(struct traced *traced, uint64_t address);
void traced_end(struct traced *traced);

#endif
