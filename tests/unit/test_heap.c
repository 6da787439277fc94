#include "test.h"

#include <stdlib.h>

#include "heap/heap_priv.h"
#include "support/fake.h"
#include "support/fake_heap.h"

struct counts {
    struct lg_type_stats stats;
    struct lg_walk_result result;
};

static uint64_t count_of(struct fake_heap *fake, const struct counts *counts, enum fake_type type)
{
    const struct lg_type *t = lg_clr_type(fake_heap_clr(fake), fake_type_mt(type));
    return t->id < counts->stats.type_count ? counts->stats.counts[t->id] : 0;
}

static struct lg_heap *opened(struct fake_heap *fake)
{
    struct lg_heap *heap;
    assert_ok(lg_heap_open(fake_heap_clr(fake), &heap));
    return heap;
}

static struct counts counted(struct lg_heap *heap, const struct lg_walk_filter *filter)
{
    struct counts counts;
    assert_ok(lg_heap_stats(heap, filter, &counts.stats, &counts.result));
    return counts;
}

static struct counts count_fake(struct fake_heap *fake)
{
    _cleanup_(lg_heap_freep) struct lg_heap *heap = opened(fake);
    return counted(heap, NULL);
}

static bool remember(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    uint64_t **next = self;
    *(*next)++ = object->address;
    return true;
}

static void every_object_is_counted_by_its_type(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    for (int i = 0; i < 100; i++) {
        fake_object(fake, FAKE_NODE, 0);
        fake_object(fake, FAKE_STRING, (uint32_t)i);
        fake_object(fake, FAKE_BYTES, (uint32_t)(i % 9));
    }
    fake_object(fake, FAKE_FREE, 4000);
    struct counts c = count_fake(fake);
    assert_int_equal(count_of(fake, &c, FAKE_NODE), 100);
    assert_int_equal(count_of(fake, &c, FAKE_STRING), 100);
    assert_int_equal(count_of(fake, &c, FAKE_BYTES), 100);
    assert_int_equal(count_of(fake, &c, FAKE_FREE), 1);
    assert_int_equal(c.result.objects, 300);
    // Sizes are not rounded up: 22 + 2 n of a string (the empty one counts 24), 24 + n of an array of
    // bytes.
    uint64_t strings = 100 * 22 + 2 * 4950 + 2, bytes = 100 * 24 + 11 * 36 + 0;
    assert_int_equal(c.result.bytes, 100 * 32 + strings + bytes);
    assert_int_equal(c.result.free_objects, 1);
    assert_int_equal(c.result.free_bytes, 4024);
    assert_true(lg_walk_is_exact(&c.result));
    lg_type_stats_deinit(&c.stats);
    fake_heap_free(fake);
}

// A heap of more than one window, types in all orders: the fast path against the plain visitor.
static void counting_and_visiting_agree(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    uint64_t seed = 7, made[FAKE_TYPES] = { 0 };
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        enum fake_type type = (seed >> 33) % (i % 3 ? FAKE_TYPES : 3); // Runs, and none.
        bool sized = type != FAKE_NODE && type != FAKE_PLAIN;
        fake_object(fake, type, sized ? (uint32_t)(seed >> 50) % 50 : 0);
        made[type]++;
        if (i % 5000 == 4999)
            fake_segment(fake, LG_GEN2);
    }
    struct counts c = count_fake(fake);
    for (int type = 0; type < FAKE_TYPES; type++)
        assert_int_equal(count_of(fake, &c, type), made[type]);
    _cleanup_(lg_heap_freep) struct lg_heap *heap = opened(fake);
    uint64_t *addresses = calloc(20000, sizeof(*addresses)), *next = addresses;
    struct lg_walk_result visited;
    assert_ok(lg_heap_walk(heap, NULL, remember, &next, &visited));
    assert_int_equal(next - addresses, 20000);
    for (size_t i = 1; i < 20000; i++)
        assert_true(addresses[i] > addresses[i - 1]);
    assert_int_equal(visited.objects, c.result.objects);
    assert_int_equal(visited.bytes, c.result.bytes);
    assert_int_equal(visited.free_bytes, c.result.free_bytes);
    assert_true(lg_walk_is_exact(&visited));
    free(addresses);
    lg_type_stats_deinit(&c.stats);
    fake_heap_free(fake);
}

static void allocation_contexts_are_stepped_over_full_ones_too(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    fake_object(fake, FAKE_NODE, 0);
    fake_context(fake, 8000);
    fake_context(fake, 0); // One follows on the other, and has no room left.
    fake_object(fake, FAKE_NODE, 0);
    fake_context(fake, 64); // Up to the end of the segment.
    struct counts c = count_fake(fake);
    assert_int_equal(c.result.objects, 2);
    assert_true(lg_walk_is_exact(&c.result));
    lg_type_stats_deinit(&c.stats);
    fake_heap_free(fake);
}

