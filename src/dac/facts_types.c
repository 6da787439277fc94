// What the DAC tells about types, their fields and their statics.
#include <string.h>

#include "dac/facts_priv.h"
#include "util/error.h"
#include "util/utf16.h"

struct lg_error *lg_dac_no_fact(const char *what, uint64_t address, int32_t hresult)
{
    return lg_error_new(LG_ERR_NOT_FOUND, "the DAC does not tell %s %#llx (%#x)", what,
                        (unsigned long long)address, (unsigned)hresult);
}

struct lg_error *lg_dac_may_lack(struct lg_error *err)
{
    if (!err || lg_error_kind(err) != LG_ERR_NOT_FOUND)
        return err;
    lg_error_free(err);
    return NULL;
}

struct lg_error *lg_dac_well_known_read(struct lg_dac *dac, struct lg_dac_well_known *ret)
{
    _Static_assert(sizeof(*ret) == 0x28, "DacpUsefulGlobalsData");
    struct lg_dac_well_known data;
    struct lg_dac_result result;
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_GLOBALS, &result, LG_OUT(&data, sizeof(data)));
    if (!err && (result.hresult < 0 || !data.free_mt))
        err = lg_dac_no_fact("the well-known types of", dac->image.base, result.hresult);
    if (!err)
        *ret = data;
    return err;
}

// ---- types ----

// All types of a module are of one load context. The DAC does not check what it is asked for this, so it
// is asked once, of a type that is one.
static struct lg_error *load_context(struct lg_dac *dac, const struct lg_dac_type *type, uint64_t *ret)
{
    uint32_t index;
    *ret = 0;
    if (!type->module)
        return NULL;
    if (lg_map_get(&dac->load_context_of, type->module, &index)) {
        *ret = dac->load_contexts.at[index];
        return NULL;
    }
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS8, LG_SOS8_LOAD_CONTEXT, &result,
                                       LG_VALUE(type->mt), LG_OUT(ret, sizeof(*ret)));
    if (err)
        return err;
    *ret = result.hresult == LG_E_NOINTERFACE ? LG_DAC_NOT_TOLD : result.hresult < 0 ? 0 : *ret;
    index = (uint32_t)dac->load_contexts.len;
    return lg_map_put(&dac->load_context_of, type->module, index)
                   && lg_vec_push(&dac->load_contexts, *ret)
               ? NULL
               : &lg_no_memory;
}

static struct lg_error *know_globals(struct lg_dac *dac)
{
    struct lg_dac_well_known known;
    struct lg_error *err = dac->free_mt ? NULL : lg_dac_well_known_read(dac, &known);
    if (!err && !dac->free_mt) {
        dac->free_mt = known.free_mt;
        dac->string_mt = known.string_mt;
    }
    return err;
}

struct lg_error *lg_dac_type_read(struct lg_dac *dac, uint64_t mt, struct lg_dac_type *ret)
{
    struct lg_dacp_type data;
    struct lg_dacp_type_fields fields = { .first = 0 };
    struct lg_dacp_collectible collectible = { .is_collectible = 0 };
    struct lg_dac_step steps[] = {
        { LG_DAC_SOS, LG_SOS_TYPE, 2, { LG_VALUE(mt), LG_OUT(&data, sizeof(data)) } },
        { LG_DAC_SOS, LG_SOS_TYPE_FIELDS, 2, { LG_VALUE(mt), LG_OUT(&fields, sizeof(fields)) } },
        { LG_DAC_SOS6, LG_SOS6_COLLECTIBLE, 2, { LG_VALUE(mt), LG_OUT(&collectible, 16) } },
    };
    struct lg_error *err = know_globals(dac);
    // The type of free memory has no class. The DAC of .NET 8 crashes when asked for its fields.
    if (!err)
        err = lg_dac_steps(dac, steps, mt == dac->free_mt ? 1 : 3);
    if (!err && steps[0].result.hresult < 0)
        err = lg_dac_no_fact("the type", mt, steps[0].result.hresult);
    if (err)
        return err;
    // The DAC takes the NUL off a string's base size; the method table has it.
    uint32_t nul = mt == dac->string_mt ? sizeof(uint16_t) : 0;
    struct lg_dac_type type = {
        .mt = mt,
        .module = data.module,
        .ee_class = data.ee_class,
        .parent_mt = data.parent,
        .base_size = data.base_size + nul,
        .component_size = data.component_size,
        .token = data.token & 0xffffff ? data.token : 0,
        .attributes = data.attributes,
        .is_free = data.is_free,
        .is_shared = data.is_shared,
        .is_dynamic = data.is_dynamic,
        .has_references = data.has_references,
    };
    if (steps[1].result.hresult >= 0) {
        type.instance_fields = fields.instance;
        type.static_fields = fields.statics;
        type.thread_static_fields = fields.thread_statics;
        type.first_field = fields.first;
    }
    if (steps[2].result.hresult >= 0) {
        type.is_collectible = collectible.is_collectible;
        type.loader_allocator_handle = collectible.loader_allocator;
    }
    err = load_context(dac, &type, &type.load_context);
    if (!err && !lg_map_put(&dac->instance_fields, mt, type.instance_fields))
        err = &lg_no_memory;
    if (!err)
        *ret = type;
    return err;
}

