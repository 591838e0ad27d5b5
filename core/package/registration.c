/*
 * registration.c: what a package registers, read from its file.
 *
 * The macros of gibbon/package.h leave structs in the section "gibbon". Their pointers are what the
 * file's relocations say; nothing is loaded or executed. The file may be damaged or hostile: every
 * address is looked up in its segments, every string has to end.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "elf/buffer.h"
#include "elf/elf.h"
#include "package/internal.h"

enum {
    LONGEST_NAME = 1024,
    LONGEST_SET = 65536,  /* its members as written */
    MOST = 4096,          /* registrations of one package */
    MOST_MEMBERS = 16384, /* of all its sets, as written */
    WORDS = sizeof(struct gibbon_registration) / 8,
};
_Static_assert(sizeof(struct gibbon_registration) % 8 == 0, "pointers are looked up by words");

struct gib_package_storage {
    char **strings;
    size_t string_count, string_room;
    struct gib_registration *registrations;
    struct gib_package_set *sets;
};

/* One struct of the section, with what its pointers will hold. */
struct raw {
    struct gibbon_registration fields;
    struct gib_elf_pointer words[WORDS];
    const char *unit, *file, *module, *function, *identifier, *code_name; /* copies */
    size_t unit_order; /* the place of its unit in the section */
};

struct reading {
    struct gib_elf *elf;
    const char *path;
    uint64_t section, section_size;
    struct gib_elf_pointer *words; /* of the whole section */
    struct raw *raws;
    size_t count, room;
    size_t member_count; /* of all sets, so far */
    char *text;          /* LONGEST_SET + 1 bytes */
    struct gib_package *package;
    struct gib_error *error;
};

static int damaged(struct reading *reading, const char *what)
{
    return gib_package_fail(reading->error, GIB_E_FILE, "%s is damaged: %s. Compile it again.",
                            gib_shown_path(reading->path), what);
}

static int no_memory(struct reading *reading)
{
    return gib_package_fail(reading->error, GIB_E_MEMORY, "Out of memory.");
}

/* The storage's own copy of a string; NULL when out of memory. */
static const char *keep(struct reading *reading, const char *text, size_t size)
{
    struct gib_package_storage *storage = reading->package->storage;
    if (storage->string_count == storage->string_room) {
        size_t room = storage->string_room * 2 + 64;
        char **grown = realloc(storage->strings, room * sizeof *grown);
        if (!grown)
            return NULL;
        storage->strings = grown;
        storage->string_room = room;
    }
    char *copy = strndup(text, size);
    if (copy)
        storage->strings[storage->string_count++] = copy;
    return copy;
}

/* ---- the section ---- */

#define WORD_OF(field) (offsetof(struct gibbon_registration, field) / 8)

