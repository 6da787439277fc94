// Dominators and retained sizes against definitions: removing a node, and an algorithm of another kind
// (Cooper, Harvey, Kennedy 2001) where that would take too long. Families of graphs: reference
// graph.md 13.
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "graph/dominators.h"
#include "util/pages.h"
#include "util/vec.h"

static uint32_t random_below(uint64_t *seed, uint32_t limit)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 33) % limit);
}

// ---- graphs ----

struct edges {
    uint32_t nodes;
    LG_VEC(lg_node) from, to;
    LG_VEC(lg_node) roots;
};

static void edges_deinit(struct edges *edges)
{
    lg_vec_free(&edges->from);
    lg_vec_free(&edges->to);
    lg_vec_free(&edges->roots);
}

static void edge(struct edges *edges, lg_node from, lg_node to)
{
    assert_true(lg_vec_push(&edges->from, from) && lg_vec_push(&edges->to, to));
}

static void root(struct edges *edges, lg_node node)
{
    assert_true(lg_vec_push(&edges->roots, node));
}

// Rows in the order in which the edges were made: the sorter would make them ascend.
static struct lg_graph *graph_of(const struct edges *edges)
{
    struct lg_graph *graph;
    assert_ok(lg_graph_new(edges->nodes, edges->to.len, &graph));
    for (size_t i = 0; i < edges->to.len; i++)
        graph->edge_start[edges->from.at[i] + 1]++;
    for (uint32_t i = 0; i < edges->nodes; i++)
        graph->edge_start[i + 1] += graph->edge_start[i];
    uint32_t *cursor = test_calloc(edges->nodes + 1, sizeof(*cursor));
    memcpy(cursor, graph->edge_start, edges->nodes * sizeof(*cursor));
    for (size_t i = 0; i < edges->to.len; i++)
        graph->edges[cursor[edges->from.at[i]]++] = edges->to.at[i];
    test_free(cursor);
    assert_ok(lg_graph_check(graph));
    return graph;
}

static struct lg_dominators *dominators_of(const struct edges *edges)
{
    struct lg_dominators *dominators;
    assert_ok(lg_dominators_find(graph_of(edges), NULL, edges->roots.at, edges->roots.len, &dominators));
    for (uint32_t i = 1; i < dominators->count; i++)
        assert_true(dominators->idom[i] < i);
    return dominators;
}

static uint64_t size_of(lg_node node)
{
    return node * 8 + 24;
}

static uint64_t *retained_of(const struct lg_dominators *dominators)
{
    uint64_t *size = test_calloc(dominators->count, sizeof(*size));
    for (uint32_t i = 1; i < dominators->count; i++)
        size[i] = size_of(dominators->node[i]);
    lg_retained_fold(dominators, size);
    return size;
}

// ---- by definition ----

// What is reached when `without` is not there, and how much that is.
static uint64_t reach(const struct edges *edges, lg_node without, bool *reached)
{
    uint64_t size = 0;
    memset(reached, 0, edges->nodes * sizeof(*reached));
    for (size_t i = 0; i < edges->roots.len; i++)
        reached[edges->roots.at[i]] |= edges->roots.at[i] != without;
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < edges->to.len; i++) {
            lg_node from = edges->from.at[i], to = edges->to.at[i];
            if (reached[from] && !reached[to] && to != without)
                more = reached[to] = true;
        }
    }
    for (lg_node node = 0; node < edges->nodes; node++)
        size += reached[node] ? size_of(node) : 0;
    return size;
}

