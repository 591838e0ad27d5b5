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

/* ---- the generator ---- */

static uint64_t state;

static uint64_t random64(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}

static unsigned below(unsigned count)
{
    return (unsigned)(random64() >> 33) % count;
}

/* One expression, as a condition and as C. */
struct pair {
    char condition[6000], c[60000];
};

static void both(struct pair *out, const char *text)
{
    strcat(out->condition, text);
    strcat(out->c, text);
}

static void generate_integer(struct pair *out, int depth);
static void generate_real(struct pair *out, int depth);
static void generate_truth(struct pair *out, int depth);

static void generate_arithmetic(struct pair *out, int depth)
{
    if (below(4))
        generate_integer(out, depth);
    else
        generate_real(out, depth);
}

#define PICK(list) list[below(sizeof(list) / sizeof *(list))]

static void integer_leaf(struct pair *out)
{
    static const char *const arguments[] = {"sc", "i", "us", "ul", "l", "u", "b", "uc", "s", "e"};
    static const char *const literals[] = {"0",
                                           "1",
                                           "2",
                                           "7",
                                           "(-1)",
                                           "10",
                                           "255",
                                           "'x'",
                                           "'\\0'",
                                           "'\\xff'",
                                           "0x7fffffff",
                                           "65535u",
                                           "4294967295",
                                           "100l",
                                           "3ul",
                                           "GREEN",
                                           "BLUE",
                                           "0x80000000",
                                           "1u",
                                           "07",
                                           "0b101",
                                           "(-128)",
                                           "sizeof(int)",
                                           "sizeof(struct rec)",
                                           "sizeof(r->m[0])",
                                           "sizeof r->name",
                                           "true",
                                           "0xffffffffffffffff",
                                           "9223372036854775807",
                                           "HUGE",
                                           "sizeof(long)"};
    static const char *const members[] = {"r->sc",
                                          "r->uc",
                                          "r->s",
                                          "r->us",
                                          "r->i",
                                          "r->u",
                                          "r->l",
                                          "r->ul",
                                          "r->b",
                                          "r->e",
                                          "r->g",
                                          "r->a[2]",
                                          "r->m[1][2]",
                                          "r->name[1]",
                                          "(*r).i",
                                          "r->next->i",
                                          "r->next->next->us",
                                          "r->in.x",
                                          "r->in.y",
                                          "r->in.z",
                                          "r->b1",
                                          "r->b3",
                                          "r->b31",
                                          "r->b32",
                                          "r->bb",
                                          "r->ui",
                                          "r->k1",
                                          "r->k2",
                                          "*p",
                                          "p[1]",
                                          "*r->a",
                                          "1[r->a]",
                                          "r->cw",
                                          "r->in2[1].y",
                                          "(r + 1)->s",
                                          "r[1].i",
                                          "(&r->in)->x",
                                          "*&r->i",
                                          "global_i",
                                          "global_uc[1]",
                                          "(unsigned long)r->in.w"};
    unsigned choice = below(8);
    if (choice < 4)
        both(out, PICK(arguments));
    else if (choice < 6)
        both(out, PICK(literals));
    else
        both(out, PICK(members));
}

/* A member of a record that cannot be read: the condition fails, if it comes to that. */
static void bad_leaf(struct pair *out)
{
    strcat(out->condition, "r->bad->i");
    strcat(out->c, "BAD(int)");
}

static void around(struct pair *out, const char *open, void (*generate)(struct pair *, int),
                   int depth, const char *close)
{
    both(out, open);
    generate(out, depth);
    both(out, close);
}

static void division(struct pair *out, int depth, bool remainder)
{
    struct pair *mine = calloc(2, sizeof *mine);
    generate_integer(&mine[0], depth);
    generate_integer(&mine[1], depth);
    char *text[2];
    assert_true(asprintf(&text[0], "(%s %c %s)", mine[0].condition, remainder ? '%' : '/',
                         mine[1].condition) > 0);
    assert_true(asprintf(&text[1], "DIV(%s, %s, %c, %s)", mine[0].c, mine[1].c,
                         remainder ? '%' : '/', remainder ? "0" : "-x_") > 0);
    strcat(out->condition, text[0]);
    strcat(out->c, text[1]);
    free(text[0]);
    free(text[1]);
    free(mine);
}

static void cast_of_real(struct pair *out, int depth)
{
    static const struct {
        const char *type, *low, *high;
    } casts[] = {{"int", "-2147483649.0", "2147483648.0"},
                 {"long", "-9223372036854775808.0", "9223372036854775808.0"},
                 {"unsigned", "-1.0", "4294967296.0"},
                 {"unsigned long", "-1.0", "18446744073709551616.0"},
                 {"short", "-32769.0", "32768.0"},
                 {"unsigned char", "-1.0", "256.0"}};
    unsigned i = below(6);
    char text[200];
    snprintf(text, sizeof text, "(%s)(", casts[i].type);
    both(out, text);
    strcat(out->c, "FITS((");
    generate_real(out, depth);
    snprintf(text, sizeof text, "), %s, %s)", casts[i].low, casts[i].high);
    strcat(out->c, text);
    both(out, ")");
}

