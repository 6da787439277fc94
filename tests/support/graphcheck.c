// Holds the graph of a target against its objects, one by one: `graphcheck TARGET`.
//
// The graph is built in parallel, by the fast paths of heap and graph. Here each object is looked up and
// asked for its references by the plain ones; every reference has to be an edge, and there may be no
// others.
#include <stdio.h>
#include <string.h>

#include "collect/collect.h"
#include "collect/collect_priv.h"
#include "util/error.h"

struct check {
    const struct lg_heap_graph *graph;
    lg_node from;
    uint64_t object;
    uint64_t edges, missing, wild;
};

static bool has_edge(const struct lg_graph *reversed, lg_node from, lg_node to)
{
    uint32_t low = reversed->edge_start[to], high = reversed->edge_start[to + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (reversed->edges[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low < reversed->edge_start[to + 1] && reversed->edges[low] == from;
}

static void expect_edge(struct check *check, uint64_t to)
{
    lg_node node = lg_index_node(check->graph->index, to);
    if (node == LG_NO_NODE) {
        check->wild++;
        return;
    }
    check->edges++;
    check->missing += !has_edge(check->graph->reversed, check->from, node);
}

static void each_reference(void *self, uint64_t offset, uint64_t target)
{
    struct check *check = self;
    struct lg_clr *clr = lg_heap_clr(check->graph->heap);
    const struct lg_static *field = lg_clr_static_at(clr, check->object + offset);
    if (!field || lg_static_is_collectible(clr, field))
        expect_edge(check, target);
}

static struct lg_error *check_target(struct lg_target *target, bool *ok_ret)
{
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    _cleanup_(lg_heap_freep) struct lg_heap *heap = NULL;
    _cleanup_(lg_heap_graph_freep) struct lg_heap_graph *graph = NULL;
    struct lg_error *err = lg_clr_open(target, &(struct lg_clr_options){ .dac = NULL }, &clr);
    if (!err)
        err = lg_heap_open(clr, &heap);
    if (!err)
        err = lg_heap_graph_build(heap, LG_GRAPH_REVERSED, &graph);
    if (!err)
        err = lg_graph_check(graph->reversed);
    if (err)
        return err;
    struct check check = { .graph = graph, .edges = graph->dependents.len };
    uint32_t count = lg_index_count(graph->index);
    for (lg_node n = 0; n < count; n++) {
        struct lg_object object;
        check.from = n;
        check.object = lg_index_address(graph->index, n);
        if (!lg_heap_object_at(heap, check.object, &object)) {
            check.missing++;
            continue;
        }
        lg_heap_references(heap, &object, each_reference, &check);
        uint64_t loader = lg_loader_object(clr, &graph->loader_objects, object.type);
        if (loader)
            expect_edge(&check, loader);
    }
    printf("objects %u edges %llu expected %llu missing %llu wild %llu of %llu\n", count,
           (unsigned long long)graph->reversed->edge_count, (unsigned long long)check.edges,
           (unsigned long long)check.missing, (unsigned long long)check.wild,
           (unsigned long long)graph->wild);
    *ok_ret =
        check.missing == 0 && check.edges == graph->reversed->edge_count && check.wild == graph->wild;
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return fprintf(stderr, "usage: graphcheck TARGET\n"), 2;
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    bool ok = false;
    struct lg_error *err = lg_target_open(argv[1], &(struct lg_target_options){ 0 }, &target);
    if (!err)
        err = check_target(target, &ok);
    if (err)
        fprintf(stderr, "graphcheck: %s\n", lg_error_message(err));
    lg_error_free(err);
    return ok ? 0 : 1;
}
