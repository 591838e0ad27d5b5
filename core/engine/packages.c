/*
 * packages.c: from a package's file to patches.
 *
 * A registration becomes a patch like any other.
 */
#include "engine/internal.h"
#include "engine/mock_value.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- where things are ---- */

char *gib_library_directory(void)
{
    Dl_info info;
    char *library = dladdr((void *)gib_engine_interface, &info) && info.dli_fname
                        ? realpath(info.dli_fname, NULL)
                        : NULL;
    char *slash = library ? strrchr(library, '/') : NULL;
    if (slash)
        *slash = '\0';
    return library;
}

int gib_engine_package_path(struct gib_package_path *path, struct gib_error *error)
{
    char *library = gib_library_directory();
    char *shipped = library ? gib_shipped_packages(library) : NULL;
    int failed = gib_package_path(shipped, path, error);
    free(shipped);
    free(library);
    return failed;
}

static bool interrupted(void *engine)
{
    return gib_take_interrupt(engine);
}

struct gib_compiler *gib_engine_compiler(struct gib_engine *engine)
{
    if (engine->compiler)
        return engine->compiler;
    char *library = gib_library_directory();
    char *include = library ? gib_include_directory(library) : NULL;
    struct gib_compile_options options = {
        .include_directory = include, .interrupted = interrupted, .context = engine};
    engine->compiler = gib_compiler_new(&options);
    free(include);
    free(library);
    return engine->compiler;
}

/* ---- loading ---- */

static void free_package(struct gib_used_package *package)
{
    gib_package_free(package->content);
    free(package->name);
    free(package->path);
    free(package->object);
    free(package);
}

void gib_packages_free(struct gib_engine *engine)
{
    for (struct gib_used_package *package = engine->packages, *next; package; package = next) {
        next = package->next;
        free_package(package);
    }
    engine->packages = NULL;
    gib_compiler_free(engine->compiler);
    engine->compiler = NULL;
}

static struct gib_used_package *find_used(struct gib_engine *engine, const char *path)
{
    for (struct gib_used_package *package = engine->packages; package; package = package->next)
        if (!package->hidden && !strcmp(package->path, path))
            return package;
    return NULL;
}

const char *gib_package_source(const struct gib_engine *engine, const char *object)
{
    for (const struct gib_used_package *p = engine->packages; p; p = p->next)
        if (p->object && !p->hidden && !strcmp(p->object, object))
            return p->path;
    return object;
}

static int compile(struct gib_engine *engine, const char *source, char **object,
                   struct gib_error *error)
{
    char *output = NULL;
    struct gib_compiler *compiler = gib_engine_compiler(engine);
    int failed = compiler ? gib_compile(compiler, source, object, &output, error)
                          : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    if (output)
        gib_show_text(engine, output, GIB_PRINT_WARNING);
    free(output);
    return failed;
}

/* Reads what the object registers; messages name `shown`, the file that the user knows. */
static int read_object(const char *object, const char *shown, struct gib_package **content,
                       struct gib_error *error)
{
    struct gib_elf *elf = gib_elf_open(object, "/nonexistent", error);
    if (!elf)
        return error->code;
    int failed = gib_package_read_elf(elf, shown, content, error);
    gib_elf_close(elf);
    /* What cannot be mapped is said now, and not when its module comes. */
    return failed ? failed : gib_image_check(object, shown, error);
}

static int read_package(struct gib_engine *engine, const struct gib_package_entry *entry,
                        struct gib_used_package *package, struct gib_error *error)
{
    package->name = strdup(entry->name);
    package->path = strdup(entry->path);
    if (!package->name || !package->path)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    if (entry->kind == GIB_PACKAGE_COMMANDS)
        return 0;
    int failed = 0;
    if (entry->kind == GIB_PACKAGE_SOURCE)
        failed = compile(engine, entry->path, &package->object, error);
    else if (!(package->object = strdup(entry->path)))
        failed = gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    if (!failed && stat(package->object, &package->status))
        failed = gib_fail(error, GIB_E_FILE, 0, "%.150s cannot be read: %s.", package->object,
                          strerror(errno));
    return failed ? failed : read_object(package->object, package->path, &package->content, error);
}

static bool is_used(const struct gib_engine *engine, const struct gib_used_package *package)
{
    for (size_t i = 0; i < engine->patch_count; i++)
        if (engine->patch[i]->package == package)
            return true;
    return false;
}

int gib_package_use(struct gib_engine *engine, const char *text, struct gib_used_package **out,
                    bool *fresh, struct gib_error *error)
{
    struct gib_package_path path;
    struct gib_package_entry entry;
    int failed = gib_engine_package_path(&path, error);
    if (failed)
        return failed;
    failed = gib_package_find(&path, NULL, text, &entry, error);
    gib_package_path_free(&path);
    if (failed)
        return failed;
    *out = find_used(engine, entry.path);
    if (*out && !is_used(engine, *out)) { /* the file may be another one by now */
        (*out)->hidden = true;
        *out = NULL;
    }
    *fresh = !*out;
    if (*fresh) {
        struct gib_used_package *package = calloc(1, sizeof *package);
        failed = package ? read_package(engine, &entry, package, error)
                         : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
        if (failed && package)
            free_package(package);
        if (!failed) {
            package->next = engine->packages;
            engine->packages = *out = package;
        }
    }
    gib_package_entry_free(&entry);
    return failed;
}

