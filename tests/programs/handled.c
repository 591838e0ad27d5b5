/* Calls for handlers, and handlers for them. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "gibbon/package.h"

#define APART __attribute__((noinline))

struct pair {
    long a;
    double b;
};
struct many {
    long a[5];
};
struct __attribute__((packed)) odd {
    char c;
    int n;
};
union either {
    float f;
    int n;
};

APART int add(int a, int b)
{
    return a + b;
}
APART double blend(float f, struct pair pair, struct many many, char c, const char *text)
{
    return f + (double)pair.a + pair.b + (double)many.a[4] + c + (double)strlen(text);
}
APART struct many spread(long n, struct odd odd, union either either)
{
    struct many result = {{n, odd.c, odd.n, either.n, 5}};
    return result;
}
APART struct pair twice(struct pair pair)
{
    pair.a *= 2;
    pair.b *= 2;
    return pair;
}
APART long double half(long double x)
{
    return x / 2;
}
APART _Bool positive(signed char c)
{
    return c > 0;
}
APART int fails(int code)
{
    errno = code;
    return -1;
}
APART int fib(int n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}
APART int sum(int count, ...)
{
    va_list list;
    int total = 0;
    va_start(list, count);
    while (count--)
        total += va_arg(list, int);
    va_end(list);
    return total;
}
APART int leaf(int n)
{
    return n + 1;
}
APART int middle(int n)
{
    return leaf(n) + 1;
}

/* ---- handlers ---- */

void show(struct gibbon_call *call);
void change(struct gibbon_call *call);
void repeat(struct gibbon_call *call);
void answer(struct gibbon_call *call);
void deny(struct gibbon_call *call);
void pass(struct gibbon_call *call);
void use_leaf(struct gibbon_call *call);
void jump_out(struct gibbon_call *call);
void who(struct gibbon_call *call);
void who_too(struct gibbon_call *call);

APART void show(struct gibbon_call *call)
{
    char line[1000];
    int at = snprintf(line, sizeof line, "%s:", gibbon_function(call));
    for (unsigned i = 0; i < gibbon_argument_count(call); i++) {
        const struct gibbon_type *type = gibbon_argument_type(call, i);
        const char *name = gibbon_argument_name(call, i);
        at += snprintf(line + at, sizeof line - (size_t)at, " (%s)%s=", type->text, name ? name : "?");
        if (type->type_class == GIBBON_TYPE_STRING)
            at += snprintf(line + at, sizeof line - (size_t)at, "\"%s\"", *(char **)gibbon_argument(call, i));
        else if (type->type_class == GIBBON_TYPE_RECORD)
            at += snprintf(line + at, sizeof line - (size_t)at, "%u bytes", type->size);
        else
            at += snprintf(line + at, sizeof line - (size_t)at, "%g", gibbon_read_double(type, gibbon_argument(call, i)));
    }
    gibbon_call_original(call);
    const struct gibbon_type *type = gibbon_result_type(call);
    printf("%s -> (%s)%g\n", line, type->text, gibbon_read_double(type, gibbon_result(call)));
}

APART void change(struct gibbon_call *call)
{
    *(int *)gibbon_argument_named(call, "a") = 100;
    gibbon_call_original(call);
    *(int *)gibbon_result(call) += 1000;
}

APART void repeat(struct gibbon_call *call)
{
    long total = 0;
    for (int i = 0; i < 3; i++) {
        gibbon_call_original(call);
        total += *(int *)gibbon_result(call);
        *(int *)gibbon_argument(call, 0) += 1;
    }
    gibbon_write_int(gibbon_result_type(call), gibbon_result(call), total);
}

APART void answer(struct gibbon_call *call)
{
    (void)call; /* nothing: the result is 0 */
}

APART void deny(struct gibbon_call *call)
{
    int kept = -1;
    gibbon_set_result(call, &kept, sizeof kept);
    errno = EBUSY; /* the handler's own */
    gibbon_set_errno(call, EACCES);
}

APART void pass(struct gibbon_call *call)
{
    gibbon_call_original(call);
    errno = ENOTTY;
}

APART void use_leaf(struct gibbon_call *call)
{
    leaf(10);
    gibbon_call_original(call);
}

static jmp_buf out;
APART void jump_out(struct gibbon_call *call)
{
    gibbon_call_original(call);
    longjmp(out, 7);
}

APART void who(struct gibbon_call *call)
{
    const char *caller = gibbon_caller(call);
    /* Unoptimised, the header's function is one of its own. */
    const char *inner = (const char *)gibbon_call_original;
    if ((caller >= (const char *)who && caller < (const char *)who + 200) || (caller > inner && caller < inner + 60))
        puts("called by a handler");
    else if (caller > (const char *)middle && caller < (const char *)middle + 60)
        puts("called by middle");
    else
        puts("called by somebody");
    gibbon_call_original(call);
}

APART void who_too(struct gibbon_call *call)
{
    who(call);
}

static void *run(void *argument)
{
    long total = 0;
    for (int i = 0; i < 500; i++)
        total += add(i, 1) + fib(6);
    *(long *)argument = total;
    return NULL;
}

int main(void)
{
    struct pair pair = {3, 4.5};
    struct many many = {{1, 2, 3, 4, 5}};
    struct odd odd = {'x', 77};
    union either either = {.n = 12};
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("add %d\n", add(1, 2));
    printf("blend %g\n", blend(1.5f, pair, many, 'a', "xyz"));
    many = spread(7, odd, either);
    printf("spread %ld %ld %ld %ld %ld\n", many.a[0], many.a[1], many.a[2], many.a[3], many.a[4]);
    pair = twice(pair);
    printf("twice %ld %g\n", pair.a, pair.b);
    printf("half %Lg\n", half(2.5L));
    printf("positive %d %d\n", positive(3), positive(-3));
    errno = 0;
    int failed = fails(ENOENT);
    printf("fails %d, errno %d\n", failed, errno);
    printf("fib %d\n", fib(10));
    printf("sum %d\n", sum(3, 10, 20, 30));
    int jumped = setjmp(out);
    if (!jumped)
        printf("middle %d\n", middle(1));
    else
        printf("jumped %d\n", jumped);
    errno = 0;
    int fd = open("/dev/null", O_RDONLY);
    printf("open %s\n", fd >= 0 ? "done" : "failed");
    pthread_t thread[4];
    long total[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, run, &total[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    printf("totals %ld %ld %ld %ld\n", total[0], total[1], total[2], total[3]);
    return 0;
}
