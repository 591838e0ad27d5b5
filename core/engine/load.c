/*
 * load.c: maps a package's shared object into the target, without the target's dynamic linker.
 *
 * A few system calls made for the target, and writes to memory that nobody else knows yet: nothing
 * of the target runs, nothing of it is locked. The object is mapped from its file, so that
 * /proc/PID/maps has its name. What must be known of symbols comes from the files of the modules
 * and where they are mapped, so the target's libraries need not be relocated yet.
 *
 *   bias + low    segments, mapped from the file ... bss
 *                 stubs of IFUNCs     r-x
 *                 their cells         rw-
 */
#include "engine/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "code/x86_64/lazy_stub.h"

enum { PAGE = 4096 };

static uint64_t page_up(uint64_t value)
{
    return (value + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* ---- memory ---- */

static uint64_t stub_size(const struct gib_object *object)
{
    size_t count = gib_object_stubs(object);
    return count ? page_up(GIB_LAZY_HEAD + count * GIB_LAZY_STUB) : 0;
}

/* Address space for all of it, where the kernel has some: near the libraries. */
static int reserve(struct gib_engine *engine, struct gib_loaded *image, struct gib_error *error)
{
    const struct gib_object *object = image->object;
    uint64_t cells = page_up(gib_object_stubs(object) * GIB_LAZY_CELL);
    uint64_t size = object->span + stub_size(object) + cells, spare = object->align - PAGE;
    uint64_t got, ignored;
    struct gib_error unimportant;
    int failed = gib_system_call(engine, "reserve memory for a package", SYS_mmap, 0, size + spare,
                                 PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                                 (uint64_t)-1, 0, &got, error);
    if (failed)
        return failed;
    image->bias = (got - object->low + object->align - 1) & ~(object->align - 1);
    image->start = image->bias + object->low;
    image->end = image->start + size;
    if (image->start > got)
        gib_system_call(engine, "", SYS_munmap, got, image->start - got, 0, 0, 0, 0, &ignored,
                        &unimportant);
    if (image->end < got + size + spare)
        gib_system_call(engine, "", SYS_munmap, image->end, got + size + spare - image->end, 0, 0,
                        0, 0, &ignored, &unimportant);
    return 0;
}

static int map_fixed(struct gib_engine *engine, uint64_t address, uint64_t size, int protection,
                     uint64_t fd, uint64_t offset, struct gib_error *error)
{
    uint64_t got;
    bool anonymous = fd == (uint64_t)-1;
    return size ? gib_system_call(engine, "map the package", SYS_mmap, address, size,
                                  (uint64_t)protection,
                                  MAP_PRIVATE | MAP_FIXED | (anonymous ? MAP_ANONYMOUS : 0), fd,
                                  offset, &got, error)
                : 0;
}

static int map_segments(struct gib_engine *engine, const struct gib_loaded *image, uint64_t fd,
                        struct gib_error *error)
{
    int failed = 0;
    for (size_t i = 0; i < image->object->segment_count && !failed; i++) {
        const struct gib_object_segment *segment = &image->object->segments[i];
        uint64_t address = image->bias + segment->vaddr;
        int protection = (segment->readable ? PROT_READ : 0) |
                         (segment->writable ? PROT_WRITE : 0) |
                         (segment->executable ? PROT_EXEC : 0);
        failed = map_fixed(engine, address, segment->file_size, protection, fd,
                           segment->file_offset, error);
        if (!failed)
            failed = map_fixed(engine, address + segment->file_size,
                               segment->memory_size - segment->file_size, protection, (uint64_t)-1,
                               0, error);
    }
    return failed;
}

static int map_stubs(struct gib_engine *engine, const struct gib_loaded *image,
                     struct gib_error *error)
{
    uint64_t size = stub_size(image->object), start = image->start + image->object->span;
    int failed = map_fixed(engine, start, size, PROT_READ | PROT_EXEC, (uint64_t)-1, 0, error);
    if (!failed)
        failed = map_fixed(engine, start + size, image->end - start - size, PROT_READ | PROT_WRITE,
                           (uint64_t)-1, 0, error);
    return failed;
}

/* ---- what is written ---- */

/* Bytes behind the file's own in its last page: what else the file has there. */
static int clear_ends(struct gib_engine *engine, const struct gib_loaded *image,
                      struct gib_error *error)
{
    static const uint8_t zero[PAGE];
    int failed = 0;
    for (size_t i = 0; i < image->object->segment_count && !failed; i++) {
        const struct gib_object_segment *segment = &image->object->segments[i];
        failed =
            gib_write(engine, image->bias + segment->data_end, zero, segment->zero_size, error);
    }
    return failed;
}

/* *stubs is malloc'ed: the address of the stub of each need. */
static int write_stubs(struct gib_engine *engine, const struct gib_loaded *image, uint64_t **stubs,
                       struct gib_error *error)
{
    const struct gib_object *object = image->object;
    size_t count = gib_object_stubs(object), at = 0;
    size_t size = GIB_LAZY_HEAD + count * GIB_LAZY_STUB;
    uint64_t start = image->start + object->span, cells = start + stub_size(object);
    const struct gib_lazy_vectors vectors = gib_lazy_vectors();
    uint64_t *resolver = calloc(count + 1, 8), *cell = calloc(2 * count + 1, 8);
    uint8_t *code = calloc(1, size);
    int failed = 0;
    *stubs = calloc(object->need_count + 1, 8);
    if (!resolver || !cell || !code || !*stubs)
        failed = gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    for (size_t i = 0; i < object->need_count && !failed; i++) {
        const struct gib_object_need *need = &object->needs[i];
        if (!need->ifunc)
            continue;
        (*stubs)[i] = start + GIB_LAZY_HEAD + at * GIB_LAZY_STUB;
        resolver[at++] = need->value + (need->own ? image->bias : 0);
    }
    if (!failed && count && !gib_lazy_stubs(start, cells, &vectors, resolver, count, code, cell))
        failed = gib_fail(error, GIB_E_SPACE, 0, "The package has too many IFUNCs.");
    if (!failed && count)
        failed = gib_write(engine, start, code, size, error);
    if (!failed && count)
        failed = gib_write(engine, cells, cell, count * GIB_LAZY_CELL, error);
    free(resolver);
    free(cell);
    free(code);
    return failed;
}

static int relocate(struct gib_engine *engine, const struct gib_loaded *image,
                    const uint64_t *stubs, struct gib_error *error)
{
    const struct gib_object *object = image->object;
    struct gib_write_plan *writes = calloc(object->relocation_count + 1, sizeof *writes);
    size_t count = 0;
    if (!writes)
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    for (size_t i = 0; i < object->relocation_count; i++) {
        const struct gib_object_relocation *relocation = &object->relocations[i];
        uint64_t value = gib_object_value(object, relocation, image->bias, stubs);
        gib_plan_write(writes, &count, image->bias + relocation->vaddr,
                       (const uint8_t *)&relocation->before, (const uint8_t *)&value, 8);
    }
    int failed = gib_transaction(engine, writes, count, error);
    free(writes);
    return failed;
}

static int fill(struct gib_engine *engine, const struct gib_loaded *image, struct gib_error *error)
{
    const struct gib_object *object = image->object;
    uint64_t *stubs = NULL, ignored;
    int failed = clear_ends(engine, image, error);
    if (!failed)
        failed = write_stubs(engine, image, &stubs, error);
    if (!failed)
        failed = relocate(engine, image, stubs, error);
    if (!failed && object->relro_size)
        failed = gib_system_call(engine, "protect the package", SYS_mprotect,
                                 image->bias + object->relro, object->relro_size, PROT_READ, 0, 0,
                                 0, &ignored, error);
    free(stubs);
    return failed;
}

/* ---- the agent's list ---- */

static int tell_agent(struct gib_process *process, struct gib_loaded *image,
                      struct gib_error *error)
{
    struct gib_shared *shared = process->shared;
    const struct gib_object *object = image->object;
    uint32_t slot = 0;
    while (slot < process->objects && process->object_used[slot])
        slot++;
    if (slot == GIB_MAX_OBJECTS)
        return gib_fail(error, GIB_E_SPACE, 0, "%d packages are in the target; no more can be.",
                        GIB_MAX_OBJECTS);
    image->slot = slot;
    process->object_used[slot] = true;
    shared->object[slot] = (struct gib_mapped_object){
        .start = image->start,
        .end = image->end,
        .frames = object->frames ? image->bias + object->frames : 0,
        .count = object->frame_count,
    };
    if (slot == process->objects)
        process->objects++;
    __atomic_store_n(&shared->object_count, process->objects, __ATOMIC_RELEASE);
    return 0;
}

/* ---- the whole ---- */

static void unmap(struct gib_engine *engine, const struct gib_loaded *image)
{
    struct gib_error ignored;
    uint64_t result;
    if (image->end > image->start)
        gib_system_call(engine, "unmap a package", SYS_munmap, image->start,
                        image->end - image->start, 0, 0, 0, 0, &result, &ignored);
}

static void free_image(struct gib_loaded *image)
{
    gib_object_free(image->object);
    free(image->bytes);
    free(image->path);
    free(image);
}

static int bind(struct gib_engine *engine, struct gib_process *process, struct gib_loaded *image,
                const char *name, struct gib_error *error)
{
    struct gib_scope scope;
    gib_modules_lock(process->modules);
    int failed = gib_scope_make(engine, process, &scope, error);
    if (!failed)
        failed = gib_object_resolve(image->object, name, &scope, error);
    free(scope.module);
    gib_modules_unlock(process->modules);
    /* The library may come yet: early in a program's start, none is there. */
    return failed == GIB_E_NOT_FOUND ? (error->code = GIB_E_WAITING) : failed;
}

int gib_image_check(const char *path, const char *shown, struct gib_error *error)
{
    struct gib_loaded image = {.path = realpath(path, NULL)};
    struct stat status;
    const char *slash = strrchr(shown, '/'), *name = slash ? slash + 1 : shown;
    int failed = image.path ? gib_image_file_read(&image, &status, error)
                            : gib_fail(error, GIB_E_FILE, 0, "%.150s cannot be read: %s.", path,
                                       strerror(errno));
    if (!failed)
        failed = gib_object_read(image.bytes, image.size, name, &image.object, error);
    gib_object_free(image.object);
    free(image.bytes);
    free(image.path);
    return failed;
}

static int map_all(struct gib_engine *engine, const struct gib_loaded *image, uint64_t fd,
                   struct gib_error *error)
{
    int failed = map_segments(engine, image, fd, error);
    return failed ? failed : map_stubs(engine, image, error);
}

static int load(struct gib_engine *engine, struct gib_process *process, struct gib_loaded *image,
                struct gib_error *error)
{
    uint64_t fd;
    const char *shown = gib_package_source(engine, image->path), *slash = strrchr(shown, '/');
    const char *name = slash ? slash + 1 : shown;
    int failed = gib_image_file_read(image, &image->status, error);
    if (!failed)
        failed = gib_object_read(image->bytes, image->size, name, &image->object, error);
    if (!failed)
        failed = gib_install(engine, process, error);
    if (!failed)
        failed = bind(engine, process, image, name, error);
    if (!failed)
        failed = reserve(engine, image, error);
    if (failed)
        return failed;
    /* Also when it can be opened it may be that it cannot be mapped, from a file system mounted
     * `noexec`. */
    bool mapped = false;
    if (!gib_image_file_open(engine, process, image, &image->status, &fd, error)) {
        mapped = !map_all(engine, image, fd, error);
        gib_image_file_close(engine, fd);
    }
    if (!mapped && !(failed = gib_image_file_copy(engine, process, image, &fd, error))) {
        failed = map_all(engine, image, fd, error);
        gib_image_file_close(engine, fd);
    }
    if (!failed)
        failed = fill(engine, image, error);
    return failed ? failed : tell_agent(process, image, error);
}

int gib_image_load(struct gib_engine *engine, struct gib_process *process, const char *path,
                   struct gib_loaded **out, struct gib_error *error)
{
    struct gib_loaded **grown =
        realloc(process->image, (process->image_count + 1) * sizeof *process->image);
    struct gib_loaded *image = calloc(1, sizeof *image);
    *out = NULL;
    if (grown)
        process->image = grown;
    if (!grown || !image) {
        free(image);
        return gib_fail(error, GIB_E_MEMORY, 0, "The debugger is out of memory.");
    }
    image->path = realpath(path, NULL);
    int failed = image->path ? load(engine, process, image, error)
                             : gib_fail(error, GIB_E_FILE, 0, "%.150s cannot be read: %s.", path,
                                        strerror(errno));
    if (failed) {
        unmap(engine, image);
        free_image(image);
        return failed;
    }
    process->image[process->image_count++] = *out = image;
    process->modules_changed |= gib_modules_update(process->modules, process->pid) > 0;
    gib_describe_images(engine, process);
    return 0;
}

bool gib_image_symbol(const struct gib_loaded *image, const char *name, uint64_t *address)
{
    if (!gib_object_symbol(image->object, name, address))
        return false;
    *address += image->bias;
    return true;
}

/* ---- and away ---- */

struct inside_search {
    const struct gib_loaded *image;
    bool inside;
};
static bool look_at_word(uint64_t word, void *context)
{
    struct inside_search *s = context;
    s->inside |= word >= s->image->start && word < s->image->end;
    return !s->inside;
}

int gib_image_unload(struct gib_engine *engine, struct gib_process *process,
                     struct gib_loaded *image, struct gib_error *error)
{
    struct gib_target_thread *threads;
    size_t count, at = 0;
    int failed = gib_target_threads(engine, &threads, &count, error);
    if (failed)
        return failed;
    struct inside_search search = {image, false};
    for (size_t i = 0; i < count && !search.inside; i++) {
        look_at_word(threads[i].pc, &search);
        if (!search.inside)
            gib_scan_stack(engine, threads[i].sp, look_at_word, &search);
        if (search.inside)
            failed = gib_fail(error, GIB_E_BUSY, 0,
                              "Thread %d is inside %.150s; it can go when the thread has left it.",
                              threads[i].tid, image->path);
    }
    free(threads);
    if (failed)
        return failed;
    process->shared->object[image->slot] = (struct gib_mapped_object){0};
    process->object_used[image->slot] = false;
    unmap(engine, image);
    if (image->described)
        gib_describe_anew(engine, process);
    while (process->image[at] != image)
        at++;
    process->image[at] = process->image[--process->image_count];
    free_image(image);
    process->modules_changed |= gib_modules_update(process->modules, process->pid) > 0;
    return 0;
}

bool gib_in_images(const struct gib_process *process, uint64_t address)
{
    for (size_t i = 0; i < process->image_count; i++)
        if (address >= process->image[i]->start && address < process->image[i]->end)
            return true;
    return false;
}

void gib_images_unmap(struct gib_engine *engine, struct gib_process *process)
{
    for (size_t i = 0; i < process->image_count; i++)
        unmap(engine, process->image[i]);
    gib_images_forget(process);
}

void gib_images_forget(struct gib_process *process)
{
    for (size_t i = 0; i < process->image_count; i++)
        free_image(process->image[i]);
    free(process->image);
    process->image = NULL;
    process->image_count = process->objects = 0;
    memset(process->object_used, 0, sizeof process->object_used);
}
