// Prints every object that some root reaches, and roots of which kinds do, in the format of
// `oracle --reach FILE`:
//
//     reachdump CORE
//
//     address <tab> kinds       in address order
//
// The kinds, added up: 1 handles and statics (exceptions of threads are in handles), 2 thread statics,
// 4 the finalizer queue, 8 stacks; and of linger alone 16 words on stacks that may be no references, and
// the load contexts of methods that are being run, 32 objects of the frozen heap.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "collect/collect_priv.h"

enum { GROUPS = 6 };

static int fail(struct lg_error *err)
{
    fprintf(stderr, "reachdump: %s\n", lg_error_message(err));
    lg_error_free(err);
    return 3;
}

static unsigned group_of(const struct lg_root *root)
{
    switch (root->kind) {
    case LG_ROOT_THREAD_STATIC:
        return 1;
    case LG_ROOT_FINALIZER:
        return 2;
    case LG_ROOT_STACK:
        return root->conservative ? 4 : 3;
    case LG_ROOT_FRAME:
        return root->frame ? 4 : 0;
    default:
        return 0;
    }
}

static bool add_nodes(const struct lg_heap_graph *graph, const struct lg_roots *roots, unsigned group,
                      lg_nodes *ret)
{
    for (size_t i = 0; i < roots->all.len; i++) {
        lg_node node = group_of(&roots->all.at[i]) == group
                           ? lg_index_node(graph->index, roots->all.at[i].object)
                           : LG_NO_NODE;
        if (node != LG_NO_NODE && !lg_vec_push(ret, node))
            return false;
    }
    return group < 5 || lg_frozen_nodes_add(graph, ret);
}

// In the graph what a named static holds is no reference of the array that the static lies in: it is a
// root. For another reader it is both.
static bool add_from_arrays(const struct lg_heap_graph *graph, const struct lg_paths *paths,
                            const struct lg_static *statics, size_t count, lg_nodes *ret)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t object;
        lg_node array = lg_index_before(graph->index, statics[i].slot);
        struct lg_object holder;
        if (array == LG_NO_NODE || !lg_paths_has(paths, array)
            || !lg_heap_object_at(graph->heap, lg_index_address(graph->index, array), &holder)
            || statics[i].slot - holder.address >= holder.size
            || !lg_target_u64(lg_clr_target(lg_heap_clr(graph->heap)), statics[i].slot, &object))
            continue;
        lg_node node = lg_index_node(graph->index, object);
        if (node != LG_NO_NODE && !lg_paths_has(paths, node) && !lg_vec_push(ret, node))
            return false;
    }
    return true;
}

static struct lg_error *search(const struct lg_heap_graph *graph, const struct lg_graph *forward,
                               lg_nodes *from, struct lg_paths *paths)
{
    const struct lg_static *statics;
    size_t count;
    struct lg_error *err = lg_clr_statics(lg_heap_clr(graph->heap), &statics, &count);
    while (!err && from->len > 0) {
        err = lg_paths_search(paths, forward, from->at, from->len);
        from->len = 0;
        if (!err && !add_from_arrays(graph, paths, statics, count, from))
            err = &lg_no_memory;
    }
    return err;
}

static struct lg_error *mark(const struct lg_heap_graph *graph, const struct lg_graph *forward,
                             const struct lg_roots *roots, unsigned group, uint8_t *kinds)
{
    _cleanup_(lg_paths_freep) struct lg_paths *paths = NULL;
    lg_nodes from = { 0 };
    struct lg_error *err = lg_paths_new(forward->node_count, &paths);
    if (!err)
        err =
            add_nodes(graph, roots, group, &from) ? search(graph, forward, &from, paths) : &lg_no_memory;
    for (lg_node node = 0; !err && node < forward->node_count; node++)
        kinds[node] |= (uint8_t)(lg_paths_has(paths, node) << group);
    lg_vec_free(&from);
    return err;
}

static struct lg_error *print_reached(const struct lg_heap_graph *graph, const struct lg_roots *roots)
{
    const struct lg_graph *forward = graph->forward;
    struct lg_error *err = NULL;
    _cleanup_free_ uint8_t *kinds = calloc(forward->node_count + 1u, 1);
    if (!kinds)
        return &lg_no_memory;
    for (unsigned group = 0; group < GROUPS && !err; group++)
        err = mark(graph, forward, roots, group, kinds);
    for (lg_node node = 0; !err && node < forward->node_count; node++) {
        if (kinds[node])
            printf("%" PRIx64 "\t%u\n", lg_index_address(graph->index, node), kinds[node]);
    }
    return err;
}

static struct lg_error *read_core(struct lg_target *target)
{
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    _cleanup_(lg_heap_freep) struct lg_heap *heap = NULL;
    _cleanup_(lg_heap_graph_freep) struct lg_heap_graph *graph = NULL;
    _cleanup_(lg_roots_freep) struct lg_roots *roots = NULL;
    struct lg_dac *dac;
    struct lg_error *err = lg_clr_open(target, &(struct lg_clr_options){ .dac = NULL }, &clr);
    if (!err)
        err = lg_heap_open(clr, &heap);
    if (!err)
        err = lg_heap_graph_build(heap, LG_GRAPH_FORWARD, &graph);
    if (!err)
        err = lg_clr_dac(clr, &dac);
    if (!err)
        err = lg_roots_collect(heap, graph->index, dac, NULL, &roots);
    return err ? err : print_reached(graph, roots);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return fprintf(stderr, "usage: reachdump CORE\n"), 2;
    _cleanup_(lg_target_freep) struct lg_target *target = NULL;
    struct lg_error *err = lg_target_open(argv[1], &(struct lg_target_options){ 0 }, &target);
    if (!err)
        err = read_core(target);
    if (err)
        return fail(err);
    return fflush(stdout) == 0 ? 0 : 3;
}
