/*
 * resolve.c: binds what a package's object needs to the modules of a process.
 */
#include "package/resolve.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A list of names in a sentence that has an end: what does not fit is counted. */
struct names {
    char text[140];
    size_t used, count, left;
};

static void add_name(struct names *names, const char *name, const char *version)
{
    char entry[120];
    snprintf(entry, sizeof entry, "%s%.70s%s%.30s", names->count ? ", " : "", name,
             version ? "@" : "", version ? version : "");
    names->count++;
    if (names->left || names->used + strlen(entry) >= sizeof names->text) {
        names->left++;
        return;
    }
    strcpy(names->text + names->used, entry);
    names->used += strlen(entry);
}

__attribute__((format(printf, 3, 4))) static int fail(struct gib_error *error, int code,
                                                      const char *format, ...)
{
    if (error) {
        va_list list;
        va_start(list, format);
        error->code = code;
        error->address = 0;
        vsnprintf(error->message, sizeof error->message, format, list);
        va_end(list);
    }
    return code;
}

static int fail_with(struct gib_error *error, const char *name, const char *what,
                     const struct names *names)
{
    char more[40] = "";
    if (names->left)
        snprintf(more, sizeof more, " and %zu more", names->left);
    return fail(error, GIB_E_NOT_FOUND, "%.60s %s: %s%s.", name, what, names->text, more);
}

static bool has_library(const struct gib_scope *scope, const char *wanted)
{
    for (size_t i = 0; i < scope->count; i++) {
        const struct gib_module *module = scope->module[i];
        const char *soname = gib_elf_info(module->elf)->soname;
        const char *slash = strrchr(wanted, '/');
        if (!strcmp(module->name, slash ? slash + 1 : wanted) ||
            (soname && !strcmp(soname, wanted)))
            return true;
    }
    return false;
}

/* The first definition in the scope. */
static bool find(const struct gib_scope *scope, struct gib_object_need *need, bool *is_variable)
{
    for (size_t i = 0; i < scope->count; i++) {
        const struct gib_module *module = scope->module[i];
        struct gib_elf_definition definition;
        if (!gib_elf_definition(module->elf, need->name, scope->is_static ? NULL : need->version,
                                &definition))
            continue;
        *is_variable = definition.thread_local_variable;
        need->defined = true;
        need->ifunc = definition.ifunc;
        need->value = definition.value + (definition.absolute ? 0 : module->bias);
        return true;
    }
    return false;
}

int gib_object_resolve(struct gib_object *object, const char *name, const struct gib_scope *scope,
                       struct gib_error *error)
{
    struct names missing = {.text = ""};
    for (size_t i = 0; i < object->needed_count && !scope->is_static; i++)
        if (!has_library(scope, object->needed[i]))
            add_name(&missing, object->needed[i], NULL);
    if (missing.count)
        return fail_with(error, name,
                         missing.count == 1 ? "needs a library that the program has not loaded"
                                            : "needs libraries that the program has not loaded",
                         &missing);
    for (size_t i = 0; i < object->need_count; i++) {
        struct gib_object_need *need = &object->needs[i];
        bool is_variable = false;
        if (need->defined)
            continue;
        if (!find(scope, need, &is_variable)) {
            if (!need->weak)
                add_name(&missing, need->name, need->version);
        } else if (is_variable) {
            return fail(error, GIB_E_UNSUPPORTED,
                        "%.60s uses the thread-local variable %.60s, which only the dynamic linker "
                        "can give it.",
                        name, need->name);
        }
    }
    if (missing.count)
        return fail_with(error, name,
                         missing.count == 1 ? "needs a symbol that the program does not have"
                                            : "needs symbols that the program does not have",
                         &missing);
    return 0;
}
