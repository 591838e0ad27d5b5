/* Bytes to tokens. Any bytes are allowed: what is no C becomes a mark the parser will not expect.
 */
#include <string.h>
#include "prototypes/internal.h"

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || (c & 0x80);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void gib_lexer_begin(struct gib_lexer *lexer, const char *text)
{
    *lexer = (struct gib_lexer){.start = text, .at = text};
}

/* Skips one comment and remembers its text; false when it has no end. */
static bool skip_comment(struct gib_lexer *lexer)
{
    bool line = lexer->at[1] == '/';
    const char *text = lexer->at + 2;
    const char *end = line ? text + strcspn(text, "\n") : strstr(text, "*/");
    if (!end)
        return false;
    lexer->note = text;
    lexer->note_length = (size_t)(end - text);
    lexer->at = line ? end : end + 2;
    return true;
}

static bool skip_spaces(struct gib_lexer *lexer)
{
    for (;;) {
        while (is_space(*lexer->at))
            lexer->at++;
        if (lexer->at[0] != '/' || (lexer->at[1] != '/' && lexer->at[1] != '*'))
            return true;
        if (!skip_comment(lexer))
            return false;
    }
}

/* The end of `<...>` in a C++ name, or NULL. Parentheses inside may hold anything but `<` and `>`.
 */
static const char *template_end(const char *at)
{
    unsigned depth = 0;
    for (; *at; at++) {
        if (*at == '<')
            depth++;
        else if (*at == '>' && --depth == 0)
            return at + 1;
        else if (*at == ';' || *at == '{')
            return NULL;
    }
    return NULL;
}

/* The end of ns::Class<int>::name; NULL when template arguments do not end. */
static const char *name_end(const char *at)
{
    for (;;) {
        while (is_name_start(*at) || is_digit(*at))
            at++;
        if (*at == '<' && !(at = template_end(at)))
            return NULL;
        if (at[0] != ':' || at[1] != ':' || (!is_name_start(at[2]) && at[2] != '~'))
            return at;
        at += 3;
    }
}

static const char *quoted_end(const char *at)
{
    char quote = *at++;
    for (; *at && *at != quote; at++)
        if (*at == '\\' && at[1])
            at++;
    return *at ? at + 1 : NULL;
}

static const char *number_end(const char *at)
{
    while (is_name_start(*at) || is_digit(*at) || *at == '.' || *at == '\'')
        at++;
    return at;
}

static enum gib_token_kind token_end(const char *at, const char **end)
{
    bool scope = at[0] == ':' && at[1] == ':' && is_name_start(at[2]);
    if (is_name_start(*at) || scope) {
        *end = name_end(scope ? at + 2 : at);
        return GIB_TOKEN_NAME;
    }
    if (is_digit(*at)) {
        *end = number_end(at);
        return GIB_TOKEN_NUMBER;
    }
    if (*at == '"' || *at == '\'') {
        *end = quoted_end(at);
        return *at == '"' ? GIB_TOKEN_STRING : GIB_TOKEN_NUMBER;
    }
    if (strncmp(at, "...", 3) == 0) {
        *end = at + 3;
        return GIB_TOKEN_ELLIPSIS;
    }
    *end = at + 1;
    return GIB_TOKEN_MARK;
}

struct gib_token gib_lexer_next(struct gib_lexer *lexer)
{
    bool finished = skip_spaces(lexer);
    struct gib_token token = {.text = lexer->at, .column = (size_t)(lexer->at - lexer->start) + 1};
    const char *end = NULL;
    if (finished && *lexer->at == '\0')
        return token;
    if (finished)
        token.kind = token_end(lexer->at, &end);
    if (!end) { /* unfinished: the rest is one bad token */
        token.kind = GIB_TOKEN_BAD;
        end = lexer->at + strlen(lexer->at);
    }
    token.length = (size_t)(end - lexer->at);
    lexer->at = end;
    return token;
}

bool gib_token_is(const struct gib_token *token, const char *text)
{
    return token->kind == GIB_TOKEN_NAME && strlen(text) == token->length &&
           memcmp(token->text, text, token->length) == 0;
}

bool gib_token_mark(const struct gib_token *token, char mark)
{
    return token->kind == GIB_TOKEN_MARK && *token->text == mark;
}
