/*
 * internal.h: the engine's own structures.
 *
 *   engine ── patches    what the user asked for; they outlive processes, like breakpoints
 *          ── process    what is in the target now: modules, agent, arenas, sites; gone with it
 *          ── log        what the target did
 */
#ifndef GIBBON_ENGINE_INTERNAL_H
#define GIBBON_ENGINE_INTERNAL_H

#include <pthread.h>
#include "engine/access.h"
#include "engine/patches.h"
#include "engine/planning.h"
#include "engine/process.h"
#include "engine/sites.h"
#include "engine/stats.h"
#include "gibbon/engine.h"
#include "log/log.h"

struct gib_settings {
    unsigned string_limit;
    bool follow, indent;
    bool keep_on_detach;
    uint64_t ring_size;
    bool overwrite;
    int pending; /* 0 off, 1 on, 2 auto */
};

struct gib_engine {
    struct gib_target_operations ops;
    void *context;
    char debugger[16];
    pthread_mutex_t lock, flush_lock;
    struct gib_settings settings;
    struct gib_patch **patch;
    size_t patch_count;
    int next_number;
    uint32_t processes, marks; /* ever */
    struct gib_process *process;
    struct gib_modules *
        *old_modules; /* of ended processes: the log still describes their addresses */
    size_t old_module_count;
    struct gib_prototypes *prototypes;
    struct gib_log *log;
    char *reply;                       /* the last string returned */
    struct gib_used_package *packages; /* the one loaded last is first */
    struct gib_compiler *compiler;     /* made when it is first needed */
    struct gib_used_package *loading;  /* whose commands are being executed */
    bool quiet;                        /* output of commands is not shown, as nobody typed them */
    char *line;                        /* of output, until its end comes */
    char *late; /* a warning that nobody could be given when it came, for the next command */
    struct gib_news *news; /* not told yet */
    size_t news_count;
    bool asking;                     /* inside GIB_WILL_PATCH */
    bool busy;                       /* inside a change: nested events wait */
    bool interruptible;              /* inside a command of the user's */
    struct gib_stop *stops;          /* stop.c: threads on their way */
    struct gib_waiting *waiting;     /* stop.c: threads shown at an entry */
    char *stop_text, *stop_commands; /* of the last GIB_EVENT_REACHED; NULL: nothing stops */
    bool stood_on_return;            /* at the last stop, before a return instruction */
    struct {                         /* the page of code read last; valid inside one change */
        bool valid;
        uint64_t address;
        uint8_t bytes[4096];
    } page;
    int64_t progress;        /* ms, when a line of progress is due; 0: no change is under way */
    struct gib_engine *next; /* of all engines of this debugger */
};

/* process.c */
void gib_update_agent(
    struct gib_engine *engine,
    struct gib_process *process); /* settings, errno, thread pointer, stable ranges, unwind rows */

/* patch.c */
/* Finds the threads that -thread means; a number may be that of a thread to come. */
void gib_patch_find_threads(struct gib_engine *engine);
struct gib_patch *gib_patch_find(struct gib_engine *engine, int number);
/* Whether its calls are not counted, since they only jump. */
bool gib_patch_uncounted(const struct gib_patch *patch);
void gib_patch_free(struct gib_patch *patch);
int gib_patch_add(struct gib_engine *engine, struct gib_patch *patch);
void gib_patch_forget(struct gib_engine *engine, struct gib_patch *patch);
/* Takes the patch off all its sites, forgets and frees it, and what only it used. On failure
 * nothing has changed. */
int gib_patch_delete(struct gib_engine *engine, struct gib_patch *patch, struct gib_error *error);
/* "patch 3 (open)", for messages; malloc'ed. */
char *gib_patch_name(const struct gib_engine *engine, const struct gib_patch *patch);
/* Calls that may be tail calls of the -from module. */
uint64_t gib_patch_unknown(struct gib_engine *engine, const struct gib_patch *patch);
/* condition.c: calls of which the condition could say nothing. */
uint64_t gib_patch_undecided(struct gib_engine *engine, const struct gib_patch *patch);

/* Takes it off, or switches it off while the program runs; then it goes at the next stop. */
void gib_patch_drop(struct gib_engine *engine, struct gib_patch *patch);

/* news.c: what a front-end is told of patches. */
struct gib_news {
    enum gib_patch_event event;
    char *line;
};
/* 0, or GIB_E_REFUSED. */
int gib_will_patch(struct gib_engine *engine, const struct gib_patch *patch,
                   struct gib_error *error);
void gib_did_unpatch(struct gib_engine *engine, const struct gib_patch *patch);
/* Finds out which patches have come onto functions since the last time. */
void gib_collect_news(struct gib_engine *engine);
/* Tells it all; without the lock. */
void gib_tell_news(struct gib_engine *engine);
/* One line of gib_engine_patches, malloc'ed. In core/command. */
char *gib_patch_line(struct gib_engine *engine, const struct gib_patch *patch);

/* during.c: the marks of -during. */
/* The mark on this function, one more user of it; a new one is not placed yet. */
int gib_mark_get(struct gib_engine *engine, const char *function, struct gib_patch **mark,
                 struct gib_error *error);
/* One user less; the last one takes it off. NULL is allowed. */
int gib_mark_release(struct gib_engine *engine, struct gib_patch *mark, struct gib_error *error);
size_t gib_patch_sites(struct gib_engine *engine, const struct gib_patch *patch,
                       struct gib_site_state **first);
size_t gib_patch_inside(struct gib_engine *engine, const struct gib_patch *patch);

/* core/command */
int gib_command_execute(struct gib_engine *engine, const char *text, bool interactive,
                        struct gib_error *error);
/* Warns of what patches do not see that came into the process outside of a command: queued while
 * code is changed, so that it is called when that is done. */
void gib_tell_references(struct gib_engine *engine);

#endif
