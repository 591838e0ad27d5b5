/*
 * describe.c: tells the debugger what the code is that Gibbon has put into the target.
 *
 * Thunks, trampolines and the agent are in memory that no file backs. A symbol file describes them:
 * names, call frames, and for trampolines the source lines of the instructions they hold. It is
 * made when the user can look, for all that came since the last one; a run that never stops makes
 * none.
 */
#include "engine/internal.h"

#include <dwarf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "symbols/symbols.h"
#include "symbols/thunk_rows.h"

extern const uint8_t gib_agent_elf_start[], gib_agent_elf_end[];
extern const uint8_t gib_agent_image_start[];

enum { MOST_CALLS = 8 }; /* of the original, from one thunk; it has up to three */

/* The arenas as we have written them; the target cannot write there. */
static const uint8_t *bytes_at(const struct gib_process *process, uint64_t address, size_t size)
{
    for (uint32_t i = 0; i < process->arena_count; i++) {
        const struct gib_arena *arena = &process->arena[i];
        if (address >= arena->start && address + size <= arena->start + GIB_ARENA_SIZE)
            return (const uint8_t *)process->shared + arena->offset + (address - arena->start);
    }
    return NULL;
}

void gib_code_made(struct gib_process *process, const struct gib_site_state *site, uint64_t address,
                   size_t size, enum gib_made_kind kind)
{
    if ((process->code_count & (process->code_count - 1)) == 0) {
        size_t room = process->code_count ? 2 * process->code_count : 1;
        struct gib_made_code *grown = realloc(process->code, room * sizeof *grown);
        if (!grown)
            return; /* it has no name then */
        process->code = grown;
    }
    const uint8_t *code = kind == GIB_MADE_THUNK ? bytes_at(process, address, size) : NULL;
    uint32_t frame = (uint32_t)(code ? gib_thunk_frame(code, size) : size);
    process->code[process->code_count++] =
        (struct gib_made_code){address, (uint32_t)size, frame, site->index, kind};
}

/* The lines of the original instructions, for their copies. */
static size_t lines_of(const struct gib_site_state *site, struct gib_code_line *lines)
{
    size_t count = 0;
    for (size_t i = 0; i + 1 < site->boundaries; i++) {
        struct gib_elf_place place;
        if (!gib_elf_place(site->module->elf,
                           site->address + site->boundary[i].original - site->module->bias, &place))
            continue;
        const struct gib_code_line *last = count ? &lines[count - 1] : NULL;
        if (!last || last->line != place.line || last->column != place.column ||
            last->file != place.path)
            lines[count++] = (struct gib_code_line){site->boundary[i].copy, place.path, place.line,
                                                    place.column};
    }
    return count;
}

static void describe_trampoline(struct gib_symbols *symbols, const struct gib_site_state *site,
                                struct gib_code *code, bool with_lines)
{
    struct gib_code_line lines[sizeof site->boundary / sizeof *site->boundary];
    struct gib_cfi cfi = {{0}, {0}};
    struct gib_buffer parameters = {0}, frame_base = {0};
    if (site->module->elf) {
        if (gib_elf_cfi_copy(site->module->elf, site->address - site->module->bias, site->boundary,
                             site->boundaries, code->bytes, &cfi)) {
            code->cie = &cfi.cie;
            code->fde = &cfi.fde;
        }
        code->lines = lines;
        code->line_count = with_lines ? lines_of(site, lines) : 0;
        uint64_t bias = site->module->bias;
        if (code->line_count &&
            gib_elf_copy_parameters(site->module->elf, site->entry - bias, site->address - bias,
                                    site->boundary, site->boundaries, code->address, code->size,
                                    gib_symbols_copies(symbols), &parameters, &frame_base)) {
            code->parameters = &parameters;
            code->frame_base = &frame_base;
        }
    }
    gib_symbols_add(symbols, code);
    gib_cfi_free(&cfi);
    gib_buffer_free(&parameters);
    gib_buffer_free(&frame_base);
}

/* Of a thunk's calls, those of thunks and trampolines. */
static size_t calls_of_code(const struct gib_process *process, const struct gib_thunk_shape *shape,
                            const struct gib_code *code, uint32_t found[MOST_CALLS])
{
    const uint32_t *at = (const uint32_t *)shape->calls.bytes;
    size_t count = 0;
    for (size_t i = 0; i < shape->calls.size / sizeof *at && count < MOST_CALLS; i++) {
        int32_t distance;
        memcpy(&distance, code->bytes + at[i] + 1, sizeof distance);
        if (bytes_at(process, code->address + at[i] + GIB_CALL_SIZE + (uint64_t)(int64_t)distance,
                     1))
            found[count++] = at[i];
    }
    return count;
}

