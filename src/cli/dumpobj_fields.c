// The fields of an object or of a struct: instance fields, statics, and thread statics once per thread.
//
// Text is lines, because rows and the values of a thread static on lines of their own take turns there
// (reference sos-commands.md 5.1); the table is for JSON, where a struct's own fields lie in its row.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/dumpobj.h"
#include "cli/values.h"

enum {
    TYPE_WIDTH = 20,
    TYPE_TEXT = 4 * TYPE_WIDTH + 8,
    STRING_MAX = 1024,
    DEPTH_MAX = 8,            // Structs in structs.
    NESTED_ROWS_MAX = 100000, // Of one report.
};

static const struct lg_column field_columns[] = {
    { "mt", "MT", LG_CELL_ADDRESS },
    { "field_token", "FIELD", LG_CELL_TEXT },
    { "offset", "OFFSET", LG_CELL_COUNT },
    { "type", "TYPE", LG_CELL_TEXT },
    { "static", "STATIC", LG_CELL_BOOL },
    { "thread", "THREAD", LG_CELL_COUNT },
    { "value", "VALUE", LG_CELL_TEXT },
    { "name", "NAME", LG_CELL_TEXT },
    { "declaring_type", "DECLARING_TYPE", LG_CELL_TEXT },
    { "text", "TEXT", LG_CELL_TEXT },
    { "fields", "FIELDS", LG_CELL_TABLE },
};
static const struct lg_table_spec field_spec =
    LG_TABLE_SPEC("fields", field_columns, LG_TABLE_HIDDEN | LG_TABLE_MAIN);

// ---- values ----

struct value {
    bool is_known, is_struct;
    uint64_t bits; // Of a struct: where it lies.
    char text[LG_VALUE_SIZE], json[LG_VALUE_SIZE];
    char *string; // What the string says that it refers to, or a char; NULL.
};
static void value_deinit(struct value *value)
{
    free(value->string);
}

static bool refers_to_string(const struct lg_object_view *view, uint64_t address)
{
    struct lg_object object;
    return address && lg_object_read(view->clr, address, &object) && object.type->flags & LG_TYPE_STRING;
}

static char *char_text(uint64_t bits)
{
    char buf[8];
    lg_utf8_from_utf16(buf, sizeof(buf), &(uint16_t){ (uint16_t)bits }, 1);
    return strdup(buf);
}

static void value_format(const struct lg_object_view *view, unsigned element, struct value *value)
{
    snprintf(value->text, sizeof(value->text), "unknown");
    if (!value->is_known)
        return;
    lg_value_text(element, value->bits, value->text);
    lg_value_json(element, value->bits, value->json);
    if (element == LG_ELEM_CHAR)
        value->string = char_text(value->bits);
    else if (lg_element_is_reference(element) && refers_to_string(view, value->bits))
        value->string = lg_string_text(view->target, value->bits, STRING_MAX);
}

// A struct has no value of its own: what is told is where it lies.
static void value_read(const struct lg_object_view *view, const struct lg_field *field, uint64_t address,
                       struct value *ret)
{
    bool in_slot = (field->is_static || field->is_thread_static) && !field->is_rva;
    ret->is_struct = field->element == LG_ELEM_VALUETYPE || field->element == LG_ELEM_TYPEDBYREF;
    ret->bits = address;
    ret->is_known = address != 0;
    if (!ret->is_struct)
        ret->is_known = address && lg_value_read(view->target, field->element, address, &ret->bits);
    else if (ret->is_known && in_slot) {
        // The slot of a static struct holds a reference to a boxed one (reference clr.md B.4, 6).
        ret->is_known = lg_target_u64(view->target, address, &ret->bits) && ret->bits;
        ret->bits += 8;
    }
    value_format(view, field->element, ret);
}

// ---- rows ----

static const char *type_name(struct lg_clr *clr, const struct lg_field *field)
{
    if (field->type_name)
        return field->type_name;
    return field->type_mt ? lg_clr_handle_name(clr, field->type_mt) : NULL;
}