static void generate_integer(struct pair *out, int depth)
{
    static const char *const operators[] = {" + ", " - ", " * ", " & ", " | ", " ^ "};
    static const char *const unary[] = {"(-", "(~", "(+", "(!"};
    static const char *const casts[] = {
        "((int)",        "((char)",   "((unsigned char)",  "((short)",
        "((unsigned)",   "((long)",   "((unsigned long)",  "((_Bool)",
        "((enum color)", "((word_t)", "((unsigned short)", "((long long int)"};
    if (depth <= 0) {
        if (below(60) == 0)
            bad_leaf(out);
        else
            integer_leaf(out);
        return;
    }
    switch (below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        around(out, "(", generate_integer, depth - 1, PICK(operators));
        around(out, "", generate_integer, depth - 1 - (int)below(2), ")");
        break;
    case 5:
        division(out, depth - 1, below(2));
        break;
    case 6: /* a count that C allows for the narrowest left operand */
        around(out, "(", generate_integer, depth - 1, below(2) ? " << (" : " >> (");
        around(out, "", generate_integer, depth - 2, " & 31))");
        break;
    case 7:
    case 8:
        around(out, PICK(unary), generate_integer, depth - 1, ")");
        break;
    case 9:
    case 10:
        around(out, PICK(casts), generate_integer, depth - 1, ")");
        break;
    case 11:
        cast_of_real(out, depth - 1);
        break;
    case 12:
        around(out, "(", generate_truth, depth - 1, " ? ");
        around(out, "", generate_integer, depth - 1, " : ");
        around(out, "", generate_integer, depth - 1, ")");
        break;
    case 13:
        around(out, "r->a[", generate_integer, depth - 2, " & 3]");
        break;
    case 14:
        around(out, "(int)(&r->a[", generate_integer, depth - 2, " & 3] - r->a)");
        break;
    default:
        generate_truth(out, depth - 1);
    }
}

static void generate_real(struct pair *out, int depth)
{
    static const char *const leaves[] = {
        "f",         "d",         "r->f",     "r->d",      "1.5",          "0.0",      "2.5f",
        "1e10",      "(-0.5)",    "0x1p-3",   "r->uf",     "3.f",          ".25",      "(double)ul",
        "(float)ul", "(double)l", "(float)i", "(double)u", "(float)r->us", "(float)sc"};
    static const char *const operators[] = {" + ", " - ", " * ", " / "};
    static const char *const casts[] = {"((float)", "((double)"};
    if (depth <= 0) {
        both(out, PICK(leaves));
        return;
    }
    switch (below(6)) {
    case 0:
    case 1:
    case 2:
        around(out, "(", generate_real, depth - 1, PICK(operators));
        around(out, "", generate_arithmetic, depth - 1, ")");
        break;
    case 3:
        around(out, "(-", generate_real, depth - 1, ")");
        break;
    case 4:
        around(out, PICK(casts), generate_arithmetic, depth - 1, ")");
        break;
    default:
        around(out, "(", generate_truth, depth - 1, " ? ");
        around(out, "", generate_real, depth - 1, " : ");
        around(out, "", generate_arithmetic, depth - 1, ")");
    }
}

/* Texts: the first as a condition, the second as C. */
static void text_leaf(struct pair *out)
{
    static const char *const texts[][2] = {
        {"p == \"alpha\"", "!strcmp(p, \"alpha\")"},
        {"r->name != \"beta\"", "!!strcmp(r->name, \"beta\")"},
        {"\"be\" \"ta\" == r->name", "!strcmp(r->name, \"beta\")"},
        {"$streq(p, r->p)", "!strcmp(p, r->p)"},
        {"$strstr(p, \"ph\")", "!!strstr(p, \"ph\")"},
        {"$strstr(r->p, r->name)", "!!strstr(r->p, r->name)"},
        {"$startswith(p, \"al\")", "!strncmp(p, \"al\", 2)"},
        {"$startswith(r->name, p + 1)", "!strncmp(r->name, p + 1, strlen(p + 1))"},
        {"(char *)r->v == \"beta\"", "!strcmp(r->v, \"beta\")"},
        {"r->bad->name == \"x\"", "BAD(int)"}};
    unsigned i = below(sizeof texts / sizeof *texts);
    strcat(out->condition, "(");
    strcat(out->condition, texts[i][0]);
    strcat(out->condition, ")");
    strcat(out->c, "(");
    strcat(out->c, texts[i][1]);
    strcat(out->c, ")");
}

static void generate_truth(struct pair *out, int depth)
{
    static const char *const comparisons[] = {" == ", " != ", " < ", " > ", " <= ", " >= "};
    static const char *const pointers[] = {"(p == NULL)",
                                           "(r != 0)",
                                           "!r->v",
                                           "(r->p == p)",
                                           "(r->p < p)",
                                           "(p > (char *)0)",
                                           "(r->next == r)",
                                           "((void *)r == r->v)",
                                           "(&r->a[1] > r->a)",
                                           "(r->a + 1 == &r->a[1])",
                                           "((long)p & 1)",
                                           "((r ? p : NULL) != NULL)",
                                           "(r->v && r)",
                                           "(r->in2 == &r->in2[0])",
                                           "(p + 1 > p)",
                                           "((char *)r->v - p > 5)"};
    if (depth <= 0) {
        unsigned choice = below(6);
        if (choice == 0)
            text_leaf(out);
        else if (choice == 1)
            both(out, PICK(pointers));
        else
            integer_leaf(out);
        return;
    }
    switch (below(6)) {
    case 0:
        around(out, "(", generate_truth, depth - 1, " && ");
        around(out, "", generate_truth, depth - 1, ")");
        break;
    case 1:
        around(out, "(", generate_truth, depth - 1, " || ");
        around(out, "", generate_truth, depth - 1, ")");
        break;
    case 2:
        around(out, "(!", generate_truth, depth - 1, ")");
        break;
    default:
        around(out, "(", generate_arithmetic, depth - 1, PICK(comparisons));
        around(out, "", generate_arithmetic, depth - 1, ")");
    }
}

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
    state = number_of("CONDITION_SEED", seeds += 2) | 1;
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
