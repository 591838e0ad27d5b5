/* Stops (at `between`) with every vector register and the x87 stack in use, and looks at them again. */
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
static unsigned char before[16][32] __attribute__((aligned(32))), after[16][32] __attribute__((aligned(32)));
static long double low, high;
void between(void);
#define EACH(what) what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7) what(8) what(9) what(10) what(11) what(12) what(13) what(14) what(15)
#define LOAD(n) "vmovdqu " #n "*32(%0), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqu %%ymm" #n ", " #n "*32(%1)\n\t"
#define LOAD_HALF(n) "movdqu " #n "*32(%0), %%xmm" #n "\n\t"
#define STORE_HALF(n) "movdqu %%xmm" #n ", " #n "*32(%1)\n\t"
#define REST "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
/* Two instructions, so that a breakpoint by name has nowhere else to go. */
__asm__(".globl between\n.type between,@function\nbetween: nop\n nop\n ret\n.size between,.-between");
int main(void)
{
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 32; k++)
            before[i][k] = (unsigned char)(i * 37 + k * 5 + 1);
    __asm__ volatile("fldpi\n\tfldl2e" ::);
    if (__builtin_cpu_supports("avx")) {
        __asm__ volatile(EACH(LOAD) "call between\n\t" EACH(STORE) "vzeroupper" : : "r"(before), "r"(after) : REST);
    } else {
        __asm__ volatile(EACH(LOAD_HALF) "call between\n\t" EACH(STORE_HALF) : : "r"(before), "r"(after) : REST);
        for (int i = 0; i < 16; i++)
            memcpy(after[i] + 16, before[i] + 16, 16);
    }
    __asm__ volatile("fstpt %0\n\tfstpt %1" : "=m"(high), "=m"(low));
    printf("%s, %.3Lf %.3Lf\n", memcmp(before, after, sizeof before) ? "changed" : "the same", low, high);
    return 0;
}
