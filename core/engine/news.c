/*
 * news.c: what a front-end is told of patches.
 *
 * A patch may be made in the middle of an event of the debugger, with the engine at work. So what
 * has happened is only noted there, and told when that has ended.
 */
#include "engine/internal.h"

#include <stdlib.h>

static void note(struct gib_engine *engine, enum gib_patch_event event,
                 const struct gib_patch *patch)
{
    char *line = gib_patch_line(engine, patch);
    struct gib_news *grown = realloc(engine->news, (engine->news_count + 1) * sizeof *grown);
    engine->news = grown ? grown : engine->news;
    if (!line || !grown) {
        free(line);
        return;
    }
    engine->news[engine->news_count++] = (struct gib_news){event, line};
}

int gib_will_patch(struct gib_engine *engine, const struct gib_patch *patch,
                   struct gib_error *error)
{
    char why[256] = "", *line = gib_patch_line(engine, patch);
    if (!line)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    engine->asking = true;
    int refused = engine->ops.patch_event(engine->context, GIB_WILL_PATCH, line, why);
    engine->asking = false;
    free(line);
    return refused ? gib_fail(error, GIB_E_REFUSED, 0, "A will_patch handler refused %.60s: %.160s",
                              patch->location.text, why)
                   : 0;
}

void gib_did_unpatch(struct gib_engine *engine, const struct gib_patch *patch)
{
    if (patch->reported)
        note(engine, GIB_DID_UNPATCH, patch);
}

void gib_collect_news(struct gib_engine *engine)
{
    for (size_t i = 0; i < engine->patch_count; i++) {
        struct gib_patch *patch = engine->patch[i];
        if (!patch->number)
            continue;
        if (!patch->placed) {
            patch->reported = false;
            patch->waited = true;
        } else if (!patch->reported) {
            patch->reported = true;
            if (patch->waited)
                note(engine, GIB_PENDING_RESOLVED, patch);
            note(engine, GIB_DID_PATCH, patch);
            patch->waited = false;
        }
    }
}

void gib_tell_news(struct gib_engine *engine)
{
    char unused[256];
    for (;;) {
        pthread_mutex_lock(&engine->lock);
        struct gib_news news = {0};
        if (engine->news_count && !engine->asking) {
            news = engine->news[0];
            engine->news_count--;
            for (size_t i = 0; i < engine->news_count; i++)
                engine->news[i] = engine->news[i + 1];
        }
        pthread_mutex_unlock(&engine->lock);
        if (!news.line)
            return;
        engine->ops.patch_event(engine->context, news.event, news.line, unused);
        free(news.line);
    }
}
