/* A base type and its derivations become the model: kind, size, classes and spelling. */
#include <stdlib.h>
#include <string.h>
#include "prototypes/internal.h"

/* One enumerator of a body in braces; false at its end. The body was written by generate.py, or by
 * hand. */
static bool next_enumerator(struct gib_lexer *lexer, struct gib_token *name, int64_t *value)
{
    *name = gib_lexer_next(lexer);
    if (name->kind != GIB_TOKEN_NAME)
        return false;
    struct gib_token token = gib_lexer_next(lexer);
    if (gib_token_mark(&token, '=')) {
        token = gib_lexer_next(lexer);
        bool negative = gib_token_mark(&token, '-');
        if (negative)
            token = gib_lexer_next(lexer);
        uint64_t number = token.kind == GIB_TOKEN_NUMBER ? strtoull(token.text, NULL, 0) : 0;
        *value = (int64_t)(negative ? 0 - number : number);
        token = gib_lexer_next(lexer);
    }
    if (!gib_token_mark(&token, ','))
        lexer->at = "";
    return true;
}

void gib_enum_layout(const char *body, struct gib_type *type)
{
    struct gib_lexer lexer;
    gib_lexer_begin(&lexer, body);
    struct gib_token name;
    type->is_signed = false;
    for (int64_t value = 0; next_enumerator(&lexer, &name, &value);
         value = (int64_t)((uint64_t)value + 1)) {
        if (value < 0)
            type->is_signed = true;
        if (value > (int64_t)UINT32_MAX || value < INT32_MIN)
            type->size = type->align = 8;
    }
}

static int add_enumerator(struct gib_type *type, const struct gib_token *name, int64_t value)
{
    size_t size = (type->enumerator_count + 1) * sizeof *type->enumerators;
    struct gib_enumerator *grown = realloc(type->enumerators, size);
    if (!grown)
        return GIB_E_MEMORY;
    type->enumerators = grown;
    grown[type->enumerator_count] =
        (struct gib_enumerator){.name = strndup(name->text, name->length), .value = value};
    return grown[type->enumerator_count++].name ? 0 : GIB_E_MEMORY;
}

int gib_read_enumerators(const char *body, struct gib_type *type)
{
    struct gib_lexer lexer;
    gib_lexer_begin(&lexer, body);
    struct gib_token name;
    for (int64_t value = 0; next_enumerator(&lexer, &name, &value);
         value = (int64_t)((uint64_t)value + 1))
        if (add_enumerator(type, &name, value))
            return GIB_E_MEMORY;
    return 0;
}

/* A bracketed group with its white space made single, as it is shown in a type's name. */
static void write_group(FILE *out, const struct gib_derivation *item)
{
    const char *end = item->text + item->length;
    bool space = false;
    for (const char *at = item->text; at < end; at++) {
        if (*at == ' ' || (*at >= '\t' && *at <= '\r')) {
            space = true;
            continue;
        }
        if (space && at > item->text)
            fputc(' ', out);
        space = false;
        fputc(*at, out);
    }
}

/* Declarators are spelled inside out: a pointer goes before what is nearer to the name, the rest
 * behind it, in parentheses where the pointer would otherwise bind to the result. */
static void write_prefix(FILE *out, const struct gib_derivation *items, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        if (items[i].kind == GIB_DERIVED_ARRAY || items[i].kind == GIB_DERIVED_FUNCTION)
            continue;
        if (i + 1 < count &&
            (items[i + 1].kind == GIB_DERIVED_ARRAY || items[i + 1].kind == GIB_DERIVED_FUNCTION))
            fputc('(', out);
        fputc(items[i].kind == GIB_DERIVED_POINTER ? '*' : '&', out);
        if (items[i].is_const)
            fputs("const", out);
        if (items[i].is_volatile)
            fputs(items[i].is_const ? " volatile" : "volatile", out);
        if (i && (items[i].is_const || items[i].is_volatile))
            fputc(' ', out);
    }
}

static void write_suffix(FILE *out, const struct gib_derivation *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool pointer =
            items[i].kind == GIB_DERIVED_POINTER || items[i].kind == GIB_DERIVED_REFERENCE;
        if (!pointer) {
            write_group(out, &items[i]);
        } else if (i + 1 < count && (items[i + 1].kind == GIB_DERIVED_ARRAY ||
                                     items[i + 1].kind == GIB_DERIVED_FUNCTION)) {
            fputc(')', out);
        }
    }
}

static char *spelling(const struct gib_base *base, const struct gib_derivation *items, size_t count)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "%s%s%.*s", base->is_const ? "const " : "", base->is_volatile ? "volatile " : "",
            (int)base->word_length[0], base->words[0]);
    if (base->words[1])
        fprintf(out, " %.*s", (int)base->word_length[1], base->words[1]);
    if (count > 0)
        fputc(' ', out);
    write_prefix(out, items, count);
    write_suffix(out, items, count);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* All derivations of a type: those written, then those of its typedef. The first decays when asked.
 */
