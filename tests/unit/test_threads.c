#include "test.h"

#include <string.h>

#include "clr/clr.h"
#include "support/fake_runtime.h"

enum { FS_BASE = 21 };

static void assert_refused(struct lg_target *t, enum lg_error_kind kind, const char *text)
{
    struct lg_clr *clr = NULL;
    struct lg_error *err = lg_clr_open(t, NULL, &clr);
    lg_clr_free(clr);
    if (!err)
        fail_msg("opened, but: %s", text);
    if (lg_error_kind(err) != kind || !strstr(lg_error_message(err), text))
        fail_msg("not '%s': %s", text, lg_error_message(err));
    lg_error_free(err);
}

static void threads_are_matched_with_those_of_the_system(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    t->threads.at[1].tid = 4711; // Seen from outside its PID namespace.
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    const struct lg_managed_thread *threads;
    size_t count;
    assert_ok(lg_clr_threads(clr, &threads, &count));
    assert_int_equal(count, 3);
    assert_int_equal(threads[0].id, 1);
    assert_int_equal(threads[0].exposed_handle, FR_HANDLES(0) + 0x1000);
    assert_int_equal(threads[1].thread->tid, 4711);
    assert_int_equal(threads[1].os_id, 101);
    assert_int_equal(threads[2].os_id, 0);
    assert_null(threads[2].thread);
    assert_int_equal(threads[2].state, 0x800);
}

static void contexts_are_those_of_threads_that_have_one(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    size_t count;
    const struct lg_alloc_context *c = lg_clr_alloc_contexts(clr, &count);
    assert_int_equal(count, 2);
    assert_int_equal(c[0].ptr, FR_MEMORY(0, 0) + 0x3000); // Exactly full, and counts.
    assert_int_equal(c[0].limit, FR_MEMORY(0, 0) + 0x3000);
    assert_int_equal(c[1].limit, FR_MEMORY(0, 0) + 0x5000);
}

static void a_stack_ends_at_the_threads_control_block(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    t->threads.at[1].registers[FS_BASE] = FR_STACK(2) + 0xf6c0;
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    const struct lg_managed_thread *threads;
    size_t count;
    assert_ok(lg_clr_threads(clr, &threads, &count));
    assert_int_equal(threads[0].stack_low, FR_STACK(1) + 0x8000 - 128);
    assert_int_equal(threads[0].stack_high, FR_STACK(1) + 0x10000); // the main thread's is the mapping
    assert_int_equal(threads[1].stack_low, FR_STACK(2) + 0x8000 - 128);
    assert_int_equal(threads[1].stack_high, FR_STACK(2) + 0xf6c0);
}

static void a_stack_pointer_on_another_stack_makes_the_stack_unknown(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    t->threads.at[1].registers[FS_BASE] = FR_STACK(1) + 0xf6c0;
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    const struct lg_managed_thread *threads;
    size_t count;
    assert_ok(lg_clr_threads(clr, &threads, &count));
    assert_non_null(threads[1].thread);
    assert_int_equal(threads[1].stack_low, 0);
    assert_int_equal(threads[1].stack_high, 0);
}

static void stacks_are_bounded(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_map(t, 0x100000000, 0x200000000, LG_READ | LG_WRITE, NULL, 0);
    t->threads.at[0].registers[LG_REG_RSP] = 0x100000040;
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    const struct lg_managed_thread *threads;
    size_t count;
    assert_ok(lg_clr_threads(clr, &threads, &count));
    assert_int_equal(threads[0].stack_low, 0x100000000);
    assert_int_equal(threads[0].stack_high, 0x100000040 + (64 << 20));
    assert_true(threads[0].stack_is_cut);
    assert_false(threads[1].stack_is_cut);
}

static void the_list_must_be_as_long_as_its_count(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u32(t, FR_STORE + 112, 4);
    assert_refused(t, LG_ERR_CORRUPT,
                   "ThreadStore at 0x7f0400000000: counts 4 threads, and its list has 3");
    fake_u32(t, FR_STORE + 112, 2);
    assert_refused(t, LG_ERR_CORRUPT, "counts 2 threads, and its list has 3");
    fake_u32(t, FR_STORE + 112, 0x7fffffff);
    assert_refused(t, LG_ERR_CORRUPT, "2147483647 threads");
}

static void a_cyclic_list_ends(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u64(t, FR_THREAD(2) + 112, FR_THREAD(1) + 112);
    assert_refused(t, LG_ERR_CORRUPT, "its list has more than 3");
}

static void a_missing_store_is_worth_another_try(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u64(t, FR_VARIABLES + 8 * 3, 0);
    assert_refused(t, LG_ERR_NOT_FOUND, "no thread store: the runtime is still starting");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_are_matched_with_those_of_the_system),
        cmocka_unit_test(contexts_are_those_of_threads_that_have_one),
        cmocka_unit_test(a_stack_ends_at_the_threads_control_block),
        cmocka_unit_test(a_stack_pointer_on_another_stack_makes_the_stack_unknown),
        cmocka_unit_test(stacks_are_bounded),
        cmocka_unit_test(the_list_must_be_as_long_as_its_count),
        cmocka_unit_test(a_cyclic_list_ends),
        cmocka_unit_test(a_missing_store_is_worth_another_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
