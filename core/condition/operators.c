/* operators.c: C11 6.5.2.1 and 6.5.3 to 6.5.15: what operators take, and what comes of it. */
#include <string.h>
#include "condition/typed.h"

static struct gib_operand value(const struct gib_syntax *syntax, const struct gib_ctype *type,
                                const struct gib_node *node)
{
    return (struct gib_operand){
        .type = node ? type : NULL, .syntax = syntax, .place = GIB_PLACE_VALUE, .value = node};
}

static const struct gib_operand failed;

/* C11 6.3.1.1: an integer narrower than int is one. */
static bool promote(struct gib_checker *c, struct gib_operand *a)
{
    const struct gib_ctype *type = a->type;
    if (!gib_ctype_is_integer(type))
        return true;
    bool narrow_bits = a->is_bits && a->width < 32 + (unsigned)type->is_signed;
    if (type->kind == GIB_CTYPE_BOOL || type->size < 4 || narrow_bits) {
        a->value = gib_node_convert(c, a->value, &gib_ctype_int);
        a->type = &gib_ctype_int;
    }
    a->is_bits = false;
    return a->value;
}

/* C11 6.3.1.8: the type of a result; both are promoted. */
static const struct gib_ctype *common_type(const struct gib_ctype *a, const struct gib_ctype *b)
{
    if (a->kind == GIB_CTYPE_REAL || b->kind == GIB_CTYPE_REAL) {
        bool wide = (a->kind == GIB_CTYPE_REAL && a->size == 8) ||
                    (b->kind == GIB_CTYPE_REAL && b->size == 8);
        return wide ? &gib_ctype_double : &gib_ctype_float;
    }
    const struct gib_ctype *wider = a->size > b->size ? a : b;
    bool is_signed = a->size == b->size ? a->is_signed && b->is_signed : wider->is_signed;
    if (wider->size == 8)
        return is_signed ? &gib_ctype_long : &gib_ctype_unsigned_long;
    return is_signed ? &gib_ctype_int : &gib_ctype_unsigned;
}

static bool balance(struct gib_checker *c, struct gib_operand *a, struct gib_operand *b)
{
    if (!promote(c, a) || !promote(c, b))
        return false;
    const struct gib_ctype *type = common_type(a->type, b->type);
    a->value = gib_node_convert(c, a->value, type);
    b->value = gib_node_convert(c, b->value, type);
    a->type = b->type = type;
    return a->value && b->value;
}

static struct gib_operand no_fit(struct gib_checker *c, const struct gib_syntax *syntax,
                                 const struct gib_operand *a, const struct gib_operand *b)
{
    char sign[4] = {(char)syntax->mark, (char)(syntax->mark >> 8), (char)(syntax->mark >> 16), 0};
    return gib_check_fail(c, GIB_E_SYNTAX, syntax, "\"%s\" does not take %s and %s.",
                          syntax->mark == '['                 ? "[]"
                          : syntax->kind == GIB_SYNTAX_CHOICE ? "?:"
                                                              : sign,
                          gib_check_short(c, a->type->name), gib_check_short(c, b->type->name));
}

/* Bytes of what a pointer points to; 0 and *error filled when they are not known. */
static uint64_t element_size(struct gib_checker *c, const struct gib_syntax *syntax,
                             const struct gib_ctype *pointer)
{
    const struct gib_ctype *target = gib_ctype_target(c, pointer);
    target = target ? gib_ctype_complete(c, target) : NULL;
    if (!target)
        return 0;
    if (target->kind == GIB_CTYPE_VOID || target->kind == GIB_CTYPE_FUNCTION)
        return 1;
    if (!target->size)
        gib_check_fail(c, GIB_E_NOT_FOUND, syntax,
                       "the size of %s is not known: no loaded module has debug information "
                       "of it.",
                       gib_check_short(c, target->name));
    return target->size;
}

