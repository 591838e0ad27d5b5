/* preview.c: what a patch on many functions would do, in a few lines. Changes nothing. */
#include "command/command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "code/x86_64/branches.h"

enum { MODULES_SHOWN = 12, REFUSED_SHOWN = 8 };

struct module_count {
    const struct gib_module *module;
    size_t count;
};

struct preview {
    struct gib_engine *engine;
    const struct gib_patch *patch;
    /* The process as it would be: planned sites are in the way of those planned after them. */
    struct gib_process planned;
    struct gib_stopped stopped;
    const char *waiting; /* the first that waits for relocation; borrowed */
    size_t plain, pads, islands, entry_only, known, again, resolvers, delayed;
    struct gib_error delay; /* of the first */
    struct gib_refusals refused;
    struct module_count *module;
    size_t modules;
};

static bool begin(struct preview *p)
{
    struct gib_process *process = p->engine->process, *planned = &p->planned;
    *planned = *process;
    memset(&planned->places, 0, sizeof planned->places);
    planned->site = calloc(GIB_MAX_SITES, sizeof *planned->site);
    p->module = calloc(gib_modules_count(process->modules) + 2, sizeof *p->module);
    bool good = planned->site && p->module;
    for (uint32_t i = 0; i < process->site_count && good; i++) {
        struct gib_site_state *site = planned->site[i] = process->site[i];
        good =
            gib_places_add(&planned->places, site->address, site->consumed, i) &&
            (!site->island || gib_places_add(&planned->places, site->island, GIB_DETOUR_SIZE, i));
    }
    return good;
}

static void end(struct preview *p)
{
    for (uint32_t i = p->engine->process->site_count; p->planned.site && i < p->planned.site_count;
         i++)
        gib_site_free(p->planned.site[i]);
    free(p->planned.site);
    gib_places_free(&p->planned.places);
    gib_refusals_free(&p->refused);
    gib_forget_stopped(&p->stopped);
    free(p->module);
}

/* They come module by module, but for those in none. */
static void count_module(struct preview *p, const struct gib_module *module)
{
    size_t i = p->modules;
    while (i && p->module[i - 1].module != module)
        i--;
    if (!i)
        p->module[(i = ++p->modules) - 1].module = module;
    p->module[i - 1].count++;
}

static bool is_pad(const struct gib_site_state *site)
{
    uint8_t code[32];
    size_t size = site->consumed < sizeof code ? site->consumed : sizeof code, at = 0, length;
    if (gib_elf_read(site->module->elf, site->address - site->module->bias, code, size) != size)
        return false;
    while (at < size && (length = gib_padding_length(code + at, size - at)))
        at += length;
    return at >= size;
}

/* 0, or why the next site would not be made. */
static int make_room(struct preview *p, struct gib_site_state *site, struct gib_error *error)
{
    struct gib_process *planned = &p->planned;
    if (planned->site_count == GIB_MAX_SITES ||
        planned->counters + GIB_COUNTER_WORDS > GIB_MAX_COUNTERS)
        return gib_fail(error, GIB_E_SPACE, site->entry,
                        "This process has had %d patches on functions, as many as one can have; "
                        "the next run, or detach and attach, begins anew.",
                        GIB_MAX_SITES);
    uint32_t index = planned->site_count;
    if (!gib_places_add(&planned->places, site->address, site->consumed, index) ||
        (site->island && !gib_places_add(&planned->places, site->island, GIB_DETOUR_SIZE, index)))
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    site->internal = true; /* in use, though no patch is on it */
    planned->site[planned->site_count++] = site;
    planned->counters = gib_next_counters(planned->counters);
    return 0;
}

static int plan_one(struct preview *p, const struct gib_found *found, struct gib_error *error)
{
    struct gib_site_state *site;
    struct gib_relocation copy;
    int failed = gib_site_plan(p->engine, &p->planned, found, p->patch, &site, &copy, 0, error);
    if (failed)
        return failed;
    if ((failed = gib_check_threads(site, &p->stopped, error)) ||
        (failed = make_room(p, site, error))) {
        gib_site_free(site);
        return failed;
    }
    p->islands += site->island != 0;
    p->pads += !site->island && is_pad(site);
    p->plain += !site->island && !is_pad(site);
    p->known += site->prototype != NULL;
    p->entry_only += gib_site_entry_only(site);
    return 0;
}

