/*
 * breakpoints.c: the user's breakpoints in bytes that a detour replaces.
 *
 * Nothing runs there any more: the displaced instructions run in their copy. So a breakpoint in
 * the middle of them gets a stand-in at the copy of its instruction (target.h, move_breakpoint),
 * whether it was set before the patch or after, and has its own place back when the patch goes.
 * A breakpoint at the entry itself is met as ever, on the first byte of the detour.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool inside(const struct gib_site_state *site, uint64_t address)
{
    return site->installed && address > gib_site_detour(site) &&
           address < site->address + site->consumed;
}

/* Where the copy of the displaced instruction at `address` is; 0: no instruction begins there. */
static uint64_t copy_of(const struct gib_site_state *site, uint64_t address)
{
    for (size_t i = 0; i < site->boundaries; i++)
        if (site->address + site->boundary[i].original == address)
            return site->trampoline + site->boundary[i].copy;
    return 0;
}

/* A debugger that finds a function's body by reading its first instructions finds a jump now, and
 * stops at the entry, where arguments of unoptimised code are not yet in their places. */
static uint64_t body_of(struct gib_engine *engine, const struct gib_site_state *site)
{
    struct gib_body found;
    uint64_t body = 0;
    if (!engine->ops.reads_prologues || site->kept || !site->module->elf)
        return 0;
    gib_modules_lock(engine->process->modules);
    if (gib_elf_body(site->module->elf, site->entry - site->module->bias, true, &found) &&
        found.behind_frame && !found.has_lists)
        body = found.vaddr + site->module->bias;
    gib_modules_unlock(engine->process->modules);
    return inside(site, body) ? copy_of(site, body) : body;
}

static struct gib_moved_breakpoint *find_moved(struct gib_process *process, int32_t number,
                                               uint64_t from)
{
    for (size_t i = 0; i < process->moved_count; i++)
        if (process->moved[i].number == number && process->moved[i].from == from)
            return &process->moved[i];
    return NULL;
}

static void move(struct gib_engine *engine, const struct gib_site_state *site, int32_t number,
                 uint64_t from, uint64_t to)
{
    struct gib_process *process = engine->process;
    bool known = find_moved(process, number, from) != NULL;
    int32_t stand_in = engine->ops.move_breakpoint(engine->context, number, from, to);
    if (known || stand_in < 0)
        return; /* it is where it was: its calls are missed there, nothing worse (arena.c) */
    struct gib_moved_breakpoint *grown =
        realloc(process->moved, (process->moved_count + 1) * sizeof *grown);
    if (!grown)
        return;
    process->moved = grown;
    grown[process->moved_count++] = (struct gib_moved_breakpoint){number, from, site->entry};
    char *name = gib_elf_function_name(site->symbol);
    gib_print(
        engine,
        from == site->entry
            ? "gibbon: breakpoint %d is at the patched entry of %s; breakpoint %d, behind the "
              "set-up of its frame, stops in its place.\n"
            : "gibbon: breakpoint %d is inside the first bytes of %s, which a patch replaces; "
              "breakpoint %d, on their copy, stops in its place.\n",
        number, name ? name : site->function, stand_in);
    free(name);
}

/* A debugger that finds lines in our symbol file has a location there by itself. */
static bool stops_at(const struct gib_target_breakpoint *breakpoints, size_t count, int32_t number,
                     uint64_t address)
{
    for (size_t i = 0; i < count; i++)
        if (breakpoints[i].number == number && breakpoints[i].address == address)
            return true;
    return false;
}

static void check_location(struct gib_engine *engine, const struct gib_target_breakpoint *all,
                           size_t count, const struct gib_target_breakpoint *b)
{
    struct gib_process *process = engine->process;
    for (uint32_t i = 0; i < process->site_count; i++) {
        struct gib_site_state *site = process->site[i];
        uint64_t to = inside(site, b->address) ? copy_of(site, b->address) : 0;
        if (site->installed && b->address == site->entry && !b->exact)
            to = body_of(engine, site);
        if (to && to != b->address && !stops_at(all, count, b->number, to))
            move(engine, site, b->number, b->address, to);
    }
}

void gib_check_breakpoints(struct gib_engine *engine)
{
    gib_check_breakpoint(engine, 0);
}

void gib_check_breakpoint(struct gib_engine *engine, int32_t number)
{
    struct gib_target_breakpoint *breakpoint;
    struct gib_process *process = engine->process;
    size_t count;
    if (!process || !process->installed || engine->busy ||
        gib_target_breakpoints(engine, number, &breakpoint, &count, NULL))
        return;
    engine->busy = true; /* making a stand-in is an event as well */
    for (size_t i = 0; i < count; i++)
        check_location(engine, breakpoint, count, &breakpoint[i]);
    engine->busy = false;
    free(breakpoint);
}

void gib_return_breakpoints(struct gib_engine *engine, uint64_t entry)
{
    struct gib_process *process = engine->process;
    bool busy = engine->busy;
    engine->busy = true;
    for (size_t i = 0; i < process->moved_count;) {
        struct gib_moved_breakpoint moved = process->moved[i];
        if (entry && moved.entry != entry) {
            i++;
            continue;
        }
        process->moved[i] = process->moved[--process->moved_count];
        engine->ops.move_breakpoint(engine->context, moved.number, moved.from, 0);
    }
    engine->busy = busy;
}
