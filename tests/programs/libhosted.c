#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) int hosted_value(int n) { __asm__ volatile("" : "+r"(n)); return n + 1; }
__attribute__((constructor)) static void begin(void) { printf("begin %d\n", hosted_value(1)); fflush(stdout); }
__attribute__((destructor)) static void end(void) { printf("end %d\n", hosted_value(2)); fflush(stdout); }
int hosted(int n) { return hosted_value(n); }
/* Runs until its caller says so: a package's wrapper is active when the library goes. */
int hosted_calls_back(int (*back)(int)) { return hosted_value(back(5)); }
