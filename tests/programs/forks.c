/* Parent, child, and a child that executes another program. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int status = 0;
    getenv("BEFORE_FORK");
    pid_t child = argc > 1 && !strcmp(argv[1], "vfork") ? vfork() : fork();
    if (child == 0) {
        if (argc > 1 && !strcmp(argv[1], "vfork"))
            execl("/bin/true", "true", NULL);
        for (int i = 0; i < 3; i++)
            getenv("IN_CHILD");
        if (argc > 1 && !strcmp(argv[1], "exec"))
            execl("/bin/true", "true", NULL);
        _exit(7);
    }
    waitpid(child, &status, 0);
    getenv("AFTER_FORK");
    printf("parent %d child %d status %d\n", (int)getpid(), (int)child, WEXITSTATUS(status));
    return 0;
}
