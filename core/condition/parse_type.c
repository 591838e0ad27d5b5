/* parse_type.c: names of types, in casts and sizeof, and as debug information spells them. */
#include <string.h>
#include "condition/parser.h"

/* The end of `<...>` at text, when that can only be the arguments of a template: `a < b` never has
 * a `>` before a `)`, a `::` or a `*)`, nor before the `>` that ends the type of a static_cast,
 * when it is in one (`angled`). NULL: it is a comparison. */
static const char *template_end(const char *text, bool angled)
{
    unsigned depth = 0, round = 0;
    const char *at = text;
    for (; *at; at++) {
        if (strchr(";\"'?=$", *at) || !strncmp(at, "&&", 2) || !strncmp(at, "||", 2))
            return NULL;
        if (*at == '(')
            round++;
        if (*at == ')' && !round--)
            return NULL;
        if (!round && *at == '<')
            depth++;
        if (!round && *at == '>' && at[-1] != '-' && !--depth)
            break;
    }
    if (!*at)
        return NULL;
    const char *end = ++at;
    at += strspn(at, " \t");
    if (!strncmp(at, "::", 2))
        return end;
    at += strspn(at, " \t*&");
    if (!strncmp(at, "const", 5))
        at += 5;
    at += strspn(at, " \t*&");
    return *at == ')' || !*at || (angled && *at == '>') ? end : NULL;
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c & 0x80);
}

/* Drops blanks, except between words. */
static size_t squeeze(char *to, const char *from, size_t length)
{
    size_t used = 0;
    bool blank = false;
    for (size_t i = 0; i < length; i++) {
        if (from[i] == ' ' || (from[i] >= '\t' && from[i] <= '\r')) {
            blank = true;
            continue;
        }
        if (blank && used && is_word_byte(to[used - 1]) && is_word_byte(from[i]))
            to[used++] = ' ';
        blank = false;
        to[used++] = from[i];
    }
    return used;
}

const char *gib_condition_qualified(struct gib_condition_parser *p, size_t *end)
{
    size_t start = p->word.at, used = 0;
    char *name = gib_pool_take(p->pool, strlen(p->text + start) + 1);
    if (!name) {
        p->failed = true;
        return gib_condition_memory(p->error);
    }
    if (p->word.kind == GIB_WORD_MARK && p->word.mark == MARK2(':', ':'))
        gib_condition_advance(p); /* of the outermost scope, as all names are that have no other */
    for (;;) {
        if (p->failed)
            return NULL;
        if (p->word.kind != GIB_WORD_NAME) {
            p->failed = true;
            return gib_condition_fail(p->error, GIB_E_SYNTAX, p->word.at,
                                      "a name was expected behind \"::\".");
        }
        memcpy(name + used, p->text + p->word.at, p->word.length);
        used += p->word.length;
        const char *behind = p->text + p->word.at + p->word.length;
        const char *open = behind + strspn(behind, " \t");
        const char *close = *open == '<' ? template_end(open, p->angled) : NULL;
        if (close) {
            used += squeeze(name + used, open, (size_t)(close - open));
            p->word.length = (size_t)(close - p->text) - p->word.at;
        }
        *end = p->word.at + p->word.length;
        gib_condition_advance(p);
        if (p->failed || p->word.kind != GIB_WORD_MARK || p->word.mark != MARK2(':', ':'))
            return p->failed ? NULL : name;
        memcpy(name + used, "::", 2);
        used += 2;
        gib_condition_advance(p);
    }
}

static bool is(const struct gib_condition_parser *p, const char *name)
{
    return gib_condition_word_is(&p->word, p->text, name);
}

static bool is_one_of(const struct gib_condition_parser *p, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is(p, names[i]))
            return true;
    return false;
}

static const char *const qualifiers[] = {"const", "volatile", "restrict", "__restrict", "_Atomic"};
static const char *const builtins[] = {
    "void",   "char",  "short", "int",      "long",     "signed",     "unsigned", "float",
    "double", "_Bool", "bool",  "_Complex", "__int128", "__float128", "complex",  "_Float128"};
static const char *const tags[] = {"struct", "union", "enum", "class"};
#define IS_ONE_OF(p, list) is_one_of(p, list, sizeof(list) / sizeof *(list))

