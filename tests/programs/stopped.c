/*
 * Threads that stand in the first bytes of functions: in system calls there, in calls from there, on the way through an island.
 *
 *   stopped calls N        calls each of the short functions N times
 *   stopped waits N        another thread waits in system calls inside the window; ready() is called when it does
 *   stopped window N       handlers and calls come back into the window: ready() is called from there, and once more in each round
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>

/* long read_last(int fd, void *to, long size): the system call ends the window, and is restarted.
 * long read_middle(...): it stands before its end. nap(request, left): restarted by another call.
 * short_one(i): three bytes, and the next function at once: its detour is two jumps. calls_on(): a system call, 34, pause, whose end is
 * in the window; a signal handler comes back there. calls_off(f): so does a call, behind the two bytes of its detour. calls_never(): nobody can
 * patch it. */
long read_last(int fd, void *to, long size), read_middle(int fd, void *to, long size), nap(const struct timespec *request, struct timespec *left);
int short_one(int i), short_two(int i), calls_on(void), calls_off(int (*f)(void));
__asm__(".text\n"
        ".macro fun name\n .p2align 5\n .globl \\name\n .type \\name, @function\n \\name:\n.endm\n"
        ".macro end name\n .size \\name, . - \\name\n .fill 32, 1, 0x90\n.endm\n"
        "fun read_last\n xor %eax, %eax\n nop\n syscall\n ret\nend read_last\n"
        "fun read_middle\n xor %eax, %eax\n syscall\n mov %rax, %rax\n ret\nend read_middle\n"
        "fun nap\n push $35\n pop %rax\n syscall\n ret\nend nap\n"
        "fun short_one\n mov %edi, %eax\n ret\n .size short_one, . - short_one\n"
        ".globl short_two\n .type short_two, @function\n short_two: lea 1(%rdi), %eax\n ret\nend short_two\n"
        "fun calls_on\n syscall\n mov %eax, %eax\n add $1, %eax\n ret\nend calls_on\n"
        "fun calls_off\n push %rbx\n call *%rdi\n sub $1, %eax\n pop %rbx\n ret\nend calls_off\n"
        "fun calls_never\n ret\n .size calls_never, . - calls_never\n"
        ".globl behind\n .type behind, @function\n behind: mov $99, %eax\n ret\nend behind\n");

__attribute__((noinline)) int work(int i, const char *text)
{
    return i * 3 + (int)strlen(text);
}

__attribute__((noinline)) int ready(int i)
{
    __asm__ volatile("");
    return i;
}

static volatile int depth;
__attribute__((noinline)) int inside(void)
{
    return ready(depth++);
}

static void alarmed(int number)
{
    (void)number;
    inside();
}

/* The number of the system call is in eax. */
static int pause_in_window(void)
{
    struct itimerval soon = {{0, 0}, {0, 20000}};
    int result;
    signal(SIGALRM, alarmed);
    setitimer(ITIMER_REAL, &soon, NULL);
    __asm__ volatile("call calls_on" : "=a"(result) : "a"(SYS_pause) : "rcx", "r11", "memory", "cc");
    return result;
}

static int pipes[2];
static pid_t waiter;
static volatile int round_number, state; /* 1: about to wait */
static int rounds;

static void *wait_there(void *unused)
{
    (void)unused;
    waiter = (pid_t)syscall(SYS_gettid);
    for (int i = 0; i < rounds; i++) {
        char text[16] = "";
        struct timespec some = {0, 300000000}, left = {0, 0};
        long got;
        state = 1;
        if (i % 3 == 0)
            got = read_last(pipes[0], text, 8);
        else if (i % 3 == 1)
            got = read_middle(pipes[0], text, 8);
        else
            got = nap(&some, &left);
        printf("%d: %ld \"%s\"\n", i, got, text);
        state = 2;
        while (state == 2)
            usleep(100);
    }
    return NULL;
}

static char state_of(pid_t tid)
{
    char name[64], line[256], letter = '?';
    snprintf(name, sizeof name, "/proc/self/task/%d/stat", (int)tid);
    FILE *file = fopen(name, "r");
    if (file && fgets(line, sizeof line, file) && strrchr(line, ')'))
        letter = strrchr(line, ')')[2];
    if (file)
        fclose(file);
    return letter;
}

static void waits(void)
{
    pthread_t thread;
    if (pipe(pipes) || pthread_create(&thread, NULL, wait_there, NULL))
        exit(1);
    for (int i = 0; i < rounds; i++) {
        while (state != 1 || state_of(waiter) != 'S')
            usleep(100);
        ready(i);
        ready(i);
        if (i % 3 != 2 && write(pipes[1], "abcdefgh", 4) != 4)
            exit(1);
        while (state != 2)
            usleep(100);
        state = 0;
    }
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "calls";
    long sum = 0;
    rounds = argc > 2 ? atoi(argv[2]) : 3;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(what, "waits"))
        waits();
    for (int i = 0; !strcmp(what, "calls") && i < rounds; i++) {
        sum += work(i, "text") + short_one(i) * 7 + short_two(i) * 11;
        ready(i);
    }
    for (int i = 0; !strcmp(what, "window") && i < rounds; i++) {
        sum = sum * 3 + pause_in_window() + calls_off(inside) * 100;
        ready(i);
    }
    printf("done %ld\n", sum);
    return 0;
}
