/* query.c: questions of scripts: which patches there are, whether a function is patched, where its
 * original is. */
#include "command/command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Without what separates fields and lines. */
static void write_field(FILE *out, const char *text)
{
    for (; text && *text; text++)
        fputc(*text == '\t' || *text == '\n' ? ' ' : *text, out);
}

char *gib_patch_line(struct gib_engine *engine, const struct gib_patch *patch)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    struct gib_site_state *site;
    size_t sites = gib_patch_sites(engine, patch, &site);
    const char *state = !patch->enabled || patch->spent ? "disabled" : sites ? "active" : "pending";
    fprintf(out, "%d\t%s\t%s\t%" PRIu64 "\t%zu\t%" PRIx64 "\t", patch->number,
            gib_patch_verb(patch), state, gib_patch_calls(engine, patch, NULL), sites,
            sites ? site->entry : 0);
    write_field(out, patch->location.text);
    fputc('\t', out);
    write_field(out, patch->type == GIB_PATCH_MOCK ? patch->value
                     : patch->library              ? patch->library
                                                   : patch->with.text);
    fputc('\t', out);
    write_field(out, patch->options + strspn(patch->options, " "));
    if (patch->condition_text) {
        fputs(*patch->options ? " if " : "if ", out);
        write_field(out, patch->condition_text);
    }
    fclose(out);
    return text;
}

const char *gib_engine_patches(struct gib_engine *engine)
{
    char *text = NULL;
    size_t size;
    pthread_mutex_lock(&engine->lock);
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; out && i < engine->patch_count; i++) {
        char *line = engine->patch[i]->number ? gib_patch_line(engine, engine->patch[i]) : NULL;
        if (line)
            fprintf(out, "%s%s", ftell(out) ? "\n" : "", line);
        free(line);
    }
    if (out)
        fclose(out);
    free(engine->reply);
    engine->reply = text;
    pthread_mutex_unlock(&engine->lock);
    return text ? text : "";
}

void gib_engine_drop(struct gib_engine *engine, int number)
{
    pthread_mutex_lock(&engine->lock);
    gib_hold_interrupts();
    struct gib_patch *patch = gib_patch_find(engine, number);
    if (patch)
        gib_patch_drop(engine, patch);
    gib_check_breakpoints(engine);
    gib_let_interrupts();
    pthread_mutex_unlock(&engine->lock);
    gib_tell_news(engine);
}

/* The functions of a location; none without an error when there is no process. */
static int find(struct gib_engine *engine, const char *location, struct gib_found_list *found,
                struct gib_error *error)
{
    struct gib_patch probe = {0};
    struct gib_process *process;
    *found = (struct gib_found_list){NULL, 0};
    int failed = gib_location_parse(location, &probe.location, error);
    if (!failed)
        failed = gib_process_ready(engine, &process, error);
    if (!failed && process)
        failed = gib_location_resolve(engine, &probe, 0, found, error);
    if (!failed && process && !found->count) {
        char *sentence = gib_not_found(engine, &probe.location);
        failed = gib_fail(error, GIB_E_NOT_FOUND, 0, "%s", sentence ? sentence : "Not found.");
        free(sentence);
    }
    gib_location_free(&probe.location);
    return failed;
}

/* The site whose detour is in memory at this address, or NULL. */
static const struct gib_site_state *in_memory(struct gib_engine *engine, uint64_t address)
{
    const struct gib_site_state *site =
        engine->process->installed ? gib_site_at(engine->process, address) : NULL;
    if (!site || !site->installed)
        return NULL;
    gib_begin_change(engine);
    enum gib_bytes_of whose = gib_site_bytes(engine, site);
    gib_end_change(engine);
    return whose == GIB_BYTES_OURS ? site : NULL;
}

int gib_engine_patched(struct gib_engine *engine, const char *location, struct gib_error *error)
{
    struct gib_found_list found;
    pthread_mutex_lock(&engine->lock);
    gib_hold_interrupts();
    int answer = find(engine, location, &found, error) ? -1 : 0;
    for (size_t i = 0; i < found.count && !answer; i++)
        answer = !found.item[i].resolver && in_memory(engine, found.item[i].address);
    gib_found_free(&found);
    if (answer < 0)
        gib_error_clean(error);
    gib_let_interrupts();
    pthread_mutex_unlock(&engine->lock);
    return answer;
}

uint64_t gib_engine_original(struct gib_engine *engine, const char *location, uint64_t *entry,
                             struct gib_error *error)
{
    struct gib_found_list found;
    uint64_t address = 0;
    pthread_mutex_lock(&engine->lock);
    gib_hold_interrupts();
    int failed = find(engine, location, &found, error);
    if (!failed && !engine->process)
        failed = gib_fail(error, GIB_E_STATE, 0, "The program is not being run.");
    if (!failed && found.count > 1)
        failed = gib_fail(error, GIB_E_AMBIGUOUS, 0,
                          "\"%.80s\" means %zu functions; one is needed: MODULE!FUNCTION.",
                          location, found.count);
    if (!failed && found.item[0].resolver)
        failed =
            gib_fail(error, GIB_E_STATE, 0,
                     "%.80s chooses its implementation when its library is relocated.", location);
    if (!failed) {
        const struct gib_site_state *site = in_memory(engine, found.item[0].address);
        *entry = found.item[0].address;
        address = site ? site->trampoline : *entry;
    } else {
        gib_error_clean(error);
    }
    gib_found_free(&found);
    gib_let_interrupts();
    pthread_mutex_unlock(&engine->lock);
    return address;
}
