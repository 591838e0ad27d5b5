/* A whole declaration becomes a prototype. */
#include <stdlib.h>
#include <string.h>
#include "prototypes/internal.h"

/* A name without the underscores that keep it out of a program's way; one of only underscores
 * stays. */
static char *plain_name(const struct gib_token *name)
{
    size_t skip = 0;
    while (skip < name->length && name->text[skip] == '_')
        skip++;
    if (skip == name->length)
        skip = 0;
    return strndup(name->text + skip, name->length - skip);
}

static int add_parameter(struct gib_parser *parser, const struct gib_token *name,
                         const struct gib_type *type)
{
    struct gib_prototype *prototype = parser->prototype;
    size_t size = (prototype->parameter_count + 1) * sizeof *prototype->parameters;
    struct gib_parameter *grown = realloc(prototype->parameters, size);
    if (!grown)
        return gib_parser_memory(parser);
    prototype->parameters = grown;
    struct gib_parameter *parameter = &grown[prototype->parameter_count];
    *parameter = (struct gib_parameter){.type = *type};
    if (name->kind == GIB_TOKEN_NAME && !(parameter->name = plain_name(name)))
        return gib_parser_memory(parser);
    prototype->parameter_count++;
    return 0;
}

static int parse_parameter(struct gib_parser *parser)
{
    struct gib_base base;
    struct gib_declarator declarator = {.want_parameters = false};
    struct gib_type type;
    if (parser->prototype->parameter_count == GIB_PARAMETERS_MAX)
        return gib_parser_expected(parser, "at most 127 parameters");
    int code = gib_parse_specifiers(parser, &base);
    if (!code)
        code = gib_parse_declarator(parser, &declarator);
    if (!code && !gib_token_mark(&parser->token, ',') && !gib_token_mark(&parser->token, ')'))
        code = gib_parser_expected(parser, declarator.name.kind == GIB_TOKEN_NAME
                                               ? "',' or ')' behind the parameter"
                                               : "the parameter's name, ',' or ')'");
    if (!code)
        code = gib_type_finish(parser, &base, declarator.derived.items, declarator.derived.count,
                               true, &type);
    if (code)
        return code;
    if (type.kind == GIB_TYPE_VOID)
        code = gib_parser_fail(parser, GIB_E_SYNTAX, base.column,
                               "a parameter cannot be void; a pointer to it can");
    else
        code = add_parameter(parser, &declarator.name, &type);
    if (code)
        gib_type_release(&type);
    return code;
}

/* `()` and `(void)`; the latter may hide behind a typedef in no header, so only the word counts. */
static bool accept_empty(struct gib_parser *parser)
{
    if (gib_parser_accept(parser, ')')) {
        parser->prototype->unspecified = true;
        return true;
    }
    struct gib_token next = gib_parser_peek(parser);
    if (!gib_token_is(&parser->token, "void") || !gib_token_mark(&next, ')'))
        return false;
    gib_parser_advance(parser);
    gib_parser_advance(parser);
    return true;
}

int gib_parse_parameters(struct gib_parser *parser)
{
    gib_parser_advance(parser);
    if (accept_empty(parser))
        return 0;
    for (;;) {
        if (parser->token.kind == GIB_TOKEN_ELLIPSIS) {
            gib_parser_advance(parser);
            parser->prototype->variadic = GIB_VARIADIC_UNKNOWN;
            return gib_parser_accept(parser, ')') ? 0
                                                  : gib_parser_expected(parser, "')' behind '...'");
        }
        int code = parse_parameter(parser);
        if (code)
            return code;
        if (gib_parser_accept(parser, ')'))
            return 0;
        gib_parser_advance(parser); /* the comma: parse_parameter() saw to it */
    }
}

/* What may follow the parameters of a C++ function. */
static int skip_trailer(struct gib_parser *parser)
{
    static const char *const words[] = {"const", "volatile", "noexcept", "override", "final"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (gib_token_is(&parser->token, words[i])) {
            gib_parser_advance(parser);
            i = (size_t)-1; /* from the first word again */
        }
    }
    return gib_parser_skip_noise(parser);
}

/* `// errno? printf` behind a declaration: what its C type cannot say. Unknown words are a comment.
 */
static int read_annotations(struct gib_parser *parser, struct gib_prototype *prototype)
{
    int code = 0;
    const char *at = parser->lexer.note, *end = at ? at + parser->lexer.note_length : NULL;
    while (at && at < end) {
        const char *word = at;
        while (at<end && * at> ' ')
            at++;
        struct gib_token token = {GIB_TOKEN_NAME, word, (size_t)(at - word), 0};
        if (gib_token_is(&token, "errno"))
            prototype->failure = GIB_FAILURE_ERRNO;
        else if (gib_token_is(&token, "errno?"))
            prototype->failure = GIB_FAILURE_ERRNO_MAYBE;
        else if (prototype->variadic && prototype->parameter_count &&
                 gib_token_is(&token, "printf"))
            prototype->variadic = GIB_VARIADIC_PRINTF;
        else if (prototype->variadic && prototype->parameter_count && gib_token_is(&token, "open"))
            prototype->variadic = GIB_VARIADIC_OPEN;
        else if (token.length > 7 && !prototype->manual && !strncmp(word, "manual=", 7)) {
            if (!(prototype->manual = strndup(word + 7, token.length - 7)))
                return gib_parser_memory(parser);
        } else if (gib_annotate_parameter(parser->store, prototype, word, token.length, &code) &&
                   code)
            return gib_parser_memory(parser);
        while (at < end && *at <= ' ')
            at++;
    }
    return 0;
}