static const char *declaring_name(struct lg_clr *clr, const struct lg_field *field)
{
    const struct lg_type *type = lg_clr_type(clr, field->declaring_mt);
    return type ? lg_clr_type_name(clr, type) : NULL;
}

static bool is_value_type(unsigned element)
{
    return element <= LG_ELEM_R8 || element == LG_ELEM_VALUETYPE || element == LG_ELEM_I
           || element == LG_ELEM_U || element == LG_ELEM_TYPEDBYREF;
}

// Where fields are told to lie: of an object from its address on, its method table included; the offsets
// of statics get the same 8, which means nothing, as in SOS.
struct place {
    uint64_t data;   // Address of the first field.
    uint64_t header; // Bytes before it that offsets count.
};

static void write_row(const struct lg_object_view *view, const struct place *place,
                      const struct lg_field *field, const char *value)
{
    const char *name = type_name(view->clr, field);
    char type[TYPE_TEXT];
    lg_text_tail(type, sizeof(type), name ? name : "unknown", TYPE_WIDTH);
    int padding = TYPE_WIDTH - (int)lg_text_length(type);
    LG_VIEW_LINE(view, "%016" PRIx64 " %08" PRIx32 " %8" PRIx64 " %*s%s %4s %8s %16s %s", field->type_mt,
                 field->token, field->offset + place->header, padding, "", type,
                 is_value_type(field->element) ? "Yes" : "No",
                 field->is_thread_static ? "TLstatic"
                 : field->is_static      ? "static"
                                         : "instance",
                 value, field->name);
}

static unsigned add_struct(const struct lg_object_view *view, struct lg_table *table,
                           const struct lg_type *type, uint64_t address, unsigned depth,
                           unsigned budget);

// The instance fields of a struct, from the `from`th on, have no room any more. What they would bring
// with them is not counted.
static void leave_out(const struct lg_object_view *view, const struct lg_type *type, size_t from)
{
    const struct lg_field *fields;
    size_t count, left = 0;
    struct lg_error *err = lg_clr_fields(view->clr, type, &fields, &count);
    lg_error_free(err);
    for (size_t i = from; !err && i < count; i++)
        left += !fields[i].is_static && !fields[i].is_thread_static;
    lg_report_truncated(view->report, "fields", left);
}

// Returns how many rows were added below this one.
static unsigned add_row(const struct lg_object_view *view, struct lg_table *table,
                        const struct place *place, const struct lg_field *field,
                        const struct lg_managed_thread *thread, const struct value *value,
                        unsigned depth, unsigned budget)
{
    char token[16];
    snprintf(token, sizeof(token), "%08" PRIx32, field->token);
    if (field->type_mt)
        lg_cell_number(table, field->type_mt);
    else
        lg_cell_null(table);
    lg_cell_text(table, token);
    lg_cell_number(table, field->offset + place->header);
    lg_cell_text(table, type_name(view->clr, field));
    lg_cell_bool(table, field->is_static || field->is_thread_static);
    if (thread)
        lg_cell_number(table, thread->os_id);
    else
        lg_cell_null(table);
    lg_cell_text(table, value->is_known ? value->json : NULL);
    lg_cell_text(table, field->name);
    lg_cell_text(table, declaring_name(view->clr, field));
    lg_cell_text(table, value->string);
    const struct lg_type *type =
        value->is_struct && value->is_known ? lg_clr_type(view->clr, field->type_mt) : NULL;
    if (type && depth < DEPTH_MAX && budget > 0)
        return add_struct(view, table, type, value->bits, depth + 1, budget);
    if (type)
        leave_out(view, type, 0);
    lg_cell_null(table);
    return 0;
}

