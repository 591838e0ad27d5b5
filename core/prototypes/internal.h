/*
 * internal.h: what the files of this folder share, and their tests.
 *
 *   lex.c       bytes -> tokens
 *   specifier.c `const unsigned long int`, `struct stat`, `size_t` -> a base type
 *   declarator.c `*(*name[3])(int)` -> a name and a list of derivations
 *   parse.c     a whole declaration -> struct gib_prototype
 *   type.c      base and derivations -> struct gib_type
 *   notation.c  which integers are modes and flags
 *   store.c     the data files, indexed by name
 */
#ifndef GIBBON_PROTOTYPES_INTERNAL_H
#define GIBBON_PROTOTYPES_INTERNAL_H

#include <stdio.h>
#include "prototypes/prototype.h"

enum {
    GIB_DERIVATIONS_MAX = 24, /* `*`, `[]` and `()` of one declarator, typedefs included */
    GIB_NESTING_MAX = 16,     /* parentheses in a declarator, and typedefs of typedefs */
    GIB_PARAMETERS_MAX = 127, /* what C promises (C11 5.2.4.1) */
};

enum gib_token_kind {
    GIB_TOKEN_END,
    GIB_TOKEN_NAME,   /* an identifier or a keyword; also ns::name and name<arguments> */
    GIB_TOKEN_NUMBER, /* and character constants: only array sizes and enumerators have them */
    GIB_TOKEN_STRING,
    GIB_TOKEN_MARK, /* one character of punctuation */
    GIB_TOKEN_ELLIPSIS,
    GIB_TOKEN_BAD, /* an unfinished comment, string or template argument list */
};

struct gib_token {
    enum gib_token_kind kind;
    const char *text; /* in the declaration, not terminated */
    size_t length;
    size_t column; /* in bytes, from 1 */
};

struct gib_lexer {
    const char *start, *at;
    const char *note; /* the text of the last comment, which may hold annotations */
    size_t note_length;
};

void gib_lexer_begin(struct gib_lexer *lexer, const char *text);
struct gib_token gib_lexer_next(struct gib_lexer *lexer);
bool gib_token_is(const struct gib_token *token, const char *text);
bool gib_token_mark(const struct gib_token *token, char mark);

struct gib_parser {
    struct gib_prototypes *store; /* may be NULL: no typedefs */
    struct gib_lexer lexer;
    struct gib_token token; /* the current one, not yet consumed */
    struct gib_error *error;
    bool data;                       /* a line of a data file: bodies in braces are allowed */
    unsigned nesting;                /* of typedefs being resolved, or of parentheses */
    struct gib_prototype *prototype; /* receives the parameters of the declared function */
};

void gib_parser_begin(struct gib_parser *parser, struct gib_prototypes *store, const char *text,
                      struct gib_error *error);
