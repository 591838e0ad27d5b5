/*
 * coherence.c: functions that belong together, and of which only some are patched.
 *
 * A program that cannot open() may openat(); what another malloc() has returned must not go to
 * the old free(). One line says so. A patch that only looks at calls breaks nothing: then it is
 * said only of functions that the program really has in its tables, whose calls go unseen.
 */
#include "command/command.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include "elf/elf.h"

enum bond {
    SAME,    /* does the same in another way */
    VARIANT, /* what compilers and headers make of the name; said only where it is imported */
    TAKES,   /* takes what the function returns, unless that says that it has failed */
    PAIR,    /* undoes what the function does */
};

static const struct {
    const char *function;
    enum bond bond;
    const char *others; /* separated by blanks */
} bonds[] = {
    {"accept", SAME, "accept4"},
    {"access", SAME, "faccessat"},
    {"chmod", SAME, "fchmodat"},
    {"chown", SAME, "fchownat"},
    {"clock_gettime", SAME, "gettimeofday time"},
    {"dup2", SAME, "dup3"},
    {"fork", SAME, "vfork posix_spawn"},
    {"getaddrinfo", SAME, "gethostbyname"},
    {"gethostbyname", SAME, "getaddrinfo"},
    {"getrandom", SAME, "getentropy"},
    {"gettimeofday", SAME, "clock_gettime time"},
    {"link", SAME, "linkat"},
    {"lstat", SAME, "fstatat"},
    {"mkdir", SAME, "mkdirat"},
    {"mkstemp", SAME, "mkostemp"},
    {"nanosleep", SAME, "clock_nanosleep"},
    {"open", SAME, "openat"},
    {"openat", SAME, "open"},
    {"pipe", SAME, "pipe2"},
    {"poll", SAME, "ppoll"},
    {"posix_spawn", SAME, "posix_spawnp"},
    {"readlink", SAME, "readlinkat"},
    {"recv", SAME, "recvfrom recvmsg"},
    {"rename", SAME, "renameat"},
    {"select", SAME, "pselect"},
    {"send", SAME, "sendto sendmsg"},
    {"sleep", SAME, "nanosleep"},
    {"stat", SAME, "fstatat"},
    {"symlink", SAME, "symlinkat"},
    {"time", SAME, "clock_gettime gettimeofday"},
    {"unlink", SAME, "unlinkat"},
    {"usleep", SAME, "nanosleep"},
    {"vfork", SAME, "fork"},
    {"fprintf", VARIANT, "__fprintf_chk"},
    {"fscanf", VARIANT, "__isoc99_fscanf __isoc23_fscanf"},
    {"fstat", VARIANT, "__fxstat"},
    {"lstat", VARIANT, "__lxstat"},
    {"memcpy", VARIANT, "__memcpy_chk"},
    {"open", VARIANT, "__open_2"},
    {"printf", VARIANT, "__printf_chk"},
    {"read", VARIANT, "__read_chk"},
    {"scanf", VARIANT, "__isoc99_scanf __isoc23_scanf"},
    {"setjmp", VARIANT, "_setjmp __sigsetjmp"},
    {"snprintf", VARIANT, "__snprintf_chk"},
    {"sprintf", VARIANT, "__sprintf_chk"},
    {"sscanf", VARIANT, "__isoc99_sscanf __isoc23_sscanf"},
    {"stat", VARIANT, "__xstat"},
    {"strcpy", VARIANT, "__strcpy_chk"},
    {"strtol", VARIANT, "__isoc23_strtol"},
    {"strtoul", VARIANT, "__isoc23_strtoul"},
    {"syslog", VARIANT, "__syslog_chk"},
    {"vfprintf", VARIANT, "__vfprintf_chk"},
    {"vsnprintf", VARIANT, "__vsnprintf_chk"},
    {"calloc", TAKES, "free realloc"},
    {"dlopen", TAKES, "dlclose dlsym"},
    {"fopen", TAKES, "fclose"},
    {"malloc", TAKES, "free realloc"},
    {"mmap", TAKES, "munmap"},
    {"opendir", TAKES, "closedir readdir"},
    {"popen", TAKES, "pclose"},
    {"realloc", TAKES, "free"},
    {"socket", TAKES, "close connect"},
    {"free", PAIR, "malloc"},
    {"pthread_create", PAIR, "pthread_join"},
    {"pthread_mutex_lock", PAIR, "pthread_mutex_unlock"},
    {"pthread_mutex_unlock", PAIR, "pthread_mutex_lock"},
};
enum { BONDS = sizeof bonds / sizeof *bonds, LONGEST = 32 };

/* One that lets every call through and only looks. */
static bool only_looks(const struct gib_patch *patch)
{
    return patch->type == GIB_PATCH_WRAP || patch->type == GIB_PATCH_STOP ||
           (patch->registration && patch->registration->kind == GIBBON_KIND_WRAP);
}

/* NULL, 0, -1: no memory, no file, an error. */
static bool returns_failure(const struct gib_patch *patch)
{
    return patch->type == GIB_PATCH_MOCK &&
           (patch->value[0] == '-' || !strcmp(patch->value, "0") || !strcmp(patch->value, "NULL"));
}