static void describe_thunk(const struct gib_process *process, struct gib_symbols *symbols,
                           struct gib_thunk_shapes *shapes, const struct gib_buffer *cie,
                           struct gib_code *code)
{
    const struct gib_thunk_shape *shape = gib_thunk_rows(shapes, code->bytes, code->size);
    uint32_t calls[MOST_CALLS];
    if (shape) {
        code->cie = cie;
        code->fde = &shape->fde;
        if (code->stepped) {
            code->calls = calls;
            code->call_count = calls_of_code(process, shape, code, calls);
        }
    }
    gib_symbols_add(symbols, code);
}

/* On the way from a detour behind kept instructions to the thunk: the stub, where nothing is undone
 * yet, and what undoes it. */
static void describe_undoing(struct gib_symbols *symbols, const struct gib_buffer *cie,
                             const struct gib_undo *undo, bool is_stub, struct gib_code *code)
{
    enum { RBP = 6, RSP = 7 };
    struct gib_buffer fde = {0};
    for (size_t i = 0; i < (is_stub ? 1 : undo->steps); i++) {
        if (undo->step[i].at == undo->size)
            break;
        if (i)
            gib_put_fixed(&fde, DW_CFA_advance_loc | (undo->step[i].at - undo->step[i - 1].at), 1);
        gib_put_fixed(&fde, DW_CFA_def_cfa, 1);
        gib_put_uleb(&fde, RSP);
        gib_put_uleb(&fde, undo->step[i].depth);
        if (undo->step[i].rbp_at) {
            gib_put_fixed(&fde, DW_CFA_offset | RBP, 1);
            gib_put_uleb(&fde, undo->step[i].rbp_at / 8);
        } else {
            gib_put_fixed(&fde, DW_CFA_same_value, 1);
            gib_put_uleb(&fde, RBP);
        }
    }
    code->cie = cie;
    code->fde = &fde;
    gib_symbols_add(symbols, code);
    gib_buffer_free(&fde);
}

/* The pieces of code from index `from` up to `to`. */
static void describe_sites(const struct gib_process *process, struct gib_symbols *symbols,
                           size_t from, size_t to, bool with_lines, bool passed)
{
    struct gib_thunk_shapes shapes = {0};
    struct gib_buffer cie = {0};
    gib_thunk_cie(&cie);
    for (size_t i = from; i < to; i++) {
        const struct gib_made_code *made = &process->code[i];
        const struct gib_site_state *site = process->site[made->site];
        bool is_copy = made->kind == GIB_MADE_TRAMPOLINE;
        struct gib_code code = {.address = made->address,
                                .size = made->size,
                                .passed = passed && !is_copy,
                                .stepped = !passed};
        char *function = gib_elf_function_name(site->symbol);
        char *name = function ? gib_format(is_copy ? "%s.gibbon" : "gibbon:%s", function) : NULL;
        /* The number is for GDB, which knows clones by it and takes "f.gibbon" for Ada: f[gibbon].
         */
        char *symbol = name ? gib_format(is_copy ? "%s.0" : "%s", name) : NULL;
        code.name = name;
        code.symbol = symbol;
        code.bytes = bytes_at(process, made->address, made->size);
        bool is_stub = made->kind == GIB_MADE_STUB;
        if (symbol && code.bytes && site->kept && (is_stub || made->kind == GIB_MADE_UNDO))
            describe_undoing(symbols, &cie, &site->undo, is_stub, &code);
        else if (symbol && code.bytes && !is_copy)
            describe_thunk(process, symbols, &shapes, &cie, &code);
        else if (symbol && code.bytes)
            describe_trampoline(symbols, site, &code, with_lines);
        free(symbol);
        free(name);
        free(function);
    }
    gib_buffer_free(&cie);
    gib_thunk_shapes_free(&shapes);
}

