/* Threads that call hammer() without pause. Each call carries its thread and its number, so that a log shows every call lost or doubled. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 64 };
static int threads = 8;
static long calls = 10000;
static volatile long counted[MOST];
static volatile int running;
static volatile int patched; /* set by ready(): after it each thread makes `calls` more calls */

__attribute__((noinline)) long hammer(int thread, long i)
{
    counted[thread]++;
    return i * 3 + thread;
}

static void *work(void *argument)
{
    int thread = (int)(long)argument;
    long i = 0, wrong = 0;
    __sync_fetch_and_add(&running, 1);
    for (long left = calls; left > 0; i++) {
        wrong += hammer(thread, i) != i * 3 + thread;
        left -= patched;
    }
    return (void *)wrong;
}

__attribute__((noinline)) void ready(void) { __asm__ volatile("" ::: "memory"); }
__attribute__((noinline)) void over(void) { __asm__ volatile("" ::: "memory"); }

int main(int argc, char **argv)
{
    pthread_t id[MOST];
    long wrong = 0, total = 0;
    threads = argc > 1 ? atoi(argv[1]) : threads;
    calls = argc > 2 ? atol(argv[2]) : calls;
    patched = argc > 3; /* count from the first call on */
    for (int i = 0; i < threads; i++)
        pthread_create(&id[i], NULL, work, (void *)(long)i);
    while (running < threads)
        usleep(100);
    ready();
    patched = 1;
    for (int i = 0; i < threads; i++) {
        void *result;
        pthread_join(id[i], &result);
        wrong += (long)result;
    }
    for (int i = 0; i < threads; i++)
        total += counted[i];
    over();
    printf("total %ld wrong %ld\n", total, wrong);
    for (int i = 0; i < threads; i++)
        printf("thread %d: %ld\n", i, counted[i]);
    return 0;
}
