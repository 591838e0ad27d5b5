/* stats.c: how often patches were called, how long the calls took. */
#include "command/stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table ---- */

static double seconds_of(struct gib_engine *engine, double ticks)
{
    double rate = gib_log_rate(engine->log);
    return rate > 0 ? ticks / rate : 0;
}

static void add_row(struct gib_engine *engine, struct gib_table *table,
                    const struct gib_patch *patch, const struct gib_times *t)
{
    gib_table_cell(table, "%d", patch->number);
    if (gib_patch_uncounted(patch)) /* what is not looked at */
        gib_table_cell(table, "-");
    else
        gib_table_cell(table, "%" PRIu64, t->calls);
    if (patch->count_only || gib_patch_uncounted(patch))
        gib_table_cell(table, "-");
    else
        gib_table_cell(table, "%" PRIu64, t->failures);
    const double ticks[] = {(double)t->total,
                            (double)t->least,
                            t->timed ? (double)t->total / (double)t->timed : 0,
                            gib_times_share(t, 0.5),
                            gib_times_share(t, 0.9),
                            gib_times_share(t, 0.99),
                            (double)t->most};
    for (size_t i = 0; i < sizeof ticks / sizeof *ticks; i++)
        gib_table_time(table, t->timed ? seconds_of(engine, ticks[i]) : -1);
    gib_table_cell(table, "%s", patch->location.text);
}

/* ---- the histogram ---- */

/* Whether the terminal shows blocks: what the user's locale says. Neither nl_langinfo(3) nor
 * getenv(3) tell that in a process with Python in it, which changes C to C.UTF-8 (PEP 538); the
 * environment as the debugger was given it does. */
static bool shows_blocks(void)
{
    static const char *const names[] = {"LC_ALL=", "LC_CTYPE=", "LANG="};
    int found[] = {-1, -1, -1};
    char *text = NULL;
    size_t room = 0;
    bool shows = false;
    FILE *environment = fopen("/proc/self/environ", "re");
    if (!environment)
        return false;
    while (getdelim(&text, &room, '\0', environment) > 0)
        for (size_t i = 0; i < 3; i++) {
            size_t length = strlen(names[i]);
            if (!strncmp(text, names[i], length) && text[length])
                found[i] = strcasestr(text, "utf-8") || strcasestr(text, "utf8");
        }
    for (size_t i = 3; i-- > 0;)
        if (found[i] >= 0)
            shows = found[i];
    free(text);
    fclose(environment);
    return shows;
}

