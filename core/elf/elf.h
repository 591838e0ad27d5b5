/*
 * elf.h: what the engine asks of ELF files: symbols, ranges, lines, prototypes, unwind rows.
 *
 * Reads files only, through libelf and libdw (elfutils); it never touches a target. All addresses
 * ("vaddr") are those of the file, before the load bias is added. A struct gib_elf is used by one
 * thread at a time.
 */
#ifndef GIBBON_ELF_H
#define GIBBON_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gibbon/relocate.h" /* struct gib_error */
#include "prototypes/prototype.h"

struct gib_elf;

/*
 * Opens an ELF executable or shared library. Symbols and debug information also come from its
 * separate debug file (by build id below /usr/lib/debug and the directories in `debug_directories`,
 * colon separated, may be NULL; by .gnu_debuglink) when there is one; Debian's dwz alternate files
 * (.gnu_debugaltlink) are followed. Everything is read lazily. NULL with *error filled on failure.
 */
struct gib_elf *gib_elf_open(const char *path, const char *debug_directories,
                             struct gib_error *error);
void gib_elf_close(struct gib_elf *elf);

struct gib_elf_segment {
    uint64_t vaddr, memory_size, file_size, file_offset;
    bool readable, writable, executable;
};

struct gib_elf_info {
    uint16_t machine;        /* EM_X86_64... */
    bool is_dynamic_object;  /* ET_DYN: has a load bias */
    bool has_interpreter;    /* PT_INTERP: a dynamically linked program */
    const char *interpreter; /* its path, NULL when there is none */
    uint64_t entry;
    const char *soname; /* NULL when there is none */
    const uint8_t *build_id;
    size_t build_id_size;                   /* 0 when there is none */
    const struct gib_elf_segment *segments; /* PT_LOAD, by vaddr */
    size_t segment_count;
};
const struct gib_elf_info *gib_elf_info(const struct gib_elf *elf);

/* A function defined in the file. */
struct gib_elf_symbol {
    const char *name; /* as in the symbol table, version suffix removed */
    uint64_t value;   /* vaddr of its entry; for an IFUNC, of its resolver */
    uint64_t size;    /* bytes, 0 when the table has none */
    bool ifunc;       /* STT_GNU_IFUNC */
    bool global;      /* STB_GLOBAL or STB_WEAK, as opposed to local */
    bool exported;    /* in .dynsym: other modules can call it */
    bool old_version; /* not the default version of its name (name@VER, not name@@VER) */
    const char *file; /* for a local one, of its STT_FILE ("build.c"); else NULL */
};

/* All functions (STT_FUNC and STT_GNU_IFUNC, defined, in an executable segment) of .symtab,
 * .dynsym, the separate debug file's .symtab and .gnu_debugdata, without duplicates (same name and
 * value), sorted by value, then global before local, then name. What makes local names unique for
 * the linker (".lto_priv.0", ".llvm.71") is left out of them. Valid until close. */
size_t gib_elf_functions(struct gib_elf *elf, const struct gib_elf_symbol **symbols);

/*
 * Calls `visit` for each function that `name` means: the exact symbol name ("mkdtemp",
 * "_ZN3foo3barEi"), or a C++ name as people write it, with or without parameters,
 * "ns::Class::method" (every overload), "ns::Class::method(int)", white space not counting; a
 * leading "::" or a missing namespace is not guessed. C++ clones and C clones (".part.0",
 * ".constprop.1", ".cold", ".isra.0") are other names. Returns the number found. Uses a hash index
 * built on first use.
 */
size_t gib_elf_find(struct gib_elf *elf, const char *name,
                    void (*visit)(const struct gib_elf_symbol *symbol, void *context),
                    void *context);

/* The demangled form of a symbol name; a malloc'ed string, a copy of `name` when it is not mangled.
 */
char *gib_elf_demangle(const char *name);

/* The same without the parameter list and the result's type: "ns::f<int>"; malloc'ed. */
char *gib_elf_function_name(const char *symbol);
/* Takes the ABI tags, "[abi:cxx11]", out of a demangled name; false: it has none. */
bool gib_elf_drop_tags(char *name);

/* The function that covers vaddr (by size, or failing that by the end of the next symbol or FDE);
 * the best name is global, default version, with the fewest leading underscores, shortest. NULL
 * when none does. */
