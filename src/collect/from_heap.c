#include <stdatomic.h>
#include <string.h>

#include "collect/collect.h"
#include "collect/collect_priv.h"
#include "graph/rows.h"
#include "heap/heap_priv.h"
#include "util/error.h"
#include "util/map.h"
#include "util/parallel.h"

struct worker {
    lg_node node; // of the object seen last; LG_NO_NODE at the start of a piece
    uint64_t object;
    size_t dependent;           // the next of build.dependents whose primary may come
    struct lg_edge_batch batch; // what is to be looked up in the index
    uint64_t wild;
    bool differs; // An object is not in the index, or others are between it and the first of its piece.
};

struct dependent {
    lg_node primary;
    uint64_t secondary;
};

struct build {
    struct lg_heap *heap;
    struct lg_heap_graph *graph;
    // One of them, by the form that is wanted.
    struct lg_edge_sorter *sorter;
    struct lg_rows *rows;
    struct worker *workers;              // [lg_workers()]
    struct lg_map statics;               // objects that hold named static slots
    uint64_t *loaders;                   // [type_count]: LoaderAllocator of a collectible type, or 0
    LG_VEC(struct dependent) dependents; // by primary
    uint32_t type_count;
    uint64_t object_array_mt;
    bool differs; // The second pass met other objects than the first.
};

// ---- first pass: which objects there are ----

static void note_starts(void *self, uint64_t address, uint64_t bits)
{
    struct build *build = self;
    lg_index_add(build->graph->index, address, bits);
}

typedef LG_VEC(struct lg_span) span_list;

static void free_spans(span_list *spans)
{
    lg_vec_free(spans);
}

// What of the segments is there to be read: the bounds of a damaged one may lead anywhere, and the index
// takes memory for all that it is to cover.
static bool find_spans(const struct lg_heap *heap, span_list *spans)
{
    const struct lg_target *target = heap->target;
    for (size_t i = 0, k = 0; i < heap->segment_count && k < target->ranges.len;) {
        const struct lg_segment *segment = &heap->segments[i];
        const struct lg_range *range = &target->ranges.at[k];
        uint64_t start = segment->start > range->start ? segment->start : range->start;
        uint64_t end = range->start + range->saved;
        end = segment->end < end ? segment->end : end;
        if (start < end && range->access & LG_READ
            && !lg_vec_push(spans, ((struct lg_span){ start, end })))
            return false;
        if (range->end < segment->end)
            k++;
        else
            i++;
    }
    return true;
}

static struct lg_error *build_index(struct build *build)
{
    _cleanup_(free_spans) span_list spans = { 0 };
    if (!find_spans(build->heap, &spans))
        return &lg_no_memory;
    struct lg_error *err = lg_index_new(spans.at, spans.len, &build->graph->index);
    struct lg_pass pass = { .starts = note_starts, .self = build };
    if (!err)
        err = lg_heap_pass(build->heap, &pass, &build->graph->walk);
    return err ? err : lg_index_seal(build->graph->index);
}

// ---- second pass: what refers to what ----

static void empty_batch(struct build *build, size_t number)
{
    struct worker *worker = &build->workers[number];
    const struct lg_index *index = build->graph->index;
    worker->wild += build->rows ? lg_rows_add_batch(build->rows, number, index, &worker->batch)
                                : lg_edge_sorter_add_batch(build->sorter, number, index, &worker->batch);
}

static inline void note_reference(struct build *build, struct worker *worker, size_t number,
                                  uint64_t target)
{
    struct lg_edge_batch *batch = &worker->batch;
    batch->keys[batch->count] = target;
    batch->values[batch->count] = worker->node;
    if (++batch->count == sizeof(batch->keys) / sizeof(*batch->keys))
        empty_batch(build, number);
}

struct run_of {
    struct build *build;
    struct worker *worker;
    size_t number;
    bool has_statics;
};

static void note_references(void *self, uint64_t offset, const uint8_t *values, size_t count)
{
    struct run_of *run = self;
    struct worker *worker = run->worker;
    struct lg_clr *clr = lg_heap_clr(run->build->heap);
    for (size_t i = 0; i < count; i++) {
        uint64_t target = lg_load_u64(values + 8 * i);
        if (target == 0)
            continue;
        // A named slot belongs to its static, which is a root: not to the array that happens to hold it.
        // (An array of collectible statics is not in build.statics.)
        if (run->has_statics && lg_clr_static_at(clr, worker->object + offset + 8 * i))
            continue;
        note_reference(run->build, worker, run->number, target);
    }
}

// What its primary keeps alive, and the loader of a collectible type: as if it referred to them.
static void note_hidden(struct build *build, struct worker *worker, size_t number,
                        const struct lg_type *type)
{
    while (worker->dependent < build->dependents.len
           && build->dependents.at[worker->dependent].primary < worker->node)
        worker->dependent++;
    for (; worker->dependent < build->dependents.len
           && build->dependents.at[worker->dependent].primary == worker->node;
         worker->dependent++)
        note_reference(build, worker, number, build->dependents.at[worker->dependent].secondary);
    if (type->id < build->type_count && build->loaders[type->id])
        note_reference(build, worker, number, build->loaders[type->id]);
}

