#include "collect/routes.h"

#include <stdio.h>
#include <string.h>

#include "collect/collect_priv.h"
#include "collect/delegates.h"
#include "util/error.h"

enum { LABEL_MAX = 512, PERIOD_MAX = 6 };
#define NO_LABEL (UINT32_MAX - 1) // The edge is not told by what is in memory.

// ---- texts ----

static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
    return hash;
}

// Texts with equal hashes are told apart by trying the next hash.
bool lg_text_id(struct lg_routes *routes, struct lg_texts *texts, const char *text, uint32_t *ret)
{
    uint64_t hash = hash_text(text);
    while (lg_map_get(&texts->ids, hash, ret)) {
        if (strcmp(texts->all.at[*ret], text) == 0)
            return true;
        hash++;
    }
    const char *copy = lg_arena_copy(&routes->arena, text, strlen(text));
    *ret = (uint32_t)texts->all.len;
    return copy && lg_vec_push(&texts->all, copy) && lg_map_put(&texts->ids, hash, *ret);
}

// ---- edges ----

struct listing {
    struct lg_routes *routes;
    const struct lg_object *from;
    lg_node node;
    bool failed;
};

static bool put_edge(struct lg_routes *routes, lg_node from, lg_node to, uint32_t label)
{
    return lg_map_put(&routes->edge_labels, (uint64_t)from << 32 | to, label);
}

// Only what a shortest path goes through; the first of several fields that hold the same.
static void list_reference(void *self, uint64_t offset, uint64_t target)
{
    struct listing *listing = self;
    struct lg_routes *routes = listing->routes;
    lg_node to = lg_index_node(routes->reach->graph->index, target);
    uint32_t label;
    if (to == LG_NO_NODE || routes->paths->next[to] != listing->node
        || lg_map_get(&routes->edge_labels, (uint64_t)listing->node << 32 | to, &label))
        return;
    char text[LABEL_MAX] = "";
    lg_label_at(routes->reach->graph, listing->from, offset, true, text, sizeof(text));
    if (!lg_text_id(routes, &routes->labels, text, &label)
        || !put_edge(routes, listing->node, to, label))
        listing->failed = true;
}

static bool list_edges(struct lg_routes *routes, lg_node node, const struct lg_object *object)
{
    uint32_t ignored;
    if (lg_map_get(&routes->enumerated, node, &ignored))
        return true;
    struct listing listing = { .routes = routes, .from = object, .node = node };
    lg_heap_references(routes->reach->graph->heap, object, list_reference, &listing);
    return !listing.failed && lg_map_put(&routes->enumerated, node, 1);
}

// Dependent handles and loader allocators are no references in memory.
static bool other_label(struct lg_routes *routes, const struct lg_object *from, lg_node to,
                        uint32_t *ret)
{
    const struct lg_heap_graph *graph = routes->reach->graph;
    char text[LABEL_MAX];
    enum lg_link link;
    if (!lg_edge_label(graph, from, lg_index_address(graph->index, to), &link, text, sizeof(text)))
        snprintf(text, sizeof(text), "?");
    return lg_text_id(routes, &routes->labels, text, ret);
}

static bool edge_label(struct lg_routes *routes, lg_node from, const struct lg_object *object,
                       lg_node to, uint32_t *ret)
{
    if (!list_edges(routes, from, object))
        return false;
    if (lg_map_get(&routes->edge_labels, (uint64_t)from << 32 | to, ret))
        return true;
    return other_label(routes, object, to, ret) && put_edge(routes, from, to, *ret);
}

// ---- steps ----

static bool same(const struct lg_route *a, const struct lg_route *b)
{
    return a->before == b->before && a->type == b->type && a->label == b->label;
}

static bool intern(struct lg_routes *routes, struct lg_route step, uint32_t *ret)
{
    uint64_t hash = lg_hash64(lg_hash64((uint64_t)step.before << 32 | step.type) + step.label);
    while (lg_map_get(&routes->by_step, hash, ret)) {
        if (same(&routes->all.at[*ret], &step))
            return true;
        hash++;
    }
    *ret = (uint32_t)routes->all.len;
    return lg_vec_push(&routes->all, step) && lg_map_put(&routes->by_step, hash, *ret);
}

static bool read_object(const struct lg_routes *routes, lg_node node, struct lg_object *ret)
{
    const struct lg_heap_graph *graph = routes->reach->graph;
    return lg_heap_object_at(graph->heap, lg_index_address(graph->index, node), ret);
}

static uint32_t type_of(const struct lg_routes *routes, lg_node node)
{
    struct lg_object object;
    return read_object(routes, node, &object) ? object.type->id : UINT32_MAX;
}

