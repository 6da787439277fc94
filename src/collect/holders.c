#include "collect/holders.h"

#include <stdio.h>
#include <string.h>

#include "collect/collect_priv.h"
#include "collect/places.h"
#include "graph/marks.h"
#include "util/cancel.h"
#include "util/error.h"
#include "util/fetch.h"
#include "util/memory_left.h"
#include "util/pages.h"

enum { LABEL_MAX = 512 };
#define PROVISIONAL (UINT32_C(1) << 31) // Claimed in this round: a better holder may still take it.
#define NOBODY UINT32_MAX
#define FROZEN UINT32_MAX // As struct lg_route has it.

// What the search knows of a route, beside what it is.
struct holder {
    uint64_t hash; // Of the names on the way.
    uint32_t
        fresh; // How many it has claimed in this round; then where in `order` the next of them goes.
};

// Objects of one route whose references are to be looked at: a piece of `order`.
struct batch {
    uint32_t route, start, end;
};

struct search {
    const struct lg_reach *reach;
    const struct lg_roots *roots;
    const struct lg_retention *retention;
    struct lg_routes *routes;
    struct lg_clr *clr;
    LG_VEC(struct holder) holders; // by route
    uint32_t *own;                 // [node_count] its route
    lg_node *order;                // [node_count] in the order in which they are looked at
    uint32_t ordered;
    uint64_t *type_hashes; // by lg_type.id; 0: not asked yet
    uint32_t type_count;
    struct lg_map by_step; // hash of (before, type, label) -> route; equal hashes: the next one
    struct lg_map by_name; // hash of the name -> first root of that name
    struct lg_map edges;   // type << 16 | place -> label
    struct lg_places places;
    lg_nodes touched;       // of this round
    LG_VEC(uint32_t) fresh; // routes that have new members
    LG_VEC(struct batch) queue;
    size_t queue_from;
    uint32_t by; // the route whose members are looked at
    bool failed;
};

static void search_deinit(struct search *search)
{
    uint32_t nodes = search->retention->node_count;
    lg_pages_free(search->own, nodes, sizeof(*search->own));
    lg_pages_free(search->order, nodes, sizeof(*search->order));
    lg_vec_free(&search->holders);
    free(search->type_hashes);
    lg_map_free(&search->by_step);
    lg_map_free(&search->by_name);
    lg_map_free(&search->edges);
    lg_places_deinit(&search->places);
    lg_vec_free(&search->touched);
    lg_vec_free(&search->fresh);
    lg_vec_free(&search->queue);
}

// ---- names ----

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
    return lg_hash64(hash);
}

static bool label_id(struct search *search, const char *text, uint32_t *ret)
{
    return lg_text_id(search->routes, &search->routes->labels, text, ret);
}

static uint64_t type_hash(struct search *search, uint32_t id)
{
    const struct lg_type *type = id < search->type_count ? lg_clr_type_at(search->clr, id) : NULL;
    if (!type)
        return 1;
    if (!search->type_hashes[id])
        search->type_hashes[id] = hash_text(1, lg_clr_type_name(search->clr, type)) | 1;
    return search->type_hashes[id];
}

// Statics and thread statics have names; of the others all of a kind are one.
static uint64_t root_hash(const struct lg_root *root)
{
    bool is_named = root && root->kind <= LG_ROOT_THREAD_STATIC && root->name;
    return hash_text(root ? (uint64_t)root->kind + 2 : 1, is_named ? root->name : "");
}

static uint64_t hash_of(struct search *search, const struct lg_route *route)
{
    const struct lg_root *root = route->before == LG_NO_ROUTE && route->label != FROZEN
                                     ? &search->roots->all.at[route->label]
                                     : NULL;
    uint64_t way = route->before == LG_NO_ROUTE ? root_hash(root)
                                                : hash_text(search->holders.at[route->before].hash,
                                                            search->routes->labels.all.at[route->label]);
    return lg_hash64(way + type_hash(search, route->type));
}

// ---- routes ----

static bool is_step(const struct lg_route *route, uint32_t type, uint32_t label)
{
    return route->type == type && route->label == label && route->before != LG_NO_ROUTE;
}

