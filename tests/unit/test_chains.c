// Which roots reach an object, in which order, and how far away each is.
#include "cli/gcroot.h"

#include "test.h"

// A list of `LENGTH` objects, each of which refers to the next: node i to node i + 1, the last is the
// target. Beside it, node LENGTH refers to node 0 too, and node LENGTH + 1 to nothing.
enum { BASE = 0x100000, STEP = 32, LENGTH = 1000, ASIDE = LENGTH, ALONE, NODES };

static uint64_t address_of(uint32_t node)
{
    return BASE + (uint64_t)node * STEP;
}

struct fixture {
    struct lg_heap_graph graph;
    struct lg_paths *paths;
    struct lg_roots roots;
    struct lg_chains chains;
};

static struct lg_graph *reversed_list(void)
{
    struct lg_graph *graph;
    assert_ok(lg_graph_new(NODES, LENGTH, &graph));
    uint32_t edges = 0;
    for (uint32_t node = 0; node < NODES; node++) {
        graph->edge_start[node] = edges;
        if (node > 0 && node < LENGTH)
            graph->edges[edges++] = node - 1;
        else if (node == 0)
            graph->edges[edges++] = ASIDE;
    }
    graph->edge_start[NODES] = edges;
    return graph;
}

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){ 0 };
    struct lg_span span = { BASE, address_of(NODES) };
    assert_ok(lg_index_new(&span, 1, &f->graph.index));
    for (uint32_t node = 0; node < NODES; node++)
        lg_index_add(f->graph.index, address_of(node) & ~UINT64_C(511),
                     UINT64_C(1) << (address_of(node) >> 3 & 63));
    assert_ok(lg_index_seal(f->graph.index));
    f->graph.reversed = reversed_list();
    assert_ok(lg_paths_find(f->graph.reversed, LENGTH - 1, &f->paths));
}

static void fixture_deinit(struct fixture *f)
{
    lg_chains_deinit(&f->chains);
    lg_vec_free(&f->roots.all);
    lg_paths_free(f->paths);
    lg_graph_free(f->graph.reversed);
    lg_index_free(f->graph.index);
}

static void add_root(struct fixture *f, enum lg_root_kind kind, uint64_t slot, uint32_t node,
                     const struct lg_managed_thread *thread)
{
    struct lg_root root = { .object = address_of(node),
                            .slot = slot,
                            .kind = kind,
                            .conservative = kind == LG_ROOT_STACK,
                            .thread = thread };
    assert_true(lg_vec_push(&f->roots.all, root));
}

static void find(struct fixture *f, bool stacks)
{
    assert_ok(lg_chains_find(&f->graph, &f->roots, f->paths, stacks, &f->chains));
}

static void every_length_is_that_of_its_path(void **state)
{
    _cleanup_(fixture_deinit) struct fixture f;
    fixture_init(&f);
    for (uint32_t node = 0; node <= ASIDE; node += 7)
        add_root(&f, LG_ROOT_STATIC, 0x1000 + node, node, NULL);
    add_root(&f, LG_ROOT_STATIC, 0x1000 + ASIDE, ASIDE, NULL);
    find(&f, true);
    assert_int_equal(f.chains.objects_searched, LENGTH + 1);
    for (size_t i = 0; i < f.chains.all.len; i++) {
        uint64_t node = f.chains.all.at[i].root->slot - 0x1000;
        assert_int_equal(f.chains.all.at[i].hops, node == ASIDE ? LENGTH + 1 : LENGTH - node);
        if (i > 0)
            assert_true(f.chains.all.at[i - 1].hops <= f.chains.all.at[i].hops);
    }
}

static void roots_that_do_not_reach_it_are_left_out(void **state)
{
    _cleanup_(fixture_deinit) struct fixture f;
    fixture_init(&f);
    add_root(&f, LG_ROOT_STRONG, 0x1000, ALONE, NULL);
    struct lg_root nowhere = { .object = BASE - 8, .kind = LG_ROOT_STRONG };
    assert_true(lg_vec_push(&f.roots.all, nowhere));
    find(&f, true);
    assert_int_equal(f.chains.all.len, 0);
}

static void words_of_one_stack_to_one_object_are_one_root(void **state)
{
    static const struct lg_managed_thread first = { .os_id = 10 }, second = { .os_id = 11 };
    _cleanup_(fixture_deinit) struct fixture f;
    fixture_init(&f);
    add_root(&f, LG_ROOT_STACK, 0x7008, 5, &first);
    add_root(&f, LG_ROOT_STACK, 0x7000, 5, &first);
    add_root(&f, LG_ROOT_STACK, 0x7010, 6, &first);
    add_root(&f, LG_ROOT_STACK, 0x8000, 5, &second);
    find(&f, true);
    assert_int_equal(f.chains.all.len, 3);
    assert_int_equal(f.chains.all.at[0].root->slot, 0x7010); // The nearest of its thread.
    assert_int_equal(f.chains.all.at[1].root->slot, 0x7000);
    assert_int_equal(f.chains.all.at[1].others, 1);
    assert_ptr_equal(f.chains.all.at[2].root->thread, &second);
}

static void handles_on_one_object_are_roots_of_their_own(void **state)
{
    _cleanup_(fixture_deinit) struct fixture f;
    fixture_init(&f);
    add_root(&f, LG_ROOT_STRONG, 0x1000, 5, NULL);
    add_root(&f, LG_ROOT_PINNED, 0x1008, 5, NULL);
    find(&f, true);
    assert_int_equal(f.chains.all.len, 2);
}

static void sections_come_in_order_and_stacks_can_be_left_out(void **state)
{
    static const struct lg_managed_thread thread = { .os_id = 10 };
    static const enum lg_root_kind kinds[] = { LG_ROOT_STACK,         LG_ROOT_FINALIZER, LG_ROOT_STRONG,
                                               LG_ROOT_THREAD_STATIC, LG_ROOT_STATIC,    LG_ROOT_FRAME };
    _cleanup_(fixture_deinit) struct fixture f;
    fixture_init(&f);
    for (uint32_t i = 0; i < 6; i++)
        add_root(&f, kinds[i], 0x1000 + i, i, kinds[i] == LG_ROOT_STACK ? &thread : NULL);
    find(&f, true);
    assert_int_equal(f.chains.all.len, 6);
    for (size_t i = 1; i < f.chains.all.len; i++)
        assert_true(f.chains.all.at[i - 1].section <= f.chains.all.at[i].section);
    lg_chains_deinit(&f.chains);
    find(&f, false);
    assert_int_equal(f.chains.all.len, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_is_that_of_its_path),
        cmocka_unit_test(roots_that_do_not_reach_it_are_left_out),
        cmocka_unit_test(words_of_one_stack_to_one_object_are_one_root),
        cmocka_unit_test(handles_on_one_object_are_roots_of_their_own),
        cmocka_unit_test(sections_come_in_order_and_stacks_can_be_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
