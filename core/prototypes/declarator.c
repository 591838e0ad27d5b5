/* Declarators: the name and the `*`, `[]`, `()` around it, in C's inside-out order. */
#include "prototypes/internal.h"

static int add(struct gib_parser *parser, struct gib_derivations *list,
               const struct gib_derivation *item)
{
    if (list->count == GIB_DERIVATIONS_MAX)
        return gib_parser_expected(parser, "fewer levels of pointers, arrays and functions");
    list->items[list->count++] = *item;
    return 0;
}

/* `* const * &`, in the order written. */
static int parse_pointers(struct gib_parser *parser, struct gib_derivations *pointers)
{
    int code;
    while (!(code = gib_parser_skip_noise(parser))) {
        struct gib_token *token = &parser->token;
        struct gib_derivation item = {.kind = GIB_DERIVED_POINTER};
        if (gib_token_mark(token, '&'))
            item.kind = GIB_DERIVED_REFERENCE;
        else if (!gib_token_mark(token, '*'))
            return 0;
        gib_parser_advance(parser);
        if (item.kind == GIB_DERIVED_REFERENCE)
            gib_parser_accept(parser, '&'); /* an rvalue reference is passed alike */
        for (;;) {
            if ((code = gib_parser_skip_noise(parser)))
                return code;
            if (gib_token_is(token, "const") || gib_token_is(token, "__const"))
                item.is_const = true;
            else if (gib_token_is(token, "volatile"))
                item.is_volatile = true;
            else
                break;
            gib_parser_advance(parser);
        }
        if ((code = add(parser, pointers, &item)))
            return code;
    }
    return code;
}

/* Is this `(` around a declarator, `(*f)`, rather than before parameters, `(int)`? */
static bool is_grouping(struct gib_parser *parser)
{
    struct gib_token next = gib_parser_peek(parser);
    if (gib_token_mark(&next, '*') || gib_token_mark(&next, '&') || gib_token_mark(&next, '('))
        return true;
    return next.kind == GIB_TOKEN_NAME && !gib_is_type_word(parser, &next);
}

static int parse_suffixes(struct gib_parser *parser, struct gib_declarator *declarator)
{
    int code = gib_parser_skip_noise(parser);
    while (!code && (gib_token_mark(&parser->token, '(') || gib_token_mark(&parser->token, '['))) {
        bool function = gib_token_mark(&parser->token, '(');
        struct gib_derivation item = {.kind = function ? GIB_DERIVED_FUNCTION : GIB_DERIVED_ARRAY,
                                      .text = parser->token.text};
        bool declared = function && declarator->want_parameters && declarator->derived.count == 0 &&
                        declarator->name.kind == GIB_TOKEN_NAME;
        if (declared)
            code = gib_parse_parameters(parser);
        else
            code = gib_parser_skip_group(parser);
        if (!code) {
            /* The group ends behind its bracket; what is between that and the next token is blank.
             */
            item.length = (size_t)(parser->token.text - item.text);
            code = add(parser, &declarator->derived, &item);
        }
        if (!code)
            code = gib_parser_skip_noise(parser);
    }
    return code;
}

static int parse_direct(struct gib_parser *parser, struct gib_declarator *declarator)
{
    struct gib_token *token = &parser->token;
    if (token->kind == GIB_TOKEN_NAME && !gib_is_keyword(token)) {
        declarator->name = *token;
        gib_parser_advance(parser);
        return 0;
    }
    if (!gib_token_mark(token, '(') || !is_grouping(parser))
        return 0;
    gib_parser_advance(parser);
    int code = gib_parse_declarator(parser, declarator);
    if (!code && !gib_parser_accept(parser, ')'))
        code = gib_parser_expected(parser, "')'");
    return code;
}

int gib_parse_declarator(struct gib_parser *parser, struct gib_declarator *declarator)
{
    if (parser->nesting >= GIB_NESTING_MAX)
        return gib_parser_expected(parser, "fewer nested parentheses");
    parser->nesting++;
    struct gib_derivations pointers = {.count = 0};
    int code = parse_pointers(parser, &pointers);
    if (!code)
        code = parse_direct(parser, declarator);
    if (!code)
        code = parse_suffixes(parser, declarator);
    while (!code && pointers.count > 0)
        code = add(parser, &declarator->derived, &pointers.items[--pointers.count]);
    parser->nesting--;
    return code;
}
