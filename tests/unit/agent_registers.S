/*
 * agent_registers.S: every register before, inside and after a call, for test_agent_registers.c.
 *
 * struct registers: 0 gpr[16] in hardware order (rax rcx rdx rbx rsp rbp rsi rdi r8..r15), 128 flags, 136 mxcsr, 140 x87 control word, 144 ymm[16]
 * (32 bytes each), 656 x87 stack top (10 bytes).
 */
    .text

/* Loads all but rsp from (%r12-like scratch kept in memory); flags last. */
.macro load_all from
    fldt 656(\from)
    ldmxcsr 136(\from)
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovdqu 144 + 32 * \n(\from), %ymm\n
    .endr
    push 128(\from)
    popf
    mov 0(\from), %rax
    mov 8(\from), %rcx
    mov 16(\from), %rdx
    mov 24(\from), %rbx
    mov 40(\from), %rbp
    mov 48(\from), %rsi
    mov 64(\from), %r8
    mov 72(\from), %r9
    mov 80(\from), %r10
    mov 88(\from), %r11
    mov 96(\from), %r12
    mov 104(\from), %r13
    mov 112(\from), %r14
    mov 120(\from), %r15
    mov 56(\from), %rdi
.endm

/* Stores all into `to`, a symbol; keeps every register. */
.macro store_all to
    mov %rax, \to + 0(%rip)
    mov %rcx, \to + 8(%rip)
    mov %rdx, \to + 16(%rip)
    mov %rbx, \to + 24(%rip)
    mov %rsp, \to + 32(%rip)
    mov %rbp, \to + 40(%rip)
    mov %rsi, \to + 48(%rip)
    mov %rdi, \to + 56(%rip)
    mov %r8, \to + 64(%rip)
    mov %r9, \to + 72(%rip)
    mov %r10, \to + 80(%rip)
    mov %r11, \to + 88(%rip)
    mov %r12, \to + 96(%rip)
    mov %r13, \to + 104(%rip)
    mov %r14, \to + 112(%rip)
    mov %r15, \to + 120(%rip)
    pushf
    pop \to + 128(%rip)
    stmxcsr \to + 136(%rip)
    fnstcw \to + 140(%rip)
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovdqu %ymm\n, \to + 144 + 32 * \n(%rip)
    .endr
.endm

/* void call_with_registers(void *function): loads registers_in, calls, stores registers_after. */
    .globl call_with_registers
    .type call_with_registers, @function
call_with_registers:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    sub $8, %rsp
    mov %rdi, called(%rip)
    stmxcsr old_mxcsr(%rip)
    lea registers_in(%rip), %rdi
    load_all %rdi
    call *called(%rip)
    store_all registers_after
    fstpt registers_after + 656(%rip)
    ldmxcsr old_mxcsr(%rip)
    cld
    add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    vzeroupper
    ret

/* The original: notes what it got; returns with every register that it may change changed (registers_out). */
    .globl original_with_registers
    .type original_with_registers, @function
original_with_registers:
    store_all registers_inside
    fstpt registers_inside + 656(%rip)
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    lea registers_out(%rip), %rdi
    load_all %rdi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .bss
    .balign 64
    .globl registers_in, registers_inside, registers_out, registers_after
registers_in:     .zero 704
registers_inside: .zero 704
registers_out:    .zero 704
registers_after:  .zero 704
called:           .zero 8
old_mxcsr:        .zero 8
    .section .note.GNU-stack, "", @progbits
