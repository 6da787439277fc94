// What commands share: addresses, ranges, generations; and what repeats in a path.
#include "cli/gcroot.h"
#include "cli/support.h"

#include <string.h>

#include "test.h"

static void assert_address(const char *s, uint64_t expected)
{
    uint64_t value;
    assert_true(lg_address_parse(s, &value));
    assert_int_equal(value, expected);
}

static void addresses_are_hex_with_or_without_0x_and_backtick(void **state)
{
    assert_address("7f0f5a400028", 0x7f0f5a400028);
    assert_address("0x7F0F5A400028", 0x7f0f5a400028);
    assert_address("00007f0f`5a400028", 0x7f0f5a400028);
    assert_address("0", 0);
    assert_address("ffffffffffffffff", UINT64_MAX);
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const bad[] = { "",   "0x", "xyz", "12g", "`12", "1`2`3", "10000000000000000",
                                       "-1", " 1" };
    uint64_t value;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(lg_address_parse(bad[i], &value));
}

static void assert_range(const char *start, const char *end, uint64_t from, uint64_t to)
{
    struct lg_walk_filter filter;
    assert_ok(lg_range_parse(start, end, &filter));
    assert_int_equal(filter.start, from);
    assert_int_equal(filter.end, to);
}

static void a_range_is_start_end_or_start_and_length(void **state)
{
    assert_range(NULL, NULL, 0, 0);
    assert_range("1000", NULL, 0x1000, 0);
    assert_range("1000", "2000", 0x1000, 0x2000);
    assert_range("0x1000", "L100", 0x1000, 0x1100);
    assert_range("1000", "l0x100", 0x1000, 0x1100);
}

static void impossible_ranges_are_refused(void **state)
{
    struct lg_walk_filter filter;
    assert_error(lg_range_parse("x", NULL, &filter), LG_ERR_USAGE,
                 "invalid start address 'x': expected hex");
    assert_error(lg_range_parse("1", "y", &filter), LG_ERR_USAGE,
                 "invalid end address 'y': expected hex, or L and a length");
    assert_error(lg_range_parse("2000", "1000", &filter), LG_ERR_USAGE,
                 "start address must be before end address: '2000' < '1000'");
    assert_error(lg_range_parse("2000", "2000", &filter), LG_ERR_USAGE,
                 "start address must be before end address: '2000' < '2000'");
    assert_error(lg_range_parse("2000", "L", &filter), LG_ERR_USAGE,
                 "invalid end address 'L': expected hex, or L and a length");
    assert_error(lg_range_parse("2000", "Lffffffffffffffff", &filter), LG_ERR_USAGE,
                 "invalid length 'Lffffffffffffffff': the range would wrap around");
}

static void generations_have_the_names_of_sos(void **state)
{
    uint32_t bits;
    assert_ok(lg_generation_parse("gen2", &bits));
    assert_int_equal(bits, 1 << LG_GEN2);
    assert_ok(lg_generation_parse("large", &bits));
    assert_int_equal(bits, 1 << LG_LOH);
    assert_ok(lg_generation_parse("Frozen", &bits));
    assert_int_equal(bits, 1 << LG_FOH);
    assert_error(lg_generation_parse("gen3", &bits), LG_ERR_USAGE,
                 "unknown generation 'gen3': only gen0, gen1, gen2, loh (large), poh (pinned) and foh "
                 "(frozen) are supported");
}

static void numbers_get_commas_every_three_digits(void **state)
{
    char buf[LG_COMMAS_SIZE];
    assert_string_equal(lg_commas(buf, 0), "0");
    assert_string_equal(lg_commas(buf, 999), "999");
    assert_string_equal(lg_commas(buf, 1000), "1,000");
    assert_string_equal(lg_commas(buf, UINT64_MAX), "18,446,744,073,709,551,615");
}

// A segment of the segments GC holds three generations, a region one.
static void filters_know_which_segments_they_want(void **state)
{
    const struct lg_segment segment = { .address = 0x500,
                                        .start = 0x1000,
                                        .end = 0x2000,
                                        .committed = 0x3000,
                                        .reserved = 0x4000,
                                        .heap = 1,
                                        .generation = LG_GEN2,
                                        .gen1_start = 0x1800,
                                        .gen0_start = 0x1900 };
    assert_true(lg_filter_has_segment(&(struct lg_walk_filter){ 0 }, &segment));
    assert_true(lg_filter_has_segment(&(struct lg_walk_filter){ .heap = 2 }, &segment));
    assert_false(lg_filter_has_segment(&(struct lg_walk_filter){ .heap = 1 }, &segment));
    assert_true(lg_filter_has_segment(&(struct lg_walk_filter){ .segment = 0x500 }, &segment));
    assert_true(lg_filter_has_segment(&(struct lg_walk_filter){ .segment = 0x3fff }, &segment));
    assert_false(lg_filter_has_segment(&(struct lg_walk_filter){ .segment = 0x4000 }, &segment));
    assert_true(lg_filter_has_segment(&(struct lg_walk_filter){ .start = 0x1fff }, &segment));
    assert_false(lg_filter_has_segment(&(struct lg_walk_filter){ .start = 0x2000 }, &segment));
    assert_false(lg_filter_has_segment(&(struct lg_walk_filter){ .end = 0x1000 }, &segment));
    assert_true(lg_filter_has_segment(&(struct lg_walk_filter){ .generations = 1 }, &segment));
    assert_false(
        lg_filter_has_segment(&(struct lg_walk_filter){ .generations = 1 << LG_LOH }, &segment));
}

// ---- repeats ----

static bool same_letter(const void *self, size_t a, size_t b)
{
    const char *letters = self;
    return letters[a] == letters[b];
}

static void assert_repeat(const char *letters, size_t start, size_t period, size_t times)
{
    struct lg_repeat repeat = lg_repeat_at(start, strlen(letters), same_letter, letters);
    assert_int_equal(repeat.times, times);
    if (times > 0) {
        assert_int_equal(repeat.start, start);
        assert_int_equal(repeat.period, period);
    }
}

static void a_list_repeats_one_node(void **state)
{
    assert_repeat("rnnnnnnnnx", 1, 1, 8);
    assert_repeat("nnnnn", 0, 1, 5);
}

static void a_chain_of_pairs_repeats_two(void **state)
{
    assert_repeat("rabababababx", 1, 2, 5);
    assert_repeat("ababababababa", 0, 2, 6); // Half a round stays.
}

static void what_repeats_too_seldom_is_told_in_full(void **state)
{
    assert_repeat("nnnn", 0, 1, 0);
    assert_repeat("abababab", 0, 2, 0);
    assert_repeat("abcdefghij", 0, 1, 0);
    assert_repeat("", 0, 1, 0);
    assert_repeat("n", 0, 1, 0);
}

static void longer_rounds_than_four_are_told_in_full(void **state)
{
    assert_repeat("abcdabcdabcdabcdabcd", 0, 4, 5);
    assert_repeat("abcdeabcdeabcdeabcdeabcde", 0, 5, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_hex_with_or_without_0x_and_backtick),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_range_is_start_end_or_start_and_length),
        cmocka_unit_test(impossible_ranges_are_refused),
        cmocka_unit_test(generations_have_the_names_of_sos),
        cmocka_unit_test(numbers_get_commas_every_three_digits),
        cmocka_unit_test(filters_know_which_segments_they_want),
        cmocka_unit_test(a_list_repeats_one_node),
        cmocka_unit_test(a_chain_of_pairs_repeats_two),
        cmocka_unit_test(what_repeats_too_seldom_is_told_in_full),
        cmocka_unit_test(longer_rounds_than_four_are_told_in_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