const struct gib_elf_symbol *gib_elf_symbol_at(struct gib_elf *elf, uint64_t vaddr);

/* An address of code that the file names. One address may have several kinds. */
enum gib_elf_label_kind {
    GIB_ELF_LABEL_FUNCTION, /* an FDE begins here */
    GIB_ELF_LABEL_SYMBOL,   /* of any type, also an assembler's label without one */
    GIB_ELF_LABEL_POINTER,  /* data holds this address */
    GIB_ELF_LABEL_NUMBER, /* the same in a program at a fixed address; may be a number by chance */
};
struct gib_elf_label {
    uint64_t vaddr;
    enum gib_elf_label_kind kind;
};
/* The labels in [low, high), sorted; *count of them, NULL when there are none. Valid until close.
 * Built on first use. */
const struct gib_elf_label *gib_elf_labels(struct gib_elf *elf, uint64_t low, uint64_t high,
                                           size_t *count);

/* A place for what a layer above finds out about the file; *destroy is called with it on close. */
struct gib_elf_attachment {
    void *data;
    void (*destroy)(void *data);
};
struct gib_elf_attachment *gib_elf_attachment(struct gib_elf *elf);

/* Whether a symbol named `name` is undefined in .dynsym, that is, imported. */
bool gib_elf_imports(struct gib_elf *elf, const char *name);

/* What a reference from another object is bound to. */
struct gib_elf_definition {
    uint64_t value; /* vaddr; of an IFUNC, its resolver's */
    uint64_t size;
    bool ifunc;
    bool object;                /* a variable that all threads share */
    bool thread_local_variable; /* value is an offset */
    bool absolute;              /* value is a number, no vaddr */
};
/* The file's definition of `name`, function or variable, as the dynamic linker finds it: in
 * .dynsym, of the version asked for, or of the default one with NULL. In a static program, in
 * .symtab, where versions do not count. False: it has none. */
bool gib_elf_definition(struct gib_elf *elf, const char *name, const char *version,
                        struct gib_elf_definition *out);

/* Names of the libraries it is linked with (DT_NEEDED), in order: fills up to `max`, returns how
 * many. Valid until close. */
size_t gib_elf_needed(const struct gib_elf *elf, const char **names, size_t max);

/* vaddr of the word in which the dynamic linker tells debuggers of its list of modules (DT_DEBUG);
 * false: the file has none. */
bool gib_elf_debug_slot(const struct gib_elf *elf, uint64_t *slot);

/* Extent [*start, *end) of the function covering vaddr, by symbol size; when no sized symbol covers
 * it, by the .eh_frame FDE. False when neither knows. */
bool gib_elf_function_range(struct gib_elf *elf, uint64_t vaddr, uint64_t *start, uint64_t *end);

/* Copies up to `size` bytes of the file's image at vaddr (before any relocation), not beyond the
 * segment's file_size. Returns the number of bytes copied. */
size_t gib_elf_read(struct gib_elf *elf, uint64_t vaddr, void *buffer, size_t size);

/* Source line of the instruction at vaddr, from DWARF; *file is the base name of the source file,
 * valid until close. False when not known. Also works for programs whose compiler wrote no
 * .debug_aranges (clang). */
bool gib_elf_line(struct gib_elf *elf, uint64_t vaddr, const char **file, unsigned *line);

/* Where a function's body begins for a debugger that steps into it. */
struct gib_body {
    uint64_t vaddr;
    bool behind_frame; /* the debugger must find the set-up of a frame to know it */
    bool has_lists;    /* of locations: GDB's `break FUNCTION` stops at the entry */
};
/*
 * reads_prologues: as GDB does it. Of clang's code the line table says it; of all other code the
 * first instructions, if they set up a frame, and the end of the line that they are in
 * (amd64_skip_prologue, amd64_analyze_prologue, infrun.c: handle_step_into_function). Debian's
 * clang calls itself "Debian clang", and GDB takes it for another compiler. Otherwise as LLDB does
 * it, from the line table (Function::GetPrologueByteSize). False: it is the entry, or there is no
 * debug information.
 */
bool gib_elf_body(struct gib_elf *elf, uint64_t vaddr, bool reads_prologues, struct gib_body *body);

/* The same with the whole path, and the column, 0 when not known. */
struct gib_elf_place {
    const char *path;
    unsigned line, column;
};
bool gib_elf_place(struct gib_elf *elf, uint64_t vaddr, struct gib_elf_place *place);

