// What AppContext holds: a Dictionary<string, object> of the properties that the host gave the runtime
// (from runtimeconfig.json and its own), and of what the program has set since.
//
//     AppContext.s_dataStore -> Dictionary { _count, _entries -> Entry[] { next, key, value } }
//
// The process may run meanwhile, and a GC move all of this: it is read until two readings agree.
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "limits/limits_priv.h"
#include "util/utf16.h"

enum {
    READINGS = 6,
    ENTRIES_MAX = 4096,
    STRING_MAX = 1 << 16, // TRUSTED_PLATFORM_ASSEMBLIES has tens of thousands.
    OBJECT_HEADER = 8,
    ARRAY_HEADER = 16,
    STRING_HEADER = 12,
};

static bool read_pointer(struct lg_clr *clr, uint64_t address, uint64_t *ret)
{
    return lg_target_u64(lg_clr_target(clr), address, ret);
}

// The type of the object at `address`; NULL: it is none.
static const struct lg_type *type_of(struct lg_clr *clr, uint64_t address)
{
    uint64_t mt;
    if (!address || address % 8 || !read_pointer(clr, address, &mt))
        return NULL;
    return lg_clr_type(clr, mt & lg_clr_info(clr)->mt_mask);
}

// Offset of an instance field from where the fields begin; false: there is no such field.
static bool field_offset(struct lg_clr *clr, const struct lg_type *type, const char *name, uint32_t *ret)
{
    const struct lg_field *fields;
    size_t count;
    struct lg_error *err = lg_clr_fields(clr, type, &fields, &count);
    if (err) {
        lg_error_free(err);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!fields[i].is_static && fields[i].name && strcmp(fields[i].name, name) == 0) {
            *ret = fields[i].offset;
            return true;
        }
    }
    return false;
}

// ---- values ----

static const char *read_string(struct lg_clr *clr, uint64_t address, struct lg_arena *arena)
{
    struct lg_target *target = lg_clr_target(clr);
    uint32_t len;
    const struct lg_type *type = type_of(clr, address);
    if (!type || !(type->flags & LG_TYPE_STRING) || !lg_target_u32(target, address + OBJECT_HEADER, &len)
        || len > STRING_MAX)
        return NULL;
    _cleanup_free_ uint16_t *chars = malloc(len ? len * sizeof(*chars) : 1);
    if (!chars || !lg_target_read_all(target, address + STRING_HEADER, chars, len * sizeof(*chars)))
        return NULL;
    char *text = lg_arena_alloc(arena, LG_UTF8_SIZE((size_t)len));
    if (text)
        lg_utf8_from_utf16(text, LG_UTF8_SIZE((size_t)len), chars, len);
    return text;
}

// Numbers that a program has set itself (AppContext.SetData) are boxed.
static const char *read_boxed(struct lg_clr *clr, const struct lg_type *type, uint64_t address,
                              struct lg_arena *arena)
{
    const char *name = lg_clr_type_name(clr, type);
    struct lg_target *target = lg_clr_target(clr);
    uint64_t wide = 0;
    uint32_t narrow = 0;
    uint8_t byte = 0;
    if (strcmp(name, "System.UInt64") == 0 && lg_target_u64(target, address + OBJECT_HEADER, &wide))
        return lg_arena_format(arena, "%" PRIu64, wide);
    if (strcmp(name, "System.Int64") == 0 && lg_target_u64(target, address + OBJECT_HEADER, &wide))
        return lg_arena_format(arena, "%" PRId64, (int64_t)wide);
    if (strcmp(name, "System.Int32") == 0 && lg_target_u32(target, address + OBJECT_HEADER, &narrow))
        return lg_arena_format(arena, "%" PRId32, (int32_t)narrow);
    if (strcmp(name, "System.UInt32") == 0 && lg_target_u32(target, address + OBJECT_HEADER, &narrow))
        return lg_arena_format(arena, "%" PRIu32, narrow);
    if (strcmp(name, "System.Boolean") == 0 && lg_target_u8(target, address + OBJECT_HEADER, &byte))
        return byte ? "true" : "false";
    return NULL;
}

static const char *read_value(struct lg_clr *clr, uint64_t address, struct lg_arena *arena)
{
    const struct lg_type *type = type_of(clr, address);
    if (!type)
        return NULL;
    return type->flags & LG_TYPE_STRING ? read_string(clr, address, arena)
                                        : read_boxed(clr, type, address, arena);
}

// ---- the dictionary ----

struct dictionary {
    uint64_t entries;
    uint32_t count, entry_size, next, key, value;
};