// The cell `fields`: the instance fields of the struct at `address`. Returns how many rows it took.
static unsigned add_struct(const struct lg_object_view *view, struct lg_table *table,
                           const struct lg_type *type, uint64_t address, unsigned depth, unsigned budget)
{
    const struct lg_field *fields;
    size_t count;
    unsigned rows = 0;
    struct place place = { address, 0 };
    struct lg_error *err = lg_clr_fields(view->clr, type, &fields, &count);
    lg_error_free(err);
    if (err) {
        lg_cell_null(table);
        return 0;
    }
    struct lg_table *inner = lg_cell_table(table, &field_spec);
    size_t i = 0;
    for (; i < count && rows < budget; i++) {
        if (fields[i].is_static || fields[i].is_thread_static)
            continue;
        _cleanup_(value_deinit) struct value value = { 0 };
        value_read(view, &fields[i], address + fields[i].offset, &value);
        rows++;
        rows += add_row(view, inner, &place, &fields[i], NULL, &value, depth, budget - rows);
    }
    if (i < count)
        leave_out(view, type, i);
    return rows;
}

void lg_cell_struct(const struct lg_object_view *view, struct lg_table *table,
                    const struct lg_type *type, uint64_t address)
{
    add_struct(view, table, type, address, 0, NESTED_ROWS_MAX / 100);
}

// ---- all fields ----

// Thread statics of primitive types have no slot that is known.
static struct lg_error *view_thread_static(const struct lg_object_view *view, struct lg_table *table,
                                           const struct place *place, const struct lg_field *field)
{
    const struct lg_static *statics;
    size_t count, found = 0;
    struct lg_error *err = lg_clr_statics(view->clr, &statics, &count);
    if (err)
        return err;
    write_row(view, place, field, "");
    for (size_t i = 0; i < count; i++) {
        const struct lg_static *slot = &statics[i];
        if (!slot->thread || slot->mt != field->declaring_mt || slot->token != field->token)
            continue;
        _cleanup_(value_deinit) struct value value = { 0 };
        value_read(view, field, slot->slot, &value);
        if (found++ == 0)
            LG_VIEW_LINE(view, "    %s", "Thread static values (Thread:Value)");
        LG_VIEW_LINE(view, "    %" PRIx32 ":%s", slot->thread->os_id, value.text);
        if (table)
            add_row(view, table, place, field, slot->thread, &value, 0, NESTED_ROWS_MAX / 100);
    }
    if (found == 0 && table)
        add_row(view, table, place, field, NULL, &(struct value){ 0 }, 0, 0);
    return NULL;
}

static struct lg_error *view_field(const struct lg_object_view *view, struct lg_table *table,
                                   const struct place *place, const struct lg_field *field)
{
    if (field->is_thread_static)
        return view_thread_static(view, table, place, field);
    _cleanup_(value_deinit) struct value value = { 0 };
    value_read(view, field, field->is_static ? field->address : place->data + field->offset, &value);
    write_row(view, place, field, value.text);
    if (table)
        add_row(view, table, place, field, NULL, &value, 0, NESTED_ROWS_MAX / 100);
    return NULL;
}

static struct lg_error *view_fields(const struct lg_object_view *view, const struct lg_type *type,
                                    const struct place *place)
{
    const struct lg_field *fields;
    size_t count;
    struct lg_error *err = lg_clr_fields(view->clr, type, &fields, &count);
    if (err)
        return err;
    struct lg_table *table = view->is_nested ? NULL : lg_report_table(view->report, &field_spec);
    LG_VIEW_LINE(view, "%s", "Fields:");
    if (count == 0) {
        LG_VIEW_LINE(view, "%s", "None");
        return NULL;
    }
    LG_VIEW_LINE(view, "%16s %8s %8s %20s %4s %8s %16s %s", "MT", "Field", "Offset", "Type", "VT",
                 "Attr", "Value", "Name");
    for (size_t i = 0; i < count && !err; i++)
        err = view_field(view, table, place, &fields[i]);
    return err;
}

struct lg_error *lg_view_fields(const struct lg_object_view *view, const struct lg_object *object)
{
    return view_fields(view, object->type, &(struct place){ object->address + 8, 8 });
}

struct lg_error *lg_view_struct(const struct lg_object_view *view, const struct lg_type *type,
                                uint64_t address)
{
    return view_fields(view, type, &(struct place){ address, 0 });
}
