// `gcroot -all`: as many paths as there are without an object on two of them, and what to cut.
#include <inttypes.h>
#include <string.h>

#include "cli/gcroot.h"
#include "util/pages.h"

static const struct lg_column cut_columns[] = {
    { "address", "", LG_CELL_ADDRESS },
    { "mt", "", LG_CELL_ADDRESS, 0, LG_COL_JSON_ONLY },
    { "type", "", LG_CELL_TEXT, -1 },
};
static const struct lg_table_spec cut_spec = LG_TABLE_SPEC("cut", cut_columns, LG_TABLE_NO_HEADER);
static const struct lg_table_spec no_cut_spec = LG_TABLE_SPEC("cut", cut_columns, LG_TABLE_HIDDEN);

static uint64_t *nodes_of_roots(const struct lg_heap_graph *graph, const struct lg_roots *roots,
                                bool stacks)
{
    uint64_t *sources = lg_pages_alloc((size_t)graph->reversed->node_count / 64 + 1, 8);
    for (size_t i = 0; sources && i < roots->all.len; i++) {
        lg_node node = lg_root_is_wanted(&roots->all.at[i], stacks)
                           ? lg_index_node(graph->index, roots->all.at[i].object)
                           : LG_NO_NODE;
        if (node != LG_NO_NODE)
            sources[node >> 6] |= UINT64_C(1) << (node & 63);
    }
    return sources;
}

static void report_cut(struct lg_report *report, const struct lg_heap_graph *graph,
                       const struct lg_disjoint *disjoint)
{
    struct lg_clr *clr = lg_heap_clr(graph->heap);
    size_t count = disjoint->cut.len;
    if (count > 0)
        lg_report_line(report, count == 1 ? "Every path leads through:"
                                          : "Every path leads through one of these:");
    struct lg_table *table = lg_report_table(report, count > 0 ? &cut_spec : &no_cut_spec);
    for (size_t i = 0; i < count; i++) {
        struct lg_object object = { .address = lg_index_address(graph->index, disjoint->cut.at[i]) };
        bool known = lg_object_read(clr, object.address, &object);
        lg_cell_number(table, object.address);
        if (known)
            lg_cell_number(table, object.type->mt);
        else
            lg_cell_null(table);
        lg_cell_name(table, known ? lg_clr_type_name(clr, object.type) : NULL);
    }
}

// Roots that refer to the object itself, and paths of several objects.
static void report_total(struct lg_report *report, const struct lg_chains *chains,
                         const struct lg_disjoint *disjoint)
{
    size_t paths = chains->all.len, direct = paths - disjoint->starts.len;
    const char *text = disjoint->is_limited ? "; there may be more (-limit)."
                       : paths == 1         ? "; there is no second one that shares no object with it."
                       : paths > 1          ? "; no two share an object, and there are no more."
                                            : ".";
    lg_report_line(report, "Found %zu path%s%s", paths, paths == 1 ? "" : "s", text);
    lg_report_fact_number(report, "disjoint_paths", paths);
    lg_report_fact_number(report, "direct_roots", direct);
    lg_report_fact_bool(report, "vertex_disjoint", true);
    lg_report_fact_bool(report, "all_found", !disjoint->is_limited);
}

struct lg_error *lg_gcroot_disjoint(struct lg_session *session, const struct lg_disjoint_query *query,
                                    struct lg_report *report)
{
    const struct lg_heap_graph *graph;
    const struct lg_roots *roots;
    _cleanup_(lg_disjoint_freep) struct lg_disjoint *disjoint = NULL;
    _cleanup_(lg_chains_deinit) struct lg_chains chains = { 0 };
    struct lg_error *err = lg_session_graph(session, &graph);
    if (!err)
        err = lg_session_roots(session, &roots);
    if (err)
        return err;
    uint64_t *sources = nodes_of_roots(graph, roots, query->stacks);
    err = sources
              ? lg_disjoint_find(graph->reversed, lg_index_node(graph->index, query->object->address),
                                 sources, query->limit, &disjoint)
              : &lg_no_memory;
    lg_pages_free(sources, (size_t)graph->reversed->node_count / 64 + 1, 8);
    if (!err)
        err = lg_chains_of_starts(graph, roots, disjoint, query->stacks, &chains);
    if (!err)
        err = lg_chains_report(report, graph, disjoint->paths, &chains, query->limit);
    if (err)
        return err;
    report_total(report, &chains, disjoint);
    report_cut(report, graph, disjoint);
    return NULL;
}
