// What the DAC tells about domains, modules, and the types that are loaded of a module.
#include <string.h>

#include "dac/facts_priv.h"
#include "util/error.h"

// A list of addresses is asked for twice: how long it is, and what is in it.
enum { ADDRESSES_MAX = LG_DAC_RESULTS_MAX / 8 - 16 };

static struct lg_error *too_many(const char *what, uint64_t count)
{
    return lg_error_new(LG_ERR_CORRUPT, "the DAC tells of %llu %s", (unsigned long long)count, what);
}

// ---- domains ----

static struct lg_error *read_store(struct lg_dac *dac, struct lg_dacp_domain_store *ret)
{
    struct lg_dac_result result;
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_DOMAIN_STORE, &result, LG_OUT(ret, sizeof(*ret)));
    if (!err && result.hresult < 0)
        err = lg_dac_no_fact("the domains of", dac->image.base, result.hresult);
    if (!err && ret->count > ADDRESSES_MAX)
        err = too_many("domains", ret->count);
    return err;
}

static struct lg_error *read_domains(struct lg_dac *dac, uint32_t count, struct lg_dac_addresses *ret)
{
    uint32_t needed;
    struct lg_dac_result result;
    if (!lg_vec_reserve((void **)&ret->at, &ret->cap, (size_t)count + 1, sizeof(*ret->at)))
        return &lg_no_memory;
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_DOMAINS, &result, LG_VALUE(count),
                    LG_OUT(ret->at, count * sizeof(*ret->at)), LG_OUT(&needed, sizeof(needed)));
    if (!err && result.hresult < 0)
        err = lg_dac_no_fact("the domains of", dac->image.base, result.hresult);
    ret->len = !err && needed < count ? needed : count;
    return err;
}

struct lg_error *lg_dac_domain_read(struct lg_dac *dac, struct lg_dac_domain *ret)
{
    _cleanup_(lg_dac_addresses_deinit) struct lg_dac_addresses domains = { .at = NULL };
    struct lg_dacp_domain_store store;
    struct lg_dacp_domain data;
    struct lg_dac_result result;
    struct lg_error *err = read_store(dac, &store);
    if (!err)
        err = read_domains(dac, store.count, &domains);
    if (!err && domains.len == 0)
        err = lg_dac_no_fact("a domain of", dac->image.base, LG_S_OK);
    if (!err)
        err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_DOMAIN, &result, LG_VALUE(domains.at[0]),
                          LG_OUT(&data, sizeof(data)));
    // It may fail after it has told (reference clr.md A.9).
    if (!err && data.address != domains.at[0])
        err = lg_dac_no_fact("the domain", domains.at[0], result.hresult);
    if (err)
        return err;
    struct lg_dac_domain domain = {
        .address = data.address,
        .low_frequency_heap = data.low_frequency,
        .high_frequency_heap = data.high_frequency,
        .stub_heap = data.stubs,
        .system_domain = store.system,
    };
    err = lg_dac_may_lack(lg_dac_name_read(dac, LG_SOS_DOMAIN_NAME, domain.address, &domain.name));
    if (!err)
        *ret = domain;
    return err;
}

// ---- the list of modules ----

static struct lg_error *read_assemblies(struct lg_dac *dac, uint64_t domain,
                                        struct lg_dac_addresses *ret)
{
    uint32_t count = 0, needed = 0;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_ASSEMBLIES, &result, LG_VALUE(domain),
                                       LG_VALUE(0), LG_VALUE(0), LG_OUT(&count, sizeof(count)));
    if (!err && result.hresult < 0)
        err = lg_dac_no_fact("the assemblies of domain", domain, result.hresult);
    if (!err && count > ADDRESSES_MAX)
        err = too_many("assemblies", count);
    if (err)
        return err;
    if (!lg_vec_reserve((void **)&ret->at, &ret->cap, (size_t)count + 1, sizeof(*ret->at)))
        return &lg_no_memory;
    err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_ASSEMBLIES, &result, LG_VALUE(domain), LG_VALUE(count),
                      LG_OUT(ret->at, count * sizeof(*ret->at)), LG_OUT(&needed, sizeof(needed)));
    if (!err && result.hresult < 0)
        err = lg_dac_no_fact("the assemblies of domain", domain, result.hresult);
    ret->len = needed < count ? needed : count;
    return err;
}

struct module_list {
    struct lg_dac_addresses modules;
    struct lg_map seen;
};

static void module_list_deinit(struct module_list *list)
{
    lg_dac_addresses_deinit(&list->modules);
    lg_map_free(&list->seen);
}

static struct lg_error *add_modules(struct lg_dac *dac, uint64_t assembly, struct module_list *list)
{
    enum { MODULES_MAX = 64 }; // .NET Core: one.
    uint64_t modules[MODULES_MAX];
    uint32_t needed = 0, index;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(
        dac, LG_DAC_SOS, LG_SOS_ASSEMBLY_MODULES, &result, LG_VALUE(assembly), LG_VALUE(MODULES_MAX),
        LG_OUT(modules, sizeof(modules)), LG_OUT(&needed, sizeof(needed)));
    if (!err && result.hresult < 0)
        err = lg_dac_no_fact("the modules of assembly", assembly, result.hresult);
    for (uint32_t i = 0; !err && i < needed && i < MODULES_MAX; i++) {
        if (!modules[i] || lg_map_get(&list->seen, modules[i], &index))
            continue;
        if (!lg_map_put(&list->seen, modules[i], 0) || !lg_vec_push(&list->modules, modules[i]))
            err = &lg_no_memory;
    }
    return err;
}

