// For the files of src/graph: what an index is made of, and translating addresses where calls would
// count.
#ifndef LG_GRAPH_INDEX_PRIV_H
#define LG_GRAPH_INDEX_PRIV_H

#include "graph/index.h"

// What a word of the bitmap covers, and how many objects start before it: side by side, so that
// translating an address costs one cache line.
struct word {
    uint64_t bits;
    uint32_t rank;
    uint32_t unused;
};

enum {
    WINDOW_BITS = 22,               // 4 MiB of address space
    WORDS = 1 << (WINDOW_BITS - 9), // a word covers 64 * 8 bytes
    SAMPLE_BITS = 12,               // every 4,096th object's word is remembered
};
#define NO_WINDOW UINT32_MAX

struct lg_index {
    uint64_t low; // lowest address, rounded down to a window
    size_t slot_count;
    uint32_t *slots; // [slot_count]: window number of each 4 MiB from `low`, or NO_WINDOW
    uint32_t window_count;
    uint64_t *window_start; // [window_count]
    struct word *words;     // [window_count * WORDS]
    uint32_t count;
    uint32_t *samples; // [(count >> SAMPLE_BITS) + 1]: word of every 4,096th object
    size_t sample_count;
};

// The number of the bitmap's word for an address, or SIZE_MAX.
static inline size_t index_word(const struct lg_index *index, uint64_t address)
{
    uint64_t slot = (address - index->low) >> WINDOW_BITS; // Wraps to something huge below `low`.
    if (slot >= index->slot_count || index->slots[slot] == NO_WINDOW)
        return SIZE_MAX;
    return (size_t)index->slots[slot] * WORDS + ((address >> 9) & (WORDS - 1));
}

// The object that starts at `address`, whose word is `w`; LG_NO_NODE if none does.
static inline lg_node index_node(const struct lg_index *index, size_t w, uint64_t address)
{
    if (w == SIZE_MAX || address & 7)
        return LG_NO_NODE;
    const struct word *word = &index->words[w];
    unsigned bit = address >> 3 & 63;
    if (!(word->bits >> bit & 1))
        return LG_NO_NODE;
    return word->rank + (uint32_t)__builtin_popcountll(word->bits & ((UINT64_C(1) << bit) - 1));
}

#endif