struct lg_error *lg_dac_text(const uint16_t *units, size_t room, uint64_t address, char **ret)
{
    size_t len = 0;
    while (len < room && units[len])
        len++;
    if (len == room || len == 0)
        return lg_dac_no_fact("a name for", address, LG_S_OK);
    *ret = malloc(LG_UTF8_SIZE(len));
    if (!*ret)
        return &lg_no_memory;
    lg_utf8_from_utf16(*ret, LG_UTF8_SIZE(len), units, len);
    return NULL;
}

struct lg_error *lg_dac_name_read(struct lg_dac *dac, uint32_t slot, uint64_t address, char **ret)
{
    // One long enough for nearly all, and one as long as an answer may be.
    static const uint32_t lengths[] = { 512, 16384 };
    uint16_t units[16384];
    struct lg_dac_result result = { .hresult = LG_E_FAIL };
    uint32_t needed = UINT32_MAX, room = 0;
    for (size_t i = 0; i < 2 && needed > room; i++) {
        room = lengths[i];
        struct lg_error *err =
            LG_DAC_CALL(dac, LG_DAC_SOS, slot, &result, LG_VALUE(address), LG_VALUE(room),
                        LG_OUT(units, room * sizeof(*units)), LG_OUT(&needed, sizeof(needed)));
        if (err)
            return err;
    }
    if (result.hresult < 0 || needed > room)
        return lg_dac_no_fact("a name for", address, result.hresult);
    return lg_dac_text(units, room, address, ret);
}

struct lg_error *lg_dac_type_name(struct lg_dac *dac, uint64_t mt, char **ret)
{
    _cleanup_free_ char *name = NULL;
    struct lg_error *err = lg_dac_name_read(dac, LG_SOS_TYPE_NAME, mt, &name);
    if (!err && strstr(name, "<Unloaded Type>"))
        err = lg_dac_no_fact("a name for", mt, LG_S_OK);
    if (!err)
        *ret = lg_steal(name);
    return err;
}

struct lg_error *lg_dac_array_type(struct lg_dac *dac, uint64_t object, struct lg_dac_array *ret)
{
    enum { KIND_ARRAY = 3, RANK_MAX = 32 };
    struct lg_dacp_object data;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_OBJECT, &result, LG_VALUE(object),
                                       LG_OUT(&data, sizeof(data)));
    if (!err
        && (result.hresult < 0 || data.kind != KIND_ARRAY || data.rank == 0 || data.rank > RANK_MAX))
        err = lg_dac_no_fact("of what is the array", object, result.hresult);
    if (!err)
        *ret = (struct lg_dac_array){ data.element_handle, data.element_type, data.rank };
    return err;
}

// ---- fields ----

// Those of the base types, which the type's own come after.
static struct lg_error *inherited_fields(struct lg_dac *dac, const struct lg_dac_type *type,
                                         uint32_t *ret)
{
    *ret = 0;
    if (!type->parent_mt || lg_map_get(&dac->instance_fields, type->parent_mt, ret))
        return NULL;
    struct lg_dacp_type_fields fields;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_TYPE_FIELDS, &result,
                                       LG_VALUE(type->parent_mt), LG_OUT(&fields, sizeof(fields)));
    if (err)
        return err;
    if (result.hresult < 0)
        return lg_dac_no_fact("the fields of the base type", type->parent_mt, result.hresult);
    *ret = fields.instance;
    return lg_map_put(&dac->instance_fields, type->parent_mt, *ret) ? NULL : &lg_no_memory;
}

static struct lg_dac_field field_from(uint64_t address, const struct lg_dacp_field *data)
{
    return (struct lg_dac_field){
        .address = address,
        .declaring_mt = data->declaring_mt,
        .type_mt = data->type_mt,
        .type_module = data->type_module,
        .token = data->token,
        .type_token = data->type_token,
        .offset = data->offset,
        .element = (uint8_t)data->type,
        .sig_type = (uint8_t)data->sig_type,
        .is_static = data->is_static,
        .is_thread_static = data->is_thread_static,
    };
}

