/*
 * condition_random.h: random expressions of the arguments and types of test_condition_oracle.c, as
 * conditions and as C.
 */
#ifndef CONDITION_RANDOM_H
#define CONDITION_RANDOM_H

#include <stdint.h>

void condition_seed(uint64_t seed);
uint64_t random64(void);
unsigned below(unsigned count);
#define PICK(list) list[below(sizeof(list) / sizeof *(list))]

/* One expression, as a condition and as C. */
struct pair {
    char condition[6000], c[60000];
};

/* Appends an expression that is meant as true or false. */
void generate_truth(struct pair *out, int depth);

#endif
