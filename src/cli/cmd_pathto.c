// `pathto`: how one object leads to another. The shortest path, with the text of SOS's chains.
#include <inttypes.h>

#include "cli/cmd.h"
#include "cli/gcroot.h"

struct ends {
    struct lg_object from, to;
};

// The graph may be that of another copy than the one before: only there is an object what it is.
static struct lg_error *find_ends(struct lg_session *session, const struct lg_args *args,
                                  struct ends *ret)
{
    const struct lg_heap_graph *graph;
    uint64_t from, to;
    struct lg_error *err = lg_args_address(args, 0, &from);
    if (!err)
        err = lg_args_address(args, 1, &to);
    if (!err)
        err = lg_session_graph(session, &graph);
    if (!err)
        err = lg_object_require(lg_session_heap(session), from, &ret->from);
    return err ? err : lg_object_require(lg_session_heap(session), to, &ret->to);
}

static void report_facts(struct lg_report *report, struct lg_clr *clr, const struct ends *ends,
                         const struct lg_chain *chain)
{
    lg_report_fact_address(report, "from", ends->from.address);
    lg_report_fact_text(report, "from_type", lg_clr_type_name(clr, ends->from.type));
    lg_report_fact_address(report, "to", ends->to.address);
    lg_report_fact_text(report, "to_type", lg_clr_type_name(clr, ends->to.type));
    lg_report_fact_bool(report, "found", chain->hops > 0);
    lg_report_fact_number(report, "length", chain->hops);
}

static struct lg_error *report_path(struct lg_report *report, const struct lg_heap_graph *graph,
                                    const struct lg_paths *paths, const struct lg_chain *chain)
{
    _cleanup_(lg_path_reader_deinit) struct lg_path_reader reader = { .graph = graph, .paths = paths };
    _cleanup_(lg_path_deinit) struct lg_path path = { 0 };
    struct lg_clr *clr = lg_heap_clr(graph->heap);
    struct lg_error *err = lg_path_read(&reader, chain, &path);
    if (err)
        return err;
    if (path.hops.len > 0)
        lg_path_write(report, clr, &path);
    lg_path_add(lg_report_table(report, &lg_path_spec), clr, &path);
    lg_report_truncated(report, "path", chain->hops - path.hops.len);
    return NULL;
}

static struct lg_error *answer(struct lg_session *session, const struct lg_args *args,
                               struct lg_report *report)
{
    struct ends ends;
    const struct lg_heap_graph *graph;
    _cleanup_(lg_paths_freep) struct lg_paths *paths = NULL;
    struct lg_error *err = find_ends(session, args, &ends);
    if (!err)
        err = lg_session_graph(session, &graph);
    if (err)
        return err;
    lg_node from = lg_index_node(graph->index, ends.from.address);
    lg_node to = lg_index_node(graph->index, ends.to.address);
    if (from == LG_NO_NODE || to == LG_NO_NODE)
        return lg_error_new(LG_ERR_CORRUPT, "0x%" PRIx64 " was not met on a walk of the heap",
                            from == LG_NO_NODE ? ends.from.address : ends.to.address);
    err = lg_paths_find(graph->reversed, to, &paths);
    if (err)
        return err;
    const struct lg_root start = { .object = ends.from.address };
    struct lg_chain chain = { .root = &start, .hops = lg_paths_has(paths, from) };
    for (; chain.hops > 0 && from != to; from = paths->next[from])
        chain.hops++;
    if (chain.hops == 0)
        lg_report_line(report, "Could not find a path from %012" PRIx64 " to %012" PRIx64,
                       ends.from.address, ends.to.address);
    report_facts(report, lg_session_clr(session), &ends, &chain);
    lg_session_report_walk(report, &graph->walk);
    return report_path(report, graph, paths, &chain);
}

static struct lg_error *check_args(const struct lg_args *args)
{
    uint64_t address;
    struct lg_error *err = lg_args_expect(args, 2, 2);
    if (!err)
        err = lg_args_address(args, 0, &address);
    return err ? err : lg_args_address(args, 1, &address);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_error *err = check_args(args);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("pathto");
    if (!report)
        return &lg_no_memory;
    err = answer(session, args, report);
    if (err)
        return err;
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const char details[] =
    "The shortest path of references from one object to another, dependent handles and loader\n"
    "allocators of collectible types included; a line says in brackets how it refers to the next.\n"
    "What a static field holds is not held by the array that the runtime keeps the field in.\n"
    "\n"
    "  $ linger pathto 4711 7f685d015188 7f685d015738\n"
    "            -> 7f685d015188     System.Collections.Generic.Dictionary<System.Int32, Order> "
    "[_entries]\n"
    "            -> 7f685dcafc38     System.Collections.Generic.Dictionary<System.Int32, Order>+Entry[] "
    "[3].value\n"
    "            -> 7f685d015738     Order";

const struct lg_command lg_cmd_pathto = {
    .name = "pathto",
    .usage = "FROM TO",
    .summary = "how one object leads to another: the shortest path",
    .details = details,
    .needs = LG_NEEDS_HEAP,
    .check = check_args,
    .run = run,
};
