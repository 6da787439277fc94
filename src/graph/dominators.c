// The search of graph.md 6, the reverse entries and SEMI-NCA of graph.md 7.
#include "graph/dominators.h"

#include <string.h>

#include "util/cancel.h"
#include "util/fetch.h"
#include "util/memory_left.h"
#include "util/pages.h"
#include "util/parallel.h"
#include "util/vec.h"

enum {
    AHEAD = 12,          // How many edges ahead their nodes are fetched.
    FAR = 32,            // The same of edges that are gone through from one end to the other.
    STEPS_PER_NODE = 64, // Of phase 2, on average, before it takes the form that never is quadratic.
    ASK = 1 << 16,       // Nodes between two questions whether to go on.
};

// A row that is not done with: edges before `cursor` are.
struct frame {
    uint32_t from; // number of its node
    uint32_t cursor, end;
};

// Arrays by number have room for every node, as nobody knows yet how many will be reached.
struct work {
    struct lg_graph *graph;
    const struct lg_graph *owners; // NULL: none
    size_t room;
    uint32_t count;
    uint32_t *number; // by node, owners behind the others; 0: not met yet
    uint32_t *parent; // by number: in the search tree
    uint32_t *semi;   // by number: lowest number with an edge to it; then the semidominator
    LG_VEC(struct frame) frames;
    uint32_t *starts;  // [count + 1] of sources, by number
    uint32_t *sources; // numbers above that refer to a number
    uint32_t source_count;
};

static void work_deinit(struct work *work)
{
    lg_pages_free(work->number, work->room, sizeof(*work->number));
    lg_pages_free(work->parent, work->room, sizeof(*work->parent));
    lg_pages_free(work->semi, work->room, sizeof(*work->semi));
    lg_pages_free(work->starts, work->room + 1, sizeof(*work->starts));
    lg_pages_free(work->sources, work->source_count, sizeof(*work->sources));
    lg_vec_free(&work->frames);
    lg_graph_free(work->graph);
}

static bool work_init(struct work *work, struct lg_graph *graph, const struct lg_graph *owners)
{
    size_t room = (size_t)graph->node_count + (owners ? owners->node_count : 0) + 1;
    *work = (struct work){
        .graph = graph,
        .owners = owners,
        .room = room,
        .count = 1,
        .number = lg_pages_alloc(room, sizeof(*work->number)),
        .parent = lg_pages_alloc(room, sizeof(*work->parent)),
        .semi = lg_pages_alloc(room, sizeof(*work->semi)),
    };
    return work->number && work->parent && work->semi;
}

// ---- the search ----

static uint32_t number(struct work *work, lg_node node, uint32_t parent)
{
    uint32_t n = work->count++;
    work->number[node] = n;
    work->parent[n] = parent;
    work->semi[n] = parent;
    return n;
}

// The row of a node that has been numbered, fetched as far as it will be needed soon.
static struct frame row_of(const struct work *work, lg_node node)
{
    const struct lg_graph *graph = work->graph;
    struct frame row = { work->number[node], graph->edge_start[node], graph->edge_start[node + 1] };
    for (uint32_t e = row.cursor; e < row.end && e < row.cursor + AHEAD; e++) {
        __builtin_prefetch(&work->number[graph->edges[e]]);
        __builtin_prefetch(&graph->edge_start[graph->edges[e]]);
    }
    return row;
}

// Of an edge to a node that has a number: the edge becomes it.
static inline void settle(const struct work *work, uint32_t *edge, uint32_t from, uint32_t to)
{
    *edge = to;
    if (to > from && from < work->semi[to])
        work->semi[to] = from;
}

// Follows edges until one leads to a new node, at the cursor: false at their end. No further than to
// `limit`, if that is less: true then, too.
static inline bool advance(const struct work *work, struct frame *row, uint32_t limit)
{
    uint32_t *edges = work->graph->edges;
    for (; row->cursor < row->end; row->cursor++) {
        if (row->cursor == limit)
            return true;
        if (row->end - row->cursor > AHEAD)
            __builtin_prefetch(&work->number[edges[row->cursor + AHEAD]]);
        uint32_t to = work->number[edges[row->cursor]];
        if (to == 0)
            return true;
        settle(work, &edges[row->cursor], row->from, to);
    }
    return false;
}

