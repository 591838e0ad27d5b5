/*
 * stop.c: a thread has come to one of the agent's pads, where the debugger has a breakpoint of
 * ours: which patches stop it, and where the user shall see it.
 *
 * At the pad it looks as it did when the function was called. From there it goes
 *
 *   - to the function's body, where a breakpoint on the function would stop: what unoptimised code
 *     does with its arguments is done, so that the debugger finds them. It runs there, through the
 *     layers below, by single instructions of ptrace, or unseen until a breakpoint of ours;
 *   - to the entry, where the body is not known, or may never be reached since another patch's code
 *     runs instead. When it is resumed it comes through the detour once more, and the agent finds
 *     its pass (core/agent/stop.c);
 *   - to the trampoline, in place of the entry, when the user has a breakpoint there: GDB would
 *     report that one again, as it has not seen the thread stop there.
 *
 * A call that is stopped when it returns goes to its caller.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const uint8_t gib_agent_image_start[];

/* A thread that waits at an entry, with a pass for the call (core/agent/layout.h). */
struct gib_waiting {
    int32_t pid, tid;
    uint64_t entry, sp, pass;
    struct gib_waiting *next;
};

/* A thread on its way to where it will be shown, in a debugger whose threads are not ours to step.
 */
struct gib_stop {
    int32_t tid;
    uint64_t place; /* an address */
    uint64_t sp;    /* when it set out; on return what it will be */
    uint64_t word;  /* of the thunk: which patches */
    enum gib_layer_rank rank;
    bool watched; /* it comes there by itself, and stops at a breakpoint of ours */
    bool entry;   /* it is put there */
    char *text, *commands;
    struct gib_stop *next;
};

static uint64_t pad(const struct gib_process *process)
{
    const struct gib_agent_image *image = (const struct gib_agent_image *)gib_agent_image_start;
    return process->stops + image->stop_pad;
}

static uint64_t return_pad(const struct gib_process *process)
{
    const struct gib_agent_image *image = (const struct gib_agent_image *)gib_agent_image_start;
    return process->stops + image->stop_return_pad;
}

enum { PAD_NOP = 1 }; /* bytes of the instruction at a pad where the breakpoint is */

static void watch(struct gib_engine *engine, uint64_t address, bool on)
{
    engine->ops.watch(engine->context, NULL, address, on);
}

void gib_stops_begin(struct gib_engine *engine, struct gib_process *process)
{
    if (process->stops)
        return;
    process->stops = process->agent;
    watch(engine, pad(process), true);
    watch(engine, return_pad(process), true);
}

static void forget(struct gib_engine *engine, struct gib_stop **link)
{
    struct gib_stop *stop = *link;
    bool shared = false;
    *link = stop->next;
    for (const struct gib_stop *other = engine->stops; other; other = other->next)
        shared |= other->watched && other->place == stop->place;
    if (stop->watched && !shared)
        watch(engine, stop->place, false);
    free(stop->text);
    free(stop->commands);
    free(stop);
}

void gib_stops_end(struct gib_engine *engine, struct gib_process *process)
{
    for (struct gib_waiting *w = engine->waiting; w; w = engine->waiting) {
        engine->waiting = w->next;
        free(w);
    }
    while (engine->stops)
        forget(engine, &engine->stops);
    if (!process->stops)
        return;
    watch(engine, pad(process), false);
    watch(engine, return_pad(process), false);
    process->stops = 0;
}

void gib_stops_end_unused(struct gib_engine *engine)
{
    for (size_t i = 0; i < engine->patch_count; i++)
        if (engine->patch[i]->type == GIB_PATCH_STOP)
            return;
    if (engine->process)
        gib_stops_end(engine, engine->process);
}

/* ---- what stops ---- */

/* The words of the target are checked: they may be anything. */
static struct gib_layer *layer_of(const struct gib_process *process, uint64_t word,
                                  enum gib_layer_rank rank, struct gib_site_state **site)
{
    for (uint32_t i = 0; i < process->site_count; i++) {
        *site = process->site[i];
        for (size_t k = 0; k < (*site)->layers; k++)
            if ((*site)->layer[k]->index == (uint32_t)word && (*site)->layer[k]->rank == rank)
                return (*site)->layer[k];
    }
    return NULL;
}

