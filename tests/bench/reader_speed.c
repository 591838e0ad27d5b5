/*
 * reader_speed: how many records a second the reader takes out of rings, and how many calls a
 * second each renderer writes, without a debugger.
 *
 * The rings are filled beforehand as threads would fill them: a function of two integers, 64 bytes
 * a record. The floor of reading is a copy of each record into a file, written in pieces of 1 MiB;
 * the floor of rendering is to write the same bytes again. Prints "NAME millions-a-second floor"
 * lines: the best of some rounds, as other programs only ever make a round slower.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "log/log.h"

enum { PAGE = 4096, RING = 16 << 20, RINGS = 4, ROUNDS = 7 };
enum { EACH = RING / GIB_LINE, ALL = EACH * RINGS };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void nothing(void *context)
{
}

/* The second call of each pair in a ring ends as those of the other rings do: merging has work. */
static void fill(struct gib_shared *s, int rings)
{
    uint64_t stamp = __builtin_ia32_rdtsc();
    s->threads_used = (uint32_t)rings;
    for (int i = 0; i < rings; i++) {
        struct gib_thread *t =
            (struct gib_thread *)((char *)s + s->threads + (uint64_t)i * s->thread_size);
        struct gib_record *record = (struct gib_record *)((char *)t + s->ring_offset);
        t->owner = (uint64_t)i + 1;
        t->head = RING;
        for (int k = 0; k < EACH; k++) {
            record[k] = (struct gib_record){.lines = 1,
                                            .kind = GIB_RECORD_CALL,
                                            .accepted = 1,
                                            .entered = stamp + (uint64_t)(k * 100 + i * 7),
                                            .duration = (uint64_t)(50 + (k * 13 + i * 5) % 40),
                                            .result = (uint64_t)k * 3,
                                            .caller = (uint64_t)(uintptr_t)fill + 16,
                                            .word = {(uint64_t)k, (uint64_t)k * 2}};
        }
        record[0].kind = GIB_RECORD_THREAD;
        record[0].word[0] = (uint64_t)getpid();
        record[0].word[1] = (uint64_t)(getpid() + i);
    }
}

static struct gib_shared *make_shared(int rings, size_t *size)
{
    uint64_t threads = (sizeof(struct gib_shared) + PAGE - 1) / PAGE * PAGE;
    *size = threads + (uint64_t)(PAGE + RING) * GIB_MAX_THREADS;
    struct gib_shared *s = mmap(NULL, *size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s == MAP_FAILED)
        exit(1);
    s->threads = threads;
    s->thread_size = PAGE + RING;
    s->ring_offset = PAGE;
    s->ring_size = RING;
    fill(s, rings);
    return s;
}

static bool all_read(const struct gib_shared *s, int rings)
{
    for (int i = 0; i < rings; i++) {
        const struct gib_thread *t = (const struct gib_thread *)((const char *)s + s->threads +
                                                                 (uint64_t)i * s->thread_size);
        if (__atomic_load_n(&t->read, __ATOMIC_ACQUIRE) < t->head)
            return false;
    }
    return true;
}

static void add_site(struct gib_log *log)
{
    struct gib_log_site *site = calloc(1, sizeof *site);
    struct gib_error error;
    if (!site ||
        gib_prototype_parse(NULL, "long work(long number, long twice)", &site->prototype, &error))
        exit(1);
    site->function = strdup("work");
    site->module = strdup("program");
    gib_convention_make(site->prototype, &site->convention);
    site->action[0].patch = 1;
    gib_log_set_site(log, 0, site);
}

/* Seconds for all records of some rings. */
static double read_rings(struct gib_log *log, struct gib_modules *modules, int rings)
{
    size_t size;
    struct gib_error error;
    struct gib_shared *s = make_shared(rings, &size);
    gib_log_clear(log);
    double start = now();
    if (gib_log_attach(log, s, size, modules, getpid(), &error))
        exit(1);
    add_site(log);
    while (!all_read(s, rings))
        usleep(200);
    double took = now() - start;
    gib_log_drain(log);
    return took;
}

static double render(struct gib_log *log, enum gib_log_format format, FILE *out)
{
    rewind(out);
    double start = now();
    if (gib_log_render(log, format, 0, 0, out) < ALL - RINGS)
        exit(1);
    return now() - start;
}

static double write_again(FILE *from, size_t size)
{
    static char piece[256 << 10];
    FILE *to = tmpfile();
    if (!to)
        exit(1);
    memset(piece, 'x', sizeof piece);
    double start = now();
    for (size_t done = 0; done < size; done += sizeof piece)
        if (fwrite(piece, 1, sizeof piece, to) != sizeof piece)
            exit(1);
    fflush(to);
    double took = now() - start;
    fclose(to);
    return took;
}

static double copy_by_hand(int rings)
{
    enum { BUFFER = 1 << 20 };
    size_t size, used = 0;
    struct gib_shared *s = make_shared(rings, &size);
    char *buffer = malloc(BUFFER);
    FILE *file = tmpfile();
    if (!buffer || !file)
        exit(1);
    double start = now();
    for (int i = 0; i < rings; i++) {
        const char *ring = (const char *)s + s->threads + (uint64_t)i * s->thread_size + PAGE;
        for (int k = 0; k < EACH; k++) {
            if (used + GIB_LINE > BUFFER) {
                if (write(fileno(file), buffer, used) != (ssize_t)used)
                    exit(1);
                used = 0;
            }
            memcpy(buffer + used, ring + (size_t)k * GIB_LINE, GIB_LINE);
            used += GIB_LINE;
        }
    }
    double took = now() - start;
    fclose(file);
    free(buffer);
    munmap(s, size);
    return took;
}

static double least(double best, double other)
{
    return best == 0 || other < best ? other : best;
}

int main(void)
{
    static const char *const names[] = {"text", "jsonl", "csv", "trace"};
    double one = 0, four = 0, floor = 0, rendered[4] = {0}, again[4] = {0};
    struct gib_modules *modules = gib_modules_new();
    if (!modules || gib_modules_update(modules, getpid()) < 0)
        return 1;
    struct gib_log *log = gib_log_new(nothing, nothing, NULL);
    if (!log)
        return 1;
    read_rings(log, modules, 1); /* the rate of the clock is measured once */
    for (int round = 0; round < ROUNDS; round++) {
        floor = least(floor, copy_by_hand(RINGS));
        one = least(one, read_rings(log, modules, 1));
        four = least(four, read_rings(log, modules, RINGS));
        for (int format = 0; format < 4; format++) {
            FILE *out = tmpfile();
            if (!out)
                return 1;
            rendered[format] =
                least(rendered[format], render(log, (enum gib_log_format)format, out));
            again[format] = least(again[format], write_again(out, (size_t)ftell(out)));
            fclose(out);
        }
    }
    printf("one_ring %.2f %.2f\n", EACH / one * 1e-6, ALL / floor * 1e-6);
    printf("four_rings %.2f %.2f\n", ALL / four * 1e-6, ALL / floor * 1e-6);
    for (int format = 0; format < 4; format++)
        printf("%s %.2f %.2f\n", names[format], ALL / rendered[format] * 1e-6,
               ALL / again[format] * 1e-6);
    gib_log_free(log);
    gib_modules_free(modules);
    return 0;
}