// Before its child is followed, what is left of a row is looked at as far as it is fetched: most often
// that is all of it, and nobody has to come back.
static bool keep_rest(struct work *work, struct frame row)
{
    uint32_t limit = row.cursor + AHEAD;
    return !advance(work, &row, limit) || lg_vec_push(&work->frames, row);
}

LG_FETCHES void fetch_frames(const struct work *work)
{
    enum { NEAR = 2, NEXT = 4 };
    if (work->frames.len > NEXT)
        __builtin_prefetch(&work->graph->edges[work->frames.at[work->frames.len - NEXT].cursor]);
    if (work->frames.len > NEAR) {
        lg_node node = work->graph->edges[work->frames.at[work->frames.len - NEAR].cursor];
        __builtin_prefetch(&work->number[node]);
        __builtin_prefetch(&work->graph->edge_start[node]);
    }
}

// From a node that has a number. False when out of memory or cancelled.
static bool search_from(struct work *work, lg_node node)
{
    struct frame row = row_of(work, node);
    for (;;) {
        if (advance(work, &row, UINT32_MAX)) {
            lg_node found = work->graph->edges[row.cursor];
            work->graph->edges[row.cursor++] = work->count;
            number(work, found, row.from);
            if (row.cursor < row.end && !keep_rest(work, row))
                return false;
            row = row_of(work, found);
        } else if (work->frames.len > 0) {
            row = work->frames.at[--work->frames.len];
            fetch_frames(work);
        } else {
            return true;
        }
        if (work->count % ASK == 0 && lg_cancelled())
            return false;
    }
}

// `from` is the number of the virtual root, or of an owner: of none of the graph's rows.
static bool enter(struct work *work, lg_node node, uint32_t from)
{
    uint32_t n = work->number[node];
    if (n > from && from < work->semi[n])
        work->semi[n] = from;
    if (n > 0)
        return true;
    number(work, node, from);
    return node >= work->graph->node_count || search_from(work, node);
}

static bool search_owner(struct work *work, uint32_t owner)
{
    lg_node node = work->graph->node_count + owner;
    bool ok = enter(work, node, 0);
    for (uint32_t e = work->owners->edge_start[owner]; ok && e < work->owners->edge_start[owner + 1];
         e++)
        ok = enter(work, work->owners->edges[e], work->number[node]);
    return ok;
}

static struct lg_error *search(struct work *work, const lg_node *roots, size_t count)
{
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        if (roots[i] >= work->graph->node_count)
            return lg_error_new(LG_ERR_NOT_FOUND, "root %u is not in a graph of %u nodes", roots[i],
                                work->graph->node_count);
        ok = enter(work, roots[i], 0);
    }
    for (uint32_t i = 0; work->owners && i < work->owners->node_count && ok; i++)
        ok = search_owner(work, i);
    lg_vec_free(&work->frames);
    return ok ? NULL : lg_cancelled() ? &lg_was_cancelled : &lg_no_memory;
}

// ---- edges to lower numbers, turned round ----

// Targets are cut into shares of as many numbers each, that workers look for among all edges: nobody
// waits for another. Nodes are gone through as they lie, so that only what is written to is scattered.
struct turn {
    struct work *work;
    size_t shares;
    bool place; // Else they are counted.
};

static inline void turn_edge(const struct turn *turn, uint32_t from, uint32_t to)
{
    if (turn->place)
        turn->work->sources[--turn->work->starts[to]] = from;
    else
        turn->work->starts[to]++;
}

static void turn_owners(const struct turn *turn, uint32_t low, uint32_t high)
{
    const struct work *work = turn->work;
    const struct lg_graph *owners = work->owners;
    for (uint32_t i = 0; owners && i < owners->node_count; i++) {
        uint32_t from = work->number[work->graph->node_count + i];
        for (uint32_t e = owners->edge_start[i]; e < owners->edge_start[i + 1]; e++) {
            uint32_t to = work->number[owners->edges[e]];
            if (to < from && to >= low && to < high)
                turn_edge(turn, from, to);
        }
    }
}

