/* A plugin host: the same library by dlopen, again after dlclose, in a thread, in another namespace, in a child. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static const char *path;
__attribute__((noinline)) void between(void) { __asm__ volatile(""); }
static void use(void *library, const char *what)
{
    int (*work)(int) = library ? (int (*)(int))dlsym(library, "hosted") : NULL;
    if (!work) {
        puts(dlerror());
        exit(1);
    }
    printf("%s %d\n", what, work(10));
    fflush(stdout);
    dlclose(library);
    between();
}
static void *in_thread(void *unused)
{
    use(dlopen(path, RTLD_NOW), "thread");
    return unused;
}
int main(int argc, char **argv)
{
    pthread_t thread;
    path = argc > 1 ? argv[1] : "";
    use(dlopen(path, RTLD_NOW), "first");
    use(dlopen(path, RTLD_NOW), "again");
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    use(dlmopen(LM_ID_NEWLM, path, RTLD_NOW), "namespace");
    puts("over");
    return 0;
}
