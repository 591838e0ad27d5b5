/*
 * shadow.c: shadow stacks. Since Linux 6.6 a thread may have a second stack, of return addresses
 * only, which the processor compares at each return. What pushes an address and jumps, instead of a
 * call, ends such a program.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool gib_status_has_shadow_stack(FILE *status)
{
    static const char features[] = "x86_Thread_features:";
    char line[256];
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, features, sizeof features - 1))
            return strstr(line + sizeof features - 1, "shstk") != NULL;
    return false;
}

/* glibc.cpu.hwcaps=SHSTK, glibc.cpu.x86_shstk=on: nobody writes these without reason. */
bool gib_environment_wants_shadow_stack(const char *environment, size_t size)
{
    static const char tunables[] = "GLIBC_TUNABLES=";
    for (size_t at = 0; at < size;) {
        const char *variable = environment + at;
        size_t length = strnlen(variable, size - at);
        at += length + 1;
        if (length >= sizeof tunables - 1 && !strncmp(variable, tunables, sizeof tunables - 1) &&
            (memmem(variable, length, "SHSTK", 5) || memmem(variable, length, "shstk", 5)))
            return true;
    }
    return false;
}

static FILE *open_of(int32_t pid, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/%s", pid, what);
    return fopen(name, "re");
}

bool gib_has_shadow_stacks(int32_t pid)
{
    FILE *file = open_of(pid, "status");
    bool result = file && gib_status_has_shadow_stack(file);
    if (file)
        fclose(file);
    return result;
}

static bool kernel_has_them(void)
{
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && !found && getline(&line, &room, file) > 0)
        found = !strncmp(line, "flags", 5) && strstr(line, " user_shstk");
    free(line);
    if (file)
        fclose(file);
    return found;
}

bool gib_will_have_shadow_stacks(int32_t pid)
{
    char *text = NULL;
    size_t room = 0;
    FILE *file = open_of(pid, "environ");
    /* One variable a turn; the environment has no other end. */
    bool wanted = false;
    ssize_t length;
    while (file && !wanted && (length = getdelim(&text, &room, 0, file)) > 0)
        wanted = gib_environment_wants_shadow_stack(text, (size_t)length);
    free(text);
    if (file)
        fclose(file);
    return wanted && kernel_has_them();
}
