// Where sampled objects were made: what was learnt of one copy of a process by following it before.
//
//     objects, by address ─► site ─► stacks: frames, innermost first
//
// Only some of all allocations are sampled: of most objects it is not known. A sample stands for
// 1 / `share` objects of its kind.
#ifndef LG_COLLECT_MADE_H
#define LG_COLLECT_MADE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/arena.h"
#include "util/cleanup.h"
#include "util/vec.h"

struct lg_made_frame {
    const char *method; // "async App.OrderService.Submit"; NULL: not known
    const char *module; // "App.dll"; NULL: not known
    const char *file;   // NULL: not known
    uint32_t il, line;  // `il` UINT32_MAX: not known
};
struct lg_made_site {
    uint32_t stack, count; // in `stacks`
    uint32_t own;          // of these tell the site: up to the first that is not of the class library
};
struct lg_made_object {
    uint64_t address;
    uint32_t site;
    double share; // 0 < share <= 1
};
struct lg_made {
    const char *sampling; // "AllocationSampled"
    uint64_t ms, samples; // how long, and how many were taken, dead or alive
    LG_VEC(struct lg_made_frame) frames;
    LG_VEC(uint32_t) stacks;
    LG_VEC(struct lg_made_site) sites;
    LG_VEC(struct lg_made_object) objects; // ascending
    struct lg_arena arena;
};
// NULL: it was not sampled.
const struct lg_made_object *lg_made_find(const struct lg_made *made, uint64_t address);
// Puts objects in order; false: two are at one address.
bool lg_made_sort(struct lg_made *made);
void lg_made_free(struct lg_made *made); // NULL is allowed
LG_DEFINE_FREEP(lg_made)

#endif
