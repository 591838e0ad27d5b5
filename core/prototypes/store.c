/*
 * The data files, indexed by name. Opening reads every *.proto file of the directory and hashes one
 * name a line; a line is parsed when it is asked for. Of two lines for one name the first counts,
 * files in the order of their names: extra.proto corrects libc.proto.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "prototypes/internal.h"

/* More than this in one file is not a data file of ours. */
#define FILE_SIZE_MAX ((long)16 << 20)

struct entry {
    const char *name; /* in a file's text, not terminated */
    const char *line;
    uint32_t name_length;
    uint32_t hash;
    enum gib_entry_kind kind;
    bool tried; /* parsed once, with or without success */
    struct gib_prototype *prototype;
};

struct gib_prototypes {
    char **texts;
    size_t text_count;
    struct entry *entries;
    size_t count, capacity;
    uint32_t *slots; /* index + 1 into entries; 0 is free */
    size_t slot_count;
    size_t functions;
};

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static uint32_t hash_of(enum gib_entry_kind kind, const char *name, size_t length)
{
    uint32_t hash = 2166136261u ^ (uint32_t)kind; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash;
}

/* The slot of the name, or the free one where it belongs. */
static uint32_t *slot_of(struct gib_prototypes *store, enum gib_entry_kind kind, const char *name,
                         size_t length, uint32_t hash)
{
    for (size_t i = hash;; i++) {
        uint32_t *slot = &store->slots[i & (store->slot_count - 1)];
        if (!*slot)
            return slot;
        const struct entry *entry = &store->entries[*slot - 1];
        if (entry->hash == hash && entry->kind == kind && entry->name_length == length &&
            memcmp(entry->name, name, length) == 0)
            return slot;
    }
}

/* Keeps the slots at most half full. */
static bool grow(struct gib_prototypes *store)
{
    if (store->count < store->capacity)
        return true;
    size_t capacity = store->capacity ? store->capacity * 2 : 4096;
    struct entry *entries = realloc(store->entries, capacity * sizeof *entries);
    if (!entries)
        return false;
    store->entries = entries;
    uint32_t *slots = calloc(capacity * 2, sizeof *slots);
    if (!slots)
        return false;
    free(store->slots);
    store->slots = slots;
    store->slot_count = capacity * 2;
    store->capacity = capacity;
    for (size_t i = 0; i < store->count; i++) {
        const struct entry *entry = &entries[i];
        *slot_of(store, entry->kind, entry->name, entry->name_length, entry->hash) =
            (uint32_t)i + 1;
    }
    return true;
}

static bool add_entry(struct gib_prototypes *store, enum gib_entry_kind kind, const char *name,
                      size_t length, const char *line)
{
    if (!length)
        return true;
    if (!grow(store))
        return false;
    uint32_t hash = hash_of(kind, name, length);
    uint32_t *slot = slot_of(store, kind, name, length, hash);
    if (*slot)
        return true;
    store->entries[store->count] = (struct entry){
        .name = name, .line = line, .name_length = (uint32_t)length, .hash = hash, .kind = kind};
    *slot = (uint32_t)++store->count;
    store->functions += kind == GIB_ENTRY_FUNCTION;
    return true;
}

/* The name that ends right before `end`, blanks skipped. */
static const char *name_before(const char *line, const char *end, size_t *length)
{
    while (end > line && end[-1] == ' ')
        end--;
    const char *start = end;
    while (start > line && is_name_char(start[-1]))
        start--;
    *length = (size_t)(end - start);
    return start;
}

/* `struct x {`, `union x {`, `enum x {`, `flags x {`: the tag. */
static const char *tag_name(const char *line, enum gib_entry_kind *kind, size_t *length)
{
    static const struct {
        const char *word;
        enum gib_entry_kind kind;
    } words[] = {{"struct ", GIB_ENTRY_STRUCT},
                 {"union ", GIB_ENTRY_UNION},
                 {"enum ", GIB_ENTRY_ENUM},
                 {"flags ", GIB_ENTRY_FLAGS}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t skip = strlen(words[i].word);
        if (strncmp(line, words[i].word, skip) != 0)
            continue;
        const char *name = line + skip, *end = name;
        while (is_name_char(*end))
            end++;
        if (end == name || strncmp(end, " {", 2) != 0)
            return NULL;
        *kind = words[i].kind;
        *length = (size_t)(end - name);
        return name;
    }
    return NULL;
}

/* The name of a function or a typedef stands before the first '(' that opens no `(*`, else behind
 * it. */
static const char *declared_name(const char *line, size_t *length)
{
    const char *body = strchr(line, '}'); /* of `typedef enum { ... } name;` */
    const char *end = strpbrk(body ? body : line, "([;");
    *length = 0;
    if (!end)
        return line;
    if (end[0] != '(' || end[1] != '*')
        return name_before(line, end, length);
    const char *name = end + 2;
    while (is_name_char(name[*length]))
        ++*length;
    return name;
}

/* Indexes one line, which ends at its NUL. What is no declaration is left out; a test parses them
 * all. */
