/* shared_types.S: what dwz moves to an alternate file: a unit with one type, 12 bytes into .debug_info,
 * and an abstract function, 27 bytes. */
        .section .debug_abbrev, "", @progbits
        .uleb128 1, 0x3c        /* DW_TAG_partial_unit, children */
        .byte   1, 0, 0
        .uleb128 2, 0x24        /* DW_TAG_base_type: name, encoding, byte_size */
        .byte   0, 0x03, 0x08, 0x3e, 0x0b, 0x0b, 0x0b, 0, 0
        .uleb128 3, 0x2e        /* DW_TAG_subprogram: name, inline */
        .byte   0, 0x03, 0x08, 0x20, 0x0b, 0, 0
        .byte   0
        .section .debug_info, "", @progbits
        .long   2f - 1f
1:      .value  4
        .long   0
        .byte   8
        .uleb128 1
        .uleb128 2
        .string "shared_type"
        .byte   7, 4            /* DW_ATE_unsigned, 4 bytes */
        .uleb128 3
        .string "shared_inline"
        .byte   1
        .byte   0
2:
        .section .note.GNU-stack, "", @progbits
