/* Calls with pointers to lists, texts and arrays, good ones and bad ones of every kind, for conditions that follow them: followed CALLS
 * THREADS. Prints, for each of the conditions that the test has, for how many calls it was true, false, and could not be read, and of how
 * many nobody can know: with more than one thread, the file under one of the pointers shrinks and grows all the while. */
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

struct node {
    int x;
    struct node *next;
};
enum verdict { TRUE, FALSE, BAD, OPEN, VERDICTS };
enum { CONDITIONS = 6, NODES = 17, TEXTS = 14, ARRAYS = 9 };

/* What is passed, and what conditions on it come to. */
static struct {
    struct node *p;
    enum verdict next_is_3, is_checked; /* p->next->x == 3; p && p->next && p->next->x == 3 */
} nodes[NODES];
static struct {
    const char *s;
    enum verdict is_x, begins, has; /* $streq(s, "x"), $startswith(s, "xy"), $strstr(s, "yz") */
} texts[TEXTS];
static struct {
    int *a;
    long i;
    enum verdict is_positive; /* a[i] > 0 */
} arrays[ARRAYS];
static unsigned long counts[CONDITIONS][VERDICTS];
static bool stop;
static int file;
static char *shrinking;

NOINLINE long follow(struct node *p, const char *s, int *a, long i)
{
    __asm__ volatile("nop; nop; nop; nop; nop" : "+r"(i) : "r"(p), "r"(s), "r"(a));
    return i;
}

static void add_node(int number, void *p, enum verdict next_is_3, enum verdict is_checked)
{
    nodes[number].p = p;
    nodes[number].next_is_3 = next_is_3;
    nodes[number].is_checked = is_checked;
}

static void add_text(int number, const char *s, enum verdict is_x, enum verdict begins, enum verdict has)
{
    texts[number].s = s;
    texts[number].is_x = is_x;
    texts[number].begins = begins;
    texts[number].has = has;
}

static void add_array(int number, int *a, long i, enum verdict is_positive)
{
    arrays[number].a = a;
    arrays[number].i = i;
    arrays[number].is_positive = is_positive;
}

/* A page that can be read, one that cannot, one that is not there. */
static void prepare(bool shrinks)
{
    static struct node three = {3, NULL}, four = {4, &three}, good = {0, &three}, other = {0, &four}, lost = {3, (struct node *)0x10};
    static struct node wild = {3, (struct node *)0x8000123412341234}, minus = {3, (struct node *)-1l};
    static int some[4] = {1, -1, 0, 7};
    static char x[] = "x", xyz[] = "xyz", none[] = "", long_one[3 * PAGE];
    char *page = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = page + PAGE;
    char *endless = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(endless, 'q', PAGE);
    mprotect(endless + PAGE, PAGE, PROT_NONE);
    mprotect(end, PAGE, PROT_NONE);
    munmap(end + PAGE, PAGE);
    struct node *last = (struct node *)(end - sizeof *last), *forbidden = (struct node *)end, *gone = (struct node *)(end + PAGE);
    static struct node to_last, to_forbidden;
    *last = (struct node){3, &three};
    to_last = (struct node){0, last};
    to_forbidden = (struct node){0, forbidden};
    memset(long_one, 'y', sizeof long_one - 1);
    long_one[sizeof long_one - 2] = 'z';
    add_node(0, &good, TRUE, TRUE);
    add_node(1, &other, FALSE, FALSE);
    add_node(2, NULL, BAD, FALSE);
    add_node(3, &three, BAD, FALSE);
    add_node(4, &lost, BAD, BAD);
    add_node(5, &wild, BAD, BAD);
    add_node(6, &minus, BAD, BAD);
    add_node(7, last, TRUE, TRUE);
    add_node(8, (char *)last + 8, BAD, BAD); /* x can be read, next is behind the page */
    add_node(9, forbidden, BAD, BAD);
    add_node(10, gone, BAD, BAD);
    add_node(11, (void *)0x8000000000000000, BAD, BAD);
    add_node(12, (void *)-1l, BAD, BAD);
    add_node(13, (void *)0x7fffffffffff, BAD, BAD);
    add_node(14, &to_last, TRUE, TRUE);
    add_node(15, &to_forbidden, BAD, BAD);
    add_node(16, &four, TRUE, TRUE);
    add_text(0, x, TRUE, FALSE, FALSE);
    add_text(1, xyz, FALSE, TRUE, TRUE);
    add_text(2, none, FALSE, FALSE, FALSE);
    add_text(3, NULL, BAD, BAD, BAD);
    add_text(4, (char *)1, BAD, BAD, BAD);
    add_text(5, end, BAD, BAD, BAD);
    add_text(6, end + PAGE, BAD, BAD, BAD);
    add_text(7, (char *)0x7ff123456789abcd, BAD, BAD, BAD);
    add_text(8, (char *)-1l, BAD, BAD, BAD);
    add_text(9, endless + PAGE - 300, FALSE, FALSE, BAD); /* ends with the page, not with a NUL */
    add_text(10, end - sizeof *last, FALSE, FALSE, FALSE);
    add_text(11, long_one, FALSE, FALSE, TRUE);
    add_text(12, long_one + 5000, FALSE, FALSE, TRUE);
    add_text(13, shrinking, shrinks ? OPEN : TRUE, shrinks ? OPEN : FALSE, shrinks ? OPEN : FALSE);
    add_array(0, some, 0, TRUE);
    add_array(1, some, 1, FALSE);
    add_array(2, some + 3, -1, FALSE);
    add_array(3, (int *)end, -1, ((int *)end)[-1] > 0 ? TRUE : FALSE);
    add_array(4, (int *)end, 0, BAD);
    add_array(5, NULL, 1000, BAD);
    add_array(6, some, 1l << 60, BAD);
    add_array(7, (int *)(end - 2), 0, BAD); /* two bytes in each page */
    add_array(8, (int *)(shrinking + 8), 1, shrinks ? OPEN : TRUE);
}

