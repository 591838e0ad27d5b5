/*
 * thunk.h: machine code for one patched entry, and the detour that leads to it. Pure: bytes and
 * addresses.
 */
#ifndef GIBBON_THUNK_H
#define GIBBON_THUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/layout.h"
#include "gibbon/relocate.h"

struct gib_condition;

enum gib_thunk_kind {
    GIB_THUNK_CALL_THROUGH, /* enter, call the original, leave */
    GIB_THUNK_ENTRY_ONLY,   /* enter, jump to the original */
    GIB_THUNK_COUNT,        /* count without a frame, jump to the callee */
    GIB_THUNK_DIVERT,       /* enter, jump to the callee or to what is below */
    GIB_THUNK_STOP,         /* enter, jump to the pad of stops or to what is below */
    GIB_THUNK_BEFORE,       /* call the callee, jump to what is below */
    GIB_THUNK_JUMP,         /* jump to where `active`, eight bytes, says */
    GIB_THUNK_FIND_FDE,     /* of the unwinder's own lookup: answer for thunks, else jump to the
                               original */
    GIB_THUNK_FIND_OBJECT,  /* the same of the C library's lookup, which gives 0 when it knows */
};

struct gib_thunk_request {
    enum gib_thunk_kind kind;
    uint64_t address;    /* where the thunk will run */
    uint64_t trampoline; /* or the layer below; within +-2 GiB of it */
    uint64_t callee;     /* what an accepted call goes to, within +-2 GiB; often the same */
    uint64_t active;     /* a 32-bit word, within +-2 GiB: enum gib_gate */
    uint64_t enter, leave, texts, count, find_fde; /* the agent's entry points, anywhere */
    uint64_t site, shared;                         /* their arguments */
    uint32_t stack_copy;                           /* as in struct gib_site */
    bool reads_xmm;                                /* keep xmm0..7 in the frame */
    bool result_xmm, result_xmm1, result_x87;      /* the result is there */
    bool keeps_entry;                              /* room for struct gib_kept below the frame */
    /* Calls for which it is false go to the trampoline at once; NULL: the agent decides, if there
     * is anything to decide. */
    const struct gib_condition *condition;
    /* A diverted call leaves all registers as they are but those of the result: callers may have
     * been compiled for what the original changes (gcc's -fipa-ra). */
    bool preserve;
    uint8_t preserve_not; /* enum gib_result_register: those of the result */
    uint64_t stop;        /* GIB_THUNK_STOP: the pad for calls, anywhere */
    uint64_t stop_return; /* the pad for returns, anywhere; 0: none of them stops */
    uint64_t hash;        /* address of struct gib_hash */
    /* What records of this site hold: words, strings, result, rules. The thunk of a plain one can
     * write them itself, while the gate says so. NULL: the agent writes all. */
    const struct gib_site *shape;
    /* GIB_THUNK_COUNT */
    uint32_t thread_pointer;          /* enum gib_thread_pointer */
    uint32_t counter, counter_offset; /* index, and its byte offset inside a thread block */
};

enum gib_result_register {
    GIB_IN_RAX = 1,
    GIB_IN_RDX = 2,
    GIB_IN_XMM0 = 4,
    GIB_IN_XMM1 = 8,
};

/* With a condition that it decides itself, GIB_CONDITION_INLINE_MAX. */
#define GIB_THUNK_MAX (2048 + 512)

/* What the gate of this site has to be, by its actions; fills in what GIB_GATE_FAST needs. */
enum gib_gate gib_site_gate(struct gib_site *site, const struct gib_shared *shared);

/* 0 and *size bytes in code[], or GIB_E_RANGE. */
int gib_thunk_make(const struct gib_thunk_request *request, uint8_t code[GIB_THUNK_MAX],
                   size_t *size, struct gib_error *error);

/* Where in the code of a thunk its frame stands: behind the instructions that make it. `size` when
 * it makes none. */
size_t gib_thunk_frame(const uint8_t *code, size_t size);

/* The CIE and FDE of an arena of `size` bytes at `address`, GIB_ARENA_HEAD bytes (agent/layout.h).
 */
void gib_thunk_unwind_entry(uint64_t address, uint64_t size, uint8_t *out);

#define GIB_DETOUR_SIZE 5
/* jmp rel32 from `from` to `to`; GIB_E_RANGE when too far. */
int gib_detour_make(uint64_t from, uint64_t to, uint8_t code[GIB_DETOUR_SIZE],
                    struct gib_error *error);

#endif
