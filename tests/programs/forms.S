/*
 * Entries that no compiler makes often, or at all. Every function is int f(int) unless forms.c says otherwise. Between groups there is padding, so that
 * a short jump finds an island.
 */
        .macro  begin name
        .globl  \name
        .type   \name, @function
\name:
        .endm
        .macro  end name
        .size   \name, . - \name
        .endm
        .macro  island
        .fill   32, 1, 0x90
        .p2align 5
        .endm

        .text
        .p2align 5
/* One instruction. */
begin only_ret
        ret
end only_ret
        island
begin only_jump
        jmp     identity
end only_jump
        island
begin short_jump
        jmp     1f
end short_jump
        .nops   14
1:      jmp     identity
        island
begin only_ud2
        ud2
end only_ud2
        island
begin only_hlt
        hlt
end only_hlt
        island
begin identity
        mov     %edi, %eax
        ret
end identity
        island

/* Three bytes, and a neighbour at once; two bytes; one byte in front of a neighbour, which nobody can patch. */
begin three_bytes
        xor     %eax, %eax
        ret
end three_bytes
begin neighbour
        mov     $99, %eax
        ret
end neighbour
begin two_bytes
        rep ret
end two_bytes
begin one_byte
        ret
end one_byte
begin behind_one_byte
        lea     1(%rdi), %eax
        ret
end behind_one_byte
        island

/* Loops into the first bytes. */
begin loop_enclosed
        xor     %eax, %eax
1:      inc     %eax
        cmp     %edi, %eax
        jl      1b
        ret
end loop_enclosed
        island
begin loop_with_call
        push    %rbx
        mov     %edi, %ebx
1:      xor     %edi, %edi
        call    identity
        dec     %ebx
        jg      1b
        pop     %rbx
        ret
end loop_with_call
        island
begin loop_to_entry
        sub     $1, %edi
        js      1f
        lea     2f(%rip), %rax
        jmp     *%rax
2:      jmp     loop_to_entry
1:      mov     $5, %eax
        ret
end loop_to_entry
        island

/* Tables that lead into the first bytes. */
begin switch_back
        xor     %eax, %eax
.Lagain:      inc     %eax
        sub     $1, %edi
        mov     $0, %ecx
        setg    %cl
        lea     distances(%rip), %rdx
        movslq  (%rdx,%rcx,4), %rcx
        add     %rdx, %rcx
        jmp     *%rcx
.Ldone:      ret
end switch_back
        island
begin goto_back
        xor     %eax, %eax
.Lagain2:      inc     %eax
        sub     $1, %edi
        mov     $0, %ecx
        setg    %cl
        lea     labels(%rip), %rdx
        jmp     *(%rdx,%rcx,8)
.Ldone2:      ret
end goto_back
        island

/* Entered in the middle: by another function, near and far, and by a symbol that only the dynamic symbol table knows a caller of. */
begin entered
        xor     %eax, %eax
5:      lea     1(%rax,%rdi), %eax
        ret
end entered
begin enters_near
        mov     $10, %eax
        jmp     5b
end enters_near
        island
begin entered_from_far
        xor     %eax, %eax
6:      lea     2(%rax,%rdi), %eax
        ret
end entered_from_far
        island
begin outer
        xor     %eax, %eax
        .globl  inner
        .type   inner, @function
inner:  lea     3(%rdi), %eax
        ret
end outer
end inner
        island
begin local_label
        xor     %eax, %eax
a_label:
        lea     4(%rdi), %eax
        ret
end local_label
        island

/* Position-independent code that asks where it is. Gives the distance from its entry, 5. */
begin where_am_i
        call    1f
1:      pop     %rax
        lea     where_am_i(%rip), %rcx
        sub     %rcx, %rax
        ret
end where_am_i
        island
begin asks_a_thunk
        call    pc_thunk
        lea     asks_a_thunk(%rip), %rcx
        sub     %rcx, %rax
        ret
end asks_a_thunk
        island
begin pc_thunk
        mov     (%rsp), %rax
        ret
end pc_thunk
        island

/* In two parts: the other one is entered by jumps, once with the frame that the first has made, and once it jumps back to the entry. */
begin has_part
        .cfi_startproc
        sub     $8, %rsp
        .cfi_def_cfa_offset 16
        jmp     rest_of_it
        .cfi_endproc
end has_part
        island
begin rest_of_it
        .cfi_startproc
        .cfi_def_cfa_offset 16
        lea     9(%rdi), %eax
        add     $8, %rsp
        .cfi_def_cfa_offset 8
        ret
        .cfi_endproc
end rest_of_it
        island
begin cold_loop
        test    $1, %edi
        jne     cold_loop.cold
        lea     8(%rdi), %eax
        ret
end cold_loop
        island

/* Calls in the middle of the bytes that a detour needs. With padding in reach two bytes are enough, and a call that ends them. */
begin calls_early
        push    %rbx
        call    *calls_through(%rip)
        pop     %rbx
        ret
end calls_early
        island
begin calls_register
        lea     identity(%rip), %rax
        call    *%rax
        ret
end calls_register
        island

/* Branches that have only short forms, and memory operands relative to the program counter. */
begin counts
        mov     %edi, %ecx
        jrcxz   1f
2:      loop    2b
1:      mov     $6, %eax
        ret
end counts
        island
begin stack_through_memory
        push    cell(%rip)
        pop     cell(%rip)
        mov     cell(%rip), %eax
        add     %edi, %eax
        ret
end stack_through_memory
        island
begin lock_skip
        xor     %eax, %eax
        cmp     %eax, %eax
        je      1f
        lock
1:      cmpxchg %edi, spare(%rip)
        mov     %edi, %eax
        ret
end lock_skip
        island

/* Zeros behind a short function are data. */
begin before_zeros
        xor     %eax, %eax
        ret
end before_zeros
zeros:  .quad   0
begin reads_zeros
        mov     zeros(%rip), %eax
        add     %edi, %eax
        ret
end reads_zeros
        island

/* The five nops in front of a function belong to it: what is before it must not use them. */
begin before_pad
        nop
        ret
end before_pad
the_pad:
        .fill   5, 1, 0x90
begin padded
        .fill   2, 1, 0x90
        lea     7(%rdi), %eax
        ret
end padded
begin pad_is_whole
        lea     the_pad(%rip), %rax
        mov     (%rax), %ecx
        cmp     $0x90909090, %ecx
        mov     $0, %eax
        sete    %al
        ret
end pad_is_whole
        island

        .text
        .fill   4096, 1, 0xcc
begin cold_loop.cold
        inc     %edi
        jmp     cold_loop
end cold_loop.cold
        island
begin enters_far
        mov     $20, %eax
        jmp     6b
end enters_far
        island

        .section __patchable_function_entries, "awo", @progbits, .text
        .balign 8
        .quad   the_pad
        .section .rodata
        .balign 4
distances:
        .long   .Ldone - distances, .Lagain - distances
        .section .data.rel.ro, "aw"
        .balign 8
labels: .quad   .Ldone2, .Lagain2
calls_through:  .quad   identity
        .data
        .balign 8
cell:   .quad   11
spare:  .quad   0
        .section .note.GNU-stack, "", @progbits
