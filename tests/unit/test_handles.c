#include "test.h"

#include <string.h>

#include "clr/clr.h"
#include "support/fake_runtime.h"

static struct lg_error *read_handles(struct lg_target *t, struct lg_clr **clr,
                                     const struct lg_handle **ret, size_t *count_ret)
{
    assert_ok(lg_clr_open(t, NULL, clr));
    return lg_clr_handles(*clr, ret, count_ret);
}

static void assert_refused(struct lg_target *t, enum lg_error_kind kind, const char *text)
{
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    const struct lg_handle *handles;
    size_t count;
    struct lg_error *err = read_handles(t, &clr, &handles, &count);
    if (!err)
        fail_msg("read, but: %s", text);
    if (lg_error_kind(err) != kind || !strstr(lg_error_message(err), text))
        fail_msg("not '%s': %s", text, lg_error_message(err));
    lg_error_free(err);
}

static void handles_have_kinds_and_secondaries(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    const struct lg_handle *h;
    size_t count;
    assert_ok(read_handles(t, &clr, &h, &count));
    assert_int_equal(count, 4);
    const uint64_t blocks = FR_HANDLES(0) + 0x1000;
    const struct lg_handle expected[] = {
        { blocks, FR_MEMORY(0, 2), 0, LG_HANDLE_STRONG, 0 },
        { blocks + 8 * 63, FR_MEMORY(0, 2) + 24, 0, LG_HANDLE_STRONG, 0 },
        { blocks + 512 + 8, FR_MEMORY(0, 2) + 48, FR_MEMORY(0, 3), LG_HANDLE_DEPENDENT, 0 },
        { blocks + 1536, FR_MEMORY(0, 4), 0, LG_HANDLE_WEAK_SHORT, 0 },
    };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(h[i].address, expected[i].address);
        assert_int_equal(h[i].object, expected[i].object);
        assert_int_equal(h[i].secondary, expected[i].secondary);
        assert_int_equal(h[i].kind, expected[i].kind);
    }
    assert_true(lg_handle_is_strong(LG_HANDLE_PINNED));
    assert_false(lg_handle_is_strong(LG_HANDLE_DEPENDENT));
}

// One heap, as with DATAS, and a table for each processor.
static void slots_are_counted_by_tables_not_by_heaps(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(FAKE_SERVER_GC);
    fake_u32(t, FR_GC_VARIABLES + 0x10 * 19, 1); // n_heaps
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    const struct lg_handle *h;
    size_t count;
    assert_ok(read_handles(t, &clr, &h, &count));
    assert_int_equal(lg_clr_info(clr)->heap_count, 1);
    assert_int_equal(count, 8);
    assert_int_equal(h[7].slot, 1);
}

static void twelve_types_shift_the_layout(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u64(t, FR_TABLE(0) + 56, 0);
    fake_u64(t, FR_TABLE(0) + 48, FR_HANDLES(0));
    fake_u64(t, FR_HANDLES(0) + 2006, 0);
    fake_u64(t, FR_HANDLES(0) + 2000, FR_TABLE(0));
    fake_u8(t, FR_HANDLES(0) + 1560 + 2, 11); // the block of secondaries
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    const struct lg_handle *h;
    size_t count;
    assert_ok(read_handles(t, &clr, &h, &count));
    assert_int_equal(count, 4);
}

static void a_table_without_back_pointer_is_refused(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u64(t, FR_HANDLES(0) + 2006, 0x1234);
    assert_refused(t, LG_ERR_UNSUPPORTED,
                   "its first table, 0x7f0b00000000, has no segment that points back at it");
}

static void segment_lists_that_do_not_end_are_named(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u64(t, FR_HANDLES(0) + 1998, FR_HANDLES(0));
    assert_refused(t, LG_ERR_CORRUPT,
                   "handle segment at 0x7f0c00000000 of table 0x7f0b00000000: met twice");
    fake_u64(t, FR_HANDLES(0) + 1998, FR_HANDLES(0) + 8);
    assert_refused(t, LG_ERR_CORRUPT, "not aligned");
    fake_u64(t, FR_HANDLES(0) + 1998, FR_HANDLES(5));
    assert_refused(t, LG_ERR_FAULT, "handle segment at 0x7f0c00050000: not readable");
}

static void blocks_must_make_sense(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u8(t, FR_HANDLES(0) + 1560 + 5, 13);
    assert_refused(t, LG_ERR_CORRUPT, "block 5 is of type 13");
    fake_u8(t, FR_HANDLES(0) + 1560 + 5, 2);
    assert_refused(t, LG_ERR_FAULT, "block 5 is not readable");
    fake_u8(t, FR_HANDLES(0) + 1560 + 5, 0xff);
    fake_u8(t, FR_HANDLES(0) + 1680 + 1, 3);
    assert_refused(t, LG_ERR_CORRUPT, "block 1 has its secondaries in block 3");
}

static void objects_must_lie_in_segments(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_u64(t, FR_HANDLES(0) + 0x1000 + 8, FR_MEMORY(0, 2) + FR_USED);
    assert_refused(t, LG_ERR_CORRUPT,
                   "1 of 5 handles hold what lies in no heap segment: the one at 0x7f0c00001008");
}

static void queues_must_be_in_order(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    fake_u64(t, FR_FINALIZE(0) + 8 * 3, FR_FINALIZE(0) + 0x100);
    const struct lg_finalizer_queue *q;
    size_t count;
    struct lg_error *err = lg_clr_finalizer_queues(clr, &q, &count);
    assert_non_null(err);
    assert_non_null(
        strstr(lg_error_message(err), "finalization queue of heap 0: CFinalize at 0x7f0900000000"));
    lg_error_free(err);
    fake_u64(t, FR_FINALIZE(0) + 8 * 3, FR_FINALIZE(0) + 0x108);
    assert_ok(lg_clr_finalizer_queues(clr, &q, &count));
    assert_int_equal(count, 1);
    assert_int_equal(q->fill[4] - q->array, 16);
}

static void queues_must_be_of_a_believable_size(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    uint64_t far = FR_FINALIZE(0) + (UINT64_C(1) << 32);
    fake_u64(t, FR_FINALIZE(0) + 8 * 6, far);
    fake_u64(t, FR_FINALIZE(0) + 8 * 8, far);
    fake_u64(t, far - 8, FR_FINALIZE(0)); // The last entry is there; the billion before are not.
    const struct lg_finalizer_queue *q;
    size_t count;
    struct lg_error *err = lg_clr_finalizer_queues(clr, &q, &count);
    assert_int_equal(lg_error_kind(err), LG_ERR_CORRUPT);
    lg_error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles_have_kinds_and_secondaries),
        cmocka_unit_test(slots_are_counted_by_tables_not_by_heaps),
        cmocka_unit_test(twelve_types_shift_the_layout),
        cmocka_unit_test(a_table_without_back_pointer_is_refused),
        cmocka_unit_test(segment_lists_that_do_not_end_are_named),
        cmocka_unit_test(blocks_must_make_sense),
        cmocka_unit_test(objects_must_lie_in_segments),
        cmocka_unit_test(queues_must_be_in_order),
        cmocka_unit_test(queues_must_be_of_a_believable_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
