/*
 * parse.c: C11 6.5 without assignments and calls, as a tree.
 *
 * C's grammar needs to know which names are types: `(a) - 1` is a cast of -1 or a difference. The
 * text is read twice: when it is typed, and, with the names, when it is checked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "condition/condition.h"
#include "condition/parser.h"
#include "symbols/distance.h"

bool gib_condition_word_is(const struct gib_word *word, const char *text, const char *name)
{
    return word->kind == GIB_WORD_NAME && word->length == strlen(name) &&
           !memcmp(text + word->at, name, word->length);
}

bool gib_condition_advance(struct gib_condition_parser *p)
{
    if (!p->failed)
        p->failed =
            !gib_condition_word(p->text, p->word.at + p->word.length, p->pool, &p->word, p->error);
    return !p->failed;
}

bool gib_condition_at(const struct gib_condition_parser *p, uint32_t mark)
{
    return !p->failed && p->word.kind == GIB_WORD_MARK && p->word.mark == mark;
}

void *gib_condition_expected(struct gib_condition_parser *p, const char *what)
{
    if (p->failed)
        return NULL;
    p->failed = true;
    if (p->word.kind == GIB_WORD_END)
        return gib_condition_fail(p->error, GIB_E_SYNTAX, p->word.at,
                                  "the condition ends where %s was expected.", what);
    char shown[GIB_SHORT_NAME];
    return gib_condition_fail(p->error, GIB_E_SYNTAX, p->word.at,
                              "\"%s\" stands where %s was expected.",
                              gib_text_shorten(p->text + p->word.at, p->word.length, shown), what);
}

void *gib_condition_refuse(struct gib_condition_parser *p, const char *sentence)
{
    if (!p->failed)
        gib_condition_fail(p->error, GIB_E_UNSUPPORTED, p->word.at, "%s", sentence);
    p->failed = true;
    return NULL;
}

static bool take(struct gib_condition_parser *p, uint32_t mark, const char *what)
{
    if (!gib_condition_at(p, mark))
        return gib_condition_expected(p, what);
    return gib_condition_advance(p);
}

static bool enter(struct gib_condition_parser *p)
{
    if (p->failed)
        return false;
    if (++p->depth <= GIB_CONDITION_DEPTH)
        return true;
    return gib_condition_refuse(p, "the condition is nested more than 200 levels deep.");
}

static unsigned height_of(const struct gib_syntax *a)
{
    return a ? a->height : 0;
}

const struct gib_syntax *gib_condition_add(struct gib_condition_parser *p, struct gib_syntax node)
{
    unsigned height = height_of(node.a), b = height_of(node.b), c = height_of(node.c);
    height = b > height ? b : height;
    node.height = (c > height ? c : height) + 1;
    if (p->failed)
        return NULL;
    if (node.height > GIB_CONDITION_DEPTH)
        return gib_condition_refuse(p, "the condition is nested more than 200 levels deep.");
    struct gib_syntax *copy = gib_pool_take(p->pool, sizeof *copy);
    if (copy)
        *copy = node;
    else
        p->failed = true, gib_condition_memory(p->error);
    return copy;
}

static const struct gib_syntax *parse_choice(struct gib_condition_parser *p);
static const struct gib_syntax *parse_unary(struct gib_condition_parser *p);

/* Several string literals in a row are one. */
static const struct gib_syntax *parse_text(struct gib_condition_parser *p)
{
    struct gib_word word = p->word;
    while (gib_condition_advance(p) && p->word.kind == GIB_WORD_TEXT) {
        char *both = gib_pool_take(p->pool, word.value + p->word.value + 1);
        if (!both) {
            p->failed = true;
            return gib_condition_memory(p->error);
        }
        memcpy(both, word.bytes, word.value);
        memcpy(both + word.value, p->word.bytes, p->word.value);
        word.bytes = both;
        word.value += p->word.value;
        word.length = p->word.at + p->word.length - word.at;
    }
    return gib_condition_add(
        p, (struct gib_syntax){
               .kind = GIB_SYNTAX_TEXT, .at = word.at, .end = word.at + word.length, .word = word});
}

static const struct gib_syntax *parse_call(struct gib_condition_parser *p, struct gib_syntax node)
{
    node.kind = GIB_SYNTAX_CALL;
    gib_condition_advance(p);
    node.a = parse_choice(p);
    if (gib_condition_at(p, ')'))
        return gib_condition_expected(p, "',' and a second text");
    if (!node.a || !take(p, ',', "','") || !(node.b = parse_choice(p)))
        return NULL;
    node.end = p->word.at + 1;
    return take(p, ')', "')'") ? gib_condition_add(p, node) : NULL;
}

