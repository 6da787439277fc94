#include "test.h"

#include "analysis/comparison.h"
#include "analysis/trend.h"

static struct lg_row names(const char *type, const char *assembly, const char *held, uint32_t before)
{
    return (struct lg_row){ .type = type, .assembly = assembly, .held = held, .before = before };
}

static uint32_t add(struct lg_comparison *c, const char *type, const char *held, uint32_t before,
                    uint64_t count, uint64_t size)
{
    struct lg_row row = names(type, "App", held, before);
    uint32_t ret;
    assert_true(lg_comparison_add(c, &row, (struct lg_amount){ count, size, 2 * size }, &ret));
    return ret;
}

static void rows_are_found_by_their_names_and_are_0_where_they_are_not(void **state)
{
    struct lg_comparison c = { 0 };
    lg_comparison_begin(&c);
    uint32_t order = add(&c, "Order", "", LG_NO_ROW, 3, 30);
    assert_int_equal(add(&c, "Order", "", LG_NO_ROW, 2, 20), order);
    assert_true(lg_comparison_end(&c));
    lg_comparison_begin(&c);
    uint32_t held = add(&c, "Order", "static A.b", LG_NO_ROW, 1, 8);
    assert_int_not_equal(held, order);
    assert_true(lg_comparison_end(&c));
    lg_comparison_begin(&c);
    add(&c, "Order", "", LG_NO_ROW, 7, 70);
    add(&c, "Order", "static A.b", LG_NO_ROW, 1, 8);
    assert_true(lg_comparison_end(&c));

    const struct lg_row *row = &c.rows.at[order];
    assert_int_equal(lg_row_at(row, 0).count, 5);
    assert_int_equal(lg_row_at(row, 0).retained, 100);
    assert_int_equal(lg_row_at(row, 1).count, 0);
    assert_int_equal(lg_row_at(row, 2).size, 70);
    row = &c.rows.at[held];
    assert_int_equal(lg_row_at(row, 0).count, 0);
    assert_int_equal(lg_row_at(row, 2).count, 1);
    assert_int_equal(row->points.len, 1); // What stays takes no memory.
    assert_int_equal(lg_comparison_total(&c, 2).size, 78);
    lg_comparison_deinit(&c);
}

static void an_assembly_that_is_unknown_is_any_and_two_known_ones_are_two(void **state)
{
    struct lg_comparison c = { 0 };
    uint32_t unknown, known, other;
    struct lg_row row = names("Order", "", "", LG_NO_ROW);
    lg_comparison_begin(&c);
    assert_true(lg_comparison_add(&c, &row, (struct lg_amount){ 1, 1, 1 }, &unknown));
    row.assembly = "App";
    assert_true(lg_comparison_add(&c, &row, (struct lg_amount){ 1, 1, 1 }, &known));
    row.assembly = "Plugin";
    assert_true(lg_comparison_add(&c, &row, (struct lg_amount){ 1, 1, 1 }, &other));
    assert_int_equal(unknown, known);
    assert_int_not_equal(known, other);
    lg_comparison_deinit(&c);
}

enum { CACHE, CUSTOMER, NAME, ORDER, SHRUNK, ROWS };

// A cache of customers, each with a name and orders.
static void fill(struct lg_comparison *c, const uint64_t counts[ROWS], uint32_t rows[ROWS])
{
    lg_comparison_begin(c);
    rows[CACHE] = add(c, "Dictionary", "static Cache", LG_NO_ROW, counts[CACHE], 100);
    rows[CUSTOMER] = add(c, "Customer", "values", rows[CACHE], counts[CUSTOMER], 10 * counts[CUSTOMER]);
    rows[NAME] = add(c, "String", "Customer.Name", rows[CUSTOMER], counts[NAME], 20 * counts[NAME]);
    rows[ORDER] = add(c, "Order", "Customer.Orders", rows[CUSTOMER], counts[ORDER], 30 * counts[ORDER]);
    rows[SHRUNK] = add(c, "Line", "Order.Lines", rows[ORDER], counts[SHRUNK], 40 * counts[SHRUNK]);
    assert_true(lg_comparison_end(c));
}

static void compare(const uint64_t before[ROWS], const uint64_t after[ROWS], uint32_t top_ret[ROWS])
{
    struct lg_comparison c = { 0 };
    uint32_t rows[ROWS], top[ROWS];
    fill(&c, before, rows);
    fill(&c, after, rows);
    lg_comparison_tops(&c, top);
    for (uint32_t i = 0; i < ROWS; i++) {
        assert_int_equal(rows[i], i);
        top_ret[i] = top[i];
    }
    lg_comparison_deinit(&c);
}

static void what_hangs_below_goes_with_what_grew(void **state)
{
    uint32_t top[ROWS];
    compare((uint64_t[]){ 1, 10, 10, 40, 40 }, (uint64_t[]){ 1, 30, 30, 120, 120 }, top);
    assert_int_equal(top[CACHE], LG_NO_ROW);
    assert_int_equal(top[CUSTOMER], CUSTOMER);
    assert_int_equal(top[NAME], CUSTOMER);
    assert_int_equal(top[ORDER], CUSTOMER);
    assert_int_equal(top[SHRUNK], CUSTOMER);
}

