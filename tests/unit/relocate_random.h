/*
 * Random sequences of valid instructions: every class that a compiler or a person writes at a
 * function's entry, in every encoding, mixed.
 */
#ifndef GIBBON_TESTS_RELOCATE_RANDOM_H
#define GIBBON_TESTS_RELOCATE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills `bytes` with whole instructions, the rest with nops. Returns how many templates there are;
 * used[i] is set for those taken. */
size_t random_instructions(uint8_t *bytes, size_t size, uint64_t *random, uint8_t *used);

/* The text of a template, for a report. */
const char *random_template(size_t index);

#endif
