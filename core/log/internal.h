/* internal.h: the log's state, shared by log.c and reader.c. */
#ifndef GIBBON_LOG_INTERNAL_H
#define GIBBON_LOG_INTERNAL_H

#include <pthread.h>
#include "log/log.h"
#include "log/nesting.h"

/* One process whose calls are in the spool. */
struct gib_log_process {
    struct gib_modules *modules;
    struct gib_log_site **site;
    uint32_t site_count;
    bool names_changed; /* since it was decided which sites are ambiguous */
    uint64_t first;     /* time stamp of its first record, 0: none yet */
};

struct gib_reader;

struct gib_log {
    pthread_mutex_t lock; /* of everything here */
    void (*wake)(void *context);
    void (*tick)(void *context);
    void *wake_context;
    struct gib_log_process *process;
    uint32_t process_count;
    double ticks_per_second;
    FILE *spool;
    int spool_fd;
    uint8_t *buffer;
    size_t buffer_used;
    uint64_t buffer_calls, buffer_offset; /* calls in the buffer, and where in the file it goes */
    uint64_t spool_size, printed;         /* file and buffer; what has been shown */
    uint64_t calls, lost;
    struct gib_reader *reader;
    bool indent;
    struct gib_nesting nesting; /* of what has been printed */
};

struct gib_log_process *gib_log_current(struct gib_log *log);
void gib_log_append(struct gib_log *log, const struct gib_call *call, const void *record);

#endif
