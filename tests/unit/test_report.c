#include "test.h"

#include <stdio.h>
#include <string.h>

#include "example_report.h"

typedef void renderer(const struct lg_report *report, FILE *out);

static void json(const struct lg_report *report, FILE *out)
{
    lg_report_write_json(report, false, out);
}
static void pretty_json(const struct lg_report *report, FILE *out)
{
    lg_report_write_json(report, true, out);
}

static void assert_rendered(const struct lg_report *report, renderer *render, const char *expected)
{
    _cleanup_free_ char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_false(lg_report_failed(report));
    render(report, out);
    fclose(out);
    assert_string_equal(text, expected);
}

static void text_has_lines_and_tables_as_sos_lays_them_out(void **state)
{
    _cleanup_(lg_report_freep) struct lg_report *report = example_report();
    assert_rendered(report, lg_report_write_text,
                    "Statistics:\n"
                    "          MT  Count TotalSize Class Name\n"
                    "7f10a1b2d000      3        96 MyApp.Order\n"
                    "5581c0ffee00 48,201 3,910,448 Free\n"
                    "Total 48,204 objects\n");
    assert_int_equal(lg_report_text_lines(report), 5);
    assert_rendered(report, lg_report_write_notes, "note: stacks were not read\n");
}

static void json_begins_with_what_every_report_has(void **state)
{
    _cleanup_(lg_report_freep) struct lg_report *report = example_report();
    assert_rendered(
        report, json,
        "{\"schema\":1,\"report\":\"example\","
        "\"target\":{\"kind\":\"process\",\"pid\":1234,\"runtime\":\"10.0.12\",\"provider\":"
        "\"contracts\","
        "\"gc\":\"server\",\"pause_ms\":2.9,\"cow_bytes\":4096,\"taken\":\"2026-11-24T06:00:00.000Z\"},"
        "\"incomplete\":[\"stacks were not read\"],"
        "\"total_count\":48204,\"biggest\":\"18446744073709551615\",\"unknown\":null,"
        "\"types\":[{\"mt\":\"0x7f10a1b2d000\",\"count\":3,\"size\":96,\"share\":null,"
        "\"type\":\"MyApp.Order\"},{\"mt\":\"0x5581c0ffee00\",\"count\":48201,\"size\":3910448,"
        "\"share\":null,\"type\":\"Free\"}],"
        "\"roots\":[{\"slot\":\"0x7f10c0a013e8\",\"name\":\"App.Cache.s_all\",\"conservative\":true,"
        "\"path\":[{\"address\":\"0x7f0f5a4100f8\",\"field\":\"_items\"},"
        "{\"address\":\"0x7f0f5a410110\",\"field\":null}]}],"
        "\"truncated\":{\"types\":17}}\n");
}

static void pretty_json_has_a_line_for_every_key_and_row(void **state)
{
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("small");
    example_roots(report);
    assert_rendered(report, pretty_json,
                    "{\n"
                    "  \"schema\": 1,\n"
                    "  \"report\": \"small\",\n"
                    "  \"target\": null,\n"
                    "  \"incomplete\": [],\n"
                    "  \"roots\": [\n"
                    "    {\"slot\": \"0x7f10c0a013e8\", \"name\": \"App.Cache.s_all\", "
                    "\"conservative\": true, \"path\": [\n"
                    "        {\"address\": \"0x7f0f5a4100f8\", \"field\": \"_items\"},\n"
                    "        {\"address\": \"0x7f0f5a410110\", \"field\": null}\n"
                    "      ]}\n"
                    "  ]\n"
                    "}\n");
}

static void tsv_is_the_main_table(void **state)
{
    _cleanup_(lg_report_freep) struct lg_report *report = example_report();
    assert_rendered(report, lg_report_write_tsv,
                    "mt\tcount\tsize\tshare\ttype\n"
                    "0x7f10a1b2d000\t3\t96\t\tMyApp.Order\n"
                    "0x5581c0ffee00\t48201\t3910448\t\tFree\n");
    _cleanup_(lg_report_freep) struct lg_report *facts = lg_report_new("facts");
    lg_report_fact_address(facts, "address", 16);
    lg_report_fact_text(facts, "type", "a\tb");
    lg_report_fact_bool(facts, "dead", false);
    lg_report_fact_real(facts, "share", 0.1);
    assert_rendered(facts, lg_report_write_tsv,
                    "key\tvalue\naddress\t0x10\ntype\ta\\tb\ndead\tfalse\nshare\t0.1\n");
}

