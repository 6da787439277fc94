// Disjoint paths against a maximum flow found in another way (Ford and Fulkerson, depth first, on a
// matrix), on random graphs; and against what "disjoint" and "cut" mean.
#include "test.h"

#include <string.h>

#include "graph/disjoint.h"

static uint32_t random_below(uint64_t *seed, uint32_t limit)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 33) % limit);
}

enum { MOST = 14, IN = 0, OUT = MOST, FROM = 2 * MOST, TO, STATES };

// refers[a][b]: a refers to b; twice: two references.
struct heap {
    uint32_t nodes;
    uint8_t refers[MOST][MOST];
    uint64_t sources;
    lg_node target;
};

static struct lg_graph *reversed_of(const struct heap *heap)
{
    struct lg_edge_sorter *sorter;
    struct lg_graph *graph;
    assert_ok(lg_edge_sorter_new(heap->nodes, &sorter));
    for (lg_node a = 0; a < heap->nodes; a++) {
        for (lg_node b = 0; b < heap->nodes; b++) {
            for (unsigned i = 0; i < heap->refers[a][b]; i++)
                lg_edge_sorter_add(sorter, 0, b, a);
        }
    }
    assert_ok(lg_edge_sorter_finish(sorter, &graph));
    lg_edge_sorter_free(sorter);
    return graph;
}

// ---- maximum flow ----

struct flow {
    uint8_t room[STATES][STATES];
    bool seen[STATES];
};

static bool push_one(struct flow *flow, unsigned at)
{
    if (at == TO)
        return true;
    flow->seen[at] = true;
    for (unsigned to = 0; to < STATES; to++) {
        if (!flow->room[at][to] || flow->seen[to] || !push_one(flow, to))
            continue;
        flow->room[at][to]--;
        flow->room[to][at]++;
        return true;
    }
    return false;
}

static unsigned maximum(const struct heap *heap)
{
    struct flow flow = { 0 };
    for (lg_node a = 0; a < heap->nodes; a++) {
        if (a == heap->target)
            continue;
        flow.room[IN + a][OUT + a] = 1;
        flow.room[FROM][IN + a] = heap->sources >> a & 1;
        for (lg_node b = 0; b < heap->nodes; b++) {
            if (heap->refers[a][b])
                flow.room[OUT + a][b == heap->target ? (unsigned)TO : IN + b] = MOST;
        }
    }
    unsigned found = 0;
    while (push_one(&flow, FROM)) {
        memset(flow.seen, 0, sizeof(flow.seen));
        found++;
    }
    return found;
}

// ---- what was found ----

static uint64_t nodes_of_paths(const struct heap *heap, const struct lg_disjoint *found)
{
    uint64_t used = 0;
    for (size_t i = 0; i < found->starts.len; i++) {
        lg_node node = found->starts.at[i];
        assert_true(heap->sources >> node & 1);
        while (node != heap->target) {
            assert_false(used >> node & 1);
            used |= UINT64_C(1) << node;
            lg_node next = found->paths->next[node];
            assert_true(next < heap->nodes && heap->refers[node][next]);
            node = next;
        }
    }
    return used;
}

static bool is_reached_without(const struct heap *heap, uint64_t gone)
{
    uint64_t reached = heap->sources & ~gone & ~(UINT64_C(1) << heap->target), before = 0;
    while (reached != before) {
        before = reached;
        for (lg_node a = 0; a < heap->nodes; a++) {
            for (lg_node b = 0; b < heap->nodes && reached >> a & 1; b++)
                reached |= heap->refers[a][b] && !(gone >> b & 1) ? UINT64_C(1) << b : 0;
        }
    }
    return reached >> heap->target & 1;
}

static void check_cut(const struct heap *heap, const struct lg_disjoint *found, uint64_t used)
{
    uint64_t cut = 0;
    assert_int_equal(found->cut.len, found->starts.len);
    for (size_t i = 0; i < found->cut.len; i++)
        cut |= UINT64_C(1) << found->cut.at[i];
    assert_int_equal(cut & ~used, 0);
    assert_false(is_reached_without(heap, cut));
}

