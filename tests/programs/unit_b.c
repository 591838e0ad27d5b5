static __attribute__((noinline)) int local(int n) { __asm__ volatile("" : "+r"(n)); return n + 100; }
int call_b(int n) { return local(n) + 1; }
