/* condition_random.c: see condition_random.h. */
#include "condition_random.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 1;

void condition_seed(uint64_t seed)
{
    state = seed | 1;
}

uint64_t random64(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dull;
}

unsigned below(unsigned count)
{
    return (unsigned)(random64() >> 33) % count;
}

static void both(struct pair *out, const char *text)
{
    strcat(out->condition, text);
    strcat(out->c, text);
}

static void generate_integer(struct pair *out, int depth);
static void generate_real(struct pair *out, int depth);

static void generate_arithmetic(struct pair *out, int depth)
{
    if (below(4))
        generate_integer(out, depth);
    else
        generate_real(out, depth);
}

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

void generate_truth(struct pair *out, int depth)
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