static void check_by_definition(const struct edges *edges)
{
    _cleanup_(lg_dominators_freep) struct lg_dominators *dominators = dominators_of(edges);
    const uint32_t *numbers = dominators->number;
    uint64_t *retained = retained_of(dominators);
    bool all[64], without[64];
    uint64_t total = reach(edges, LG_NO_NODE, all);
    assert_int_equal(retained[0], total);
    for (lg_node node = 0; node < edges->nodes; node++) {
        assert_int_equal(numbers[node] != 0, all[node]);
        if (!all[node])
            continue;
        uint32_t n = numbers[node];
        assert_int_equal(dominators->node[n], node);
        assert_int_equal(retained[n], total - reach(edges, node, without));
        // It dominates all that goes with it, and those are its subtree.
        for (uint32_t i = 1; i < dominators->count; i++) {
            uint32_t up = i;
            while (up > n)
                up = dominators->idom[up];
            assert_int_equal(up == n, !without[dominators->node[i]]);
        }
    }
    test_free(retained);
}

// ---- families ----

static void random_sparse(struct edges *edges, uint64_t *seed)
{
    uint32_t count = random_below(seed, edges->nodes * 4 + 1);
    for (uint32_t i = 0; i < count; i++)
        edge(edges, random_below(seed, edges->nodes), random_below(seed, edges->nodes));
}

static void acyclic(struct edges *edges, uint64_t *seed)
{
    uint32_t count = random_below(seed, edges->nodes * 3 + 1);
    for (uint32_t i = 0; i < count; i++) {
        lg_node a = random_below(seed, edges->nodes), b = random_below(seed, edges->nodes);
        if (a != b)
            edge(edges, a < b ? a : b, a < b ? b : a);
    }
}

static void chain(struct edges *edges, uint64_t *seed)
{
    for (lg_node i = 0; i + 1 < edges->nodes; i++)
        edge(edges, i, i + 1);
    if (random_below(seed, 2))
        edge(edges, edges->nodes - 1, random_below(seed, edges->nodes));
}

static void star(struct edges *edges, uint64_t *seed)
{
    lg_node middle = random_below(seed, edges->nodes);
    for (lg_node i = 0; i < edges->nodes; i++) {
        edge(edges, middle, i);
        edge(edges, i, middle);
    }
}

static void bipartite(struct edges *edges, uint64_t *seed)
{
    uint32_t left = random_below(seed, edges->nodes) + 1;
    for (lg_node i = 0; i < left; i++) {
        for (lg_node k = left; k < edges->nodes; k++)
            edge(edges, i, k);
    }
}

// Up one side and down the other, with rungs: long ways to compress.
static void ladder(struct edges *edges, uint64_t *seed)
{
    uint32_t half = edges->nodes / 2;
    for (lg_node i = 0; i + 1 < half; i++) {
        edge(edges, i, i + 1);
        edge(edges, half + i + 1, half + i);
        edge(edges, i, half + i);
    }
    edge(edges, half ? half - 1 : 0, edges->nodes - 1);
}

// Loops with two ways in each, one in the other.
static void loops(struct edges *edges, uint64_t *seed)
{
    for (lg_node i = 0; i + 2 < edges->nodes; i++) {
        edge(edges, i, i + 1);
        edge(edges, i, i + 2);
        edge(edges, i + 2, i + 1);
        edge(edges, i + 1, random_below(seed, i + 1));
    }
}

static void all_point_back(struct edges *edges, uint64_t *seed)
{
    random_sparse(edges, seed);
    for (lg_node i = 0; i < edges->nodes; i++)
        edge(edges, i, 0);
}

static void doubled(struct edges *edges, uint64_t *seed)
{
    random_sparse(edges, seed);
    size_t count = edges->to.len;
    for (size_t i = 0; i < count; i++)
        edge(edges, edges->from.at[i], edges->to.at[i]);
    for (lg_node i = 0; i < edges->nodes; i++)
        edge(edges, i, i);
}

static void (*const families[])(struct edges *edges, uint64_t *seed) = {
    random_sparse, acyclic, chain, star, bipartite, ladder, loops, all_point_back, doubled,
};
enum { FAMILIES = sizeof(families) / sizeof(*families) };

