/* Seven threads wait inside a function when it is patched. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static volatile int go, inside;

__attribute__((noinline)) long work(long n)
{
    __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    while (!go)
        usleep(1000);
    return n + 1;
}

static void *start(void *number)
{
    return (void *)work((long)number);
}

__attribute__((noinline)) void stop_here(void)
{
    go = 0;
}

int main(void)
{
    pthread_t thread[7];
    long sum = 0;
    for (long i = 0; i < 7; i++)
        pthread_create(&thread[i], NULL, start, (void *)i);
    while (inside < 7)
        usleep(1000);
    stop_here();
    go = 1;
    for (int i = 0; i < 7; i++) {
        void *result;
        pthread_join(thread[i], &result);
        sum += (long)result;
    }
    printf("%ld\n", sum + work(3));
    return 0;
}
