/* packages.c: gibbon packages. */
#include "command/command.h"

#include <stdlib.h>
#include <string.h>

/* ---- what one package has ---- */

static const char *state_of(struct gib_engine *engine, const struct gib_patch *patch)
{
    return gib_patch_sites(engine, patch, NULL) ? patch->enabled ? "active" : "disabled"
           : patch->refused.count               ? "refused"
                                                : "pending";
}

static void show_patch(struct gib_engine *engine, const struct gib_patch *patch)
{
    char *effect = gib_patch_effect(patch);
    gib_print(engine, "    %-8s  %d: %s %s%s%s\n", state_of(engine, patch), patch->number,
              gib_patch_verb(patch), patch->location.text, effect ? effect : "", patch->options);
    free(effect);
    gib_summarize_refusals(engine, patch, "              ");
    gib_show_delay(engine, patch, "              ");
}

/* Of many only those that somebody may want to know of, the others as one number a state. */
static void show_patches(struct gib_engine *engine, const struct gib_used_package *used, bool all)
{
    enum { FEW = 12 };
    static const char *const states[] = {"active", "disabled", "pending"};
    size_t count = 0;
    for (size_t i = 0; i < engine->patch_count; i++)
        count += engine->patch[i]->package == used;
    all |= count <= FEW;
    for (size_t s = 0; s < sizeof states / sizeof *states && !all; s++) {
        size_t so = 0;
        for (size_t i = 0; i < engine->patch_count; i++)
            so += engine->patch[i]->package == used &&
                  !strcmp(state_of(engine, engine->patch[i]), states[s]);
        if (so)
            gib_print(engine, "    %-8s  %zu patches\n", states[s], so);
    }
    for (size_t i = 0; i < engine->patch_count; i++)
        if (engine->patch[i]->package == used &&
            (all || !strcmp(state_of(engine, engine->patch[i]), "refused")))
            show_patch(engine, engine->patch[i]);
}

static void show_registration(struct gib_engine *engine, const struct gib_registration *r)
{
    gib_print(engine, "    %-8s  %s %s%s%s\n", "off", gib_registration_kind_name(r->kind),
              *r->module    ? r->module
              : r->function ? ""
                            : "the program",
              r->function && *r->module ? "!" : "", r->function ? r->function : "");
}

/* What a shared object has, loaded or not. */
static void show_content(struct gib_engine *engine, const struct gib_package *content, bool all)
{
    enum { FEW = 12 };
    size_t off = 0;
    for (size_t i = 0; i < content->registration_count; i++)
        off += content->registrations[i].kind != GIBBON_KIND_ORIGINAL &&
               !gib_registration_used(engine, &content->registrations[i]);
    if (off > FEW && !all)
        gib_print(engine, "    %-8s  %zu patches\n", "off", off);
    for (size_t i = 0; i < content->registration_count && (off <= FEW || all); i++)
        if (content->registrations[i].kind != GIBBON_KIND_ORIGINAL &&
            !gib_registration_used(engine, &content->registrations[i]))
            show_registration(engine, &content->registrations[i]);
    for (size_t s = 0; s < content->set_count; s++) {
        gib_print(engine, "    set       %s:", content->sets[s].name);
        for (size_t m = 0; m < content->sets[s].member_count; m++) {
            const struct gib_registration *r = &content->registrations[content->sets[s].members[m]];
            gib_print(engine, "%s %s", m ? "," : "", r->function ? r->function : r->module);
        }
        gib_print(engine, "\n");
    }
}

/* ---- one package ---- */

/* A sentence about a file, without the file's name where it begins with that. Malloc'ed. */
static char *without_name(const char *sentence, const char *path)
{
    static const char refused[] = " is refused: ";
    const char *file = strrchr(path, '/') + 1, *rest = strstr(sentence, file);
    if (!strncmp(sentence, "The directory ", 14))
        return strdup("its directory is.");
    if (!rest)
        return strdup(sentence);
    rest += strlen(file);
    if (!strncmp(rest, refused, sizeof refused - 1))
        return strdup(rest + sizeof refused - 1);
    return *rest == ' ' ? gib_format("it%s", rest) : strdup(sentence);
}

static bool is_loaded(const struct gib_engine *engine, const struct gib_used_package *used)
{
    for (size_t i = 0; used && i < engine->patch_count; i++)
        if (engine->patch[i]->package == used)
            return true;
    return false;
}

