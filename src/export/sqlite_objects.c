// Objects one by one: those that retain most, or all of them and their references.
#include "collect/collect_priv.h"
#include "collect/places.h"
#include "export/sqlite_priv.h"
#include "graph/marks.h"
#include "util/top.h"

enum { OWNED_MOST = 1000, OTHERS_MOST = 10000, LABEL_MAX = 512 };

// ---- which ----

static bool is_owned(const struct lg_retention *retention, uint32_t number)
{
    uint32_t dominator = retention->tree->idom[number];
    return dominator == 0 || lg_retention_owner(retention, dominator);
}

static void list(struct lite_writing *w, const struct lg_top *top)
{
    for (size_t i = 0; i < top->kept.len; i++)
        w->listed[top->kept.at[i].value >> 6] |= UINT64_C(1) << (top->kept.at[i].value & 63);
}

// Those that no other object dominates, and of all. An object retains no less than what it dominates,
// and of equals it comes first, so whatever dominates one of them is among them.
struct lg_error *sqlite_choose_objects(struct lite_writing *w)
{
    const struct lg_retention *retention = w->source->retention;
    _cleanup_(lg_top_deinit) struct lg_top owned = { .limit = OWNED_MOST };
    _cleanup_(lg_top_deinit) struct lg_top others = { .limit = OTHERS_MOST };
    w->listed = calloc((size_t)retention->tree->count / 64 + 1, sizeof(*w->listed));
    bool ok = w->listed != NULL;
    for (uint32_t i = 1; i < retention->tree->count && ok; i++) {
        if (retention->tree->node[i] >= retention->node_count)
            continue;
        ok = lg_top_offer(&others, retention->size[i], i)
             && (!is_owned(retention, i) || lg_top_offer(&owned, retention->size[i], i));
    }
    if (!ok)
        return &lg_no_memory;
    list(w, &owned);
    list(w, &others);
    return NULL;
}

// ---- objects ----

struct objects {
    struct lite_writing *w;
    struct lite_table table;
};

// Of what no root reaches nothing is retained, and nothing holds it.
static void put_held(struct objects *objects, lg_node node, uint32_t number)
{
    const struct lg_retention *retention = objects->w->source->retention;
    uint32_t dominator = retention->tree->idom[number];
    const struct lg_owner *owner = lg_retention_owner(retention, dominator);
    lite_number(&objects->table, retention->size[number]);
    lite_number(&objects->table, retention->objects[number]);
    if (dominator && !owner) {
        lite_number(&objects->table, lg_retention_address(retention, dominator));
        lite_null(&objects->table);
    } else {
        lite_null(&objects->table);
        lite_number(&objects->table, owner ? (uint64_t)(owner - retention->owners.at) + 1 : 0);
    }
    uint32_t path = objects->w->holders->own[node];
    if (path != UINT32_MAX)
        lite_number(&objects->table, path + UINT64_C(1));
}

static bool put_object(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct objects *objects = self;
    struct lite_writing *w = objects->w;
    const struct lg_reach *reach = w->source->reach;
    lg_node node = lg_index_node(reach->graph->index, object->address);
    if (object->type->flags & LG_TYPE_FREE || node == LG_NO_NODE)
        return true;
    lite_number(&objects->table, object->address);
    lite_known(&objects->table, type_of_node(w, node));
    lite_number(&objects->table, object->size);
    if (segment && !lg_clr_info(w->clr)->no_generations)
        lite_number(&objects->table, lg_segment_generation(segment, object->address));
    else
        lite_null(&objects->table);
    lite_number(&objects->table, lg_reach_life(reach, node));
    if (is_live(w->source, node))
        put_held(objects, node, w->source->retention->number[node]);
    lite_end_row(&objects->table);
    return !w->lite->err;
}

static void put_listed(struct objects *objects)
{
    const struct lg_retention *retention = objects->w->source->retention;
    for (lg_node node = 0; node < retention->node_count && !objects->w->lite->err; node++) {
        struct lg_object object;
        uint32_t number = retention->number[node];
        if (!number || !lg_marks_has(objects->w->listed, number))
            continue;
        uint64_t address = lg_retention_address(retention, number);
        if (lg_heap_object_at(objects->w->heap, address, &object))
            put_object(objects, &object, lg_heap_segment_at(objects->w->heap, address));
    }
}

void sqlite_put_objects(struct lite_writing *w)
{
    struct objects objects = { .w = w };
    struct lg_walk_result ignored; // The graph's is told.
    lite_begin(w->lite, &objects.table, "object", 10);
    if (w->listed)
        put_listed(&objects);
    else
        lite_fail(w->lite, lg_heap_walk(w->heap, NULL, put_object, &objects, &ignored));
    w->rows = objects.table.rows;
    lite_end(&objects.table);
}