/* pointer + index, or - with `minus`. */
static struct gib_operand move_pointer(struct gib_checker *c, const struct gib_syntax *syntax,
                                       struct gib_operand *pointer, struct gib_operand *index,
                                       bool minus)
{
    uint64_t size = element_size(c, syntax, pointer->type);
    if (!size || !promote(c, index))
        return failed;
    const struct gib_node *distance = gib_node_convert(c, index->value, &gib_ctype_long);
    if (size != 1)
        distance = gib_node_make(c, GIB_OP_MULTIPLY, &gib_ctype_long, distance,
                                 gib_node_number(c, &gib_ctype_long, size));
    return value(syntax, pointer->type,
                 gib_node_make(c, minus ? GIB_OP_SUBTRACT : GIB_OP_ADD, pointer->type,
                               pointer->value, distance));
}

static struct gib_operand points_at(struct gib_checker *c, const struct gib_syntax *syntax,
                                    const struct gib_operand *pointer)
{
    const struct gib_ctype *target = gib_ctype_target(c, pointer->type);
    if (target && target->kind == GIB_CTYPE_VOID)
        return gib_check_fail(c, GIB_E_SYNTAX, syntax,
                              "\"%s\" points to void: a cast says to what, as in *(int *)p.",
                              gib_check_shown(c, pointer->syntax));
    return gib_check_at(c, syntax, pointer->value, target);
}

/* An array in registers, or a pointer to what is there. */
static bool is_in_words(const struct gib_operand *a)
{
    return a->place == GIB_PLACE_ADDRESS ||
           (a->place == GIB_PLACE_WORDS && a->type->kind == GIB_CTYPE_ARRAY);
}

/* a[b] of it: there are no bytes but those of the value itself. */
static struct gib_operand word_element(struct gib_checker *c, const struct gib_syntax *syntax,
                                       struct gib_operand *a, struct gib_operand *b)
{
    const struct gib_node *index = gib_check_value(c, b);
    const struct gib_ctype *target = index ? gib_ctype_target(c, a->type) : NULL;
    target = target ? gib_ctype_complete(c, target) : NULL;
    if (!target)
        return failed;
    if (index->operation != GIB_OP_NUMBER)
        return gib_check_fail(c, GIB_E_UNSUPPORTED, syntax,
                              "\"%s\" is in registers: its elements need a constant index.",
                              gib_check_shown(c, a->syntax));
    struct gib_operand out = *a;
    out.place = GIB_PLACE_WORDS;
    out.type = target;
    out.syntax = syntax;
    if (!target->size || index->number > 16)
        out.offset = UINT64_MAX / 2;
    else
        out.offset += index->number * target->size;
    if (out.offset > out.extent || target->size > out.extent - out.offset)
        return gib_check_fail(c, GIB_E_UNSUPPORTED, syntax,
                              "a %s there is outside of \"%s\", which is in registers.",
                              gib_check_short(c, target->name), gib_check_shown(c, a->syntax));
    return out;
}

struct gib_operand gib_check_element(struct gib_checker *c, const struct gib_syntax *syntax,
                                     struct gib_operand *a, struct gib_operand *b)
{
    if (a->type && is_in_words(a))
        return word_element(c, syntax, a, b);
    if (!gib_check_value(c, a) || !gib_check_value(c, b))
        return failed;
    bool swapped = a->type->kind != GIB_CTYPE_POINTER;
    struct gib_operand *pointer = swapped ? b : a, *index = swapped ? a : b;
    if (pointer->type->kind != GIB_CTYPE_POINTER || !gib_ctype_is_integer(index->type))
        return no_fit(c, syntax, a, b);
    struct gib_operand moved = move_pointer(c, syntax, pointer, index, false);
    moved.syntax = pointer->syntax;
    return moved.type ? points_at(c, syntax, &moved) : moved;
}

