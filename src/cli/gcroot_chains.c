// Which roots reach the target.
#include <stdlib.h>
#include <string.h>

#include "cli/gcroot.h"
#include "util/search.h"

void lg_chains_deinit(struct lg_chains *chains)
{
    lg_vec_free(&chains->all);
}

static enum lg_root_section section_of(const struct lg_root *root)
{
    switch (root->kind) {
    case LG_ROOT_STATIC:
        return LG_SECTION_STATICS;
    case LG_ROOT_THREAD_STATIC:
        return LG_SECTION_THREAD_STATICS;
    case LG_ROOT_FINALIZER:
        return LG_SECTION_FINALIZER;
    case LG_ROOT_FRAME:
    case LG_ROOT_STACK:
        return LG_SECTION_THREAD;
    default:
        return LG_SECTION_HANDLES;
    }
}

// Lengths of paths. Many roots share one long tail, so the lengths of some nodes are remembered: of one
// in 64, by their number, which bounds both the memory and the way to the next.
struct lengths {
    const struct lg_paths *paths;
    struct lg_map known;
};

static bool is_landmark(lg_node node)
{
    return node % 64 == 0;
}

static uint32_t walk_length(const struct lengths *lengths, lg_node node)
{
    uint32_t length = 1, rest;
    for (; node != lengths->paths->target; node = lengths->paths->next[node]) {
        if (is_landmark(node) && lg_map_get(&lengths->known, node, &rest))
            return length - 1 + rest;
        length++;
    }
    return length;
}

static bool length_of(struct lengths *lengths, lg_node node, uint32_t *ret)
{
    uint32_t length = walk_length(lengths, node), rest;
    *ret = length;
    for (; node != lengths->paths->target; node = lengths->paths->next[node], length--) {
        if (!is_landmark(node))
            continue;
        if (lg_map_get(&lengths->known, node, &rest))
            return true;
        if (!lg_map_put(&lengths->known, node, length))
            return false;
    }
    return true;
}

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static uint32_t thread_of(const struct lg_chain *chain)
{
    return chain->section == LG_SECTION_THREAD && chain->root->thread ? chain->root->thread->os_id : 0;
}

static int by_owner_and_object(const void *a, const void *b)
{
    const struct lg_chain *x = a, *y = b;
    int result = order(x->section, y->section);
    if (!result)
        result = order(thread_of(x), thread_of(y));
    if (!result)
        result = order(x->root->object, y->root->object);
    return result ? result : order(x->root->slot, y->root->slot);
}

// What a thread keeps by itself comes before what lies on its stack.
static bool is_on_stack(const struct lg_chain *chain)
{
    return chain->root->kind == LG_ROOT_STACK || chain->root->frame;
}

static int by_length(const void *a, const void *b)
{
    const struct lg_chain *x = a, *y = b;
    int result = order(x->section, y->section);
    if (!result)
        result = order(thread_of(x), thread_of(y));
    if (!result)
        result = order(x->hops, y->hops);
    if (!result)
        result = order(is_on_stack(x), is_on_stack(y));
    if (!result)
        result = order(x->root->slot, y->root->slot);
    return result ? result : order(x->root->object, y->root->object);
}

// Several words of one stack that lead to one object say the same once.
static bool is_repeated(const struct lg_chain *a, const struct lg_chain *b)
{
    return a->section == LG_SECTION_THREAD && b->section == LG_SECTION_THREAD && a->root->conservative
           && b->root->conservative && a->root->thread == b->root->thread
           && a->root->object == b->root->object;
}

static void unite(struct lg_chains *chains)
{
    size_t kept = 0;
    if (chains->all.len > 1)
        qsort(chains->all.at, chains->all.len, sizeof(*chains->all.at), by_owner_and_object);
    for (size_t i = 0; i < chains->all.len; i++) {
        if (kept > 0 && is_repeated(&chains->all.at[kept - 1], &chains->all.at[i]))
            chains->all.at[kept - 1].others++;
        else
            chains->all.at[kept++] = chains->all.at[i];
    }
    chains->all.len = kept;
    if (kept > 1)
        qsort(chains->all.at, kept, sizeof(*chains->all.at), by_length);
}

bool lg_root_is_wanted(const struct lg_root *root, bool stacks)
{
    return stacks || section_of(root) != LG_SECTION_THREAD;
}

static bool add_chain(struct lg_chains *chains, const struct lg_heap_graph *graph,
                      const struct lg_root *root, struct lengths *lengths)
{
    lg_node node = lg_index_node(graph->index, root->object);
    if (node == LG_NO_NODE || node >= lengths->paths->node_count
        || lengths->paths->next[node] == LG_NO_NODE)
        return true;
    struct lg_chain chain = { .root = root, .section = section_of(root) };
    return length_of(lengths, node, &chain.hops) && lg_vec_push(&chains->all, chain);
}

struct lg_error *lg_chains_find(const struct lg_heap_graph *graph, const struct lg_roots *roots,
                                const struct lg_paths *paths, bool stacks, struct lg_chains *ret)
{
    _cleanup_(lg_chains_deinit) struct lg_chains chains = { .objects_searched = paths->reached };
    struct lengths lengths = { .paths = paths };
    bool ok = true;
    for (size_t i = 0; i < roots->all.len && ok; i++) {
        const struct lg_root *root = &roots->all.at[i];
        if (lg_root_is_wanted(root, stacks))
            ok = add_chain(&chains, graph, root, &lengths);
    }
    lg_map_free(&lengths.known);
    if (!ok)
        return &lg_no_memory;
    unite(&chains);
    *ret = chains;
    chains = (struct lg_chains){ 0 };
    return NULL;
}

// Is it a start that no root has been found for yet?
static bool take_start(struct lg_map *taken, const struct lg_disjoint *disjoint, lg_node node, bool *ok)
{
    uint32_t unused;
    if (node == LG_NO_NODE || lg_map_get(taken, node, &unused))
        return false;
    size_t low = lg_first_not(disjoint->starts.len, i, disjoint->starts.at[i] < node);
    if (low == disjoint->starts.len || disjoint->starts.at[low] != node)
        return false;
    *ok = lg_map_put(taken, node, 0);
    return *ok;
}

struct lg_error *lg_chains_of_starts(const struct lg_heap_graph *graph, const struct lg_roots *roots,
                                     const struct lg_disjoint *disjoint, bool stacks,
                                     struct lg_chains *ret)
{
    _cleanup_(lg_chains_deinit) struct lg_chains chains = { 0 };
    const struct lg_paths *paths = disjoint->paths;
    struct lg_map taken = { 0 };
    bool ok = true;
    for (size_t i = 0; i < roots->all.len && ok; i++) { // The first explains best.
        const struct lg_root *root = &roots->all.at[i];
        if (!lg_root_is_wanted(root, stacks))
            continue;
        lg_node node = lg_index_node(graph->index, root->object);
        struct lg_chain chain = { .root = root, .section = section_of(root), .hops = 1 };
        if (node != paths->target && !take_start(&taken, disjoint, node, &ok))
            continue;
        for (; node != paths->target; node = paths->next[node])
            chain.hops++;
        ok = lg_vec_push(&chains.all, chain);
    }
    lg_map_free(&taken);
    if (!ok)
        return &lg_no_memory;
    unite(&chains);
    *ret = chains;
    chains = (struct lg_chains){ 0 };
    return NULL;
}
