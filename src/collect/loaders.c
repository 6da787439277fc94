// Collectible types and the objects that keep them.
//
// A collectible type lives as long as its managed LoaderAllocator does, and every object of such a type
// keeps that alive, though no field says so (reference clr.md C.3). .NET 10's descriptor does not tell
// which object belongs to a native LoaderAllocator; the managed side does:
// LoaderAllocator.m_scout.m_nativeLoaderAllocator (dotnet/runtime
// src/coreclr/System.Private.CoreLib/src/System/Reflection/LoaderAllocator.cs).
#include <string.h>

#include "collect/collect_priv.h"
#include "util/error.h"

const struct lg_field *lg_field_find(struct lg_clr *clr, const struct lg_type *type, const char *name)
{
    const struct lg_field *fields;
    size_t count;
    struct lg_error *err = lg_clr_fields(clr, type, &fields, &count);
    if (err) {
        lg_error_free(err);
        return NULL;
    }
    for (size_t i = count; i > 0; i--) { // The most derived one wins.
        if (!fields[i - 1].is_static && strcmp(fields[i - 1].name, name) == 0)
            return &fields[i - 1];
    }
    return NULL;
}

static bool read_field(struct lg_heap *heap, uint64_t object, const char *name, uint64_t *ret)
{
    struct lg_object at;
    struct lg_clr *clr = lg_heap_clr(heap);
    const struct lg_field *field =
        lg_heap_object_at(heap, object, &at) ? lg_field_find(clr, at.type, name) : NULL;
    return field && lg_target_u64(lg_clr_target(clr), object + 8 + field->offset, ret) && *ret != 0;
}

static bool any_collectible(struct lg_clr *clr)
{
    uint32_t count = lg_clr_type_count(clr);
    for (uint32_t i = 0; i < count; i++) {
        if (lg_clr_type_at(clr, i)->flags & LG_TYPE_COLLECTIBLE)
            return true;
    }
    return false;
}

struct lg_error *lg_loader_objects_find(struct lg_heap *heap, struct lg_map *objects)
{
    struct lg_clr *clr = lg_heap_clr(heap);
    const struct lg_handle *handles;
    size_t count;
    if (!any_collectible(clr))
        return NULL;
    struct lg_error *err = lg_clr_handles(clr, &handles, &count);
    const struct lg_type *loader = NULL;
    for (size_t i = 0; i < count && !err; i++) {
        struct lg_object at;
        uint64_t scout, native;
        if (!lg_heap_object_at(heap, handles[i].object, &at))
            continue;
        if (!loader && strcmp(lg_clr_type_name(clr, at.type), "System.Reflection.LoaderAllocator") == 0)
            loader = at.type;
        if (at.type == loader && loader && read_field(heap, at.address, "m_scout", &scout)
            && read_field(heap, scout, "m_nativeLoaderAllocator", &native)
            && !lg_map_put(objects, native, (uint32_t)i))
            err = &lg_no_memory;
    }
    return err;
}

bool lg_static_is_collectible(struct lg_clr *clr, const struct lg_static *field)
{
    const struct lg_type *type = lg_clr_type(clr, field->mt);
    return type && type->flags & LG_TYPE_COLLECTIBLE;
}

uint64_t lg_loader_object(struct lg_clr *clr, const struct lg_map *objects, const struct lg_type *type)
{
    uint64_t told = lg_clr_loader_handle(clr, type), object;
    if (told && lg_target_u64(lg_clr_target(clr), told, &object))
        return object;
    uint64_t native = type->flags & LG_TYPE_COLLECTIBLE ? lg_clr_loader_allocator(clr, type) : 0;
    uint32_t handle;
    const struct lg_handle *handles;
    size_t count;
    if (native == 0 || !lg_map_get(objects, native, &handle))
        return 0;
    struct lg_error *err = lg_clr_handles(clr, &handles, &count);
    lg_error_free(err);
    return !err && handle < count ? handles[handle].object : 0;
}
