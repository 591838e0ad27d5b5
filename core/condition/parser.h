/* parser.h: what parse.c and parse_type.c share. */
#ifndef GIBBON_CONDITION_PARSER_H
#define GIBBON_CONDITION_PARSER_H

#include "condition/syntax.h"

struct gib_condition_parser {
    const char *text;
    struct gib_pool *pool;
    const struct gib_type_names *types;
    struct gib_error *error;
    struct gib_word word; /* the next one */
    unsigned depth, uses;
    bool angled; /* in the brackets of static_cast<TYPE> */
    bool failed; /* *error says why */
};

bool gib_condition_advance(struct gib_condition_parser *p);
bool gib_condition_word_is(const struct gib_word *word, const char *text, const char *name);

/* parse.c */
bool gib_condition_at(const struct gib_condition_parser *p, uint32_t mark);
/* "X stands where `what` was expected"; NULL. */
void *gib_condition_expected(struct gib_condition_parser *p, const char *what);
void *gib_condition_refuse(struct gib_condition_parser *p, const char *sentence);
const struct gib_syntax *gib_condition_add(struct gib_condition_parser *p, struct gib_syntax node);
/* What is behind the bracket that is next, up to, without, the one that closes it. */
const struct gib_syntax *gib_condition_inner(struct gib_condition_parser *p);

/* parse_cast.c */
/* static_cast<T>(a) and its like, or `int(a)`; NULL without an error: none is next. */
const struct gib_syntax *gib_condition_cast(struct gib_condition_parser *p);
/* `name(a)`, whose parenthesis is next: a cast, as long as nobody knows the types, else a call,
 * which is refused. `at`: where the name is. */
const struct gib_syntax *gib_condition_functional(struct gib_condition_parser *p, const char *name,
                                                  size_t at);

/* parse_type.c */
/* A name with all its A::B<int>::, without blanks; the next word is then behind it. *end: where
 * the name ends. */
const char *gib_condition_qualified(struct gib_condition_parser *p, size_t *end);
/* Whether the parenthesis that is next begins `(TYPE)`. `alone`: nothing need follow it. */
bool gib_condition_type_follows(struct gib_condition_parser *p, bool alone);
/* `(TYPE)`; *end is behind it. */
const struct gib_written_type *gib_condition_parenthesized(struct gib_condition_parser *p,
                                                           size_t *end);
/* `<TYPE>` of a static_cast. */
const struct gib_written_type *gib_condition_angled(struct gib_condition_parser *p);
/* `unsigned long` of `unsigned long(x)`; NULL, and nothing read: no such word is next. */
const struct gib_written_type *gib_condition_builtin(struct gib_condition_parser *p);
#endif
