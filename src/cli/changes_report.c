// What changed between pictures, as a report.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analysis/trend.h"
#include "cli/pictures.h"
#include "cli/support.h"
#include "util/error.h"

enum { SHOWN = 8 }; // More pictures than that have no column each in text.

static const struct lg_column target_columns[] = {
    { "kind", "", LG_CELL_TEXT },        { "pid", "", LG_CELL_COUNT },
    { "path", "", LG_CELL_TEXT },        { "runtime", "", LG_CELL_TEXT },
    { "provider", "", LG_CELL_TEXT },    { "taken", "", LG_CELL_TEXT },
    { "pause_ms", "", LG_CELL_REAL },    { "at", "", LG_CELL_REAL },
    { "count", "", LG_CELL_COUNT },      { "size", "", LG_CELL_BYTES },
    { "counts_dead", "", LG_CELL_BOOL }, { "gc_ms", "", LG_CELL_REAL },
    { "gc_pause_ms", "", LG_CELL_REAL }, { "gc_before", "", LG_CELL_BYTES },
    { "gc_after", "", LG_CELL_BYTES },
};
static const struct lg_table_spec target_spec =
    LG_TABLE_SPEC("targets", target_columns, LG_TABLE_HIDDEN);
static const struct lg_column series_columns[] = {
    { "count", "", LG_CELL_COUNT },
    { "size", "", LG_CELL_BYTES },
};
static const struct lg_table_spec series_spec = LG_TABLE_SPEC("series", series_columns, 0);

// ---- columns ----

struct layout {
    const struct lg_pictures *pictures;
    struct lg_report *report;
    bool holders;
    size_t count;  // points of the series
    bool each;     // A column for each of them.
    uint32_t last; // picture
    struct lg_column *columns;
    size_t used;
};

static void add_column(struct layout *layout, struct lg_column column)
{
    layout->columns[layout->used++] = column;
}

static void add_json(struct layout *layout, const char *key, enum lg_cell_kind kind)
{
    add_column(layout, (struct lg_column){ key, "", kind, 0, LG_COL_JSON_ONLY });
}

static void add_numbered(struct layout *layout, size_t k)
{
    char *title = lg_report_alloc(layout->report, 32);
    if (title)
        snprintf(title, 32, "Size %zu", k + 1);
    add_column(layout, (struct lg_column){ "", title ? title : "", LG_CELL_BYTES, 0,
                                           LG_COL_COMMAS | LG_COL_TEXT_ONLY });
}

// What was before and after, in JSON; what changed, in text too.
static void add_ends(struct layout *layout)
{
    add_json(layout, "before_count", LG_CELL_COUNT);
    add_json(layout, "after_count", LG_CELL_COUNT);
    add_json(layout, "before_size", LG_CELL_BYTES);
    add_json(layout, "after_size", LG_CELL_BYTES);
    if (!layout->holders) {
        add_json(layout, "before_retained", LG_CELL_BYTES);
        add_json(layout, "after_retained", LG_CELL_BYTES);
    }
}

static void add_growth(struct layout *layout)
{
    bool by_time = layout->pictures->by_time, series = layout->count > 2;
    unsigned change = LG_COL_COMMAS, rate = series ? LG_COL_COMMAS : LG_COL_JSON_ONLY;
    add_column(layout, (struct lg_column){ "growth_count", "Objects", LG_CELL_REAL, 0, change });
    add_column(layout, (struct lg_column){ "growth_size", "Bytes", LG_CELL_REAL, 0, change });
    if (!layout->holders)
        add_column(layout, (struct lg_column){ "growth_retained", "Retained", LG_CELL_REAL, 0,
                                               change | LG_COL_IF_KNOWN });
    add_json(layout, "grows", LG_CELL_BOOL);
    add_column(layout, (struct lg_column){ "count_rate", by_time ? "Objects/min" : "Objects/step",
                                           LG_CELL_REAL, 0, rate });
    add_column(layout, (struct lg_column){ "size_rate", by_time ? "Bytes/min" : "Bytes/step",
                                           LG_CELL_REAL, 0, rate });
    add_json(layout, "confidence", LG_CELL_REAL);
    add_column(layout,
               (struct lg_column){ "", "Sure", LG_CELL_TEXT, 0,
                                   LG_COL_RIGHT | LG_COL_TEXT_ONLY | LG_COL_IF_KNOWN | LG_COL_BLANK });
}

