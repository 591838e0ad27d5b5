/* Calls inside calls, and the ways out of them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN __attribute__((noinline))

static jmp_buf away;
static volatile int sum;

OWN int inner(int n)
{
    sum += n;
    return n + sum - sum;
}
OWN int middle(int n)
{
    int result = inner(n);
    result += inner(n + 1);
    return result;
}
OWN int outer(int n)
{
    int result = middle(n);
    return result + inner(n);
}
OWN void leaves(int n)
{
    inner(n);
    longjmp(away, 1);
}
OWN void enters(int n)
{
    inner(n);
    leaves(1);
}
OWN int catches(int n)
{
    if (!setjmp(away))
        leaves(n);
    return inner(n);
}
OWN int forks(int n)
{
    inner(n);
    int child = fork();
    if (child) {
        waitpid(child, NULL, 0);
        inner(n + 1);
    }
    return child;
}
/* The parent is back long before the children are, which wait for it. */
static int ready[2];
OWN int storm(int n)
{
    char byte;
    inner(n);
    int child = fork();
    if (!child) {
        close(ready[1]);
        (void)!read(ready[0], &byte, 1);
    }
    return child != 0;
}
OWN void ends(int n)
{
    inner(n);
    exit(0);
}
OWN void last(int n)
{
    inner(n);
    ends(n + 1);
}
static void *run(void *argument)
{
    outer((int)(long)argument);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "plain";
    if (!strcmp(what, "plain")) {
        outer(1);
        outer(2);
    } else if (!strcmp(what, "jumps")) {
        catches(1);
        inner(5);
    } else if (!strcmp(what, "rounds")) {
        for (volatile int i = 0; i < 40; i++)
            if (!setjmp(away))
                enters(7);
        inner(5);
    } else if (!strcmp(what, "forks")) {
        if (!forks(1)) {
            inner(9);
            _exit(0);
        }
    } else if (!strcmp(what, "storm")) {
        (void)!pipe(ready);
        for (int i = 0; i < 100; i++) {
            if (!storm(i)) {
                inner(1000 + i);
                _exit(0);
            }
        }
        close(ready[1]);
        while (wait(NULL) > 0)
            continue;
    } else if (!strcmp(what, "ends")) {
        last(1);
    } else if (!strcmp(what, "threads")) {
        pthread_t thread[4];
        for (long i = 0; i < 4; i++)
            pthread_create(&thread[i], NULL, run, (void *)(10 * i + 10));
        for (int i = 0; i < 4; i++)
            pthread_join(thread[i], NULL);
    }
    return 0;
}