static struct gib_operand dereference(struct gib_checker *c, const struct gib_syntax *syntax,
                                      struct gib_operand *a)
{
    struct gib_operand zero = value(syntax, &gib_ctype_int, gib_node_number(c, &gib_ctype_int, 0));
    if (is_in_words(a))
        return word_element(c, syntax, a, &zero);
    if (!gib_check_value(c, a))
        return failed;
    if (a->type->kind != GIB_CTYPE_POINTER)
        return gib_check_fail(c, GIB_E_SYNTAX, syntax, "\"%s\" is of type %s, no pointer.",
                              gib_check_shown(c, a->syntax), gib_check_short(c, a->type->name));
    return points_at(c, syntax, a);
}

static struct gib_operand address_of(struct gib_checker *c, const struct gib_syntax *syntax,
                                     struct gib_operand *a)
{
    if (a->place == GIB_PLACE_FUNCTION)
        return value(syntax, a->type, a->value);
    if (a->place == GIB_PLACE_MEMORY && !a->is_bits)
        return value(syntax, gib_ctype_pointer(c, a->type), a->value);
    if (a->place == GIB_PLACE_WORDS && !a->is_bits) {
        struct gib_operand out = *a;
        out.place = GIB_PLACE_ADDRESS;
        out.syntax = syntax;
        out.type = gib_ctype_pointer(c, a->type);
        return out;
    }
    return gib_check_fail(c, GIB_E_SYNTAX, syntax, "\"%s\" has no address: it is %s.",
                          gib_check_shown(c, a->syntax), a->is_bits ? "a bit-field" : "a value");
}

struct gib_operand gib_check_unary(struct gib_checker *c, const struct gib_syntax *syntax)
{
    struct gib_operand a = gib_check(c, syntax->a);
    if (!a.type)
        return a;
    if (syntax->mark == '*')
        return dereference(c, syntax, &a);
    if (syntax->mark == '&')
        return address_of(c, syntax, &a);
    if (!gib_check_value(c, &a))
        return failed;
    if (syntax->mark == '!')
        return value(syntax, &gib_ctype_int,
                     gib_node_make(c, GIB_OP_NOT, &gib_ctype_int, a.value, NULL));
    bool fits =
        syntax->mark == '~' ? gib_ctype_is_integer(a.type) : gib_ctype_is_arithmetic(a.type);
    if (!fits)
        return gib_check_fail(c, GIB_E_SYNTAX, syntax, "\"%c\" does not take %s.",
                              (int)syntax->mark, gib_check_short(c, a.type->name));
    if (!promote(c, &a))
        return failed;
    if (syntax->mark == '+')
        return value(syntax, a.type, a.value);
    enum gib_operation operation = syntax->mark == '-' ? GIB_OP_NEGATE : GIB_OP_INVERT;
    return value(syntax, a.type, gib_node_make(c, operation, a.type, a.value, NULL));
}

static enum gib_operation operation_of(uint32_t mark)
{
    static const struct {
        uint32_t mark;
        enum gib_operation operation;
    } table[] = {
        {'+', GIB_OP_ADD},
        {'-', GIB_OP_SUBTRACT},
        {'*', GIB_OP_MULTIPLY},
        {'/', GIB_OP_DIVIDE},
        {'%', GIB_OP_REMAINDER},
        {'&', GIB_OP_AND},
        {'|', GIB_OP_OR},
        {'^', GIB_OP_XOR},
        {MARK2('<', '<'), GIB_OP_LEFT},
        {MARK2('>', '>'), GIB_OP_RIGHT},
        {MARK2('=', '='), GIB_OP_EQUAL},
        {MARK2('!', '='), GIB_OP_UNEQUAL},
        {'<', GIB_OP_LESS},
        {'>', GIB_OP_GREATER},
        {MARK2('<', '='), GIB_OP_AT_MOST},
        {MARK2('>', '='), GIB_OP_AT_LEAST},
        {MARK2('&', '&'), GIB_OP_BOTH},
        {MARK2('|', '|'), GIB_OP_EITHER},
    };
    size_t i = 0;
    while (table[i].mark != mark)
        i++;
    return table[i].operation;
}