struct lg_error *lg_dac_fields_read(struct lg_dac *dac, const struct lg_dac_type *type,
                                    struct lg_dac_fields *ret)
{
    _cleanup_(lg_dac_fields_deinit) struct lg_dac_fields fields = { .at = NULL };
    uint32_t inherited;
    int32_t hresult;
    struct lg_error *err = inherited_fields(dac, type, &inherited);
    if (!err && inherited > type->instance_fields)
        err = lg_error_new(LG_ERR_CORRUPT, "type %#llx has fewer fields than its base type",
                           (unsigned long long)type->mt);
    if (err)
        return err;
    struct lg_dac_follow list = {
        .object = LG_DAC_SOS,
        .slot = LG_SOS_FIELD,
        .size = sizeof(struct lg_dacp_field),
        .next_at = offsetof(struct lg_dacp_field, next),
        .first = type->first_field,
        .max = type->instance_fields - inherited + type->static_fields,
    };
    err = list.max > 0 ? lg_dac_follow(dac, &list, &hresult) : NULL;
    uint64_t address = list.first;
    for (uint64_t i = 0; !err && i < list.max; i++) {
        struct lg_dacp_field data;
        if (i * sizeof(data) >= dac->parts.len)
            return lg_dac_no_fact("all fields of type", type->mt, hresult);
        memcpy(&data, dac->parts.at + i * sizeof(data), sizeof(data));
        if (data.next <= address) // An array: each lies behind the one before.
            return lg_error_new(LG_ERR_CORRUPT, "the DAC tells of fields of %#llx in circles",
                                (unsigned long long)type->mt);
        if (!lg_vec_push(&fields, field_from(address, &data)))
            return &lg_no_memory;
        address = data.next;
    }
    if (err)
        return err;
    *ret = fields;
    fields = (struct lg_dac_fields){ .at = NULL };
    return NULL;
}

// ---- statics ----

struct lg_error *lg_dac_module_statics(struct lg_dac *dac, const struct lg_dac_type *type,
                                       const struct lg_dacp_local_module *data,
                                       struct lg_dac_statics *ret)
{
    uint32_t rid = type->token & 0xffffff;
    uint8_t flags = 0; // A byte per type of the module; bit 0: initialised.
    bool has = !type->is_dynamic && rid && data->class_data
               && lg_target_read(dac->target, data->class_data + rid - 1, &flags, 1) == 1;
    if (!has)
        return lg_dac_no_fact("where there are statics of type", type->mt, LG_S_FALSE);
    *ret = (struct lg_dac_statics){ data->gc_statics, data->non_gc_statics, flags & 1 };
    return NULL;
}

static struct lg_error *domain_statics(struct lg_dac *dac, const struct lg_dac_type *type,
                                       struct lg_dac_statics *ret)
{
    struct lg_dacp_local_module data;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_DOMAIN_MODULE, &result,
                                       LG_VALUE(type->module), LG_OUT(&data, sizeof(data)));
    if (err)
        return err;
    if (result.hresult < 0)
        return lg_dac_no_fact("the statics of type", type->mt, result.hresult);
    return lg_dac_module_statics(dac, type, &data, ret);
}

struct lg_error *lg_dac_statics_read(struct lg_dac *dac, const struct lg_dac_type *type,
                                     struct lg_dac_statics *ret)
{
    enum { IS_INITIALIZED = 1 };
    const uint64_t mask = ~UINT64_C(1); // Bit 0 of a base: the class constructor has not run.
    uint64_t gc, non_gc;
    int32_t flags;
    struct lg_dac_step steps[] = {
        { LG_DAC_SOS14,
          LG_SOS14_STATICS,
          3,
          { LG_VALUE(type->mt), LG_OUT(&non_gc, sizeof(non_gc)), LG_OUT(&gc, sizeof(gc)) } },
        { LG_DAC_SOS14, LG_SOS14_INITIALIZED, 2, { LG_VALUE(type->mt), LG_OUT(&flags, sizeof(flags)) } },
    };
    struct lg_error *err = lg_dac_steps(dac, steps, 2);
    if (err)
        return err;
    if (steps[0].result.hresult == LG_E_NOINTERFACE)
        return domain_statics(dac, type, ret);
    if (steps[0].result.hresult < 0 || steps[1].result.hresult < 0)
        return lg_dac_no_fact("the statics of type", type->mt, steps[0].result.hresult);
    *ret = (struct lg_dac_statics){ gc & mask, non_gc & mask, flags & IS_INITIALIZED };
    return NULL;
}
