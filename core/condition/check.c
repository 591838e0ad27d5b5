/* check.c: from the tree of a text to a tree with types. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "condition/typed.h"
#include "symbols/distance.h"

struct gib_operand gib_check_fail(struct gib_checker *c, int code, const struct gib_syntax *syntax,
                                  const char *format, ...)
{
    char sentence[GIB_ERROR_MESSAGE];
    va_list list;
    va_start(list, format);
    vsnprintf(sentence, sizeof sentence, format, list);
    va_end(list);
    gib_condition_fail(c->error, code, syntax->focus ? syntax->focus : syntax->at, "%s", sentence);
    return (struct gib_operand){.type = NULL, .syntax = syntax};
}

const char *gib_check_short(const struct gib_checker *c, const char *name)
{
    char *shown = gib_pool_take(c->pool, GIB_SHORT_NAME);
    return shown ? gib_name_shorten(name, shown) : "...";
}

const char *gib_check_shown(const struct gib_checker *c, const struct gib_syntax *syntax)
{
    char *shown = gib_pool_take(c->pool, GIB_SHORT_NAME);
    return shown ? gib_text_shorten(c->text + syntax->at, syntax->end - syntax->at, shown) : "...";
}

static const struct gib_node *no_value(struct gib_checker *c, const struct gib_operand *operand,
                                       const char *why)
{
    gib_check_fail(c, GIB_E_SYNTAX, operand->syntax, "\"%s\" is %s%s%s",
                   gib_check_shown(c, operand->syntax), operand->type ? "of type " : "",
                   gib_check_short(c, operand->type ? operand->type->name : ""), why);
    return NULL;
}

const struct gib_node *gib_check_value(struct gib_checker *c, struct gib_operand *operand)
{
    const struct gib_ctype *type = operand->type;
    if (!type)
        return NULL;
    switch (operand->place) {
    case GIB_PLACE_VALUE:
    case GIB_PLACE_FUNCTION:
        break;
    case GIB_PLACE_TEXT:
        gib_check_fail(c, GIB_E_SYNTAX, operand->syntax,
                       "a text stands beside == or != with a char pointer or a char array, or in "
                       "$streq, $strstr, $startswith.");
        return NULL;
    case GIB_PLACE_ADDRESS:
        gib_check_fail(c, GIB_E_SYNTAX, operand->syntax,
                       "\"%s\" has no address: it is in a register.",
                       gib_check_shown(c, operand->syntax->a));
        return NULL;
    case GIB_PLACE_VOID:
        return no_value(c, operand, ", which has no value.");
    case GIB_PLACE_MEMORY:
        if (type->kind == GIB_CTYPE_ARRAY) {
            operand->type = gib_ctype_pointer(c, gib_ctype_target(c, type));
            break;
        }
        /* fall through */
    case GIB_PLACE_WORDS:
        if (type->kind == GIB_CTYPE_RECORD)
            return no_value(c, operand, "; a condition computes with its members.");
        if (type->kind == GIB_CTYPE_ARRAY)
            return no_value(c, operand, " in registers; a condition computes with its elements.");
        if (!gib_ctype_is_scalar(type))
            return no_value(c, operand, ", with which conditions do not compute.");
        operand->value = gib_check_load(c, operand);
        break;
    }
    operand->place = GIB_PLACE_VALUE;
    return operand->value;
}

static struct gib_operand constant(struct gib_checker *c, const struct gib_syntax *syntax)
{
    const struct gib_word *word = &syntax->word;
    struct gib_operand out = {.syntax = syntax, .place = GIB_PLACE_VALUE};
    const struct gib_ctype *type;
    if (syntax->kind == GIB_SYNTAX_REAL) {
        type = word->type_size == 4 ? &gib_ctype_float : &gib_ctype_double;
        out.value = gib_node_real(c, type, word->real);
    } else {
        if (word->type_size == 4)
            type = word->is_signed ? &gib_ctype_int : &gib_ctype_unsigned;
        else
            type = word->is_signed ? &gib_ctype_long : &gib_ctype_unsigned_long;
        out.value = gib_node_number(c, type, word->value);
        out.is_null = !word->value;
    }
    out.type = out.value ? type : NULL;
    return out;
}

static struct gib_operand text(struct gib_checker *c, const struct gib_syntax *syntax)
{
    struct gib_ctype *type = gib_pool_take(c->pool, sizeof *type);
    if (!type) {
        gib_condition_memory(c->error);
        return (struct gib_operand){.type = NULL};
    }
    *type = (struct gib_ctype){.kind = GIB_CTYPE_ARRAY,
                               .size = syntax->word.value + 1,
                               .name = "a text",
                               .target = &gib_ctype_char};
    return (struct gib_operand){.type = type, .syntax = syntax, .place = GIB_PLACE_TEXT};
}

