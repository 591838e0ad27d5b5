/* condition_run.c: see condition_run.h. */
#include "condition_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- the agent's functions, over memory that the kernel reads ---- */

static bool readable(uint64_t address, void *out, uint64_t size)
{
    struct iovec to = {out, size}, from = {(void *)(uintptr_t)address, size};
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)size;
}

struct gib_view;
bool gib_readable(struct gib_view *view, uint64_t address, uint32_t size);
bool gib_copy_bytes(struct gib_view *view, uint64_t address, void *out, uint32_t size);

bool gib_stays(const struct gib_view *view, uint64_t address, uint32_t size);
bool gib_stays(const struct gib_view *view, uint64_t address, uint32_t size)
{
    return address & 1; /* both ways */
}

bool gib_readable(struct gib_view *view, uint64_t address, uint32_t size)
{
    char bytes[4096];
    return readable(address, bytes, size);
}

bool gib_copy_bytes(struct gib_view *view, uint64_t address, void *out, uint32_t size)
{
    return readable(address, out, size);
}

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include "agent/condition.c"

/* The agent's code has no vector registers, this program's has. What a call may change is changed.
 */
uint64_t keeping_read(void *, uint64_t, void *, uint64_t);
uint64_t keeping_text(void *, uint64_t, const struct gib_text_operand *);
#define KEEPING(name, function)                                                                    \
    name ":\n"                                                                                     \
         "    push %rbp\n mov %rsp, %rbp\n sub $576, %rsp\n and $-64, %rsp\n"                      \
         "    test $15, %bpl\n jne 1f\n"                                                           \
         "    fxsave (%rsp)\n call " function "\n fxrstor (%rsp)\n"                                \
         "    mov $0x7777, %ecx\n mov %rcx, %rdx\n mov %rcx, %rsi\n mov %rcx, %rdi\n"              \
         "    mov %rcx, %r8\n mov %rcx, %r9\n mov %rcx, %r10\n mov %rcx, %r11\n"                   \
         "    leave\n ret\n"                                                                       \
         "1:  ud2\n"
__asm__(".text\n" KEEPING("keeping_read", "gib_condition_read")
            KEEPING("keeping_text", "gib_condition_text"));

/* ---- what is kept over a call ---- */

/* Not static: the assembler code below has them by their names. */
char state_in[1024], state_out[1024];

/* Runs the function in rdi with the argument in rsi, between two looks at the vector registers,
 * whose upper halves are filled before. */
