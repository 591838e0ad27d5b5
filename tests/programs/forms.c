/* Calls the functions of forms.S three times each, and prints what they gave. */
#include <stdio.h>
#define FORMS(F)                                                                                                                                   \
    F(only_jump) F(short_jump) F(identity) F(three_bytes) F(neighbour) F(behind_one_byte) F(loop_enclosed) F(loop_with_call) F(loop_to_entry)     \
    F(switch_back) F(goto_back) F(entered) F(enters_near) F(entered_from_far) F(enters_far) F(outer) F(inner) F(local_label) F(where_am_i)         \
    F(asks_a_thunk) F(has_part) F(cold_loop) F(calls_early) F(calls_register) F(counts) F(stack_through_memory) F(lock_skip) F(before_zeros) F(reads_zeros) F(padded) F(pad_is_whole)
#define VOIDS(F) F(only_ret) F(two_bytes) F(one_byte) F(before_pad)
#define DECLARE(name) int name(int);
FORMS(DECLARE)
#undef DECLARE
#define DECLARE(name) void name(int);
VOIDS(DECLARE)
int only_ud2(int), only_hlt(int);
static const struct { const char *name; int (*call)(int); } forms[] = {
#define ENTRY(name) {#name, name},
    FORMS(ENTRY)
};
static void (*const voids[])(int) = {
#define POINTER(name) name,
    VOIDS(POINTER)
};
__attribute__((noinline)) void finished(void) { __asm__ volatile(""); }
int main(int argc, char **argv)
{
    for (unsigned i = 0; i < sizeof forms / sizeof *forms; i++) {
        printf("%s", forms[i].name);
        for (int n = 1; n <= 3; n++)
            printf(" %d", forms[i].call(n));
        printf("\n");
    }
    for (unsigned i = 0; i < sizeof voids / sizeof *voids; i++)
        for (int n = 1; n <= 3; n++)
            voids[i](n);
    if (argc > 5)
        only_ud2(only_hlt(1));
    fflush(stdout);
    finished();
    return 0;
}
