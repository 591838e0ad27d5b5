/*
 * package.h: packages, as far as no target is needed: what is in them, where they are, how one is
 * compiled.
 *
 * Nothing here touches a target, and nothing of a package is executed. Not thread-safe, but for
 * gib_package_read on different files. Paths and names may come from anywhere; messages hold them
 * as they are, so whoever prints one makes it harmless for the terminal. Functions that return int
 * return 0, or a GIB_E_ code with one sentence in *error (never NULL); then they have no result.
 */
#ifndef GIBBON_PACKAGE_PACKAGE_H
#define GIBBON_PACKAGE_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gibbon/package.h"  /* enum gibbon_registration_kind */
#include "gibbon/relocate.h" /* struct gib_error */

struct gib_elf;

/* ---- registration.c: what an ELF file registers ---- */

/* A pointer to code: in the package, or of another file, to be looked up by name. */
struct gib_package_code {
    uint64_t vaddr;     /* in the package; 0 when it is elsewhere */
    const char *symbol; /* the function's name: as the symbol table has it, else as it was written;
                           never NULL where there is code */
    bool elsewhere;     /* `symbol` is defined by another file */
};

/* The constant of a mock. */
struct gib_package_value {
    bool floating;   /* `number` counts, else `integer` */
    bool is_address; /* `integer` is a vaddr of the package: a string or variable of its own */
    uint64_t integer;
    const char *text; /* the string that the address leads to, NULL: none, or a long one */
    double number;
    uint32_t size; /* of the constant in the source, bytes: 4 for -1 and 0.5f */
    int error;     /* errno to set, 0: none */
};

/* One registered patch or hook. Strings belong to the package. */
struct gib_registration {
    enum gibbon_registration_kind kind; /* never GIBBON_KIND_SET */
    const char *module;                 /* "" is the program itself; NULL for ORIGINAL */
    const char *function;               /* a symbol's name or a C++ name; NULL for ON_LOAD */
    const char *identifier; /* for GIBBON_ORIGINAL: WRAP, REPLACE, ORIGINAL; else NULL */
    const char *file; /* where it stands in the source, as the compiler was told; for messages */
    unsigned line;
    struct gib_package_code code; /* WRAP, REPLACE, HANDLER, ON_LOAD */
    uint64_t original;    /* vaddr of the pointer to the original, 8 bytes, writable; 0: none */
    size_t same_original; /* the first registration with this `original`, or its own index */
    struct gib_package_value value; /* MOCK */
};

struct gib_package_set {
    const char *name;
    const size_t *members; /* indices of registrations, ascending, at least one */
    size_t member_count;
    const char *file;
    unsigned line;
};

struct gib_package {
    const struct gib_registration *registrations; /* in the order of the source */
    size_t registration_count;
    const struct gib_package_set *sets;
    size_t set_count;
    struct gib_package_storage *storage;
};

/* Reads what the ELF file at `path` registers. Damaged and hostile files get an error:
 * GIB_E_FILE, or GIB_E_UNSUPPORTED for another machine or version. */
int gib_package_read(const char *path, struct gib_package **package, struct gib_error *error);
/* The same for an open file, which is not needed any more afterwards; `path` is for messages. */
int gib_package_read_elf(struct gib_elf *elf, const char *path, struct gib_package **package,
                         struct gib_error *error);
/* NULL is allowed. */
void gib_package_free(struct gib_package *package);

/* "wrap", "replace", "mock", "handler", "on-load", "original". */
const char *gib_registration_kind_name(enum gibbon_registration_kind kind);

/* ---- discovery.c: where packages are ---- */

enum gib_package_kind {
    GIB_PACKAGE_SHARED,   /* NAME.so */
    GIB_PACKAGE_SOURCE,   /* NAME.c, to be compiled */
    GIB_PACKAGE_COMMANDS, /* NAME.gibbon */
};

/* The directories that are searched, first to last. */
struct gib_package_path {
    char **directories; /* absolute, unless the working directory is gone */
    size_t count;
    size_t named; /* the first so many are of $GIBBON_PATH: it is a problem if they are not there */
};

/*
 * $GIBBON_PATH (colon separated; empty parts are left out, "~" and "~user" are expanded), or when
 * it is not set, the user's directory: $XDG_CONFIG_HOME/gibbon/packages, ~/.config/gibbon/packages.
 * Then `shipped`, the directory of the packages that come with Gibbon (NULL: none). Directories
 * need not exist; one is not searched twice. GIB_E_MEMORY.
 */
int gib_package_path(const char *shipped, struct gib_package_path *path, struct gib_error *error);
void gib_package_path_free(struct gib_package_path *path);

/*
 * The directory of the packages that come with Gibbon, and the one that has gibbon/package.h,
 * found from where the library is: a build tree's folder, or PREFIX/lib or PREFIX/lib/TRIPLET.
 * Malloc'ed, NULL when there is none.
 */
