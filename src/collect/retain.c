#include "collect/retain.h"

#include <string.h>

#include "collect/collect_priv.h"
#include "graph/marks.h"
#include "heap/heap_priv.h"
#include "util/cancel.h"
#include "util/error.h"
#include "util/memory_left.h"
#include "util/pages.h"
#include "util/parallel.h"

struct holding {
    uint32_t owner;
    lg_node object;
};

struct build {
    struct lg_retention *retention;
    const struct lg_reach *reach;
    const struct lg_roots *roots;
    struct lg_map shared;            // lg_root_kind, or address of a thread -> owner
    LG_VEC(struct holding) holdings; // by owner
    lg_node *last;                   // [lg_workers()] node of the object seen last, in a pass
};
static void build_deinit(struct build *build)
{
    lg_map_free(&build->shared);
    lg_vec_free(&build->holdings);
    free(build->last);
}

// ---- owners ----

static bool add_owner(struct build *build, struct lg_owner owner, uint32_t *ret)
{
    *ret = (uint32_t)build->retention->owners.len;
    return lg_vec_push(&build->retention->owners, owner);
}

// All with the same key have one owner.
static bool shared_owner(struct build *build, uint64_t key, struct lg_owner owner, uint32_t *ret)
{
    return lg_map_get(&build->shared, key, ret)
           || (add_owner(build, owner, ret) && lg_map_put(&build->shared, key, *ret));
}

static bool owner_of(struct build *build, const struct lg_root *root, uint32_t *ret)
{
    struct lg_owner owner = { .kind = root->kind, .thread = root->thread };
    bool is_named = root->kind == LG_ROOT_STATIC || root->kind == LG_ROOT_THREAD_STATIC;
    if (is_named && root->name) {
        owner.name = root->name;
        return add_owner(build, owner, ret);
    }
    if (root->thread) {
        owner.kind = LG_ROOT_STACK;
        return shared_owner(build, root->thread->address, owner, ret);
    }
    return shared_owner(build, root->kind, owner, ret); // Kinds are no addresses.
}

static bool hold(struct build *build, uint32_t owner, lg_node object)
{
    return lg_vec_push(&build->holdings, ((struct holding){ owner, object }));
}

static bool add_frozen(struct build *build)
{
    const struct lg_heap_graph *graph = build->reach->graph;
    uint32_t owner;
    lg_nodes frozen = { 0 };
    bool ok = lg_frozen_nodes_add(graph, &frozen)
              && (frozen.len == 0 || add_owner(build, (struct lg_owner){ .is_frozen = true }, &owner));
    for (size_t i = 0; ok && i < frozen.len; i++)
        ok = hold(build, owner, frozen.at[i]);
    lg_vec_free(&frozen);
    return ok;
}

static bool add_owners(struct build *build)
{
    for (size_t i = 0; i < build->roots->all.len; i++) {
        const struct lg_root *root = &build->roots->all.at[i];
        lg_node node = lg_index_node(build->reach->graph->index, root->object);
        uint32_t owner;
        if (node == LG_NO_NODE)
            continue;
        if (!owner_of(build, root, &owner) || !hold(build, owner, node))
            return false;
    }
    return add_frozen(build);
}

static int by_owner(const void *a, const void *b)
{
    const struct holding *x = a, *y = b;
    if (x->owner != y->owner)
        return x->owner < y->owner ? -1 : 1;
    return x->object < y->object ? -1 : x->object > y->object;
}

// ---- the tree ----

// Of each owner what it holds.
static struct lg_error *owner_rows(const struct build *build, struct lg_graph **ret)
{
    uint32_t n = lg_index_count(build->reach->graph->index);
    uint32_t owners = (uint32_t)build->retention->owners.len;
    size_t held = build->holdings.len, next = 0;
    if (n > UINT32_MAX - 2 - owners)
        return lg_error_new(LG_ERR_UNSUPPORTED, "%u objects and %u owners are too many", n, owners);
    struct lg_error *err = lg_graph_new(owners, held, ret);
    for (uint32_t i = 0; i < owners && !err; i++) {
        for (; next < held && build->holdings.at[next].owner == i; next++)
            (*ret)->edges[next] = build->holdings.at[next].object;
        (*ret)->edge_start[i + 1] = (uint32_t)next;
    }
    return err;
}

