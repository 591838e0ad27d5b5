/*
 * test_condition_oracle.c: random expressions, as conditions and as gcc compiles them, give the
 * same verdicts on the same calls; in the agent's form, and in the thunk's where there is one.
 *
 * CONDITION_SEED and CONDITION_COUNT in the environment choose other ones.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <float.h>
#include <link.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "condition_random.h"
#include "condition_run.h"

/* What both sides know. In C, what makes a condition fail sets `failed`, and what C leaves
 * undefined sets `undefined`; such a case is passed over. */
static const char prelude[] =
    "#include <string.h>\n#include <stddef.h>\n"
    "typedef unsigned int word_t;\n"
    "enum color { RED, GREEN = 5, BLUE = -3 };\n"
    "enum big { HUGE = 0x80000000u, SMALL = 1 };\n"
    "struct inner { short x; unsigned y : 5; int z : 7; unsigned long w : 40; };\n"
    "struct rec { signed char sc; unsigned char uc; short s; unsigned short us; int i; unsigned "
    "u;\n"
    "  long l; unsigned long ul; _Bool b; float f; double d; enum color e; enum big g; int a[4];\n"
    "  short m[2][3]; char name[8]; char *p; struct rec *next; struct rec *bad; struct inner in;\n"
    "  union { int ui; float uf; }; struct { unsigned char k1; struct { long k2; }; };\n"
    "  unsigned b1 : 1; int b3 : 3; unsigned b31 : 31; int b32 : 32; _Bool bb : 1; void *v;\n"
    "  const volatile word_t cw; struct inner in2[2]; };\n"
    "int failed, undefined, global_i = -77; static unsigned char global_uc[3] = {1, 200, 3};\n"
    "#define DIV(a, b, op, wrapped) ({ __typeof__((a) * (b)) x_ = (a), y_ = (b);\\\n"
    "  y_ == 0 ? (failed = 1, (__typeof__(x_))0)\\\n"
    "          : y_ == (__typeof__(y_))-1 && (__typeof__(y_))-1 < 0\\\n"
    "            ? (__typeof__(x_))(wrapped) : (__typeof__(x_))(x_ op y_); })\n"
    "#define FITS(r, low, high) ({ __typeof__(r) r_ = (r); r_ > (low) && r_ < (high) ? r_\\\n"
    "  : (undefined = 1, (__typeof__(r))0); })\n"
    "#define BAD(type) (failed = 1, (type)0)\n"
    "unsigned char *keep(void) { return global_uc; }\n"
    "#define ARGUMENTS signed char sc, int i, unsigned short us, unsigned long ul, struct rec *r, "
    "\\\n"
    "  const char *p, float f, long l, double d, unsigned u, _Bool b, unsigned char uc, short s, "
    "\\\n"
    "  enum color e\n"
    "int describe(ARGUMENTS) { return 0; }\n";

/* The same type here, for the values. */
enum color { RED, GREEN = 5, BLUE = -3 };
enum big { HUGE_ONE = 0x80000000u, SMALL = 1 };
struct inner {
    short x;
    unsigned y : 5;
    int z : 7;
    unsigned long w : 40;
};
struct rec {
    signed char sc;
    unsigned char uc;
    short s;
    unsigned short us;
    int i;
    unsigned u;
    long l;
    unsigned long ul;
    bool b;
    float f;
    double d;
    enum color e;
    enum big g;
    int a[4];
    short m[2][3];
    char name[8];
    char *p;
    struct rec *next, *bad;
    struct inner in;
    union {
        int ui;
        float uf;
    };
    struct {
        unsigned char k1;
        struct {
            long k2;
        };
    };
    unsigned b1 : 1;
    int b3 : 3;
    unsigned b31 : 31;
    int b32 : 32;
    bool bb : 1;
    void *v;
    unsigned cw;
    struct inner in2[2];
};

/* ---- gcc's opinion ---- */

typedef int compiled(signed char sc, int i, unsigned short us, unsigned long ul, struct rec *r,
                     const char *p, float f, long l, double d, unsigned u, bool b, unsigned char uc,
                     short s, enum color e);

struct side {
    void *handle;
    char path[64];
    struct gib_elf *elf;
    struct gib_prototype *prototype;
    struct gib_convention convention;
    uint64_t bias;
    int *failed, *undefined;
};

static bool own_file(void *context, size_t index, struct gib_condition_file *out)
{
    struct side *side = context;
    *out = (struct gib_condition_file){side->elf, side->bias};
    return index == 0;
}

