/* Functions whose arguments are not where their prototypes say: another convention, and what compilers do with functions of whose calls they know all. */
#include <stdio.h>
#define KEEP __attribute__((noinline))
#define hide(x) __asm__ volatile("" : "+r"(x))
KEEP __attribute__((ms_abi)) long four(int a, int b, const char *c, long d) { hide(d); return a + b + c[0] + d; }
KEEP __attribute__((ms_abi)) double floating(double a, int b, double c) { hide(b); return a + b + c; }
KEEP __attribute__((ms_abi)) long seven(int a, int b, int c, int d, int e, int f, int g) { hide(a); return a + b * 10 + c * 100 + d * 1000 + e * 10000 + f * 100000 + g * 1000000; }
KEEP __attribute__((sysv_abi)) long ordinary(int a, int b) { hide(a); return a + b; }
static KEEP int constant(int unused, int b, int c) { hide(b); return b * c; }
struct s { int x, y; long z; };
static KEEP long field(struct s *p, int k) { hide(k); return p->z * k; }
static KEEP long last_only(long unused, long other, long n) { hide(n); return n + 1; }
#ifdef __clang__
KEEP __attribute__((regcall)) long regcalled(long a, long b, long c) { hide(a); return a + b * 2 + c * 3; }
KEEP __attribute__((preserve_most)) void preserving(long a, long *b) { *b = a; }
#endif
KEEP void finished(void) { __asm__ volatile(""); }
int main(int argc, char **argv)
{
    struct s v = {1, 2, argc + 2};
    long got = 0;
#ifdef __clang__
    preserving(8, &got);
    got += regcalled(1, 2, 3);
#endif
    printf("%ld %g %ld %ld %d %ld %ld %ld\n", four(1, 2, "x", 4), floating(1.5, 2, 3.5), seven(1, 2, 3, 4, 5, 6, 7), ordinary(1, 2), constant(argc, 5, 6), field(&v, 3),
           last_only(argc, argc + 1, argc + 40), got);
    fflush(stdout);
    finished();
    return 0;
}