// Of a collection: what was before, what after, and how much less that is.
static const struct lg_column freed_columns[] = {
    { "before_count", "Before", LG_CELL_COUNT, 0, LG_COL_COMMAS },
    { "before_size", "Bytes", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "after_count", "After", LG_CELL_COUNT, 0, LG_COL_COMMAS },
    { "after_size", "Bytes", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "freed", "Freed", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "type", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "assembly", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "state", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "", "Class Name", LG_CELL_TEXT, -1, LG_COL_TEXT_ONLY },
};
static const struct lg_table_spec freed_spec = LG_TABLE_SPEC("collected", freed_columns, LG_TABLE_MAIN);

static const struct lg_table_spec *lay_out(struct layout *layout, bool main)
{
    enum { MOST = 24 };
    struct lg_table_spec *spec = lg_report_alloc(layout->report, sizeof(*spec));
    layout->columns = lg_report_alloc(layout->report, MOST * sizeof(*layout->columns));
    if (!spec || !layout->columns)
        return NULL;
    if (layout->pictures->is_collection) {
        *spec = freed_spec;
        return spec;
    }
    layout->each = layout->count > 2 && layout->count <= SHOWN && !layout->pictures->is_watch;
    add_ends(layout);
    for (size_t k = 0; k < layout->count && layout->each; k++)
        add_numbered(layout, k);
    add_growth(layout);
    add_json(layout, "type", LG_CELL_TEXT);
    add_json(layout, "assembly", LG_CELL_TEXT);
    if (layout->holders)
        add_json(layout, "name", LG_CELL_TEXT);
    add_json(layout, "state", LG_CELL_TEXT);
    add_column(layout,
               (struct lg_column){ "", layout->holders ? "What, and what holds it" : "Class Name",
                                   LG_CELL_TEXT, -1, LG_COL_TEXT_ONLY });
    if (!layout->pictures->is_watch)
        add_json(layout, "series", LG_CELL_TABLE);
    *spec = (struct lg_table_spec){ layout->holders ? "holders" : "types", layout->columns, layout->used,
                                    main ? LG_TABLE_MAIN : 0 };
    return spec;
}

// ---- rows ----

static const char *state_of(const struct lg_change *change, size_t last)
{
    return !change->counts[0] && change->counts[last]   ? "new"
           : change->counts[0] && !change->counts[last] ? "gone"
                                                        : NULL;
}

static void add_sure(struct lg_table *table, const struct lg_change *change)
{
    char text[16];
    snprintf(text, sizeof(text), "%.0f%%", change->confidence * 100);
    lg_cell_text(table, change->grows ? text : NULL);
}

static void add_label(struct layout *layout, struct lg_table *table, const struct lg_change *change,
                      const char *state)
{
    const struct lg_row *row = change->row;
    _cleanup_free_ char *label = NULL;
    if (asprintf(&label, "%s%s%s%s%s%s", row->type, *row->held ? " <- " : "", row->held,
                 state ? " (" : "", state ? state : "", state ? ")" : "")
        < 0)
        label = NULL;
    lg_cell_text(table, row->type);
    lg_cell_text(table, *row->assembly ? row->assembly : NULL);
    if (layout->holders)
        lg_cell_text(table, row->held);
    lg_cell_name(table, state);
    lg_cell_text(table, label);
}

static void add_series(struct layout *layout, struct lg_table *table, const struct lg_change *change)
{
    struct lg_table *series = lg_cell_table(table, &series_spec);
    for (size_t k = 0; k < layout->count; k++) {
        lg_cell_number(series, change->counts[k]);
        lg_cell_number(series, change->sizes[k]);
    }
}

