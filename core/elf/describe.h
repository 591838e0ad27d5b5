/* describe.h: what is known of an address, kept by modules.c. */
#ifndef GIBBON_DESCRIBE_H
#define GIBBON_DESCRIBE_H

#include "elf/modules.h"

struct gib_description {
    uint64_t address;
    bool is_return;
    size_t count; /* 0: nothing is kept here */
    struct gib_frame_text *frame;
    struct gib_frame_text one; /* most have one only */
};

/* `out` is clear; `module` is what is mapped at the address, or NULL. */
void gib_description_make(struct gib_description *out, const struct gib_module *module,
                          uint64_t address, bool is_return);
void gib_description_clear(struct gib_description *description);

#endif