static void skip_qualifiers(struct gib_condition_parser *p)
{
    while (!p->failed && IS_ONE_OF(p, qualifiers))
        gib_condition_advance(p);
}

static void *refuse(struct gib_condition_parser *p, size_t at, const char *sentence)
{
    if (!p->failed)
        gib_condition_fail(p->error, GIB_E_SYNTAX, at, "%s", sentence);
    p->failed = true;
    return NULL;
}

/* `unsigned long int`, in any order. */
static bool read_builtin(struct gib_condition_parser *p, struct gib_written_type *out)
{
    unsigned count[sizeof builtins / sizeof *builtins] = {0};
    enum { VOID, CHAR, SHORT, INT, LONG, SIGNED, UNSIGNED, FLOAT, DOUBLE, BOOL, BOOL2, OTHER };
    bool more = true;
    while (more && !p->failed) {
        more = false;
        for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
            if (is(p, builtins[i])) {
                count[i]++;
                more = true;
                break;
            }
        if (more)
            gib_condition_advance(p);
        skip_qualifiers(p);
    }
    if (p->failed)
        return false;
    bool other = false;
    for (size_t i = OTHER; i < sizeof builtins / sizeof *builtins; i++)
        other |= count[i];
    unsigned bases =
        count[VOID] + count[CHAR] + count[FLOAT] + count[DOUBLE] + count[BOOL] + count[BOOL2];
    unsigned sizes = count[SHORT] + count[LONG], signs = count[SIGNED] + count[UNSIGNED];
    bool no_integer = bases && !count[CHAR];
    if (!other && (bases > 1 || signs > 1 || count[SHORT] > 1 || count[LONG] > 2 ||
                   (count[SHORT] && count[LONG]) || count[INT] > 1 || (count[INT] && bases) ||
                   (sizes && bases && !(count[DOUBLE] && count[LONG] == 1 && !count[SHORT])) ||
                   (signs && no_integer)))
        return refuse(p, out->at, "these words make no type of C.");
    out->is_signed = !count[UNSIGNED];
    out->words = GIB_WORDS_INTEGER;
    out->size = 4;
    if (other) {
        out->words = GIB_WORDS_OTHER;
        out->size = 16;
    } else if (count[VOID]) {
        out->words = GIB_WORDS_VOID;
    } else if (count[BOOL] || count[BOOL2]) {
        out->words = GIB_WORDS_BOOL;
    } else if (count[CHAR]) {
        out->size = 1;
        out->is_char = true;
    } else if (count[FLOAT] || count[DOUBLE]) {
        out->words = GIB_WORDS_REAL;
        out->size = count[FLOAT] ? 4 : count[LONG] ? 16 : 8;
    } else if (sizes) {
        out->size = count[SHORT] ? 2 : 8;
    }
    return true;
}

static bool read_specifiers(struct gib_condition_parser *p, struct gib_written_type *out)
{
    size_t end;
    skip_qualifiers(p);
    if (p->failed)
        return false;
    out->at = p->word.at;
    if (IS_ONE_OF(p, builtins))
        return read_builtin(p, out);
    if (IS_ONE_OF(p, tags)) {
        out->tag = is(p, "class") ? 's' : p->text[p->word.at];
        gib_condition_advance(p);
    } else if (is(p, "typename")) {
        gib_condition_advance(p);
    }
    if (p->failed)
        return false;
    if (p->word.kind != GIB_WORD_NAME &&
        !(p->word.kind == GIB_WORD_MARK && p->word.mark == MARK2(':', ':')))
        return refuse(p, p->word.at, "a type's name was expected here.");
    out->words = GIB_WORDS_NAME;
    out->name = gib_condition_qualified(p, &end);
    if (!out->name)
        return false;
    skip_qualifiers(p);
    return !p->failed;
}

static const struct gib_written_type *keep(struct gib_condition_parser *p,
                                           const struct gib_written_type *type)
{
    struct gib_written_type *copy = p->failed ? NULL : gib_pool_take(p->pool, sizeof *copy);
    if (copy)
        *copy = *type;
    return copy;
}

