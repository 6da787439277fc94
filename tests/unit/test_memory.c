#include "test.h"

#include <string.h>

#include "clr/gc_vars.h"
#include "clr/memory_priv.h"
#include "support/fake_runtime.h"

#define LISTS UINT64_C(0x7f0e00000000)
#define FREE UINT64_C(0x7d0000000000)
#define DOUBLE UINT64_C(0x7c0000000000)
#define DOUBLE_PATH "/memfd:doublemapper (deleted)"

static struct lg_clr *opened(struct lg_target *t)
{
    struct lg_clr *clr = NULL;
    assert_ok(lg_clr_open(t, NULL, &clr));
    return clr;
}

// One free region: 0x3000 of 0x10000 bytes are committed, the first object would be at + 0x28.
static void add_free_region(struct lg_target *t)
{
    const uint64_t list[7] = { 1, 0x10000, 0x3000, 0, 0, LISTS + 0x400, LISTS + 0x400 };
    const uint64_t region[7] = { FREE + 0x28, FREE + 0x3000, FREE + 0x10000, 0, FREE + 0x28, 0, 0 };
    fake_u64(t, FR_GC + 24 + 8 * LG_GC_FREE_REGIONS, LISTS);
    fake_zeros(t, LISTS, 0x200);
    fake_bytes(t, LISTS, list, sizeof(list));
    fake_bytes(t, LISTS + 0x400, region, sizeof(region));
    fake_map(t, FREE, FREE + 0x3000, LG_READ | LG_WRITE, NULL, 0);
}

static const struct lg_memory_range *at(const struct lg_memory_range *r, size_t count, uint64_t address)
{
    for (size_t i = 0; i < count; i++) {
        if (r[i].start <= address && address < r[i].end)
            return &r[i];
    }
    return NULL;
}

static void assert_kind(const struct lg_memory_range *r, size_t count, uint64_t address,
                        enum lg_memory_kind kind)
{
    const struct lg_memory_range *range = at(r, count, address);
    if (!range)
        fail_msg("%#jx is nobody's", (uintmax_t)address);
    assert_string_equal(lg_memory_kind_name(range->kind), lg_memory_kind_name(kind));
}

static void check(const struct lg_memory_range *r, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(r[i].start < r[i].end && r[i].kind < LG_MEMORY_KINDS && r[i].name);
        assert_true(r[i].start % 4096 == 0 && r[i].end % 4096 == 0);
        assert_true(i == 0 || r[i - 1].end <= r[i].start);
    }
}

static void objects_and_what_is_committed_behind_them_are_told_apart(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    add_free_region(t);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = opened(t);
    const struct lg_memory_range *r;
    size_t count;
    assert_ok(lg_clr_memory(clr, &r, &count));
    check(r, count);
    static const enum lg_memory_kind kinds[] = { LG_MEMORY_GEN0, LG_MEMORY_GEN1, LG_MEMORY_GEN2,
                                                 LG_MEMORY_LOH,  LG_MEMORY_POH,  LG_MEMORY_FOH };
    for (size_t i = 0; i < 6; i++) {
        assert_kind(r, count, FR_MEMORY(0, i), kinds[i]);
        assert_kind(r, count, FR_MEMORY(0, i) + 0x5fff, kinds[i]);
        assert_kind(r, count, FR_MEMORY(0, i) + 0xbfff, LG_MEMORY_GC_FREE);
        assert_null(at(r, count, FR_MEMORY(0, i) + 0xc000)); // Only reserved.
    }
    assert_kind(r, count, FREE + 0x2fff, LG_MEMORY_GC_FREE);
    assert_null(at(r, count, FREE + 0x3000));
    assert_kind(r, count, FR_HANDLES(0), LG_MEMORY_HANDLE_TABLE);
}

static void generations_of_one_segment_are_cut_at_pages(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(FAKE_SEGMENTS_GC);
    fake_u64(t, FR_GENERATIONS(0) + FR_GENERATION_SIZE + 64, FR_MEMORY(0, 0) + 0x1800); // gen1
    fake_u64(t, FR_GENERATIONS(0) + 64, FR_MEMORY(0, 0) + 0x1900);                      // gen0
    _cleanup_(lg_clr_freep) struct lg_clr *clr = opened(t);
    const struct lg_memory_range *r;
    size_t count;
    assert_ok(lg_clr_memory(clr, &r, &count));
    check(r, count);
    assert_kind(r, count, FR_MEMORY(0, 0), LG_MEMORY_GEN2);
    assert_kind(r, count, FR_MEMORY(0, 0) + 0x1000, LG_MEMORY_GEN0);
}

static void the_gc_counts_free_regions_and_no_frozen_segments(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    add_free_region(t);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = opened(t);
    struct lg_gc_committed committed;
    assert_ok(lg_clr_gc_committed(clr, &committed));
    assert_int_equal(committed.in_use, 5 * 0xc000);
    assert_int_equal(committed.free, 0x3000);
    assert_int_equal(committed.frozen, 0xc000);
}

