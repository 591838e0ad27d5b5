/* Declaration specifiers: which type do these words name, in any order. */
#include <stdlib.h>
#include <string.h>
#include "prototypes/internal.h"

/* The words of arithmetic types, one bit each; a type is a set of them. */
enum {
    W_VOID = 1 << 0,
    W_BOOL = 1 << 1,
    W_CHAR = 1 << 2,
    W_SHORT = 1 << 3,
    W_INT = 1 << 4,
    W_LONG = 1 << 5,
    W_LONG_LONG = 1 << 6,
    W_SIGNED = 1 << 7,
    W_UNSIGNED = 1 << 8,
    W_FLOAT = 1 << 9,
    W_DOUBLE = 1 << 10,
    W_COMPLEX = 1 << 11,
    W_INT128 = 1 << 12,
    W_F32 = 1 << 13,
    W_F64 = 1 << 14,
    W_F32X = 1 << 15,
    W_F64X = 1 << 16,
    W_F128 = 1 << 17,
    W_M64 = 1 << 18,
    W_M128 = 1 << 19,
    W_M256 = 1 << 20,
    W_M512 = 1 << 21,
    /* `int` and `signed` add nothing beside these. */
    W_INTEGERS = W_SHORT | W_INT | W_LONG | W_LONG_LONG | W_SIGNED | W_UNSIGNED | W_INT128,
};

static const struct {
    const char *word;
    unsigned bit;
} words[] = {
    {"void", W_VOID},         {"_Bool", W_BOOL},        {"bool", W_BOOL},
    {"char", W_CHAR},         {"short", W_SHORT},       {"int", W_INT},
    {"long", W_LONG},         {"signed", W_SIGNED},     {"__signed", W_SIGNED},
    {"__signed__", W_SIGNED}, {"unsigned", W_UNSIGNED}, {"float", W_FLOAT},
    {"double", W_DOUBLE},     {"_Complex", W_COMPLEX},  {"__complex__", W_COMPLEX},
    {"__int128", W_INT128},   {"_Float32", W_F32},      {"_Float64", W_F64},
    {"_Float32x", W_F32X},    {"_Float64x", W_F64X},    {"_Float128", W_F128},
    {"__float128", W_F128},   {"__m64", W_M64},         {"__m128", W_M128},
    {"__m128d", W_M128},      {"__m128i", W_M128},      {"__m256", W_M256},
    {"__m256d", W_M256},      {"__m256i", W_M256},      {"__m512", W_M512},
    {"__m512d", W_M512},      {"__m512i", W_M512},
};

#define C_INT  GIB_CLASS_INTEGER
#define C_SSE  GIB_CLASS_SSE
#define C_UP   GIB_CLASS_SSEUP
#define C_X87  GIB_CLASS_X87
#define C_MEM  GIB_CLASS_MEMORY
#define C_NONE GIB_CLASS_NONE

