// What some nodes reach: a bit per node. Where ways are wanted as well: paths.h.
#ifndef LG_GRAPH_MARKS_H
#define LG_GRAPH_MARKS_H

#include "graph/graph.h"

// [lg_marks_words(node_count)], zeroed, in pages (util/pages.h).
static inline size_t lg_marks_words(uint32_t node_count)
{
    return (size_t)node_count / 64 + 1;
}

static inline bool lg_marks_has(const uint64_t *marks, lg_node node)
{
    return marks[node >> 6] >> (node & 63) & 1;
}

// Marks what `sources` reach; nothing is looked for behind nodes that are marked already. `*count` grows
// by the nodes that were not. On all processors. Cancelled or out of memory, marks mean nothing.
LG_MUST_CHECK struct lg_error *lg_marks_search(uint64_t *marks, const struct lg_graph *graph,
                                               const lg_node *sources, size_t source_count,
                                               uint64_t *count);

#endif
