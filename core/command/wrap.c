/* wrap.c: gibbon wrap, replace, mock. */
#include "command/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "engine/mock_value.h"

const char *gib_patch_verb(const struct gib_patch *patch)
{
    static const char *const verbs[] = {"wrap", "replace", "mock", "on-load",
                                        "mark", "wrap",    "stop"};
    if (patch->registration && patch->registration->kind == GIBBON_KIND_WRAP)
        return "wrap";
    return verbs[patch->type];
}

char *gib_patch_effect(const struct gib_patch *patch)
{
    if (patch->registration && patch->registration->kind != GIBBON_KIND_ORIGINAL &&
        patch->type != GIB_PATCH_MOCK)
        return gib_format(patch->type == GIB_PATCH_HOOK ? " calls %s of %s" : " with %s of %s",
                          patch->with.text, patch->package->name);
    if (patch->type == GIB_PATCH_REPLACE)
        return gib_format(" with %s", patch->library ? patch->library : patch->with.text);
    if (patch->type == GIB_PATCH_MOCK)
        return gib_format(" returns %s", patch->value);
    if (patch->type == GIB_PATCH_HANDLER)
        return gib_format(" with handler %s", patch->with.text);
    return strdup("");
}

static int fill_wrap(struct gib_engine *engine, const struct gib_arguments *arguments,
                     struct gib_patch *patch, struct gib_error *error)
{
    const char *handler = gib_argument_text(arguments, "handler");
    (void)engine;
    if (!handler)
        return 0;
    patch->type = GIB_PATCH_HANDLER;
    int failed = gib_location_parse(handler, &patch->with, error);
    if (!failed && (patch->with.glob || patch->with.regex))
        failed = gib_fail(error, GIB_E_SYNTAX, 0,
                          "\"%.60s\" may mean many functions; -handler takes one.", handler);
    return failed;
}

int gib_command_wrap(struct gib_engine *engine, const struct gib_arguments *arguments,
                     struct gib_error *error)
{
    if (!arguments->words)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"gibbon wrap\" needs a function: gibbon wrap mkdtemp.");
    return gib_define_patches(engine, arguments, arguments->words, fill_wrap, error);
}

/* ---- replace ---- */

/* libfast.so, ./libfast.so.2: a file, and no function of one. */
static bool is_library(const char *word)
{
    const char *base = strrchr(word, '/');
    base = base ? base + 1 : word;
    const char *so = strstr(base, ".so");
    return !strchr(word, '!') && so && so > base && (!so[3] || so[3] == '.');
}

/* A library with a path comes from that file, in every process: it must be there, and mappable
 * without the dynamic linker unless that has it already. */
static int find_library_file(struct gib_engine *engine, struct gib_patch *patch,
                             struct gib_error *error)
{
    char *path = realpath(patch->library, NULL);
    struct gib_error why;
    if (!path)
        return gib_fail(error, GIB_E_FILE, 0, "%.150s cannot be read: %s.", patch->library,
                        strerror(errno));
    free(patch->library);
    patch->library = path;
    int failed = gib_library_here(engine, path) ? 0 : gib_image_check(path, path, &why);
    if (failed == GIB_E_UNSUPPORTED)
        return gib_fail(error, failed, 0,
                        "%.200s Start the program with LD_PRELOAD=%.200s, and name it without a "
                        "directory.",
                        why.message, path);
    return failed ? gib_fail(error, failed, 0, "%.400s", why.message) : 0;
}

static int fill_replace(struct gib_engine *engine, const struct gib_arguments *arguments,
                        struct gib_patch *patch, struct gib_error *error)
{
    const char *with = arguments->word[1];
    patch->type = GIB_PATCH_REPLACE;
    if (is_library(with)) {
        patch->library = strdup(with);
        patch->location.exported = true;
        if (!patch->library)
            return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
        return strchr(with, '/') ? find_library_file(engine, patch, error) : 0;
    }
    int failed = gib_package_function(engine, with, patch, error);
    if (failed != GIB_E_ARGUMENT)
        return failed;
    failed = gib_location_parse(with, &patch->with, error);
    if (!failed && (patch->with.glob || patch->with.regex))
        failed = gib_fail(error, GIB_E_SYNTAX, 0,
                          "\"%.60s\" may mean many functions; the second word of \"gibbon "
                          "replace\" is one function, or a library.",
                          with);
    return failed;
}

int gib_command_replace(struct gib_engine *engine, const struct gib_arguments *arguments,
                        struct gib_error *error)
{
    if (arguments->words != 2)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"gibbon replace\" needs a function and what runs instead: gibbon "
                        "replace compress my_compress.");
    return gib_define_patches(engine, arguments, 1, fill_replace, error);
}

/* ---- mock ---- */

/* The word as it was typed; quotes that are no part of a C literal only kept it together. */
static char *literal(const char *word, char quote)
{
    bool character = word[0] && (!word[1] || word[0] == '\\');
    if (quote == '\'' && !character)
        quote = 0;
    char *text = NULL;
    size_t size;
    FILE *out = quote ? open_memstream(&text, &size) : NULL;
    if (!quote)
        return strdup(word);
    if (!out)
        return NULL;
    fputc(quote, out);
    for (; *word; word++) {
        if (*word == quote)
            fputc('\\', out);
        fputc(*word, out);
    }
    fputc(quote, out);
    fclose(out);
    return text;
}

static int fill_mock(struct gib_engine *engine, const struct gib_arguments *arguments,
                     struct gib_patch *patch, struct gib_error *error)
{
    (void)engine;
    patch->type = GIB_PATCH_MOCK;
    patch->value = literal(arguments->word[1], arguments->quote[1]);
    return patch->value ? 0 : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
}

int gib_command_mock(struct gib_engine *engine, const struct gib_arguments *arguments,
                     struct gib_error *error)
{
    if (arguments->words != 2)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"gibbon mock\" needs a function and the value it returns: gibbon mock "
                        "getaddrinfo -2.");
    return gib_define_patches(engine, arguments, 1, fill_mock, error);
}
