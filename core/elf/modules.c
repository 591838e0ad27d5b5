#include "elf/modules.h"
#include "elf/describe.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DESCRIPTIONS = 4096 };

struct gib_modules {
    struct gib_module **list;
    size_t count;
    pthread_mutex_t lock;
    struct gib_description cache[DESCRIPTIONS]; /* callers repeat: DWARF is asked once for each */
};

/* ---- open files ---- */

struct open_file {
    struct open_file *next;
    dev_t device;
    ino_t inode;
    struct timespec modified;
    struct gib_elf *elf;
};
static struct open_file *open_files;
static pthread_mutex_t open_files_lock = PTHREAD_MUTEX_INITIALIZER;

struct gib_elf *gib_elf_shared(const char *path, const char *shown, struct gib_error *error)
{
    struct stat status;
    if (stat(path, &status)) {
        if (error) {
            error->code = GIB_E_FILE;
            error->address = 0;
            snprintf(error->message, sizeof error->message, "%.200s is no longer there", shown);
        }
        return NULL;
    }
    pthread_mutex_lock(&open_files_lock);
    struct open_file *file = open_files;
    while (file && !(file->device == status.st_dev && file->inode == status.st_ino &&
                     file->modified.tv_sec == status.st_mtim.tv_sec &&
                     file->modified.tv_nsec == status.st_mtim.tv_nsec))
        file = file->next;
    struct gib_elf *elf = file ? file->elf : gib_elf_open(path, NULL, error);
    if (!file && elf && (file = calloc(1, sizeof *file))) {
        *file = (struct open_file){open_files, status.st_dev, status.st_ino, status.st_mtim, elf};
        open_files = file;
    }
    pthread_mutex_unlock(&open_files_lock);
    return elf;
}

/* ---- the table ---- */

struct gib_modules *gib_modules_new(void)
{
    struct gib_modules *modules = calloc(1, sizeof *modules);
    if (!modules)
        return NULL;
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&modules->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    return modules;
}

void gib_modules_free(struct gib_modules *modules)
{
    if (!modules)
        return;
    for (size_t i = 0; i < modules->count; i++) {
        free(modules->list[i]->path);
        free(modules->list[i]->problem);
        free(modules->list[i]);
    }
    for (size_t i = 0; i < DESCRIPTIONS; i++)
        gib_description_clear(&modules->cache[i]);
    free(modules->list);
    pthread_mutex_destroy(&modules->lock);
    free(modules);
}

void gib_modules_lock(struct gib_modules *modules)
{
    pthread_mutex_lock(&modules->lock);
}

void gib_modules_unlock(struct gib_modules *modules)
{
    pthread_mutex_unlock(&modules->lock);
}

size_t gib_modules_count(struct gib_modules *modules)
{
    gib_modules_lock(modules);
    size_t count = modules->count;
    gib_modules_unlock(modules);
    return count;
}

struct gib_module *gib_modules_get(struct gib_modules *modules, size_t index)
{
    gib_modules_lock(modules);
    struct gib_module *module = index < modules->count ? modules->list[index] : NULL;
    gib_modules_unlock(modules);
    return module;
}

struct gib_module *gib_modules_at(struct gib_modules *modules, uint64_t address)
{
    gib_modules_lock(modules);
    struct gib_module *found = NULL;
    for (size_t i = 0; i < modules->count; i++) {
        struct gib_module *module = modules->list[i];
        if (address >= module->start && address < module->end && (!found || found->gone))
            found = module;
    }
    gib_modules_unlock(modules);
    return found;
}

/* One file in the process while its lines of /proc/PID/maps are read. */
struct found {
    char path[4096];
    uint64_t start, end;
    uint64_t first_end; /* of its first mapping */
    uint64_t device, inode;
    bool executable;
    bool deleted; /* or replaced, since it was mapped */
    bool copied;  /* by the engine: `path` is where the debugger sees it */
};

