/*
 * run.c: runs a compiler from inside a debugger.
 *
 * No shell sees any name. The compiler has a process group of its own: Ctrl-C at the terminal does
 * not reach it, but the debugger, which asks here through `interrupted`; and when it has to end,
 * the programs it has started end with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "elf/buffer.h"
#include "package/compiler.h"

extern char **environ;

enum { MOST_OUTPUT = 65536, INTERVAL = 50 /* ms */ };

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int start(char *const *arguments, int output, pid_t *child)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    int failed = posix_spawn_file_actions_init(&files);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (failed) {
        posix_spawn_file_actions_destroy(&files);
        return failed;
    }
    failed = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&files, output, 1);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&files, output, 2);
    /* A debugger blocks and ignores signals of its own. */
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    if (!failed)
        failed = posix_spawnp(child, arguments[0], &files, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

/* Takes what is there; false at the end of the stream. */
static bool take_output(int fd, struct gib_buffer *output)
{
    char bytes[4096];
    ssize_t size;
    while ((size = read(fd, bytes, sizeof bytes)) > 0)
        if (output->size < MOST_OUTPUT)
            gib_put(output, bytes, size);
    return size < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Has the child ended? It may also have been waited for by somebody else in this process. */
static bool ended(pid_t child, struct gib_run *run)
{
    int status;
    pid_t found = waitpid(child, &status, WNOHANG);
    if (found == 0 || (found < 0 && errno == EINTR))
        return false;
    run->status = found < 0 ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

static void wait_for(pid_t child, int fd, const struct gib_compile_options *options,
                     struct gib_run *run, struct gib_buffer *output)
{
    int64_t end = now() + 1000 * (int64_t)(options->timeout ? options->timeout : 60);
    bool open = true;
    while (!ended(child, run)) {
        struct pollfd stream = {.fd = open ? fd : -1, .events = POLLIN};
        poll(&stream, 1, open ? INTERVAL : 2); /* an end of the stream is near the child's own */
        if (stream.revents)
            open = take_output(fd, output);
        run->interrupted = options->interrupted && options->interrupted(options->context);
        run->timed_out = !run->interrupted && now() > end;
        if (!run->interrupted && !run->timed_out)
            continue;
        kill(-child, SIGKILL);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
        run->status = 128 + SIGKILL;
        break;
    }
    take_output(fd, output);
}

void gib_run(char *const *arguments, const struct gib_compile_options *options, struct gib_run *run)
{
    int streams[2];
    pid_t child;
    struct gib_buffer output = {0};
    *run = (struct gib_run){0};
    if (pipe2(streams, O_CLOEXEC)) {
        run->start_failure = errno;
        return;
    }
    fcntl(streams[0], F_SETFL, O_NONBLOCK);
    run->start_failure = start(arguments, streams[1], &child);
    close(streams[1]);
    if (!run->start_failure)
        wait_for(child, streams[0], options, run, &output);
    close(streams[0]);
    gib_put(&output, "", 1);
    if (output.size > 1 && !output.failed)
        run->output = (char *)output.bytes;
    else
        gib_buffer_free(&output);
}
