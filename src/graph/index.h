// Addresses of objects <-> dense numbers in address order: a bitmap with ranks.
//
//     heap      |  window of 4 MiB  |          (nothing)           |  window  |
//     win[]           0                         NONE                     1          by (address - low)
//     >> 22 bits      one per 8 bytes: an object starts there                             64 KiB a
//     window rank      objects in all blocks before, one u32 per 512 bits (4 KiB of heap)
//
// 1.6 % of the touched address space; a translation costs two cache lines (reference graph.md 2.2).
#ifndef LG_GRAPH_INDEX_H
#define LG_GRAPH_INDEX_H

#include "graph/graph.h"

struct lg_index;

struct lg_span {
    uint64_t start, end;
};

// An empty index over the given spans (by start, none overlapping), to be filled and then sealed.
LG_MUST_CHECK struct lg_error *lg_index_new(const struct lg_span *spans, size_t count,
                                            struct lg_index **ret);
// Objects start at those of the 64 addresses from `address` (a multiple of 512) on, 8 apart, whose bits
// are set. Thread-safe. Addresses outside all spans are ignored.
void lg_index_add(struct lg_index *index, uint64_t address, uint64_t bits);
// Counts ranks. Errors: 2^32 - 2 objects or more.
LG_MUST_CHECK struct lg_error *lg_index_seal(struct lg_index *index);
void lg_index_free(struct lg_index *index);
LG_DEFINE_FREEP(lg_index)

uint32_t lg_index_count(const struct lg_index *index);
// LG_NO_NODE: no object starts there.
lg_node lg_index_node(const struct lg_index *index, uint64_t address);
uint64_t lg_index_address(const struct lg_index *index, lg_node node); // node < count
lg_node lg_index_before(const struct lg_index *index,
                        uint64_t address);             // last object at or before; LG_NO_NODE
uint64_t lg_index_bytes(const struct lg_index *index); // memory it takes

#endif
