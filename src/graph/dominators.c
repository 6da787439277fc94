// The search of graph.md 6, the reverse entries and SEMI-NCA of graph.md 7.
#include "graph/dominators.h"

#include <string.h>

#include "util/cancel.h"
#include "util/pages.h"
#include "util/parallel.h"
#include "util/vec.h"

enum {
    AHEAD = 12,          // How many edges ahead their nodes are fetched.
    ROWS_AHEAD = 16,     // How many rows ahead.
    STEPS_PER_NODE = 64, // Of phase 2, on average, before it takes the form that never is quadratic.
    ASK = 1 << 16,       // Nodes between two questions whether to go on.
};

struct mark {
    uint32_t number;   // 0: not met yet
    uint32_t retreats; // Edges to it from higher numbers.
};

struct frame {
    lg_node node;
    uint32_t cursor; // Next of its edges to look at.
};

// Arrays by number have room for every node, as nobody knows yet how many will be reached.
struct work {
    struct lg_graph *graph;
    size_t room;
    uint32_t count;
    struct mark *marks; // by node; let go after the search
    uint32_t *parent;   // by number: in the search tree
    uint32_t *semi;     // by number: lowest number with an edge to it; then the semidominator
    lg_node *node;
    LG_VEC(struct frame) frames;
    uint32_t *starts;  // [count + 1] of sources, by number
    uint32_t *sources; // numbers above that refer to a number
    uint64_t source_count;
};

static void work_deinit(struct work *work)
{
    lg_pages_free(work->marks, work->room, sizeof(*work->marks));
    lg_pages_free(work->parent, work->room, sizeof(*work->parent));
    lg_pages_free(work->semi, work->room, sizeof(*work->semi));
    lg_pages_free(work->node, work->room, sizeof(*work->node));
    lg_pages_free(work->starts, work->room + 1, sizeof(*work->starts));
    lg_pages_free(work->sources, work->source_count, sizeof(*work->sources));
    lg_vec_free(&work->frames);
}

static bool work_init(struct work *work, struct lg_graph *graph)
{
    size_t room = (size_t)graph->node_count + 1;
    *work = (struct work){
        .graph = graph,
        .room = room,
        .count = 1,
        .marks = lg_pages_alloc(room, sizeof(*work->marks)),
        .parent = lg_pages_alloc(room, sizeof(*work->parent)),
        .semi = lg_pages_alloc(room, sizeof(*work->semi)),
        .node = lg_pages_alloc(room, sizeof(*work->node)),
    };
    return work->marks && work->parent && work->semi && work->node;
}

// ---- the search ----

static void number(struct work *work, lg_node node, uint32_t parent)
{
    uint32_t n = work->count++;
    work->marks[node].number = n;
    work->parent[n] = parent;
    work->semi[n] = parent;
    work->node[n] = node;
}

// Leaves are never looked at again.
static bool push(struct work *work, lg_node node)
{
    const uint32_t *start = &work->graph->edge_start[node];
    if (start[0] == start[1])
        return true;
    for (uint32_t e = start[0]; e < start[1] && e < start[0] + AHEAD; e++)
        __builtin_prefetch(&work->marks[work->graph->edges[e]]);
    return lg_vec_push(&work->frames, ((struct frame){ node, start[0] }));
}

// Follows the edges of the frame on top until one leads to a new node, which gets a number; LG_NO_NODE
// at their end.
static lg_node advance(struct work *work, struct frame *frame)
{
    uint32_t *edges = work->graph->edges, end = work->graph->edge_start[frame->node + 1];
    uint32_t from = work->marks[frame->node].number;
    for (uint32_t e = frame->cursor; e < end; e++) {
        if (e + AHEAD < end)
            __builtin_prefetch(&work->marks[edges[e + AHEAD]]);
        lg_node to = edges[e];
        struct mark *mark = &work->marks[to];
        if (mark->number == 0) {
            edges[e] = work->count;
            frame->cursor = e + 1;
            number(work, to, from);
            return to;
        }
        edges[e] = mark->number;
        if (mark->number < from)
            mark->retreats++;
        else if (from < work->semi[mark->number])
            work->semi[mark->number] = from;
    }
    frame->cursor = end;
    return LG_NO_NODE;
}

static bool search_from(struct work *work, lg_node root)
{
    if (work->marks[root].number == 0)
        number(work, root, 0);
    else
        return true;
    bool ok = push(work, root);
    while (ok && work->frames.len > 0) {
        lg_node found = advance(work, &work->frames.at[work->frames.len - 1]);
        if (found == LG_NO_NODE)
            work->frames.len--;
        else
            ok = push(work, found);
        if (work->count % ASK == 0 && lg_cancelled())
            return false;
    }
    return ok;
}

static struct lg_error *search(struct work *work, const lg_node *roots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (roots[i] >= work->graph->node_count)
            return lg_error_new(LG_ERR_NOT_FOUND, "root %u is not in a graph of %u nodes", roots[i],
                                work->graph->node_count);
        if (!search_from(work, roots[i]))
            return lg_cancelled() ? &lg_was_cancelled : &lg_no_memory;
    }
    // Also of those that were met before they were taken as roots.
    for (size_t i = 0; i < count; i++)
        work->semi[work->marks[roots[i]].number] = 0;
    lg_vec_free(&work->frames);
    return NULL;
}

