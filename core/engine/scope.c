/*
 * scope.c: the modules of the process in the order in which its dynamic linker looks for symbols.
 *
 * glibc's list of modules is in that order: the program, what LD_PRELOAD names, the libraries
 * breadth first, then what was loaded later. Where there is no list yet, or another C library, the
 * order is worked out. Libraries of other namespaces (dlmopen) and those that nobody lists come
 * last.
 */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

static void add_module(struct gib_scope *scope, struct gib_module *module)
{
    if (!module || module->gone || !module->elf)
        return;
    for (size_t i = 0; i < scope->count; i++)
        if (scope->module[i] == module)
            return;
    scope->module[scope->count++] = module;
}

/* struct r_debug, struct link_map of <link.h>. */
static bool by_list(struct gib_engine *engine, const struct gib_process *process,
                    const struct gib_module *program, struct gib_scope *scope)
{
    enum { MOST = 65536, R_MAP = 8 };
    uint64_t slot, debug = 0, map = 0;
    struct {
        uint64_t address, name, dynamic, next;
    } entry;
    struct gib_error ignored;
    if (!gib_elf_debug_slot(program->elf, &slot) ||
        gib_read(engine, program->bias + slot, &debug, 8, &ignored) || !debug ||
        gib_read(engine, debug + R_MAP, &map, 8, &ignored) || !map)
        return false;
    for (size_t i = 0; map && i < MOST; i++, map = entry.next) {
        if (gib_read(engine, map, &entry, sizeof entry, &ignored))
            break;
        add_module(scope, gib_modules_at(process->modules, entry.dynamic));
    }
    return scope->count > 1;
}

static void by_needs(const struct gib_process *process, struct gib_scope *scope)
{
    enum { MOST = 1024 };
    const char *needed[MOST];
    for (size_t i = 0; i < scope->count; i++) {
        size_t names = gib_elf_needed(scope->module[i]->elf, needed, MOST);
        for (size_t k = 0; k < names; k++) {
            for (size_t m = 0; m < gib_modules_count(process->modules); m++) {
                struct gib_module *module = gib_modules_get(process->modules, m);
                const char *soname = module->elf ? gib_elf_info(module->elf)->soname : NULL;
                if (!strcmp(module->name, needed[k]) || (soname && !strcmp(soname, needed[k]))) {
                    add_module(scope, module);
                    break;
                }
            }
        }
    }
}

static bool is_package(const struct gib_process *process, const struct gib_module *module)
{
    for (size_t i = 0; i < process->image_count; i++)
        if (module->start >= process->image[i]->start && module->start < process->image[i]->end)
            return true;
    return false;
}

int gib_scope_make(struct gib_engine *engine, struct gib_process *process, struct gib_scope *scope,
                   struct gib_error *error)
{
    size_t count = gib_modules_count(process->modules);
    struct gib_module *program = NULL;
    *scope = (struct gib_scope){.module = calloc(count + 1, sizeof(struct gib_module *))};
    if (!scope->module)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    for (size_t i = 0; i < count && !program; i++)
        if (gib_modules_get(process->modules, i)->main && gib_modules_get(process->modules, i)->elf)
            program = gib_modules_get(process->modules, i);
    if (program) {
        scope->is_static = !gib_elf_info(program->elf)->has_interpreter;
        add_module(scope, program);
        if (!scope->is_static && !by_list(engine, process, program, scope))
            by_needs(process, scope);
    }
    for (size_t i = 0; i < count; i++)
        if (!is_package(process, gib_modules_get(process->modules, i)))
            add_module(scope, gib_modules_get(process->modules, i));
    return 0;
}