static bool find_entries(struct lg_clr *clr, uint64_t address, struct dictionary *ret)
{
    const struct lg_type *type = type_of(clr, address);
    uint32_t entries, count, length;
    if (!type || !field_offset(clr, type, "_entries", &entries)
        || !field_offset(clr, type, "_count", &count)
        || !read_pointer(clr, address + OBJECT_HEADER + entries, &ret->entries)
        || !lg_target_u32(lg_clr_target(clr), address + OBJECT_HEADER + count, &ret->count))
        return false;
    const struct lg_type *array = type_of(clr, ret->entries);
    const struct lg_type *entry =
        array && (array->flags & LG_TYPE_SZARRAY) ? lg_clr_type(clr, array->element_handle) : NULL;
    if (!entry || !lg_target_u32(lg_clr_target(clr), ret->entries + OBJECT_HEADER, &length)
        || ret->count > length || ret->count > ENTRIES_MAX)
        return false;
    ret->entry_size = array->component_size;
    return field_offset(clr, entry, "next", &ret->next) && field_offset(clr, entry, "key", &ret->key)
           && field_offset(clr, entry, "value", &ret->value);
}

// False: what was read is no such dictionary, or was one no more when it was read.
static bool read_entries(struct lg_clr *clr, const struct dictionary *dictionary, struct lg_arena *arena,
                         struct lg_properties *ret)
{
    for (uint32_t i = 0; i < dictionary->count; i++) {
        uint64_t at = dictionary->entries + ARRAY_HEADER + (uint64_t)i * dictionary->entry_size;
        uint64_t key, value;
        uint32_t next;
        if (!lg_target_u32(lg_clr_target(clr), at + dictionary->next, &next)
            || !read_pointer(clr, at + dictionary->key, &key)
            || !read_pointer(clr, at + dictionary->value, &value))
            return false;
        if ((int32_t)next < -1)
            continue; // It is free.
        struct lg_property property = { read_string(clr, key, arena), read_value(clr, value, arena) };
        if (!property.name)
            return false;
        if (property.value && !lg_vec_push(&ret->all, property))
            return false;
    }
    return true;
}

static bool read_once(struct lg_clr *clr, uint64_t slot, struct lg_arena *arena,
                      struct lg_properties *ret)
{
    uint64_t address;
    struct dictionary dictionary;
    ret->all.len = 0;
    return read_pointer(clr, slot, &address) && find_entries(clr, address, &dictionary)
           && read_entries(clr, &dictionary, arena, ret);
}

static bool agree(const struct lg_properties *a, const struct lg_properties *b)
{
    if (a->all.len != b->all.len)
        return false;
    for (size_t i = 0; i < a->all.len; i++) {
        if (strcmp(a->all.at[i].name, b->all.at[i].name) != 0
            || strcmp(a->all.at[i].value, b->all.at[i].value) != 0)
            return false;
    }
    return true;
}

static void free_list(struct lg_properties *properties)
{
    lg_vec_free(&properties->all);
}

static void read_until_agreed(struct lg_clr *clr, uint64_t slot, struct lg_arena *arena,
                              struct lg_properties *ret)
{
    _cleanup_(free_list) struct lg_properties before = { .known = false };
    bool has_before = false;
    for (unsigned i = 0; i < READINGS; i++) {
        bool good = read_once(clr, slot, arena, ret);
        if (good && has_before && agree(&before, ret)) {
            ret->known = true;
            return;
        }
        has_before = good;
        struct lg_properties swap = before;
        before = *ret;
        *ret = swap;
        if (!good)
            nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    ret->problem = "AppContext's properties changed while they were being read, or are none";
}

struct lg_error *lg_app_context_read(struct lg_clr *clr, struct lg_arena *arena,
                                     struct lg_properties *ret)
{
    const struct lg_static *statics;
    size_t count;
    struct lg_error *err = lg_clr_statics(clr, &statics, &count);
    if (err && lg_error_kind(err) != LG_ERR_NO_MEMORY) {
        ret->problem = lg_arena_format(arena, "AppContext: %s", lg_error_message(err));
        lg_error_free(err);
        return NULL;
    }
    for (size_t i = 0; !err && i < count; i++) {
        const struct lg_type *type =
            strcmp(statics[i].field, "s_dataStore") == 0 ? lg_clr_type(clr, statics[i].mt) : NULL;
        if (type && strcmp(lg_clr_type_name(clr, type), "System.AppContext") == 0) {
            read_until_agreed(clr, statics[i].slot, arena, ret);
            return NULL;
        }
    }
    if (!err)
        ret->problem = lg_clr_info(clr)->heap_missing ? "the core lacks the memory that they are in"
                                                      : "the runtime has no AppContext yet";
    return err;
}