static int combine(struct gib_parser *parser, const struct gib_base *base,
                   const struct gib_derivation *derived, size_t count, bool decay,
                   struct gib_derivations *all)
{
    if (count + base->derived.count > GIB_DERIVATIONS_MAX)
        return gib_parser_expected(parser, "fewer levels of pointers, arrays and functions");
    all->count = count + base->derived.count;
    if (count)
        memcpy(all->items, derived, count * sizeof *derived);
    memcpy(all->items + count, base->derived.items, base->derived.count * sizeof *derived);
    if (!decay || !all->count)
        return 0;
    if (all->items[0].kind == GIB_DERIVED_ARRAY) {
        all->items[0] = (struct gib_derivation){.kind = GIB_DERIVED_POINTER};
    } else if (all->items[0].kind == GIB_DERIVED_FUNCTION) {
        if (all->count == GIB_DERIVATIONS_MAX)
            return gib_parser_expected(parser, "fewer levels of pointers, arrays and functions");
        memmove(all->items + 1, all->items, all->count * sizeof *all->items);
        all->items[0] = (struct gib_derivation){.kind = GIB_DERIVED_POINTER};
        all->count++;
    }
    return 0;
}

static int refuse_unknown(struct gib_parser *parser, const struct gib_base *base)
{
    int length = (int)(base->word_length[0] < 60 ? base->word_length[0] : 60);
    if (base->words[1])
        return gib_parser_fail(
            parser, GIB_E_NOT_FOUND, base->column,
            "the members of '%.*s %.*s' are not known, so it cannot be passed by "
            "value here; a pointer to it, or debug information, would do",
            length, base->words[0], (int)(base->word_length[1] < 60 ? base->word_length[1] : 60),
            base->words[1]);
    return gib_parser_fail(parser, GIB_E_NOT_FOUND, base->column,
                           "the type '%.*s' is not known; write the C type it stands for, or a "
                           "pointer to it",
                           length, base->words[0]);
}

static void set_pointer(const struct gib_base *base, const struct gib_derivations *all,
                        struct gib_type *out)
{
    bool text = all->count == 1 && all->items[0].kind == GIB_DERIVED_POINTER &&
                base->type.kind == GIB_TYPE_CHAR && !base->bytes;
    *out = (struct gib_type){.kind = text ? GIB_TYPE_STRING : GIB_TYPE_POINTER,
                             .size = 8,
                             .align = 8,
                             .eightbyte = {GIB_CLASS_INTEGER, GIB_CLASS_NONE},
                             .known_layout = true};
}

int gib_type_finish(struct gib_parser *parser, const struct gib_base *base,
                    const struct gib_derivation *derived, size_t count, bool decay,
                    struct gib_type *out)
{
    struct gib_derivations all = {.count = 0};
    int code = combine(parser, base, derived, count, decay, &all);
    if (code)
        return code;
    if (all.count == 0 && base->unknown)
        return refuse_unknown(parser, base);
    if (all.count > 0 &&
        (all.items[0].kind == GIB_DERIVED_ARRAY || all.items[0].kind == GIB_DERIVED_FUNCTION))
        return gib_parser_fail(
            parser, GIB_E_SYNTAX, base->column,
            "a function returns no array and no function, only a pointer to one");
    if (all.count > 0) {
        set_pointer(base, &all, out);
    } else {
        *out = base->type;
        /* Only plain `char` is a character; the others hold numbers. */
        if (out->kind == GIB_TYPE_CHAR && (base->bytes || base->numeric))
            out->kind = GIB_TYPE_INT;
        if (out->kind == GIB_TYPE_INT && base->octal)
            out->notation = GIB_NOTATION_OCTAL;
    }
    /* An array is spelled as the pointer it becomes, but a typedef of one by its name. */
    size_t from_typedef = base->derived.count;
    size_t spelled = count ? all.count - from_typedef : 0;
    out->name = spelling(base, all.items, spelled);
    if (!out->name)
        return gib_parser_memory(parser);
    if (out->kind == GIB_TYPE_ENUM && base->enum_body &&
        gib_read_enumerators(base->enum_body, out)) {
        gib_type_release(out);
        return gib_parser_memory(parser);
    }
    return 0;
}

void gib_type_release(struct gib_type *type)
{
    for (size_t i = 0; i < type->enumerator_count; i++)
        free(type->enumerators[i].name);
    free(type->enumerators);
    for (size_t i = 0; i < type->member_count; i++) {
        free(type->members[i].name);
        gib_type_release(&type->members[i].type);
    }
    free(type->members);
    free(type->name);
    type->members = NULL;
    type->member_count = 0;
    type->enumerators = NULL;
    type->enumerator_count = 0;
    type->name = NULL;
}
