#include "heap/objects.h"

#include <string.h>

#include "util/error.h"
#include "util/utf16.h"

// ---- objects ----

bool lg_object_read(struct lg_clr *clr, uint64_t address, struct lg_object *ret)
{
    uint64_t mt;
    if (!lg_target_u64(lg_clr_target(clr), address, &mt))
        return false;
    const struct lg_type *type = lg_clr_type(clr, mt & lg_clr_info(clr)->mt_mask);
    if (!type)
        return false;
    uint32_t count = 0;
    if (type->component_size && !lg_target_u32(lg_clr_target(clr), address + 8, &count))
        return false;
    *ret = (struct lg_object){ .address = address,
                               .size = lg_object_size(type->base_size, type->component_size, count),
                               .type = type };
    return true;
}

bool lg_object_field(struct lg_clr *clr, const struct lg_object *object, const char *name, uint64_t *ret)
{
    const struct lg_field *fields;
    size_t count = 0;
    struct lg_error *err = lg_clr_fields(clr, object->type, &fields, &count);
    bool found = false;
    *ret = 0;
    for (size_t i = 0; !err && i < count; i++) { // The last is the most derived class's.
        uint32_t size = lg_element_size(fields[i].element);
        if (!fields[i].is_static && size && strcmp(fields[i].name, name) == 0)
            found = lg_value_read(lg_clr_target(clr), fields[i].element,
                                  object->address + 8 + fields[i].offset, ret);
    }
    lg_error_free(err);
    return found;
}

char *lg_object_string(struct lg_clr *clr, const struct lg_object *object, const char *name, size_t max)
{
    uint64_t address;
    struct lg_object text;
    bool is_string = lg_object_field(clr, object, name, &address) && address
                     && lg_object_read(clr, address, &text) && text.type->flags & LG_TYPE_STRING;
    return is_string ? lg_string_text(lg_clr_target(clr), address, max) : NULL;
}

// ---- values ----

bool lg_value_read(struct lg_target *target, unsigned element, uint64_t address, uint64_t *ret)
{
    uint32_t size = lg_element_size(element);
    *ret = 0;
    if (!lg_element_is_reference(element) && !lg_target_knows(target, address, size))
        return false;
    return size > 0 && size <= sizeof(*ret) && lg_target_read_all(target, address, ret, size);
}

// ---- strings ----

uint16_t *lg_string_read(struct lg_target *target, uint64_t address, size_t max, uint32_t *count_ret,
                         uint32_t *total_ret)
{
    // A string object: its length in chars at +8, the chars from +12 on (reference clr.md C.1).
    if (!lg_target_u32(target, address + 8, total_ret) || *total_ret > INT32_MAX
        || target->has_no_values)
        return NULL;
    size_t count = *total_ret < max ? *total_ret : max;
    uint16_t *chars = calloc(count + 1, sizeof(*chars));
    if (!chars || !lg_target_read_all(target, address + 12, chars, count * sizeof(*chars))) {
        free(chars);
        return NULL;
    }
    *count_ret = (uint32_t)count;
    return chars;
}

char *lg_string_text(struct lg_target *target, uint64_t address, size_t max)
{
    static const char more[] = "…";
    uint32_t count, total;
    _cleanup_free_ uint16_t *chars = lg_string_read(target, address, max, &count, &total);
    if (!chars)
        return NULL;
    char *text = malloc(LG_UTF8_SIZE((size_t)count) + sizeof(more));
    if (!text)
        return NULL;
    size_t len = lg_utf8_from_utf16(text, LG_UTF8_SIZE((size_t)count), chars, count);
    if (count < total)
        memcpy(text + len, more, sizeof(more));
    return text;
}
