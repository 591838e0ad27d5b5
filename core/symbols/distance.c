/*
 * distance.c: how alike two names are.
 */
#include <string.h>
#include "symbols/distance.h"

unsigned gib_name_distance(const char *a, const char *b, unsigned limit)
{
    enum { LONGEST = 64 };
    size_t m = strlen(a), n = strlen(b);
    unsigned row[LONGEST + 1];
    if (m > LONGEST || n > LONGEST || (m > n ? m - n : n - m) > limit)
        return limit + 1;
    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= m; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            unsigned above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[n];
}