/* The kernel adds a word to the name of a file that is not at its place any more. */
static bool cut_deleted(char *path)
{
    static const char word[] = " (deleted)";
    size_t length = strlen(path), n = sizeof word - 1;
    bool deleted = length > n && !strcmp(path + length - n, word) && access(path, F_OK);
    if (deleted)
        path[length - n] = '\0';
    return deleted;
}

/* What /proc/PID/maps calls a file: the text behind its columns. A memfd is none, but for a copy of
 * a package that the engine has made. */
static bool take_path(struct found *found, const char *text)
{
    static const char word[] = " (deleted)", memory[] = "/memfd:";
    size_t length = strlen(GIB_COPY_NAME);
    found->copied = !strncmp(text, memory, sizeof memory - 1) &&
                    !strncmp(text + sizeof memory - 1, GIB_COPY_NAME, length);
    if (found->copied)
        text += sizeof memory - 1 + length;
    else if (!strncmp(text, memory, sizeof memory - 1))
        return false;
    snprintf(found->path, sizeof found->path, "%s", text);
    length = strlen(found->path);
    if (found->copied && length >= sizeof word &&
        !strcmp(found->path + length - sizeof word + 1, word))
        found->path[length - sizeof word + 1] = '\0';
    found->deleted = !found->copied && cut_deleted(found->path);
    return found->path[0] == '/';
}

static void find_program(pid_t pid, char program[4096])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t size = readlink(link, program, 4095);
    program[size > 0 ? size : 0] = '\0';
    cut_deleted(program);
}

/*
 * The file as the process sees it: it may live in another mount namespace. When it was removed or
 * replaced since, the kernel still has the program itself, and for some users all that is mapped.
 */
static void open_module(struct gib_module *module, pid_t pid, const struct found *found)
{
    char path[4200], program[4096];
    struct gib_error error = {0};
    snprintf(path, sizeof path, "/proc/%d/root%s", (int)pid, module->path);
    if (found->deleted) {
        snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
        find_program(pid, program);
        if (strcmp(found->path, program))
            snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pid,
                     module->start, found->first_end);
    } else if (found->copied || access(path, R_OK)) {
        snprintf(path, sizeof path, "%s", module->path);
    }
    module->elf = gib_elf_shared(path, module->path, &error);
    if (!module->elf) {
        module->problem = strdup(error.message);
        return;
    }
    const struct gib_elf_info *info = gib_elf_info(module->elf);
    if (info->segment_count && info->is_dynamic_object)
        module->bias = module->start - (info->segments[0].vaddr & ~0xfffull);
}

static struct gib_module *add(struct gib_modules *modules, const struct found *found)
{
    struct gib_module **list = realloc(modules->list, (modules->count + 1) * sizeof *list);
    struct gib_module *module = list ? calloc(1, sizeof *module) : NULL;
    if (list)
        modules->list = list;
    if (!module || !(module->path = strdup(found->path))) {
        free(module);
        return NULL;
    }
    module->name = strrchr(module->path, '/') + 1;
    module->start = found->start;
    module->end = found->end;
    module->device = found->device;
    module->inode = found->inode;
    module->seen = true;
    modules->list[modules->count++] = module;
    return module;
}

/* Returns 1 when the module is new. */
static int keep(struct gib_modules *modules, const struct found *found, pid_t pid)
{
    if (!found->path[0] || !found->executable)
        return 0;
    for (size_t i = 0; i < modules->count; i++) {
        struct gib_module *module = modules->list[i];
        if (!module->gone && module->start == found->start && module->inode == found->inode &&
            module->device == found->device) {
            module->end = found->end;
            module->seen = true;
            return 0;
        }
    }
    struct gib_module *module = add(modules, found);
    if (!module)
        return 0;
    open_module(module, pid, found);
    return 1;
}

static void mark_special(struct gib_modules *modules, pid_t pid)
{
    char program[4096];
    find_program(pid, program);
    for (size_t i = 0; i < modules->count; i++) {
        modules->list[i]->main = !strcmp(modules->list[i]->path, program);
        modules->list[i]->interpreter = !strncmp(modules->list[i]->name, "ld-", 3) ||
                                        !strncmp(modules->list[i]->name, "ld.so", 5);
    }
}

