// The biggest of many: rank and value; a heap with the smallest on top, until lg_top_sort().
#ifndef LG_UTIL_TOP_H
#define LG_UTIL_TOP_H

#include "util/vec.h"

struct lg_top_entry {
    uint64_t rank;
    uint32_t value;
};
struct lg_top {
    uint64_t limit; // 0: all
    uint64_t offered;
    LG_VEC(struct lg_top_entry) kept;
};
// False when out of memory. Of equal ranks the lower value is bigger.
bool lg_top_offer(struct lg_top *top, uint64_t rank, uint32_t value);
void lg_top_sort(struct lg_top *top); // The biggest first.
static inline void lg_top_deinit(struct lg_top *top)
{
    lg_vec_free(&top->kept);
}

#endif
