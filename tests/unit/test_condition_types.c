/*
 * test_condition_types.c: names and types of programs: C++ scopes, variables, values in registers,
 * results, as several compilers and versions of DWARF describe them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "condition_run.h"

static const char source[] =
    "#include <errno.h>\n"
    "#include <string>\n"
    "enum Plain { PLAIN_A = 3, PLAIN_B = 4 };\n"
    "enum class Kind : unsigned char { Small = 1, Large = 200 };\n"
    "struct Base { int base_value; virtual ~Base() {} };\n"
    "struct Other { short other_value; enum Inside { INNER = 17 }; };\n"
    "namespace outer { inline namespace v1 { int in_inline = 5; struct Old { int o; }; }\n"
    "  namespace inner {\n"
    "    int counter = 42; static volatile int hidden = 43; const int fixed = 44;\n"
    "    template <class T> struct Pair { T first, second; };\n"
    "    class Thing : public Base, public Other { public:\n"
    "      int size; char name[8]; Kind kind; Thing *next; bool flag : 1; unsigned bits : 7;\n"
    "      static int total; enum { LIMIT = 99 }; struct Nested { int deep; } nested;\n"
    "      int &reference; int array[2][3]; union { int word; unsigned char bytes[4]; };\n"
    "      Pair<int> pair; Pair<Pair<char> > pairs;\n"
    "      Thing(int &r) : reference(r) {}\n"
    "      int method(int n, Kind k, const Thing &t, Plain p);\n"
    "    };\n"
    "    int Thing::total = 1000;\n"
    "    namespace { int anonymous = 6; }\n"
    "    int Thing::method(int n, Kind k, const Thing &t, Plain p)\n"
    "    { static int kept = 8; kept++; anonymous++; return size + n + hidden + fixed + kept + "
    "LIMIT + INNER; }\n"
    "  }\n"
    "}\n"
    "using outer::inner::Thing;\n"
    "namespace opened { struct Seen { int s; }; int seen = 71; enum Also { SEEN = 72 }; Also also; "
    "template <class T> struct Box { T t; }; Box<int> box; }\n"
    "using namespace opened; Seen a_seen;\n"
    "struct Left { int both; static int shared; int left; };\n"
    "struct Right { int both; int right; static int kept_there; };\n"
    "int Left::shared = 61; int Right::kept_there = 62; struct Extra { int shared; };\n"
    "struct Two : Left, Right { int own; };\n"
    "struct Hiding : Left, Right { int both; int m(int n); };\n"
    "struct Mixed : Extra, Left { int m(int n); };\n"
    "struct Again : Two {}; struct Twice : Left { int t; }; struct Once : Left { int o; };\n"
    "struct Diamond : Twice, Once { int d; int m(int n); };\n"
    "struct Top { int top; int over; }; struct Wing : virtual Top { int over; };\n"
    "struct Tail : virtual Top {}; struct Plane : Wing, Tail { int p; }; Plane a_plane;\n"
    "typedef unsigned char byte; struct Holder { int h; struct Hidden *p; std::string text; };\n"
    "Holder holders[3];\n"
    "typedef outer::inner::Pair<int> int_pair; int_pair one_pair; outer::Old an_old;\n"
    "static int values[] = {10, 20, 30};\n"
    "int *volatile pointer_to = values; __thread int each = 3; int target = 77;\n"
    "long long big = -5; double real = 2.5; extern \"C\" int exported = 12; char text_of[] = "
    "\"text\";\n"
    "struct two { long a; double b; }; struct small { char c[6]; short s; };\n"
    "struct mixed { float x, y; unsigned char k; }; struct large { long a[5]; };\n"
    "extern \"C\" {\n"
    "Thing *object; unsigned long words[6];\n"
    "__attribute__((noinline)) two by_value(two t, small s, mixed m, large l) { asm(\"\"); return "
    "t; }\n"
    "__attribute__((noinline)) small *pointers(small *s, int (*rows)[3], int (*f)(int), void *v) { "
    "asm(\"\"); return s; }\n"
    "__attribute__((noinline)) small gives_small(int n) { asm(\"\"); return small(); }\n"
    "__attribute__((noinline)) large gives_large(int n) { asm(\"\"); return large(); }\n"
    "__attribute__((noinline)) mixed gives_mixed(void) { asm(\"\"); return mixed(); }\n"
    "__attribute__((noinline)) unsigned char gives_char(long double x, __int128 w, int n) { "
    "asm(\"\"); return 3; }\n"
    "__attribute__((noinline)) float gives_float(float f) { asm(\"\"); return f; }\n"
    "__attribute__((noinline)) int bases(Again *a, Hiding *h, Diamond *d, Plane *p, Mixed *m) { "
    "asm(\"\"); return a->own + h->both + d->d + p->p + m->left; }\n"
    "__attribute__((noinline)) int numbers(int n, double x, Two &r, byte b) { asm(\"\"); return n; "
    "}\n"
    "__attribute__((noinline)) void nothing(Kind k, Plain p, outer::Old *old) { asm(\"\"); }\n"
    "}\n"
    "__attribute__((noinline)) int Diamond::m(int n) { return n + d; }\n"
    "__attribute__((noinline)) int Mixed::m(int n) { return n + left; }\n"
    "__attribute__((noinline)) int Hiding::m(int n) { return n + both; }\n"
    "int uses() { return int_pair().first + text_of[0] + (int)real + (int)big + each + *pointer_to "
    "+ outer::inner::counter; }\n"
    "__attribute__((constructor)) static void make() {\n"
    "  static Thing thing(target), second(values[1]);\n"
    "  object = &thing; thing.base_value = 11; thing.other_value = -12; thing.size = 13;\n"
    "  __builtin_strcpy(thing.name, \"name\"); thing.kind = Kind::Large; thing.next = &second;\n"
    "  thing.flag = true; thing.bits = 100; thing.nested.deep = 21; thing.array[1][2] = 123;\n"
    "  thing.word = 0x01020304; thing.pair.second = 31; thing.pairs.first.second = 'q';\n"
    "  second.size = -1; second.next = 0; second.kind = Kind::Small;\n"
    "  words[0] = (unsigned long)&thing; words[1] = 7; words[2] = 200 | 0xabcd00; words[3] = "
    "(unsigned long)&second;\n"
    "  words[4] = 0xffffffff00000004; }\n";

struct program {
    char path[64];
    void *handle;
    struct gib_elf *elf;
    uint64_t bias;
    bool type_units; /* a type is then in no namespace that a unit opens */
};