// ---- edges to lower numbers, turned round ----

struct scatter {
    struct work *work;
    uint32_t *cursor; // by number: where its next source goes
    size_t shares;
};

// Of the numbers, those that share `i` of equally many sources begins with.
static uint32_t share_start(const struct work *work, size_t i, size_t shares)
{
    uint64_t want = work->source_count * i / shares;
    uint32_t low = 0, high = work->count;
    if (i == shares)
        return work->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (work->starts[middle] < want)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Every worker looks at all edges and places those to its own numbers: nobody waits, and sources ascend.
static void scatter_share(void *data, size_t share, size_t worker)
{
    struct scatter *scatter = data;
    const struct work *work = scatter->work;
    const uint32_t *start = work->graph->edge_start, *edges = work->graph->edges;
    uint32_t low = share_start(work, share, scatter->shares);
    uint32_t high = share_start(work, share + 1, scatter->shares);
    for (uint32_t i = 1; i < work->count && low < high; i++) {
        if (i + ROWS_AHEAD < work->count)
            __builtin_prefetch(&start[work->node[i + ROWS_AHEAD]]);
        if (i + ROWS_AHEAD / 2 < work->count)
            __builtin_prefetch(&edges[start[work->node[i + ROWS_AHEAD / 2]]]);
        lg_node node = work->node[i];
        for (uint32_t e = start[node]; e < start[node + 1]; e++) {
            uint32_t to = edges[e];
            if (to < i && to >= low && to < high)
                work->sources[scatter->cursor[to]++] = i;
        }
        if (i % ASK == 0 && lg_cancelled())
            return;
    }
}

static struct lg_error *turn_round(struct work *work)
{
    work->starts = lg_pages_alloc(work->room + 1, sizeof(*work->starts));
    if (!work->starts)
        return &lg_no_memory;
    uint32_t sum = 0; // There are fewer than 2^32 edges.
    for (uint32_t i = 1; i < work->count; i++) {
        work->starts[i] = sum;
        sum += work->marks[work->node[i]].retreats;
    }
    work->starts[work->count] = sum;
    lg_pages_free(work->marks, work->room, sizeof(*work->marks));
    work->marks = NULL;
    work->source_count = sum;
    work->sources = lg_pages_alloc(sum, sizeof(*work->sources));
    struct scatter scatter = { .work = work, .shares = sum < ASK ? 1 : lg_workers() };
    scatter.cursor = lg_pages_alloc(work->count, sizeof(*scatter.cursor));
    bool ready = work->sources && scatter.cursor;
    if (ready) {
        memcpy(scatter.cursor, work->starts, work->count * sizeof(*scatter.cursor));
        lg_parallel(scatter.shares, scatter_share, &scatter);
    }
    lg_pages_free(scatter.cursor, work->count, sizeof(*scatter.cursor));
    if (!ready)
        return &lg_no_memory;
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

static struct lg_error *find_semidominators(struct work *work)
{
    struct link *links = lg_pages_alloc(work->count, sizeof(*links));
    if (!links)
        return &lg_no_memory;
    for (uint32_t w = work->count - 1; w > 0 && !lg_cancelled(); w--) {
        uint32_t semi = work->semi[w], end = work->starts[w + 1];
        for (uint32_t e = work->starts[w]; e < end; e++) {
            if (e + AHEAD / 2 < end)
                __builtin_prefetch(&links[work->sources[e + AHEAD / 2]]);
            uint32_t least = lowest(links, work->sources[e]);
            semi = least < semi ? least : semi;
        }
        work->semi[w] = semi;
        links[w] = (struct link){ work->parent[w] + 1, semi };
    }
    lg_pages_free(links, work->count, sizeof(*links));
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
    return err;
}

struct lg_error *lg_dominators_find(struct lg_graph *graph, const lg_node *roots, size_t root_count,
                                    struct lg_dominators **ret)
{
    _cleanup_(work_deinit) struct work work = { 0 };
    _cleanup_(lg_dominators_freep) struct lg_dominators *dominators = calloc(1, sizeof(*dominators));
    if (!dominators || !work_init(&work, graph))
        return &lg_no_memory;
    struct lg_error *err = find(&work, roots, root_count);
    if (err)
        return err;
    dominators->node_count = graph->node_count;
    dominators->count = work.count;
    dominators->node = lg_steal(work.node);
    dominators->idom = lg_steal(work.parent);
    dominators->node[0] = LG_NO_NODE;
    *ret = lg_steal(dominators);
    return NULL;
}

void lg_dominators_free(struct lg_dominators *dominators)
{
    if (!dominators)
        return;
    size_t room = (size_t)dominators->node_count + 1;
    lg_pages_free(dominators->node, room, sizeof(*dominators->node));
    lg_pages_free(dominators->idom, room, sizeof(*dominators->idom));
    free(dominators);
}

uint32_t *lg_dominators_numbers(const struct lg_dominators *dominators)
{
    uint32_t *numbers = lg_pages_alloc(dominators->node_count, sizeof(*numbers));
    for (uint32_t i = 1; numbers && i < dominators->count; i++)
        numbers[dominators->node[i]] = i;
    return numbers;
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
