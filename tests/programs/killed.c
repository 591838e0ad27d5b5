/* Eight threads call counted() and write down how far they are, in the file that is named; when they are far enough the process kills itself. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS = 8 };
static long *done; /* calls that have returned, by thread */

__attribute__((noinline, noclone)) long counted(long thread, long n)
{
    __asm__ volatile("nop; nop; nop; nop; nop" : "+r"(n) : "r"(thread));
    return n;
}

static void *work(void *number)
{
    long thread = (long)number;
    for (long n = 0;; n++) {
        counted(thread, n);
        __atomic_store_n(&done[thread], n + 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    long goal = argc > 2 ? atol(argv[2]) : 1000;
    int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
    (void)!ftruncate(fd, 4096);
    done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pthread_t id;
    for (long t = 0; t < THREADS; t++)
        pthread_create(&id, NULL, work, (void *)t);
    for (int t = 0; t < THREADS; t++)
        while (__atomic_load_n(&done[t], __ATOMIC_ACQUIRE) < goal)
            usleep(100);
    kill(getpid(), SIGKILL);
    return 0;
}