static void free_regions_that_cannot_be_read_are_unknown(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = opened(t);
    struct lg_gc_committed committed;
    assert_error(lg_clr_gc_committed(clr, &committed), LG_ERR_UNSUPPORTED,
                 "GcDacVars v2.4 at 0x7f0700000000: does not lead to the free regions");
    _cleanup_(lg_target_freep) struct lg_target *broken = fake_runtime(0);
    add_free_region(broken);
    fake_u64(broken, LISTS + 16, 0x20000);
    _cleanup_(lg_clr_freep) struct lg_clr *other = opened(broken);
    assert_error(lg_clr_gc_committed(other, &committed), LG_ERR_CORRUPT,
                 "region_free_list at 0x7f0e00000000: 0x20000 of 0x10000 bytes are committed");
}

// File offsets 0 to 0x4000 are mapped to run, 0x1000 to 0x2000 to write too, 0x4000 to 0x5000 to write
// only.
static void a_writable_mapping_of_what_is_mapped_elsewhere_is_a_second_one(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_map(t, DOUBLE, DOUBLE + 0x1000, LG_READ | LG_WRITE, DOUBLE_PATH, 0x1000);
    fake_map(t, DOUBLE + 0x1000, DOUBLE + 0x2000, LG_READ | LG_WRITE, DOUBLE_PATH, 0x4000);
    fake_map(t, DOUBLE + 0x10000, DOUBLE + 0x14000, LG_READ | LG_EXECUTE, DOUBLE_PATH, 0);
    fake_map(t, DOUBLE + 0x20000, DOUBLE + 0x24000, 0, DOUBLE_PATH, 0x8000);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = opened(t);
    const struct lg_memory_range *r;
    size_t count;
    assert_ok(lg_clr_memory(clr, &r, &count));
    check(r, count);
    assert_kind(r, count, DOUBLE, LG_MEMORY_JIT_WRITABLE);
    assert_kind(r, count, DOUBLE + 0x1000, LG_MEMORY_EXECUTABLE);
    assert_kind(r, count, DOUBLE + 0x10000, LG_MEMORY_EXECUTABLE);
    assert_null(at(r, count, DOUBLE + 0x20000));
}

static void pages_of_code_and_of_data_in_turn_are_stubs(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    for (uint64_t at = 0; at < 0x10000; at += 0x4000)
        fake_map(t, DOUBLE + at, DOUBLE + at + 0x4000,
                 at / 0x4000 % 2 ? LG_READ | LG_WRITE : LG_READ | LG_EXECUTE, DOUBLE_PATH, at);
    fake_map(t, DOUBLE + 0x10000, DOUBLE + 0x12000, LG_READ | LG_WRITE, DOUBLE_PATH, 0x10000);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = opened(t);
    const struct lg_memory_range *r;
    size_t count;
    assert_ok(lg_clr_memory(clr, &r, &count));
    assert_kind(r, count, DOUBLE, LG_MEMORY_STUBS);
    assert_kind(r, count, DOUBLE + 0xffff, LG_MEMORY_STUBS);
    assert_kind(r, count, DOUBLE + 0x10000, LG_MEMORY_EXECUTABLE);
}

// As gc_clock.c draws it, at the end of a gc_heap; its table of constants behind it.
static void add_clock(struct lg_target *t, uint64_t at)
{
    uint64_t table = at + 0x1000;
    fake_zeros(t, at, 0x1000 + 5 * 56);
    for (uint64_t g = 0; g < 5; g++) {
        static const uint64_t limits[] = { 40000, 80000, 200000, 0, 0 };
        const uint64_t tail[10] = { 9 - g, 0, 0, 0, 9, 5000 + g, 4000, 7, 1, table + g * 56 };
        fake_bytes(t, at + g * 168, tail, sizeof(tail));
        fake_u64(t, table + g * 56 + 16, limits[g]);
    }
}

static void the_clock_of_the_gc_is_found_by_its_looks(void **state)
{
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(FAKE_SERVER_GC);
    _cleanup_(lg_clr_freep) struct lg_clr *clr = opened(t);
    struct lg_gc_clock clock;
    struct lg_error *err = lg_clr_gc_clock(clr, &clock);
    assert_non_null(err);
    assert_int_equal(lg_error_kind(err), LG_ERR_UNSUPPORTED);
    lg_error_free(err);
    fake_zeros(t, FR_GENERATIONS(0) + 0x500, 0x300); // What the fake has left out of its gc_heap.
    fake_zeros(t, FR_GENERATIONS(0) + 0x818, 0x7e8);
    add_clock(t, FR_GENERATIONS(0) + 0x1000);
    assert_ok(lg_clr_gc_clock(clr, &clock));
    assert_int_equal(clock.collections[0], 9);
    assert_int_equal(clock.collections[2], 7);
    assert_int_equal(clock.last_us[1], 5001);
    double ago;
    assert_false(lg_clr_last_gc(clr, &ago)); // No process.
    fake_u64(t, FR_GENERATIONS(0) + 0x2000 + 16, 40001);
    err = lg_clr_gc_clock(clr, &clock);
    assert_non_null(err);
    lg_error_free(err);
}