char *gib_shipped_packages(const char *library_directory);
char *gib_include_directory(const char *library_directory);

/* A package that was found, or what stands in its place. */
struct gib_package_entry {
    char *name; /* without the suffix */
    char *path; /* absolute */
    enum gib_package_kind kind;
    size_t place;      /* index of its directory in the search path; 0 when it was given by path */
    char *refusal;     /* NULL, or one sentence: why it is not used */
    char *description; /* of a .gibbon file, its first line if that is a comment; else NULL */
    char *hidden_by;   /* path of the entry of the same name that comes first; NULL: this is it */
};
struct gib_package_list {
    struct gib_package_entry *entries; /* by name, then in the order of the path */
    size_t count;
    char **problems; /* sentences about directories that are refused or cannot be read */
    size_t problem_count;
};

/* All packages on the path. In one directory NAME.so comes before NAME.c before NAME.gibbon.
 * GIB_E_MEMORY. */
int gib_packages_list(const struct gib_package_path *path, struct gib_package_list *list,
                      struct gib_error *error);
void gib_package_list_free(struct gib_package_list *list);

/*
 * The package that a person means by `text`: a path, if it has a slash or one of the suffixes
 * (taken from `directory`, NULL: the working directory, unless absolute; "~" is expanded), or a
 * name on the path. GIB_E_NOT_FOUND with the nearest names; GIB_E_REFUSED when others could have
 * changed it, or a name means a file that cannot be used; GIB_E_FILE when a path's file cannot be
 * read or is no regular file. A refused package does not make way for one of the same name further
 * on. The caller frees *found with gib_package_entry_free.
 */
int gib_package_find(const struct gib_package_path *path, const char *directory, const char *text,
                     struct gib_package_entry *found, struct gib_error *error);
void gib_package_entry_free(struct gib_package_entry *entry);

/*
 * May the file be trusted as the user's own? It must be a regular readable file; it, and its
 * directory, and what either is a link to, must belong to the user or root, and nobody else may
 * write to them. A directory that others may write to is accepted with `sticky` when its sticky bit
 * is set, as in /tmp: there they cannot replace the user's file. GIB_E_REFUSED, GIB_E_FILE.
 */
int gib_package_check(const char *path, bool sticky, struct gib_error *error);

/* ---- commands.c: NAME.gibbon ---- */

struct gib_command_line {
    char *text; /* one command, without "gibbon " in front */
    unsigned line;
};
struct gib_command_list {
    char *description; /* the first line's comment, NULL when it is none */
    struct gib_command_line *commands;
    size_t count;
};
/* Reads a file of commands. Blank lines and those whose first character is # are left out. At most
 * 1 MiB of text. GIB_E_FILE, GIB_E_MEMORY. */
int gib_commands_read(const char *path, struct gib_command_list *list, struct gib_error *error);
void gib_commands_free(struct gib_command_list *list);

/* ---- compile.c: C files ---- */

struct gib_compiler;

struct gib_compile_options {
    const char *include_directory;      /* of gibbon/package.h; NULL: none */
    unsigned timeout;                   /* seconds a compilation may take; 0: 60 */
    bool (*interrupted)(void *context); /* asked a few times a second; NULL: never */
    void *context;
};
/* Strings are copied. NULL when out of memory. */
struct gib_compiler *gib_compiler_new(const struct gib_compile_options *options);
/* Also removes what was compiled into a temporary directory. NULL is allowed. */
void gib_compiler_free(struct gib_compiler *compiler);

/*
 * The shared object made of the C file `source`, compiled when it is not in the cache yet, or when
 * the file or one that it includes has changed: `cc -shared -fPIC -g -O2`, or $CC, without a shell,
 * with its input closed. *path is malloc'ed. *output (malloc'ed, NULL when there is none) is what
 * the compiler printed, also when there is no error: warnings. GIB_E_SYNTAX when the compiler
 * reports errors, GIB_E_FILE when it cannot be run or the cache cannot be written,
 * GIB_E_INTERRUPTED; a compiler that takes too long is ended, GIB_E_STATE. The source's permissions
 * are not looked at: see gib_package_check.
 */
int gib_compile(struct gib_compiler *compiler, const char *source, char **path, char **output,
                struct gib_error *error);

/*
 * "FILE.c:FUNCTION", as in `gibbon replace f file.c:g`: checks the file as gib_package_check does
 * (sticky directories are accepted), compiles it and looks for the function. *path and *function
 * are malloc'ed. GIB_E_ARGUMENT when the text is not of that form: then it means something else.
 */
int gib_compile_function(struct gib_compiler *compiler, const char *directory, const char *text,
                         char **path, char **function, char **output, struct gib_error *error);
#endif
