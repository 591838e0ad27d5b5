/*
 * fold.c: makes nodes, and computes at once what is constant.
 *
 * A constant is held as 64 bits, extended from its type by its sign. What C leaves undefined is
 * done as the processor does it: overflow wraps, and shifts take the count modulo the width.
 */
#include <string.h>
#include "condition/typed.h"

static uint64_t fit(uint64_t number, unsigned size, bool is_signed)
{
    if (size >= 8)
        return number;
    unsigned unused = 64 - 8 * size;
    return is_signed ? (uint64_t)((int64_t)(number << unused) >> unused)
                     : number << unused >> unused;
}

const struct gib_node *gib_node_add(struct gib_checker *c, const struct gib_ctype *type,
                                    struct gib_node node)
{
    const struct gib_node *child[] = {node.a, node.b, node.c};
    for (size_t i = 0; i < 3; i++)
        if (child[i] && child[i]->height >= node.height)
            node.height = child[i]->height + 1;
    /* The parser bounds the text's tree; each of its levels makes a few of these. */
    if (node.height > 8 * GIB_CONDITION_DEPTH)
        return gib_condition_fail(c->error, GIB_E_UNSUPPORTED, 0,
                                  "the condition is nested too deep.");
    node.is_real = type->kind == GIB_CTYPE_REAL;
    node.is_bool = type->kind == GIB_CTYPE_BOOL;
    node.is_signed = type->is_signed;
    node.size = type->kind == GIB_CTYPE_POINTER ? 8 : (uint8_t)type->size;
    struct gib_node *copy = gib_pool_take(c->pool, sizeof *copy);
    if (!copy)
        return gib_condition_memory(c->error);
    *copy = node;
    return copy;
}

const struct gib_node *gib_node_number(struct gib_checker *c, const struct gib_ctype *type,
                                       uint64_t number)
{
    unsigned size = type->kind == GIB_CTYPE_POINTER ? 8 : (unsigned)type->size;
    return gib_node_add(c, type,
                        (struct gib_node){.operation = GIB_OP_NUMBER,
                                          .number = fit(number, size, type->is_signed)});
}

const struct gib_node *gib_node_real(struct gib_checker *c, const struct gib_ctype *type,
                                     double real)
{
    return gib_node_add(c, type,
                        (struct gib_node){.operation = GIB_OP_REAL,
                                          .real = type->size == 4 ? (double)(float)real : real});
}

static bool is_constant(const struct gib_node *node)
{
    return node && (node->operation == GIB_OP_NUMBER || node->operation == GIB_OP_REAL);
}

static bool is_true(const struct gib_node *node)
{
    return node->is_real ? node->real != 0 : node->number != 0;
}

/* As cvttsd2si and the compilers' sequences around it. */
static bool real_to_number(double real, unsigned size, bool is_signed, uint64_t *number)
{
    double least = is_signed ? -0x1p63 : -1, most = is_signed ? 0x1p63 : 0x1p64;
    if (size < 8) {
        most = size == 4 && !is_signed ? 0x1p32 : 0x1p31;
        least = size == 4 && !is_signed ? -1 : -0x1p31 - 1;
    }
    if (!(real > least || (size == 8 && is_signed && real == least)) || !(real < most))
        return false; /* undefined: left to the processor */
    *number = is_signed || size < 4 ? (uint64_t)(int64_t)real : (uint64_t)real;
    return true;
}

const struct gib_node *gib_node_convert(struct gib_checker *c, const struct gib_node *a,
                                        const struct gib_ctype *type)
{
    unsigned size = type->kind == GIB_CTYPE_POINTER ? 8 : (unsigned)type->size;
    uint64_t number;
    if (!a)
        return NULL;
    if (type->kind == GIB_CTYPE_BOOL) {
        if (a->is_bool)
            return a;
        if (is_constant(a))
            return gib_node_number(c, type, is_true(a));
    } else if (type->kind == GIB_CTYPE_REAL) {
        if (a->is_real && a->size == size)
            return a;
        if (a->operation == GIB_OP_REAL)
            return gib_node_real(c, type, a->real);
        if (a->operation == GIB_OP_NUMBER) {
            /* Not by way of double: one rounding. */
            bool is_signed = a->is_signed || a->size < 4;
            double real;
            if (size == 4)
                real = is_signed ? (float)(int64_t)a->number : (float)a->number;
            else
                real = is_signed ? (double)(int64_t)a->number : (double)a->number;
            return gib_node_real(c, type, real);
        }
    } else {
        bool same = !a->is_real && !a->is_bool && a->size == size;
        if (same && a->is_signed == type->is_signed)
            return a;
        if (a->operation == GIB_OP_NUMBER)
            return gib_node_number(c, type, a->number);
        if (a->operation == GIB_OP_REAL && real_to_number(a->real, size, type->is_signed, &number))
            return gib_node_number(c, type, number);
        /* Of what is only widened or narrowed on the way, the low bytes are the same. */
        if (a->operation == GIB_OP_CONVERT && !a->is_bool && !a->is_real && !a->a->is_real &&
            size <= a->size)
            return gib_node_convert(c, a->a, type);
    }
    return gib_node_add(c, type, (struct gib_node){.operation = GIB_OP_CONVERT, .a = a});
}

