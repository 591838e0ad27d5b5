/* Ways of leaving a function that are no return: longjmp, a signal, exit in the middle, pthread_exit. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static jmp_buf back;
static volatile int signals;
__attribute__((noinline)) int leap(int n)
{
    if (n > 2)
        longjmp(back, n);
    __asm__ volatile("" : "+r"(n));
    return n;
}
__attribute__((noinline)) int landing(int n) { __asm__ volatile("" : "+r"(n)); return n * 2; }
__attribute__((noinline)) void signalled(int number) { signals += landing(number) != 0; }
__attribute__((noinline)) int twice(int n) { return setjmp(back) ? -n : leap(n); }
static void *thread(void *unused)
{
    landing(50);
    pthread_exit(unused);
}
int main(void)
{
    pthread_t id;
    for (int i = 1; i <= 4; i++)
        printf("%d ", twice(i));
    signal(SIGUSR1, signalled);
    for (int i = 0; i < 5; i++)
        raise(SIGUSR1);
    pthread_create(&id, NULL, thread, NULL);
    pthread_join(id, NULL);
    printf("%d %d\n", signals, landing(1000));
    fflush(stdout);
    exit(landing(1) + 1);
}