static bool add_line(struct gib_prototypes *store, const char *line)
{
    enum gib_entry_kind kind = GIB_ENTRY_FUNCTION;
    size_t length = 0;
    if (line[0] == '\0' || line[0] == '/')
        return true;
    const char *name = tag_name(line, &kind, &length);
    if (!name) {
        kind = strncmp(line, "typedef ", 8) == 0 ? GIB_ENTRY_TYPEDEF : GIB_ENTRY_FUNCTION;
        name = declared_name(line, &length);
    }
    return add_entry(store, kind, name, length, line);
}

/* Takes over `text` of `size` bytes and a NUL. */
static bool add_text(struct gib_prototypes *store, char *text, size_t size)
{
    char **texts = realloc(store->texts, (store->text_count + 1) * sizeof *texts);
    if (!texts) {
        free(text);
        return false;
    }
    store->texts = texts;
    texts[store->text_count++] = text;
    for (char *line = text, *end = text + size; line < end;) {
        char *next = memchr(line, '\n', (size_t)(end - line));
        next = next ? next : end;
        *next = '\0';
        if (!add_line(store, line))
            return false;
        line = next + 1;
    }
    return true;
}

static int file_error(struct gib_error *error, const char *path, const char *reason)
{
    if (error) {
        error->code = GIB_E_FILE;
        error->address = 0;
        snprintf(error->message, sizeof error->message,
                 "cannot read the prototypes in '%.150s': %.40s", path, reason);
    }
    return GIB_E_FILE;
}

/* The whole file and a NUL; NULL with errno set. */
static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    char *text = NULL;
    long end = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    errno = end > FILE_SIZE_MAX ? EFBIG : errno;
    if (end >= 0 && end <= FILE_SIZE_MAX && fseek(file, 0, SEEK_SET) == 0)
        text = malloc((size_t)end + 1);
    if (text) {
        *size = fread(text, 1, (size_t)end, file);
        text[*size] = '\0';
    }
    fclose(file);
    return text;
}

static int is_data_file(const struct dirent *item)
{
    const char *dot = strrchr(item->d_name, '.');
    return dot && dot != item->d_name && strcmp(dot, ".proto") == 0;
}

static int add_file(struct gib_prototypes *store, const char *directory, const char *name,
                    struct gib_error *error)
{
    char *path;
    if (asprintf(&path, "%s/%s", directory, name) < 0)
        return file_error(error, directory, "out of memory");
    size_t size = 0;
    char *text = read_file(path, &size);
    int code = 0;
    if (!text)
        code = file_error(error, path, strerror(errno));
    else if (!add_text(store, text, size))
        code = file_error(error, path, "out of memory");
    free(path);
    return code;
}

struct gib_prototypes *gib_prototypes_open(const char *directory, struct gib_error *error)
{
    struct gib_prototypes *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    struct dirent **items = NULL;
    int count = scandir(directory, &items, is_data_file, alphasort);
    if (count < 0)
        file_error(error, directory, strerror(errno));
    else if (count == 0)
        file_error(error, directory, "it holds no file named *.proto");
    for (int i = 0; i < count; i++) {
        add_file(store, directory, items[i]->d_name, error);
        free(items[i]);
    }
    free(items);
    return store;
}

struct gib_prototypes *gib_store_from_text(const char *text, size_t size)
{
    struct gib_prototypes *store = calloc(1, sizeof *store);
    char *copy = store ? malloc(size + 1) : NULL;
    if (!copy) {
        free(store);
        return NULL;
    }
    if (size)
        memcpy(copy, text, size);
    copy[size] = '\0';
    if (add_text(store, copy, size))
        return store;
    gib_prototypes_close(store);
    return NULL;
}

void gib_prototypes_close(struct gib_prototypes *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->count; i++)
        gib_prototype_free(store->entries[i].prototype);
    for (size_t i = 0; i < store->text_count; i++)
        free(store->texts[i]);
    free(store->texts);
    free(store->entries);
    free(store->slots);
    free(store);
}

static struct entry *find_entry(struct gib_prototypes *store, enum gib_entry_kind kind,
                                const char *name, size_t length)
{
    if (!store || !store->count)
        return NULL;
    uint32_t slot = *slot_of(store, kind, name, length, hash_of(kind, name, length));
    return slot ? &store->entries[slot - 1] : NULL;
}

const char *gib_store_line(struct gib_prototypes *store, enum gib_entry_kind kind, const char *name,
                           size_t length)
{
    const struct entry *entry = find_entry(store, kind, name, length);
    return entry ? entry->line : NULL;
}

const struct gib_prototype *gib_prototypes_find(struct gib_prototypes *store, const char *function)
{
    struct entry *entry = find_entry(store, GIB_ENTRY_FUNCTION, function, strlen(function));
    if (!entry)
        return NULL;
    if (!entry->tried) {
        entry->tried = true;
        gib_parse_data_line(store, entry->line, &entry->prototype, NULL);
    }
    return entry->prototype;
}

size_t gib_prototypes_count(const struct gib_prototypes *store)
{
    return store->functions;
}

void gib_store_visit(struct gib_prototypes *store,
                     void (*visit)(void *context, enum gib_entry_kind kind, const char *name,
                                   size_t length, const char *line),
                     void *context)
{
    for (size_t i = 0; i < store->count; i++) {
        const struct entry *entry = &store->entries[i];
        visit(context, entry->kind, entry->name, entry->name_length, entry->line);
    }
}
