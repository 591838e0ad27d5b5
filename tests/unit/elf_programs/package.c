/* A package's shared object, in variants: what an object may need, and what must be refused. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int value = 42;
static int *pointer = &value;
static char empty[9000];
static const char text[] = "five.";

__attribute__((noinline)) static long square(long x)
{
    __asm__("");
    return x * x;
}
static long (*const table[])(long) = {NULL, square}; /* relocated, read-only afterwards */

/* A name that libc has as well: here it is this one. */
int getdtablesize(void)
{
    return -1000;
}
int (*own_size)(void) = getdtablesize;

static long chosen(void)
{
    return 77;
}
static long (*choose(void))(void)
{
    return chosen;
}
long own_ifunc(void) __attribute__((ifunc("choose")));

extern void nobody_has_this(void) __attribute__((weak));

/* gcc makes vector code of this call's surroundings: arguments in vector registers pass the stub. */
size_t (*volatile length)(const char *) = strlen;

#if defined(OLD_VERSION)
void *old_memcpy(void *to, const void *from, size_t size);
__asm__(".symver old_memcpy,memcpy@GLIBC_2.2.5");
void *(*volatile copy)(void *, const void *, size_t) = old_memcpy;
void *(*volatile new_copy)(void *, const void *, size_t) = memcpy;
#endif

/* 0, or a bit for each thing that is wrong. */
long package_test(void)
{
    long wrong = 0;
    wrong |= pointer != &value || *pointer != 42;
    wrong |= (table[value - 41](3) != 9) << 1;
    for (size_t i = 0; i < sizeof empty; i++)
        wrong |= (empty[i] != 0) << 2;
    for (int i = 0; i < 2; i++) {
        wrong |= (strlen(text + i) != 5u - i) << 3;
        wrong |= (length(text + i) != 5u - i) << 4;
        wrong |= (own_ifunc() != 77) << 5;
    }
    wrong |= (getdtablesize() != -1000 || own_size() != -1000) << 6;
    wrong |= (nobody_has_this != NULL) << 7;
    const char *variable = getenv("GIBBON_TEST");
    wrong |= (!variable || strcmp(variable, "environment")) << 8;
    wrong |= (!environ || !*environ) << 9;
    char printed[64];
    snprintf(printed, sizeof printed, "%d %s %.1f", 7, "words", 2.5);
    wrong |= (strcmp(printed, "7 words 2.5") != 0) << 10;
    fprintf(stdout, "%s", "");
    wrong |= (fflush(stdout) != 0) << 11;
    errno = 0;
    wrong |= (close(-1) != -1 || errno != EBADF) << 12;
    memset(empty, 1, sizeof empty);
    wrong |= (empty[8999] != 1) << 13;
    memset(empty, 0, sizeof empty);
#if defined(OLD_VERSION)
    wrong |= (copy == new_copy) << 14;
#endif
    return wrong;
}

#if defined(THREAD_LOCAL)
__thread long mine = 3;
long thread_local_test(void)
{
    return mine++;
}
#endif
#if defined(CONSTRUCTOR)
__attribute__((constructor)) static void construct(void)
{
    value = 0;
}
#endif
#if defined(DESTRUCTOR)
__attribute__((destructor)) static void destruct(void)
{
    value = 0;
}
#endif
#if defined(MISSING)
extern long first_missing(void), second_missing(void);
long missing_test(void)
{
    return first_missing() + second_missing();
}
#endif
#if defined(TEXT_RELOCATION)
__asm__(".text\n.global in_text\nin_text: .quad environ\n");
#endif
#if defined(NEEDS_LIBM)
double libm_test(double x)
{
    return cos(x);
}
#endif