// A step that is on the way there already.
static uint32_t find_above(const struct lg_routes *routes, uint32_t at, uint32_t type, uint32_t label)
{
    while (at != LG_NO_ROUTE && !is_step(&routes->all.at[at], type, label))
        at = routes->all.at[at].before;
    return at;
}

static bool add_route(struct search *search, struct lg_route route, uint32_t *ret)
{
    struct holder holder = { .hash = hash_of(search, &route) };
    *ret = (uint32_t)search->routes->all.len;
    return *ret < PROVISIONAL && lg_vec_push(&search->routes->all, route)
           && lg_vec_push(&search->holders, holder);
}

// `by_step` leads to the route itself, and from a step that repeats to where it was first: an entry of
// its own each, told apart by what they are.
static bool find_route(struct search *search, struct lg_route step, uint32_t *ret)
{
    struct lg_routes *routes = search->routes;
    uint64_t key = lg_hash64(lg_hash64((uint64_t)step.before << 32 | step.type) + step.label);
    for (; lg_map_get(&search->by_step, key, ret); key++) {
        const struct lg_route *found = &routes->all.at[*ret];
        if (found->type == step.type && found->label == step.label
            && (found->before == step.before
                || find_above(routes, step.before, step.type, step.label) == *ret))
            return true;
    }
    *ret = find_above(routes, step.before, step.type, step.label);
    if (*ret != LG_NO_ROUTE)
        routes->all.at[*ret].repeats = true;
    else if (!add_route(search, step, ret))
        return false;
    return lg_map_put(&search->by_step, key, *ret);
}

// ---- claiming ----

static bool is_open(const struct search *search, lg_node node)
{
    uint32_t own = search->own[node];
    return own == NOBODY || own & PROVISIONAL;
}

// Of several that claim it in one round, one above goes first (a list is a list), then the lower hash.
static bool is_better(const struct search *search, uint32_t route, uint32_t than)
{
    uint64_t a = search->holders.at[route].hash, b = search->holders.at[than].hash;
    bool a_above = route <= search->by, b_above = than <= search->by;
    return a_above != b_above ? a_above : a < b;
}

static void claim(struct search *search, lg_node node, uint32_t label)
{
    struct lg_route step = { search->by, search->retention->own_type[node], label, false };
    uint32_t route, *own = &search->own[node];
    if (!find_route(search, step, &route)) {
        search->failed = true;
        return;
    }
    if (*own == NOBODY)
        search->failed |= !lg_vec_push(&search->touched, node);
    else if (!is_better(search, route, *own & ~PROVISIONAL))
        return;
    *own = route | PROVISIONAL;
}

// By type and place, each asked once.
static bool place_label(struct search *search, uint32_t type_id, uint16_t place, uint32_t *ret)
{
    uint64_t key = (uint64_t)type_id << 16 | place;
    if (lg_map_get(&search->edges, key, ret))
        return true;
    const struct lg_type *type = lg_clr_type_at(search->clr, type_id);
    char text[LABEL_MAX];
    snprintf(text, sizeof(text), "?");
    if (type)
        lg_place_label(search->reach->graph, type, place, text, sizeof(text));
    return label_id(search, text, ret) && lg_map_put(&search->edges, key, *ret);
}

static bool other_label(struct search *search, lg_node from, lg_node to, uint32_t *ret)
{
    const struct lg_heap_graph *graph = search->reach->graph;
    struct lg_object object;
    char text[LABEL_MAX];
    enum lg_link link;
    bool is_known =
        lg_heap_object_at(graph->heap, lg_index_address(graph->index, from), &object)
        && lg_edge_label(graph, &object, lg_index_address(graph->index, to), &link, text, sizeof(text));
    return label_id(search, is_known ? text : "?", ret);
}

static void claim_edge(struct search *search, lg_node from, uint32_t edge)
{
    lg_node to = search->reach->graph->forward->edges[edge];
    uint16_t place = search->places.at[edge];
    uint32_t label;
    bool ok = place == LG_PLACE_NONE || place == LG_PLACE_ASK
                  ? other_label(search, from, to, &label)
                  : place_label(search, search->retention->own_type[from], place, &label);
    if (ok)
        claim(search, to, label);
    else
        search->failed = true;
}