/* Addresses are compared as numbers, of whatever they are; an integer is the address it says. */
static struct gib_operand compare_pointers(struct gib_checker *c, const struct gib_syntax *syntax,
                                           struct gib_operand *a, struct gib_operand *b)
{
    const struct gib_ctype *word = &gib_ctype_unsigned_long;
    if (a->type->kind == GIB_CTYPE_REAL || b->type->kind == GIB_CTYPE_REAL)
        return no_fit(c, syntax, a, b);
    return value(syntax, &gib_ctype_int,
                 gib_node_make(c, operation_of(syntax->mark), &gib_ctype_int,
                               gib_node_convert(c, a->value, word),
                               gib_node_convert(c, b->value, word)));
}

static struct gib_operand with_pointer(struct gib_checker *c, const struct gib_syntax *syntax,
                                       struct gib_operand *a, struct gib_operand *b)
{
    bool left = a->type->kind == GIB_CTYPE_POINTER, right = b->type->kind == GIB_CTYPE_POINTER;
    if (syntax->mark == '+' && left && gib_ctype_is_integer(b->type))
        return move_pointer(c, syntax, a, b, false);
    if (syntax->mark == '+' && right && gib_ctype_is_integer(a->type))
        return move_pointer(c, syntax, b, a, false);
    if (syntax->mark == '-' && left && gib_ctype_is_integer(b->type))
        return move_pointer(c, syntax, a, b, true);
    if (syntax->mark != '-' || !left || !right)
        return no_fit(c, syntax, a, b);
    uint64_t size = element_size(c, syntax, a->type), other = element_size(c, syntax, b->type);
    if (!size || !other)
        return failed;
    if (size != other)
        return no_fit(c, syntax, a, b);
    const struct gib_ctype *type = &gib_ctype_long;
    const struct gib_node *distance =
        gib_node_make(c, GIB_OP_SUBTRACT, type, gib_node_convert(c, a->value, type),
                      gib_node_convert(c, b->value, type));
    return value(syntax, type,
                 size == 1 ? distance
                           : gib_node_make(c, GIB_OP_DIVIDE, type, distance,
                                           gib_node_number(c, type, size)));
}

static struct gib_operand arithmetic(struct gib_checker *c, const struct gib_syntax *syntax,
                                     enum gib_operation operation, struct gib_operand *a,
                                     struct gib_operand *b)
{
    bool integers = gib_ctype_is_integer(a->type) && gib_ctype_is_integer(b->type);
    bool any = gib_ctype_is_arithmetic(a->type) && gib_ctype_is_arithmetic(b->type);
    bool only_integers =
        operation == GIB_OP_REMAINDER || (operation >= GIB_OP_AND && operation <= GIB_OP_RIGHT);
    if (only_integers ? !integers : !any)
        return no_fit(c, syntax, a, b);
    if (operation == GIB_OP_LEFT || operation == GIB_OP_RIGHT) {
        if (!promote(c, a) || !promote(c, b))
            return failed;
        return value(syntax, a->type, gib_node_make(c, operation, a->type, a->value, b->value));
    }
    if (!balance(c, a, b))
        return failed;
    const struct gib_ctype *type = operation >= GIB_OP_EQUAL ? &gib_ctype_int : a->type;
    return value(syntax, type, gib_node_make(c, operation, type, a->value, b->value));
}

