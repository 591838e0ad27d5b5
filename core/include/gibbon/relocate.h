/*
 * gibbon/relocate.h: move the first instructions of a function elsewhere.
 *
 * Pure computation on bytes and addresses: no target, no allocation, no global state. Safe to call
 * from any thread at once.
 */
#ifndef GIBBON_RELOCATE_H
#define GIBBON_RELOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define GIB_API __attribute__((visibility("default")))
#else
#define GIB_API
#endif

/* What went wrong, for programs. The message of a struct gib_error says it for people. */
enum gib_error_code {
    GIB_OK = 0,
    GIB_E_ARGUMENT,    /* the caller broke this header's rules (NULL, size 0, unknown arch) */
    GIB_E_SYNTAX,      /* a command, an option, a declaration could not be parsed */
    GIB_E_NOT_FOUND,   /* no such function, module, patch, setting, file */
    GIB_E_AMBIGUOUS,   /* an abbreviation or a name that means more than one thing */
    GIB_E_DECODE,      /* bytes that are no known instruction */
    GIB_E_UNSUPPORTED, /* a known instruction or function that cannot be relocated safely */
    GIB_E_BRANCH,      /* a branch from elsewhere in the function lands inside the window */
    GIB_E_TOO_SHORT,   /* the function ends before enough bytes could be displaced */
    GIB_E_RANGE,       /* an address does not fit the encoding */
    GIB_E_SPACE,       /* the output buffer is too small */
    GIB_E_MEMORY,      /* the debugger's process is out of memory */
    GIB_E_TARGET,      /* the target could not be read, written or called */
    GIB_E_STATE,       /* not now: the target runs, or is not running, or is a core file */
    GIB_E_BUSY,        /* a thread or a breakpoint is inside the bytes to change */
    GIB_E_CHANGED,     /* the bytes differ from those expected */
    GIB_E_FILE,        /* a file could not be read or written */
    GIB_E_REFUSED,     /* the user answered no */
    GIB_E_INTERRUPTED, /* the user pressed Ctrl-C */
    GIB_E_WAITING,     /* a module that is needed is not loaded yet */
    GIB_E_CALL,        /* a function whose calls cannot be passed on: parameters, result, return */
};

enum { GIB_ERROR_MESSAGE = 512 }; /* bytes, with the NUL */
struct gib_error {
    int code;         /* one of enum gib_error_code */
    uint64_t address; /* the target's address it is about, or 0 */
    char
        message[GIB_ERROR_MESSAGE]; /* one sentence for the user: what, where and what would help */
};

enum gib_arch { GIB_ARCH_X86_64, GIB_ARCH_AARCH64 };

struct gib_relocation_request {
    enum gib_arch arch;
    const uint8_t *code; /* the function, whole; borrowed for the call */
    size_t code_size;    /* its size in bytes; branches are searched in all of it */
    uint64_t from;       /* address of code[0] */
    uint64_t to;         /* address the copy will run at */
    size_t min_bytes;    /* at least this many bytes are displaced */
};

/* Offsets of one instruction, in the original and in the copy. */
struct gib_relocation_boundary {
    uint16_t original, copy;
};

struct gib_relocation {
    uint8_t code[256];
    size_t size;        /* bytes of the copy, jump back included when falls_through */
    size_t consumed;    /* bytes of the original displaced, whole instructions */
    bool falls_through; /* the last displaced instruction can continue behind itself */
    struct gib_relocation_boundary boundary[32];
    size_t boundaries; /* one per displaced instruction, plus the end */
};

/*
 * Displaces whole instructions from code[0] on until at least min_bytes are covered, and writes
 * their equivalent for address `to` into out->code, followed by a jump back when the last one falls
 * through. At every boundary the copy has the registers, flags, stack pointer and memory that the
 * original has.
 *
 * Returns 0, or a GIB_E_ code with *error filled (address, bytes, instruction, reason) and *out
 * untouched. `error` may be NULL.
 */
GIB_API int gib_relocate(const struct gib_relocation_request *request, struct gib_relocation *out,
                         struct gib_error *error);

#ifdef __cplusplus
}
#endif
#endif