static void add_freed(struct layout *layout, struct lg_table *table, const struct lg_change *change)
{
    uint64_t before = change->sizes[0], after = change->sizes[1];
    lg_cell_number(table, change->counts[0]);
    lg_cell_number(table, before);
    lg_cell_number(table, change->counts[1]);
    lg_cell_number(table, after);
    lg_cell_number_if(table, before >= after, before - after);
    add_label(layout, table, change, state_of(change, 1));
}

static void add_row(struct layout *layout, struct lg_table *table, const struct lg_change *change)
{
    if (layout->pictures->is_collection) {
        add_freed(layout, table, change);
        return;
    }
    size_t last = layout->count - 1;
    struct lg_amount from = lg_row_at(change->row, 0), to = lg_row_at(change->row, layout->last);
    bool graph = layout->pictures->graph, rated = layout->count > 2;
    lg_cell_number(table, change->counts[0]);
    lg_cell_number(table, change->counts[last]);
    lg_cell_number(table, change->sizes[0]);
    lg_cell_number(table, change->sizes[last]);
    if (!layout->holders) {
        lg_cell_number_if(table, graph, from.retained);
        lg_cell_number_if(table, graph, to.retained);
    }
    for (size_t k = 0; k < layout->count && layout->each; k++)
        lg_cell_number(table, change->sizes[k]);
    lg_cell_real(table, (double)change->counts[last] - (double)change->counts[0]);
    lg_cell_real(table, (double)change->sizes[last] - (double)change->sizes[0]);
    if (!layout->holders)
        lg_cell_real_if(table, graph, (double)to.retained - (double)from.retained);
    if (rated)
        lg_cell_bool(table, change->grows);
    else
        lg_cell_null(table);
    lg_cell_real_if(table, rated, change->count_rate);
    lg_cell_real_if(table, rated, change->size_rate);
    lg_cell_real_if(table, rated, change->confidence);
    add_sure(table, change);
    add_label(layout, table, change, state_of(change, last));
    if (!layout->pictures->is_watch)
        add_series(layout, table, change);
}

// ---- tables ----

static void add_title(const struct layout *layout, const struct lg_changes_query *query, size_t count)
{
    char text[LG_COMMAS_SIZE];
    const char *what = layout->holders ? "holder" : "type", *many = count == 1 ? "" : "s",
               *one = count == 1 ? "s" : "";
    const char *first = query->growing                    ? "the fastest"
                        : layout->count > 2               ? "what grows steadily"
                        : layout->pictures->is_collection ? "the most freed"
                                                          : "the most grown";
    if (query->growing && layout->count < LG_TREND_LEAST)
        return;
    lg_report_line(layout->report, "%s", "");
    if (count == 0)
        lg_report_line(layout->report, "No %s %s.", what, query->growing ? "grows steadily" : "differs");
    else
        lg_report_line(layout->report, "%s %s%s %s%s%s, %s first:", lg_commas(text, count), what, many,
                       query->growing ? "grow" : "differ", one, query->growing ? " steadily" : "",
                       first);
}

static struct lg_error *add_table(const struct lg_pictures *pictures,
                                  const struct lg_comparison *comparison,
                                  const struct lg_changes_query *query, struct lg_report *report)
{
    struct layout layout = { .pictures = pictures,
                             .report = report,
                             .holders = comparison == &pictures->holders,
                             .last = comparison->pictures - 1 };
    _cleanup_(lg_changes_deinit) struct lg_changes changes = { 0 };
    struct lg_error *err = lg_changes_find(pictures, comparison, query, &changes);
    if (err)
        return err;
    layout.count = changes.points;
    bool main = layout.holders == (query->by == LG_CHANGES_HOLDERS);
    const struct lg_table_spec *spec = lay_out(&layout, main);
    if (!spec)
        return &lg_no_memory;
    size_t shown = query->top && query->top < changes.all.len ? query->top : changes.all.len;
    add_title(&layout, query, changes.all.len);
    if (shown == 0)
        ((struct lg_table_spec *)spec)->flags |= LG_TABLE_HIDDEN;
    struct lg_table *table = lg_report_table(report, spec);
    for (size_t i = 0; i < shown; i++)
        add_row(&layout, table, &changes.all.at[i]);
    lg_report_truncated(report, spec->key, changes.all.len - shown);
    return NULL;
}

// ---- the whole ----

