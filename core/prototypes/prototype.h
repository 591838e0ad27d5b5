/*
 * prototype.h: what is known of a function's parameters and result.
 *
 * One model for the three sources: debug information (core/elf), the shipped prototypes and a
 * user's -prototype (both core/prototypes). It holds just what recording and printing a call needs.
 */
#ifndef GIBBON_PROTOTYPE_H
#define GIBBON_PROTOTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gibbon/relocate.h" /* struct gib_error */

enum gib_type_kind {
    GIB_TYPE_VOID,
    GIB_TYPE_BOOL,
    GIB_TYPE_CHAR,    /* char, signed char, unsigned char: one byte shown as a character */
    GIB_TYPE_INT,     /* any integer that is not the above; size 1, 2, 4, 8, 16 */
    GIB_TYPE_FLOAT,   /* size 4, 8, 16 (long double: class X87 in size 16) */
    GIB_TYPE_COMPLEX, /* _Complex; size of the whole */
    GIB_TYPE_ENUM,
    GIB_TYPE_STRING,  /* pointer to (const) char, signed char or unsigned char: shown as text */
    GIB_TYPE_POINTER, /* any other pointer, and C++ references */
    GIB_TYPE_RECORD,  /* struct, union, class or array by value */
    GIB_TYPE_VECTOR,  /* __m128 and the like */
};

/* System V x86-64 ABI 3.2.3, the class of one eightbyte of a value. */
enum gib_abi_class {
    GIB_CLASS_NONE, /* no (further) eightbyte: an empty record */
    GIB_CLASS_INTEGER,
    GIB_CLASS_SSE,
    GIB_CLASS_SSEUP,
    GIB_CLASS_X87, /* long double */
    GIB_CLASS_MEMORY,
};

/* How a person writes an integer. Programs that read a log get the number. */
enum gib_notation {
    GIB_NOTATION_DECIMAL,
    GIB_NOTATION_OCTAL, /* a file's mode */
    GIB_NOTATION_NAMES, /* flags, or one of several constants: in the type's enumerators */
};

struct gib_enumerator {
    char *name;
    int64_t value;
};

struct gib_type {
    enum gib_type_kind kind;
    uint32_t size;  /* bytes; 0 for void, and for a record whose size is not known */
    uint32_t align; /* bytes; 16 matters for arguments in memory */
    bool is_signed; /* BOOL, CHAR, INT, ENUM */
    bool indirect;  /* a C++ record the ABI passes by invisible reference */
    /* long double is X87, NONE; _Complex long double is X87, X87 (the ABI's COMPLEX_X87: result in
     * st0 and st1). Both are in memory as arguments. Classes of the first two eightbytes;
     * eightbyte[0] is MEMORY when the value is passed in memory. A record of unknown size has NONE
     * and known_layout false. */
    enum gib_abi_class eightbyte[2];
    bool known_layout;
    char *name; /* as in C, "const char *", "struct stat *", "size_t"; may be NULL */
    enum gib_notation notation; /* INT only */
    uint64_t field;             /* NAMES: bits that are one number; the others are flags */
    struct gib_member *members; /* RECORD: its scalars, those of inner records and arrays in place;
                                   NULL when not known */
    size_t member_count;
    struct gib_enumerator *enumerators; /* ENUM and NAMES only, in the order of declaration */
    size_t enumerator_count;
};

struct gib_member {
    char *name; /* x, from.x, data[3]; NULL when it has none */
    uint32_t offset;
    struct gib_type type;
};

/* What debug information says of where an argument is when the function is entered. */
enum gib_entry_place {
    GIB_ENTRY_USUAL,    /* nothing: where the calling convention puts it */
    GIB_ENTRY_REGISTER, /* in entry_register */
    GIB_ENTRY_NOWHERE,  /* the compiler knows all calls, and does not pass it */
};

struct gib_parameter {
    char *name; /* without leading underscores; NULL when the declaration gives none */
    struct gib_type type;
    enum gib_entry_place entry;
    uint8_t entry_register; /* DWARF's number */
};

