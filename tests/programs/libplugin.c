#include <stdlib.h>
__attribute__((noinline)) int plugin_work(int n) { return n + 1; }
int plugin_begun;
__attribute__((constructor)) static void begin(void) { plugin_begun = plugin_work(7) + (getenv("PLUGIN") != NULL); }
