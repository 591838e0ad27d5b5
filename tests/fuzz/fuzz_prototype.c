/*
 * The first byte chooses what is fuzzed: a user's declaration against a small store, or a data
 * file, whose every entry is then looked up.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "prototypes/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char small_store[] = "typedef unsigned long size_t;\n"
                                  "typedef unsigned char byte; // bytes\n"
                                  "typedef struct {} div_t; // size=8 align=4 class=INTEGER\n"
                                  "typedef struct stat jmp_buf[1];\n"
                                  "typedef int (*compare_t)(const void *, const void *);\n"
                                  "typedef enum { A = 0, B = -1, C } e_t;\n"
                                  "enum x { X = 3 };\n"
                                  "struct in_addr {}; // size=4 align=4 class=INTEGER\n";

static void parse(struct gib_prototypes *store, const char *text)
{
    struct gib_error error = {.code = 0};
    struct gib_prototype *prototype = NULL;
    if (gib_prototype_parse(store, text, &prototype, &error)) {
        if (prototype || !error.code || !memchr(error.message, 0, sizeof error.message))
            abort();
        return;
    }
    struct gib_prototype *copy = gib_prototype_copy(prototype);
    if (copy->parameter_count != prototype->parameter_count)
        abort();
    gib_prototype_free(prototype);
    gib_prototype_free(copy);
}

static void look_up(void *context, enum gib_entry_kind kind, const char *name, size_t length,
                    const char *line)
{
    struct gib_prototypes *store = context;
    char text[64];
    if (length > 40)
        return;
    if (kind == GIB_ENTRY_FUNCTION) {
        snprintf(text, sizeof text, "%.*s", (int)length, name);
        gib_prototypes_find(store, text);
    } else if (kind != GIB_ENTRY_FLAGS) { /* those are read with the function that has them */
        static const char *const words[] = {"", "", "struct ", "union ", "enum "};
        snprintf(text, sizeof text, "%s%.*s f(void)", words[kind], (int)length, name);
        parse(store, text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    if (data[0] & 1) {
        struct gib_prototypes *store = gib_store_from_text((const char *)data + 1, size - 1);
        gib_store_visit(store, look_up, store);
        gib_prototypes_close(store);
        return 0;
    }
    struct gib_prototypes *store = gib_store_from_text(small_store, sizeof small_store - 1);
    char *text = strndup((const char *)data + 1, size - 1);
    parse(store, text);
    free(text);
    gib_prototypes_close(store);
    return 0;
}