/* System V x86-64 ABI, figure 3.1 and section 3.2.3. */
static const struct {
    unsigned bits;
    const char *name; /* NULL: as written */
    enum gib_type_kind kind;
    uint32_t size;
    bool is_signed;
    enum gib_abi_class eightbyte[2];
} types[] = {
    {W_VOID, "void", GIB_TYPE_VOID, 0, false, {C_NONE, C_NONE}},
    {W_BOOL, NULL, GIB_TYPE_BOOL, 1, false, {C_INT, C_NONE}},
    {W_CHAR, "char", GIB_TYPE_CHAR, 1, true, {C_INT, C_NONE}},
    {W_SIGNED | W_CHAR, "signed char", GIB_TYPE_CHAR, 1, true, {C_INT, C_NONE}},
    {W_UNSIGNED | W_CHAR, "unsigned char", GIB_TYPE_CHAR, 1, false, {C_INT, C_NONE}},
    {W_SHORT, "short", GIB_TYPE_INT, 2, true, {C_INT, C_NONE}},
    {W_UNSIGNED | W_SHORT, "unsigned short", GIB_TYPE_INT, 2, false, {C_INT, C_NONE}},
    {W_INT, "int", GIB_TYPE_INT, 4, true, {C_INT, C_NONE}},
    {W_UNSIGNED, "unsigned int", GIB_TYPE_INT, 4, false, {C_INT, C_NONE}},
    {W_LONG, "long", GIB_TYPE_INT, 8, true, {C_INT, C_NONE}},
    {W_UNSIGNED | W_LONG, "unsigned long", GIB_TYPE_INT, 8, false, {C_INT, C_NONE}},
    {W_LONG_LONG, "long long", GIB_TYPE_INT, 8, true, {C_INT, C_NONE}},
    {W_UNSIGNED | W_LONG_LONG, "unsigned long long", GIB_TYPE_INT, 8, false, {C_INT, C_NONE}},
    {W_INT128, "__int128", GIB_TYPE_INT, 16, true, {C_INT, C_INT}},
    {W_UNSIGNED | W_INT128, "unsigned __int128", GIB_TYPE_INT, 16, false, {C_INT, C_INT}},
    {W_FLOAT, "float", GIB_TYPE_FLOAT, 4, true, {C_SSE, C_NONE}},
    {W_DOUBLE, "double", GIB_TYPE_FLOAT, 8, true, {C_SSE, C_NONE}},
    {W_LONG | W_DOUBLE, "long double", GIB_TYPE_FLOAT, 16, true, {C_X87, C_NONE}},
    {W_F32, "_Float32", GIB_TYPE_FLOAT, 4, true, {C_SSE, C_NONE}},
    {W_F64, "_Float64", GIB_TYPE_FLOAT, 8, true, {C_SSE, C_NONE}},
    {W_F32X, "_Float32x", GIB_TYPE_FLOAT, 8, true, {C_SSE, C_NONE}},
    {W_F64X, "_Float64x", GIB_TYPE_FLOAT, 16, true, {C_X87, C_NONE}},
    {W_F128, "_Float128", GIB_TYPE_FLOAT, 16, true, {C_SSE, C_UP}},
    {W_COMPLEX | W_FLOAT, "_Complex float", GIB_TYPE_COMPLEX, 8, true, {C_SSE, C_NONE}},
    {W_COMPLEX | W_DOUBLE, "_Complex double", GIB_TYPE_COMPLEX, 16, true, {C_SSE, C_SSE}},
    {W_COMPLEX | W_LONG | W_DOUBLE,
     "_Complex long double",
     GIB_TYPE_COMPLEX,
     32,
     true,
     {C_X87, C_X87}},
    {W_COMPLEX | W_F32, "_Complex _Float32", GIB_TYPE_COMPLEX, 8, true, {C_SSE, C_NONE}},
    {W_COMPLEX | W_F64, "_Complex _Float64", GIB_TYPE_COMPLEX, 16, true, {C_SSE, C_SSE}},
    {W_COMPLEX | W_F32X, "_Complex _Float32x", GIB_TYPE_COMPLEX, 16, true, {C_SSE, C_SSE}},
    {W_COMPLEX | W_F64X, "_Complex _Float64x", GIB_TYPE_COMPLEX, 32, true, {C_X87, C_X87}},
    {W_COMPLEX | W_F128, "_Complex _Float128", GIB_TYPE_COMPLEX, 32, true, {C_MEM, C_NONE}},
    {W_M64, NULL, GIB_TYPE_VECTOR, 8, false, {C_SSE, C_NONE}},
    {W_M128, NULL, GIB_TYPE_VECTOR, 16, false, {C_SSE, C_UP}},
    {W_M256, NULL, GIB_TYPE_VECTOR, 32, false, {C_SSE, C_UP}},
    {W_M512, NULL, GIB_TYPE_VECTOR, 64, false, {C_SSE, C_UP}},
};

static unsigned word_bit(const struct gib_token *token)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (gib_token_is(token, words[i].word))
            return words[i].bit;
    return 0;
}

static bool is_qualifier(const struct gib_token *token, bool *is_const)
{
    *is_const = gib_token_is(token, "const") || gib_token_is(token, "__const");
    return *is_const || gib_token_is(token, "volatile") || gib_token_is(token, "__volatile__") ||
           gib_token_is(token, "_Atomic");
}

static bool record_word(const struct gib_token *token, enum gib_entry_kind *kind)
{
    if (gib_token_is(token, "union"))
        *kind = GIB_ENTRY_UNION;
    else if (gib_token_is(token, "enum"))
        *kind = GIB_ENTRY_ENUM;
    else if (gib_token_is(token, "struct") || gib_token_is(token, "class"))
        *kind = GIB_ENTRY_STRUCT;
    else
        return false;
    return true;
}

bool gib_is_keyword(const struct gib_token *token)
{
    enum gib_entry_kind kind;
    bool is_const;
    return word_bit(token) || is_qualifier(token, &is_const) || record_word(token, &kind);
}

bool gib_is_type_word(struct gib_parser *parser, const struct gib_token *token)
{
    if (token->kind != GIB_TOKEN_NAME)
        return false;
    return gib_is_keyword(token) || gib_token_is(token, "__builtin_va_list") ||
           gib_store_line(parser->store, GIB_ENTRY_TYPEDEF, token->text, token->length);
}

static void set_words(struct gib_base *base, const struct gib_token *first,
                      const struct gib_token *second)
{
    base->words[0] = first->text;
    base->word_length[0] = first->length;
    base->words[1] = second ? second->text : NULL;
    base->word_length[1] = second ? second->length : 0;
}

