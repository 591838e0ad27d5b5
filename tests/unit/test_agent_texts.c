/* Strings: every pointer a program may pass, each of them survived and shown. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent_fixture.h"

enum { PAGE = 4096 };
static struct agent a;
static char *pages; /* three: the middle one is readable, the others are not */

NOT_INLINED static const char *echo(const char *s, const char *t)
{
    __asm__ volatile("" : "+r"(s));
    return s;
}
static __typeof__(&echo) f;

static int setup(void **state)
{
    agent_open(&a, (struct agent_options){.string_limit = 32});
    f = agent_patch(&a, echo, "const char *echo(const char *s, const char *t)",
                    (struct patch_options){0});
    pages = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED || mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE);
}
static int teardown(void **state)
{
    munmap(pages, 3 * PAGE);
    agent_close(&a);
    return 0;
}

static void test_places(void **state)
{
    static char in_data[] = "data";
    char on_stack[] = "stack", *on_heap = strdup("heap");
    f("literal", in_data);
    f(on_stack, on_heap);
    char wanted[300];
    snprintf(wanted, sizeof wanted, "echo(s=\"stack\", t=\"heap\") = %p \"stack\"\n",
             (void *)on_stack);
    char *lines = agent_lines(&a);
    assert_non_null(strstr(lines, "echo(s=\"literal\", t=\"data\") = 0x"));
    assert_non_null(strstr(lines, wanted));
    free(lines);
    free(on_heap);
}

static void test_bad_pointers(void **state)
{
    memset(pages + PAGE, 'x', PAGE);
    char wanted[500];
    static const uint64_t bad[] = {1,
                                   8,
                                   0xfff,
                                   0x1000,
                                   0x7ffffffff000,
                                   0x7fffffffffff,
                                   0x800000000000,
                                   0x8000000000000000,
                                   0xffff800000000000,
                                   0xfffffffffffff000,
                                   0xfffffffffffffff8,
                                   0xfffffffffffffffe,
                                   0xffffffffffffffff};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *p = (const char *)bad[i];
        assert_ptr_equal(f(p, NULL), p);
        snprintf(wanted, sizeof wanted, "echo(s=0x%lx, t=NULL) = 0x%lx\n", bad[i], bad[i]);
        agent_expect(&a, wanted);
    }
    assert_null(f(NULL, pages)); /* PROT_NONE */
    snprintf(wanted, sizeof wanted, "echo(s=NULL, t=%p) = NULL\n", (void *)pages);
    agent_expect(&a, wanted);
    /* The last bytes of a page, with no NUL before the end. */
    for (int n = 1; n < 12; n++) {
        char *p = pages + 2 * PAGE - n;
        f(p, NULL);
        snprintf(wanted, sizeof wanted, "echo(s=\"%.*s\"..., t=NULL) = %p \"%.*s\"...\n", n,
                 "xxxxxxxxxxxx", (void *)p, n, "xxxxxxxxxxxx");
        agent_expect(&a, wanted);
    }
    /* The very last byte is the NUL. */
    pages[2 * PAGE - 1] = '\0';
    char *p = pages + 2 * PAGE - 1;
    f(p, p - 2);
    snprintf(wanted, sizeof wanted, "echo(s=\"\", t=\"xx\") = %p \"\"\n", (void *)p);
    agent_expect(&a, wanted);
}

static void test_unmapped_and_shrunk(void **state)
{
    char *gone = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(gone, "here");
    f(gone, NULL);
    munmap(gone, PAGE);
    f(gone, NULL);
    char wanted[300];
    snprintf(wanted, sizeof wanted,
             "echo(s=\"here\", t=NULL) = %p \"here\"\necho(s=%p, t=NULL) = %p\n", (void *)gone,
             (void *)gone, (void *)gone);
    agent_expect(&a, wanted);
    /* A mapping behind the end of its file: SIGBUS for a careless reader. */
    int fd = memfd_create("shrinks", 0);
    assert_int_equal(ftruncate(fd, PAGE), 0);
    char *file = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    strcpy(file, "file");
    f(file, NULL);
    assert_int_equal(ftruncate(fd, 0), 0);
    f(file, NULL);
    snprintf(wanted, sizeof wanted,
             "echo(s=\"file\", t=NULL) = %p \"file\"\necho(s=%p, t=NULL) = %p\n", (void *)file,
             (void *)file, (void *)file);
    agent_expect(&a, wanted);
    munmap(file, PAGE);
    close(fd);
}