/* FILE.c:FUNCTION with the whole path, as a saved command needs it. */
static char *absolute(const char *text)
{
    const char *colon = strrchr(text, ':');
    char *file = colon ? strndup(text, (size_t)(colon - text)) : NULL;
    char *path = file ? realpath(file, NULL) : NULL;
    char *whole = path ? gib_format("%s%s", path, colon) : strdup(text);
    free(path);
    free(file);
    return whole;
}

int gib_package_function(struct gib_engine *engine, const char *text, struct gib_patch *patch,
                         struct gib_error *error)
{
    char *object = NULL, *function = NULL, *output = NULL;
    struct gib_compiler *compiler = gib_engine_compiler(engine);
    if (!compiler)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    int failed = gib_compile_function(compiler, NULL, text, &object, &function, &output, error);
    if (output)
        gib_show_text(engine, output, GIB_PRINT_WARNING);
    free(output);
    struct gib_used_package *package = failed ? NULL : calloc(1, sizeof *package);
    if (!package) {
        free(object);
        free(function);
        return failed ? failed : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    }
    struct gib_error ignored;
    *package = (struct gib_used_package){.name = strdup(text),
                                         .path = strdup(object),
                                         .object = object,
                                         .hidden = true,
                                         .next = engine->packages};
    engine->packages = package;
    stat(object, &package->status);
    patch->package = package;
    patch->with.text = absolute(text);
    patch->with.function = function;
    /* Without registrations it is a file that does not call originals. */
    if (gib_package_read(object, &package->content, &ignored))
        package->content = NULL;
    for (size_t i = 0; package->content && i < package->content->registration_count; i++) {
        const struct gib_registration *r = &package->content->registrations[i];
        if (r->kind == GIBBON_KIND_ORIGINAL && patch->location.function &&
            !strcmp(r->identifier, patch->location.function))
            patch->registration = r;
    }
    return 0;
}

/* ---- patches ---- */

static char *mock_value(const struct gib_package_value *value)
{
    char *text = NULL;
    size_t size;
    FILE *out = value->text ? open_memstream(&text, &size) : NULL;
    if (out) {
        gib_escape_text(out, value->text, strlen(value->text));
        fclose(out);
        return text;
    }
    if (value->is_address)
        return strdup("an address of the package");
    return value->floating ? gib_format("%.17g", value->number)
                           : gib_format("%" PRId64, (int64_t)value->integer);
}

static int fill_location(const struct gib_registration *r, struct gib_location *location,
                         struct gib_error *error)
{
    const char *function = r->function ? r->function : "load";
    char *text = gib_format("%s%s%s", r->module, *r->module ? "?!" : "", function);
    int failed = text ? gib_location_parse(text, location, error) : GIB_E_MEMORY;
    free(text);
    if (failed)
        return failed;
    location->optional = true;
    if (!*r->module)
        location->module = strdup("");
    /* What it is called in lists: without the question mark that nobody has typed. */
    free(location->text);
    location->text = r->function
                         ? gib_format("%s%s%s", r->module, *r->module ? "!" : "", r->function)
                         : strdup(*r->module ? r->module : "the program");
    return location->text && location->module
               ? 0
               : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
}

int gib_package_effect(struct gib_patch *patch, struct gib_error *error)
{
    const struct gib_registration *r = patch->registration;
    char **text = r->kind == GIBBON_KIND_MOCK ? &patch->value : &patch->with.text;
    free(*text);
    *text = r->kind == GIBBON_KIND_MOCK ? mock_value(&r->value) : strdup(r->code.symbol);
    patch->error_number = r->value.error;
    free(patch->options);
    patch->options = patch->error_number ? gib_errno_option(patch->error_number) : strdup("");
    return *text && patch->options
               ? 0
               : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
}

int gib_package_patch(struct gib_used_package *package, const struct gib_registration *registration,
                      struct gib_patch **out, struct gib_error *error)
{
    struct gib_patch *patch = *out = calloc(1, sizeof *patch);
    if (!patch)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    patch->package = package;
    patch->registration = registration;
    patch->enabled = true;
    int failed = fill_location(registration, &patch->location, error);
    switch (registration->kind) {
    case GIBBON_KIND_MOCK:
        patch->type = GIB_PATCH_MOCK;
        break;
    case GIBBON_KIND_WRAP:
        patch->count_only = true;
        patch->type = GIB_PATCH_REPLACE;
        break;
    case GIBBON_KIND_HANDLER:
        patch->count_only = true;
        patch->type = GIB_PATCH_HANDLER;
        break;
    case GIBBON_KIND_ON_LOAD:
        patch->type = GIB_PATCH_HOOK;
        break;
    default:
        patch->type = GIB_PATCH_REPLACE;
    }
    if (!failed)
        failed = gib_package_effect(patch, error);
    if (failed) {
        gib_patch_free(patch);
        *out = NULL;
    }
    return failed;
}