struct gib_operand gib_check_binary(struct gib_checker *c, const struct gib_syntax *syntax)
{
    struct gib_operand out, a, b;
    bool equality = syntax->mark == MARK2('=', '=') || syntax->mark == MARK2('!', '=');
    if (equality && gib_check_caller_equal(c, syntax, &out))
        return out;
    a = gib_check(c, syntax->a);
    b = a.type ? gib_check(c, syntax->b) : a;
    if (!a.type || !b.type)
        return failed;
    if (syntax->mark == '[')
        return gib_check_element(c, syntax, &a, &b);
    if (equality && gib_check_text_equal(c, syntax, &a, &b, &out))
        return out;
    if (!gib_check_value(c, &a) || !gib_check_value(c, &b))
        return failed;
    enum gib_operation operation = operation_of(syntax->mark);
    if (operation == GIB_OP_BOTH || operation == GIB_OP_EITHER)
        return value(syntax, &gib_ctype_int,
                     gib_node_make(c, operation, &gib_ctype_int, a.value, b.value));
    if (a.type->kind == GIB_CTYPE_POINTER || b.type->kind == GIB_CTYPE_POINTER) {
        if (operation >= GIB_OP_EQUAL)
            return compare_pointers(c, syntax, &a, &b);
        return with_pointer(c, syntax, &a, &b);
    }
    return arithmetic(c, syntax, operation, &a, &b);
}

struct gib_operand gib_check_choice(struct gib_checker *c, const struct gib_syntax *syntax)
{
    struct gib_operand condition = gib_check(c, syntax->a);
    if (!gib_check_value(c, &condition))
        return failed;
    struct gib_operand a = gib_check(c, syntax->b), b = a.type ? gib_check(c, syntax->c) : a;
    if (!gib_check_value(c, &a) || !gib_check_value(c, &b))
        return failed;
    const struct gib_ctype *type;
    if (gib_ctype_is_arithmetic(a.type) && gib_ctype_is_arithmetic(b.type)) {
        if (!balance(c, &a, &b))
            return failed;
        type = a.type;
    } else {
        bool left = a.type->kind == GIB_CTYPE_POINTER, right = b.type->kind == GIB_CTYPE_POINTER;
        if ((!left && !a.is_null) || (!right && !b.is_null))
            return no_fit(c, syntax, &a, &b);
        type = left && !a.is_null ? a.type : right ? b.type : a.type;
        a.value = gib_node_convert(c, a.value, type);
        b.value = gib_node_convert(c, b.value, type);
    }
    const struct gib_node *chosen = condition.value;
    if (chosen->operation == GIB_OP_NUMBER)
        return value(syntax, type, chosen->number ? a.value : b.value);
    return value(syntax, type,
                 !a.value || !b.value ? NULL
                                      : gib_node_add(c, type,
                                                     (struct gib_node){.operation = GIB_OP_CHOOSE,
                                                                       .a = condition.value,
                                                                       .b = a.value,
                                                                       .c = b.value}));
}

/* The class that a pointer points to, if debug information has it. */
static const struct gib_ctype *class_behind(struct gib_checker *c, const struct gib_ctype *pointer)
{
    const struct gib_ctype *target =
        pointer->kind == GIB_CTYPE_POINTER ? gib_ctype_target(c, pointer) : NULL;
    target = target && target->kind == GIB_CTYPE_RECORD ? gib_ctype_complete(c, target) : NULL;
    return target && target->has_debug ? target : NULL;
}

/* C++: a cast between a class and its base class leads to the other object, which may be at
 * another address; NULL stays NULL. */