/* The number of an error, EACCES, by its name or number, -1: there is none. */
int gib_errno_number(const char *name);

/* How a function says that it failed. Facts of POSIX and of the manual pages' RETURN VALUE and
 * ERRORS. */
enum gib_failure {
    GIB_FAILURE_NONE,       /* does not use errno, or not known */
    GIB_FAILURE_ERRNO,      /* -1 or NULL, and errno is always set then */
    GIB_FAILURE_ERRNO_MAYBE /* -1, EOF or NULL may also mean "no more": errno counts only if it
                               changed */
};

/* What the arguments behind the named ones are. */
enum gib_variadic {
    GIB_VARIADIC_NO,
    GIB_VARIADIC_UNKNOWN, /* "..." of unknown meaning */
    GIB_VARIADIC_PRINTF,  /* described by the last named parameter, a printf format */
    GIB_VARIADIC_OPEN /* a mode_t, present when the last named parameter has O_CREAT or O_TMPFILE */
};

struct gib_prototype {
    char *name; /* of the function; may be NULL (a debug entry without one) */
    struct gib_type result;
    struct gib_parameter *parameters;
    size_t parameter_count;
    enum gib_variadic variadic;
    enum gib_failure failure;
    bool unspecified; /* "()" of old C: the parameters are not known */
    bool foreign;     /* not of the platform's calling convention: ms_abi, vectorcall, regcall */
    char *manual;     /* names of the arguments in the manual page, "pathname,flags,mode"; NULL: the
                         same; there may be more than parameters when it is variadic */
};

/* Frees what a type owns, but not itself. */
void gib_type_release(struct gib_type *type);
/* Frees what `prototype` owns and itself; NULL is allowed. */
void gib_prototype_free(struct gib_prototype *prototype);
/* A deep copy, or NULL when out of memory. */
struct gib_prototype *gib_prototype_copy(const struct gib_prototype *prototype);

/* compare.c: what makes a call of one function go wrong in the other, malloc'ed, without its end:
 * "parameter 2 is int in one, long in the other". NULL: nothing that is known; either may be NULL.
 */
char *gib_prototype_difference(const struct gib_prototype *a, const struct gib_prototype *b);

/*
 * The shipped prototypes: files of C declarations, and of typedefs they use, in a directory.
 * Opening only indexes names; a declaration is parsed when it is first asked for. Not thread-safe.
 */
struct gib_prototypes;

/* Never NULL unless out of memory: a missing directory gives an empty store and fills *error. */
struct gib_prototypes *gib_prototypes_open(const char *directory, struct gib_error *error);
void gib_prototypes_close(struct gib_prototypes *store);

/* The prototype of a C function by its name, owned by the store; NULL when there is none.
 * "__open64_2"-like names are looked up literally; the caller tries aliases. */
const struct gib_prototype *gib_prototypes_find(struct gib_prototypes *store, const char *function);

/* What the store knows of how integers are written: of types by the names of typedefs (mode_t), and
 * of parameters by `shipped`, a prototype of the same function (NULL: none). */
void gib_prototypes_annotate(struct gib_prototypes *store, struct gib_prototype *prototype,
                             const struct gib_prototype *shipped);

/* How many functions the store knows. */
size_t gib_prototypes_count(const struct gib_prototypes *store);

/*
 * Parses one C function declaration as a user types it, `int f(const char *path, struct stat *buf,
 * ...)`, with or without the semicolon, and with the typedefs of the store (size_t, mode_t,
 * FILE...). Parameters may be unnamed; arrays and functions decay; `f` may also be a
 * pointer-returning or function-pointer-taking function. A comment behind it may hold the
 * annotations of the data files (data/README.md): `// errno? printf`, `// how=open_flags`. `store`
 * may be NULL: then there are no typedefs. 0 and *out (owned by the caller), or GIB_E_SYNTAX with a
 * sentence that names the column and what was expected, or GIB_E_NOT_FOUND for a type by value
 * whose layout is not known; *out is untouched then.
 */
int gib_prototype_parse(struct gib_prototypes *store, const char *declaration,
                        struct gib_prototype **out, struct gib_error *error);
#endif