static void expand(struct search *search, lg_node node)
{
    const struct lg_graph *forward = search->reach->graph->forward;
    uint32_t start = forward->edge_start[node], end = forward->edge_start[node + 1];
    for (uint32_t e = start; e < end; e++) {
        bool again = e > start && forward->edges[e] == forward->edges[e - 1];
        if (!again && is_open(search, forward->edges[e]))
            claim_edge(search, node, e);
    }
}

// ---- rounds ----

static int by_hash(const void *a, const void *b, void *search_arg)
{
    const struct search *search = search_arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    uint64_t hx = search->holders.at[x].hash, hy = search->holders.at[y].hash;
    return hx != hy ? (hx < hy ? -1 : 1) : (x > y) - (x < y);
}

// A batch each of the routes that have claimed something, in the order of their hashes.
static void add_batches(struct search *search)
{
    if (search->fresh.len > 1)
        qsort_r(search->fresh.at, search->fresh.len, sizeof(*search->fresh.at), by_hash, search);
    uint32_t next = search->ordered;
    for (size_t i = 0; i < search->fresh.len; i++) {
        uint32_t route = search->fresh.at[i], count = search->holders.at[route].fresh;
        search->failed |= !lg_vec_push(&search->queue, ((struct batch){ route, next, next + count }));
        search->holders.at[route].fresh = next;
        next += count;
    }
    search->ordered = next;
}

// What was claimed in a round is no longer open, and is to be looked at.
static void settle(struct search *search)
{
    for (size_t i = 0; i < search->touched.len; i++) {
        uint32_t own = search->own[search->touched.at[i]] &= ~PROVISIONAL;
        if (search->holders.at[own].fresh++ == 0)
            search->failed |= !lg_vec_push(&search->fresh, own);
    }
    add_batches(search);
    for (size_t i = 0; i < search->touched.len; i++) {
        lg_node node = search->touched.at[i];
        search->order[search->holders.at[search->own[node]].fresh++] = node;
    }
    for (size_t i = 0; i < search->fresh.len; i++)
        search->holders.at[search->fresh.at[i]].fresh = 0;
    search->touched.len = search->fresh.len = 0;
}

// Everything is all over memory: what will be looked at is asked for some objects ahead.
LG_FETCHES void look_ahead(const struct search *search, const struct batch *batch, uint32_t i)
{
    enum { FAR = 24, NEAR = 12 };
    const struct lg_graph *forward = search->reach->graph->forward;
    if (i + FAR < batch->end)
        __builtin_prefetch(&forward->edge_start[search->order[i + FAR]]);
    if (i + NEAR >= batch->end)
        return;
    uint32_t edge = forward->edge_start[search->order[i + NEAR]];
    __builtin_prefetch(&forward->edges[edge]);
    if (i + NEAR / 2 < batch->end) {
        lg_node node = search->order[i + NEAR / 2];
        uint32_t end = forward->edge_start[node + 1];
        for (edge = forward->edge_start[node]; edge < end && edge < forward->edge_start[node] + 4;
             edge++)
            __builtin_prefetch(&search->own[forward->edges[edge]]);
    }
}

static struct lg_error *run_queue(struct search *search)
{
    while (search->queue_from < search->queue.len && !search->failed) {
        if (lg_cancelled())
            return &lg_was_cancelled;
        const struct batch batch = search->queue.at[search->queue_from++];
        search->by = batch.route;
        for (uint32_t i = batch.start; i < batch.end && !search->failed && !lg_cancelled(); i++) {
            look_ahead(search, &batch, i);
            expand(search, search->order[i]);
        }
        settle(search);
        if (search->queue_from == search->queue.len)
            search->queue_from = search->queue.len = 0;
    }
    return search->failed ? &lg_no_memory : NULL;
}

// ---- roots ----

// Those that say most first; what only looks like a root last.
enum stage { STAGE_NAMED, STAGE_FROZEN, STAGE_STACKS, STAGE_GUESSED, STAGES };

static enum stage stage_of(const struct lg_root *root)
{
    return root->conservative                ? STAGE_GUESSED
           : root->kind >= LG_ROOT_FINALIZER ? STAGE_STACKS
                                             : STAGE_NAMED;
}