/* An anonymous file, under a path that lasts as long as the descriptor. */
static int anonymous_file(char path[64])
{
    int fd = memfd_create("gibbon", MFD_CLOEXEC);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

struct gib_elf *gib_open_agent(void)
{
    char path[64];
    int fd = anonymous_file(path);
    size_t size = (size_t)(gib_agent_elf_end - gib_agent_elf_start), written = 0;
    while (fd >= 0 && written < size) {
        ssize_t n = write(fd, gib_agent_elf_start + written, size - written);
        if (n <= 0)
            break;
        written += (size_t)n;
    }
    struct gib_elf *elf = written == size ? gib_elf_open(path, "", NULL) : NULL;
    if (fd >= 0)
        close(fd);
    return elf;
}

/* The agent was linked at address 0; its file has symbols, its image has none. */
static void describe_agent(const struct gib_process *process, struct gib_symbols *symbols,
                           bool passed)
{
    struct gib_elf *elf = gib_open_agent();
    const struct gib_elf_symbol *symbol;
    size_t count = elf ? gib_elf_functions(elf, &symbol) : 0;
    for (size_t i = 0; i < count; i++) {
        struct gib_cfi cfi;
        struct gib_code code = {.address = process->agent + symbol[i].value,
                                .bytes = gib_agent_image_start + symbol[i].value,
                                .size = symbol[i].size,
                                .passed = passed};
        char *name = gib_format("gibbon:%s", symbol[i].name);
        code.name = code.symbol = name;
        if (gib_elf_cfi_copy(elf, symbol[i].value, NULL, 0, NULL, &cfi)) {
            code.cie = &cfi.cie;
            code.fde = &cfi.fde;
        }
        if (name && symbol[i].size)
            gib_symbols_add(symbols, &code);
        gib_cfi_free(&cfi);
        free(name);
    }
    if (elf)
        gib_elf_close(elf);
}

/*
 * LLDB would set a breakpoint of the user's on the copy of a line as well. So it gets lines only
 * when a thread stands in a trampoline, where they are to be seen.
 */
static bool wants_lines(struct gib_engine *engine, const struct gib_process *process)
{
    uint64_t pc;
    if (engine->ops.knows_statements)
        return true;
    if (engine->ops.state(engine->context) != GIB_TARGET_STOPPED ||
        engine->ops.get_register(engine->context, "rip", &pc) || !bytes_at(process, pc, 1))
        return false;
    for (size_t i = 0; i < process->code_count; i++)
        if (process->code[i].kind == GIB_MADE_TRAMPOLINE &&
            pc - process->code[i].address < process->code[i].size)
            return true;
    return false;
}

/* Packages have files of their own. They are told of as soon as they are mapped: a breakpoint that
 * was set by name before must be met in the first call. */
void gib_describe_images(struct gib_engine *engine, struct gib_process *process)
{
    for (size_t i = 0; i < process->image_count; i++) {
        struct gib_loaded *image = process->image[i];
        if (!image->described &&
            engine->ops.symbols(engine->context, image->path, image->bias) != 1)
            image->described = process->has_symbols = true;
    }
}

/* 1: the debugger takes none now. */
static int describe_portion(struct gib_engine *engine, struct gib_process *process, size_t from,
                            size_t to, bool with_lines)
{
    struct gib_error error;
    struct gib_symbols *symbols = gib_symbols_new();
    if (!symbols)
        return 0;
    bool passed = engine->ops.knows_statements; /* GDB */
    gib_modules_lock(process->modules);
    if (!from)
        describe_agent(process, symbols, passed);
    describe_sites(process, symbols, from, to, with_lines, passed);
    gib_modules_unlock(process->modules);
    char path[64];
    int fd = anonymous_file(path), answer = -1;
    if (fd >= 0 && gib_symbols_write(symbols, fd, &error) == 0)
        answer = engine->ops.symbols(engine->context, path, 0);
    if (fd >= 0)
        close(fd);
    gib_symbols_free(symbols);
    return answer == 1;
}

void gib_describe_code(struct gib_engine *engine)
{
    struct gib_process *process = engine->process;
    if (!process || !process->installed)
        return;
    gib_describe_images(engine, process);
    if (!process->code_count)
        return;
    bool with_lines = process->code_has_lines || wants_lines(engine, process);
    /* All of it once more, with lines, over the first: LLDB loses breakpoints in a file that goes.
     * In the same portions, since of two sections it takes the one that begins nearer. */
    size_t from = 0;
    for (size_t i = 0; with_lines && !process->code_has_lines && i < process->portions; i++) {
        if (describe_portion(engine, process, from, process->portion[i], true))
            return; /* not now */
        from = process->portion[i];
    }
    process->code_has_lines = with_lines;
    if (process->code_described == process->code_count ||
        describe_portion(engine, process, process->code_described, process->code_count, with_lines))
        return;
    process->code_described = process->code_count;
    process->has_symbols = true;
    size_t *grown = realloc(process->portion, (process->portions + 1) * sizeof *process->portion);
    if (!grown)
        return;
    process->portion = grown;
    process->portion[process->portions++] = process->code_count;
}

void gib_describe_anew(struct gib_engine *engine, struct gib_process *process)
{
    if (process->has_symbols)
        engine->ops.symbols(engine->context, NULL, 0);
    process->has_symbols = false;
    process->code_described = process->portions = 0;
    for (size_t i = 0; i < process->image_count; i++)
        process->image[i]->described = false;
}

void gib_describe_nothing(struct gib_engine *engine, struct gib_process *process)
{
    gib_describe_anew(engine, process);
    process->code_count = 0;
    free(process->code);
    process->code = NULL;
    free(process->portion);
    process->portion = NULL;
}
