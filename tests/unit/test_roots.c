#include "test.h"

#include <string.h>

#include "collect/collect.h"

static void what_a_graph_lacks_is_said_and_nothing_is_known_to_be_dead(void **state)
{
    struct lg_roots *roots = calloc(1, sizeof(*roots));
    const struct lg_heap_graph whole = { 0 }, wild = { .wild = 3 },
                               both = { .wild = 1, .loaderless = 2 };
    assert_ok(lg_roots_add_gaps(roots, &whole));
    assert_false(roots->is_missing_some);
    assert_int_equal(roots->incomplete.len, 0);
    assert_ok(lg_roots_add_gaps(roots, &wild));
    assert_true(roots->is_missing_some);
    assert_string_equal(roots->incomplete.at[0],
                        "3 references lead to where no object starts: they are left out");
    assert_ok(lg_roots_add_gaps(roots, &both));
    assert_int_equal(roots->incomplete.len, 3);
    assert_non_null(strstr(roots->incomplete.at[2], "of 2 collectible types the LoaderAllocator"));
    lg_roots_free(roots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_graph_lacks_is_said_and_nothing_is_known_to_be_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
