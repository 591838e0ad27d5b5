/* stats.h: how the tables of `gibbon stats` are printed, and its -by. */
#ifndef GIBBON_STATS_COMMAND_H
#define GIBBON_STATS_COMMAND_H

#include "command/command.h"

/* A table whose columns are as wide as what is in them: all to the right but the last. */
enum { GIB_CELLS = 12 };
struct gib_table {
    FILE *text; /* what the cells hold */
    char *cells;
    size_t size;
    size_t columns, rows;
    const char *indent;
};
/* `heading`: the names of the columns, separated by blanks. False: out of memory. */
bool gib_table_begin(struct gib_table *table, const char *heading, const char *indent);
__attribute__((format(printf, 2, 3))) void gib_table_cell(struct gib_table *table,
                                                          const char *format, ...);
/* A time of so many seconds; below 0: a dash. */
void gib_table_time(struct gib_table *table, double seconds);
/* Prints it and frees what it needed. */
void gib_table_end(struct gib_table *table, struct gib_engine *engine);

/* stats_by.c: what -by may be, as typed; 0 or a GIB_E_ code. */
enum gib_stats_key {
    GIB_BY_CALLER,
    GIB_BY_THREAD,
    GIB_BY_ARGUMENT,
    GIB_BY_RESULT,
};
struct gib_stats_by {
    enum gib_stats_key key;
    const char *argument; /* ARGUMENT: its name, or NULL: the first */
};
int gib_stats_by_parse(const char *text, struct gib_stats_by *by, struct gib_error *error);
/* One table for each patch; unless they were `named` by the user, not for those never called. */
int gib_stats_by(struct gib_engine *engine, const struct gib_stats_by *by,
                 struct gib_patch *const *patches, size_t count, bool named,
                 struct gib_error *error);

#endif