static const struct lg_column name_columns[] = { { "name", "Name", LG_CELL_TEXT },
                                                 { "n", "N", LG_CELL_COUNT } };
static const struct lg_table_spec names_spec = LG_TABLE_SPEC("names", name_columns, 0);

static void names_of_the_target_cannot_command_a_terminal(void **state)
{
    // An escape, a newline, no UTF-8, a C1 control, a right-to-left override, a quote and a backslash.
    const char *name = "a\x1b[31m\nb\xff"
                       "c\xc2\x9b"
                       "d\xe2\x80\xae"
                       "e\"\\é";
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("names");
    lg_report_line(report, "%s", name);
    struct lg_table *table = lg_report_table(report, &names_spec);
    lg_cell_text(table, name);
    lg_cell_number(table, 1);
    lg_report_incomplete(report, "%s", "x\ny");
    assert_rendered(report, lg_report_write_text,
                    "a\ufffd[31m\ufffdb\ufffdc\ufffdd\ufffde\"\\é\n"
                    "Name              N\n"
                    "a\ufffd[31m\ufffdb\ufffdc\ufffdd\ufffde\"\\é 1\n");
    assert_rendered(report, lg_report_write_notes, "note: x\ufffdy\n");
    assert_rendered(report, lg_report_write_tsv,
                    "name\tn\na\\u001b[31m\\nb\ufffdc\\u009bd\\u202ee\"\\\\é\t1\n");
    assert_rendered(
        report, json,
        "{\"schema\":1,\"report\":\"names\",\"target\":null,\"incomplete\":[\"x\\u000ay\"],"
        "\"names\":[{\"name\":\"a\\u001b[31m\\u000ab\ufffdc\\u009bd\\u202ee\\\"\\\\é\",\"n\":1}]"
        "}\n");
}

static void wide_characters_take_two_columns(void **state)
{
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("names");
    struct lg_table *table = lg_report_table(report, &names_spec);
    lg_cell_text(table, "注文.注文");
    lg_cell_number(table, 1);
    lg_cell_text(table, "Order");
    lg_cell_null(table);
    assert_rendered(report, lg_report_write_text, "Name      N\n注文.注文 1\nOrder     -\n");
}

static const struct lg_column odd_columns[] = {
    { "upper", "Upper", LG_CELL_ADDRESS, 16, LG_COL_UPPER },
    { "lower", "A title too long", LG_CELL_ADDRESS, 4, LG_COL_LOWER16 },
    { "hex", "Hex", LG_CELL_COUNT, 2, LG_COL_HEX | LG_COL_LEFT },
    { "tail", "Tail", LG_CELL_TEXT, 8, LG_COL_TAIL | LG_COL_RIGHT },
    { "size", "Size", LG_CELL_BYTES, 0, LG_COL_HUMAN },
    { "age", "Age", LG_CELL_REAL, 0, LG_COL_DURATION },
    { "real", "Real", LG_CELL_REAL },
    { "bool", "Bool", LG_CELL_BOOL },
    { "blank", "Blank", LG_CELL_COUNT, 0, LG_COL_BLANK },
};
static const struct lg_table_spec odd_spec = LG_TABLE_SPEC("odd", odd_columns, 0);

static void odd_row(struct lg_table *table, uint64_t n, const char *text, double real)
{
    lg_cell_number(table, n);
    lg_cell_number(table, n);
    lg_cell_number(table, n);
    lg_cell_text(table, text);
    lg_cell_number(table, n);
    lg_cell_real(table, real);
    lg_cell_real(table, real);
    lg_cell_bool(table, n > 255);
    lg_cell_null(table);
}

