/*
 * condition.h: `if EXPR`: a C expression of one call, compiled to machine code that the agent, or
 * the thunk itself, asks about each call. Pure: texts, files and addresses in, bytes out.
 *
 *   text --parse--> tree --check--> typed tree --code/x86_64/condition--> bytes
 *
 * parse needs nothing but the text, so that a mistake is told when the condition is typed, also of
 * a patch that waits for its function. check needs the function: types of its parameters, and what
 * names mean. One typed tree is of one function in one process.
 *
 * Errors say the column, from 1, in error->address, and show the place in the message.
 */
#ifndef GIBBON_CONDITION_H
#define GIBBON_CONDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/layout.h"
#include "code/x86_64/convention.h"
#include "elf/elf.h"
#include "prototypes/prototype.h"

/* What a condition looks at. */
enum gib_condition_use {
    GIB_CONDITION_RETURN = 1,  /* $ret or $errno: decided when the function returns */
    GIB_CONDITION_ERRNO = 2,   /* $errno */
    GIB_CONDITION_CALLS = 4,   /* $calls */
    GIB_CONDITION_CALLER = 8,  /* $caller */
    GIB_CONDITION_MEMORY = 16, /* reads memory; known after check */
    GIB_CONDITION_XMM = 32,    /* reads arguments in vector registers; known after check */
};

/* The text as a tree without types. */
struct gib_condition_text;
/* 0 and *out, or GIB_E_SYNTAX. `text` is copied. */
int gib_condition_parse(const char *text, struct gib_condition_text **out, struct gib_error *error);
void gib_condition_text_free(struct gib_condition_text *text);
unsigned gib_condition_text_uses(const struct gib_condition_text *text);

/* A module of the process. */
struct gib_condition_file {
    struct gib_elf *elf;
    uint64_t bias; /* add to its vaddrs */
};

/* What names mean. The callbacks get `context`. */
struct gib_condition_scope {
    const char *name; /* of the function, for messages; NULL: the prototype's */
    /* Of the function; NULL: only $arg1 to $arg6, as words. */
    const struct gib_prototype *prototype;
    /* The shipped one, with the names of headers and of the manual page; NULL: there is none. */
    const struct gib_prototype *manual;
    const struct gib_convention *convention;
    uint64_t entry; /* address of the function */
    void *context;
    /* The modules in which types, enumerators and variables are looked for: 0 is the function's
     * own, the others follow in any order; elf may be NULL. False: there are no more. */
    bool (*file)(void *context, size_t index, struct gib_condition_file *out);
    /* The code of the functions with this name, as `LOCATION` means them: fills up to `room`
     * ranges, returns how many there are; 0: it is not known. */
    size_t (*function)(void *context, const char *name, struct gib_range *ranges, size_t room);
};

/* Calls `visit` for names that can stand in a condition of this function: arguments, members of
 * `this`, enumerators, variables, and the words that begin with a $. Some may come twice. */
void gib_condition_names(const struct gib_condition_scope *scope,
                         void (*visit)(void *context, const char *name), void *context);

/* The typed tree. */
struct gib_condition;
/* 0 and *out, or GIB_E_SYNTAX (types do not fit), GIB_E_NOT_FOUND (a name), GIB_E_UNSUPPORTED,
 * GIB_E_WAITING (no module has the function that $caller is compared with; one may come). */
int gib_condition_check(const struct gib_condition_text *text,
                        const struct gib_condition_scope *scope, struct gib_condition **out,
                        struct gib_error *error);
void gib_condition_free(struct gib_condition *condition);
unsigned gib_condition_uses(const struct gib_condition *condition);

#endif