/* *text is NULL for a null pointer. */
static int read_string(struct reading *reading, const struct gib_elf_pointer *pointer,
                       size_t longest, const char **text)
{
    *text = NULL;
    if (pointer->kind == GIB_ELF_POINTER_NUMBER && !pointer->value)
        return 0;
    char *buffer = reading->text;
    size_t there = pointer->kind == GIB_ELF_POINTER_ADDRESS
                       ? gib_elf_read(reading->elf, pointer->value, buffer, longest + 1)
                       : 0;
    if (!there)
        return damaged(reading, "a name in its registrations is outside of the file");
    const char *end = memchr(buffer, '\0', there);
    if (!end)
        return damaged(reading, "a name in its registrations has no end, or is too long");
    for (const char *c = buffer; c < end; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return damaged(reading, "a name in its registrations has control characters");
    *text = keep(reading, buffer, end - buffer);
    return *text ? 0 : no_memory(reading);
}

static int read_strings(struct reading *reading, struct raw *raw)
{
    const struct {
        size_t word;
        const char **text;
    } all[] = {
        {WORD_OF(unit), &raw->unit},
        {WORD_OF(file), &raw->file},
        {WORD_OF(module), &raw->module},
        {WORD_OF(function), &raw->function},
        {WORD_OF(identifier), &raw->identifier},
        {WORD_OF(code_name), &raw->code_name},
    };
    for (size_t i = 0; i < GIB_PACKAGE_COUNT(all); i++) {
        bool members = raw->fields.kind == GIBBON_KIND_SET && all[i].text == &raw->identifier;
        int failed = read_string(reading, &raw->words[all[i].word],
                                 members ? LONGEST_SET : LONGEST_NAME, all[i].text);
        if (failed)
            return failed;
    }
    return 0;
}

static struct raw *new_raw(struct reading *reading)
{
    if (reading->count == reading->room) {
        size_t room = reading->room * 2 + 16;
        struct raw *grown = realloc(reading->raws, room * sizeof *grown);
        if (!grown)
            return NULL;
        reading->raws = grown;
        reading->room = room;
    }
    struct raw *raw = &reading->raws[reading->count];
    memset(raw, 0, sizeof *raw);
    return raw;
}

/* The struct at `offset`; *size is how long it is, 8 for a gap between two. */
static int read_struct(struct reading *reading, uint64_t offset, uint64_t *size)
{
    struct gibbon_registration fields;
    uint64_t left = reading->section_size - offset;
    uint32_t head[2];
    gib_elf_read(reading->elf, reading->section + offset, head, sizeof head);
    *size = 8;
    if (!head[0] && !head[1])
        return 0;
    if (head[1] != GIBBON_PACKAGE_VERSION)
        return gib_package_fail(reading->error, GIB_E_UNSUPPORTED,
                                "%s was compiled with version %u of gibbon/package.h; this Gibbon "
                                "reads version %u. Compile it again.",
                                gib_shown_path(reading->path), head[1], GIBBON_PACKAGE_VERSION);
    if (head[0] < sizeof fields || head[0] % 8 || head[0] > left)
        return damaged(reading, "a registration has a wrong size");
    if (reading->count == MOST)
        return gib_package_fail(reading->error, GIB_E_FILE, "%s has more than %d registrations.",
                                gib_shown_path(reading->path), MOST);
    struct raw *raw = new_raw(reading);
    if (!raw)
        return no_memory(reading);
    *size = head[0];
    gib_elf_read(reading->elf, reading->section + offset, &raw->fields, sizeof raw->fields);
    memcpy(raw->words, reading->words + offset / 8, sizeof raw->words);
    int failed = read_strings(reading, raw);
    if (failed)
        return failed;
    /* Units lie in the order they were linked; in one, compilers order variables as they like. */
    raw->unit_order = reading->count;
    if (reading->count && raw->unit && reading->raws[reading->count - 1].unit &&
        !strcmp(raw->unit, reading->raws[reading->count - 1].unit))
        raw->unit_order = reading->raws[reading->count - 1].unit_order;
    reading->count++;
    return 0;
}

static int by_source(const void *a, const void *b)
{
    const struct raw *left = a, *right = b;
    if (left->unit_order != right->unit_order)
        return left->unit_order < right->unit_order ? -1 : 1;
    return left->fields.order < right->fields.order ? -1 : left->fields.order > right->fields.order;
}

static int read_section(struct reading *reading)
{
    const struct gib_elf_info *info = gib_elf_info(reading->elf);
    const char *shown = gib_shown_path(reading->path);
    if (info->machine != EM_X86_64)
        return gib_package_fail(reading->error, GIB_E_UNSUPPORTED,
                                "%s is for another machine (ELF machine %u); packages are for "
                                "x86-64.",
                                shown, info->machine);
    if (!info->is_dynamic_object || info->has_interpreter)
        return gib_package_fail(reading->error, GIB_E_FILE,
                                "%s is not a shared object; compile a package with \"cc -shared "
                                "-fPIC\".",
                                shown);
    if (!gib_elf_section(reading->elf, "gibbon", &reading->section, &reading->section_size))
        return gib_package_fail(reading->error, GIB_E_FILE,
                                "%s registers nothing: it has no section \"gibbon\", which the "
                                "macros of gibbon/package.h make.",
                                shown);
    if (reading->section % 8)
        return damaged(reading, "its registrations are not aligned");
    reading->words = calloc(reading->section_size / 8 + 1, sizeof *reading->words);
    if (!reading->words)
        return no_memory(reading);
    if (!gib_elf_pointers(reading->elf, reading->section, reading->section_size / 8,
                          reading->words))
        return damaged(reading, "its registrations are outside of the file");
    for (uint64_t offset = 0, size; offset + 8 <= reading->section_size; offset += size) {
        int failed = read_struct(reading, offset, &size);
        if (failed)
            return failed;
    }
    if (!reading->count)
        return gib_package_fail(reading->error, GIB_E_FILE, "%s registers nothing.", shown);
    qsort(reading->raws, reading->count, sizeof *reading->raws, by_source);
    return 0;
}

/* ---- one registration ---- */

/* A string literal as it was written, or several side by side, into `out`; what is left behind it,
 * or NULL when it is none. */
static const char *read_literal(const char *text, struct gib_buffer *out)
{
    while (*text == '"') {
        for (text++; *text != '"'; text++) {
            if (*text == '\\')
                text++;
            if (!*text)
                return NULL;
            gib_put(out, text, 1);
        }
        text++;
        text += strspn(text, " ");
    }
    return text;
}

/* A function as written: a name, or a string literal. *name is NULL when it is damaged. */
static int written_name(struct reading *reading, const char *text, const char **name)
{
    *name = NULL;
    if (!text || !*text)
        return damaged(reading, "a registration has no name of a function");
    if (*text != '"') {
        *name = text;
        return 0;
    }
    struct gib_buffer plain = {0};
    const char *rest = read_literal(text, &plain);
    bool good = rest && !*rest && plain.size && !plain.failed;
    if (good)
        *name = keep(reading, (const char *)plain.bytes, plain.size);
    gib_buffer_free(&plain);
    if (!good)
        return damaged(reading, "a registration has no name of a function");
    return *name ? 0 : no_memory(reading);
}

static bool in_segment(struct reading *reading, uint64_t vaddr, uint64_t size, bool executable)
{
    const struct gib_elf_info *info = gib_elf_info(reading->elf);
    for (size_t i = 0; i < info->segment_count; i++) {
        const struct gib_elf_segment *segment = &info->segments[i];
        uint64_t there = executable ? segment->file_size : segment->memory_size;
        if (vaddr >= segment->vaddr && vaddr - segment->vaddr < there &&
            size <= there - (vaddr - segment->vaddr) &&
            (executable ? segment->executable : segment->writable))
            return true;
    }
    return false;
}

static int read_code(struct reading *reading, const struct raw *raw, struct gib_package_code *code)
{
    const struct gib_elf_pointer *pointer = &raw->words[WORD_OF(code)];
    if (pointer->kind == GIB_ELF_POINTER_SYMBOL && !pointer->value && *pointer->symbol) {
        code->elsewhere = true;
        code->symbol = keep(reading, pointer->symbol, strnlen(pointer->symbol, LONGEST_NAME));
        return code->symbol ? 0 : no_memory(reading);
    }
    if (pointer->kind != GIB_ELF_POINTER_ADDRESS || !in_segment(reading, pointer->value, 1, true))
        return damaged(reading, "a registered function is outside of its code");
    code->vaddr = pointer->value;
    const struct gib_elf_symbol *symbol = gib_elf_symbol_at(reading->elf, code->vaddr);
    if (symbol && symbol->value == code->vaddr)
        code->symbol = keep(reading, symbol->name, strlen(symbol->name));
    else
        code->symbol = raw->code_name ? raw->code_name : keep(reading, "?", 1);
    return code->symbol ? 0 : no_memory(reading);
}

static int read_original(struct reading *reading, const struct raw *raw, uint64_t *slot)
{
    const struct gib_elf_pointer *pointer = &raw->words[WORD_OF(original)];
    if (pointer->kind != GIB_ELF_POINTER_ADDRESS || pointer->value % 8 ||
        !in_segment(reading, pointer->value, 8, false) ||
        pointer->value - reading->section < reading->section_size)
        return damaged(reading, "the place of an original is outside of its data");
    *slot = pointer->value;
    return 0;
}

enum { MOST_TEXT = 200 }; /* of a mock's string, bytes with the 0 */

static int read_value(struct reading *reading, const struct raw *raw,
                      struct gib_package_value *value)
{
    const struct gib_elf_pointer *pointer = &raw->words[WORD_OF(integer)];
    uint32_t kind = raw->fields.value_kind;
    /* Of a string literal it is the array's, and the value is its address. */
    uint64_t most = pointer->kind == GIB_ELF_POINTER_NUMBER ? 16 : UINT64_MAX;
    if ((kind != GIBBON_VALUE_INTEGER && kind != GIBBON_VALUE_FLOATING) ||
        !raw->fields.value_size || raw->fields.value_size > most)
        return damaged(reading, "a mock has no value");
    if (pointer->kind != GIB_ELF_POINTER_NUMBER && pointer->kind != GIB_ELF_POINTER_ADDRESS)
        return gib_package_fail(
            reading->error, GIB_E_UNSUPPORTED,
            "%s cannot be used: the mock of %.60s returns the address of %.60s, "
            "which is not in the package.",
            gib_shown_path(reading->path), raw->function,
            pointer->kind == GIB_ELF_POINTER_SYMBOL ? pointer->symbol : "something");
    value->floating = kind == GIBBON_VALUE_FLOATING;
    value->is_address = pointer->kind == GIB_ELF_POINTER_ADDRESS;
    value->integer = pointer->value;
    value->number = raw->fields.floating;
    value->size = value->is_address ? 8 : (unsigned)raw->fields.value_size;
    value->error = raw->fields.error;
    const struct gib_elf_info *info = gib_elf_info(reading->elf);
    bool inside = !value->is_address;
    for (size_t i = 0; i < info->segment_count; i++)
        inside |= value->integer - info->segments[i].vaddr < info->segments[i].memory_size;
    if (!inside)
        return damaged(reading, "a mock's value is outside of its data");
    /* What it points to is shown when it is a string. */
    char text[MOST_TEXT];
    size_t size =
        value->is_address ? gib_elf_read(reading->elf, value->integer, text, sizeof text) : 0;
    if (size && memchr(text, '\0', size))
        value->text = keep(reading, text, strlen(text));
    return 0;
}

static int read_registration(struct reading *reading, const struct raw *raw,
                             struct gib_registration *registration)
{
    int failed = 0;
    *registration = (struct gib_registration){
        .kind = (enum gibbon_registration_kind)raw->fields.kind,
        .module = raw->module,
        .identifier = raw->identifier,
        .file = raw->file ? raw->file : "?",
        .line = (unsigned)raw->fields.line,
    };
    bool code = true, function = true, original = false;
    switch (registration->kind) {
    case GIBBON_KIND_WRAP:
    case GIBBON_KIND_REPLACE:
        original = true;
        break;
    case GIBBON_KIND_MOCK:
        code = false;
        failed = read_value(reading, raw, &registration->value);
        break;
    case GIBBON_KIND_HANDLER:
        break;
    case GIBBON_KIND_ON_LOAD:
        function = false;
        break;
    case GIBBON_KIND_ORIGINAL:
        original = true;
        code = false;
        break;
    default:
        return damaged(reading, "a registration is of a kind that does not exist");
    }
    if (!failed && !registration->module && registration->kind != GIBBON_KIND_ORIGINAL)
        failed = damaged(reading, "a registration names no module");
    if (!failed && registration->module && strchr(registration->module, '!'))
        failed = damaged(reading, "the name of a module has a '!'");
    if (!failed && original && (!registration->identifier || !*registration->identifier))
        failed = damaged(reading, "a registration has no name of an original");
    if (!failed && function)
        failed = written_name(reading, raw->function, &registration->function);
    if (!failed && code)
        failed = read_code(reading, raw, &registration->code);
    if (!failed && original)
        failed = read_original(reading, raw, &registration->original);
    return failed;
}

static void find_shared_originals(struct gib_registration *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        all[i].same_original = i;
        for (size_t k = 0; all[i].original && k < i; k++)
            if (all[k].original == all[i].original) {
                all[i].same_original = k;
                break;
            }
    }
}

