// Shortest paths from many roots to one object.
//
// A breadth-first search from the object backwards: `next[n]` is the node after `n` on a shortest path
// to the target. Every node that reaches the target is found once, so every root that holds it is known,
// with its own shortest path.
#ifndef LG_GRAPH_PATHS_H
#define LG_GRAPH_PATHS_H

#include "graph/graph.h"

struct lg_paths {
    uint32_t node_count;
    lg_node target;
    lg_node *next;    // [node_count]; the target's is itself, LG_NO_NODE: does not reach it
    uint64_t reached; // nodes that reach the target, itself included
};

// `reversed` is a transposed graph. Levels are searched on all processors; the result does not depend on
// their timing: among several, `next` is the lowest node.
LG_MUST_CHECK struct lg_error *lg_paths_find(const struct lg_graph *reversed, lg_node target,
                                             struct lg_paths **ret);
void lg_paths_free(struct lg_paths *paths);
LG_DEFINE_FREEP(lg_paths)

#endif