static void what_grew_out_of_proportion_or_the_other_way_is_told_of_itself(void **state)
{
    uint32_t top[ROWS];
    compare((uint64_t[]){ 1, 10, 10, 40, 40 }, (uint64_t[]){ 1, 11, 11, 5040, 20 }, top);
    assert_int_equal(top[CUSTOMER], CUSTOMER);
    assert_int_equal(top[NAME], CUSTOMER);
    assert_int_equal(top[ORDER], ORDER);
    assert_int_equal(top[SHRUNK], SHRUNK);
}

static void what_is_new_or_gone_is_so_with_all_below_it(void **state)
{
    uint32_t top[ROWS];
    compare((uint64_t[]){ 1, 0, 0, 0, 0 }, (uint64_t[]){ 1, 1, 1, 5000, 5000 }, top);
    assert_int_equal(top[SHRUNK], CUSTOMER);
    compare((uint64_t[]){ 1, 1, 1, 5000, 0 }, (uint64_t[]){ 1, 0, 0, 0, 0 }, top);
    assert_int_equal(top[ORDER], CUSTOMER);
    assert_int_equal(top[SHRUNK], CUSTOMER);
}

static void what_is_the_same_is_not_told_of(void **state)
{
    uint32_t top[ROWS];
    compare((uint64_t[]){ 1, 10, 10, 40, 40 }, (uint64_t[]){ 1, 10, 10, 40, 40 }, top);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(top[i], LG_NO_ROW);
}

// ---- trends ----

static struct lg_trend trend(const uint64_t *counts, size_t points, uint64_t bytes)
{
    double at[2000];
    uint64_t sizes[2000];
    struct lg_trend ret;
    for (size_t i = 0; i < points; i++) {
        at[i] = (double)i * 0.5;
        sizes[i] = counts[i] * bytes;
    }
    assert_ok(lg_trend_find(at, counts, sizes, points, &ret));
    return ret;
}

static void steady_growth_is_told_with_its_rate(void **state)
{
    struct lg_trend t = trend((uint64_t[]){ 100, 150, 200 }, 3, 24);
    assert_true(t.grows && t.up == 1 && t.steady == 1);
    assert_true(t.count_rate == 100 && t.size_rate == 2400); // A step is half a unit.
    assert_true(t.confidence == 0.75);                       // Chance would do the same once in four.
    t = trend((uint64_t[]){ 0, 10, 20, 30, 40, 50, 60, 70, 80, 90 }, 10, 1);
    assert_true(t.confidence == 0.99);
}

static void a_few_wild_points_do_not_move_the_rate(void **state)
{
    struct lg_trend t = trend((uint64_t[]){ 0, 10, 20, 30, 5000, 50, 60, 70, 80, 90, 100 }, 11, 1);
    assert_true(t.grows && t.count_rate == 20);
    assert_true(t.confidence < 0.5);
}

static void two_points_noise_and_what_fills_up_do_not_grow(void **state)
{
    assert_false(trend((uint64_t[]){ 1, 1000 }, 2, 24).grows);
    assert_false(trend((uint64_t[]){ 100, 150, 140 }, 3, 24).grows);
    assert_false(trend((uint64_t[]){ 100, 101, 102, 103 }, 4, 24).grows);     // One object.
    assert_false(trend((uint64_t[]){ 100000, 100050, 100100 }, 3, 24).grows); // 0.05 %
    assert_false(trend((uint64_t[]){ 0, 50, 100, 100, 100, 100, 100 }, 7, 24).grows);
    assert_false(trend((uint64_t[]){ 5, 90, 7, 80, 6, 95, 5, 99 }, 8, 24).grows);
    assert_false(trend((uint64_t[]){ 90, 60, 30 }, 3, 24).grows);
    assert_false(trend((uint64_t[]){ 7 }, 1, 24).grows);
}

static void one_big_object_a_step_grows(void **state)
{
    assert_true(trend((uint64_t[]){ 10, 11, 12, 13 }, 4, 1 << 20).grows);
}

static void what_is_slow_is_not_lost_in_a_long_series(void **state)
{
    uint64_t counts[1999];
    for (size_t i = 0; i < 1999; i++)
        counts[i] = 100000 + i * 3;
    struct lg_trend t = trend(counts, 1999, 8);
    assert_true(t.grows && t.count_rate == 6 && t.size_rate == 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_by_their_names_and_are_0_where_they_are_not),
        cmocka_unit_test(an_assembly_that_is_unknown_is_any_and_two_known_ones_are_two),
        cmocka_unit_test(what_hangs_below_goes_with_what_grew),
        cmocka_unit_test(what_grew_out_of_proportion_or_the_other_way_is_told_of_itself),
        cmocka_unit_test(what_is_new_or_gone_is_so_with_all_below_it),
        cmocka_unit_test(what_is_the_same_is_not_told_of),
        cmocka_unit_test(steady_growth_is_told_with_its_rate),
        cmocka_unit_test(a_few_wild_points_do_not_move_the_rate),
        cmocka_unit_test(two_points_noise_and_what_fills_up_do_not_grow),
        cmocka_unit_test(one_big_object_a_step_grows),
        cmocka_unit_test(what_is_slow_is_not_lost_in_a_long_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
