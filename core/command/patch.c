/* patch.c: from the words of `wrap`, `replace` and `mock` to patches that are in place, or wait. */
#include "command/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "elf/elf.h"
#include "engine/mock_value.h"
#include "symbols/distance.h"

/* ---- definition ---- */

/* The options as `save` writes them, one form for each. */
static char *write_options(const struct gib_patch *p)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    char *code = p->error_number ? gib_errno_option(p->error_number) : NULL;
    if (code)
        fputs(code, out);
    free(code);
    if (p->type == GIB_PATCH_HANDLER)
        gib_write_word((fputs(" -handler ", out), out), p->with.text);
    if (p->backtrace)
        fprintf(out, " -backtrace %u", p->backtrace);
    if (p->count_only)
        fputs(" -count", out);
    if (p->from)
        gib_write_word((fputs(" -from ", out), out), p->from);
    if (p->during)
        gib_write_word((fputs(" -during ", out), out), p->during->location.text);
    if (p->thread)
        fprintf(out, " -thread %d", p->thread);
    if (p->after)
        fprintf(out, " -after %" PRIu64, p->after);
    if (p->every)
        fprintf(out, " -every %" PRIu64, p->every);
    if (p->times)
        fprintf(out, " -times %" PRIu64, p->times);
    if (p->temporary)
        fputs(" -temporary", out);
    if (p->prototype_text)
        gib_write_word((fputs(" -prototype ", out), out), p->prototype_text);
    if (p->quiet)
        fputs(" -quiet", out);
    if (p->all_or_none)
        fputs(" -all-or-none", out);
    fclose(out);
    return text;
}

static int positive(const struct gib_arguments *arguments, const char *option, uint64_t *value,
                    struct gib_error *error)
{
    *value = gib_argument_number(arguments, option, 0);
    if (gib_argument_given(arguments, option) && (*value == 0 || *value > (1ull << 62)))
        return gib_fail(error, GIB_E_SYNTAX, 0, "Option -%s needs a number of at least 1.", option);
    return 0;
}

/* A function's name up to its parameters, without template arguments. Malloc'ed. */
static char *bare_name(const char *text)
{
    char *name = gib_elf_function_name(text), *out = name;
    int depth = 0;
    for (const char *in = name; in && *in && (depth || *in != '('); in++) {
        depth += *in == '<';
        if (!depth && *in != ' ')
            *out++ = *in;
        depth -= *in == '>' && depth > 0;
    }
    if (name)
        *out = '\0';
    return name;
}

static bool is_tail(const char *whole, const char *tail)
{
    size_t m = strlen(whole), n = strlen(tail);
    return m >= n && !strcmp(whole + m - n, tail) &&
           (m == n || (m - n >= 2 && !strncmp(whole + m - n - 2, "::", 2)));
}

/* A declaration of another function is a mistake, and arguments would be shown wrong. Addresses
 * have no name, a glob many, and some names of C++ cannot be declared in C. */
static int check_declared(const struct gib_location *location, const char *declared,
                          struct gib_error *error)
{
    if (location->kind == GIB_LOCATION_ADDRESS || location->glob ||
        strstr(location->function, "operator") || strchr(location->function, '~'))
        return 0;
    char *one = bare_name(location->function), *other = bare_name(declared);
    bool same = one && other && (is_tail(one, other) || is_tail(other, one));
    int failed = 0;
    if (!same)
        failed = gib_fail(error, GIB_E_SYNTAX, 0,
                          "-prototype declares \"%.60s\", but the patch is on \"%.60s\"; write "
                          "that name in the declaration.",
                          declared, one ? one : location->function);
    free(one);
    free(other);
    return failed;
}