static void damage_is_counted_and_the_walk_goes_on_behind_it(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    for (int i = 0; i < 10; i++)
        fake_object(fake, FAKE_NODE, 0);
    uint64_t broken = fake_object(fake, FAKE_PLAIN, 0);
    for (int i = 0; i < 10; i++)
        fake_object(fake, FAKE_NODE, 0);
    fake_u64(fake_heap_target(fake), broken, 0x1234567890);
    struct counts c = count_fake(fake);
    assert_int_equal(c.result.objects, 20);
    assert_int_equal(c.result.bad_objects, 1);
    assert_int_equal(c.result.first_bad, broken);
    assert_int_equal(c.result.skipped_bytes, 24);
    assert_false(lg_walk_is_exact(&c.result));
    lg_type_stats_deinit(&c.stats);
    fake_heap_free(fake);
}

static void an_object_that_reaches_past_the_end_is_damage(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    fake_object(fake, FAKE_NODE, 0);
    uint64_t array = fake_object(fake, FAKE_BYTES, 100);
    fake_u32(fake_heap_target(fake), array + 8, 0xffffffff);
    struct counts c = count_fake(fake);
    assert_int_equal(c.result.objects, 1);
    assert_int_equal(c.result.bad_objects, 1);
    assert_int_equal(c.result.skipped_bytes, 128);
    lg_type_stats_deinit(&c.stats);
    fake_heap_free(fake);
}

static void memory_that_is_not_there_is_damage(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    for (int i = 0; i < 2000; i++)
        fake_object(fake, FAKE_NODE, 0);
    fake_forget(fake_heap_target(fake), (fake_heap_end(fake) - 40000) & ~UINT64_C(4095), 8192);
    struct counts c = count_fake(fake);
    assert_int_equal(c.result.objects, 2000 - 256);
    assert_int_equal(c.result.bad_objects, 1);
    assert_int_equal(c.result.skipped_bytes, 8192);
    lg_type_stats_deinit(&c.stats);
    fake_heap_free(fake);
}

static void an_object_without_its_method_table_yet_is_unsettled(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    fake_object(fake, FAKE_NODE, 0);
    uint64_t torn = fake_object(fake, FAKE_NODE, 0);
    fake_context(fake, 256);
    fake_object(fake, FAKE_NODE, 0);
    fake_u64(fake_heap_target(fake), torn, 0);
    struct counts c = count_fake(fake);
    assert_int_equal(c.result.objects, 2);
    assert_int_equal(c.result.unsettled, 1);
    lg_type_stats_deinit(&c.stats);
    fake_heap_free(fake);
}

static void zeros_far_below_a_context_are_damage(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    fake_object(fake, FAKE_NODE, 0);
    uint64_t lost = fake_object(fake, FAKE_PLAIN, 0);
    for (int i = 0; i < 10000; i++)
        fake_object(fake, FAKE_NODE, 0);
    fake_context(fake, 256);
    fake_u64(fake_heap_target(fake), lost, 0);
    struct counts c = count_fake(fake);
    assert_int_equal(c.result.objects, 1 + 10000);
    assert_int_equal(c.result.unsettled, 0);
    assert_int_equal(c.result.bad_objects, 1);
    assert_int_equal(c.result.skipped_bytes, 24);
    lg_type_stats_deinit(&c.stats);
    fake_heap_free(fake);
}

static void a_context_that_leaves_its_segment_is_damage(void **state)
{
    static const uint64_t limits[] = { UINT64_MAX, UINT64_MAX - 16, UINT64_C(1) << 47 };
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        struct fake_heap *fake = fake_heap_new();
        fake_object(fake, FAKE_NODE, 0);
        fake_context(fake, 256);
        fake_object(fake, FAKE_NODE, 0);
        fake_object(fake, FAKE_NODE, 0);
        fake_heap_clr(fake)->contexts.at[0].limit = limits[i];
        struct counts c = count_fake(fake);
        assert_int_equal(c.result.objects, 3);
        assert_int_equal(c.result.bad_objects, 1);
        assert_int_equal(c.result.skipped_bytes, 256 + 24);
        lg_type_stats_deinit(&c.stats);
        fake_heap_free(fake);
    }
}

