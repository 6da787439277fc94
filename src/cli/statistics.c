// Statistics by type: the table at the end of dumpheap, gchandles and finalizequeue.
#include <inttypes.h>
#include <string.h>

#include "cli/support.h"

static const struct lg_column managed_columns[] = {
    { "mt", "MT", LG_CELL_ADDRESS, 0, LG_COL_RIGHT },
    { "count", "Count", LG_CELL_COUNT, 0, LG_COL_COMMAS },
    { "size", "TotalSize", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "type", "Class Name", LG_CELL_TEXT, -1 },
};
static const struct lg_column native_columns[] = {
    { "mt", "MT", LG_CELL_ADDRESS, 16, LG_COL_LOWER16 },
    { "count", "Count", LG_CELL_COUNT, 8 },
    { "size", "TotalSize", LG_CELL_BYTES, 12 },
    { "type", "Class Name", LG_CELL_TEXT, -1 },
};
static const struct lg_table_spec managed_spec = LG_TABLE_SPEC("types", managed_columns, 0);
static const struct lg_table_spec native_spec = LG_TABLE_SPEC("types", native_columns, 0);
static const struct lg_table_spec hidden_spec = LG_TABLE_SPEC("types", managed_columns, LG_TABLE_HIDDEN);

bool lg_type_stats_add(struct lg_type_stats *stats, const struct lg_type *type, uint64_t size)
{
    if (type->id >= stats->type_count) {
        uint32_t count = type->id < UINT32_MAX / 2 ? (type->id + 64) * 2 : UINT32_MAX;
        uint64_t *counts = calloc(count, sizeof(*counts)), *sizes = calloc(count, sizeof(*sizes));
        if (!counts || !sizes) {
            free(counts);
            free(sizes);
            return false;
        }
        if (stats->type_count > 0) {
            memcpy(counts, stats->counts, stats->type_count * sizeof(*counts));
            memcpy(sizes, stats->sizes, stats->type_count * sizeof(*sizes));
        }
        free(stats->counts);
        free(stats->sizes);
        stats->counts = counts;
        stats->sizes = sizes;
        stats->type_count = count;
    }
    stats->counts[type->id]++;
    stats->sizes[type->id] += size;
    return true;
}

struct row {
    const struct lg_type *type;
    const char *name;
    uint64_t count, size;
};

struct rows {
    LG_VEC(struct row) all;
};
static void rows_deinit(struct rows *rows)
{
    lg_vec_free(&rows->all);
}

static bool is_wanted(const struct lg_stats_options *options, const struct row *row)
{
    if (options->mt && options->mt != row->type->mt)
        return false;
    return !options->contains || strstr(row->name, options->contains);
}

static struct lg_error *collect(struct lg_clr *clr, const struct lg_type_stats *stats,
                                const struct lg_stats_options *options, struct rows *ret)
{
    for (uint32_t id = 0; id < stats->type_count; id++) {
        const struct lg_type *type = stats->counts[id] ? lg_clr_type_at(clr, id) : NULL;
        if (!type)
            continue;
        struct row row = { type, lg_clr_type_name(clr, type), stats->counts[id], stats->sizes[id] };
        if (is_wanted(options, &row) && !lg_vec_push(&ret->all, row))
            return &lg_no_memory;
    }
    return NULL;
}

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_rows(const void *a, const void *b, void *options_arg)
{
    const struct row *x = a, *y = b;
    const struct lg_stats_options *options = options_arg;
    int by_size = order(x->size, y->size), by_count = order(x->count, y->count);
    int result = options->sort == LG_SORT_NAME    ? strcmp(x->name, y->name)
                 : options->sort == LG_SORT_COUNT ? (by_count ? by_count : by_size)
                                                  : (by_size ? by_size : by_count);
    if (!result)
        result = order(x->type->mt, y->type->mt);
    return options->descending ? -result : result;
}

// The rows that a limit leaves: the biggest, wherever the order puts them; of names the first.
static void cut(const struct rows *rows, const struct lg_stats_options *options, size_t *from_ret,
                size_t *to_ret)
{
    size_t len = rows->all.len, left = options->top && options->top < len ? options->top : len;
    bool keep_end = !options->descending && options->sort != LG_SORT_NAME;
    *from_ret = keep_end ? len - left : 0;
    *to_ret = *from_ret + left;
}

static void add_table(struct lg_report *report, const struct rows *rows,
                      const struct lg_stats_options *options)
{
    bool hidden = options->hidden || rows->all.len == 0;
    struct lg_table *table = lg_report_table(report, hidden            ? &hidden_spec
                                                     : options->native ? &native_spec
                                                                       : &managed_spec);
    size_t from, to;
    cut(rows, options, &from, &to);
    for (size_t i = from; i < to; i++) {
        lg_cell_number(table, rows->all.at[i].type->mt);
        lg_cell_number(table, rows->all.at[i].count);
        lg_cell_number(table, rows->all.at[i].size);
        lg_cell_name(table, rows->all.at[i].name);
    }
    lg_report_truncated(report, "types", rows->all.len - (to - from));
}

struct lg_error *lg_report_types(struct lg_report *report, struct lg_clr *clr,
                                 const struct lg_type_stats *stats,
                                 const struct lg_stats_options *options,
                                 struct lg_stats_total *total_ret)
{
    _cleanup_(rows_deinit) struct rows rows = { 0 };
    struct lg_error *err = collect(clr, stats, options, &rows);
    if (err)
        return err;
    if (rows.all.len > 1)
        qsort_r(rows.all.at, rows.all.len, sizeof(*rows.all.at), compare_rows, (void *)options);

    struct lg_stats_total total = { 0 };
    for (size_t i = 0; i < rows.all.len; i++) {
        total.count += rows.all.at[i].count;
        total.size += rows.all.at[i].size;
    }
    bool shown = rows.all.len > 0 && !options->hidden;
    if (shown)
        lg_report_line(report, "Statistics:");
    add_table(report, &rows, options);
    char count[LG_COMMAS_SIZE], size[LG_COMMAS_SIZE];
    if (shown && options->native)
        lg_report_line(report, "Total %" PRIu64 " objects", total.count);
    else if (shown)
        lg_report_line(report, "Total %s objects, %s bytes", lg_commas(count, total.count),
                       lg_commas(size, total.size));
    if (total_ret)
        *total_ret = total;
    return NULL;
}