static void note_edges(void *self, struct walker *walker, const struct lg_seen *seen)
{
    struct build *build = self;
    size_t number = lg_walker_number(walker);
    struct worker *worker = &build->workers[number];
    const struct lg_type *type = seen->object.type;
    worker->object = seen->object.address;
    // Objects are numbered in address order, so within a piece the next has the next number.
    worker->node = worker->node == LG_NO_NODE ? lg_index_node(build->graph->index, worker->object)
                                              : worker->node + 1;
    if (worker->node == LG_NO_NODE) {
        worker->differs = true;
        return;
    }
    note_hidden(build, worker, number, type);
    const struct gc_desc *desc =
        type->id < build->heap->descs.len ? build->heap->descs.at[type->id] : NULL;
    if (!desc)
        return;
    if (desc->slot_count && seen->available >= seen->object.size) {
        for (uint32_t i = 0; i < desc->slot_count; i++) {
            uint64_t target = lg_load_u64(seen->bytes + desc->slots[i]);
            if (target != 0)
                note_reference(build, worker, number, target);
        }
        return;
    }
    uint32_t ignored;
    struct run_of run = {
        .build = build,
        .worker = worker,
        .number = number,
        .has_statics =
            type->mt == build->object_array_mt && lg_map_get(&build->statics, worker->object, &ignored),
    };
    lg_seen_references(walker, seen, desc, note_references, &run);
}

static void begin_edges(void *self, size_t piece, size_t number)
{
    struct build *build = self;
    (void)piece;
    build->workers[number].node = LG_NO_NODE;
    build->workers[number].dependent = 0;
}

static void end_edges(void *self, size_t piece, size_t number)
{
    struct build *build = self;
    struct worker *worker = &build->workers[number];
    empty_batch(build, number);
    if (worker->node != LG_NO_NODE)
        worker->differs |= lg_index_node(build->graph->index, worker->object) != worker->node;
    if (build->rows)
        lg_rows_end(build->rows, number, piece);
}

static struct lg_error *find_static_arrays(struct build *build)
{
    const struct lg_static *statics;
    size_t count;
    struct lg_clr *clr = lg_heap_clr(build->heap);
    lg_clr_statics_renew(clr); // The first pass has made types known.
    struct lg_error *err = lg_clr_statics(clr, &statics, &count);
    for (size_t i = 0; i < count && !err; i++) {
        if (lg_static_is_collectible(clr, &statics[i]))
            continue;
        lg_node node = lg_index_before(build->graph->index, statics[i].slot);
        if (node != LG_NO_NODE
            && !lg_map_put(&build->statics, lg_index_address(build->graph->index, node), 1))
            err = &lg_no_memory;
    }
    return err;
}

static int by_primary(const void *a, const void *b)
{
    const struct dependent *x = a, *y = b;
    return x->primary < y->primary ? -1 : x->primary > y->primary;
}

// Dependent handles: the secondary lives as long as the primary does, which is an edge like any other.
static struct lg_error *add_dependents(struct build *build)
{
    const struct lg_handle *handles;
    size_t count;
    struct lg_error *err = lg_clr_handles(lg_heap_clr(build->heap), &handles, &count);
    if (err)
        return err;
    for (size_t i = 0; i < count; i++) {
        if (handles[i].kind != LG_HANDLE_DEPENDENT || handles[i].secondary == 0)
            continue;
        lg_node from = lg_index_node(build->graph->index, handles[i].object);
        lg_node to = lg_index_node(build->graph->index, handles[i].secondary);
        if (from == LG_NO_NODE || to == LG_NO_NODE) {
            build->graph->wild++;
            continue;
        }
        struct dependent dependent = { from, handles[i].secondary };
        if (!lg_vec_push(&build->dependents, dependent)
            || !lg_vec_push(&build->graph->dependents, handles[i]))
            return &lg_no_memory;
    }
    if (build->dependents.len)
        qsort(build->dependents.at, build->dependents.len, sizeof(*build->dependents.at), by_primary);
    return NULL;
}

static struct lg_error *find_loaders(struct build *build)
{
    struct lg_clr *clr = lg_heap_clr(build->heap);
    build->type_count = lg_clr_type_count(clr);
    build->loaders = calloc(build->type_count + 1u, sizeof(*build->loaders));
    if (!build->loaders)
        return &lg_no_memory;
    struct lg_map *objects = &build->graph->loader_objects;
    struct lg_error *err = lg_loader_objects_find(build->heap, objects);
    for (uint32_t i = 0; i < build->type_count && !err; i++) {
        const struct lg_type *type = lg_clr_type_at(clr, i);
        uint64_t object = lg_loader_object(clr, objects, type);
        if (object && lg_index_node(build->graph->index, object) != LG_NO_NODE)
            build->loaders[i] = object;
        bool may_have = type->flags & (LG_TYPE_COLLECTIBLE | LG_TYPE_MAYBE_COLLECTIBLE);
        build->graph->loaderless += may_have && !build->loaders[i];
    }
    return err;
}

