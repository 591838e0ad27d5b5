/* made_file.h: an ELF file around the bytes that are fuzzed, so that these are not spent on
 * headers. */
#ifndef GIBBON_TESTS_MADE_FILE_H
#define GIBBON_TESTS_MADE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include "elf/elf.h"

/* Where its .text is: MADE_TEXT_SIZE bytes of nops. */
enum { MADE_TEXT = 0x1000, MADE_TEXT_SIZE = 0x400 };

struct made_section {
    const char *name;
    const uint8_t *bytes;
    size_t size;
};

/* A shared library with .text and these sections, which are loaded from MADE_TEXT + MADE_TEXT_SIZE
 * on, in their order, each at a multiple of 16. NULL: it is no file for Gibbon. The caller closes
 * it. */
struct gib_elf *made_file_open(const struct made_section *section, size_t count);

/* These bytes as a file. */
struct gib_elf *file_of_bytes(const uint8_t *bytes, size_t size);

#endif
