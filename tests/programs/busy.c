/* Threads that are always in the functions of libbusy.c, which is loaded while they run; the main thread has each chosen, then chosen again. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
enum { FIRST = 10, LAST = 69 };
typedef long function(long);
static function *busy[100];
static volatile int over, turns;
static void *work(void *nothing)
{
    long wrong = 0;
    for (; !over; turns++)
        for (int i = FIRST; i <= LAST; i++)
            for (long k = 0; k < 50; k++)
                wrong += busy[i](k) != 2 * k + i;
    return (void *)wrong;
}
__attribute__((noinline)) long choose(void *library)
{
    char name[30];
    long sum = 0;
    for (int i = FIRST; i <= LAST; i++) {
        snprintf(name, sizeof name, "chosen_%d", i);
        sum += ((function *)dlsym(library, name))(1);
    }
    return sum;
}
__attribute__((noinline)) void chosen_them(void) { turns = turns - turns / 2; }
int main(int argc, char **argv)
{
    pthread_t thread[3];
    void *library = dlopen(argv[argc - 1], RTLD_LAZY), *wrong;
    char name[30];
    for (int i = FIRST; i <= LAST; i++) {
        snprintf(name, sizeof name, "busy_%d", i);
        if (!(busy[i] = (function *)dlsym(library, name)))
            return 1;
    }
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, work, NULL);
    while (turns < 100)
        ;
    long sum = choose(library);
    chosen_them();
    sum += choose(library);
    over = 1;
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], &wrong);
        sum += (long)wrong;
    }
    printf("%ld\n", sum);
    return 0;
}
