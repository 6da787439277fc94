// Shortest paths, of all nodes at once.
//
// A breadth-first search from some nodes: `next[n]` is the node before `n` on a shortest path from one
// of them. Over a reversed graph that is the way from `n` to an object, for every root that holds it;
// over the graph itself, from the roots, the way back from every object to a root.
#ifndef LG_GRAPH_PATHS_H
#define LG_GRAPH_PATHS_H

#include "graph/graph.h"

struct lg_paths {
    uint32_t node_count;
    lg_node target;   // of lg_paths_find(), else LG_NO_NODE
    lg_node *next;    // [node_count]; a source's is itself, LG_NO_NODE: not reached
    uint64_t *seen;   // a bit per node: reached
    uint64_t reached; // how many
};

// Nothing is reached yet.
LG_MUST_CHECK struct lg_error *lg_paths_new(uint32_t node_count, struct lg_paths **ret);
// Searches from `sources`, in addition to what was searched before: nodes that are reached keep their
// `next`. Levels are searched on all processors; the result does not depend on their timing: among
// several, `next` is the lowest node. Cancelled or out of memory, what was found so far is not to be
// used.
LG_MUST_CHECK struct lg_error *lg_paths_search(struct lg_paths *paths, const struct lg_graph *graph,
                                               const lg_node *sources, size_t count);
// Bars nodes from a search that begins: they count as seen, but not as reached, and nothing behind them
// is found through them.
void lg_paths_bar(struct lg_paths *paths, lg_node node);

// From everywhere to `target`: `reversed` is a transposed graph.
LG_MUST_CHECK struct lg_error *lg_paths_find(const struct lg_graph *reversed, lg_node target,
                                             struct lg_paths **ret);
void lg_paths_free(struct lg_paths *paths);
LG_DEFINE_FREEP(lg_paths)

static inline bool lg_paths_has(const struct lg_paths *paths, lg_node node)
{
    return paths->next[node] != LG_NO_NODE;
}

#endif
