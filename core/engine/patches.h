/*
 * patches.h: what the user asked for: locations, patches, packages. Definitions, like breakpoints:
 * they outlive processes.
 */
#ifndef GIBBON_ENGINE_PATCHES_H
#define GIBBON_ENGINE_PATCHES_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "condition/condition.h"
#include "elf/modules.h"
#include "gibbon/engine.h"
#include "package/package.h"

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
    GIB_PATCH_STOP,    /* stops in the debugger */
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
    unsigned users;                       /* patches with -during */
    uint16_t mark;                        /* place in struct gib_mark_slot */
    uint32_t serial;                      /* no other mark of this engine has or had it */
    char *condition_text;                 /* as typed; NULL: none */
    struct gib_condition_text *condition; /* of that */
    char *commands;                       /* STOP: of the debugger, a line each; NULL: none */
    char *prototype_text;
    struct gib_prototype *prototype; /* of -prototype */
    /* of the current process */
    uint32_t state;     /* index into gib_shared.patch */
    bool address_known; /* ADDRESS locations are evaluated once a process */
    uint64_t address;
    bool reported, waited; /* news.c */
    bool placed;           /* on a function of the process that ran last */
    bool only_jumps;       /* REPLACE: calls of some function are one jump, uncounted */
    bool until_stop;       /* of `during`, whose command has let the program run */
    bool told;             /* what it does not see; once a session */
    char *said;            /* "__read_chk, ...": told before the function was there, or NULL */
    bool given_up;         /* -all-or-none, and a function was refused */
    bool spent;            /* -temporary and called, or -times reached */
    struct gib_refusals refused; /* functions that cannot be patched */
    size_t delayed;              /* sites that can be when a thread has left them */
    struct gib_error delay;      /* of the first of them */
    uint64_t stopped;            /* how often the user has seen it stop the process */
    uint64_t earlier_calls, earlier_failures, earlier_unknown,
        earlier_undecided;           /* of the process that ended last */
    struct gib_times *earlier_times; /* likewise; NULL: none. Owned */
};

#endif
