/* plan.c: everything about one function's entry that can be decided before the target is changed.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Functions that return twice, never return here, or look at their caller: their thunk jumps, so
 * that the caller's frame is the only one. */
static const char *const entry_only[] = {
    "setjmp",
    "_setjmp",
    "__sigsetjmp",
    "sigsetjmp",
    "savectx",
    "vfork",
    "__vfork",
    "__libc_vfork",
    "clone",
    "__clone",
    "clone3",
    "__clone3",
    "getcontext",
    "__getcontext",
    "setcontext",
    "swapcontext",
    "makecontext",
    "longjmp",
    "_longjmp",
    "siglongjmp",
    "__longjmp_chk",
    "__libc_longjmp",
    "__libc_siglongjmp",
    "dlopen",
    "__libc_dlopen_mode",
    "dlmopen",
    "dlsym",
    "dlvsym",
    "dlclose",
    "dlerror",
    "dladdr",
    "dladdr1",
    "_dl_sym",
    "__tls_get_addr",
    "___tls_get_addr",
    "_exit",
    "_Exit",
    "exit",
    "quick_exit",
    "abort",
    "execve",
    "execv",
    "execvp",
    "execl",
    "execlp",
    "execle",
    "execvpe",
    "fexecve",
    "execveat",
    "pthread_exit",
    "__pthread_exit",
    "thrd_exit",
    "__cxa_throw",
    "__cxa_rethrow",
    "_Unwind_RaiseException",
    "_Unwind_Resume",
    "_Unwind_ForcedUnwind",
    "_Unwind_Resume_or_Rethrow",
    "_Unwind_Backtrace",
    "__assert_fail",
    "__assert",
    "__stack_chk_fail",
    "__chk_fail",
    "__fortify_fail",
    "__libc_start_main",
    "__libc_start_call_main",
    "_start",
    "_dl_runtime_resolve",
    "__restore_rt",
    "start_thread",
    "__clone_internal",
    "gsignal_return",
    "_mcount",
    "mcount",
    "__fentry__",
    "backtrace",
    "__backtrace",
    "__libc_fatal",
    "err",
    "errx",
    "verr",
    "verrx",
};

bool gib_is_entry_only(const char *function)
{
    for (size_t i = 0; i < sizeof entry_only / sizeof *entry_only; i++)
        if (!strcmp(function, entry_only[i]))
            return true;
    return !strncmp(function, "__x86.get_pc_thunk", 18) ||
           !strncmp(function, "_dl_runtime_resolve", 19) || !strncmp(function, "_dl_tlsdesc", 11);
}

void gib_site_free(struct gib_site_state *site)
{
    if (!site)
        return;
    free(site->symbol);
    free(site->function);
    gib_prototype_free(site->prototype);
    for (size_t i = 0; i < site->layers; i++)
        gib_layer_free(site->layer[i]);
    free(site);
}

/* gcc's clones get fewer arguments than their source has, or others: nothing says which. */
static bool is_clone(const char *symbol)
{
    return strstr(symbol, ".constprop.") || strstr(symbol, ".isra.") || strstr(symbol, ".part.");
}

/* The user's word first, then debug information, then the shipped declarations, which describe
 * functions that C programs export. */
void gib_site_choose_prototype(struct gib_engine *engine, struct gib_site_state *site,
                               const struct gib_patch *patch)
{
    const struct gib_prototype *shipped = gib_prototypes_find(engine->prototypes, site->symbol);
    struct gib_prototype *chosen = NULL;
    if (patch && patch->prototype)
        chosen = gib_prototype_copy(patch->prototype);
    if (!chosen && site->module && site->module->elf && !is_clone(site->symbol))
        chosen = gib_elf_prototype(site->module->elf, site->entry - site->module->bias);
    if (!chosen && shipped)
        chosen = gib_prototype_copy(shipped);
    /* How it fails and what its dots mean is in no debug information. */
    if (chosen && shipped && chosen->failure == GIB_FAILURE_NONE)
        chosen->failure = shipped->failure;
    if (chosen && shipped && chosen->variadic == GIB_VARIADIC_UNKNOWN &&
        shipped->parameter_count == chosen->parameter_count)
        chosen->variadic = shipped->variadic;
    if (chosen)
        gib_prototypes_annotate(engine->prototypes, chosen, shipped);
    gib_prototype_free(site->prototype);
    site->prototype = chosen;
    gib_convention_make(chosen, &site->convention);
    gib_convention_adjust(&site->convention, &site->stack_use, chosen && !chosen->unspecified);
}

