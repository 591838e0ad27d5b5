/*
 * Runs relocated code against its original on this machine's own processor, step by step in a
 * traced child: everything the processor knows, AVX-512 too, with its own flags and faults.
 */
#ifndef GIBBON_TESTS_RELOCATE_NATIVE_H
#define GIBBON_TESTS_RELOCATE_NATIVE_H

#include "gibbon/relocate.h"

/* Functions are placed here; the 64 KiB around are memory for them to use. Copies go to one of the
 * two places behind. */
#define NATIVE_FROM 0x7e0000410000ULL
#define NATIVE_NEAR (NATIVE_FROM + 0x100000)
#define NATIVE_FAR  (NATIVE_FROM + 0x10000000000ULL)

enum native_verdict {
    NATIVE_SAME,
    NATIVE_FAULTS_ALIKE, /* the same signal at the same instruction, in the same state */
    NATIVE_TOO_LONG,     /* alike as far as it was run */
    NATIVE_WRITES_CODE,  /* the code changes itself */
    NATIVE_DIFFERENT,
};

struct native;

/* NULL when this machine does not allow it. */
struct native *native_new(void);
void native_free(struct native *native);

/*
 * Runs both from one state, drawn from `seed`, beginning at the boundary with this index, until
 * each has left its window. Compares the general registers and flags at every boundary; all of the
 * processor's state, all memory and the PC at the end. A return address that the copy pushes may be
 * the copy's of the same boundary, unless `returns_home`. `why` gets a sentence for
 * NATIVE_DIFFERENT.
 */
enum native_verdict native_compare(struct native *native,
                                   const struct gib_relocation_request *request,
                                   const struct gib_relocation *copy, size_t boundary,
                                   bool returns_home, uint64_t seed, char *why, size_t why_size);

#endif