/* The text behind `if`, or the option's. */
static int fill_condition(const struct gib_arguments *arguments, struct gib_patch *p,
                          struct gib_error *error)
{
    const char *text = gib_argument_text(arguments, "if");
    struct gib_error why;
    if (text && arguments->condition)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "There are two conditions, one behind -if and one behind \"if\"; join them "
                        "with &&.");
    if (!text)
        text = arguments->condition;
    if (!text)
        return 0;
    if (!text[strspn(text, " \t\n")])
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        arguments->condition ? "A condition is missing behind \"if\": if fd == 3."
                                             : "A condition is missing behind -if: -if 'fd == 3'.");
    if (gib_condition_parse(text, &p->condition, &why))
        return gib_fail(error, why.code, why.address, "In the condition, %s", why.message);
    p->condition_text = strdup(text);
    bool late = gib_condition_on_return(p);
    if (late && p->type != GIB_PATCH_WRAP && p->type != GIB_PATCH_STOP &&
        p->type != GIB_PATCH_HANDLER)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "$ret and $errno are known when the function has returned; \"gibbon %s\" "
                        "decides before it is called.",
                        gib_patch_verb(p));
    if (late && p->type == GIB_PATCH_HANDLER)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "$ret and $errno are known when the function has returned; whether the "
                        "handler gets the call is decided before.");
    return p->condition_text ? 0
                             : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
}

static int fill_options(struct gib_engine *engine, const struct gib_arguments *arguments,
                        struct gib_patch *p, struct gib_error *error)
{
    enum { DEPTH = 16 };
    uint64_t thread;
    p->after = gib_argument_number(arguments, "after", 0);
    int failed = positive(arguments, "every", &p->every, error);
    if (!failed)
        failed = positive(arguments, "times", &p->times, error);
    if (!failed)
        failed = positive(arguments, "thread", &thread, error);
    if (failed)
        return failed;
    if (thread > INT32_MAX)
        return gib_fail(error, GIB_E_SYNTAX, 0, "Thread %" PRIu64 " cannot exist.", thread);
    p->thread = (int)thread;
    p->count_only = gib_argument_given(arguments, "count");
    p->temporary = gib_argument_given(arguments, "temporary");
    p->quiet = gib_argument_given(arguments, "quiet");
    p->all_or_none = gib_argument_given(arguments, "all-or-none");
    p->enabled = !gib_argument_given(arguments, "disabled");
    if (gib_argument_given(arguments, "backtrace")) {
        uint64_t depth = gib_argument_number(arguments, "backtrace", DEPTH);
        if (depth == 0 || depth > GIB_MAX_FRAMES)
            return gib_fail(error, GIB_E_SYNTAX, 0, "Option -backtrace takes a depth from 1 to %d.",
                            GIB_MAX_FRAMES);
        p->backtrace = (unsigned)depth;
    }
    if (p->count_only && p->backtrace)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "-count makes no records, so it cannot have a -backtrace.");
    if (p->temporary && p->times)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "-temporary is one call; it cannot have -times as well.");
    const char *from = gib_argument_text(arguments, "from"),
               *during = gib_argument_text(arguments, "during"),
               *prototype = gib_argument_text(arguments, "prototype");
    if (from && !*from)
        return gib_fail(error, GIB_E_SYNTAX, 0, "Option -from needs a module.");
    if (from)
        p->from = strdup(from);
    if (during && !*during)
        return gib_fail(error, GIB_E_SYNTAX, 0, "Option -during needs a function.");
    if (during && (failed = gib_mark_get(engine, during, &p->during, error)))
        return failed;
    if (prototype) {
        struct gib_error why;
        if (gib_prototype_parse(engine->prototypes, prototype, &p->prototype, &why))
            return gib_fail(error, why.code, 0, "-prototype: %.240s.", why.message);
        if ((failed = check_declared(&p->location, p->prototype->name, error)))
            return failed;
        p->prototype_text = strdup(prototype);
    }
    const char *code = gib_argument_text(arguments, "errno");
    if (code && (p->error_number = gib_errno_number(code)) <= 0)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "-errno takes the name or number of an error, as in -errno EACCES, not "
                        "\"%.40s\".",
                        code);
    if ((failed = fill_condition(arguments, p, error)))
        return failed;
    p->options = write_options(p);
    return p->options ? 0 : gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
}