static bool own_file(void *context, size_t index, struct gib_condition_file *out)
{
    struct program *program = context;
    *out = (struct gib_condition_file){program->elf, program->bias};
    return index == 0;
}

static uint64_t entry_of(const struct program *program, const char *name);

static void found(const struct gib_elf_symbol *symbol, void *context)
{
    *(uint64_t *)context = symbol->value;
}

static size_t function(void *context, const char *name, struct gib_range *ranges, size_t room)
{
    struct program *program = context;
    uint64_t value;
    if (gib_elf_find(program->elf, name, found, &value) != 1)
        return 0;
    ranges[0] = (struct gib_range){value + program->bias, value + program->bias + 16};
    return room ? 1 : 0;
}

static uint64_t entry_of(const struct program *program, const char *name)
{
    uint64_t value;
    if (gib_elf_find(program->elf, name, found, &value) != 1)
        fail_msg("no function %s", name);
    return value + program->bias;
}

static void build(struct program *program, const char *compiler)
{
    char path[64], command[400];
    struct gib_error error;
    struct link_map *map;
    snprintf(path, sizeof path, "/tmp/gibbon-types-%d.cc", getpid());
    /* Each another name: a library with unique symbols stays loaded. */
    static int turn;
    snprintf(program->path, sizeof program->path, "/tmp/gibbon-types-%d-%d.so", getpid(), turn++);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(source, file);
    fclose(file);
    snprintf(command, sizeof command, "%s -w -fPIC -shared -o %s %s", compiler, program->path,
             path);
    assert_int_equal(system(command), 0);
    unlink(path);
    program->handle = dlopen(program->path, RTLD_NOW);
    if (!program->handle)
        fail_msg("%s", dlerror());
    program->elf = gib_elf_open(program->path, NULL, &error);
    assert_non_null(program->elf);
    assert_int_equal(dlinfo(program->handle, RTLD_DI_LINKMAP, &map), 0);
    program->bias = map->l_addr;
}

