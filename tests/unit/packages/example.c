#include <gibbon/package.h>
#include <stdio.h>
#include <stdlib.h>

static char *trace_mkdtemp(char *template);
GIBBON_WRAP("libc.so.6", mkdtemp, trace_mkdtemp);

static char *trace_mkdtemp(char *template)
{
    printf("calling mkdtemp\n");
    return GIBBON_ORIGINAL(mkdtemp)(template);
}