/* Where an instruction is: in a function, or in the copy of one that the compiler has put there. */
struct gib_elf_frame {
    char *name;       /* as written in the source, demangled; malloc'ed, NULL: see below */
    const char *file; /* last component, valid until close; NULL: not known */
    unsigned line;
};
/*
 * What is at vaddr, innermost first: up to max - 1 copies, each with the line that is executed in
 * it, and the function around them, which its symbol names: its `name` is NULL. So without copies
 * there is one. 0 when there is no debug information; the caller frees the names.
 */
size_t gib_elf_frames(struct gib_elf *elf, uint64_t vaddr, struct gib_elf_frame *frames,
                      size_t max);

/* Whether the function whose entry is vaddr is declared in a source file whose path ends with
 * `file` (whole components: "build.c" or "src/build.c"), by DWARF's DW_AT_decl_file, else by
 * STT_FILE. */
bool gib_elf_declared_in(struct gib_elf *elf, uint64_t vaddr, const char *file);

/* The prototype of the function whose entry is vaddr, from DWARF; the caller frees it. NULL when
 * there is no debug information for it. gib_prototype.failure is left GIB_FAILURE_NONE: it is not
 * in DWARF. */
struct gib_prototype *gib_elf_prototype(struct gib_elf *elf, uint64_t vaddr);

/*
 * A function as its source has it: what its entries in debug information have in common, also
 * those of other units and other files. Texts are valid until the file is closed.
 */
struct gib_elf_source {
    const void *root;        /* compared only */
    const char *name;        /* NULL: only the linkage name is known */
    const char *linkage;     /* mangled, NULL: none */
    const char *path, *file; /* where it is declared; file: the last component */
    unsigned line;
    bool external;
    bool in_header; /* other units may have been compiled with it */
    bool in_unit;   /* not so, and its own unit is known: gib_elf_inlined_near */
    uint64_t vaddr; /* of its entry */
};
/* The function whose entry is vaddr. False when too little is known of it to find copies. */
bool gib_elf_source(struct gib_elf *elf, uint64_t vaddr, struct gib_elf_source *source);

/* A copy of a function that a compiler has put into another one. */
struct gib_elf_inlined {
    uint64_t entry;       /* vaddr of the function around it */
    const char *function; /* its symbol; valid until close; NULL: it has no name */
    const char *file;     /* where the call was written, last component; NULL: not known */
    unsigned line;        /* 0: not known */
};
/*
 * The copies of `source` in this file, each place once, by the function around it; a malloc'ed
 * array. `source` may be of another file. The first call reads all debug information of the file:
 * about 5 ms a megabyte of gib_elf_debug_size.
 */
size_t gib_elf_inlined(struct gib_elf *elf, const struct gib_elf_source *source,
                       struct gib_elf_inlined **copies);
/* Whether there is one. */
bool gib_elf_is_inlined(struct gib_elf *elf, const struct gib_elf_source *source);
/* As gib_elf_inlined, of source->in_unit and this file, in the unit of source->vaddr only: at once.
 */
size_t gib_elf_inlined_near(struct gib_elf *elf, const struct gib_elf_source *source,
                            struct gib_elf_inlined **copies);
/* Bytes that gib_elf_inlined would have to read: 0 when there is no debug information, or it has
 * been read. */
uint64_t gib_elf_debug_size(struct gib_elf *elf);

/*
 * IFUNC: calls `visit` with the vaddr of each slot with an R_X86_64_IRELATIVE (or
 * R_AARCH64_IRELATIVE) relocation whose addend is `resolver`. Once relocated, a slot holds the
 * address of the implementation in use. Returns the number of slots.
 */
size_t gib_elf_ifunc_slots(struct gib_elf *elf, uint64_t resolver,
                           void (*visit)(uint64_t slot, void *context), void *context);

/* Any R_*_RELATIVE relocation: *slot holds bias + *value once the dynamic linker has relocated the
 * module. False when the file has none. Prefer one in .data or .data.rel.ro outside of DT_RELR. */
bool gib_elf_relative_slot(struct gib_elf *elf, uint64_t *slot, uint64_t *value);

/* The address and size of the section with this name in the file's image; false when there is none,
 * or it is not in the image as a whole. */
