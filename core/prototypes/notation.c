/* Which integers people write otherwise than in decimal: modes in octal, flags by their names. C's
 * types do not tell; the data files do. */
#include <stdlib.h>
#include <string.h>
#include "prototypes/internal.h"

/* Makes an integer one that is written with the names of a set. */
static int set_names(struct gib_prototypes *store, struct gib_type *type, const char *set,
                     size_t length)
{
    const char *line = gib_store_line(store, GIB_ENTRY_FLAGS, set, length);
    const char *body = line ? strchr(line, '{') : NULL,
               *field = line ? strstr(line, "field=") : NULL;
    if (!body || type->kind != GIB_TYPE_INT || type->size > 8 || type->enumerator_count)
        return 0;
    type->notation = GIB_NOTATION_NAMES;
    type->field = field ? strtoull(field + 6, NULL, 0) : 0;
    return gib_read_enumerators(body + 1, type);
}

bool gib_annotate_parameter(struct gib_prototypes *store, struct gib_prototype *prototype,
                            const char *word, size_t length, int *code)
{
    const char *equals = memchr(word, '=', length);
    *code = 0;
    if (!equals)
        return false;
    size_t name = (size_t)(equals - word);
    const char *set = equals + 1;
    for (size_t i = 0; i < prototype->parameter_count && !*code; i++) {
        struct gib_parameter *parameter = &prototype->parameters[i];
        if (parameter->name && strlen(parameter->name) == name &&
            !memcmp(parameter->name, word, name))
            *code = set_names(store, &parameter->type, set, length - name - 1);
    }
    return true;
}

/* A type of debug information that has the name of a shipped typedef. */
static void annotate_by_name(struct gib_prototypes *store, struct gib_type *type)
{
    char text[80];
    struct gib_prototype *known;
    if (type->kind != GIB_TYPE_INT || type->notation || !type->name || strlen(type->name) > 60 ||
        !gib_store_line(store, GIB_ENTRY_TYPEDEF, type->name, strlen(type->name)))
        return;
    snprintf(text, sizeof text, "%s f(void)", type->name);
    if (gib_prototype_parse(store, text, &known, NULL))
        return;
    if (known->result.kind == GIB_TYPE_INT && known->result.size == type->size &&
        known->result.notation == GIB_NOTATION_OCTAL)
        type->notation = GIB_NOTATION_OCTAL;
    gib_prototype_free(known);
}

static void annotate_like(struct gib_type *type, const struct gib_type *shipped)
{
    if (type->kind != GIB_TYPE_INT || type->notation || shipped->kind != GIB_TYPE_INT ||
        type->size != shipped->size || shipped->notation != GIB_NOTATION_NAMES)
        return;
    if (!gib_copy_enumerators(type, shipped))
        return; /* out of memory: a number, then */
    type->notation = shipped->notation;
    type->field = shipped->field;
}

void gib_prototypes_annotate(struct gib_prototypes *store, struct gib_prototype *prototype,
                             const struct gib_prototype *shipped)
{
    bool alike = shipped && shipped->parameter_count == prototype->parameter_count;
    for (size_t i = 0; i < prototype->parameter_count; i++) {
        if (alike)
            annotate_like(&prototype->parameters[i].type, &shipped->parameters[i].type);
        annotate_by_name(store, &prototype->parameters[i].type);
    }
    annotate_by_name(store, &prototype->result);
}
