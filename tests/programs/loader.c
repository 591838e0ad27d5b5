/* Loads a library, calls into it, unloads it, and all that twice. */
#include <dlfcn.h>
#include <stdio.h>
__attribute__((noinline)) void loaded(int round) { __asm__ volatile("" : : "r"(round)); }
__attribute__((noinline)) void unloaded(int round) { __asm__ volatile("" : : "r"(round)); }
int main(int argc, char **argv)
{
    for (int round = 1; round <= 2 && argc > 1; round++) {
        void *library = dlopen(argv[1], RTLD_NOW);
        if (!library) {
            puts(dlerror());
            return 1;
        }
        int (*work)(int) = (int (*)(int))dlsym(library, "plugin_work");
        loaded(round);
        printf("%d\n", work(round * 100));
        dlclose(library);
        unloaded(round);
    }
    puts("over");
    return 0;
}
