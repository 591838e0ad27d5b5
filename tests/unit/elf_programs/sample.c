/* sample.c: a C program whose functions the tests of core/elf know. Line numbers matter: see LINE below. */
#include <complex.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define KEEP __attribute__((noinline, used))

enum color { RED, GREEN = 5, BLUE = 200 };
enum level { LOW = -3, HIGH = 7 };
struct pair { long a, b; };
struct mixed { double d; int i; };
struct floats { float x, y, z; };
struct big { long a[3]; };
struct bits { unsigned a : 3; unsigned b : 30; double d; };
struct __attribute__((packed)) packed { char c; int i; };
struct quad { long double q; };
struct nested { struct { float f; } in[1]; struct { int i; } other; double d; };
struct empty_array { int n; char tail[]; };
struct opaque;
union either { double d; long l; };
typedef unsigned long word;
typedef float vec4 __attribute__((vector_size(16)));
typedef int (*compare)(const void *, const void *);

volatile long sink;
extern long unknown(void);

KEEP char *f_strings(const char *path, char *out, const unsigned char *raw, const char *const *list, const wchar_t *wide) { sink += path[0] + raw[0] + (list != 0) + (wide != 0); return out; }
KEEP void f_void(void) { sink++; }
KEEP int f_integers(bool yes, char c, short s, unsigned u, size_t z, int64_t i, word w, __int128 huge) { sink += yes + c + s + u + z + i + w + (long)huge; return -1; }
KEEP double f_floats(float f, double d, long double ld, double _Complex dc, float _Complex fc) { sink += f + d + ld + creal(dc) + crealf(fc); return d; }
KEEP enum color f_enums(enum color c, enum level _level) { sink += c + _level; return BLUE; }
KEEP struct pair f_records(struct pair p, struct mixed m, struct floats f, struct big b, struct bits t, union either e) { sink += p.a + m.i + f.x + b.a[0] + t.a + e.l; return p; }
KEEP struct big f_records2(struct packed p, struct quad q, struct nested n, vec4 v) { sink += p.i + q.q + n.d + v[0]; return (struct big){{1, 2, 3}}; }
KEEP void f_pointers(struct stat *st, struct opaque *o, compare by, int (*visit)(int, char *), void *const *vp, int (*rows)[4]) { sink += (st != 0) + (o != 0) + (by != 0) + (visit != 0) + (vp != 0) + (rows != 0); }
KEEP int f_variadic(const char *format, ...) { va_list list; va_start(list, format); sink += va_arg(list, int); va_end(list); return 0; }
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wdeprecated-non-prototype"
#endif
KEEP int f_old() { sink++; return 1; }
static KEEP int f_static(int __n) { sink += __n; return __n * 3; }
KEEP int f_lines(int n)
{
    sink += n;
    sink += 2 * f_static(n); /* LINE */
    return n;
}

/* Sorted before f_lines, and as good, but longer. */
int f_a_longer_name(int) __attribute__((alias("f_lines")));

static void *resolve_chosen(void);
long f_chosen(long) __attribute__((ifunc("resolve_chosen")));
static KEEP long chosen_here(long n) { return n + 1; }
static void *resolve_chosen(void) { return (void *)chosen_here; }

void *relocated = &sink;
char f_bss[1 << 16];

int main(int argc, char **argv)
{
    vec4 v = {1, 2, 3, 4};
    struct pair p = {1, 2};
    f_strings("x", argv[0], (const unsigned char *)"y", 0, 0);
    f_void();
    f_integers(1, 2, 3, 4, 5, 6, 7, 8);
    f_floats(1, 2, 3, 4, 5);
    f_enums(RED, LOW);
    f_records(p, (struct mixed){1, 2}, (struct floats){1, 2, 3}, (struct big){{1}}, (struct bits){1, 2, 3}, (union either){1});
    f_records2((struct packed){1, 2}, (struct quad){1}, (struct nested){{{1}}, {1}, 1}, v);
    f_pointers(0, 0, 0, 0, 0, 0);
    f_variadic("%d", argc);
    printf("%d %d %ld\n", f_old(), f_lines(argc), f_chosen(argc) + (long)f_bss[argc]);
    return relocated == 0;
}
