/* Everything a processor has, before, inside and after a call of a function in assembler that changes nothing of it. A patch must neither. */
#include <cpuid.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* rax rcx rdx rbx rbp rsi rdi r8..r15, flags; then the XSAVE image. */
struct state {
    uint64_t general[15], flags;
    _Alignas(64) unsigned char extended[16384];
};
struct state before, inside, after;
uint64_t mask, own_rsp;

__asm__(".macro save_general to\n"
        " mov %rax, \\to(%rip)\n mov %rcx, \\to+8(%rip)\n mov %rdx, \\to+16(%rip)\n mov %rbx, \\to+24(%rip)\n mov %rbp, \\to+32(%rip)\n"
        " mov %rsi, \\to+40(%rip)\n mov %rdi, \\to+48(%rip)\n mov %r8, \\to+56(%rip)\n mov %r9, \\to+64(%rip)\n mov %r10, \\to+72(%rip)\n"
        " mov %r11, \\to+80(%rip)\n mov %r12, \\to+88(%rip)\n mov %r13, \\to+96(%rip)\n mov %r14, \\to+104(%rip)\n mov %r15, \\to+112(%rip)\n"
        ".endm\n"
        ".macro load_general from\n"
        " mov \\from(%rip), %rax\n mov \\from+8(%rip), %rcx\n mov \\from+16(%rip), %rdx\n mov \\from+24(%rip), %rbx\n mov \\from+32(%rip), %rbp\n"
        " mov \\from+40(%rip), %rsi\n mov \\from+48(%rip), %rdi\n mov \\from+56(%rip), %r8\n mov \\from+64(%rip), %r9\n mov \\from+72(%rip), %r10\n"
        " mov \\from+80(%rip), %r11\n mov \\from+88(%rip), %r12\n mov \\from+96(%rip), %r13\n mov \\from+104(%rip), %r14\n mov \\from+112(%rip), %r15\n"
        ".endm\n"
        ".macro save_extended to\n push %rax\n push %rdx\n mov mask(%rip), %eax\n mov mask+4(%rip), %edx\n xsave64 \\to+128(%rip)\n pop %rdx\n pop %rax\n .endm\n"
        ".text\n"
        /* The patched function: seven bytes of nothing, then it looks around. */
        ".globl untouched\n.type untouched, @function\n"
        "untouched: .cfi_startproc\n nopl 0x0(%rax)\n nopw 0x0(%rax,%rax,1)\n"
        " save_general inside\n save_extended inside\n"
        /* What the caller left in its red zone is above; ours below may be used: */
        " movq $0x5a5a, -64(%rsp)\n movq $0x1234, -128(%rsp)\n"
        " ret\n .cfi_endproc\n.size untouched, . - untouched\n"
        ".globl calls_untouched\n.type calls_untouched, @function\n"
        "calls_untouched: .cfi_startproc\n"
        " push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n sub $8, %rsp\n"
        " mov %rsp, own_rsp(%rip)\n"
        " mov mask(%rip), %eax\n mov mask+4(%rip), %edx\n xrstor64 before+128(%rip)\n"
        " load_general before\n"
        " call untouched\n"
        " save_general after\n"
        " cmp %rsp, own_rsp(%rip)\n jne bad_stack\n"
        " save_extended after\n"
        " pushfq\n popq after+120(%rip)\n"
        " add $8, %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n emms\n ret\n"
        "bad_stack: ud2\n .cfi_endproc\n.size calls_untouched, . - calls_untouched\n");
void calls_untouched(void);

static uint64_t seed;
static unsigned char byte(void)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned char)(seed >> 40);
}
static void fill(void)
{
    for (int i = 0; i < 15; i++)
        for (int k = 0; k < 8; k++)
            ((unsigned char *)&before.general[i])[k] = byte();
    unsigned int eax, ebx, ecx, edx;
    /* The parts: 0 x87, 1 SSE, 2 AVX, 5 masks, 6 and 7 the rest of AVX-512. Sizes by CPUID leaf 13. */
    memset(before.extended, 0, sizeof before.extended);
    unsigned char *x = before.extended;
    for (int i = 32; i < 512 - 96; i++)
        x[i] = byte();
    for (int i = 0; i < 8; i++) { /* ten bytes a register, the rest reserved; the values are normal numbers */
        memset(x + 32 + 16 * i + 10, 0, 6);
        x[32 + 16 * i + 7] |= 0x80;
        x[32 + 16 * i + 9] = 0x40;
    }
    *(uint16_t *)x = 0x027f;         /* another precision than usual */
    *(uint16_t *)(x + 2) = 0;        /* top of stack */
    x[4] = 0xff;                     /* all registers full */
    *(uint32_t *)(x + 24) = 0x7f80;  /* mxcsr: round to zero */
    *(uint32_t *)(x + 28) = 0xffff;
    *(uint64_t *)(x + 512) = mask;
    for (unsigned int part = 2; part < 8; part++) {
        if (!(mask >> part & 1))
            continue;
        __cpuid_count(13, part, eax, ebx, ecx, edx);
        for (unsigned int i = 0; i < eax; i++)
            x[ebx + i] = byte();
    }
}
static int differs(const char *what, int turn, const struct state *got)
{
    static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
    int count = 0;
    for (int i = 0; i < 15; i++)
        if (got->general[i] != before.general[i]) {
            printf("%s, turn %d: %s\n", what, turn, names[i]);
            count++;
        }
    for (size_t i = 0; i < sizeof got->extended; i++) {
        if (i >= 8 && i < 24)
            continue; /* addresses of the last x87 instruction */
        if (i >= 512 - 48 && i < 576)
            continue; /* not written by the processor, and the header */
        if (got->extended[i] != before.extended[i]) {
            printf("%s, turn %d: byte %zu of the extended state\n", what, turn, i);
            if (++count > 5)
                break;
        }
    }
    return count;
}

int main(void)
{
    unsigned int eax, ebx, ecx, edx;
    __cpuid(1, eax, ebx, ecx, edx);
    if (!(ecx >> 27 & 1)) {
        puts("no XSAVE");
        return 0;
    }
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    mask = eax & 0xe7; /* without MPX, protection keys and tiles */
    int bad = 0;
    for (int turn = 0; turn < 2000 && bad < 20; turn++) {
        seed = (uint64_t)turn + 1;
        fill();
        memset(&inside, 0, sizeof inside);
        memset(&after, 0, sizeof after);
        calls_untouched();
        bad += differs("inside", turn, &inside) + differs("after", turn, &after);
        if (after.flags & 0x400) {
            puts("the direction flag is set");
            bad++;
        }
    }
    printf("mask %llx: %d differences\n", (unsigned long long)mask, bad);
    return bad != 0;
}
