#include "graph/disjoint.h"

#include "util/cancel.h"
#include "util/error.h"
#include "util/memory_left.h"
#include "util/pages.h"

// One search backwards from the target. A node that is on a path can be passed in two ways: out of it,
// another path may leave the one that goes through it at an earlier place, or undo it. So what is
// visited is the `out` of nodes; the `in` of a node on a path is passed at once, when the `out` of the
// node before it on that path is.
struct search {
    const struct lg_graph *reversed;
    const uint64_t *sources;
    lg_node target;
    lg_node *next;    // [nodes] on a path: the node behind it
    uint32_t *before; // [nodes] on a path: START, or the node before it + NODE; 0: on none
    uint32_t *came;   // [nodes] visited: where it leads to, + 1: a node behind it, or itself (below)
    LG_VEC(lg_node) queue;
    lg_node end; // A source that was met, with its `out` or its `in`.
    bool has_end, end_is_in, failed;
};
enum { START = 1, NODE = 2 }; // Of `before`; there are fewer than 2^32 - 3 nodes.

static bool is_source(const struct search *s, lg_node node)
{
    return s->sources[node >> 6] >> (node & 63) & 1;
}

static void set_end(struct search *s, lg_node node, bool is_in)
{
    s->has_end = true;
    s->end = node;
    s->end_is_in = is_in;
}

static void visit(struct search *s, lg_node node, lg_node leads_to)
{
    if (s->came[node] || node == s->target)
        return;
    s->came[node] = leads_to + 1;
    if (!lg_vec_push(&s->queue, node))
        s->failed = true;
    else if (!s->has_end && !s->before[node] && is_source(s, node))
        set_end(s, node, false);
}

static void visit_holders(struct search *s, lg_node node)
{
    const struct lg_graph *graph = s->reversed;
    for (uint32_t e = graph->edge_start[node]; e < graph->edge_start[node + 1] && !s->has_end; e++)
        visit(s, graph->edges[e], node);
}

// Past the `in` of a node on a path: to its holders, and to its own `out`, which undoes its part of the
// path.
static void pass(struct search *s, lg_node node)
{
    if (is_source(s, node))
        set_end(s, node, true);
    else
        visit_holders(s, node);
    if (!s->has_end)
        visit(s, node, node);
}

static void search(struct search *s)
{
    s->has_end = false;
    visit_holders(s, s->target);
    for (size_t i = 0; i < s->queue.len && !s->has_end && !s->failed; i++) {
        lg_node node = s->queue.at[i];
        if (!s->before[node])
            visit_holders(s, node);
        else if (s->next[node] != s->target)
            pass(s, s->next[node]);
        if (i % 4096 == 0 && lg_cancelled())
            return;
    }
}

static void forget_visits(struct search *s)
{
    for (size_t i = 0; i < s->queue.len; i++)
        s->came[s->queue.at[i]] = 0;
    s->queue.len = 0;
}

// `holder` goes to `node` from now on. The node before `node` so far, or LG_NO_NODE: none.
static lg_node connect(struct search *s, uint32_t holder, lg_node node)
{
    uint32_t old = s->before[node];
    s->before[node] = holder;
    return old >= NODE ? old - NODE : LG_NO_NODE;
}

// What was found, from the source on: each step adds an edge to a path or takes one away.
static void augment(struct search *s)
{
    lg_node node = s->end;
    if (s->end_is_in)
        node = connect(s, START, node);
    else
        s->before[node] = START;
    while (node != LG_NO_NODE) { // The `out` of it.
        lg_node to = s->came[node] - 1;
        if (to == node) { // It is on no path any more; the node before it goes elsewhere.
            to = connect(s, 0, node);
            s->next[node] = LG_NO_NODE;
            node = to;
            continue;
        }
        s->next[node] = to;
        if (to == s->target)
            return;
        lg_node old = connect(s, node + NODE, to);
        node = old == LG_NO_NODE ? to : old;
    }
}

static bool list_starts(const struct search *s, struct lg_disjoint *ret, uint32_t node_count)
{
    bool ok = true;
    for (lg_node node = 0; node < node_count && ok; node++)
        ok = s->before[node] != START || lg_vec_push(&ret->starts, node);
    return ok;
}

// Where a search that found nothing got to the `out` of a node on a path, and not to its `in`.
static bool list_cut(const struct search *s, struct lg_disjoint *ret, uint32_t node_count)
{
    bool ok = true;
    for (lg_node node = 0; node < node_count && ok; node++) {
        uint32_t before = s->before[node];
        if (before && s->came[node] && !(before >= NODE && s->came[before - NODE]))
            ok = lg_vec_push(&ret->cut, node);
    }
    return ok;
}

static struct lg_error *find_all(struct search *s, uint64_t limit, struct lg_disjoint *ret)
{
    uint32_t node_count = s->reversed->node_count;
    uint64_t found = 0;
    bool ok = true;
    for (;;) {
        ret->is_limited = limit && found == limit;
        if (ret->is_limited)
            break;
        forget_visits(s);
        search(s);
        if (s->failed)
            return &lg_no_memory;
        if (lg_cancelled())
            return &lg_was_cancelled;
        if (!s->has_end) {
            ok = list_cut(s, ret, node_count);
            break;
        }
        augment(s);
        found++;
    }
    return ok && list_starts(s, ret, node_count) ? NULL : &lg_no_memory;
}

struct lg_error *lg_disjoint_find(const struct lg_graph *reversed, lg_node target,
                                  const uint64_t *sources, uint64_t limit, struct lg_disjoint **ret)
{
    uint32_t n = reversed->node_count;
    if (target >= n)
        return lg_error_new(LG_ERR_NOT_FOUND, "node %u is not in a graph of %u", target, n);
    _cleanup_(lg_disjoint_freep) struct lg_disjoint *disjoint = calloc(1, sizeof(*disjoint));
    if (!disjoint)
        return &lg_no_memory;
    struct lg_error *err = lg_paths_new(n, &disjoint->paths);
    if (err)
        return err;
    disjoint->paths->target = target;
    err = lg_memory_need((uint64_t)n * 12, "all ways to one of %u objects", n);
    if (err)
        return err;
    struct search s = { .reversed = reversed,
                        .sources = sources,
                        .target = target,
                        .next = disjoint->paths->next,
                        .before = lg_pages_alloc(n, sizeof(uint32_t)),
                        .came = lg_pages_alloc(n, sizeof(uint32_t)) };
    err = s.before && s.came ? find_all(&s, limit, disjoint) : &lg_no_memory;
    lg_pages_free(s.before, n, sizeof(uint32_t));
    lg_pages_free(s.came, n, sizeof(uint32_t));
    lg_vec_free(&s.queue);
    if (!err)
        *ret = lg_steal(disjoint);
    return err;
}

void lg_disjoint_free(struct lg_disjoint *disjoint)
{
    if (!disjoint)
        return;
    lg_paths_free(disjoint->paths);
    lg_vec_free(&disjoint->starts);
    lg_vec_free(&disjoint->cut);
    free(disjoint);
}
