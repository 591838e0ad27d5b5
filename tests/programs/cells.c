/* Says texts that need care in a table, and in a spreadsheet. */
#include <errno.h>
#include <stddef.h>
__attribute__((noinline)) int say(const char *what, int n)
{
    __asm__ volatile("" : : "r"(what) : "memory");
    return n;
}
__attribute__((noinline)) double seven(short a, char b, double c, const char *d, int *e, unsigned f, long g)
{
    __asm__ volatile("" : : "r"(d), "r"(e) : "memory");
    return a + b + c + f + (double)g;
}
__attribute__((noinline)) char *named(int n) { return n == 2 ? (char *)8 : n ? "-x, \"y\"" : NULL; }
__attribute__((noinline)) long outer(long n)
{
    long sum = say("inside", 1);
    if (n)
        sum += outer(n - 1);
    return sum + say("behind", 2);
}
int main(void)
{
    static const char *const texts[] = {"plain", "a,b", "say \"x\"", "=1+1", "-1", "+x", "@x", " lead", "line\nend", "tab\tesc\033[31m", "", "gr\303\274n", NULL};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        say(texts[i], -(int)i);
    seven(-7, 'x', 0.5, "=d", NULL, 4000000000u, -1);
    named(0);
    named(1);
    named(2);
    outer(3);
    return 0;
}
