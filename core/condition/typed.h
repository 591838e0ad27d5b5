/*
 * typed.h: a condition with types: what core/condition makes, and what code generators read.
 */
#ifndef GIBBON_TYPED_H
#define GIBBON_TYPED_H

#include "condition/condition.h"
#include "condition/syntax.h"
#include "elf/debug_types.h"

/* ---- types ---- */

enum gib_ctype_kind {
    GIB_CTYPE_VOID,
    GIB_CTYPE_BOOL,
    GIB_CTYPE_INTEGER, /* enumerations, too; size 1, 2, 4, 8 */
    GIB_CTYPE_REAL,    /* size 4, 8 */
    GIB_CTYPE_POINTER,
    GIB_CTYPE_ARRAY,
    GIB_CTYPE_RECORD,
    GIB_CTYPE_REFERENCE, /* C++; of a declaration only */
    GIB_CTYPE_FUNCTION,
    GIB_CTYPE_OTHER, /* long double, __int128, _Complex, vectors: may be there, is not computed with
                      */
};

struct gib_ctype {
    enum gib_ctype_kind kind;
    bool is_signed, is_char, is_enum;
    uint64_t size;    /* bytes; 0: not known */
    const char *name; /* as in C; never NULL */
    bool has_debug;
    struct gib_debug_type debug; /* RECORD: its members. POINTER, ARRAY, REFERENCE without target:
                                    the type itself, whose target is not read yet */
    const struct gib_ctype *target; /* POINTER, ARRAY, REFERENCE */
    const char *missing;            /* RECORD without debug information: its name as looked for */
};

/* ---- nodes ---- */

enum gib_operation {
    GIB_OP_NUMBER, /* number */
    GIB_OP_REAL,   /* real */
    GIB_OP_WORD,   /* number: enum gib_source; eight bytes as they are */
    GIB_OP_FIELD,  /* number: offset in struct gib_condition_call; as many bytes as the type has */
    GIB_OP_LOAD,   /* what is at address a */
    GIB_OP_BITS,   /* of eight bytes a: `width` bits from bit number on */
    GIB_OP_CONVERT,
    GIB_OP_REAL_OF_BITS, /* the low bytes of a as a floating number */
    GIB_OP_NEGATE,
    GIB_OP_INVERT,
    GIB_OP_NOT,
    GIB_OP_ADD, /* both operands have the type of the result */
    GIB_OP_SUBTRACT,
    GIB_OP_MULTIPLY,
    GIB_OP_DIVIDE,
    GIB_OP_REMAINDER,
    GIB_OP_AND,
    GIB_OP_OR,
    GIB_OP_XOR,
    GIB_OP_LEFT, /* b has a type of its own */
    GIB_OP_RIGHT,
    GIB_OP_EQUAL, /* the result is an int; the operands have one type */
    GIB_OP_UNEQUAL,
    GIB_OP_LESS,
    GIB_OP_GREATER,
    GIB_OP_AT_MOST,
    GIB_OP_AT_LEAST,
    GIB_OP_BOTH,   /* && */
    GIB_OP_EITHER, /* || */
    GIB_OP_CHOOSE,
    GIB_OP_TEXT,   /* number: enum gib_text_operation; text */
    GIB_OP_INSIDE, /* range[0..count): $caller is in one of them */
};

struct gib_node;
/* A text that is compared. One of literal, address and word is set. */
struct gib_text_source {
    const char *literal;
    const struct gib_node *address;
    const struct gib_node *word[2]; /* an array in registers, from byte `offset` on */
    uint64_t offset;
    uint64_t size; /* of a literal, or an array; UINT64_MAX: up to its NUL */
};

struct gib_node {
    enum gib_operation operation;
    bool is_real, is_signed; /* of the result */
    bool is_bool;            /* 0 or 1, one byte */
    uint8_t size;            /* 1, 2, 4 or 8 */
    uint8_t width;
    unsigned height;
    uint64_t number;
    double real;
    const struct gib_node *a, *b, *c;
    const struct gib_text_source *text; /* two */
    const struct gib_range *range;
    size_t count;
};

