/* places.c: members, what is at an address, and the value of either. */
#include <string.h>
#include "condition/typed.h"

struct gib_operand gib_check_at(struct gib_checker *c, const struct gib_syntax *syntax,
                                const struct gib_node *address, const struct gib_ctype *type)
{
    struct gib_operand out = {
        .type = type, .syntax = syntax, .place = GIB_PLACE_MEMORY, .value = address};
    if (!type || !address)
        return (struct gib_operand){.type = NULL};
    if (type->kind == GIB_CTYPE_REFERENCE) {
        const struct gib_node *pointer =
            gib_node_add(c, &gib_ctype_unsigned_long,
                         (struct gib_node){.operation = GIB_OP_LOAD, .a = address, .width = 8});
        const struct gib_ctype *target = gib_ctype_target(c, type);
        if (target && target->kind == GIB_CTYPE_REFERENCE)
            target = &gib_ctype_void;
        return gib_check_at(c, syntax, pointer, target);
    }
    if (type->kind == GIB_CTYPE_FUNCTION) {
        out.place = GIB_PLACE_FUNCTION;
        out.type = gib_ctype_pointer(c, type);
    } else if (type->kind == GIB_CTYPE_VOID) {
        out.place = GIB_PLACE_VOID;
    } else if (type->kind == GIB_CTYPE_RECORD) {
        out.type = gib_ctype_complete(c, type);
    }
    return out;
}

static const struct gib_node *number(struct gib_checker *c, uint64_t value)
{
    return gib_node_number(c, &gib_ctype_unsigned_long, value);
}

static const struct gib_node *address_behind(struct gib_checker *c, const struct gib_node *address,
                                             uint64_t offset)
{
    if (!offset)
        return address;
    return gib_node_make(c, GIB_OP_ADD, &gib_ctype_unsigned_long, address, number(c, offset));
}

struct gib_operand gib_check_ambiguous(struct gib_checker *c, const struct gib_syntax *syntax,
                                       const char *name, const struct gib_debug_type owner[2])
{
    const struct gib_ctype *one = gib_ctype_debug(c, &owner[0]);
    const struct gib_ctype *other = gib_ctype_debug(c, &owner[1]);
    if (!one || !other)
        return (struct gib_operand){.type = NULL};
    if (!strcmp(one->name, other->name))
        return gib_check_fail(c, GIB_E_SYNTAX, syntax,
                              "\"%s\" is ambiguous: %s is a base class more than once; a "
                              "cast to a class between says which.",
                              gib_check_short(c, name), gib_check_short(c, one->name));
    return gib_check_fail(c, GIB_E_SYNTAX, syntax,
                          "\"%s\" is ambiguous: it is in the base classes %s and %s; "
                          "%s::%s would be the first.",
                          gib_check_short(c, name), gib_check_short(c, one->name),
                          gib_check_short(c, other->name), gib_check_short(c, one->name),
                          gib_check_short(c, name));
}

struct gib_operand gib_check_find_member(struct gib_checker *c, const struct gib_operand *record,
                                         const char *name)
{
    struct gib_debug_member member;
    struct gib_operand out = *record;
    const struct gib_ctype *type = gib_ctype_complete(c, record->type);
    if (!type || !type->has_debug || !gib_debug_member(&type->debug, name, &member))
        return (struct gib_operand){.type = NULL};
    if (member.owner[1].entry)
        return gib_check_ambiguous(c, record->syntax, name, member.owner);
    if (member.is_virtual)
        return gib_check_fail(c, GIB_E_UNSUPPORTED, record->syntax,
                              "\"%s\" is in a virtual base class, whose place conditions cannot "
                              "find.",
                              gib_check_short(c, name));
    out.type = gib_ctype_debug(c, &member.type);
    if (!out.type)
        return out;
    out.is_bits = member.is_bits;
    if (member.is_bits) {
        if (member.width > 64 || !gib_ctype_is_integer(out.type))
            return gib_check_fail(c, GIB_E_UNSUPPORTED, record->syntax,
                                  "the bit-field \"%s\" is of a type with which conditions do "
                                  "not compute.",
                                  gib_check_short(c, name));
        out.shift = (uint32_t)member.shift;
        out.width = (uint8_t)member.width;
        return out;
    }
    if (record->place == GIB_PLACE_WORDS) {
        out.offset += member.offset;
        if (out.type->kind != GIB_CTYPE_REFERENCE)
            return out;
        out.type = &gib_ctype_unsigned_long;
        return gib_check_at(c, record->syntax, gib_check_load(c, &out),
                            gib_ctype_target(c, gib_ctype_debug(c, &member.type)));
    }
    return gib_check_at(c, record->syntax, address_behind(c, record->value, member.offset),
                        out.type);
}

