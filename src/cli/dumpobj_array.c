// Arrays: their shape, and their elements.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/dumpobj.h"
#include "cli/values.h"

enum { CONTENT_MAX = 128, STRING_MAX = 1024 };

static const struct lg_column element_columns[] = {
    { "index", "INDEX", LG_CELL_COUNT },   { "address", "ADDRESS", LG_CELL_ADDRESS },
    { "value", "VALUE", LG_CELL_TEXT },    { "mt", "MT", LG_CELL_ADDRESS },
    { "type", "TYPE", LG_CELL_TEXT },      { "text", "TEXT", LG_CELL_TEXT },
    { "fields", "FIELDS", LG_CELL_TABLE },
};
static const struct lg_table_spec element_spec =
    LG_TABLE_SPEC("elements", element_columns, LG_TABLE_HIDDEN);

static const struct {
    const char *name, *label;
    unsigned element;
} primitives[] = {
    { "System.Boolean", "Boolean", LG_ELEM_BOOLEAN },
    { "System.Char", "Char", LG_ELEM_CHAR },
    { "System.SByte", "SByte", LG_ELEM_I1 },
    { "System.Byte", "Byte", LG_ELEM_U1 },
    { "System.Int16", "Int16", LG_ELEM_I2 },
    { "System.UInt16", "UInt16", LG_ELEM_U2 },
    { "System.Int32", "Int32", LG_ELEM_I4 },
    { "System.UInt32", "UInt32", LG_ELEM_U4 },
    { "System.Int64", "Int64", LG_ELEM_I8 },
    { "System.UInt64", "UInt64", LG_ELEM_U8 },
    { "System.Single", "Single", LG_ELEM_R4 },
    { "System.Double", "Double", LG_ELEM_R8 },
    { "System.IntPtr", "I", LG_ELEM_I },
    { "System.UIntPtr", "U", LG_ELEM_U },
};
enum { PRIMITIVES = sizeof(primitives) / sizeof(*primitives) };

const char *lg_element_label(unsigned element)
{
    for (size_t i = 0; i < PRIMITIVES; i++) {
        if (primitives[i].element == element)
            return primitives[i].label;
    }
    switch (element) {
    case LG_ELEM_VALUETYPE:
        return "VALUETYPE";
    case LG_ELEM_SZARRAY:
        return "SZARRAY";
    case LG_ELEM_ARRAY:
        return "ARRAY";
    case LG_ELEM_PTR:
        return "PTR";
    default:
        return "CLASS";
    }
}

static unsigned element_of(struct lg_clr *clr, uint64_t handle, const char *name)
{
    const struct lg_type *type = lg_clr_type(clr, handle);
    if (!type)
        return LG_ELEM_PTR;
    for (size_t i = 0; i < PRIMITIVES; i++) {
        if (strcmp(primitives[i].name, name) == 0)
            return primitives[i].element;
    }
    if (type->flags & LG_TYPE_VALUE)
        return LG_ELEM_VALUETYPE;
    if (type->flags & LG_TYPE_SZARRAY)
        return LG_ELEM_SZARRAY;
    return type->flags & LG_TYPE_ARRAY ? LG_ELEM_ARRAY : LG_ELEM_CLASS;
}

bool lg_array_read(struct lg_clr *clr, const struct lg_object *object, struct lg_array *ret)
{
    const struct lg_type *type = object->type;
    struct lg_target *target = lg_clr_target(clr);
    // base_size counts the object header before the object too: the data begin 8 bytes before its end.
    struct lg_array array = {
        .object = *object,
        .rank = type->rank,
        .data = object->address + type->base_size - 8,
        .element_size = type->component_size,
        .element_name = lg_clr_handle_name(clr, type->element_handle),
    };
    array.element = element_of(clr, type->element_handle, array.element_name);
    array.element_mt = array.element == LG_ELEM_PTR ? 0 : type->element_handle;
    if (array.rank == 0 || array.rank > LG_RANK_MAX || array.element_size == 0
        || !lg_target_u32(target, object->address + 8, &array.count))
        return false;
    array.lengths[0] = array.count;
    // The bounds of each dimension follow the length (reference clr.md C.1).
    for (uint32_t i = 0; !(type->flags & LG_TYPE_SZARRAY) && i < array.rank; i++) {
        if (!lg_target_u32(target, object->address + 16 + UINT64_C(4) * i, &array.lengths[i]))
            return false;
    }
    *ret = array;
    return true;
}

