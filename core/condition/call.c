/* call.c: what a condition sees of a call: arguments, result, and who made it. */
#include <stdlib.h>
#include <string.h>
#include "condition/typed.h"

bool gib_check_own_file(const struct gib_checker *c, struct gib_condition_file *file)
{
    return c->scope->file && c->scope->file(c->scope->context, 0, file) && file->elf;
}

const char *gib_check_function(const struct gib_checker *c)
{
    const struct gib_prototype *prototype = c->scope->prototype;
    const char *name = c->scope->name                 ? c->scope->name
                       : prototype && prototype->name ? prototype->name
                                                      : "the function";
    return gib_check_short(c, name);
}

/* The type that debug information has, if it is what the prototype says. */
static const struct gib_ctype *debug_type(struct gib_checker *c, const struct gib_type *type,
                                          bool found, const struct gib_debug_type *debug)
{
    char *spelling = found ? gib_debug_spell(debug) : NULL;
    bool same = spelling && type->name && !strcmp(spelling, type->name);
    free(spelling);
    return same ? gib_ctype_debug(c, debug) : gib_ctype_prototype(c, type);
}

static const struct gib_ctype *parameter_type(struct gib_checker *c, size_t index)
{
    struct gib_condition_file file;
    struct gib_debug_type debug;
    if (!c->parameter_type[index]) {
        bool found = gib_check_own_file(c, &file) &&
                     gib_elf_parameter_type(file.elf, c->scope->entry - file.bias, index, &debug);
        c->parameter_type[index] =
            debug_type(c, &c->scope->prototype->parameters[index].type, found, &debug);
    }
    return c->parameter_type[index];
}

static const struct gib_node *word(struct gib_checker *c, uint8_t source)
{
    return gib_node_add(c, &gib_ctype_unsigned_long,
                        (struct gib_node){.operation = GIB_OP_WORD, .number = source});
}

static const struct gib_node *field(struct gib_checker *c, const struct gib_ctype *type,
                                    size_t offset)
{
    return gib_node_add(c, type, (struct gib_node){.operation = GIB_OP_FIELD, .number = offset});
}

#define CALL(member) offsetof(struct gib_condition_call, member)

/* A value of `type` whose words these are; its address, when it is passed by one. */
static struct gib_operand place_of(struct gib_checker *c, const struct gib_syntax *syntax,
                                   const struct gib_ctype *type, bool by_address,
                                   const struct gib_node *first, const struct gib_node *second)
{
    struct gib_operand out = {.syntax = syntax};
    if (!type || !first)
        return out;
    if (by_address)
        return gib_check_at(c, syntax, first, type);
    if (type->kind == GIB_CTYPE_REFERENCE)
        return gib_check_at(c, syntax, first, gib_ctype_target(c, type));
    if (type->size > (second ? 16u : 8u) || (type->kind != GIB_CTYPE_RECORD && !type->size))
        return gib_check_fail(c, GIB_E_UNSUPPORTED, syntax,
                              "\"%s\" is of type %s, which is not in the words that are kept "
                              "of a call.",
                              gib_check_shown(c, syntax), gib_check_short(c, type->name));
    out.type = type;
    out.place = GIB_PLACE_WORDS;
    out.word[0] = first;
    out.word[1] = second;
    out.extent = type->size;
    return out;
}

/* The address of a stack argument. */
static const struct gib_node *stack_argument(struct gib_checker *c, uint64_t eightbyte)
{
    const struct gib_ctype *type = &gib_ctype_unsigned_long;
    return gib_node_make(c, GIB_OP_ADD, type, field(c, type, CALL(stack)),
                         gib_node_number(c, type, 8 * eightbyte));
}