/* What was there before our own patches. */
struct hiding {
    const struct gib_process *process;
    uint64_t address;
    uint8_t *memory;
    size_t size;
};
static bool hide_site(uint32_t index, void *context)
{
    struct hiding *h = context;
    if (index >= h->process->site_count)
        return false;
    const struct gib_site_state *site = h->process->site[index];
    for (uint64_t k = 0; site->installed && k < GIB_DETOUR_SIZE; k++) {
        uint64_t at = gib_site_detour(site) + k - h->address;
        if (k < site->detour_size && at < h->size)
            h->memory[at] = site->original[k];
        if (site->island && site->island + k - h->address < h->size)
            h->memory[site->island + k - h->address] = site->island_original[k];
    }
    return false;
}

enum { LONGEST_WINDOW = 512 };

static int compare_with_file(struct gib_engine *engine, const struct gib_process *process,
                             const struct gib_site_state *site, const uint8_t *file, size_t size,
                             struct gib_error *error)
{
    uint8_t memory[LONGEST_WINDOW];
    size_t n = size < sizeof memory ? size : sizeof memory;
    int failed = gib_read_code(engine, site->address, memory, n, error);
    if (failed || !memcmp(memory, file, n))
        return failed;
    struct hiding hiding = {process, site->address, memory, n};
    gib_places_visit(&process->places, site->address, n, hide_site, &hiding);
    if (!memcmp(memory, file, n))
        return 0;
    char now[40] = "", then[40] = "";
    size_t first = 0; /* where to begin to show them */
    while (n > 8 && first < n - 8 && memory[first] == file[first])
        first++;
    first = first < 8 ? 0 : first;
    for (size_t i = 0; first + i < n && i < 8; i++) {
        snprintf(now + 3 * i, sizeof now - 3 * i, "%02x ", memory[first + i]);
        snprintf(then + 3 * i, sizeof then - 3 * i, "%02x ", file[first + i]);
    }
    return gib_fail(
        error, GIB_E_CHANGED, site->address + first,
        "%.60s at 0x%" PRIx64
        " holds %sbut %s has %sthere: another tool has patched it, or the file was rebuilt.",
        site->function, site->address + first, now, site->module->name, then);
}

/* What no detour may use. A site is known to the process before its detour is in memory. */
struct others {
    struct gib_engine *engine;
    const struct gib_process *process;
    const struct gib_site_state *planned;
};

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

struct claim {
    const struct others *others;
    uint64_t address;
    size_t size;
};
static bool is_claimed(uint32_t index, void *context)
{
    const struct claim *c = context;
    if (index >= c->others->process->site_count)
        return false;
    const struct gib_site_state *site = c->others->process->site[index];
    if ((!site->installed && !gib_site_in_use(site)) ||
        site->address == c->others->planned->address)
        return false;
    return overlap(site->address, site->consumed, c->address, c->size) ||
           (site->island && overlap(site->island, GIB_DETOUR_SIZE, c->address, c->size));
}

static bool is_taken(uint64_t vaddr, size_t size, void *context)
{
    const struct others *others = context;
    const struct gib_module *module = others->planned->module;
    uint64_t address = vaddr + module->bias;
    uint8_t memory[GIB_DETOUR_SIZE], file[GIB_DETOUR_SIZE];
    struct gib_error ignored;
    struct claim claim = {others, address, size};
    if (gib_places_visit(&others->process->places, address, size, is_claimed, &claim))
        return true;
    /* An island of somebody else's; a window was compared already. */
    return address != others->planned->address &&
           (size > sizeof memory || gib_elf_read(module->elf, vaddr, file, size) != size ||
            gib_read(others->engine, address, memory, size, &ignored) ||
            memcmp(memory, file, size));
}