// An event with two frames and 24 bytes of data, at an address of its own in the buffer.
static void add_event(struct lg_target *t, uint64_t at)
{
    fake_u64(t, at + 32, 4711);
    fake_u64(t, at + 40, 1000);
    fake_u64(t, at + 48, FR_STORE);
    fake_u64(t, at + 56, at + 88 + 16);
    fake_u32(t, at + 72, 24);
    fake_u32(t, at + 80, 2);
}

static void buffers_of_eventpipe_are_recognised_by_their_events(void **state)
{
    enum { UNIT = 0x19000 };
    _cleanup_(lg_target_freep) struct lg_target *t = fake_runtime(0);
    fake_map(t, FREE, FREE + 5 * UNIT + 0x2000, LG_READ | LG_WRITE, NULL, 0);
    fake_zeros(t, FREE, 5 * UNIT + 0x2000);
    add_event(t, FREE + 0x2000); // Something else comes before it.
    add_event(t, FREE + 0x2000 + 128);
    add_event(t, FREE + 0x2000 + 2 * UNIT); // The first is of 200 KiB, the second of 300.
    _cleanup_(lg_clr_freep) struct lg_clr *clr = opened(t);
    const struct lg_memory_range *r;
    size_t count;
    assert_ok(lg_clr_memory(clr, &r, &count));
    check(r, count);
    const struct lg_memory_range *buffers = at(r, count, FREE + 0x2000);
    assert_non_null(buffers);
    assert_int_equal(buffers->kind, LG_MEMORY_EVENTPIPE);
    assert_int_equal(buffers->start, FREE + 0x2000);
    assert_int_equal(buffers->end, FREE + 0x2000 + 5 * UNIT);

    _cleanup_(lg_target_freep) struct lg_target *other = fake_runtime(0);
    fake_map(other, FREE, FREE + 5 * UNIT, LG_READ | LG_WRITE, NULL, 0);
    fake_zeros(other, FREE, 5 * UNIT);
    add_event(other, FREE);
    fake_u32(other, FREE + 80, 3); // Its data would begin elsewhere.
    _cleanup_(lg_clr_freep) struct lg_clr *another = opened(other);
    assert_ok(lg_clr_memory(another, &r, &count));
    assert_null(at(r, count, FREE));
}

static void of_claims_that_overlap_the_first_holds(void **state)
{
    struct lg_memory memory = { 0 };
    static const char *const name = "n";
    assert_true(lg_memory_claim(&memory, 0x5000, 0x6001, LG_MEMORY_LOH, name));
    assert_true(lg_memory_claim(&memory, 0x1800, 0x3000, LG_MEMORY_GEN0, name));
    assert_true(lg_memory_claim(&memory, 0x2000, 0x4000, LG_MEMORY_GEN1, name));
    assert_true(lg_memory_claim(&memory, 0x2800, 0x2900, LG_MEMORY_GEN2, name));
    assert_true(lg_memory_claim(&memory, 0x4000, 0x5000, LG_MEMORY_GEN1, name));
    assert_true(lg_memory_claim(&memory, 0x9000, 0x9000, LG_MEMORY_GEN1, name));
    assert_true(lg_memory_claim(&memory, UINT64_MAX - 5, UINT64_MAX, LG_MEMORY_FOH, name));
    lg_memory_settle(&memory);
    assert_int_equal(memory.ranges.len, 3);
    const struct lg_memory_range *r = memory.ranges.at;
    check(r, 3);
    assert_int_equal(r[0].start, 0x1000);
    assert_int_equal(r[1].start, 0x3000);
    assert_int_equal(r[1].end, 0x5000); // Two of one kind are one.
    assert_int_equal(r[2].end, 0x7000);
    lg_vec_free(&memory.ranges);
}

static void every_kind_has_a_name(void **state)
{
    for (int kind = 0; kind < LG_MEMORY_KINDS; kind++)
        assert_non_null(lg_memory_kind_name((enum lg_memory_kind)kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_and_what_is_committed_behind_them_are_told_apart),
        cmocka_unit_test(generations_of_one_segment_are_cut_at_pages),
        cmocka_unit_test(the_gc_counts_free_regions_and_no_frozen_segments),
        cmocka_unit_test(free_regions_that_cannot_be_read_are_unknown),
        cmocka_unit_test(a_writable_mapping_of_what_is_mapped_elsewhere_is_a_second_one),
        cmocka_unit_test(pages_of_code_and_of_data_in_turn_are_stubs),
        cmocka_unit_test(the_clock_of_the_gc_is_found_by_its_looks),
        cmocka_unit_test(buffers_of_eventpipe_are_recognised_by_their_events),
        cmocka_unit_test(of_claims_that_overlap_the_first_holds),
        cmocka_unit_test(every_kind_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
