// What is alive: everything that the roots reach.
//
// Two searches, one after the other: from the roots that are certain, then from words that only look
// like references (stacks without an unwinder). What the second adds may be alive. Objects of the frozen
// heap are never collected, whatever refers to them.
#include <string.h>

#include "collect/collect_priv.h"
#include "util/error.h"
#include "util/pages.h"

static size_t mask_words(const struct lg_reach *reach)
{
    return (size_t)reach->paths->node_count / 64 + 1;
}

bool lg_root_nodes_add(const struct lg_heap_graph *graph, const struct lg_roots *roots,
                       bool conservative, lg_nodes *ret)
{
    for (size_t i = 0; i < roots->all.len; i++) {
        const struct lg_root *root = &roots->all.at[i];
        lg_node node =
            root->conservative == conservative ? lg_index_node(graph->index, root->object) : LG_NO_NODE;
        if (node != LG_NO_NODE && !lg_vec_push(ret, node))
            return false;
    }
    return true;
}

bool lg_frozen_nodes_add(const struct lg_heap_graph *graph, lg_nodes *ret)
{
    size_t count;
    const struct lg_segment *segments = lg_clr_segments(lg_heap_clr(graph->heap), &count);
    for (size_t i = 0; i < count; i++) {
        if (segments[i].generation != LG_FOH || segments[i].end == segments[i].start)
            continue;
        lg_node end = lg_index_before(graph->index, segments[i].end - 1);
        for (lg_node node = end; node != LG_NO_NODE; node--) {
            if (lg_index_address(graph->index, node) < segments[i].start)
                break;
            if (!lg_vec_push(ret, node))
                return false;
            if (node == 0)
                break;
        }
    }
    return true;
}

static struct lg_error *search(struct lg_reach *reach, const struct lg_heap_graph *graph,
                               const struct lg_roots *roots)
{
    lg_nodes certain = { 0 }, guessed = { 0 };
    bool ready = lg_root_nodes_add(graph, roots, false, &certain) && lg_frozen_nodes_add(graph, &certain)
                 && lg_root_nodes_add(graph, roots, true, &guessed);
    struct lg_error *err = ready ? NULL : &lg_no_memory;
    if (!err)
        err = lg_paths_search(reach->paths, reach->forward, certain.at, certain.len);
    if (!err) {
        memcpy(reach->certain, reach->paths->seen, 8 * mask_words(reach));
        reach->certain_count = reach->paths->reached;
        err = lg_paths_search(reach->paths, reach->forward, guessed.at, guessed.len);
    }
    lg_vec_free(&certain);
    lg_vec_free(&guessed);
    return err;
}

struct lg_error *lg_reach_find(const struct lg_heap_graph *graph, const struct lg_roots *roots,
                               struct lg_reach **ret)
{
    _cleanup_(lg_reach_freep) struct lg_reach *reach = calloc(1, sizeof(*reach));
    if (!reach)
        return &lg_no_memory;
    reach->graph = graph;
    struct lg_error *err = lg_graph_transpose(graph->reversed, &reach->forward);
    if (!err)
        err = lg_paths_new(graph->reversed->node_count, &reach->paths);
    if (err)
        return err;
    reach->certain = lg_pages_alloc(mask_words(reach), 8);
    if (!reach->certain)
        return &lg_no_memory;
    err = search(reach, graph, roots);
    if (!err)
        *ret = lg_steal(reach);
    return err;
}

enum lg_life lg_reach_life(const struct lg_reach *reach, lg_node node)
{
    if (reach->certain[node >> 6] >> (node & 63) & 1)
        return LG_ALIVE;
    return lg_paths_has(reach->paths, node) ? LG_MAYBE_ALIVE : LG_DEAD;
}

void lg_reach_free(struct lg_reach *reach)
{
    if (!reach)
        return;
    if (reach->paths)
        lg_pages_free(reach->certain, mask_words(reach), 8);
    lg_paths_free(reach->paths);
    lg_graph_free(reach->forward);
    free(reach);
}
