/* Functions whose first instructions, which a detour displaces, call another one. */
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline)) int inner(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n + 1;
}
int (*inner_pointer)(int) = inner;
int direct(int), indirect(int);
__asm__(".text\n.globl direct, indirect\n.type direct, @function\n.type indirect, @function\n"
        "direct: push %rbx\n call inner\n pop %rbx\n ret\n.size direct, .-direct\n.p2align 4\n"
        "indirect: push %rbx\n call *inner_pointer(%rip)\n pop %rbx\n ret\n"
        ".size indirect, .-indirect\n.p2align 4\n");
int main(void)
{
    int sum = 0;
    for (int i = 0; i < 5; i++)
        sum += direct(i) + indirect(i);
    printf("%d\n", sum);
    return 0;
}