// ---- references ----

struct edges {
    struct lite_writing *w;
    struct lg_places places;
    struct lg_map known; // type << 16 | place -> field
    struct lite_table fields, table;
};

static uint64_t add_field(struct edges *edges, uint64_t type, const char *name)
{
    uint64_t id = edges->fields.rows + 1;
    lite_number(&edges->fields, id);
    lite_known(&edges->fields, type);
    lite_text(&edges->fields, name);
    lite_end_row(&edges->fields);
    return id;
}

static bool read_node(const struct lite_writing *w, lg_node node, struct lg_object *ret)
{
    return lg_heap_object_at(w->heap, lg_index_address(w->source->reach->graph->index, node), ret);
}

// References that no memory holds are of two kinds.
static void other_label(const struct lite_writing *w, lg_node from, lg_node to, char *buf, size_t size)
{
    const struct lg_heap_graph *graph = w->source->reach->graph;
    const struct lg_type *type = lg_clr_type_at(w->clr, w->source->retention->own_type[from]);
    struct lg_map *loaders = &((struct lg_heap_graph *)graph)->loader_objects;
    bool is_loader =
        type && lg_loader_object(w->clr, loaders, type) == lg_index_address(graph->index, to);
    bool is_bare = lg_clr_info(w->clr)->is_bare;
    snprintf(buf, size, "%s", is_bare ? "?" : is_loader ? "loader allocator" : "dependent handle");
}

static uint64_t field_of(struct edges *edges, lg_node from, uint32_t edge)
{
    const struct lite_writing *w = edges->w;
    const struct lg_heap_graph *graph = w->source->reach->graph;
    lg_node to = graph->forward->edges[edge];
    uint32_t type_id = w->source->retention->own_type[from], known;
    uint16_t place = edges->places.at[edge];
    const struct lg_type *type = lg_clr_type_at(w->clr, type_id);
    struct lg_object object;
    enum lg_link link;
    char label[LABEL_MAX] = "?";
    uint64_t key = (uint64_t)type_id << 16 | place;
    if (place == LG_PLACE_ASK) { // A static's slot: each has a name of its own.
        if (read_node(w, from, &object))
            lg_edge_label(graph, &object, lg_index_address(graph->index, to), &link, label,
                          sizeof(label));
        return add_field(edges, type_of_node(w, from), label);
    }
    if (place == LG_PLACE_NONE) {
        other_label(w, from, to, label, sizeof(label));
        key |= (uint64_t)(label[0] == 'l') << 63;
    }
    if (lg_map_get(&edges->known, key, &known))
        return known;
    if (place != LG_PLACE_NONE && type)
        lg_place_label(graph, type, place, label, sizeof(label));
    uint64_t id = add_field(edges, type_of_node(w, from), label);
    if (!lg_map_put(&edges->known, key, (uint32_t)id))
        lite_fail(w->lite, &lg_no_memory);
    return id;
}

// Equal edges are one row: the first knows its place.
static void put_row(struct edges *edges, lg_node from)
{
    const struct lg_heap_graph *graph = edges->w->source->reach->graph;
    const struct lg_graph *forward = graph->forward;
    uint32_t end = forward->edge_start[from + 1];
    for (uint32_t e = forward->edge_start[from], next; e < end; e = next) {
        for (next = e + 1; next < end && forward->edges[next] == forward->edges[e];)
            next++;
        uint64_t field = field_of(edges, from, e);
        lite_number(&edges->table, lg_index_address(graph->index, from));
        lite_number(&edges->table, lg_index_address(graph->index, forward->edges[e]));
        lite_number(&edges->table, field);
        lite_number(&edges->table, next - e);
        lite_end_row(&edges->table);
    }
}

void sqlite_put_edges(struct lite_writing *w)
{
    struct edges edges = { .w = w };
    lite_fail(w->lite, lg_places_find(w->source->reach, &edges.places));
    lite_begin(w->lite, &edges.fields, "field", 3);
    lite_begin(w->lite, &edges.table, "edge", 4);
    for (lg_node node = 0; node < w->source->retention->node_count && !w->lite->err; node++) {
        if (is_live(w->source, node))
            put_row(&edges, node);
    }
    lite_end(&edges.fields);
    lite_end(&edges.table);
    lg_map_free(&edges.known);
    lg_places_deinit(&edges.places);
}
