// Dominators: what would go if an object went.
//
// Node a dominates node b when every way from the roots to b leads through a. Each reachable node has
// one nearest dominator, its immediate one, and these make a tree under a virtual root in front of all
// roots. The retained size of a node is the size of its subtree, exactly what would be freed if nothing
// referred to the node any more.
//
//     roots       0   (virtual)               0
//                / \                        / | \.
//               1   4        tree:         1  4  3       3 can be reached past 1 and past 4
//              / \ /                       |
//             2   3                        2
//
// Nodes are numbered in the order in which a depth-first search meets them, from 1; 0 is the virtual
// root. An immediate dominator always has a lower number than what it dominates, so every fold over the
// tree is one loop, and nothing is recursive. The algorithm is SEMI-NCA (Georgiadis, Tarjan, Werneck
// 2006), in the form of reference graph.md 6-7: one search numbers the nodes, rewrites the edges to
// numbers and keeps of them what is needed; only edges to lower numbers are ever turned round.
#ifndef LG_GRAPH_DOMINATORS_H
#define LG_GRAPH_DOMINATORS_H

#include "graph/graph.h"

struct lg_dominators {
    uint32_t count;      // Nodes reached, and the virtual root: numbers are below this.
    uint32_t node_count; // of the graph, and the owners
    lg_node *node;       // [count] node[0] is LG_NO_NODE
    uint32_t *number;    // [node_count] the other way: 0 for nodes that are not reached
    uint32_t *idom;      // [count] numbers; idom[0] = 0, idom[i] < i
};

// The tree of what `roots` reach, which may repeat, and what `owners` hold: those are nodes behind those
// of the graph, each a root, and each row is the nodes of the graph that it refers to. NULL: none.
// The graph is taken over, and freed as soon as it is not needed any more, whatever becomes of it. Takes
// up to 20 bytes a node beside the graph, and 4 for each edge to a lower number; the tree takes 12.
// Errors: out of memory, cancelled, a root that is no node.
LG_MUST_CHECK struct lg_error *lg_dominators_find(struct lg_graph *graph, const struct lg_graph *owners,
                                                  const lg_node *roots, size_t root_count,
                                                  struct lg_dominators **ret);
void lg_dominators_free(struct lg_dominators *dominators); // NULL is allowed
LG_DEFINE_FREEP(lg_dominators)

// size[i] is what node[i] takes itself, size[0] is 0; becomes what it retains, size[0] the sum of all.
void lg_retained_fold(const struct lg_dominators *dominators, uint64_t *size);

// Children of each number, in one array: those of i are order[start[i]] up to, not including,
// order[start[i + 1]], ascending.
struct lg_dominator_children {
    uint32_t count;
    uint32_t *start; // [count + 1]
    uint32_t *order; // [count]
};
LG_MUST_CHECK struct lg_error *lg_dominator_children_find(const struct lg_dominators *dominators,
                                                          struct lg_dominator_children *ret);
void lg_dominator_children_deinit(struct lg_dominator_children *children);

#endif
