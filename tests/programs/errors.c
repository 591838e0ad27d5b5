/* Calls of libc that fail, succeed, format and open. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *made = argc > 1 ? argv[1] : "/tmp/gibbon-errors";
    char text[100];
    int fd = open("/nonexistent/file", O_RDONLY), code = errno;
    printf("open %d %d\n", fd, code);
    fd = open(made, O_CREAT | O_WRONLY | O_TRUNC, 0640);
    printf("created %d\n", fd > 2);
    printf("write %zd\n", write(fd, "abc", 3));
    close(fd);
    fd = openat(AT_FDCWD, "/nonexistent/at", O_RDONLY);
    printf("openat %d %s\n", fd, strerror(errno));
    FILE *file = fopen("/nonexistent/stream", "r");
    printf("fopen %p %d\n", (void *)file, errno);
    printf("getenv %p\n", (void *)getenv("GIBBON_NOT_SET"));
    fd = close(9999);
    printf("close %d %d\n", fd, errno);
    snprintf(text, sizeof text, "%d %s %5.2f %c %lu %p %% %*d %x", -7, "seven", 2.5, 'q', 123456789012ul, (void *)0x1234, 4, 9, 255);
    puts(text);
    printf("%s|%.3s|%ld|%s\n", "one", "abcdef", -5000000000l, (char *)made);
    errno = EXDEV;
    printf("kept %d\n", getenv("PATH") != NULL && errno == EXDEV);
    remove(made);
    return 0;
}