static struct lg_error *add_domain(struct lg_dac *dac, uint64_t domain, struct module_list *list)
{
    _cleanup_(lg_dac_addresses_deinit) struct lg_dac_addresses assemblies = { .at = NULL };
    struct lg_error *err = read_assemblies(dac, domain, &assemblies);
    for (size_t i = 0; !err && i < assemblies.len; i++)
        err = add_modules(dac, assemblies.at[i], list);
    return err;
}

struct lg_error *lg_dac_modules_read(struct lg_dac *dac, struct lg_dac_addresses *ret)
{
    _cleanup_(lg_dac_addresses_deinit) struct lg_dac_addresses domains = { .at = NULL };
    _cleanup_(module_list_deinit) struct module_list list = { .seen = { 0 } };
    struct lg_dacp_domain_store store;
    struct lg_error *err = read_store(dac, &store);
    if (!err)
        err = read_domains(dac, store.count, &domains);
    for (size_t i = 0; !err && i < domains.len; i++)
        err = add_domain(dac, domains.at[i], &list);
    if (err)
        return err;
    *ret = list.modules;
    list.modules = (struct lg_dac_addresses){ .at = NULL };
    return NULL;
}

// ---- one module ----

// Where its image lies, from an interface of its own. A module that is made at run time has none, and
// some DACs crash when asked for it.
static struct lg_error *read_image(struct lg_dac *dac, uint64_t address, struct lg_dac_module *module)
{
    struct lg_dacp_module_image image = { .base = 0 };
    struct lg_dac_result object, result = { .hresult = LG_E_FAIL };
    uint32_t flags = 0;
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_MODULE, &object, LG_VALUE(address), LG_OBJECT);
    if (err || object.hresult < 0 || object.object == UINT32_MAX)
        return err;
    err = LG_DAC_CALL(dac, object.object, LG_MODULE_FLAGS, &result, LG_OUT(&flags, sizeof(flags)));
    module->is_dynamic = module->is_dynamic || flags & LG_MODULE_IS_DYNAMIC;
    if (!err && result.hresult >= 0 && !module->is_dynamic) {
        err = LG_DAC_CALL(dac, object.object, LG_MODULE_REQUEST, &result,
                          LG_VALUE((uint32_t)LG_MODULE_REQUEST_IMAGE), LG_VALUE(0), LG_VALUE(0),
                          LG_VALUE(sizeof(image)), LG_OUT(&image, sizeof(image)));
        if (!err && result.hresult >= 0) {
            module->is_in_memory = image.is_in_memory;
            module->is_file_layout = image.is_file_layout;
            module->image_base = image.base;
            module->image_size = image.size;
        }
    }
    lg_dac_release(dac, object.object);
    return err;
}

struct lg_error *lg_dac_module_read(struct lg_dac *dac, uint64_t address, struct lg_dac_module *ret)
{
    struct lg_dacp_module data;
    struct lg_dac_result result;
    struct lg_error *err = LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_MODULE_DATA, &result, LG_VALUE(address),
                                       LG_OUT(&data, sizeof(data)));
    if (!err && (result.hresult < 0 || data.address != address))
        err = lg_dac_no_fact("the module", address, result.hresult);
    if (err)
        return err;
    _cleanup_(lg_dac_module_deinit) struct lg_dac_module module = {
        .address = address,
        .assembly = data.assembly,
        .pe_assembly = data.pe_assembly,
        .image_base = data.il_base,
        .metadata = data.metadata,
        .metadata_size = data.metadata_size,
        .loader_allocator = data.loader_allocator,
        .thunk_heap = data.thunk_heap,
        .index = data.index,
        .is_dynamic = data.is_reflection,
    };
    err = read_image(dac, address, &module);
    if (!err && module.pe_assembly)
        err =
            lg_dac_may_lack(lg_dac_name_read(dac, LG_SOS_MODULE_FILE, module.pe_assembly, &module.path));
    if (err)
        return err;
    *ret = module;
    module.path = NULL;
    return NULL;
}

struct lg_error *lg_dac_module_types_read(struct lg_dac *dac, uint64_t module,
                                          struct lg_dac_module_types *ret)
{
    enum { MAP_TYPEDEF = 0, RID_MAX = 0xffffff, TOKEN_TYPEDEF = 0x02000000 };
    _cleanup_(lg_dac_module_types_deinit) struct lg_dac_module_types types = { .at = NULL };
    struct lg_dac_result result;
    struct lg_error *err =
        LG_DAC_CALL(dac, LG_DAC_SOS, LG_SOS_MODULE_MAP, &result, LG_VALUE(MAP_TYPEDEF), LG_VALUE(module),
                    LG_CALLBACK, LG_VALUE(0));
    if (!err && result.hresult < 0)
        err = lg_dac_no_fact("the types of module", module, result.hresult);
    for (size_t at = 0; !err && at + sizeof(struct lg_dac_item) <= dac->parts.len;
         at += sizeof(struct lg_dac_item)) {
        struct lg_dac_item item;
        memcpy(&item, dac->parts.at + at, sizeof(item));
        uint32_t rid = (uint32_t)item.a;
        if (rid == 0 || rid > RID_MAX || !item.b)
            continue;
        if (!lg_vec_push(&types, (struct lg_dac_module_type){ item.b, TOKEN_TYPEDEF | rid }))
            err = &lg_no_memory;
    }
    if (err)
        return err;
    *ret = types;
    types = (struct lg_dac_module_types){ .at = NULL };
    return NULL;
}
