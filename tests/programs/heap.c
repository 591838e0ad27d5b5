/* Lets malloc grow the heap by brk and by mmap, with a function around each, and checks what it got. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) void begin(void) { __asm__ volatile("" ::: "memory"); }
int main(void)
{
    void *block[200];
    long sum = 0;
    begin();
    for (int i = 0; i < 200; i++) {
        size_t size = i % 10 == 9 ? 300000 : 3000;
        block[i] = malloc(size);
        memset(block[i], i, size);
    }
    for (int i = 0; i < 200; i++) {
        sum += ((unsigned char *)block[i])[2000];
        free(block[i]);
    }
    char line[50];
    int n = snprintf(line, sizeof line, "sum %ld\n", sum);
    return write(1, line, (size_t)n) == n ? 0 : 1;
}
