/*
 * discovery.c: which packages there are, and which one a name means.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "package/internal.h"
#include "package/trust.h"
#include "symbols/distance.h"

static const struct {
    const char *text;
    enum gib_package_kind kind;
} suffixes[] = {
    {".so", GIB_PACKAGE_SHARED}, {".c", GIB_PACKAGE_SOURCE}, {".gibbon", GIB_PACKAGE_COMMANDS}};

/* Length of the name without the suffix; 0 when it has none. */
static size_t stem(const char *name, enum gib_package_kind *kind)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < GIB_PACKAGE_COUNT(suffixes); i++) {
        size_t suffix = strlen(suffixes[i].text);
        if (size > suffix && !strcmp(name + size - suffix, suffixes[i].text)) {
            *kind = suffixes[i].kind;
            return size - suffix;
        }
    }
    return 0;
}

static int no_memory(struct gib_error *error)
{
    return gib_package_fail(error, GIB_E_MEMORY, "Out of memory.");
}

void gib_package_entry_free(struct gib_package_entry *entry)
{
    free(entry->name);
    free(entry->path);
    free(entry->refusal);
    free(entry->description);
    free(entry->hidden_by);
    memset(entry, 0, sizeof *entry);
}

void gib_package_list_free(struct gib_package_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        gib_package_entry_free(&list->entries[i]);
    for (size_t i = 0; i < list->problem_count; i++)
        free(list->problems[i]);
    free(list->entries);
    free(list->problems);
    memset(list, 0, sizeof *list);
}

/* ---- all packages ---- */

static bool add_problem(struct gib_package_list *list, const char *sentence)
{
    char *copy = strdup(sentence);
    void *grown = realloc(list->problems, (list->problem_count + 1) * sizeof *list->problems);
    if (grown)
        list->problems = grown;
    if (!grown || !copy) {
        free(copy);
        return false;
    }
    list->problems[list->problem_count++] = copy;
    return true;
}

/* `refusal`: why the whole directory is not used, or NULL. */
static bool add_entry(struct gib_package_list *list, const char *directory, size_t place,
                      const char *file, const char *refusal)
{
    struct gib_package_entry entry = {.place = place};
    struct gib_error error;
    size_t size = stem(file, &entry.kind);
    if (!size || *file == '.')
        return true;
    void *grown = realloc(list->entries, (list->count + 1) * sizeof *list->entries);
    if (!grown)
        return false;
    list->entries = grown;
    entry.name = strndup(file, size);
    if (asprintf(&entry.path, "%s/%s", directory, file) < 0)
        entry.path = NULL;
    bool good = entry.name && entry.path;
    if (good && !refusal && gib_package_check(entry.path, false, &error))
        refusal = error.message;
    if (good && refusal)
        good = (entry.refusal = strdup(refusal));
    struct gib_command_list commands;
    if (good && !refusal && entry.kind == GIB_PACKAGE_COMMANDS) {
        if (gib_commands_read(entry.path, &commands, &error)) {
            good = (entry.refusal = strdup(error.message));
        } else {
            entry.description = commands.description;
            commands.description = NULL;
            gib_commands_free(&commands);
        }
    }
    if (!good) {
        gib_package_entry_free(&entry);
        return false;
    }
    list->entries[list->count++] = entry;
    return true;
}

static bool list_directory(struct gib_package_list *list, const char *directory, size_t place,
                           bool named)
{
    struct gib_error error;
    int refused = gib_directory_check(directory, false, &error);
    if (refused == GIB_E_NOT_FOUND && !named)
        return true; /* a default, which need not exist */
    if (refused && !add_problem(list, error.message))
        return false;
    if (refused && refused != GIB_E_REFUSED)
        return true;
    DIR *stream = opendir(directory);
    if (!stream) {
        gib_package_fail(&error, GIB_E_FILE, "%s cannot be read: %s.", gib_shown_path(directory),
                         strerror(errno));
        return add_problem(list, error.message);
    }
    bool good = true;
    for (struct dirent *file; good && (file = readdir(stream));)
        good = add_entry(list, directory, place, file->d_name, refused ? error.message : NULL);
    closedir(stream);
    return good;
}

static int by_name(const void *a, const void *b)
{
    const struct gib_package_entry *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    if (order)
        return order;
    if (left->place != right->place)
        return left->place < right->place ? -1 : 1;
    return (int)left->kind - (int)right->kind;
}

int gib_packages_list(const struct gib_package_path *path, struct gib_package_list *list,
                      struct gib_error *error)
{
    bool good = true;
    memset(list, 0, sizeof *list);
    for (size_t i = 0; good && i < path->count; i++)
        good = list_directory(list, path->directories[i], i, i < path->named);
    if (good && list->count)
        qsort(list->entries, list->count, sizeof *list->entries, by_name);
    for (size_t i = 1, first = 0; good && i < list->count; i++) {
        if (strcmp(list->entries[i].name, list->entries[first].name))
            first = i;
        else
            good = (list->entries[i].hidden_by = strdup(list->entries[first].path));
    }
    if (good)
        return 0;
    gib_package_list_free(list);
    return no_memory(error);
}

