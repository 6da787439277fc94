#include "test.h"

#include <string.h>

#include "cli/command.h"
#include "cli/words.h"

static const struct lg_option options[] = {
    { "stat", LG_OPT_FLAG, NULL, "" },           { "type", LG_OPT_TEXT, "TEXT", "" },
    { "mt", LG_OPT_ADDRESS, "ADDRESS", "" },     { "min", LG_OPT_SIZE, "SIZE", "" },
    { "top", LG_OPT_NUMBER, "N", "" },           { "for", LG_OPT_DURATION, "TIME", "" },
    { "watch", LG_OPT_NUMBER, "[SECONDS]", "" }, { 0 },
};
static const struct lg_command command = { .name = "dumpheap",
                                           .usage = "[START [END]]",
                                           .options = options };

// Parses a line; what is returned belongs to the caller, and lives as long as `*words`.
static struct lg_error *parse(const char *line, struct lg_words *words, struct lg_args **ret)
{
    struct lg_error *err = lg_words_split(line, words);
    return err ? err : lg_args_parse(&command, (int)words->at.len, words->at.at, ret);
}

static void assert_usage_error(const char *line, const char *message)
{
    _cleanup_(lg_words_deinit) struct lg_words words;
    _cleanup_(lg_args_freep) struct lg_args *args = NULL;
    assert_error(parse(line, &words, &args), LG_ERR_USAGE, message);
    assert_null(args);
}

static void assert_number(const char *line, const char *option, uint64_t expected)
{
    _cleanup_(lg_words_deinit) struct lg_words words;
    _cleanup_(lg_args_freep) struct lg_args *args = NULL;
    assert_ok(parse(line, &words, &args));
    assert_int_equal(lg_args_number(args, option, 0), expected);
}

static void one_dash_and_two_are_the_same(void **state)
{
    const char *lines[] = { "-stat -type Order 7f00", "--stat --type=Order 7f00",
                            "7f00 -type Order --stat", "-type Wrong -stat -type=Order -- 7f00" };
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        _cleanup_(lg_words_deinit) struct lg_words words;
        _cleanup_(lg_args_freep) struct lg_args *args = NULL;
        assert_ok(parse(lines[i], &words, &args));
        assert_true(lg_args_has(args, "stat"));
        assert_false(lg_args_has(args, "json"));
        assert_string_equal(lg_args_text(args, "type"), "Order");
        assert_null(lg_args_text(args, "o"));
        assert_int_equal(lg_args_count(args), 1);
        assert_string_equal(lg_args_at(args, 0), "7f00");
    }
}

static void sizes_have_units_and_hex(void **state)
{
    assert_number("-min 4096", "min", 4096);
    assert_number("-min 0x1000", "min", 4096);
    assert_number("-min 4k", "min", 4096);
    assert_number("-min=1M", "min", 1 << 20);
    assert_number("-min 2g", "min", UINT64_C(2) << 30);
    assert_number("-min 0", "min", 0);
    assert_number("-for 60s", "for", 60000);
    assert_number("-for 60", "for", 60000);
    assert_number("-for 250ms", "for", 250);
    assert_number("-for 10m", "for", 600000);
    assert_number("-for=2h", "for", 7200000);
    assert_usage_error("-for 1d", "option '-for': '1d' is no duration (500ms, 30s, 10m, 1h)");
    assert_usage_error("-for s", "option '-for': 's' is no duration (500ms, 30s, 10m, 1h)");
    assert_usage_error("-for 5124095576030432h",
                       "option '-for': '5124095576030432h' is no duration (500ms, 30s, 10m, 1h)");
    assert_number("-min 18446744073709551615", "min", UINT64_MAX);
    assert_usage_error("-min 18446744073709551616",
                       "option '-min': '18446744073709551616' is no size (4096, 0x1000, 4k, 1m, 2g)");
    assert_usage_error("-min 16777216t",
                       "option '-min': '16777216t' is no size (4096, 0x1000, 4k, 1m, 2g)");
    assert_usage_error("-min k", "option '-min': 'k' is no size (4096, 0x1000, 4k, 1m, 2g)");
    assert_usage_error("-min ''", "option '-min': '' is no size (4096, 0x1000, 4k, 1m, 2g)");
    assert_usage_error("-top 1k", "option '-top': '1k' is no number");
}

static void addresses_are_hex_with_one_backtick(void **state)
{
    assert_number("-mt 7f0f5a4100f8", "mt", 0x7f0f5a4100f8);
    assert_number("-mt 0x7F0F5A4100F8", "mt", 0x7f0f5a4100f8);
    assert_number("-mt 00007f0f`5a4100f8", "mt", 0x7f0f5a4100f8);
    assert_number("-mt 0", "mt", 0);
    const char *bad[] = { "7f`0f`5a", "`7f", "zz", "0x", "7f-", "12345678901234567", "7@" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char line[64], message[128];
        snprintf(line, sizeof(line), "-mt '%s'", bad[i]);
        snprintf(message, sizeof(message), "option '-mt': '%s' is no address (hex, as in 7f0f5a4100f8)",
                 bad[i]);
        assert_usage_error(line, message);
    }
}

