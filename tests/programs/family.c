/* Parent and child, which both go on until they are told to end. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long sum;
__attribute__((noinline)) long stride(int who, long i)
{
    sum += i;
    return who * 10 + i;
}

int main(int argc, char **argv)
{
    const char *told = argv[argc - 1]; /* a file */
    int status = 0, who, wrong = 0;
    pid_t child = fork();
    who = child ? 1 : 2;
    for (long i = 0; i < 3; i++)
        wrong += stride(who, i) != who * 10 + i;
    while (access(told, F_OK))
        usleep(1000);
    wrong += stride(who, 9) != who * 10 + 9;
    if (!child)
        _exit(wrong ? 1 : 5);
    waitpid(child, &status, 0);
    printf("child %d, %d wrong\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), wrong);
    return 0;
}