/* ---- one package ---- */

enum { MOST_SUGGESTIONS = 3 };

/* Whether `name` may be what somebody meant who typed `text`. */
static bool is_near(const char *name, const char *text)
{
    unsigned limit = strlen(text) > 5 ? 2 : 1;
    size_t size = strlen(text);
    return gib_name_distance(text, name, limit) <= limit ||
           (size > 2 && !strncmp(name, text, size));
}

static int unknown(const struct gib_package_path *path, const struct gib_package_list *list,
                   const char *text, struct gib_error *error)
{
    char names[160] = "", places[160] = "";
    int found = 0;
    for (size_t i = 0; i < list->count && found < MOST_SUGGESTIONS; i++) {
        const struct gib_package_entry *entry = &list->entries[i];
        size_t used = strlen(names);
        if (entry->hidden_by || !is_near(entry->name, text) ||
            strlen(entry->name) + 8 > sizeof names - used)
            continue;
        snprintf(names + used, sizeof names - used, "%s\"%s\"", found++ ? " or " : "", entry->name);
    }
    if (found)
        return gib_package_fail(error, GIB_E_NOT_FOUND,
                                "No package is called \"%.40s\". Did you mean %s?", text, names);
    for (size_t i = 0; i < path->count; i++) {
        size_t used = strlen(places);
        snprintf(places + used, sizeof places - used, "%s%s", used ? ", " : "",
                 path->directories[i]);
    }
    return gib_package_fail(error, GIB_E_NOT_FOUND, "No package is called \"%.40s\" in %s%s.", text,
                            *places ? places : "any directory",
                            strlen(places) == sizeof places - 1 ? "..." : "");
}

static int find_named(const struct gib_package_path *path, const char *text,
                      struct gib_package_entry *found, struct gib_error *error)
{
    struct gib_package_list list;
    int failed = gib_packages_list(path, &list, error);
    if (failed)
        return failed;
    struct gib_package_entry *entry = NULL;
    for (size_t i = 0; i < list.count && !entry; i++)
        if (!strcmp(list.entries[i].name, text))
            entry = &list.entries[i];
    if (!entry) {
        failed = unknown(path, &list, text, error);
    } else if (entry->refusal) {
        failed = gib_package_fail(error, GIB_E_REFUSED, "%s", entry->refusal);
    } else {
        *found = *entry;
        memset(entry, 0, sizeof *entry);
    }
    gib_package_list_free(&list);
    return failed;
}

/* A shared object may be called anything, "libfoo.so.1". */
static bool is_elf(const char *path)
{
    char magic[4] = "";
    FILE *file = fopen(path, "re");
    bool elf = file && fread(magic, 1, sizeof magic, file) == sizeof magic &&
               !memcmp(magic, "\177ELF", sizeof magic);
    if (file)
        fclose(file);
    return elf;
}

/* One spelling for one file: two of them would be two packages. The file itself keeps its name,
 * also when it is a link. */
static void settle(char **path)
{
    char *slash = strrchr(*path, '/'), *settled = NULL;
    if (!slash)
        return;
    *slash = '\0';
    char *directory = realpath(**path ? *path : "/", NULL);
    *slash = '/';
    if (directory &&
        asprintf(&settled, "%s%s", strcmp(directory, "/") ? directory : "", slash) >= 0) {
        free(*path);
        *path = settled;
    }
    free(directory);
}

static int find_file(const char *directory, const char *text, struct gib_package_entry *found,
                     struct gib_error *error)
{
    found->path = gib_package_expand(directory, text);
    if (!found->path)
        return no_memory(error);
    int failed = gib_package_check(found->path, true, error);
    if (failed)
        return failed;
    settle(&found->path);
    const char *slash = strrchr(found->path, '/');
    const char *file = slash ? slash + 1 : found->path;
    size_t size = stem(file, &found->kind);
    if (!size && !is_elf(found->path))
        return gib_package_fail(error, GIB_E_FILE,
                                "%s is not a package: its name ends neither with .so nor .c nor "
                                ".gibbon.",
                                gib_shown_path(found->path));
    if (!size)
        found->kind = GIB_PACKAGE_SHARED;
    found->name = strndup(file, size ? size : strlen(file));
    return found->name ? 0 : no_memory(error);
}

int gib_package_find(const struct gib_package_path *path, const char *directory, const char *text,
                     struct gib_package_entry *found, struct gib_error *error)
{
    enum gib_package_kind kind;
    memset(found, 0, sizeof *found);
    int failed = strchr(text, '/') || stem(text, &kind) ? find_file(directory, text, found, error)
                                                        : find_named(path, text, found, error);
    if (failed)
        gib_package_entry_free(found);
    return failed;
}
