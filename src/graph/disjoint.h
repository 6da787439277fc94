// Paths that have nothing in common: how often something is held, and what to let go of.
//
// As many paths from some nodes (sources) to one node (target) as there can be without two of them
// sharing a node, the target apart. By Menger's theorem that is also how few nodes have to go until
// nothing reaches the target any more, and which ones comes with it (`cut`).
//
//     source A ── 1 ──┐                   two paths, A 1 and B 2; what A and B hold is held twice
//     source B ── 2 ──┴── target
//
//     source A ──┐                        one path: everything goes through 3, the cut
//     source B ──┴─ 3 ─── target
//
// Found by augmenting shortest paths on the graph whose nodes can each be used once (each node is an
// `in` and an `out` with one edge between them), searched backwards from the target, only as far as the
// next source.
#ifndef LG_GRAPH_DISJOINT_H
#define LG_GRAPH_DISJOINT_H

#include "graph/paths.h"
#include "util/vec.h"

struct lg_disjoint {
    struct lg_paths *paths; // `next` of a node on a path is the node behind it; of all others LG_NO_NODE
    LG_VEC(lg_node) starts; // The source that each path begins at, ascending.
    LG_VEC(lg_node) cut;    // A node of each path: those nearest to the target. Ascending.
    bool is_limited;        // There may be more: `limit` were found. Then there is no cut.
};

// `reversed` is a transposed graph; `sources` has a bit per node. A path has a source and the target at
// least: that the target is a source itself is not counted. `limit` 0: all.
LG_MUST_CHECK struct lg_error *lg_disjoint_find(const struct lg_graph *reversed, lg_node target,
                                                const uint64_t *sources, uint64_t limit,
                                                struct lg_disjoint **ret);
void lg_disjoint_free(struct lg_disjoint *disjoint); // NULL is allowed
LG_DEFINE_FREEP(lg_disjoint)

#endif
