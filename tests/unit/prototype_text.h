/* A prototype in full as one line of text, so that a test can say what it expects in one string. */
#ifndef PROTOTYPE_TEXT_H
#define PROTOTYPE_TEXT_H
#include "prototypes/prototype.h"

#define DATA_DIRECTORY GIBBON_SOURCE_DIR "/core/prototypes/data"

/*
 * `ssize_t=i8 write(fd:int=i4, buf:const void *=p, n:size_t=u8) errno`: names, spellings, and the
 * kind with the size: i and u integers, b bool, c and C signed and unsigned characters, f float, x
 * complex, e and E signed and unsigned enumerations (with the count of enumerators), s string, p
 * pointer, r record, v vector. Eightbyte classes follow where kind and size do not imply them:
 * `r16[II]`. The result is a static buffer.
 */
const char *prototype_text(const struct gib_prototype *prototype);
#endif