static const struct gib_syntax *parse_dollar(struct gib_condition_parser *p)
{
    static const struct {
        const char *name;
        unsigned uses;
    } words[] = {{"ret", GIB_CONDITION_RETURN},
                 {"errno", GIB_CONDITION_RETURN | GIB_CONDITION_ERRNO},
                 {"tid", 0},
                 {"calls", GIB_CONDITION_CALLS},
                 {"caller", GIB_CONDITION_CALLER}};
    static const char *const functions[] = {"streq", "strstr", "startswith"};
    struct gib_word word = p->word;
    struct gib_syntax node = {
        .kind = GIB_SYNTAX_DOLLAR, .at = word.at, .end = word.at + word.length, .focus = word.at};
    node.name = gib_pool_text(p->pool, p->text + word.at + 1, word.length - 1);
    if (!node.name) {
        p->failed = true;
        return gib_condition_memory(p->error);
    }
    if (!gib_condition_advance(p))
        return NULL;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!strcmp(node.name, functions[i]))
            return gib_condition_at(p, '(') ? parse_call(p, node)
                                            : gib_condition_expected(p, "'(' and two texts");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(node.name, words[i].name)) {
            p->uses |= words[i].uses;
            return gib_condition_add(p, node);
        }
    if (!strncmp(node.name, "arg", 3) && node.name[3] >= '1' && node.name[3] <= '9' &&
        strspn(node.name + 3, "0123456789") == strlen(node.name + 3))
        return gib_condition_add(p, node);
    p->failed = true;
    char shown[GIB_SHORT_NAME];
    return gib_condition_fail(p->error, GIB_E_SYNTAX, word.at,
                              "\"$%s\" is not known; there are $arg1, $arg2..., $ret, $errno, "
                              "$tid, $calls, $caller, $streq, $strstr and $startswith.",
                              gib_name_shorten(node.name, shown));
}

static const struct gib_syntax *parse_name(struct gib_condition_parser *p)
{
    size_t at = p->word.at, end;
    const char *name = gib_condition_qualified(p, &end);
    if (!name)
        return NULL;
    if (gib_condition_at(p, '('))
        return gib_condition_functional(p, name, at);
    return gib_condition_add(
        p, (struct gib_syntax){
               .kind = GIB_SYNTAX_NAME, .at = at, .end = end, .focus = at, .name = name});
}

static const struct gib_syntax *parse_primary(struct gib_condition_parser *p)
{
    struct gib_word word = p->word;
    const struct gib_syntax *inner;
    switch (word.kind) {
    case GIB_WORD_INTEGER:
    case GIB_WORD_REAL:
        gib_condition_advance(p);
        return gib_condition_add(p, (struct gib_syntax){.kind = word.kind == GIB_WORD_REAL
                                                                    ? GIB_SYNTAX_REAL
                                                                    : GIB_SYNTAX_INTEGER,
                                                        .at = word.at,
                                                        .end = word.at + word.length,
                                                        .word = word});
    case GIB_WORD_TEXT:
        return parse_text(p);
    case GIB_WORD_DOLLAR:
        return parse_dollar(p);
    case GIB_WORD_NAME:
        inner = gib_condition_cast(p);
        return inner || p->failed ? inner : parse_name(p);
    case GIB_WORD_MARK:
        if (word.mark == MARK2(':', ':'))
            return parse_name(p);
        if (word.mark != '(')
            break;
        inner = gib_condition_inner(p);
        return inner && take(p, ')', "')'") ? inner : NULL;
    default:
        break;
    }
    return gib_condition_expected(p, "a value");
}

