/* A function that is called in a signal handler, in a thread, at the beginning of a function that was interrupted. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define OWN __attribute__((noinline))

static volatile int sum;

OWN void leaf(int n)
{
    sum += n;
}
static OWN void on_signal(int number)
{
    leaf(number);
    sum++;
}
/* Its first instruction traps: the address that the signal has interrupted is the function's own. */
OWN void traps(void);
__asm__(".text\n.globl traps\n.type traps, @function\n nop\n nop\n nop\n nop\ntraps:\n.cfi_startproc\n ud2\n ret\n.cfi_endproc\n"
        ".size traps, .-traps\n");
static void on_trap(int number, siginfo_t *info, void *context)
{
    leaf(number);
    sum++;
    /* Behind the ud2. */
    ((unsigned long *)context)[5 + 16] += 2;
}
static OWN void interrupted(void)
{
    raise(SIGUSR1);
    sum++;
    traps();
    sum++;
}
static void *run(void *argument)
{
    leaf(1);
    sum++;
    return argument;
}

int main(void)
{
    pthread_t thread;
    struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    signal(SIGUSR1, on_signal);
    sigaction(SIGILL, &trap, NULL);
    interrupted();
    pthread_create(&thread, NULL, run, NULL);
    pthread_join(thread, NULL);
    printf("sum %d\n", sum);
    return 0;
}
