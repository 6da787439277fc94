#include "collect/places.h"

#include "graph/marks.h"
#include "heap/heap_priv.h"
#include "util/error.h"
#include "util/memory_left.h"
#include "util/pages.h"
#include "util/parallel.h"

struct pass {
    const struct lg_reach *reach;
    struct lg_places *places;
    lg_node *last; // [lg_workers()] node of the object seen last; LG_NO_NODE: at the start of a piece
};

struct run_of {
    const struct pass *pass;
    const struct lg_object *object;
    lg_node node;
};

static uint64_t data_of(const struct lg_type *type)
{
    return type->base_size >= 8 ? type->base_size - 8 : 0;
}

static uint16_t place_of(struct lg_clr *clr, const struct lg_object *object, uint64_t offset)
{
    const struct lg_type *type = object->type;
    uint64_t place = offset / 8;
    if (type->flags & LG_TYPE_ARRAY && type->component_size && offset >= data_of(type)) {
        place = 1 + (offset - data_of(type)) % type->component_size / 8;
        if (lg_clr_static_at(clr, object->address + offset))
            return LG_PLACE_ASK;
    }
    return place < LG_PLACE_ASK ? (uint16_t)place : LG_PLACE_ASK;
}

// The first edge from one node to another; UINT32_MAX: there is none.
static uint32_t find_edge(const struct lg_graph *graph, lg_node from, lg_node to)
{
    uint32_t low = graph->edge_start[from], end = graph->edge_start[from + 1], high = end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (graph->edges[middle] < to)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && graph->edges[low] == to ? low : UINT32_MAX;
}

static void note_run(void *self, uint64_t offset, const uint8_t *values, size_t count)
{
    const struct run_of *run = self;
    const struct lg_heap_graph *graph = run->pass->reach->graph;
    for (size_t i = 0; i < count; i++) {
        uint64_t target = lg_load_u64(values + 8 * i);
        lg_node to = target ? lg_index_node(graph->index, target) : LG_NO_NODE;
        uint32_t edge =
            to == LG_NO_NODE ? UINT32_MAX : find_edge(run->pass->reach->graph->forward, run->node, to);
        if (edge == UINT32_MAX)
            continue;
        uint16_t *at = &run->pass->places->at[edge];
        uint16_t place = place_of(lg_heap_clr(graph->heap), run->object, offset + 8 * i);
        if (*at == LG_PLACE_NONE || place < *at)
            *at = place;
    }
}

static void begin_piece(void *self, size_t piece, size_t worker)
{
    (void)piece;
    ((struct pass *)self)->last[worker] = LG_NO_NODE;
}

static void note_object(void *self, struct walker *walker, const struct lg_seen *seen)
{
    struct pass *pass = self;
    const struct lg_heap_graph *graph = pass->reach->graph;
    lg_node *last = &pass->last[lg_walker_number(walker)];
    // Objects are numbered in address order, so within a piece the next has the next number.
    *last = *last == LG_NO_NODE ? lg_index_node(graph->index, seen->object.address) : *last + 1;
    const struct gc_desc *desc = seen->object.type->id < graph->heap->descs.len
                                     ? graph->heap->descs.at[seen->object.type->id]
                                     : NULL;
    // What no root reaches has no holder.
    if (!desc || *last >= lg_index_count(pass->reach->graph->index)
        || !lg_marks_has(pass->reach->alive, *last))
        return;
    struct run_of run = { pass, &seen->object, *last };
    lg_seen_references(walker, seen, desc, note_run, &run);
}

struct lg_error *lg_places_find(const struct lg_reach *reach, struct lg_places *ret)
{
    struct pass pass = { .reach = reach, .places = ret };
    struct lg_error *err = lg_heap_graph_need(reach->graph, LG_GRAPH_FORWARD);
    if (err)
        return err;
    _cleanup_free_ lg_node *last = pass.last = calloc(lg_workers(), sizeof(*last));
    ret->count = reach->graph->forward->edge_count;
    err = lg_memory_need(ret->count * sizeof(*ret->at), "places of %zu references", ret->count);
    if (err)
        return err;
    ret->at = lg_pages_alloc(ret->count, sizeof(*ret->at));
    if (!ret->at || !last)
        return &lg_no_memory;
    struct lg_walk_result result;
    const struct lg_pass how = { .seen = note_object, .begin = begin_piece, .self = &pass };
    err = lg_heap_compile(reach->graph->heap);
    return err ? err : lg_heap_pass(reach->graph->heap, &how, &result);
}

void lg_places_deinit(struct lg_places *places)
{
    lg_pages_free(places->at, places->count, sizeof(*places->at));
}

void lg_place_label(const struct lg_heap_graph *graph, const struct lg_type *type, uint16_t place,
                    char *buf, size_t size)
{
    bool is_array = type->flags & LG_TYPE_ARRAY && type->component_size;
    // No object of any address: what lies in a static's slot is asked of the object itself.
    const struct lg_object any = { .type = type };
    uint64_t offset = is_array ? data_of(type) + 8 * ((uint64_t)place - 1) : 8 * (uint64_t)place;
    lg_label_at(graph, &any, offset, true, buf, size);
}