struct gib_condition {
    struct gib_pool pool;
    const struct gib_node *root; /* a scalar */
    unsigned uses;
};

/* ---- the checker ---- */

/* An expression: a value, or a place that has one. */
struct gib_operand {
    const struct gib_ctype *type; /* NULL: the check has failed */
    const struct gib_syntax *syntax;
    enum {
        GIB_PLACE_VALUE,   /* value */
        GIB_PLACE_MEMORY,  /* value: the address */
        GIB_PLACE_WORDS,   /* word, from byte `offset` on, `extent` bytes in all */
        GIB_PLACE_ADDRESS, /* a pointer to such words, which have no address: *& and [] lead back */
        GIB_PLACE_TEXT,    /* a literal: syntax->word */
        GIB_PLACE_FUNCTION,
        GIB_PLACE_VOID,
    } place;
    const struct gib_node *value;
    const struct gib_node *word[2];
    uint64_t offset, extent;
    bool is_bits; /* a bit-field: `width` bits from bit `shift` of the place on */
    uint8_t width;
    uint32_t shift;
    bool is_caller; /* $caller itself */
    bool is_null;   /* NULL or 0 as a null pointer constant */
};

struct gib_checker {
    const struct gib_condition_scope *scope;
    const char *text;
    struct gib_pool *pool;
    struct gib_error *error;
    /* "ns::Class::", "ns::", "": where names of the function's scope are looked for. */
    const char *prefix[8];
    size_t prefixes;
    const struct gib_ctype *parameter_type[GIB_MAX_PARAMETERS]; /* NULL: not asked for yet */
};

/* check.c */
struct gib_operand gib_check(struct gib_checker *c, const struct gib_syntax *syntax);
/* The value of a place: loads, decays, promotes nothing. NULL and *error when it has none. */
const struct gib_node *gib_check_value(struct gib_checker *c, struct gib_operand *operand);
/* The sentence about an expression. */
__attribute__((format(printf, 4, 5))) struct gib_operand
gib_check_fail(struct gib_checker *c, int code, const struct gib_syntax *syntax, const char *format,
               ...);
/* A name, and an expression's text, for a sentence: what is too long has "..." in its middle. */
const char *gib_check_short(const struct gib_checker *c, const char *name);
const char *gib_check_shown(const struct gib_checker *c, const struct gib_syntax *syntax);

/* operators.c */
struct gib_operand gib_check_unary(struct gib_checker *c, const struct gib_syntax *syntax);
struct gib_operand gib_check_binary(struct gib_checker *c, const struct gib_syntax *syntax);
struct gib_operand gib_check_choice(struct gib_checker *c, const struct gib_syntax *syntax);
struct gib_operand gib_check_cast(struct gib_checker *c, const struct gib_syntax *syntax);
/* What `index` elements behind an address are. */
struct gib_operand gib_check_element(struct gib_checker *c, const struct gib_syntax *syntax,
                                     struct gib_operand *a, struct gib_operand *b);

/* texts.c */
struct gib_operand gib_check_call(struct gib_checker *c, const struct gib_syntax *syntax);
/* Whether == of these compares texts; fills *out then (type NULL: it cannot). */
bool gib_check_text_equal(struct gib_checker *c, const struct gib_syntax *syntax,
                          const struct gib_operand *a, const struct gib_operand *b,
                          struct gib_operand *out);
/* Whether == of these asks which function the caller is. */
bool gib_check_caller_equal(struct gib_checker *c, const struct gib_syntax *syntax,
                            struct gib_operand *out);

/* places.c */
struct gib_operand gib_check_member(struct gib_checker *c, const struct gib_syntax *syntax);
/* The member `name` of a place whose type is a record; type NULL, without an error: it has none. */
struct gib_operand gib_check_find_member(struct gib_checker *c, const struct gib_operand *record,
                                         const char *name);
/* The sentence about a name that two base classes have. */
struct gib_operand gib_check_ambiguous(struct gib_checker *c, const struct gib_syntax *syntax,
                                       const char *name, const struct gib_debug_type owner[2]);