static void write_file(void)
{
    static const int content[8] = {'x', 2, 1, 1, 1, 1, 1, 1};
    (void)!pwrite(file, content, sizeof content, 0);
}

static void *shrink(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        (void)!ftruncate(file, 0);
        (void)!ftruncate(file, PAGE);
        write_file();
        usleep(20);
    }
    return NULL;
}

static enum verdict both(enum verdict a, enum verdict b)
{
    return a == TRUE ? b : a;
}

static void *call(void *argument)
{
    long number = (long)((intptr_t *)argument)[0], calls = (long)((intptr_t *)argument)[1];
    unsigned long seed = 88172645463325252ul + (unsigned long)number, own[CONDITIONS][VERDICTS] = {{0}};
    for (long k = 0; k < calls; k++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        unsigned long n = seed % NODES, t = seed / 100 % TEXTS, a = seed / 10000 % ARRAYS;
        own[0][nodes[n].next_is_3]++;
        own[1][nodes[n].is_checked]++;
        own[2][texts[t].is_x]++;
        own[3][texts[t].begins]++;
        own[4][texts[t].has]++;
        own[5][both(arrays[a].is_positive, nodes[n].next_is_3)]++;
        follow(nodes[n].p, texts[t].s, arrays[a].a, arrays[a].i);
    }
    for (int i = 0; i < CONDITIONS; i++)
        for (int v = 0; v < VERDICTS; v++)
            __atomic_fetch_add(&counts[i][v], own[i][v], __ATOMIC_RELAXED);
    return NULL;
}

int main(int argc, char **argv)
{
    long calls = argc > 1 ? atol(argv[1]) : 1000, threads = argc > 2 ? atol(argv[2]) : 1;
    pthread_t thread[16], shrinker;
    intptr_t work[16][2];
    file = memfd_create("shrinks", 0);
    (void)!ftruncate(file, PAGE);
    write_file();
    shrinking = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
    prepare(threads > 1);
    if (threads > 1)
        pthread_create(&shrinker, NULL, shrink, NULL);
    for (long i = 0; i < threads; i++) {
        work[i][0] = i;
        work[i][1] = calls / threads;
        if (threads > 1)
            pthread_create(&thread[i], NULL, call, work[i]);
        else
            call(work[i]);
    }
    if (threads > 1) {
        for (long i = 0; i < threads; i++)
            pthread_join(thread[i], NULL);
        __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
        pthread_join(shrinker, NULL);
    }
    for (int i = 0; i < CONDITIONS; i++)
        printf("%lu %lu %lu %lu\n", counts[i][TRUE], counts[i][FALSE], counts[i][BAD], counts[i][OPEN]);
    return 0;
}
