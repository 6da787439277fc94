// `dumparray`: the elements of an array.
#include <inttypes.h>
#include <stdio.h>

#include "cli/cmd.h"
#include "cli/dumpobj.h"
#include "cli/values.h"
#include "util/cancel.h"

enum { ELEMENTS_MAX = 1000000 };

static void write_head(const struct lg_object_view *view, const struct lg_array *array)
{
    const struct lg_object *object = &array->object;
    struct lg_report *report = view->report;
    LG_VIEW_LINE(view, "Name:        %s", lg_clr_type_name(view->clr, object->type));
    LG_VIEW_LINE(view, "MethodTable: %016" PRIx64, object->type->mt);
    LG_VIEW_LINE(view, "EEClass:     %016" PRIx64, object->type->ee_class);
    LG_VIEW_LINE(view, "Size:        %" PRIu64 "(0x%" PRIx64 ") bytes", object->size, object->size);
    lg_report_fact_address(report, "address", object->address);
    lg_report_fact_address(report, "mt", object->type->mt);
    lg_report_fact_text(report, "type", lg_clr_type_name(view->clr, object->type));
    lg_report_fact_number(report, "size", object->size);
    lg_report_fact_text(report, "generation", lg_object_generation(view->heap, object->address));
    lg_view_array_line(view, array, false);
    LG_VIEW_LINE(view, "Element Methodtable: %016" PRIx64, array->element_mt);
}

static struct lg_error *write_details(const struct lg_object_view *view, uint64_t address)
{
    struct lg_object_view nested = *view;
    nested.indent += 4;
    nested.is_nested = true;
    struct lg_object object;
    if (!lg_object_read(view->clr, address, &object))
        return NULL;
    return lg_view_object(&nested, &object);
}

// References are told as what they refer to; structs and primitives as where they lie, and primitives by
// their value behind that.
static struct lg_error *write_element(const struct lg_object_view *view, const struct lg_array *array,
                                      uint64_t i, bool details)
{
    char index[LG_RANK_MAX * 24], value[LG_VALUE_SIZE];
    uint64_t bits = 0;
    lg_array_index(array, i, index, sizeof(index));
    bool is_known = lg_array_element(view, array, i, &bits);
    if (!lg_element_is_reference(array->element)) {
        if (is_known)
            lg_value_text(array->element, bits, value);
        LG_VIEW_LINE(view, "%s %016" PRIx64 "%s%s", index, array->data + i * array->element_size,
                     is_known ? " " : "", is_known ? value : "");
        return NULL;
    }
    if (!is_known || !bits) {
        LG_VIEW_LINE(view, "%s %s", index, is_known ? "null" : "unknown");
        return NULL;
    }
    LG_VIEW_LINE(view, "%s %016" PRIx64, index, bits);
    return details ? write_details(view, bits) : NULL;
}

static struct lg_error *write_elements(const struct lg_object_view *view, const struct lg_array *array,
                                       const struct lg_args *args)
{
    uint64_t start = lg_args_number(args, "start", 0);
    uint64_t length = lg_args_number(args, "length", ELEMENTS_MAX);
    if (start >= array->count)
        length = 0;
    else if (length > array->count - start)
        length = array->count - start;
    struct lg_error *err = NULL;
    for (uint64_t i = start; i < start + length && !err; i++)
        err = lg_cancelled() ? &lg_was_cancelled
                             : write_element(view, array, i, lg_args_has(args, "details"));
    if (!err)
        lg_view_elements(view, array, start, length);
    return err;
}

static struct lg_error *find_array(struct lg_session *session, const struct lg_args *args,
                                   struct lg_array *ret)
{
    uint64_t address;
    struct lg_object object;
    struct lg_clr *clr = lg_session_clr(session);
    struct lg_error *err = lg_args_expect(args, 1, 1);
    if (!err)
        err = lg_args_address(args, 0, &address);
    if (!err)
        err = lg_object_require(lg_session_heap(session), address, &object);
    if (err)
        return err;
    if (!(object.type->flags & LG_TYPE_ARRAY))
        return lg_error_new(LG_ERR_NOT_FOUND, "0x%" PRIx64 " is no array but a %s: use dumpobj instead",
                            address, lg_clr_type_name(clr, object.type));
    if (!lg_array_read(clr, &object, ret))
        return lg_error_new(LG_ERR_FAULT, "the bounds of the array at 0x%" PRIx64 " cannot be read",
                            address);
    return NULL;
}

static struct lg_error *run(struct lg_session *session, const struct lg_args *args,
                            struct lg_report **ret)
{
    struct lg_array array;
    struct lg_error *err = find_array(session, args, &array);
    if (err)
        return err;
    _cleanup_(lg_report_freep) struct lg_report *report = lg_report_new("dumparray");
    if (!report)
        return &lg_no_memory;
    struct lg_object_view view = lg_object_view(session, report);
    view.no_fields = lg_args_has(args, "nofields");
    write_head(&view, &array);
    err = write_elements(&view, &array, args);
    if (err)
        return err;
    if (lg_report_failed(report))
        return &lg_no_memory;
    *ret = lg_steal(report);
    return NULL;
}

static const struct lg_option options[] = {
    { "start", LG_OPT_NUMBER, "N", "from the element of this index on (of all dimensions together)" },
    { "length", LG_OPT_NUMBER, "N", "this many elements" },
    { "details", LG_OPT_FLAG, NULL, "each element as dumpobj shows it" },
    { "nofields", LG_OPT_FLAG, NULL, "with -details: without the fields" },
    { 0 },
};

static const char details[] =
    "An element that is a reference shows where it leads; others show where they lie, primitives\n"
    "their value too. -start and -length choose a part; without them a million elements are shown.\n"
    "\n"
    "  $ linger dumparray 4711 7f96d180a5d0\n"
    "  Name:        C5_InArray[]\n"
    "  MethodTable: 00007fa2acf4ac38\n"
    "  EEClass:     00007fa2ace52270\n"
    "  Size:        64(0x40) bytes\n"
    "  Array:       Rank 1, Number of elements 5, Type CLASS\n"
    "  Element Methodtable: 00007fa2acf4abb8\n"
    "  [0] null\n"
    "  [1] null\n"
    "  [2] null\n"
    "  [3] 00007f96d180c9f8\n"
    "  [4] null";

const struct lg_command lg_cmd_dumparray = {
    .name = "dumparray",
    .alias = "da",
    .usage = "[OPTIONS] ADDRESS",
    .summary = "the elements of an array",
    .details = details,
    .options = options,
    .beyond_graph = "elements in their places",
    .needs = LG_NEEDS_HEAP,
    .check = lg_check_address,
    .run = run,
};
