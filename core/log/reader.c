/*
 * reader.c: takes records out of the rings while the target runs.
 *
 * A native thread: no debugger API is usable while LLDB runs synchronously.
 */
#include "log/reader.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* One pass over all rings; true when there was something. The log is locked. */
static bool pass(struct gib_reader *r)
{
    uint32_t used = __atomic_load_n(&r->shared->threads_used, __ATOMIC_ACQUIRE);
    bool any = false;
    __atomic_add_fetch(&r->shared->reader_beat, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < used && i < GIB_MAX_THREADS; i++)
        any |= gib_ring_read(r, i);
    gib_batch_append(r);
    return any;
}

bool gib_has_ended(pid_t pid)
{
    char name[64], text[512];
    snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(name, "re");
    if (!file)
        return true;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *behind = strrchr(text, ')');
    return !behind || (behind[1] == ' ' && (behind[2] == 'Z' || behind[2] == 'X'));
}

void gib_log_drain(struct gib_log *log)
{
    pthread_mutex_lock(&log->lock);
    for (int i = 0; log->reader && i < 4096 && pass(log->reader); i++)
        ;
    pthread_mutex_unlock(&log->lock);
}

void gib_log_ended(struct gib_log *log)
{
    gib_log_drain(log);
    pthread_mutex_lock(&log->lock);
    if (log->reader)
        gib_rings_unfinished(log->reader);
    pthread_mutex_unlock(&log->lock);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *run(void *argument)
{
    struct gib_reader *r = argument;
    int64_t ticked = now_ms();
    int idle = 0;
    while (!atomic_load(&r->stop)) {
        pthread_mutex_lock(&r->log->lock);
        bool any = pass(r);
        bool show = r->log->spool_size > r->log->printed;
        pthread_mutex_unlock(&r->log->lock);
        if (show && !atomic_exchange(&r->waking, true))
            r->log->wake(r->log->wake_context);
        idle = any ? 0 : idle + 1;
        if (idle >= 16 && idle % 16 == 0 && !atomic_load(&r->gone) && gib_has_ended(r->pid)) {
            atomic_store(&r->gone, true);
            gib_log_ended(r->log);
        }
        if (now_ms() - ticked >= 100) {
            ticked = now_ms();
            r->log->tick(r->log->wake_context);
        }
        struct timespec pause = {0, idle < 200 ? 500000 : 5000000};
        if (!any)
            nanosleep(&pause, NULL);
    }
    return NULL;
}

/* ---- life ---- */

static uint64_t ticks(void)
{
    return __builtin_ia32_rdtsc();
}

/* The rate of the time stamp counter, once: 20 ms give it to better than one in ten thousand. */
static double measure_rate(void)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    uint64_t first = ticks();
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds =
        (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) * 1e-9;
    return (double)(ticks() - first) / seconds;
}

static int no_memory(struct gib_error *error)
{
    error->code = GIB_E_MEMORY;
    error->address = 0;
    snprintf(error->message, sizeof error->message, "The debugger is out of memory.");
    return GIB_E_MEMORY;
}

int gib_log_attach(struct gib_log *log, struct gib_shared *shared, uint64_t size,
                   struct gib_modules *modules, pid_t pid, struct gib_error *error)
{
    gib_log_detach(log);
    if (log->ticks_per_second == 0)
        log->ticks_per_second = measure_rate();
    struct gib_reader *r = calloc(1, sizeof *r);
    struct gib_log_process *processes =
        realloc(log->process, (log->process_count + 1) * sizeof *processes);
    if (processes)
        log->process = processes;
    if (!r || !processes) {
        free(r);
        return no_memory(error);
    }
    log->process[log->process_count++] = (struct gib_log_process){.modules = modules};
    r->log = log;
    r->shared = shared;
    r->size = size;
    r->pid = pid;
    r->ring_size = shared->ring_size;
    r->thread_size = shared->thread_size;
    r->threads = shared->threads;
    r->ring_offset = shared->ring_offset;
    log->reader = r;
    __atomic_store_n(&shared->reader, 1, __ATOMIC_RELEASE);
    /* The debugger's signals are for its own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&r->thread, NULL, run, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        log->reader = NULL;
        free(r);
        return no_memory(error);
    }
    return 0;
}

void gib_log_flushed(struct gib_log *log)
{
    struct gib_reader *r = log->reader;
    if (r)
        atomic_store(&r->waking, false);
}

bool gib_log_process_gone(struct gib_log *log)
{
    return log->reader && atomic_load(&log->reader->gone);
}

void gib_log_stop(struct gib_log *log)
{
    struct gib_reader *r = log->reader;
    if (!r || atomic_exchange(&r->stop, true))
        return;
    pthread_join(r->thread, NULL);
}

void gib_log_detach(struct gib_log *log)
{
    struct gib_reader *r = log->reader;
    if (!r)
        return;
    gib_log_stop(log);
    gib_log_ended(log);
    __atomic_store_n(&r->shared->reader, 0, __ATOMIC_RELEASE);
    pthread_mutex_lock(&log->lock);
    log->reader = NULL;
    for (size_t i = 0; i < GIB_MAX_THREADS; i++) {
        while (r->ring[i].open) {
            struct gib_open_call *open = r->ring[i].open;
            r->ring[i].open = open->next;
            free(open);
        }
    }
    pthread_mutex_unlock(&log->lock);
    munmap(r->shared, r->size);
    free(r->batch.entry);
    free(r->batch.bytes);
    free(r);
}
