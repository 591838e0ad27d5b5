/* results.c: functions with a result of each class, and one that takes its place; `results ROUNDS`. */
#include <complex.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

enum color { RED, GREEN = 7, BLUE };
struct small {
    int a;
    double b;
};
struct pair {
    long low, high;
};
struct floats {
    float x, y, z;
};
struct large {
    long a[5];
    char c;
};
static int calls;
static volatile int one = 1; /* what compilers cannot foresee */

NOINLINE int add(int a, int b)
{
    calls++;
    return a + b;
}
NOINLINE int multiply(int a, int b)
{
    calls++;
    return a * b;
}
NOINLINE long sum(long a, long b, long c, long d, long e, long f, long g, long h)
{
    return a + b + c + d + e + f + g + h;
}
NOINLINE long last(long a, long b, long c, long d, long e, long f, long g, long h)
{
    return h * one;
}
NOINLINE signed char tiny(void)
{
    return (signed char)one;
}
NOINLINE bool yes(void)
{
    return one;
}
NOINLINE enum color color(void)
{
    return one - 1;
}
NOINLINE double half(double x)
{
    return x / 2;
}
NOINLINE float third(float x)
{
    return x / 3;
}
NOINLINE long double quarter(long double x)
{
    return x / 4;
}
NOINLINE double complex turn(double complex z)
{
    return z * I;
}
NOINLINE struct small small(int a)
{
    return (struct small){a, a + .5};
}
NOINLINE struct pair pair(long a)
{
    return (struct pair){a, -a};
}
NOINLINE struct floats floats(float a)
{
    return (struct floats){a, a + 1, a + 2};
}
NOINLINE struct large large(long a)
{
    return (struct large){{a, a, a, a, a}, 'q'};
}
NOINLINE const char *name(void)
{
    return one ? "none" : "";
}
NOINLINE void nothing(int n)
{
    calls += n;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    for (int i = 1; i <= rounds; i++) {
        errno = 0;
        int fd = open("/etc/passwd", O_RDONLY), code = errno;
        printf("open %s %s\n", fd < 0 ? "failed" : "worked", code ? strerror(code) : "-");
        if (fd >= 0)
            close(fd);
        int a = add(i, 10);
        printf("add %d multiply %d sum %ld\n", a, multiply(i, 10), sum(i, 2, 3, 4, 5, 6, 7, 8));
        printf("tiny %d yes %d color %d\n", tiny(), yes(), color());
        printf("half %g third %g quarter %Lg\n", half(i), third(i), quarter(i));
        double complex z = turn(i);
        printf("turn %g %g\n", creal(z), cimag(z));
        struct small s = small(i);
        struct pair p = pair(i);
        struct floats f = floats(i);
        struct large l = large(i);
        printf("small %d %g pair %ld %ld\n", s.a, s.b, p.low, p.high);
        printf("floats %g %g %g large %ld %ld %d\n", f.x, f.y, f.z, l.a[0], l.a[4], l.c);
        nothing(i);
        printf("name %s calls %d\n", name() ? name() : "NULL", calls);
        void *memory = malloc(1000);
        printf("malloc %s\n", memory ? "worked" : "failed");
        free(memory);
    }
    return 0;
}
