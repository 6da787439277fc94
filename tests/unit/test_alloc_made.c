// What is kept of survivors: each has the stack that made it, and no other.
#include "cli/alloc.h"
#include "test.h"

static void fill(struct lg_alloc_sites *sites)
{
    const struct lg_alloc_frame frames[] = { { .method = "App.Make", .il = 1 },
                                             { .method = "App.Main", .il = 2 } };
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(lg_vec_push(&sites->names.frames, frames[i]));
        assert_true(lg_vec_push(&sites->stacks, i));
    }
}

static void an_empty_stack_is_not_the_one_that_starts_where_it_does(void **state)
{
    (void)state;
    const struct lg_alloc_kept both[] = { { .address = 0x1000, .share = 1 },
                                          { .address = 0x2000, .share = 1, .count = 2, .own = 1 } };
    for (size_t first = 0; first < 2; first++) {
        const struct lg_alloc_run run = { .samples.samples = 2 };
        const struct lg_made *made;
        _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
        struct lg_alloc_sites sites = { 0 };
        fill(&sites);
        assert_true(lg_vec_push(&sites.kept, both[first]));
        assert_true(lg_vec_push(&sites.kept, both[1 - first]));
        assert_null(lg_alloc_keep(session, &run, &sites));
        assert_null(lg_session_made(session, &made));
        assert_int_equal(made->sites.at[lg_made_find(made, 0x1000)->site].count, 0);
        const struct lg_made_site *site = &made->sites.at[lg_made_find(made, 0x2000)->site];
        assert_int_equal(site->count, 2);
        assert_int_equal(site->own, 1);
        assert_string_equal(made->frames.at[made->stacks.at[site->stack]].method, "App.Make");
        lg_alloc_sites_deinit(&sites);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_stack_is_not_the_one_that_starts_where_it_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
