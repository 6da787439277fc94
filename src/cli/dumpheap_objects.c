// `dumpheap` without -stat: a row per object, then the statistics of what was listed.
#include <string.h>

#include "cli/dumpheap.h"

static const struct lg_column object_columns[] = {
    { "address", "Address", LG_CELL_ADDRESS, 16, LG_COL_RIGHT },
    { "mt", "MT", LG_CELL_ADDRESS, 16, LG_COL_RIGHT },
    { "size", "Size", LG_CELL_BYTES, 14, LG_COL_COMMAS },
    { "free", "", LG_CELL_TEXT, -1, LG_COL_TEXT_ONLY },
    { "type", "TYPE", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "generation", "GENERATION", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
};
static const struct lg_column short_columns[] = {
    { "address", "", LG_CELL_ADDRESS, -1 },
    { "mt", "", LG_CELL_ADDRESS, 0, LG_COL_JSON_ONLY },
    { "size", "", LG_CELL_BYTES, 0, LG_COL_JSON_ONLY },
    { "free", "", LG_CELL_TEXT, -1, LG_COL_JSON_ONLY | LG_COL_TEXT_ONLY }, // In neither.
    { "type", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "generation", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
};
static const struct lg_table_spec object_spec = LG_TABLE_SPEC("objects", object_columns, LG_TABLE_MAIN);
static const struct lg_table_spec short_spec =
    LG_TABLE_SPEC("objects", short_columns, LG_TABLE_MAIN | LG_TABLE_NO_HEADER);
static const struct lg_table_spec empty_spec =
    LG_TABLE_SPEC("objects", object_columns, LG_TABLE_MAIN | LG_TABLE_HIDDEN);

struct listed {
    struct lg_object object;
    enum lg_generation generation;
};

struct list {
    const struct lg_heap_query *query;
    struct lg_clr *clr;
    struct lg_type_filter types;
    struct lg_type_stats stats;
    struct lg_fragments fragments;
    struct lg_report *report;
    struct lg_table *table; // Made with the first row; rows go there at once unless sorted first.
    uint64_t matched, rows;
    LG_VEC(struct listed) kept; // Sorted lists: a heap of the highest ranks, the lowest of them on top.
    bool failed;
};
static void list_deinit(struct list *list)
{
    lg_type_filter_deinit(&list->types);
    lg_type_stats_deinit(&list->stats);
    lg_fragments_deinit(&list->fragments);
    lg_vec_free(&list->kept);
}

static void make_table(struct list *list)
{
    if (list->table)
        return;
    const struct lg_table_spec *spec = list->matched == 0      ? &empty_spec
                                       : list->query->is_short ? &short_spec
                                                               : &object_spec;
    list->table = lg_report_table(list->report, spec);
}

static void add_row(struct list *list, const struct lg_object *object, enum lg_generation generation)
{
    make_table(list);
    lg_cell_number(list->table, object->address);
    lg_cell_number(list->table, object->type->mt);
    lg_cell_number(list->table, object->size);
    lg_cell_name(list->table, object->type->flags & LG_TYPE_FREE ? "Free" : "");
    lg_cell_name(list->table, lg_clr_type_name(list->clr, object->type));
    bool is_known = !lg_clr_info(list->clr)->no_generations;
    lg_cell_name(list->table, is_known ? lg_generation_name(generation) : NULL);
    list->rows++;
}

static bool sorts_by_size(const struct lg_heap_query *query)
{
    return query->sort_given && !query->by_address;
}

// By size or by address, ascending. Of equal sizes the lower address is the first.
static int compare(const void *a, const void *b, void *query)
{
    const struct lg_object *x = &((const struct listed *)a)->object;
    const struct lg_object *y = &((const struct listed *)b)->object;
    if (sorts_by_size(query) && x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return (x->address > y->address) - (x->address < y->address);
}

static bool is_below(const struct list *list, size_t i, size_t j)
{
    return compare(&list->kept.at[i], &list->kept.at[j], (void *)list->query) < 0;
}

static void swap(struct list *list, size_t i, size_t j)
{
    struct listed listed = list->kept.at[i];
    list->kept.at[i] = list->kept.at[j];
    list->kept.at[j] = listed;
}

static void sift_down(struct list *list)
{
    for (size_t i = 0, child; (child = 2 * i + 1) < list->kept.len; i = child) {
        if (child + 1 < list->kept.len && is_below(list, child + 1, child))
            child++;
        if (!is_below(list, child, i))
            return;
        swap(list, i, child);
    }
}

static void sift_up(struct list *list, size_t i)
{
    for (; i > 0 && is_below(list, i, (i - 1) / 2); i = (i - 1) / 2)
        swap(list, i, (i - 1) / 2);
}

static bool keep(struct list *list, const struct listed *listed)
{
    if (!list->query->top || list->kept.len < list->query->top) {
        if (!lg_vec_push(&list->kept, *listed))
            return false;
        sift_up(list, list->kept.len - 1);
    } else if (compare(&list->kept.at[0], listed, (void *)list->query) < 0) {
        list->kept.at[0] = *listed;
        sift_down(list);
    }
    return true;
}

static bool see_object(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct list *list = self;
    const struct lg_heap_query *query = list->query;
    if (!lg_heap_query_is_per_object(query))
        list->failed |= !lg_fragments_see(&list->fragments, object, segment);
    if (!lg_heap_query_wants(query, &list->types, object))
        return !list->failed;
    list->matched++;
    list->failed |= !lg_type_stats_add(&list->stats, object->type, object->size);
    enum lg_generation generation = lg_segment_generation(segment, object->address);
    if (sorts_by_size(query) || query->descending)
        list->failed |= !keep(list, &(struct listed){ *object, generation });
    else if (!query->top || list->rows < query->top)
        add_row(list, object, generation);
    return !list->failed;
}

static void add_kept(struct list *list)
{
    bool descending = list->query->descending;
    if (list->kept.len > 1)
        qsort_r(list->kept.at, list->kept.len, sizeof(*list->kept.at), compare, (void *)list->query);
    for (size_t i = 0; i < list->kept.len; i++) {
        const struct listed *listed = &list->kept.at[descending ? list->kept.len - 1 - i : i];
        add_row(list, &listed->object, listed->generation);
    }
}

struct lg_error *lg_dumpheap_objects(struct lg_session *session, const struct lg_heap_query *query,
                                     struct lg_report *report)
{
    struct lg_clr *clr = lg_session_clr(session);
    _cleanup_(list_deinit) struct list list = { .query = query, .clr = clr, .report = report };
    list.types = (struct lg_type_filter){ .clr = clr, .query = query };
    struct lg_walk_result result;
    struct lg_error *err =
        lg_heap_walk(lg_session_heap(session), &query->filter, see_object, &list, &result);
    if (err)
        return err;
    if (list.failed)
        return &lg_no_memory;
    add_kept(&list);
    make_table(&list);
    lg_session_report_walk(report, &result);
    lg_report_truncated(report, "objects", list.matched - list.rows);
    if (!query->is_short && list.matched > 0)
        lg_report_line(report, "%s", "");
    err = lg_dumpheap_types(session, query, &list.stats, report);
    if (!err && !lg_heap_query_is_per_object(query) && !query->is_short)
        lg_report_fragments(report, clr, &list.fragments);
    return err;
}
