// What a delegate calls, as rows of a table.
#include <inttypes.h>

#include "cli/dumpobj.h"
#include "collect/delegates.h"

static const struct lg_column delegate_columns[] = {
    { "target", "Target", LG_CELL_ADDRESS, 16, LG_COL_LOWER16 | LG_COL_LEFT },
    { "method", "Method", LG_CELL_ADDRESS, 16, LG_COL_LOWER16 | LG_COL_LEFT },
    { "name", "Name", LG_CELL_TEXT, -1 },
    { "target_type", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
};
static const struct lg_table_spec delegate_spec = LG_TABLE_SPEC("delegates", delegate_columns, 0);

static void add_row(const struct lg_object_view *view, struct lg_table *table, uint64_t delegate)
{
    struct lg_object object, target;
    struct lg_call call = { 0 };
    if (lg_object_read(view->clr, delegate, &object))
        lg_delegate_call(view->clr, &object, &call);
    uint64_t method = call.code ? lg_clr_method_from_code(view->clr, call.code) : 0;
    bool has_target = call.target && lg_object_read(view->clr, call.target, &target);
    if (call.target)
        lg_cell_number(table, call.target);
    else
        lg_cell_null(table);
    if (method)
        lg_cell_number(table, method);
    else
        lg_cell_null(table);
    lg_cell_text(table, method ? lg_clr_method_name(view->clr, method) : NULL);
    lg_cell_text(table, has_target ? lg_clr_type_name(view->clr, target.type) : NULL);
}

struct lg_error *lg_view_delegate(const struct lg_object_view *view, const struct lg_object *object)
{
    if (view->is_nested || view->target->has_no_values)
        return NULL; // What it calls is a value.
    struct lg_table *table = lg_report_table(view->report, &delegate_spec);
    struct lg_object list;
    uint64_t count, unread = 0;
    if (!lg_delegate_list(view->clr, object, &list, &count)) {
        add_row(view, table, object->address);
        return NULL;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t entry = lg_delegate_at(view->clr, &list, i);
        if (entry)
            add_row(view, table, entry);
        else
            unread++;
    }
    if (unread > 0)
        lg_report_incomplete(view->report, "%" PRIu64 " of the %" PRIu64 " delegates cannot be read",
                             unread, count);
    return NULL;
}
