/* explain.c: what a patch would do, and what it would not see. Changes nothing. */
#include "command/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "code/x86_64/disassemble.h"

static const char *prototype_source(struct gib_engine *engine, const struct gib_site_state *site)
{
    if (!site->prototype)
        return "none is known: four integer registers are recorded; -prototype gives one";
    uint64_t vaddr = site->entry - site->module->bias;
    gib_modules_lock(engine->process->modules);
    struct gib_prototype *debug = gib_elf_prototype(site->module->elf, vaddr);
    gib_modules_unlock(engine->process->modules);
    gib_prototype_free(debug);
    return debug ? "from debug information" : "from Gibbon's list of libc functions";
}

/* "char *" and what it is of: no blank behind the star. */
static void write_declared(FILE *out, const struct gib_type *type, const char *name)
{
    const char *text = type->name ? type->name : "?";
    size_t length = strlen(text);
    bool star = length && strchr("*&", text[length - 1]);
    fprintf(out, "%s%s%s", text, name && !star ? " " : "", name ? name : "");
}

static void show_prototype(struct gib_engine *engine, const struct gib_site_state *site)
{
    const struct gib_prototype *p = site->prototype;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    if (p) {
        char *name = gib_elf_function_name(site->symbol); /* without its parameters */
        write_declared(out, &p->result, name ? name : site->symbol);
        fputc('(', out);
        free(name);
        for (size_t i = 0; i < p->parameter_count; i++) {
            fputs(i ? ", " : "", out);
            write_declared(out, &p->parameters[i].type, p->parameters[i].name);
        }
        fprintf(out, "%s), ",
                p->variadic != GIB_VARIADIC_NO ? p->parameter_count ? ", ..." : "..."
                : p->parameter_count           ? ""
                                               : "void");
    }
    fclose(out);
    gib_print(engine, "  prototype: %s%s\n", text, prototype_source(engine, site));
    free(text);
}

/* As many names as there is room for, C++ ones demangled. */
static void add_name(char *list, size_t size, const char *symbol)
{
    char *name = gib_elf_demangle(symbol);
    if (name && strlen(list) + strlen(name) + 3 < size)
        strcat(strcat(list, *list ? ", " : ""), name);
    free(name);
}

/* Other names and versions of the same code see the same patch. */
static void show_aliases(struct gib_engine *engine, const struct gib_site_state *site)
{
    const struct gib_elf_symbol *symbols;
    char list[200] = "";
    gib_modules_lock(engine->process->modules);
    size_t count = gib_elf_functions(site->module->elf, &symbols);
    for (size_t i = 0; i < count; i++) {
        if (symbols[i].value + site->module->bias != site->entry || symbols[i].ifunc ||
            !strcmp(symbols[i].name, site->symbol))
            continue;
        add_name(list, sizeof list, symbols[i].name);
    }
    gib_modules_unlock(engine->process->modules);
    if (*list)
        gib_print(engine, "  also seen: calls by its other names, %s\n", list);
}

static void show_site(struct gib_engine *engine, const struct gib_site_state *site,
                      const struct gib_relocation *copy, const struct gib_found_list *found)
{
    uint8_t bytes[160];
    char text[128];
    struct gib_error ignored;
    size_t size = site->consumed < sizeof bytes ? site->consumed : sizeof bytes;
    gib_print(engine, "%s at 0x%016" PRIx64 " in %s\n", site->function, site->entry,
              site->module->path);
    if (site->address != site->entry)
        gib_print(engine, "  0x%016" PRIx64 "  endbr64 stays\n", site->entry);
    gib_print(engine, "  detour: %d bytes at 0x%016" PRIx64 "; displaced, %u bytes:\n",
              site->detour_size, gib_site_detour(site), site->consumed);
    if (gib_read(engine, site->address, bytes, size, &ignored))
        size = 0;
    for (size_t i = 0; i + 1 < site->boundaries && site->boundary[i].original < size; i++) {
        size_t at = site->boundary[i].original;
        if (gib_disassemble(bytes + at, size - at, site->address + at, text, sizeof text))
            gib_print(engine, "    0x%016" PRIx64 "  %s\n", site->address + at, text);
    }
    if (site->island)
        gib_print(engine, "  island: %d bytes of padding at 0x%016" PRIx64 " hold the long jump\n",
                  GIB_DETOUR_SIZE, site->island);
    gib_print(engine, "  copy: %zu bytes%s\n", copy->size,
              copy->falls_through ? ", and back" : "; the function ends in it");
    show_prototype(engine, site);
    if (gib_site_entry_only(site))
        gib_print(engine,
                  "  only entries are seen: %s returns twice, never, or looks at its caller\n",
                  site->function);
    show_aliases(engine, site);
    gib_explain_references(engine, site, found);
}

