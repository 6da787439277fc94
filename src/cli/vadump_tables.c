// The classic table of the working set, in lines, and the same for JSON and TSV in tables.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/vadump.h"

#define AMOUNT_COLUMNS \
    { "pages", "PAGES", LG_CELL_COUNT }, { "total", "TOTAL", LG_CELL_BYTES }, \
        { "private", "PRIVATE", LG_CELL_BYTES }, { "shareable", "SHAREABLE", LG_CELL_BYTES }, \
        { "shared", "SHARED", LG_CELL_BYTES }, { "swapped", "SWAPPED", LG_CELL_BYTES }, \
        { "locked", "LOCKED", LG_CELL_BYTES }, \
    { \
        "change", "CHANGE", LG_CELL_REAL \
    }
static const struct lg_column category_columns[] = {
    { "category", "CATEGORY", LG_CELL_TEXT },
    AMOUNT_COLUMNS,
};
static const struct lg_column row_columns[] = {
    { "category", "CATEGORY", LG_CELL_TEXT }, { "kind", "KIND", LG_CELL_TEXT },
    { "name", "NAME", LG_CELL_TEXT },         { "start", "START", LG_CELL_ADDRESS },
    { "end", "END", LG_CELL_ADDRESS },        AMOUNT_COLUMNS,
};
static const struct lg_table_spec category_spec =
    LG_TABLE_SPEC("categories", category_columns, LG_TABLE_HIDDEN);
static const struct lg_table_spec total_spec =
    LG_TABLE_SPEC("totals", category_columns, LG_TABLE_HIDDEN);
static const struct lg_table_spec row_spec =
    LG_TABLE_SPEC("rows", row_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

enum { CATEGORY_INDENT = 6, ROW_INDENT = 8, NAME_LEAST = 24, NAME_MOST = 72, NUMBER_SIZE = 24 };

// ---- changes ----

void *lg_vadump_remember(void)
{
    return calloc(1, sizeof(struct lg_vadump_memory));
}

static void empty(struct lg_vadump_memory *memory)
{
    for (size_t i = 0; i < memory->all.len; i++)
        free(memory->all.at[i].name);
    memory->all.len = 0;
}

void lg_vadump_forget(void *data)
{
    struct lg_vadump_memory *memory = data;
    empty(memory);
    lg_vec_free(&memory->all);
    free(memory);
}

// What is shown, in its order; remembered once all of it is.
struct shown {
    LG_VEC(struct lg_vadump_remembered) all;
};

static bool find_before(const struct lg_vadump_memory *memory, const char *name, uint64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; memory && i < memory->all.len; i++) {
        if (strcmp(memory->all.at[i].name, name) == 0) {
            *ret = memory->all.at[i].total;
            return true;
        }
    }
    return false;
}

// ---- lines ----

struct layout {
    struct lg_vadump_view *view;
    int width; // Of the names.
    bool swapped, locked, change;
    struct shown shown;
};

static const char *number(char buf[NUMBER_SIZE], uint64_t value, bool known)
{
    snprintf(buf, NUMBER_SIZE, known ? "%" PRIu64 : "?", value);
    return buf;
}

static void append(char *line, size_t size, const char *text, int width)
{
    size_t len = strlen(line);
    snprintf(line + len, size - len, "%*s", width, text);
}

static void append_kb(char *line, size_t size, uint64_t bytes, bool known)
{
    char text[NUMBER_SIZE];
    append(line, size, number(text, bytes / 1024, known), 10);
}

static double change_of(const struct layout *layout, const char *name, uint64_t total)
{
    uint64_t before;
    find_before(layout->view->memory, name, &before);
    return (double)total - (double)before;
}

static bool is_known(const struct layout *layout, enum lg_category category)
{
    const struct lg_picture *picture = layout->view->picture;
    return category == LG_PAGE_TABLES    ? picture->page_tables >= 0
           : category == LG_OTHER_SYSTEM ? picture->kernel_stacks >= 0
                                         : true;
}