static struct gib_operand parameter(struct gib_checker *c, const struct gib_syntax *syntax,
                                    size_t index)
{
    const struct gib_convention *convention = c->scope->convention;
    const struct gib_type *type = &c->scope->prototype->parameters[index].type;
    uint8_t count = index < convention->parameters ? convention->parameter[index].count : 0;
    uint16_t stack = index < convention->parameters ? convention->parameter[index].stack : 0;
    if (stack && !type->indirect && index < GIB_MAX_PARAMETERS &&
        (type->kind == GIB_TYPE_RECORD || !count || count > 2))
        return gib_check_at(c, syntax, stack_argument(c, stack - 1u), parameter_type(c, index));
    if (!count || index >= GIB_MAX_PARAMETERS || count > 2)
        return gib_check_fail(c, GIB_E_UNSUPPORTED, syntax,
                              "\"%s\" of %s is not in a place that Gibbon can read: it is "
                              "passed in another way than usual.",
                              gib_check_shown(c, syntax), gib_check_function(c));
    const uint8_t *source = convention->source + convention->parameter[index].first;
    const struct gib_node *second = count == 2 ? word(c, source[1]) : NULL;
    if (count == 2 && !second)
        return (struct gib_operand){.type = NULL};
    return place_of(c, syntax, parameter_type(c, index), type->indirect, word(c, source[0]),
                    second);
}

static struct gib_operand value(struct gib_checker *c, const struct gib_syntax *syntax,
                                const struct gib_ctype *type, const struct gib_node *node)
{
    return (struct gib_operand){
        .type = node ? type : NULL, .syntax = syntax, .place = GIB_PLACE_VALUE, .value = node};
}

/* Argument `index` behind the named ones, or of a function of which nothing is known: a word, as if
 * none was a floating number. */
static struct gib_operand word_argument(struct gib_checker *c, const struct gib_syntax *syntax,
                                        size_t index, const struct gib_ctype *type)
{
    const struct gib_prototype *prototype = c->scope->prototype;
    bool known = prototype && !prototype->unspecified;
    size_t named = known ? prototype->parameter_count : 0;
    size_t first = known ? c->scope->convention->named_gpr : 0, extra = index - named;
    if (index > 100 || extra >= 6 - (first < 6 ? first : 6))
        return gib_check_fail(c, GIB_E_UNSUPPORTED, syntax,
                              "where \"%s\" of %s is cannot be known without its prototype; "
                              "-prototype tells it.",
                              gib_check_shown(c, syntax), gib_check_function(c));
    return value(c, syntax, type,
                 gib_node_convert(c, word(c, (uint8_t)(GIB_SOURCE_GPR + first + extra)), type));
}

/* The place of `name` in "pathname,flags,mode"; SIZE_MAX: it is not there. */
static size_t index_in(const char *names, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; names && *names; i++) {
        size_t size = strcspn(names, ",");
        if (size == length && !memcmp(names, name, size))
            return i;
        names += size + (names[size] == ',');
    }
    return SIZE_MAX;
}

/* A name of the shipped prototype, when that is of the same arguments; SIZE_MAX: it has none. */
static size_t shipped_index(const struct gib_checker *c, const char *name)
{
    const struct gib_prototype *prototype = c->scope->prototype, *shipped = c->scope->manual;
    if (!shipped || !prototype || shipped->parameter_count != prototype->parameter_count)
        return SIZE_MAX;
    for (size_t i = 0; i < shipped->parameter_count; i++)
        if (shipped->parameters[i].name && !strcmp(shipped->parameters[i].name, name))
            return i;
    return index_in(shipped->manual, name);
}

struct gib_operand gib_check_parameter(struct gib_checker *c, const struct gib_syntax *syntax,
                                       const char *name)
{
    const struct gib_prototype *prototype = c->scope->prototype;
    const char *plain = name + strspn(name, "_"); /* a prototype's names have no underscores */
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; prototype && i < prototype->parameter_count; i++) {
            const char *own = prototype->parameters[i].name;
            if (own && !strcmp(own, turn ? plain : name))
                return parameter(c, syntax, i);
        }
    }
    size_t index = shipped_index(c, plain);
    if (index < SIZE_MAX && index < prototype->parameter_count)
        return parameter(c, syntax, index);
    /* The one behind open's flags. */
    if (index < SIZE_MAX && c->scope->manual->variadic == GIB_VARIADIC_OPEN)
        return word_argument(c, syntax, index, &gib_ctype_unsigned);
    return (struct gib_operand){.type = NULL};
}

