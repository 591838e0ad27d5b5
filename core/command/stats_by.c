/*
 * stats_by.c: `gibbon stats -by`: the calls in the log, in groups.
 *
 * Two steps, so that a million calls do not have to be rendered: calls are grouped by bytes (of the
 * argument's words and text, say), and only then is each group named, by its first call; groups of
 * the same name are one.
 */
#include "command/stats.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "symbols/distance.h"

struct group {
    uint64_t hash;
    char *bytes, *name; /* owned */
    size_t size;
    uint64_t calls, failures, timed, total, least, most; /* ticks */
};

struct groups {
    const struct gib_stats_by *by;
    int patch;
    int32_t pid;         /* of the first call in the log: threads of others are told with theirs */
    struct group *group; /* open addressing: hash 0 is free */
    size_t count, room;  /* room: a power of two */
    struct group rest;   /* calls for which there was no room */
    FILE *key;
    char *bytes; /* of key */
    size_t size;
    bool failed; /* out of memory */
};

/* ---- what groups calls ---- */

/* Whether the parameters are not known, so that words are shown. */
static bool is_raw(const struct gib_log_site *site)
{
    return !site->prototype || site->prototype->unspecified;
}

static size_t argument_count(const struct gib_log_site *site)
{
    size_t count = is_raw(site) ? site->convention.words : site->prototype->parameter_count;
    return is_raw(site) || count < site->convention.parameters ? count
                                                               : site->convention.parameters;
}

/* The place of the argument among the site's parameters, or -1; `name` NULL: the first. */
static int find_argument(const struct gib_log_site *site, const char *name)
{
    size_t count = argument_count(site);
    for (size_t i = 0; i < count; i++) {
        const char *its = is_raw(site) ? NULL : site->prototype->parameters[i].name;
        if (!name || (its && !strcmp(its, name)))
            return (int)i;
    }
    return -1;
}

/* The same in a call; -1 also when its arguments are not in the log. */
static int argument_of(const struct gib_log_view *view, const char *name)
{
    return view->call->status == GIB_CALL_RESUMED ? -1 : find_argument(view->site, name);
}

static void write_chunk(const struct gib_log_view *view, enum gib_chunk_type type, int index,
                        FILE *out)
{
    const struct gib_chunk *chunk = gib_log_chunk(view, type, index);
    if (chunk)
        fwrite(chunk, 1, sizeof *chunk + chunk->size, out);
}

/* Bytes that are the same only if the name will be. */
static void write_bytes(const struct groups *g, const struct gib_log_view *view, FILE *out)
{
    const struct gib_record *record = view->record;
    const uint64_t *words = gib_record_words(record);
    int argument;
    switch (g->by->key) {
    case GIB_BY_CALLER:
        fwrite(&record->caller, 8, 1, out);
        return;
    case GIB_BY_THREAD:
        fwrite(&view->call->pid, 4, 1, out);
        fwrite(&view->call->tid, 4, 1, out);
        return;
    case GIB_BY_RESULT:
        fwrite(&record->site, 4, 1, out);
        fwrite(&view->call->status, 4, 1, out);
        fwrite(&record->result, 8, 1, out);
        write_chunk(view, GIB_CHUNK_RESULT, -1, out);
        write_chunk(view, GIB_CHUNK_RESULT2, -1, out);
        write_chunk(view, GIB_CHUNK_ERRNO, -1, out);
        return;
    case GIB_BY_ARGUMENT:
        fwrite(&record->site, 4, 1, out);
        argument = argument_of(view, g->by->argument);
        if (argument < 0)
            return;
        bool raw = is_raw(view->site);
        int first = raw ? argument : view->site->convention.parameter[argument].first;
        int count = raw ? 1 : view->site->convention.parameter[argument].count;
        const struct gib_chunk *text = gib_log_chunk(view, GIB_CHUNK_STRING, first);
        if (text && !(text->flags & GIB_CHUNK_UNREADABLE))
            count = 0; /* the same text elsewhere is the same */
        fwrite(&words[first], 8, (size_t)count, out);
        write_chunk(view, GIB_CHUNK_STRING, first, out);
    }
}

