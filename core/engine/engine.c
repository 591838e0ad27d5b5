/* engine.c: the public functions, and what the debugger's events mean. */
#include "engine/internal.h"

#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int gib_engine_interface(void)
{
    return GIB_ENGINE_INTERFACE;
}

/* ---- life ---- */

/* For what must still be done when the debugger exits without a word. */
static struct gib_engine *engines;

/* From the reader thread, a few times a second. Whoever holds the lock may be waiting for that
 * thread, so it never waits for the lock. */
static void tick(void *context)
{
    struct gib_engine *engine = context;
    if (pthread_mutex_trylock(&engine->lock))
        return;
    gib_release_detached(engine);
    pthread_mutex_unlock(&engine->lock);
}

/* A line about what went wrong in the log's threads, malloc'ed, or NULL; a path in it may hold
 * anything. */
static char *problem(struct gib_engine *engine)
{
    char *text = gib_log_take_problem(engine->log);
    struct gib_out line = {0};
    if (!text)
        return NULL;
    gib_out_text(&line, "gibbon: ");
    gib_escape_message(&line, text, false);
    gib_out_byte(&line, '\n');
    free(text);
    return gib_out_take(&line);
}

/* The front-end is gone; what it did not show goes where its output went. */
static void print_rest(struct gib_engine *engine)
{
    char *text = problem(engine);
    if (text)
        fputs(text, stderr);
    free(text);
    while (engine->settings.follow && (text = gib_log_next_text(engine->log))) {
        fputs(text, stdout);
        free(text);
    }
    fflush(stdout);
}

__attribute__((destructor)) static void leave(void)
{
    for (struct gib_engine *engine = engines; engine; engine = engine->next) {
        struct gib_process *process = engine->process;
        gib_log_stop(engine->log);
        gib_log_ended(engine->log);
        gib_log_stream_end(engine->log, NULL, NULL);
        print_rest(engine);
        /* The debugger's server may need a moment to let go. */
        for (int i = 0; i < 200 && process && process->installed && !process->released &&
                        kill(process->pid, 0) == 0;
             i++) {
            gib_release_detached(engine);
            usleep(5000);
        }
        if (engine->late)
            fputs(engine->late, stderr);
    }
}

static void wake(void *context)
{
    struct gib_engine *engine = context;
    engine->ops.wake(engine->context);
}

/* Beside the library in a build tree, below share/ in an installed one. */
static char *data_directory(void)
{
    static const char *const places[] = {"%s/prototypes", "%s/../share/gibbon/prototypes",
                                         "%s/../../share/gibbon/prototypes"};
    char *library = gib_library_directory(), *found = NULL;
    for (size_t i = 0; library && !found && i < sizeof places / sizeof *places; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        char *path = gib_format(places[i], library);
#pragma GCC diagnostic pop
        if (path && access(path, R_OK) == 0)
            found = path;
        else
            free(path);
    }
    free(library);
    return found;
}

struct gib_engine *gib_engine_new(const struct gib_target_operations *operations, void *context,
                                  const char *debugger)
{
    struct gib_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    if (operations->size != sizeof engine->ops ||
        !(engine->log = gib_log_new(wake, tick, engine))) {
        free(engine);
        return NULL;
    }
    engine->ops = *operations;
    engine->context = context;
    snprintf(engine->debugger, sizeof engine->debugger, "%s", debugger);
    engine->next_number = 1;
    engine->settings = (struct gib_settings){
        .string_limit = 200, .follow = true, .ring_size = 1 << 20, .pending = 2};
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&engine->lock, &recursive);
    pthread_mutex_init(&engine->flush_lock, &recursive); /* GDB may run commands while it prints */
    pthread_mutexattr_destroy(&recursive);
    char *directory = data_directory();
    engine->prototypes = gib_prototypes_open(directory ? directory : "", NULL);
    free(directory);
    engine->next = engines;
    engines = engine;
    return engine;
}

