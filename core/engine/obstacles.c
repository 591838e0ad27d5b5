/*
 * obstacles.c: what stands in the way of a change: threads in the bytes that a detour replaces.
 */
#include "engine/internal.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool keep_word(uint64_t word, void *context)
{
    struct gib_stopped *s = context;
    if (word < s->low || word >= s->high)
        return true;
    if (s->word_count == s->room) {
        size_t room = s->room ? s->room * 2 : 1024;
        struct stack_word *grown = realloc(s->words, room * sizeof *grown);
        if (!grown)
            return false;
        s->words = grown;
        s->room = room;
    }
    s->words[s->word_count++] = (struct stack_word){word, s->tid};
    return true;
}

static int by_word(const void *a, const void *b)
{
    const struct stack_word *x = a, *y = b;
    return x->word < y->word ? -1 : x->word > y->word;
}

void gib_forget_stopped(struct gib_stopped *s)
{
    free(s->threads);
    free(s->words);
    memset(s, 0, sizeof *s);
}

static bool is_running(pid_t pid, const char *tid)
{
    char name[96], line[512] = "";
    snprintf(name, sizeof name, "/proc/%d/task/%.20s/stat", (int)pid, tid);
    FILE *file = fopen(name, "re");
    const char *end = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (file)
        fclose(file);
    return end && end[1] && strchr("RSD", end[2]);
}

/* Whether threads run that the debugger does not speak of: while GDB handles an event of one
 * thread, the others do. */
static bool others_run(pid_t pid, const struct gib_stopped *s)
{
    char name[64];
    bool running = false;
    snprintf(name, sizeof name, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(name);
    struct dirent *entry;
    while (tasks && !running && (entry = readdir(tasks))) {
        bool known = entry->d_name[0] == '.';
        for (size_t i = 0; i < s->count && !known; i++)
            known = s->threads[i].tid == atoi(entry->d_name);
        running = !known && is_running(pid, entry->d_name);
    }
    if (tasks)
        closedir(tasks);
    return running;
}

int gib_look_at_threads(struct gib_engine *engine, struct gib_stopped *s, struct gib_error *error)
{
    struct gib_modules *modules = engine->process->modules;
    memset(s, 0, sizeof *s);
    int failed = gib_target_threads(engine, &s->threads, &s->count, error);
    if (failed)
        return failed;
    for (size_t i = 0; i < gib_modules_count(modules); i++) {
        const struct gib_module *module = gib_modules_get(modules, i);
        if (!s->high || module->start < s->low)
            s->low = module->start;
        if (module->end > s->high)
            s->high = module->end;
    }
    for (size_t i = 0; i < s->count; i++) {
        s->tid = s->threads[i].tid;
        gib_scan_stack(engine, s->threads[i].sp, keep_word, s);
    }
    if (others_run(engine->process->pid, s)) {
        s->modules = modules;
        s->used_modules = engine->process->modules_seen;
    }
    if (s->word_count)
        qsort(s->words, s->word_count, sizeof *s->words, by_word);
    return 0;
}

/* An address inside the window on a stack: a call made there, or a signal that came there. The
 * thread would come back into the middle of the detour. */
static int check_stacks(const struct gib_site_state *site, const struct gib_stopped *s,
                        struct gib_error *error)
{
    size_t low = 0, high = s->word_count; /* the first word behind the detour's first byte */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->words[middle].word <= gib_site_detour(site))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == s->word_count || s->words[low].word >= site->address + site->consumed)
        return 0;
    return gib_fail(
        error, GIB_E_BUSY, s->words[low].word,
        "Thread %d will come back into the first instructions of %.60s, from a call or a "
        "signal handler.",
        s->words[low].tid, site->function);
}

/* Where a thread stopped inside the window goes on: at the copy of its instruction. 0: it is not
 * inside. A system call that the stop has interrupted is begun again by the kernel: it sets the
 * thread back over the instruction, so one behind the window's end may count as inside. */
static uint64_t moved_pc(const struct gib_site_state *site, uint64_t pc)
{
    if (pc <= gib_site_detour(site) || pc >= site->address + site->consumed + site->ends_in_syscall)
        return 0;
    for (size_t i = 0; i < site->boundaries; i++)
        if (site->boundary[i].original == pc - site->address)
            return site->trampoline + site->boundary[i].copy;
    return UINT64_MAX;
}

/* Nobody has come into what has just been mapped. */
static bool may_be_used(const struct gib_module *module, const struct gib_stopped *stopped)
{
    for (size_t i = 0; i < stopped->used_modules; i++)
        if (gib_modules_get(stopped->modules, i) == module)
            return true;
    return false;
}

int gib_check_threads(const struct gib_site_state *site, const struct gib_stopped *stopped,
                      struct gib_error *error)
{
    if (may_be_used(site->module, stopped))
        return gib_fail(error, GIB_E_BUSY, site->address,
                        "Other threads run at this moment, and may be inside %.60s.",
                        site->function);
    for (size_t i = 0; i < stopped->count; i++) {
        const struct gib_target_thread *thread = &stopped->threads[i];
        if (moved_pc(site, thread->pc) == UINT64_MAX)
            return gib_fail(error, GIB_E_BUSY, thread->pc,
                            "Thread %d is stopped in the padding at 0x%" PRIx64
                            " that a patch of %.60s replaces.",
                            thread->tid, thread->pc, site->function);
    }
    return check_stacks(site, stopped, error);
}

int gib_move_threads(struct gib_engine *engine, const struct gib_site_state *site,
                     const struct gib_stopped *stopped, bool back, struct gib_error *error)
{
    for (size_t k = 0; !site->installed && k < stopped->count; k++) {
        uint64_t pc = moved_pc(site, stopped->threads[k].pc);
        if (pc && pc != UINT64_MAX &&
            engine->ops.set_pc(engine->context, stopped->threads[k].tid,
                               back ? stopped->threads[k].pc : pc))
            return gib_fail(error, GIB_E_TARGET, stopped->threads[k].pc,
                            "Thread %d is inside the first instructions of %.60s and could not be "
                            "moved to their copy.",
                            stopped->threads[k].tid, site->function);
    }
    return 0;
}

int gib_leave_island(struct gib_engine *engine, const struct gib_site_state *site,
                     const struct gib_stopped *stopped, struct gib_error *error)
{
    for (size_t k = 0; site->island && k < stopped->count; k++) {
        const struct gib_target_thread *thread = &stopped->threads[k];
        if (thread->pc == site->island &&
            engine->ops.set_pc(engine->context, thread->tid, site->trampoline))
            return gib_fail(error, GIB_E_TARGET, thread->pc,
                            "Thread %d is on its way into the patch of %.60s and could not be "
                            "moved out of it.",
                            thread->tid, site->function);
    }
    return 0;
}