static void write_amounts(struct layout *layout, int indent, const char *name,
                          const struct lg_amounts *sum, bool known)
{
    char line[256] = "", text[NUMBER_SIZE];
    bool split = known && !sum->split_unknown;
    append(line, sizeof(line), number(text, sum->resident / layout->view->picture->page_size, known), 8);
    append_kb(line, sizeof(line), sum->resident, known);
    append_kb(line, sizeof(line), sum->own, split);
    append_kb(line, sizeof(line), sum->shareable, split);
    append_kb(line, sizeof(line), sum->shared, known && !layout->view->picture->is_core);
    if (layout->swapped)
        append_kb(line, sizeof(line), sum->swapped, true);
    if (layout->locked)
        append_kb(line, sizeof(line), sum->locked, true);
    if (layout->change) {
        snprintf(text, sizeof(text), "%+.0f", change_of(layout, name, sum->resident) / 1024);
        append(line, sizeof(line), text, 10);
    }
    int gap = layout->width - indent - (int)strlen(name);
    lg_report_line(layout->view->report, "%*s%s%*s%s", indent, "", name, gap > 0 ? gap : 1, "", line);
}

static void write_header(const struct layout *layout, const char *what)
{
    char first[256] = "", second[256] = "";
    append(first, sizeof(first), "Total", 13);
    append(first, sizeof(first), "Private", 15);
    append(first, sizeof(first), "Shareable", 10);
    append(first, sizeof(first), "Shared", 10);
    append(second, sizeof(second), "Pages", 8);
    for (int i = 0; i < 4; i++)
        append(second, sizeof(second), "KBytes", 10);
    const char *more[] = { layout->swapped ? "Swapped" : NULL, layout->locked ? "Locked" : NULL,
                           layout->change ? "Change" : NULL };
    for (int i = 0; i < 3; i++) {
        append(first, sizeof(first), more[i] ? more[i] : "", more[i] ? 10 : 0);
        append(second, sizeof(second), more[i] ? "KBytes" : "", more[i] ? 10 : 0);
    }
    lg_report_line(layout->view->report, "%-*s%s", layout->width, what, first);
    lg_report_line(layout->view->report, "%-*s%s", layout->width, "", second);
}

// ---- tables ----

static void add_amounts(struct layout *layout, struct lg_table *table, const char *name,
                        const struct lg_amounts *sum, bool known)
{
    const struct lg_picture *picture = layout->view->picture;
    bool split = known && !sum->split_unknown;
    lg_cell_number_if(table, known, sum->resident / picture->page_size);
    lg_cell_number_if(table, known, sum->resident);
    lg_cell_number_if(table, split, sum->own);
    lg_cell_number_if(table, split, sum->shareable);
    lg_cell_number_if(table, known && !picture->is_core, sum->shared);
    lg_cell_number_if(table, !picture->is_core, sum->swapped);
    lg_cell_number_if(table, !picture->is_core, sum->locked);
    if (layout->change)
        lg_cell_real(table, change_of(layout, name, sum->resident));
    else
        lg_cell_null(table);
    struct lg_vadump_remembered now = { layout->view->memory ? strdup(name) : NULL, sum->resident };
    if (now.name && !lg_vec_push(&layout->shown.all, now))
        free(now.name);
}

static void add_row(struct layout *layout, struct lg_table *table, const struct lg_row *row)
{
    lg_cell_name(table, lg_category_name(row->category));
    lg_cell_text(table, row->kind);
    lg_cell_text(table, row->name);
    lg_cell_number_if(table, row->end > 0, row->start);
    lg_cell_number_if(table, row->end > 0, row->end);
    add_amounts(layout, table, row->name, &row->sum, true);
}

// ---- all of it ----

static size_t rows_shown(const struct lg_vadump_view *view, const struct lg_rows *rows)
{
    return view->top > 0 && view->top < rows->all.len ? (size_t)view->top : rows->all.len;
}

static void write_categories(struct layout *layout, const struct lg_amounts *sums,
                             const struct lg_rows *rows)
{
    size_t shown = rows_shown(layout->view, rows);
    for (enum lg_category c = 0; c < LG_CATEGORIES; c++) {
        write_amounts(layout, CATEGORY_INDENT, lg_category_name(c), &sums[c], is_known(layout, c));
        for (size_t i = 0; layout->view->detail && i < shown; i++) {
            if (rows->all.at[i].category == c)
                write_amounts(layout, ROW_INDENT, rows->all.at[i].name, &rows->all.at[i].sum, true);
        }
    }
}

static const char *const by_titles[] = {
    [LG_BY_NAME] = "Category", [LG_BY_MODULE] = "Module", [LG_BY_FILE] = "File",
    [LG_BY_KIND] = "Kind",     [LG_BY_THREAD] = "Thread",
};

