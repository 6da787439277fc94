// What is alive: everything that the roots reach.
//
// Two searches, one after the other: from the roots that are certain, then from words that only look
// like references (stacks without an unwinder). What the second adds may be alive. Objects of the frozen
// heap are never collected, whatever refers to them.
#include <string.h>

#include "collect/collect_priv.h"
#include "graph/marks.h"
#include "util/error.h"
#include "util/pages.h"

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

// In both searches' order: from what is certain, and from what is guessed.
struct sources {
    lg_nodes certain, guessed;
};
static void sources_deinit(struct sources *sources)
{
    lg_vec_free(&sources->certain);
    lg_vec_free(&sources->guessed);
}

static bool find_sources(const struct lg_heap_graph *graph, const struct lg_roots *roots,
                         struct sources *ret)
{
    return lg_root_nodes_add(graph, roots, false, &ret->certain)
           && lg_frozen_nodes_add(graph, &ret->certain)
           && lg_root_nodes_add(graph, roots, true, &ret->guessed);
}

static struct lg_error *search(struct lg_reach *reach, const struct lg_roots *roots)
{
    _cleanup_(sources_deinit) struct sources sources = { 0 };
    const struct lg_graph *forward = reach->graph->forward;
    size_t words = lg_marks_words(forward->node_count);
    reach->alive = lg_pages_alloc(words, 8);
    reach->certain = lg_pages_alloc(words, 8);
    if (!reach->alive || !reach->certain || !find_sources(reach->graph, roots, &sources))
        return &lg_no_memory;
    struct lg_error *err = lg_marks_search(reach->alive, forward, sources.certain.at,
                                           sources.certain.len, &reach->live_count);
    if (err)
        return err;
    memcpy(reach->certain, reach->alive, 8 * words);
    reach->certain_count = reach->live_count;
    return lg_marks_search(reach->alive, forward, sources.guessed.at, sources.guessed.len,
                           &reach->live_count);
}

struct lg_error *lg_reach_find(struct lg_heap_graph *graph, const struct lg_roots *roots,
                               struct lg_reach **ret)
{
    _cleanup_(lg_reach_freep) struct lg_reach *reach = calloc(1, sizeof(*reach));
    if (!reach)
        return &lg_no_memory;
    reach->graph = graph;
    struct lg_error *err = lg_heap_graph_need(graph, LG_GRAPH_FORWARD);
    if (!err)
        err = search(reach, roots);
    if (!err)
        *ret = lg_steal(reach);
    return err;
}

struct lg_error *lg_reach_paths(const struct lg_reach *reach, const struct lg_roots *roots,
                                struct lg_paths **ret)
{
    _cleanup_(sources_deinit) struct sources sources = { 0 };
    _cleanup_(lg_paths_freep) struct lg_paths *paths = NULL;
    if (!find_sources(reach->graph, roots, &sources))
        return &lg_no_memory;
    struct lg_error *err = lg_heap_graph_need(reach->graph, LG_GRAPH_FORWARD);
    if (!err)
        err = lg_paths_new(lg_index_count(reach->graph->index), &paths);
    if (!err)
        err = lg_paths_search(paths, reach->graph->forward, sources.certain.at, sources.certain.len);
    if (!err)
        err = lg_paths_search(paths, reach->graph->forward, sources.guessed.at, sources.guessed.len);
    if (!err)
        *ret = lg_steal(paths);
    return err;
}

enum lg_life lg_reach_life(const struct lg_reach *reach, lg_node node)
{
    if (lg_marks_has(reach->certain, node))
        return LG_ALIVE;
    return lg_marks_has(reach->alive, node) ? LG_MAYBE_ALIVE : LG_DEAD;
}

void lg_reach_free(struct lg_reach *reach)
{
    if (!reach)
        return;
    size_t words = lg_marks_words(lg_index_count(reach->graph->index));
    lg_pages_free(reach->certain, words, 8);
    lg_pages_free(reach->alive, words, 8);
    free(reach);
}