static char *name_of(const struct groups *g, const struct gib_log_view *view)
{
    char address[600];
    struct gib_out name = {0}, *out = &name;
    int argument;
    switch (g->by->key) {
    case GIB_BY_CALLER:
        gib_modules_describe(view->modules, view->record->caller, true, address, sizeof address);
        gib_escape_name(out, address);
        break;
    case GIB_BY_THREAD:
        gib_out_printf(out, "%d", view->call->tid);
        if (view->call->pid != g->pid)
            gib_out_printf(out, " of process %d", view->call->pid);
        break;
    case GIB_BY_RESULT:
        if (view->call->status == GIB_CALL_DONE || view->call->status == GIB_CALL_RESUMED)
            gib_log_text_result(view, out);
        else
            gib_out_text(out, "(not returned)");
        break;
    case GIB_BY_ARGUMENT:
        argument = argument_of(view, g->by->argument);
        if (argument >= 0)
            gib_log_text_argument(view, (size_t)argument, out);
        else
            gib_out_text(out, view->call->status == GIB_CALL_RESUMED ? "(not known)"
                                                                     : "(no such argument)");
    }
    if (!name.used)
        gib_out_text(out, "void");
    return gib_out_take(out);
}

/* ---- groups ---- */

/* FNV-1a. */
static uint64_t hash_of(const char *bytes, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3;
    return hash ? hash : 1;
}

static bool grow(struct groups *g)
{
    size_t room = g->room ? g->room * 2 : 256;
    struct group *larger = calloc(room, sizeof *larger);
    if (!larger)
        return false;
    for (size_t i = 0; i < g->room; i++) {
        size_t at = g->group[i].hash & (room - 1);
        while (g->group[i].hash && larger[at].hash)
            at = (at + 1) & (room - 1);
        if (g->group[i].hash)
            larger[at] = g->group[i];
    }
    free(g->group);
    g->group = larger;
    g->room = room;
    return true;
}

/* The group of these bytes, a new one without a name perhaps; NULL: there are too many. */
static struct group *find_group(struct groups *g, const char *bytes, size_t size)
{
    enum { MOST = 1 << 20 };
    uint64_t hash = hash_of(bytes, size);
    if (g->count * 2 >= g->room && !grow(g))
        return NULL;
    size_t at = hash & (g->room - 1);
    for (; g->group[at].hash; at = (at + 1) & (g->room - 1)) {
        struct group *group = &g->group[at];
        if (group->hash == hash && group->size == size && !memcmp(group->bytes, bytes, size))
            return group;
    }
    char *copy = g->count < MOST ? malloc(size + 1) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    g->group[at] = (struct group){.hash = hash, .bytes = copy, .size = size};
    g->count++;
    return &g->group[at];
}

static void merge(struct group *into, const struct group *from)
{
    if (from->timed && (!into->timed || from->least < into->least))
        into->least = from->least;
    if (from->most > into->most)
        into->most = from->most;
    into->calls += from->calls;
    into->failures += from->failures;
    into->timed += from->timed;
    into->total += from->total;
}

static bool is_of_patch(const struct gib_log_view *view, int patch)
{
    for (int i = 0; i < GIB_MAX_ACTIONS; i++)
        if ((view->record->accepted & 1u << i) && view->site->action[i].patch == patch)
            return true;
    return false;
}

static bool visit(const struct gib_log_view *view, void *context)
{
    struct groups *g = context;
    if (!view->site || !is_of_patch(view, g->patch))
        return true;
    if (!g->pid)
        g->pid = view->call->pid;
    rewind(g->key);
    write_bytes(g, view, g->key);
    if (fflush(g->key)) {
        g->failed = true;
        return false;
    }
    /* The stream may have been longer before. */
    struct group *group = find_group(g, g->bytes, (size_t)ftell(g->key));
    if (group && !group->name && !(group->name = name_of(g, view)))
        group = NULL;
    bool timed = view->call->status == GIB_CALL_DONE;
    uint64_t ticks = (int64_t)view->record->duration < 0 ? 0 : view->record->duration;
    const struct group one = {.calls = 1,
                              .failures = gib_log_chunk(view, GIB_CHUNK_ERRNO, -1) != NULL,
                              .timed = timed,
                              .total = timed ? ticks : 0,
                              .least = ticks,
                              .most = timed ? ticks : 0};
    merge(group ? group : &g->rest, &one);
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    return strcmp(x->name, y->name);
}
static int by_total(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->total != y->total)
        return x->total < y->total ? 1 : -1;
    if (x->calls != y->calls)
        return x->calls < y->calls ? 1 : -1;
    return strcmp(x->name, y->name);
}

