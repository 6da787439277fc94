// `objsize`: everything that objects reach, and beside it what they alone keep alive.
#include <inttypes.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/dumpheap.h"
#include "util/pages.h"

struct objsize {
    struct lg_session *session;
    struct lg_report *report;
    const struct lg_reach *reach;
    const struct lg_retention *retention;
    const struct lg_roots *roots;
    struct lg_object object;    // The one that was asked about; address 0: all of a type.
    const struct lg_type *type; // Of it, or of all.
    bool is_short;
    LG_VEC(lg_node) from;
};
static void objsize_deinit(struct objsize *o)
{
    lg_vec_free(&o->from);
}

// ---- which objects ----

static bool add_if_of_type(void *self, const struct lg_object *object, const struct lg_segment *segment)
{
    struct objsize *o = self;
    lg_node node = object->type == o->type && !(object->type->flags & LG_TYPE_FREE)
                       ? lg_index_node(o->reach->graph->index, object->address)
                       : LG_NO_NODE;
    return node == LG_NO_NODE || lg_vec_push(&o->from, node);
}

static struct lg_error *find_all_of_type(struct objsize *o, uint64_t mt)
{
    const struct lg_walk_filter everything = { 0 };
    struct lg_walk_result result;
    o->type = lg_clr_type(lg_session_clr(o->session), mt);
    if (!o->type)
        return lg_error_new(LG_ERR_NOT_FOUND,
                            "0x%" PRIx64 " is no method table: 'dumpheap -stat' lists them", mt);
    struct lg_error *err =
        lg_heap_walk(lg_session_heap(o->session), &everything, add_if_of_type, o, &result);
    if (!err && o->from.len == 0)
        err = lg_error_new(LG_ERR_NOT_FOUND, "there is no object of method table 0x%" PRIx64, mt);
    return err;
}

static struct lg_error *find_one(struct objsize *o, uint64_t address)
{
    struct lg_error *err = lg_object_require(lg_session_heap(o->session), address, &o->object);
    if (err)
        return err;
    o->type = o->object.type;
    lg_node node = lg_index_node(o->reach->graph->index, address);
    if (node == LG_NO_NODE)
        return lg_error_new(LG_ERR_CORRUPT, "0x%" PRIx64 " was not met on a walk of the heap", address);
    return lg_vec_push(&o->from, node) ? NULL : &lg_no_memory;
}

static struct lg_error *find_objects(struct objsize *o, const struct lg_args *args)
{
    uint64_t address;
    struct lg_error *err = lg_session_reach(o->session, &o->reach);
    if (!err)
        err = lg_session_roots(o->session, &o->roots);
    if (!err)
        err = lg_session_retention(o->session, &o->retention);
    if (err)
        return err;
    if (lg_args_has(args, "mt"))
        return find_all_of_type(o, lg_args_number(args, "mt", 0));
    err = lg_args_address(args, 0, &address);
    return err ? err : find_one(o, address);
}

// ---- what they retain ----

static struct lg_error *retained_together(const struct objsize *o, struct lg_retained_group *ret)
{
    size_t words = (size_t)o->retention->node_count / 64 + 1;
    uint64_t *in_set = lg_pages_alloc(words, 8);
    if (!in_set)
        return &lg_no_memory;
    for (size_t i = 0; i < o->from.len; i++) {
        if (o->retention->number[o->from.at[i]])
            in_set[o->from.at[i] >> 6] |= UINT64_C(1) << (o->from.at[i] & 63);
    }
    struct lg_error *err = lg_retained_set(o->retention, o->reach, o->roots, in_set, ret);
    lg_pages_free(in_set, words, 8);
    return err;
}

static void write_retained(const struct objsize *o, uint64_t live, uint64_t retained)
{
    char size[LG_COMMAS_SIZE], count[LG_COMMAS_SIZE];
    bool is_one = o->object.address != 0;
    if (live == 0)
        lg_report_line(o->report, is_one ? "It is not alive: no root reaches it."
                                         : "None of them is alive: no root reaches one.");
    else if (is_one)
        lg_report_line(o->report, "Of it %s bytes are retained: nothing else keeps them alive.",
                       lg_commas(size, retained));
    else
        lg_report_line(o->report,
                       "Of it %s bytes are retained: nothing but the %s live ones keeps them alive.",
                       lg_commas(size, retained), lg_commas(count, live));
}

static void report_retained(const struct objsize *o, uint64_t live, uint64_t retained)
{
    if (!o->is_short)
        write_retained(o, live, retained);
    lg_report_fact_number(o->report, "instances", o->from.len);
    lg_report_fact_number(o->report, "live_instances", live);
    if (live > 0)
        lg_report_fact_number(o->report, "retained", retained);
    else
        lg_report_fact_null(o->report, "retained");
    lg_session_report_walk(o->report, &o->reach->graph->walk);
    for (size_t i = 0; i < o->roots->incomplete.len; i++)
        lg_report_incomplete(o->report, "%s", o->roots->incomplete.at[i]);
}