/* The next patch that stops, from index *i of the layer's on; NULL: no more do. */
static struct gib_patch *next_patch(const struct gib_layer *layer, uint64_t word, size_t *i)
{
    for (; *i < GIB_MAX_ACTIONS; ++*i) {
        struct gib_patch *patch = layer->chain[*i].patch;
        if (patch && patch->enabled && word >> 32 & 1u << *i) {
            ++*i;
            return patch;
        }
    }
    return NULL;
}

/* "Patch 2, Patch 3, " and the commands of both; false: none of them stops any more. */
static bool name_patches(const struct gib_layer *layer, uint64_t word, FILE *text, FILE *commands)
{
    const struct gib_patch *patch;
    size_t i = 0;
    bool any = false;
    while ((patch = next_patch(layer, word, &i))) {
        fprintf(text, "Patch %d, ", patch->number);
        if (patch->commands)
            fputs(patch->commands, commands);
        any = true;
    }
    return any;
}

/* ---- where it is shown ---- */

static uint64_t reg(struct gib_engine *engine, const char *name)
{
    uint64_t value;
    return engine->ops.get_register(engine->context, name, &value) ? 0 : value;
}

static int32_t selected_thread(struct gib_engine *engine)
{
    struct gib_target_thread one[1];
    return engine->ops.threads(engine->context, one, 1) ? one[0].tid : 0;
}

static bool may_be_diverted(const struct gib_site_state *site)
{
    for (size_t i = 0; i < site->layers; i++)
        if (site->layer[i]->callee)
            return true;
    return false;
}

/* The function's body as the debugger sees it, behind the displaced instructions; 0: not known. */
static uint64_t body_of(struct gib_engine *engine, const struct gib_site_state *site)
{
    struct gib_body found;
    uint64_t body = 0;
    if (!site->module->elf || may_be_diverted(site))
        return 0;
    gib_modules_lock(engine->process->modules);
    if (gib_elf_body(site->module->elf, site->entry - site->module->bias,
                     engine->ops.reads_prologues, &found))
        body = found.vaddr + site->module->bias;
    gib_modules_unlock(engine->process->modules);
    return body >= site->address + site->consumed ? body : 0;
}

static bool is_users(struct gib_engine *engine, uint64_t first, uint64_t last)
{
    struct gib_target_breakpoint *breakpoint;
    size_t count;
    bool found = false;
    if (gib_target_breakpoints(engine, 0, &breakpoint, &count, NULL))
        return false;
    for (size_t i = 0; i < count; i++)
        found |= breakpoint[i].address >= first && breakpoint[i].address <= last;
    free(breakpoint);
    return found;
}

/* The user sees it now. */
static void count_stop(const struct gib_layer *layer, uint64_t word)
{
    struct gib_patch *patch;
    for (size_t i = 0; (patch = next_patch(layer, word, &i));)
        patch->stopped++;
}

static void show(struct gib_engine *engine, char *text, char *commands)
{
    free(engine->stop_text);
    free(engine->stop_commands);
    engine->stop_text = text;
    engine->stop_commands = commands;
}

/* What was found out of the thread at the pad. */
struct at_pad {
    const struct gib_site_state *site;
    const struct gib_layer *layer;
    uint64_t thunk, caller, sp, word;
    char *text, *commands;
};

static void wait_at_entry(struct gib_engine *engine, const struct gib_layer *layer, uint64_t entry,
                          uint64_t sp)
{
    struct gib_waiting *w = calloc(1, sizeof *w);
    uint64_t frame = sp - offsetof(struct gib_frame, caller);
    const struct gib_process *process = engine->process;
    if (!w)
        return;
    *w = (struct gib_waiting){
        process->pid,
        selected_thread(engine),
        entry,
        sp,
        gib_stop_pass(frame, process->data + process->shared->sites +
                                 sizeof(struct gib_site) * (uint64_t)layer->index),
        engine->waiting};
    engine->waiting = w;
}

/* Before its detour, or on the way from there to where the agent takes the pass. */
static bool still_waits(const struct gib_process *process, const struct gib_waiting *w,
                        const struct gib_target_thread *thread)
{
    enum { KEPT = 16 }; /* more than what is kept before a detour */
    if (thread->tid != w->tid || thread->sp > w->sp)
        return false;
    bool there = thread->pc >= w->entry && thread->pc < w->entry + KEPT;
    for (uint32_t i = 0; i < process->arena_count && !there; i++)
        there = thread->pc >= process->arena[i].start &&
                thread->pc < process->arena[i].start + GIB_ARENA_SIZE;
    return there;
}

