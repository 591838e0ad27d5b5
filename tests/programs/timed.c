/* Calls whose number and time the tests know: timed [THREADS [CALLS]]. */
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static jmp_buf out;
static int calls = 40;

NOINLINE int pause_for(int milliseconds, const char *why)
{
    struct timespec pause = {0, milliseconds * 1000000L};
    nanosleep(&pause, NULL);
    return why[0];
}
NOINLINE int visit(int n, const char *name)
{
    __asm__ volatile("" : "+r"(n));
    return n + name[0];
}
NOINLINE void leave(int away)
{
    __asm__ volatile("" : "+r"(away));
    if (away)
        longjmp(out, 1);
}
NOINLINE int never_back(void)
{
    fflush(stdout);
    _exit(0);
}

NOINLINE static void from_here(int n)
{
    visit(n, "here");
}
static void *run(void *name)
{
    for (int i = 0; i < calls; i++)
        visit(i, name);
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    pthread_t thread[16];
    calls = argc > 2 ? atoi(argv[2]) : calls;
    threads = threads > 16 ? 16 : threads;
    for (int i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, run, "thread");
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < calls; i++)
        from_here(i);
    for (int i = 0; i < 3; i++)
        pause_for(20, "short");
    pause_for(100, "long");
    for (volatile int i = 0; i < 10; i++)
        if (!setjmp(out))
            leave(i < 4);
    access("/nowhere", F_OK);
    printf("%d calls\n", (threads + 1) * calls);
    never_back();
}
