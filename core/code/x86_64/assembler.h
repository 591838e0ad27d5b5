/*
 * assembler.h: the few instructions thunks are made of, as bytes. Encodings are of Intel SDM
 * volume 2; operands stand as in the manual, destination first.
 */
#ifndef GIBBON_ASSEMBLER_H
#define GIBBON_ASSEMBLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/layout.h"

/* Hardware numbers, Intel SDM table 3-1. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11 };

struct emitter {
    uint8_t *code;
    size_t at, room;  /* bytes written, and how many fit */
    uint64_t address; /* of code[0] */
    bool failed;      /* a displacement did not fit, or the code did not */
};

/* A place that jumps lead to before it is known. Each rel32 field that waits for it holds where
 * the one before is. */
struct label {
    size_t last; /* the last of them; 0: there is none */
};

void gib_put(struct emitter *e, const void *bytes, size_t size);
void gib_put32(struct emitter *e, uint32_t value);
/* The rel32 to `target` from the end of an instruction that ends `behind` bytes after the field. */
void gib_put_relative(struct emitter *e, uint64_t target, size_t behind);
#define BYTES(e, ...)                                                                              \
    gib_put(e, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* ModRM, SIB and displacement of `reg, [base + offset]`. */
void gib_put_operand(struct emitter *e, int reg, int base, int64_t offset);
/* 64-bit `opcode reg, [base + offset]`; 32-bit with gib_memory32. `extension` as reg: /0 to /7. */
void gib_memory(struct emitter *e, uint8_t opcode, int reg, int base, int64_t offset);
void gib_memory32(struct emitter *e, uint8_t opcode, int reg, int base, int64_t offset);
/* movq [base + offset], xmm0..7 */
void gib_store_xmm(struct emitter *e, int xmm, int base, int64_t offset);
/* mov reg, imm64 */
void gib_immediate(struct emitter *e, int reg, uint64_t value);

void gib_jump(struct emitter *e, uint64_t target);
/* The second byte of a conditional jump 0f 8x, or 0xe9 for an unconditional one. */
enum { JB = 0x82, JE = 0x84, JNE = 0x85, JA = 0x87, JMP = 0xe9 };
void gib_jump_label(struct emitter *e, uint8_t condition, struct label *label);
void gib_jump_if(struct emitter *e, uint8_t condition, uint64_t target);
void gib_label_here(struct emitter *e, const struct label *label);
/* The same of a place outside of this code. */
void gib_label_to(struct emitter *e, const struct label *label, uint64_t target);

/* Opcodes for gib_memory. */
enum { LOAD = 0x8b, STORE = 0x89, SUB = 0x2b, LEA = 0x8d, CMP = 0x3b };

/* The thunk's frame, struct gib_frame, is below rbp. */
#define IN_FRAME(field)       ((int64_t)offsetof(struct gib_frame, field) - GIB_FRAME_SIZE)
#define IN_THREAD(field)      ((int64_t)offsetof(struct gib_thread, field))
#define IN_SITE(field)        ((int64_t)offsetof(struct gib_site, field))
#define IN_RECORD(field)      ((int64_t)offsetof(struct gib_record, field))
#define save(e, reg, field)   gib_memory(e, STORE, reg, RBP, IN_FRAME(field))
#define reload(e, reg, field) gib_memory(e, LOAD, reg, RBP, IN_FRAME(field))

#endif
