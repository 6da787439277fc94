// What changed between pictures, as rows and tables.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analysis/trend.h"
#include "cli/pictures.h"
#include "cli/support.h"
#include "util/error.h"

// ---- rows ----

struct search {
    const struct lg_pictures *pictures;
    const struct lg_comparison *comparison;
    const struct lg_changes_query *query;
    uint32_t *top;     // [rows] the row that each is told with
    uint32_t *number;  // [rows] of those that are told: index of the change
    uint32_t *picture; // [count] of each point
    double *at;        // [count]
    size_t count;      // points
};
static void search_deinit(struct search *search)
{
    free(search->top);
    free(search->number);
    free(search->picture);
    free(search->at);
}

static bool is_wanted(const struct search *search, const struct lg_row *row)
{
    return !search->query->contains || strstr(row->type, search->query->contains);
}

static bool differs(const struct lg_row *row)
{
    return row->points.len > 1 || (row->points.len == 1 && row->points.at[0].picture > 0);
}

// Types are told one by one, and so is what holds them if it is asked for by name.
static void choose(struct search *search)
{
    const struct lg_comparison *comparison = search->comparison;
    bool one_by_one = comparison == &search->pictures->types || search->query->contains;
    if (!one_by_one)
        lg_comparison_tops(comparison, search->top);
    for (uint32_t i = 0; i < comparison->rows.len && one_by_one; i++) {
        const struct lg_row *row = &comparison->rows.at[i];
        search->top[i] = differs(row) && is_wanted(search, row) ? i : LG_NO_ROW;
    }
}

static bool choose_points(struct search *search)
{
    enum { POINTS = 512 };
    size_t pictures = search->comparison->pictures;
    search->count = pictures < POINTS ? pictures : POINTS;
    search->picture = calloc(search->count + 1, sizeof(*search->picture));
    search->at = calloc(search->count + 1, sizeof(*search->at));
    if (!search->picture || !search->at)
        return false;
    for (size_t k = 0; k < search->count; k++) {
        size_t picture = k == 0 ? 0 : k * (pictures - 1) / (search->count - 1);
        search->picture[k] = (uint32_t)picture;
        search->at[k] = search->pictures->taken.at[picture].at;
    }
    return true;
}

static bool begin(struct search *search, struct lg_changes *ret)
{
    size_t rows = search->comparison->rows.len, told = 0;
    search->top = calloc(rows + 1, sizeof(*search->top));
    search->number = calloc(rows + 1, sizeof(*search->number));
    if (!search->top || !search->number || !choose_points(search))
        return false;
    choose(search);
    ret->points = search->count;
    for (uint32_t i = 0; i < rows; i++)
        told += search->top[i] == i;
    ret->numbers = calloc(told + 1, 2 * search->count * sizeof(*ret->numbers));
    uint64_t *next = ret->numbers;
    for (uint32_t i = 0; i < rows && next; i++) {
        if (search->top[i] != i)
            continue;
        struct lg_change change = { .row = &search->comparison->rows.at[i],
                                    .counts = next,
                                    .sizes = next + search->count };
        search->number[i] = (uint32_t)ret->all.len;
        next += 2 * search->count;
        if (!lg_vec_push(&ret->all, change))
            return false;
    }
    return next != NULL;
}

// The counts of a row are its own, the sizes are those of all that is told with it.
static void sum_up(const struct search *search, struct lg_changes *changes)
{
    for (uint32_t i = 0; i < search->comparison->rows.len; i++) {
        uint32_t top = search->top[i];
        if (top == LG_NO_ROW)
            continue;
        uint64_t *counts = changes->numbers + 2 * search->count * search->number[top];
        for (size_t k = 0; k < search->count; k++) {
            struct lg_amount amount = lg_row_at(&search->comparison->rows.at[i], search->picture[k]);
            counts[k] += top == i ? amount.count : 0;
            counts[search->count + k] += amount.size;
        }
    }
}

static double growth(const uint64_t *series, size_t count)
{
    return (double)series[count - 1] - (double)series[0];
}

static bool is_told(const struct search *search, const struct lg_change *change)
{
    double count = growth(change->counts, search->count), size = growth(change->sizes, search->count);
    double least = (double)search->query->min;
    bool changed = count != 0 || size != 0 || change->grows;
    return (search->query->growing ? change->grows : changed) && (size >= least || -size >= least);
}

static struct lg_error *judge(const struct search *search, struct lg_changes *changes)
{
    size_t kept = 0;
    for (size_t i = 0; i < changes->all.len; i++) {
        struct lg_change *change = &changes->all.at[i];
        struct lg_trend trend;
        struct lg_error *err =
            lg_trend_find(search->at, change->counts, change->sizes, search->count, &trend);
        if (err)
            return err;
        change->grows = trend.grows;
        change->confidence = trend.confidence;
        change->count_rate = trend.count_rate;
        change->size_rate = trend.size_rate;
        if (is_told(search, change))
            changes->all.at[kept++] = *change;
    }
    changes->all.len = kept;
    return NULL;
}

// ---- order ----

static int descending(double a, double b)
{
    return (a < b) - (a > b);
}

static int by_growth(const void *a, const void *b, void *search_arg)
{
    const struct search *search = search_arg;
    bool freed = search->pictures->is_collection;
    const struct lg_change *x = freed ? b : a, *y = freed ? a : b;
    size_t pictures = search->count;
    if (x->grows != y->grows)
        return x->grows ? -1 : 1;
    int order = x->grows ? descending(x->size_rate, y->size_rate) : 0;
    if (!order)
        order = descending(growth(x->sizes, pictures), growth(y->sizes, pictures));
    if (!order)
        order = descending(growth(x->counts, pictures), growth(y->counts, pictures));
    if (order)
        return order;
    x = a;
    y = b;
    order = strcmp(x->row->type, y->row->type);
    return order ? order : strcmp(x->row->held, y->row->held);
}

struct lg_error *lg_changes_find(const struct lg_pictures *pictures,
                                 const struct lg_comparison *comparison,
                                 const struct lg_changes_query *query, struct lg_changes *ret)
{
    _cleanup_(search_deinit) struct search search = { .pictures = pictures,
                                                      .comparison = comparison,
                                                      .query = query };
    if (!begin(&search, ret))
        return &lg_no_memory;
    sum_up(&search, ret);
    struct lg_error *err = judge(&search, ret);
    if (!err && ret->all.len > 1)
        qsort_r(ret->all.at, ret->all.len, sizeof(*ret->all.at), by_growth, &search);
    return err;
}

void lg_changes_deinit(struct lg_changes *changes)
{
    lg_vec_free(&changes->all);
    free(changes->numbers);
}
