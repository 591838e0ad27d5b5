/* frames.S: frames that compilers seldom write. The test compares the rows with libdw's. */
        .text
.macro function name
        .globl  \name
        .type   \name, @function
\name:  .cfi_startproc
.endm
.macro end name
        .cfi_endproc
        .size   \name, .-\name
        .skip   3, 0x90         /* a gap: no row of the last function reaches it */
.endm

        function saved_rsp
        nop
        .cfi_val_offset rsp, 16
        nop
        .cfi_restore rsp
        nop
        .cfi_rel_offset rsp, 0
        nop
        .cfi_same_value rsp
        nop
        end saved_rsp

        function odd_return
        nop
        .cfi_offset rip, -16
        nop
        .cfi_restore rip
        nop
        .cfi_register rip, rcx
        nop
        .cfi_undefined rip
        nop
        end odd_return

        function odd_rbp
        .cfi_register rbp, rbx
        nop
        .cfi_undefined rbp
        nop
        .cfi_same_value rbp
        nop
        .cfi_offset rbp, -24
        nop
        .cfi_restore rbp
        nop
        end odd_rbp

        function odd_cfa
        .cfi_def_cfa rbx, 24
        nop
        .cfi_def_cfa_register rsp
        nop
        .cfi_remember_state
        .cfi_def_cfa rbp, 400000
        .cfi_remember_state
        .cfi_offset rbp, -400000
        nop
        .cfi_restore_state
        nop
        .cfi_restore_state
        nop
        .cfi_escape 0x0f, 2, 0x77, 0x20         /* CFA: DW_OP_breg7 32 */
        nop
        .cfi_escape 0x0f, 3, 0x77, 0x20, 0x06   /* CFA: DW_OP_breg7 32; DW_OP_deref */
        nop
        .cfi_escape 0x0f, 3, 0x76, 0x78, 0x06   /* CFA: DW_OP_breg6 -8; DW_OP_deref */
        .cfi_escape 0x10, 6, 2, 0x76, 0x10      /* rbp: DW_OP_breg6 16 */
        nop
        .cfi_escape 0x0f, 4, 0x77, 0x20, 0x06, 0x06     /* CFA: twice dereferenced */
        nop
        end odd_cfa

        function long_moves
        .cfi_def_cfa_offset 16
        .skip   70, 0x90
        .cfi_def_cfa_offset 24
        .skip   300, 0x90
        .cfi_def_cfa_offset 32
        .skip   70000, 0x90
        .cfi_def_cfa_offset 40
        nop
        end long_moves

        function signal_frame
        .cfi_signal_frame
        nop
        end signal_frame
        .section .note.GNU-stack, "", @progbits
