// Where in its holder each reference lies: what an edge of the graph is called, without reading the
// holder again.
//
//     forward->edges   [ Entry[] | Note   Blob | … ]
//     places           [    1    |   1      2  | … ]      words from the start; of arrays: in the
//     element
//
// Found in one pass over the heap, in its order; asking then takes no memory of the target at all.
#ifndef LG_COLLECT_PLACES_H
#define LG_COLLECT_PLACES_H

#include "collect/collect.h"

enum {
    LG_PLACE_NONE = 0,     // No reference in memory: a dependent handle, a loader allocator.
    LG_PLACE_ASK = 0xffff, // Too far in, or a static's slot: lg_edge_label() tells.
};

// Of an object that refers to another several times, the first of equal edges has the lowest place.
struct lg_places {
    uint64_t count; // of the forward edges
    uint16_t *at;
};
LG_MUST_CHECK struct lg_error *lg_places_find(const struct lg_reach *reach, struct lg_places *ret);
void lg_places_deinit(struct lg_places *places);

// What lies at a place of objects of that type, any element of arrays. Not of the two above.
void lg_place_label(const struct lg_heap_graph *graph, const struct lg_type *type, uint16_t place,
                    char *buf, size_t size);

#endif