static struct lg_error *find_tree(struct build *build)
{
    struct lg_heap_graph *graph = build->reach->graph;
    struct lg_retention *retention = build->retention;
    _cleanup_(lg_graph_freep) struct lg_graph *owners = NULL;
    if (build->holdings.len)
        qsort(build->holdings.at, build->holdings.len, sizeof(*build->holdings.at), by_owner);
    struct lg_error *err = owner_rows(build, &owners);
    if (!err)
        err = lg_heap_graph_need(graph, LG_GRAPH_FORWARD);
    if (!err)
        err = lg_dominators_find(lg_steal(graph->forward), owners, NULL, 0, &retention->tree);
    return err;
}

// ---- sizes ----

static void begin_piece(void *self, size_t piece, size_t number)
{
    struct build *build = self;
    (void)piece;
    build->last[number] = LG_NO_NODE;
}

static void note_own(void *self, struct walker *walker, const struct lg_seen *seen)
{
    struct build *build = self;
    struct lg_retention *retention = build->retention;
    lg_node *last = &build->last[lg_walker_number(walker)];
    // Objects are numbered in address order, so within a piece the next has the next number.
    lg_node node = *last == LG_NO_NODE ? lg_index_node(build->reach->graph->index, seen->object.address)
                                       : *last + 1;
    *last = node;
    if (node >= retention->node_count)
        return; // The index and this walk do not agree: damage that the walk has counted.
    retention->own_type[node] = seen->object.type->id;
    if (retention->number[node])
        retention->size[retention->number[node]] = seen->object.size;
}

static struct lg_error *find_sizes(struct build *build)
{
    struct lg_retention *retention = build->retention;
    struct lg_dominators *tree = retention->tree;
    struct lg_error *err =
        lg_memory_need(16 * (uint64_t)tree->count, "retained sizes of %u objects", tree->count - 1);
    if (err)
        return err;
    retention->number = tree->number;
    retention->size = lg_pages_alloc(tree->count, sizeof(*retention->size));
    retention->objects = lg_pages_alloc(tree->count, sizeof(*retention->objects));
    retention->own_type = lg_pages_alloc(retention->node_count, sizeof(*retention->own_type));
    build->last = calloc(lg_workers(), sizeof(*build->last));
    if (!retention->size || !retention->objects || !retention->own_type || !build->last)
        return &lg_no_memory;
    struct lg_pass pass = { .seen = note_own, .begin = begin_piece, .self = build };
    struct lg_walk_result result;
    err = lg_heap_pass(build->reach->graph->heap, &pass, &result);
    if (err)
        return err;
    lg_retained_fold(tree, retention->size);
    for (uint32_t i = tree->count - 1; i > 0; i--) {
        retention->objects[i] += tree->node[i] < retention->node_count;
        retention->objects[tree->idom[i]] += retention->objects[i];
    }
    retention->live_size = retention->size[0];
    retention->live_count = retention->objects[0];
    return NULL;
}

struct lg_error *lg_retention_find(const struct lg_reach *reach, const struct lg_roots *roots,
                                   struct lg_retention **ret)
{
    _cleanup_(lg_retention_freep) struct lg_retention *retention = calloc(1, sizeof(*retention));
    if (!retention)
        return &lg_no_memory;
    retention->graph = reach->graph;
    retention->node_count = lg_index_count(reach->graph->index);
    _cleanup_(
        build_deinit) struct build build = { .retention = retention, .reach = reach, .roots = roots };
    if (!add_owners(&build))
        return &lg_no_memory;
    struct lg_error *err = find_tree(&build);
    if (!err)
        err = find_sizes(&build);
    // The same two ways: every object that a search reaches is in the tree, and nothing else.
    if (!err && retention->live_count != reach->live_count)
        err = lg_error_new(LG_ERR_CORRUPT, "%u objects are in the dominator tree, but roots reach %llu",
                           retention->live_count, (unsigned long long)reach->live_count);
    if (!err)
        *ret = lg_steal(retention);
    return err;
}

