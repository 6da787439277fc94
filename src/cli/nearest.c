#include "cli/nearest.h"

#include <string.h>

enum { LENGTH_MAX = 40 }; // Longer words are nobody's typing mistake.

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Optimal string alignment distance: Levenshtein's, and swapping two neighbours costs one.
static size_t distance(const char *a, const char *b)
{
    size_t d[LENGTH_MAX + 1][LENGTH_MAX + 1];
    size_t m = strlen(a), n = strlen(b);
    for (size_t i = 0; i <= m; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= n; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= m; i++) {
        for (size_t j = 1; j <= n; j++) {
            size_t cost = a[i - 1] != b[j - 1];
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[m][n];
}

struct lg_nearest lg_nearest(const char *wanted)
{
    return (struct lg_nearest){ wanted, NULL, (strlen(wanted) + 2) / 3 + 1 };
}

void lg_nearest_offer(struct lg_nearest *nearest, const char *name)
{
    if (strlen(nearest->wanted) > LENGTH_MAX || strlen(name) > LENGTH_MAX)
        return;
    size_t d = distance(nearest->wanted, name);
    // What shares no letter is no neighbour, however short.
    if (d >= nearest->distance || d >= strlen(name))
        return;
    nearest->distance = d;
    nearest->name = name;
}
