/* For test_stepping.py: small functions, called from lines of their own. `stepping N` calls each N times. */
#include <stdio.h>
#include <stdlib.h>

#define OWN __attribute__((noinline))

volatile int sink;

OWN void other(int n)
{
    sink += n;
}

OWN int plain(int a, int b)
{
    int c = a * 2;
    other(c);
    c += b;
    other(c);
    return c;
}

OWN int no_arguments(void)
{
    other(3);
    other(4);
    return sink;
}

OWN int saver(int n, const char *text)
{
    char room[200];
    int i, total = 0;
    snprintf(room, sizeof room, "%s%d", text, n);
    for (i = 0; room[i]; i++)
        total += room[i];
    other(total);
    return total;
}

OWN int many(int a, int b, int c, int d, int e, int f, int g)
{
    int r = a + b * c;
    other(r);
    r += d * e;
    other(f);
    r ^= g;
    other(r);
    return r + a + b + c;
}

OWN double floating(double x)
{
    double y = x * 2;
    other((int)y);
    return y + 1;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 2;
    for (int i = 0; i < n; i++) {
        int x = 0;
        x += plain(i, x);
        x += no_arguments();
        x += saver(i, "abc");
        x += many(i, 2, 3, 4, 5, 6, 7);
        x += (int)floating(i);
        other(x);
    }
    printf("sink %d\n", sink);
    return 0;
}