/* `syscall` or `int 0x80` is the last displaced instruction. */
static bool ends_in_syscall(const struct gib_entry *entry)
{
    const struct gib_relocation *copy = &entry->copy;
    const uint8_t *last = entry->stretch.code + copy->consumed - 2;
    return copy->boundaries >= 2 && copy->consumed >= 2 &&
           copy->boundary[copy->boundaries - 2].original == copy->consumed - 2 &&
           (!memcmp(last, "\x0f\x05", 2) || !memcmp(last, "\xcd\x80", 2));
}

/* e8 rel32: call target; ff 15 disp32: call [rip + disp32]. Only the last one can be a call. */
static void take_over_call(struct gib_site_state *site, const struct gib_entry *entry)
{
    const struct gib_relocation *copy = &entry->copy;
    if (copy->boundaries < 2)
        return;
    size_t at = copy->boundary[copy->boundaries - 2].original, size = copy->consumed - at;
    const uint8_t *code = entry->stretch.code + at;
    int32_t distance;
    bool direct = size == 5 && code[0] == 0xe8;
    if (!direct && !(size == 6 && code[0] == 0xff && code[1] == 0x15))
        return;
    memcpy(&distance, code + size - sizeof distance, sizeof distance);
    uint64_t place = site->address + copy->consumed + (uint64_t)(int64_t)distance;
    *(direct ? &site->call_target : &site->call_pointer) = place;
}

static void take_over(struct gib_site_state *site, const struct gib_entry *entry)
{
    uint64_t bias = site->module->bias;
    take_over_call(site, entry);
    site->detour_size = entry->detour_size;
    site->ends_in_syscall = ends_in_syscall(entry);
    site->consumed = (uint32_t)entry->copy.consumed;
    site->boundaries = entry->copy.boundaries;
    memcpy(site->boundary, entry->copy.boundary, sizeof site->boundary);
    site->kept = entry->kept;
    site->undo = entry->undo;
    memcpy(site->original, entry->stretch.code + entry->kept, site->detour_size);
    site->island = entry->island ? entry->island + bias : 0;
    memcpy(site->island_original, entry->island_original, sizeof site->island_original);
}

/* The reason is told to its end; a long name gives way. */
static void refuse(const struct gib_site_state *site, int code, const struct gib_error *why,
                   struct gib_error *error)
{
    size_t length = strlen(why->message);
    int room = (int)sizeof error->message - 23 - (int)sizeof " " GIB_NO_MORE_PATCHED - (int)length;
    bool ends = length && why->message[length - 1] == '.';
    gib_fail(error, code, why->address, "%.*s cannot be patched: %s%s", room < 16 ? 16 : room,
             site->function, why->message, ends ? "" : ".");
}

int gib_in_no_file(const char *function, uint64_t address, struct gib_error *error)
{
    if (!address)
        return gib_fail(error, GIB_E_FILE, 0,
                        "%.100s has no implementation here: its resolver gives none.", function);
    return gib_fail(error, GIB_E_FILE, address,
                    "%.100s is at 0x%" PRIx64 ", in no file: in the kernel's vDSO, or in code made "
                    "while the program runs; only functions of files can be patched.",
                    function, address);
}

/*
 * A part of a function, into which the rest of it jumps (f.cold), is no function: its caller's
 * return address is not where a thunk puts its frame. The unwind rows tell, also where no symbol
 * does.
 */
static bool is_part(const struct gib_site_state *site)
{
    static const char cold[] = ".cold";
    struct gib_unwind_row *rows;
    struct gib_elf *elf = site->module->elf;
    if (gib_is_entry_only(site->symbol)) /* the PLT jumps to _dl_runtime_resolve in its own way */
        return false;
    const char *suffix = strstr(site->symbol, cold);
    if (suffix && (!suffix[sizeof cold - 1] || suffix[sizeof cold - 1] == '.'))
        return true;
    size_t count = gib_elf_function_rows(elf, site->entry - site->module->bias, &rows);
    bool result = count && ((rows[0].kind == GIB_UNWIND_CFA_RSP && rows[0].cfa_offset != 8) ||
                            rows[0].kind == GIB_UNWIND_CFA_RBP);
    free(rows);
    return result;
}

