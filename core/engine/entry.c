/*
 * entry.c: which bytes of a function a detour replaces. Decided from the file alone.
 *
 *   5 bytes   jmp thunk, over whatever is there: a pad of nops at best
 *   2 bytes   jmp island; the island, in padding nearby, holds the long jump
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "code/x86_64/branches.h"

enum { SHORT_JUMP = 2 };

/* The end of what the file has from vaddr on. */
static uint64_t end_of_file_bytes(struct gib_elf *elf, uint64_t vaddr)
{
    const struct gib_elf_info *info = gib_elf_info(elf);
    for (size_t i = 0; i < info->segment_count; i++)
        if (vaddr - info->segments[i].vaddr < info->segments[i].file_size)
            return info->segments[i].vaddr + info->segments[i].file_size;
    return vaddr;
}

/* Where the function ends. When neither a symbol nor the unwind table says it: at the next label,
 * not far. */
static uint64_t end_of(struct gib_elf *elf, uint64_t vaddr)
{
    enum { UNKNOWN = 256 };
    uint64_t start, end, limit = end_of_file_bytes(elf, vaddr);
    size_t count;
    if (!gib_elf_function_range(elf, vaddr, &start, &end) || end <= vaddr) {
        const struct gib_elf_label *label = gib_elf_labels(elf, vaddr + 1, vaddr + UNKNOWN, &count);
        end = label ? label->vaddr : vaddr + UNKNOWN;
    }
    return end < limit ? end : limit;
}

/* The end of the padding behind a function: up to what anybody names. */
static size_t with_padding(struct gib_elf *elf, uint64_t vaddr, const uint8_t *code, size_t body,
                           size_t size)
{
    size_t count, end = body;
    uint64_t start, limit = vaddr + size, behind;
    const struct gib_elf_label *label = gib_elf_labels(elf, vaddr + body, limit, &count);
    if (label)
        limit = label->vaddr;
    while (vaddr + end < limit) {
        size_t length = gib_padding_length(code + end, size - end);
        if (!length || vaddr + end + length > limit ||
            gib_elf_function_range(elf, vaddr + end, &start, &behind))
            break;
        end += length;
    }
    return end;
}

int gib_entry_read(struct gib_elf *elf, uint64_t entry, struct gib_entry *out,
                   struct gib_error *error)
{
    enum { PADDING = 32 };
    static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    uint8_t first[sizeof endbr64];
    memset(out, 0, sizeof *out);
    out->entry = out->stretch.vaddr = entry;
    out->stretch.elf = elf;
    /* the landing pad stays: indirect calls must still find it */
    if (gib_elf_read(elf, entry, first, sizeof first) == sizeof first &&
        !memcmp(first, endbr64, sizeof endbr64))
        out->stretch.vaddr += sizeof endbr64;
    uint64_t vaddr = out->stretch.vaddr;
    size_t body = (size_t)(end_of(elf, vaddr) - vaddr), wanted = body + PADDING;
    uint8_t *code = malloc(wanted);
    if (!code)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    size_t size = gib_elf_read(elf, vaddr, code, wanted);
    if (!size) {
        free(code);
        return gib_fail(error, GIB_E_FILE, vaddr, "its bytes are not in the file");
    }
    out->stretch.code = code;
    out->stretch.size = size <= body ? size : with_padding(elf, vaddr, code, body, size);
    return 0;
}

void gib_entry_free(struct gib_entry *entry)
{
    free((void *)entry->stretch.code);
    entry->stretch.code = NULL;
}

/*
 * A call must return into the function itself: the copy has no exception handlers, and what
 * unwinds would take it for a thunk.
 */
static int settle_calls(const struct gib_entry *entry, const struct gib_relocation_request *request,
                        struct gib_relocation *copy, struct gib_error *error)
{
    switch (gib_trampoline_return_home(request, copy)) {
    case GIB_CALLS_NONE:
        return 0;
    case GIB_CALLS_HOME:
        return !entry->shadow_stacks
                   ? 0
                   : gib_fail(error, GIB_E_UNSUPPORTED, request->from,
                              "there is a call in its first %zu bytes, which a shadow stack would "
                              "not let return",
                              copy->consumed);
    case GIB_CALLS_INSIDE:
        break;
    }
    return gib_fail(error, GIB_E_UNSUPPORTED, request->from,
                    "a call in its first %zu bytes would return into their copy, through which no "
                    "exception could pass",
                    copy->consumed);
}