bool gib_elf_section(struct gib_elf *elf, const char *name, uint64_t *vaddr, uint64_t *size);

/* What a pointer in the file's data holds once the dynamic linker has relocated it. */
enum gib_elf_pointer_kind {
    GIB_ELF_POINTER_NUMBER,  /* it is not relocated: `value` as it is in the file */
    GIB_ELF_POINTER_ADDRESS, /* a vaddr of this file, `value` */
    GIB_ELF_POINTER_SYMBOL,  /* `value` bytes behind `symbol`, which another file defines */
    GIB_ELF_POINTER_OTHER,   /* something else: an IFUNC, thread-local... */
};
struct gib_elf_pointer {
    enum gib_elf_pointer_kind kind;
    uint64_t value;
    const char *symbol; /* of SYMBOL only; valid until close */
};
/* Fills pointers[i] for the `count` words of 8 bytes from `vaddr` on. A symbol the file defines
 * itself counts as this file's, whatever other files may define. False when they are not in the
 * file. */
bool gib_elf_pointers(struct gib_elf *elf, uint64_t vaddr, size_t count,
                      struct gib_elf_pointer *pointers);

/* The function that the dynamic linker calls first when it has relocated the file: of
 * DT_PREINIT_ARRAY, DT_INIT, DT_INIT_ARRAY (System V ABI, chapter 5, "Initialization and
 * Termination Functions"). False when it has none. */
bool gib_elf_first_constructor(struct gib_elf *elf, uint64_t *vaddr);

/* Where glibc keeps a thread's kernel id, in bytes behind the thread pointer: from the libc's own
 * description of itself for debuggers
 * (_thread_db_pthread_tid, nptl_db). 0 when the file has none. */
uint32_t gib_elf_pthread_tid_offset(struct gib_elf *elf);

/*
 * One row of the unwind table: how to find the caller's frame for program counters from `start` up
 * to the next row's. From .eh_frame (and .debug_frame when there is no .eh_frame), reduced to what
 * a simple unwinder in the target can follow. Shared with the agent: plain data, 16 bytes.
 */
enum gib_unwind_kind {
    GIB_UNWIND_NONE,          /* no information from here on */
    GIB_UNWIND_CFA_RSP,       /* CFA = rsp + cfa_offset */
    GIB_UNWIND_CFA_RBP,       /* CFA = rbp + cfa_offset */
    GIB_UNWIND_CFA_DEREF_RBP, /* CFA = *(rbp + cfa_offset): gcc's realigned frames (DW_OP_breg6 n;
                                 DW_OP_deref) */
    GIB_UNWIND_CFA_DEREF_RSP, /* CFA = *(rsp + cfa_offset) */
    GIB_UNWIND_PLT,    /* CFA = rsp + 8 + ((rip & 15) >= cfa_offset ? 8 : 0): binutils' lazy PLT;
                        * cfa_offset is 11,    in CET's .plt 10 or less */
    GIB_UNWIND_SIGNAL, /* a signal trampoline: registers are in the ucontext at rsp */
    GIB_UNWIND_END,    /* outermost: the return address is undefined */
};
struct gib_unwind_row {
    uint32_t start; /* vaddr minus the first segment's vaddr (modules below 4 GiB) */
    int32_t cfa_offset;
    int32_t rbp_offset; /* saved rbp is at CFA + rbp_offset; 0: rbp is unchanged. The return address
                           is at CFA - 8 */
    uint8_t kind;       /* enum gib_unwind_kind */
    uint8_t rbp_in_frame; /* 1: saved rbp is at rbp + rbp_offset instead (realigned frames), also
                             when that is 0 */
    uint8_t reserved[2];
};
/* All rows sorted by start; gaps between functions are NONE rows. Built on first use, valid until
 * close. 0 rows when the file has no unwind information. */
size_t gib_elf_unwind_rows(struct gib_elf *elf, const struct gib_unwind_row **rows);
/* Only those of the entry that covers vaddr, a malloc'ed array, NULL when there is none; made anew
 * at each call. `start` counts from the first segment's vaddr, as above. */
size_t gib_elf_function_rows(struct gib_elf *elf, uint64_t vaddr, struct gib_unwind_row **rows);

/* Whether some function does something when an exception passes it: catches it, or runs
 * destructors. */
bool gib_elf_has_personality(struct gib_elf *elf);
#endif
