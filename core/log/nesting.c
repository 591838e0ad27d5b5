/* nesting.c: see nesting.h. */
#include "log/nesting.h"

#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 256 };

struct level {
    uint64_t entered;
    uint32_t site;
};
struct gib_nesting_thread {
    uint32_t process;
    int32_t pid, tid;
    unsigned depth;
    struct level level[DEEPEST]; /* the outermost are dropped when there are more */
};

void gib_nesting_free(struct gib_nesting *nesting)
{
    free(nesting->thread);
    *nesting = (struct gib_nesting){0};
}

static struct gib_nesting_thread *find(const struct gib_nesting *nesting,
                                       const struct gib_call *call)
{
    for (size_t i = 0; i < nesting->count; i++) {
        struct gib_nesting_thread *thread = &nesting->thread[i];
        if (thread->tid == call->tid && thread->pid == call->pid &&
            thread->process == call->process)
            return thread;
    }
    return NULL;
}

unsigned gib_nesting_depth(const struct gib_nesting *nesting, const struct gib_call *call)
{
    const struct gib_nesting_thread *thread = nesting->count ? find(nesting, call) : NULL;
    unsigned depth = thread ? thread->depth : 0;
    return depth < GIB_NESTING_SHOWN ? depth : GIB_NESTING_SHOWN;
}

static struct gib_nesting_thread *add(struct gib_nesting *nesting, const struct gib_call *call)
{
    if (nesting->count == nesting->room) {
        size_t room = nesting->room ? nesting->room * 2 : 8;
        struct gib_nesting_thread *grown = realloc(nesting->thread, room * sizeof *nesting->thread);
        if (!grown)
            return NULL;
        nesting->thread = grown;
        nesting->room = room;
    }
    struct gib_nesting_thread *thread = &nesting->thread[nesting->count++];
    thread->process = call->process;
    thread->pid = call->pid;
    thread->tid = call->tid;
    thread->depth = 0;
    return thread;
}

static struct level level_of(const struct gib_call *call)
{
    const struct gib_record *record = (const struct gib_record *)(call + 1);
    return (struct level){record->entered, record->site & 0xffffff};
}

void gib_nesting_begin(struct gib_nesting *nesting, const struct gib_call *call)
{
    struct gib_nesting_thread *thread = find(nesting, call);
    if (!thread && !(thread = add(nesting, call)))
        return;
    if (thread->depth == DEEPEST)
        memmove(thread->level, thread->level + 1, --thread->depth * sizeof thread->level[0]);
    thread->level[thread->depth++] = level_of(call);
}

bool gib_nesting_end(struct gib_nesting *nesting, const struct gib_call *call)
{
    struct gib_nesting_thread *thread = nesting->count ? find(nesting, call) : NULL;
    struct level wanted = level_of(call);
    for (unsigned i = thread ? thread->depth : 0; i-- > 0;) {
        if (thread->level[i].entered != wanted.entered || thread->level[i].site != wanted.site)
            continue;
        thread->depth = i;
        if (!i)
            *thread = nesting->thread[--nesting->count];
        return true;
    }
    return false;
}