static int look_at(struct preview *p, const struct gib_found *found, struct gib_error *error)
{
    if (found->resolver) {
        if (p->resolvers++ == 0)
            p->waiting = found->name;
        return 0;
    }
    const struct gib_site_state *there = gib_site_at(p->engine->process, found->address);
    if (!there || !there->installed)
        return plan_one(p, found, error);
    if (there->internal)
        return gib_site_internal(there, error);
    p->again++;
    return 0;
}

static void show_modules(const struct preview *p, size_t count)
{
    struct gib_engine *engine = p->engine;
    gib_print(engine, "%s means %zu functions in %zu module%s:\n", p->patch->location.text, count,
              p->modules, p->modules == 1 ? "" : "s");
    for (size_t i = 0; i < p->modules && i < MODULES_SHOWN; i++)
        gib_print(engine, "  %6zu in %s\n", p->module[i].count,
                  p->module[i].module ? p->module[i].module->path : "no file");
    if (p->modules > MODULES_SHOWN)
        gib_print(engine, "         and %zu more modules\n", p->modules - MODULES_SHOWN);
}

static void show_line(const struct preview *p, size_t count, const char *what)
{
    if (count)
        gib_print(p->engine, "  %6zu %s\n", count, what);
}

static void show(const struct preview *p, size_t count)
{
    size_t fresh = p->plain + p->pads + p->islands;
    show_modules(p, count);
    gib_print(p->engine, "%zu can be patched:\n", fresh + p->again);
    show_line(p, p->plain, "by 5 bytes over their first instructions");
    show_line(p, p->pads, "by 5 bytes over padding that was left for it");
    show_line(p, p->islands, "by 2 bytes, with an island in padding nearby");
    show_line(p, p->again, "are patched already, and would have one patch more");
    if (fresh)
        gib_print(p->engine, "Of the new ones:\n");
    show_line(p, p->known, "have a known prototype");
    show_line(p, fresh - p->known, "have none: four integer registers are recorded");
    show_line(p, p->entry_only,
              "show entries only: they return twice, never, or look at their caller");
    if (p->resolvers)
        gib_print(p->engine,
                  "%zu choose their implementation when their library is relocated, and wait for "
                  "that, %s first.\n",
                  p->resolvers, p->waiting);
    if (p->delayed)
        gib_print(p->engine, "%zu would be delayed and tried again at each stop: %s\n", p->delayed,
                  p->delay.message);
    if (p->refused.count)
        gib_print(p->engine, "%zu cannot be patched:\n", p->refused.count);
    gib_show_refusals(p->engine, &p->refused, "  ", REFUSED_SHOWN);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int gib_preview(struct gib_engine *engine, const struct gib_patch *patch,
                const struct gib_found_list *found, struct gib_error *error)
{
    struct preview p = {.engine = engine, .patch = patch};
    double start = seconds();
    int failed = begin(&p) ? gib_look_at_threads(engine, &p.stopped, error)
                           : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    gib_begin_change(engine); /* for its page of code and its lines of progress */
    for (size_t i = 0; i < found->count && !failed; i++) {
        struct gib_error why;
        gib_show_progress(engine, "looking", i, found->count);
        count_module(&p, found->item[i].module);
        int result = look_at(&p, &found->item[i], &why);
        if (result == GIB_E_BUSY && p.delayed++ == 0)
            p.delay = why;
        else if (result && result != GIB_E_BUSY)
            gib_refusals_add(&p.refused, &found->item[i], &why);
    }
    gib_end_change(engine);
    if (!failed) {
        show(&p, found->count);
        gib_print(engine, "Looked at in %.2f s; nothing was changed.\n", seconds() - start);
    }
    end(&p);
    return failed;
}
