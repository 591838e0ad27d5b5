/* A target for packages. It has copies of libc's variables when it is not position-independent. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A static program has what is linked into it. */
void *const uses[] = {(void *)snprintf, (void *)fprintf, (void *)fflush, (void *)getenv,
                      (void *)strlen,   (void *)memset,  (void *)close,  (void *)strcmp,
                      (void *)memcpy,   (void *)fwrite,  (void *)fputs,  (void *)__errno_location, (void *)puts};

int main(void)
{
    FILE *out = stdout;
    fprintf(out, "%s", environ && *environ ? "" : "no environment\n");
    for (;;)
        raise(SIGSTOP);
}