static struct gib_operand size_of(struct gib_checker *c, const struct gib_syntax *syntax)
{
    const struct gib_ctype *type;
    struct gib_operand operand = {.type = NULL};
    if (syntax->type) {
        type = gib_ctype_written(c, syntax->type);
    } else {
        operand = gib_check(c, syntax->a);
        type = operand.type;
        if (operand.is_bits)
            return gib_check_fail(c, GIB_E_SYNTAX, syntax, "a bit-field has no size in bytes.");
    }
    type = type ? gib_ctype_complete(c, type) : NULL;
    if (!type)
        return (struct gib_operand){.type = NULL};
    uint64_t size =
        type->kind == GIB_CTYPE_VOID || type->kind == GIB_CTYPE_FUNCTION ? 1 : type->size;
    if (!size && type->kind == GIB_CTYPE_RECORD && !type->has_debug)
        return gib_check_fail(c, GIB_E_NOT_FOUND, syntax,
                              "the size of %s is not known: no loaded module has debug "
                              "information of it.",
                              gib_check_short(c, type->name));
    const struct gib_node *node = gib_node_number(c, &gib_ctype_unsigned_long, size);
    return (struct gib_operand){.type = node ? &gib_ctype_unsigned_long : NULL,
                                .syntax = syntax,
                                .place = GIB_PLACE_VALUE,
                                .value = node};
}

struct gib_operand gib_check(struct gib_checker *c, const struct gib_syntax *syntax)
{
    switch (syntax->kind) {
    case GIB_SYNTAX_INTEGER:
    case GIB_SYNTAX_REAL:
        return constant(c, syntax);
    case GIB_SYNTAX_TEXT:
        return text(c, syntax);
    case GIB_SYNTAX_NAME:
        return gib_check_name(c, syntax);
    case GIB_SYNTAX_DOLLAR:
        return gib_check_dollar(c, syntax);
    case GIB_SYNTAX_UNARY:
        return gib_check_unary(c, syntax);
    case GIB_SYNTAX_BINARY:
        return gib_check_binary(c, syntax);
    case GIB_SYNTAX_CHOICE:
        return gib_check_choice(c, syntax);
    case GIB_SYNTAX_MEMBER:
        return gib_check_member(c, syntax);
    case GIB_SYNTAX_CAST:
        return gib_check_cast(c, syntax);
    case GIB_SYNTAX_SIZE:
        return size_of(c, syntax);
    case GIB_SYNTAX_CALL:
        return gib_check_call(c, syntax);
    }
    return (struct gib_operand){.type = NULL};
}

/* What the tree that is left after folding asks for. */
static unsigned uses_of(const struct gib_node *node)
{
    if (!node)
        return 0;
    unsigned uses = uses_of(node->a) | uses_of(node->b) | uses_of(node->c);
    if (node->operation == GIB_OP_LOAD)
        uses |= GIB_CONDITION_MEMORY;
    if (node->operation == GIB_OP_WORD && node->number >= GIB_SOURCE_XMM &&
        node->number < GIB_SOURCE_STACK)
        uses |= GIB_CONDITION_XMM;
    if (node->operation == GIB_OP_TEXT) {
        uses |= GIB_CONDITION_MEMORY;
        for (size_t i = 0; i < 2; i++)
            uses |= uses_of(node->text[i].address) | uses_of(node->text[i].word[0]) |
                    uses_of(node->text[i].word[1]);
    }
    return uses;
}

static bool is_type(void *context, const char *name)
{
    struct gib_checker *c = context;
    struct gib_syntax here = {.kind = GIB_SYNTAX_NAME, .name = name};
    struct gib_error ignored = {.code = 0}, *error = c->error;
    c->error = &ignored;
    bool is =
        !gib_check_parameter(c, &here, name).type && !ignored.code && gib_find_type(c, name, 0);
    c->error = error;
    return is;
}

static const struct gib_node *check_whole(struct gib_checker *c, unsigned *uses)
{
    struct gib_type_names types = {c, is_type};
    gib_names_open(c);
    const struct gib_syntax *tree = gib_condition_tree(c->text, c->pool, &types, uses, c->error);
    if (!tree)
        return NULL;
    struct gib_operand whole = gib_check(c, tree);
    return gib_check_value(c, &whole);
}

int gib_condition_check(const struct gib_condition_text *text,
                        const struct gib_condition_scope *scope, struct gib_condition **out,
                        struct gib_error *error)
{
    struct gib_error own;
    error = error ? error : &own;
    error->code = 0;
    struct gib_condition *made = calloc(1, sizeof *made);
    if (!made) {
        gib_condition_memory(error);
        return error->code;
    }
    struct gib_checker c = {
        .scope = scope, .text = text->text, .pool = &made->pool, .error = error};
    made->root = check_whole(&c, &made->uses);
    if (!made->root) {
        gib_condition_free(made);
        if (!error->code)
            gib_condition_memory(error);
        return error->code;
    }
    made->uses |= uses_of(made->root);
    *out = made;
    return 0;
}

void gib_condition_free(struct gib_condition *condition)
{
    if (!condition)
        return;
    struct gib_pool pool = condition->pool; /* the nodes, not the condition itself */
    gib_pool_free(&pool);
    free(condition);
}

unsigned gib_condition_uses(const struct gib_condition *condition)
{
    return condition->uses;
}