// Whatever is known of edges of the other form is found again.
static void forget_edges(struct lg_heap_graph *graph)
{
    graph->wild = 0;
    graph->loaderless = 0;
    graph->dependents.len = 0;
    lg_map_free(&graph->loader_objects);
    graph->loader_objects = (struct lg_map){ 0 };
}

static struct lg_error *finish_edges(struct build *build)
{
    struct lg_heap_graph *graph = build->graph;
    for (size_t i = 0; i < lg_workers(); i++) {
        graph->wild += build->workers[i].wild;
        build->differs |= build->workers[i].differs;
    }
    if (build->differs)
        return lg_error_new(LG_ERR_CORRUPT, "the heap reads differently each time: no graph of it");
    struct lg_error *err = build->rows ? lg_rows_finish(build->rows, &graph->forward)
                                       : lg_edge_sorter_finish(build->sorter, &graph->reversed);
    if (!err)
        graph->edge_count = build->rows ? graph->forward->edge_count : graph->reversed->edge_count;
    return err;
}

static struct lg_error *build_edges(struct build *build, enum lg_graph_form form)
{
    uint32_t nodes = lg_index_count(build->graph->index);
    forget_edges(build->graph);
    struct lg_error *err = form == LG_GRAPH_REVERSED
                               ? lg_edge_sorter_new(nodes, &build->sorter)
                               : lg_rows_new(nodes, build->heap->pieces.len, &build->rows);
    if (!err)
        err = lg_heap_compile(build->heap);
    if (!err)
        err = find_static_arrays(build);
    if (!err)
        err = find_loaders(build);
    if (!err)
        err = add_dependents(build);
    struct lg_walk_result result;
    struct lg_pass pass = { .seen = note_edges, .begin = begin_edges, .end = end_edges, .self = build };
    if (!err)
        err = lg_heap_pass(build->heap, &pass, &result);
    return err ? err : finish_edges(build);
}

static void build_deinit(struct build *build)
{
    lg_edge_sorter_free(build->sorter);
    lg_rows_free(build->rows);
    lg_map_free(&build->statics);
    lg_vec_free(&build->dependents);
    free(build->loaders);
    free(build->workers);
}

static struct lg_error *build_for(struct lg_heap_graph *graph, struct build *ret)
{
    *ret = (struct build){
        .heap = graph->heap,
        .graph = graph,
        .workers = calloc(lg_workers(), sizeof(*ret->workers)),
        .object_array_mt = lg_clr_info(lg_heap_clr(graph->heap))->object_array_mt,
    };
    return ret->workers ? NULL : &lg_no_memory;
}

static struct lg_error *build_once(struct lg_heap *heap, enum lg_graph_form form, bool *differs_ret,
                                   struct lg_heap_graph **ret)
{
    _cleanup_(lg_heap_graph_freep) struct lg_heap_graph *graph = calloc(1, sizeof(*graph));
    if (!graph)
        return &lg_no_memory;
    graph->heap = heap;
    _cleanup_(build_deinit) struct build build;
    struct lg_error *err = build_for(graph, &build);
    if (!err)
        err = build_index(&build);
    if (!err)
        err = build_edges(&build, form);
    *differs_ret = build.differs;
    if (!err)
        *ret = lg_steal(graph);
    return err;
}

// A type that the first pass could not read, for want of memory say, the second one may: then the first
// is repeated, once.
struct lg_error *lg_heap_graph_build(struct lg_heap *heap, enum lg_graph_form form,
                                     struct lg_heap_graph **ret)
{
    bool differs = false;
    struct lg_error *err = build_once(heap, form, &differs, ret);
    if (!differs)
        return err;
    lg_error_free(err);
    return build_once(heap, form, &differs, ret);
}

struct lg_error *lg_heap_graph_need(struct lg_heap_graph *graph, enum lg_graph_form form)
{
    if (form == LG_GRAPH_FORWARD ? graph->forward != NULL : graph->reversed != NULL)
        return NULL;
    if (form == LG_GRAPH_FORWARD && graph->reversed)
        return lg_graph_transpose(graph->reversed, &graph->forward);
    if (form == LG_GRAPH_REVERSED && graph->forward)
        return lg_graph_transpose(graph->forward, &graph->reversed);
    _cleanup_(build_deinit) struct build build;
    struct lg_error *err = build_for(graph, &build);
    return err ? err : build_edges(&build, form);
}

void lg_heap_graph_free(struct lg_heap_graph *graph)
{
    if (!graph)
        return;
    lg_index_free(graph->index);
    lg_graph_free(graph->forward);
    lg_graph_free(graph->reversed);
    lg_vec_free(&graph->dependents);
    lg_map_free(&graph->loader_objects);
    free(graph);
}
