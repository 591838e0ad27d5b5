/*
 * image_startup.c: code that the dynamic linker would run when it loads the object, or at the end.
 *
 * Nothing of a package runs when it is mapped. The start-up files of gcc and clang put functions
 * there that do nothing in a shared object on Linux: `_init` and `_fini` (crti.o), `frame_dummy`
 * and
 * `__do_global_dtors_aux` (crtstuff.c). They are known by what they do, as a name can be anybody's,
 * or be stripped. Everything else is the package's own, and refused: it would silently not run.
 */
#include "package/image_internal.h"

/* Bytes to compare with; ANY fits all. */
enum { ANY = 0x100 };

static bool fits(const uint8_t *code, const uint16_t *pattern, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pattern[i] != ANY && pattern[i] != code[i])
            return false;
    return true;
}

/* The code at vaddr, behind an endbr64. */
static const uint8_t *code_at(const struct gib_object *object, uint64_t *vaddr, uint64_t size)
{
    const struct gib_object_segment *segment = gib_object_segment_at(object, *vaddr, 4);
    const uint8_t *start = gib_object_at(object, *vaddr, 4);
    if (!segment || !segment->executable || !start)
        return NULL;
    if (!memcmp(start, "\xf3\x0f\x1e\xfa", 4))
        *vaddr += 4;
    return gib_object_at(object, *vaddr, size);
}

/* crti.o: calls __gmon_start__, a weak symbol, if it is there. It is where a program is profiled;
 * the program's own start-up has called it then. */
static bool is_crti_init(const struct gib_object *object, uint64_t vaddr)
{
    static const uint16_t pattern[] = {0x48, 0x83, 0xec, 0x08, /* sub $8,%rsp */
                                       0x48, 0x8b, 0x05, ANY,  ANY,
                                       ANY,  ANY,                     /* mov ..(%rip),%rax */
                                       0x48, 0x85, 0xc0,              /* test %rax,%rax */
                                       0x74, 0x02,                    /* je 1f */
                                       0xff, 0xd0,                    /* call *%rax */
                                       0x48, 0x83, 0xc4, 0x08, 0xc3}; /* 1: add; ret */
    enum { SIZE = sizeof pattern / sizeof *pattern };
    const uint8_t *code = code_at(object, &vaddr, SIZE);
    return code && fits(code, pattern, SIZE);
}

static bool is_crti_fini(const struct gib_object *object, uint64_t vaddr)
{
    static const uint16_t pattern[] = {0x48, 0x83, 0xec, 0x08, 0x48, 0x83, 0xc4, 0x08, 0xc3};
    enum { SIZE = sizeof pattern / sizeof *pattern };
    const uint8_t *code = code_at(object, &vaddr, SIZE);
    return code && fits(code, pattern, SIZE);
}

/* register_tm_clones: calls _ITM_registerTMCloneTable, weak, if its table is not empty. */
static bool is_register_clones(const struct gib_object *object, uint64_t vaddr)
{
    static const uint16_t pattern[] = {0x48, 0x8d, 0x3d, ANY, ANY, ANY, ANY, /* lea start,%rdi */
                                       0x48, 0x8d, 0x35, ANY, ANY, ANY, ANY, /* lea end,%rsi */
                                       0x48, 0x29, 0xfe,                     /* sub %rdi,%rsi */
                                       0x48, 0x89, 0xf0};                    /* mov %rsi,%rax */
    enum { SIZE = sizeof pattern / sizeof *pattern };
    const uint8_t *code = code_at(object, &vaddr, SIZE);
    /* The table is empty: both addresses are the same. */
    return code && fits(code, pattern, SIZE) &&
           (uint32_t)gib_object_load(code + 3, 4) + 7 ==
               (uint32_t)gib_object_load(code + 10, 4) + 14;
}

/* frame_dummy: jmp register_tm_clones; in older compilers with a frame. */
static bool is_frame_dummy(const struct gib_object *object, uint64_t vaddr)
{
    const uint8_t *code = code_at(object, &vaddr, 5);
    if (code && !memcmp(code, "\x55\x48\x89\xe5\x5d", 5)) {
        vaddr += 5;
        code = gib_object_at(object, vaddr, 5);
    }
    return code && code[0] == 0xe9 &&
           is_register_clones(object,
                              vaddr + 5 + (uint64_t)(int64_t)(int32_t)gib_object_load(code + 1, 4));
}

/* __do_global_dtors_aux: if (completed) return; __cxa_finalize(__dso_handle), if there is one... */
static bool is_dtors_aux(const struct gib_object *object, uint64_t vaddr)
{
    static const uint16_t pattern[] = {
        0x80, 0x3d, ANY,  ANY, ANY, ANY, 0x00,        /* cmpb $0,completed */
        0x75, ANY,                                    /* jne */
        0x55,                                         /* push %rbp */
        0x48, 0x83, 0x3d, ANY, ANY, ANY, ANY,  0x00}; /* __cxa_finalize */
    enum { SIZE = sizeof pattern / sizeof *pattern };
    const uint8_t *code = code_at(object, &vaddr, SIZE);
    return code && fits(code, pattern, SIZE);
}

/* What an eight-byte slot of the object holds once it is relocated, as a vaddr; false when that is
 * no place in the object. */
static bool pointer_in(const struct gib_object *object, uint64_t slot, uint64_t *vaddr)
{
    for (size_t low = 0, high = object->relocation_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        const struct gib_object_relocation *r = &object->relocations[middle];
        if (r->vaddr == slot) {
            const struct gib_object_need *need =
                r->need == GIB_NO_NEED ? NULL : &object->needs[r->need];
            *vaddr = r->addend + (need ? need->value : 0);
            return !need || (need->own && !need->ifunc);
        }
        if (r->vaddr < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static int check_array(const struct gib_object_reader *reader, uint64_t array, uint64_t size,
                       bool (*harmless)(const struct gib_object *object, uint64_t vaddr),
                       const char *kind, const char *when)
{
    const struct gib_object *object = reader->object;
    if (size && !gib_object_segment_at(object, array, size))
        return gib_object_damaged(reader, "its table of constructors is outside of its memory");
    for (uint64_t at = 0; size - at >= 8; at += 8) {
        uint64_t vaddr = 0;
        bool known = pointer_in(object, array + at, &vaddr);
        if (known && harmless(object, vaddr))
            continue;
        const char *name = known ? gib_object_name_of(object, vaddr) : NULL;
        return gib_object_refuse(reader,
                                 "has a %s%s%.60s, which would not run: nothing of a "
                                 "package does when it %s.",
                                 kind, name ? ", " : "", name ? name : "", when);
    }
    return 0;
}

int gib_object_check_startup(const struct gib_object_reader *reader)
{
    const struct gib_object *object = reader->object;
    const struct gib_object_dynamic *d = &reader->dynamic;
    int failed = check_array(reader, d->init_array, d->init_array_size, is_frame_dummy,
                             "constructor", "is loaded");
    if (!failed)
        failed = check_array(reader, d->fini_array, d->fini_array_size, is_dtors_aux, "destructor",
                             "goes");
    if (!failed && d->init && !is_crti_init(object, d->init))
        failed = gib_object_refuse(reader, "has an initialiser of its own (DT_INIT), which would "
                                           "not run.");
    if (!failed && d->fini && !is_crti_fini(object, d->fini))
        failed = gib_object_refuse(reader, "has a finaliser of its own (DT_FINI), which would not "
                                           "run.");
    return failed;
}
