/* Calls functions of libc and its own that packages patch, early, in a thread and in a child; one reference to getpid is taken early. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static int (*volatile taken)(void);
static int early_pid;
__attribute__((noinline)) int add(int a, int b) { __asm__ volatile("" : "+r"(a)); return a + b; }
__attribute__((noinline)) void mark(void) { __asm__ volatile(""); }
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static void *in_thread(void *unused) { printf("thread %d\n", getpid() == 1); return unused; }
__attribute__((constructor)) static void begin(void)
{
    taken = getpid;
    early_pid = getpid();
}
int main(int argc, char **argv)
{
    int numbers[] = {3, 1, 2};
    volatile double one = 1;
    struct addrinfo *found = NULL;
    pthread_t thread;
    mark();
    qsort(numbers, 3, sizeof *numbers, compare);
    printf("sorted %d%d%d\n", numbers[0], numbers[1], numbers[2]);
    printf("pid %d %d %d\n", early_pid == 1, getpid() == 1, taken() == 1);
    printf("parent %d\n", getppid() == 0);
    printf("cos %.3f\n", cos(one));
    printf("home %s\n", getenv("PATCHED") ? getenv("PATCHED") : "none");
    errno = 0;
    int fd = open("/etc/passwd", O_RDONLY);
    printf("open %s\n", fd < 0 ? strerrorname_np(errno) : "works");
    printf("fopen %d\n", fopen("/etc/group", "r") != NULL);
    printf("getaddrinfo %d\n", getaddrinfo("127.0.0.1", NULL, NULL, &found));
    printf("sleep %u\n", sleep(0));
    printf("strlen %zu\n", strlen(argc > 5 ? argv[5] : "four"));
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    fflush(stdout);
    if (fork() == 0) {
        printf("child %d\n", getpid() == 1);
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    for (int i = 1; i <= 5; i++) {
        mark();
        printf("add %d\n", add(i, 1));
    }
    return 0;
}