static void turn_share(void *data, size_t share, size_t worker)
{
    const struct turn *turn = data;
    const struct work *work = turn->work;
    const struct lg_graph *graph = work->graph;
    const uint32_t *edges = graph->edges;
    uint32_t low = (uint32_t)((uint64_t)work->count * share / turn->shares);
    uint32_t high = (uint32_t)((uint64_t)work->count * (share + 1) / turn->shares), width = high - low;
    (void)worker;
    turn_owners(turn, low, high);
    for (lg_node node = 0; node < graph->node_count; node++) {
        uint32_t from = work->number[node], end = graph->edge_start[node + 1];
        if (node % ASK == 0 && lg_cancelled())
            return;
        for (uint32_t e = graph->edge_start[node]; from > 0 && e < end; e++) {
            // Rows that were not reached hold nodes still, which do no harm here.
            if (graph->edge_count - e > FAR && edges[e + FAR] - low < width)
                __builtin_prefetch(&work->starts[edges[e + FAR]], 1);
            if (turn->place && graph->edge_count - e > FAR / 2 && edges[e + FAR / 2] - low < width)
                __builtin_prefetch(&work->sources[work->starts[edges[e + FAR / 2]] - 1], 1);
            if (edges[e] < from && edges[e] - low < width)
                turn_edge(turn, from, edges[e]);
        }
    }
}

// More than there is now: numbers that refer to a lower one, and links, for which the graph is let go.
static struct lg_error *need_for_dominators(const struct lg_graph *graph, size_t count, uint64_t turned)
{
    uint64_t given_up = graph->node_count + graph->edge_count, links = 2 * (uint64_t)count;
    return lg_memory_need(4 * (turned + (links > given_up ? links - given_up : 0)),
                          "dominators of %zu objects", count - 1);
}

// Counts, turns counts into ends, and places from there backwards, so that ends become starts. The graph
// is not needed any more then.
static struct lg_error *turn_round(struct work *work)
{
    work->starts = lg_pages_alloc(work->room + 1, sizeof(*work->starts));
    if (!work->starts)
        return &lg_no_memory;
    struct turn turn = { .work = work, .shares = work->count < ASK ? 1 : lg_workers() };
    lg_parallel(turn.shares, turn_share, &turn);
    uint32_t sum = 0; // There are fewer than 2^32 edges.
    for (uint32_t i = 0; i < work->count; i++)
        work->starts[i] = sum += work->starts[i];
    work->starts[work->count] = work->source_count = sum;
    struct lg_error *err = need_for_dominators(work->graph, work->count, sum);
    if (err)
        return err;
    work->sources = lg_pages_alloc(sum, sizeof(*work->sources));
    if (!work->sources)
        return &lg_no_memory;
    turn.place = true;
    lg_parallel(turn.shares, turn_share, &turn);
    lg_graph_free(work->graph);
    work->graph = NULL;
    return lg_cancelled() ? &lg_was_cancelled : NULL;
}

// ---- semidominators ----

// A forest that grows from high numbers to low. `label` is the lowest semidominator on the way up to,
// not including, the root of the tree, as far as the way was compressed.
struct link {
    uint32_t up; // 0: a root of the forest; else the number above, plus 1
    uint32_t label;
};

// The lowest semidominator on the way from `v` up to below the root of its tree. The way is compressed;
// the links on it hold the way back down meanwhile, so that a long one takes no memory.
static uint32_t lowest(struct link *links, uint32_t v)
{
    uint32_t below = UINT32_MAX, at = v;
    while (links[links[at].up - 1].up != 0) {
        uint32_t up = links[at].up - 1;
        links[at].up = below; // A number, or UINT32_MAX at the lower end.
        below = at;
        at = up;
    }
    uint32_t top = links[at].up, least = links[at].label;
    while (below != UINT32_MAX) {
        struct link *link = &links[below];
        uint32_t next = link->up;
        if (least < link->label)
            link->label = least;
        else
            least = link->label;
        link->up = top;
        below = next;
    }
    return least;
}