void lg_retention_free(struct lg_retention *retention)
{
    if (!retention)
        return;
    if (retention->tree) {
        lg_pages_free(retention->size, retention->tree->count, sizeof(*retention->size));
        lg_pages_free(retention->objects, retention->tree->count, sizeof(*retention->objects));
    }
    lg_pages_free(retention->own_type, retention->node_count, sizeof(*retention->own_type));
    lg_dominators_free(retention->tree);
    lg_vec_free(&retention->owners);
    free(retention);
}

// ---- asking ----

const struct lg_owner *lg_retention_owner(const struct lg_retention *retention, uint32_t number)
{
    lg_node node = retention->tree->node[number];
    return number > 0 && node >= retention->node_count
               ? &retention->owners.at[node - retention->node_count]
               : NULL;
}

uint64_t lg_retention_address(const struct lg_retention *retention, uint32_t number)
{
    lg_node node = retention->tree->node[number];
    return node < retention->node_count ? lg_index_address(retention->graph->index, node) : 0;
}

const struct lg_type *lg_retention_type(const struct lg_retention *retention, uint32_t number)
{
    lg_node node = retention->tree->node[number];
    return node < retention->node_count
               ? lg_clr_type_at(lg_heap_clr(retention->graph->heap), retention->own_type[node])
               : NULL;
}

// What each takes itself: what it retains without what its children do. NULL when out of memory.
uint64_t *lg_retention_own_sizes(const struct lg_retention *retention)
{
    uint32_t count = retention->tree->count;
    uint64_t *own = lg_pages_alloc(count, sizeof(*own));
    if (!own)
        return NULL;
    memcpy(own, retention->size, count * sizeof(*own));
    for (uint32_t i = 1; i < count; i++)
        own[retention->tree->idom[i]] -= retention->size[i];
    return own;
}

// ---- groups ----

struct visit {
    uint32_t number, next; // The next of its children, in children.order.
};

struct grouping {
    const struct lg_retention *retention;
    const uint32_t *key; // by lg_type.id,
    bool by_node;        // or by node
    struct lg_retained_group *groups;
    uint32_t *inside; // by key: how many of it the walk is inside of
    uint64_t *own;
    struct lg_dominator_children children;
    LG_VEC(struct visit) way;
};
static void grouping_deinit(struct grouping *grouping)
{
    if (grouping->own)
        lg_pages_free(grouping->own, grouping->retention->tree->count, sizeof(*grouping->own));
    lg_dominator_children_deinit(&grouping->children);
    lg_vec_free(&grouping->way);
    free(grouping->inside);
}

// The key of a number, or UINT32_MAX: an owner, the virtual root.
static uint32_t key_of(const struct grouping *grouping, uint32_t number)
{
    lg_node node = grouping->retention->tree->node[number];
    if (node >= grouping->retention->node_count)
        return UINT32_MAX;
    return grouping->key[grouping->by_node ? node : grouping->retention->own_type[node]];
}

static bool enter(struct grouping *grouping, uint32_t number)
{
    uint32_t key = key_of(grouping, number);
    if (key != UINT32_MAX) {
        struct lg_retained_group *group = &grouping->groups[key];
        group->count++;
        group->size += grouping->own[number];
        if (grouping->inside[key]++ == 0)
            group->retained += grouping->retention->size[number];
    }
    struct visit visit = { number, grouping->children.start[number] };
    return lg_vec_push(&grouping->way, visit);
}

static void leave(struct grouping *grouping)
{
    uint32_t key = key_of(grouping, grouping->way.at[--grouping->way.len].number);
    if (key != UINT32_MAX)
        grouping->inside[key]--;
}

