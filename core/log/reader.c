/*
 * reader.c: two threads while a target is there. One takes records out of the rings; the other
 * tells the front-end, which may print and take its time.
 *
 * Native threads: no debugger API is usable while LLDB runs synchronously.
 */
#include "log/reader.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* One pass over all rings; true when there was something. */
static bool pass(struct gib_reader *r)
{
    bool any = false;
    pthread_mutex_lock(&r->lock);
    pthread_rwlock_rdlock(&r->log->sites);
    uint32_t used = __atomic_load_n(&r->shared->threads_used, __ATOMIC_ACQUIRE);
    gib_reader_beat(r);
    for (uint32_t i = 0; i < used && i < GIB_MAX_THREADS; i++)
        any |= gib_ring_read(r, i);
    gib_batch_append(r);
    pthread_rwlock_unlock(&r->log->sites);
    pthread_mutex_unlock(&r->lock);
    return any;
}

bool gib_has_ended(pid_t pid)
{
    char text[512];
    bool gone;
    FILE *file = gib_open_proc(pid, "stat", &gone);
    if (!file)
        return gone;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *behind = strrchr(text, ')');
    return !behind || (behind[1] == ' ' && (behind[2] == 'Z' || behind[2] == 'X'));
}

/* The reader cannot go while its life is locked. */
static void drain(struct gib_reader *r)
{
    for (int i = 0; r && i < 4096 && pass(r); i++)
        ;
}

void gib_log_drain(struct gib_log *log)
{
    drain(log->reader);
}

static void finish(struct gib_reader *r)
{
    drain(r);
    pthread_mutex_lock(&r->lock);
    pthread_rwlock_rdlock(&r->log->sites);
    gib_rings_unfinished(r);
    pthread_rwlock_unlock(&r->log->sites);
    pthread_mutex_unlock(&r->lock);
}

void gib_log_ended(struct gib_log *log)
{
    if (log->reader)
        finish(log->reader);
    gib_log_stream_complete(log);
}

static void *read_rings(void *argument)
{
    struct gib_reader *r = argument;
    int idle = 0;
    while (!atomic_load(&r->stop)) {
        bool any = false;
        if (gib_stream_lags(r->log))
            gib_reader_beat(r); /* the target may wait for it */
        else
            any = pass(r);
        idle = any ? 0 : idle + 1;
        struct timespec pause = {0, idle < 200 ? 500000 : 5000000};
        if (!any)
            nanosleep(&pause, NULL);
    }
    return NULL;
}

static struct timespec later(long milliseconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += milliseconds * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static bool is_past(const struct timespec *t)
{
    struct timespec now = later(0);
    return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

/* Waits until there is something to show, but not for long; false when there is nothing. */
static bool wait_for_news(struct gib_log *log)
{
    struct timespec end = later(10);
    pthread_mutex_lock(&log->lock);
    if (log->spool.end <= log->printed && !log->problem)
        pthread_cond_timedwait(&log->grown, &log->lock, &end);
    bool news = log->spool.end > log->printed || log->problem;
    pthread_mutex_unlock(&log->lock);
    return news;
}

static void *tell(void *argument)
{
    struct gib_reader *r = argument;
    struct gib_log *log = r->log;
    struct timespec tick = later(100);
    int quiet = 0;
    while (!atomic_load(&r->stop)) {
        bool news = wait_for_news(log);
        if (news && !atomic_exchange(&r->waking, true)) {
            log->wake(log->wake_context);
        } else if (news) { /* whoever was woken has not come yet */
            const struct timespec pause = {0, 2000000};
            nanosleep(&pause, NULL);
        }
        quiet = news ? 0 : quiet + 1;
        if (quiet % 8 == 1 && !atomic_load(&r->gone) && gib_has_ended(atomic_load(&r->pid))) {
            atomic_store(&r->gone, true);
            finish(r);
        }
        if (is_past(&tick)) {
            tick = later(100);
            log->tick(log->wake_context);
        }
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

static int start_threads(struct gib_reader *r)
{
    /* The debugger's signals are for its own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&r->thread, NULL, read_rings, r);
    if (!failed && (failed = pthread_create(&r->teller, NULL, tell, r))) {
        atomic_store(&r->stop, true);
        pthread_join(r->thread, NULL);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static bool add_process(struct gib_log *log, struct gib_modules *modules)
{
    pthread_rwlock_wrlock(&log->sites);
    struct gib_log_process *processes =
        realloc(log->process, (log->process_count + 1) * sizeof *processes);
    if (processes) {
        log->process = processes;
        processes[log->process_count++] = (struct gib_log_process){.modules = modules};
    }
    pthread_rwlock_unlock(&log->sites);
    return processes != NULL;
}

static void free_reader(struct gib_reader *r)
{
    gib_batch_free(&r->batch);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

int gib_log_attach(struct gib_log *log, struct gib_shared *shared, uint64_t size,
                   struct gib_modules *modules, pid_t pid, struct gib_error *error)
{
    gib_log_detach(log);
    if (log->ticks_per_second == 0)
        log->ticks_per_second = measure_rate();
    struct gib_reader *r = calloc(1, sizeof *r);
    if (!r || !add_process(log, modules)) {
        free(r);
        return no_memory(error);
    }
    pthread_mutex_init(&r->lock, NULL);
    r->log = log;
    r->process = log->process_count;
    r->shared = shared;
    r->size = size;
    atomic_init(&r->pid, pid);
    r->ring_size = shared->ring_size;
    r->thread_size = shared->thread_size;
    r->threads = shared->threads;
    r->ring_offset = shared->ring_offset;
    log->reader = r;
    pthread_mutex_lock(&log->lock);
    log->spool.beat = &shared->reader_beat;
    pthread_mutex_unlock(&log->lock);
    __atomic_store_n(&shared->reader, 1, __ATOMIC_RELEASE);
    if (start_threads(r)) {
        pthread_mutex_lock(&log->lock);
        log->spool.beat = NULL;
        pthread_mutex_unlock(&log->lock);
        __atomic_store_n(&shared->reader, 0, __ATOMIC_RELEASE);
        log->reader = NULL;
        free_reader(r);
        return no_memory(error);
    }
    return 0;
}

void gib_log_follow(struct gib_log *log, pid_t pid)
{
    struct gib_reader *r = log->reader;
    if (!r)
        return;
    atomic_store(&r->pid, pid);
    atomic_store(&r->gone, false);
}

void gib_log_flushed(struct gib_log *log)
{
    struct gib_reader *r = log->reader;
    if (r)
        atomic_store(&r->waking, false);
}

void gib_log_stop(struct gib_log *log)
{
    struct gib_reader *r = log->reader;
    if (!r || atomic_exchange(&r->stop, true))
        return;
    pthread_mutex_lock(&log->lock);
    pthread_cond_broadcast(&log->grown);
    pthread_mutex_unlock(&log->lock);
    pthread_join(r->thread, NULL);
    pthread_join(r->teller, NULL);
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
    log->spool.beat = NULL;
    pthread_mutex_unlock(&log->lock);
    log->reader = NULL;
    for (size_t i = 0; i < GIB_MAX_THREADS; i++) {
        while (r->ring[i].open) {
            struct gib_open_call *open = r->ring[i].open;
            r->ring[i].open = open->next;
            free(open);
        }
    }
    munmap(r->shared, r->size);
    free_reader(r);
}