static void destroy(struct program *program)
{
    gib_elf_close(program->elf);
    dlclose(program->handle);
    unlink(program->path);
}

enum { ERROR = -1 };

static int verdict_of(struct program *program, const char *name, const char *text,
                      const struct gib_condition_call *call, struct gib_error *error)
{
    struct gib_condition_text *parsed;
    struct gib_condition *condition;
    struct gib_convention convention;
    struct gib_condition_scope scope = {.context = program,
                                        .entry = entry_of(program, name),
                                        .file = own_file,
                                        .function = function};
    struct gib_prototype *prototype = gib_elf_prototype(program->elf, scope.entry - program->bias);
    assert_non_null(prototype);
    gib_convention_make(prototype, &convention);
    scope.prototype = prototype;
    scope.convention = &convention;
    int verdict = ERROR;
    if (!gib_condition_parse(text, &parsed, error)) {
        if (!gib_condition_check(parsed, &scope, &condition, error)) {
            verdict = condition_run(condition, call);
            gib_condition_free(condition);
        }
        gib_condition_text_free(parsed);
    }
    gib_prototype_free(prototype);
    return verdict;
}

struct row {
    const char *function, *condition;
    const char *error; /* a part of the sentence; NULL: the condition is true */
};

#define METHOD "outer::inner::Thing::method"
static const struct row rows[] = {
    /* members of this, by name and otherwise */
    {METHOD, "this->size == 13 && size == 13 && this == ::object && n == 7", NULL},
    {METHOD, "base_value == 11 && other_value == -12 && this->Base::base_value == 11", NULL},
    {METHOD, "Base::base_value == 11 && Other::other_value == -12 && Thing::size == 13", NULL},
    {METHOD, "name == \"name\" && $startswith(name, \"na\") && sizeof name == 8", NULL},
    {METHOD, "kind == Kind::Large && k == Kind::Large && next->kind == Kind::Small", NULL},
    {METHOD, "flag && bits == 100 && nested.deep == 21 && array[1][2] == 123", NULL},
    {METHOD, "sizeof array == 24 && sizeof array[0] == 12 && *(array[1] + 2) == 123", NULL},
    {METHOD, "word == 0x01020304 && bytes[0] == 4 && reference == 77 && &reference == &target",
     NULL},
    {METHOD, "t.size == -1 && t.reference == 20 && &t == next && !t.next", NULL},
    {METHOD, "p == PLAIN_B && p != PLAIN_A && p == Plain::PLAIN_B", NULL},
    {METHOD, "pair.second == 31 && pairs.first.second == 'q'", NULL},
    /* the names around it */
    {METHOD, "total == 1000 && Thing::total == 1000 && LIMIT == 99 && Other::INNER == 17", NULL},
    {METHOD, "INNER == 17 && LIMIT + INNER == 116 && total == 1000", NULL},
    {METHOD, "counter == 42 && inner::counter == 42 && outer::inner::counter == 42", NULL},
    {METHOD, "hidden == 43 && fixed == 44 && kept == 8 && anonymous == 6 && in_inline == 5", NULL},
    {METHOD, "outer::v1::in_inline == 5 && ::outer::in_inline == 5", NULL},
    {METHOD, "values[2] == 30 && sizeof values == 12 && *pointer_to == 10 && big == -5", NULL},
    {METHOD, "real == 2.5 && exported == 12 && text_of == \"text\"", NULL},
    {METHOD, "each == 3", "another variable in each thread"},
    {METHOD, "$caller == pointers || $caller == \"outer::inner::Thing::method\"", NULL},
    {METHOD, "$caller != pointers && $caller == method", "no loaded module has a function"},
    {METHOD, "!($caller != pointers) && $caller > 4096", NULL},
    /* casts */
    {METHOD, "((Thing *)this)->size == 13 && ((outer::inner::Thing *)this)->size == 13", NULL},
    {METHOD, "((class Thing *)this)->size == 13 && ((struct Base *)this)->base_value == 11", NULL},
    {METHOD, "((Other *)this)->other_value == -12 && ((Other *)&t)->other_value == t.other_value",
     NULL},
    {METHOD, "(Thing *)(Base *)this == this && (Thing *)(Other *)this == this", NULL},
    {METHOD, "(long)(Other *)this - (long)this == (long)&other_value - (long)this", NULL},
    {METHOD, "(Other *)(Thing *)0 == 0 && (Other *)t.next == 0 && (Thing *)(Other *)0 == 0", NULL},
    {METHOD, "((Other *)(void *)this)->other_value != -12", NULL},
    {METHOD, "((Pair<int> *)&pair)->second == 31 && ((int_pair *)&pair)->first == pair.first",
     NULL},
    {METHOD, "((outer::inner::Pair<int>*)&pair)->second == 31", NULL},
    {METHOD, "((Thing::Nested *)&nested)->deep == 21 && (Kind)n == (Kind)7", NULL},
    {METHOD, "sizeof(Thing::Nested) == 4 && sizeof(Kind) == 1 && sizeof(Pair<char>) == 2", NULL},
    {METHOD, "size == 13 && (size) - 1 == 12 && (n) * 2 == 14 && (Plain)-1 != 3", NULL},
    /* casts of C++ */
    {METHOD, "static_cast<Other *>(this)->other_value == -12 && static_cast<Thing *>(this) == this",
     NULL},
    {METHOD, "reinterpret_cast<Other *>(this) == this && const_cast<Thing *>(this)->size == 13",
     NULL},
    {METHOD, "static_cast<const Pair<int>*>(&pair)->second == 31 && static_cast<Kind>(200) == kind",
     NULL},
    {METHOD, "reinterpret_cast<Pair<outer::inner::Pair<char>>*>(&pairs)->first.second == 'q'",
     NULL},
    {METHOD,
     "((Other &)*this).other_value == -12 && static_cast<Other &>(*this).other_value == -12", NULL},
    {METHOD, "((Thing &)t).size == -1 && ((Base &)t).base_value == t.base_value", NULL},
    {METHOD, "&(Other &)*this == (Other *)this && &reinterpret_cast<Other &>(*this) == this", NULL},
    {METHOD, "*&n == 7 && *&*&n == 7 && (&n)[0] == 7 && ((char *)&n)[1] == 0 && *(char *)&n == 7",
     NULL},
    {METHOD, "(int &)n == 7 && (unsigned char &)n == 7 && static_cast<int &&>(n) == 7", NULL},
    {METHOD,
     "int(real) == 2 && unsigned char(263) == 7 && double(n) / 2 == 3.5 && bool(this) && "
     "(int(real)) == 2 && (int(real) + 1) == 3",
     NULL},
    {METHOD, "Kind(200) == kind && Kind(n + 193) == Kind::Large && size(13) == 1",
     "calls no function"},
    {METHOD, "static_cast<int>(n) < 8 && sizeof(int &) == 4 && static_cast<long>(real) == 2", NULL},
    {METHOD, "sizeof(static_cast<char>(n)) == 1 && Kind(200) == kind", NULL},
    {METHOD, "dynamic_cast<Thing *>(this)", "dynamic_cast asks"},
    {METHOD, "static_cast<Nothing>(n)", "a type \"Nothing\""},
    {METHOD, "static_cast(n)", "'<'"},
    {METHOD, "static_cast<int>n", "'('"},
    {METHOD, "static_cast<int(n)", "arrays and functions"},
    {METHOD, "Thing(n) == 1", "a constructor is one"},
    {METHOD, "(int &)3 == 3", "has no address"},
    {METHOD, "(long &)n == 3", "outside of"},
    {METHOD, "(&n)[1] == 3", "outside of"},
    {METHOD, "(&n)[-1] == 3", "outside of"},
    {METHOD, "(&n)[n] == 3", "constant index"},
    {METHOD, "&n + 1 == 0", "\"n\" has no address: it is in a register"},
    {METHOD, "(long)&n == 3", "\"n\" has no address: it is in a register"},
    {METHOD, "(int &)bits == 3", "bit-field"},
    {"numbers", "(long &)x == 0x3ff8000000000000 && ((int *)&x)[1] == 0x3ff80000 && n == 2", NULL},
    {"numbers", "int(x) == 1 && byte(n + 256) == 2 && byte(b) == b && *(unsigned char *)&b == b",
     NULL},
    {"numbers", "reinterpret_cast<long &>(x) == 0x3ff8000000000000 && static_cast<byte>(258) == 2",
     NULL},
    {"numbers", "reinterpret_cast<long>(x) == 3", "cannot be cast"},
    {"numbers", "const_cast<long>(n) == 3", "cannot be cast"},
    {"by_value", "(*&t).a == 0x1122 && (&t)->b == 1.5 && (&s)->c[5] == 'F' && (&s.c[2])[1] == 'D'",
     NULL},
    {"by_value", "*(long *)&t.b == 0x3ff8000000000000 && ((two &)t).a == 0x1122 && m.x == *&m.x",
     NULL},
    {"by_value", "((short *)&s)[3] == -2 && *(double *)&t.b == 1.5 && ((large &)t).a[0]",
     "outside"},
    /* one name in two base classes */
    {"bases", "a->both == 1",
     "column 4: \"both\" is ambiguous: it is in the base classes Left and Right"},
    {"bases", "a->Left::both == 1 || a->Right::both == 1 || a->left || a->right || 1",
     "NULL is read"},
    {"bases", "a->shared == 61 && (*a).shared == Left::shared", NULL},
    {"bases", "h->both == 1", "NULL is read"},
    {"bases", "d->both == 1", "Left is a base class more than once"},
    {"bases", "d->Left::both == 1", "more than once"},
    {"bases", "((Twice *)d)->both == 1", "NULL is read"},
    {"bases", "d->o == 1 || d->t", "NULL is read"},
    {"bases", "m->shared == 1", "Extra and Left"},
    {"bases", "p->over == 1", "NULL is read"},
    {"bases", "p->top == 1", "virtual base class"},
    {"numbers", "r.both == 1", "ambiguous"},
    {"numbers", "r.left == 1", "NULL is read"},
    {"numbers", "seen == 71 && SEEN == 72", NULL},
    {"numbers", "((Box<int> *)&box)->t == 0 && sizeof(Seen) == 4", NULL},
    {"numbers", "sizeof(Holder) == 48 && sizeof holders == 144 && &holders[2] - holders == 2",
     NULL},
    {"numbers", "opened::seen == 71 && ((opened::Seen *)&n)->s == 2", NULL},
    {"_ZN7Diamond1mEi", "both == 1", "more than once"},
    {"_ZN7Diamond1mEi", "shared == 61", NULL},
    {"_ZN5Mixed1mEi", "shared == 61", "column 1: \"shared\" is ambiguous"},
    {"_ZN6Hiding1mEi", "shared == 61 && kept_there == 62", NULL},
    /* what is wrong */
    {METHOD, "sise == 1", "Did you mean size?"},
    {METHOD, "this.size", "->"},
    {METHOD, "this->missing", "no member \"missing\""},
    {METHOD, "(struct nothing *)n", "struct nothing"},
    {METHOD, "Kind::Medium == 1", "no enumerator"},
    {METHOD, "nested == 1", "its members"},
    {METHOD, "&n == 0", "in a register"},
    {METHOD, "&bits == 0", "bit-field"},
    {METHOD, "n == \"x\"", "no text"},
    {METHOD, "size->x == 1", "no pointer"},
    {METHOD, "$arg9 == 1", "has 5 arguments"},
    {METHOD, "this->size.x == 1", "no members"},
    {METHOD, "real % 2 == 0", "does not take"},
    {METHOD, "this + this == 0", "does not take"},
    /* values in registers */
    {"by_value", "t.a == 0x1122 && t.b == 1.5 && sizeof t == 16", NULL},
    {"by_value", "s.c[0] == 'A' && s.c[5] == 'F' && s.s == -2 && s.c == \"ABCDEF\"", NULL},
    {"by_value", "m.x == 0.25 && m.y == -8.f && m.k == 250", NULL},
    {"by_value", "s.c[t.a]", "constant index"},
    {"by_value", "l.a[0] == 'a' && l.a[t.b > 1] == 'b' && (&l)->a[2] == l.a[2]", NULL},
    {"by_value", "&l != 0 && sizeof l > 16 && *(char *)&l == 'a'", NULL},
    {"by_value", "l", "computes with its members"},
    {"by_value", "&s == 0", "in a register"},
    {"by_value", "$ret.a == 0x33 && $ret.b == -0.5", NULL},
    {"pointers", "s->c == \"name\" || 1", NULL},
    {"pointers", "rows != f && (long)v == 0x42 && (char)$arg4 == 'B' && $arg1 == s", NULL},
    {"pointers", "rows[0][1] == 1", "NULL is read"},
    {"pointers", "f == &by_value && &by_value == by_value && &gives_small != f", NULL},
    {"pointers", "sizeof rows[0] == 12 && sizeof *s == 8 && f == by_value", NULL},
    {"pointers", "*v == 1", "points to void"},
    {"pointers", "$ret == 0x33", NULL},
    {"gives_small", "$ret.c[0] == 'a' && $ret.s == 0x6867 && $ret.c == \"abcdef\"", NULL},
    {"gives_large", "$ret.a[0] == 1 || n == 7", "NULL is read"},
    {"gives_large", "n == 7", NULL},
    {"gives_mixed", "$ret.x == 4 && $ret.k == 0x33", NULL},
    {"gives_char", "$ret == 0x33 && x == 1", "with which conditions do not compute"},
    {"gives_char", "$ret == 0x33 && n == 200 && $arg3 == 200", NULL},
    {"gives_char", "w == 1", "with which conditions do not compute"},
    {"gives_float", "$ret == 4 && f == 1.5f", NULL},
    {"nothing", "$ret == 0", "returns nothing"},
    {"nothing", "k == 7 && p == 0xabc8 && $errno == 2 && $tid == 99 && $calls == 5", NULL},
    {"nothing", "old->o == 1 || sizeof(outer::v1::Old) == 4", "NULL is read"},
};