/* A bar of `share` of the width; whatever is there at all is seen. */
static void write_bar(FILE *out, double share, bool blocks)
{
    static const char *const part[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    enum { WIDTH = 40, PARTS = 8 };
    int length = (int)(share * WIDTH * PARTS + 0.5);
    if (!blocks)
        length = (length + PARTS / 2) / PARTS * PARTS;
    int least = blocks ? 1 : PARTS;
    length = length < least ? least : length;
    for (int i = 0; i < length / PARTS; i++)
        fputs(blocks ? "█" : "#", out);
    fputs(part[length % PARTS], out);
}

/* The rows of a histogram: `each` buckets a row, the first of them `first`. */
struct rows {
    uint32_t each, first, count;
};

static uint64_t row_count(const struct rows *r, const struct gib_times *t, uint32_t row)
{
    uint64_t count = 0;
    for (uint32_t i = (r->first + row) * r->each, end = i + r->each;
         i < end && i < GIB_HISTOGRAM_BUCKETS; i++)
        count += t->bucket[i];
    return count;
}

/* Rows without a call from this one on; two and more are shown as one. */
static uint32_t gap_at(const struct rows *r, const struct gib_times *t, uint32_t row)
{
    uint32_t gap = 0;
    while (row + gap < r->count && !row_count(r, t, row + gap))
        gap++;
    return gap;
}

/* The smallest rows of which no more than 20 are shown. */
static struct rows choose_rows(const struct gib_times *t)
{
    enum { MOST = 20 };
    uint32_t first = gib_histogram_index(t->least), last = gib_histogram_index(t->most);
    for (uint32_t each = 1;; each *= 2) {
        struct rows r = {each, first / each, last / each - first / each + 1};
        uint32_t shown = 0;
        for (uint32_t row = 0, gap; row<r.count; row += gap> 1 ? gap : 1, shown++)
            gap = gap_at(&r, t, row);
        if (shown <= MOST)
            return r;
    }
}

/* Rows may be narrower than a nanosecond. */
static void write_bound(double ticks, struct gib_engine *engine, char out[GIB_DURATION_TEXT])
{
    double seconds = seconds_of(engine, ticks), nanoseconds = seconds * 1e9;
    if (nanoseconds > 0 && nanoseconds < 99.95)
        snprintf(out, GIB_DURATION_TEXT, "%.*fns", nanoseconds < 9.995 ? 2 : 1, nanoseconds);
    else
        gib_log_duration(seconds, out);
}

static void show_row(struct gib_engine *engine, const struct rows *r, uint32_t row, uint64_t count,
                     uint64_t highest, bool blocks)
{
    uint32_t from = (r->first + row) * r->each, to = from + r->each;
    char begins[GIB_DURATION_TEXT], ends[GIB_DURATION_TEXT], *bar = NULL;
    size_t size;
    if (to > GIB_HISTOGRAM_BUCKETS - 1)
        to = GIB_HISTOGRAM_BUCKETS - 1;
    write_bound((double)gib_histogram_from(from), engine, begins);
    write_bound((double)gib_histogram_from(to), engine, ends);
    FILE *out = open_memstream(&bar, &size);
    if (out && count)
        write_bar(out, (double)count / (double)highest, blocks);
    if (out)
        fclose(out);
    gib_print(engine, "  %6s - %6s %10" PRIu64 "%s%s\n", begins, ends, count,
              bar && *bar ? "  " : "", bar ? bar : "");
    free(bar);
}

static void show_histogram(struct gib_engine *engine, const struct gib_patch *patch,
                           const struct gib_times *t)
{
    struct rows r = choose_rows(t);
    uint64_t highest = 1;
    bool blocks = shows_blocks();
    for (uint32_t row = 0; row < r.count; row++)
        highest = row_count(&r, t, row) > highest ? row_count(&r, t, row) : highest;
    gib_print(engine, "\nPatch %d, %s:\n", patch->number, patch->location.text);
    for (uint32_t row = 0; row < r.count; row++) {
        uint32_t gap = gap_at(&r, t, row);
        if (gap > 1) {
            gib_print(engine, "       ...\n");
            row += gap - 1;
        } else {
            show_row(engine, &r, row, row_count(&r, t, row), highest, blocks);
        }
    }
}

/* ---- what is missing ---- */

struct missing {
    uint64_t away, untimed, unwatched;
};
static struct missing find_missing(const struct gib_patch *patch, const struct gib_times *t)
{
    struct missing m = {0, t->untimed, t->unwatched};
    uint64_t known = t->timed + t->untimed + t->unwatched;
    if (!gib_patch_timed(patch))
        return (struct missing){0, 0, 0};
    m.away = t->calls > known ? t->calls - known : 0;
    return m;
}

static void show_missing(struct gib_engine *engine, const struct missing *m, const char *indent)
{
    if (m->away)
        gib_print(engine,
                  "%s%" PRIu64 " call%s no time: not returned yet, or left by exception or "
                  "longjmp.\n",
                  indent, m->away, m->away == 1 ? " has" : "s have");
    if (m->unwatched)
        gib_print(engine, "%s%" PRIu64 " call%s no time: nobody sees %s end (gibbon explain).\n",
                  indent, m->unwatched, m->unwatched == 1 ? " has" : "s have",
                  m->unwatched == 1 ? "it" : "them");
    if (!m->untimed)
        return;
    bool full = engine->process && engine->process->installed &&
                engine->process->shared->histograms_used >= GIB_MAX_HISTOGRAMS;
    gib_print(engine, "%s%" PRIu64 " call%s no time: %s.\n", indent, m->untimed,
              m->untimed == 1 ? " has" : "s have",
              full ? "the memory for times is full (65536 functions x threads)"
                   : "too deep in the stack");
}

static void show_lost(struct gib_engine *engine)
{
    uint64_t unwritten = gib_log_unwritten(engine->log);
    uint64_t lost = gib_log_lost(engine->log) - unwritten;
    uint64_t unseen =
        engine->process && engine->process->installed ? engine->process->shared->unrecorded : 0;
    if (lost)
        gib_print(engine,
                  "%" PRIu64
                  " record%s lost: the target was faster than the reader (gibbon set ring-size).\n",
                  lost, lost == 1 ? " was" : "s were");
    if (unwritten)
        gib_print(engine,
                  "%" PRIu64
                  " record%s lost: Gibbon's temporary file in /tmp could not be written.\n",
                  unwritten, unwritten == 1 ? " was" : "s were");
    if (unseen)
        gib_print(engine,
                  "%" PRIu64 " call%s not recorded: more than %d threads at once, or signal "
                  "handlers nested too deep.\n",
                  unseen, unseen == 1 ? " was" : "s were", GIB_MAX_THREADS);
}

/* ---- the command ---- */

/* Histograms as well when patches are named, or there are few. */
enum { FEW = 3 };

static int show(struct gib_engine *engine, struct gib_patch *const *patches, size_t count,
                bool named, struct gib_error *error)
{
    struct gib_table table;
    bool each = named || count <= FEW;
    struct missing all = {0, 0, 0};
    struct gib_times *times = calloc(each ? count : 1, sizeof *times);
    if (!times ||
        !gib_table_begin(&table, "Num Calls Failed Total Min Mean p50 p90 p99 Max What", "")) {
        free(times);
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    }
    for (size_t i = 0; i < count; i++) {
        struct gib_times *t = &times[each ? i : 0];
        gib_patch_times(engine, patches[i], t);
        add_row(engine, &table, patches[i], t);
        struct missing m = find_missing(patches[i], t);
        all.away += m.away;
        all.untimed += m.untimed;
        all.unwatched += m.unwatched;
    }
    gib_table_end(&table, engine);
    for (size_t i = 0; each && i < count; i++) {
        struct missing m = find_missing(patches[i], &times[i]);
        bool any = m.away || m.untimed || m.unwatched;
        if (times[i].timed)
            show_histogram(engine, patches[i], &times[i]);
        else if (count > 1 && any)
            gib_print(engine, "\nPatch %d, %s:\n", patches[i]->number, patches[i]->location.text);
        show_missing(engine, &m, times[i].timed || count > 1 ? "  " : "");
    }
    if (!each)
        show_missing(engine, &all, "");
    show_lost(engine);
    free(times);
    return 0;
}

int gib_command_stats(struct gib_engine *engine, const struct gib_arguments *arguments,
                      struct gib_error *error)
{
    struct gib_patch **patches;
    size_t count;
    const char *text = gib_argument_text(arguments, "by");
    struct gib_stats_by by;
    int failed = text ? gib_stats_by_parse(text, &by, error) : 0;
    if (!failed)
        failed = gib_parse_patches(engine, arguments, 0, &patches, &count, error);
    if (failed)
        return failed;
    if (!count)
        gib_print(engine, "No patches.\n");
    else if (text)
        failed = gib_stats_by(engine, &by, patches, count, arguments->words > 0, error);
    else
        failed = show(engine, patches, count, arguments->words > 0, error);
    free(patches);
    return failed;
}
