/* Loads a library, unloads it, loads it somewhere else, and then again and again as fast as it can. */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

__attribute__((noinline)) void between(int i) { __asm__ volatile("" : : "r"(i)); }

static void *open_it(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    if (!library) {
        puts(dlerror());
        exit(1);
    }
    return library;
}

static int call_it(void *library, int n)
{
    int (*work)(int) = (int (*)(int))dlsym(library, "plugin_work");
    return work(n);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "";
    void *library = open_it(path);
    char *place = (char *)((struct link_map *)library)->l_addr;
    long sum = 0;
    between(1);
    sum += call_it(library, 1);
    dlclose(library);
    between(2);
    void *taken = mmap(place, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    library = open_it(path);
    printf("elsewhere: %d\n", (char *)((struct link_map *)library)->l_addr != place);
    between(3);
    sum += call_it(library, 2);
    dlclose(library);
    munmap(taken, 4096);
    for (int i = 0; i < 100; i++) {
        library = open_it(path);
        sum += call_it(library, i);
        dlclose(library);
    }
    printf("sum %ld\n", sum);
    return 0;
}