// Sources come from the last to the first. Where the ways up from those ahead begin is fetched, nearer
// ones' next step, and the one behind.
LG_FETCHES void fetch_ways(const struct work *work, const struct link *links, uint32_t e)
{
    enum { FIRST = 36, SECOND = 24, THIRD = 12 };
    if (e < FIRST)
        return;
    __builtin_prefetch(&links[work->sources[e - FIRST]]);
    uint32_t up = links[work->sources[e - SECOND]].up;
    if (up > 0)
        __builtin_prefetch(&links[up - 1]);
    up = links[work->sources[e - THIRD]].up;
    up = up > 0 ? links[up - 1].up : 0;
    if (up > 0)
        __builtin_prefetch(&links[up - 1]);
}

static struct lg_error *find_semidominators(struct work *work)
{
    struct link *links = lg_pages_alloc(work->count, sizeof(*links));
    if (!links)
        return &lg_no_memory;
    for (uint32_t w = work->count - 1; w > 0; w--) {
        uint32_t semi = work->semi[w];
        for (uint32_t e = work->starts[w + 1]; e > work->starts[w]; e--) {
            fetch_ways(work, links, e - 1);
            uint32_t least = lowest(links, work->sources[e - 1]);
            semi = least < semi ? least : semi;
        }
        work->semi[w] = semi;
        links[w] = (struct link){ work->parent[w] + 1, semi };
        if (w % ASK == 0 && lg_cancelled())
            break;
    }
    lg_pages_free(links, work->count, sizeof(*links));
    lg_pages_free(work->sources, work->source_count, sizeof(*work->sources));
    work->sources = NULL;
    return lg_cancelled() ? &lg_was_cancelled : NULL;
}

// ---- immediate dominators ----

// Above each node of a tree a second link, so far up that any ancestor is a logarithm of its depth away
// (Myers 1983, "An applicative random-access stack").
struct jumps {
    uint32_t *depth, *jump;
};

static void jumps_add(const struct jumps *jumps, uint32_t w, uint32_t parent)
{
    uint32_t far = jumps->jump[parent], farther = jumps->jump[far];
    bool equal = jumps->depth[parent] - jumps->depth[far] == jumps->depth[far] - jumps->depth[farther];
    jumps->depth[w] = jumps->depth[parent] + 1;
    jumps->jump[w] = equal ? farther : parent;
}

// From `w` on, in time n log n. `parent` is read before idom of the same number is written: they may be
// one.
static bool finish_with_jumps(const struct work *work, uint32_t w, uint32_t *idom)
{
    struct jumps jumps = { lg_pages_alloc(work->count, 4), lg_pages_alloc(work->count, 4) };
    bool ready = jumps.depth && jumps.jump;
    for (uint32_t i = 1; ready && i < work->count; i++) {
        if (i >= w) {
            uint32_t d = work->parent[i], semi = work->semi[i];
            while (d > semi)
                d = jumps.jump[d] > semi ? jumps.jump[d] : idom[d];
            idom[i] = d;
        }
        jumps_add(&jumps, i, idom[i]);
    }
    lg_pages_free(jumps.depth, work->count, 4);
    lg_pages_free(jumps.jump, work->count, 4);
    return ready;
}

// The nearest ancestor of its parent that is not above its semidominator, in the tree as it grows.
// Numbers' parents are not needed again: they become the dominators.
static bool find_idoms(const struct work *work)
{
    uint32_t *idom = work->parent;
    uint64_t steps = 0;
    for (uint32_t w = 1; w < work->count; w++) {
        uint32_t d = work->parent[w], semi = work->semi[w];
        for (; d > semi; steps++)
            d = idom[d];
        idom[w] = d;
        if (w % ASK == 0 && lg_cancelled())
            return true;
        if (steps > (uint64_t)STEPS_PER_NODE * work->count)
            return finish_with_jumps(work, w + 1, idom);
    }
    return true;
}

// ---- all of it ----

