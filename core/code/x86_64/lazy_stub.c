/*
 * lazy_stub.c: see lazy_stub.h.
 *
 *   stub:    endbr64 ; jmp *cell
 *   ask:     endbr64 ; lea cell,%r11 ; jmp shared          (the cell leads here at first)
 *   shared:  save all registers that arguments may be in, vectors too (vector variants of libmvec
 *            are IFUNCs); call the resolver; store what it says in the cell; restore; jump there
 *
 * Two threads may ask at once: a resolver always answers the same, and the store is one word.
 */
#include "code/x86_64/lazy_stub.h"

#include <cpuid.h>
#include <string.h>
#include "code/x86_64/assembler.h"

enum {
    HEADER = 512, /* offset of the header in the area of XSAVE, 64 bytes, zero before (Intel SDM
                     volume 1, 13.4) */
    FX = 512,     /* bytes of FXSAVE */
    SAVED = 9 * 8,
};

struct gib_lazy_vectors gib_lazy_vectors(void)
{
    enum { OSXSAVE = 1 << 27, LEAF = 0xd };
    struct gib_lazy_vectors vectors = {.mask = 0, .size = FX};
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE) || !__get_cpuid_max(0, NULL) ||
        __get_cpuid_max(0, NULL) < LEAF)
        return vectors;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    /* xmm, ymm, the mask registers, both halves of zmm; not the tiles of AMX: they are large, and
     * no arguments. */
    vectors.mask = low & 0xe6;
    vectors.size = HEADER + 64;
    for (unsigned part = 2; part < 8; part++) {
        if (!(vectors.mask >> part & 1))
            continue;
        __cpuid_count(LEAF, part, a, b, c, d);
        if (a + b > vectors.size) /* size, offset */
            vectors.size = a + b;
    }
    vectors.size = (vectors.size + 63) & ~63u;
    return vectors;
}

/* The rel32 of `lea` and of indirect jumps. */
static void put_stub(struct emitter *e, uint64_t cell, uint64_t shared)
{
    BYTES(e, 0xf3, 0x0f, 0x1e, 0xfa); /* endbr64 */
    BYTES(e, 0xff, 0x25);             /* jmp *cell(%rip) */
    gib_put_relative(e, cell, 0);
    BYTES(e, 0xf3, 0x0f, 0x1e, 0xfa);
    BYTES(e, 0x4c, 0x8d, 0x1d); /* lea cell(%rip),%r11 */
    gib_put_relative(e, cell, 0);
    gib_jump(e, shared);
    while (e->at % GIB_LAZY_STUB)
        BYTES(e, 0xcc);
}

static void put_area(struct emitter *e, const struct gib_lazy_vectors *v, bool save)
{
    if (v->mask) {
        BYTES(e, 0xb8); /* mov $mask,%eax */
        gib_put32(e, v->mask);
        BYTES(e, 0x31, 0xd2); /* xor %edx,%edx */
    }
    /* xsave64, xrstor64 (%rsp); fxsave64, fxrstor64 */
    BYTES(e, 0x48, 0x0f, 0xae, (uint8_t)((v->mask ? 4 : 0) << 3 | (save ? 0 : 8) | 4), 0x24);
}

static void put_shared(struct emitter *e, const struct gib_lazy_vectors *v)
{
    BYTES(e, 0x55, 0x48, 0x89, 0xe5);             /* push %rbp ; mov %rsp,%rbp */
    BYTES(e, 0x50, 0x51, 0x52, 0x56, 0x57);       /* push rax rcx rdx rsi rdi */
    BYTES(e, 0x41, 0x50, 0x41, 0x51, 0x41, 0x52); /* push r8 r9 r10 */
    BYTES(e, 0x41, 0x53);                         /* push r11 */
    BYTES(e, 0x48, 0x81, 0xec);                   /* sub $size,%rsp */
    gib_put32(e, v->size);
    BYTES(e, 0x48, 0x83, 0xe4, 0xc0); /* and $-64,%rsp */
    BYTES(e, 0x31, 0xc0);             /* xor %eax,%eax */
    for (uint32_t i = 0; i < 8 && v->mask; i++) {
        BYTES(e, 0x48, 0x89, 0x84, 0x24); /* mov %rax,HEADER + 8 i(%rsp) */
        gib_put32(e, HEADER + 8 * i);
    }
    put_area(e, v, true);
    BYTES(e, 0xfc);                   /* cld */
    BYTES(e, 0x41, 0xff, 0x53, 0x08); /* call *8(%r11) */
    gib_memory(e, LOAD, R11, RBP, -SAVED);
    BYTES(e, 0x49, 0x89, 0x03); /* mov %rax,(%r11) */
    gib_memory(e, STORE, RAX, RBP, -SAVED);
    put_area(e, v, false);
    gib_memory(e, LEA, RSP, RBP, -SAVED);
    BYTES(e, 0x41, 0x5b, 0x41, 0x5a, 0x41, 0x59, 0x41, 0x58); /* pop r11 r10 r9 r8 */
    BYTES(e, 0x5f, 0x5e, 0x5a, 0x59, 0x58, 0x5d);             /* pop rdi rsi rdx rcx rax rbp */
    BYTES(e, 0x41, 0xff, 0xe3);                               /* jmp *%r11 */
}

bool gib_lazy_stubs(uint64_t address, uint64_t cells, const struct gib_lazy_vectors *vectors,
                    const uint64_t *resolver, size_t count, uint8_t *code, uint64_t *cell)
{
    struct emitter e = {
        .code = code, .room = GIB_LAZY_HEAD + count * GIB_LAZY_STUB, .address = address};
    put_shared(&e, vectors);
    if (e.at > GIB_LAZY_HEAD)
        return false;
    while (e.at < GIB_LAZY_HEAD)
        BYTES(&e, 0xcc);
    for (size_t i = 0; i < count; i++) {
        enum { ASK = 10 }; /* offset of `ask` */
        cell[2 * i] = address + e.at + ASK;
        cell[2 * i + 1] = resolver[i];
        put_stub(&e, cells + i * GIB_LAZY_CELL, address);
    }
    return !e.failed;
}