static int check_thread(struct gib_engine *engine, const struct gib_patch *patch,
                        struct gib_error *error)
{
    struct gib_target_thread *threads;
    size_t count;
    if (!patch->thread || !engine->process)
        return 0;
    int failed = gib_target_threads(engine, &threads, &count, error);
    if (failed)
        return failed;
    bool known = false;
    for (size_t i = 0; i < count; i++)
        known |= threads[i].tid == patch->thread || threads[i].number == patch->thread;
    free(threads);
    return known ? 0 : gib_fail(error, GIB_E_NOT_FOUND, 0, "Unknown thread %d.", patch->thread);
}

/* ---- what happens to it ---- */

/* " Did you mean X?", or nothing; takes `name`. */
static char *suggestion(char *name)
{
    char *text = name ? gib_format(" Did you mean %.60s?", name) : strdup("");
    free(name);
    return text;
}

char *gib_not_found(struct gib_engine *engine, const struct gib_location *location)
{
    const char *function = location->function;
    char *hint, *sentence, shown[GIB_SHORT_NAME];
    gib_name_shorten(function, shown);
    if (location->module && !gib_module_known(engine, location->module, false)) {
        hint = suggestion(gib_module_nearest(engine, location->module));
        sentence = gib_format("No module named \"%.60s\" is loaded.%s", location->module,
                              hint ? hint : "");
    } else if (location->kind == GIB_LOCATION_FILE) {
        char *clones = gib_location_clones(engine, location);
        hint = clones ? gib_format(" Clones are there: %s.", clones) : NULL;
        free(clones);
        sentence = gib_format("No function \"%s\" of a source file \"%.60s\" found; debug "
                              "information must name the file.%s",
                              shown, location->file, hint ? hint : "");
    } else {
        char *nearest = gib_location_nearest(engine, function);
        if (nearest && !strcmp(nearest, function)) { /* in another module */
            free(nearest);
            nearest = NULL;
        }
        char *clones = gib_location_clones(engine, location);
        hint =
            clones ? gib_format(" Only clones of it are there: %s.", clones) : suggestion(nearest);
        if (clones)
            free(nearest);
        free(clones);
        sentence = location->module
                       ? gib_format("Function \"%s\" not found in module \"%.60s\".%s", shown,
                                    location->module, hint ? hint : "")
                       : gib_format("Function \"%s\" not found in any loaded module.%s", shown,
                                    hint ? hint : "");
    }
    free(hint);
    return sentence;
}

/* The function is nowhere: wait for it, ask, or say so. */
static int decide_pending(struct gib_engine *engine, const struct gib_patch *patch,
                          const struct gib_arguments *arguments, struct gib_error *error)
{
    if (!engine->process || patch->location.optional || gib_argument_given(arguments, "pending") ||
        engine->settings.pending == 1)
        return 0;
    char *sentence = gib_not_found(engine, &patch->location);
    int answer = 0;
    if (sentence && engine->settings.pending == 2 && arguments->interactive)
        answer =
            gib_ask(engine, "%s\nMake the patch pending on future shared library load? (y or [n]) ",
                    sentence);
    int failed = answer == 1
                     ? 0
                     : gib_fail(error, GIB_E_NOT_FOUND, 0, "%s Use -pending to wait for it.",
                                sentence ? sentence : "Function not found.");
    free(sentence);
    return failed;
}

/* Two names of one function (open, open64) are easily patched twice: then each call is logged
 * twice. */
static void show_others(struct gib_engine *engine, const struct gib_patch *patch,
                        const struct gib_site_state *site)
{
    for (size_t i = 0; site && i < site->layers * GIB_MAX_ACTIONS; i++) {
        const struct gib_patch *other =
            site->layer[i / GIB_MAX_ACTIONS]->chain[i % GIB_MAX_ACTIONS].patch;
        if (other && other != patch && other->number)
            gib_print(engine, "  Patch %d (%s) is on the same function.\n", other->number,
                      other->location.text);
    }
}

