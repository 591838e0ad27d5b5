/*
 * mock.c: what a caller sees of a mocked function: a result where the calling convention has it
 * (System V x86-64 ABI 3.2.3), and errno. Nothing else changes: callers compiled with gcc's
 * -fipa-ra rely on what the original leaves alone.
 *
 *      push rbp ; mov rbp,rsp
 *      push each register a call may change ; mov rax,[errno_location] ; test rax,rax ; je skip
 *      call rax ; mov dword [rax],errno          only if errno is set
 *  skip:
 *      pop them
 *      rax, rdx, xmm0, xmm1, st0 or [rdi] = value
 *      leave ; ret
 *      the value, aligned: what xmm and st registers are loaded from
 */
#include "code/x86_64/mock.h"

#include <stdio.h>
#include <string.h>
#include "code/x86_64/assembler.h"

/* Ten of them, so that the stack stays aligned. */
static void set_errno(struct emitter *e, const struct gib_mock_request *r)
{
    struct label skip = {0};
    BYTES(e, 0x50, 0x51, 0x52, 0x56, 0x57);                         /* push rax rcx rdx rsi rdi */
    BYTES(e, 0x41, 0x50, 0x41, 0x51, 0x41, 0x52, 0x41, 0x53, 0x50); /* push r8 r9 r10 r11 rax */
    gib_immediate(e, RAX, r->errno_location);
    BYTES(e, 0x48, 0x8b, 0x00, 0x48, 0x85, 0xc0); /* mov rax,[rax] ; test rax,rax */
    gib_jump_label(e, JE, &skip);
    BYTES(e, 0xff, 0xd0, 0xc7, 0x00); /* call rax ; mov dword [rax],imm32 */
    gib_put32(e, (uint32_t)r->error_number);
    gib_label_here(e, &skip);
    BYTES(e, 0x58, 0x41, 0x5b, 0x41, 0x5a, 0x41, 0x59, 0x41, 0x58);
    BYTES(e, 0x5f, 0x5e, 0x5a, 0x59, 0x58);
}

static uint64_t word(const struct gib_mock_request *r, size_t index)
{
    uint64_t value;
    memcpy(&value, r->value + 8 * index, sizeof value);
    return value;
}

/* The caller gives the place in rdi, and gets it back in rax. */
static void fill_memory(struct emitter *e, const struct gib_mock_request *r)
{
    size_t size = r->type->size, at = 0;
    for (; at + 8 <= size; at += 8) {
        gib_immediate(e, RAX, word(r, at / 8));
        gib_memory(e, STORE, RAX, RDI, (int64_t)at);
    }
    for (; at < size; at++) {
        BYTES(e, 0xc6, 0x87); /* mov byte [rdi + disp32],imm8 */
        gib_put32(e, (uint32_t)at);
        BYTES(e, r->value[at]);
    }
    BYTES(e, 0x48, 0x89, 0xf8); /* mov rax,rdi */
}

/* `value_at` is the address of the value behind the code. */
static void fill_registers(struct emitter *e, const struct gib_mock_request *r, uint64_t value_at)
{
    static const int general[] = {RAX, RDX};
    size_t next_general = 0, next_xmm = 0;
    if (!r->type || r->type->kind == GIB_TYPE_VOID) {
        gib_immediate(e, RAX, word(r, 0));
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        enum gib_abi_class class = r->type->eightbyte[i];
        if (class == GIB_CLASS_INTEGER) {
            gib_immediate(e, general[next_general++], word(r, i));
        } else if (class == GIB_CLASS_SSE) {
            BYTES(e, 0xf3, 0x0f, 0x7e, (uint8_t)(0x05 | next_xmm++ << 3)); /* movq xmm,[rip+disp] */
            gib_put_relative(e, value_at + 8 * i, 0);
        } else if (class == GIB_CLASS_X87) {
            BYTES(e, 0xdb, 0x2d); /* fld tbyte [rip + disp] */
            gib_put_relative(e, value_at, 0);
            break;
        }
    }
}

static int fail(struct gib_error *error, const char *name)
{
    if (error) {
        error->code = GIB_E_UNSUPPORTED;
        error->address = 0;
        snprintf(error->message, sizeof error->message, "a result of type %.80s cannot be mocked",
                 name ? name : "of unknown layout");
    }
    return GIB_E_UNSUPPORTED;
}

int gib_mock_make(const struct gib_mock_request *request, uint8_t code[GIB_MOCK_MAX], size_t *size,
                  struct gib_error *error)
{
    const struct gib_type *type = request->type;
    struct emitter e = {code, 0, GIB_MOCK_MAX, request->address, false};
    bool memory = type && (type->indirect || type->eightbyte[0] == GIB_CLASS_MEMORY);
    bool two_x87 = type && type->eightbyte[0] == GIB_CLASS_X87 &&
                   type->eightbyte[1] == GIB_CLASS_X87; /* _Complex long double */
    bool wide = type && type->kind == GIB_TYPE_VECTOR;
    bool unknown = type && type->kind == GIB_TYPE_RECORD && !type->known_layout;
    if (two_x87 || wide || unknown || (memory && (!type->size || type->size > GIB_MOCK_VALUE)))
        return fail(error, type->name);
    BYTES(&e, 0x55, 0x48, 0x89, 0xe5);
    if (request->error_number)
        set_errno(&e, request);
    uint64_t value_at = request->address + GIB_MOCK_MAX - GIB_MOCK_VALUE;
    if (memory)
        fill_memory(&e, request);
    else
        fill_registers(&e, request, value_at);
    BYTES(&e, 0xc9, 0xc3);
    e.failed |= e.at > GIB_MOCK_MAX - GIB_MOCK_VALUE;
    *size = e.at;
    memcpy(code + GIB_MOCK_MAX - GIB_MOCK_VALUE, request->value, GIB_MOCK_VALUE);
    return e.failed ? fail(error, type ? type->name : NULL) : 0;
}
