// `dumpvc`: the fields of a struct that lies somewhere in an object, a static or an array.
#include <inttypes.h>

#include "cli/cmd.h"
#include "cli/dumpobj.h"

static struct lg_error *read_arguments(const struct lg_args *args, uint64_t *mt_ret,
                                       uint64_t *address_ret)
{
    struct lg_error *err = lg_args_expect(args, 2, 2);
    if (!err)
        err = lg_args_address(args, 0, mt_ret);
    return err ? err : lg_args_address(args, 1, address_ret);
}

static struct lg_error *check(const struct lg_args *args)
{
    uint64_t mt, address;
    return read_arguments(args, &mt, &address);
}

static struct lg_error *find_struct(struct lg_session *session, const struct lg_args *args,
                                    const struct lg_type **type_ret, uint64_t *address_ret)
{
    uint64_t mt;
    struct lg_clr *clr = lg_session_clr(session);
    struct lg_error *err = read_arguments(args, &mt, address_ret);
    if (err)
        return err;
    *type_ret = lg_clr_type(clr, mt);
    if (!*type_ret)
        return lg_error_new(LG_ERR_NOT_FOUND, "0x%" PRIx64 " is no method table", mt);
    if (!((*type_ret)->flags & LG_TYPE_VALUE))
        return lg_error_new(LG_ERR_NOT_FOUND, "%s is no value type: use dumpobj instead",
                            lg_clr_type_name(clr, *type_ret));
    char byte;
    if (!lg_target_read_all(lg_session_target(session), *address_ret, &byte, 1))
        return lg_error_new(LG_ERR_NOT_FOUND, "nothing can be read at 0x%" PRIx64, *address_ret);
    return NULL;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    const struct lg_type *type;
    uint64_t address;
    struct lg_error *err = find_struct(session, args, &type, &address);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("dumpvc");
    if (!report)
        return &lg_no_memory;
    struct lg_object_view view = lg_object_view(session, report);
    // A boxed one has header and method table beside its fields.
    uint64_t size = type->base_size > 16 ? type->base_size - 16 : 0;
    const char *path = lg_module_path(view.clr, type);
    lg_report_line(report, "Name:        %s", lg_clr_type_name(view.clr, type));
    lg_report_line(report, "MethodTable: %016" PRIx64, type->mt);
    lg_report_line(report, "Size:        %" PRIu64 "(0x%" PRIx64 ") bytes", size, size);
    lg_report_line(report, "File:        %s", path ? path : "unknown");
    lg_report_fact_address(report, "address", address);
    lg_report_fact_address(report, "mt", type->mt);
    lg_report_fact_text(report, "type", lg_clr_type_name(view.clr, type));
    lg_report_fact_number(report, "size", size);
    lg_report_fact_text(report, "module", path);
    err = lg_view_struct(&view, type, address);
    if (err)
        return err;
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const char details[] =
    "dumpobj and dumparray show where a struct lies, and its method table.\n"
    "\n"
    "  $ linger dumpvc 4711 7f8cf9d3aa38 7f8121818f18\n"
    "  Name:        App.Point\n"
    "  MethodTable: 00007f8cf9d3aa38\n"
    "  Size:        8(0x8) bytes\n"
    "  File:        /app/Types.dll\n"
    "  Fields:\n"
    "                MT    Field   Offset                 Type   VT     Attr            Value Name\n"
    "  00007f8cf9c474e8 0400004a        0         System.Int32  Yes instance                3 X\n"
    "  00007f8cf9c474e8 0400004b        4         System.Int32  Yes instance               -4 Y";

const struct lg_command lg_cmd_dumpvc = {
    .name = "dumpvc",
    .usage = "METHODTABLE ADDRESS",
    .summary = "the fields of a struct within an object, an array or a static",
    .details = details,
    .beyond_graph = "fields",
    .needs = LG_NEEDS_HEAP,
    .check = check,
    .run = run,
};