static void filters_choose_generations_segments_and_addresses(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    uint64_t first = fake_object(fake, FAKE_NODE, 0), second = fake_object(fake, FAKE_NODE, 0);
    fake_object(fake, FAKE_NODE, 0);
    fake_segment(fake, LG_LOH);
    uint64_t large = fake_object(fake, FAKE_BYTES, 100000);
    _cleanup_(lg_heap_freep) struct lg_heap *heap = opened(fake);
    const struct {
        struct lg_walk_filter filter;
        uint64_t objects;
    } cases[] = {
        { { .generations = 1u << LG_GEN0 }, 3 },
        { { .generations = 1u << LG_LOH }, 1 },
        { { .generations = 1u << LG_GEN1 }, 0 },
        { { .segment = large + 5000 }, 1 },
        { { .segment = first - 0x28 }, 3 },
        { { .start = second }, 3 },
        { { .start = second, .end = large }, 2 },
        { { .end = second }, 1 },
        { { .start = first + 8, .end = second }, 0 },
        { { .heap = 1 }, 4 },
        { { .heap = 2 }, 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct counts c = counted(heap, &cases[i].filter);
        assert_int_equal(c.result.objects, cases[i].objects);
        lg_type_stats_deinit(&c.stats);
        uint64_t addresses[8], *next = addresses;
        struct lg_walk_result visited;
        assert_ok(lg_heap_walk(heap, &cases[i].filter, remember, &next, &visited));
        assert_int_equal(next - addresses, cases[i].objects);
    }
    fake_heap_free(fake);
}

// Pieces whose start had to be guessed, with traps: what looks like objects inside an array of bytes.
static void guessed_pieces_add_up_to_the_whole(void **state)
{
    for (unsigned trap = 0; trap < 2; trap++) {
        struct fake_heap *fake = fake_heap_new();
        for (int i = 0; i < 3000; i++)
            fake_object(fake, i % 2 ? FAKE_NODE : FAKE_PLAIN, 0);
        uint64_t array = fake_object(fake, FAKE_BYTES, 40000);
        for (uint64_t a = array + 24; trap && a + 24 <= array + 40000; a += 24)
            fake_u64(fake_heap_target(fake), a, fake_type_mt(FAKE_PLAIN));
        for (int i = 0; i < 3000; i++)
            fake_object(fake, i % 2 ? FAKE_NODE : FAKE_STRING, 0);
        for (uint64_t size = 4096; size < 70000; size += 10000) {
            _cleanup_(lg_heap_freep) struct lg_heap *heap = NULL;
            assert_ok(lg_heap_open_pieces(fake_heap_clr(fake), size, &heap));
            assert_true(heap->pieces.len > 2);
            struct counts c = counted(heap, NULL);
            assert_int_equal(c.result.objects, 6001);
            assert_int_equal(count_of(fake, &c, FAKE_PLAIN), 1500);
            assert_int_equal(count_of(fake, &c, FAKE_NODE), 3000);
            assert_true(lg_walk_is_exact(&c.result));
            lg_type_stats_deinit(&c.stats);
            struct lg_object found;
            assert_true(lg_heap_object_containing(heap, array + 39000, &found));
            assert_int_equal(found.address, array);
        }
        fake_heap_free(fake);
    }
}

struct reference {
    uint64_t offset, target;
};

static void add_reference(void *self, uint64_t offset, uint64_t target)
{
    struct reference **next = self;
    *(*next)++ = (struct reference){ offset, target };
}

static size_t references_of(struct lg_heap *heap, uint64_t address, struct reference *refs)
{
    struct lg_object object;
    struct reference *next = refs;
    assert_true(lg_heap_object_at(heap, address, &object));
    lg_heap_references(heap, &object, add_reference, &next);
    return (size_t)(next - refs);
}

static void references_are_found_in_classes_arrays_and_arrays_of_structs(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    uint64_t node = fake_object(fake, FAKE_NODE, 0), array = fake_object(fake, FAKE_ARRAY, 3),
             entries = fake_object(fake, FAKE_ENTRIES, 2), plain = fake_object(fake, FAKE_PLAIN, 0);
    fake_refer(fake, node, 8, array);
    fake_refer(fake, node, 16, entries);
    fake_refer(fake, array, 16 + 8, node);
    for (uint64_t offset = 0; offset < 48; offset += 8)
        fake_refer(fake, entries, 16 + offset,
                   plain + (offset % 24 == 8 ? 1 : 0)); // The middle one is no reference.
    _cleanup_(lg_heap_freep) struct lg_heap *heap = opened(fake);
    struct reference refs[8];
    assert_int_equal(references_of(heap, node, refs), 2);
    assert_int_equal(refs[0].target, array);
    assert_int_equal(refs[1].target, entries);
    assert_int_equal(references_of(heap, array, refs), 1);
    assert_int_equal(refs[0].offset, 24);
    assert_int_equal(references_of(heap, entries, refs), 4);
    const uint64_t offsets[] = { 16, 32, 40, 56 };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(refs[i].offset, offsets[i]);
        assert_int_equal(refs[i].target, plain);
    }
    assert_int_equal(references_of(heap, plain, refs), 0);
    fake_heap_free(fake);
}

