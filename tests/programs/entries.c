/* Functions of many shapes, for the entries that compilers make: each is called three times, and the sum of what they gave is printed. */
#include <stdio.h>
static volatile int zero;
int table[64];
__attribute__((noinline)) int plain(int n) { return n + 1 + zero; }
__attribute__((noinline)) int reads(int n) { return table[n] + zero; }
__attribute__((noinline)) int writes(int n) { table[n & 63] = n; return table[n & 63]; }
__attribute__((noinline)) int loops(int n)
{
    int sum = 0;
    do
        sum += table[sum & 63] + n;
    while (--n > 0);
    return sum;
}
__attribute__((noinline)) int nothing(int n) { __asm__ volatile(""); return n; }
__attribute__((noinline)) int calls(int n) { return plain(n) + reads(n) * 2; }
__attribute__((noinline)) int tail(int n) { return calls(n + 1); }
__attribute__((noinline)) int chooses(int n)
{
    switch (n) {
    case 0: return plain(3);
    case 1: return zero - 7;
    case 2: return reads(n) ^ 5;
    case 3: return n * n + zero;
    case 4: return nothing(9);
    default: return -n;
    }
}
__attribute__((noinline)) double halves(double x) { return x / 2; }
__attribute__((noinline)) void finished(int sum) { printf("sum %d\n", sum); fflush(stdout); }
int main(void)
{
    int sum = 0;
    for (int i = 1; i <= 3; i++)
        sum += writes(i) + loops(i) + tail(i) + chooses(i) + nothing(i) + (int)halves(8 * i);
    finished(sum);
    return 0;
}
