/* load.c: gibbon load. */
#include "command/command.h"

#include <stdlib.h>
#include <string.h>

/* A function's name as the user or the package writes it; of a hook its own. */
static bool is_function(const struct gib_registration *r, const char *word)
{
    size_t module = r->module ? strlen(r->module) : 0;
    if (module && !strncmp(word, r->module, module) && word[module] == '!')
        word += module + 1;
    return (r->function && !strcmp(r->function, word)) ||
           (r->identifier && !strcmp(r->identifier, word)) ||
           (r->kind == GIBBON_KIND_ON_LOAD && !strcmp(r->code.symbol, word));
}

/* How many registrations the word chooses. */
static size_t count_chosen(const struct gib_package *content, const char *word)
{
    size_t count = 0;
    for (size_t i = 0; i < content->registration_count; i++)
        count += content->registrations[i].kind != GIBBON_KIND_ORIGINAL &&
                 is_function(&content->registrations[i], word);
    for (size_t s = 0; s < content->set_count; s++)
        if (!strcmp(content->sets[s].name, word))
            count += content->sets[s].member_count;
    return count;
}

char *gib_registration_word(const struct gib_package *content, const struct gib_registration *r)
{
    const char *name = r->function ? r->function : r->code.symbol;
    if (count_chosen(content, name) > 1 && r->identifier &&
        count_chosen(content, r->identifier) == 1)
        name = r->identifier;
    return count_chosen(content, name) > 1 && *r->module ? gib_format("%s!%s", r->module, name)
                                                         : strdup(name);
}

/* Whether the words, names of sets or of functions, choose the registration; no word: all. */
static bool is_chosen(const struct gib_package *content, size_t index,
                      const struct gib_arguments *arguments)
{
    const struct gib_registration *r = &content->registrations[index];
    if (r->kind == GIBBON_KIND_ORIGINAL)
        return false;
    for (size_t w = 1; w < arguments->words; w++) {
        if (is_function(r, arguments->word[w]))
            return true;
        for (size_t s = 0; s < content->set_count; s++)
            for (size_t m = 0; m < content->sets[s].member_count; m++)
                if (content->sets[s].members[m] == index &&
                    !strcmp(content->sets[s].name, arguments->word[w]))
                    return true;
    }
    return arguments->words < 2;
}

static int check_words(const struct gib_used_package *package,
                       const struct gib_arguments *arguments, struct gib_error *error)
{
    const struct gib_package *content = package->content;
    for (size_t w = 1; w < arguments->words; w++) {
        bool known = false;
        for (size_t i = 0; content && i < content->registration_count; i++)
            known |= is_function(&content->registrations[i], arguments->word[w]);
        for (size_t s = 0; content && s < content->set_count; s++)
            known |= !strcmp(content->sets[s].name, arguments->word[w]);
        if (!known)
            return gib_fail(error, GIB_E_NOT_FOUND, 0,
                            "Package %.60s has no set and no function \"%.60s\"; \"gibbon "
                            "packages\" lists them.",
                            package->name, arguments->word[w]);
    }
    return 0;
}

bool gib_registration_used(struct gib_engine *engine, const struct gib_registration *r)
{
    for (size_t i = 0; i < engine->patch_count; i++)
        if (engine->patch[i]->registration == r)
            return true;
    return false;
}

/* One that is refused stays in the list, with the reason: the others stand. */
static int load_patch(struct gib_engine *engine, struct gib_used_package *package,
                      const struct gib_registration *r, const struct gib_arguments *arguments,
                      struct gib_error *error)
{
    struct gib_patch *patch;
    struct gib_error why;
    int failed = gib_package_patch(package, r, &patch, error);
    if (failed)
        return failed;
    patch->enabled = !gib_argument_given(arguments, "disabled");
    patch->number = engine->next_number;
    if (gib_will_patch(engine, patch, &why)) { /* the others stand */
        gib_warn(engine, "gibbon: %s\n", why.message);
        gib_patch_free(patch);
        return 0;
    }
    engine->next_number++;
    if ((failed = gib_patch_add(engine, patch))) {
        gib_patch_free(patch);
        return gib_fail(error, failed, 0, "The debugger is out of memory.");
    }
    if (gib_patch_place(engine, patch, &why) > 0 && !patch->refused.count)
        gib_warn(engine, "gibbon: patch %d (%s): %s\n", patch->number, patch->location.text,
                 why.message);
    return 0;
}

