/* Calls that differ from the ordinary one: each line says what came out. A patch must change none. */
#define _GNU_SOURCE
#include <alloca.h>
#include <execinfo.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#ifdef __clang__
#define APART __attribute__((noinline, optnone))
#else
#define APART __attribute__((noipa))
#endif
#define KEEP __attribute__((noinline))
#define hide(x) __asm__ volatile("" : "+r"(x))
volatile long sink;

/* ---- red zone, alignment, arrays of variable length ---- */
KEEP long red_zone(long a, long b) /* a leaf with locals below rsp */
{
    volatile long room[12];
    for (int i = 0; i < 12; i++)
        room[i] = a * i + b;
    long sum = 0;
    for (int i = 0; i < 12; i++)
        sum += room[i];
    return sum;
}
KEEP long calls_leaf(long n)
{
    volatile long local[4] = {n, n + 1, n + 2, n + 3};
    return red_zone(local[0], local[1]) + local[2] * local[3];
}
KEEP int aligned(int n, int a2, int a3, int a4, int a5, int a6, int a7, int a8)
{
    _Alignas(64) volatile char room[128];
    room[0] = (char)n;
    return ((uintptr_t)room & 63 ? 1000 : 0) + room[0] + a2 + a3 + a4 + a5 + a6 + a7 * 10 + a8 * 100;
}
__attribute__((noinline, force_align_arg_pointer)) int realigned(int n, int a2, int a3, int a4, int a5, int a6, int a7, int a8)
{
    _Alignas(32) volatile int room[16];
    room[n & 15] = n;
    return ((uintptr_t)room & 31 ? 1000 : 0) + room[n & 15] + a2 + a3 + a4 + a5 + a6 + a7 * 10 + a8 * 100;
}
KEEP long variable(int n, long a2, long a3, long a4, long a5, long a6, long a7, long a8)
{
    volatile long room[n];
    for (int i = 0; i < n; i++)
        room[i] = i;
    long *more = alloca(8ul * (size_t)n);
    for (int turn = 0; turn < 3; turn++) {
        volatile char scoped[n * (turn + 1)];
        scoped[n - 1] = 1;
        more[n - 1] = room[n - 1] + scoped[n - 1];
    }
    return more[n - 1] + a2 + a3 + a4 + a5 + a6 + a7 * 10 + a8 * 100;
}

/* ---- tail calls ---- */
KEEP int tail_end(int n) { hide(n); return n * 3; }
KEEP int tail_middle(int n) { hide(n); return tail_end(n + 1); }
KEEP int tail_start(int n) { hide(n); return tail_middle(n * 2); }
KEEP int is_odd(unsigned n);
KEEP int is_even(unsigned n) { hide(n); return n ? is_odd(n - 1) : 1; }
KEEP int is_odd(unsigned n) { hide(n); return n ? is_even(n - 1) : 0; }
static int (*volatile chosen)(int) = tail_end;
KEEP int tail_through_pointer(int n) { hide(n); return chosen(n + 2); }

/* ---- recursion ---- */
#define deeper(call) (__extension__({ long r = (call); hide(r); r; })) /* no loop can be made of it */
KEEP long down(long n) { hide(n); return n ? deeper(down(n - 1)) + 1 : 0; }
KEEP long other_down(long n);
KEEP long one_down(long n) { hide(n); return n ? deeper(other_down(n - 1)) + 1 : 0; }
KEEP long other_down(long n) { hide(n); return n ? deeper(one_down(n - 1)) + 2 : 0; }
KEEP long wide_down(long n, long a2, long a3, long a4, long a5, long a6, long a7, long a8)
{
    hide(n);
    return n ? deeper(wide_down(n - 1, a2, a3, a4, a5, a6, a7 + 1, a8 + 2)) + 1 : a7 + a8;
}
static jmp_buf far_out;
KEEP long down_and_out(long n)
{
    hide(n);
    if (!n)
        longjmp(far_out, 1);
    return deeper(down_and_out(n - 1)) + 1;
}
static void *recursion_in_thread(void *size)
{
    return (void *)(down((long)size) + down((long)size));
}
static void recursion(long levels)
{
    printf("down %ld\n", down(levels));
    printf("both down %ld\n", one_down(levels / 2));
    printf("wide down %ld\n", wide_down(levels / 4, 1, 2, 3, 4, 5, 6, 7));
    for (volatile int turn = 0; turn < 4; turn++)
        if (!setjmp(far_out))
            down_and_out(levels / 2);
    printf("out, down %ld\n", down(levels));
    pthread_t thread;
    void *result;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_create(&thread, &attributes, recursion_in_thread, (void *)levels);
    pthread_join(thread, &result);
    printf("thread down %ld\n", (long)result);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    pthread_create(&thread, &attributes, recursion_in_thread, (void *)1000);
    pthread_join(thread, &result);
    printf("small thread down %ld\n", (long)result);
}

