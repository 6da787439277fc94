// What did they mean? The name nearest to a mistyped one.
#ifndef LG_CLI_NEAREST_H
#define LG_CLI_NEAREST_H

#include <stddef.h>

// A search in progress: offer each name, then read `name`, which is NULL when none was near enough: one
// edit in three letters, two swapped letters being one edit.
struct lg_nearest {
    const char *wanted;
    const char *name;
    size_t distance;
};
struct lg_nearest lg_nearest(const char *wanted);
void lg_nearest_offer(struct lg_nearest *nearest, const char *name);

#endif
