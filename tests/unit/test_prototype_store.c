/* The store: what it knows of well-known functions, in full, and how it takes bad directories and
 * files. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "prototypes/internal.h"
#include "prototype_text.h"

/* From POSIX and the manual, not from the data. */
static const char *const known[] = {
    "char *=s mkdtemp(template:char *=s) errno",
    "int=i4 open(file:const char *=s, oflag:int=i4) ...open errno",
    "int=i4 openat64(fd:int=i4, file:const char *=s, oflag:int=i4) ...open errno",
    "int=i4 __open_2(file:const char *=s, oflag:int=i4) errno",
    "int=i4 close(fd:int=i4) errno",
    "ssize_t=i8 read(fd:int=i4, buf:void *=p, nbytes:size_t=u8) errno",
    "ssize_t=i8 write(fd:int=i4, buf:const void *=p, n:size_t=u8) errno",
    "ssize_t=i8 pread(fd:int=i4, buf:void *=p, nbytes:size_t=u8, offset:off_t=i8) errno",
    "off_t=i8 lseek(fd:int=i4, offset:off_t=i8, whence:int=i4) errno",
    "off64_t=i8 lseek64(fd:int=i4, offset:off64_t=i8, whence:int=i4) errno",
    "int=i4 mkdir(path:const char *=s, mode:mode_t=u4) errno",
    "int=i4 stat(file:const char *=s, buf:struct stat *=p) errno",
    "int=i4 unlink(name:const char *=s) errno",
    "ssize_t=i8 readlink(path:const char *=s, buf:char *=s, len:size_t=u8) errno",
    "int=i4 ioctl(fd:int=i4, request:unsigned long=u8) ... errno",
    "int=i4 fcntl(fd:int=i4, cmd:int=i4) ... errno",
    "int=i4 poll(fds:struct pollfd *=p, nfds:nfds_t=u8, timeout:int=i4) errno",
    "int=i4 socket(domain:int=i4, type:int=i4, protocol:int=i4) errno",
    "int=i4 connect(fd:int=i4, addr:const struct sockaddr *=p, len:socklen_t=u4) errno",
    "int=i4 accept(fd:int=i4, addr:struct sockaddr *=p, addr_len:socklen_t *=p) errno",
    "ssize_t=i8 send(fd:int=i4, buf:const void *=p, n:size_t=u8, flags:int=i4) errno",
    "void *=p mmap(addr:void *=p, len:size_t=u8, prot:int=i4, flags:int=i4, fd:int=i4, "
    "offset:off_t=i8) errno",
    "void *=p malloc(size:size_t=u8) errno",
    "void *=p calloc(nmemb:size_t=u8, size:size_t=u8) errno",
    "void *=p realloc(ptr:void *=p, size:size_t=u8) errno?",
    "void=v free(ptr:void *=p)",
    "int=i4 posix_memalign(memptr:void **=p, alignment:size_t=u8, size:size_t=u8)",
    "void *=p memcpy(dest:void *=p, src:const void *=p, n:size_t=u8)",
    "int=i4 memcmp(s1:const void *=p, s2:const void *=p, n:size_t=u8)",
    "int=i4 strcmp(s1:const char *=s, s2:const char *=s)",
    "char *=s strchr(s:const char *=s, c:int=i4)",
    "size_t=u8 strlen(s:const char *=s)",
    "char *=s strtok(s:char *=s, delim:const char *=s)",
    "char *=s strdup(s:const char *=s) errno",
    "char *=s getenv(name:const char *=s)",
    "char *=s setlocale(category:int=i4, locale:const char *=s)",
    "long=i8 strtol(nptr:const char *=s, endptr:char **=p, base:int=i4)",
    "void=v qsort(base:void *=p, nmemb:size_t=u8, size:size_t=u8, compar:comparison_fn_t=p)",
    "sighandler_t=p signal(sig:int=i4, handler:sighandler_t=p) errno?",
    "int=i4 kill(pid:pid_t=i4, sig:int=i4) errno",
    "pid_t=i4 fork() errno",
    "pid_t=i4 waitpid(pid:pid_t=i4, stat_loc:int *=p, options:int=i4) errno",
    "int=i4 execve(path:const char *=s, argv:char *const *=p, envp:char *const *=p) errno",
    "FILE *=p fopen(filename:const char *=s, modes:const char *=s) errno",
    "int=i4 fclose(stream:FILE *=p) errno",
    "char *=s fgets(s:char *=s, n:int=i4, stream:FILE *=p) errno?",
    "int=i4 getc(stream:FILE *=p) errno?",
    "int=i4 printf(format:const char *=s) ...printf errno?",
    "int=i4 snprintf(s:char *=s, maxlen:size_t=u8, format:const char *=s) ...printf errno?",
    "int=i4 __fprintf_chk(stream:FILE *=p, flag:int=i4, format:const char *=s) ...printf errno?",
    "int=i4 vprintf(format:const char *=s, arg:va_list=p) errno?",
    "int=i4 __isoc99_sscanf(s:const char *=s, format:const char *=s) ... errno?",
    "void=v syslog(pri:int=i4, fmt:const char *=s) ...printf",
    "struct dirent *=p readdir(dirp:DIR *=p) errno?",
    "struct passwd *=p getpwnam(name:const char *=s) errno?",
    "int=i4 pthread_mutex_lock(mutex:pthread_mutex_t *=p)",
    "int=i4 pthread_create(newthread:pthread_t *=p, attr:const pthread_attr_t *=p, "
    "start_routine:void *(*)(void *)=p, arg:void *=p)",
    "int=i4 getpriority(which:__priority_which_t=E4(3), who:id_t=u4) errno?",
    "int=i4 waitid(idtype:idtype_t=E4(4), id:id_t=u4, infop:siginfo_t *=p, options:int=i4) errno",
    "div_t=r8/4[I-] div(numer:int=i4, denom:int=i4)",
    "lldiv_t=r16/8[II] lldiv(numer:long long=i8, denom:long long=i8)",
    "char *=s inet_ntoa(in:struct in_addr=r4/4[I-])",
    "int=i4 sigqueue(pid:pid_t=i4, sig:int=i4, val:const union sigval=r8/8[I-]) errno",
    "struct mallinfo2=r80/8[M-] mallinfo2()",
    "double=f8 sin(x:double=f8)",
    "float=f4 powf(x:float=f4, y:float=f4)",
    "long double=f16[X-] ldexpl(x:long double=f16[X-], exponent:int=i4)",
    "_Complex double=x16[SS] cexp(z:_Complex double=x16[SS])",
    "double=f8 cabs(z:_Complex double=x16[SS])",
    "_Float128=f16[SU] sqrtf128(x:_Float128=f16[SU])",
    "int=i4 sigsetmask(mask:int=i4)",
    "time_t=i8 time(timer:time_t *=p) errno",
    "void=v __cxa_finalize(d:void *=p)",
    "void *=p __memcpy_chk(dest:void *=p, src:const void *=p, n:size_t=u8, destlen:size_t=u8)",
    "int=i4 __xstat(ver:int=i4, path:const char *=s, buf:struct stat *=p) errno",
};