static void an_array_larger_than_the_window_is_read_in_parts(void **state)
{
    enum { COUNT = 100000 };
    struct fake_heap *fake = fake_heap_new();
    uint64_t node = fake_object(fake, FAKE_NODE, 0), array = fake_object(fake, FAKE_ARRAY, COUNT);
    for (uint64_t i = 0; i < COUNT; i += 3)
        fake_refer(fake, array, 16 + 8 * i, node);
    _cleanup_(lg_heap_freep) struct lg_heap *heap = opened(fake);
    struct reference *refs = calloc(COUNT, sizeof(*refs));
    assert_int_equal(references_of(heap, array, refs), (COUNT + 2) / 3);
    for (size_t i = 0; i < (COUNT + 2) / 3; i++)
        assert_int_equal(refs[i].offset, 16 + 24 * i);
    free(refs);
    fake_heap_free(fake);
}

static void absurd_gcdescs_are_refused_or_clipped(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    uint64_t node = fake_object(fake, FAKE_NODE, 0);
    fake_refer(fake, node, 8, node);
    uint64_t mt = fake_type_mt(FAKE_NODE);
    for (int64_t word = 1; word <= 3; word++) {
        for (size_t i = 0; i < fake_hostile_count; i++) {
            uint64_t old;
            assert_true(lg_target_u64(fake_heap_target(fake), mt - 8 * (uint64_t)word, &old));
            fake_u64(fake_heap_target(fake), mt - 8 * (uint64_t)word, fake_hostile[i]);
            _cleanup_(lg_heap_freep) struct lg_heap *heap = opened(fake);
            struct reference refs[8];
            assert_true(references_of(heap, node, refs) <= 2);
            fake_u64(fake_heap_target(fake), mt - 8 * (uint64_t)word, old);
        }
    }
    fake_heap_free(fake);
}

static void single_addresses_are_looked_up(void **state)
{
    struct fake_heap *fake = fake_heap_new();
    uint64_t node = fake_object(fake, FAKE_NODE, 0), bytes = fake_object(fake, FAKE_BYTES, 1000);
    uint64_t unused = fake_object(fake, FAKE_FREE, 100);
    fake_context(fake, 800);
    uint64_t last = fake_object(fake, FAKE_PLAIN, 0);
    _cleanup_(lg_heap_freep) struct lg_heap *heap = opened(fake);
    struct lg_object found;
    assert_true(lg_heap_object_at(heap, node, &found));
    assert_int_equal(found.size, 32);
    assert_false(lg_heap_object_at(heap, node + 8, &found));
    assert_false(lg_heap_object_at(heap, unused, &found));
    assert_false(lg_heap_object_at(heap, 0x1000, &found));
    assert_false(lg_heap_object_at(heap, fake_heap_end(fake), &found));
    assert_true(lg_heap_object_containing(heap, bytes + 500, &found));
    assert_int_equal(found.address, bytes);
    assert_true(lg_heap_object_containing(heap, unused + 16, &found));
    assert_true(found.type->flags & LG_TYPE_FREE);
    assert_false(lg_heap_object_containing(heap, last - 100, &found)); // In the context.
    assert_true(lg_heap_object_containing(heap, last, &found));
    assert_int_equal(found.address, last);
    fake_heap_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_object_is_counted_by_its_type),
        cmocka_unit_test(counting_and_visiting_agree),
        cmocka_unit_test(allocation_contexts_are_stepped_over_full_ones_too),
        cmocka_unit_test(damage_is_counted_and_the_walk_goes_on_behind_it),
        cmocka_unit_test(an_object_that_reaches_past_the_end_is_damage),
        cmocka_unit_test(memory_that_is_not_there_is_damage),
        cmocka_unit_test(an_object_without_its_method_table_yet_is_unsettled),
        cmocka_unit_test(zeros_far_below_a_context_are_damage),
        cmocka_unit_test(a_context_that_leaves_its_segment_is_damage),
        cmocka_unit_test(filters_choose_generations_segments_and_addresses),
        cmocka_unit_test(guessed_pieces_add_up_to_the_whole),
        cmocka_unit_test(references_are_found_in_classes_arrays_and_arrays_of_structs),
        cmocka_unit_test(an_array_larger_than_the_window_is_read_in_parts),
        cmocka_unit_test(absurd_gcdescs_are_refused_or_clipped),
        cmocka_unit_test(single_addresses_are_looked_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
