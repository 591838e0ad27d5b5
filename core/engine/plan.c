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
    free(site->function);
    gib_prototype_free(site->prototype);
    free(site);
}

/* The user's word first, then debug information, then the shipped declarations, which describe
 * functions that C programs export. */
void gib_site_choose_prototype(struct gib_engine *engine, struct gib_site_state *site,
                               const struct gib_patch *patch)
{
    const struct gib_prototype *shipped = gib_prototypes_find(engine->prototypes, site->function);
    struct gib_prototype *chosen = NULL;
    if (patch && patch->prototype)
        chosen = gib_prototype_copy(patch->prototype);
    if (!chosen && site->module && site->module->elf)
        chosen = gib_elf_prototype(site->module->elf, site->entry - site->module->bias);
    if (!chosen && shipped)
        chosen = gib_prototype_copy(shipped);
    /* How it fails and what its dots mean is in no debug information. */
    if (chosen && shipped && chosen->failure == GIB_FAILURE_NONE)
        chosen->failure = shipped->failure;
    if (chosen && shipped && chosen->variadic == GIB_VARIADIC_UNKNOWN &&
        shipped->parameter_count == chosen->parameter_count)
        chosen->variadic = shipped->variadic;
    gib_prototype_free(site->prototype);
    site->prototype = chosen;
    gib_convention_make(chosen, &site->convention);
    gib_convention_adjust(&site->convention, &site->stack_use, chosen && !chosen->unspecified);
}

/* The function from the detour's place on, from the file, and the padding behind it. *bytes is
 * malloc'ed. */
static int read_function(struct gib_engine *engine, struct gib_site_state *site, uint8_t **bytes,
                         size_t *size, struct gib_error *error)
{
    enum { UNKNOWN = 256, PADDING = 32, LONGEST = 1 << 20 };
    struct gib_module *module = site->module;
    uint64_t vaddr = site->address - module->bias, start, end;
    bool known = gib_elf_function_range(module->elf, vaddr, &start, &end) && end > vaddr;
    if (!known)
        end = vaddr + UNKNOWN;
    if (end - vaddr > LONGEST)
        end = vaddr + LONGEST;
    size_t wanted = (size_t)(end - vaddr) + PADDING;
    *bytes = malloc(wanted);
    if (!*bytes)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    *size = gib_elf_read(module->elf, vaddr, *bytes, wanted);
    size_t body = (size_t)(end - vaddr);
    if (*size <= body)
        return *size ? 0
                     : gib_fail(error, GIB_E_FILE, site->address,
                                "The bytes at 0x%" PRIx64 " are not in %s.", site->address,
                                module->path);
    /* Padding belongs to nobody up to the next function, as long as it is nothing but padding. */
    size_t limit = *size;
    *size = body;
    while (known && *size < limit && !gib_elf_symbol_at(module->elf, vaddr + *size)) {
        static const uint8_t nop_bytes[] = {0x90, 0xcc, 0x00};
        if (!memchr(nop_bytes, (*bytes)[*size], sizeof nop_bytes))
            break;
        ++*size;
    }
    return 0;
}

static int compare_with_file(struct gib_engine *engine, struct gib_site_state *site,
                             const uint8_t *file, size_t size, struct gib_error *error)
{
    uint8_t memory[16];
    size_t n = size < sizeof memory ? size : sizeof memory;
    int failed = gib_read(engine, site->address, memory, n, error);
    if (failed || !memcmp(memory, file, n))
        return failed;
    char now[40] = "", then[40] = "";
    for (size_t i = 0; i < n && i < 8; i++) {
        snprintf(now + 3 * i, sizeof now - 3 * i, "%02x ", memory[i]);
        snprintf(then + 3 * i, sizeof then - 3 * i, "%02x ", file[i]);
    }
    return gib_fail(
        error, GIB_E_CHANGED, site->address,
        "%.60s at 0x%" PRIx64
        " holds %sbut %s has %sthere: another tool has patched it, or the file was rebuilt.",
        site->function, site->address, now, site->module->name, then);
}

