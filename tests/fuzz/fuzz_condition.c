/*
 * fuzz_condition.c: any text as a condition of functions with all kinds of types; what is accepted
 * is compiled and run, on memory that is there or not by chance. With an odd first byte the types
 * are any bytes, too: four sizes of two bytes, then .debug_abbrev, .debug_str, .debug_info, and the
 * rest is the text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "code/x86_64/condition.h"
#include "made_file.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char program[] =
    "enum color { RED, GREEN = 5 }; struct in { int x : 5; unsigned long y : 40; char n[4]; };\n"
    "struct rec { int i; double d; float f; char *s; struct rec *next; int a[2][3]; struct in in;\n"
    "  union { long l; _Bool b; }; enum color c; void (*f2)(void); } global, *pointer = &global;\n"
    "struct two { long a; float b, c; }; static int hidden[3];\n"
    "long f(struct rec *r, const char *p, signed char c, unsigned u, double d, struct two t,\n"
    "  enum color e, float g, _Bool b, unsigned short s, __int128 w)\n"
    "{ return r->i + hidden[c]++ + *p + sizeof(struct rec); }\n";

static struct gib_elf *elf;
static struct gib_prototype *prototype;
static uint64_t entry;
static uint8_t *page;

static void take_entry(const struct gib_elf_symbol *symbol, void *context)
{
    *(uint64_t *)context = symbol->value;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[64], command[200];
    snprintf(path, sizeof path, "/tmp/gibbon-fuzz-%d", getpid());
    snprintf(command, sizeof command, "cc -w -g -O0 -shared -fPIC -x c -o %s -", path);
    FILE *compiler = popen(command, "w");
    fputs(program, compiler);
    if (pclose(compiler))
        abort();
    struct gib_error error;
    elf = gib_elf_open(path, NULL, &error);
    if (!elf || gib_elf_find(elf, "f", take_entry, &entry) != 1)
        abort();
    prototype = gib_elf_prototype(elf, entry);
    unlink(path);
    page = mmap(NULL, GIB_CONDITION_MAX, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return prototype && page != MAP_FAILED ? 0 : 1;
}

static bool file_of(void *context, size_t index, struct gib_condition_file *out)
{
    *out = (struct gib_condition_file){context, 0};
    return index == 0 && context;
}

static size_t function_of(void *context, const char *name, struct gib_range *ranges, size_t room)
{
    if (strcmp(name, "f") && strcmp(name, "main"))
        return 0;
    *ranges = (struct gib_range){0x1000, 0x2000};
    return name[0] == 'f' ? 1 : 100;
}

static uint64_t state;

static uint64_t some_read(void *context, uint64_t address, void *out, uint64_t size)
{
    if (size < 1 || size > 8)
        abort();
    state = state * 6364136223846793005u + address + 1;
    memcpy(out, &state, size);
    return state >> 61;
}

static uint64_t some_text(void *context, uint64_t operation,
                          const struct gib_text_operand operand[2])
{
    uint64_t sum = operation;
    if (operation > GIB_TEXT_STARTS)
        abort();
    for (int i = 0; i < 2; i++)
        for (uint64_t j = 0; operand[i].known && j < operand[i].size; j++)
            sum += ((const char *)(uintptr_t)operand[i].address)[j]; /* it must be there */
    return sum % 3;
}

static void run(const struct gib_condition *condition)
{
    struct gib_error error;
    uint8_t code[GIB_CONDITION_MAX];
    size_t size;
    uint64_t stack[64];
    for (size_t i = 0; i < 64; i++)
        stack[i] = i * 0x1234567812345;
    if (!gib_condition_code(condition, code, &size, &error)) {
        struct gib_condition_call call = {
            .gpr = {0, 1, 0x80000000, (uint64_t)-1, 1ull << 63, 100},
            .xmm = {0x7ff8000000000000, 0x4000000000000000, (uint64_t)-1},
            .stack = stack,
            .read = some_read,
            .text = some_text};
        memcpy(page, code, size);
        if (((uint32_t(*)(struct gib_condition_call *))(void *)page)(&call) > GIB_VERDICT_FAILED)
            abort();
    }
    if (!gib_condition_is_plain(condition))
        return;
    struct emitter e = {code, 0, GIB_CONDITION_INLINE_MAX, 0x10000, false};
    gib_condition_inline(&e, condition, 0x20000);
    if (e.failed)
        abort();
}

static void check(const char *text, const struct gib_condition_scope *scope)
{
    struct gib_error error = {.code = 0};
    struct gib_condition_text *parsed;
    struct gib_condition *condition;
    int code = gib_condition_parse(text, &parsed, &error);
    if (!code) {
        code = gib_condition_check(parsed, scope, &condition, &error);
        gib_condition_text_free(parsed);
        if (!code) {
            run(condition);
            gib_condition_free(condition);
        }
    }
    if (code && (code != error.code || !memchr(error.message, 0, sizeof error.message) ||
                 !error.message[0]))
        abort();
}

static void check_in(const char *text, struct gib_elf *file, uint64_t at,
                     const struct gib_prototype *of)
{
    struct gib_convention convention;
    gib_convention_make(of, &convention);
    struct gib_condition_scope scope = {.prototype = of,
                                        .convention = &convention,
                                        .entry = at,
                                        .context = file,
                                        .file = file_of,
                                        .function = function_of};
    check(text, &scope);
}

static struct made_section take(const char *name, const uint8_t **data, size_t *size,
                                const uint8_t *field)
{
    size_t wanted = field[0] | (size_t)field[1] << 8;
    struct made_section section = {name, *data, wanted < *size ? wanted : *size};
    *data += section.size;
    *size -= section.size;
    return section;
}

static void with_types(const uint8_t *data, size_t size)
{
    enum { HEADER = 6 };
    if (size < HEADER)
        return;
    const uint8_t *header = data;
    data += HEADER;
    size -= HEADER;
    struct made_section section[3];
    section[0] = take(".debug_abbrev", &data, &size, header);
    section[1] = take(".debug_str", &data, &size, header + 2);
    section[2] = take(".debug_info", &data, &size, header + 4);
    struct gib_elf *made = made_file_open(section, 3);
    if (!made)
        return;
    char *text = strndup((const char *)data, size);
    for (uint64_t at = MADE_TEXT; at < MADE_TEXT + 0x40; at += 0x10) {
        struct gib_prototype *of = gib_elf_prototype(made, at);
        check_in(text, made, at, of);
        gib_prototype_free(of);
    }
    free(text);
    gib_elf_close(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    state = size;
    if (data[0] & 1) {
        with_types(data + 1, size - 1);
        return 0;
    }
    char *text = strndup((const char *)data + 1, size - 1);
    check_in(text, elf, entry, prototype);
    check_in(text, NULL, entry, NULL);
    free(text);
    return 0;
}
