/*
 * syntax.h: a condition's text as tokens and as a tree, for the files of core/condition only.
 */
#ifndef GIBBON_SYNTAX_H
#define GIBBON_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gibbon/relocate.h" /* struct gib_error */

enum {
    GIB_CONDITION_TEXT_MOST = 4096, /* bytes of a condition */
    GIB_CONDITION_DEPTH = 200,      /* levels of a tree, and of parentheses */
};

/* Memory that is given back as a whole. */
struct gib_pool {
    struct gib_pool_block *block;
    size_t used;
};
/* Zeroed bytes, aligned for anything; NULL when there are none. */
void *gib_pool_take(struct gib_pool *pool, size_t size);
char *gib_pool_text(struct gib_pool *pool, const char *text, size_t length);
void gib_pool_free(struct gib_pool *pool);

/* Fills *error with "column N: " and the sentence; returns NULL. `at` counts bytes from 0. */
__attribute__((format(printf, 4, 5))) void *gib_condition_fail(struct gib_error *error, int code,
                                                               size_t at, const char *format, ...);
void *gib_condition_memory(struct gib_error *error);

enum gib_word_kind {
    GIB_WORD_END,
    GIB_WORD_NAME,    /* identifier or keyword */
    GIB_WORD_DOLLAR,  /* $name */
    GIB_WORD_INTEGER, /* value, type_size, is_signed */
    GIB_WORD_REAL,    /* real, type_size */
    GIB_WORD_TEXT,    /* bytes, value: how many */
    GIB_WORD_MARK,    /* mark */
};

/* Operators as numbers: their characters, the first in the low byte. */
#define MARK2(a, b)    ((uint32_t)(a) | (uint32_t)(b) << 8)
#define MARK3(a, b, c) (MARK2(a, b) | (uint32_t)(c) << 16)

struct gib_word {
    enum gib_word_kind kind;
    size_t at, length; /* in the text */
    uint32_t mark;
    uint64_t value;
    double real;
    const char *bytes;
    uint8_t type_size;
    bool is_signed;
};

/* Reads the word at text + at. False, and *error filled, when it is none. Texts go to the pool. */
bool gib_condition_word(const char *text, size_t at, struct gib_pool *pool, struct gib_word *out,
                        struct gib_error *error);

/* A type as it is written. */
enum gib_type_words {
    GIB_WORDS_NAME, /* typedef, class, or with `tag` a struct, union, enum of that name */
    GIB_WORDS_VOID,
    GIB_WORDS_BOOL,
    GIB_WORDS_INTEGER,
    GIB_WORDS_REAL,  /* size 16: long double */
    GIB_WORDS_OTHER, /* _Complex, __int128 ...: refused when it is used */
};
struct gib_written_type {
    size_t at;
    enum gib_type_words words;
    uint8_t size;
    bool is_signed, is_char;
    char tag; /* 's'truct (class), 'u'nion, 'e'num, or 0 */
    const char *name;
    unsigned pointers;
    bool is_reference;
};

enum gib_syntax_kind {
    GIB_SYNTAX_INTEGER,
    GIB_SYNTAX_REAL,
    GIB_SYNTAX_TEXT,
    GIB_SYNTAX_NAME,   /* name, "A::b" with its colons and without blanks */
    GIB_SYNTAX_DOLLAR, /* name without the $ */
    GIB_SYNTAX_UNARY,  /* mark, a */
    GIB_SYNTAX_BINARY, /* mark, a, b */
    GIB_SYNTAX_CHOICE, /* a ? b : c */
    GIB_SYNTAX_MEMBER, /* a . name; -> is (*a).name */
    GIB_SYNTAX_CAST,   /* type, a; mark: enum gib_cast */
    GIB_SYNTAX_SIZE,   /* sizeof a, or of type */
    GIB_SYNTAX_CALL,   /* name without the $, a, b */
};

/* How a cast is written: C++ means different things by them. */
enum gib_cast {
    GIB_CAST_C = 0,            /* (T)a */
    GIB_CAST_FUNCTIONAL = 'f', /* T(a) */
    GIB_CAST_STATIC = 's',     /* static_cast<T>(a) ... */
    GIB_CAST_REINTERPRET = 'r',
    GIB_CAST_CONST = 'c',
};

struct gib_syntax {
    enum gib_syntax_kind kind;
    size_t at, end; /* of the whole, in the text */
    size_t focus;   /* of the operator, or of a member's name */
    unsigned height;
    uint32_t mark;
    struct gib_word word; /* literals */
    const char *name;
    const struct gib_written_type *type;
    const struct gib_syntax *a, *b, *c;
};

/* What the parser asks when `(name)` may begin a cast. NULL: nobody knows, and what may be either
 * is no cast. */
struct gib_type_names {
    void *context;
    bool (*is_type)(void *context, const char *name);
};

/* The tree, in the pool, or NULL with *error filled. Adds enum gib_condition_use to *uses. */
const struct gib_syntax *gib_condition_tree(const char *text, struct gib_pool *pool,
                                            const struct gib_type_names *types, unsigned *uses,
                                            struct gib_error *error);
/* A type's name as debug information or a prototype has it, "const struct stat *"; NULL: it is
 * not such a one. */
const struct gib_written_type *gib_condition_type_name(const char *text, struct gib_pool *pool);

struct gib_condition_text {
    char *text;
    unsigned uses;
};

#endif
