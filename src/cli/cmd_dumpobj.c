// `dumpobj`: what one object is made of.
#include <inttypes.h>

#include "cli/allocated.h"
#include "cli/cmd.h"
#include "cli/dumpobj.h"
#include "cli/values.h"
#include "collect/delegates.h"

enum { STRING_MAX = 1 << 20, ELEMENTS_SHOWN = 128 };

struct lg_object_view lg_object_view(struct lg_session *session, struct lg_report *report)
{
    if (lg_session_target(session)->has_no_values)
        lg_report_incomplete(report, "%s", LG_NO_CONTENTS);
    return (struct lg_object_view){
        .report = report,
        .heap = lg_session_heap(session),
        .clr = lg_session_clr(session),
        .target = lg_session_target(session),
    };
}

const char *lg_module_path(struct lg_clr *clr, const struct lg_type *type)
{
    const struct lg_module *module = lg_clr_module(clr, type->module);
    if (!module)
        return NULL;
    return *module->path ? module->path : module->name;
}

static void view_string(const struct lg_object_view *view, const struct lg_object *object)
{
    uint32_t length = 0;
    bool has_length = lg_target_u32(view->target, object->address + 8, &length);
    _cleanup_free_ char *text = lg_string_text(view->target, object->address, STRING_MAX);
    LG_VIEW_LINE(view, "String:      %s", text ? text : "(cannot be read)");
    if (view->is_nested)
        return;
    lg_report_fact_text(view->report, "string", text);
    if (has_length)
        lg_report_fact_number(view->report, "length", length);
    else
        lg_report_fact_null(view->report, "length");
}

static void view_what(const struct lg_object_view *view, const struct lg_object *object)
{
    struct lg_array array;
    if (object->type->flags & LG_TYPE_ARRAY) {
        if (!lg_array_read(view->clr, object, &array))
            return;
        lg_view_array_line(view, &array, true);
        if (!view->is_nested)
            lg_view_elements(view, &array, 0, ELEMENTS_SHOWN);
        return;
    }
    const char *path = lg_module_path(view->clr, object->type);
    LG_VIEW_LINE(view, "File:        %s", path ? path : "unknown");
    if (object->type->flags & LG_TYPE_STRING)
        view_string(view, object);
}

struct lg_error *lg_view_object(const struct lg_object_view *view, const struct lg_object *object)
{
    LG_VIEW_LINE(view, "Name:        %s", lg_clr_type_name(view->clr, object->type));
    LG_VIEW_LINE(view, "MethodTable: %016" PRIx64, object->type->mt);
    LG_VIEW_LINE(view, "Size:        %" PRIu64 "(0x%" PRIx64 ") bytes", object->size, object->size);
    view_what(view, object);
    if (!view->no_fields) {
        struct lg_error *err = lg_view_fields(view, object);
        if (err)
            return err;
    }
    if (lg_is_delegate(view->clr, object->type))
        return lg_view_delegate(view, object);
    return NULL;
}

static void add_facts(const struct lg_object_view *view, const struct lg_object *object)
{
    struct lg_report *report = view->report;
    lg_report_fact_address(report, "address", object->address);
    lg_report_fact_address(report, "mt", object->type->mt);
    lg_report_fact_text(report, "type", lg_clr_type_name(view->clr, object->type));
    lg_report_fact_number(report, "size", object->size);
    lg_report_fact_text(report, "generation", lg_object_generation(view->heap, object->address));
    lg_report_fact_text(report, "module", lg_module_path(view->clr, object->type));
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    uint64_t address;
    struct lg_error *err = lg_args_expect(args, 1, 1);
    if (!err)
        err = lg_args_address(args, 0, &address);
    struct lg_object object;
    if (!err)
        err = lg_object_require(lg_session_heap(session), address, &object);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("dumpobj");
    if (!report)
        return &lg_no_memory;
    struct lg_object_view view = lg_object_view(session, report);
    view.no_fields = lg_args_has(args, "nofields");
    add_facts(&view, &object);
    err = lg_view_object(&view, &object);
    if (!err)
        err = lg_report_allocated(session, report, address);
    if (err)
        return err;
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "nofields", LG_OPT_FLAG, NULL, "without the fields" },
    { 0 },
};

static const char details[] =
    "Fields of base classes come first; offsets are hex, from the object's address. A reference\n"
    "shows where it leads, a struct where it lies (see dumpvc), a char its code in hex. Thread\n"
    "statics follow with a value for each thread, delegates with what they call. --json has\n"
    "strings, and the fields of structs, in place.\n"
    "\n"
    "  $ linger dumpobj 4711 7f685d015738\n"
    "  Name:        Order\n"
    "  MethodTable: 00007f7438947af8\n"
    "  Size:        40(0x28) bytes\n"
    "  File:        /app/Shop.dll\n"
    "  Fields:\n"
    "                MT    Field   Offset                 Type   VT     Attr            Value Name\n"
    "  00007f74388574e8 04000001       18         System.Int32  Yes instance                3 Id\n"
    "  00007f743887dd58 04000002        8        System.String   No instance 00007f685d015760 Note\n"
    "  00007f7438944d50 04000003       10        System.Byte[]   No instance 00007f685d015798 Blob";

const struct lg_command lg_cmd_dumpobj = {
    .name = "dumpobj",
    .alias = "do",
    .usage = "[-nofields] ADDRESS",
    .summary = "one object: its type, fields, statics, and what is in them",
    .details = details,
    .options = options,
    .beyond_graph = "fields",
    .needs = LG_NEEDS_HEAP,
    .check = lg_check_address,
    .run = run,
};