static bool compare(enum gib_operation operation, int order, bool unordered)
{
    switch (operation) {
    case GIB_OP_EQUAL:
        return !unordered && order == 0;
    case GIB_OP_UNEQUAL:
        return unordered || order != 0;
    case GIB_OP_LESS:
        return !unordered && order < 0;
    case GIB_OP_GREATER:
        return !unordered && order > 0;
    case GIB_OP_AT_MOST:
        return !unordered && order <= 0;
    default:
        return !unordered && order >= 0;
    }
}

static int order_of(const struct gib_node *a, const struct gib_node *b)
{
    if (a->is_real)
        return a->real < b->real ? -1 : a->real > b->real;
    if (a->is_signed)
        return (int64_t)a->number < (int64_t)b->number ? -1
                                                       : (int64_t)a->number > (int64_t)b->number;
    return a->number < b->number ? -1 : a->number > b->number;
}

static const struct gib_node *fold_real(struct gib_checker *c, enum gib_operation operation,
                                        const struct gib_ctype *type, const struct gib_node *a,
                                        const struct gib_node *b)
{
    bool single = type->size == 4;
    double x = a->real, y = b ? b->real : 0;
    switch (operation) {
    case GIB_OP_NEGATE:
        return gib_node_real(c, type, -x);
    case GIB_OP_ADD:
        return gib_node_real(c, type, single ? (float)x + (float)y : x + y);
    case GIB_OP_SUBTRACT:
        return gib_node_real(c, type, single ? (float)x - (float)y : x - y);
    case GIB_OP_MULTIPLY:
        return gib_node_real(c, type, single ? (float)x * (float)y : x * y);
    default:
        return NULL; /* a division: whether it is by zero is told where it is computed */
    }
}

/* False: not constant, or better left to the processor. */
static bool fold_number(enum gib_operation operation, const struct gib_node *a,
                        const struct gib_node *b, unsigned size, bool is_signed, uint64_t *out)
{
    uint64_t x = a->number, y = b ? b->number : 0;
    unsigned count = (unsigned)y & (size == 8 ? 63 : 31);
    switch (operation) {
    case GIB_OP_NEGATE:
        *out = -x;
        return true;
    case GIB_OP_INVERT:
        *out = ~x;
        return true;
    case GIB_OP_ADD:
        *out = x + y;
        return true;
    case GIB_OP_SUBTRACT:
        *out = x - y;
        return true;
    case GIB_OP_MULTIPLY:
        *out = x * y;
        return true;
    case GIB_OP_AND:
        *out = x & y;
        return true;
    case GIB_OP_OR:
        *out = x | y;
        return true;
    case GIB_OP_XOR:
        *out = x ^ y;
        return true;
    case GIB_OP_LEFT:
        *out = x << count;
        return true;
    case GIB_OP_RIGHT:
        *out = is_signed ? (uint64_t)((int64_t)x >> count) : x >> count;
        return true;
    case GIB_OP_DIVIDE:
    case GIB_OP_REMAINDER:
        if (!y || (is_signed && y == UINT64_MAX))
            return false;
        if (operation == GIB_OP_DIVIDE)
            *out = is_signed ? (uint64_t)((int64_t)x / (int64_t)y) : x / y;
        else
            *out = is_signed ? (uint64_t)((int64_t)x % (int64_t)y) : x % y;
        return true;
    default:
        return false;
    }
}

static const struct gib_node *fold(struct gib_checker *c, enum gib_operation operation,
                                   const struct gib_ctype *type, const struct gib_node *a,
                                   const struct gib_node *b)
{
    if (operation >= GIB_OP_EQUAL && operation <= GIB_OP_AT_LEAST) {
        bool unordered = a->is_real && (a->real != a->real || b->real != b->real);
        return gib_node_number(c, type, compare(operation, order_of(a, b), unordered));
    }
    if (operation == GIB_OP_NOT)
        return gib_node_number(c, type, !is_true(a));
    if (type->kind == GIB_CTYPE_REAL)
        return fold_real(c, operation, type, a, b);
    uint64_t number;
    unsigned size = type->kind == GIB_CTYPE_POINTER ? 8 : (unsigned)type->size;
    if (!a->is_real && fold_number(operation, a, b, size, type->is_signed, &number))
        return gib_node_number(c, type, number);
    return NULL;
}

const struct gib_node *gib_node_make(struct gib_checker *c, enum gib_operation operation,
                                     const struct gib_ctype *type, const struct gib_node *a,
                                     const struct gib_node *b)
{
    bool binary = operation >= GIB_OP_ADD;
    if (!a || (binary && !b))
        return NULL;
    if (operation == GIB_OP_BOTH || operation == GIB_OP_EITHER) {
        bool decides = operation == GIB_OP_EITHER;
        if (is_constant(a) && is_true(a) == decides)
            return gib_node_number(c, type, decides);
        if (is_constant(a) && is_constant(b))
            return gib_node_number(c, type, is_true(b));
    } else if (is_constant(a) && (!binary || is_constant(b))) {
        const struct gib_node *folded = fold(c, operation, type, a, b);
        if (folded)
            return folded;
    }
    return gib_node_add(c, type, (struct gib_node){.operation = operation, .a = a, .b = b});
}