/* `// size=8 align=4 class=INTEGER,SSE` behind a record of a data file. */
static bool read_layout(const char *line, struct gib_type *type)
{
    static const char *const names[] = {"INTEGER", "SSE", "X87", "MEMORY"};
    static const enum gib_abi_class classes[] = {C_INT, C_SSE, C_X87, C_MEM};
    const char *size = strstr(line, " size="), *align = strstr(line, " align=");
    if (!size || !align)
        return false;
    type->size = (uint32_t)strtoul(size + 6, NULL, 10);
    type->align = (uint32_t)strtoul(align + 7, NULL, 10);
    const char *at = strstr(line, " class=");
    at = at ? at + 7 : "";
    for (int eightbyte = 0; eightbyte < 2 && *at; eightbyte++) {
        size_t length = strcspn(at, ", ");
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strlen(names[i]) == length && memcmp(at, names[i], length) == 0)
                type->eightbyte[eightbyte] = classes[i];
        at += length;
        if (*at != ',')
            break;
        at++;
    }
    return true;
}

static void set_enum(struct gib_base *base, const char *body)
{
    base->enum_body = body;
    base->type = (struct gib_type){.kind = GIB_TYPE_ENUM,
                                   .size = 4,
                                   .align = 4,
                                   .is_signed = true, /* an unknown enumeration: as an int */
                                   .eightbyte = {C_INT, C_NONE},
                                   .known_layout = true};
    if (body)
        gib_enum_layout(body, &base->type);
}

static void set_record(struct gib_base *base, const char *line)
{
    base->type = (struct gib_type){.kind = GIB_TYPE_RECORD};
    base->type.known_layout = line && read_layout(line, &base->type);
    base->unknown = !base->type.known_layout;
}

/* `struct stat`, `enum idtype`; in a data file also with a body, named or not. */
static int parse_tag(struct gib_parser *parser, enum gib_entry_kind kind, struct gib_base *base)
{
    struct gib_token word = parser->token, tag = {.kind = GIB_TOKEN_END};
    gib_parser_advance(parser);
    if (kind == GIB_ENTRY_ENUM &&
        (gib_token_is(&parser->token, "class") || gib_token_is(&parser->token, "struct")))
        gib_parser_advance(parser); /* C++: enum class */
    int code = gib_parser_skip_noise(parser);
    if (code)
        return code;
    if (parser->token.kind == GIB_TOKEN_NAME && !gib_is_keyword(&parser->token)) {
        tag = parser->token;
        gib_parser_advance(parser);
    } else if (!parser->data || !gib_token_mark(&parser->token, '{')) {
        return gib_parser_expected(parser, "the name of the struct, union or enum");
    }
    set_words(base, &word, tag.kind == GIB_TOKEN_NAME ? &tag : NULL);
    const char *body = NULL, *line = parser->lexer.start;
    if (parser->data && gib_token_mark(&parser->token, '{')) {
        body = parser->lexer.at;
        if ((code = gib_parser_skip_group(parser)))
            return code;
    } else {
        line = gib_store_line(parser->store, kind, tag.text, tag.length);
        body = line ? strchr(line, '{') : NULL;
        body = body ? body + 1 : NULL;
    }
    if (kind == GIB_ENTRY_ENUM)
        set_enum(base, body);
    else
        set_record(base, line);
    return 0;
}

static void set_unknown_name(struct gib_base *base)
{
    base->type = (struct gib_type){.kind = GIB_TYPE_RECORD};
    base->unknown = true;
}

static void set_va_list(struct gib_base *base)
{
    set_unknown_name(base);
    base->derived.items[0] = (struct gib_derivation){.kind = GIB_DERIVED_ARRAY};
    base->derived.count = 1;
}

/* Does the line's comment have this word? `bytes`: its characters are numbers; `octal`. */
static bool says(const char *line, const char *word)
{
    const char *note = strstr(line, "//");
    return note && strstr(note, word);
}

static int resolve_typedef(struct gib_parser *parser, const char *line, struct gib_base *base)
{
    struct gib_parser inner;
    gib_parser_begin(&inner, parser->store, line, NULL);
    inner.data = true;
    inner.nesting = parser->nesting + 1;
    gib_parser_advance(&inner); /* the word typedef */
    struct gib_declarator declarator = {.want_parameters = false};
    int code = inner.nesting > GIB_NESTING_MAX ? GIB_E_SYNTAX : 0;
    if (!code)
        code = gib_parse_specifiers(&inner, base);
    if (!code)
        code = gib_parse_declarator(&inner, &declarator);
    if (!code && declarator.derived.count + base->derived.count > GIB_DERIVATIONS_MAX)
        code = GIB_E_SYNTAX;
    if (code)
        return gib_parser_fail(
            parser, code == GIB_E_MEMORY ? code : GIB_E_SYNTAX, parser->token.column,
            "the data files declare the type '%.*s' in a way that cannot be read",
            (int)(parser->token.length < 80 ? parser->token.length : 80), parser->token.text);
    struct gib_derivations all = declarator.derived;
    memcpy(all.items + all.count, base->derived.items, base->derived.count * sizeof *all.items);
    all.count += base->derived.count;
    base->derived = all;
    base->bytes = base->bytes || says(line, "bytes");
    base->octal = base->octal || says(line, "octal");
    return 0;
}