static void show_entry(struct gib_engine *engine, const struct gib_package_entry *entry, bool all)
{
    const struct gib_used_package *used = engine->packages;
    while (used && (used->hidden || strcmp(used->path, entry->path)))
        used = used->next;
    struct gib_package *content = NULL;
    struct gib_error why;
    char *refusal = entry->refusal ? without_name(entry->refusal, entry->path) : NULL;
    if (!refusal && !used && entry->kind == GIB_PACKAGE_SHARED &&
        gib_package_read(entry->path, &content, &why))
        refusal = without_name(why.message, entry->path);
    gib_print(engine, "  %-16s", strrchr(entry->path, '/') + 1);
    if (refusal)
        gib_print(engine, "  refused: %s", refusal);
    else if (entry->hidden_by)
        gib_print(engine, "  hidden: %s comes first.", entry->hidden_by);
    else if (is_loaded(engine, used))
        gib_print(engine, "  loaded%s%s", entry->description ? ". " : "",
                  entry->description ? entry->description : "");
    else if (entry->description)
        gib_print(engine, "  %s", entry->description);
    gib_print(engine, "\n");
    if (used)
        show_patches(engine, used, all);
    if (!refusal && (used ? used->content : content))
        show_content(engine, used ? used->content : content, all);
    free(refusal);
    gib_package_free(content);
}

static bool is_asked_for(const struct gib_arguments *arguments, const char *name, const char *path)
{
    for (size_t w = 0; w < arguments->words; w++)
        if (!strcmp(arguments->word[w], name) || !strcmp(arguments->word[w], path))
            return true;
    return !arguments->words;
}

/* ---- all of them ---- */

static bool same_directory(const char *path, const char *other)
{
    size_t length = strrchr(path, '/') - path;
    return (size_t)(strrchr(other, '/') - other) == length && !strncmp(path, other, length);
}

/* Those that were given by their path are on no search path. */
static size_t show_others(struct gib_engine *engine, const struct gib_package_list *list,
                          const struct gib_arguments *arguments)
{
    size_t shown = 0;
    const char *last = NULL;
    for (const struct gib_used_package *used = engine->packages; used; used = used->next) {
        bool listed = used->hidden || !is_loaded(engine, used);
        for (size_t i = 0; i < list->count; i++)
            listed |= !strcmp(list->entries[i].path, used->path);
        struct gib_package_entry entry = {
            .name = used->name, .path = used->path, .kind = GIB_PACKAGE_SOURCE};
        if (listed || !is_asked_for(arguments, used->name, used->path))
            continue;
        if (!last || !same_directory(last, used->path))
            gib_print(engine, "%.*s\n", (int)(strrchr(used->path, '/') - used->path), used->path);
        last = used->path;
        show_entry(engine, &entry, arguments->words > 0);
        shown++;
    }
    return shown;
}

static size_t show_directory(struct gib_engine *engine, const struct gib_package_list *list,
                             const char *directory, size_t place,
                             const struct gib_arguments *arguments)
{
    size_t shown = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct gib_package_entry *entry = &list->entries[i];
        if (entry->place != place || !is_asked_for(arguments, entry->name, entry->path))
            continue;
        if (!shown++)
            gib_print(engine, "%s\n", directory);
        show_entry(engine, entry, arguments->words > 0);
    }
    return shown;
}

int gib_command_packages(struct gib_engine *engine, const struct gib_arguments *arguments,
                         struct gib_error *error)
{
    struct gib_package_path path;
    struct gib_package_list list;
    int failed = gib_engine_package_path(&path, error);
    if (failed)
        return failed;
    if (!(failed = gib_packages_list(&path, &list, error))) {
        size_t shown = show_others(engine, &list, arguments);
        for (size_t i = 0; i < path.count; i++)
            shown += show_directory(engine, &list, path.directories[i], i, arguments);
        for (size_t i = 0; i < list.problem_count && !arguments->words; i++)
            gib_print(engine, "%s\n", list.problems[i]);
        if (!shown && arguments->words)
            failed = gib_fail(error, GIB_E_NOT_FOUND, 0,
                              "No package is called \"%.60s\"; \"gibbon packages\" lists all.",
                              arguments->word[0]);
        else if (!shown && !list.problem_count)
            gib_print(engine, "No packages.\n");
        gib_package_list_free(&list);
    }
    gib_package_path_free(&path);
    return failed;
}
