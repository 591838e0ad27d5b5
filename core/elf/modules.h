/*
 * modules.h: the files mapped into a process, from /proc/PID/maps, and what is known of an address
 * in it.
 *
 * Used by the engine and by the log's reader thread: every function takes the table's own lock, and
 * ELF queries go through gib_modules_lock.
 */
#ifndef GIBBON_MODULES_H
#define GIBBON_MODULES_H

#include <stdio.h>
#include <sys/types.h>
#include "elf/elf.h"

struct gib_module {
    char *path;             /* where the file was when it was mapped */
    char *name;             /* its last component */
    uint64_t start, end;    /* lowest and highest mapped address */
    uint64_t device, inode; /* as /proc/PID/maps has them; stat(2) may have others */
    uint64_t bias;          /* add to a vaddr of the file */
    bool main;              /* the program itself */
    bool interpreter;       /* ld.so */
    bool gone;              /* unmapped since */
    bool guarded;           /* its unwinder knows the frames of thunks */
    bool seen;              /* by the update under way */
    struct gib_elf *elf;    /* NULL when the file cannot be read; owned by the cache */
    char *problem;          /* why, then */
};

/* A memfd called so, and then like a file of the debugger's, is taken for that file: the engine's
 * copy for a target that cannot open it. */
#define GIB_COPY_NAME "gibbon-package:"

struct gib_modules;

struct gib_modules *gib_modules_new(void);
void gib_modules_free(struct gib_modules *modules);

/* Opens /proc/PID/NAME for reading, or returns NULL. *gone: there is no such process; else it could
 * not be opened now, as without a free descriptor. The caller closes it. */
FILE *gib_open_proc(pid_t pid, const char *name, bool *gone);
/* Reads /proc/PID/maps again. Returns how many modules came or went, or -1 when the process is
 * gone (0 when they cannot be read now). Modules keep their address as long as the table lives. */
int gib_modules_update(struct gib_modules *modules, pid_t pid);

/* Grows with every change of any table: what was described before may be something else now. */
uint64_t gib_modules_changes(void);

/* ELF queries are not thread-safe: hold this around them. Recursive. */
void gib_modules_lock(struct gib_modules *modules);
void gib_modules_unlock(struct gib_modules *modules);

size_t gib_modules_count(struct gib_modules *modules);
struct gib_module *gib_modules_get(struct gib_modules *modules, size_t index);
/* The module mapped at `address`, preferring one that is not gone; NULL when there is none. */
struct gib_module *gib_modules_at(struct gib_modules *modules, uint64_t address);

/* Whether `wanted`, a name or a glob, means this module: by its file's name, its soname or its
 * path. */
bool gib_module_matches(const struct gib_module *module, const char *wanted);

/* One frame at an address, as shown: "extract_to_tmp+0x41 (build.c:120)", "mkdtemp+0x10
 * (libc.so.6)", "0x55555555b123 (dpkg-deb+0x7123)", "0x4000". */
struct gib_frame_text {
    char *function;   /* demangled; NULL: unknown */
    uint64_t address; /* what was asked for */
    uint64_t offset; /* behind the function's beginning, without a function the module's; an inlined
                        one has none */
    const char *file; /* NULL: unknown */
    unsigned line;
    const char *module; /* NULL: there is none */
    bool inlined;       /* a copy of the function, in the one of the next frame */
};

/*
 * The frames at an address, innermost first: *count, at least 1. `is_return`: the address is behind
 * a call, which is what is described. For a caller that holds gib_modules_lock, and valid until the
 * next question. Answers are kept: DWARF is asked once for an address.
 */
const struct gib_frame_text *gib_modules_frames(struct gib_modules *modules, uint64_t address,
                                                bool is_return, size_t *count);

/* The innermost of them as text. */
void gib_modules_describe(struct gib_modules *modules, uint64_t address, bool is_return, char *out,
                          size_t size);
/* The same for a frame of gib_modules_frames. */
void gib_frame_describe(const struct gib_frame_text *frame, char *out, size_t size);

/* One open file for the life of the library, however often it is mapped; shared by path, device,
 * inode and time. */
struct gib_elf *gib_elf_shared(const char *path, const char *shown, struct gib_error *error);
#endif
