/* The agent's flat image as bytes of the library. */
    .section .rodata
    .globl gib_agent_image_start, gib_agent_image_end
    .hidden gib_agent_image_start, gib_agent_image_end
    .balign 64
gib_agent_image_start:
    .incbin GIBBON_AGENT_BIN
gib_agent_image_end:
/* The same as a file, with symbols and call frames: not for the target. */
    .globl gib_agent_elf_start, gib_agent_elf_end
    .hidden gib_agent_elf_start, gib_agent_elf_end
gib_agent_elf_start:
    .incbin GIBBON_AGENT_ELF
gib_agent_elf_end:
    .section .note.GNU-stack, "", @progbits