static void add_target(struct lg_table *table, const struct lg_picture_about *about)
{
    const struct lg_report_target *target = &about->target;
    lg_cell_name(table, target->kind);
    lg_cell_number_if(table, target->pid > 0, (uint64_t)target->pid);
    lg_cell_text(table, target->path);
    lg_cell_text(table, target->runtime);
    lg_cell_text(table, target->provider);
    lg_cell_text(table, target->taken);
    lg_cell_real_if(table, target->pause_ms >= 0, target->pause_ms);
    lg_cell_real(table, about->at);
    lg_cell_number(table, about->total.count);
    lg_cell_number(table, about->total.size);
    lg_cell_bool(table, about->counts_dead);
    const struct lg_gc_asked *collected = &about->collected;
    lg_cell_real_if(table, collected->count, collected->ms);
    lg_cell_real_if(table, collected->count && collected->pause_ms >= 0, collected->pause_ms);
    lg_cell_number_if(table, collected->count && collected->before != UINT64_MAX, collected->before);
    lg_cell_number_if(table, collected->count && collected->after != UINT64_MAX, collected->after);
}

static void add_targets(const struct lg_pictures *pictures, struct lg_report *report)
{
    struct lg_table *table = pictures->is_watch ? NULL : lg_report_table(report, &target_spec);
    for (size_t i = 0; table && i < pictures->taken.len; i++)
        add_target(table, &pictures->taken.at[i]);
    const struct lg_amount *from = &pictures->taken.at[0].total,
                           *to = &pictures->taken.at[pictures->taken.len - 1].total;
    bool all_alike = true;
    for (size_t i = 1; i < pictures->taken.len; i++)
        all_alike &= pictures->taken.at[i].counts_dead == pictures->taken.at[0].counts_dead;
    if (!all_alike)
        lg_report_incomplete(report,
                             "dead objects count in some of these pictures only, where nothing is "
                             "known to be dead: what differs may be garbage (-all counts them in "
                             "every one)");
    lg_report_fact_number(report, "before", from->size);
    lg_report_fact_number(report, "after", to->size);
}

// "1, 3: …": which of the pictures it is about, if not all.
static void add_note(const struct lg_pictures *pictures, const struct lg_picture_note *note,
                     struct lg_report *report)
{
    char list[80] = "";
    size_t len = 0;
    for (size_t i = 0; i < note->of.len && len + 16 < sizeof(list); i++)
        len +=
            (size_t)snprintf(list + len, sizeof(list) - len, "%s%u", i ? ", " : "", note->of.at[i] + 1);
    bool all = note->of.len == pictures->taken.len || pictures->is_watch;
    lg_report_incomplete(report, "%s%s%s", all ? "" : list, all ? "" : ": ", note->sentence);
}

// Ways are told by fields: where some of the pictures have none, the same way has two names.
static bool has_holders(const struct lg_pictures *pictures)
{
    for (size_t i = 1; i < pictures->taken.len; i++) {
        if (pictures->taken.at[i].has_fields != pictures->taken.at[0].has_fields)
            return false;
    }
    return pictures->graph;
}

struct lg_error *lg_changes_report(const struct lg_pictures *pictures,
                                   const struct lg_changes_query *query, struct lg_report *report)
{
    static const char why[] = "what holds objects is told by fields, which a .gcdump has not: compared "
                              "with other pictures it is by type only";
    struct lg_error *err = NULL;
    bool wants = query->by != LG_CHANGES_TYPES && pictures->graph, has = has_holders(pictures);
    if (wants && !has && query->by == LG_CHANGES_HOLDERS)
        return lg_error_new(LG_ERR_UNSUPPORTED, "%s", why);
    add_targets(pictures, report);
    if (wants && !has)
        lg_report_incomplete(report, "%s", why);
    if (wants && has)
        err = add_table(pictures, &pictures->holders, query, report);
    if (!err && query->by != LG_CHANGES_HOLDERS)
        err = add_table(pictures, &pictures->types, query, report);
    for (size_t i = 0; i < pictures->notes.len; i++)
        add_note(pictures, &pictures->notes.at[i], report);
    return err;
}