/* Whether a mapping at `start` of the file's first page is the second segment of what was found:
 * both are in that page in very small files. */
static bool goes_on(const struct found *found, uint64_t start)
{
    enum { PAGE = 4096 };
    return !found->executable && start == found->end && found->end - found->start <= PAGE;
}

static uint64_t changes_ever;

uint64_t gib_modules_changes(void)
{
    return __atomic_load_n(&changes_ever, __ATOMIC_ACQUIRE);
}

FILE *gib_open_proc(pid_t pid, const char *name, bool *gone)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    *gone = !file && (errno == ENOENT || errno == ESRCH);
    return file;
}

int gib_modules_update(struct gib_modules *modules, pid_t pid)
{
    bool process_gone;
    FILE *maps = gib_open_proc(pid, "maps", &process_gone);
    if (!maps)
        return process_gone ? -1 : 0;
    gib_modules_lock(modules);
    for (size_t i = 0; i < modules->count; i++)
        modules->list[i]->seen = false;
    int changes = 0;
    struct found found = {.path = ""};
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, maps) > 0) {
        uint64_t start, end, offset, major, minor, inode;
        char permissions[8];
        int at = 0;
        if (sscanf(line,
                   "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %" SCNx64 ":%" SCNx64 " %" SCNu64 " %n",
                   &start, &end, permissions, &offset, &major, &minor, &inode, &at) < 7 ||
            at == 0 || line[at] != '/')
            continue;
        line[strcspn(line, "\n")] = '\0';
        struct found next;
        if (!take_path(&next, line + at))
            continue;
        uint64_t device = major << 32 | minor;
        if (found.inode != inode || found.device != device ||
            (offset == 0 && permissions[1] != 'w' && !goes_on(&found, start))) {
            /* Another file, or the same one mapped again (dlmopen, or it was read as data): it
             * begins with its first bytes. */
            if (offset)
                continue;
            changes += keep(modules, &found, pid);
            found = next;
            found.start = start;
            found.first_end = end;
            found.device = device;
            found.inode = inode;
            found.executable = false;
        }
        found.end = end;
        found.executable |= permissions[2] == 'x';
    }
    changes += keep(modules, &found, pid);
    free(line);
    fclose(maps);
    for (size_t i = 0; i < modules->count; i++) {
        struct gib_module *module = modules->list[i];
        changes += !module->seen && !module->gone;
        module->gone |= !module->seen;
    }
    mark_special(modules, pid);
    if (changes)
        __atomic_add_fetch(&changes_ever, 1, __ATOMIC_RELEASE);
    for (size_t i = 0; changes && i < DESCRIPTIONS; i++)
        gib_description_clear(&modules->cache[i]);
    gib_modules_unlock(modules);
    return changes;
}

bool gib_module_matches(const struct gib_module *module, const char *wanted)
{
    const char *soname = module->elf ? gib_elf_info(module->elf)->soname : NULL;
    return !fnmatch(wanted, module->name, 0) || (soname && !fnmatch(wanted, soname, 0)) ||
           !strcmp(wanted, module->path);
}

/* ---- describing an address ---- */

const struct gib_frame_text *gib_modules_frames(struct gib_modules *modules, uint64_t address,
                                                bool is_return, size_t *count)
{
    struct gib_description *slot = &modules->cache[(address ^ address >> 12) % DESCRIPTIONS];
    if (!slot->count || slot->address != address || slot->is_return != is_return) {
        gib_description_clear(slot);
        gib_description_make(slot, gib_modules_at(modules, address), address, is_return);
    }
    *count = slot->count;
    return slot->frame;
}

void gib_modules_describe(struct gib_modules *modules, uint64_t address, bool is_return, char *out,
                          size_t size)
{
    size_t count;
    gib_modules_lock(modules);
    gib_frame_describe(gib_modules_frames(modules, address, is_return, &count), out, size);
    gib_modules_unlock(modules);
}
