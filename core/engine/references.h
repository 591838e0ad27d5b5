/*
 * references.h: what refers to a function in a way that a patch on its entry does not see.
 */
#ifndef GIBBON_REFERENCES_H
#define GIBBON_REFERENCES_H

#include "engine/internal.h"

struct gib_names {
    char **item; /* malloc'ed texts for people */
    size_t count;
};

struct gib_references {
    struct gib_names inlined;  /* "main (main.c:12)", with " in libx.so" if in another module */
    struct gib_names clones;   /* "add.part.0" */
    struct gib_names variants; /* of an IFUNC, the implementations that were not chosen */
    struct gib_names others;   /* the same name elsewhere: "malloc in libjemalloc.so.2" */
    struct gib_names siblings; /* other functions for the same: "__read_chk (called by main)" */
    struct gib_names called;   /* those of them that some other module calls, the same text */
    struct gib_names threads;  /* "2": with a call of the function that began before */
    bool is_system_call;       /* it asks the kernel itself */
    bool no_debug;             /* inlined copies cannot be known */
    struct gib_names unread;   /* modules with more debug information than was allowed */
};

/* The function that is asked about. */
struct gib_subject {
    const struct gib_module *module;
    uint64_t entry;
    const char *symbol;                /* the name that led to it: of an IFUNC, the IFUNC's */
    const struct gib_site_state *site; /* NULL: it is not patched */
};

enum gib_effort {
    GIB_EVERYTHING, /* however long it takes */
    GIB_QUICKLY,    /* what takes up to a quarter of a second, once a module */
};

/* Fills *out; free with gib_references_free. `covered` holds the entries, sorted, that the patch is
 * on or would be on. `stopped`: all threads, NULL: they are not looked at. */
void gib_references_find(struct gib_engine *engine, const struct gib_subject *subject,
                         const uint64_t *covered, size_t covered_count,
                         const struct gib_stopped *stopped, enum gib_effort effort,
                         struct gib_references *out);
void gib_references_free(struct gib_references *references);

/* How many of the patch's functions have inlined copies in their own module, and the first; false
 * when that cannot be said quickly. */
bool gib_count_inlined(struct gib_engine *engine, const struct gib_patch *patch, size_t *count,
                       const struct gib_site_state **first);

#endif
