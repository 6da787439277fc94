// `gcroot`: what keeps an object alive. The shortest path from every root that reaches it.
//
// Text is that of SOS (reference sos-commands.md 4.1) with sections of our own for statics, which SOS
// shows as an Object[] in a handle; each line of a path ends with the field or element that leads to the
// next. A path through a list of a thousand nodes is told in a few lines; JSON has all of it.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/allocated.h"
#include "cli/cmd.h"
#include "cli/gcroot.h"

static void report_facts(struct lg_report *report, struct lg_heap *heap, const struct lg_object *object)
{
    lg_report_fact_address(report, "address", object->address);
    lg_report_fact_text(report, "type", lg_clr_type_name(lg_heap_clr(heap), object->type));
    lg_report_fact_number(report, "size", object->size);
    lg_report_fact_text(report, "generation", lg_object_generation(heap, object->address));
}

static void report_incomplete(struct lg_report *report, const struct lg_roots *roots, bool stacks)
{
    for (size_t i = 0; i < roots->incomplete.len; i++) {
        if (stacks || !strstr(roots->incomplete.at[i], "stack"))
            lg_report_incomplete(report, "%s", roots->incomplete.at[i]);
    }
    if (!stacks)
        lg_report_incomplete(report, "stacks were left out (-nostacks)");
}

// The nearest of each root.
static struct lg_error *search(struct lg_session *session, const struct lg_disjoint_query *query,
                               struct lg_report *report)
{
    const struct lg_heap_graph *graph;
    const struct lg_roots *roots;
    _cleanup_(lg_paths_freep) struct lg_paths *paths = NULL;
    _cleanup_(lg_chains_deinit) struct lg_chains chains = { 0 };
    struct lg_error *err = lg_session_graph(session, &graph);
    if (!err)
        err = lg_session_roots(session, &roots);
    if (!err)
        err =
            lg_paths_find(graph->reversed, lg_index_node(graph->index, query->object->address), &paths);
    if (!err)
        err = lg_chains_find(graph, roots, paths, query->stacks, &chains);
    if (!err)
        err = lg_chains_report(report, graph, paths, &chains, query->limit);
    if (err)
        return err;
    size_t len = chains.all.len;
    lg_report_fact_number(report, "unique_roots", len);
    lg_report_fact_number(report, "objects_searched", chains.objects_searched);
    lg_report_line(report, "Found %zu unique roots.", len);
    if (query->limit && query->limit < len)
        lg_report_line(report, "The nearest %" PRIu64 " are shown (-limit).", query->limit);
    return NULL;
}

static struct lg_error *report_object(struct lg_session *session, const struct lg_args *args,
                                      const struct lg_object *object, struct lg_report *report)
{
    const struct lg_heap_graph *graph;
    const struct lg_roots *roots;
    const struct lg_disjoint_query query = { .object = object,
                                             .stacks = !lg_args_has(args, "nostacks"),
                                             .limit = lg_args_number(args, "limit", 0) };
    struct lg_error *err = lg_session_graph(session, &graph);
    if (!err)
        err = lg_session_roots(session, &roots);
    if (err)
        return err;
    if (lg_index_node(graph->index, object->address) == LG_NO_NODE)
        return lg_error_new(LG_ERR_CORRUPT, "0x%" PRIx64 " was not met on a walk of the heap",
                            object->address);
    lg_session_report_walk(report, &graph->walk);
    report_incomplete(report, roots, query.stacks);
    report_facts(report, lg_session_heap(session), object);
    err = lg_args_has(args, "all") ? lg_gcroot_disjoint(session, &query, report)
                                   : search(session, &query, report);
    const char *generation = lg_object_generation(lg_session_heap(session), object->address);
    if (!err && generation && strcmp(generation, "foh") == 0)
        lg_report_line(report, "It is in the NonGC heap: it is never collected.");
    return err ? err : lg_report_allocated(session, report, object->address);
}