void gib_engine_free(struct gib_engine *engine)
{
    if (!engine)
        return;
    gib_release(engine);
    struct gib_process *process = engine->process;
    if (process && process->installed && !process->released && !engine->settings.keep_on_detach &&
        kill(process->pid, 0) == 0)
        return; /* it runs, or will be let go: leave() waits for that and restores it then */
    gib_process_end(engine);
    gib_log_detach(engine->log);
    gib_engine_flush(engine);
    if (engine->late)
        gib_show_text(engine, engine->late, GIB_PRINT_WARNING);
    for (struct gib_engine **link = &engines; *link; link = &(*link)->next) {
        if (*link == engine) {
            *link = engine->next;
            break;
        }
    }
    for (size_t i = 0; i < engine->patch_count; i++)
        gib_patch_free(engine->patch[i]);
    free(engine->patch);
    gib_log_free(engine->log);
    for (size_t i = 0; i < engine->old_module_count; i++)
        gib_modules_free(engine->old_modules[i]);
    free(engine->old_modules);
    gib_prototypes_close(engine->prototypes);
    gib_packages_free(engine);
    for (size_t i = 0; i < engine->news_count; i++)
        free(engine->news[i].line);
    free(engine->news);
    free(engine->reply);
    free(engine->late);
    free(engine->stop_text);
    free(engine->stop_commands);
    free(engine->line);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

/* ---- printing what the reader found ---- */

void gib_engine_flush(struct gib_engine *engine)
{
    char *text;
    /* The reader's thread and the debugger's may both come here: what is taken first is printed
     * first. */
    pthread_mutex_lock(&engine->flush_lock);
    gib_hold_interrupts();
    gib_log_flushed(engine->log);
    if (!engine->settings.follow)
        gib_log_skip(engine->log);
    while (engine->settings.follow && (text = gib_log_next_marked(engine->log))) {
        if (*text)
            gib_show_marked(engine, text, GIB_PRINT_LOG);
        free(text);
    }
    if ((text = problem(engine)))
        engine->ops.print(engine->context, text, GIB_PRINT_LOG);
    free(text);
    gib_let_interrupts();
    pthread_mutex_unlock(&engine->flush_lock);
}

static void show_log(struct gib_engine *engine)
{
    gib_log_drain(engine->log);
    gib_engine_flush(engine);
    gib_log_stream_complete(engine->log);
}

/* ---- commands and events ---- */

/* -temporary patches that were called are deleted at the next chance. */
static void delete_spent(struct gib_engine *engine)
{
    gib_refresh_spent(engine);
    if (engine->ops.state(engine->context) == GIB_TARGET_RUNNING)
        return;
    for (size_t i = 0; i < engine->patch_count;) {
        struct gib_patch *patch = engine->patch[i];
        struct gib_error ignored;
        bool over = patch->until_stop || (patch->temporary && patch->spent);
        if (over && gib_patch_delete(engine, patch, &ignored) == 0)
            i = 0; /* perhaps not the only one that went */
        else
            i++;
    }
}

/* A misspelt function or module only shows when the process has ended and no module had it. */
static void report_unplaced(struct gib_engine *engine)
{
    if (!engine->process || engine->process->reported)
        return;
    engine->process->reported = true;
    for (size_t i = 0; i < engine->patch_count; i++) {
        const struct gib_patch *patch = engine->patch[i];
        if (patch->placed && patch->from && !gib_module_known(engine, patch->from, true)) {
            char *like = gib_module_nearest(engine, patch->from);
            gib_warn(engine,
                     "gibbon: patch %d saw no call, since no module named %s was loaded.%s%s%s\n",
                     patch->number, patch->from, like ? " Did you mean " : "", like ? like : "",
                     like ? "?" : "");
            free(like);
        }
        if (patch->type == GIB_PATCH_MARK)
            continue;
        const struct gib_patch *during = patch->during;
        if (during && !during->placed && !during->refused.count && !during->location.optional) {
            char *like = gib_location_nearest(engine, during->location.function);
            gib_warn(engine,
                     "gibbon: patch %d saw no call, since no module has the function %s of its "
                     "-during.%s%s%s\n",
                     patch->number, during->location.text, like ? " Did you mean " : "",
                     like ? like : "", like ? "?" : "");
            free(like);
        }
        if (!patch->placed && patch->delayed && patch->delay.code == GIB_E_WAITING)
            gib_warn(engine, "gibbon: patch %d (%s) never was in place: %s\n", patch->number,
                     patch->location.text, patch->delay.message);
        const char *module = patch->location.module;
        bool misspelt = patch->registration && patch->type != GIB_PATCH_HOOK && module && *module &&
                        gib_module_known(engine, module, true);
        if (patch->placed || patch->delayed || patch->refused.count || patch->earlier_calls ||
            patch->spent || (patch->location.optional && !misspelt) ||
            patch->location.kind != GIB_LOCATION_NAME)
            continue;
        char *nearest = gib_location_nearest(engine, patch->location.function);
        if (nearest && !strcmp(nearest, patch->location.function)) { /* a clone of it */
            free(nearest);
            nearest = NULL;
        }
        char *clones = gib_location_clones(engine, &patch->location);
        const char *hint = clones ? clones : nearest;
        gib_warn(engine,
                 "gibbon: patch %d found no function %s in any module of the program.%s%s%s\n",
                 patch->number, patch->location.text,
                 clones    ? " Only clones of it are there: "
                 : nearest ? " Did you mean "
                           : "",
                 hint ? hint : "",
                 clones    ? "."
                 : nearest ? "?"
                           : "");
        free(nearest);
        free(clones);
    }
}

int gib_engine_command(struct gib_engine *engine, const char *text, bool interactive,
                       struct gib_error *error)
{
    struct gib_error scratch;
    if (!error)
        error = &scratch;
    *error = (struct gib_error){0};
    pthread_mutex_lock(&engine->lock);
    if (engine->asking) {
        pthread_mutex_unlock(&engine->lock);
        return gib_fail(error, GIB_E_STATE, 0,
                        "No gibbon command can be given while a patch is about to be made.");
    }
    if (gib_is_foreign(engine)) {
        int32_t pid = engine->process->pid;
        pthread_mutex_unlock(&engine->lock);
        return gib_fail(error, GIB_E_STATE, 0,
                        "Process %d has the patches, and they can be in one process at a time: "
                        "select that one, or let it go first.",
                        pid);
    }
    gib_hold_interrupts();
    gib_follow_fork(engine);
    if (engine->ops.state(engine->context) == GIB_TARGET_STOPPED)
        gib_stops_withdraw(engine);
    if (engine->late)
        gib_show_text(engine, engine->late, GIB_PRINT_WARNING);
    free(engine->late);
    engine->late = NULL;
    /* LLDB takes a moment to notice that it has killed a process, or let go of it. */
    if (engine->process && !gib_is_elsewhere(engine) &&
        (engine->ops.state(engine->context) == GIB_TARGET_NONE ||
         gib_tracer_of(engine->process->pid) <= 0)) {
        report_unplaced(engine);
        gib_process_end(engine);
    }
    show_log(engine);
    if (engine->ops.state(engine->context) == GIB_TARGET_STOPPED)
        gib_resolve_pending(engine); /* something may have happened that no event told of */
    gib_tell_references(engine);
    delete_spent(engine);
    if (engine->patch_count)
        gib_expect_modules(engine); /* again: the user may have deleted what watches the loader */
    gib_drop_guards(engine);
    engine->interruptible = true;
    int failed = gib_command_execute(engine, text, interactive, error);
    engine->interruptible = false;
    if (engine->ops.state(engine->context) == GIB_TARGET_STOPPED)
        gib_watch_exit(engine);
    if (failed)
        gib_error_clean(error);
    gib_describe_code(engine);
    gib_check_breakpoints(engine);
    gib_collect_news(engine);
    gib_let_interrupts();
    pthread_mutex_unlock(&engine->lock);
    gib_tell_news(engine);
    return failed;
}

void gib_engine_start(struct gib_engine *engine)
{
    const char *names = getenv("GIBBON_PATCHES");
    char *copy = names ? strdup(names) : NULL, *rest = NULL;
    pthread_mutex_lock(&engine->lock);
    engine->quiet = true;
    for (char *name = copy ? strtok_r(copy, ", ", &rest) : NULL; name;
         name = strtok_r(NULL, ", ", &rest)) {
        struct gib_error error;
        char *text = gib_format("load \"%s\"", name);
        if (text && gib_command_execute(engine, text, false, &error)) {
            gib_error_clean(&error);
            gib_warn(engine, "gibbon: GIBBON_PATCHES: %s\n", error.message);
        }
        free(text);
    }
    engine->quiet = false;
    pthread_mutex_unlock(&engine->lock);
    free(copy);
}

int64_t gib_engine_calls(struct gib_engine *engine, int number)
{
    pthread_mutex_lock(&engine->lock);
    struct gib_patch *patch = gib_patch_find(engine, number);
    int64_t calls = patch ? (int64_t)gib_patch_calls(engine, patch, NULL) : -1;
    pthread_mutex_unlock(&engine->lock);
    return calls;
}

uint64_t gib_engine_thunk_at(struct gib_engine *engine, uint64_t pc)
{
    uint64_t found = 0;
    pthread_mutex_lock(&engine->lock);
    struct gib_process *process = engine->process;
    /* The symbol files say it better, as soon as the debugger has them. */
    if (process && process->installed && process->code_described < process->code_count &&
        pc >= process->shared->arena_low && pc < process->shared->arena_high) {
        for (size_t i = 0; i < process->code_count && !found; i++) {
            const struct gib_made_code *made = &process->code[i];
            if (made->kind == GIB_MADE_THUNK && !process->site[made->site]->internal &&
                pc > made->address + made->frame && pc < made->address + made->size)
                found = made->address;
        }
    }
    pthread_mutex_unlock(&engine->lock);
    return found;
}

void gib_engine_event(struct gib_engine *engine, enum gib_event event, uint64_t value)
{
    pthread_mutex_lock(&engine->lock);
    bool whichever = event == GIB_EVENT_UNMAPPED || event == GIB_EVENT_EXITED;
    if (!whichever && gib_is_foreign(engine)) {
        pthread_mutex_unlock(&engine->lock);
        return;
    }
    gib_hold_interrupts();
    if (!whichever)
        gib_follow_fork(engine);
    switch (event) {
    case GIB_EVENT_LOADED:
        if (engine->patch_count)
            gib_expect_modules(engine); /* the program may have been chosen after the patches */
        gib_resolve_pending(engine);
        gib_check_breakpoints(engine);
        break;
    case GIB_EVENT_STOPPED:
        gib_carry_out(engine);
        gib_stops_tidy(engine);
        gib_stops_withdraw(engine);
        show_log(engine);
        gib_resolve_pending(engine);
        gib_patch_retry(engine);
        gib_drop_guards(engine);
        delete_spent(engine);
        gib_describe_code(engine);
        gib_check_breakpoints(engine);
        break;
    case GIB_EVENT_REACHED:
        show_log(engine);
        if (!gib_stop_reached(engine, value) && !gib_watch_reached(engine, value))
            gib_resolve_pending(engine);
        if (engine->process && engine->process->ends)
            report_unplaced(engine);
        gib_describe_code(engine);
        gib_check_breakpoints(engine);
        break;
    case GIB_EVENT_STOPPING:
        gib_stop_carry(engine);
        break;
    case GIB_EVENT_EXITED:
        if (gib_went_on(engine, (int32_t)value)) {
            show_log(engine);
            break;
        }
        report_unplaced(engine);
        gib_process_end(engine);
        delete_spent(engine);
        gib_engine_flush(engine);
        break;
    case GIB_EVENT_DETACHING:
        show_log(engine);
        if (engine->ops.state(engine->context) != GIB_TARGET_STOPPED)
            break; /* seen to when it has been let go */
        if (gib_leave_for_other(engine) && gib_went_on(engine, engine->process->pid))
            break;
        gib_release(engine);
        gib_process_end(engine);
        gib_engine_flush(engine);
        break;
    case GIB_EVENT_BREAKPOINT:
        gib_check_breakpoint(engine, (int32_t)value);
        break;
    case GIB_EVENT_UNMAPPED:
        gib_modules_went(engine);
        break;
    case GIB_EVENT_RESUMED:
        break;
    }
    if (event == GIB_EVENT_LOADED || event == GIB_EVENT_STOPPED || event == GIB_EVENT_REACHED)
        gib_tell_references(engine);
    gib_collect_news(engine);
    gib_let_interrupts();
    pthread_mutex_unlock(&engine->lock);
    if (event != GIB_EVENT_UNMAPPED)
        gib_tell_news(engine);
}
