#include "test.h"

#include <stdlib.h>

#include "graph/index.h"

enum { SPANS = 3 };
#define BASE UINT64_C(0x7f0000400028)
static const struct lg_span spans[SPANS] = {
    { BASE, BASE + 0x300000 },                               // in one window
    { BASE + 0x3fffd8, BASE + 0x3fffd8 + 0x900000 },         // over three
    { BASE + 0x10000000000, BASE + 0x10000000000 + 0x1000 }, // 1 TiB away, as a frozen segment may be
};

static struct lg_index *filled(const uint64_t *addresses, size_t count)
{
    struct lg_index *index;
    assert_ok(lg_index_new(spans, SPANS, &index));
    for (size_t i = 0; i < count; i++)
        lg_index_add(index, addresses[i] & ~UINT64_C(511), UINT64_C(1) << (addresses[i] >> 3 & 63));
    assert_ok(lg_index_seal(index));
    assert_int_equal(lg_index_count(index), count);
    return index;
}

// Addresses 24 to 1,024 bytes apart, in all spans, by address.
static size_t make_addresses(uint64_t *addresses, size_t max)
{
    size_t count = 0;
    uint64_t seed = 4;
    for (size_t s = 0; s < SPANS; s++) {
        for (uint64_t a = spans[s].start; a < spans[s].end && count < max;) {
            addresses[count++] = a;
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            a += 24 + (seed >> 40) % 126 * 8;
        }
    }
    return count;
}

static void numbers_and_addresses_translate_into_each_other(void **state)
{
    static uint64_t addresses[200000];
    size_t count = make_addresses(addresses, 200000);
    assert_true(count > 20000);
    _cleanup_(lg_index_freep) struct lg_index *index = filled(addresses, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(lg_index_node(index, addresses[i]), i);
        assert_int_equal(lg_index_address(index, (lg_node)i), addresses[i]);
        assert_int_equal(lg_index_node(index, addresses[i] + 8), LG_NO_NODE);
        assert_int_equal(lg_index_node(index, addresses[i] + 1), LG_NO_NODE);
    }
}

static void the_object_before_an_address_is_found(void **state)
{
    static uint64_t addresses[200000];
    size_t count = make_addresses(addresses, 200000);
    _cleanup_(lg_index_freep) struct lg_index *index = filled(addresses, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(lg_index_before(index, addresses[i]), i);
        assert_int_equal(lg_index_before(index, addresses[i] + 23), i);
        assert_int_equal(lg_index_before(index, addresses[i] - 1), i > 0 ? i - 1 : LG_NO_NODE);
    }
    assert_int_equal(lg_index_before(index, spans[1].end + 0x100000000),
                     lg_index_before(index, spans[1].end));
    assert_int_equal(lg_index_before(index, UINT64_MAX), count - 1);
}

static void nothing_is_found_outside(void **state)
{
    const uint64_t one = BASE;
    _cleanup_(lg_index_freep) struct lg_index *index = filled(&one, 1);
    const uint64_t outside[] = { 0, 8, BASE - 0x800000, BASE + 0x100000000, UINT64_MAX - 7 };
    for (size_t i = 0; i < sizeof(outside) / sizeof(*outside); i++)
        assert_int_equal(lg_index_node(index, outside[i]), LG_NO_NODE);
    assert_int_equal(lg_index_before(index, 8), LG_NO_NODE);
}

static void an_empty_heap_has_an_index(void **state)
{
    _cleanup_(lg_index_freep) struct lg_index *index = NULL;
    assert_ok(lg_index_new(NULL, 0, &index));
    assert_ok(lg_index_seal(index));
    assert_int_equal(lg_index_count(index), 0);
    assert_int_equal(lg_index_node(index, 0x1000), LG_NO_NODE);
    assert_int_equal(lg_index_before(index, 0x1000), LG_NO_NODE);
}

static void a_heap_spread_over_everything_is_refused(void **state)
{
    const struct lg_span wide[] = { { 0x1000, 0x2000 }, { 0x7ffffffff000, 0x7ffffffff100 } };
    struct lg_index *index = NULL;
    assert_error(lg_index_new(wide, 2, &index), LG_ERR_UNSUPPORTED,
                 "heap from 0x0 to 0x7ffffffff100 is spread too far");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_addresses_translate_into_each_other),
        cmocka_unit_test(the_object_before_an_address_is_found),
        cmocka_unit_test(nothing_is_found_outside),
        cmocka_unit_test(an_empty_heap_has_an_index),
        cmocka_unit_test(a_heap_spread_over_everything_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