static struct gib_operand numbered(struct gib_checker *c, const struct gib_syntax *syntax)
{
    const struct gib_prototype *prototype = c->scope->prototype;
    size_t index = strtoul(syntax->name + 3, NULL, 10) - 1;
    bool known = prototype && !prototype->unspecified;
    if (known && index < prototype->parameter_count)
        return parameter(c, syntax, index);
    if (known && prototype->variadic == GIB_VARIADIC_NO)
        return gib_check_fail(
            c, GIB_E_NOT_FOUND, syntax, "%s has %zu argument%s, so there is no \"%s\".",
            gib_check_function(c), prototype->parameter_count,
            prototype->parameter_count == 1 ? "" : "s", gib_check_shown(c, syntax));
    return word_argument(c, syntax, index, &gib_ctype_long);
}

static struct gib_operand result(struct gib_checker *c, const struct gib_syntax *syntax)
{
    const struct gib_prototype *prototype = c->scope->prototype;
    const struct gib_ctype *word_type = &gib_ctype_unsigned_long;
    struct gib_condition_file file;
    struct gib_debug_type debug;
    if (!prototype)
        return value(c, syntax, &gib_ctype_long, field(c, &gib_ctype_long, CALL(rax)));
    const struct gib_type *type = &prototype->result;
    if (type->kind == GIB_TYPE_VOID)
        return gib_check_fail(c, GIB_E_SYNTAX, syntax,
                              "%s returns nothing, so there is no "
                              "$ret.",
                              gib_check_function(c));
    if (type->eightbyte[0] == GIB_CLASS_X87 || type->kind == GIB_TYPE_VECTOR)
        return gib_check_fail(
            c, GIB_E_UNSUPPORTED, syntax, "%s returns a %s, which conditions do not compute with.",
            gib_check_function(c), gib_check_short(c, type->name ? type->name : "vector"));
    bool found = gib_check_own_file(c, &file) &&
                 gib_elf_result_type(file.elf, c->scope->entry - file.bias, &debug);
    const struct gib_node *words[2] = {NULL, NULL};
    static const size_t general[] = {CALL(rax), CALL(rdx)},
                        vector[] = {CALL(result_xmm[0]), CALL(result_xmm[1])};
    size_t generals = 0, vectors = 0;
    bool memory = type->indirect || type->eightbyte[0] == GIB_CLASS_MEMORY;
    for (size_t i = 0; i < 2; i++) {
        if (memory ? i == 0 : type->eightbyte[i] == GIB_CLASS_INTEGER)
            words[i] = field(c, word_type, general[generals++]);
        else if (type->eightbyte[i] == GIB_CLASS_SSE)
            words[i] = field(c, word_type, vector[vectors++]);
    }
    if (!words[0]) {
        if (type->known_layout)
            return gib_check_fail(c, GIB_E_UNSUPPORTED, syntax,
                                  "$ret of %s is not in a place that Gibbon can read.",
                                  gib_check_function(c));
        words[0] = field(c, word_type, CALL(rax));
    }
    return place_of(c, syntax, debug_type(c, type, found, &debug), memory, words[0], words[1]);
}

struct gib_operand gib_check_dollar(struct gib_checker *c, const struct gib_syntax *syntax)
{
    const char *name = syntax->name;
    if (!strncmp(name, "arg", 3))
        return numbered(c, syntax);
    if (!strcmp(name, "ret"))
        return result(c, syntax);
    if (!strcmp(name, "errno"))
        return value(c, syntax, &gib_ctype_int, field(c, &gib_ctype_int, CALL(error)));
    if (!strcmp(name, "tid"))
        return value(c, syntax, &gib_ctype_int, field(c, &gib_ctype_int, CALL(tid)));
    if (!strcmp(name, "calls"))
        return value(c, syntax, &gib_ctype_unsigned_long,
                     field(c, &gib_ctype_unsigned_long, CALL(calls)));
    struct gib_operand caller = value(c, syntax, &gib_ctype_unsigned_long,
                                      field(c, &gib_ctype_unsigned_long, CALL(caller)));
    caller.is_caller = true;
    return caller;
}
