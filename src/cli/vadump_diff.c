// What grew between two pictures that were saved.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cli/vadump.h"
#include "util/json_read.h"

static const struct lg_column columns[] = {
    { "category", "CATEGORY", LG_CELL_TEXT }, { "name", "NAME", LG_CELL_TEXT },
    { "before", "BEFORE", LG_CELL_BYTES },    { "after", "AFTER", LG_CELL_BYTES },
    { "growth", "GROWTH", LG_CELL_REAL },
};
static const struct lg_table_spec spec = LG_TABLE_SPEC("rows", columns, LG_TABLE_WIDE | LG_TABLE_MAIN);

struct saved {
    char *text;
    struct lg_json *doc;
};

static void saved_deinit(struct saved *saved)
{
    lg_json_free(saved->doc);
    free(saved->text);
}

static struct lg_error *read_file(const char *path, char **ret, size_t *len_ret)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return lg_error_os(errno, "open '%s'", path);
    size_t size = LG_JSON_MAX_BYTES + 1;
    char *text = malloc(size);
    size_t len = text ? fread(text, 1, size, file) : 0;
    struct lg_error *err = text ? NULL : &lg_no_memory;
    if (!err && ferror(file))
        err = lg_error_os(errno, "read '%s'", path);
    fclose(file);
    *ret = text;
    *len_ret = len;
    return err;
}

static struct lg_error *read_saved(const char *path, struct saved *ret)
{
    size_t len = 0;
    struct lg_error *err = read_file(path, &ret->text, &len);
    if (err)
        return err;
    err = lg_json_parse(ret->text, len, &ret->doc);
    const char *report = lg_json_string(lg_json_member(ret->doc, "report"));
    if (!err && (!report || strcmp(report, "vadump") != 0))
        err = lg_error_new(LG_ERR_CORRUPT, "is no picture that vadump -o saved");
    return lg_error_context(err, "'%s'", path);
}

struct pair {
    const char *category, *name;
    uint64_t before, after;
};
struct pairs {
    LG_VEC(struct pair) all;
};

static bool add_side(struct pairs *pairs, const struct lg_json *table, bool after)
{
    for (size_t i = 0; i < lg_json_len(table); i++) {
        const struct lg_json *row = lg_json_item(table, i);
        struct pair pair = { lg_json_string(lg_json_member(row, "category")),
                             lg_json_string(lg_json_member(row, "name")) };
        lg_json_u64(lg_json_member(row, "total"), after ? &pair.after : &pair.before);
        pair.category = pair.category ? pair.category : "";
        pair.name = pair.name ? pair.name : "";
        if (!lg_vec_push(&pairs->all, pair))
            return false;
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int order = strcmp(x->category, y->category);
    return order ? order : strcmp(x->name, y->name);
}

static int by_growth(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    double gx = (double)x->after - (double)x->before, gy = (double)y->after - (double)y->before;
    return gx != gy ? (gx < gy) - (gx > gy) : by_name(a, b);
}

static void merge(struct pairs *pairs)
{
    size_t kept = 0;
    if (pairs->all.len == 0)
        return;
    qsort(pairs->all.at, pairs->all.len, sizeof(*pairs->all.at), by_name);
    for (size_t i = 0; i < pairs->all.len; i++) {
        struct pair *last = kept > 0 ? &pairs->all.at[kept - 1] : NULL;
        if (last && by_name(last, &pairs->all.at[i]) == 0) {
            last->before += pairs->all.at[i].before;
            last->after += pairs->all.at[i].after;
        } else {
            pairs->all.at[kept++] = pairs->all.at[i];
        }
    }
    pairs->all.len = kept;
    qsort(pairs->all.at, kept, sizeof(*pairs->all.at), by_growth);
}

static void fill(struct lg_report *report, const struct pairs *pairs)
{
    struct lg_table *table = lg_report_table(report, &spec);
    uint64_t before = 0, after = 0;
    for (size_t i = 0; i < pairs->all.len; i++) {
        const struct pair *pair = &pairs->all.at[i];
        before += pair->before;
        after += pair->after;
        if (pair->before == pair->after)
            continue;
        lg_cell_text(table, pair->category);
        lg_cell_text(table, *pair->name ? pair->name : NULL);
        lg_cell_number(table, pair->before);
        lg_cell_number(table, pair->after);
        lg_cell_real(table, (double)pair->after - (double)pair->before);
    }
    lg_report_fact_number(report, "before", before);
    lg_report_fact_number(report, "after", after);
    lg_report_line(report, "Before %zu KiB, after %zu KiB: %+.0f KiB.", (size_t)(before / 1024),
                   (size_t)(after / 1024), ((double)after - (double)before) / 1024);
}

struct lg_error *lg_vadump_diff(const char *before, const char *after, struct lg_report **ret)
{
    _cleanup_(saved_deinit) struct saved a = { 0 };
    _cleanup_(saved_deinit) struct saved b = { 0 };
    struct lg_error *err = read_saved(before, &a);
    if (!err)
        err = read_saved(after, &b);
    if (err)
        return err;
    // Rows if both have them.
    const struct lg_json *rows_a = lg_json_member(a.doc, "rows"),
                         *rows_b = lg_json_member(b.doc, "rows");
    bool has_rows = rows_a && rows_b;
    struct pairs pairs = { 0 };
    bool added = add_side(&pairs, has_rows ? rows_a : lg_json_member(a.doc, "categories"), false)
                 && add_side(&pairs, has_rows ? rows_b : lg_json_member(b.doc, "categories"), true);
    struct lg_report *report = added ? lg_report_new("vadumpdiff") : NULL;
    if (report) {
        merge(&pairs);
        fill(report, &pairs);
    }
    lg_vec_free(&pairs.all);
    *ret = report;
    return report ? NULL : &lg_no_memory;
}