static int relocate(struct gib_site_state *site, const uint8_t *code, size_t size, uint64_t to,
                    struct gib_relocation *copy, struct gib_error *error)
{
    struct gib_relocation_request request = {GIB_ARCH_X86_64, code, size,
                                             site->address,   to,   site->detour_size};
    struct gib_error why;
    int failed = gib_relocate(&request, copy, &why);
    if (failed)
        return gib_fail(error, failed, why.address, "%.60s cannot be patched: %.180s",
                        site->function, why.message);
    if (gib_entered_elsewhere(site->module->elf, site->address - site->module->bias,
                              (uint32_t)copy->consumed))
        return gib_fail(error, GIB_E_BRANCH, site->address,
                        "%.60s cannot be patched: code of another function jumps into the first "
                        "%zu bytes at 0x%" PRIx64 ".",
                        site->function, copy->consumed, site->address);
    site->has_call = !gib_trampoline_return_home(&request, copy);
    site->consumed = (uint32_t)copy->consumed;
    site->boundaries = copy->boundaries;
    memcpy(site->boundary, copy->boundary, sizeof site->boundary);
    memcpy(site->original, code, site->detour_size);
    return 0;
}

struct islands {
    const struct gib_process *process;
    uint64_t bias;
};
static bool island_taken(uint64_t vaddr, void *context)
{
    const struct islands *islands = context;
    uint64_t address = vaddr + islands->bias;
    for (uint32_t i = 0; i < islands->process->site_count; i++) {
        const struct gib_site_state *site = islands->process->site[i];
        if (site->installed && site->island < address + GIB_DETOUR_SIZE &&
            address < site->island + GIB_DETOUR_SIZE)
            return true;
        if (site->installed && site->address < address + GIB_DETOUR_SIZE &&
            address < site->address + site->consumed)
            return true;
    }
    return false;
}

/* Five bytes if they are free of others' jumps, else two and an island. */
static int choose_detour(struct gib_process *process, struct gib_site_state *site,
                         const uint8_t *code, size_t size, uint64_t to, struct gib_relocation *copy,
                         struct gib_error *error)
{
    site->detour_size = GIB_DETOUR_SIZE;
    int failed = relocate(site, code, size, to, copy, error);
    if (failed != GIB_E_BRANCH && failed != GIB_E_TOO_SHORT)
        return failed;
    struct islands islands = {process, site->module->bias};
    uint64_t island = gib_island_near(site->module->elf, site->address - site->module->bias,
                                      island_taken, &islands);
    struct gib_error why;
    site->detour_size = 2;
    if (!island || relocate(site, code, size, to, copy, &why))
        return failed; /* the first reason is the one to tell */
    site->island = island + site->module->bias;
    gib_elf_read(site->module->elf, island, site->island_original, GIB_DETOUR_SIZE);
    return 0;
}

int gib_site_plan(struct gib_engine *engine, struct gib_process *process,
                  const struct gib_found *found, const struct gib_patch *patch,
                  struct gib_site_state **out, struct gib_relocation *copy, uint64_t trampoline_at,
                  struct gib_error *error)
{
    static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    struct gib_site_state *site = calloc(1, sizeof *site);
    if (!site || !(site->function = strdup(found->name))) {
        free(site);
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    }
    site->entry = site->address = found->address;
    site->module = found->module;
    uint8_t *code = NULL, entry[4];
    size_t size = 0;
    gib_modules_lock(process->modules);
    int failed = 0;
    if (!site->module || !site->module->elf)
        failed = gib_fail(error, GIB_E_FILE, site->entry, "%.100s is in no file that can be read.",
                          found->name);
    else if (gib_elf_read(site->module->elf, site->entry - site->module->bias, entry, 4) == 4 &&
             !memcmp(entry, endbr64, 4))
        site->address += 4; /* the landing pad stays: indirect calls must still find it */
    if (!failed && !(failed = read_function(engine, site, &code, &size, error)) &&
        !(failed = compare_with_file(engine, site, code, size, error)))
        failed = choose_detour(process, site, code, size,
                               trampoline_at ? trampoline_at : site->module->start - (1 << 20),
                               copy, error);
    if (!failed) {
        gib_site_study(process, site);
        gib_site_choose_prototype(engine, site, patch);
    }
    gib_modules_unlock(process->modules);
    free(code);
    if (failed) {
        gib_site_free(site);
        return failed;
    }
    *out = site;
    return 0;
}