static void compile(struct side *side, const char *compiler, struct pair *pairs, size_t count)
{
    char source[64], command[400];
    snprintf(source, sizeof source, "/tmp/gibbon-condition-%d.c", getpid());
    snprintf(side->path, sizeof side->path, "/tmp/gibbon-condition-%d.so", getpid());
    FILE *file = fopen(source, "w");
    assert_non_null(file);
    fputs(prelude, file);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "int e%zu(ARGUMENTS) { return !!(%s); }\n", i, pairs[i].c);
    fclose(file);
    snprintf(command, sizeof command,
             "%s -std=gnu2x -Dtrue=1 -w -g -fwrapv -ffp-contract=off -fPIC -shared -o %s %s",
             compiler, side->path, source);
    assert_int_equal(system(command), 0);
    unlink(source);
    struct gib_error error;
    side->handle = dlopen(side->path, RTLD_NOW);
    assert_non_null(side->handle);
    side->elf = gib_elf_open(side->path, NULL, &error);
    assert_non_null(side->elf);
    struct link_map *map;
    assert_int_equal(dlinfo(side->handle, RTLD_DI_LINKMAP, &map), 0);
    side->bias = map->l_addr;
    uint64_t entry = (uint64_t)(uintptr_t)dlsym(side->handle, "describe");
    side->prototype = gib_elf_prototype(side->elf, entry - side->bias);
    assert_non_null(side->prototype);
    gib_convention_make(side->prototype, &side->convention);
    side->failed = dlsym(side->handle, "failed");
    side->undefined = dlsym(side->handle, "undefined");
}

/* ---- calls ---- */

struct values {
    signed char sc;
    int i;
    unsigned short us;
    unsigned long ul;
    struct rec *r;
    const char *p;
    float f;
    long l;
    double d;
    unsigned u;
    bool b;
    unsigned char uc;
    short s;
    enum color e;
};

static uint64_t interesting(void)
{
    static const uint64_t edges[] = {
        0,         1,          (uint64_t)-1,       2,          127,        128,
        255,       256,        0x7fffffff,         0x80000000, 0xffffffff, 0x100000000,
        INT64_MAX, 1ull << 63, 0xffffffff80000000, 'x'};
    return below(3) ? PICK(edges) : below(2) ? below(200) : random64();
}

static double interesting_real(void)
{
    static const double edges[] = {0,    -0.0, 1,    -1,  1.5,      2.5,       0.25, 1e10,
                                   1e20, -3e9, 1e-3, NAN, INFINITY, -INFINITY, 255,  65536};
    return below(3) ? PICK(edges) : (double)(int64_t)interesting();
}

static void fill_record(struct rec *r, struct rec *all)
{
    static char *const texts[] = {"alpha", "beta", "alphabet", ""};
    for (size_t i = 0; i < sizeof *r; i += 8) {
        uint64_t value = interesting();
        memcpy((char *)r + i, &value, sizeof *r - i < 8 ? sizeof *r - i : 8);
    }
    r->b = below(2);
    r->f = (float)interesting_real();
    r->d = interesting_real();
    strcpy(r->name, texts[below(2)]);
    r->p = PICK(texts);
    r->v = below(3) ? (below(2) ? (void *)r : (void *)r->p) : r->name;
    r->next = &all[below(2)];
    r->bad = (struct rec *)(below(2) ? 16 : 0x8000000000000000);
    r->bb = below(2);
}

/* The words as a caller leaves them, with what the ABI does not define filled by chance. */
static void place_words(const struct side *side, const struct values *v,
                        struct condition_words *words)
{
    struct {
        const void *value;
        size_t size;
    } list[] = {{&v->sc, 1}, {&v->i, 4},  {&v->us, 2}, {&v->ul, 8}, {&v->r, 8},
                {&v->p, 8},  {&v->f, 4},  {&v->l, 8},  {&v->d, 8},  {&v->u, 4},
                {&v->b, 1},  {&v->uc, 1}, {&v->s, 2},  {&v->e, 4}};
    for (size_t i = 0; i < sizeof words->gpr / 8; i++)
        words->gpr[i] = random64();
    for (size_t i = 0; i < sizeof words->stack / 8; i++)
        words->stack[i] = random64();
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        assert_int_equal(side->convention.parameter[i].count, 1);
        uint8_t source = side->convention.source[side->convention.parameter[i].first];
        uint64_t *word = source >= GIB_SOURCE_STACK ? &words->stack[source - GIB_SOURCE_STACK]
                         : source >= GIB_SOURCE_XMM ? &words->xmm[source - GIB_SOURCE_XMM]
                                                    : &words->gpr[source];
        *word = random64();
        memcpy(word, list[i].value, list[i].size);
    }
}

