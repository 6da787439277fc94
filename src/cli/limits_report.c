#include "cli/limits_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct lg_column bound_columns[] = {
    { "name", "BOUND", LG_CELL_TEXT },
    { "", "LIMIT", LG_CELL_TEXT, .flags = LG_COL_RIGHT | LG_COL_TEXT_ONLY },
    { "", "NOW", LG_CELL_TEXT, .flags = LG_COL_RIGHT | LG_COL_TEXT_ONLY },
    { "", "HEADROOM", LG_CELL_TEXT, .flags = LG_COL_RIGHT | LG_COL_TEXT_ONLY },
    { "limit", "", LG_CELL_COUNT, .flags = LG_COL_JSON_ONLY },
    { "current", "", LG_CELL_COUNT, .flags = LG_COL_JSON_ONLY },
    { "headroom", "", LG_CELL_COUNT, .flags = LG_COL_JSON_ONLY },
    { "unit", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY },
    { "unlimited", "", LG_CELL_BOOL, .flags = LG_COL_JSON_ONLY },
    { "where", "SET BY", LG_CELL_TEXT },
    { "effect", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY },
    { "problem", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY },
};
static const struct lg_column setting_columns[] = {
    { "name", "SETTING", LG_CELL_TEXT },
    { "", "VALUE", LG_CELL_TEXT, .flags = LG_COL_RIGHT | LG_COL_TEXT_ONLY },
    { "", "FROM", LG_CELL_TEXT, .flags = LG_COL_TEXT_ONLY },
    { "value", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY },
    { "source", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY },
    { "from", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY },
    { "bytes", "", LG_CELL_BYTES, .flags = LG_COL_JSON_ONLY },
    { "effect", "EFFECT", LG_CELL_TEXT },
    { "differs", "", LG_CELL_TEXT, .flags = LG_COL_JSON_ONLY },
};
static const struct lg_table_spec setting_spec =
    LG_TABLE_SPEC("settings", setting_columns, LG_TABLE_WIDE);
static const struct lg_table_spec no_setting_spec =
    LG_TABLE_SPEC("settings", setting_columns, LG_TABLE_HIDDEN);
static const struct lg_table_spec bound_spec =
    LG_TABLE_SPEC("bounds", bound_columns, LG_TABLE_WIDE | LG_TABLE_MAIN);