static void claim_for_root(struct search *search, lg_node node, uint32_t root)
{
    search->by = LG_NO_ROUTE;
    if (node != LG_NO_NODE && is_open(search, node) && lg_marks_has(search->reach->alive, node))
        claim(search, node, root);
}

// Of a kind at a time, so that a static goes before a handle.
static void claim_for_roots(struct search *search, enum stage stage)
{
    for (int kind = 0; kind < LG_ROOT_KINDS; kind++) {
        for (uint32_t i = 0; i < search->roots->all.len; i++) {
            const struct lg_root *root = &search->roots->all.at[i];
            uint32_t first = i;
            if ((int)root->kind != kind || stage_of(root) != stage)
                continue;
            uint64_t name = root_hash(root);
            if (!lg_map_get(&search->by_name, name, &first))
                search->failed |= !lg_map_put(&search->by_name, name, i);
            claim_for_root(search, lg_index_node(search->reach->graph->index, root->object), first);
        }
        settle(search);
    }
}

static void claim_for_frozen(struct search *search)
{
    lg_nodes frozen = { 0 };
    search->failed |= !lg_frozen_nodes_add(search->reach->graph, &frozen);
    for (size_t i = 0; i < frozen.len; i++)
        claim_for_root(search, frozen.at[i], FROZEN);
    lg_vec_free(&frozen);
    settle(search);
}

static struct lg_error *claim_all(struct search *search)
{
    struct lg_error *err = NULL;
    for (int stage = 0; stage < STAGES && !err; stage++) {
        if (stage == STAGE_FROZEN)
            claim_for_frozen(search);
        else
            claim_for_roots(search, (enum stage)stage);
        err = run_queue(search);
    }
    return err;
}

// ---- sums ----

static struct lg_error *sum_up(struct search *search, struct lg_holders *holders)
{
    uint32_t count = (uint32_t)search->routes->all.len;
    holders->sums = calloc(count + 1u, sizeof(*holders->sums));
    if (!holders->sums)
        return &lg_no_memory;
    holders->node_count = search->retention->node_count;
    holders->own = lg_steal(search->own);
    return lg_retention_group_nodes(search->retention, holders->own, holders->sums, count);
}

static bool begin(struct search *search)
{
    uint32_t nodes = search->retention->node_count;
    search->type_count = lg_clr_type_count(search->clr);
    search->own = lg_pages_alloc(nodes, sizeof(*search->own));
    search->order = lg_pages_alloc(nodes, sizeof(*search->order));
    search->type_hashes = calloc(search->type_count + 1u, sizeof(*search->type_hashes));
    if (!search->own || !search->order || !search->type_hashes)
        return false;
    memset(search->own, 0xff, (size_t)nodes * sizeof(*search->own));
    return true;
}

struct lg_error *lg_holders_find(const struct lg_reach *reach, const struct lg_roots *roots,
                                 const struct lg_retention *retention, struct lg_holders **ret)
{
    _cleanup_(lg_holders_freep) struct lg_holders *holders = calloc(1, sizeof(*holders));
    if (!holders)
        return &lg_no_memory;
    struct lg_error *err = lg_routes_new(reach, roots, &holders->routes);
    if (!err)
        err = lg_memory_need(8 * (uint64_t)retention->node_count, "holders of %u objects",
                             retention->node_count);
    if (err)
        return err;
    _cleanup_(search_deinit) struct search search = {
        .reach = reach,
        .roots = roots,
        .retention = retention,
        .routes = holders->routes,
        .clr = lg_heap_clr(reach->graph->heap),
    };
    err = begin(&search) ? lg_places_find(reach, &search.places) : &lg_no_memory;
    if (!err)
        err = claim_all(&search);
    if (!err)
        err = sum_up(&search, holders);
    if (!err)
        *ret = lg_steal(holders);
    return err;
}

void lg_holders_free(struct lg_holders *holders)
{
    if (!holders)
        return;
    lg_routes_free(holders->routes);
    lg_pages_free(holders->own, holders->node_count, sizeof(*holders->own));
    free(holders->sums);
    free(holders);
}