static void check_rows(struct program *program)
{
    const uint64_t *words = dlsym(program->handle, "words");
    uint64_t stack[16];
    double d = 1.5, half = -0.5;
    float f[2] = {0.25f, -8}, four = 4, single = 1.5f;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        if (program->type_units && strstr(row->condition, "(Seen)"))
            continue;
        struct gib_condition_call call = {.stack = stack,
                                          .caller = entry_of(program, "pointers") + 16,
                                          .calls = 5,
                                          .tid = 99,
                                          .error = 2,
                                          .rax = 0x33};
        struct gib_error error = {.code = 0};
        memset(stack, 0x5a, sizeof stack);
        memcpy(call.gpr, words, sizeof call.gpr);
        memcpy(&call.result_xmm[0], &half, 8);
        if (!strcmp(row->function, "by_value")) {
            call.gpr[0] = 0x1122;
            memcpy(&call.gpr[1], "ABCDEF\xfe\xff", 8);
            call.gpr[2] = 250 | 0x7700;
            memcpy(&call.xmm[0], &d, 8);
            memcpy(&call.xmm[1], f, 8);
            for (int k = 0; k < 5; k++)
                stack[k] = (uint64_t)('a' + k);
        } else if (!strcmp(row->function, "pointers")) {
            call.gpr[0] = (uint64_t)(uintptr_t)words;
            call.gpr[1] = 0;
            call.gpr[2] = entry_of(program, "by_value");
            call.gpr[3] = 0x42;
            if (strstr(row->condition, "$ret"))
                call.gpr[3] = 0;
        } else if (!strcmp(row->function, "bases")) {
            memset(call.gpr, 0, sizeof call.gpr);
        } else if (!strcmp(row->function, "numbers")) {
            call.gpr[0] = 2;
            call.gpr[1] = 0;
            call.gpr[2] = 0xab07;
            memcpy(&call.xmm[0], &d, 8);
        } else if (!strcmp(row->function, "gives_small")) {
            memcpy(&call.rax, "abcdefgh", 8);
        } else if (!strcmp(row->function, "gives_large")) {
            call.rax = 0;
            call.gpr[1] = 7;
        } else if (!strcmp(row->function, "nothing")) {
            call.gpr[0] = 7 | 0xff00;
            call.gpr[1] = 0xabc8;
            call.gpr[2] = 0;
        } else if (!strcmp(row->function, "gives_mixed") || !strcmp(row->function, "gives_float")) {
            memcpy(&call.result_xmm[0], &four, 4);
            memcpy(&call.xmm[0], &single, 4);
        } else if (!strcmp(row->function, "gives_char")) {
            call.rax = 0xffffff33;
            call.gpr[2] = 200;
        }
        int verdict = verdict_of(program, row->function, row->condition, &call, &error);
        if (row->error && !strcmp(row->error, "NULL is read")) {
            if (verdict != GIB_VERDICT_FAILED)
                fail_msg("%s: %d %s", row->condition, verdict, error.message);
        } else if (row->error) {
            if (verdict != ERROR || !strstr(error.message, row->error))
                fail_msg("%s: %d %s", row->condition, verdict, error.message);
        } else if (verdict != GIB_VERDICT_TRUE) {
            fail_msg("%s: %d %s", row->condition, verdict, error.message);
        }
    }
}

static void with(const char *compiler)
{
    struct program program = {.type_units = strstr(compiler, "-fdebug-types-section")};
    build(&program, compiler);
    check_rows(&program);
    destroy(&program);
}

static void test_gcc(void **unused)
{
    with(GIBBON_CXX " -O0 -g");
}

static void test_gcc_optimised(void **unused)
{
    with(GIBBON_CXX " -O2 -g -gdwarf-4 -fdebug-types-section");
    with(GIBBON_CXX " -O1 -g -gdwarf-5 -fdebug-types-section");
}

static void test_split(void **unused)
{
    char folder[] = "/tmp/gibbon-split-XXXXXX", here[4096];
    assert_non_null(getcwd(here, sizeof here));
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    with(GIBBON_CXX " -O0 -g -gsplit-dwarf");
    assert_int_equal(chdir(here), 0);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void test_clang(void **unused)
{
    if (system("clang++ --version >/dev/null 2>&1"))
        skip();
    with("clang++ -O1 -g");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gcc),
                                       cmocka_unit_test(test_gcc_optimised),
                                       cmocka_unit_test(test_split), cmocka_unit_test(test_clang)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
