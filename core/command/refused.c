/* refused.c: functions that are not patched, told by reason: there may be thousands. */
#include "command/command.h"

#include <stdlib.h>
#include <string.h>

static const char *reason(int code)
{
    switch (code) {
    case GIB_E_TOO_SHORT:
        return "too short";
    case GIB_E_BRANCH:
        return "entered behind the first byte";
    case GIB_E_DECODE:
        return "with unknown instructions";
    case GIB_E_UNSUPPORTED:
        return "with instructions that work in their place only";
    case GIB_E_CALL:
        return "with calls that cannot be passed to a handler";
    case GIB_E_RANGE:
        return "too far from what they refer to";
    case GIB_E_SPACE:
        return "without room for their thunk";
    case GIB_E_STATE:
        return "patched in another way";
    case GIB_E_BUSY:
        return "in use by a thread";
    case GIB_E_NOT_FOUND:
        return "without a namesake";
    case GIB_E_CHANGED:
        return "not as in their file";
    case GIB_E_SYNTAX:
        return "of other types than the condition asks for";
    case GIB_E_FILE:
        return "in no file";
    default:
        return "unreadable or out of memory";
    }
}

static int by_reason(const void *a, const void *b)
{
    const struct gib_refusal *x = *(const struct gib_refusal *const *)a,
                             *y = *(const struct gib_refusal *const *)b;
    if (x->code != y->code)
        return x->code < y->code ? -1 : 1;
    return x < y ? -1 : x > y; /* in the order in which they were found */
}

static const struct gib_refusal **sort(const struct gib_refusals *list)
{
    const struct gib_refusal **sorted = calloc(list->count + 1, sizeof *sorted);
    if (!sorted)
        return NULL;
    for (size_t i = 0; i < list->count; i++)
        sorted[i] = &list->item[i];
    qsort(sorted, list->count, sizeof *sorted, by_reason);
    return sorted;
}

/* How many from `first` on have its reason. */
static size_t group(const struct gib_refusal **sorted, size_t first, size_t count)
{
    size_t last = first;
    while (last < count && sorted[last]->code == sorted[first]->code)
        last++;
    return last - first;
}

void gib_show_refusals(struct gib_engine *engine, const struct gib_refusals *list,
                       const char *indent, size_t most)
{
    const struct gib_refusal **sorted = sort(list);
    for (size_t first = 0, size; sorted && first < list->count; first += size) {
        size = group(sorted, first, list->count);
        gib_print(engine, "%s%zu %s:\n", indent, size, reason(sorted[first]->code));
        for (size_t i = 0; i < size && i < most; i++)
            gib_print(engine, "%s  %s\n", indent, sorted[first + i]->message);
        if (size > most)
            gib_print(engine, "%s  and %zu more\n", indent, size - most);
    }
    free(sorted);
}

void gib_summarize_refusals(struct gib_engine *engine, const struct gib_patch *patch,
                            const char *indent)
{
    const struct gib_refusals *list = &patch->refused;
    if (list->count == 1)
        gib_print(engine, "%s1 refused: %s\n", indent, list->item[0].message);
    if (list->count < 2)
        return;
    const struct gib_refusal **sorted = sort(list);
    char *text = NULL;
    size_t size;
    FILE *out = sorted ? open_memstream(&text, &size) : NULL;
    for (size_t first = 0, n; out && first < list->count; first += n) {
        n = group(sorted, first, list->count);
        fprintf(out, "%s%zu %s", first ? ", " : "", n, reason(sorted[first]->code));
    }
    if (out)
        fclose(out);
    gib_print(engine, "%s%zu refused: %s; \"gibbon list %d\" names them.\n", indent, list->count,
              text ? text : "", patch->number);
    free(text);
    free(sorted);
}

void gib_show_delay(struct gib_engine *engine, const struct gib_patch *patch, const char *indent)
{
    bool waits = patch->delay.code == GIB_E_WAITING;
    if (patch->delayed)
        gib_print(engine, "%s%zu %s: %s\n", indent, patch->delayed,
                  waits ? "waiting" : "delayed, tried again at each stop", patch->delay.message);
}