static struct lg_error *find_retained(const struct objsize *o)
{
    uint32_t number = o->retention->number[o->from.at[0]];
    struct lg_retained_group together = { .count = number > 0,
                                          .retained = number ? o->retention->size[number] : 0 };
    struct lg_error *err = o->from.len > 1 ? retained_together(o, &together) : NULL;
    if (!err)
        report_retained(o, together.count, together.retained);
    return err;
}

// ---- what they reach ----

static struct lg_error *list(const struct objsize *o, const struct lg_args *args,
                             const struct lg_paths *reached)
{
    const struct lg_heap_query query = {
        .stat = lg_args_has(args, "stat") || lg_args_has(args, "summary"),
        .is_short = o->is_short,
        .strings = lg_args_has(args, "strings"),
        .top = lg_args_number(args, "top", 0),
        .index = o->reach->graph->index,
        .within = reached->seen,
    };
    if (query.strings)
        return lg_dumpheap_strings(o->session, &query, o->report);
    return query.stat ? lg_dumpheap_stat(o->session, &query, o->report)
                      : lg_dumpheap_objects(o->session, &query, o->report);
}

static void report_title(const struct objsize *o)
{
    const char *name = lg_clr_type_name(lg_session_clr(o->session), o->type);
    lg_report_fact_text(o->report, "type", name);
    if (o->object.address) {
        lg_report_fact_address(o->report, "address", o->object.address);
        lg_report_fact_number(o->report, "size", o->object.size);
    }
    if (o->is_short)
        return;
    if (o->object.address)
        lg_report_line(o->report,
                       "Objects which %012" PRIx64 " (%s) transitively keep alive:", o->object.address,
                       name);
    else
        lg_report_line(o->report, "Objects which (%s) transitively keep alive:", name);
    lg_report_line(o->report, "%s", "");
}

static struct lg_error *answer(struct objsize *o, const struct lg_args *args)
{
    _cleanup_(lg_paths_freep) struct lg_paths *reached = NULL;
    struct lg_error *err = find_objects(o, args);
    if (!err)
        err = lg_paths_new(o->retention->node_count, &reached);
    if (!err)
        err =
            lg_heap_graph_need(o->reach->graph, LG_GRAPH_FORWARD); // It was used up for retained sizes.
    if (!err)
        err = lg_paths_search(reached, o->reach->graph->forward, o->from.at, o->from.len);
    if (err)
        return err;
    report_title(o);
    err = list(o, args, reached);
    return err ? err : find_retained(o);
}

static struct lg_error *check_args(const struct lg_args *args)
{
    uint64_t address;
    if (lg_args_has(args, "mt"))
        return lg_args_expect(args, 0, 0);
    if (lg_args_count(args) == 0)
        return lg_error_new(LG_ERR_USAGE,
                            "expected the address of an object, or -mt; what all roots hold "
                            "is told by 'retained -by root'");
    struct lg_error *err = lg_args_expect(args, 1, 1);
    return err ? err : lg_args_address(args, 0, &address);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_error *err = check_args(args);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("objsize");
    if (!report)
        return &lg_no_memory;
    _cleanup_(objsize_deinit) struct objsize objsize = { .session = session,
                                                         .report = report,
                                                         .is_short = lg_args_has(args, "short") };
    err = answer(&objsize, args);
    if (err)
        return err;
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "mt", LG_OPT_ADDRESS, "MT", "what all objects of one method table reach together" },
    { "stat", LG_OPT_FLAG, NULL, "statistics by type only" },
    { "summary", LG_OPT_FLAG, NULL, "the same" },
    { "short", LG_OPT_FLAG, NULL, "addresses only" },
    { "strings", LG_OPT_FLAG, NULL, "the strings among them, by text" },
    { "top", LG_OPT_NUMBER, "N", "rows at most" },
    { 0 },
};

static const char details[] =
    "Everything that the object reaches, shared or not: the inclusive size. Below it, what of that is\n"
    "retained: nothing but the object keeps it alive, so it goes when the object goes. A big\n"
    "inclusive size says little; nearly everything reaches something shared. Sizes are those of SOS.\n"
    "\n"
    "  $ linger objsize 4711 7f685d015738 -stat\n"
    "  Objects which 7f685d015738 (Order) transitively keep alive:\n"
    "\n"
    "  Statistics:\n"
    "            MT Count TotalSize Class Name\n"
    "  7f7438947af8     1        40 Order\n"
    "  7f743887dd58     1        50 System.String\n"
    "  7f7438944d50     1       224 System.Byte[]\n"
    "  Total 3 objects, 314 bytes\n"
    "  Of it 314 bytes are retained: nothing else keeps them alive.";

const struct lg_command lg_cmd_objsize = {
    .name = "objsize",
    .usage = "[OPTIONS] ADDRESS | -mt MT",
    .summary = "everything that an object reaches, and what of it the object alone keeps alive",
    .details = details,
    .options = options,
    .needs = LG_NEEDS_HEAP,
    .check = check_args,
    .run = run,
};