/* What came of the patches from index `first` on. Of many, how many. */
static void announce(struct gib_engine *engine, const struct gib_used_package *package,
                     size_t first)
{
    enum { FEW = 12 };
    size_t count = engine->patch_count - first, placed = 0, refused = 0, waiting = 0;
    for (size_t i = first; i < engine->patch_count; i++) {
        const struct gib_patch *patch = engine->patch[i];
        if (count <= FEW)
            gib_patch_announce(engine, patch);
        if (gib_patch_sites(engine, patch, NULL))
            placed++;
        else if (patch->refused.count)
            refused++;
        else
            waiting++;
    }
    if (count > FEW) {
        gib_print(engine, "Package %s: patches %d to %d,", package->name,
                  engine->patch[first]->number, engine->patch[engine->patch_count - 1]->number);
        if (placed)
            gib_print(engine, " %zu active%s", placed, refused || waiting ? "," : "");
        if (waiting)
            gib_print(engine, " %zu pending%s", waiting, refused ? "," : "");
        if (refused)
            gib_print(engine, " %zu refused", refused);
        gib_print(engine, "; \"gibbon list\" shows them.\n");
    }
    gib_warn_incoherent(engine, first);
}

static int load_commands(struct gib_engine *engine, struct gib_used_package *package,
                         const struct gib_arguments *arguments, struct gib_error *error)
{
    struct gib_command_list list;
    size_t before = engine->patch_count;
    for (size_t i = 0; i < before; i++)
        if (engine->patch[i]->package == package)
            return 0;
    int failed = gib_commands_read(package->path, &list, error);
    if (failed)
        return failed;
    engine->loading = package;
    for (size_t i = 0; i < list.count && !failed; i++) {
        struct gib_error why;
        if (gib_command_execute(engine, list.commands[i].text, false, &why))
            failed = gib_fail(error, why.code, 0, "%.120s:%u: %.300s", package->path,
                              list.commands[i].line, why.message);
    }
    engine->loading = NULL;
    gib_commands_free(&list);
    /* All of it or nothing. */
    while (failed && engine->patch_count > before) {
        struct gib_error ignored;
        struct gib_patch *patch = engine->patch[engine->patch_count - 1];
        if (gib_patch_delete(engine, patch, &ignored))
            break;
    }
    for (size_t i = before; i < engine->patch_count && gib_argument_given(arguments, "disabled");
         i++) {
        engine->patch[i]->enabled = false;
        gib_patch_update(engine, engine->patch[i], NULL);
    }
    return failed;
}

int gib_command_load(struct gib_engine *engine, const struct gib_arguments *arguments,
                     struct gib_error *error)
{
    struct gib_used_package *package;
    struct gib_process *process;
    bool fresh;
    if (!arguments->words)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"gibbon load\" needs a package: a name, as \"gibbon packages\" lists "
                        "them, or a file.");
    int failed = gib_process_ready(engine, &process, error);
    if (!failed)
        failed = gib_package_use(engine, arguments->word[0], &package, &fresh, error);
    if (!failed)
        failed = check_words(package, arguments, error);
    if (failed)
        return failed;
    size_t before = engine->patch_count;
    if (!package->content)
        failed = load_commands(engine, package, arguments, error);
    for (size_t i = 0; package->content && i < package->content->registration_count && !failed;
         i++) {
        const struct gib_registration *r = &package->content->registrations[i];
        if (!is_chosen(package->content, i, arguments) || gib_registration_used(engine, r))
            continue;
        failed = load_patch(engine, package, r, arguments, error);
    }
    if (engine->patch_count > before)
        announce(engine, package, before);
    else if (!failed)
        gib_print(engine, "Package %s is loaded already; delete its patches to load it anew.\n",
                  package->name);
    gib_expect_modules(engine);
    return failed;
}
