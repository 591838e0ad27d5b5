/*
 * planning.h: from a location to the plan of a detour, without changing the target: what is meant,
 * where it is, what is in the way.
 */
#ifndef GIBBON_ENGINE_PLANNING_H
#define GIBBON_ENGINE_PLANNING_H

#include "engine/process.h"

struct gib_engine;

/* location.c */
int gib_location_parse(const char *text, struct gib_location *out, struct gib_error *error);
void gib_location_free(struct gib_location *location);
struct gib_found {
    struct gib_module *module; /* NULL for an address in none */
    uint64_t address;
    char *name;
    uint64_t resolver; /* IFUNC whose implementation is not known yet: watch this */
    size_t order;      /* in which it was found */
};
struct gib_found_list {
    struct gib_found *item;
    size_t count;
};
void gib_found_free(struct gib_found_list *list);
/* Functions the location means in the process; with `from` > 0 only in modules of the table from
 * that index on. */
int gib_location_resolve(struct gib_engine *engine, struct gib_patch *patch, size_t from,
                         struct gib_found_list *out, struct gib_error *error);
/* Whether the dynamic linker has done its work on the module. */
bool gib_is_relocated(struct gib_engine *engine, const struct gib_module *module);
/* Whether a module of the process is meant by `wanted`; with `ever`, one that is gone counts. */
bool gib_module_known(struct gib_engine *engine, const char *wanted, bool ever);
/* Whether a location means this module by `wanted`; "" is the program itself. */
bool gib_module_meant(const struct gib_module *module, const char *wanted);

/* nearest.c: a name like the one misspelt, malloc'ed, or NULL. */
char *gib_location_nearest(struct gib_engine *engine, const char *name);
/* "f.constprop.0, f.part.0": what compilers have made of the function for some of its callers, when
 * it is not there itself. Malloc'ed, or NULL. */
char *gib_location_clones(struct gib_engine *engine, const struct gib_location *location);
/* The same for a module that the process has or had. */
char *gib_module_nearest(struct gib_engine *engine, const char *name);

/* refusals.c; when memory is short, one is not kept */
void gib_refusals_add(struct gib_refusals *list, const struct gib_found *found,
                      const struct gib_error *why);
void gib_refusals_drop_gone(struct gib_refusals *list); /* those of modules that are gone */
void gib_refusals_free(struct gib_refusals *list);

/* places.c */
/* False: out of memory. */
bool gib_places_add(struct gib_places *places, uint64_t address, size_t size, uint32_t site);
/* Calls `visit` for sites that may use bytes of [address, address + size), some perhaps twice,
 * until one is true. */
bool gib_places_visit(const struct gib_places *places, uint64_t address, size_t size,
                      bool (*visit)(uint32_t site, void *context), void *context);
void gib_places_free(struct gib_places *places);

/* neighbours.c: vaddrs of the file. */
/* Some bytes of the file's code: a function from the detour's place on. */
struct gib_stretch {
    struct gib_elf *elf;
    uint64_t vaddr;
    const uint8_t *code;
    size_t size;
};
/* Whether something outside the stretch leads strictly into its first `consumed` bytes, or a table
 * of the function to them; then *reason gets a sentence without its end. */
bool gib_is_entered(const struct gib_stretch *stretch, size_t consumed, char *reason,
                    size_t reason_size);
/* Whether `size` bytes are in use by another patch, or not what the file says. */
typedef bool gib_bytes_taken(uint64_t vaddr, size_t size, void *context);
/* Five bytes of padding between functions that a two-byte jump at vaddr reaches, 0: none. */
uint64_t gib_island_near(struct gib_elf *elf, uint64_t vaddr, gib_bytes_taken *taken,
                         void *context);
/* The last five bytes of the pad that a compiler was told to leave before the function `entry`, 0:
 * it has none. */
uint64_t gib_own_pad(struct gib_elf *elf, uint64_t entry);

/* entry.c: the detour of one function; files only. */
struct gib_entry {
    struct gib_stretch stretch; /* stretch.code is malloc'ed: gib_entry_free */
    uint64_t entry;             /* vaddr of the function; stretch.vaddr is behind its endbr64 */
    uint8_t detour_size;        /* 5, or 2 with an island */
    uint8_t kept;               /* bytes at stretch.vaddr that stay, before the detour */
    struct gib_undo undo;       /* of those */
    uint64_t island;            /* vaddr, 0: none */
    uint8_t island_original[GIB_DETOUR_SIZE];
    bool shadow_stacks; /* set by the caller: the process has them, so no call may become a push
                           and a jump */
    struct gib_relocation copy;
};
/* Reads the function at `entry` and the padding behind it. */
int gib_entry_read(struct gib_elf *elf, uint64_t entry, struct gib_entry *out,
                   struct gib_error *error);
/* Chooses the smallest detour, for the file loaded at `bias` and a copy at address `to`. */
int gib_entry_choose(struct gib_entry *entry, uint64_t bias, uint64_t to, gib_bytes_taken *taken,
                     void *context, struct gib_error *error);
/*
 * The same with as many instructions left before the detour that nobody who waits at vaddr `body`,
 * the function's body as the debugger sees it, waits in vain: the body is then behind what is
 * displaced, or is the detour itself. With `frame` the debugger must find the set-up of a frame,
 * `push %rbp; mov %rsp,%rbp`, in its place to know the body. The way to the thunk undoes what was
 * left. False, and nothing changed: not here, or not needed.
 */
bool gib_entry_keep(struct gib_entry *entry, uint64_t bias, uint64_t to, uint64_t body, bool frame,
                    gib_bytes_taken *taken, void *context);
void gib_entry_free(struct gib_entry *entry);

/* plan.c */
bool gib_is_entry_only(const char *function);
/* Everything about one entry that can be known without changing the target; *out is malloc'ed. With
 * `trampoline_at` 0 the copy is planned near the function, for explain. */
int gib_site_plan(struct gib_engine *engine, struct gib_process *process,
                  const struct gib_found *found, const struct gib_patch *patch,
                  struct gib_site_state **out, struct gib_relocation *copy, uint64_t trampoline_at,
                  struct gib_error *error);
/* GIB_E_FILE: its code is of no file. */
int gib_in_no_file(const char *function, uint64_t address, struct gib_error *error);
void gib_site_free(struct gib_site_state *site);
void gib_site_choose_prototype(struct gib_engine *engine, struct gib_site_state *site,
                               const struct gib_patch *patch);

/* study.c */
/* Fills site->stack_use. */
void gib_site_study(const struct gib_process *process, struct gib_site_state *site);
/* Whether its thunk must jump to it instead of calling it: it returns twice, never, or looks at its
 * caller. */
bool gib_site_entry_only(const struct gib_site_state *site);

#endif