static const struct lg_table_spec no_bound_spec =
    LG_TABLE_SPEC("bounds", bound_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

// ---- bounds ----

static const char *amount_text(char buf[LG_SIZE_TEXT], struct lg_amount amount, bool bytes)
{
    if (amount.kind != LG_KNOWN)
        return amount.kind == LG_UNLIMITED ? "unlimited" : NULL;
    if (bytes)
        return lg_size_text(buf, amount.value);
    snprintf(buf, LG_SIZE_TEXT, "%" PRIu64, amount.value);
    return buf;
}

static void add_bound(struct lg_table *table, const struct lg_bound *bound)
{
    char buf[LG_SIZE_TEXT];
    bool bytes = bound->flags & LG_BOUND_BYTES;
    struct lg_amount headroom = lg_bound_headroom(bound);
    lg_cell_text(table, bound->name);
    lg_cell_text(table, amount_text(buf, bound->limit, bytes));
    lg_cell_text(table, amount_text(buf, bound->current, bytes));
    lg_cell_text(table, headroom.kind == LG_KNOWN ? amount_text(buf, headroom, bytes) : NULL);
    lg_cell_number_if(table, bound->limit.kind == LG_KNOWN, bound->limit.value);
    lg_cell_number_if(table, bound->current.kind == LG_KNOWN, bound->current.value);
    lg_cell_number_if(table, headroom.kind == LG_KNOWN, headroom.value);
    lg_cell_text(table, bytes ? "bytes" : "count");
    if (bound->limit.kind == LG_UNKNOWN)
        lg_cell_null(table);
    else
        lg_cell_bool(table, bound->limit.kind == LG_UNLIMITED);
    lg_cell_text(table, bound->where);
    lg_cell_text(table, bound->effect);
    lg_cell_text(table, bound->problem);
}

static void add_bounds(struct lg_report *report, const struct lg_limits *limits)
{
    bool any = limits->bounds.len > 0;
    struct lg_table *table = lg_report_table(report, any ? &bound_spec : &no_bound_spec);
    for (size_t i = 0; i < limits->bounds.len; i++)
        add_bound(table, &limits->bounds.at[i]);
    // A limit of cores is not used up: that is no gap.
    for (size_t i = 0; i < limits->bounds.len; i++) {
        const struct lg_bound *bound = &limits->bounds.at[i];
        if (bound->problem && !(bound->flags & LG_BOUND_ADVICE))
            lg_report_incomplete(report, "%s: %s", bound->name, bound->problem);
    }
}

// ---- settings ----

static void add_setting(struct lg_table *table, const struct lg_setting *setting)
{
    char buf[LG_SIZE_TEXT];
    bool is_size = setting->bytes.kind == LG_KNOWN && setting->value
                   && strtoull(setting->value, NULL, 10) == setting->bytes.value
                   && setting->bytes.value % 1024 == 0 && setting->bytes.value > 0;
    const char *source = lg_source_name(setting->source);
    lg_cell_text(table, setting->name);
    lg_cell_text(table, is_size ? lg_size_text(buf, setting->bytes.value) : setting->value);
    lg_cell_text(table, setting->from && setting->source != LG_SOURCE_MEMORY ? setting->from : source);
    lg_cell_text(table, setting->value);
    lg_cell_text(table, source);
    lg_cell_text(table, setting->from);
    lg_cell_number_if(table, setting->bytes.kind == LG_KNOWN, setting->bytes.value);
    lg_cell_text(table, setting->effect);
    lg_cell_text(table, setting->differs);
}

static void add_settings(struct lg_report *report, const struct lg_limits *limits)
{
    bool any = limits->settings.len > 0, first = true;
    if (any)
        lg_report_line(report, "%s", "");
    struct lg_table *table = lg_report_table(report, any ? &setting_spec : &no_setting_spec);
    for (size_t i = 0; i < limits->settings.len; i++)
        add_setting(table, &limits->settings.at[i]);
    for (size_t i = 0; i < limits->settings.len; i++) {
        const struct lg_setting *setting = &limits->settings.at[i];
        if (!setting->differs)
            continue;
        if (first)
            lg_report_line(report, "%s", "");
        first = false;
        lg_report_line(report, "%s: %s.", setting->name, setting->differs);
    }
}

// ---- sentences ----

static void describe(char *buf, size_t size, const struct lg_bound *bound)
{
    char headroom[LG_SIZE_TEXT], limit[LG_SIZE_TEXT];
    bool bytes = bound->flags & LG_BOUND_BYTES;
    unsigned percent = bound->limit.value
                           ? (unsigned)((double)bound->current.value * 100 / (double)bound->limit.value)
                           : 100;
    snprintf(buf, size, "%s of %s, %u %% of %s used; at the limit: %s.",
             amount_text(headroom, lg_bound_headroom(bound), bytes), bound->name, percent,
             amount_text(limit, bound->limit, bytes), bound->effect);
}

static void add_nearest(struct lg_report *report, const struct lg_limits *limits)
{
    char text[512];
    const struct lg_bound *nearest = lg_limits_nearest(limits);
    const struct lg_bound *count = lg_limits_nearest_count(limits);
    lg_report_fact_text(report, "nearest", nearest ? nearest->name : NULL);
    if (nearest)
        lg_report_fact_number(report, "nearest_headroom", lg_bound_headroom(nearest).value);
    else
        lg_report_fact_null(report, "nearest_headroom");
    lg_report_fact_text(report, "nearest_count", count ? count->name : NULL);
    if (!nearest && !count)
        return;
    lg_report_line(report, "%s", "");
    if (nearest) {
        describe(text, sizeof(text), nearest);
        lg_report_line(report, "Smallest headroom: %s", text);
    }
    if (count) {
        describe(text, sizeof(text), count);
        lg_report_line(report, "Of what is counted: %s", text);
    }
}

static void fact(struct lg_report *report, const char *key, struct lg_amount amount)
{
    if (amount.kind == LG_UNKNOWN)
        lg_report_fact_null(report, key);
    else
        lg_report_fact_number(report, key, amount.value); // 0: none
}

// There is no least size of a heap; what comes nearest is said, and what it is not.
static void add_advice(struct lg_report *report, const struct lg_limits *limits)
{
    char size[LG_SIZE_TEXT];
    if (limits->settings.len == 0)
        return;
    lg_report_line(report, "%s", "");
    if (limits->hard_limit.kind == LG_KNOWN)
        lg_report_line(report, "Maximum of the managed heap: %s.",
                       lg_size_text(size, limits->hard_limit.value));
    else if (limits->hard_limit.kind == LG_UNLIMITED)
        lg_report_line(report, "Maximum of the managed heap: none.");
    else
        lg_report_line(report, "Maximum of the managed heap: unknown.");
    lg_report_line(report,
                   "  To set one: DOTNET_GCHeapHardLimit=0x20000000 (hexadecimal; 512 MiB) in the "
                   "environment, or");
    lg_report_line(report,
                   "  \"System.GC.HeapHardLimit\": 536870912 in runtimeconfig.json; as a part of "
                   "the memory, ...Percent.");
    lg_report_line(report, "Minimum of the managed heap: the GC has no such setting.");
    lg_report_line(
        report, "  Nearest to it: DOTNET_GCgen0size=0x4000000 (hexadecimal; 64 MiB; environment only), "
                "the least that is");
    lg_report_line(
        report, "  allocated on a heap before it is collected; DOTNET_GCRetainVM=1 keeps what was free "
                "once.");
}

struct lg_report *lg_limits_report(const struct lg_limits *limits)
{
    struct lg_report *report = lg_report_new("limits");
    if (!report)
        return NULL;
    fact(report, "hard_limit", limits->hard_limit);
    fact(report, "total_available", limits->total_available);
    fact(report, "high_memory", limits->high_memory);
    add_bounds(report, limits);
    add_settings(report, limits);
    if (limits->bounds.len == 0 && limits->settings.len == 0)
        lg_report_line(report, "Neither bounds nor settings are known.");
    add_nearest(report, limits);
    add_advice(report, limits);
    for (size_t i = 0; i < limits->notes.len; i++)
        lg_report_incomplete(report, "%s", limits->notes.at[i]);
    return report;
}
