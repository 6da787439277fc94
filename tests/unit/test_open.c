#include "test.h"

#include <string.h>

#include "target/target.h"

static const struct lg_target_options none;

static void digits_are_a_pid(void **state)
{
    struct lg_target *target = NULL;
    assert_error(lg_target_open("0", &none, &target), LG_ERR_USAGE, "'0' is no PID");
    assert_error(lg_target_open("99999999999", &none, &target), LG_ERR_USAGE, "'99999999999' is no PID");
    struct lg_error *err = lg_target_open("2147483647", &none, &target);
    assert_non_null(err);
    assert_non_null(strstr(lg_error_message(err), "2147483647"));
    lg_error_free(err);
}

static void what_has_a_slash_is_a_file(void **state)
{
    struct lg_target *target = NULL;
    assert_error(lg_target_open("./nowhere", &none, &target), LG_ERR_OS,
                 "open './nowhere': No such file or directory");
    assert_ok(lg_target_open(EXAMPLE_CORE, &none, &target));
    assert_int_equal(target->kind, LG_TARGET_CORE);
    lg_target_free(target);
}

static void a_name_of_nothing_says_what_was_tried(void **state)
{
    struct lg_target *target = NULL;
    struct lg_error *err = lg_target_open("no such thing", &none, &target);
    assert_non_null(err);
    assert_int_equal(lg_error_kind(err), LG_ERR_NOT_FOUND);
    assert_non_null(strstr(lg_error_message(err), "'no such thing' is no PID, no file, and no name"));
    lg_error_free(err);
    assert_error(lg_target_open("", &none, &target), LG_ERR_USAGE,
                 "a target is a PID, the name of a process, or a core file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_are_a_pid),
        cmocka_unit_test(what_has_a_slash_is_a_file),
        cmocka_unit_test(a_name_of_nothing_says_what_was_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
