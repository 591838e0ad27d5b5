/* stats_table.c: columns that are as wide as what is in them. */
#include "command/stats.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool gib_table_begin(struct gib_table *table, const char *heading, const char *indent)
{
    *table = (struct gib_table){.indent = indent};
    table->text = open_memstream(&table->cells, &table->size);
    if (!table->text)
        return false;
    for (const char *at = heading; *at; at += strspn(at, " ")) {
        int length = (int)strcspn(at, " ");
        gib_table_cell(table, "%.*s", length, at);
        table->columns++;
        at += length;
    }
    return true;
}

void gib_table_cell(struct gib_table *table, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(table->text, format, arguments);
    va_end(arguments);
    fputc('\0', table->text);
}

void gib_table_time(struct gib_table *table, double seconds)
{
    char text[GIB_DURATION_TEXT] = "-";
    if (seconds >= 0)
        gib_log_duration(seconds, text);
    gib_table_cell(table, "%s", text);
}

void gib_table_end(struct gib_table *table, struct gib_engine *engine)
{
    int width[GIB_CELLS] = {0};
    fclose(table->text);
    for (int pass = 0; pass < 2 && table->cells; pass++) {
        size_t column = 0;
        for (const char *cell = table->cells; cell < table->cells + table->size;
             cell += strlen(cell) + 1, column = (column + 1) % table->columns) {
            int length = (int)strlen(cell);
            bool first = column == 0, last = column == table->columns - 1;
            if (!pass)
                width[column] = length > width[column] ? length : width[column];
            else if (last)
                gib_print(engine, "  %s\n", cell);
            else if (first && !*table->indent) /* the number of a patch */
                gib_print(engine, "%-*s", width[column], cell);
            else
                gib_print(engine, "%s%*s", first ? table->indent : " ", width[column], cell);
        }
    }
    free(table->cells);
}