static void well_known_functions(void **state)
{
    struct gib_error error = {.code = 0};
    struct gib_prototypes *store = gib_prototypes_open(DATA_DIRECTORY, &error);
    assert_int_equal(error.code, 0);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char name[64];
        const char *end = strchr(known[i], '('), *start = end;
        while (start[-1] != ' ')
            start--;
        snprintf(name, sizeof name, "%.*s", (int)(end - start), start);
        const struct gib_prototype *prototype = gib_prototypes_find(store, name);
        if (!prototype)
            fail_msg("%s is not known", name);
        assert_string_equal(prototype_text(prototype), known[i]);
        assert_ptr_equal(gib_prototypes_find(store, name), prototype);
    }
    gib_prototypes_close(store);
}

static void unknown_names(void **state)
{
    struct gib_prototypes *store = gib_prototypes_open(DATA_DIRECTORY, NULL);
    static const char *const names[] = {"",       " ",     "no_such_function", "mkdtem", "size_t",
                                        "struct", "div_t", "stat64 *",         "int"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_null(gib_prototypes_find(store, names[i]));
    gib_prototypes_close(store);
}

static void a_missing_directory_is_an_empty_store(void **state)
{
    struct gib_error error = {.code = 0};
    struct gib_prototypes *store = gib_prototypes_open("/no/such/directory", &error);
    assert_non_null(store);
    assert_int_equal(error.code, GIB_E_FILE);
    assert_string_equal(error.message,
                        "cannot read the prototypes in '/no/such/directory': No such "
                        "file or directory");
    assert_null(gib_prototypes_find(store, "open"));
    assert_int_equal(gib_prototypes_count(store), 0);
    struct gib_prototype *prototype = NULL;
    assert_int_equal(gib_prototype_parse(store, "int f(char *)", &prototype, &error), 0);
    gib_prototype_free(prototype);
    gib_prototypes_close(store);
    gib_prototypes_close(NULL);
}

static void a_directory_without_data_says_so(void **state)
{
    struct gib_error error = {.code = 0};
    struct gib_prototypes *store = gib_prototypes_open(GIBBON_SOURCE_DIR "/tests", &error);
    assert_int_equal(error.code, GIB_E_FILE);
    assert_non_null(strstr(error.message, "it holds no file named *.proto"));
    gib_prototypes_close(store);
}

static struct gib_prototypes *of_text(const char *text)
{
    struct gib_prototypes *store = gib_store_from_text(text, strlen(text));
    assert_non_null(store);
    return store;
}

static void the_first_line_of_a_name_counts(void **state)
{
    struct gib_prototypes *store = of_text("int f(int a);\nint f(char b);\n\n// int g(void);\n"
                                           "void (*h(int x))(char);\nint last(void)");
    assert_int_equal(gib_prototypes_count(store), 3);
    assert_string_equal(prototype_text(gib_prototypes_find(store, "f")), "int=i4 f(a:int=i4)");
    assert_string_equal(prototype_text(gib_prototypes_find(store, "h")),
                        "void (*)(char)=p h(x:int=i4)");
    assert_string_equal(prototype_text(gib_prototypes_find(store, "last")), "int=i4 last()");
    assert_null(gib_prototypes_find(store, "g"));
    gib_prototypes_close(store);
}

static void bad_lines_harm_only_themselves(void **state)
{
    struct gib_prototypes *store = of_text("int f(int a;\n}{][)(\ntypedef a b;\ntypedef b a;\n"
                                           "typedef self self;\na g(void);\nself h(self *x);\n"
                                           "int ok(self *x, a **y);\n");
    static const char *const bad[] = {"f", "g", "h", "ok"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_null(gib_prototypes_find(store, bad[i]));
    struct gib_error error = {.message = ""};
    struct gib_prototype *prototype = NULL;
    assert_int_equal(gib_prototype_parse(store, "int f(int x, a y)", &prototype, &error),
                     GIB_E_SYNTAX);
    assert_string_equal(error.message,
                        "column 14: the data files declare the type 'a' in a way that "
                        "cannot be read");
    gib_prototypes_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_known_functions),
        cmocka_unit_test(unknown_names),
        cmocka_unit_test(a_missing_directory_is_an_empty_store),
        cmocka_unit_test(a_directory_without_data_says_so),
        cmocka_unit_test(the_first_line_of_a_name_counts),
        cmocka_unit_test(bad_lines_harm_only_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
