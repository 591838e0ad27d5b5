#include <stdlib.h>
int early_calls;
__attribute__((noinline)) int early_work(int n) { return n + early_calls; }
__attribute__((constructor)) static void begin(void)
{
    getenv("FROM_CONSTRUCTOR");
    early_calls++;
    early_work(11);
}
