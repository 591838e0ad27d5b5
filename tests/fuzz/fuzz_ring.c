/*
 * The rings as a hostile target may leave them: the input is a few thread blocks; it is read,
 * joined and rendered in both forms.
 *
 *   byte 0       threads_used
 *   then, for each of two blocks: head, tail, read, dropped, open (2 bytes each, in lines or
 * records), pid and tid the rest     lines of the rings
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "log/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RING = 8192, PAGE = 4096, BLOCK = PAGE + RING, BLOCKS = 2 };

static void nothing(void *context)
{
}

static void add_site(struct gib_log *log, uint32_t index, const char *declaration)
{
    struct gib_log_site *site = calloc(1, sizeof *site);
    struct gib_error error;
    if (!site)
        abort();
    site->function = strdup("f");
    site->module = strdup("m");
    if (declaration && gib_prototype_parse(NULL, declaration, &site->prototype, &error))
        abort();
    gib_convention_make(site->prototype, &site->convention);
    for (int i = 0; i < GIB_MAX_ACTIONS; i++)
        site->action[i].patch = i + 1;
    gib_log_set_site(log, index, site);
}

static struct gib_shared *make_shared(size_t *size)
{
    uint64_t threads = (sizeof(struct gib_shared) + PAGE - 1) / PAGE * PAGE;
    *size = threads + (uint64_t)BLOCK * GIB_MAX_THREADS;
    struct gib_shared *s = mmap(NULL, *size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s == MAP_FAILED)
        abort();
    s->magic = GIB_SHARED_MAGIC;
    s->threads = threads;
    s->thread_size = BLOCK;
    s->counters_offset = 1024;
    s->ring_offset = PAGE;
    s->ring_size = RING;
    return s;
}

static uint64_t take(const uint8_t **data, size_t *size, size_t bytes)
{
    uint64_t value = 0;
    if (bytes > *size)
        bytes = *size;
    memcpy(&value, *data, bytes);
    *data += bytes;
    *size -= bytes;
    return value;
}

static void fill(struct gib_shared *s, const uint8_t *data, size_t size)
{
    s->threads_used = (uint32_t)(int8_t)take(&data, &size, 1);
    for (int i = 0; i < BLOCKS; i++) {
        struct gib_thread *t = (struct gib_thread *)((char *)s + s->threads + (uint64_t)i * BLOCK);
        t->owner = 1;
        t->head = take(&data, &size, 2) * GIB_LINE;
        t->tail = take(&data, &size, 2) * GIB_LINE;
        t->read = take(&data, &size, 2) * GIB_LINE;
        t->dropped = take(&data, &size, 2);
        t->open = take(&data, &size, 2) * GIB_LINE + 1;
        t->pid = (int32_t)take(&data, &size, 1) + 4000000; /* no process has it */
        t->tid = (int32_t)take(&data, &size, 1);
    }
    for (int i = 0; i < BLOCKS; i++) {
        char *ring = (char *)s + s->threads + (uint64_t)i * BLOCK + PAGE;
        size_t half = size / (size_t)(BLOCKS - i);
        size_t bytes = half < RING ? half : RING;
        memcpy(ring, data, bytes);
        data += half;
        size -= half;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const declarations[] = {
        NULL,
        "int f(const char *format, ...) // printf",
        "int f(const char *path, int flags, ...) // open",
        "char *f(char *a, double b, float c, long double d, __int128 e, signed char g, _Bool h, "
        "void *i) // errno",
        "__int128 f(int a, char *b, char *c, char *d, char *e, char *g, char *h)",
        "long double f(void)",
    };
    static struct gib_log *log;
    static struct gib_modules *modules;
    static unsigned runs;
    if (!modules)
        modules = gib_modules_new();
    if (runs++ % 2000 == 0) { /* its list of processes grows */
        gib_log_free(log);
        log = gib_log_new(nothing, nothing, NULL);
    }
    size_t shared_size;
    struct gib_error error;
    struct gib_shared *shared = make_shared(&shared_size);
    fill(shared, data, size);
    if (!log || gib_log_attach(log, shared, shared_size, modules, getpid(), &error))
        abort();
    for (uint32_t i = 0; i < sizeof declarations / sizeof *declarations; i++)
        add_site(log, i, declarations[i]);
    gib_log_indent(log, size % 2);
    gib_log_drain(log);
    gib_log_ended(log);
    free(gib_log_next_marked(log));
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    gib_log_render(log, GIB_LOG_TEXT, 0, 0, out);
    gib_log_render(log, GIB_LOG_TEXT, 3, 2, out);
    gib_log_render(log, GIB_LOG_JSONL, 3, 2, out);
    gib_log_render(log, GIB_LOG_JSONL, 0, 0, out);
    fclose(out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if ((*c < 0x20 && *c != '\n') || *c == 0x7f)
            abort(); /* an escape reached the terminal */
    free(text);
    free(gib_log_next_text(log));
    gib_log_clear(log);
    return 0;
}
