/* Eight threads make a million calls of counted(), and more of others; the main thread calls between() forty times meanwhile. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
enum { THREADS = 8, CALLS = 1000000, STOPS = 40 };
struct pair {
    long a, b, c;
};
static long done;
#define KEPT __attribute__((noinline))
KEPT long plain(long n) { return n * 3 + 1; }
KEPT long many(long a, long b, long c, long d, long e, long f, long g, long h) { return a - b + c - d + e - f + g - h; }
KEPT double real(double x, float y) { return x * 2 + (double)y; }
KEPT long text(const char *what) { return (long)strlen(what); }
KEPT long deep(long n) { return n ? 1 + deep(n - 1) : 0; }
KEPT struct pair pairs(struct pair p) { return (struct pair){p.c, p.b + 1, p.a}; }
KEPT long loop(long n)
{
    while (n-- > 0)
        __asm__ volatile("");
    return n;
}
KEPT void counted(long n) { __asm__ volatile("" : : "r"(n)); }
KEPT void between(long n) { __asm__ volatile("" : : "r"(n)); }
static void *work(void *first)
{
    long wrong = 0;
    for (long i = (long)first; i < CALLS; i += THREADS) {
        counted(i);
        wrong += plain(i) != i * 3 + 1;
        if (i % 4 == 0) {
            struct pair p = pairs((struct pair){i, 2, 3});
            wrong += many(i, 1, 2, 3, 4, 5, 6, 7) != i - 4;
            wrong += real((double)i, 0.5f) != (double)i * 2 + 0.5;
            wrong += text("four") != 4;
            wrong += deep(3) != 3;
            wrong += p.a != 3 || p.b != 3 || p.c != i;
            wrong += loop(5) != -1;
        }
        __atomic_add_fetch(&done, 1, __ATOMIC_RELAXED);
    }
    return (void *)wrong;
}
int main(void)
{
    pthread_t thread[THREADS];
    void *wrong;
    long all = 0;
    for (long t = 0; t < THREADS; t++)
        pthread_create(&thread[t], NULL, work, (void *)t);
    for (long n = 1; n <= STOPS; n++) {
        while (__atomic_load_n(&done, __ATOMIC_RELAXED) < CALLS / STOPS * n)
            ;
        between(n);
    }
    for (int t = 0; t < THREADS; t++) {
        pthread_join(thread[t], &wrong);
        all += (long)wrong;
    }
    printf("%ld calls, %ld wrong\n", done, all);
    return 0;
}
