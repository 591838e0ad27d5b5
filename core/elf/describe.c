/* describe.c: the functions, files and lines of an address. */
#include "elf/describe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FRAMES = 32 };

void gib_description_clear(struct gib_description *description)
{
    for (size_t i = 0; i < description->count; i++)
        free(description->frame[i].function);
    if (description->frame != &description->one)
        free(description->frame);
    *description = (struct gib_description){0};
}

/* What the symbols say, which is of the function around all copies. */
static struct gib_frame_text by_symbol(const struct gib_module *module, uint64_t address,
                                       bool is_return)
{
    struct gib_frame_text frame = {.address = address};
    if (!module)
        return frame;
    frame.module = module->name;
    frame.offset = address - module->start;
    uint64_t vaddr = address - module->bias;
    const struct gib_elf_symbol *symbol =
        module->elf ? gib_elf_symbol_at(module->elf, vaddr - is_return) : NULL;
    frame.function = symbol ? gib_elf_demangle(symbol->name) : NULL;
    if (frame.function)
        frame.offset = vaddr - symbol->value;
    return frame;
}

void gib_description_make(struct gib_description *out, const struct gib_module *module,
                          uint64_t address, bool is_return)
{
    struct gib_elf_frame found[MOST_FRAMES];
    struct gib_frame_text around = by_symbol(module, address, is_return);
    size_t count = around.function ? gib_elf_frames(module->elf, address - module->bias - is_return,
                                                    found, MOST_FRAMES)
                                   : 0;
    out->address = address;
    out->is_return = is_return;
    out->count = 1;
    out->frame = count > 1 ? calloc(count, sizeof *out->frame) : NULL;
    if (out->frame)
        out->count = count;
    else
        out->frame = &out->one;
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        if (out->count == 1 && !last) { /* no memory */
            free(found[i].name);
            continue;
        }
        struct gib_frame_text *frame = &out->frame[out->count == 1 ? 0 : i];
        *frame = last ? around
                      : (struct gib_frame_text){.function = found[i].name,
                                                .address = address,
                                                .module = around.module,
                                                .inlined = true};
        frame->file = found[i].file;
        frame->line = found[i].line;
    }
    if (!count)
        out->frame[0] = around;
}

void gib_frame_describe(const struct gib_frame_text *frame, char *out, size_t size)
{
    char plus[32] = "";
    if (frame->offset && !frame->inlined)
        snprintf(plus, sizeof plus, "+0x%" PRIx64, frame->offset);
    if (!frame->module)
        snprintf(out, size, "0x%" PRIx64, frame->address);
    else if (!frame->function && !frame->inlined)
        snprintf(out, size, "0x%" PRIx64 " (%s+0x%" PRIx64 ")", frame->address, frame->module,
                 frame->offset);
    else if (frame->file)
        snprintf(out, size, "%.300s%s (%s:%u)", frame->function ? frame->function : "??", plus,
                 frame->file, frame->line);
    else
        snprintf(out, size, "%.300s%s (%s)", frame->function ? frame->function : "??", plus,
                 frame->module);
}