/* ---- sets ---- */

static bool is_member(const struct gib_registration *registration, const char *name, size_t size)
{
    const char *names[] = {registration->function, registration->identifier};
    for (size_t i = 0; i < GIB_PACKAGE_COUNT(names); i++)
        if (names[i] && strlen(names[i]) == size && !memcmp(names[i], name, size))
            return registration->kind != GIBBON_KIND_ORIGINAL;
    return false;
}

/* Sets chosen[i] for the registrations called so. */
static int choose(struct reading *reading, const char *set, const char *name, size_t size,
                  bool *chosen)
{
    bool found = false;
    for (size_t i = 0; i < reading->package->registration_count; i++)
        if (is_member(&reading->package->registrations[i], name, size)) {
            chosen[i] = true;
            found = true;
        }
    return found ? 0
                 : gib_package_fail(reading->error, GIB_E_FILE,
                                    "%s cannot be used: its set \"%.40s\" names %.*s, which the "
                                    "package does not patch.",
                                    gib_shown_path(reading->path), set, size > 60 ? 60 : (int)size,
                                    name);
}

/* The members as written: identifiers and string literals between commas. */
static int read_members(struct reading *reading, const char *set, const char *text, bool *chosen)
{
    int failed = 0;
    do {
        text += strspn(text, " ");
        struct gib_buffer name = {0};
        if (*text == '"') {
            const char *rest = read_literal(text, &name);
            text = rest ? rest : "?";
        } else {
            size_t size = strcspn(text, ", ");
            gib_put(&name, text, size);
            text += size;
            text += strspn(text, " ");
        }
        if (name.failed)
            failed = no_memory(reading);
        else if (++reading->member_count > MOST_MEMBERS)
            failed = damaged(reading, "its sets have too many members");
        else if (!name.size || (*text && *text != ','))
            failed = damaged(reading, "the members of a set are no names");
        else
            failed = choose(reading, set, (const char *)name.bytes, name.size, chosen);
        gib_buffer_free(&name);
    } while (!failed && *text++ == ',');
    return failed;
}