/* ---- other conventions ---- */
__attribute__((ms_abi, noinline)) long microsoft(int a, double b, long c, float d, long e, double f, int g)
{
    hide(a);
    return a + (long)b * 10 + c * 100 + (long)d * 1000 + e * 10000 + (long)f * 100000 + g * 1000000;
}
__attribute__((ms_abi, noinline)) long microsoft_variadic(int count, ...)
{
    __builtin_ms_va_list list;
    __builtin_ms_va_start(list, count);
    long sum = 0;
    for (int i = 0; i < count; i++)
        sum = sum * 3 + __builtin_va_arg(list, int);
    __builtin_ms_va_end(list);
    return sum;
}
struct three { long x, y, z; };
__attribute__((ms_abi, noinline)) struct three microsoft_struct(struct three t, long a, long b, long c, long d)
{
    hide(a);
    return (struct three){t.x + a, t.y + b + c, t.z + d};
}
#ifdef __clang__
__attribute__((preserve_most, noinline)) void keeps_most(long *p) { *p += 5; }
__attribute__((preserve_all, noinline)) void keeps_all(long *p) { *p += 7; }
__attribute__((vectorcall, noinline)) double vectorcalled(double a, double b) { return a - b; }
__attribute__((regcall, noinline)) long in_registers(long a, long b, long c, long d, long e, long f, long g, long h) { return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + g * 7 + h * 8; }
#else
static long not_vectored;
__attribute__((no_caller_saved_registers, target("general-regs-only"), noinline)) void keeps_most(long *p) { *p += 5; not_vectored++; }
/* A function that -fipa-ra knows to leave most registers alone. */
static KEEP long leaves_alone(long n) { __asm__ volatile("add $3, %0" : "+r"(n)); return n; }
#endif
KEEP long counts_on_callee(long n)
{
    long a = n + 1, b = n + 2, c = n + 3, d = n + 4, e = n + 5, f = n + 6, g = n + 7, h = n + 8, sum = 0;
    double x = n, y = n * 2, z = n * 3;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+x"(x), "+x"(y), "+x"(z));
    for (int i = 0; i < 3; i++) {
        keeps_most(&sum);
#ifdef __clang__
        keeps_all(&sum);
        sum += (long)vectorcalled(x, y) + in_registers(a, b, c, d, e, f, g, h);
#else
        sum += leaves_alone(i);
#endif
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+x"(x), "+x"(y), "+x"(z));
    }
    return sum + a + b + c + d + e + f + g + h + (long)(x + y + z);
}
#if defined __GNUC__ && !defined __clang__
KEEP long apply(long (*f)(long), long n) { return f(n) + f(n + 1); }
KEEP long nested_functions(long base)
{
    long calls = 0;
    __attribute__((noinline)) long inner(long n)
    {
        calls++;
        __attribute__((noinline)) long innermost(long m) { return m * base + calls; }
        return innermost(n) + base;
    }
    return inner(3) + apply(inner, 5) * 10 + calls * 1000;
}
#endif

/* ---- variadics ---- */
APART double variadic(const char *kinds, ...)
{
    va_list list;
    double sum = 0;
    va_start(list, kinds);
    for (int i = 1; *kinds; kinds++, i++) {
        switch (*kinds) {
        case 'i': sum += i * va_arg(list, int); break;
        case 'l': sum += i * (double)va_arg(list, long); break;
        case 'd': sum += i * va_arg(list, double); break;
        case 'L': sum += i * (double)va_arg(list, long double); break;
        case 's': sum += i * (double)va_arg(list, struct three).y; break;
        }
    }
    va_end(list);
    return sum;
}
APART double passes_on(const char *format, char *out, ...)
{
    va_list list;
    va_start(list, out);
    int n = vsnprintf(out, 400, format, list);
    va_end(list);
    return n;
}
APART int old_style();
int old_style(a, b, c, d, e, f, g, h) int a, b, c, d, e, f, g; double h; { return a + b + c + d + e + f + g * 10 + (int)h * 100; }

/* ---- results ---- */
struct seven { char c[7]; };
struct big { long words[40]; };
KEEP struct seven odd_size(int n) { struct seven s; memset(&s, n, sizeof s); return s; }
KEEP struct big in_memory(struct big b, int n, struct big *other) { b.words[39] += n + other->words[0]; return b; }
KEEP _Complex long double two_on_the_x87(long double a) { return a + a * 2.0iL; }
KEEP long double one_on_the_x87(long double a, _Complex long double b) { return a + __real__ b * __imag__ b; }
KEEP __int128 sixteen(__int128 a, long b, long c, long d, long e, __int128 f, __int128 g) { return a + b + c + d + e + f * g; }
#if !defined __clang__
KEEP __int128 variadic_wide(int count, ...)
{
    va_list list;
    __int128 sum = 0;
    va_start(list, count);
    while (count--)
        sum = sum * 3 + va_arg(list, __int128);
    va_end(list);
    return sum;
}
#endif