/* Debuggers that step into a function wait at its body, unseen: it must not be displaced. */
static void keep_body(struct gib_engine *engine, struct gib_process *process,
                      const struct gib_site_state *site, struct gib_entry *entry, uint64_t to,
                      bool for_use)
{
    struct gib_module *module = site->module;
    struct others others = {engine, process, site};
    struct gib_entry kept = *entry;
    struct gib_body body;
    if (gib_elf_body(module->elf, site->entry - module->bias, engine->ops.reads_prologues, &body) &&
        gib_entry_keep(&kept, module->bias, to, body.vaddr, body.behind_frame, is_taken, &others) &&
        (!for_use || gib_stub_place(engine, process, site->address + kept.kept)))
        *entry = kept;
}

struct one_value {
    uint64_t value;
};
static void take_value(const struct gib_elf_symbol *symbol, void *context)
{
    ((struct one_value *)context)->value = symbol->value;
}

/* ld.so calls it for debuggers, which stop there, unseen, to hear of libraries. A detour there
 * would fight with their breakpoint. */
static bool is_debuggers_own(const struct gib_site_state *site)
{
    struct one_value state = {0};
    const struct gib_module *module = site->module;
    return (module->interpreter || module->main) &&
           gib_elf_find(module->elf, "_dl_debug_state", take_value, &state) &&
           module->bias + state.value == site->entry;
}

static int choose_detour(struct gib_engine *engine, struct gib_process *process,
                         struct gib_site_state *site, struct gib_relocation *copy, uint64_t to,
                         struct gib_error *error)
{
    enum { LOOKED_AT = 16 };
    struct gib_entry entry;
    struct gib_error why;
    struct others others = {engine, process, site};
    bool trampoline_at = to != 0;
    struct gib_module *module = site->module;
    if (!module)
        return gib_in_no_file(site->function, site->entry, error);
    if (!module->elf)
        return gib_fail(error, GIB_E_FILE, site->entry, "%.100s is in no file that can be read.",
                        site->function);
    if (is_debuggers_own(site))
        return gib_fail(error, GIB_E_UNSUPPORTED, site->entry,
                        "%.60s is where debuggers stop to hear of libraries; it is left to them.",
                        site->function);
    if (is_part(site))
        return gib_fail(error, GIB_E_UNSUPPORTED, site->entry,
                        "%.100s cannot be patched: it is a part of a function, entered by jumps "
                        "from the rest of it.",
                        site->function);
    if (!to)
        to = module->start - (1 << 20);
    int failed = gib_entry_read(module->elf, site->entry - module->bias, &entry, &why);
    if (failed)
        return gib_fail(error, failed, site->entry, "The bytes at 0x%" PRIx64 " are not in %s.",
                        site->entry, module->path);
    entry.shadow_stacks = process->shadow_stacks;
    site->address = entry.stretch.vaddr + module->bias;
    size_t shown = entry.stretch.size < LOOKED_AT ? entry.stretch.size : LOOKED_AT;
    failed = compare_with_file(engine, process, site, entry.stretch.code, shown, error);
    if (!failed && (failed = gib_entry_choose(&entry, module->bias, to, is_taken, &others, &why)))
        refuse(site, failed, &why, error);
    if (!failed)
        keep_body(engine, process, site, &entry, to, trampoline_at);
    if (!failed && entry.copy.consumed > shown)
        failed = compare_with_file(engine, process, site, entry.stretch.code, entry.copy.consumed,
                                   error);
    if (!failed) {
        take_over(site, &entry);
        *copy = entry.copy;
    }
    gib_entry_free(&entry);
    return failed;
}

int gib_site_plan(struct gib_engine *engine, struct gib_process *process,
                  const struct gib_found *found, const struct gib_patch *patch,
                  struct gib_site_state **out, struct gib_relocation *copy, uint64_t trampoline_at,
                  struct gib_error *error)
{
    struct gib_site_state *site = calloc(1, sizeof *site);
    if (!site || !(site->symbol = strdup(found->name)) ||
        !(site->function = gib_elf_demangle(found->name))) {
        gib_site_free(site);
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    }
    site->entry = site->address = found->address;
    site->module = found->module;
    gib_modules_lock(process->modules);
    int failed = choose_detour(engine, process, site, copy, trampoline_at, error);
    if (!failed) {
        gib_site_study(process, site);
        gib_site_choose_prototype(engine, site, patch);
    }
    gib_modules_unlock(process->modules);
    if (failed) {
        gib_site_free(site);
        return failed;
    }
    *out = site;
    return 0;
}
