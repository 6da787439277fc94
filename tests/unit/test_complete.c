#include "test.h"

#include <string.h>

#include "cli/complete.h"
#include "cli/nearest.h"

// What Tab offers at the end of `line`, joined by blanks; a '|' in front of the word that it replaces.
static void assert_completes(const char *line, const char *expected)
{
    _cleanup_(lg_session_freep) struct lg_session *session = lg_session_new();
    _cleanup_(lg_completions_deinit) struct lg_completions completions;
    char actual[512] = "";
    lg_complete(session, line, strlen(line), &completions);
    snprintf(actual, sizeof(actual), "%.*s|", (int)completions.start, line);
    for (size_t i = 0; i < completions.at.len; i++) {
        strncat(actual, i > 0 ? " " : "", sizeof(actual) - strlen(actual) - 1);
        strncat(actual, completions.at.at[i], sizeof(actual) - strlen(actual) - 1);
    }
    assert_string_equal(actual, expected);
}

static void commands_are_completed_first(void **state)
{
    assert_completes("dumph", "|dumpheap");
    assert_completes("  dumph", "  |dumpheap");
    assert_completes("ex", "|exit");
    assert_completes("zz", "|");
    assert_completes("help dumph", "help |dumpheap");
    assert_completes("help dumpheap dumph", "help dumpheap |");
}

static void options_follow_their_command(void **state)
{
    assert_completes("refresh -", "refresh |-dac -gc -help -json -o -tsv");
    assert_completes("refresh --j", "refresh |--json");
    assert_completes("help -t", "help |-tsv");
    assert_completes("open -", "open |-c -dac -gc -help -json -max-cow -max-pause -o -sysroot -tsv");
    assert_completes("nonsense -", "nonsense |");
    assert_completes("dumpheap 'a -st", "dumpheap |");
    assert_completes("dumpheap 'a b' -sta", "dumpheap 'a b' |-stat");
}

static void values_are_not_options(void **state)
{
    assert_completes("open x -o -", "open x -o |");
    assert_completes("dumpheap -type ", "dumpheap -type |"); // No target, no types.
    assert_completes("open x -c=y -",
                     "open x -c=y |-c -dac -gc -help -json -max-cow -max-pause -o -sysroot -tsv");
}

static void the_common_prefix_is_that_of_all(void **state)
{
    _cleanup_(lg_completions_deinit) struct lg_completions completions;
    lg_complete(NULL, "dumpobj -", 9, &completions);
    assert_int_equal(lg_completions_prefix(&completions), 1);
    lg_completions_deinit(&completions);
    lg_complete(NULL, "zz", 2, &completions);
    assert_int_equal(lg_completions_prefix(&completions), 0);
}

static const char *nearest(const char *wanted)
{
    const char *names[] = { "dumpheap", "dumpobj", "eeheap", "gcroot", "help", "ps" };
    struct lg_nearest search = lg_nearest(wanted);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        lg_nearest_offer(&search, names[i]);
    return search.name ? search.name : "";
}

static void the_nearest_name_is_one_edit_in_three_letters_away(void **state)
{
    assert_string_equal(nearest("dumphaep"), "dumpheap");
    assert_string_equal(nearest("dumphep"), "dumpheap");
    assert_string_equal(nearest("DumpHeap"), "dumpheap");
    assert_string_equal(nearest("gcrot"), "gcroot");
    assert_string_equal(nearest("sp"), "ps");
    assert_string_equal(nearest("xy"), "");
    assert_string_equal(nearest(""), "");
    assert_string_equal(nearest("a word that is much too long to be a typing mistake"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_completed_first),
        cmocka_unit_test(options_follow_their_command),
        cmocka_unit_test(values_are_not_options),
        cmocka_unit_test(the_common_prefix_is_that_of_all),
        cmocka_unit_test(the_nearest_name_is_one_edit_in_three_letters_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