static void show_patch(struct gib_engine *engine, const struct gib_patch *patch)
{
    char *name = patch->number ? NULL : gib_patch_name(engine, patch);
    if (name)
        gib_print(engine, " %s", name);
    else
        gib_print(engine, " patch %d", patch->number);
    free(name);
}

static void explain_one(struct gib_engine *engine, struct gib_patch *patch,
                        const struct gib_found_list *all, const struct gib_found *found)
{
    struct gib_site_state *site;
    struct gib_relocation copy;
    struct gib_error why;
    for (uint32_t i = 0; i < engine->process->site_count; i++) {
        const struct gib_site_state *known = engine->process->site[i];
        if (!known->installed || known->entry != found->address)
            continue;
        gib_print(engine, "%s at 0x%016" PRIx64 " in %s is patched already:", known->function,
                  known->entry, known->module->path);
        for (size_t k = 0; k < engine->patch_count; k++)
            if (gib_site_link_of(known, engine->patch[k], NULL))
                show_patch(engine, engine->patch[k]);
        gib_print(engine, "\n");
        if (!known->internal)
            gib_explain_references(engine, known, all);
        return;
    }
    if (found->resolver) {
        char *name = gib_elf_demangle(found->name);
        gib_print(engine,
                  "%s in %s chooses its implementation when the library is relocated; the patch "
                  "will go there.\n",
                  name ? name : found->name, found->module->path);
        free(name);
    } else if (gib_site_plan(engine, engine->process, found, patch, &site, &copy, 0, &why)) {
        gib_print(engine, "%s\n", why.message);
    } else {
        show_site(engine, site, &copy, all);
        gib_site_free(site);
    }
}

int gib_command_explain(struct gib_engine *engine, const struct gib_arguments *arguments,
                        struct gib_error *error)
{
    enum { ONE_BY_ONE = 8 };
    struct gib_patch patch = {0};
    struct gib_found_list found;
    struct gib_process *process;
    if (arguments->words != 1)
        return gib_fail(error, GIB_E_SYNTAX, 0,
                        "\"gibbon explain\" needs one location: gibbon explain mkdtemp.");
    int failed = gib_process_ready(engine, &process, error);
    if (!failed && !process)
        failed = gib_fail(error, GIB_E_STATE, 0,
                          "The program is not being run; explain looks at loaded modules.");
    if (failed || (failed = gib_location_parse(arguments->word[0], &patch.location, error)))
        return failed;
    failed = gib_location_resolve(engine, &patch, 0, &found, error);
    if (!failed && !found.count) {
        char *sentence = gib_not_found(engine, &patch.location);
        failed =
            gib_fail(error, GIB_E_NOT_FOUND, 0, "%s", sentence ? sentence : "Function not found.");
        free(sentence);
    }
    if (!failed && found.count > ONE_BY_ONE)
        failed = gib_preview(engine, &patch, &found, error);
    for (size_t i = 0; i < found.count && found.count <= ONE_BY_ONE && !failed; i++)
        explain_one(engine, &patch, &found, &found.item[i]);
    gib_found_free(&found);
    gib_location_free(&patch.location);
    return failed;
}