// A step that is one of the last few again: one more of a list, or around once more in a tree.
static bool find_again(struct lg_routes *routes, const struct lg_route *next, uint32_t *ret)
{
    uint32_t at = next->before;
    for (unsigned i = 0; i < PERIOD_MAX && routes->all.at[at].before != LG_NO_ROUTE; i++) {
        struct lg_route *step = &routes->all.at[at];
        if (step->type == next->type && step->label == next->label) {
            step->repeats = true;
            *ret = at;
            return true;
        }
        at = step->before;
    }
    return false;
}

// Remembers what a delegate calls on what it leads to.
static bool note_call(struct lg_routes *routes, const struct lg_object *holder, uint32_t label,
                      uint32_t route)
{
    struct lg_route *to = &routes->all.at[route];
    const char *method = NULL;
    if (!routes->meanings || label >= routes->labels.all.len
        || strcmp(routes->labels.all.at[label], "_target") != 0
        || !lg_is_delegate(routes->ways.clr, holder->type))
        return true;
    if (!lg_meaning_of_call(routes->meanings, holder, &method))
        return false;
    bool is_same = !to->is_called || (to->calls && method && strcmp(to->calls, method) == 0);
    to->calls = is_same ? method : NULL;
    to->is_called = true;
    return true;
}

// From the route of the holder to that of what it holds.
static bool step(struct lg_routes *routes, uint32_t before, lg_node holder, lg_node node, uint32_t *ret)
{
    struct lg_object object;
    struct lg_route next = { .before = before, .type = type_of(routes, node), .label = NO_LABEL };
    bool is_read = read_object(routes, holder, &object);
    if (is_read && !edge_label(routes, holder, &object, node, &next.label))
        return false;
    if (!find_again(routes, &next, ret) && !intern(routes, next, ret))
        return false;
    return !is_read || note_call(routes, &object, next.label, *ret);
}

static bool first_step(struct lg_routes *routes, lg_node node, uint32_t *ret)
{
    struct lg_route step = { .before = LG_NO_ROUTE, .type = type_of(routes, node), .label = UINT32_MAX };
    lg_map_get(&routes->root_of, node, &step.label);
    return intern(routes, step, ret);
}

// Up to what is known, then down again: long lists need no stack.
static bool find(struct lg_routes *routes, lg_node node, uint32_t *ret)
{
    const lg_node *next = routes->paths->next;
    routes->way.len = 0;
    while (!lg_map_get(&routes->of_node, node, ret)) {
        if (!lg_vec_push(&routes->way, node))
            return false;
        if (next[node] == node)
            break;
        node = next[node];
    }
    for (size_t i = routes->way.len; i > 0; i--) {
        lg_node at = routes->way.at[i - 1];
        bool ok = next[at] == at ? first_step(routes, at, ret) : step(routes, *ret, next[at], at, ret);
        if (!ok || !lg_map_put(&routes->of_node, at, *ret))
            return false;
    }
    return true;
}

struct lg_error *lg_routes_find(struct lg_routes *routes, lg_node node, uint32_t *ret)
{
    if (!lg_paths_has(routes->paths, node))
        return lg_error_new(LG_ERR_NOT_FOUND, "no root reaches node %u", node);
    return find(routes, node, ret) ? NULL : &lg_no_memory;
}

struct lg_error *lg_routes_new(const struct lg_reach *reach, const struct lg_roots *roots,
                               struct lg_routes **ret)
{
    _cleanup_(lg_routes_freep) struct lg_routes *routes = calloc(1, sizeof(*routes));
    if (!routes)
        return &lg_no_memory;
    routes->reach = reach;
    routes->roots = roots;
    routes->ways.clr = lg_heap_clr(reach->graph->heap);
    for (size_t i = roots->all.len; i > 0; i--) { // The first explains best.
        lg_node node = lg_index_node(reach->graph->index, roots->all.at[i - 1].object);
        if (node != LG_NO_NODE && !lg_map_put(&routes->root_of, node, (uint32_t)i - 1))
            return &lg_no_memory;
    }
    struct lg_error *err = lg_reach_paths(reach, roots, &routes->paths);
    if (!err)
        *ret = lg_steal(routes);
    return err;
}

static void texts_free(struct lg_texts *texts)
{
    lg_vec_free(&texts->all);
    lg_map_free(&texts->ids);
}

void lg_routes_free(struct lg_routes *routes)
{
    if (!routes)
        return;
    lg_paths_free(routes->paths);
    lg_vec_free(&routes->all);
    texts_free(&routes->labels);
    texts_free(&routes->lines);
    lg_vec_free(&routes->way);
    lg_map_free(&routes->of_node);
    lg_map_free(&routes->by_step);
    lg_map_free(&routes->line_of);
    lg_ways_deinit(&routes->ways);
    lg_map_free(&routes->edge_labels);
    lg_map_free(&routes->enumerated);
    lg_map_free(&routes->root_of);
    lg_arena_free(&routes->arena);
    free(routes);
}