struct gib_operand gib_check_member(struct gib_checker *c, const struct gib_syntax *syntax)
{
    struct gib_operand record = gib_check(c, syntax->a);
    if (!record.type)
        return record;
    const struct gib_ctype *type = gib_ctype_complete(c, record.type);
    if (type && type->kind == GIB_CTYPE_POINTER)
        return gib_check_fail(c, GIB_E_SYNTAX, syntax,
                              "\"%s\" is a pointer: its members follow ->.",
                              gib_check_shown(c, syntax->a));
    if (!type || type->kind != GIB_CTYPE_RECORD ||
        (record.place != GIB_PLACE_MEMORY && record.place != GIB_PLACE_WORDS))
        return gib_check_fail(c, GIB_E_SYNTAX, syntax, "\"%s\" is of type %s and has no members.",
                              gib_check_shown(c, syntax->a), gib_check_short(c, record.type->name));
    if (!type->has_debug)
        return gib_check_fail(c, GIB_E_NOT_FOUND, syntax,
                              "the members of %s are not known: no loaded module has debug "
                              "information of it.",
                              gib_check_short(c, type->name));
    c->error->code = 0;
    record.syntax = syntax;
    struct gib_operand member = gib_check_find_member(c, &record, syntax->name);
    if (!member.type && !c->error->code)
        member = gib_check_static_member(c, syntax, type);
    if (!member.type && !c->error->code)
        return gib_check_fail(c, GIB_E_NOT_FOUND, syntax, "%s has no member \"%s\".",
                              gib_check_short(c, type->name), gib_check_short(c, syntax->name));
    return member;
}

/* `width` bits from bit `at` of the words on, as 64 bits. */
static const struct gib_node *bits_of_words(struct gib_checker *c, const struct gib_operand *place,
                                            uint64_t at, unsigned width,
                                            const struct gib_ctype *type)
{
    uint64_t index = at / 64;
    if (index > 1 || at % 64 + width > 64 || !place->word[index]) {
        gib_check_fail(c, GIB_E_UNSUPPORTED, place->syntax, "\"%s\" is not in one register.",
                       gib_check_shown(c, place->syntax));
        return NULL;
    }
    return gib_node_add(c, type,
                        (struct gib_node){.operation = GIB_OP_BITS,
                                          .a = place->word[index],
                                          .number = at % 64,
                                          .width = (uint8_t)width});
}

static const struct gib_node *load_bits(struct gib_checker *c, const struct gib_operand *place)
{
    struct gib_ctype wide = *place->type;
    wide.kind = GIB_CTYPE_INTEGER;
    wide.size = 8;
    const struct gib_node *bits;
    if (place->place == GIB_PLACE_WORDS) {
        bits = bits_of_words(c, place, place->offset * 8 + place->shift, place->width, &wide);
    } else {
        unsigned first = place->shift % 8, bytes = (first + place->width + 7) / 8;
        if (bytes > 8) {
            gib_check_fail(c, GIB_E_UNSUPPORTED, place->syntax,
                           "the bit-field \"%s\" lies over nine bytes.",
                           gib_check_shown(c, place->syntax));
            return NULL;
        }
        /* Only its own bytes are read: there may be nothing behind them. */
        const struct gib_node *address = address_behind(c, place->value, place->shift / 8);
        const struct gib_node *all =
            address
                ? gib_node_add(c, &gib_ctype_unsigned_long,
                               (struct gib_node){
                                   .operation = GIB_OP_LOAD, .a = address, .width = (uint8_t)bytes})
                : NULL;
        bits = all ? gib_node_add(c, &wide,
                                  (struct gib_node){.operation = GIB_OP_BITS,
                                                    .a = all,
                                                    .number = first,
                                                    .width = place->width})
                   : NULL;
    }
    return bits ? gib_node_convert(c, bits, place->type) : NULL;
}

const struct gib_node *gib_check_load(struct gib_checker *c, const struct gib_operand *place)
{
    const struct gib_ctype *type = place->type, *plain = type;
    unsigned size = type->kind == GIB_CTYPE_POINTER ? 8 : (unsigned)type->size;
    const struct gib_node *node = NULL;
    static const struct gib_ctype byte = {.kind = GIB_CTYPE_INTEGER, .size = 1, .name = "bool"};
    if (place->is_bits)
        return load_bits(c, place);
    if (type->kind == GIB_CTYPE_BOOL)
        plain = &byte; /* other bits than the lowest are not to be there; if they are, it is true */
    if (place->place == GIB_PLACE_MEMORY) {
        node = gib_node_add(
            c, plain,
            (struct gib_node){.operation = GIB_OP_LOAD, .a = place->value, .width = (uint8_t)size});
    } else if (place->offset % 8 == 0 && place->offset < 16 && place->word[place->offset / 8]) {
        node = place->word[place->offset / 8];
    } else {
        node = bits_of_words(c, place, place->offset * 8, size * 8, &gib_ctype_unsigned_long);
    }
    if (!node || place->place == GIB_PLACE_MEMORY)
        return gib_node_convert(c, node, type);
    if (type->kind == GIB_CTYPE_REAL)
        return gib_node_add(c, type,
                            (struct gib_node){.operation = GIB_OP_REAL_OF_BITS, .a = node});
    node = gib_node_convert(c, node, plain);
    return gib_node_convert(c, node, type);
}
