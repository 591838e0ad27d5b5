/* Calls of work() inside of handle() and outside, in every way that there is of being inside. Inside: 1xx; outside: 2xx. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) int work(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}
static jmp_buf back;
static int number_in_handler;
static void on_signal(int number)
{
    work(number_in_handler);
}
static void alarm_now(int n)
{
    number_in_handler = n;
    raise(SIGALRM); /* which no debugger stops for */
}
enum how { CALL, RECURSE, JUMP, SIGNAL, THREAD, FORK, EXIT };

static void *other_thread(void *argument)
{
    return (void *)(long)work(240);
}
__attribute__((noinline)) int handle(enum how how, int n)
{
    char name[64] = "";
    pthread_t thread;
    if (how == CALL)
        return work(n) + (name[n % 64] = 1);
    if (how == RECURSE)
        return n > 110 ? handle(RECURSE, n - 1) + work(n) : work(n);
    if (how == JUMP) {
        work(n);
        longjmp(back, 1);
    }
    if (how == SIGNAL)
        alarm_now(n - 1);
    if (how == THREAD) {
        pthread_create(&thread, NULL, other_thread, NULL);
        pthread_join(thread, NULL);
    }
    if (how == FORK) {
        pid_t child = fork();
        if (child == 0) {
            int right = work(150) == 150;
            _exit(right ? 0 : 1);
        }
        int status;
        waitpid(child, &status, 0);
    }
    if (how == EXIT) {
        work(n);
        pthread_exit(NULL);
    }
    return work(n);
}
__attribute__((noinline)) static int deeper(int n)
{
    char room[512]; /* holds what handle() left there */
    __asm__ volatile("" : : "r"(room) : "memory");
    return work(n);
}
static void *leaves(void *argument)
{
    handle(EXIT, 160);
    return NULL;
}
static void *follows(void *argument)
{
    return (void *)(long)work(260);
}
static void use_signal_stack(void)
{
    stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    sigaltstack(&stack, NULL);
    sigaction(SIGALRM, &action, NULL);
}

int main(void)
{
    pthread_t thread;
    work(200);
    handle(CALL, 101);
    work(201);
    handle(RECURSE, 113);
    work(202);
    if (!setjmp(back))
        handle(JUMP, 120);
    work(220);
    signal(SIGALRM, on_signal);
    handle(SIGNAL, 131);
    use_signal_stack();
    handle(SIGNAL, 133);
    alarm_now(230);
    handle(THREAD, 140);
    work(241);
    handle(FORK, 151);
    work(250);
    pthread_create(&thread, NULL, leaves, NULL);
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, follows, NULL);
    pthread_join(thread, NULL);
    deeper(270);
    return 0;
}