static void mistakes_are_named_and_the_nearest_is_offered(void **state)
{
    assert_usage_error("-stta", "unknown option '-stta'; did you mean '-stat'?");
    assert_usage_error("--tpye=x", "unknown option '--tpye'; did you mean '--type'?");
    assert_usage_error("-jsn", "unknown option '-jsn'; did you mean '-json'?");
    assert_usage_error("-xyzzy", "unknown option '-xyzzy'; 'help dumpheap' lists them");
    assert_usage_error("-type", "option '-type' needs a value: -type TEXT");
    assert_usage_error("-stat=1", "option '-stat' takes no value");
    assert_usage_error("'a", "a quote (') is not closed");
}

static void positional_words_are_counted_and_read(void **state)
{
    _cleanup_(lg_words_deinit) struct lg_words words;
    _cleanup_(lg_args_freep) struct lg_args *args = NULL;
    uint64_t address;
    assert_ok(parse("1234 7f00 zz -", &words, &args));
    assert_string_equal(lg_args_take(args), "1234");
    assert_ok(lg_args_address(args, 0, &address));
    assert_int_equal(address, 0x7f00);
    assert_error(lg_args_address(args, 1, &address), LG_ERR_USAGE, "'zz' is no address");
    assert_error(lg_args_address(args, 3, &address), LG_ERR_USAGE,
                 "expected an address: dumpheap [START [END]]");
    assert_error(lg_args_expect(args, 0, 2), LG_ERR_USAGE,
                 "'-' is one argument too many; expected dumpheap [START [END]]");
    assert_error(lg_args_expect(args, 4, 4), LG_ERR_USAGE,
                 "too few arguments; expected dumpheap [START [END]]");
    assert_ok(lg_args_expect(args, 3, 3));
}

static void words_are_split_as_a_shell_does(void **state)
{
    const char *expected[] = { "dumpheap", "-type", "My App", "a b\"c", "d'\\", "", "e f" };
    _cleanup_(lg_words_deinit) struct lg_words words;
    assert_ok(lg_words_split("  dumpheap\t-type 'My App' \"a b\\\"c\" d\\''\\' '' e\\ f \n", &words));
    assert_int_equal(words.at.len, sizeof(expected) / sizeof(*expected));
    for (size_t i = 0; i < words.at.len; i++)
        assert_string_equal(words.at.at[i], expected[i]);
}

static void commands_are_found_by_name_and_alias_and_nearness(void **state)
{
    assert_string_equal(lg_command_find("exit")->name, "quit");
    assert_null(lg_command_find("Help"));
    assert_string_equal(lg_command_nearest("hepl"), "help");
    assert_null(lg_command_nearest("xyzzy"));
    assert_error(lg_command_unknown("opne"), LG_ERR_USAGE, "no command 'opne'; did you mean 'open'?");
    assert_error(lg_command_unknown("xyzzy"), LG_ERR_USAGE, "no command 'xyzzy'; 'help' lists them");
}

static void a_value_in_brackets_may_be_left_out(void **state)
{
    static const struct {
        const char *line, *text;
        size_t words;
    } cases[] = { { "-watch 5 App", "5", 1 }, { "-watch App", NULL, 1 },   { "-watch", NULL, 0 },
                  { "-watch=7 5", "7", 1 },   { "-watch -stat", NULL, 0 }, { "5 -watch", NULL, 1 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _cleanup_(lg_words_deinit) struct lg_words words;
        _cleanup_(lg_args_freep) struct lg_args *args = NULL;
        assert_ok(parse(cases[i].line, &words, &args));
        assert_true(lg_args_has(args, "watch"));
        assert_int_equal(lg_args_count(args), cases[i].words);
        const char *text = lg_args_text(args, "watch");
        assert_true(text ? cases[i].text && strcmp(text, cases[i].text) == 0 : !cases[i].text);
    }
    assert_usage_error("-watch=soon", "option '-watch': 'soon' is no number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_dash_and_two_are_the_same),
        cmocka_unit_test(sizes_have_units_and_hex),
        cmocka_unit_test(addresses_are_hex_with_one_backtick),
        cmocka_unit_test(mistakes_are_named_and_the_nearest_is_offered),
        cmocka_unit_test(a_value_in_brackets_may_be_left_out),
        cmocka_unit_test(positional_words_are_counted_and_read),
        cmocka_unit_test(words_are_split_as_a_shell_does),
        cmocka_unit_test(commands_are_found_by_name_and_alias_and_nearness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