static int parse_type_name(struct gib_parser *parser, struct gib_base *base)
{
    struct gib_token name = parser->token;
    const char *line = gib_store_line(parser->store, GIB_ENTRY_TYPEDEF, name.text, name.length);
    size_t column = name.column;
    base->column = column;
    int code = 0;
    if (gib_token_is(&name, "__builtin_va_list"))
        set_va_list(base);
    else if (line)
        code = resolve_typedef(parser, line, base);
    else
        set_unknown_name(base);
    base->column = column;
    set_words(base, &name, NULL);
    gib_parser_advance(parser);
    return code;
}

static unsigned normalised(unsigned bits)
{
    if (bits & ~(unsigned)W_INTEGERS)
        return bits;
    unsigned others = bits & (W_SHORT | W_LONG | W_LONG_LONG | W_UNSIGNED | W_INT128);
    if (bits & W_SIGNED && bits & W_UNSIGNED)
        return bits;
    if (bits & W_INT128 && bits & W_INT)
        return bits;
    return others ? others : W_INT;
}

static int set_arithmetic(struct gib_parser *parser, unsigned bits, struct gib_base *base)
{
    bits = normalised(bits);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].bits != bits)
            continue;
        uint32_t align = types[i].kind == GIB_TYPE_COMPLEX ? types[i].size / 2 : types[i].size;
        base->type = (struct gib_type){.kind = types[i].kind,
                                       .size = types[i].size,
                                       .align = align,
                                       .is_signed = types[i].is_signed,
                                       .eightbyte = {types[i].eightbyte[0], types[i].eightbyte[1]},
                                       .known_layout = true};
        base->numeric = (bits & W_CHAR) && bits != W_CHAR;
        if (types[i].name) {
            base->words[0] = types[i].name;
            base->word_length[0] = strlen(types[i].name);
        }
        return 0;
    }
    return gib_parser_fail(parser, GIB_E_SYNTAX, base->column,
                           "these words do not make one type together");
}

/* Adds one arithmetic word; `long` may come twice. */
static int add_word(struct gib_parser *parser, unsigned bit, unsigned *bits)
{
    if (bit == W_LONG && *bits & W_LONG)
        *bits = (*bits & ~(unsigned)W_LONG) | W_LONG_LONG;
    else if (*bits & bit || (bit == W_LONG && *bits & W_LONG_LONG))
        return gib_parser_expected(parser, "each word of a type once");
    else
        *bits |= bit;
    gib_parser_advance(parser);
    return 0;
}

/* C++11 attributes, [[nodiscard]]; a declarator never starts so. */
static int skip_cxx_attributes(struct gib_parser *parser)
{
    int code = 0;
    while (!code && gib_token_mark(&parser->token, '['))
        code = gib_parser_skip_group(parser);
    return code;
}

int gib_parse_specifiers(struct gib_parser *parser, struct gib_base *base)
{
    *base = (struct gib_base){.column = 0};
    unsigned bits = 0;
    bool named = false; /* a tag or a type's name was there */
    int code = skip_cxx_attributes(parser);
    while (!code && !(code = gib_parser_skip_noise(parser))) {
        struct gib_token token = parser->token;
        unsigned bit = word_bit(&token);
        enum gib_entry_kind kind;
        bool is_const;
        if (is_qualifier(&token, &is_const)) {
            *(is_const ? &base->is_const : &base->is_volatile) = true;
            gib_parser_advance(parser);
        } else if (bit && !named) {
            if (!bits) {
                base->column = token.column;
                set_words(base, &token, NULL);
            }
            code = add_word(parser, bit, &bits);
        } else if (token.kind == GIB_TOKEN_NAME && !bits && !named) {
            /* The typedef's own qualifiers are not spelled where its name is. */
            bool was_const = base->is_const, was_volatile = base->is_volatile;
            code = record_word(&token, &kind) ? parse_tag(parser, kind, base)
                                              : parse_type_name(parser, base);
            base->is_const = was_const;
            base->is_volatile = was_volatile;
            base->column = token.column;
            named = true;
        } else {
            break;
        }
    }
    if (code)
        return code;
    if (!bits && !named)
        return gib_parser_expected(parser, "a type");
    return bits ? set_arithmetic(parser, bits, base) : 0;
}
