/* Text that goes away while it is looked at, and pointers to none: unmapped changing|bad CALLS. `echo`
 * itself reads nothing. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE     4096
#define NOINLINE __attribute__((noinline, noclone))

static bool stop;
static char *file, *gone;
static int fd;

NOINLINE int echo(int n, const char *s, const char *t)
{
    __asm__ volatile("nop; nop; nop; nop; nop" : "+r"(n) : "r"(s), "r"(t));
    return n;
}

/* The file shrinks and grows; the page goes, may not be read, and comes back. */
static void *change(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        (void)!ftruncate(fd, 0);
        (void)!ftruncate(fd, PAGE);
        munmap(gone, PAGE);
        mmap(gone, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        mmap(gone, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        memset(gone, 'g', PAGE);
    }
    return NULL;
}

static int changing(int calls)
{
    pthread_t thread;
    fd = memfd_create("shrinks", 0);
    (void)!ftruncate(fd, PAGE);
    file = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    gone = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(gone, 'g', PAGE);
    pthread_create(&thread, NULL, change, NULL);
    int last = 0;
    for (int i = 0; i < calls; i++)
        last = echo(i, i & 1 ? file : gone, gone + PAGE - 5);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    return last;
}

static int bad(int calls)
{
    char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(pages, 'p', 3 * PAGE);
    mprotect(pages, PAGE, PROT_NONE);
    munmap(pages + 2 * PAGE, PAGE);
    fd = memfd_create("short", 0);
    (void)!ftruncate(fd, PAGE);
    file = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0); /* the second page is behind its end */
    const uintptr_t all[] = {0,
                             1,
                             8,
                             PAGE - 1,
                             (uintptr_t)pages,
                             (uintptr_t)pages + PAGE - 1,
                             (uintptr_t)pages + 2 * PAGE - 1, /* the last byte of a page */
                             (uintptr_t)pages + 2 * PAGE,
                             (uintptr_t)file + PAGE,
                             0x8000000000000000,
                             0x00007fffffffffff,
                             0x0000800000000000, /* not canonical */
                             0xffff7fffffffffff,
                             0xffff800000000000,
                             0xffffffffff600000, /* vsyscall */
                             UINTPTR_MAX};
    enum { COUNT = sizeof all / sizeof *all };
    int last = 0;
    uint32_t seed = 1;
    for (int i = 0; i < calls; i++) {
        seed = seed * 1664525 + 1013904223;
        uintptr_t wild = (uintptr_t)seed << 32 | seed * 69069u;
        last = echo(i, (const char *)all[i % COUNT], i & 1 ? (const char *)wild : (const char *)all[(i / COUNT) % COUNT]);
    }
    return last;
}

int main(int argc, char **argv)
{
    int calls = argc > 2 ? atoi(argv[2]) : 1000;
    bool is_bad = argc > 1 && !strcmp(argv[1], "bad");
    printf("%d\n", is_bad ? bad(calls) : changing(calls));
    return 0;
}
