/* Functions to be stopped at: called again and again by several threads, by themselves, by a signal handler, in a child; with results and errors. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long sum;
__attribute__((noinline)) long hit(int thread, long i)
{
    sum += i;
    return i * 10 + thread;
}
__attribute__((noinline)) long deep(int n) { return n ? deep(n - 1) + n : sum * 0; }
__attribute__((noinline)) double half(double x, float y) { return x / 2 + (double)y; }
__attribute__((noinline)) const char *say(int n) { return n % 2 ? "odd" : "even"; }
__attribute__((noinline)) int fail(int code)
{
    errno = code;
    return code ? -1 : 0;
}
__attribute__((noinline)) void nothing(int n) { sum += n; }

static int calls = 20;
static void *work(void *argument)
{
    long wrong = 0;
    for (long i = 0; i < calls; i++)
        wrong += hit((int)(long)argument, i) != i * 10 + (long)argument;
    return (void *)wrong;
}

static int threads(int count)
{
    pthread_t id[32];
    long wrong = 0;
    for (int i = 0; i < count; i++)
        pthread_create(&id[i], NULL, work, (void *)(long)i);
    for (int i = 0; i < count; i++) {
        void *result;
        pthread_join(id[i], &result);
        wrong += (long)result;
    }
    return printf("%d calls, %ld wrong\n", count * calls, wrong) < 0;
}

static void handler(int number) { hit(number, 7); }

static int in_child(void)
{
    pid_t child = fork();
    int status;
    for (int i = 0; i < 3; i++)
        hit(child ? 1 : 2, i);
    if (!child)
        _exit(5);
    waitpid(child, &status, 0);
    return printf("child %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status)) < 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "results";
    if (!strcmp(what, "threads"))
        return threads(argc > 2 ? atoi(argv[2]) : 4);
    if (!strcmp(what, "fork"))
        return in_child();
    if (!strcmp(what, "signal")) {
        signal(SIGUSR1, handler);
        raise(SIGUSR1);
        return puts("handled") < 0;
    }
    if (!strcmp(what, "deep"))
        return printf("deep %ld\n", deep(5)) < 0;
    for (int i = 0; i < 3; i++) {
        double h = half(i, 0.5f);
        const char *s = say(i);
        int f = fail(i);
        nothing(i);
        free(malloc(1234));
        printf("%g %s %d\n", h, s, f);
    }
    return 0;
}
