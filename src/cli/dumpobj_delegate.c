// Delegates: which methods an invocation calls, on which objects.
//
//     one method      _target, _methodPtr        code to call with _target as `this`
//     static method   _target = itself, _methodPtr a stub, _methodPtrAux the method
//     several         _invocationList an Object[] of delegates, _invocationCount of them in use
#include <inttypes.h>
#include <string.h>

#include "cli/dumpobj.h"

enum { ENTRIES_MAX = 1 << 20 };

static const struct lg_column delegate_columns[] = {
    { "target", "Target", LG_CELL_ADDRESS, 16, LG_COL_LOWER16 | LG_COL_LEFT },
    { "method", "Method", LG_CELL_ADDRESS, 16, LG_COL_LOWER16 | LG_COL_LEFT },
    { "name", "Name", LG_CELL_TEXT, -1 },
    { "target_type", "", LG_CELL_TEXT, 0, LG_COL_JSON_ONLY },
};
static const struct lg_table_spec delegate_spec = LG_TABLE_SPEC("delegates", delegate_columns, 0);

bool lg_is_delegate(struct lg_clr *clr, const struct lg_type *type)
{
    const struct lg_type *parent = lg_clr_type(clr, type->parent_mt);
    return parent && strcmp(lg_clr_type_name(clr, parent), "System.MulticastDelegate") == 0;
}

struct layout {
    uint64_t target, method, method_aux, list, count; // Offsets from the object; 0: no such field.
};

static struct lg_error *find_layout(struct lg_clr *clr, const struct lg_type *type, struct layout *ret)
{
    struct {
        const char *name;
        uint64_t *offset;
    } wanted[] = {
        { "_target", &ret->target },           { "_methodPtr", &ret->method },
        { "_methodPtrAux", &ret->method_aux }, { "_invocationList", &ret->list },
        { "_invocationCount", &ret->count },
    };
    const struct lg_field *fields;
    size_t count;
    struct lg_error *err = lg_clr_fields(clr, type, &fields, &count);
    for (size_t i = 0; !err && i < count; i++) {
        for (size_t w = 0; w < sizeof(wanted) / sizeof(*wanted); w++) {
            if (!fields[i].is_static && strcmp(fields[i].name, wanted[w].name) == 0)
                *wanted[w].offset = (uint64_t)fields[i].offset + 8;
        }
    }
    return err;
}

static uint64_t word_at(const struct lg_object_view *view, uint64_t object, uint64_t offset)
{
    uint64_t value = 0;
    return offset && lg_target_u64(view->target, object + offset, &value) ? value : 0;
}

static void add_row(const struct lg_object_view *view, struct lg_table *table,
                    const struct layout *layout, uint64_t delegate)
{
    // Without a `this` the target is the delegate itself, and says nothing.
    uint64_t aux = word_at(view, delegate, layout->method_aux);
    uint64_t target = aux ? 0 : word_at(view, delegate, layout->target);
    uint64_t code = aux ? aux : word_at(view, delegate, layout->method);
    uint64_t method = lg_clr_method_from_code(view->clr, code);
    const char *name = method ? lg_clr_method_name(view->clr, method) : NULL;
    struct lg_object object;
    bool has_target = target && lg_object_read(view->clr, target, &object);
    if (target)
        lg_cell_number(table, target);
    else
        lg_cell_null(table);
    if (method)
        lg_cell_number(table, method);
    else
        lg_cell_null(table);
    lg_cell_text(table, name);
    lg_cell_text(table, has_target ? lg_clr_type_name(view->clr, object.type) : NULL);
}

// The list's array, if it is one of delegates: wrappers of other kinds use the field too.
static bool read_list(const struct lg_object_view *view, const struct layout *layout, uint64_t delegate,
                      struct lg_array *ret, uint64_t *count_ret)
{
    struct lg_object object;
    uint64_t list = word_at(view, delegate, layout->list);
    *count_ret = word_at(view, delegate, layout->count);
    if (!list || !lg_object_read(view->clr, list, &object) || !(object.type->flags & LG_TYPE_SZARRAY))
        return false;
    return lg_array_read(view->clr, &object, ret) && *count_ret > 0 && *count_ret <= ret->count
           && *count_ret <= ENTRIES_MAX;
}

struct lg_error *lg_view_delegate(const struct lg_object_view *view, const struct lg_object *object)
{
    struct layout layout = { 0 };
    struct lg_error *err = find_layout(view->clr, object->type, &layout);
    if (err || view->is_nested || view->target->has_no_values)
        return err; // What it calls is a value.
    struct lg_table *table = lg_report_table(view->report, &delegate_spec);
    struct lg_array list;
    uint64_t count;
    if (!read_list(view, &layout, object->address, &list, &count)) {
        add_row(view, table, &layout, object->address);
        return NULL;
    }
    uint64_t unread = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t entry;
        if (lg_array_element(view, &list, i, &entry) && entry)
            add_row(view, table, &layout, entry);
        else
            unread++;
    }
    if (unread > 0)
        lg_report_incomplete(view->report, "%" PRIu64 " of the %" PRIu64 " delegates cannot be read",
                             unread, count);
    return NULL;
}
