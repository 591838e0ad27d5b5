/* One function for each kind of argument, called once with values the tests know. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __clang__
#define KEEP __attribute__((noinline, optnone, used))
#else
#define KEEP __attribute__((noipa, used))
#endif

enum colour { RED, GREEN = 5, BLUE = -3 };
enum flags { READ = 1, WRITE = 2, RUN = 4 };
struct point { int x, y; };
struct wide { long a, b, c; };
struct floats { double x, y; };
struct mixed { long n; double x; };
typedef int (*callback)(int);
volatile long sink;

KEEP int8_t small(int8_t a, uint8_t b, int16_t c, uint16_t d) { sink = a + b + c + d; return (int8_t)-5; }
KEEP int64_t large(int32_t a, uint32_t b, int64_t c, uint64_t d) { sink = a + b + c + (long)d; return INT64_MIN; }
KEEP uint32_t unsigned_result(void) { return 4000000000u; }
KEEP bool logic(bool yes, bool no) { sink = yes + no; return yes && !no; }
KEEP char letter(char a, char b, char c) { sink = a + b + c; return 'z'; }
KEEP enum colour paint(enum colour a, enum colour b, enum colour c) { sink = a + b + c; return GREEN; }
KEEP enum flags mask(enum flags f) { sink = f; return f; }
KEEP float single(float a, float b) { sink = (long)(a + b); return 0.1f; }
KEEP double twice(double a, double b) { sink = (long)(a + b); return 0.1; }
KEEP long double thrice(long double a, int b) { sink = (long)a + b; return 1.25L; }
KEEP double nine(double a, double b, double c, double d, double e, double f, double g, double h, double i, double j)
{
    sink = (long)(a + b + c + d + e + f + g + h);
    return i + j;
}
KEEP int eight(int a, int b, int c, int d, int e, int f, int g, int h) { sink = a + b + c + d + e + f; return g * 10 + h; }
KEEP double both(int a, double b, int c, double d, const char *e) { sink = a + c + *e; return b + d; }
KEEP const char *text(const char *a, char *b, const char *none) { sink = *a + *b + !none; return "result"; }
KEEP int *pointer(int *a, void *b, callback c) { sink = *a + !b + !c; return NULL; }
KEEP int by_pointer(struct point *p) { return p->x + p->y; }
KEEP struct point make_point(int x, int y) { struct point p = {x, y}; return p; }
KEEP struct wide make_wide(long a) { struct wide w = {a, a + 1, a + 2}; return w; }
KEEP struct floats make_floats(double x) { struct floats f = {x, x * 2}; return f; }
KEEP struct mixed make_mixed(long n) { struct mixed m = {n, 0.5}; return m; }
KEEP long take_point(struct point p, int after) { return p.x * 100 + p.y * 10 + after; }
KEEP long take_wide(struct wide w, int after) { return w.a + w.b + w.c + after; }
KEEP void nothing(void) { sink = 0; }
KEEP int recursive(int n) { return n ? n + recursive(n - 1) : 0; }

int main(void)
{
    int number = 42;
    char buffer[] = "buffer";
    struct point p = {3, 4};
    long sum = small(-128, 255, -32768, 65535);
    sum += large(-2147483647 - 1, 4294967295u, -9000000000000000000, 18446744073709551615u);
    sum += unsigned_result() + logic(true, false) + letter('a', '\n', '\'') + paint(RED, BLUE, (enum colour)77) + mask((enum flags)5);
    printf("%ld\n", sum);
    printf("%g %g %Lg\n", (double)single(1.5f, -0.1f), twice(3.25, 1e300), thrice(2.5L, 7));
    printf("%g %d %g\n", nine(1, 2, 3, 4, 5, 6, 7, 8, 9.5, 10.25), eight(1, 2, 3, 4, 5, 6, 7, 8), both(1, 2.5, 3, 4.5, "five"));
    printf("%s %p\n", text("hello", buffer, NULL), (void *)pointer(&number, NULL, NULL));
    p = make_point(p.x, by_pointer(&p));
    struct wide w = make_wide(10);
    struct floats f = make_floats(1.5);
    struct mixed m = make_mixed(9);
    printf("%d %d %ld %ld %ld %g %g %ld %g\n", p.x, p.y, w.a, w.b, w.c, f.x, f.y, m.n, m.x);
    printf("%ld %ld\n", take_point(p, 5), take_wide(w, 6));
    nothing();
    printf("%d\n", recursive(5));
    return 0;
}
