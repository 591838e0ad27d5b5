/*
 * trust.c: could somebody else have written this file?
 *
 * A package is code, or commands, for the user's own debugger and program. So the file, and the
 * directory it lies in, must be the user's own or root's, and nobody else may write to them.
 * Symbolic links are followed one by one, as each lies in a directory of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "package/trust.h"

enum { MOST_LINKS = 40 };

static int fail_errno(const char *path, int cause, struct gib_error *error)
{
    return gib_package_fail(error,
                            cause == ENOENT || cause == ENOTDIR ? GIB_E_NOT_FOUND : GIB_E_FILE,
                            "%s cannot be read: %s.", gib_shown_path(path), strerror(cause));
}

static int check_owner(const char *path, const char *what, const struct stat *status,
                       struct gib_error *error)
{
    if (status->st_uid == geteuid() || status->st_uid == 0)
        return 0;
    return gib_package_fail(error, GIB_E_REFUSED,
                            "The %s %s is refused: it belongs to another user (uid %u), neither to "
                            "you nor to root.",
                            what, gib_shown_path(path), (unsigned)status->st_uid);
}

static int check_mode(const char *path, const char *what, const struct stat *status,
                      struct gib_error *error)
{
    if (!(status->st_mode & (S_IWGRP | S_IWOTH)))
        return 0;
    return gib_package_fail(
        error, GIB_E_REFUSED,
        "The %s %s is refused: %s can write to it (mode %03o); chmod go-w helps.", what,
        gib_shown_path(path), status->st_mode & S_IWOTH ? "everybody" : "its group",
        (unsigned)status->st_mode & 07777);
}

static int check_directory(const char *path, bool sticky, struct gib_error *error)
{
    struct stat status;
    if (stat(path, &status))
        return fail_errno(path, errno, error);
    if (!S_ISDIR(status.st_mode))
        return gib_package_fail(error, GIB_E_FILE, "%s is not a directory.", gib_shown_path(path));
    int failed = check_owner(path, "directory", &status, error);
    if (!failed && !(sticky && status.st_mode & S_ISVTX))
        failed = check_mode(path, "directory", &status, error);
    return failed;
}

/* Who can write to a directory above can put another one in this one's place. */
int gib_directory_check(const char *path, bool sticky, struct gib_error *error)
{
    int failed = check_directory(path, sticky, error);
    char *above = failed ? NULL : realpath(path, NULL);
    for (char *slash; !failed && above && (slash = strrchr(above, '/')) && slash[1];) {
        slash[slash == above] = '\0';
        failed = check_directory(above, true, error);
    }
    free(above);
    return failed;
}

/* The directory that `path` lies in, with "." and links resolved; malloc'ed. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, slash - path);
    char *real = name ? realpath(name, NULL) : NULL;
    free(name);
    return real;
}

/* What the link at `path` leads to; malloc'ed. */
static char *follow(const char *path)
{
    char target[PATH_MAX];
    ssize_t size = readlink(path, target, sizeof target - 1);
    if (size < 0)
        return NULL;
    target[size] = '\0';
    const char *slash = strrchr(path, '/');
    char *next = NULL;
    if (*target == '/' || !slash)
        return strdup(target);
    return asprintf(&next, "%.*s/%s", (int)(slash - path), path, target) < 0 ? NULL : next;
}

static int check_file(const char *path, struct gib_error *error)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* not to hang on a FIFO */
    if (fd < 0 || fstat(fd, &status)) {
        int cause = errno;
        if (fd >= 0)
            close(fd);
        return fail_errno(path, cause, error);
    }
    close(fd);
    if (!S_ISREG(status.st_mode))
        return gib_package_fail(error, GIB_E_FILE,
                                "%s cannot be a package: it is not a regular file.",
                                gib_shown_path(path));
    int failed = check_owner(path, "package", &status, error);
    return failed ? failed : check_mode(path, "package", &status, error);
}

/* One step: the directory of `path` and, if that is a link, its owner. *next is what it leads to.
 */
static int check_step(const char *path, bool sticky, char **next, struct gib_error *error)
{
    struct stat status;
    *next = NULL;
    char *directory = directory_of(path);
    int cause = errno;
    if (!directory)
        return fail_errno(path, cause, error);
    int failed = gib_directory_check(directory, sticky, error);
    free(directory);
    if (failed)
        return failed;
    if (lstat(path, &status))
        return fail_errno(path, errno, error);
    if (!S_ISLNK(status.st_mode))
        return 0;
    failed = check_owner(path, "link", &status, error);
    if (!failed && !(*next = follow(path)))
        failed = fail_errno(path, errno, error);
    return failed;
}

int gib_package_check(const char *path, bool sticky, struct gib_error *error)
{
    char *here = strdup(path);
    int failed = here ? 0 : gib_package_fail(error, GIB_E_MEMORY, "Out of memory.");
    for (int links = 0; !failed; links++) {
        char *next;
        failed = check_step(here, sticky, &next, error);
        if (failed || !next)
            break;
        free(here);
        here = next;
        if (links == MOST_LINKS)
            failed = fail_errno(path, ELOOP, error);
    }
    if (!failed)
        failed = check_file(here, error);
    free(here);
    return failed;
}