/* Packs the groups, those of the same name into one, the most expensive first. */
static void sort_groups(struct groups *g)
{
    size_t count = 0, names = 0;
    for (size_t i = 0; i < g->room; i++)
        if (g->group[i].hash && g->group[i].name)
            g->group[count++] = g->group[i];
        else
            free(g->group[i].bytes);
    if (count)
        qsort(g->group, count, sizeof *g->group, by_name);
    for (size_t i = 0; i < count; i++) {
        if (names && !strcmp(g->group[names - 1].name, g->group[i].name)) {
            merge(&g->group[names - 1], &g->group[i]);
            free(g->group[i].bytes);
            free(g->group[i].name);
        } else {
            g->group[names++] = g->group[i];
        }
    }
    if (names)
        qsort(g->group, names, sizeof *g->group, by_total);
    g->count = names;
    g->room = 0; /* no hash table any more */
}

/* ---- output ---- */

static void add_row(struct gib_engine *engine, struct gib_table *table, const struct group *group,
                    const char *name)
{
    double rate = gib_log_rate(engine->log);
    double total = (double)group->total / rate, timed = (double)group->timed;
    gib_table_cell(table, "%" PRIu64, group->calls);
    gib_table_cell(table, "%" PRIu64, group->failures);
    gib_table_time(table, group->timed ? total : -1);
    gib_table_time(table, group->timed ? (double)group->least / rate : -1);
    gib_table_time(table, group->timed ? total / timed : -1);
    gib_table_time(table, group->timed ? (double)group->most / rate : -1);
    gib_table_cell(table, "%s", name);
}

static void show(struct gib_engine *engine, struct groups *g)
{
    static const char *const heading[] = {"Caller", "Thread", "Argument", "Result"};
    enum { ROWS = 10 };
    struct gib_table table;
    char *columns = gib_format("Calls Failed Total Min Mean Max %s",
                               g->by->argument ? g->by->argument : heading[g->by->key]);
    if (!columns || !gib_table_begin(&table, columns, "  ")) {
        free(columns);
        return;
    }
    size_t rows = g->count > ROWS + 1 || g->rest.calls ? ROWS : g->count;
    rows = rows < g->count ? rows : g->count;
    for (size_t i = 0; i < rows; i++)
        add_row(engine, &table, &g->group[i], g->group[i].name);
    struct group rest = g->rest;
    for (size_t i = rows; i < g->count; i++)
        merge(&rest, &g->group[i]);
    if (rest.calls) {
        char others[64];
        snprintf(others, sizeof others, "(%s%zu others)", g->rest.calls ? "more than " : "",
                 g->count - rows);
        add_row(engine, &table, &rest, others);
    }
    gib_table_end(&table, engine);
    free(columns);
}

/* Whether a patch's calls are in the log at all. */
static bool one_patch(struct gib_engine *engine, const struct gib_stats_by *by,
                      const struct gib_patch *patch)
{
    struct groups g = {.by = by, .patch = patch->number};
    if (!(g.key = open_memstream(&g.bytes, &g.size)))
        return false;
    gib_log_visit(engine->log, visit, &g);
    fclose(g.key);
    free(g.bytes);
    sort_groups(&g);
    uint64_t calls = gib_patch_calls(engine, patch, NULL), shown = g.rest.calls;
    for (size_t i = 0; i < g.count; i++)
        shown += g.group[i].calls;
    gib_print(engine, "Patch %d, %s:", patch->number, patch->location.text);
    if (!gib_patch_timed(patch))
        gib_print(engine, " its calls are not recorded.\n");
    else if (!g.count)
        gib_print(engine, " no call is in the log.\n");
    else
        gib_print(engine, "\n");
    if (g.count)
        show(engine, &g);
    if (gib_patch_timed(patch) && calls > shown && g.count)
        gib_print(
            engine, "  %" PRIu64 " of %" PRIu64 " calls are not in the log: under way, lost%s\n",
            calls - shown, calls,
            gib_log_streamed_away(engine->log) ? ", cleared, or only in the file that they went to."
                                               : " or cleared.");
    for (size_t i = 0; i < g.count; i++) {
        free(g.group[i].bytes);
        free(g.group[i].name);
    }
    free(g.group);
    return !g.failed;
}

/* ---- which arguments there are ---- */

struct arguments {
    const char *name; /* the wanted one */
    struct gib_patch *const *patches;
    size_t count;
    size_t with, without;            /* functions that have it, that do not */
    char *function, *list, *nearest; /* of the last one without: its name, those of its arguments,
                                      the one most like; owned */
};

