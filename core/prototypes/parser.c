/* The parser's moves over tokens, and its way to say what is wrong. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "prototypes/internal.h"

void gib_parser_begin(struct gib_parser *parser, struct gib_prototypes *store, const char *text,
                      struct gib_error *error)
{
    *parser = (struct gib_parser){.store = store, .error = error};
    gib_lexer_begin(&parser->lexer, text);
    gib_parser_advance(parser);
}

void gib_parser_advance(struct gib_parser *parser)
{
    parser->token = gib_lexer_next(&parser->lexer);
}

struct gib_token gib_parser_peek(const struct gib_parser *parser)
{
    struct gib_lexer copy = parser->lexer;
    return gib_lexer_next(&copy);
}

bool gib_parser_accept(struct gib_parser *parser, char mark)
{
    if (!gib_token_mark(&parser->token, mark))
        return false;
    gib_parser_advance(parser);
    return true;
}

int gib_parser_fail(struct gib_parser *parser, int code, size_t column, const char *format, ...)
{
    if (!parser->error)
        return code;
    va_list arguments;
    va_start(arguments, format);
    char reason[sizeof parser->error->message];
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    parser->error->code = code;
    parser->error->address = 0;
    snprintf(parser->error->message, sizeof parser->error->message, "column %zu: %.220s", column,
             reason);
    return code;
}

int gib_parser_memory(struct gib_parser *parser)
{
    return gib_parser_fail(parser, GIB_E_MEMORY, parser->token.column, "out of memory");
}

/* A token as it may be shown: no control bytes reach the terminal, and not a whole file of it. */
static void show_token(const struct gib_token *token, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < token->length && used + 8 < size; i++) {
        unsigned char c = (unsigned char)token->text[i];
        bool plain = c >= ' ' && c < 0x7f;
        used += (size_t)snprintf(out + used, size - used, plain ? "%c" : "\\x%02x", c);
    }
    out[used] = '\0';
}

int gib_parser_expected(struct gib_parser *parser, const char *what)
{
    const struct gib_token *token = &parser->token;
    if (token->kind == GIB_TOKEN_END)
        return gib_parser_fail(parser, GIB_E_SYNTAX, token->column,
                               "expected %s, found the end of the declaration", what);
    char shown[48];
    show_token(token, shown, sizeof shown);
    return gib_parser_fail(parser, GIB_E_SYNTAX, token->column, "expected %s, found '%s'%s", what,
                           shown, token->kind == GIB_TOKEN_BAD ? ", which does not end" : "");
}

static char closing(char open)
{
    return open == '(' ? ')' : open == '[' ? ']' : '}';
}

int gib_parser_skip_group(struct gib_parser *parser)
{
    char open = *parser->token.text;
    char wanted[] = {'\'', closing(open), '\'', '\0'};
    size_t depth = 0;
    do {
        if (parser->token.kind == GIB_TOKEN_END || parser->token.kind == GIB_TOKEN_BAD)
            return gib_parser_expected(parser, wanted);
        if (gib_token_mark(&parser->token, open))
            depth++;
        else if (gib_token_mark(&parser->token, closing(open)))
            depth--;
        else if (gib_token_mark(&parser->token, ';') && open != '{')
            return gib_parser_expected(parser, wanted);
        gib_parser_advance(parser);
    } while (depth > 0);
    return 0;
}

static bool is_one_of(const struct gib_token *token, const char *const *words)
{
    for (; *words; words++)
        if (gib_token_is(token, *words))
            return true;
    return false;
}

static bool is_noise(const struct gib_token *token)
{
    static const char *const words[] = {"extern",     "static",     "inline",       "__inline",
                                        "__inline__", "_Noreturn",  "noreturn",     "register",
                                        "restrict",   "__restrict", "__restrict__", "__extension__",
                                        "virtual",    "explicit",   "friend",       "constexpr",
                                        "typename",   "_Nonnull",   "_Nullable",    NULL};
    return is_one_of(token, words);
}

static bool takes_group(const struct gib_token *token)
{
    static const char *const words[] = {"__attribute__", "__attribute", "__asm__",    "__asm",
                                        "asm",           "_Alignas",    "__declspec", NULL};
    return is_one_of(token, words);
}

int gib_parser_skip_noise(struct gib_parser *parser)
{
    for (;;) {
        if (takes_group(&parser->token)) {
            gib_parser_advance(parser);
            if (!gib_token_mark(&parser->token, '('))
                return gib_parser_expected(parser, "'('");
            int code = gib_parser_skip_group(parser);
            if (code)
                return code;
        } else if (is_noise(&parser->token)) {
            gib_parser_advance(parser);
        } else {
            return 0;
        }
    }
}