/* One that has not gone on through its detour (`return`, `jump`, a patch that was disabled) must
 * not find its pass at another call. */
void gib_stops_withdraw(struct gib_engine *engine)
{
    struct gib_target_thread *threads;
    size_t count;
    if (!engine->waiting || !engine->process || gib_target_threads(engine, &threads, &count, NULL))
        return;
    for (struct gib_waiting **link = &engine->waiting; *link;) {
        struct gib_waiting *w = *link;
        uint64_t at = w->sp - offsetof(struct gib_frame, caller) +
                      offsetof(struct gib_frame, undecided),
                 word, none = 0;
        struct gib_error ignored;
        /* Of another process of the same fork, whose stack has the same addresses. */
        bool waits = w->pid != engine->process->pid;
        for (size_t i = 0; i < count; i++)
            waits |= still_waits(engine->process, w, &threads[i]);
        if (waits) {
            link = &w->next;
            continue;
        }
        if (gib_read(engine, at, &word, sizeof word, &ignored) == 0 && word == w->pass)
            gib_write(engine, at, &none, sizeof none, &ignored);
        *link = w->next;
        free(w);
    }
    free(threads);
}

/*
 * A debugger that steps its threads itself lets this one leave the pad first, and then tells
 * (GIB_EVENT_STOPPING). Where the user has a breakpoint, it must come there by itself: the debugger
 * would take a thread that is put there for one that has met it.
 */
static void send(struct gib_engine *engine, const struct at_pad *p, uint64_t place, uint64_t sp,
                 enum gib_layer_rank rank)
{
    struct gib_stop *stop = calloc(1, sizeof *stop);
    if (!stop) {
        show(engine, p->text, p->commands);
        return;
    }
    *stop = (struct gib_stop){.tid = selected_thread(engine),
                              .place = place,
                              .sp = sp,
                              .word = p->word,
                              .rank = rank,
                              .entry = place == p->site->entry,
                              .text = p->text,
                              .commands = p->commands,
                              .next = engine->stops};
    engine->stops = stop;
    /* Off the breakpoint, which threads could only leave one after the other. */
    engine->ops.set_pc(engine->context, stop->tid, reg(engine, "rip") + PAD_NOP);
    if (stop->entry)
        wait_at_entry(engine, p->layer, place, sp);
    stop->watched = !stop->entry && is_users(engine, place, place);
    if (stop->watched)
        watch(engine, place, true);
    else
        show(engine, strdup(p->text), NULL);
}

static void stop_call(struct gib_engine *engine, const struct at_pad *p)
{
    const struct gib_site_state *site = p->site;
    uint64_t body = body_of(engine, site);
    if (!gib_target_steps(engine)) {
        send(engine, p, body ? body : site->entry, p->sp, GIB_LAYER_STOPS_CALLS);
        return;
    }
    if (body)
        gib_target_step_to(engine, p->thunk, body, p->sp, true);
    else if (is_users(engine, site->entry, gib_site_detour(site)) && !may_be_diverted(site))
        gib_target_step_to(engine, p->thunk, site->trampoline, p->sp, true);
    else if (engine->ops.set_register(engine->context, "rip", site->entry) == 0)
        wait_at_entry(engine, p->layer, site->entry, p->sp);
    count_stop(p->layer, p->word);
    show(engine, p->text, p->commands);
}

static void stop_return(struct gib_engine *engine, const struct at_pad *p)
{
    if (!gib_target_steps(engine)) {
        send(engine, p, p->caller, p->sp + 8, GIB_LAYER_STOPS_RETURNS);
        return;
    }
    gib_target_step_to(engine, return_pad(engine->process) + PAD_NOP, p->caller, p->sp + 8, false);
    count_stop(p->layer, p->word);
    show(engine, p->text, p->commands);
}

/* The words around the stack pointer, as the thunk left them. */
static bool read_frame(struct gib_engine *engine, uint64_t sp, struct gib_frame *frame)
{
    struct gib_error ignored;
    return gib_read(engine, sp - offsetof(struct gib_frame, caller), frame, sizeof *frame,
                    &ignored) == 0;
}