static int read_set(struct reading *reading, const struct raw *raw, struct gib_package_set *set)
{
    struct gib_package *package = reading->package;
    if (!raw->function || !*raw->function || !raw->identifier)
        return damaged(reading, "a set has no name or no members");
    bool *chosen = calloc(package->registration_count + 1, sizeof *chosen);
    size_t *members = calloc(package->registration_count + 1, sizeof *members);
    int failed = chosen && members ? read_members(reading, raw->function, raw->identifier, chosen)
                                   : no_memory(reading);
    *set = (struct gib_package_set){raw->function, members, 0, raw->file ? raw->file : "?",
                                    (unsigned)raw->fields.line};
    for (size_t i = 0; !failed && i < package->registration_count; i++)
        if (chosen[i])
            members[set->member_count++] = i;
    free(chosen);
    package->set_count++; /* also when it failed: its members are freed with the package */
    for (size_t i = 0; !failed && i + 1 < package->set_count; i++)
        if (!strcmp(package->sets[i].name, set->name))
            failed = gib_package_fail(reading->error, GIB_E_FILE,
                                      "%s cannot be used: it has two sets called \"%.60s\".",
                                      gib_shown_path(reading->path), set->name);
    return failed;
}

/* ---- the whole ---- */

static int read_all(struct reading *reading)
{
    struct gib_package *package = reading->package;
    struct gib_package_storage *storage = package->storage;
    int failed = read_section(reading);
    if (failed)
        return failed;
    storage->registrations = calloc(reading->count, sizeof *storage->registrations);
    storage->sets = calloc(reading->count, sizeof *storage->sets);
    package->registrations = storage->registrations;
    package->sets = storage->sets;
    if (!storage->registrations || !storage->sets)
        return no_memory(reading);
    for (size_t i = 0; !failed && i < reading->count; i++)
        if (reading->raws[i].fields.kind != GIBBON_KIND_SET)
            failed = read_registration(reading, &reading->raws[i],
                                       &storage->registrations[package->registration_count++]);
    if (!failed)
        find_shared_originals(storage->registrations, package->registration_count);
    for (size_t i = 0; !failed && i < reading->count; i++)
        if (reading->raws[i].fields.kind == GIBBON_KIND_SET)
            failed = read_set(reading, &reading->raws[i], &storage->sets[package->set_count]);
    return failed;
}

