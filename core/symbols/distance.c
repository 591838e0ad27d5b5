/*
 * distance.c: how alike two names are.
 */
#include <string.h>
#include "symbols/distance.h"

unsigned gib_name_distance(const char *a, const char *b, unsigned limit)
{
    enum { LONGEST = 64 };
    size_t m = strlen(a), n = strlen(b);
    unsigned rows[3][LONGEST + 1], *before = rows[0], *above = rows[1], *row = rows[2];
    if (m > LONGEST || n > LONGEST || (m > n ? m - n : n - m) > limit)
        return limit + 1;
    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= m; i++) {
        unsigned *oldest = before;
        before = above;
        above = row;
        row = oldest;
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
    }
    return row[n] <= limit ? row[n] : limit + 1;
}

bool gib_name_is_nearer(const char *name, const char *candidate, unsigned *best)
{
    unsigned limit = strlen(name) > 3 ? 3 : 2; /* what is nearer is meant */
    limit = *best < limit ? *best : limit;
    unsigned distance = gib_name_distance(name, candidate, limit);
    if (distance >= limit || distance >= strlen(candidate))
        return false;
    *best = distance;
    return true;
}

static bool is_continued(char c)
{
    return (c & 0xc0) == 0x80; /* a byte in a character of UTF-8 */
}

const char *gib_text_shorten(const char *text, size_t length, char out[GIB_SHORT_NAME])
{
    enum { MOST = 60, HEAD = 22, TAIL = 35 };
    size_t head = HEAD, tail = length - TAIL;
    if (length <= MOST) {
        memcpy(out, text, length);
        out[length] = '\0';
        return out;
    }
    while (head && is_continued(text[head]))
        head--;
    while (tail < length && is_continued(text[tail]))
        tail++;
    memcpy(out, text, head);
    memcpy(out + head, "...", 3);
    memcpy(out + head + 3, text + tail, length - tail);
    out[head + 3 + length - tail] = '\0';
    return out;
}

const char *gib_name_shorten(const char *name, char out[GIB_SHORT_NAME])
{
    return gib_text_shorten(name, strlen(name), out);
}
