// Roots as exports have them.
#include "collect/collect_priv.h"
#include "export/export_priv.h"
#include "snapshot/gcdump.h"

const char *stack_owner(struct lg_arena *arena, const struct lg_root *root)
{
    if (root->frame || !root->thread)
        return root->frame;
    return lg_arena_format(arena, "thread %x", root->thread->os_id);
}

static uint32_t group_of(const struct lg_root *root)
{
    uint32_t i = 0;
    while (lg_gcdump_groups[i].kind != root->kind || lg_gcdump_groups[i].is_frozen
           || lg_gcdump_groups[i].conservative != (root->conservative && root->kind == LG_ROOT_STACK))
        i++;
    return i;
}

static int by_group(const void *a, const void *b)
{
    const struct holding *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    int order = strcmp(x->name ? x->name : "", y->name ? y->name : "");
    return order ? order : (x->node > y->node) - (x->node < y->node);
}

static bool add_roots(const struct lg_export_source *source, struct lg_arena *arena,
                      struct holdings *ret)
{
    for (size_t i = 0; i < source->roots->all.len; i++) {
        const struct lg_root *root = &source->roots->all.at[i];
        struct holding holding = { group_of(root), NULL,
                                   lg_index_node(source->reach->graph->index, root->object) };
        if (holding.node == LG_NO_NODE)
            continue;
        if (root->kind == LG_ROOT_STATIC || root->kind == LG_ROOT_THREAD_STATIC)
            holding.name = root->name;
        else if (root->kind == LG_ROOT_STACK)
            holding.name = stack_owner(arena, root);
        if (!lg_vec_push(&ret->all, holding))
            return false;
    }
    return true;
}

static bool add_frozen(const struct lg_export_source *source, struct holdings *ret)
{
    lg_nodes frozen = { 0 };
    uint32_t group = 0;
    while (!lg_gcdump_groups[group].is_frozen)
        group++;
    bool ok = lg_frozen_nodes_add(source->reach->graph, &frozen);
    for (size_t i = 0; i < frozen.len && ok; i++)
        ok = lg_vec_push(&ret->all, ((struct holding){ group, NULL, frozen.at[i] }));
    lg_vec_free(&frozen);
    return ok;
}

struct lg_error *find_holdings(const struct lg_export_source *source, struct lg_arena *arena,
                               struct holdings *ret)
{
    if (!add_roots(source, arena, ret) || !add_frozen(source, ret))
        return &lg_no_memory;
    if (ret->all.len)
        qsort(ret->all.at, ret->all.len, sizeof(*ret->all.at), by_group);
    size_t kept = 0;
    for (size_t i = 0; i < ret->all.len; i++) {
        if (kept == 0 || by_group(&ret->all.at[kept - 1], &ret->all.at[i]) != 0)
            ret->all.at[kept++] = ret->all.at[i];
    }
    ret->all.len = kept;
    return NULL;
}

struct lg_error *count_live(const struct lg_export_source *source, struct lg_export_figures *ret)
{
    struct lg_error *err = lg_heap_graph_need(source->reach->graph, LG_GRAPH_FORWARD);
    if (err)
        return err;
    const struct lg_graph *forward = source->reach->graph->forward;
    *ret = (struct lg_export_figures){ .objects = source->retention->live_count,
                                       .bytes = source->retention->live_size };
    ret->dead = forward->node_count - source->retention->live_count;
    for (lg_node node = 0; node < forward->node_count; node++) {
        if (is_live(source, node)) // What it refers to is alive then.
            ret->references += forward->edge_start[node + 1] - forward->edge_start[node];
    }
    return NULL;
}