static void append_char(const struct lg_array *array, uint16_t c, char *buf)
{
    size_t len = strlen(buf);
    if (array->element == LG_ELEM_U1 && c >= 0x7f)
        c = '.';
    lg_utf8_from_utf16(buf + len, 8, &c, 1);
    lg_text_clean(buf + len, 1);
}

static void view_content(const struct lg_object_view *view, const struct lg_array *array)
{
    char text[CONTENT_MAX * 4 + 8] = "";
    uint32_t count = array->count < CONTENT_MAX ? array->count : CONTENT_MAX;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bits;
        if (!lg_array_element(view, array, i, &bits))
            return;
        append_char(array, (uint16_t)bits, text);
    }
    LG_VIEW_LINE(view, "Content:     %s", text);
}

void lg_view_array_line(const struct lg_object_view *view, const struct lg_array *array, bool content)
{
    LG_VIEW_LINE(view, "Array:       Rank %" PRIu32 ", Number of elements %" PRIu32 ", Type %s",
                 array->rank, array->count, lg_element_label(array->element));
    if (content && (array->element == LG_ELEM_U1 || array->element == LG_ELEM_CHAR))
        view_content(view, array);
    if (view->is_nested)
        return;
    lg_report_fact_number(view->report, "rank", array->rank);
    lg_report_fact_number(view->report, "length", array->count);
    lg_report_fact_text(view->report, "element_type", array->element_name);
}

void lg_array_index(const struct lg_array *array, uint64_t i, char *buf, size_t size)
{
    uint64_t index[LG_RANK_MAX];
    for (uint32_t d = array->rank; d-- > 0;) {
        index[d] = array->lengths[d] ? i % array->lengths[d] : 0;
        i = array->lengths[d] ? i / array->lengths[d] : 0;
    }
    size_t len = 0;
    for (uint32_t d = 0; d < array->rank && len < size; d++)
        len += (size_t)snprintf(buf + len, size - len, "[%" PRIu64 "]", index[d]);
}

bool lg_array_element(const struct lg_object_view *view, const struct lg_array *array, uint64_t i,
                      uint64_t *ret)
{
    return lg_value_read(view->target, array->element, array->data + i * array->element_size, ret);
}

static void add_bits(const struct lg_object_view *view, struct lg_table *table,
                     const struct lg_array *array, uint64_t address)
{
    lg_cell_number(table, array->element_mt);
    lg_cell_text(table, array->element_name);
    lg_cell_null(table);
    const struct lg_type *type =
        array->element == LG_ELEM_VALUETYPE ? lg_clr_type(view->clr, array->element_mt) : NULL;
    if (type)
        lg_cell_struct(view, table, type, address);
    else
        lg_cell_null(table);
}

static void add_reference(const struct lg_object_view *view, struct lg_table *table, uint64_t address)
{
    struct lg_object object;
    if (!address || !lg_object_read(view->clr, address, &object)) {
        for (int cell = 0; cell < 4; cell++)
            lg_cell_null(table);
        return;
    }
    lg_cell_number(table, object.type->mt);
    lg_cell_text(table, lg_clr_type_name(view->clr, object.type));
    _cleanup_free_ char *text =
        object.type->flags & LG_TYPE_STRING ? lg_string_text(view->target, address, STRING_MAX) : NULL;
    lg_cell_text(table, text);
    lg_cell_null(table);
}

void lg_view_elements(const struct lg_object_view *view, const struct lg_array *array, uint64_t start,
                      uint64_t length)
{
    struct lg_table *table = lg_report_table(view->report, &element_spec);
    uint64_t left = start < array->count ? array->count - start : 0;
    uint64_t count = length < left ? length : left;
    for (uint64_t i = start; i < start + count; i++) {
        uint64_t bits = 0;
        char value[LG_VALUE_SIZE];
        bool is_known = lg_array_element(view, array, i, &bits);
        if (is_known)
            lg_value_json(array->element, bits, value);
        lg_cell_number(table, i);
        lg_cell_number(table, array->data + i * array->element_size);
        lg_cell_text(table, is_known ? value : NULL);
        if (lg_element_is_reference(array->element))
            add_reference(view, table, bits);
        else
            add_bits(view, table, array, array->data + i * array->element_size);
    }
    lg_report_truncated(view->report, "elements", left - count);
}
