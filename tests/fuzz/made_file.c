#include "made_file.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST = 8, NAMES = 256 };

struct made {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    char names[NAMES];
    Elf64_Shdr section[MOST + 3]; /* none, .text, those given, .shstrtab */
};

static size_t add_name(struct made *made, size_t at, const char *name)
{
    snprintf(made->names + at, sizeof made->names - at, "%s", name);
    return at + strlen(name) + 1;
}

/* Fills the headers in; returns the file's size. */
static size_t describe(struct made *made, const struct made_section *section, size_t count)
{
    size_t end = MADE_TEXT + MADE_TEXT_SIZE, name = 1;
    made->section[1] = (Elf64_Shdr){.sh_name = 1,
                                    .sh_type = SHT_PROGBITS,
                                    .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                                    .sh_addr = MADE_TEXT,
                                    .sh_offset = MADE_TEXT,
                                    .sh_size = MADE_TEXT_SIZE};
    name = add_name(made, name, ".text");
    for (size_t i = 0; i < count; i++) {
        made->section[i + 2] = (Elf64_Shdr){.sh_name = (Elf64_Word)name,
                                            .sh_type = SHT_PROGBITS,
                                            .sh_flags = SHF_ALLOC,
                                            .sh_addr = end,
                                            .sh_offset = end,
                                            .sh_size = section[i].size,
                                            .sh_addralign = 1};
        name = add_name(made, name, section[i].name);
        end = (end + section[i].size + 15) & ~15ul;
    }
    made->section[count + 2] = (Elf64_Shdr){.sh_name = (Elf64_Word)name,
                                            .sh_type = SHT_STRTAB,
                                            .sh_offset = offsetof(struct made, names),
                                            .sh_size = NAMES};
    add_name(made, name, ".shstrtab");
    made->segment = (Elf64_Phdr){.p_type = PT_LOAD,
                                 .p_flags = PF_R | PF_X,
                                 .p_filesz = end,
                                 .p_memsz = end,
                                 .p_align = 0x1000};
    made->header = (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = offsetof(struct made, segment),
        .e_shoff = offsetof(struct made, section),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 1,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = (Elf64_Half)(count + 3),
        .e_shstrndx = (Elf64_Half)(count + 2)};
    return end;
}

struct gib_elf *file_of_bytes(const uint8_t *bytes, size_t size)
{
    static int fd = -1;
    struct gib_error error;
    char path[64];
    if (fd < 0)
        fd = memfd_create("fuzz", 0);
    if (ftruncate(fd, (off_t)size) || pwrite(fd, bytes, size, 0) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return gib_elf_open(path, "/nonexistent", &error);
}

struct gib_elf *made_file_open(const struct made_section *section, size_t count)
{
    _Static_assert(sizeof(struct made) <= MADE_TEXT, "headers are before the text");
    struct made made = {0};
    size_t size = count <= MOST ? describe(&made, section, count) : 0;
    uint8_t *bytes = calloc(1, size);
    if (!bytes)
        abort();
    memcpy(bytes, &made, sizeof made);
    memset(bytes + MADE_TEXT, 0x90, MADE_TEXT_SIZE);
    for (size_t i = 0; i < count; i++)
        if (section[i].size)
            memcpy(bytes + made.section[i + 2].sh_offset, section[i].bytes, section[i].size);
    struct gib_elf *elf = file_of_bytes(bytes, size);
    free(bytes);
    return elf;
}
