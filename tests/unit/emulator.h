/*
 * Runs relocated code against its original in Unicorn: QEMU's decoder, which shares nothing with
 * the relocator's.
 */
#ifndef GIBBON_TESTS_EMULATOR_H
#define GIBBON_TESTS_EMULATOR_H

#include "gibbon/relocate.h"

#include <unicorn/unicorn.h>

enum verdict {
    SAME,
    FAULTS_ALIKE, /* both stopped at the same instruction with the same exception */
    CANNOT_RUN,   /* Unicorn does not know an instruction (AVX, TSX...) */
    WRITES_CODE,  /* the code changes itself */
    TOO_LONG,     /* a loop without end; alike as far as it was run */
    DIFFERENT,
};

struct emulator;

struct emulator *emulator_new(void);
void emulator_free(struct emulator *emulator);

/*
 * Runs the request's code and its copy from the same state, drawn from `seed`, until each has left
 * its window, and compares every general register, flag, vector register and the PC at every
 * boundary, and all memory written. `why` gets a sentence for DIFFERENT.
 */
enum verdict emulator_compare(struct emulator *emulator,
                              const struct gib_relocation_request *request,
                              const struct gib_relocation *copy, uint64_t seed, char *why,
                              size_t why_size);

/* A small generator, the same everywhere, so that a failure can be repeated. */
uint64_t random_next(uint64_t *state);

#endif