/* ---- looking back ---- */
KEEP int who_called(void *low, void *high)
{
    char *from = __builtin_return_address(0);
    return from >= (char *)low && from < (char *)high;
}
KEEP int asks_who_called(void)
{
    int known = who_called((void *)asks_who_called, (char *)asks_who_called + 256);
    hide(known);
    return known;
}
/* A coroutine switch and a setjmp of its own, as libraries have them. */
__asm__(".text\n.globl own_switch\n.type own_switch, @function\n"
        "own_switch: push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n mov %rsp, (%rdi)\n mov %rsi, %rsp\n"
        " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n.size own_switch, . - own_switch\n"
        ".globl own_setjmp\n.type own_setjmp, @function\n"
        "own_setjmp: .cfi_startproc\n mov (%rsp), %rax\n mov %rax, 56(%rdi)\n mov %rbx, (%rdi)\n mov %rbp, 8(%rdi)\n mov %r12, 16(%rdi)\n mov %r13, 24(%rdi)\n"
        " mov %r14, 32(%rdi)\n mov %r15, 40(%rdi)\n lea 8(%rsp), %rax\n mov %rax, 48(%rdi)\n xor %eax, %eax\n ret\n .cfi_endproc\n.size own_setjmp, . - own_setjmp\n"
        ".globl own_longjmp\n.type own_longjmp, @function\n"
        "own_longjmp: mov (%rdi), %rbx\n mov 8(%rdi), %rbp\n mov 16(%rdi), %r12\n mov 24(%rdi), %r13\n mov 32(%rdi), %r14\n mov 40(%rdi), %r15\n"
        " mov 48(%rdi), %rsp\n mov %esi, %eax\n jmp *56(%rdi)\n.size own_longjmp, . - own_longjmp\n");
void own_switch(void **save, void *to);
int own_setjmp(void *buffer) __attribute__((returns_twice));
void own_longjmp(void *buffer, int value) __attribute__((noreturn));
static void *main_stack, *other_stack;
static volatile long ticks;
APART void coroutine(void)
{
    for (;;) {
        ticks = ticks * 2 + 1;
        own_switch(&other_stack, main_stack);
    }
}
static void switching(void)
{
    static _Alignas(64) char stack[65536];
    void **top = (void **)(stack + sizeof stack - 64);
    top[-1] = (void *)coroutine;
    other_stack = top - 7;
    for (int i = 0; i < 6; i++)
        own_switch(&main_stack, other_stack);
    printf("switches %ld\n", ticks);
    void *buffer[8];
    volatile int turns = 0;
    int got = own_setjmp(buffer);
    turns = turns + 1;
    if (got < 4)
        own_longjmp(buffer, got + 1);
    printf("own setjmp %d %d\n", got, turns);
}

int main(int argc, char **argv)
{
    printf("leaf %ld\n", calls_leaf(5));
    printf("aligned %d %d %ld\n", aligned(1, 2, 3, 4, 5, 6, 7, 8), realigned(1, 2, 3, 4, 5, 6, 7, 8), variable(9, 2, 3, 4, 5, 6, 7, 8));
    printf("tail %d %d %d %d\n", tail_start(4), is_even(1001), is_odd(77), tail_through_pointer(8));
    printf("microsoft %ld %ld\n", microsoft(1, 2, 3, 4, 5, 6, 7), microsoft_variadic(7, 1, 2, 3, 4, 5, 6, 7));
    struct three t = microsoft_struct((struct three){1, 2, 3}, 4, 5, 6, 7);
    printf("microsoft struct %ld %ld %ld\n", t.x, t.y, t.z);
    printf("counts on callee %ld\n", counts_on_callee(3));
#if defined __GNUC__ && !defined __clang__
    printf("nested %ld\n", nested_functions(7));
    printf("variadic wide %ld\n", (long)variadic_wide(4, (__int128)1, (__int128)2, (__int128)3, (__int128)4));
#endif
    printf("variadic %g\n", variadic("idldiLddddddddddiiiiiiiiisLll", 1, 2.5, 3l, 4.5, 5, 6.25L, 7., 8., 9., 10., 11., 12., 13., 14., 15., 16., 1, 2, 3, 4, 5, 6, 7, 8, 9, (struct three){1, 2, 3}, 7.5L, 8l, 9l));
    char text[512];
    double length = passes_on("%d %s %.2f %Lg %c %ld %g %g %g %g %g %g %g %g %g %d", text, 1, "two", 3.0, 4.5L, 'c', 6l, 1., 2., 3., 4., 5., 6., 7., 8., 9., 10);
    printf("printf %g %s\n", length, text);
    printf("old style %d\n", old_style(1, 2, 3, 4, 5, 6, 7, 8.0));
    struct big b = {{0}}, c = {{5}};
    b.words[39] = 8;
    b = in_memory(b, 3, &c);
    printf("results %d %ld\n", odd_size(3).c[6], b.words[39]);
    _Complex long double z = two_on_the_x87(1.5L);
    printf("x87 %Lg %Lg %Lg\n", __real__ z, __imag__ z, one_on_the_x87(2.5L, 3.0L + 4.0iL));
    printf("sixteen %ld\n", (long)sixteen(1, 2, 3, 4, 5, 6, 7));
    printf("return address %d\n", asks_who_called());
    switching();
    recursion(argc > 1 ? atol(argv[1]) : 100000);
    return 0;
}
