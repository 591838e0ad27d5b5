/* alternate.S: what dwz leaves in a file: a result type at offset 12 of the alternate file, and a function at
 * offset 27, of which there is one here and an inlined copy in line 42 of `holder` (shared_types.S). */
        .text
        .globl  shared_result
        .type   shared_result, @function
shared_result:
        ret
3:      .size   shared_result, .-shared_result
        .globl  shared_inline
        .type   shared_inline, @function
shared_inline:
        ret
4:      .size   shared_inline, .-shared_inline
        .globl  holder
        .type   holder, @function
holder:
        nop
        ret
5:      .size   holder, .-holder
        .section .debug_abbrev, "", @progbits
        .uleb128 1, 0x11        /* DW_TAG_compile_unit, children: language, low_pc, high_pc */
        .byte   1, 0x13, 0x0b, 0x11, 0x01, 0x12, 0x07, 0, 0
        .uleb128 2, 0x2e        /* DW_TAG_subprogram: name, prototyped, low_pc, high_pc, type by DW_FORM_GNU_ref_alt */
        .byte   0, 0x03, 0x08, 0x27, 0x19, 0x11, 0x01, 0x12, 0x07, 0x49
        .uleb128 0x1f20
        .byte   0, 0
        .uleb128 3, 0x2e        /* DW_TAG_subprogram: abstract_origin by DW_FORM_GNU_ref_alt, low_pc, high_pc */
        .byte   0, 0x31
        .uleb128 0x1f20
        .byte   0x11, 0x01, 0x12, 0x07, 0, 0
        .uleb128 4, 0x2e        /* DW_TAG_subprogram, children: name, low_pc, high_pc */
        .byte   1, 0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0
        .uleb128 5, 0x1d        /* DW_TAG_inlined_subroutine: the same, call_line */
        .byte   0, 0x31
        .uleb128 0x1f20
        .byte   0x11, 0x01, 0x12, 0x07, 0x59, 0x0b, 0, 0
        .byte   0
        .section .debug_info, "", @progbits
        .long   2f - 1f
1:      .value  4
        .long   0
        .byte   8
        .uleb128 1
        .byte   12              /* DW_LANG_C99 */
        .quad   shared_result, 5b - shared_result
        .uleb128 2
        .string "shared_result"
        .quad   shared_result, 3b - shared_result
        .long   12
        .uleb128 3
        .long   27
        .quad   shared_inline, 4b - shared_inline
        .uleb128 4
        .string "holder"
        .quad   holder, 5b - holder
        .uleb128 5
        .long   27
        .quad   holder, 1
        .byte   42
        .byte   0
        .byte   0
2:
        .section .gnu_debugaltlink, "", @progbits
        .string "shared-types"
        .quad   0x0807060504030201, 0x100f0e0d0c0b0a09
        .section .note.GNU-stack, "", @progbits
