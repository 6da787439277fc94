// Keys of dictionaries, from the object that the value lies in.
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "collect/meanings.h"
#include "heap/objects.h"
#include "util/error.h"
#include "util/utf16.h"

enum { KEY_CHARS = 64, NAME_BYTES = 256 };

// ---- places ----

// "[3]" of an array of one dimension: moves on to the element.
static bool enter_element(struct lg_clr *clr, const struct lg_object *array, const char **label,
                          struct lg_place *ret)
{
    const struct lg_type *type = array->type;
    char *end;
    unsigned long long index = strtoull(*label + 1, &end, 10);
    uint32_t length;
    if (!(type->flags & LG_TYPE_SZARRAY) || *end != ']'
        || !lg_target_u32(lg_clr_target(clr), array->address + 8, &length) || index >= length
        || type->base_size < 8)
        return false;
    const struct lg_type *element =
        type->element_handle & 2 ? NULL : lg_clr_type(clr, type->element_handle);
    *ret = (struct lg_place){
        .address = array->address + type->base_size - 8 + index * type->component_size,
        .mt = element ? element->mt : 0,
        .element = element && element->flags & LG_TYPE_VALUE ? LG_ELEM_VALUETYPE : LG_ELEM_CLASS,
    };
    *label = end + 1;
    return true;
}

static const struct lg_field *find_field(struct lg_clr *clr, uint64_t mt, const char *name, size_t len)
{
    const struct lg_type *type = mt ? lg_clr_type(clr, mt) : NULL;
    const struct lg_field *fields;
    size_t count = 0;
    struct lg_error *err = type ? lg_clr_fields(clr, type, &fields, &count) : NULL;
    if (err) {
        lg_error_free(err);
        return NULL;
    }
    for (size_t i = count; i > 0; i--) { // The most derived one wins.
        const struct lg_field *field = &fields[i - 1];
        if (!field->is_static && strlen(field->name) == len && memcmp(field->name, name, len) == 0)
            return field;
    }
    return NULL;
}

bool lg_place_find(struct lg_clr *clr, const struct lg_object *object, const char *label,
                   struct lg_place *ret)
{
    // Fields of an object begin behind its method table.
    *ret = (struct lg_place){ object->address + 8, object->type->mt, LG_ELEM_VALUETYPE };
    if (*label == '[' && !enter_element(clr, object, &label, ret))
        return false;
    while (*label) {
        label += *label == '.';
        size_t len = strcspn(label, ".");
        const struct lg_field *field =
            ret->element == LG_ELEM_VALUETYPE ? find_field(clr, ret->mt, label, len) : NULL;
        if (!field)
            return false;
        *ret = (struct lg_place){ ret->address + field->offset, field->type_mt, field->element };
        label += len;
    }
    return true;
}

// ---- text ----

static bool char_text(uint16_t unit, char *buf, size_t size)
{
    char utf8[LG_UTF8_SIZE(1)];
    lg_utf8_from_utf16(utf8, sizeof(utf8), &unit, 1);
    return unit < ' ' ? snprintf(buf, size, "'\\u%04x'", unit) > 0
                      : snprintf(buf, size, "'%s'", utf8) > 0;
}

static bool number_text(unsigned element, uint64_t bits, char *buf, size_t size)
{
    switch (element) {
    case LG_ELEM_I1:
        return snprintf(buf, size, "%d", (int8_t)bits) > 0;
    case LG_ELEM_I2:
        return snprintf(buf, size, "%d", (int16_t)bits) > 0;
    case LG_ELEM_I4:
        return snprintf(buf, size, "%" PRId32, (int32_t)bits) > 0;
    case LG_ELEM_I8:
    case LG_ELEM_I:
        return snprintf(buf, size, "%" PRId64, (int64_t)bits) > 0;
    case LG_ELEM_U1:
    case LG_ELEM_U2:
    case LG_ELEM_U4:
    case LG_ELEM_U8:
    case LG_ELEM_U:
        return snprintf(buf, size, "%" PRIu64, bits) > 0;
    case LG_ELEM_BOOLEAN:
        return snprintf(buf, size, "%s", bits ? "true" : "false") > 0;
    case LG_ELEM_CHAR:
        return char_text((uint16_t)bits, buf, size);
    default:
        return false;
    }
}

static bool quote(const char *text, char *buf, size_t size)
{
    size_t len = 0;
    buf[len++] = '"';
    for (; *text && len + 4 < size; text++) {
        static const char special[] = "\"\\\n\r\t", letters[] = "\"\\nrt";
        const char *found = strchr(special, *text);
        if (found)
            buf[len++] = '\\';
        buf[len++] = found ? letters[found - special] : *text;
    }
    buf[len++] = '"';
    buf[len] = 0;
    return true;
}

static bool boxed_text(struct lg_clr *clr, const struct lg_object *object, char *buf, size_t size)
{
    const struct lg_field *fields;
    size_t count = 0;
    struct lg_error *err = lg_clr_fields(clr, object->type, &fields, &count);
    const struct lg_field *only = NULL;
    for (size_t i = 0; !err && i < count; i++) {
        if (fields[i].is_static)
            continue;
        if (only) // A struct.
            return false;
        only = &fields[i];
    }
    lg_error_free(err);
    uint64_t bits;
    return only
           && lg_value_read(lg_clr_target(clr), only->element, object->address + 8 + only->offset, &bits)
           && number_text(only->element, bits, buf, size);
}

static bool object_text(struct lg_clr *clr, uint64_t address, char *buf, size_t size)
{
    struct lg_object object;
    if (address == 0 || !lg_object_read(clr, address, &object))
        return false;
    if (object.type->flags & LG_TYPE_VALUE)
        return boxed_text(clr, &object, buf, size);
    if (!(object.type->flags & LG_TYPE_STRING))
        return false;
    _cleanup_free_ char *text = lg_string_text(lg_clr_target(clr), address, KEY_CHARS);
    return text && quote(text, buf, size);
}

bool lg_key_text(struct lg_clr *clr, const struct lg_place *place, char *buf, size_t size)
{
    uint64_t bits;
    if (!lg_value_read(lg_clr_target(clr), place->element, place->address, &bits))
        return false;
    return lg_element_is_reference(place->element) ? object_text(clr, bits, buf, size)
                                                   : number_text(place->element, bits, buf, size);
}

bool lg_key_of_value(struct lg_clr *clr, const struct lg_object *holder, const char *label, char *buf,
                     size_t size)
{
    static const struct {
        const char *value, *key;
    } pairs[] = {
        { "value", "key" },
        { "Value", "Key" },
        { "val", "key" },
        { "_value", "_key" },
        { "_value", "<Key>k__BackingField" },
    };
    const char *dot = strrchr(label, '.'), *name = dot ? dot + 1 : label;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        char key[NAME_BYTES];
        struct lg_place place;
        if (strcmp(name, pairs[i].value) != 0)
            continue;
        snprintf(key, sizeof(key), "%.*s%s", (int)(name - label), label, pairs[i].key);
        if (lg_place_find(clr, holder, key, &place))
            return lg_key_text(clr, &place, buf, size);
    }
    return false;
}