/* Another thread changes the mappings between the proof of a page and its reading. */
static struct {
    char *file, *gone;
    int fd;
    bool stop;
} changing;
static void *change(void *unused)
{
    while (!__atomic_load_n(&changing.stop, __ATOMIC_RELAXED)) {
        assert_int_equal(ftruncate(changing.fd, 0), 0);
        assert_int_equal(ftruncate(changing.fd, PAGE), 0);
        mprotect(changing.gone, PAGE, PROT_NONE);
        mprotect(changing.gone, PAGE, PROT_READ);
    }
    return NULL;
}
static void test_changing_mappings(void **state)
{
    pthread_t thread;
    changing.fd = memfd_create("shrinks", 0);
    assert_int_equal(ftruncate(changing.fd, PAGE), 0);
    changing.file = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, changing.fd, 0);
    changing.gone = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(changing.gone, 'g', PAGE);
    changing.stop = false;
    assert_int_equal(pthread_create(&thread, NULL, change, NULL), 0);
    for (int i = 0; i < 100000; i++) {
        f(i & 1 ? changing.file : changing.gone, changing.gone + PAGE - 5);
        if (i % 1000 == 999)
            free(agent_lines(&a));
    }
    __atomic_store_n(&changing.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    munmap(changing.file, PAGE);
    munmap(changing.gone, PAGE);
    close(changing.fd);
}

static void test_limit(void **state)
{
    char text[100];
    for (int n = 28; n < 40; n++) {
        memset(text, 'a' + n - 28, sizeof text);
        text[n] = '\0';
        f(text, NULL);
        char wanted[300];
        const char *more = n > 32 ? "..." : "";
        snprintf(wanted, sizeof wanted, "echo(s=\"%.32s\"%s, t=NULL) = %p \"%.32s\"%s\n", text,
                 more, (void *)text, text, more);
        agent_expect(&a, wanted);
    }
    memset(pages + PAGE, 'y',
           PAGE); /* as long as the limit, then nothing: not cut, but unreadable */
    f(pages + 2 * PAGE - 32, NULL);
    char *lines = agent_lines(&a);
    assert_non_null(strstr(lines, "echo(s=\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\""));
    free(lines);
}

static void test_escapes(void **state)
{
    f("a\x1b[31m\"\\\n\x9b", "\xe2\x80\xaeok \xc3\xa9 \xff");
    char *lines = agent_lines(&a);
    assert_non_null(strstr(
        lines, "echo(s=\"a\\33[31m\\\"\\\\\\n\\233\", t=\"\\342\\200\\256ok \xc3\xa9 \\377\")"));
    for (char *c = lines; *c; c++)
        assert_true(*c == '\n' || (unsigned char)*c >= 0x20);
    free(lines);
}

/* A stack that ends where another mapping begins: what is above is no stack, and may go away. */
static ucontext_t here, there;
static char *above;
static void on_other_stack(void)
{
    f(above, above);
    f(above + 1, above);
    mprotect(above, PAGE, PROT_NONE);
    f(above, NULL);
    mprotect(above, PAGE, PROT_READ | PROT_WRITE);
}
static void test_mapping_above_the_stack(void **state)
{
    enum { STACK = 64 * PAGE };
    char *stack =
        mmap(NULL, STACK + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(stack != MAP_FAILED);
    above = stack + STACK;
    strcpy(above, "above");
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = STACK;
    there.uc_link = &here;
    makecontext(&there, on_other_stack, 0);
    assert_int_equal(swapcontext(&here, &there), 0);
    char wanted[300];
    snprintf(wanted, sizeof wanted,
             "echo(s=\"above\", t=\"above\") = %p \"above\"\necho(s=\"bove\", t=\"above\") = %p "
             "\"bove\"\necho(s=%p, t=NULL) = %p\n",
             (void *)above, (void *)(above + 1), (void *)above, (void *)above);
    agent_expect(&a, wanted);
    munmap(stack, STACK + PAGE);
}

/* Read-only segments are believed without proof. */
static void test_stable_ranges(void **state)
{
    extern const char __executable_start[], __etext[];
    a.shared->stable[0] = (struct gib_range){(uint64_t)__executable_start, (uint64_t)__etext};
    a.shared->stable_count = 1;
    f("believed", (const char *)UINT64_MAX);
    f(__executable_start + 1, NULL);
    char *lines = agent_lines(&a);
    assert_non_null(strstr(lines, "s=\"believed\", t=0xffffffffffffffff)"));
    assert_non_null(strstr(lines, "s=\"ELF\\2\\1\\1\", t=NULL)"));
    free(lines);
}

static void test_six_strings_and_more(void **state)
{
    const char *(*g)(const char *, const char *, const char *, const char *, const char *,
                     const char *, const char *, const char *) =
        agent_patch(
            &a, echo,
            "int echo(char *a, char *b, char *c, char *d, char *e, char *f, char *g, char *h)",
            (struct patch_options){0});
    g("1", "22", "333", "4444", "55555", "666666", "7", "8");
    char *lines = agent_lines(&a);
    assert_non_null(strstr(
        lines, "(a=\"1\", b=\"22\", c=\"333\", d=\"4444\", e=\"55555\", f=\"666666\", g=0x"));
    free(lines);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_places),
        TEST(test_unmapped_and_shrunk),
        TEST(test_changing_mappings),
        TEST(test_limit),
        TEST(test_escapes),
        TEST(test_stable_ranges),
        TEST(test_six_strings_and_more),
        TEST(test_bad_pointers),
        TEST(test_mapping_above_the_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
