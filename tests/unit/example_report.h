// A report with everything in it, for the tests of report.
#ifndef LG_TESTS_UNIT_EXAMPLE_REPORT_H
#define LG_TESTS_UNIT_EXAMPLE_REPORT_H

#include "report/report.h"

static const struct lg_column example_path_columns[] = {
    { "address", "", LG_CELL_ADDRESS },
    { "field", "", LG_CELL_TEXT },
};
static const struct lg_table_spec example_path_spec = LG_TABLE_SPEC("path", example_path_columns, 0);

static const struct lg_column example_root_columns[] = {
    { "slot", "Slot", LG_CELL_ADDRESS },
    { "name", "Name", LG_CELL_TEXT },
    { "conservative", "", LG_CELL_BOOL, .flags = LG_COL_JSON_ONLY },
    { "path", "", LG_CELL_TABLE },
};
static const struct lg_table_spec example_roots_spec =
    LG_TABLE_SPEC("roots", example_root_columns, LG_TABLE_HIDDEN);

static const struct lg_column example_type_columns[] = {
    { "mt", "MT", LG_CELL_ADDRESS },
    { "count", "Count", LG_CELL_COUNT, .flags = LG_COL_COMMAS },
    { "size", "TotalSize", LG_CELL_BYTES, .flags = LG_COL_COMMAS },
    { "share", "Share", LG_CELL_REAL, .flags = LG_COL_JSON_ONLY },
    { "type", "Class Name", LG_CELL_TEXT, -1 },
};
static const struct lg_table_spec example_types_spec =
    LG_TABLE_SPEC("types", example_type_columns, LG_TABLE_MAIN);

static inline void example_type(struct lg_table *table, uint64_t mt, uint64_t count, uint64_t size,
                                const char *name)
{
    lg_cell_number(table, mt);
    lg_cell_number(table, count);
    lg_cell_number(table, size);
    lg_cell_null(table);
    lg_cell_text(table, name);
}

static inline void example_roots(struct lg_report *report)
{
    struct lg_table *roots = lg_report_table(report, &example_roots_spec);
    lg_cell_number(roots, 0x7f10c0a013e8);
    lg_cell_name(roots, "App.Cache.s_all");
    lg_cell_bool(roots, true);
    struct lg_table *path = lg_cell_table(roots, &example_path_spec);
    lg_cell_number(path, 0x7f0f5a4100f8);
    lg_cell_text(path, "_items");
    lg_cell_number(path, 0x7f0f5a410110);
    lg_cell_null(path);
}

static inline struct lg_report *example_report(void)
{
    struct lg_report *report = lg_report_new("example");
    if (!report)
        return NULL;
    lg_report_set_target(report, &(struct lg_report_target){ .kind = "process",
                                                             .pid = 1234,
                                                             .runtime = "10.0.12",
                                                             .provider = "contracts",
                                                             .gc = "server",
                                                             .pause_ms = 2.9,
                                                             .cow_bytes = 4096,
                                                             .taken = "2026-11-24T06:00:00.000Z" });
    lg_report_fact_number(report, "total_count", 48204);
    lg_report_fact_number(report, "biggest", UINT64_MAX);
    lg_report_fact_null(report, "unknown");
    lg_report_line(report, "Statistics:");
    struct lg_table *types = lg_report_table(report, &example_types_spec);
    example_type(types, 0x7f10a1b2d000, 3, 96, "MyApp.Order");
    example_type(types, 0x5581c0ffee00, 48201, 3910448, "Free");
    lg_report_line(report, "Total %s objects", "48,204");
    example_roots(report);
    lg_report_incomplete(report, "stacks were not read");
    lg_report_truncated(report, "types", 17);
    return report;
}

#endif