int gib_package_read_elf(struct gib_elf *elf, const char *path, struct gib_package **package,
                         struct gib_error *error)
{
    struct reading reading = {.elf = elf, .path = path, .error = error};
    reading.package = calloc(1, sizeof *reading.package);
    if (reading.package)
        reading.package->storage = calloc(1, sizeof *reading.package->storage);
    reading.text = malloc(LONGEST_SET + 1);
    int failed = reading.text && reading.package && reading.package->storage ? read_all(&reading)
                                                                             : no_memory(&reading);
    free(reading.text);
    free(reading.words);
    free(reading.raws);
    if (failed)
        gib_package_free(reading.package);
    else
        *package = reading.package;
    return failed;
}

int gib_package_read(const char *path, struct gib_package **package, struct gib_error *error)
{
    struct gib_elf *elf = gib_elf_open(path, "/nonexistent", error);
    if (!elf)
        return error->code;
    int failed = gib_package_read_elf(elf, path, package, error);
    gib_elf_close(elf);
    return failed;
}

void gib_package_free(struct gib_package *package)
{
    if (!package)
        return;
    struct gib_package_storage *storage = package->storage;
    for (size_t i = 0; i < package->set_count; i++)
        free((void *)package->sets[i].members);
    for (size_t i = 0; storage && i < storage->string_count; i++)
        free(storage->strings[i]);
    if (storage) {
        free(storage->strings);
        free(storage->registrations);
        free(storage->sets);
    }
    free(storage);
    free(package);
}

const char *gib_registration_kind_name(enum gibbon_registration_kind kind)
{
    static const char *const names[] = {NULL,      "wrap", "replace", "mock",
                                        "handler", "set",  "on-load", "original"};
    return kind > 0 && (size_t)kind < GIB_PACKAGE_COUNT(names) ? names[kind] : "?";
}