void gib_parser_advance(struct gib_parser *parser);
struct gib_token gib_parser_peek(const struct gib_parser *parser);
/* Consumes the current token when it is that mark. */
bool gib_parser_accept(struct gib_parser *parser, char mark);
/* Consumes a bracketed group; the current token opens it. */
int gib_parser_skip_group(struct gib_parser *parser);
/* Consumes attributes, assembler names and words that say nothing about the call. */
int gib_parser_skip_noise(struct gib_parser *parser);
/* Fills *error with "column N: expected ..., found ..." and returns GIB_E_SYNTAX. */
int gib_parser_expected(struct gib_parser *parser, const char *what);
int gib_parser_memory(struct gib_parser *parser);
int gib_parser_fail(struct gib_parser *parser, int code, size_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

enum gib_derivation_kind {
    GIB_DERIVED_POINTER,
    GIB_DERIVED_REFERENCE,
    GIB_DERIVED_ARRAY,
    GIB_DERIVED_FUNCTION,
};

struct gib_derivation {
    enum gib_derivation_kind kind;
    bool is_const, is_volatile; /* of a pointer */
    const char *text;           /* array, function: the bracketed group as written */
    size_t length;
};

/* From the declared name outwards: `int *f(void)` is a function, returning a pointer, to the base.
 */
struct gib_derivations {
    struct gib_derivation items[GIB_DERIVATIONS_MAX];
    size_t count;
};

/* What the specifiers say, typedefs resolved. */
struct gib_base {
    struct gib_type type;           /* without name and enumerators */
    struct gib_derivations derived; /* those of the typedef, when it is one */
    bool is_const, is_volatile;     /* for the spelling only */
    const char *words[2]; /* the spelling: "struct" and "stat", or one word; not terminated */
    size_t word_length[2];
    size_t column;         /* where the type was named */
    const char *enum_body; /* behind the `{`, in the declaration or the store */
    bool unknown; /* a name, or a record, without known layout: only pointers to it are usable */
    bool bytes;   /* a character type that holds numbers (uint8_t): no text */
    bool octal;   /* a typedef says that people write its numbers in octal */
    bool numeric; /* signed char, unsigned char: a number by itself, but text through a pointer */
};

struct gib_declarator {
    struct gib_token name; /* kind END when there is none */
    struct gib_derivations derived;
    bool want_parameters; /* in: parse the parameters of the declared function into the prototype */
};

int gib_parse_specifiers(struct gib_parser *parser, struct gib_base *base);
int gib_parse_declarator(struct gib_parser *parser, struct gib_declarator *declarator);
int gib_parse_parameters(struct gib_parser *parser);
bool gib_is_type_word(struct gib_parser *parser, const struct gib_token *token);

/* The type that `derived` (from the name outwards) makes of the base. `decay`: arrays and functions
 * become pointers, as in a parameter. On success the caller owns out->name and out->enumerators. */
int gib_type_finish(struct gib_parser *parser, const struct gib_base *base,
                    const struct gib_derivation *derived, size_t count, bool decay,
                    struct gib_type *out);
/* Appends the enumerators of a body, which begins behind its brace. 0 or GIB_E_MEMORY. */
int gib_read_enumerators(const char *body, struct gib_type *type);
/* False when out of memory; then *to owns what was copied so far. */
bool gib_copy_enumerators(struct gib_type *to, const struct gib_type *from);
/* `how=open_flags` behind a function: its parameter `how` is written with the names of
 * that set. False when the word is no such annotation. 0 or GIB_E_MEMORY in *code. */
bool gib_annotate_parameter(struct gib_prototypes *store, struct gib_prototype *prototype,
                            const char *word, size_t length, int *code);
/* Size and signedness of an enumeration from its body. */
void gib_enum_layout(const char *body, struct gib_type *type);

/* Whether the parser gives this word a meaning of its own, in specifier.c. */
bool gib_is_keyword(const struct gib_token *token);

enum gib_entry_kind {
    GIB_ENTRY_FUNCTION,
    GIB_ENTRY_TYPEDEF,
    GIB_ENTRY_STRUCT,
    GIB_ENTRY_UNION,
    GIB_ENTRY_ENUM,
    GIB_ENTRY_FLAGS, /* names of constants that are no enumeration in C */
};

/* The line of a data file that declares the name, or NULL. */
const char *gib_store_line(struct gib_prototypes *store, enum gib_entry_kind kind, const char *name,
                           size_t length);
/* A store of one text instead of a directory of them; the text is copied. NULL when out of memory.
 */
struct gib_prototypes *gib_store_from_text(const char *text, size_t size);
/* Calls `visit` for every entry; for tests. `name` is not terminated. */
void gib_store_visit(struct gib_prototypes *store,
                     void (*visit)(void *context, enum gib_entry_kind kind, const char *name,
                                   size_t length, const char *line),
                     void *context);
/* As gib_prototype_parse, for a line of a data file. */
int gib_parse_data_line(struct gib_prototypes *store, const char *line, struct gib_prototype **out,
                        struct gib_error *error);

#endif
