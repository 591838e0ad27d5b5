/* parse_cast.c: the casts of C++: static_cast<T>(a) and its like, int(a), and what only looks like
 * one: a call. */
#include <string.h>
#include "condition/parser.h"
#include "symbols/distance.h"

static void *refuse_call(struct gib_condition_parser *p, const char *name, size_t at)
{
    char shown[GIB_SHORT_NAME];
    p->failed = true;
    return gib_condition_fail(p->error, GIB_E_UNSUPPORTED, at,
                              "%s(...): a condition calls no function of the program; of "
                              "texts there are $streq, $strstr and $startswith.",
                              gib_name_shorten(name, shown));
}

/* What a cast of C++ is applied to, `(a)`. */
static const struct gib_syntax *parse_cast_operand(struct gib_condition_parser *p,
                                                   struct gib_syntax node)
{
    if (!gib_condition_at(p, '('))
        return gib_condition_expected(p, "'('");
    node.kind = GIB_SYNTAX_CAST;
    node.a = gib_condition_inner(p);
    if (node.mark == GIB_CAST_FUNCTIONAL && node.type->name && gib_condition_at(p, ','))
        return refuse_call(p, node.type->name, node.at);
    node.end = p->word.at + 1;
    if (node.a && !gib_condition_at(p, ')'))
        return gib_condition_expected(p, "')'");
    return node.a && gib_condition_advance(p) ? gib_condition_add(p, node) : NULL;
}

const struct gib_syntax *gib_condition_functional(struct gib_condition_parser *p, const char *name,
                                                  size_t at)
{
    struct gib_syntax node = {.mark = GIB_CAST_FUNCTIONAL, .at = at, .focus = at};
    struct gib_written_type *type;
    if (p->types && !p->types->is_type(p->types->context, name))
        return refuse_call(p, name, at);
    struct gib_condition_parser ahead = *p;
    gib_condition_advance(&ahead);
    if (gib_condition_at(&ahead, ')'))
        return refuse_call(p, name, at);
    type = gib_pool_take(p->pool, sizeof *type);
    if (!type) {
        p->failed = true;
        return gib_condition_memory(p->error);
    }
    *type = (struct gib_written_type){.at = at, .words = GIB_WORDS_NAME, .name = name};
    node.type = type;
    return parse_cast_operand(p, node);
}

const struct gib_syntax *gib_condition_cast(struct gib_condition_parser *p)
{
    static const struct {
        const char *name;
        enum gib_cast cast;
    } casts[] = {{"static_cast", GIB_CAST_STATIC},
                 {"reinterpret_cast", GIB_CAST_REINTERPRET},
                 {"const_cast", GIB_CAST_CONST}};
    struct gib_syntax node = {.at = p->word.at, .focus = p->word.at};
    const size_t count = sizeof casts / sizeof *casts;
    size_t i = 0;
    if (gib_condition_word_is(&p->word, p->text, "dynamic_cast"))
        return gib_condition_refuse(
            p, "dynamic_cast asks an object for its class, which a condition cannot; "
               "static_cast takes your word for it.");
    while (i < count && !gib_condition_word_is(&p->word, p->text, casts[i].name))
        i++;
    if (i < count) {
        node.mark = casts[i].cast;
        gib_condition_advance(p);
        if (!gib_condition_at(p, '<'))
            return gib_condition_expected(p, "'<' and a type");
        node.type = gib_condition_angled(p);
    } else {
        node.mark = GIB_CAST_FUNCTIONAL;
        node.type = gib_condition_builtin(p);
    }
    return node.type ? parse_cast_operand(p, node) : NULL;
}
