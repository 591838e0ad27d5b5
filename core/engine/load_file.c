/* load_file.c: a package's file, opened by the target or copied into it. */
#include "engine/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int gib_image_file_read(struct gib_loaded *image, struct stat *status, struct gib_error *error)
{
    enum { LARGEST = 1 << 30 };
    int fd = open(image->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *reason = NULL;
    if (fd < 0 || fstat(fd, status))
        reason = strerror(errno);
    else if (!S_ISREG(status->st_mode))
        reason = "it is not a file";
    else if (status->st_size > LARGEST)
        reason = "it is too large";
    else if (!(image->bytes = malloc((size_t)status->st_size + 1)))
        reason = "the debugger is out of memory";
    while (!reason && image->size < (size_t)status->st_size) {
        ssize_t n = read(fd, image->bytes + image->size, (size_t)status->st_size - image->size);
        if (n <= 0)
            reason = n ? strerror(errno) : "it has become shorter";
        else
            image->size += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    return reason
               ? gib_fail(error, GIB_E_FILE, 0, "%.150s cannot be read: %s.", image->path, reason)
               : 0;
}

/* Text for a system call, in an arena: the target sees it, and nobody else looks there. */
static int put_text(struct gib_engine *engine, struct gib_process *process, const char *text,
                    uint64_t *address, struct gib_error *error)
{
    struct gib_module *module = gib_modules_get(process->modules, 0);
    struct gib_arena *arena;
    size_t size = strlen(text) + 1;
    int failed = module ? gib_arena_near(engine, process, module, size, &arena, error)
                        : gib_fail(error, GIB_E_STATE, 0, "The target has no module.");
    if (failed)
        return failed;
    *address = arena->start + arena->used;
    return gib_arena_write(engine, process, *address, text, size, error);
}

bool gib_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
           one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
           one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

/* Whether descriptor `fd` of the target is this very file. */
static bool is_same_file(const struct gib_process *process, uint64_t fd, const struct stat *wanted)
{
    char name[64];
    struct stat status;
    snprintf(name, sizeof name, "/proc/%d/fd/%" PRIu64, process->pid, fd);
    return !stat(name, &status) && gib_same_file(&status, wanted);
}

void gib_image_file_close(struct gib_engine *engine, uint64_t fd)
{
    struct gib_error ignored;
    uint64_t result;
    gib_system_call(engine, "close a file", SYS_close, fd, 0, 0, 0, 0, 0, &result, &ignored);
}

int gib_image_file_open(struct gib_engine *engine, struct gib_process *process,
                        const struct gib_loaded *image, const struct stat *status, uint64_t *fd,
                        struct gib_error *error)
{
    uint64_t text;
    int failed = put_text(engine, process, image->path, &text, error);
    if (!failed)
        failed = gib_system_call(engine, "open the package", SYS_openat, (uint64_t)AT_FDCWD, text,
                                 O_RDONLY | O_CLOEXEC, 0, 0, 0, fd, error);
    if (failed || is_same_file(process, *fd, status))
        return failed;
    gib_image_file_close(engine, *fd);
    return gib_fail(error, GIB_E_NOT_FOUND, 0, "The target sees another file at %.150s.",
                    image->path);
}

int gib_image_file_copy(struct gib_engine *engine, struct gib_process *process,
                        const struct gib_loaded *image, uint64_t *fd, struct gib_error *error)
{
    enum { CLOEXEC = 1, EXEC = 0x10, LONGEST = 249 };
    char name[sizeof GIB_COPY_NAME + 4096], path[64];
    uint64_t text;
    snprintf(name, sizeof name, GIB_COPY_NAME "%s", image->path);
    if (strlen(name) > LONGEST)
        return gib_fail(
            error, GIB_E_UNSUPPORTED, 0,
            "The target cannot open the package, and its path is too long for a copy in "
            "memory; put it into a directory with a shorter name.");
    int failed = put_text(engine, process, name, &text, error);
    if (failed)
        return failed;
    failed = gib_system_call(engine, "create memory for a package", SYS_memfd_create, text,
                             CLOEXEC | EXEC, 0, 0, 0, 0, fd, error);
    if (failed) /* before Linux 6.3 */
        failed = gib_system_call(engine, "create memory for a package", SYS_memfd_create, text,
                                 CLOEXEC, 0, 0, 0, 0, fd, error);
    if (failed)
        return failed;
    snprintf(path, sizeof path, "/proc/%d/fd/%" PRIu64, process->pid, *fd);
    int own = open(path, O_WRONLY | O_CLOEXEC);
    size_t written = 0;
    while (own >= 0 && written < image->size) {
        ssize_t n = write(own, image->bytes + written, image->size - written);
        if (n <= 0)
            break;
        written += (size_t)n;
    }
    if (own >= 0)
        close(own);
    if (written == image->size)
        return 0;
    gib_image_file_close(engine, *fd);
    return gib_fail(error, GIB_E_TARGET, 0, "%.150s cannot be copied into the target: %s.",
                    image->path, strerror(errno));
}