// The graph may be that of another copy than the one before: only there is the object what it is.
static struct lg_error *find_object(struct lg_session *session, uint64_t address, struct lg_object *ret)
{
    const struct lg_heap_graph *graph;
    struct lg_error *err = lg_object_require(lg_session_heap(session), address, ret);
    if (!err)
        err = lg_session_graph(session, &graph);
    if (!err)
        err = lg_object_require(lg_session_heap(session), address, ret);
    return err;
}

static bool asks_for_type(const struct lg_args *args)
{
    return lg_args_has(args, "type") || lg_args_has(args, "mt");
}

static struct lg_error *check_args(const struct lg_args *args)
{
    if (!asks_for_type(args) && lg_args_has(args, "fields"))
        return lg_error_new(LG_ERR_USAGE, "-fields is for -type and -mt");
    if (!asks_for_type(args))
        return lg_check_address(args);
    const char *for_one = lg_args_has(args, "nostacks") ? "nostacks"
                          : lg_args_has(args, "all")    ? "all"
                                                        : NULL;
    if (for_one)
        return lg_error_new(LG_ERR_USAGE, "-%s is for the roots of one ADDRESS", for_one);
    return lg_args_expect(args, 0, 0);
}

static struct lg_error *answer(struct lg_session *session, const struct lg_args *args,
                               struct lg_report *report)
{
    uint64_t address;
    struct lg_object object;
    if (asks_for_type(args)) {
        struct lg_groups_query query = { .contains = lg_args_text(args, "type"),
                                         .mt = lg_args_number(args, "mt", 0),
                                         .limit = lg_args_number(args, "limit", 0),
                                         .by_fields = lg_args_has(args, "fields") };
        return lg_gcroot_groups(session, &query, report);
    }
    struct lg_error *err = lg_args_address(args, 0, &address);
    if (!err)
        err = find_object(session, address, &object);
    return err ? err : report_object(session, args, &object, report);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_error *err = check_args(args);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("gcroot");
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

static const struct lg_option options[] = {
    { "nostacks", LG_OPT_FLAG, NULL, "without the stacks of threads" },
    { "all", LG_OPT_FLAG, NULL, "paths that share no object: how often it is held, and what to cut" },
    { "limit", LG_OPT_NUMBER, "N",
      "only the first N roots (of each section the nearest), paths or groups" },
    { "type", LG_OPT_TEXT, "TEXT",
      "all instances of types that contain TEXT, grouped by what holds them" },
    { "mt", LG_OPT_ADDRESS, "MT", "the same of one method table" },
    { "fields", LG_OPT_FLAG, NULL, "groups by every field, those within collections too" },
    { 0 },
};

static const char details[] =
    "One path for each root that reaches the object, the shortest; a line says in brackets how it\n"
    "refers to the next. Statics and thread statics are named; handles, finalizer queue and stacks\n"
    "follow. Stacks are searched conservatively: a word there that points at an object may be left\n"
    "over. An object that nothing reaches is garbage, if no note says that some roots could not be\n"
    "read.\n"
    "\n"
    "  $ linger gcroot 4711 7f685d015738\n"
    "  Statics:\n"
    "      00007f685b000a98 (static OrderCache.orders)\n"
    "            -> 7f685d015188     System.Collections.Generic.Dictionary<System.Int32, Order> "
    "[_entries]\n"
    "            -> 7f685dcafc38     System.Collections.Generic.Dictionary<System.Int32, Order>+Entry[] "
    "[3].value\n"
    "            -> 7f685d015738     Order\n"
    "\n"
    "  Found 1 unique roots.";

const struct lg_command lg_cmd_gcroot = {
    .name = "gcroot",
    .usage = "[-all] [-limit N] [-nostacks] ADDRESS | [-fields] -type TEXT | -mt MT",
    .summary = "what keeps an object alive: the shortest path from each root",
    .details = details,
    .options = options,
    .needs = LG_NEEDS_HEAP,
    .check = check_args,
    .run = run,
};
