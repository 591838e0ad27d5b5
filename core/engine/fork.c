/*
 * fork.c: the debugger goes on with a forked child in its parent's place.
 *
 * The child has all that its parent had: the detours, the arenas, the shared memory. So what is
 * known of the parent is true of it, and it takes the parent's place here. The parent, which the
 * debugger lets go, keeps its patches, as a child does that is not followed. They may come back to
 * it, where the debugger holds both.
 */
#include "engine/internal.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int gib_has_memory(const struct gib_process *process, int32_t pid)
{
    char *line = NULL;
    size_t room = 0;
    bool found = false, gone;
    uint64_t start, inode;
    struct stat status;
    if (process->fd < 0 || fstat(process->fd, &status))
        return 0;
    FILE *maps = gib_open_proc(pid, "maps", &gone);
    if (!maps)
        return gone ? 0 : -1;
    while (!found && getline(&line, &room, maps) > 0)
        found = sscanf(line, "%" SCNx64 "-%*x %*s %*x %*x:%*x %" SCNu64, &start, &inode) == 2 &&
                start == process->data && inode == status.st_ino;
    free(line);
    fclose(maps);
    return found;
}

static void move_to(struct gib_engine *engine, struct gib_process *process, int32_t pid)
{
    process->other = process->pid;
    process->pid = pid;
    process->unseen = true;
    if (process->memory_fd >= 0)
        close(process->memory_fd);
    process->memory_fd = -1;
    gib_log_follow(engine->log, pid);
    gib_stop_watching_exit(engine, process);
    if (!engine->ops.symbols_follow_fork)
        gib_describe_anew(engine, process);
}

/* It may have been changed while patches were in the other one, and the other way round. */
static void look_at_sites(struct gib_engine *engine, struct gib_process *process)
{
    gib_begin_change(engine);
    for (uint32_t i = 0; i < process->site_count; i++) {
        struct gib_site_state *site = process->site[i];
        if (site->module->gone)
            continue;
        enum gib_bytes_of whose = gib_site_bytes(engine, site);
        if (whose == GIB_BYTES_OURS || whose == GIB_BYTES_ORIGINAL)
            site->installed = whose == GIB_BYTES_OURS;
    }
    gib_end_change(engine);
}

void gib_follow_fork(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    if (!process || !process->installed || process->released)
        return;
    int32_t pid = engine->ops.pid(engine->context);
    if (pid <= 0 || (pid == process->pid && !process->unseen) ||
        engine->ops.state(engine->context) != GIB_TARGET_STOPPED || gib_tracer_of(pid) <= 0 ||
        gib_has_memory(process, pid) <= 0)
        return;
    if (pid != process->pid)
        move_to(engine, process, pid);
    process->unseen = false;
    gib_modules_update(process->modules, pid);
    look_at_sites(engine, process);
}

static int32_t child_of_thread(const struct gib_process *process, const char *thread)
{
    char name[sizeof "/proc//task//children" + 32];
    int child, found = 0;
    snprintf(name, sizeof name, "/proc/%d/task/%.12s/children", process->pid, thread);
    FILE *children = fopen(name, "re");
    while (children && !found && fscanf(children, "%d", &child) == 1)
        if (gib_tracer_of(child) > 0 && gib_has_memory(process, child) > 0)
            found = child;
    if (children)
        fclose(children);
    return found;
}

int32_t gib_followed_child(const struct gib_process *process)
{
    char name[64];
    int32_t found = 0;
    struct dirent *entry;
    snprintf(name, sizeof name, "/proc/%d/task", process->pid);
    DIR *tasks = opendir(name);
    while (tasks && !found && (entry = readdir(tasks)))
        if (entry->d_name[0] != '.')
            found = child_of_thread(process, entry->d_name);
    if (tasks)
        closedir(tasks);
    return found;
}

/* The debugger, which is one that traces by itself, holds both. */
static bool holds_other(const struct gib_process *process)
{
    return process->installed && process->other && gib_tracer_of(process->other) == getpid() &&
           gib_has_memory(process, process->other) > 0;
}

bool gib_went_on(struct gib_engine *engine, int32_t pid)
{
    struct gib_process *process = engine->process;
    if (!process || !pid)
        return false;
    if (process->pid != pid)
        return true;
    int32_t next = holds_other(process) ? process->other : 0;
    if (!next && process->installed && gib_tracer_of(pid) == 0)
        next = gib_followed_child(process);
    if (next)
        move_to(engine, process, next);
    return next != 0;
}

bool gib_leave_for_other(struct gib_engine *engine)
{
    struct gib_error error = {0};
    if (!engine->process || !holds_other(engine->process) || engine->settings.keep_on_detach)
        return engine->process && holds_other(engine->process);
    if (gib_restore_all(engine, &error))
        gib_warn(engine, "gibbon: the program's code could not be restored: %s\n", error.message);
    return true;
}

bool gib_is_foreign(struct gib_engine *engine)
{
    const struct gib_process *process = engine->process;
    int32_t pid = process && process->installed ? engine->ops.pid(engine->context) : 0;
    return pid > 0 && pid != process->pid && gib_tracer_of(process->pid) > 0 &&
           gib_has_memory(process, pid) == 0;
}

bool gib_is_elsewhere(struct gib_engine *engine)
{
    const struct gib_process *process = engine->process;
    return process && process->other && engine->ops.pid(engine->context) == 0 &&
           gib_tracer_of(process->pid) > 0;
}
