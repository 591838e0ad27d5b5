/*
 * compile.c: a package that is one C file becomes a shared object.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "elf/elf.h"
#include "package/compiler.h"

enum { MOST_WORDS = 16 /* of $CC */, OPTIONS = 16 };

struct gib_compiler {
    struct gib_compile_options options;
    char *include_directory;
    char *cache; /* made when it is first needed */
    bool cache_is_temporary;
    unsigned attempts; /* for names of files that are being written */
};

struct gib_compiler *gib_compiler_new(const struct gib_compile_options *options)
{
    struct gib_compiler *compiler = calloc(1, sizeof *compiler);
    if (!compiler)
        return NULL;
    compiler->options = *options;
    if (options->include_directory &&
        !(compiler->include_directory = strdup(options->include_directory))) {
        free(compiler);
        return NULL;
    }
    return compiler;
}

void gib_compiler_free(struct gib_compiler *compiler)
{
    if (!compiler)
        return;
    if (compiler->cache_is_temporary)
        gib_cache_remove(compiler->cache);
    free(compiler->cache);
    free(compiler->include_directory);
    free(compiler);
}

/* ---- one compilation ---- */

struct job {
    struct gib_compiler *compiler;
    char *source; /* absolute, links resolved */
    char *words;  /* $CC, cut into words */
    char *arguments[MOST_WORDS + OPTIONS];
    size_t count;
    char *object, *dependencies; /* in the cache */
    char *new_object, *new_dependencies;
};

static void free_job(struct job *job)
{
    free(job->source);
    free(job->words);
    free(job->object);
    free(job->dependencies);
    free(job->new_object);
    free(job->new_dependencies);
}

static int no_memory(struct gib_error *error)
{
    return gib_package_fail(error, GIB_E_MEMORY, "Out of memory.");
}

/* The words of $CC ("ccache gcc -m64"), then what makes a package. */
static int set_command(struct job *job, struct gib_error *error)
{
    const char *cc = getenv("CC");
    char *rest;
    job->words = strdup(cc && cc[strspn(cc, " \t")] ? cc : "cc");
    if (!job->words)
        return no_memory(error);
    for (char *word = strtok_r(job->words, " \t\n", &rest); word;
         word = strtok_r(NULL, " \t\n", &rest)) {
        if (job->count == MOST_WORDS)
            return gib_package_fail(error, GIB_E_SYNTAX, "$CC has more than %d words.", MOST_WORDS);
        job->arguments[job->count++] = word;
    }
    static const char *const options[] = {"-shared", "-fPIC", "-g", "-O2"};
    for (size_t i = 0; i < GIB_PACKAGE_COUNT(options); i++)
        job->arguments[job->count++] = (char *)options[i];
    if (job->compiler->include_directory) {
        job->arguments[job->count++] = "-I";
        job->arguments[job->count++] = job->compiler->include_directory;
    }
    return 0;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    for (const unsigned char *byte = bytes; size--; byte++)
        hash = (hash ^ *byte) * 0x100000001b3; /* FNV-1a */
    return hash;
}

/* Names in the cache: the source's name, for people, and a hash of all that the object depends on
 * but for included files. */
static int set_names(struct job *job, struct gib_error *error)
{
    struct stat status;
    if (stat(job->source, &status))
        return gib_package_fail(error, errno == ENOENT ? GIB_E_NOT_FOUND : GIB_E_FILE,
                                "%s cannot be read: %s.", gib_shown_path(job->source),
                                strerror(errno));
    uint64_t hash = hash_bytes(0xcbf29ce484222325, job->source, strlen(job->source) + 1);
    hash = hash_bytes(hash, &status.st_mtim, sizeof status.st_mtim);
    hash = hash_bytes(hash, &status.st_size, sizeof status.st_size);
    for (size_t i = 0; i < job->count; i++)
        hash = hash_bytes(hash, job->arguments[i], strlen(job->arguments[i]) + 1);
    const char *name = strrchr(job->source, '/') + 1, *cache = job->compiler->cache;
    const char *dot = strrchr(name, '.');
    int length = dot ? (int)(dot - name) : (int)strlen(name);
    if (length > 100)
        length = 100;
    unsigned attempt = ++job->compiler->attempts;
    if (asprintf(&job->object, "%s/%.*s-%016lx.so", cache, length, name, hash) < 0 ||
        asprintf(&job->dependencies, "%s/%.*s-%016lx.d", cache, length, name, hash) < 0 ||
        asprintf(&job->new_object, "%s/new-%d-%u.so", cache, (int)getpid(), attempt) < 0 ||
        asprintf(&job->new_dependencies, "%s/new-%d-%u.d", cache, (int)getpid(), attempt) < 0)
        return no_memory(error);
    return 0;
}

/* The object is as old as the files the compiler began with: one that changes meanwhile is newer.
 */
