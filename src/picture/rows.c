#include "picture/rows.h"

#include <string.h>

#include "util/error.h"

enum { LISTED_MIN = 1 << 20 }; // Anonymous regions of unknown owner from here on have a row each.

static bool is_listed(const struct lg_part *part)
{
    return part->owner->is_unknown && part->end - part->start >= LISTED_MIN;
}

static const char *name_of(struct lg_picture *picture, const struct lg_part *part, enum lg_by by)
{
    const struct lg_page_owner *owner = part->owner;
    const char *path = picture->mappings.all.at[part->mapping].path;
    switch (by) {
    case LG_BY_MODULE:
        return owner->module ? owner->module : "(no module)";
    case LG_BY_FILE:
        return picture->mappings.all.at[part->mapping].has_file || *path == '/' ? path
               : *path                                                          ? path
                                                                                : "(anonymous)";
    case LG_BY_KIND:
        return owner->kind;
    case LG_BY_THREAD:
        return owner->thread ? owner->thread : "(no thread's)";
    default:
        return is_listed(part)
                   ? lg_arena_format(&picture->names, "%s at %012zx", owner->name, (size_t)part->start)
                   : owner->name;
    }
}

static int by_name(const void *a, const void *b)
{
    const struct lg_row *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->start > y->start) - (x->start < y->start);
}

static int by_category_and_name(const void *a, const void *b)
{
    const struct lg_row *x = a, *y = b;
    return x->category != y->category ? (x->category > y->category) - (x->category < y->category)
                                      : by_name(a, b);
}

static int by_size(const void *a, const void *b)
{
    const struct lg_row *x = a, *y = b;
    if (x->sum.resident != y->sum.resident)
        return (x->sum.resident < y->sum.resident) - (x->sum.resident > y->sum.resident);
    if (x->sum.swapped != y->sum.swapped)
        return (x->sum.swapped < y->sum.swapped) - (x->sum.swapped > y->sum.swapped);
    return by_category_and_name(a, b);
}

// Of sorted rows: equals become one.
static void merge(struct lg_rows *rows, enum lg_by by)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->all.len; i++) {
        const struct lg_row *row = &rows->all.at[i];
        struct lg_row *last = kept > 0 ? &rows->all.at[kept - 1] : NULL;
        bool same = last && strcmp(last->name, row->name) == 0
                    && (by != LG_BY_NAME || last->category == row->category);
        if (!same) {
            rows->all.at[kept++] = *row;
            continue;
        }
        last->count += row->count;
        last->start = last->end = 0;
        lg_amounts_add(&last->sum, &row->sum);
    }
    rows->all.len = kept;
}

struct lg_error *lg_rows_make(struct lg_picture *picture, enum lg_by by, struct lg_rows *ret)
{
    for (size_t i = 0; i < picture->parts.len; i++) {
        const struct lg_part *part = &picture->parts.at[i];
        if (part->sum.resident == 0 && part->sum.swapped == 0)
            continue;
        struct lg_row row = { part->owner->category,
                              name_of(picture, part, by),
                              part->owner->kind,
                              part->start,
                              part->end,
                              1,
                              part->sum };
        if (!row.name || !lg_vec_push(&ret->all, row))
            return &lg_no_memory;
    }
    if (ret->all.len == 0)
        return NULL;
    qsort(ret->all.at, ret->all.len, sizeof(*ret->all.at),
          by == LG_BY_NAME ? by_category_and_name : by_name);
    merge(ret, by);
    qsort(ret->all.at, ret->all.len, sizeof(*ret->all.at), by_size);
    return NULL;
}

void lg_rows_deinit(struct lg_rows *rows)
{
    lg_vec_free(&rows->all);
}

void lg_category_sums(const struct lg_picture *picture, struct lg_amounts sums[LG_CATEGORIES])
{
    memset(sums, 0, LG_CATEGORIES * sizeof(*sums));
    for (size_t i = 0; i < picture->parts.len; i++)
        lg_amounts_add(&sums[picture->parts.at[i].owner->category], &picture->parts.at[i].sum);
    uint64_t tables = picture->page_tables > 0 ? (uint64_t)picture->page_tables : 0;
    uint64_t stacks = picture->kernel_stacks > 0 ? (uint64_t)picture->kernel_stacks : 0;
    sums[LG_PAGE_TABLES] = (struct lg_amounts){ .resident = tables, .own = tables };
    sums[LG_OTHER_SYSTEM] = (struct lg_amounts){ .resident = stacks, .own = stacks };
}