/* A module that is not there may come, or be misspelt. */
static void warn_from(struct gib_engine *engine, const struct gib_patch *patch)
{
    if (!patch->from || !engine->process || gib_module_known(engine, patch->from, false))
        return;
    char *nearest = gib_module_nearest(engine, patch->from);
    gib_print(engine,
              "  No module named \"%.100s\" is loaded yet; until one is, the patch sees no "
              "call.%s%s%s\n",
              patch->from, nearest ? " Did you mean " : "", nearest ? nearest : "",
              nearest ? "?" : "");
    free(nearest);
}

/* Of many functions the first that differs is named. */
static void warn_difference(struct gib_engine *engine, const struct gib_patch *patch)
{
    char *difference = NULL;
    const struct gib_site_state *site = NULL;
    for (uint32_t i = 0; engine->process && i < engine->process->site_count && !difference; i++) {
        site = engine->process->site[i];
        if (patch->type == GIB_PATCH_REPLACE && site->installed)
            difference = gib_replacement_differs(engine, site, patch);
    }
    if (difference)
        gib_print(engine, "  Warning: %s and its replacement differ: %s.\n", site->function,
                  difference);
    free(difference);
}

static void show_during(struct gib_engine *engine, const struct gib_patch *patch)
{
    const struct gib_patch *mark = patch->during;
    if (!mark || !engine->process)
        return;
    if (!gib_patch_sites(engine, mark, NULL))
        gib_print(engine, "  %s is in no loaded module yet; until it is, the patch sees no call.\n",
                  mark->location.text);
    gib_summarize_refusals(engine, mark, "  ");
    if (mark->delayed)
        gib_print(engine, "  -during %s is delayed, tried again at each stop: %s\n",
                  mark->location.text, mark->delay.message);
}

/* A name that is waited for may be misspelt. */
static void suggest_with(struct gib_engine *engine, const struct gib_patch *patch)
{
    const char *with = patch->with.function;
    char *nearest = with && !patch->package && patch->delayed && patch->delay.code == GIB_E_WAITING
                        ? gib_location_nearest(engine, with)
                        : NULL;
    if (nearest && strcmp(nearest, with))
        gib_print(engine, "  Did you mean %.60s?\n", nearest);
    free(nearest);
}

void gib_patch_announce(struct gib_engine *engine, const struct gib_patch *patch)
{
    struct gib_site_state *site;
    size_t sites = gib_patch_sites(engine, patch, &site);
    char *effect = gib_patch_effect(patch);
    gib_print(engine, "Patch %d: %s %s", patch->number, gib_patch_verb(patch),
              patch->location.text);
    if (sites == 0)
        gib_print(engine, " <PENDING>%s.\n", effect ? effect : "");
    else if (sites == 1)
        gib_print(engine, " at 0x%016" PRIx64 " in %s%s.\n", site->entry, site->module->name,
                  effect ? effect : "");
    else
        gib_print(engine, " <MULTIPLE>, %zu functions%s.\n", sites, effect ? effect : "");
    free(effect);
    show_others(engine, patch, sites == 1 ? site : NULL);
    warn_from(engine, patch);
    warn_difference(engine, patch);
    show_during(engine, patch);
    if (patch->thread && !engine->process)
        gib_print(engine, "  Thread %d is looked for when the program runs, at every stop.\n",
                  patch->thread);
    gib_summarize_refusals(engine, patch, "  ");
    gib_show_delay(engine, patch, "  ");
    suggest_with(engine, patch);
}

int gib_patch_place(struct gib_engine *engine, struct gib_patch *patch, struct gib_error *error)
{
    struct gib_found_list found = {NULL, 0};
    if (!engine->process)
        return 0;
    gib_patch_find_threads(engine);
    int failed = gib_location_resolve(engine, patch, 0, &found, error);
    if (failed)
        return failed;
    size_t count = found.count;
    if (count)
        failed = gib_patch_apply(engine, patch, &found, error);
    gib_found_free(&found);
    if (failed && gib_patch_sites(engine, patch, NULL))
        failed = 0; /* some of many: the announcement says how many were refused */
    return failed || count ? failed : -1;
}