static int keep_result(struct job *job, const struct timespec *started, struct gib_error *error)
{
    struct timespec times[2] = {*started, *started};
    struct stat status;
    if (stat(job->new_object, &status) || !status.st_size)
        return gib_package_fail(error, GIB_E_FILE, "%s wrote no shared object for %s.",
                                job->arguments[0], gib_shown_path(job->source));
    if (utimensat(AT_FDCWD, job->new_object, times, 0) ||
        rename(job->new_dependencies, job->dependencies) || rename(job->new_object, job->object))
        return gib_package_fail(error, GIB_E_FILE, "cannot write %s: %s",
                                gib_shown_path(job->object), strerror(errno));
    return 0;
}

static int judge(struct job *job, const struct gib_run *run, struct gib_error *error)
{
    const char *source = gib_shown_path(job->source), *program = job->arguments[0];
    if (run->start_failure)
        return gib_package_fail(
            error, GIB_E_FILE,
            "cannot compile %s: the compiler %.60s cannot be run: %s. Set $CC to "
            "another.",
            source, program, strerror(run->start_failure));
    if (run->interrupted)
        return gib_package_fail(error, GIB_E_INTERRUPTED, "Interrupted while compiling %s.",
                                source);
    if (run->timed_out)
        return gib_package_fail(
            error, GIB_E_STATE, "%.60s was still compiling %s after %u seconds and was ended.",
            program, source, job->compiler->options.timeout ? job->compiler->options.timeout : 60);
    if (run->status > 0)
        return gib_package_fail(error, GIB_E_SYNTAX, "%s cannot be compiled: %.60s failed.", source,
                                program);
    return 0;
}

static int run_job(struct job *job, char **output, struct gib_error *error)
{
    struct timespec started;
    struct gib_run run;
    const char *last[] = {"-MMD", "-MF", job->new_dependencies, "-o", job->new_object, job->source};
    for (size_t i = 0; i < GIB_PACKAGE_COUNT(last); i++)
        job->arguments[job->count++] = (char *)last[i];
    job->arguments[job->count] = NULL;
    clock_gettime(CLOCK_REALTIME, &started);
    gib_run(job->arguments, &job->compiler->options, &run);
    int failed = judge(job, &run, error);
    if (!failed)
        failed = keep_result(job, &started, error);
    unlink(job->new_object); /* not there any more when all went well */
    unlink(job->new_dependencies);
    if (output)
        *output = run.output;
    else
        free(run.output);
    return failed;
}

int gib_compile(struct gib_compiler *compiler, const char *source, char **path, char **output,
                struct gib_error *error)
{
    struct job job = {.compiler = compiler, .source = realpath(source, NULL)};
    if (output)
        *output = NULL;
    if (!job.source)
        return gib_package_fail(error, errno == ENOENT ? GIB_E_NOT_FOUND : GIB_E_FILE,
                                "%s cannot be read: %s.", gib_shown_path(source), strerror(errno));
    int failed = 0;
    if (!compiler->cache)
        compiler->cache = gib_cache_directory(&compiler->cache_is_temporary, error);
    if (!compiler->cache)
        failed = error->code;
    if (!failed)
        failed = set_command(&job, error);
    if (!failed)
        failed = set_names(&job, error);
    if (!failed && !gib_cache_is_fresh(job.object, job.dependencies))
        failed = run_job(&job, output, error);
    if (!failed) {
        *path = job.object;
        job.object = NULL;
    }
    free_job(&job);
    return failed;
}

/* ---- FILE.c:FUNCTION ---- */

static void ignore(const struct gib_elf_symbol *symbol, void *context)
{
}

static int check_function(const char *object, const char *source, const char *function,
                          struct gib_error *error)
{
    struct gib_elf *elf = gib_elf_open(object, "/nonexistent", error);
    if (!elf)
        return error->code;
    size_t found = gib_elf_find(elf, function, ignore, NULL);
    gib_elf_close(elf);
    return found ? 0
                 : gib_package_fail(error, GIB_E_NOT_FOUND,
                                    "%s has no function %.60s (a static one that nothing uses is "
                                    "left out by the compiler).",
                                    gib_shown_path(source), function);
}

int gib_compile_function(struct gib_compiler *compiler, const char *directory, const char *text,
                         char **path, char **function, char **output, struct gib_error *error)
{
    const char *colon = strrchr(text, ':');
    if (output)
        *output = NULL;
    if (!colon || colon - text < 3 || strncmp(colon - 2, ".c", 2) || !colon[1])
        return gib_package_fail(error, GIB_E_ARGUMENT, "\"%.80s\" is not FILE.c:FUNCTION.", text);
    char *file = strndup(text, colon - text);
    char *source = file ? gib_package_expand(directory, file) : NULL;
    char *object = NULL, *name = strdup(colon + 1);
    int failed = source && name ? gib_package_check(source, true, error) : no_memory(error);
    if (!failed)
        failed = gib_compile(compiler, source, &object, output, error);
    if (!failed)
        failed = check_function(object, source, name, error);
    free(file);
    free(source);
    if (failed) {
        free(object);
        free(name);
        return failed;
    }
    *path = object;
    *function = name;
    return 0;
}
