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
    bool failed; /* *error says why */
};

bool gib_condition_advance(struct gib_condition_parser *p);
bool gib_parser_word_is(const struct gib_word *word, const char *text, const char *name);

/* parse_type.c */
/* A name with all its A::B<int>::, without blanks; the next word is then behind it. *end: where
 * the name ends. */
const char *gib_condition_qualified(struct gib_condition_parser *p, size_t *end);
/* Whether the parenthesis that is next begins `(TYPE)`. `alone`: nothing need follow it. */
bool gib_condition_type_follows(struct gib_condition_parser *p, bool alone);
/* `(TYPE)`; *end is behind it. */
const struct gib_written_type *gib_condition_parenthesized(struct gib_condition_parser *p,
                                                           size_t *end);
#endif
