#include "test.h"

#include <math.h>

#include "cli/growth.h"

// Adds a reading of process 1, started at tick `start`, and returns the growth of its first value.
static double add(struct lg_growth *growth, int64_t start, double seconds, int64_t value)
{
    const struct lg_growth_reading reading = { seconds, { value, value >= 0 ? value * 2 : value } };
    double per_minute[LG_GROWTH_VALUES];
    lg_growth_add(growth, 1, start, &reading, per_minute);
    if (!isnan(per_minute[0]))
        assert_true(per_minute[1] == per_minute[0] * 2);
    return per_minute[0];
}

static void growth_is_that_of_the_last_minute(void **state)
{
    struct lg_growth *growth = lg_growth_new();
    assert_true(isnan(add(growth, 7, 0, 1000)));
    for (int t = 1; t <= 60; t++)
        assert_true(add(growth, 7, t, 1000 + t * 10) == 600);
    for (int t = 61; t < 120; t++)
        add(growth, 7, t, 1600);
    assert_true(add(growth, 7, 120, 1600) == 0);
    assert_true(add(growth, 7, 121, 1000) == -600 / 1.0);
    lg_growth_free(growth);
}

static void readings_further_apart_than_a_minute_are_compared_with_the_one_before(void **state)
{
    struct lg_growth *growth = lg_growth_new();
    add(growth, 7, 0, 1000);
    assert_true(add(growth, 7, 600, 2000) == 100);
    assert_true(add(growth, 7, 1200, 4000) == 200);
    lg_growth_free(growth);
}

static void what_is_unknown_is_passed_over(void **state)
{
    struct lg_growth *growth = lg_growth_new();
    assert_true(isnan(add(growth, 7, 0, -1)));
    assert_true(isnan(add(growth, 7, 1, 100)));
    assert_true(isnan(add(growth, 7, 2, -1)));
    assert_true(add(growth, 7, 31, 150) == 100);
    lg_growth_free(growth);
}

static void a_pid_that_is_given_anew_begins_anew(void **state)
{
    struct lg_growth *growth = lg_growth_new();
    add(growth, 7, 0, 1000);
    assert_true(isnan(add(growth, 8, 10, 100)));
    lg_growth_forget(growth, 5);
    assert_true(isnan(add(growth, 7, 20, 1000)));
    assert_true(add(growth, 8, 40, 100) == 0);
    lg_growth_free(growth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growth_is_that_of_the_last_minute),
        cmocka_unit_test(readings_further_apart_than_a_minute_are_compared_with_the_one_before),
        cmocka_unit_test(what_is_unknown_is_passed_over),
        cmocka_unit_test(a_pid_that_is_given_anew_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