static const struct gib_written_type *read_type(struct gib_condition_parser *p)
{
    struct gib_written_type type = {.at = p->word.at};
    if (!read_specifiers(p, &type))
        return NULL;
    while (!p->failed && p->word.kind == GIB_WORD_MARK && p->word.mark == '*') {
        type.pointers++;
        gib_condition_advance(p);
        skip_qualifiers(p);
    }
    if (!p->failed && p->word.kind == GIB_WORD_MARK &&
        (p->word.mark == '&' || p->word.mark == MARK2('&', '&'))) {
        type.is_reference = true;
        gib_condition_advance(p);
    }
    return keep(p, &type);
}

static const struct gib_written_type *read_enclosed(struct gib_condition_parser *p, uint32_t close)
{
    gib_condition_advance(p);
    const struct gib_written_type *type = p->failed ? NULL : read_type(p);
    if (p->failed || !type)
        return NULL;
    if (p->word.kind != GIB_WORD_MARK || p->word.mark != close)
        return refuse(p, p->word.at,
                      "a type here is a name, any number of * and perhaps a &; arrays and "
                      "functions are not understood.");
    return type;
}

const struct gib_written_type *gib_condition_parenthesized(struct gib_condition_parser *p,
                                                           size_t *end)
{
    const struct gib_written_type *type = read_enclosed(p, ')');
    if (!type)
        return NULL;
    *end = p->word.at + 1;
    gib_condition_advance(p);
    return p->failed ? NULL : type;
}

const struct gib_written_type *gib_condition_angled(struct gib_condition_parser *p)
{
    p->angled = true;
    const struct gib_written_type *type = read_enclosed(p, '>');
    p->angled = false;
    return type && gib_condition_advance(p) ? type : NULL;
}

const struct gib_written_type *gib_condition_builtin(struct gib_condition_parser *p)
{
    struct gib_written_type type = {.at = p->word.at};
    if (!IS_ONE_OF(p, builtins) || !read_builtin(p, &type))
        return NULL;
    return keep(p, &type);
}

/* Looks ahead without an effect on the parser. */
static bool starts_operand(const struct gib_condition_parser *p)
{
    if (p->word.kind == GIB_WORD_MARK)
        return p->word.mark == '!' || p->word.mark == '~' || p->word.mark == MARK2(':', ':');
    return p->word.kind != GIB_WORD_END;
}

/* Whether `int(a)` is next, as in `(int(a) + 1)`, and not `int (*)()`. */
static bool is_functional(struct gib_condition_parser ahead)
{
    struct gib_written_type type;
    if (!read_builtin(&ahead, &type) || !gib_condition_at(&ahead, '('))
        return false;
    gib_condition_advance(&ahead);
    if (!gib_condition_at(&ahead, '*'))
        return !ahead.failed;
    gib_condition_advance(&ahead);
    return !ahead.failed && !gib_condition_at(&ahead, ')');
}

bool gib_condition_type_follows(struct gib_condition_parser *p, bool alone)
{
    struct gib_error ignored;
    struct gib_condition_parser ahead = *p;
    ahead.error = &ignored;
    gib_condition_advance(&ahead);
    if (ahead.failed)
        return false;
    if (IS_ONE_OF(&ahead, builtins))
        return !is_functional(ahead);
    if (IS_ONE_OF(&ahead, qualifiers) || IS_ONE_OF(&ahead, tags) || is(&ahead, "typename"))
        return true;
    const struct gib_written_type *type = read_type(&ahead);
    if (!type || ahead.failed || ahead.word.kind != GIB_WORD_MARK || ahead.word.mark != ')')
        return false;
    if (type->pointers || type->is_reference || strchr(type->name, '<'))
        return true;
    gib_condition_advance(&ahead);
    if (p->types && p->types->is_type(p->types->context, type->name))
        return true;
    /* As long as nobody knows, the second parenthesis is no call. */
    bool open =
        !p->types && !ahead.failed && ahead.word.kind == GIB_WORD_MARK && ahead.word.mark == '(';
    return !alone && !ahead.failed && (open || starts_operand(&ahead));
}

const struct gib_written_type *gib_condition_type_name(const char *text, struct gib_pool *pool)
{
    struct gib_error ignored;
    struct gib_condition_parser p = {.text = text, .pool = pool, .error = &ignored};
    if (strlen(text) > GIB_CONDITION_TEXT_MOST || !gib_condition_advance(&p))
        return NULL;
    const struct gib_written_type *type = read_type(&p);
    bool whole = type && !p.failed && p.word.kind == GIB_WORD_END && !type->is_reference;
    return whole ? type : NULL;
}