static void look_at_pad(struct gib_engine *engine, bool returns)
{
    struct gib_process *process = engine->process;
    struct gib_site_state *site;
    struct gib_frame frame;
    uint64_t sp = reg(engine, "rsp");
    const struct gib_layer *layer;
    if (!read_frame(engine, sp, &frame) ||
        !(layer = layer_of(process, frame.stop,
                           returns ? GIB_LAYER_STOPS_RETURNS : GIB_LAYER_STOPS_CALLS, &site)))
        return;
    struct at_pad p = {site, layer, frame.rbp, frame.caller, sp, frame.stop, NULL, NULL};
    size_t size;
    FILE *text = open_memstream(&p.text, &size), *commands = open_memstream(&p.commands, &size);
    bool any = text && commands && name_patches(layer, frame.stop, text, commands);
    if (any && returns) {
        struct gib_out result = {0};
        gib_write_result(engine, site, &frame, reg(engine, "rax"), reg(engine, "rdx"), &result);
        gib_out_byte(&result, '\n');
        fwrite(result.bytes, 1, result.used, text);
        gib_out_free(&result);
    }
    if (text)
        fclose(text);
    if (commands)
        fclose(commands);
    if (!any) {
        free(p.text);
        free(p.commands);
    } else if (returns) {
        stop_return(engine, &p);
    } else {
        stop_call(engine, &p);
    }
}

/* Patches may have gone since the thread set out; NULL: all have. */
static const struct gib_layer *wanted(const struct gib_process *process,
                                      const struct gib_stop *stop)
{
    struct gib_site_state *site;
    const struct gib_layer *layer = layer_of(process, stop->word, stop->rank, &site);
    size_t i = 0;
    return layer && next_patch(layer, stop->word, &i) ? layer : NULL;
}

static void arrive(struct gib_engine *engine, struct gib_stop **link)
{
    struct gib_stop *stop = *link;
    const struct gib_layer *layer = wanted(engine->process, stop);
    if (layer) {
        count_stop(layer, stop->word);
        show(engine, stop->text, stop->commands);
        stop->text = stop->commands = NULL;
    }
    forget(engine, link);
}

/* One that was expected here. */
static bool has_arrived(struct gib_engine *engine, uint64_t address)
{
    int32_t tid = engine->stops ? selected_thread(engine) : 0;
    bool awaited = false;
    for (struct gib_stop **link = &engine->stops; *link; link = &(*link)->next) {
        struct gib_stop *stop = *link;
        awaited |= stop->watched && stop->place == address;
        if (!stop->watched || stop->place != address || stop->tid != tid)
            continue;
        arrive(engine, link);
        return true;
    }
    return awaited;
}

void gib_stop_carry(struct gib_engine *engine)
{
    int32_t tid = engine->stops ? selected_thread(engine) : 0;
    struct gib_stop **link = &engine->stops;
    show(engine, NULL, NULL);
    while (*link && ((*link)->tid != tid || (*link)->watched))
        link = &(*link)->next;
    if (!*link || !engine->process)
        return;
    const struct gib_stop *stop = *link;
    if (wanted(engine->process, stop)) {
        if (stop->entry)
            engine->ops.set_pc(engine->context, tid, stop->place);
        else
            engine->ops.run_to(engine->context, stop->place, stop->sp);
    }
    arrive(engine, link);
}

bool gib_stop_reached(struct gib_engine *engine, uint64_t address)
{
    struct gib_process *process = engine->process;
    show(engine, NULL, NULL);
    if (!process || !process->installed)
        return false;
    bool returns = address == return_pad(process);
    if (address != pad(process) && !returns)
        return has_arrived(engine, address);
    look_at_pad(engine, returns);
    return true;
}

/* Threads that will never arrive: they ended, or left the function in another way. */
void gib_stops_tidy(struct gib_engine *engine)
{
    struct gib_target_thread *threads;
    size_t count;
    if (!engine->stops || gib_target_threads(engine, &threads, &count, NULL))
        return;
    for (struct gib_stop **link = &engine->stops; *link;) {
        bool coming = false;
        for (size_t i = 0; i < count; i++)
            coming |= threads[i].tid == (*link)->tid && threads[i].sp <= (*link)->sp;
        if (coming)
            link = &(*link)->next;
        else
            forget(engine, link);
    }
    free(threads);
}

const char *gib_engine_stop(struct gib_engine *engine, const char **commands)
{
    *commands = engine->stop_commands;
    return engine->stop_text;
}