static void columns_have_the_forms_that_sos_commands_need(void **state)
{
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("odd");
    struct lg_table *table = lg_report_table(report, &odd_spec);
    odd_row(table, 0xabc, "MyApp.Order", 61.25);
    odd_row(table, 255, "Short", 0.0 / 0.0);
    assert_int_equal(lg_table_rows(table), 2);
    assert_rendered(report, lg_report_write_text,
                    "           Upper A title too long Hex     Tail Size   Age Real Bool Blank\n"
                    "0000000000000ABC 0000000000000abc abc ...Order 2.7K 1m01s 61.2  yes\n"
                    "00000000000000FF 00000000000000ff ff    Short 255B     -    -   no\n");
}

static const struct lg_column change_columns[] = {
    { "rate", "Rate", LG_CELL_REAL, 0, LG_COL_HUMAN },
    { "where", "Where", LG_CELL_TEXT, 0, LG_COL_IF_KNOWN },
    { "n", "N", LG_CELL_COUNT },
};
static const struct lg_table_spec change_spec = LG_TABLE_SPEC("changes", change_columns, 0);

static void change_row(struct lg_table *table, double rate, const char *where)
{
    lg_cell_real(table, rate);
    lg_cell_text(table, where);
    lg_cell_number(table, 1);
}

static void changes_have_signs_and_a_column_that_nobody_knows_is_not_shown(void **state)
{
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("changes");
    struct lg_table *table = lg_report_table(report, &change_spec);
    change_row(table, 1500000, NULL);
    change_row(table, -340.0 * 1024, NULL);
    change_row(table, 0.2, NULL);
    change_row(table, 0.0 / 0.0, NULL);
    change_row(table, -1e300, NULL);
    assert_rendered(report, lg_report_write_text,
                    " Rate N\n+1.4M 1\n-340K 1\n    0 1\n    - 1\n-888P 1\n");
    change_row(table, 0, "here");
    assert_rendered(report, lg_report_write_text,
                    " Rate Where N\n+1.4M -     1\n-340K -     1\n    0 -     1\n    - -     1\n"
                    "-888P -     1\n    0 here  1\n");
}

static const struct lg_column short_columns[] = { { "address", "Address", LG_CELL_ADDRESS } };
static const struct lg_table_spec short_spec =
    LG_TABLE_SPEC("objects", short_columns, LG_TABLE_NO_HEADER);

static void a_table_may_have_no_header(void **state)
{
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("short");
    struct lg_table *table = lg_report_table(report, &short_spec);
    lg_cell_number(table, 0x7f0f5a400028);
    lg_cell_number(table, 0x40);
    assert_rendered(report, lg_report_write_text, "7f0f5a400028\n000000000040\n");
    lg_report_line(report, "in blanks  ");
    lg_report_line(report, "%s", "");
    assert_rendered(report, lg_report_write_text, "7f0f5a400028\n000000000040\nin blanks\n\n");
}

static void a_row_longer_than_the_buffer_is_written_whole(void **state)
{
    enum { LONG = 200000 };
    _cleanup_free_ char *name = malloc(LONG + 1), *expected = malloc(LONG + 32);
    memset(name, 'x', LONG);
    name[LONG] = 0;
    snprintf(expected, LONG + 32, "name\tn\n%s\t7\n", name);
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("names");
    struct lg_table *table = lg_report_table(report, &names_spec);
    lg_cell_name(table, name);
    lg_cell_number(table, 7);
    assert_rendered(report, lg_report_write_tsv, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_has_lines_and_tables_as_sos_lays_them_out),
        cmocka_unit_test(json_begins_with_what_every_report_has),
        cmocka_unit_test(pretty_json_has_a_line_for_every_key_and_row),
        cmocka_unit_test(tsv_is_the_main_table),
        cmocka_unit_test(names_of_the_target_cannot_command_a_terminal),
        cmocka_unit_test(wide_characters_take_two_columns),
        cmocka_unit_test(columns_have_the_forms_that_sos_commands_need),
        cmocka_unit_test(changes_have_signs_and_a_column_that_nobody_knows_is_not_shown),
        cmocka_unit_test(a_table_may_have_no_header),
        cmocka_unit_test(a_row_longer_than_the_buffer_is_written_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