// Ten thousand of each.
static void every_family_agrees_with_the_definition(void **state)
{
    uint64_t seed = 20261124;
    for (unsigned round = 0; round < 10000 * FAMILIES; round++) {
        _cleanup_(edges_deinit) struct edges edges = { .nodes = 1 + random_below(&seed, 14) };
        families[round % FAMILIES](&edges, &seed);
        for (uint32_t roots = random_below(&seed, 4); roots > 0;
             roots--) // Also none, or twice the same.
            root(&edges, random_below(&seed, edges.nodes));
        check_by_definition(&edges);
    }
}

static void an_empty_graph_has_only_the_virtual_root(void **state)
{
    const struct edges edges = { 0 };
    _cleanup_(lg_dominators_freep) struct lg_dominators *dominators = dominators_of(&edges);
    assert_int_equal(dominators->count, 1);
    assert_int_equal(dominators->node[0], LG_NO_NODE);
}

static void a_root_that_is_no_node_is_refused(void **state)
{
    struct edges edges = { .nodes = 2 };
    struct lg_dominators *dominators = NULL;
    const lg_node roots[] = { 2 };
    assert_error(lg_dominators_find(graph_of(&edges), NULL, roots, 1, &dominators), LG_ERR_NOT_FOUND,
                 "root 2 is not in a graph of 2 nodes");
    assert_null(dominators);
}

// ---- large ones: Cooper, Harvey, Kennedy on the same numbers ----

static uint32_t meet(const uint32_t *idom, uint32_t a, uint32_t b)
{
    while (a != b) {
        if (a > b)
            a = idom[a];
        else
            b = idom[b];
    }
    return a;
}

// Takes numbers from the tree found, as an order in which each node comes after one that refers to it.
static void check_by_iteration(const struct edges *edges, unsigned passes)
{
    _cleanup_(lg_dominators_freep) struct lg_dominators *dominators = dominators_of(edges);
    uint32_t n = dominators->count;
    const uint32_t *numbers = dominators->number;
    // A fixed point of "the meet of all that refer to it" that starts from the tree itself proves only
    // that it is one; from the top it is the greatest one, which the dominators are.
    uint32_t *idom = test_malloc(n * sizeof(*idom));
    memset(idom, 0xff, n * sizeof(*idom));
    idom[0] = 0;
    for (size_t i = 0; i < edges->roots.len; i++)
        idom[numbers[edges->roots.at[i]]] = 0;
    bool changed = true;
    for (unsigned pass = 0; changed; pass++) {
        assert_true(pass < passes);
        changed = false;
        for (size_t i = 0; i < edges->to.len; i++) {
            uint32_t from = numbers[edges->from.at[i]], to = numbers[edges->to.at[i]];
            if (from == 0 || idom[from] == UINT32_MAX)
                continue;
            uint32_t best = idom[to] == UINT32_MAX ? from : meet(idom, idom[to], from);
            changed |= best != idom[to];
            idom[to] = best;
        }
    }
    assert_memory_equal(idom, dominators->idom, n * sizeof(*idom));
    test_free(idom);
}

static void large_random_graphs_agree_with_another_algorithm(void **state)
{
    uint64_t seed = 7;
    for (unsigned i = 0; i < 3; i++) {
        _cleanup_(edges_deinit) struct edges edges = { .nodes = 20000 };
        for (uint32_t k = 0; k < edges.nodes * (i + 1); k++)
            edge(&edges, random_below(&seed, edges.nodes), random_below(&seed, edges.nodes));
        for (unsigned k = 0; k < 5; k++)
            root(&edges, random_below(&seed, edges.nodes));
        check_by_iteration(&edges, 200);
    }
}

enum { LONG = 1000000 };

static void a_list_of_a_million_nodes_is_one_chain(void **state)
{
    _cleanup_(edges_deinit) struct edges edges = { .nodes = LONG };
    for (lg_node i = 0; i + 1 < LONG; i++) {
        edge(&edges, i, i + 1);
        edge(&edges, i + 1, i); // Doubly linked.
    }
    root(&edges, 0);
    _cleanup_(lg_dominators_freep) struct lg_dominators *dominators = dominators_of(&edges);
    assert_int_equal(dominators->count, LONG + 1);
    uint64_t *retained = retained_of(dominators), sum = 0;
    for (uint32_t i = LONG; i > 0; i--) {
        sum += size_of(i - 1);
        assert_int_equal(retained[i], sum);
    }
    test_free(retained);
}

