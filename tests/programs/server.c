/* Runs for a minute at most, calling getenv and tick(); says how far it is on every line of its input. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline)) long tick(long n, const char *what) { __asm__ volatile("" : : "r"(what) : "memory"); return n + 1; }
int main(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char line[100];
    long n = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    for (int i = 0; i < 60000; i++) {
        if (poll(&input, 1, 1) > 0) {
            if (!fgets(line, sizeof line, stdin))
                break;
            printf("at %ld\n", n);
        }
        getenv("TICK");
        n = tick(n, "tock");
    }
    puts("bye");
    return 0;
}