uint64_t condition_call(void *code, void *argument);
__asm__(".text\n"
        "condition_call:\n"
        "    push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n"
        "    mov %rdi, %r14\n"
        "    mov $0x1111, %r12\n mov $0x2222, %r13\n mov $0x3333, %rbx\n mov $0x4444, %rbp\n"
        "    mov $0x0123456789abcdef, %rax\n movq %rax, %xmm0\n punpcklqdq %xmm0, %xmm0\n"
        "    movaps %xmm0, %xmm1\n paddb %xmm0, %xmm1\n movaps %xmm1, %xmm15\n"
        "    lea state_in(%rip), %rax\n and $-64, %rax\n add $64, %rax\n fxsave (%rax)\n"
        "    mov %rsi, %rdi\n"
        "    call *%r14\n"
        "    lea state_out(%rip), %rcx\n and $-64, %rcx\n add $64, %rcx\n fxsave (%rcx)\n"
        "    cmp $0x1111, %r12\n jne 1f\n cmp $0x2222, %r13\n jne 1f\n"
        "    cmp $0x3333, %rbx\n jne 1f\n cmp $0x4444, %rbp\n jne 1f\n"
        "    jmp 2f\n"
        "1:  mov $99, %eax\n"
        "2:  pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

static uint8_t *page(void)
{
    static uint8_t *pages;
    if (!pages) {
        pages = mmap(NULL, 2 * GIB_CONDITION_MAX, PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(pages, MAP_FAILED);
    }
    return pages;
}

static const char *aligned(const char *state)
{
    return (const char *)(((uintptr_t)state & -(uintptr_t)64) + 64);
}

enum gib_verdict condition_run(const struct gib_condition *condition,
                               const struct gib_condition_call *call)
{
    struct gib_condition_call copy = *call;
    struct gib_error error;
    uint8_t code[GIB_CONDITION_MAX];
    size_t size;
    if (gib_condition_code(condition, code, &size, &error))
        fail_msg("%s", error.message);
    /* Anywhere: at an odd address, too. Only the thread's own registers may tell it where. */
    uint8_t *at = page() + 3;
    memcpy(at, code, size);
    copy.read = keeping_read;
    copy.text = keeping_text;
    uint64_t verdict = condition_call(at, &copy);
    if (verdict > GIB_VERDICT_FAILED)
        fail_msg("verdict %llu", (unsigned long long)verdict);
    /* mxcsr, then xmm0 to xmm15 */
    if (memcmp(aligned(state_in) + 24, aligned(state_out) + 24, 4) ||
        memcmp(aligned(state_in) + 160, aligned(state_out) + 160, 256))
        fail_msg("a vector register has changed");
    assert_memory_equal(call, &copy, offsetof(struct gib_condition_call, read));
    return (enum gib_verdict)verdict;
}

/* ---- in a thunk ---- */

enum { REGISTERS = 14 };
uint64_t inline_in[REGISTERS], inline_out[REGISTERS], inline_stack[16], inline_true;
void *inline_code;

void condition_enter(void);
void condition_true(void);
void condition_false(void);
__asm__(".text\n"
        "condition_enter:\n"
        "    push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "    mov $15, %eax\n lea inline_stack(%rip), %rcx\n"
        "1:  push (%rcx,%rax,8)\n dec %eax\n jns 1b\n"
        "    lea inline_in(%rip), %rbx\n"
        "    mov 0(%rbx), %rdi\n mov 8(%rbx), %rsi\n mov 16(%rbx), %rdx\n mov 24(%rbx), %rcx\n"
        "    mov 32(%rbx), %r8\n mov 40(%rbx), %r9\n mov 48(%rbx), %rax\n mov 56(%rbx), %r10\n"
        "    mov 64(%rbx), %r11\n mov 72(%rbx), %rbp\n mov 80(%rbx), %r12\n mov 88(%rbx), %r13\n"
        "    mov 96(%rbx), %r14\n mov 104(%rbx), %rbx\n"
        "    call *inline_code(%rip)\n"
        "    add $128, %rsp\n"
        "    pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        "condition_true:\n"
        "    movq $1, inline_true(%rip)\n jmp 2f\n"
        "condition_false:\n"
        "    movq $0, inline_true(%rip)\n"
        "2:  mov %rdi, inline_out(%rip)\n mov %rsi, 8+inline_out(%rip)\n"
        "    mov %rdx, 16+inline_out(%rip)\n mov %rcx, 24+inline_out(%rip)\n"
        "    mov %r8, 32+inline_out(%rip)\n mov %r9, 40+inline_out(%rip)\n"
        "    mov %rax, 48+inline_out(%rip)\n mov %r10, 56+inline_out(%rip)\n"
        "    mov %r11, 64+inline_out(%rip)\n mov %rbp, 72+inline_out(%rip)\n"
        "    mov %r12, 80+inline_out(%rip)\n mov %r13, 88+inline_out(%rip)\n"
        "    mov %r14, 96+inline_out(%rip)\n mov %rbx, 104+inline_out(%rip)\n ret\n");

/*  ff 25 0 ; address   jmp [rip] */
static void far_jump(uint8_t *at, void (*target)(void))
{
    static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};
    memcpy(at, jump, sizeof jump);
    memcpy(at + sizeof jump, &target, 8);
}

bool condition_run_inline(const struct gib_condition *condition,
                          const struct condition_words *words)
{
    uint8_t *code = page(), *no = code + GIB_CONDITION_MAX;
    struct emitter e = {code, 0, GIB_CONDITION_INLINE_MAX, (uint64_t)(uintptr_t)code, false};
    gib_condition_inline(&e, condition, (uint64_t)(uintptr_t)no);
    assert_false(e.failed);
    far_jump(code + e.at, condition_true);
    far_jump(no, condition_false);
    for (int i = 0; i < REGISTERS; i++)
        inline_in[i] = i < 6 ? words->gpr[i] : 0x5151515151515151ull * (unsigned)i + words->gpr[0];
    memcpy(inline_stack, words->stack, sizeof inline_stack);
    inline_code = code;
    condition_enter();
    for (int i = 0; i < REGISTERS; i++)
        if (inline_in[i] != inline_out[i])
            fail_msg("register %d was %llx and is %llx", i, (unsigned long long)inline_in[i],
                     (unsigned long long)inline_out[i]);
    return inline_true;
}