static int relocate(struct gib_entry *entry, uint64_t bias, uint64_t to, size_t detour_size,
                    gib_bytes_taken *taken, void *context, struct gib_error *error)
{
    const struct gib_stretch *stretch = &entry->stretch;
    struct gib_relocation_request request = {
        GIB_ARCH_X86_64, stretch->code, stretch->size, stretch->vaddr + bias, to, detour_size};
    struct gib_relocation copy;
    char reason[160];
    int failed = gib_relocate(&request, &copy, error);
    if (failed)
        return failed;
    if (gib_is_entered(stretch, copy.consumed, reason, sizeof reason))
        return gib_fail(error, GIB_E_BRANCH, request.from, "%s", reason);
    if (taken(stretch->vaddr, copy.consumed, context))
        return gib_fail(error, GIB_E_TOO_SHORT, request.from,
                        "another patch has its island in the padding behind it");
    if ((failed = settle_calls(entry, &request, &copy, error)))
        return failed;
    entry->copy = copy;
    entry->kept = 0;
    entry->detour_size = (uint8_t)detour_size;
    return 0;
}

/* Two bytes at the function and the long jump at `island`. */
static int take_island(struct gib_entry *entry, uint64_t island, uint64_t bias, uint64_t to,
                       gib_bytes_taken *taken, void *context)
{
    struct gib_error ignored;
    int failed =
        !island ? GIB_E_NOT_FOUND : relocate(entry, bias, to, SHORT_JUMP, taken, context, &ignored);
    if (failed)
        return failed;
    entry->island = island;
    gib_elf_read(entry->stretch.elf, island, entry->island_original, GIB_DETOUR_SIZE);
    return 0;
}

/* Two to four bytes of nops that a compiler was told to leave at the entry: if it left five more in
 * front of it, nothing has to be displaced. */
static bool is_prepared(const struct gib_entry *entry)
{
    const struct gib_stretch *stretch = &entry->stretch;
    size_t nops = 0, length;
    while (nops < GIB_DETOUR_SIZE && nops < stretch->size && stretch->code[nops] != 0xcc &&
           (length = gib_padding_length(stretch->code + nops, stretch->size - nops)))
        nops += length;
    return nops >= SHORT_JUMP && nops < GIB_DETOUR_SIZE;
}

static uint64_t own_island(const struct gib_entry *entry, gib_bytes_taken *taken, void *context)
{
    const struct gib_stretch *stretch = &entry->stretch;
    uint64_t pad = gib_own_pad(stretch->elf, entry->entry);
    bool reached = pad && stretch->vaddr + SHORT_JUMP - pad <= 128;
    return reached && !taken(pad, GIB_DETOUR_SIZE, context) ? pad : 0;
}

int gib_entry_choose(struct gib_entry *entry, uint64_t bias, uint64_t to, gib_bytes_taken *taken,
                     void *context, struct gib_error *error)
{
    uint64_t island = own_island(entry, taken, context);
    if (is_prepared(entry) && !take_island(entry, island, bias, to, taken, context))
        return 0;
    int failed = relocate(entry, bias, to, GIB_DETOUR_SIZE, taken, context, error);
    if (!failed || failed == GIB_E_RANGE) /* a smaller window has the same first instruction */
        return failed;
    if (!island)
        island = gib_island_near(entry->stretch.elf, entry->stretch.vaddr, taken, context);
    if (!take_island(entry, island, bias, to, taken, context))
        return 0;
    return failed; /* the first reason is the one to tell */
}

static bool keep(struct gib_entry *entry, size_t size, uint64_t bias, uint64_t to,
                 gib_bytes_taken *taken, void *context)
{
    const struct gib_stretch *stretch = &entry->stretch;
    struct gib_entry longer = *entry;
    struct gib_error ignored;
    if (size > GIB_KEPT_MAX || size > stretch->size ||
        !gib_undo_make(stretch->code, size, &longer.undo) ||
        relocate(&longer, bias, to, size + GIB_DETOUR_SIZE, taken, context, &ignored))
        return false;
    *entry = longer;
    entry->detour_size = GIB_DETOUR_SIZE;
    entry->kept = (uint8_t)size;
    return true;
}

bool gib_entry_keep(struct gib_entry *entry, uint64_t bias, uint64_t to, uint64_t body, bool frame,
                    gib_bytes_taken *taken, void *context)
{
    static const uint8_t set_up[] = {0x55, 0x48, 0x89, 0xe5};
    const struct gib_stretch *stretch = &entry->stretch;
    if (entry->island || entry->detour_size != GIB_DETOUR_SIZE || body <= stretch->vaddr)
        return false;
    size_t offset = (size_t)(body - stretch->vaddr);
    if (frame) {
        struct gib_entry shorter = *entry;
        if (stretch->size < sizeof set_up || memcmp(stretch->code, set_up, sizeof set_up) ||
            offset < sizeof set_up)
            return false;
        if (keep(&shorter, sizeof set_up, bias, to, taken, context) &&
            (offset == sizeof set_up || offset >= shorter.copy.consumed)) {
            *entry = shorter;
            return true;
        }
    } else if (offset >= entry->copy.consumed) {
        return false;
    }
    return keep(entry, offset, bias, to, taken, context);
}