static const struct gib_syntax *parse_postfix(struct gib_condition_parser *p)
{
    const struct gib_syntax *a = parse_primary(p);
    while (a && !p->failed && p->word.kind == GIB_WORD_MARK) {
        struct gib_syntax node = {.at = a->at, .focus = p->word.at, .a = a};
        uint32_t mark = p->word.mark;
        if (mark == MARK2('+', '+') || mark == MARK2('-', '-'))
            return gib_condition_refuse(p,
                                        "a condition changes nothing: there is no ++ and no --.");
        if (mark == '(')
            return gib_condition_refuse(p, "a condition calls no function of the program.");
        if (mark == '[') {
            if (!enter(p))
                return NULL;
            gib_condition_advance(p);
            node.kind = GIB_SYNTAX_BINARY;
            node.mark = '[';
            node.b = parse_choice(p);
            node.end = p->word.at + 1;
            p->depth--;
            if (!node.b || !take(p, ']', "']'"))
                return NULL;
        } else if (mark == '.' || mark == MARK2('-', '>')) {
            gib_condition_advance(p);
            if (p->failed || p->word.kind != GIB_WORD_NAME)
                return gib_condition_expected(p, "a member's name");
            if (mark != '.')
                node.a = gib_condition_add(p, (struct gib_syntax){.kind = GIB_SYNTAX_UNARY,
                                                                  .mark = '*',
                                                                  .at = a->at,
                                                                  .end = a->end,
                                                                  .focus = node.focus,
                                                                  .a = a});
            node.kind = GIB_SYNTAX_MEMBER;
            node.focus = p->word.at;
            /* Base::member, too. */
            node.name = gib_condition_qualified(p, &node.end);
        } else {
            break;
        }
        a = gib_condition_add(p, node);
    }
    return p->failed ? NULL : a;
}

static const struct gib_syntax *parse_sizeof(struct gib_condition_parser *p)
{
    struct gib_syntax node = {.kind = GIB_SYNTAX_SIZE, .at = p->word.at, .focus = p->word.at};
    gib_condition_advance(p);
    if (gib_condition_at(p, '(') && gib_condition_type_follows(p, true)) {
        node.type = gib_condition_parenthesized(p, &node.end);
        return node.type ? gib_condition_add(p, node) : NULL;
    }
    unsigned uses = p->uses;
    node.a = parse_unary(p);
    p->uses = uses; /* nothing of it is computed */
    node.end = node.a ? node.a->end : 0;
    return node.a ? gib_condition_add(p, node) : NULL;
}

static const struct gib_syntax *parse_unary_level(struct gib_condition_parser *p)
{
    struct gib_syntax node = {.at = p->word.at, .focus = p->word.at};
    if (p->word.kind == GIB_WORD_MARK) {
        uint32_t mark = p->word.mark;
        if (mark == MARK2('+', '+') || mark == MARK2('-', '-'))
            return gib_condition_refuse(p,
                                        "a condition changes nothing: there is no ++ and no --.");
        if (mark == '(' && gib_condition_type_follows(p, false)) {
            node.kind = GIB_SYNTAX_CAST;
            node.type = gib_condition_parenthesized(p, &node.end);
            node.a = node.type ? parse_unary(p) : NULL;
        } else if (mark < 128 && mark && strchr("-+!~*&", (int)mark)) {
            node.kind = GIB_SYNTAX_UNARY;
            node.mark = mark;
            gib_condition_advance(p);
            node.a = parse_unary(p);
        } else if (mark == MARK2('&', '&')) {
            return gib_condition_refuse(p, "the address of a label has no meaning here.");
        } else {
            return parse_postfix(p);
        }
        if (!node.a)
            return NULL;
        node.end = node.a->end;
        return gib_condition_add(p, node);
    }
    if (gib_condition_word_is(&p->word, p->text, "sizeof"))
        return parse_sizeof(p);
    return parse_postfix(p);
}

static const struct gib_syntax *parse_unary(struct gib_condition_parser *p)
{
    if (!enter(p))
        return NULL;
    const struct gib_syntax *node = parse_unary_level(p);
    p->depth--;
    return node;
}

/* C's levels, from * to ||; 0: no binary operator. */
static int level_of(uint32_t mark)
{
    switch (mark) {
    case '*':
    case '/':
    case '%':
        return 10;
    case '+':
    case '-':
        return 9;
    case MARK2('<', '<'):
    case MARK2('>', '>'):
        return 8;
    case '<':
    case '>':
    case MARK2('<', '='):
    case MARK2('>', '='):
        return 7;
    case MARK2('=', '='):
    case MARK2('!', '='):
        return 6;
    case '&':
        return 5;
    case '^':
        return 4;
    case '|':
        return 3;
    case MARK2('&', '&'):
        return 2;
    case MARK2('|', '|'):
        return 1;
    default:
        return 0;
    }
}

