/*
 * references.c: tells what a patch does not see, by name: in short after a patch was made, at
 * length in explain.
 */
#include "engine/references.h"
#include "command/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEW = 8,     /* functions that are looked at one by one after a patch was made */
    SHOWN = 4,   /* names in one line */
    LISTED = 100 /* and in explain */
};

/* "a, b, c, d and 7 more"; malloc'ed. */
static char *join(const struct gib_names *names, size_t most)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (size_t i = 0; i < names->count && i < most; i++)
        fprintf(out, "%s%s", i ? ", " : "", names->item[i]);
    if (names->count > most)
        fprintf(out, " and %zu more", names->count - most);
    fclose(out);
    return text;
}

/* "add()"; C++ names have their parentheses. */
static const char *parentheses(const char *function)
{
    return strchr(function, '(') ? "" : "()";
}

/* ---- after a patch was made ---- */

/* Where the notes of one patch go: the output of its command, or a warning of its own. */
struct notes {
    struct gib_engine *engine;
    const struct gib_patch *patch;
    bool in_command;
};

__attribute__((format(printf, 2, 3))) static void note(const struct notes *n, const char *format,
                                                       ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0)
        return;
    char *name = n->in_command ? NULL : gib_patch_name(n->engine, n->patch);
    if (n->in_command)
        gib_print(n->engine, "  %s\n", text);
    else if (name)
        gib_warn(n->engine, "gibbon: %s: %s\n", name, text);
    free(name);
    free(text);
}

/* As it is typed: one with blanks in quotes. */
static const char *quote(const char *function)
{
    return strchr(function, ' ') ? "'" : "";
}

static void note_inlined(const struct notes *n, const char *function,
                         const struct gib_references *r)
{
    char *list = join(&r->inlined, SHOWN);
    const char *mark = quote(function);
    bool one = r->inlined.count == 1, all = r->inlined.count <= SHOWN;
    if (r->inlined.count && list)
        note(n, "%zu cop%s of %s%s %s inlined and %s not patched: %s%s", r->inlined.count,
             one ? "y" : "ies", function, parentheses(function), one ? "was" : "were",
             one ? "is" : "are", list, all ? "." : ".");
    if (r->inlined.count && !all)
        note(n, "\"gibbon explain %s%s%s\" names them all.", mark, function, mark);
    free(list);
    list = join(&r->unread, SHOWN);
    if (r->unread.count && list)
        note(n,
             "Inlined copies were not looked for in %s, for the size of its debug information; "
             "\"gibbon explain %s%s%s\" does that.",
             list, mark, function, mark);
    free(list);
}

/* A sentence with a list in its middle, when there is one. */
static void note_list(const struct notes *n, const struct gib_names *names, const char *before,
                      const char *function, const char *after)
{
    char *list = join(names, SHOWN);
    if (names->count && list)
        note(n, "%s%s%s%s%s.", before, function, function[0] ? parentheses(function) : "", after,
             list);
    free(list);
}

/* Whether the name that `text` begins with is one of "a, b". */
static bool is_said(const char *said, const char *text)
{
    size_t length = strcspn(text, " ");
    for (const char *at = said; at && *at; at += strspn(at, ", ")) {
        size_t size = strcspn(at, ",");
        if (size == length && !strncmp(at, text, length))
            return true;
        at += size;
    }
    return false;
}

/* Those that were not told when the patch was made, before there was a process. */
static void note_called(const struct notes *n, const struct gib_references *r)
{
    struct gib_names left = {calloc(r->called.count + 1, sizeof *left.item), 0};
    for (size_t i = 0; left.item && i < r->called.count; i++)
        if (!is_said(n->patch->said, r->called.item[i]))
            left.item[left.count++] = r->called.item[i];
    note_list(n, &left, "Other functions for the same are not patched: ", "", "");
    free(left.item);
}

static void note_threads(const struct notes *n, const char *function,
                         const struct gib_references *r)
{
    char *list = join(&r->threads, SHOWN);
    bool one = r->threads.count == 1;
    if (r->threads.count && list && n->patch->type == GIB_PATCH_MARK)
        note(n, "Thread%s %s %s inside %s%s now; %s not count.", one ? "" : "s", list,
             one ? "is" : "are", function, parentheses(function),
             one ? "that call does" : "those calls do");
    else if (r->threads.count && list)
        note(n, "Thread%s %s %s inside %s%s now, and finish%s %s call%s with the old code.",
             one ? "" : "s", list, one ? "is" : "are", function, parentheses(function),
             one ? "es" : "", one ? "its" : "their", one ? "" : "s");
    free(list);
}

static void note_site(const struct notes *n, const struct gib_site_state *site,
                      const uint64_t *covered, size_t count, const struct gib_stopped *stopped)
{
    struct gib_subject subject = {site->module, site->entry, site->symbol, site};
    struct gib_references r;
    gib_references_find(n->engine, &subject, covered, count, stopped, GIB_QUICKLY, &r);
    note_inlined(n, site->function, &r);
    note_list(n, &r.clones, "Clones of ", site->function, " are not patched: ");
    note_list(n, &r.others, "Another function of that name is not patched: ", "", "");
    note_called(n, &r);
    note_threads(n, site->function, &r);
    gib_references_free(&r);
}