static void check(const struct heap *heap)
{
    _cleanup_(lg_graph_freep) struct lg_graph *graph = reversed_of(heap);
    _cleanup_(lg_disjoint_freep) struct lg_disjoint *all = NULL;
    unsigned most = maximum(heap);
    assert_ok(lg_disjoint_find(graph, heap->target, &heap->sources, 0, &all));
    assert_int_equal(all->starts.len, most);
    assert_false(all->is_limited);
    uint64_t used = nodes_of_paths(heap, all);
    for (lg_node node = 0; node < heap->nodes; node++)
        assert_int_equal(all->paths->next[node] != LG_NO_NODE, used >> node & 1);
    check_cut(heap, all, used);
    for (unsigned limit = 1; limit <= most; limit++) {
        _cleanup_(lg_disjoint_freep) struct lg_disjoint *few = NULL;
        assert_ok(lg_disjoint_find(graph, heap->target, &heap->sources, limit, &few));
        assert_int_equal(few->starts.len, limit);
        assert_true(few->is_limited && few->cut.len == 0);
        nodes_of_paths(heap, few);
    }
}

static struct heap random_heap(uint64_t *seed)
{
    struct heap heap = { .nodes = 1 + random_below(seed, MOST) };
    heap.target = random_below(seed, heap.nodes);
    uint32_t edges = random_below(seed, 3 * heap.nodes + 1), sources = random_below(seed, 5);
    for (uint32_t i = 0; i < edges; i++)
        heap.refers[random_below(seed, heap.nodes)][random_below(seed, heap.nodes)]++;
    for (uint32_t i = 0; i < sources; i++)
        heap.sources |= UINT64_C(1) << random_below(seed, heap.nodes);
    return heap;
}

static void as_many_as_the_maximum_flow(void **state)
{
    uint64_t seed = 6;
    unsigned more = 0;
    for (unsigned i = 0; i < 30000; i++) {
        struct heap heap = random_heap(&seed);
        check(&heap);
        more += maximum(&heap) > 1;
    }
    assert_true(more > 1000);
}

// Rungs: the shortest path uses a node of each of two others, and has to be given up.
static void a_short_path_in_the_way_is_given_up(void **state)
{
    struct heap heap = { .nodes = 7, .sources = 3, .target = 6 };
    static const uint8_t edges[][2] = { { 0, 2 }, { 2, 5 }, { 5, 6 },             // 0 2 5 6
                                        { 2, 3 }, { 3, 4 }, { 4, 6 }, { 1, 5 } }; // 1 5 6, 0 2 3 4 6
    for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++)
        heap.refers[edges[i][0]][edges[i][1]] = 1;
    check(&heap);
    assert_int_equal(maximum(&heap), 2);
}

// A path of a million nodes; and a million holders, each a source, of one node.
static void long_and_wide(void **state)
{
    enum { NODES = 1000000, LIMIT = 50 };
    _cleanup_(lg_graph_freep) struct lg_graph *path = NULL, *star = NULL;
    _cleanup_(lg_disjoint_freep) struct lg_disjoint *one = NULL, *many = NULL;
    uint64_t *sources = calloc(NODES / 64 + 1, 8);
    assert_ok(lg_graph_new(NODES, NODES - 1, &path));
    for (lg_node i = 1; i < NODES; i++) {
        path->edge_start[i + 1] = i;
        path->edges[i - 1] = i - 1;
    }
    sources[0] = 1;
    assert_ok(lg_disjoint_find(path, NODES - 1, sources, 0, &one));
    assert_int_equal(one->starts.len, 1);
    assert_int_equal(one->cut.at[0], NODES - 2);
    memset(sources, 0xff, NODES / 8);
    assert_ok(lg_graph_new(NODES, NODES - 1, &star));
    for (lg_node i = 1; i < NODES; i++) {
        star->edge_start[i] = 0;
        star->edges[i - 1] = i - 1;
    }
    star->edge_start[NODES] = NODES - 1;
    assert_ok(lg_disjoint_find(star, NODES - 1, sources, LIMIT, &many));
    assert_int_equal(many->starts.len, LIMIT);
    assert_true(many->is_limited);
    free(sources);
}

static void a_target_that_is_not_there(void **state)
{
    _cleanup_(lg_graph_freep) struct lg_graph *graph = NULL;
    struct lg_disjoint *found;
    uint64_t sources = 1;
    assert_ok(lg_graph_new(1, 0, &graph));
    assert_error(lg_disjoint_find(graph, 1, &sources, 0, &found), LG_ERR_NOT_FOUND,
                 "node 1 is not in a graph of 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_the_maximum_flow),
        cmocka_unit_test(a_short_path_in_the_way_is_given_up),
        cmocka_unit_test(long_and_wide),
        cmocka_unit_test(a_target_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
