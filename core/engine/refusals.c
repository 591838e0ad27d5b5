/* refusals.c: functions that a patch could not be put on, and why. */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

void gib_refusals_add(struct gib_refusals *list, const struct gib_found *found,
                      const struct gib_error *why)
{
    struct gib_refusal *grown = list->item;
    if ((list->count & (list->count - 1)) == 0)
        grown = realloc(list->item, (list->count ? list->count * 2 : 1) * sizeof *grown);
    if (!grown)
        return;
    list->item = grown;
    char *message = strdup(why->message);
    if (message)
        list->item[list->count++] =
            (struct gib_refusal){found->module, found->address, why->code, message};
}

void gib_refusals_drop_gone(struct gib_refusals *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->item[i].module && list->item[i].module->gone)
            free(list->item[i].message);
        else
            list->item[kept++] = list->item[i];
    }
    list->count = kept;
}

void gib_refusals_free(struct gib_refusals *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->item[i].message);
    free(list->item);
    *list = (struct gib_refusals){NULL, 0};
}
