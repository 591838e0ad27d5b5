/*
 * debug_types.h: types, constants and variables of a program by their names, from its debug
 * information.
 */
#ifndef GIBBON_DEBUG_TYPES_H
#define GIBBON_DEBUG_TYPES_H

#include "elf/elf.h"

/* A type's entry. Valid until its file is closed. */
struct gib_debug_type {
    const void *entry, *unit; /* entry NULL: void */
    unsigned dimension;       /* of an array with several: which one is meant */
};

enum gib_debug_kind {
    GIB_DEBUG_VOID,
    GIB_DEBUG_BOOL,
    GIB_DEBUG_INTEGER,
    GIB_DEBUG_ENUM,
    GIB_DEBUG_REAL, /* float, double */
    GIB_DEBUG_POINTER,
    GIB_DEBUG_REFERENCE,
    GIB_DEBUG_ARRAY,
    GIB_DEBUG_RECORD,
    GIB_DEBUG_FUNCTION,
    GIB_DEBUG_OTHER, /* long double, __int128, complex, vectors, pointers to members */
};

struct gib_debug_shape {
    enum gib_debug_kind kind;
    uint64_t size;    /* bytes; 0: not known */
    bool is_signed;   /* BOOL, INTEGER, ENUM */
    bool is_char;     /* char, signed char, unsigned char, char8_t */
    bool incomplete;  /* RECORD, ENUM: only declared here */
    const char *name; /* of the record or enumeration itself; NULL: it has none */
    bool is_union;    /* RECORD */
    bool has_target;  /* POINTER, REFERENCE, ARRAY */
    struct gib_debug_type target;
};
/* What a type is behind its typedefs and qualifiers. An array of several dimensions is one of
 * arrays. */
void gib_debug_shape(const struct gib_debug_type *type, struct gib_debug_shape *out);
/* As written in C; malloc'ed; NULL: out of memory. */
char *gib_debug_spell(const struct gib_debug_type *type);

struct gib_debug_member {
    struct gib_debug_type type;
    uint64_t offset; /* bytes from the start of the record */
    bool is_virtual; /* in a virtual base: where it is, only the object knows */
    bool is_bits;
    uint64_t shift, width; /* bits; shift from the start of the record, `offset` does not count */
    /* Two base classes that have one, neither of which hides the other; [1].entry NULL: it is one
     * member, of class [0]. */
    struct gib_debug_type owner[2];
};
/* A member by its name, of its own, of an anonymous member or of a base class. "Base::member" is
 * that of this base. False: there is none. */
bool gib_debug_member(const struct gib_debug_type *record, const char *name,
                      struct gib_debug_member *out);
/* Where an object of class `base` is in one of class `derived`: its type, offset and is_virtual.
 * Returns how often it is a base class of it, directly or not: 0, 1, or more. */
unsigned gib_debug_base(const struct gib_debug_type *derived, const struct gib_debug_type *base,
                        struct gib_debug_member *out);
/* Calls `visit` for each name that gib_debug_member finds without a `::`. */
void gib_debug_members(const struct gib_debug_type *record,
                       void (*visit)(void *context, const char *name), void *context);

/* The type of parameter `index` of the function at vaddr, counted as gib_elf_prototype does; false:
 * there is none. */
bool gib_elf_parameter_type(struct gib_elf *elf, uint64_t vaddr, size_t index,
                            struct gib_debug_type *out);
/* Of its result; void has an entry of NULL. */
bool gib_elf_result_type(struct gib_elf *elf, uint64_t vaddr, struct gib_debug_type *out);

enum gib_debug_what {
    GIB_DEBUG_TYPE = 1,
    GIB_DEBUG_CONSTANT = 2, /* an enumerator */
    GIB_DEBUG_VARIABLE = 4,
};
enum gib_debug_storage {
    GIB_DEBUG_STATIC,    /* at `vaddr` */
    GIB_DEBUG_UNLOCATED, /* another file has it, or the compiler kept none */
    GIB_DEBUG_THREAD,    /* one in each thread */
    GIB_DEBUG_FIXED,     /* has always `value` */
};
struct gib_debug_name {
    enum gib_debug_what what;
    struct gib_debug_type type; /* CONSTANT: its enumeration */
    bool incomplete;            /* TYPE: only declared */
    char tag;      /* TYPE: 's'truct or class, 'u'nion, 'e'num, 0: a typedef or a base type */
    int64_t value; /* CONSTANT, FIXED */
    enum gib_debug_storage storage; /* VARIABLE */
    uint64_t vaddr;
    bool external;                  /* VARIABLE: other files may define it in its place */
    const char *linkage;            /* VARIABLE: its symbol; NULL: as its name */
    struct gib_debug_type owner[2]; /* gib_debug_name_in: as of a member */
};
/*
 * What `name`, "ns::Class::name" without blanks, means in the unit of the function at vaddr, those
 * inside of this function included. `what` is a set of those that are wanted. A definition goes
 * before a declaration.
 */
bool gib_elf_name_near(struct gib_elf *elf, uint64_t vaddr, const char *name, unsigned what,
                       struct gib_debug_name *out);
/* The same anywhere in the file. The first call reads the names of all units. */
bool gib_elf_name_anywhere(struct gib_elf *elf, const char *name, unsigned what,
                           struct gib_debug_name *out);
/* The same in the scope of a class and its base classes: static members, enumerators. */
bool gib_debug_name_in(const struct gib_debug_type *class, const char *name, unsigned what,
                       struct gib_debug_name *out);
/* Names of constants and variables of the unit of the function at vaddr. */
void gib_elf_names_near(struct gib_elf *elf, uint64_t vaddr,
                        void (*visit)(void *context, const char *name), void *context);

#endif