static void write_table(struct layout *layout, const struct lg_amounts *sums, const struct lg_rows *rows)
{
    struct lg_vadump_view *view = layout->view;
    write_header(layout, by_titles[view->by]);
    if (!view->by_given) {
        write_categories(layout, sums, rows);
        return;
    }
    for (size_t i = 0; i < rows_shown(view, rows); i++)
        write_amounts(layout, CATEGORY_INDENT, rows->all.at[i].name, &rows->all.at[i].sum, true);
}

static void add_total(struct layout *layout, struct lg_table *table, const char *name,
                      const struct lg_amounts *sums, enum lg_category from, enum lg_category to)
{
    struct lg_amounts total = { 0 };
    bool known = true;
    for (enum lg_category c = from; c <= to; c++) {
        lg_amounts_add(&total, &sums[c]);
        known &= is_known(layout, c);
    }
    bool is_grand = from == LG_PAGE_TABLES && to == LG_OTHER_DATA;
    write_amounts(layout, is_grand ? 0 : CATEGORY_INDENT, name, &total, known || is_grand);
    lg_cell_name(table, name);
    add_amounts(layout, table, name, &total, known || is_grand);
}

static void write_totals(struct layout *layout, const struct lg_amounts *sums)
{
    struct lg_picture *picture = layout->view->picture;
    struct lg_table *table = lg_report_table(layout->view->report, &total_spec);
    lg_report_line(layout->view->report, "%s", "");
    add_total(layout, table, "Total Modules", sums, LG_CODE, LG_CODE);
    add_total(layout, table, "Total Dynamic Data", sums, LG_HEAP, LG_OTHER_DATA);
    add_total(layout, table, "Total System", sums, LG_PAGE_TABLES, LG_OTHER_SYSTEM);
    add_total(layout, table, "Grand Total Working Set", sums, LG_PAGE_TABLES, LG_OTHER_DATA);
    if (picture->status_rss < 0 || picture->status_rss == (int64_t)picture->rss)
        return;
    // Kernels that keep the count per processor read it approximately: see docs/commands/vadump.md.
    lg_report_line(layout->view->report, "%-*s%8" PRId64 "%10" PRId64, layout->width,
                   "VmRSS of status differs",
                   (picture->status_rss - (int64_t)picture->rss) / (int64_t)picture->page_size,
                   (picture->status_rss - (int64_t)picture->rss) / 1024);
}

static int name_width(const struct lg_vadump_view *view, const struct lg_rows *rows)
{
    int width = NAME_LEAST;
    for (size_t i = 0; i < rows_shown(view, rows); i++) {
        int len = (int)strlen(rows->all.at[i].name) + ROW_INDENT + 1;
        width = len > width ? len : width;
    }
    return width < NAME_MOST ? width : NAME_MOST;
}

static void fill_tables(struct layout *layout, const struct lg_amounts *sums, const struct lg_rows *rows)
{
    struct lg_vadump_view *view = layout->view;
    bool has_rows = view->detail || view->by_given;
    struct lg_table *table = lg_report_table(view->report, &category_spec);
    for (enum lg_category c = 0; c < LG_CATEGORIES; c++) {
        lg_cell_name(table, lg_category_name(c));
        add_amounts(layout, table, lg_category_name(c), &sums[c], is_known(layout, c));
    }
    if (!has_rows)
        return;
    table = lg_report_table(view->report, &row_spec);
    for (size_t i = 0; i < rows_shown(view, rows); i++)
        add_row(layout, table, &rows->all.at[i]);
    lg_report_truncated(view->report, "rows", rows->all.len - rows_shown(view, rows));
}

struct lg_error *lg_vadump_tables(struct lg_vadump_view *view)
{
    struct lg_amounts sums[LG_CATEGORIES];
    struct lg_rows rows = { 0 };
    bool has_rows = view->detail || view->by_given;
    struct lg_error *err = has_rows ? lg_rows_make(view->picture, view->by, &rows) : NULL;
    lg_category_sums(view->picture, sums);
    struct layout layout = { view, name_width(view, &rows), view->picture->total.swapped > 0,
                             view->picture->total.locked > 0, view->memory && view->memory->has_round };
    if (!err) {
        write_table(&layout, sums, &rows);
        fill_tables(&layout, sums, &rows);
        write_totals(&layout, sums);
    }
    if (view->memory) {
        empty(view->memory);
        lg_vec_free(&view->memory->all);
        memcpy(&view->memory->all, &layout.shown.all, sizeof(layout.shown.all));
        view->memory->has_round = true;
    }
    lg_rows_deinit(&rows);
    return err;
}