static bool cast_class(struct gib_checker *c, const struct gib_syntax *syntax,
                       const struct gib_ctype *type, struct gib_operand *a)
{
    const struct gib_ctype *from = class_behind(c, a->type), *to = class_behind(c, type);
    struct gib_debug_member place = {.offset = 0};
    if (!from || !to)
        return true;
    unsigned up = gib_debug_base(&from->debug, &to->debug, &place);
    unsigned down = up ? 0 : gib_debug_base(&to->debug, &from->debug, &place);
    if (up + down > 1 || (up + down && place.is_virtual)) {
        gib_check_fail(c, GIB_E_UNSUPPORTED, syntax,
                       "%s cannot be cast to %s here: %s is %s of the other.",
                       gib_check_short(c, a->type->name), gib_check_short(c, type->name),
                       gib_check_short(c, up ? to->name : from->name),
                       up + down > 1 ? "more than one base class" : "a virtual base class");
        return false;
    }
    if (!place.offset)
        return true;
    if (a->place == GIB_PLACE_ADDRESS) {
        a->offset += up ? place.offset : -place.offset;
        return true;
    }
    const struct gib_node *moved =
        gib_node_make(c, up ? GIB_OP_ADD : GIB_OP_SUBTRACT, &gib_ctype_unsigned_long, a->value,
                      gib_node_number(c, &gib_ctype_unsigned_long, place.offset));
    const struct gib_node *null = gib_node_number(c, &gib_ctype_unsigned_long, 0);
    a->value =
        moved && null
            ? gib_node_add(c, a->type,
                           (struct gib_node){
                               .operation = GIB_OP_CHOOSE, .a = a->value, .b = moved, .c = null})
            : NULL;
    return a->value;
}

/* Which scalars a cast takes to which. */
static bool may_cast(enum gib_cast cast, const struct gib_ctype *from, const struct gib_ctype *to)
{
    bool pointer = from->kind == GIB_CTYPE_POINTER, to_pointer = to->kind == GIB_CTYPE_POINTER;
    bool real = from->kind == GIB_CTYPE_REAL, to_real = to->kind == GIB_CTYPE_REAL;
    if (!gib_ctype_is_scalar(to) || (pointer && to_real) || (real && to_pointer))
        return false;
    if (cast == GIB_CAST_CONST)
        return pointer && to_pointer;
    /* The bytes as they are: of numbers only through a reference. */
    if (cast == GIB_CAST_REINTERPRET && !pointer && !to_pointer)
        return real == to_real && from->size == to->size;
    return true;
}

static struct gib_operand cast_to(struct gib_checker *c, const struct gib_syntax *syntax,
                                  const struct gib_ctype *type, struct gib_operand *a)
{
    enum gib_cast cast = (enum gib_cast)syntax->mark;
    bool in_words = a->place == GIB_PLACE_ADDRESS && type->kind == GIB_CTYPE_POINTER;
    if (cast == GIB_CAST_FUNCTIONAL && type->kind == GIB_CTYPE_RECORD)
        return gib_check_fail(c, GIB_E_UNSUPPORTED, syntax,
                              "%s(...): a condition calls no function of the program, and a "
                              "constructor is one.",
                              gib_check_short(c, type->name));
    if (!in_words && !gib_check_value(c, a))
        return failed;
    if (!may_cast(cast, a->type, type))
        return gib_check_fail(c, GIB_E_UNSUPPORTED, syntax, "%s cannot be cast to %s here.",
                              gib_check_short(c, a->type->name), gib_check_short(c, type->name));
    bool same_object = cast != GIB_CAST_REINTERPRET && cast != GIB_CAST_CONST;
    if (same_object && !cast_class(c, syntax, type, a))
        return failed;
    if (in_words) {
        a->type = type;
        return *a;
    }
    struct gib_operand out = value(syntax, type, gib_node_convert(c, a->value, type));
    out.is_null = a->is_null && type->kind == GIB_CTYPE_POINTER;
    return out;
}

struct gib_operand gib_check_cast(struct gib_checker *c, const struct gib_syntax *syntax)
{
    const struct gib_ctype *type = gib_ctype_written(c, syntax->type);
    struct gib_operand a = type ? gib_check(c, syntax->a) : failed;
    if (!a.type)
        return failed;
    if (!syntax->type->is_reference)
        return cast_to(c, syntax, type, &a);
    /* (T &)a is *(T *)&a. */
    a = address_of(c, syntax, &a);
    type = gib_ctype_pointer(c, type);
    a = a.type && type ? cast_to(c, syntax, type, &a) : failed;
    return a.type ? dereference(c, syntax, &a) : failed;
}