static int finish_function(struct gib_parser *parser, const struct gib_base *base,
                           const struct gib_declarator *declarator)
{
    struct gib_prototype *prototype = parser->prototype;
    const struct gib_derivations *derived = &declarator->derived;
    if (declarator->name.kind != GIB_TOKEN_NAME)
        return gib_parser_fail(
            parser, GIB_E_SYNTAX, base->column,
            "expected the result's type, the function's name and its parameters, "
            "as in 'int f(char *)'");
    if (derived->count == 0 || derived->items[0].kind != GIB_DERIVED_FUNCTION)
        return gib_parser_expected(parser, "'(' and the parameters");
    int code = skip_trailer(parser);
    if (code)
        return code;
    gib_parser_accept(parser, ';');
    if (parser->token.kind != GIB_TOKEN_END)
        return gib_parser_expected(parser, "the end of the declaration");
    prototype->name = strndup(declarator->name.text, declarator->name.length);
    if (!prototype->name)
        return gib_parser_memory(parser);
    code = gib_type_finish(parser, base, derived->items + 1, derived->count - 1, false,
                           &prototype->result);
    return code ? code : read_annotations(parser, prototype);
}

static int parse(struct gib_parser *parser, struct gib_prototype **out)
{
    struct gib_base base;
    struct gib_declarator declarator = {.want_parameters = true};
    parser->prototype = calloc(1, sizeof *parser->prototype);
    if (!parser->prototype)
        return gib_parser_memory(parser);
    int code = gib_parse_specifiers(parser, &base);
    if (!code)
        code = gib_parse_declarator(parser, &declarator);
    if (!code)
        code = finish_function(parser, &base, &declarator);
    if (code)
        gib_prototype_free(parser->prototype);
    else
        *out = parser->prototype;
    return code;
}

int gib_prototype_parse(struct gib_prototypes *store, const char *declaration,
                        struct gib_prototype **out, struct gib_error *error)
{
    struct gib_parser parser;
    gib_parser_begin(&parser, store, declaration, error);
    return parse(&parser, out);
}

int gib_parse_data_line(struct gib_prototypes *store, const char *line, struct gib_prototype **out,
                        struct gib_error *error)
{
    struct gib_parser parser;
    gib_parser_begin(&parser, store, line, error);
    parser.data = true;
    return parse(&parser, out);
}

void gib_prototype_free(struct gib_prototype *prototype)
{
    if (!prototype)
        return;
    for (size_t i = 0; i < prototype->parameter_count; i++) {
        free(prototype->parameters[i].name);
        gib_type_release(&prototype->parameters[i].type);
    }
    free(prototype->parameters);
    gib_type_release(&prototype->result);
    free(prototype->name);
    free(prototype->manual);
    free(prototype);
}

/* NULL stays NULL; false when out of memory. */
static bool copy_text(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

static bool copy_type(struct gib_type *to, const struct gib_type *from);

static bool copy_members(struct gib_type *to, const struct gib_type *from)
{
    if (!from->member_count)
        return true;
    to->members = calloc(from->member_count, sizeof *to->members);
    for (size_t i = 0; to->members && i < from->member_count; i++) {
        to->members[i].offset = from->members[i].offset;
        to->member_count++;
        if (!copy_text(&to->members[i].name, from->members[i].name) ||
            !copy_type(&to->members[i].type, &from->members[i].type))
            return false;
    }
    return to->members != NULL;
}

/* On failure *to owns what was copied so far, so that it can be freed as a whole. */
static bool copy_type(struct gib_type *to, const struct gib_type *from)
{
    *to = *from;
    to->enumerators = NULL;
    to->enumerator_count = 0;
    to->members = NULL;
    to->member_count = 0;
    if (!copy_text(&to->name, from->name))
        return false;
    return gib_copy_enumerators(to, from) && copy_members(to, from);
}

bool gib_copy_enumerators(struct gib_type *to, const struct gib_type *from)
{
    to->enumerators = NULL;
    to->enumerator_count = 0;
    if (!from->enumerator_count)
        return true;
    to->enumerators = calloc(from->enumerator_count, sizeof *to->enumerators);
    if (!to->enumerators)
        return false;
    for (size_t i = 0; i < from->enumerator_count; i++) {
        to->enumerators[i].value = from->enumerators[i].value;
        to->enumerator_count++;
        if (!copy_text(&to->enumerators[i].name, from->enumerators[i].name))
            return false;
    }
    return true;
}

static bool copy_parameters(struct gib_prototype *to, const struct gib_prototype *from)
{
    if (!from->parameter_count)
        return true;
    to->parameters = calloc(from->parameter_count, sizeof *to->parameters);
    if (!to->parameters)
        return false;
    for (size_t i = 0; i < from->parameter_count; i++) {
        to->parameter_count++;
        to->parameters[i].entry = from->parameters[i].entry;
        to->parameters[i].entry_register = from->parameters[i].entry_register;
        if (!copy_text(&to->parameters[i].name, from->parameters[i].name) ||
            !copy_type(&to->parameters[i].type, &from->parameters[i].type))
            return false;
    }
    return true;
}

struct gib_prototype *gib_prototype_copy(const struct gib_prototype *prototype)
{
    struct gib_prototype *copy = calloc(1, sizeof *copy);
    if (!copy)
        return NULL;
    copy->variadic = prototype->variadic;
    copy->failure = prototype->failure;
    copy->unspecified = prototype->unspecified;
    copy->foreign = prototype->foreign;
    if (copy_text(&copy->name, prototype->name) && copy_text(&copy->manual, prototype->manual) &&
        copy_type(&copy->result, &prototype->result) && copy_parameters(copy, prototype))
        return copy;
    gib_prototype_free(copy);
    return NULL;
}
