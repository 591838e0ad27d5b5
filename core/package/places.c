/*
 * places.c: where packages are looked for, and where Gibbon's own files are.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "package/internal.h"

/* A user's home directory, NULL when there is none; the caller's for an empty name. */
static const char *home_of(const char *user)
{
    const char *home = *user ? NULL : getenv("HOME");
    if (home && *home == '/')
        return home;
    const struct passwd *entry = *user ? getpwnam(user) : getpwuid(geteuid());
    return entry && entry->pw_dir && *entry->pw_dir == '/' ? entry->pw_dir : NULL;
}

static char *join(const char *directory, const char *rest)
{
    char *joined = NULL;
    return asprintf(&joined, "%s/%s", directory, rest) < 0 ? NULL : joined;
}

char *gib_package_expand(const char *directory, const char *text)
{
    if (*text == '~') {
        size_t size = strcspn(text, "/");
        char *user = strndup(text + 1, size - 1);
        const char *home = user ? home_of(user) : NULL;
        char *expanded = NULL;
        if (home && asprintf(&expanded, "%s%s", home, text + size) < 0)
            expanded = NULL;
        free(user);
        if (home)
            return expanded; /* no such user: a file with this name */
    }
    if (*text == '/')
        return strdup(text);
    while (!strncmp(text, "./", 2)) /* it says nothing */
        text += 2 + strspn(text + 2, "/");
    char *working = directory ? NULL : getcwd(NULL, 0);
    char *expanded =
        directory || working ? join(directory ? directory : working, text) : strdup(text);
    free(working);
    return expanded;
}

char *gib_user_directory(const char *variable, const char *fallback, const char *below)
{
    const char *base = getenv(variable);
    if (base && *base == '/') /* relative ones are to be ignored, says the XDG specification */
        return join(base, below);
    const char *home = home_of("");
    char *joined = NULL;
    if (!home || asprintf(&joined, "%s/%s/%s", home, fallback, below) < 0)
        return NULL;
    return joined;
}

/* ---- the search path ---- */

static bool same_directory(const char *a, const char *b)
{
    char *left = realpath(a, NULL), *right = realpath(b, NULL);
    bool same = !strcmp(left ? left : a, right ? right : b);
    free(left);
    free(right);
    return same;
}

/* Takes `directory`, which may be NULL: out of memory. */
static bool add_directory(struct gib_package_path *path, char *directory)
{
    for (size_t i = 0; directory && i < path->count; i++)
        if (same_directory(path->directories[i], directory)) {
            free(directory);
            return true;
        }
    void *grown = directory
                      ? realloc(path->directories, (path->count + 1) * sizeof *path->directories)
                      : NULL;
    if (!grown) {
        free(directory);
        return false;
    }
    path->directories = grown;
    path->directories[path->count++] = directory;
    return true;
}

static bool add_listed(struct gib_package_path *path, const char *list)
{
    while (*list) {
        size_t size = strcspn(list, ":");
        char *part = strndup(list, size);
        if (!part || (size && !add_directory(path, gib_package_expand(NULL, part)))) {
            free(part);
            return false;
        }
        free(part);
        list += size + (list[size] == ':');
    }
    return true;
}

int gib_package_path(const char *shipped, struct gib_package_path *path, struct gib_error *error)
{
    memset(path, 0, sizeof *path);
    const char *list = getenv("GIBBON_PATH");
    bool good = true;
    if (list) {
        good = add_listed(path, list);
        path->named = path->count;
    } else {
        char *own = gib_user_directory("XDG_CONFIG_HOME", ".config", "gibbon/packages");
        good = !own || add_directory(path, own);
    }
    if (good && shipped)
        good = add_directory(path, strdup(shipped));
    if (good)
        return 0;
    gib_package_path_free(path);
    return gib_package_fail(error, GIB_E_MEMORY, "Out of memory.");
}

void gib_package_path_free(struct gib_package_path *path)
{
    for (size_t i = 0; i < path->count; i++)
        free(path->directories[i]);
    free(path->directories);
    memset(path, 0, sizeof *path);
}

/* ---- Gibbon's own files ---- */

/* The first of `places`, each with one "%s" for `directory`, that has the file `probe`. */
static char *find_place(const char *const *places, const char *directory, const char *probe)
{
    for (; *places; places++) {
        char *place = NULL, *file = NULL, *real = NULL;
        if (asprintf(&place, *places, directory) < 0)
            return NULL;
        if (asprintf(&file, "%s/%s", place, probe) >= 0 && !access(file, R_OK))
            real = realpath(place, NULL);
        free(file);
        free(place);
        if (real)
            return real;
    }
    return NULL;
}

char *gib_shipped_packages(const char *library_directory)
{
    static const char *const places[] = {"%s/packages", "%s/../share/gibbon/packages",
                                         "%s/../../share/gibbon/packages", NULL};
    return find_place(places, library_directory, "tempfiles.gibbon");
}

char *gib_include_directory(const char *library_directory)
{
    static const char *const places[] = {"%s/include", "%s/../include", "%s/../../include", NULL};
    return find_place(places, library_directory, "gibbon/package.h");
}
