// Rows of a graph by those who meet its nodes in order: nothing has to be sorted, only put end to end.
//
// The nodes are cut into pieces, runs of adjacent ones. Whoever works on a piece tells its edges, by
// ascending node; others work on other pieces meanwhile.
//
//     piece 0   | edges of nodes 0, 1, 2 …  |          piece 1   | edges of 57, 58 … |
//
// Against the sorter of graph.h, which takes edges as they come: half the memory, a third of the time.
#ifndef LG_GRAPH_ROWS_H
#define LG_GRAPH_ROWS_H

#include "graph/graph.h"

struct lg_rows;
LG_MUST_CHECK struct lg_error *lg_rows_new(uint32_t node_count, size_t piece_count,
                                           struct lg_rows **ret);
// Row values[i] gets the node that starts at address keys[i], for all of a batch, and empties it.
// Returns how many led to where no object starts. Running out of memory is remembered.
uint64_t lg_rows_add_batch(struct lg_rows *rows, size_t worker, const struct lg_index *index,
                           struct lg_edge_batch *batch);
// What `worker` has told since the last call are the edges of a piece.
void lg_rows_end(struct lg_rows *rows, size_t worker, size_t piece);
// The graph of all edges; values ascend within each row. Errors: 2^32 edges, pieces that overlap.
LG_MUST_CHECK struct lg_error *lg_rows_finish(struct lg_rows *rows, struct lg_graph **ret);
void lg_rows_free(struct lg_rows *rows); // NULL is allowed
LG_DEFINE_FREEP(lg_rows)

#endif
