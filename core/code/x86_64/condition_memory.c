/* condition_memory.c: reading memory and comparing texts, which the agent does: only it knows what
 * can be read. */
#include "code/x86_64/condition_emit.h"

#define IN_CALL(field) ((int64_t)offsetof(struct gib_condition_call, field))

/* c7 /0 id: mov qword [place],number, sign-extended */
static void store_number(struct gib_condition_emitter *g, const struct gib_place *place,
                         uint64_t number)
{
    static const struct gib_place accumulator = {GIB_REGISTER, RAX, 0};
    if ((int64_t)number == (int32_t)number) {
        gib_put_instruction(g, 0, true, false, 0xc7, 0, place);
        gib_put32(g->e, (uint32_t)number);
        return;
    }
    gib_put_number(g, accumulator.reg, number, true);
    gib_put_instruction(g, 0, true, false, 0x89, RAX, place);
}

/*
 *      mov rdi,[context] ; mov rsi,rax ; lea rdx,[slot] ; mov ecx,bytes
 *      call [read] ; test rax,rax ; je fail
 */
struct gib_place gib_emit_load(struct gib_condition_emitter *g, const struct gib_node *node)
{
    gib_emit_integer(g, node->a);
    struct gib_place slot = gib_slots_take(g, 1);
    if (node->width & (node->width - 1)) {
        gib_put_instruction(g, 0, true, false, 0xc7, 0, &slot); /* all eight bytes are used */
        gib_put32(g->e, 0);
    }
    gib_memory(g->e, LOAD, RDI, RBX, IN_CALL(context));
    BYTES(g->e, 0x48, 0x89, 0xc6);
    gib_memory(g->e, LEA, RDX, slot.reg, slot.value);
    BYTES(g->e, 0xb9);
    gib_put32(g->e, node->width);
    BYTES(g->e, 0xff);
    gib_put_operand(g->e, 2, RBX, IN_CALL(read));
    BYTES(g->e, 0x48, 0x85, 0xc0);
    gib_jump_label(g->e, JE, &g->fail);
    return slot;
}

static struct gib_place at(struct gib_place place, size_t offset)
{
    place.value += (int32_t)offset;
    return place;
}

/* Fills a struct gib_text_operand. */
static void emit_operand(struct gib_condition_emitter *g, const struct gib_text_source *text,
                         struct gib_place operand)
{
    uint64_t size = text->size;
    struct gib_place words;
    if (text->literal) {
        BYTES(g->e, 0x48, 0x8d, 0x05); /* lea rax,[rip + text] */
        gib_put_constant(g, text->literal, text->size + 1, 0);
    } else if (text->address) {
        gib_emit_integer(g, text->address);
    } else {
        words = gib_slots_take(g, 2);
        for (size_t i = 0; i < 2; i++) {
            struct gib_place slot = at(words, 8 * i);
            if (!text->word[i])
                continue;
            gib_emit_integer(g, text->word[i]);
            gib_put_instruction(g, 0, true, false, 0x89, RAX, &slot);
        }
        gib_memory(g->e, LEA, RAX, words.reg, words.value + (int64_t)text->offset);
    }
    gib_put_instruction(g, 0, true, false, 0x89, RAX, &operand);
    struct gib_place field = at(operand, offsetof(struct gib_text_operand, size));
    store_number(g, &field, size);
    field = at(operand, offsetof(struct gib_text_operand, known));
    store_number(g, &field, !text->address);
}

/*
 *      mov rdi,[context] ; mov esi,operation ; lea rdx,[operands] ; call [text]
 *      cmp eax,2 ; jae fail                    what fails, and what is no verdict
 */
void gib_emit_text(struct gib_condition_emitter *g, const struct gib_node *node)
{
    enum { SLOTS = 2 * sizeof(struct gib_text_operand) / 8 };
    unsigned slots = g->slots;
    struct gib_place operands = gib_slots_take(g, SLOTS);
    for (size_t i = 0; i < 2; i++)
        emit_operand(g, &node->text[i], at(operands, i * sizeof(struct gib_text_operand)));
    gib_memory(g->e, LOAD, RDI, RBX, IN_CALL(context));
    BYTES(g->e, 0xbe);
    gib_put32(g->e, (uint32_t)node->number);
    gib_memory(g->e, LEA, RDX, operands.reg, operands.value);
    BYTES(g->e, 0xff);
    gib_put_operand(g->e, 2, RBX, IN_CALL(text));
    BYTES(g->e, 0x83, 0xf8, GIB_VERDICT_FAILED);
    gib_jump_label(g->e, 0x83, &g->fail);
    g->slots = slots;
}
