/*
 * elf_test.h: what the tests of core/elf share: the programs they read, and other tools' answers.
 */
#ifndef ELF_TEST_H
#define ELF_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "elf/elf.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char *const c_programs[] = {ELF_C_PROGRAMS};
static const char *const cxx_programs[] = {ELF_CXX_PROGRAMS};

/* The C library this test runs with. */
static const char libc_path[] = "/lib/x86_64-linux-gnu/libc.so.6";

/* A path in a static buffer, of a program that CMake has built. */
static inline const char *program(const char *name)
{
    static char path[2][4096];
    static int turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s", ELF_PROGRAMS, name);
    return path[turn];
}

static inline struct gib_elf *open_elf(const char *path)
{
    struct gib_error error;
    struct gib_elf *elf = gib_elf_open(path, NULL, &error);
    if (!elf)
        fail_msg("%s", error.message);
    return elf;
}

/* Output of another program, to be compared with. */
__attribute__((format(printf, 1, 2))) static inline FILE *output_of(const char *format, ...)
{
    char command[8192];
    va_list list;
    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    FILE *stream = popen(command, "r");
    assert_non_null(stream);
    return stream;
}

struct found {
    struct gib_elf_symbol symbols[64];
    size_t count;
};

static inline void add_found(const struct gib_elf_symbol *symbol, void *context)
{
    struct found *found = context;
    if (found->count < COUNT(found->symbols))
        found->symbols[found->count] = *symbol;
    found->count++;
}

static inline struct found find(struct gib_elf *elf, const char *name)
{
    struct found found = {.count = 0};
    size_t count = gib_elf_find(elf, name, add_found, &found);
    assert_int_equal(count, found.count);
    return found;
}

/* A function there must be one of. */
static inline struct gib_elf_symbol find_one(struct gib_elf *elf, const char *name)
{
    struct found found = find(elf, name);
    if (found.count != 1)
        fail_msg("%zu functions called %s", found.count, name);
    return found.symbols[0];
}

static inline uint32_t random_number(void)
{
    static uint64_t state = 88172645463325252ULL;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 16;
}
#endif
