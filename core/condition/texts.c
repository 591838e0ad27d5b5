/* texts.c: comparisons of texts, and of $caller with functions. */
#include <string.h>
#include "condition/typed.h"

static const struct gib_operand failed;

/* False and *error filled: it is no text. `asked`: by name, as by $streq, so that a void * is one.
 */
static bool source_of(struct gib_checker *c, const struct gib_operand *operand, bool asked,
                      struct gib_text_source *out)
{
    const struct gib_ctype *type = operand->type;
    struct gib_operand pointer = *operand;
    *out = (struct gib_text_source){.size = UINT64_MAX};
    if (operand->place == GIB_PLACE_TEXT) {
        out->literal = operand->syntax->word.bytes;
        out->size = operand->syntax->word.value;
        return true;
    }
    bool is_array = type->kind == GIB_CTYPE_ARRAY;
    const struct gib_ctype *target =
        is_array || type->kind == GIB_CTYPE_POINTER ? gib_ctype_target(c, type) : NULL;
    bool untyped = asked && target && target->kind == GIB_CTYPE_VOID;
    if (!target || (!target->is_char && !untyped)) {
        gib_check_fail(c, GIB_E_SYNTAX, operand->syntax,
                       target ? "\"%s\" is of type %s, no text; a cast to char * may make it one."
                       : type->kind == GIB_CTYPE_RECORD
                           ? "\"%s\" is of type %s, no text; a member of it may be one (of "
                             "std::string, ._M_dataplus._M_p)."
                           : "\"%s\" is of type %s, no text.",
                       gib_check_shown(c, operand->syntax), gib_check_short(c, type->name));
        return false;
    }
    if (is_array && operand->place == GIB_PLACE_WORDS) {
        out->word[0] = operand->word[0];
        out->word[1] = operand->word[1];
        out->offset = operand->offset;
        out->size = type->size;
        return true;
    }
    if (is_array && type->size) /* else a flexible one, which ends with its NUL */
        out->size = type->size;
    out->address = gib_check_value(c, &pointer);
    return out->address;
}

static struct gib_operand compare(struct gib_checker *c, const struct gib_syntax *syntax,
                                  enum gib_text_operation operation, bool asked,
                                  const struct gib_operand *a, const struct gib_operand *b)
{
    struct gib_text_source *two = gib_pool_take(c->pool, 2 * sizeof *two);
    if (!two) {
        gib_condition_memory(c->error);
        return failed;
    }
    if (!source_of(c, a, asked, &two[0]) || !source_of(c, b, asked, &two[1]))
        return failed;
    struct gib_node node = {.operation = GIB_OP_TEXT, .number = operation, .text = two};
    for (size_t i = 0; i < 2; i++) {
        const struct gib_node *inner = two[i].address ? two[i].address : two[i].word[0];
        if (inner && inner->height >= node.height)
            node.height = inner->height + 1;
    }
    const struct gib_node *made = gib_node_add(c, &gib_ctype_int, node);
    return (struct gib_operand){.type = made ? &gib_ctype_int : NULL,
                                .syntax = syntax,
                                .place = GIB_PLACE_VALUE,
                                .value = made};
}

static void negate(struct gib_checker *c, struct gib_operand *out)
{
    if (!out->type)
        return;
    out->value = gib_node_make(c, GIB_OP_NOT, &gib_ctype_int, out->value, NULL);
    out->type = out->value ? out->type : NULL;
}

bool gib_check_text_equal(struct gib_checker *c, const struct gib_syntax *syntax,
                          const struct gib_operand *a, const struct gib_operand *b,
                          struct gib_operand *out)
{
    if (a->place != GIB_PLACE_TEXT && b->place != GIB_PLACE_TEXT)
        return false;
    *out = compare(c, syntax, GIB_TEXT_EQUAL, false, a, b);
    if (syntax->mark == MARK2('!', '='))
        negate(c, out);
    return true;
}

struct gib_operand gib_check_call(struct gib_checker *c, const struct gib_syntax *syntax)
{
    enum gib_text_operation operation = !strcmp(syntax->name, "streq")    ? GIB_TEXT_EQUAL
                                        : !strcmp(syntax->name, "strstr") ? GIB_TEXT_CONTAINS
                                                                          : GIB_TEXT_STARTS;
    struct gib_operand a = gib_check(c, syntax->a), b = a.type ? gib_check(c, syntax->b) : a;
    if (!a.type || !b.type)
        return failed;
    return compare(c, syntax, operation, true, &a, &b);
}

static bool is_caller(const struct gib_syntax *syntax)
{
    return syntax->kind == GIB_SYNTAX_DOLLAR && !strcmp(syntax->name, "caller");
}

bool gib_check_caller_equal(struct gib_checker *c, const struct gib_syntax *syntax,
                            struct gib_operand *out)
{
    enum { MOST = 64 };
    const struct gib_syntax *other = is_caller(syntax->a) ? syntax->b : syntax->a;
    if (!is_caller(syntax->a) && !is_caller(syntax->b))
        return false;
    bool is_text = other->kind == GIB_SYNTAX_TEXT;
    if (!is_text && other->kind != GIB_SYNTAX_NAME)
        return false;
    const char *name = is_text ? other->word.bytes : other->name;
    struct gib_range *range = gib_pool_take(c->pool, MOST * sizeof *range);
    if (!range) {
        gib_condition_memory(c->error);
        *out = failed;
        return true;
    }
    size_t count =
        c->scope->function ? c->scope->function(c->scope->context, name, range, MOST) : 0;
    if (!count && !is_text) {
        /* A variable that holds an address, then. */
        struct gib_operand variable = gib_check_name(c, other);
        if (variable.type)
            return false;
    }
    if (!count) {
        *out = gib_check_fail(c, GIB_E_WAITING, other, "no loaded module has a function \"%s\".",
                              gib_check_short(c, name));
        return true;
    }
    if (count > MOST) {
        *out = gib_check_fail(c, GIB_E_AMBIGUOUS, other, "\"%s\" is more than 64 functions.",
                              gib_check_short(c, name));
        return true;
    }
    const struct gib_node *node =
        gib_node_add(c, &gib_ctype_int,
                     (struct gib_node){.operation = GIB_OP_INSIDE, .range = range, .count = count});
    *out = (struct gib_operand){.type = node ? &gib_ctype_int : NULL,
                                .syntax = syntax,
                                .place = GIB_PLACE_VALUE,
                                .value = node};
    if (syntax->mark == MARK2('!', '='))
        negate(c, out);
    return true;
}