/* What is at an address; of an array or a function, its first element or itself. */
struct gib_operand gib_check_at(struct gib_checker *c, const struct gib_syntax *syntax,
                                const struct gib_node *address, const struct gib_ctype *type);
const struct gib_node *gib_check_load(struct gib_checker *c, const struct gib_operand *place);

/* names.c */
/* Fills c->prefix. */
void gib_names_open(struct gib_checker *c);
struct gib_operand gib_check_name(struct gib_checker *c, const struct gib_syntax *syntax);
/* `a.name` or `a->name` of what the class of a has once for all its objects; type NULL, without
 * an error: it has none. */
struct gib_operand gib_check_static_member(struct gib_checker *c, const struct gib_syntax *syntax,
                                           const struct gib_ctype *class);
/* A type by its name; tag as in struct gib_written_type. NULL: there is none. */
const struct gib_ctype *gib_find_type(struct gib_checker *c, const char *name, char tag);

/* call.c: what a call has. */
struct gib_operand gib_check_dollar(struct gib_checker *c, const struct gib_syntax *syntax);
/* The place of a parameter by its name; type NULL, without an error: there is none. */
struct gib_operand gib_check_parameter(struct gib_checker *c, const struct gib_syntax *syntax,
                                       const char *name);
/* The function's file; false: it has none. */
bool gib_check_own_file(const struct gib_checker *c, struct gib_condition_file *file);
/* `function` for messages. */
const char *gib_check_function(const struct gib_checker *c);

/* types.c */
extern const struct gib_ctype gib_ctype_int, gib_ctype_unsigned, gib_ctype_long,
    gib_ctype_unsigned_long, gib_ctype_float, gib_ctype_double, gib_ctype_char, gib_ctype_bool,
    gib_ctype_void;
const struct gib_ctype *gib_ctype_pointer(struct gib_checker *c, const struct gib_ctype *target);
/* From debug information; never NULL unless out of memory. */
const struct gib_ctype *gib_ctype_debug(struct gib_checker *c, const struct gib_debug_type *type);
/* From a prototype. */
const struct gib_ctype *gib_ctype_prototype(struct gib_checker *c, const struct gib_type *type);
/* As written; NULL with *error filled: there is no such type. */
const struct gib_ctype *gib_ctype_written(struct gib_checker *c,
                                          const struct gib_written_type *written);
/* What a pointer, an array or a reference is of. */
const struct gib_ctype *gib_ctype_target(struct gib_checker *c, const struct gib_ctype *type);
/* The record, complete if any file of the process has it so. */
const struct gib_ctype *gib_ctype_complete(struct gib_checker *c, const struct gib_ctype *type);
static inline bool gib_ctype_is_integer(const struct gib_ctype *type)
{
    return type->kind == GIB_CTYPE_INTEGER || type->kind == GIB_CTYPE_BOOL;
}
static inline bool gib_ctype_is_arithmetic(const struct gib_ctype *type)
{
    return gib_ctype_is_integer(type) || type->kind == GIB_CTYPE_REAL;
}
static inline bool gib_ctype_is_scalar(const struct gib_ctype *type)
{
    return gib_ctype_is_arithmetic(type) || type->kind == GIB_CTYPE_POINTER;
}

/* fold.c: nodes, with what is constant computed. NULL with *error filled: too deep, no memory. */
const struct gib_node *gib_node_number(struct gib_checker *c, const struct gib_ctype *type,
                                       uint64_t number);
const struct gib_node *gib_node_real(struct gib_checker *c, const struct gib_ctype *type,
                                     double real);
const struct gib_node *gib_node_make(struct gib_checker *c, enum gib_operation operation,
                                     const struct gib_ctype *type, const struct gib_node *a,
                                     const struct gib_node *b);
/* The same with all fields given. */
const struct gib_node *gib_node_add(struct gib_checker *c, const struct gib_ctype *type,
                                    struct gib_node node);
/* The value in another scalar type. */
const struct gib_node *gib_node_convert(struct gib_checker *c, const struct gib_node *a,
                                        const struct gib_ctype *type);

#endif
