// `retained`: objects by what they keep alive.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/retained.h"

static const struct lg_column object_columns[] = {
    { "retained", "Retained", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "objects", "Objects", LG_CELL_COUNT, 0, LG_COL_COMMAS },
    { "size", "Size", LG_CELL_BYTES, 0, LG_COL_COMMAS },
    { "address", "Address", LG_CELL_ADDRESS, 0, LG_COL_RIGHT },
    { "mt", "", LG_CELL_ADDRESS, 0, LG_COL_JSON_ONLY },
    { "type", "Class Name", LG_CELL_TEXT, -1, LG_COL_JSON_ONLY },
    { "dominator", "", LG_CELL_ADDRESS, 0, LG_COL_JSON_ONLY },
    { "held_by", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "depth", "", LG_CELL_COUNT, 0, LG_COL_JSON_ONLY },
    { "field", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "meaning", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
    { "text", "Class Name", LG_CELL_TEXT, -1, LG_COL_TEXT_ONLY },
};
enum { FIELD_BYTES = 512 };

static const struct lg_table_spec object_spec = LG_TABLE_SPEC("objects", object_columns, LG_TABLE_MAIN);

// ---- rows ----

// Objects from the one that an owner holds down to this one.
static uint32_t depth_of(const struct lg_retention *retention, uint32_t number)
{
    uint32_t depth = 0;
    while (number && !lg_retention_owner(retention, number)) {
        number = retention->tree->idom[number];
        depth++;
    }
    return depth;
}

// `held_by` is in the arena; NULL if that ran out of memory, too.
static struct lg_summary_row row_of(const struct lg_retained *retained, uint32_t number,
                                    struct lg_arena *arena)
{
    const struct lg_retention *retention = retained->retention;
    const struct lg_type *type = lg_retention_type(retention, number);
    uint32_t dominator = retention->tree->idom[number];
    const struct lg_owner *owner = lg_retention_owner(retention, dominator);
    struct lg_object object = { 0 };
    struct lg_summary_row row = {
        .address = lg_retention_address(retention, number),
        .retained = retention->size[number],
        .objects = retention->objects[number],
        .type = type ? type->id : UINT32_MAX,
        .depth = depth_of(retention, number),
        .dominator = dominator && !owner ? lg_retention_address(retention, dominator) : 0,
    };
    row.size_is_known = lg_object_read(retained->clr, row.address, &object);
    row.size = object.size;
    _cleanup_free_ char *label = owner ? lg_owner_label(owner) : NULL;
    const char *held = label ? label : dominator == 0 ? "several roots" : NULL;
    row.held_by = held ? lg_arena_copy(arena, held, strlen(held)) : NULL;
    return row;
}

// "Order (static App.Cache.s_orders)", "Order [3].value (Dictionary["abc"])"
static char *row_text(const char *name, const char *held, const char *field, const char *meaning)
{
    char *text;
    bool is_element = field && field[0] == '[';
    int len = asprintf(&text, "%s%s%s%s%s%s%s%s%s%s", name, field ? is_element ? " " : " [" : "",
                       field ? field : "", field && !is_element ? "]" : "", meaning ? " (" : "",
                       meaning ? meaning : "", meaning ? ")" : "", held ? " (" : "", held ? held : "",
                       held ? ")" : "");
    return len < 0 ? NULL : text;
}

static void add_row(const struct lg_retained *retained, struct lg_table *table,
                    const struct lg_summary_row *row, const char *field, const char *meaning)
{
    const struct lg_type *type = lg_clr_type_at(retained->clr, row->type);
    const char *name = type ? lg_clr_type_name(retained->clr, type) : "<unknown>";
    const char *held = row->held_by;
    _cleanup_free_ char *text = row_text(name, held, field, meaning);
    lg_cell_number(table, row->retained);
    lg_cell_number(table, row->objects);
    if (row->size_is_known)
        lg_cell_number(table, row->size);
    else
        lg_cell_null(table);
    lg_cell_number(table, row->address);
    if (type)
        lg_cell_number(table, type->mt);
    else
        lg_cell_null(table);
    lg_cell_name(table, name);
    if (row->dominator)
        lg_cell_number(table, row->dominator);
    else
        lg_cell_null(table);
    lg_cell_text(table, held);
    lg_cell_number(table, row->depth);
    lg_cell_text(table, field);
    lg_cell_text(table, meaning);
    lg_cell_text(table, text);
}

// With `labels`: how the object that holds all of them refers to each.
static struct lg_error *add_rows(const struct lg_retained *retained, struct lg_top *top,
                                 struct lg_tree_labels *labels)
{
    struct lg_table *table = lg_report_table(retained->report, &object_spec);
    struct lg_arena arena = { 0 };
    struct lg_error *err = NULL;
    lg_top_sort(top);
    for (size_t i = 0; i < top->kept.len && !err; i++) {
        struct lg_summary_row row = row_of(retained, top->kept.at[i].value, &arena);
        char field[FIELD_BYTES] = "";
        const char *meaning = NULL;
        if (labels)
            err = lg_tree_label(labels, row.address, field, sizeof(field), &meaning);
        if (!err)
            add_row(retained, table, &row, field[0] ? field : NULL, meaning);
    }
    lg_arena_free(&arena);
    lg_report_truncated(retained->report, "objects", top->offered - top->kept.len);
    return err;
}

// Without a type: what no other object dominates, or the same memory would be there again and again.
static bool is_wanted(const struct lg_retained *retained, const uint8_t *types, uint32_t number)
{
    const struct lg_retention *retention = retained->retention;
    lg_node node = retention->tree->node[number];
    if (node >= retention->node_count || retention->size[number] < retained->query->min)
        return false;
    if (types)
        return types[retention->own_type[node]];
    uint32_t dominator = retention->tree->idom[number];
    return dominator == 0 || lg_retention_owner(retention, dominator);
}

// By lg_type.id: does its name contain the text? NULL when out of memory.
static uint8_t *types_named(struct lg_clr *clr, const char *text)
{
    uint32_t count = lg_clr_type_count(clr);
    uint8_t *named = calloc(count + 1u, 1);
    for (uint32_t i = 0; named && i < count; i++)
        named[i] = strstr(lg_clr_type_name(clr, lg_clr_type_at(clr, i)), text) != NULL;
    return named;
}

static struct lg_error *find_top(const struct lg_retained *retained, struct lg_top *top)
{
    const struct lg_retained_query *query = retained->query;
    _cleanup_free_ uint8_t *types = query->contains ? types_named(retained->clr, query->contains) : NULL;
    if (query->contains && !types)
        return &lg_no_memory;
    for (uint32_t i = 1; i < retained->retention->tree->count; i++) {
        if (is_wanted(retained, types, i) && !lg_top_offer(top, retained->retention->size[i], i))
            return &lg_no_memory;
    }
    return NULL;
}

struct lg_error *lg_retained_objects(const struct lg_retained *retained)
{
    _cleanup_(lg_top_deinit) struct lg_top top = { .limit = retained->query->top };
    struct lg_error *err = find_top(retained, &top);
    return err ? err : add_rows(retained, &top, NULL);
}

// ---- the same, found before ----

struct lg_error *lg_retained_summarise(struct lg_session *session, struct lg_arena *arena,
                                       struct lg_summary *ret)
{
    const struct lg_retained_query query = { .top = LG_SUMMARY_ROWS };
    struct lg_retained retained = { .session = session, .query = &query };
    const struct lg_reach *reach;
    struct lg_error *err = lg_session_retention(session, &retained.retention);
    if (!err)
        err = lg_session_reach(session, &reach);
    if (err)
        return err;
    retained.clr = lg_session_clr(session);
    _cleanup_(lg_top_deinit) struct lg_top top = { .limit = query.top };
    err = find_top(&retained, &top);
    lg_top_sort(&top);
    *ret = (struct lg_summary){ .live_count = retained.retention->live_count,
                                .live_size = retained.retention->live_size,
                                .guessed = reach->live_count - reach->certain_count,
                                .all = top.offered };
    for (size_t i = 0; i < top.kept.len && !err; i++) {
        if (!lg_vec_push(&ret->rows, row_of(&retained, top.kept.at[i].value, arena)))
            err = &lg_no_memory;
    }
    return err;
}

bool lg_retained_is_in(const struct lg_summary *summary, const struct lg_retained_query *query)
{
    bool is_plain = query->by == LG_BY_OBJECT && !query->set && !query->tree && !query->contains;
    return is_plain && !query->min && query->top > 0
           && (query->top <= summary->rows.len || summary->rows.len == summary->all);
}

void lg_retained_from_summary(const struct lg_retained *retained, const struct lg_summary *summary)
{
    struct lg_table *table = lg_report_table(retained->report, &object_spec);
    uint64_t shown = retained->query->top < summary->rows.len ? retained->query->top : summary->rows.len;
    for (size_t i = 0; i < shown; i++)
        add_row(retained, table, &summary->rows.at[i], NULL, NULL);
    lg_report_truncated(retained->report, "objects", summary->all - shown);
}

// ---- one object, downwards ----

struct lg_error *lg_retained_tree(const struct lg_retained *retained)
{
    const struct lg_retention *retention = retained->retention;
    struct lg_object object;
    struct lg_error *err = lg_object_require(retained->heap, retained->query->tree, &object);
    if (err)
        return err;
    lg_node node = lg_index_node(retention->graph->index, object.address);
    uint32_t number = node == LG_NO_NODE ? 0 : retention->number[node];
    if (number == 0)
        return lg_error_new(LG_ERR_NOT_FOUND, "0x%" PRIx64 " is not alive: no root reaches it",
                            object.address);
    struct lg_report *report = retained->report;
    char size[LG_COMMAS_SIZE], count[LG_COMMAS_SIZE];
    lg_report_line(report, "%012" PRIx64 " %s", object.address,
                   lg_clr_type_name(retained->clr, object.type));
    lg_report_line(report, "retains %s bytes in %s objects%s", lg_commas(size, retention->size[number]),
                   lg_commas(count, retention->objects[number]),
                   retention->objects[number] > 1 ? "; it alone holds:" : "");
    lg_report_fact_address(report, "address", object.address);
    lg_report_fact_text(report, "type", lg_clr_type_name(retained->clr, object.type));
    lg_report_fact_number(report, "size", object.size);
    lg_report_fact_number(report, "retained", retention->size[number]);
    lg_report_fact_number(report, "objects_retained", retention->objects[number]);
    _cleanup_(lg_top_deinit) struct lg_top top = { .limit = retained->query->top };
    for (uint32_t i = number + 1; i < retention->tree->count; i++) {
        if (retention->tree->idom[i] == number && retention->size[i] >= retained->query->min
            && !lg_top_offer(&top, retention->size[i], i))
            return &lg_no_memory;
    }
    _cleanup_(lg_tree_labels_deinit) struct lg_tree_labels labels;
    err = lg_tree_labels_init(&labels, retention, &object, number);
    return err ? err : add_rows(retained, &top, &labels);
}

// ---- a set ----

struct lg_error *lg_retained_of_set(const struct lg_retained *retained)
{
    const struct lg_retention *retention = retained->retention;
    const struct lg_reach *reach;
    const struct lg_roots *roots;
    const char *name = retained->query->set;
    struct lg_retained_group group;
    _cleanup_free_ uint8_t *types = types_named(retained->clr, name);
    _cleanup_free_ uint64_t *in_set = calloc((size_t)retention->node_count / 64 + 1, 8);
    if (!types || !in_set)
        return &lg_no_memory;
    for (lg_node node = 0; node < retention->node_count; node++) {
        if (retention->number[node] && types[retention->own_type[node]])
            in_set[node >> 6] |= UINT64_C(1) << (node & 63);
    }
    struct lg_error *err = lg_session_reach(retained->session, &reach);
    if (!err)
        err = lg_session_roots(retained->session, &roots);
    if (!err)
        err = lg_retained_set(retention, reach, roots, in_set, &group);
    if (err)
        return err;
    if (group.count == 0)
        return lg_error_new(LG_ERR_NOT_FOUND, "no live object is of a type whose name contains '%s'",
                            name);
    char text[3][LG_COMMAS_SIZE];
    lg_report_line(
        retained->report,
        "%s live objects of types whose name contains '%s', %s bytes, retain %s bytes together.",
        lg_commas(text[0], group.count), name, lg_commas(text[1], group.size),
        lg_commas(text[2], group.retained));
    lg_report_fact_text(retained->report, "set", name);
    lg_report_fact_number(retained->report, "set_count", group.count);
    lg_report_fact_number(retained->report, "set_size", group.size);
    lg_report_fact_number(retained->report, "set_retained", group.retained);
    return NULL;
}
