/* marks.c: from marks to escape sequences (ECMA-48, select graphic rendition: ESC [ 1 ; 33 m). */
#include "log/marks.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARKS = GIB_MARK_BEYOND - GIB_MARK_FUNCTION, LONGEST = 40 };

/* The parameters for each mark; "" where they are no numbers. */
static void read_styles(const char *styles, char out[MARKS][LONGEST])
{
    memset(out, 0, MARKS * LONGEST);
    for (int i = 0; i < MARKS && *styles; i++) {
        size_t length = strcspn(styles, "\t");
        if (length < LONGEST && strspn(styles, "0123456789;") >= length)
            memcpy(out[i], styles, length);
        styles += length + (styles[length] == '\t');
    }
}

char *gib_marks_translate(const char *text, const char *styles)
{
    char style[MARKS][LONGEST], *out = NULL;
    size_t size;
    FILE *stream = open_memstream(&out, &size);
    if (!stream)
        return NULL;
    read_styles(styles ? styles : "", style);
    bool open = false;
    for (const char *at = text; *at;) {
        size_t plain = 0;
        while (at[plain] && (at[plain] < GIB_MARK_END || at[plain] >= GIB_MARK_BEYOND))
            plain++;
        fwrite(at, 1, plain, stream);
        at += plain;
        if (!*at)
            break;
        char mark = *at++;
        bool opens = mark != GIB_MARK_END && *style[mark - GIB_MARK_FUNCTION];
        if (open)
            fputs("\033[m", stream);
        if (opens)
            fprintf(stream, "\033[%sm", style[mark - GIB_MARK_FUNCTION]);
        open = opens;
    }
    /* A piece of a longer text may end between two marks. */
    if (open)
        fputs("\033[m", stream);
    return fclose(stream) ? (free(out), NULL) : out;
}