/* Makes one patch real, or pending; on failure the caller takes it away again. */
static int place(struct gib_engine *engine, struct gib_patch *patch,
                 const struct gib_arguments *arguments, struct gib_error *error)
{
    int failed = gib_patch_place(engine, patch, error);
    return failed < 0 ? decide_pending(engine, patch, arguments, error) : failed;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

/* An expression may mean another function each time. */
static bool is_constant(const struct gib_location *location)
{
    const char *text = location->function;
    return location->kind != GIB_LOCATION_ADDRESS ||
           (text[0] >= '0' && text[0] <= '9' &&
            strspn(text, "0123456789abcdefABCDEFx") == strlen(text));
}

/* A patch that does the same to the same functions already. */
static const struct gib_patch *find_same(const struct gib_engine *engine,
                                         const struct gib_patch *patch)
{
    for (size_t i = 0; i < engine->patch_count; i++) {
        const struct gib_patch *p = engine->patch[i];
        if (p != patch && p->type == patch->type && p->package == patch->package &&
            !(p->temporary && p->spent) && same_text(p->location.text, patch->location.text) &&
            is_constant(&p->location) && same_text(p->with.text, patch->with.text) &&
            same_text(p->library, patch->library) && same_text(p->value, patch->value) &&
            same_text(p->options, patch->options) &&
            same_text(p->condition_text, patch->condition_text))
            return p;
    }
    return NULL;
}

static void say_same(struct gib_engine *engine, const struct gib_patch *patch)
{
    bool off = !patch->enabled || patch->spent;
    gib_print(engine, "Patch %d is the same; nothing was added.", patch->number);
    if (off)
        gib_print(engine, " It is switched off; \"gibbon enable %d\" switches it on.",
                  patch->number);
    gib_print(engine, "\n");
}

int gib_define_patches(struct gib_engine *engine, const struct gib_arguments *arguments,
                       size_t locations, gib_fill_patch *fill, struct gib_error *error)
{
    struct gib_process *process;
    int failed = gib_process_ready(engine, &process, error);
    struct gib_patch *made[256] = {NULL};
    const struct gib_patch *same[256] = {NULL};
    int number = engine->next_number;
    size_t count = 0;
    for (; count < locations && !failed; count++) {
        struct gib_patch *patch = made[count] = calloc(1, sizeof *patch);
        if (!patch) {
            failed = gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
            break;
        }
        patch->number = number;
        patch->package = engine->loading;
        failed = gib_location_parse(arguments->word[count], &patch->location, error);
        if (!failed && fill)
            failed = fill(engine, arguments, patch, error);
        if (!failed)
            failed = fill_options(engine, arguments, patch, error);
        if (!failed)
            failed = check_thread(engine, patch, error);
        if (!failed && (same[count] = find_same(engine, patch)))
            continue;
        if (!failed)
            failed = gib_will_patch(engine, patch, error);
        if (!failed && patch->during && !patch->during->state)
            failed = place(engine, patch->during, arguments, error);
        if (!failed)
            failed = gib_patch_add(engine, patch);
        if (!failed)
            failed = place(engine, patch, arguments, error);
        number++;
    }
    for (size_t i = count; i-- > 0;) {
        struct gib_error ignored;
        if (made[i] && (failed || same[i]))
            gib_patch_delete(engine, made[i], &ignored);
    }
    if (failed)
        return failed;
    engine->next_number = number;
    for (size_t i = 0; i < count; i++) {
        if (same[i])
            say_same(engine, same[i]);
        if (same[i] || engine->loading)
            continue;
        gib_patch_announce(engine, made[i]);
        gib_note_references(engine, made[i]);
    }
    size_t fresh = 0;
    for (size_t i = 0; i < count; i++)
        fresh += !same[i];
    if (!engine->loading) /* else when the whole package is there */
        gib_warn_incoherent(engine, engine->patch_count - fresh);
    gib_expect_modules(engine);
    return 0;
}