static bool is_libc(const char *module)
{
    return !strncmp(module, "libc.so", 7) || !strncmp(module, "libc-", 5);
}

/* Libraries have functions of the same names that are something else. */
static bool is_of_libc(struct gib_engine *engine, const struct gib_patch *patch)
{
    struct gib_site_state *site;
    if (patch->location.kind != GIB_LOCATION_NAME)
        return false;
    if (gib_patch_sites(engine, patch, &site))
        return is_libc(site->module->name);
    return !patch->location.module || is_libc(patch->location.module) ||
           !fnmatch(patch->location.module, "libc.so.6", 0);
}

/* Whether some patch of at least the same kind is on the function. */
static bool is_patched(struct gib_engine *engine, const char *function, bool looks)
{
    for (size_t i = 0; i < engine->patch_count; i++) {
        const struct gib_patch *patch = engine->patch[i];
        const struct gib_location *location = &patch->location;
        if (patch->type == GIB_PATCH_HOOK || (!looks && only_looks(patch)) ||
            location->kind != GIB_LOCATION_NAME)
            continue;
        if (location->regex  ? !regexec(location->regex, function, 0, NULL, 0)
            : location->glob ? !fnmatch(location->function, function, 0)
                             : !strcmp(location->function, function))
            return true;
    }
    return false;
}

/* By a loaded module, or by the program that is to be started. */
static bool is_imported(struct gib_engine *engine, const char *function)
{
    bool imported = false;
    if (!engine->process) {
        struct gib_error ignored;
        const char *program = engine->ops.program(engine->context);
        struct gib_elf *elf = *program ? gib_elf_open(program, NULL, &ignored) : NULL;
        if (!elf)
            return false;
        imported = gib_elf_imports(elf, function);
        gib_elf_close(elf);
        return imported;
    }
    gib_modules_lock(engine->process->modules);
    for (size_t i = 0; i < gib_modules_count(engine->process->modules) && !imported; i++) {
        struct gib_module *module = gib_modules_get(engine->process->modules, i);
        imported =
            module->main && !module->gone && module->elf && gib_elf_imports(module->elf, function);
    }
    gib_modules_unlock(engine->process->modules);
    return imported;
}

static bool is_missing(struct gib_engine *engine, const struct gib_patch *patch, enum bond bond,
                       const char *other)
{
    bool looks = only_looks(patch);
    if (is_patched(engine, other, looks) || (bond >= TAKES && looks) ||
        (bond == TAKES && returns_failure(patch)))
        return false;
    return (bond != VARIANT && !looks) || is_imported(engine, other);
}

/* The missing ones of one kind, "a, b"; returns how many. */
static size_t collect(struct gib_engine *engine, const struct gib_patch *patch, bool taking,
                      char *text, size_t room)
{
    size_t count = 0;
    *text = '\0';
    for (size_t i = 0; i < BONDS; i++) {
        if (strcmp(bonds[i].function, patch->location.function) ||
            (bonds[i].bond >= TAKES) != taking)
            continue;
        for (const char *at = bonds[i].others; *at; at += strspn(at, " ")) {
            char other[LONGEST];
            size_t size = strcspn(at, " ");
            snprintf(other, sizeof other, "%.*s", (int)size, at);
            at += size;
            if (is_missing(engine, patch, bonds[i].bond, other))
                snprintf(text + strlen(text), room - strlen(text), "%s%s", count++ ? ", " : "",
                         other);
        }
    }
    return count;
}

void gib_warn_incoherent(struct gib_engine *engine, size_t first)
{
    enum { MOST = 3 };
    size_t shown = 0;
    for (size_t i = first; i < engine->patch_count; i++) {
        struct gib_patch *patch = engine->patch[i];
        const char *function = patch->location.function;
        char same[200], taking[200];
        /* What a patch that is in place does not see, its references tell. */
        if (patch->type == GIB_PATCH_HOOK ||
            (only_looks(patch) && gib_patch_sites(engine, patch, NULL)) || patch->location.glob ||
            patch->location.regex || !is_of_libc(engine, patch))
            continue;
        size_t sames = collect(engine, patch, false, same, sizeof same);
        size_t takings = collect(engine, patch, true, taking, sizeof taking);
        if (!sames && !takings)
            continue;
        if (shown++ == MOST) {
            gib_print(engine, "  There are more; \"gibbon list\" shows what is patched.\n");
            return;
        }
        if (only_looks(patch)) {
            gib_print(engine, "  Not seen: %s, which the program uses too; %s is patched alone.\n",
                      same, function);
            patch->said = strdup(same);
        } else if (sames && takings)
            gib_print(engine, "  Warning: %s is patched without %s and %s.\n", function, same,
                      taking);
        else
            gib_print(engine, "  Warning: %s is patched without %s, which %s.\n", function,
                      sames ? same : taking,
                      sames         ? sames > 1 ? "do the same" : "does the same"
                      : takings > 1 ? "belong to it"
                                    : "belongs to it");
    }
}