/* "fd, buf, count"; NULL when none has a name. */
static char *list_arguments(const struct gib_log_site *site, const char *wanted, char **nearest)
{
    struct gib_out list = {0};
    unsigned best = UINT_MAX;
    for (size_t i = 0; !is_raw(site) && i < argument_count(site); i++) {
        const char *name = site->prototype->parameters[i].name;
        if (!name)
            continue;
        if (list.used)
            gib_out_text(&list, ", ");
        gib_escape_name(&list, name);
        if (gib_name_is_nearer(wanted, name, &best)) {
            free(*nearest);
            *nearest = strdup(name);
        }
    }
    if (list.used)
        return gib_out_take(&list);
    gib_out_free(&list);
    return NULL;
}

static bool look_at_site(const struct gib_log_site *site, void *context)
{
    struct arguments *a = context;
    bool ours = false;
    for (size_t i = 0; i < a->count && !ours; i++)
        for (int k = 0; k < GIB_MAX_ACTIONS; k++)
            ours |= site->action[k].patch && site->action[k].patch == a->patches[i]->number;
    if (!ours)
        return true;
    if (find_argument(site, a->name) >= 0) {
        a->with++;
        return true;
    }
    a->without++;
    free(a->function);
    free(a->list);
    free(a->nearest);
    a->nearest = NULL;
    a->function = strdup(site->function);
    a->list = list_arguments(site, a->name, &a->nearest);
    return true;
}

/* An argument that no function has is a slip of the finger. */
static int check_argument(struct gib_engine *engine, const char *name,
                          struct gib_patch *const *patches, size_t count, struct gib_error *error)
{
    struct arguments a = {.name = name, .patches = patches, .count = count};
    gib_log_each_site(engine->log, look_at_site, &a);
    int failed = 0;
    if (a.without == 1 && !a.with && a.list)
        failed = gib_fail(
            error, GIB_E_NOT_FOUND, 0, "%.60s has no argument \"%.60s\"; it has %.200s.%s%.60s%s",
            a.function ? a.function : "The function", name, a.list,
            a.nearest ? " Did you mean " : "", a.nearest ? a.nearest : "", a.nearest ? "?" : "");
    else if (a.without == 1 && !a.with)
        failed = gib_fail(error, GIB_E_NOT_FOUND, 0,
                          "No names of %.60s's arguments are known, so none is \"%.60s\"; "
                          "-prototype of wrap gives them, and -by argument takes the first one.",
                          a.function ? a.function : "the function", name);
    else if (a.without && !a.with)
        failed = gib_fail(error, GIB_E_NOT_FOUND, 0,
                          "None of the %zu functions has an argument \"%.60s\"; \"gibbon explain\" "
                          "shows a function's prototype.",
                          a.without, name);
    free(a.function);
    free(a.list);
    free(a.nearest);
    return failed;
}

int gib_stats_by_parse(const char *text, struct gib_stats_by *by, struct gib_error *error)
{
    static const char name[] = "argument=";
    *by = (struct gib_stats_by){GIB_BY_ARGUMENT, NULL};
    if (!strncmp(text, name, sizeof name - 1) && text[sizeof name - 1]) {
        by->argument = text + sizeof name - 1;
        return 0;
    }
    int key = gib_choose("caller|thread|argument|result", text);
    if (key < 0)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"%.60s\" is nothing to group calls by: caller, thread, argument, "
                        "argument=NAME or result.",
                        text);
    by->key = (enum gib_stats_key)key;
    return 0;
}

int gib_stats_by(struct gib_engine *engine, const struct gib_stats_by *by,
                 struct gib_patch *const *patches, size_t count, bool named,
                 struct gib_error *error)
{
    int failed = by->key == GIB_BY_ARGUMENT && by->argument
                     ? check_argument(engine, by->argument, patches, count, error)
                     : 0;
    if (failed)
        return failed;
    size_t shown = 0, uncalled = 0;
    for (size_t i = 0; i < count; i++) {
        /* Of ten thousand patches most were never called. */
        if (!named && count > 1 && gib_patch_timed(patches[i]) &&
            !gib_patch_calls(engine, patches[i], NULL)) {
            uncalled++;
            continue;
        }
        if (shown++)
            gib_print(engine, "\n");
        if (!one_patch(engine, by, patches[i]))
            return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    }
    if (uncalled)
        gib_print(engine, "%s%zu patch%s never called.\n", shown ? "\n" : "", uncalled,
                  uncalled == 1 ? " was" : "es were");
    return 0;
}
