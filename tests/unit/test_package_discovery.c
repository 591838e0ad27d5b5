/*
 * test_package_discovery.c: finding packages, their permissions, files of commands, compiling C
 * files. Each test has a directory of its own, which is HOME too.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "package/package.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static char root[64];

/* A path in the test's directory, in one of a few buffers. */
__attribute__((format(printf, 1, 2))) static const char *in(const char *format, ...)
{
    static char paths[6][4096];
    static unsigned turn;
    char *path = paths[turn++ % COUNT(paths)];
    va_list list;
    va_start(list, format);
    int size = snprintf(path, sizeof paths[0], "%s/", root);
    vsnprintf(path + size, sizeof paths[0] - size, format, list);
    va_end(list);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(in("%s", name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(in("%s", name), 0644), 0);
}

static void make(const char *name)
{
    assert_int_equal(mkdir(in("%s", name), 0755), 0);
    assert_int_equal(chmod(in("%s", name), 0755), 0);
}

static int begin(void **state)
{
    strcpy(root, "/tmp/gibbon-test-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    setenv("HOME", root, 1);
    setenv("XDG_CACHE_HOME", in("cache"), 1);
    unsetenv("GIBBON_PATH");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("CC");
    return chdir(root);
}

static int end(void **state)
{
    char command[256];
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", root, root);
    return chdir("/") || system(command);
}

static struct gib_package_path path_of(const char *variable, const char *shipped)
{
    struct gib_package_path path;
    struct gib_error error;
    if (variable)
        setenv("GIBBON_PATH", variable, 1);
    assert_int_equal(gib_package_path(shipped, &path, &error), 0);
    return path;
}

static struct gib_package_list list_of(const struct gib_package_path *path)
{
    struct gib_package_list list;
    struct gib_error error;
    assert_int_equal(gib_packages_list(path, &list, &error), 0);
    return list;
}

static void assert_has(const char *text, const char *words)
{
    if (!text || !strstr(text, words))
        fail_msg("\"%s\" without \"%s\"", text ? text : "", words);
}

/* ---- the search path ---- */

static void the_default_path(void **state)
{
    struct gib_package_path path = path_of(NULL, "/shipped");
    assert_int_equal(path.count, 2);
    assert_int_equal(path.named, 0);
    assert_string_equal(path.directories[0], in(".config/gibbon/packages"));
    assert_string_equal(path.directories[1], "/shipped");
    gib_package_path_free(&path);
    setenv("XDG_CONFIG_HOME", "/conf", 1);
    path = path_of(NULL, NULL);
    assert_int_equal(path.count, 1);
    assert_string_equal(path.directories[0], "/conf/gibbon/packages");
    gib_package_path_free(&path);
    setenv("XDG_CONFIG_HOME", "relative", 1); /* to be ignored */
    path = path_of(NULL, NULL);
    assert_string_equal(path.directories[0], in(".config/gibbon/packages"));
    gib_package_path_free(&path);
}

static void the_path_of_the_environment(void **state)
{
    make("a");
    assert_int_equal(symlink("a", in("b")), 0);
    struct gib_package_path path = path_of(":~/a::here:b:/x y:", "/shipped");
    assert_int_equal(path.count, 4); /* b is a, by another name */
    assert_int_equal(path.named, 3);
    assert_string_equal(path.directories[0], in("a"));
    assert_string_equal(path.directories[1], in("here"));
    assert_string_equal(path.directories[2], "/x y");
    assert_string_equal(path.directories[3], "/shipped");
    gib_package_path_free(&path);
}

/* ---- lists ---- */

static void everything_is_listed_once(void **state)
{
    make("one");
    make("two");
    put("one/beta.c", "");
    put("one/beta.gibbon", "# not this\n");
    put("one/.hidden.c", "");
    put("one/README", "");
    put("one/.so", "");
    put("two/alpha.gibbon", "#  Alpha's words \nwrap f\n");
    put("two/beta.so", "");
    make("two/folder.c");
    struct gib_package_path path = path_of("one:two:missing", NULL);
    struct gib_package_list list = list_of(&path);
    static const char *const files[] = {"two/alpha.gibbon", "one/beta.c", "one/beta.gibbon",
                                        "two/beta.so", "two/folder.c"};
    assert_int_equal(list.count, COUNT(files));
    for (size_t i = 0; i < COUNT(files); i++)
        assert_string_equal(list.entries[i].path, in("%s", files[i]));
    assert_string_equal(list.entries[0].name, "alpha");
    assert_string_equal(list.entries[0].description, "Alpha's words");
    assert_int_equal(list.entries[0].kind, GIB_PACKAGE_COMMANDS);
    assert_null(list.entries[1].hidden_by);
    assert_string_equal(list.entries[2].hidden_by, in("one/beta.c"));
    assert_string_equal(list.entries[3].hidden_by, in("one/beta.c"));
    assert_has(list.entries[4].refusal, "not a regular file");
    assert_int_equal(list.problem_count, 1);
    assert_has(list.problems[0], "missing");
    gib_package_list_free(&list);
    gib_package_path_free(&path);
}

static int find(const struct gib_package_path *path, const char *text,
                struct gib_package_entry *found, struct gib_error *error)
{
    memset(error, 0, sizeof *error);
    return gib_package_find(path, NULL, text, found, error);
}

static void names_are_found(void **state)
{
    struct gib_package_entry found;
    struct gib_error error;
    make("one");
    make("two");
    put("one/trace.c", "");
    put("two/trace.so", "");
    put("two/tempfiles.gibbon", "");
    struct gib_package_path path = path_of("one:two", NULL);
    assert_int_equal(find(&path, "trace", &found, &error), 0);
    assert_string_equal(found.path, in("one/trace.c"));
    assert_int_equal(found.kind, GIB_PACKAGE_SOURCE);
    assert_string_equal(found.name, "trace");
    gib_package_entry_free(&found);
    assert_int_equal(find(&path, "tempfile", &found, &error), GIB_E_NOT_FOUND);
    assert_has(error.message, "Did you mean \"tempfiles\"?");
    assert_int_equal(find(&path, "tarce", &found, &error), GIB_E_NOT_FOUND);
    assert_int_equal(find(&path, "temp", &found, &error), GIB_E_NOT_FOUND);
    assert_has(error.message, "Did you mean \"tempfiles\"?");
    assert_int_equal(find(&path, "quite-different", &found, &error), GIB_E_NOT_FOUND);
    assert_has(error.message, in("two"));
    gib_package_path_free(&path);
}

static void paths_are_taken_directly(void **state)
{
    struct gib_package_entry found;
    struct gib_error error;
    make("one");
    put("one/trace.c", "");
    put("lib.so.1", "\177ELF");
    put("notes.txt", "words");
    struct gib_package_path path = path_of("", NULL);
    static const char *const texts[] = {"one/trace.c", "./one/trace.c", "~/one/trace.c"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(find(&path, texts[i], &found, &error), 0);
        assert_string_equal(found.name, "trace");
        assert_int_equal(*found.path, '/');
        gib_package_entry_free(&found);
    }
    assert_int_equal(gib_package_find(&path, in("one"), "trace.c", &found, &error), 0);
    assert_string_equal(found.path, in("one/trace.c"));
    gib_package_entry_free(&found);
    assert_int_equal(find(&path, "./lib.so.1", &found, &error), 0);
    assert_int_equal(found.kind, GIB_PACKAGE_SHARED);
    gib_package_entry_free(&found);
    assert_int_equal(find(&path, "./notes.txt", &found, &error), GIB_E_FILE);
    assert_int_equal(find(&path, "trace.c", &found, &error), GIB_E_NOT_FOUND);
    assert_int_equal(find(&path, "one/", &found, &error), GIB_E_FILE);
    assert_int_equal(find(&path, "./nothing", &found, &error), GIB_E_NOT_FOUND);
    assert_has(error.message, "nothing");
    gib_package_path_free(&path);
}

/* ---- permissions ---- */

static void what_others_can_write_is_refused(void **state)
{
    struct gib_package_entry found;
    struct gib_error error;
    make("dir");
    put("dir/p.c", "");
    struct gib_package_path path = path_of("dir", NULL);
    static const struct {
        int directory, file, by_name, by_path;
    } cases[] = {
        {0755, 0644, 0, 0},
        {0700, 0600, 0, 0},
        {0755, 0664, GIB_E_REFUSED, GIB_E_REFUSED},
        {0755, 0646, GIB_E_REFUSED, GIB_E_REFUSED},
        {0775, 0644, GIB_E_REFUSED, GIB_E_REFUSED},
        {0757, 0644, GIB_E_REFUSED, GIB_E_REFUSED},
        {01777, 0644, GIB_E_REFUSED, 0}, /* others can add packages, but not change this one */
        {01777, 0666, GIB_E_REFUSED, GIB_E_REFUSED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(chmod(in("dir"), cases[i].directory), 0);
        assert_int_equal(chmod(in("dir/p.c"), cases[i].file), 0);
        assert_int_equal(find(&path, "p", &found, &error), cases[i].by_name);
        if (cases[i].by_name)
            assert_has(error.message, "refused");
        gib_package_entry_free(&found);
        assert_int_equal(find(&path, "dir/p.c", &found, &error), cases[i].by_path);
        gib_package_entry_free(&found);
        struct gib_package_list list = list_of(&path);
        assert_int_equal(list.count, 1);
        assert_int_equal(list.entries[0].refusal != NULL, cases[i].by_name != 0);
        gib_package_list_free(&list);
    }
    gib_package_path_free(&path);
}

static void refused_packages_do_not_make_way(void **state)
{
    struct gib_package_entry found;
    struct gib_error error;
    make("one");
    make("two");
    put("one/p.c", "");
    put("two/p.c", "");
    chmod(in("one/p.c"), 0666);
    struct gib_package_path path = path_of("one:two", NULL);
    assert_int_equal(find(&path, "p", &found, &error), GIB_E_REFUSED);
    gib_package_path_free(&path);
}

static void links_are_followed(void **state)
{
    struct gib_error error;
    make("safe");
    make("open");
    put("open/p.c", "");
    chmod(in("open"), 0777);
    assert_int_equal(symlink("../open/p.c", in("safe/p.c")), 0);
    assert_int_equal(gib_package_check(in("safe/p.c"), false, &error), GIB_E_REFUSED);
    assert_has(error.message, "open");
    chmod(in("open"), 0755);
    assert_int_equal(gib_package_check(in("safe/p.c"), false, &error), 0);
    assert_int_equal(symlink("loop.c", in("safe/loop.c")), 0);
    assert_int_equal(gib_package_check(in("safe/loop.c"), false, &error), GIB_E_FILE);
    assert_int_equal(symlink("gone", in("safe/gone.c")), 0);
    assert_int_equal(gib_package_check(in("safe/gone.c"), false, &error), GIB_E_NOT_FOUND);
    assert_int_equal(mkfifo(in("safe/pipe.c"), 0600), 0);
    assert_int_equal(gib_package_check(in("safe/pipe.c"), false, &error), GIB_E_FILE);
}

/* Only root can give files away, and root can read everything: each is tested where it can be. */
static void files_of_others(void **state)
{
    struct gib_error error;
    make("dir");
    put("dir/p.c", "");
    if (geteuid()) {
        chmod(in("dir/p.c"), 0);
        assert_int_equal(gib_package_check(in("dir/p.c"), false, &error), GIB_E_FILE);
        assert_has(error.message, "Permission denied");
        return;
    }
    assert_int_equal(chown(in("dir/p.c"), 12345, -1), 0);
    assert_int_equal(gib_package_check(in("dir/p.c"), true, &error), GIB_E_REFUSED);
    assert_has(error.message, "another user (uid 12345)");
    assert_int_equal(chown(in("dir/p.c"), 0, -1), 0);
    assert_int_equal(chown(in("dir"), 12345, -1), 0);
    assert_int_equal(gib_package_check(in("dir/p.c"), true, &error), GIB_E_REFUSED);
    assert_has(error.message, "directory");
    assert_int_equal(chown(in("dir"), 0, -1), 0);
    assert_int_equal(symlink("p.c", in("dir/link.c")), 0);
    assert_int_equal(lchown(in("dir/link.c"), 12345, -1), 0);
    assert_int_equal(gib_package_check(in("dir/link.c"), true, &error), GIB_E_REFUSED);
    assert_has(error.message, "link");
}

/* ---- files of commands ---- */

static void commands_are_read(void **state)
{
    struct gib_command_list list;
    struct gib_error error;
    put("a.gibbon", "# What it does\n\n  gibbon wrap f -count\r\n#wrap no\n\twrap libc.so.6?!g  \n"
                    "gibbon_not a word\nwrap h # a word");
    assert_int_equal(gib_commands_read(in("a.gibbon"), &list, &error), 0);
    assert_string_equal(list.description, "What it does");
    assert_int_equal(list.count, 4);
    assert_string_equal(list.commands[0].text, "wrap f -count");
    assert_int_equal(list.commands[0].line, 3);
    assert_string_equal(list.commands[1].text, "wrap libc.so.6?!g");
    assert_string_equal(list.commands[2].text, "gibbon_not a word");
    assert_string_equal(list.commands[3].text, "wrap h # a word");
    assert_int_equal(list.commands[3].line, 7);
    gib_commands_free(&list);
    put("b.gibbon", "wrap f\n# no description\n");
    assert_int_equal(gib_commands_read(in("b.gibbon"), &list, &error), 0);
    assert_null(list.description);
    assert_int_equal(list.count, 1);
    gib_commands_free(&list);
    put("c.gibbon", "");
    assert_int_equal(gib_commands_read(in("c.gibbon"), &list, &error), 0);
    assert_int_equal(list.count, 0);
    gib_commands_free(&list);
    assert_int_equal(gib_commands_read(in("nothing"), &list, &error), GIB_E_FILE);
    assert_int_equal(gib_commands_read(root, &list, &error), GIB_E_FILE);
    assert_int_equal(gib_commands_read("/proc/self/exe", &list, &error), GIB_E_FILE);
}

static void shipped_sets_are_commands(void **state)
{
    static const char *const sets[] = {"tempfiles", "files",   "sockets",
                                       "memory",    "threads", "processes"};
    for (size_t i = 0; i < COUNT(sets); i++) {
        char path[4096];
        struct gib_command_list list;
        struct gib_error error;
        snprintf(path, sizeof path, "%s/%s.gibbon", GIBBON_SETS, sets[i]);
        assert_int_equal(gib_commands_read(path, &list, &error), 0);
        assert_non_null(list.description);
        assert_true(list.count >= 10);
        for (size_t k = 0; k < list.count; k++) {
            assert_int_equal(strncmp(list.commands[k].text, "wrap libc.so.6?!", 16), 0);
            for (size_t n = 0; n < k; n++)
                assert_string_not_equal(list.commands[n].text, list.commands[k].text);
        }
        gib_commands_free(&list);
    }
}

/* ---- compiling ---- */

static const char source[] = "#include <gibbon/package.h>\n#include \"part.h\"\n"
                             "GIBBON_MOCK(\"libc.so.6\", getpid, VALUE);\n"
                             "int chosen(void);\nint chosen(void) { return VALUE; }\n";

static struct gib_compiler *new_compiler(void)
{
    return gib_compiler_new(&(struct gib_compile_options){.include_directory = GIBBON_INCLUDE});
}

static char *compiled(struct gib_compiler *compiler, const char *file)
{
    struct gib_error error;
    char *path = NULL, *output = NULL;
    if (gib_compile(compiler, in("%s", file), &path, &output, &error))
        fail_msg("%s\n%s", error.message, output ? output : "");
    free(output);
    return path;
}

static uint64_t mocked_value(const char *path)
{
    struct gib_package *package = NULL;
    struct gib_error error;
    assert_int_equal(gib_package_read(path, &package, &error), 0);
    uint64_t value = package->registrations[0].value.integer;
    gib_package_free(package);
    return value;
}

static ino_t inode(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_ino;
}

static void a_file_is_compiled_once(void **state)
{
    struct stat status;
    struct gib_compiler *compiler = new_compiler();
    put("part.h", "#define VALUE 1\n");
    put("a file#1$.c", source);
    char *first = compiled(compiler, "a file#1$.c");
    assert_int_equal(
        strncmp(first, in("cache/gibbon/a file#1$-"), strlen(in("cache/gibbon/a file#1$-"))), 0);
    assert_int_equal(mocked_value(first), 1);
    assert_int_equal(stat(in("cache/gibbon"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    ino_t once = inode(first);
    char *second = compiled(compiler, "./a file#1$.c");
    assert_string_equal(first, second);
    assert_int_equal(inode(second), once);
    /* A file it includes is newer than it: compiled again. */
    put("part.h", "#define VALUE 22\n");
    struct timespec later[2] = {{.tv_sec = time(NULL) + 10}, {.tv_sec = time(NULL) + 10}};
    assert_int_equal(utimensat(AT_FDCWD, in("part.h"), later, 0), 0);
    char *third = compiled(compiler, "a file#1$.c");
    assert_int_equal(mocked_value(third), 22);
    /* Other flags: another file. */
    setenv("CC", " cc -DUNUSED=1 ", 1);
    char *fourth = compiled(compiler, "a file#1$.c");
    assert_string_not_equal(fourth, third);
    free(first);
    free(second);
    free(third);
    free(fourth);
    gib_compiler_free(compiler);
}

static void errors_are_the_compilers(void **state)
{
    struct gib_error error;
    char *path = NULL, *output = NULL;
    struct gib_compiler *compiler = new_compiler();
    put("bad.c", "int f(void) { return nonsense; }\n");
    assert_int_equal(gib_compile(compiler, "bad.c", &path, &output, &error), GIB_E_SYNTAX);
    assert_has(error.message, "bad.c");
    assert_has(output, "bad.c:1:22: error:");
    assert_null(path);
    free(output);
    assert_int_equal(gib_compile(compiler, "none.c", &path, &output, &error), GIB_E_NOT_FOUND);
    assert_null(output);
    put("warn.c", "int f(void);\nint f(void) { int a = \"\"; return a; }\n");
    assert_int_equal(gib_compile(compiler, "warn.c", &path, &output, &error), 0);
    assert_has(output, "warning:");
    free(output);
    free(path);
    path = NULL;
    setenv("CC", "/nonexistent/cc", 1);
    assert_int_equal(gib_compile(compiler, "warn.c", &path, &output, &error), GIB_E_FILE);
    assert_has(error.message, "/nonexistent/cc");
    assert_has(error.message, "$CC");
    setenv("CC", "true", 1);
    assert_int_equal(gib_compile(compiler, "warn.c", &path, NULL, &error), GIB_E_FILE);
    setenv("CC", "sh -c kill\\ $$", 1); /* words, no shell's quotes */
    assert_int_equal(gib_compile(compiler, "warn.c", &path, NULL, &error), GIB_E_SYNTAX);
    gib_compiler_free(compiler);
}

static bool after_a_while(void *context)
{
    return ++*(int *)context == 3;
}

/* Gone, or waiting for its parent to take notice. */
static bool has_ended(pid_t process)
{
    char path[64], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'Z';
    if (file)
        fclose(file);
    return state == 'Z' || state == 'X';
}

/* A compiler that never ends has children that hold its streams; all of them go. */
static void compilers_are_ended(void **state)
{
    struct gib_error error;
    char *path = NULL, text[256], line[64];
    int asked = 0;
    put("a.c", "");
    snprintf(text, sizeof text, "#!/bin/sh\nsleep 1000 & echo $! > %s/child\nwait\n", root);
    put("slow", text);
    assert_int_equal(chmod(in("slow"), 0755), 0);
    setenv("CC", in("slow"), 1);
    for (int interrupted = 0; interrupted < 2; interrupted++) {
        struct gib_compile_options options = {.timeout = 1};
        if (interrupted)
            options = (struct gib_compile_options){.interrupted = after_a_while, .context = &asked};
        struct gib_compiler *compiler = gib_compiler_new(&options);
        unlink(in("child"));
        assert_int_equal(gib_compile(compiler, "a.c", &path, NULL, &error),
                         interrupted ? GIB_E_INTERRUPTED : GIB_E_STATE);
        gib_compiler_free(compiler);
        FILE *file = fopen(in("child"), "r");
        pid_t child = file && fgets(line, sizeof line, file) ? atoi(line) : 0;
        if (file)
            fclose(file);
        /* It ends; a child that did not would keep this test waiting. */
        while (child && !has_ended(child))
            usleep(1000);
    }
    assert_int_equal(asked, 3);
}

static void without_a_cache(void **state)
{
    struct gib_compiler *compiler = new_compiler();
    put("cache", "a file");
    put("a.c", "int a(void);\nint a(void) { return 1; }\n");
    setenv("TMPDIR", root, 1);
    char *path = compiled(compiler, "a.c"), *again = compiled(compiler, "a.c");
    assert_int_equal(strncmp(path, in("gibbon-"), strlen(in("gibbon-"))), 0);
    assert_string_equal(path, again);
    gib_compiler_free(compiler);
    assert_int_equal(access(path, F_OK), -1); /* it leaves nothing */
    unsetenv("TMPDIR");
    free(path);
    free(again);
}

static void functions_of_files(void **state)
{
    struct gib_error error;
    char *path = NULL, *function = NULL;
    struct gib_compiler *compiler = new_compiler();
    put("part.h", "#define VALUE 3\n");
    put("f.c", source);
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"f.c:chosen", 0},
        {"~/f.c:chosen", 0},
        {"f.c:chosne", GIB_E_NOT_FOUND},
        {"g.c:chosen", GIB_E_NOT_FOUND},
        {"f.c:", GIB_E_ARGUMENT},
        {"f.h:x", GIB_E_ARGUMENT},
        {":x", GIB_E_ARGUMENT},
        {"f.c", GIB_E_ARGUMENT},
        {"", GIB_E_ARGUMENT},
        {"libc.so.6!f", GIB_E_ARGUMENT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(
            gib_compile_function(compiler, NULL, cases[i].text, &path, &function, NULL, &error),
            cases[i].code);
        if (cases[i].code)
            continue;
        assert_string_equal(function, "chosen");
        assert_int_equal(mocked_value(path), 3);
        free(path);
        free(function);
    }
    chmod(in("f.c"), 0666);
    assert_int_equal(
        gib_compile_function(compiler, NULL, "f.c:chosen", &path, &function, NULL, &error),
        GIB_E_REFUSED);
    gib_compiler_free(compiler);
}

static void gibbons_own_files(void **state)
{
    make("build");
    make("build/packages");
    put("build/packages/tempfiles.gibbon", "");
    make("lib");
    make("lib/triplet");
    make("include");
    make("include/gibbon");
    put("include/gibbon/package.h", "");
    char *packages = gib_shipped_packages(in("build")), *include = gib_include_directory(in("lib"));
    assert_string_equal(packages, in("build/packages"));
    assert_string_equal(include, in("include"));
    free(include);
    include = gib_include_directory(in("lib/triplet"));
    assert_string_equal(include, in("include"));
    assert_null(gib_shipped_packages(in("lib")));
    free(packages);
    free(include);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    umask(022);
    const struct CMUnitTest tests[] = {
        TEST(the_default_path),
        TEST(the_path_of_the_environment),
        TEST(everything_is_listed_once),
        TEST(names_are_found),
        TEST(paths_are_taken_directly),
        TEST(what_others_can_write_is_refused),
        TEST(refused_packages_do_not_make_way),
        TEST(links_are_followed),
        TEST(files_of_others),
        TEST(commands_are_read),
        TEST(shipped_sets_are_commands),
        TEST(a_file_is_compiled_once),
        TEST(errors_are_the_compilers),
        TEST(compilers_are_ended),
        TEST(without_a_cache),
        TEST(functions_of_files),
        TEST(gibbons_own_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