static void a_ring_that_is_entered_in_two_places_belongs_to_neither(void **state)
{
    _cleanup_(edges_deinit) struct edges edges = { .nodes = LONG };
    for (lg_node i = 0; i < LONG; i++)
        edge(&edges, i, (i + 1) % LONG);
    root(&edges, 0);
    root(&edges, LONG / 2);
    _cleanup_(lg_dominators_freep) struct lg_dominators *dominators = dominators_of(&edges);
    uint64_t top = 0;
    for (uint32_t i = 1; i < dominators->count; i++)
        top += dominators->idom[i] == 0;
    assert_int_equal(top, 2);
}

// Each node of a long chain also leads to a node below that is entered from the chain's ends: dominators
// far above the parents, for many at once. Phase 2 would take a square of steps.
static void phase_two_does_not_take_a_square_of_steps(void **state)
{
    enum { DEEP = 200000 };
    _cleanup_(edges_deinit) struct edges edges = { .nodes = 3 * DEEP };
    for (lg_node i = 0; i + 1 < DEEP; i++)
        edge(&edges, i, i + 1);
    for (lg_node i = 0; i < DEEP; i++) {
        edge(&edges, DEEP - 1, DEEP + i);             // from the lower end
        edge(&edges, i < DEEP / 2 ? 0 : 1, DEEP + i); // and from the upper
        edge(&edges, DEEP + i, 2 * DEEP + i);
    }
    root(&edges, 0);
    _cleanup_(lg_dominators_freep) struct lg_dominators *dominators = dominators_of(&edges);
    for (uint32_t n = 1; n < dominators->count; n++) {
        lg_node node = dominators->node[n], dominator = dominators->node[dominators->idom[n]], want;
        if (node < DEEP)
            want = node == 0 ? LG_NO_NODE : node - 1;
        else if (node < 2 * DEEP)
            want = node - DEEP < DEEP / 2 ? 0 : 1;
        else
            want = node - DEEP;
        assert_int_equal(dominator, want);
    }
}

static void a_million_parents_and_a_million_children_are_no_matter(void **state)
{
    _cleanup_(edges_deinit) struct edges edges = { .nodes = LONG + 2 };
    for (lg_node i = 1; i <= LONG; i++) {
        edge(&edges, 0, i);
        edge(&edges, i, LONG + 1);
    }
    root(&edges, 0);
    _cleanup_(lg_dominators_freep) struct lg_dominators *dominators = dominators_of(&edges);
    struct lg_dominator_children children;
    assert_ok(lg_dominator_children_find(dominators, &children));
    assert_int_equal(children.start[1] - children.start[0], 1);
    assert_int_equal(children.start[2] - children.start[1], LONG + 1);
    for (uint32_t i = children.start[1]; i + 1 < children.start[2]; i++)
        assert_true(children.order[i] < children.order[i + 1]);
    assert_int_equal(children.start[children.count], children.count - 1);
    lg_dominator_children_deinit(&children);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_agrees_with_the_definition),
        cmocka_unit_test(an_empty_graph_has_only_the_virtual_root),
        cmocka_unit_test(a_root_that_is_no_node_is_refused),
        cmocka_unit_test(large_random_graphs_agree_with_another_algorithm),
        cmocka_unit_test(a_list_of_a_million_nodes_is_one_chain),
        cmocka_unit_test(a_ring_that_is_entered_in_two_places_belongs_to_neither),
        cmocka_unit_test(phase_two_does_not_take_a_square_of_steps),
        cmocka_unit_test(a_million_parents_and_a_million_children_are_no_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
