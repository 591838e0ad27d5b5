/* Calls whose integers are modes, flags and constants. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
__attribute__((noinline)) long mine(mode_t mode, int flags)
{
    return mode + flags;
}
int main(int argc, char **argv)
{
    const char *file = argc > 1 ? argv[1] : "/tmp/gibbon-modes";
    umask(022);
    mkdir("/tmp", 01777);
    int fd = open(file, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0640);
    fchmod(fd, 04711);
    lseek(fd, 0, SEEK_END);
    access(file, F_OK);
    access(file, R_OK | W_OK);
    openat(AT_FDCWD, "/nonexistent", O_RDONLY | 0x40000000);
    openat(fd, "nonexistent", O_PATH);
    kill(getpid(), 0);
    signal(SIGUSR1, SIG_IGN);
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(memory, 4096, PROT_NONE);
    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(file);
    return mine(0700, O_RDWR) == 0;
}