static struct lg_error *find(struct work *work, const lg_node *roots, size_t root_count)
{
    struct lg_error *err = search(work, roots, root_count);
    if (!err)
        err = turn_round(work);
    if (!err)
        err = find_semidominators(work);
    if (!err && !find_idoms(work))
        err = &lg_no_memory;
    return err ? err : lg_cancelled() ? &lg_was_cancelled : NULL;
}

// Which node has which number: nobody needs to know before.
static lg_node *find_nodes(const struct work *work)
{
    lg_node *nodes = lg_pages_alloc(work->count, sizeof(*nodes));
    for (size_t node = 0; nodes && node + 1 < work->room; node++)
        nodes[work->number[node]] = (lg_node)node;
    if (nodes)
        nodes[0] = LG_NO_NODE;
    return nodes;
}

// Three arrays and starts, and of edges half, as far as can be told before: to lower numbers.
static struct lg_error *need_for_search(const struct lg_graph *graph, const struct lg_graph *owners)
{
    uint64_t nodes = graph->node_count + (owners ? owners->node_count : 0);
    return lg_memory_need(16 * nodes + 2 * graph->edge_count,
                          "dominators of %llu objects and %llu references", (unsigned long long)nodes,
                          (unsigned long long)graph->edge_count);
}

struct lg_error *lg_dominators_find(struct lg_graph *graph, const struct lg_graph *owners,
                                    const lg_node *roots, size_t root_count, struct lg_dominators **ret)
{
    _cleanup_(work_deinit) struct work work = { .graph = graph };
    _cleanup_(lg_dominators_freep) struct lg_dominators *dominators = calloc(1, sizeof(*dominators));
    struct lg_error *err = need_for_search(graph, owners);
    if (err)
        return err;
    if (!dominators || !work_init(&work, graph, owners))
        return &lg_no_memory;
    err = find(&work, roots, root_count);
    if (err)
        return err;
    lg_pages_free(work.semi, work.room, sizeof(*work.semi));
    lg_pages_free(work.starts, work.room + 1, sizeof(*work.starts));
    work.semi = work.starts = NULL;
    dominators->node_count = (uint32_t)(work.room - 1);
    dominators->count = work.count;
    dominators->node = find_nodes(&work);
    dominators->number = lg_steal(work.number);
    dominators->idom = lg_steal(work.parent);
    if (!dominators->node)
        return &lg_no_memory;
    *ret = lg_steal(dominators);
    return NULL;
}

void lg_dominators_free(struct lg_dominators *dominators)
{
    if (!dominators)
        return;
    size_t room = (size_t)dominators->node_count + 1;
    lg_pages_free(dominators->number, room, sizeof(*dominators->number));
    lg_pages_free(dominators->node, dominators->count, sizeof(*dominators->node));
    lg_pages_free(dominators->idom, room, sizeof(*dominators->idom));
    free(dominators);
}

void lg_retained_fold(const struct lg_dominators *dominators, uint64_t *size)
{
    for (uint32_t i = dominators->count - 1; i > 0; i--)
        size[dominators->idom[i]] += size[i];
}

struct lg_error *lg_dominator_children_find(const struct lg_dominators *dominators,
                                            struct lg_dominator_children *ret)
{
    uint32_t count = dominators->count;
    struct lg_dominator_children children = { .count = count,
                                              .start = lg_pages_alloc((size_t)count + 1, 4),
                                              .order = lg_pages_alloc(count, 4) };
    if (!children.start || !children.order) {
        lg_dominator_children_deinit(&children);
        return &lg_no_memory;
    }
    for (uint32_t i = 1; i < count; i++)
        children.start[dominators->idom[i]]++;
    uint32_t sum = 0;
    for (uint32_t i = 0; i <= count; i++) {
        sum += children.start[i]; // The last is 0.
        children.start[i] = sum;  // Ends for now: filled from there backwards, they become starts.
    }
    for (uint32_t i = count - 1; i > 0; i--)
        children.order[--children.start[dominators->idom[i]]] = i;
    *ret = children;
    return NULL;
}

void lg_dominator_children_deinit(struct lg_dominator_children *children)
{
    lg_pages_free(children->start, (size_t)children->count + 1, 4);
    lg_pages_free(children->order, children->count, 4);
}