static bool walk(struct grouping *grouping)
{
    bool ok = enter(grouping, 0);
    while (ok && grouping->way.len > 0 && !lg_cancelled()) {
        struct visit *visit = &grouping->way.at[grouping->way.len - 1];
        if (visit->next == grouping->children.start[visit->number + 1])
            leave(grouping);
        else
            ok = enter(grouping, grouping->children.order[visit->next++]);
    }
    return ok;
}

static struct lg_error *group(const struct lg_retention *retention, const uint32_t *key, bool by_node,
                              struct lg_retained_group *groups, uint32_t key_count)
{
    struct lg_error *err = lg_memory_need(16 * (uint64_t)retention->tree->count, "groups of %u objects",
                                          retention->tree->count - 1);
    if (err)
        return err;
    _cleanup_(grouping_deinit) struct grouping grouping = {
        .retention = retention,
        .key = key,
        .by_node = by_node,
        .groups = groups,
        .inside = calloc(key_count + 1u, sizeof(*grouping.inside)),
        .own = lg_retention_own_sizes(retention),
    };
    memset(groups, 0, key_count * sizeof(*groups));
    if (!grouping.inside || !grouping.own)
        return &lg_no_memory;
    err = lg_dominator_children_find(retention->tree, &grouping.children);
    if (!err && !walk(&grouping))
        err = &lg_no_memory;
    return err ? err : lg_cancelled() ? &lg_was_cancelled : NULL;
}

struct lg_error *lg_retention_group(const struct lg_retention *retention, const uint32_t *key,
                                    struct lg_retained_group *groups, uint32_t key_count)
{
    return group(retention, key, false, groups, key_count);
}

struct lg_error *lg_retention_group_nodes(const struct lg_retention *retention, const uint32_t *key,
                                          struct lg_retained_group *groups, uint32_t key_count)
{
    return group(retention, key, true, groups, key_count);
}

// ---- sets ----

// Marks what is reached when a set is not there: its own nodes count as met, and nothing is looked for
// behind them.
static struct lg_error *search_without(const struct lg_reach *reach, const struct lg_roots *roots,
                                       const uint64_t *in_set, uint64_t *marks)
{
    lg_nodes sources = { 0 };
    uint64_t count = 0;
    struct lg_error *err = lg_heap_graph_need(reach->graph, LG_GRAPH_FORWARD);
    memcpy(marks, in_set, 8 * lg_marks_words(lg_index_count(reach->graph->index)));
    bool ready = lg_root_nodes_add(reach->graph, roots, false, &sources)
                 && lg_root_nodes_add(reach->graph, roots, true, &sources)
                 && lg_frozen_nodes_add(reach->graph, &sources);
    if (!err)
        err = ready ? lg_marks_search(marks, reach->graph->forward, sources.at, sources.len, &count)
                    : &lg_no_memory;
    lg_vec_free(&sources);
    return err;
}

struct lg_error *lg_retained_set(const struct lg_retention *retention, const struct lg_reach *reach,
                                 const struct lg_roots *roots, const uint64_t *in_set,
                                 struct lg_retained_group *ret)
{
    size_t words = lg_marks_words(retention->node_count);
    uint64_t *own = lg_retention_own_sizes(retention), *without = lg_pages_alloc(words, 8);
    struct lg_error *err =
        own && without ? search_without(reach, roots, in_set, without) : &lg_no_memory;
    *ret = (struct lg_retained_group){ 0 };
    for (uint32_t i = 1; i < retention->tree->count && !err; i++) {
        lg_node node = retention->tree->node[i];
        if (node >= retention->node_count)
            continue;
        bool is_in = in_set[node >> 6] >> (node & 63) & 1;
        ret->count += is_in;
        ret->size += is_in ? own[i] : 0;
        ret->retained += is_in || !lg_marks_has(without, node) ? own[i] : 0;
    }
    lg_pages_free(without, words, 8);
    lg_pages_free(own, retention->tree->count, sizeof(*own));
    return err;
}
