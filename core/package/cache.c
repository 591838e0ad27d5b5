/*
 * cache.c: where compiled packages lie, and when one has to be compiled again.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "package/compiler.h"

/* Makes the directory and those above it. */
static bool make_directories(char *path)
{
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        int failed = mkdir(path, 0700);
        *slash = '/';
        if (failed && errno == ENOENT)
            return false;
    }
    return !mkdir(path, 0700) || errno == EEXIST;
}

/* A directory that only this user can write to, and look into. */
static bool is_private(const char *path)
{
    struct stat status;
    return !lstat(path, &status) && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           !chmod(path, 0700) && !access(path, W_OK | X_OK);
}

char *gib_cache_directory(bool *temporary, struct gib_error *error)
{
    *temporary = false;
    char *path = gib_user_directory("XDG_CACHE_HOME", ".cache", "gibbon");
    if (path && make_directories(path) && is_private(path))
        return path;
    free(path);
    const char *base = getenv("TMPDIR");
    path = NULL;
    if (asprintf(&path, "%s/gibbon-XXXXXX", base && *base == '/' ? base : "/tmp") < 0)
        path = NULL;
    if (path && mkdtemp(path)) {
        *temporary = true;
        return path;
    }
    gib_package_fail(error, GIB_E_FILE,
                     "There is no directory for compiled packages: neither the cache nor %s can be "
                     "written: %s",
                     path ? path : "/tmp", strerror(errno));
    free(path);
    return NULL;
}

void gib_cache_remove(const char *directory)
{
    DIR *stream = opendir(directory);
    for (struct dirent *file; stream && (file = readdir(stream));)
        unlinkat(dirfd(stream), file->d_name, 0);
    if (stream)
        closedir(stream);
    rmdir(directory);
}

static bool is_newer(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* Copies the next file name of a make rule, unescaped, and a NUL; what is behind it, or NULL at the
 * end of the rule. `name` has room for all of `text`. */
static const char *next_name(const char *text, char *name)
{
    for (; *text == ' ' || *text == '\t' || !strncmp(text, "\\\n", 2); text++)
        text += *text == '\\';
    if (!*text || *text == '\n')
        return NULL;
    for (; *text && !strchr(" \t\n", *text) && strncmp(text, "\\\n", 2); text++) {
        if ((*text == '\\' && text[1] && strchr(" #\\", text[1])) || !strncmp(text, "$$", 2))
            text++;
        *name++ = *text;
    }
    *name = '\0';
    return text;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;
    if (!file)
        return NULL;
    ssize_t size = getdelim(&text, &room, '\0', file);
    fclose(file);
    if (size < 0) {
        free(text);
        return NULL;
    }
    return text;
}

bool gib_cache_is_fresh(const char *object, const char *dependencies)
{
    struct stat made, part;
    char *rule = read_text(dependencies);
    char *name = rule ? malloc(strlen(rule) + 1) : NULL;
    const char *rest = rule ? strstr(rule, ": ") : NULL;
    bool fresh = name && rest && !stat(object, &made) && made.st_size > 0;
    if (fresh)
        rest++;
    while (fresh && (rest = next_name(rest, name)))
        fresh = !stat(name, &part) && !is_newer(&part.st_mtim, &made.st_mtim);
    free(name);
    free(rule);
    return fresh;
}