static void compare(const struct side *side, size_t number, const struct pair *pair,
                    const struct gib_condition *condition)
{
    static struct rec records[3];
    static const char *const texts[] = {"alpha", "beta", "xalphay", "a"};
    char name[32];
    snprintf(name, sizeof name, "e%zu", number);
    compiled *function = (compiled *)dlsym(side->handle, name);
    for (int turn = 0; turn < 8; turn++) {
        struct values v = {.sc = (signed char)interesting(),
                           .i = (int)interesting(),
                           .us = (unsigned short)interesting(),
                           .ul = interesting(),
                           .r = &records[below(2)],
                           .p = PICK(texts),
                           .f = (float)interesting_real(),
                           .l = (long)interesting(),
                           .d = interesting_real(),
                           .u = (unsigned)interesting(),
                           .b = below(2),
                           .uc = (unsigned char)interesting(),
                           .s = (short)interesting(),
                           .e = (enum color)(below(2) ? (int)interesting() : GREEN)};
        for (int i = 0; i < 3; i++)
            fill_record(&records[i], records);
        *side->failed = *side->undefined = 0;
        int expected =
            function(v.sc, v.i, v.us, v.ul, v.r, v.p, v.f, v.l, v.d, v.u, v.b, v.uc, v.s, v.e);
        if (*side->undefined)
            continue;
        if (*side->failed)
            expected = GIB_VERDICT_FAILED;
        struct condition_words words;
        struct gib_condition_call call = {.stack = words.stack};
        place_words(side, &v, &words);
        memcpy(call.gpr, words.gpr, sizeof call.gpr);
        memcpy(call.xmm, words.xmm, sizeof call.xmm);
        int verdict = condition_run(condition, &call);
        if (verdict != expected)
            fail_msg("verdict %d, the compiler says %d: %s", verdict, expected, pair->condition);
        if (!gib_condition_is_plain(condition))
            continue;
        bool inlined = condition_run_inline(condition, &words);
        if (inlined != (expected == GIB_VERDICT_TRUE))
            fail_msg("inline verdict %d, the compiler says %d: %s", inlined, expected,
                     pair->condition);
    }
}

static unsigned long number_of(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 0) : otherwise;
}

static void compare_with(const char *compiler)
{
    size_t count = number_of("CONDITION_COUNT", 500), plain = 0;
    static uint64_t seeds = 20240117;
    condition_seed(number_of("CONDITION_SEED", seeds += 2));
    struct side side = {.handle = NULL};
    struct pair *pairs = calloc(count, sizeof *pairs);
    assert_non_null(pairs);
    for (size_t i = 0; i < count; i++)
        generate_truth(&pairs[i], 1 + (int)below(5));
    compile(&side, compiler, pairs, count);
    for (size_t i = 0; i < count; i++) {
        struct gib_error error;
        struct gib_condition_text *text;
        struct gib_condition *condition;
        uint64_t entry = (uint64_t)(uintptr_t)dlsym(side.handle, "describe");
        struct gib_condition_scope scope = {.prototype = side.prototype,
                                            .convention = &side.convention,
                                            .entry = entry,
                                            .context = &side,
                                            .file = own_file};
        if (gib_condition_parse(pairs[i].condition, &text, &error))
            fail_msg("%s: %s", error.message, pairs[i].condition);
        if (gib_condition_check(text, &scope, &condition, &error))
            fail_msg("%s: %s", error.message, pairs[i].condition);
        plain += gib_condition_is_plain(condition);
        compare(&side, i, &pairs[i], condition);
        gib_condition_free(condition);
        gib_condition_text_free(text);
    }
    /* The generator still makes both kinds. */
    assert_in_range(plain, count / 20, count);
    free(pairs);
    gib_prototype_free(side.prototype);
    gib_elf_close(side.elf);
    dlclose(side.handle);
    unlink(side.path);
}

static void test_gcc(void **unused)
{
    compare_with(GIBBON_CC);
}

static void test_gcc_optimised(void **unused)
{
    compare_with(GIBBON_CC " -O2 -fno-strict-aliasing -gdwarf-4");
}

static void test_clang(void **unused)
{
    if (system("clang --version >/dev/null 2>&1"))
        skip();
    compare_with("clang");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gcc),
                                       cmocka_unit_test(test_gcc_optimised),
                                       cmocka_unit_test(test_clang)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
