// `dumpalc`: the AssemblyLoadContexts, or that of one object's type.
#include <inttypes.h>

#include "cli/cmd.h"
#include "cli/dumpobj.h"
#include "cli/load_contexts.h"
#include "cli/support.h"

static const struct lg_column context_columns[] = {
    { "address", "Address", LG_CELL_ADDRESS, 12 },
    { "mt", "", LG_CELL_ADDRESS, 0, LG_COL_JSON_ONLY },
    { "binder", "", LG_CELL_ADDRESS, 0, LG_COL_JSON_ONLY },
    { "collectible", "Collectible", LG_CELL_BOOL, 11, LG_COL_LEFT },
    { "state", "State", LG_CELL_TEXT, 9, LG_COL_LEFT },
    { "assemblies", "Assemblies", LG_CELL_COUNT, 10 },
    { "name", "Name", LG_CELL_TEXT, 0, LG_COL_LEFT },
    { "type", "Type", LG_CELL_TEXT, -1, LG_COL_LEFT },
};
static const struct lg_table_spec context_spec =
    LG_TABLE_SPEC("contexts", context_columns, LG_TABLE_MAIN | LG_TABLE_WIDE);
static const struct lg_table_spec hidden_spec =
    LG_TABLE_SPEC("contexts", context_columns, LG_TABLE_MAIN | LG_TABLE_HIDDEN);

static void cell_address(struct lg_table *table, uint64_t address)
{
    if (address)
        lg_cell_number(table, address);
    else
        lg_cell_null(table);
}

static void add_row(struct lg_clr *clr, struct lg_table *table, const struct lg_context *context)
{
    lg_cell_number(table, context->object.address);
    lg_cell_number(table, context->object.type->mt);
    cell_address(table, context->binder);
    lg_cell_bool(table, context->collectible);
    lg_cell_name(table, lg_context_state_name(context->state));
    lg_cell_number(table, context->assemblies);
    lg_cell_text(table, context->name);
    lg_cell_name(table, lg_clr_type_name(clr, context->object.type));
}

static struct lg_error *find(const struct lg_contexts *contexts, uint64_t address,
                             const struct lg_context **ret)
{
    for (size_t i = 0; i < contexts->all.len; i++) {
        if (contexts->all.at[i].object.address == address) {
            *ret = &contexts->all.at[i];
            return NULL;
        }
    }
    return lg_error_new(LG_ERR_CORRUPT, "the load context at 0x%" PRIx64 " is none", address);
}

static struct lg_error *report_one(const struct lg_object_view *view, const struct lg_contexts *contexts,
                                   uint64_t address)
{
    struct lg_object object;
    struct lg_load_context loaded;
    const struct lg_context *context;
    struct lg_error *err = lg_object_require(view->heap, address, &object);
    if (err)
        return err;
    struct lg_table *table = lg_report_table(view->report, &hidden_spec);
    if (!lg_clr_load_context(view->clr, lg_clr_loader_module(view->clr, object.type), &loaded))
        return lg_error_new(LG_ERR_UNSUPPORTED, "this runtime does not tell the load context of %s",
                            lg_clr_type_name(view->clr, object.type));
    if (!loaded.object) {
        lg_report_line(view->report,
                       "The default load context; the program has made no AssemblyLoadContext of it.");
        return NULL;
    }
    err = find(contexts, loaded.object, &context);
    if (err)
        return err;
    add_row(view->clr, table, context);
    return lg_view_object(view, &context->object);
}

static void report_all(struct lg_clr *clr, struct lg_report *report, const struct lg_contexts *contexts)
{
    size_t unloading = 0, len = contexts->all.len;
    struct lg_table *table = lg_report_table(report, &context_spec);
    for (size_t i = 0; i < len; i++) {
        add_row(clr, table, &contexts->all.at[i]);
        unloading += contexts->all.at[i].state == LG_CONTEXT_UNLOADING;
    }
    lg_report_line(report, "%zu load context%s", len, len == 1 ? "" : "s");
    if (unloading)
        lg_report_line(report,
                       "%zu told to unload, but not yet unloaded: 'gcroot' of an object of %s says what "
                       "holds it.",
                       unloading, unloading == 1 ? "its types" : "their types");
}

static struct lg_error *check_args(const struct lg_args *args)
{
    uint64_t address;
    struct lg_error *err = lg_args_expect(args, 0, 1);
    return err || lg_args_count(args) == 0 ? err : lg_args_address(args, 0, &address);
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_clr *clr = lg_session_clr(session);
    _cleanup_(lg_contexts_deinit) struct lg_contexts contexts = { 0 };
    struct lg_error *err = lg_contexts_find(lg_session_heap(session), &contexts);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("dumpalc");
    if (!report)
        return &lg_no_memory;
    if (lg_args_count(args) > 0) {
        uint64_t address;
        struct lg_object_view view = lg_object_view(session, report);
        view.is_nested = true;
        err = lg_args_address(args, 0, &address);
        if (!err)
            err = report_one(&view, &contexts, address);
        if (err)
            return err;
    } else {
        lg_report_nameless(report, clr, "load contexts");
        report_all(clr, report, &contexts);
    }
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const char details[] =
    "Without ADDRESS: every AssemblyLoadContext that has not been collected, and how many assemblies "
    "it\n"
    "has. One that is unloading and stays is a leak: something still holds an object of its types.\n"
    "With the ADDRESS of an object: the context that its type was loaded into, as dumpobj shows it.\n"
    "\n"
    "  $ linger dumpalc 4711\n"
    "       Address  Collectible  State      Assemblies  Name   Type\n"
    "  7fc2f58098f0  yes          unloading           1  leaky  "
    "System.Runtime.Loader.AssemblyLoadContext\n"
    "  7fc2f580ac90  yes          alive               1  alive  "
    "System.Runtime.Loader.AssemblyLoadContext\n"
    "  7fc2f580b758  no           alive               1  fixed  FixedContext\n"
    "  3 load contexts\n"
    "  1 told to unload, but not yet unloaded: 'gcroot' of an object of its types says what holds it.";

const struct lg_command lg_cmd_dumpalc = {
    .name = "dumpalc",
    .usage = "[ADDRESS]",
    .summary = "the AssemblyLoadContexts: which are to be unloaded and still here",
    .details = details,
    .beyond_graph = "load contexts",
    .needs = LG_NEEDS_HEAP,
    .check = check_args,
    .run = run,
};