static const struct gib_syntax *parse_binary(struct gib_condition_parser *p, int least)
{
    const struct gib_syntax *a = parse_unary(p);
    while (a && !p->failed && p->word.kind == GIB_WORD_MARK) {
        int level = level_of(p->word.mark);
        struct gib_syntax node = {.kind = GIB_SYNTAX_BINARY,
                                  .mark = p->word.mark,
                                  .at = a->at,
                                  .focus = p->word.at,
                                  .a = a};
        if (!level || level < least)
            break;
        gib_condition_advance(p);
        node.b = parse_binary(p, level + 1);
        if (!node.b)
            return NULL;
        node.end = node.b->end;
        a = gib_condition_add(p, node);
    }
    return p->failed ? NULL : a;
}

static const struct gib_syntax *parse_choice_level(struct gib_condition_parser *p)
{
    struct gib_syntax node = {.kind = GIB_SYNTAX_CHOICE, .focus = 0};
    node.a = parse_binary(p, 1);
    if (!node.a || !gib_condition_at(p, '?'))
        return node.a;
    node.at = node.a->at;
    node.focus = p->word.at;
    gib_condition_advance(p);
    if (gib_condition_at(p, ':'))
        return gib_condition_refuse(p, "the middle of ?: may not be left out here.");
    node.b = parse_choice(p);
    if (!node.b || !take(p, ':', "':'"))
        return NULL;
    node.c = parse_choice(p);
    node.end = node.c ? node.c->end : 0;
    return node.c ? gib_condition_add(p, node) : NULL;
}

static const struct gib_syntax *parse_choice(struct gib_condition_parser *p)
{
    if (!enter(p))
        return NULL;
    const struct gib_syntax *node = parse_choice_level(p);
    p->depth--;
    return node;
}

const struct gib_syntax *gib_condition_inner(struct gib_condition_parser *p)
{
    if (!enter(p))
        return NULL;
    gib_condition_advance(p);
    const struct gib_syntax *node = parse_choice(p);
    p->depth--;
    return node;
}

/* What stands behind a whole expression, though nothing may. */
static void *refuse_rest(struct gib_condition_parser *p)
{
    uint32_t mark = p->word.kind == GIB_WORD_MARK ? p->word.mark : 0;
    char last = mark >> 16 ? (char)(mark >> 16) : mark >> 8 ? (char)(mark >> 8) : (char)mark;
    if (mark == '=')
        return gib_condition_refuse(
            p, "\"=\" would assign, and a condition changes nothing; == compares.");
    if (last == '=')
        return gib_condition_refuse(p, "a condition changes nothing: it cannot assign.");
    if (mark == ',')
        return gib_condition_refuse(p,
                                    "a condition is one expression: there is no comma operator.");
    return gib_condition_expected(p, "an operator or the end");
}

const struct gib_syntax *gib_condition_tree(const char *text, struct gib_pool *pool,
                                            const struct gib_type_names *types, unsigned *uses,
                                            struct gib_error *error)
{
    struct gib_condition_parser p = {.text = text, .pool = pool, .types = types, .error = error};
    if (strlen(text) > GIB_CONDITION_TEXT_MOST)
        return gib_condition_fail(error, GIB_E_UNSUPPORTED, GIB_CONDITION_TEXT_MOST,
                                  "the condition is longer than 4096 bytes.");
    if (!gib_condition_advance(&p))
        return NULL;
    if (p.word.kind == GIB_WORD_END)
        return gib_condition_fail(error, GIB_E_SYNTAX, 0, "there is no condition here.");
    const struct gib_syntax *tree = parse_choice(&p);
    if (tree && p.word.kind != GIB_WORD_END)
        return refuse_rest(&p);
    *uses |= p.uses;
    return tree;
}

int gib_condition_parse(const char *text, struct gib_condition_text **out, struct gib_error *error)
{
    struct gib_error own;
    struct gib_pool pool = {.block = NULL};
    unsigned uses = 0;
    error = error ? error : &own;
    if (!gib_condition_tree(text, &pool, NULL, &uses, error)) {
        gib_pool_free(&pool);
        return error->code;
    }
    gib_pool_free(&pool);
    struct gib_condition_text *made = calloc(1, sizeof *made);
    if (made && !(made->text = strdup(text))) {
        free(made);
        made = NULL;
    }
    if (!made) {
        gib_condition_memory(error);
        return error->code;
    }
    made->uses = uses;
    *out = made;
    return 0;
}

void gib_condition_text_free(struct gib_condition_text *text)
{
    if (!text)
        return;
    free(text->text);
    free(text);
}

unsigned gib_condition_text_uses(const struct gib_condition_text *text)
{
    return text->uses;
}