static void note_each(const struct notes *n)
{
    const struct gib_process *process = n->engine->process;
    const struct gib_site_state *site[FEW];
    uint64_t covered[2 * FEW];
    size_t count = 0, covers;
    struct gib_stopped stopped;
    struct gib_error ignored;
    for (uint32_t i = 0; i < process->site_count && count < FEW; i++) {
        if (!process->site[i]->installed || !gib_site_link_of(process->site[i], n->patch, NULL))
            continue;
        site[count] = process->site[i];
        covered[count++] = process->site[i]->entry;
    }
    /* What runs in their place is not missing. */
    covers = count;
    for (size_t i = 0; i < count; i++) {
        struct gib_layer *layer = NULL;
        if (gib_site_link_of(site[i], n->patch, &layer) && layer->with)
            covered[covers++] = layer->with;
    }
    bool looked = gib_look_at_threads(n->engine, &stopped, &ignored) == 0;
    for (size_t i = 0; i < count; i++)
        note_site(n, site[i], covered, covers, looked ? &stopped : NULL);
    if (looked)
        gib_forget_stopped(&stopped);
}

static void note_count(const struct notes *n)
{
    const struct gib_site_state *first = NULL;
    size_t count;
    if (gib_count_inlined(n->engine, n->patch, &count, &first) && count)
        note(n,
             "%zu of them ha%s inlined copies, which are not seen; \"gibbon explain %s%s%s\" names "
             "those of the first.",
             count, count == 1 ? "s" : "ve", quote(first->function), first->function,
             quote(first->function));
}

static void tell(struct gib_engine *engine, struct gib_patch *patch, bool in_command)
{
    struct notes notes = {engine, patch, in_command};
    size_t sites = gib_patch_sites(engine, patch, NULL);
    if (!sites)
        return;
    patch->told = true;
    if (sites <= FEW)
        note_each(&notes);
    else
        note_count(&notes);
}

void gib_note_references(struct gib_engine *engine, struct gib_patch *patch)
{
    tell(engine, patch, true);
}

void gib_tell_references(struct gib_engine *engine)
{
    if (engine->busy)
        return; /* an event inside a change: told at the next one */
    for (size_t i = 0; engine->process && i < engine->patch_count; i++)
        if (!engine->patch[i]->told)
            tell(engine, engine->patch[i], false);
}

/* ---- explain ---- */

static void explain_list(struct gib_engine *engine, const struct gib_names *names, const char *what)
{
    char *list = join(names, LISTED);
    if (names->count && list)
        gib_print(engine, "  not seen: %s%s\n", what, list);
    free(list);
}

static void explain_inlined(struct gib_engine *engine, const struct gib_subject *subject,
                            const struct gib_references *r)
{
    if (r->no_debug)
        gib_print(engine,
                  "  not seen: inlined copies, if there are any; %s has no debug information for "
                  "it\n",
                  subject->module->name);
    else if (!r->inlined.count)
        gib_print(engine, "  inlined copies: none in the debug information\n");
    else
        gib_print(engine, "  not seen: %zu inlined cop%s:\n", r->inlined.count,
                  r->inlined.count == 1 ? "y" : "ies");
    for (size_t i = 0; i < r->inlined.count && i < LISTED; i++)
        gib_print(engine, "    %s\n", r->inlined.item[i]);
    if (r->inlined.count > LISTED)
        gib_print(engine, "    and %zu more\n", r->inlined.count - LISTED);
}

void gib_explain_references(struct gib_engine *engine, const struct gib_site_state *site,
                            const struct gib_found_list *found)
{
    struct gib_subject subject = {site->module, site->entry, site->symbol,
                                  site->installed ? site : NULL};
    struct gib_references r;
    struct gib_stopped stopped;
    struct gib_error ignored;
    uint64_t *covered = calloc(found->count + 1, sizeof *covered);
    if (!covered)
        return;
    for (size_t i = 0; i < found->count; i++)
        covered[i] = found->item[i].address;
    bool looked = gib_look_at_threads(engine, &stopped, &ignored) == 0;
    gib_references_find(engine, &subject, covered, found->count, looked ? &stopped : NULL,
                        GIB_EVERYTHING, &r);
    explain_inlined(engine, &subject, &r);
    explain_list(engine, &r.clones, "calls of its clones ");
    explain_list(engine, &r.variants, "implementations that were not chosen, ");
    explain_list(engine, &r.others, "the same name elsewhere, ");
    explain_list(engine, &r.siblings, "other functions for the same, ");
    if (r.is_system_call)
        gib_print(engine, "  not seen: direct system calls, by instructions of the caller's own\n");
    char *list = join(&r.threads, LISTED);
    if (r.threads.count && list)
        gib_print(engine, "  inside it now: thread%s %s, whose call%s with the old code\n",
                  r.threads.count == 1 ? "" : "s", list,
                  r.threads.count == 1 ? " finishes" : "s finish");
    free(list);
    if (looked)
        gib_forget_stopped(&stopped);
    gib_references_free(&r);
    free(covered);
}
